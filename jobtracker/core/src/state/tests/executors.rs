//! The jobtracker as the cluster manager of the in-memory mode.

use crate::api::{Answer, Command, CoreConfig, Effect, Report};
use crate::testing::{Bench, CORE, Tracker};
use mammoth_protocol::jobs::app::{AppEnd, AppPoll, AppPollReply};
use mammoth_protocol::jobs::tracker::Order;
use mammoth_protocol::jobs::{AppId, ExecutorId, Resources};

fn running(reply: &AppPollReply) -> Vec<u32> {
    reply.executors.iter().filter(|executor| executor.ended.is_none()).map(|executor| executor.executor.0).collect()
}

fn patient() -> Bench {
    Bench::with(CoreConfig { app_lease_ms: 100_000, ..CoreConfig::default() })
}

#[test]
fn executors_come_to_the_target_and_the_youngest_go_beyond_it() {
    let mut bench = patient();
    let mut trackers: Vec<Tracker> = (1..3).map(|n| Tracker::join(n, &format!("h{n}"), 2, &mut bench)).collect();
    let app = bench.app();
    let reply = bench.drive(app, 1, 3);
    assert_eq!(running(&reply), [0, 1, 2]);
    for tracker in &mut trackers {
        tracker.poll(&mut bench);
        tracker.poll(&mut bench);
        assert!(!tracker.executors.is_empty(), "they are spread");
    }
    let fewer = bench.drive(app, 2, 1);
    assert_eq!(running(&fewer), [0]);
    assert!(fewer.version > reply.version);
    for tracker in &mut trackers {
        tracker.poll(&mut bench);
        tracker.poll(&mut bench);
    }
    assert_eq!(bench.state.cluster().used, CORE);
}

#[test]
fn an_executor_that_ends_is_replaced_and_so_is_one_that_is_released() {
    let mut bench = patient();
    let mut tracker = Tracker::join(1, "a", 1, &mut bench);
    let app = bench.app();
    bench.drive(app, 1, 1);
    tracker.poll(&mut bench);
    tracker.poll(&mut bench);
    bench.pass(11_000);
    tracker.executors.insert((app, ExecutorId(0)), Some("out of memory".to_owned()));
    tracker.poll(&mut bench);
    assert_eq!(running(&bench.drive(app, 2, 1)), [1]);
    let poll = AppPoll {
        seq: 3,
        target: 1,
        executor: CORE,
        release: vec![ExecutorId(1)],
        events: Vec::new(),
        ended: None,
        wait_ms: 0,
        known: 0,
    };
    tracker.poll(&mut bench);
    bench.observe(Report::AppPoll { app, poll, tasks: None });
    tracker.poll(&mut bench);
    tracker.poll(&mut bench);
    assert_eq!(running(&bench.drive(app, 4, 1)), [2]);
}

#[test]
fn a_driver_that_is_silent_is_gone_and_so_are_its_executors() {
    let mut bench = Bench::new();
    let mut tracker = Tracker::join(1, "a", 2, &mut bench);
    let app = bench.app();
    bench.drive(app, 1, 2);
    tracker.poll(&mut bench);
    tracker.apps.push(app);
    bench.pass(6_000);
    let status = bench.state.app_status(app).unwrap();
    assert_eq!(
        (status.state.as_str(), status.reason.as_deref()),
        ("FAILED", Some("its driver was silent for 5000 ms"))
    );
    assert!(bench.effects.contains(&Effect::AppEnded(app)));
    let orders = tracker.poll(&mut bench);
    assert_eq!(orders.iter().filter(|order| matches!(order, Order::KillExecutor { .. })).count(), 2);
    tracker.poll(&mut bench);
    assert_eq!(tracker.poll(&mut bench), [Order::DropApp { app }]);
    let reply = bench.drive(app, 2, 2);
    assert_eq!(reply.killed.as_deref(), Some("its driver was silent for 5000 ms"));
    assert!(running(&reply).is_empty());
}

#[test]
fn executors_that_all_end_at_once_end_their_application_with_the_reason() {
    let mut bench = patient();
    let mut tracker = Tracker::join(1, "a", 1, &mut bench);
    let app = bench.app();
    bench.drive(app, 1, 1);
    let mut launched = 0;
    for _ in 0..400 {
        for order in tracker.poll(&mut bench) {
            if let Order::LaunchExecutor(launch) = order {
                launched += 1;
                tracker.executors.insert((app, launch.executor), Some("no such library\nmore".to_owned()));
            }
        }
        let reply = bench.drive(app, 1, 1);
        if launched == 1 && running(&reply).is_empty() {
            assert_eq!(reply.waiting.as_deref(), Some("an executor ended at once: no such library"));
        }
        bench.pass(100);
    }
    assert_eq!(launched, 6);
    let reason = bench.state.app_status(app).unwrap().reason.unwrap();
    assert_eq!(reason, "6 executors in a row ended at once, the last one: no such library\nmore");
}

