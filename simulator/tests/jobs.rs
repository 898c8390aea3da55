//! The job side: many seeds, every planted mistake, and that a seed means the same each time.

use mammoth_simulator::coverage::Coverage;
use mammoth_simulator::jobs::{Bug, run};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Events with faults in each run.
const EVENTS: u64 = 2_000;
/// Seeds of an ordinary test run.
const SEEDS: u64 = 200;
/// Runs at a time.
const THREADS: usize = 2;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// More seeds on request: a soak.
fn seeds() -> u64 {
    number("MAMMOTH_SIM_SEEDS").unwrap_or(SEEDS)
}

fn first_seed() -> u64 {
    number("MAMMOTH_SIM_FIRST").unwrap_or(0)
}

fn events() -> u64 {
    number("MAMMOTH_SIM_EVENTS").unwrap_or(EVENTS)
}

/// The mistake in `MAMMOTH_SIM_BUG`, to see what it does.
fn planted() -> Option<Bug> {
    let name = std::env::var("MAMMOTH_SIM_BUG").ok()?;
    Bug::ALL.into_iter().find(|bug| format!("{bug:?}") == name)
}

#[test]
fn a_seed_gives_the_same_trace_twice() {
    for seed in 0..5 {
        assert_eq!(run(seed, EVENTS, None).trace, run(seed, EVENTS, None).trace, "seed {seed}");
    }
    assert_ne!(run(1, EVENTS, None).trace, run(2, EVENTS, None).trace);
}

/// Runs seeds; answers what was exercised and what went wrong, by seed. Stops early after `enough` violations.
fn run_all(seeds: Range<u64>, bug: Option<Bug>, enough: usize) -> (Coverage, BTreeMap<u64, String>) {
    let next = AtomicU64::new(seeds.start);
    let found = Mutex::new((Coverage::default(), BTreeMap::new()));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end || found.lock().expect("no panic meanwhile").1.len() >= enough {
                return;
            }
            let verdict = std::panic::catch_unwind(|| run(seed, events(), bug));
            let mut found = found.lock().expect("no panic meanwhile");
            match verdict {
                Ok(verdict) => {
                    found.0.add(&verdict.coverage);
                    found.1.extend(verdict.violation.map(|violation| (seed, violation)));
                }
                Err(_) => drop(found.1.insert(seed, "a panic".to_owned())),
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(work);
        }
    });
    found.into_inner().expect("no panic meanwhile")
}

#[test]
fn every_seed_keeps_every_promise() {
    let (coverage, violations) = run_all(first_seed()..first_seed() + seeds(), planted(), 10);
    for (name, count) in coverage.iter() {
        println!("{count:>8}  {name}");
    }
    let list: String = violations.iter().map(|(seed, what)| format!("\nseed {seed}: {what}")).collect();
    assert!(list.is_empty(), "{list}\nagain: MAMMOTH_SIM_SEED=… cargo test -p mammoth-simulator --test jobs one_seed");
    for name in MUST_HAPPEN {
        assert!(coverage.count(name) > 0, "in {} seeds there was never: {name}", seeds());
    }
}

/// Faults, commands, orders and refusals without which the seeds prove nothing.
const MUST_HAPPEN: &[&str] = &[
    "Abort FAILED",
    "Abort KILLED",
    "Abort SUCCEEDED",
    "Commit FAILED",
    "Commit KILLED",
    "Commit SUCCEEDED",
    "Map FAILED",
    "Map KILLED",
    "Map OBSOLETE",
    "Map SUCCEEDED",
    "Reduce FAILED",
    "Reduce KILLED",
    "Reduce SUCCEEDED",
    "application final",
    "attempt ended by order",
    "begin abort",
    "begin commit",
    "checkpoint ended",
    "client: failed",
    "client: killed",
    "client: succeeded",
    "driver died",
    "driver told that its application was ended",
    "end application",
    "end job",
    "executor ended by itself",
    "executor ended by order",
    "executor released",
    "fetch failed",
    "job that fits nowhere failed",
    "job tidied up",
    "jobtracker died with decisions unsynced",
    "jobtracker hung",
    "jobtracker killed",
    "jobtracker lost power",
    "kill application",
    "kill job",
    "late answer dropped",
    "new application",
    "new job",
    "old registration refused",
    "order: drop application",
    "order: drop job",
    "order: forget",
    "order: forget executor",
    "order: grant commit",
    "order: kill",
    "order: kill executor",
    "order: launch",
    "order: launch executor",
    "order: outputs",
    "output unreadable",
    "poll repeated",
    "reduce gave way to a map",
    "refused: other specification",
    "refused: unknown application",
    "refused: unknown job",
    "registers again",
    "request doubled",
    "request lost",
    "request to a jobtracker that is down",
    "response lost",
    "specification read again",
    "start",
    "started from a checkpoint",
    "submit",
    "tracker crashed",
    "tracker cut off",
    "tracker ended its attempts",
    "tracker hung",
    "tracker lost its folder",
    "waiting poll over",
    "waiting poll woken",
    "wall clock jumped",
];

#[test]
fn every_planted_mistake_is_noticed() {
    let enough = number("MAMMOTH_SIM_ENOUGH").unwrap_or(1);
    let mut unnoticed = Vec::new();
    for bug in Bug::ALL {
        let (_, violations) = run_all(0..SEEDS, Some(bug), enough as usize);
        match violations.first_key_value() {
            Some((seed, what)) => {
                println!("{bug:?}: noticed {} times, first with seed {seed}: {what}", violations.len());
            }
            None => unnoticed.push(bug),
        }
    }
    assert!(unnoticed.is_empty(), "not noticed in {SEEDS} seeds: {unnoticed:?}");
}

/// Runs the seed in `MAMMOTH_SIM_SEED`, with the mistake in `MAMMOTH_SIM_BUG` if there is one; with `MAMMOTH_SIM_TRACE=1` it
/// prints every event.
#[test]
fn one_seed() {
    let Some(seed) = number("MAMMOTH_SIM_SEED") else { return };
    let verdict = run(seed, events(), planted());
    assert_eq!(verdict.violation, None, "seed {seed}");
}
