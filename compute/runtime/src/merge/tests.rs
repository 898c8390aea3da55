//! Merges against sorting everything at once.

use super::passes::pass_width;
use super::*;
use crate::memory::Accountant;
use crate::run::testing::{Pair, Sum, collect, file_run, files_in, memory_run, tiny};
use crate::run::{Order, Run, RunMemory};
use crate::shuffle::Codec;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Keys that share prefixes, are prefixes of each other, and repeat.
fn keys() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(0_u8..2, 0..4),
        prop::collection::vec(0_u8..2, 7..11),
        prop::collection::vec(any::<u8>(), 0..3),
    ]
}

/// Runs, each in memory or not, with values that tell where each record came from.
fn runs() -> impl Strategy<Value = Vec<(bool, Vec<Pair>)>> {
    let run = (any::<bool>(), prop::collection::vec(keys(), 0..30));
    prop::collection::vec(run, 0..9).prop_map(|runs| {
        let of_run = |(at, (in_memory, mut keys)): (usize, (bool, Vec<Vec<u8>>))| {
            keys.sort();
            let value = |n: usize| format!("{at}.{n}").into_bytes();
            (in_memory, keys.into_iter().enumerate().map(|(n, key)| (key, value(n))).collect())
        };
        runs.into_iter().enumerate().map(of_run).collect()
    })
}

fn stored(config: &crate::run::SpillConfig, runs: &[(bool, Vec<Pair>)]) -> Vec<Run> {
    let one = |(in_memory, pairs): &(bool, Vec<Pair>)| match in_memory {
        true => memory_run(config, pairs),
        false => file_run(config, pairs),
    };
    runs.iter().map(one).collect()
}

fn flat(runs: &[(bool, Vec<Pair>)]) -> Vec<Pair> {
    runs.iter().flat_map(|(_, pairs)| pairs.clone()).collect()
}

proptest! {
    #[test]
    fn a_merge_is_a_stable_sort(runs in runs(), fan_in in 2_usize..5) {
        let dir = tempfile::tempdir().unwrap();
        let mut config = tiny(dir.path());
        config.fan_in = fan_in;
        let (stream, stats) = merge_runs(stored(&config, &runs), &config, None).unwrap();
        let mut expected = flat(&runs);
        expected.sort_by(|a, b| a.0.cmp(&b.0));
        prop_assert_eq!(collect(stream).unwrap(), expected);
        let files = runs.iter().filter(|(in_memory, _)| !in_memory).count();
        let passes = files.saturating_sub(fan_in).div_ceil(fan_in - 1);
        prop_assert_eq!(stats.passes, passes as u64);
        prop_assert_eq!(files_in(dir.path()), 0);
    }

    #[test]
    fn arrivals_follow_one_another(runs in runs()) {
        let dir = tempfile::tempdir().unwrap();
        let mut config = tiny(dir.path());
        config.order = Order::Arrival;
        let (stream, _) = merge_runs(stored(&config, &runs), &config, None).unwrap();
        prop_assert_eq!(collect(stream).unwrap(), flat(&runs));
    }

    #[test]
    fn groups_are_the_values_of_each_key(runs in runs(), take in prop::collection::vec(0_usize..4, 1..8)) {
        let dir = tempfile::tempdir().unwrap();
        let config = tiny(dir.path());
        let mut expected: BTreeMap<Vec<u8>, Vec<Vec<u8>>> = BTreeMap::new();
        for (key, value) in flat(&runs) {
            expected.entry(key).or_default().push(value);
        }
        let (stream, _) = merge_runs(stored(&config, &runs), &config, None).unwrap();
        let mut groups = Groups::new(stream);
        let mut takes = take.iter().cycle();
        for (key, values) in &expected {
            let mut group = groups.next_group().unwrap().expect("another group");
            prop_assert_eq!(group.key(), &key[..]);
            let take = *takes.next().unwrap();
            for value in values.iter().take(take) {
                prop_assert_eq!(group.next_value().unwrap(), Some(&value[..]));
            }
            if take > values.len() {
                prop_assert_eq!(group.next_value().unwrap(), None);
                prop_assert_eq!(group.next_value().unwrap(), None);
            }
        }
        prop_assert!(groups.next_group().unwrap().is_none());
        prop_assert!(groups.next_group().unwrap().is_none());
        prop_assert_eq!(groups.groups(), expected.len() as u64);
        prop_assert_eq!(groups.records(), flat(&runs).len() as u64);
    }
}

#[test]
fn passes_leave_a_full_last_merge() {
    assert_eq!(pass_width(11, 10), 2);
    assert_eq!(pass_width(19, 10), 10);
    assert_eq!(pass_width(12, 10), 3);
    assert_eq!(pass_width(3, 2), 2);
    for fan_in in 2..12 {
        for files in fan_in + 1..60 {
            let width = pass_width(files, fan_in);
            assert!((2..=fan_in).contains(&width), "{files} {fan_in}");
            assert_eq!((files - width + 1) % (fan_in - 1), 1 % (fan_in - 1), "{files} {fan_in}");
        }
    }
}

