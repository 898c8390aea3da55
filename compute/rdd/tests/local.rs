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
    let expected: Vec<u64> = (0..10_000_u64)
        .map(|x| x * 3)
        .filter(|x| x % 2 == 0)
        .flat_map(|x| vec![x; (x % 4) as usize])
        .map(|x| x + 5)
        .collect();
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

#[test]
fn text_files_are_saved_whole_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let context = context(2);
    let uri = format!("file://{}/out", dir.path().display());
    context.range(0..10, 3).map(|x| format!("{x}\t{}", x * x)).save_as_text_file(&uri).unwrap();
    let names = |path: &std::path::Path| {
        let mut names: Vec<String> =
            std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let out = dir.path().join("out");
    assert_eq!(names(&out), ["_SUCCESS", "part-00000", "part-00001", "part-00002"]);
    assert_eq!(std::fs::read_to_string(out.join("part-00000")).unwrap(), "0\t0\n1\t1\n2\t4\n");
    assert_eq!(context.text_file(&uri, 1).unwrap().count().unwrap(), 10);
    let again = context.range(0..10, 3).save_as_text_file(&uri).unwrap_err();
    assert!(again.to_string().contains("already exists"), "{again}");
    let broken = format!("file://{}/broken", dir.path().display());
    let failing = context.range(0..10, 3).map(|x| if x == 9 { panic!("no nine") } else { x });
    assert!(failing.save_as_text_file(&broken).is_err());
    assert_eq!(names(dir.path()), ["out"], "nothing is left of an action that failed");
}

#[test]
fn results_beyond_the_limit_fail_the_action_by_name() {
    let mut options = mammoth_rdd::Options::of_environment("small").unwrap();
    options.results_max = 10_000;
    let context = Context::with_options("local[2]", &options).unwrap();
    let error = context.range(0..100_000, 4).collect().unwrap_err().to_string();
    assert!(error.contains("collect") && error.contains("10000 bytes"), "{error}");
    assert_eq!(context.range(0..100, 4).collect().unwrap().len(), 100);
}

#[test]
fn little_memory_evicts_the_least_used_blocks_and_they_are_computed_again() {
    let mut options = mammoth_rdd::Options::of_environment("small").unwrap();
    options.memory = 4 << 20;
    let context = Context::with_options("local[1]", &options).unwrap();
    let computed = context.accumulator("computed", 0_u64);
    let make = |from: u64| {
        context
            .range(from..from + 40_000, 8)
            .map_with(computed.clone(), |computed, x| {
                computed.add(1);
                format!("record number {x}")
            })
            .cache()
    };
    let (first, second) = (make(0), make(100_000));
    for _ in 0..2 {
        assert_eq!(first.count().unwrap(), 40_000);
        assert_eq!(second.count().unwrap(), 40_000);
    }
    assert!(computed.value() > 80_000, "they cannot both have stayed");
    let gone = context.events().iter().any(|event| match &event.event {
        AppEvent::BlocksChanged { blocks, .. } => blocks.iter().any(|(_, _, bytes)| *bytes == 0),
        _ => false,
    });
    assert!(gone);
}

#[test]
fn accumulators_count_a_task_once() {
    let dir = tempfile::tempdir().unwrap();
    let marker = dir.path().join("tried").to_string_lossy().into_owned();
    let context = context(1);
    let seen = context.accumulator("seen", 0_u64);
    let flaky = context.range(0..100, 2).map_with((marker, seen.clone()), |(marker, seen), x| {
        seen.add(1);
        assert!(x != 70 || std::fs::File::create_new(marker).is_err(), "the first time it fails");
        x
    });
    assert_eq!(flaky.count().unwrap(), 100);
    assert_eq!(seen.value(), 100);
    seen.add(5);
    assert_eq!(seen.value(), 105);
    context.stop();
    let shown = context.events().into_iter().find_map(|event| match event.event {
        AppEvent::AppEnded { accumulators, .. } => accumulators.get("seen").cloned(),
        _ => None,
    });
    assert_eq!(shown.as_deref(), Some("105"));
}
