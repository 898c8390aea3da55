//! `local-cluster`: executors as processes of this very program, and what happens when they die.
//!
//! This is no ordinary test program, as its main function must be that of an executor, too.

#![expect(clippy::unwrap_used, reason = "these are tests, though the compiler cannot tell")]

use mammoth_platform::{Deadline, SystemClock};
use mammoth_protocol::jobs::event::{AppEvent, TaskOutcome};
use mammoth_rdd::{AppResult, Context, Options, apps};
use std::process::ExitCode;
use std::time::Duration;

fn none(_context: &Context, _args: &[String]) -> AppResult {
    Ok(())
}

type Test = (&'static str, fn());

const TESTS: &[Test] = &[
    ("narrow_operations_run_in_processes", narrow_operations_run_in_processes),
    (
        "a_dead_executor_is_replaced_and_its_tasks_are_run_again",
        a_dead_executor_is_replaced_and_its_tasks_are_run_again,
    ),
    ("a_task_that_kills_its_executors_fails_by_name", a_task_that_kills_its_executors_fails_by_name),
    (
        "cached_blocks_of_a_dead_executor_alone_are_computed_again",
        cached_blocks_of_a_dead_executor_alone_are_computed_again,
    ),
    ("a_task_that_does_not_stop_costs_its_executor", a_task_that_does_not_stop_costs_its_executor),
    ("a_frozen_executor_is_replaced", a_frozen_executor_is_replaced),
    ("lost_outputs_alone_are_computed_again", lost_outputs_alone_are_computed_again),
    ("executors_end_when_their_driver_is_killed", executors_end_when_their_driver_is_killed),
    ("no_process_remains", no_process_remains),
];

fn main() -> ExitCode {
    if std::env::var_os("MAMMOTH_ROLE").is_some() {
        return mammoth_rdd::main(apps![none]);
    }
    if std::env::var_os(VICTIM).is_some() {
        be_killed();
        return ExitCode::SUCCESS;
    }
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    if std::env::args().any(|arg| arg == "--list") {
        TESTS.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let mut failed = 0;
    for (name, test) in
        TESTS.iter().filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|part| name.contains(part)))
    {
        let ended = std::panic::catch_unwind(test);
        println!("test {name} ... {}", if ended.is_ok() { "ok" } else { "FAILED" });
        failed += u8::from(ended.is_err());
    }
    ExitCode::from(failed)
}

/// Variable of a process that is started to be killed.
const VICTIM: &str = "TEST_VICTIM";

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
    kill("-9", victim);
    assert_eq!(cached.count().unwrap(), 80);
    let again = computed.value() - 80;
    assert!(again < 80, "{again} of 80 records were computed again");
}

/// `local-cluster` with a scheduler that loses patience soon.
fn impatient(master: &str) -> Context {
    let mut options = Options::of_environment("impatient").unwrap();
    options.scheduler.cancel_grace_ms = 500;
    options.scheduler.executor_silent_ms = 3000;
    Context::with_options(master, &options).unwrap()
}

fn a_task_that_does_not_stop_costs_its_executor() {
    let context = impatient("local-cluster[2,1,256]");
    wait_for_executors(&context, 2);
    let stuck = context.range(0..2, 2).map(|x| {
        if x == 0 {
            loop {
                std::thread::park();
            }
        }
        assert!(x == 0, "one fails");
    });
    assert!(stuck.count().unwrap_err().to_string().contains("one fails"));
    let deadline = Deadline::after(&SystemClock, Duration::from_secs(60));
    while lost(&context) == 0 {
        assert!(!deadline.is_over(&SystemClock), "the executor with the stuck task stays");
        std::thread::sleep(Duration::from_millis(20)); // poll
    }
    assert_eq!(context.range(0..10, 4).count().unwrap(), 10);
}

fn kill(signal: &str, pid: u32) {
    assert!(std::process::Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success());
}

fn a_frozen_executor_is_replaced() {
    let context = impatient("local-cluster[2,1,256]");
    wait_for_executors(&context, 2);
    let frozen = pids(&context)[0];
    kill("-STOP", frozen);
    let sum =
        context.range(0..1000, 8).map(|x| (x % 7, x)).reduce_by_key(|a, b| a + b, 3).values().reduce(|a, b| a + b);
    assert_eq!(sum.unwrap(), 499_500);
    assert_eq!(lost(&context), 1);
    assert!(!is_running(frozen));
}

