//! Folds against maps.

use super::*;
use crate::memory::Accountant;
use crate::run::testing::{files_in, output, tiny, unlimited};
use crate::shuffle::Codec;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;

fn config(dir: &Path, partitions: u32, memory: u64) -> FoldConfig {
    FoldConfig { partitions, partition: None, memory, spill: tiny(dir) }
}

/// Counts, and the largest value: tells whether each value was added once.
type Acc = (u64, u32);

fn merge() -> MergeFn<Acc> {
    Arc::new(|into, from| *into = (into.0 + from.0, into.1.max(from.1)))
}

fn fold(table: &mut FoldTable<Acc>, key: &[u8], value: u32) {
    table.fold(key, value, |v| (1, v), |acc, v| *acc = (acc.0 + 1, acc.1.max(v))).unwrap();
}

type Model = BTreeMap<(u32, Vec<u8>), Acc>;

fn add(model: &mut Model, partition: u32, key: &[u8], value: u32) {
    let acc = model.entry((partition, key.to_vec())).or_default();
    *acc = (acc.0 + 1, acc.1.max(value));
}

type Entry = ((u32, Vec<u8>), Acc);

fn all(table: FoldTable<Acc>) -> (Vec<Entry>, FoldStats) {
    let mut entries = table.into_entries().unwrap();
    let mut all = Vec::new();
    while let Some((partition, key, acc)) = entries.next().unwrap() {
        all.push(((partition, key.to_vec()), acc));
    }
    assert!(entries.next().unwrap().is_none());
    (all, entries.stats())
}

fn keys() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![prop::collection::vec(0_u8..3, 0..5), prop::collection::vec(0_u8..2, 7..11)]
}

proptest! {
    #[test]
    fn it_is_a_map(records in prop::collection::vec((keys(), any::<u32>()), 0..400), memory in 0_u64..20_000, granted in 0_u64..20_000) {
        let dir = tempfile::tempdir().unwrap();
        let accountant = Accountant::new(granted);
        let mut table = FoldTable::new(config(dir.path(), 3, memory), merge(), accountant.begin_task().reservation());
        let mut model = Model::new();
        for (key, value) in &records {
            fold(&mut table, key, *value);
            add(&mut model, key::partition_of(key, 3), key, *value);
        }
        let (entries, stats) = all(table);
        prop_assert_eq!(entries, Vec::from_iter(model.clone()));
        prop_assert_eq!(stats.records, records.len() as u64);
        prop_assert_eq!(stats.keys, model.len() as u64);
        prop_assert_eq!(files_in(dir.path()), 0);
        prop_assert_eq!(accountant.free(), granted);
    }
}

#[test]
fn a_table_without_memory_spills_and_merges_in_passes() {
    let dir = tempfile::tempdir().unwrap();
    let work = tempfile::tempdir().unwrap();
    let accountant = Accountant::new(1 << 20);
    let mut config = config(work.path(), 4, 1 << 20);
    config.partition = Some(Arc::new(|key| u32::from(key[3] % 4)));
    let mut table = FoldTable::new(config, merge(), accountant.begin_task().reservation());
    let mut model = Model::new();
    for n in 0..100_000_u32 {
        let key = (n.wrapping_mul(2_654_435_761) % 50_000).to_be_bytes();
        fold(&mut table, &key, n);
        add(&mut model, u32::from(key[3] % 4), &key, n);
    }
    assert!(accountant.free() < 1 << 20);
    let out = OutputWriter::create(dir.path(), "out", 4, Codec::None).unwrap();
    let (finished, stats) = table.finish(out).unwrap();
    assert!(stats.spills >= 3, "{stats:?}");
    assert_eq!(stats.merge_passes, stats.spills - 2);
    assert!(stats.spilled_records > 50_000, "{stats:?}");
    assert_eq!((stats.records, stats.keys, finished.records), (100_000, 50_000, 50_000));
    let mut written = Model::new();
    for (partition, pairs) in (0..).zip(output(dir.path(), "out")) {
        assert!(pairs.is_sorted_by(|a, b| a.0 < b.0));
        for (key, value) in pairs {
            written.insert((partition, key), decode(&value).unwrap());
        }
    }
    assert_eq!(written, model);
    assert_eq!((files_in(work.path()), accountant.free()), (0, 1 << 20));
}

#[test]
fn accumulators_that_grow_are_spilled_too() {
    let dir = tempfile::tempdir().unwrap();
    let accountant = Accountant::new(1 << 20);
    let merge: MergeFn<Vec<u32>> = Arc::new(|into, mut from| into.append(&mut from));
    let mut table = FoldTable::new(config(dir.path(), 1, u64::MAX), merge, accountant.begin_task().reservation());
    for n in 0..200_000_u32 {
        table.fold(&[(n % 10) as u8], n, |n| vec![n], |acc, n| acc.push(n)).unwrap();
        table.grew(8).unwrap();
    }
    assert!(table.stats().spills > 0);
    let mut entries = table.into_entries().unwrap();
    for digit in 0..10 {
        let (_, key, list) = entries.next().unwrap().unwrap();
        assert_eq!(key, [digit]);
        assert_eq!(list, (0..200_000).filter(|n| n % 10 == u32::from(digit)).collect::<Vec<_>>());
    }
    assert!(entries.next().unwrap().is_none());
    assert!(entries.stats().spills > 0);
}

