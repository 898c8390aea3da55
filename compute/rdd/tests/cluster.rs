//! `local-cluster`: executors as processes of this very program, and what happens when they die.
//!
//! This is no ordinary test program, as its main function must be that of an executor, too.

#![expect(clippy::unwrap_used, reason = "these are tests, though the compiler cannot tell")]

use mammoth_platform::{Deadline, SystemClock};
use mammoth_protocol::jobs::event::AppEvent;
use mammoth_rdd::{AppResult, Context, apps};
use std::process::ExitCode;
use std::time::Duration;

fn none(_context: &Context, _args: &[String]) -> AppResult {
    Ok(())
}

type Test = (&'static str, fn());

const TESTS: &[Test] = &[
    ("narrow_operations_run_in_processes", narrow_operations_run_in_processes),
    ("a_dead_executor_is_replaced_and_its_tasks_are_run_again", a_dead_executor_is_replaced_and_its_tasks_are_run_again),
    ("a_task_that_kills_its_executors_fails_by_name", a_task_that_kills_its_executors_fails_by_name),
    ("cached_blocks_of_a_dead_executor_alone_are_computed_again", cached_blocks_of_a_dead_executor_alone_are_computed_again),
    ("no_process_remains", no_process_remains),
];

fn main() -> ExitCode {
    if std::env::var_os("MAMMOTH_ROLE").is_some() {
        return mammoth_rdd::main(apps![none]);
    }
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    if std::env::args().any(|arg| arg == "--list") {
        TESTS.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let mut failed = 0;
    for (name, test) in TESTS.iter().filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|part| name.contains(part))) {
        let ended = std::panic::catch_unwind(test);
        println!("test {name} ... {}", if ended.is_ok() { "ok" } else { "FAILED" });
        failed += u8::from(ended.is_err());
    }
    ExitCode::from(failed)
}

fn pids(context: &Context) -> Vec<u32> {
    let pid = |event: AppEvent| match event {
        AppEvent::ExecutorAdded { pid, .. } => Some(pid),
        _ => None,
    };
    context.events().into_iter().filter_map(|event| pid(event.event)).collect()
}

/// So that tasks are spread over all of them.
fn wait_for_executors(context: &Context, count: usize) {
    let deadline = Deadline::after(&SystemClock, Duration::from_secs(60));
    while pids(context).len() < count {
        assert!(!deadline.is_over(&SystemClock), "the executors do not come up");
        std::thread::sleep(Duration::from_millis(5)); // poll
    }
}

fn lost(context: &Context) -> usize {
    context.events().iter().filter(|event| matches!(event.event, AppEvent::ExecutorLost { .. })).count()
}

fn narrow_operations_run_in_processes() {
    let context = Context::local("local-cluster[2,1,256]").unwrap();
    let table = context.broadcast((0..1000_u64).collect::<Vec<_>>()).unwrap();
    let squares = context.range(0..1000, 8).map_with(table, |table, x| table[x as usize] * x);
    assert_eq!(squares.collect().unwrap(), (0..1000).map(|x| x * x).collect::<Vec<u64>>());
    let here = std::process::id();
    let pids = context.range(0..8, 8).map(|_| std::process::id()).collect().unwrap();
    assert!(pids.iter().all(|pid| *pid != here));
    let big = context.range(0..4, 4).map(|_| vec![7_u8; 3 << 20]).collect().unwrap();
    assert_eq!(big.iter().map(Vec::len).sum::<usize>(), 12 << 20, "results of over a megabyte");
}

fn a_dead_executor_is_replaced_and_its_tasks_are_run_again() {
    let dir = tempfile::tempdir().unwrap();
    let marker = dir.path().join("died").to_string_lossy().into_owned();
    let context = Context::local("local-cluster[2,2,256]").unwrap();
    let numbers = context.range(0..16, 8).map_with(marker, |marker, x| {
        if x == 5 && std::fs::File::create_new(marker).is_ok() {
            std::process::abort();
        }
        x
    });
    assert_eq!(numbers.collect().unwrap(), (0..16).collect::<Vec<_>>());
    assert_eq!(lost(&context), 1);
    assert_eq!(context.range(0..100, 10).count().unwrap(), 100);
}

fn a_task_that_kills_its_executors_fails_by_name() {
    let context = Context::local("local-cluster[2,1,256]").unwrap();
    let poisoned = context.range(0..8, 8).map(|x| if x == 3 { std::process::abort() } else { x });
    let error = poisoned.collect().unwrap_err().to_string();
    assert!(error.contains("partition 3 failed 4 time(s)") && error.contains("signal: 6"), "{error}");
    assert_eq!(context.range(0..10, 3).count().unwrap(), 10, "the application lives on");
}

fn cached_blocks_of_a_dead_executor_alone_are_computed_again() {
    let context = Context::local("local-cluster[2,1,256]").unwrap();
    wait_for_executors(&context, 2);
    let computed = context.accumulator("computed", 0_u64);
    let cached = context
        .range(0..80, 8)
        .map_with(computed.clone(), |computed, x| {
            computed.add(1);
            x
        })
        .cache();
    assert_eq!(cached.count().unwrap(), 80);
    assert_eq!(cached.count().unwrap(), 80);
    assert_eq!(computed.value(), 80, "the second time nothing is computed");
    let victim = pids(&context)[0];
    assert!(std::process::Command::new("kill").args(["-9", &victim.to_string()]).status().unwrap().success());
    assert_eq!(cached.count().unwrap(), 80);
    let again = computed.value() - 80;
    assert!(again < 80, "{again} of 80 records were computed again");
}

fn no_process_remains() {
    let context = Context::local("local-cluster[3,1,256]").unwrap();
    assert_eq!(context.range(0..30, 3).count().unwrap(), 30);
    let pids = pids(&context);
    assert!(!pids.is_empty());
    context.stop();
    for pid in pids {
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "process {pid} remains");
    }
}