/// Tasks of a stage that wrote shuffle outputs.
fn maps_done(context: &Context) -> usize {
    let is_map = |event: &AppEvent| match event {
        AppEvent::TaskEnded { metrics, outcome: TaskOutcome::Success, .. } => metrics.shuffle_written > 0,
        _ => false,
    };
    context.events().iter().filter(|event| is_map(&event.event)).count()
}

/// The files of shuffle outputs of this process's application.
fn shuffle_files() -> Vec<std::path::PathBuf> {
    let ours = format!("mammoth-rdd-{}-", std::process::id());
    let folders = std::fs::read_dir(std::env::temp_dir()).unwrap().flatten();
    let folders = folders.filter(|entry| entry.file_name().to_string_lossy().starts_with(&ours));
    let files =
        folders.flat_map(|folder| std::fs::read_dir(folder.path().join("shuffle")).into_iter().flatten().flatten());
    let mut files: Vec<_> =
        files.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "data")).collect();
    files.sort();
    files
}

fn lost_outputs_alone_are_computed_again() {
    let context = Context::local("local-cluster[2,1,256]").unwrap();
    let pairs = context.range(0..10_000, 6).map(|x| (x % 1000, x)).reduce_by_key(|a, b| a + b, 3);
    let expected = pairs.collect().unwrap();
    assert_eq!(maps_done(&context), 6);
    let files = shuffle_files();
    assert_eq!(files.len(), 6);
    std::fs::remove_file(&files[2]).unwrap();
    assert_eq!(pairs.collect().unwrap(), expected);
    assert_eq!(maps_done(&context), 7, "one was lost, one is made again");
    let files = shuffle_files();
    let mut bytes = std::fs::read(&files[4]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&files[4], bytes).unwrap();
    assert_eq!(pairs.collect().unwrap(), expected);
    assert_eq!(maps_done(&context), 8, "a damaged one is noticed and made again");
    let events = context.events();
    let fetches = events
        .iter()
        .filter(|event| matches!(event.event, AppEvent::TaskEnded { outcome: TaskOutcome::FetchFailed { .. }, .. }));
    assert!(fetches.count() >= 2);
}

fn is_running(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // Behind the name in brackets: its state. Nobody may have waited for an orphan's end.
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// What the process does that is started to be killed: says who its executors are, and works for ever.
fn be_killed() {
    let context = Context::local("local-cluster[2,1,256]").unwrap();
    wait_for_executors(&context, 2);
    println!("{}", pids(&context).iter().map(u32::to_string).collect::<Vec<_>>().join(" "));
    let _never = context
        .range(0..2, 2)
        .map(|_| {
            loop {
                std::thread::park()
            }
        })
        .map(|(): ()| ())
        .count();
}

fn executors_end_when_their_driver_is_killed() {
    use std::io::{BufRead, BufReader};
    let own = std::env::current_exe().unwrap();
    let mut victim =
        std::process::Command::new(own).env(VICTIM, "1").stdout(std::process::Stdio::piped()).spawn().unwrap();
    let victim_pid = victim.id();
    let mut line = String::new();
    BufReader::new(victim.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let executors: Vec<u32> = line.split_whitespace().map(|pid| pid.parse().unwrap()).collect();
    assert_eq!(executors.len(), 2);
    assert!(executors.iter().all(|pid| is_running(*pid)));
    let folders = || {
        let ours = format!("mammoth-rdd-{}-", victim_pid);
        let found = std::fs::read_dir(std::env::temp_dir()).unwrap().flatten();
        found.filter(|entry| entry.file_name().to_string_lossy().starts_with(&ours)).count()
    };
    assert_eq!(folders(), 1);
    victim.kill().unwrap();
    victim.wait().unwrap();
    let deadline = Deadline::after(&SystemClock, Duration::from_secs(30));
    while executors.iter().any(|pid| is_running(*pid)) {
        assert!(!deadline.is_over(&SystemClock), "executors outlive their driver");
        std::thread::sleep(Duration::from_millis(5)); // poll
    }
    assert_eq!(folders(), 0, "they take its folder along");
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
