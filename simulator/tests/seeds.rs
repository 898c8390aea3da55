//! Many seeds, every planted mistake, and that a seed means the same each time.

use mammoth_simulator::coverage::Coverage;
use mammoth_simulator::{Bug, run};

/// Events with faults in each run.
const EVENTS: u64 = 2_000;
/// Seeds of an ordinary test run.
const SEEDS: u64 = 200;

fn seeds() -> u64 {
    std::env::var("MAMMOTH_SIM_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SEEDS)
}

#[test]
fn a_seed_gives_the_same_trace_twice() {
    for seed in 0..5 {
        assert_eq!(run(seed, EVENTS, None).trace, run(seed, EVENTS, None).trace, "seed {seed}");
    }
    assert_ne!(run(1, EVENTS, None).trace, run(2, EVENTS, None).trace);
}

#[test]
fn every_seed_keeps_every_promise() {
    let mut coverage = Coverage::default();
    for seed in 0..seeds() {
        let verdict = run(seed, EVENTS, None);
        coverage.add(&verdict.coverage);
        if let Some(violation) = verdict.violation {
            panic!("seed {seed}: {violation}\nagain: MAMMOTH_SIM_SEED={seed} cargo test -p mammoth-simulator one_seed");
        }
    }
    for (name, count) in coverage.iter() {
        println!("{count:>8}  {name}");
    }
    for name in MUST_HAPPEN {
        assert!(coverage.count(name) > 0, "in {} seeds there was never: {name}", seeds());
    }
}

/// Faults, commands and refusals without which the seeds prove nothing.
const MUST_HAPPEN: &[&str] = &[
    "append",
    "bad replicas dropped",
    "bit flipped",
    "block recovery",
    "call repeated",
    "checkpoint ended",
    "client crashed",
    "complete must wait",
    "copy failed",
    "copy ordered",
    "corruption found",
    "create",
    "datanode crashed",
    "datanode returned",
    "delete",
    "deletion ordered",
    "disk lost",
    "file closed",
    "mkdir",
    "namenode killed",
    "namenode lost power",
    "overwrite",
    "pipeline broke",
    "pipeline set-up failed",
    "read",
    "refused for now",
    "registered again",
    "rename",
    "request doubled",
    "request lost",
    "response lost",
    "set replication",
    "started from a checkpoint",
    "torn record dropped",
    "writer gave up",
];

#[test]
fn every_planted_mistake_is_noticed() {
    let mut unnoticed = Vec::new();
    for bug in Bug::ALL {
        match (0..SEEDS).find(|seed| run(*seed, EVENTS, Some(bug)).violation.is_some()) {
            Some(seed) => println!("{bug:?}: noticed with seed {seed}"),
            None => unnoticed.push(bug),
        }
    }
    assert!(unnoticed.is_empty(), "not noticed in {SEEDS} seeds: {unnoticed:?}");
}

/// Runs the seed in `MAMMOTH_SIM_SEED`; with `MAMMOTH_SIM_TRACE=1` it prints every event.
#[test]
fn one_seed() {
    let Some(seed) = std::env::var("MAMMOTH_SIM_SEED").ok().and_then(|text| text.parse().ok()) else { return };
    let verdict = run(seed, EVENTS, None);
    assert_eq!(verdict.violation, None, "seed {seed}");
}
