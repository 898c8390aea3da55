//! The scheduler of the in-memory mode: many seeds, every planted mistake, and that a seed means the same each time.

use mammoth_simulator::coverage::Coverage;
use mammoth_simulator::engine::{Bug, run};
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
    assert_ne!(run(1, EVENTS, None).trace, run(3, EVENTS, None).trace);
}

/// Runs seeds, a few at a time; answers what was exercised and what went wrong, by seed. Stops early after a handful of
/// violations.
fn run_all(seeds: Range<u64>, bug: Option<Bug>, enough: usize) -> (Coverage, BTreeMap<u64, String>) {
    let next = AtomicU64::new(seeds.start);
    let found = Mutex::new((Coverage::default(), BTreeMap::new()));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end || found.lock().expect("no panic meanwhile").1.len() >= enough {
                return;
            }
            let verdict = std::panic::catch_unwind(|| run(seed, EVENTS, bug));
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
    let first = number("MAMMOTH_SIM_FIRST").unwrap_or(0);
    let (coverage, violations) = run_all(first..first + seeds(), planted(), 10);
    for (name, count) in coverage.iter() {
        println!("{count:>8}  {name}");
    }
    let list: String = violations.iter().map(|(seed, what)| format!("\nseed {seed}: {what}")).collect();
    assert!(
        list.is_empty(),
        "{list}\nagain: MAMMOTH_SIM_SEED=… cargo test -p mammoth-simulator --test engine one_seed"
    );
    for name in MUST_HAPPEN {
        assert!(coverage.count(name) > 0, "in {} seeds there was never: {name}", seeds());
    }
}

/// Faults, commands and endings without which the seeds prove nothing.
const MUST_HAPPEN: &[&str] = &[
    "a block was not there after all",
    "all read at last",
    "block cached",
    "block evicted",
    "commit granted",
    "commit not granted",
    "dataset dropped",
    "dataset released",
    "executor hung",
    "executor killed",
    "executor lost",
    "executor started",
    "executor taken away",
    "fetch failed",
    "fetch failed for nothing",
    "job cancelled",
    "job done",
    "job failed: fetch",
    "job failed: indeterminate",
    "job failed: task",
    "job submitted",
    "launched anywhere",
    "launched near a block",
    "launched near its data",
    "lost output computed again",
    "old outputs dropped",
    "output accepted",
    "output vanished",
    "outputs lost with their place",
    "place lost",
    "place lost without a word",
    "poison killed an executor",
    "report doubled",
    "report late",
    "report of what is over",
    "result accepted",
    "settled: cancelled",
    "settled: executor lost",
    "settled: failed",
    "settled: fetch failed",
    "settled: redundant",
    "settled: success",
    "shuffle dropped",
    "shuffle released",
    "silent executor replaced",
    "stage completed",
    "stage skipped",
    "stage submitted",
    "stage submitted again",
    "stuck executor replaced",
    "task failed",
    "task told to stop",
];

#[test]
fn every_planted_mistake_is_noticed() {
    // How many seeds notice one is worth knowing when a mistake is planted: a single one may not be left after the next change.
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
    let verdict = run(seed, EVENTS, planted());
    assert_eq!(verdict.violation, None, "seed {seed}");
}
