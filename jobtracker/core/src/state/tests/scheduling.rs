//! Who gets what.

use crate::testing::{Bench, CORE, Tracker, attempt, spec};
use mammoth_protocol::jobs::TaskKind::{Map, Reduce};
use mammoth_protocol::jobs::client::JobState;
use mammoth_protocol::jobs::counters::names;
use mammoth_protocol::jobs::{Resources, TaskKind};

#[test]
fn maps_go_near_their_data_first() {
    let mut bench = Bench::new();
    let mut a = Tracker::join(1, "a", 2, &mut bench);
    let mut b = Tracker::join(2, "b", 2, &mut bench);
    let job = bench.submit(spec(&["b", "b", "a", "c"], 0));
    a.poll(&mut bench);
    b.poll(&mut bench);
    assert_eq!(b.runs(), ["m0.0", "m1.0"]);
    assert_eq!(a.runs(), ["m2.0", "m3.0"]);
    let counters = bench.status(job).counters;
    assert_eq!(counters.get(names::JOB, names::DATA_LOCAL_MAPS), 3);
    assert_eq!(counters.get(names::JOB, names::OTHER_LOCAL_MAPS), 1);
}

#[test]
fn the_first_job_is_served_first_and_the_next_takes_what_is_left() {
    let mut bench = Bench::new();
    let first = bench.submit(spec(&["x", "x", "x"], 0));
    let second = bench.submit(spec(&["x", "x"], 0));
    let mut tracker = Tracker::join(1, "a", 4, &mut bench);
    tracker.poll(&mut bench);
    assert_eq!((bench.status(first).maps.running, bench.status(second).maps.running), (3, 1));
}

#[test]
fn reduces_start_late_and_never_before_waiting_maps() {
    let mut bench = Bench::new();
    let mut wanted = spec(&["a", "a", "a"], 2);
    wanted.slowstart_percent = 50;
    let job = bench.submit(wanted);
    let mut tracker = Tracker::join(1, "a", 4, &mut bench);
    tracker.poll(&mut bench);
    assert_eq!(tracker.runs(), ["m0.0", "m1.0", "m2.0"]);
    tracker.held.insert(attempt(job, Map, 0, 0), crate::testing::succeeded());
    tracker.poll(&mut bench);
    assert_eq!(tracker.runs().len(), 2, "a third is not half");
    tracker.held.insert(attempt(job, Map, 1, 0), crate::testing::succeeded());
    tracker.poll(&mut bench);
    assert_eq!(tracker.runs(), ["m2.0", "r0.0", "r1.0"]);
}

#[test]
fn a_tracker_is_kept_for_a_large_task_that_small_ones_would_starve() {
    let mut bench = Bench::new();
    let mut tracker = Tracker::join(1, "a", 2, &mut bench);
    bench.submit(spec(&["a", "a"], 0));
    tracker.poll(&mut bench);
    let mut large = spec(&["a"], 0);
    large.map_resources = Resources { cores: 2, memory_mib: 200 };
    let large = bench.submit(large);
    let small = bench.submit(spec(&["a", "a", "a"], 0));
    let first = *tracker.held.keys().next().unwrap();
    tracker.held.insert(first, crate::testing::succeeded());
    tracker.poll(&mut bench);
    assert_eq!(bench.status(small).maps.running, 0, "the room is kept");
    tracker.finish(&mut bench);
    assert_eq!(tracker.only().task.kind, TaskKind::Commit, "the end of the first job comes first");
    tracker.finish(&mut bench);
    assert_eq!(bench.status(large).maps.running, 1);
}

#[test]
fn a_map_that_reduces_starve_takes_the_newest_ones_room() {
    let mut bench = Bench::new();
    let mut maps = Tracker::join(1, "a", 1, &mut bench);
    let job = bench.submit(spec(&["a"], 2));
    maps.poll(&mut bench);
    maps.finish(&mut bench);
    let mut reduces = Tracker::join(2, "b", 1, &mut bench);
    assert_eq!(maps.runs().len() + reduces.runs().len(), 2, "reduces hold everything");
    for _ in 0..35 {
        bench.pass(1_000);
        reduces.poll(&mut bench);
    }
    assert_eq!(bench.status(job).maps.pending, 0, "the output was lost, and a reduce gave way to the map");
    reduces.poll(&mut bench);
    assert_eq!(reduces.only().task.kind, TaskKind::Map);
    assert!(bench.ends(job).iter().any(|end| end.starts_with('r') && end.ends_with("KILLED")));
    for _ in 0..6 {
        reduces.finish(&mut bench);
    }
    assert_eq!(bench.state_of(job), JobState::Succeeded);
}