#[test]
fn a_driver_is_told_why_it_waits() {
    let mut bench = patient();
    let app = bench.app();
    assert_eq!(bench.drive(app, 1, 2).waiting.as_deref(), Some("no tasktracker is registered"));
    let mut tracker = Tracker::join(1, "a", 1, &mut bench);
    tracker.poll(&mut bench);
    assert_eq!(bench.drive(app, 2, 2).waiting.as_deref(), Some("waiting for room: 1 of 2 executors"));
    assert_eq!(bench.drive(app, 3, 1).waiting, None);
}

#[test]
fn executors_that_fit_no_tracker_end_their_application() {
    let mut bench = patient();
    let mut tracker = Tracker::join(1, "a", 1, &mut bench);
    let app = bench.app();
    let executor = Resources { cores: 9, memory_mib: 1 };
    let poll =
        AppPoll { seq: 1, target: 1, executor, release: vec![], events: vec![], ended: None, wait_ms: 0, known: 0 };
    bench.observe(Report::AppPoll { app, poll, tasks: None });
    bench.pass(6_000);
    tracker.poll(&mut bench);
    let reason = bench.state.app_status(app).unwrap().reason.unwrap();
    assert_eq!(
        reason,
        "an executor takes 9 cores, 1 MiB, and no tasktracker has as much: the most is 1 cores, 100 MiB"
    );
}

#[test]
fn a_restarted_jobtracker_takes_over_executors_that_run() {
    let mut bench = patient();
    let mut tracker = Tracker::join(1, "a", 2, &mut bench);
    let app = bench.app();
    bench.drive(app, 1, 2);
    tracker.poll(&mut bench);
    tracker.poll(&mut bench);
    bench.restart();
    tracker.register(&mut bench);
    assert!(tracker.poll(&mut bench).is_empty(), "they go on");
    assert_eq!(running(&bench.drive(app, 1, 2)), [0, 1]);
    assert_eq!(bench.state.cluster().used, CORE.plus(CORE));
    tracker.executors.clear();
    tracker.poll(&mut bench);
    assert_eq!(running(&bench.drive(app, 2, 2)), [100_000, 100_001], "ids of the next life begin above");
}

#[test]
fn executors_that_ended_while_the_jobtracker_was_away_are_told_to_the_driver() {
    let mut bench = patient();
    let mut tracker = Tracker::join(1, "a", 2, &mut bench);
    let app = bench.app();
    bench.drive(app, 1, 2);
    tracker.poll(&mut bench);
    tracker.poll(&mut bench);
    bench.pass(11_000);
    bench.restart();
    tracker.executors.insert((app, ExecutorId(0)), Some("was killed by signal 9".to_owned()));
    tracker.register(&mut bench);
    tracker.poll(&mut bench);
    let reply = bench.drive(app, 2, 2);
    let ended = reply.executors.iter().find(|executor| executor.executor == ExecutorId(0)).unwrap();
    assert_eq!((ended.ended.as_deref(), ended.tracker_lost), (Some("was killed by signal 9"), false));
    assert_eq!(running(&reply), [1, 100_000], "the other one goes on, and one takes the place");
}

#[test]
fn a_driver_is_told_that_executors_went_with_their_tracker() {
    let mut bench = patient();
    let mut trackers = [1, 2].map(|n| Tracker::join(n, &format!("h{n}"), 1, &mut bench));
    let app = bench.app();
    let before = bench.drive(app, 1, 2);
    trackers.iter_mut().for_each(|tracker| drop(tracker.poll(&mut bench)));
    trackers.iter_mut().for_each(|tracker| drop(tracker.poll(&mut bench)));
    for _ in 0..31 {
        bench.pass(1_000);
        trackers[0].poll(&mut bench);
    }
    let reply = bench.drive(app, 2, 2);
    assert!(reply.version > before.version);
    let lost: Vec<_> = reply.executors.iter().filter(|executor| executor.tracker_lost).collect();
    assert_eq!(lost.len(), 1, "{reply:?}");
    assert_eq!(
        (lost[0].host.as_str(), lost[0].ended.as_deref()),
        ("h2", Some("its tasktracker was silent for 30000 ms"))
    );
}

#[test]
fn an_end_is_the_drivers_to_tell_and_its_repetition_does_no_harm() {
    let mut bench = patient();
    let app = bench.app();
    let poll = |seq: u64| AppPoll {
        seq,
        target: 0,
        executor: CORE,
        release: Vec::new(),
        events: Vec::new(),
        ended: Some(AppEnd { failure: None }),
        wait_ms: 0,
        known: 0,
    };
    for _ in 0..2 {
        let Answer::App { reply } = bench.observe(Report::AppPoll { app, poll: poll(1), tasks: Some((3, 4)) }) else {
            panic!("gone")
        };
        assert_eq!(reply.killed, None);
    }
    let status = bench.state.app_status(app).unwrap();
    assert_eq!((status.state.as_str(), status.tasks_done, status.tasks_total), ("SUCCEEDED", 3, 4));
    let unknown = AppId { number: 5, ..app };
    assert_eq!(bench.observe(Report::AppPoll { app: unknown, poll: poll(1), tasks: None }), Answer::Gone);
    bench.run(&Command::KillApp { app, reason: "late".to_owned() }).unwrap();
    assert_eq!(bench.state.app_status(app).unwrap().state, "SUCCEEDED");
}
