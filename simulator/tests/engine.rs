//! The scheduler of the in-memory mode: many seeds, every planted mistake, and that a seed means the same each time.

mod harness;

use harness::{Suite, tests_of};
use mammoth_simulator::engine::{Bug, run};

const SUITE: Suite<Bug> = Suite { name: "engine", run, events: 2_000, bugs: &Bug::ALL, must_happen: MUST_HAPPEN };

tests_of!(SUITE);

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
