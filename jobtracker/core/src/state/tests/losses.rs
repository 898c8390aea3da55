//! Lost trackers, lost outputs, races about commits.

use crate::api::Report;
use crate::testing::{Bench, Tracker, attempt, failed, spec};
use mammoth_protocol::jobs::TaskKind::{Map, Reduce};
use mammoth_protocol::jobs::client::JobState;
use mammoth_protocol::jobs::tracker::{AttemptPhase, FetchFailure, Order};
use mammoth_protocol::jobs::{AttemptId, JobId};

fn complaint(job: JobId, reduce: u32, map: AttemptId) -> FetchFailure {
    FetchFailure { reduce: attempt(job, Reduce, reduce, 0), map, reason: "connection refused".to_owned() }
}

/// Two maps on one tracker, and their reduces on another.
fn shuffling(reduces: u32) -> (Bench, Tracker, Tracker, JobId) {
    let mut bench = Bench::new();
    let mut maps = Tracker::join(1, "a", 2, &mut bench);
    let mut wanted = spec(&["a", "a"], reduces);
    wanted.reduce_resources.memory_mib = 250;
    let job = bench.submit(wanted);
    maps.poll(&mut bench);
    let mut others = Tracker::new(2, "b", reduces);
    others.capacity.memory_mib = 250 * reduces;
    others.register(&mut bench);
    for map in 0..2 {
        maps.held.insert(attempt(job, Map, map, 0), crate::testing::succeeded());
    }
    others.poll(&mut bench);
    maps.poll(&mut bench);
    others.poll(&mut bench);
    others.poll(&mut bench);
    (bench, maps, others, job)
}

#[test]
fn a_lost_tracker_has_its_attempts_and_its_needed_outputs_made_again() {
    let (mut bench, _maps, mut others, job) = shuffling(4);
    assert_eq!(bench.status(job).maps.done, 2);
    for _ in 0..31 {
        bench.pass(1_000);
        others.poll(&mut bench);
    }
    let ends = bench.ends(job);
    assert!(ends.contains(&"m0.0 OBSOLETE".to_owned()) && ends.contains(&"m1.0 OBSOLETE".to_owned()), "{ends:?}");
    assert_eq!(bench.status(job).maps.done, 0);
}

#[test]
fn a_tracker_that_broke_off_gets_no_work_and_is_given_up_soon() {
    let mut bench = Bench::new();
    let mut tracker = Tracker::join(1, "a", 2, &mut bench);
    let job = bench.submit(spec(&["a"], 0));
    tracker.poll(&mut bench);
    let hung_up = Report::HungUp { tracker: tracker.id, epoch: tracker.epoch, seq: tracker.seq };
    bench.observe(hung_up.clone());
    let other = bench.submit(spec(&["a"], 0));
    assert_eq!(bench.status(other).maps.running, 0, "whoever broke off gets nothing");
    bench.pass(4_000);
    tracker.poll(&mut bench);
    assert_eq!(bench.status(other).maps.running, 1, "it is back");
    bench.observe(hung_up);
    bench.pass(10_000);
    assert_eq!(bench.ends(job), [""; 0], "that poll was answered long ago");
    bench.observe(Report::HungUp { tracker: tracker.id, epoch: tracker.epoch, seq: tracker.seq });
    bench.pass(6_000);
    assert_eq!(bench.ends(job), ["m0.0 KILLED"]);
}

#[test]
fn outputs_that_no_reduce_needs_are_not_made_again() {
    let mut bench = Bench::new();
    let mut tracker = Tracker::join(1, "a", 1, &mut bench);
    let job = bench.submit(spec(&["a"], 1));
    tracker.poll(&mut bench);
    tracker.finish(&mut bench);
    tracker.finish(&mut bench);
    bench.pass(31_000);
    assert_eq!(bench.ends(job), ["m0.0 SUCCEEDED", "r0.0 SUCCEEDED", "c0.0 KILLED"]);
    let only_map = bench.submit(spec(&["a"], 0));
    assert_eq!(bench.status(only_map).maps.pending, 1);
}

