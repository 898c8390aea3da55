//! Operations that shuffle, against the same by hand.

use mammoth_platform::{Deadline, SystemClock};
use mammoth_protocol::jobs::event::AppEvent;
use mammoth_rdd::{Context, Rdd, Text};
use std::collections::BTreeMap;
use std::time::Duration;

fn context() -> Context {
    Context::local("local[2]").expect("a local context")
}

fn words(context: &Context) -> Rdd<Text> {
    let lines: Vec<Text> =
        (0..2000_u64).map(|n| Text::from(format!("word{} the w{} of the", n % 97, n % 7).as_str())).collect();
    context
        .parallelize(lines, 5)
        .expect("texts can be encoded")
        .flat_map_ref(|line: &Text, out| out.extend(line.split_whitespace().map(|word| line.slice_of(word))))
}

fn naive(words: &[Text]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for word in words {
        *counts.entry(word.to_string()).or_insert(0) += 1;
    }
    counts
}

fn stages(context: &Context) -> usize {
    context.events().iter().filter(|event| matches!(event.event, AppEvent::StageCompleted { .. })).count()
}

#[test]
fn words_are_counted() {
    let context = context();
    let words = words(&context);
    let counts = words.map(|word| (word, 1_u64)).reduce_by_key(|a, b| a + b, 3);
    let got: BTreeMap<String, u64> =
        counts.map(|(word, count)| (word.to_string(), count)).collect().unwrap().into_iter().collect();
    assert_eq!(got, naive(&words.collect().unwrap()));
    assert_eq!(counts.partitions(), 3);
}

#[test]
fn groups_keep_the_order_of_records() {
    let context = context();
    let pairs = context.range(0..1000, 7).map(|x| (x % 10, x));
    let mut groups = pairs.group_by_key(4).collect().unwrap();
    groups.sort();
    let expected: Vec<(u64, Vec<u64>)> = (0..10).map(|k| (k, (0..1000).filter(|x| x % 10 == k).collect())).collect();
    assert_eq!(groups, expected);
}

#[test]
fn sorted_datasets_are_sorted_over_all_partitions() {
    let context = context();
    let mixed = |x: u64| x.wrapping_mul(2_654_435_761) % 100_003;
    let expected: Vec<u64> = {
        let mut keys: Vec<u64> = (0..20_000).map(mixed).collect();
        keys.sort_unstable();
        keys
    };
    let pairs = context.range(0..20_000, 6).map(|x| (x.wrapping_mul(2_654_435_761) % 100_003, x));
    let sorted = pairs.sort_by_key(5).unwrap();
    assert_eq!(sorted.keys().collect().unwrap(), expected);
    assert_eq!(sorted.partitions(), 5);
    let lengths = sorted.map(|_| 1_u64).reduce(|a, b| a + b).unwrap();
    assert_eq!(lengths, 20_000);
    let down = pairs.sort_by_key_descending(3).unwrap().keys().collect().unwrap();
    assert!(down.iter().rev().eq(expected.iter()));
    assert_eq!(context.range(0..0, 2).map(|x| (x, x)).sort_by_key(3).unwrap().count().unwrap(), 0);
    let equal = context.range(0..100, 4).map(|x| (7_u64, x)).sort_by_key(4).unwrap();
    assert_eq!(equal.values().collect().unwrap(), (0..100).collect::<Vec<_>>(), "equal keys keep their order");
}

#[test]
fn partitions_of_a_sort_are_of_about_the_same_length() {
    let context = context();
    let counted = context.accumulator("largest", 0_u64);
    let sorted = context.range(0..50_000, 4).map(|x| (x * x, ())).sort_by_key(8).unwrap();
    let lengths: Vec<u64> = (0..8).map(|_| 0).chain(std::iter::once(sorted.count().unwrap())).collect();
    assert_eq!(lengths[8], 50_000);
    drop(counted);
    let ends = context.events();
    let outs: Vec<u64> = ends
        .iter()
        .filter_map(|event| match &event.event {
            AppEvent::TaskEnded { metrics, .. } if metrics.shuffle_read > 0 => Some(metrics.records_out),
            _ => None,
        })
        .collect();
    assert_eq!(outs.len(), 8);
    assert!(outs.iter().all(|len| (3_000..11_000).contains(len)), "{outs:?}");
}

