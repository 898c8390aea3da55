//! `local[N]`: results against the same by hand, and what happens when things go wrong.

use mammoth_protocol::jobs::event::{AppEvent, TaskOutcome};
use mammoth_rdd::{Context, Error};
use std::io::Write;

fn context(cores: u32) -> Context {
    Context::local(&format!("local[{cores}]")).expect("a local context")
}

#[test]
fn narrow_operations_give_what_iterators_give() {
    let context = context(2);
    let numbers = context.range(0..10_000, 7);
    let got = numbers
        .map(|x| x * 3)
        .filter(|x| x % 2 == 0)
        .flat_map(|x| vec![x; (x % 4) as usize])
        .map_with(5_u64, |add, x| x + add)
        .collect()
        .unwrap();
    let expected: Vec<u64> =
        (0..10_000_u64).map(|x| x * 3).filter(|x| x % 2 == 0).flat_map(|x| vec![x; (x % 4) as usize]).map(|x| x + 5).collect();
    assert_eq!(got, expected);
    assert_eq!(numbers.count().unwrap(), 10_000);
    assert_eq!(numbers.reduce(|a, b| a + b).unwrap(), 10_000 * 9_999 / 2);
    assert_eq!(numbers.aggregate(0_u64, |sum, x| sum + x % 2, |a, b| a + b).unwrap(), 5000);
}

#[test]
fn a_flat_map_that_explodes_goes_on_in_batches() {
    let context = context(1);
    let many = context.range(0..3, 1).flat_map_ref(|x, out| out.extend(std::iter::repeat_n(*x, 5000)));
    assert_eq!(many.count().unwrap(), 15_000);
    let lazily = context.range(0..3, 1).flat_map(|x| std::iter::repeat_n(x, 500_000));
    assert_eq!(lazily.take(4).unwrap(), [0, 0, 0, 0]);
    assert_eq!(lazily.count().unwrap(), 1_500_000);
}

#[test]
fn take_looks_at_no_more_partitions_than_it_must() {
    let context = context(2);
    let numbers = context.range(0..1000, 100);
    assert_eq!(numbers.take(3).unwrap(), [0, 1, 2]);
    assert_eq!(numbers.first().unwrap(), 0);
    assert_eq!(numbers.take(25).unwrap(), (0..25).collect::<Vec<_>>());
    let started = context.events().iter().filter(|event| matches!(event.event, AppEvent::TaskStarted { .. })).count();
    assert_eq!(started, 1 + 1 + 5);
    assert!(matches!(context.range(0..0, 3).first(), Err(Error::Engine(_))));
    assert!(context.range(0..0, 3).reduce(|a, b| a + b).is_err());
}

#[test]
fn text_files_are_read_line_by_line() {
    let dir = tempfile::tempdir().unwrap();
    let mut file = std::fs::File::create(dir.path().join("a.txt")).unwrap();
    let lines: Vec<String> = (0..5000).map(|n| format!("line {n} with some words in it")).collect();
    writeln!(file, "{}", lines.join("\n")).unwrap();
    drop(file);
    let context = context(2);
    let uri = format!("file://{}", dir.path().display());
    let text = context.text_file(&uri, 4).unwrap();
    assert!(text.partitions() >= 4);
    let got: Vec<String> = text.map(|line| line.to_string()).collect().unwrap();
    assert_eq!(got, lines);
    let missing = context.text_file("file:///nowhere/at/all", 1).unwrap_err();
    assert!(missing.to_string().contains("does not exist"), "{missing}");
}

#[test]
fn a_panic_fails_the_job_with_message_and_place_and_nothing_else() {
    let context = context(2);
    let failing = context.range(0..10, 2).map(|x| if x == 7 { panic!("seven is bad luck") } else { x });
    let error = failing.collect().unwrap_err().to_string();
    for part in ["seven is bad luck", "tests/local.rs:", "partition 1", "4 time(s)", "map"] {
        assert!(error.contains(part), "{part} in {error}");
    }
    assert_eq!(context.range(0..10, 2).count().unwrap(), 10, "the executor lives on");
}

#[test]
fn a_flaky_task_is_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let marker = dir.path().join("tried").to_string_lossy().into_owned();
    let context = context(1);
    let flaky = context.range(0..4, 1).map_with(marker, |marker, x| {
        assert!(std::fs::File::create_new(marker).is_err(), "the first time it fails");
        x
    });
    assert_eq!(flaky.collect().unwrap(), [0, 1, 2, 3]);
    let ends: Vec<TaskOutcome> = context
        .events()
        .into_iter()
        .filter_map(|event| match event.event {
            AppEvent::TaskEnded { outcome, .. } => Some(outcome),
            _ => None,
        })
        .collect();
    assert!(matches!(ends.as_slice(), [TaskOutcome::Failed { .. }, TaskOutcome::Success]), "{ends:?}");
}

#[test]
fn a_cached_dataset_is_computed_once() {
    let context = context(2);
    let computed = context.accumulator("computed", 0_u64);
    let cached = context
        .range(0..100, 4)
        .map_with(computed.clone(), |computed, x| {
            computed.add(1);
            x + 1
        })
        .cache();
    assert_eq!(cached.count().unwrap(), 100);
    assert_eq!(cached.map(|x| x * 2).collect().unwrap().len(), 100);
    assert_eq!(cached.reduce(|a, b| a.max(b)).unwrap(), 100);
    assert_eq!(computed.value(), 100);
    cached.unpersist();
    assert_eq!(cached.count().unwrap(), 100);
    assert_eq!(computed.value(), 200);
}

#[test]
fn broadcasts_travel_as_state() {
    let context = context(2);
    let table = context.broadcast(vec!["zero".to_owned(), "one".to_owned()]).unwrap();
    let names = context.range(0..4, 2).map_with(table.clone(), |table, x| table[(x % 2) as usize].clone());
    assert_eq!(names.collect().unwrap(), ["zero", "one", "zero", "one"]);
    let (_, _, held) = context.holdings();
    drop(table);
    assert_eq!(context.holdings().2, held, "the operation keeps it");
    assert_eq!(names.count().unwrap(), 4);
    drop(names);
    assert_eq!(context.holdings().2, 0);
}

#[test]
fn dropping_the_last_handle_frees_the_plan() {
    let context = context(1);
    let base = context.range(0..10, 2);
    let derived = base.map(|x| x + 1).filter(|x| x % 2 == 0).cache();
    drop(base);
    assert_eq!(context.holdings().0, 3);
    assert_eq!(derived.count().unwrap(), 5);
    let copy = derived.clone();
    drop(derived);
    assert_eq!(context.holdings().0, 3);
    drop(copy);
    assert_eq!(context.holdings().0, 0);
}

#[test]
fn unions_give_one_after_the_other() {
    let context = context(2);
    let both = context.range(0..5, 2).union(&context.range(5..9, 3).map(|x| x));
    assert_eq!(both.partitions(), 5);
    assert_eq!(both.collect().unwrap(), (0..9).collect::<Vec<_>>());
    assert_eq!(both.union(&both).map(|x| x * 2).count().unwrap(), 18);
}

#[test]
fn it_works_inside_an_asynchronous_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let sum = runtime.block_on(async { context(1).range(0..10, 2).reduce(|a, b| a + b).unwrap() });
    assert_eq!(sum, 45);
}

#[test]
fn a_stopped_context_says_so() {
    let context = context(1);
    let numbers = context.range(0..10, 2);
    context.stop();
    assert!(numbers.count().unwrap_err().to_string().contains("ended"));
}