#[test]
fn with_few_reduces_the_second_complaint_of_one_is_enough() {
    let (mut bench, _maps, mut others, job) = shuffling(2);
    let map = attempt(job, Map, 1, 0);
    others.failures.push(complaint(job, 0, map));
    others.poll(&mut bench);
    assert_eq!(bench.status(job).maps.done, 2);
    others.failures.push(complaint(job, 0, map));
    others.say(&mut bench);
    assert_eq!(bench.status(job).maps.done, 2, "a repeated poll is not a second complaint");
    others.poll(&mut bench);
    assert_eq!(bench.ends(job)[2..], ["m1.0 OBSOLETE"]);
    assert_eq!(bench.status(job).maps.failed_attempts, 1, "it counts against the map");
}

#[test]
fn a_complaint_that_comes_with_two_polls_counts_once() {
    let (mut bench, _maps, mut others, job) = shuffling(2);
    let map = attempt(job, Map, 1, 0);
    others.failures.push(complaint(job, 0, map));
    for _ in 0..5 {
        // The tracker has more news before the poll that waits is answered.
        others.seq += 1;
        others.say(&mut bench);
    }
    assert_eq!(bench.status(job).maps.done, 2, "the same complaint as before");
    others.poll(&mut bench);
    others.failures.push(complaint(job, 0, map));
    others.poll(&mut bench);
    assert_eq!(bench.status(job).maps.done, 1, "another one");
}

#[test]
fn with_many_reduces_half_of_them_must_complain() {
    let (mut bench, _maps, mut others, job) = shuffling(6);
    let map = attempt(job, Map, 0, 0);
    for (reduce, still) in [(0, 2), (0, 2), (0, 2), (1, 2), (2, 1)] {
        others.failures.push(complaint(job, reduce, map));
        others.poll(&mut bench);
        assert_eq!(bench.status(job).maps.done, still, "after reduce {reduce}");
    }
}

#[test]
fn complaints_about_an_output_of_before_are_ignored() {
    let (mut bench, mut maps, mut others, job) = shuffling(2);
    let map = attempt(job, Map, 0, 0);
    others.failures = vec![complaint(job, 0, map), complaint(job, 0, map)];
    others.poll(&mut bench);
    assert_eq!(bench.status(job).maps.done, 1);
    others.failures = vec![complaint(job, 0, map), complaint(job, 0, map), complaint(job, 1, map)];
    others.poll(&mut bench);
    assert_eq!(bench.status(job).maps.failed_attempts, 1);
    maps.poll(&mut bench);
}

#[test]
fn an_output_that_can_never_be_fetched_fails_its_job_in_the_end() {
    let (mut bench, mut maps, mut others, job) = shuffling(2);
    for _ in 0..200 {
        for tracker in [&mut maps, &mut others] {
            let ready = tracker.held.iter_mut().filter(|(id, _)| id.task.kind != Reduce);
            for (_, state) in ready.filter(|(_, state)| **state == AttemptPhase::Running) {
                *state = crate::testing::succeeded();
            }
        }
        maps.poll(&mut bench);
        let reduces: Vec<AttemptId> = others.held.keys().filter(|id| id.task.kind == Reduce).copied().collect();
        for reduce in reduces {
            for number in 0..5 {
                let map = attempt(job, Map, 0, number);
                others.failures.push(FetchFailure { reduce, map, reason: "no route".to_owned() });
            }
        }
        others.poll(&mut bench);
        bench.pass(1_000);
    }
    assert_eq!(bench.state_of(job), JobState::Failed);
    assert!(bench.status(job).reason.unwrap().contains("no route"));
}

#[test]
fn only_one_attempt_may_commit_and_the_next_one_waits_for_the_end_of_the_first() {
    let mut bench = Bench::new();
    let mut tracker = Tracker::join(1, "a", 1, &mut bench);
    let job = bench.submit(spec(&["a"], 1));
    tracker.poll(&mut bench);
    tracker.finish(&mut bench);
    let first = tracker.only();
    assert_eq!(first, attempt(job, Reduce, 0, 0));
    tracker.held.insert(first, AttemptPhase::CommitPending);
    let orders = tracker.poll(&mut bench);
    assert!(orders.contains(&Order::GrantCommit { attempt: first }));
    bench.pass(31_000);
    let mut other = Tracker::join(2, "b", 1, &mut bench);
    let second = attempt(job, Map, 0, 1);
    assert_eq!(other.only(), second, "the output was lost with the tracker");
    other.finish(&mut bench);
    let second = attempt(job, Reduce, 0, 1);
    other.held.insert(second, AttemptPhase::CommitPending);
    let orders = other.poll(&mut bench);
    assert!(orders.contains(&Order::GrantCommit { attempt: second }), "the first is given up");
}