#[test]
fn a_combiner_works_in_the_passes() {
    let dir = tempfile::tempdir().unwrap();
    let config = tiny(dir.path());
    let pairs: Vec<Pair> = (0..20_u8).map(|n| (vec![n / 4], 1_u64.to_be_bytes().to_vec())).collect();
    let runs = (0..8).map(|_| file_run(&config, &pairs)).collect();
    let (stream, stats) = merge_runs(runs, &config, Some(Box::new(Sum))).unwrap();
    let records = collect(stream).unwrap();
    let total: u64 = records.iter().map(|(_, value)| u64::from_be_bytes(value[..].try_into().unwrap())).sum();
    assert_eq!(total, 160);
    assert_eq!(records.len(), 25, "the passes took the smallest neighbours, so one run was never combined");
    assert_eq!(stats.passes, 6);
    assert!(stats.combine_in > stats.combine_out);
    assert_eq!(stats.spilled_records, stats.combine_out);
}

#[test]
fn a_tick_ends_the_work() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = tiny(dir.path());
    let pairs: Vec<Pair> = (0..100_u8).map(|n| (vec![n], vec![n; 10])).collect();
    let runs: Vec<Run> = (0..3).map(|_| file_run(&config, &pairs)).collect();
    let left = Arc::new(AtomicU64::new(5));
    let counted = Arc::clone(&left);
    config.tick = Some(Arc::new(move || match counted.fetch_sub(1, Ordering::SeqCst) {
        0 => Err(RuntimeError::Stopped("enough".to_owned())),
        _ => Ok(()),
    }));
    assert!(matches!(merge_runs(runs, &config, None), Err(RuntimeError::Stopped(_))));
    assert_eq!(files_in(dir.path()), 0, "neither inputs nor the unfinished run are left");
}

#[test]
fn a_damaged_run_is_an_error_and_no_end() {
    let dir = tempfile::tempdir().unwrap();
    let config = tiny(dir.path());
    let pairs: Vec<Pair> = (0..50_u8).map(|n| (vec![n], vec![n; 5])).collect();
    let Run::File(file) = file_run(&config, &pairs) else { panic!("not in memory") };
    let mut bytes = std::fs::read(file.path()).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(file.path(), bytes).unwrap();
    let (stream, _) = merge_runs(vec![Run::File(file), memory_run(&config, &pairs)], &config, None).unwrap();
    assert!(matches!(collect(stream), Err(RuntimeError::Corrupt { .. })));
}

#[test]
fn runs_in_memory_are_read_where_they_lie() {
    let dir = tempfile::tempdir().unwrap();
    let pairs: Vec<Pair> = (0..50_u8).map(|n| (vec![n], vec![n; 5])).collect();
    let Run::Memory(memory) = memory_run(&tiny(dir.path()), &pairs) else { panic!("not on disk") };
    let lies = memory.bytes.as_ptr_range();
    let mut cursor = Cursor::of_memory(memory, None);
    let mut read = Vec::new();
    while cursor.advance().unwrap() {
        assert!(lies.contains(&cursor.key().as_ptr()) && lies.contains(&cursor.value().as_ptr()));
        read.push((cursor.key().to_vec(), cursor.value().to_vec()));
    }
    assert_eq!(read, pairs);
}

#[test]
fn compressed_runs_in_memory_are_unpacked_only_where_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let config = crate::run::SpillConfig { frame_bytes: 4096, codec: Codec::Lz4, ..tiny(dir.path()) };
    let pairs = |run: u8| -> Vec<Pair> { (0..100_u8).map(|n| (vec![n], vec![run; 40])).collect() };
    let stored: Vec<Vec<u8>> = (0..40)
        .map(|run| match memory_run(&config, &pairs(run)) {
            Run::Memory(memory) => memory.bytes,
            Run::File(_) => panic!("not on disk"),
        })
        .collect();
    let bytes: usize = stored.iter().map(Vec::len).sum();
    let total = bytes as u64 + 5 * 4096;
    assert!((bytes as u64) < 20 * 4096, "it is compressed well: {bytes}");
    let task = Accountant::new(total).begin_task();
    let held = |bytes: Vec<u8>| {
        let mut reservation = task.reservation();
        assert!(reservation.try_grow(bytes.len() as u64));
        Run::Memory(RunMemory { bytes, reservation })
    };
    let runs = stored.into_iter().map(held).collect();
    let (mut stream, stats) = merge_runs(runs, &config, None).unwrap();
    assert!(stats.passes > 0 && stats.passes < 20, "{stats:?}");
    let mut read = Vec::new();
    while stream.advance().unwrap() {
        assert!(task.held() <= total, "{} of {total}", task.held());
        read.push((stream.key().to_vec(), stream.value().to_vec()));
    }
    let expected: Vec<Pair> = (0..100_u8).flat_map(|n| (0..40).map(move |run| (vec![n], vec![run; 40]))).collect();
    assert!(read == expected, "equal keys stay in the order of the runs");
    drop(stream);
    assert_eq!((task.held(), files_in(dir.path())), (0, 0));
}