/// The longest text of a key.
fn longest(table: &mut FoldTable<String>, key: u32, text: String) {
    let bytes = heap_estimate(&text);
    let keep = |longest: &mut String, text: String| {
        if longest.len() < text.len() {
            *longest = text;
        }
    };
    table.fold(&key.to_be_bytes(), text, |text| text, keep).unwrap();
    table.grew(bytes).unwrap();
}

fn longest_of_two() -> MergeFn<String> {
    Arc::new(|into, from| {
        if into.len() < from.len() {
            *into = from;
        }
    })
}

#[test]
fn accumulators_that_replace_their_value_are_measured_before_they_are_spilled() {
    let dir = tempfile::tempdir().unwrap();
    let accountant = Accountant::new(1 << 20);
    let task = accountant.begin_task();
    let mut table = FoldTable::new(config(dir.path(), 1, u64::MAX), longest_of_two(), task.reservation());
    for n in 0..100_000_u32 {
        longest(&mut table, n % 100, "x".repeat((n % 64) as usize));
        assert!(task.held() <= 1 << 20);
    }
    let mut entries = table.into_entries().unwrap();
    assert_eq!(entries.stats().spills, 0);
    while let Some((_, _, text)) = entries.next().unwrap() {
        assert!(text.len() >= 60);
    }
}

#[test]
fn what_many_accumulators_hold_stays_within_the_limit() {
    for granted in [0, 1 << 20] {
        let dir = tempfile::tempdir().unwrap();
        let task = Accountant::new(granted).begin_task();
        let mut table = FoldTable::new(config(dir.path(), 1, u64::MAX), longest_of_two(), task.reservation());
        for n in 0..20_000_u32 {
            longest(&mut table, n, "y".repeat(200));
            assert!(task.held() <= granted.max(1 << 20), "{} after {n}", task.held());
        }
        let mut entries = table.into_entries().unwrap();
        let mut keys = 0;
        while let Some((_, _, text)) = entries.next().unwrap() {
            assert_eq!(text.len(), 200);
            keys += 1;
        }
        assert_eq!(keys, 20_000);
        // 4 MB of texts: a few runs, not one for each record.
        assert!((3..100).contains(&entries.stats().spills), "{:?}", entries.stats());
    }
    assert_eq!((heap_estimate(&7_u64), heap_bytes::<u64, String>(9)), (0, 0));
    assert_eq!(heap_estimate(&"abc".to_owned()), 4 + size_of::<String>() as u64);
}

#[test]
fn a_refused_task_works_with_a_little() {
    let dir = tempfile::tempdir().unwrap();
    let accountant = Accountant::new(0);
    let task = accountant.begin_task();
    let mut table = FoldTable::new(config(dir.path(), 1, 100 << 20), merge(), task.reservation());
    let mut model = Model::new();
    for n in 0..30_000_u32 {
        fold(&mut table, &n.to_be_bytes(), n);
        add(&mut model, 0, &n.to_be_bytes(), n);
        assert!(task.held() <= 512 * 1024, "{} after {n}", task.held());
    }
    let (entries, stats) = all(table);
    assert!(stats.spills > 2 && stats.spills < 50, "{stats:?}");
    assert_eq!(entries, Vec::from_iter(model));
}

#[test]
fn the_combiner_merges_what_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let mut runs = Vec::new();
    for round in 0..5_u32 {
        let mut table = FoldTable::new(config(dir.path(), 1, 1 << 20), merge(), unlimited());
        fold(&mut table, b"a", round);
        fold(&mut table, b"b", 10 + round);
        let name = format!("out{round}");
        table.finish(OutputWriter::create(dir.path(), &name, 1, Codec::None).unwrap()).unwrap();
        let pairs = output(dir.path(), &name).remove(0);
        runs.push(crate::run::testing::file_run(&tiny(dir.path()), &pairs));
    }
    let (stream, stats) = crate::merge::merge_runs(runs, &tiny(dir.path()), Some(combiner(merge()))).unwrap();
    assert_eq!((stats.passes, stats.combine_in > stats.combine_out), (3, true));
    let mut groups = crate::merge::Groups::new(stream);
    let mut sums = Vec::new();
    while groups.advance_group().unwrap() {
        let mut sum = Acc::default();
        while groups.advance_value().unwrap() {
            merge()(&mut sum, decode(groups.value()).unwrap());
        }
        sums.push((groups.key().to_vec(), sum));
    }
    assert_eq!(sums, [(b"a".to_vec(), (5, 4)), (b"b".to_vec(), (5, 14))]);
}