#[test]
fn leave_to_commit_is_given_again_to_an_attempt_that_asks_on() {
    let mut bench = Bench::new();
    let mut tracker = Tracker::join(1, "a", 1, &mut bench);
    bench.submit(spec(&[], 1));
    tracker.poll(&mut bench);
    let reduce = tracker.only();
    let grant = Order::GrantCommit { attempt: reduce };
    tracker.held.insert(reduce, AttemptPhase::CommitPending);
    assert!(tracker.poll(&mut bench).contains(&grant));
    // The answer was lost, and the next poll says less than there is.
    tracker.poll(&mut bench);
    bench.pass(1_000);
    tracker.held.insert(reduce, AttemptPhase::CommitPending);
    assert!(tracker.poll(&mut bench).contains(&grant), "it does not know");
}

#[test]
fn a_failed_task_goes_elsewhere_while_another_tracker_lives() {
    let mut bench = Bench::new();
    let mut bad = Tracker::join(1, "a", 1, &mut bench);
    let mut good = Tracker::join(2, "b", 1, &mut bench);
    let job = bench.submit(spec(&["a", "b"], 0));
    bad.poll(&mut bench);
    good.poll(&mut bench);
    let map = bad.only();
    bad.held.insert(map, failed("disk"));
    bad.poll(&mut bench);
    assert!(bad.runs().is_empty(), "the other tracker is full, but it lives");
    bench.pass(5_000);
    bad.poll(&mut bench);
    good.poll(&mut bench);
    assert!(bad.runs().is_empty());
    good.finish(&mut bench);
    assert_eq!(good.only(), attempt(job, Map, map.task.index, 1));
}

#[test]
fn a_failed_task_returns_after_a_while_and_at_once_if_there_is_nobody_else() {
    let mut bench = Bench::new();
    let mut only = Tracker::join(1, "a", 1, &mut bench);
    let job = bench.submit(spec(&["a"], 0));
    only.poll(&mut bench);
    only.held.insert(attempt(job, Map, 0, 0), failed("disk"));
    only.poll(&mut bench);
    assert_eq!(only.only(), attempt(job, Map, 0, 1));
    let mut full = Tracker::join(2, "b", 1, &mut bench);
    bench.submit(spec(&["b"], 0));
    full.poll(&mut bench);
    only.held.insert(attempt(job, Map, 0, 1), failed("disk"));
    only.poll(&mut bench);
    assert!(only.runs().is_empty());
    bench.pass(10_000);
    only.poll(&mut bench);
    assert_eq!(only.only(), attempt(job, Map, 0, 2));
}

#[test]
fn a_tracker_where_a_job_fails_too_often_is_avoided_by_that_job_alone() {
    let mut bench = Bench::new();
    let mut bad = Tracker::join(1, "a", 3, &mut bench);
    let job = bench.submit(spec(&["a", "a", "a", "a"], 0));
    bad.poll(&mut bench);
    let mut good = Tracker::join(2, "b", 1, &mut bench);
    for map in 0..3 {
        bad.held.insert(attempt(job, Map, map, 0), failed("disk"));
    }
    bad.poll(&mut bench);
    bad.poll(&mut bench);
    assert!(bad.runs().is_empty());
    for _ in 0..4 {
        good.poll(&mut bench);
        good.finish(&mut bench);
    }
    let other = bench.submit(spec(&["a"], 0));
    bad.poll(&mut bench);
    assert_eq!(bad.only(), attempt(other, Map, 0, 0));
    assert_eq!(bench.status(job).maps.done, 4);
}

#[test]
fn a_tracker_that_a_job_avoids_is_not_kept_for_it() {
    let mut bench = Bench::new();
    let mut bad = Tracker::join(1, "a", 3, &mut bench);
    let job = bench.submit(spec(&["a", "a", "a", "a"], 0));
    bad.poll(&mut bench);
    for map in 0..3 {
        bad.held.insert(attempt(job, Map, map, 0), failed("disk"));
    }
    let mut good = Tracker::join(2, "b", 1, &mut bench);
    bad.poll(&mut bench);
    bad.poll(&mut bench);
    good.poll(&mut bench);
    assert!(bad.runs().is_empty() && bench.status(job).maps.pending == 3, "they wait for the good one");
    let other = bench.submit(spec(&["a"], 0));
    bad.poll(&mut bench);
    assert_eq!(bad.only(), attempt(other, Map, 0, 0), "the job that waits never takes it");
}
