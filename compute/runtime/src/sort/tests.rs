//! Sorts against a stable sort of everything, with little memory.

use super::*;
use crate::memory::Accountant;
use crate::run::testing::{Pair, Sum, files_in, output, tiny, unlimited};
use crate::shuffle::Codec;
use proptest::prelude::*;
use std::path::Path;

fn config(dir: &Path, partitions: u32, memory: u64) -> SortConfig {
    SortConfig { partitions, memory, spill_percent: 1.0, spill: tiny(dir) }
}

fn writer(dir: &Path, partitions: u32) -> OutputWriter {
    OutputWriter::create(dir, "out", partitions, Codec::None).unwrap()
}

type Record = (u32, Vec<u8>, Vec<u8>);

/// What a sort must give: each partition stably sorted, or only gathered.
fn model(records: &[Record], partitions: u32, order: Order) -> Vec<Vec<Pair>> {
    let mut all: Vec<Vec<Pair>> = vec![Vec::new(); partitions as usize];
    for (partition, key, value) in records {
        all[*partition as usize].push((key.clone(), value.clone()));
    }
    if order == Order::Key {
        all.iter_mut().for_each(|pairs| pairs.sort_by(|a, b| a.0.cmp(&b.0)));
    }
    all
}

fn records() -> impl Strategy<Value = Vec<Record>> {
    let key = prop_oneof![
        prop::collection::vec(0_u8..3, 0..4),
        prop::collection::vec(0_u8..2, 7..12),
        prop::collection::vec(any::<u8>(), 0..40),
    ];
    let value = prop::collection::vec(any::<u8>(), 0..60);
    prop::collection::vec((0_u32..3, key, value), 0..200)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn sorted_output_is_a_stable_sort(records in records(), memory in 0_u64..4000, by_key: bool, granted in 0_u64..4000) {
        let dir = tempfile::tempdir().unwrap();
        let work = tempfile::tempdir().unwrap();
        let mut config = config(work.path(), 3, memory);
        config.spill.order = if by_key { Order::Key } else { Order::Arrival };
        let order = config.spill.order;
        let reservation = Accountant::new(granted).begin_task().reservation();
        let mut sorter = Sorter::new(config, None, reservation);
        for (partition, key, value) in &records {
            sorter.add(*partition, key, value).unwrap();
        }
        let (finished, stats) = sorter.finish(writer(dir.path(), 3)).unwrap();
        prop_assert_eq!(output(dir.path(), "out"), model(&records, 3, order));
        prop_assert_eq!(finished.records, records.len() as u64);
        prop_assert_eq!(stats.records, records.len() as u64);
        prop_assert_eq!(stats.spills == 0, stats.spilled_records == 0);
        prop_assert_eq!(files_in(work.path()), 0);
    }

    #[test]
    fn combined_output_has_the_sums(records in prop::collection::vec((0_u32..2, 0_u8..20), 0..400), memory in 200_u64..4000) {
        let dir = tempfile::tempdir().unwrap();
        let mut sorter = Sorter::new(config(dir.path(), 2, memory), Some(Box::new(Sum)), unlimited());
        let mut sums = vec![std::collections::BTreeMap::<Vec<u8>, u64>::new(); 2];
        for (partition, key) in &records {
            sorter.add(*partition, &[*key], &1_u64.to_be_bytes()).unwrap();
            *sums[*partition as usize].entry(vec![*key]).or_default() += 1;
        }
        let (finished, stats) = sorter.finish(writer(dir.path(), 2)).unwrap();
        let expected: Vec<Vec<Pair>> = sums
            .into_iter()
            .map(|sums| sums.into_iter().map(|(key, sum)| (key, sum.to_be_bytes().to_vec())).collect())
            .collect();
        prop_assert_eq!(output(dir.path(), "out"), expected);
        prop_assert!(stats.combine_in >= records.len() as u64);
        prop_assert!(stats.combine_out >= finished.records);
    }
}