#[test]
fn a_job_that_fits_no_tracker_fails_with_that_reason() {
    let mut bench = Bench::new();
    let mut wanted = spec(&["a"], 1);
    wanted.reduce_resources = Resources { cores: 8, memory_mib: 100 };
    let job = bench.submit(wanted);
    bench.pass(20_000);
    assert_eq!(bench.state_of(job), JobState::Running, "no tracker, no verdict");
    let mut tracker = Tracker::join(1, "a", 4, &mut bench);
    for _ in 0..8 {
        bench.pass(1_000);
        tracker.finish(&mut bench);
    }
    assert_eq!(bench.state_of(job), JobState::Failed);
    let reason = bench.status(job).reason.unwrap();
    assert_eq!(reason, "a reduce takes 8 cores, 100 MiB, and no tasktracker has as much: the most is 4 cores, 400 MiB");
}

#[test]
fn memory_is_granted_as_cores_are() {
    let mut bench = Bench::new();
    let mut tracker = Tracker::join(1, "a", 4, &mut bench);
    let mut wanted = spec(&["a", "a", "a"], 0);
    wanted.map_resources = Resources { cores: 1, memory_mib: 150 };
    let job = bench.submit(wanted);
    tracker.poll(&mut bench);
    assert_eq!(bench.status(job).maps.running, 2);
    let small = bench.submit(spec(&["a"], 0));
    assert_eq!(bench.status(small).maps.running, 0, "what is left is kept for the third");
    assert_eq!(bench.state.cluster().used, Resources { cores: 2, memory_mib: 300 });
    assert_eq!(bench.state.cluster().capacity, CORE.plus(CORE).plus(CORE).plus(CORE));
}

#[test]
fn reduces_of_a_job_are_spread() {
    let mut bench = Bench::new();
    let mut trackers: Vec<Tracker> = (0..3).map(|n| Tracker::join(n, &format!("h{n}"), 2, &mut bench)).collect();
    let job = bench.submit(spec(&[], 3));
    for tracker in &mut trackers {
        tracker.poll(&mut bench);
        assert_eq!(tracker.only().task.kind, Reduce);
    }
    assert_eq!(bench.status(job).reduces.running, 3);
}

#[test]
fn after_a_restart_the_largest_tracker_has_time_to_come_back() {
    let mut bench = Bench::new();
    let mut wanted = spec(&["a"], 0);
    wanted.map_resources = Resources { cores: 4, memory_mib: 100 };
    let job = bench.submit(wanted);
    bench.restart();
    let again = bench.specs[&job].clone();
    bench.observe(crate::api::Report::Spec { job, spec: Ok(again) });
    let mut small = Tracker::join(1, "a", 1, &mut bench);
    for _ in 0..20 {
        bench.pass(1_000);
        small.poll(&mut bench);
    }
    assert_eq!(bench.state_of(job), JobState::Running);
    let mut large = Tracker::join(2, "b", 4, &mut bench);
    large.poll(&mut bench);
    assert_eq!(bench.status(job).maps.running, 1);
}

#[test]
fn a_jobtracker_that_stood_still_blames_nobody() {
    let mut bench = Bench::new();
    let mut tracker = Tracker::join(1, "a", 1, &mut bench);
    let app = bench.app();
    let job = bench.submit(spec(&["a"], 0));
    tracker.poll(&mut bench);
    bench.now.monotonic_ms += 600_000;
    bench.tick();
    tracker.finish(&mut bench);
    assert_eq!(bench.ends(job)[0], "m0.0 SUCCEEDED");
    assert_eq!(bench.state.app_status(app).unwrap().state, "RUNNING");
}