#[test]
fn joins_pair_what_has_the_same_key() {
    let context = context();
    let left = context.range(0..100, 3).map(|x| (x % 20, x));
    let right = context.range(0..60, 4).map(|x| (x % 30, format!("r{x}")));
    let mut expected = Vec::new();
    for x in 0..100_u64 {
        for y in (0..60_u64).filter(|y| y % 30 == x % 20) {
            expected.push((x % 20, (x, format!("r{y}"))));
        }
    }
    expected.sort();
    let joined = left.join(&right, 5);
    let mut got = joined.collect().unwrap();
    got.sort();
    assert_eq!(got, expected);
    let mut cogrouped = left.cogroup(&right, 2).collect().unwrap();
    cogrouped.sort();
    assert_eq!(cogrouped.len(), 30);
    assert_eq!(cogrouped[25], (25, (vec![], vec!["r25".to_owned(), "r55".to_owned()])));
    assert_eq!(cogrouped[0].1.0, [0, 20, 40, 60, 80]);
}

#[test]
fn a_join_of_many_equal_keys_goes_on_in_batches() {
    let context = context();
    let left = context.range(0..100, 2).map(|x| (1_u64, x));
    let right = context.range(0..70, 2).map(|x| (1_u64, x));
    assert_eq!(left.join(&right, 3).count().unwrap(), 7000);
}

#[test]
fn what_is_spread_already_is_not_shuffled_again() {
    let context = context();
    let left = context.range(0..100, 3).map(|x| (x % 10, x)).reduce_by_key(|a, b| a + b, 4);
    let right = context.range(0..100, 3).map(|x| (x % 15, x)).reduce_by_key(|a, b| a + b, 4).map_values(|x| x + 1);
    let joined = left.join(&right, 4);
    let mut got = joined.collect().unwrap();
    got.sort();
    let sum = |modulo: u64, key: u64| (0..100).filter(|x| x % modulo == key).sum::<u64>();
    let expected: Vec<(u64, (u64, u64))> = (0..10).map(|k| (k, (sum(10, k), sum(15, k) + 1))).collect();
    assert_eq!(got, expected);
    assert_eq!(stages(&context), 3, "two shuffles and the join: not five stages");
    let again = left.map_values(|x| x * 2).reduce_by_key(|a, b| a + b, 4);
    assert_eq!(again.count().unwrap(), 10);
    assert_eq!(stages(&context), 4, "the shuffle exists, and nothing else is needed");
}

#[test]
fn distinct_records() {
    let context = context();
    let mut got = context.range(0..1000, 5).map(|x| x % 13).distinct(3).collect().unwrap();
    got.sort_unstable();
    assert_eq!(got, (0..13).collect::<Vec<_>>());
}

#[test]
fn shuffle_files_go_with_the_last_handle() {
    let context = context();
    let counts = context.range(0..100, 4).map(|x| (x % 3, 1_u64)).reduce_by_key(|a, b| a + b, 2);
    assert_eq!(counts.count().unwrap(), 3);
    assert_eq!(context.holdings().1, 1);
    drop(counts);
    let deadline = Deadline::after(&SystemClock, Duration::from_secs(30));
    while context.holdings() != (0, 0, 0) {
        assert!(!deadline.is_over(&SystemClock), "{:?} are held still", context.holdings());
        std::thread::sleep(Duration::from_millis(2)); // poll
    }
}

#[test]
fn the_lineage_is_told() {
    let context = context();
    let counts = context.range(0..100, 4).map(|x| (x % 3, 1_u64)).reduce_by_key(|a, b| a + b, 2).cache();
    let text = counts.to_debug_string();
    assert!(text.starts_with("(2) reduce_by_key [2] at "), "{text}");
    assert!(text.contains("tests/shuffle.rs:") && text.contains("[cached]"), "{text}");
    assert!(text.contains("\n  +-(4) map [1]") && text.contains("\n  | (4) range [0]"), "{text}");
}

#[test]
fn little_memory_spills_and_changes_nothing() {
    let mut options = mammoth_rdd::Options::of_environment("small").unwrap();
    options.memory = 4 << 20;
    let context = Context::with_options("local[2]", &options).unwrap();
    let pairs = context.range(0..200_000, 4).map(|x| (format!("key number {}", x % 50_000), x));
    let sums = pairs.reduce_by_key(|a, b| a + b, 3);
    let total = sums.values().reduce(|a, b| a + b).unwrap();
    assert_eq!(total, 200_000 * 199_999 / 2);
    assert_eq!(sums.count().unwrap(), 50_000);
    let groups = pairs.group_by_key(3);
    assert_eq!(groups.map_ref(|(_, values)| values.len() as u64).reduce(|a, b| a + b).unwrap(), 200_000);
    let spilled: u64 = context
        .events()
        .iter()
        .map(|event| match &event.event {
            AppEvent::TaskEnded { metrics, .. } => metrics.spilled,
            _ => 0,
        })
        .sum();
    assert!(spilled > 0);
}