#[test]
fn little_memory_and_a_fan_in_of_two_make_many_passes() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path(), 4, 1 << 20);
    config.spill.frame_bytes = 4096;
    config.spill_percent = 0.8;
    let mut sorter = Sorter::new(config, None, unlimited());
    let mut expected: Vec<Record> = Vec::new();
    for n in 0..60_000_u32 {
        let scrambled = n.wrapping_mul(2_654_435_761);
        let record = (scrambled % 4, scrambled.to_be_bytes().to_vec(), vec![7; (n % 50) as usize]);
        sorter.add(record.0, &record.1, &record.2).unwrap();
        expected.push(record);
    }
    let (finished, stats) = sorter.finish(writer(dir.path(), 4)).unwrap();
    assert_eq!(output(dir.path(), "out"), model(&expected, 4, Order::Key));
    assert!((3..=6).contains(&stats.spills), "{stats:?}");
    assert_eq!(stats.merge_passes, stats.spills - 2);
    assert!(stats.spilled_records > 60_000 * 3 / 4, "{stats:?}");
    assert_eq!(stats.bytes, expected.iter().map(|(_, k, v)| (k.len() + v.len()) as u64).sum::<u64>());
    assert!(stats.sort_ns > 0 && stats.spill_ns > 0 && stats.merge_ns > 0);
    assert_eq!(finished.records, 60_000);
}

#[test]
fn without_need_nothing_is_spilled() {
    let dir = tempfile::tempdir().unwrap();
    let mut sorter = Sorter::new(config(dir.path(), 1, 1 << 20), None, unlimited());
    for n in (0..1000_u32).rev() {
        sorter.add(0, &n.to_be_bytes(), b"v").unwrap();
    }
    let (_, stats) = sorter.finish(writer(dir.path(), 1)).unwrap();
    assert_eq!((stats.spills, stats.spilled_records, stats.spilled_bytes, stats.merge_passes), (0, 0, 0, 0));
    assert_eq!(output(dir.path(), "out")[0].len(), 1000);
}

#[test]
fn a_record_larger_than_the_memory_takes_its_own_way() {
    let dir = tempfile::tempdir().unwrap();
    let mut sorter = Sorter::new(config(dir.path(), 2, 10_000), None, unlimited());
    let big = vec![b'v'; 100_000];
    sorter.add(1, b"b", b"1").unwrap();
    sorter.add(1, b"a", &big).unwrap();
    sorter.add(0, b"c", b"2").unwrap();
    let (_, stats) = sorter.finish(writer(dir.path(), 2)).unwrap();
    assert_eq!(stats.spills, 2);
    let small = |key: &[u8], value: &[u8]| (key.to_vec(), value.to_vec());
    assert_eq!(output(dir.path(), "out"), [vec![small(b"c", b"2")], vec![small(b"a", &big), small(b"b", b"1")]]);
}

#[test]
fn a_refused_task_works_with_a_little() {
    let dir = tempfile::tempdir().unwrap();
    let accountant = Accountant::new(0);
    let task = accountant.begin_task();
    let mut sorter = Sorter::new(config(dir.path(), 1, 100 << 20), None, task.reservation());
    for n in 0..20_000_u32 {
        sorter.add(0, &n.wrapping_mul(2_654_435_761).to_be_bytes(), &[1; 20]).unwrap();
    }
    assert!(task.held() <= 256 * 1024, "{}", task.held());
    let (finished, stats) = sorter.finish(writer(dir.path(), 1)).unwrap();
    assert!(stats.spills > 1);
    assert_eq!(finished.records, 20_000);
    assert_eq!(task.held(), 0);
}

#[test]
fn memory_beyond_the_share_is_given_back() {
    let dir = tempfile::tempdir().unwrap();
    let accountant = Accountant::new(4 << 20);
    let task = accountant.begin_task();
    let mut sorter = Sorter::new(config(dir.path(), 1, 4 << 20), None, task.reservation());
    let mut add = |count: u32| {
        for n in 0..count {
            sorter.add(0, &n.to_be_bytes(), &[1; 100]).unwrap();
        }
    };
    add(30_000);
    assert_eq!(task.held(), 4 << 20);
    let _other = accountant.begin_task();
    add(40_000);
    assert!(task.held() <= 2 << 20, "{}", task.held());
}

#[test]
fn what_cannot_be_sorted_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut sorter = Sorter::new(config(dir.path(), 2, 1000), None, unlimited());
    assert!(matches!(sorter.add(2, b"", b""), Err(RuntimeError::Refused(_))));
    let too_long = vec![0; crate::record::RECORD_MAX + 1];
    assert!(matches!(sorter.add(0, &too_long, b""), Err(RuntimeError::Refused(_))));
}
