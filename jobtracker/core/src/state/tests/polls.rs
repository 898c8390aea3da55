//! Polls that are lost, doubled, late; trackers that come back.

use crate::api::{Answer, Command, Effect, Refusal, Reply, Report};
use crate::testing::{Bench, CORE, Tracker, attempt, spec, succeeded};
use mammoth_protocol::jobs::TaskKind::{Map, Reduce};
use mammoth_protocol::jobs::client::{JobState, SubmitRequest};
use mammoth_protocol::jobs::spec::JobSpec;
use mammoth_protocol::jobs::tracker::{AttemptPhase, Order, OutputsWanted};
use mammoth_protocol::limits::{JOB_TEXTS_MAX, LAUNCH_BYTES_PER_ANSWER};
use std::sync::Arc;

#[test]
fn a_repeated_poll_gets_the_same_orders_and_assigns_nothing_twice() {
    let mut bench = Bench::new();
    let mut tracker = Tracker::join(1, "a", 1, &mut bench);
    bench.submit(spec(&["a", "a"], 0));
    tracker.seq += 1;
    let first = tracker.say(&mut bench);
    assert_eq!(first.orders.len(), 1);
    bench.pass(500);
    assert_eq!(tracker.say(&mut bench), first);
    assert_eq!(tracker.say(&mut bench), first);
    assert_eq!(bench.state.trackers(bench.now)[0].used, CORE);
}

#[test]
fn launches_of_an_answer_are_bounded_in_bytes_and_the_next_has_more() {
    let mut bench = Bench::new();
    let mut wanted = spec(&["a"; 150], 0);
    wanted.program.path = "p".repeat(JOB_TEXTS_MAX - 200);
    bench.submit(wanted);
    let mut tracker = Tracker::join(1, "a", 150, &mut bench);
    let mut answers = vec![tracker.held.len()];
    while tracker.held.len() < 150 {
        let before = tracker.held.len();
        tracker.poll(&mut bench);
        answers.push(tracker.held.len() - before);
    }
    let most = answers.iter().max().copied().unwrap();
    assert!(most * (JOB_TEXTS_MAX - 200) <= LAUNCH_BYTES_PER_ANSWER && most > 50, "{answers:?}");
}

#[test]
fn a_job_whose_launches_would_be_too_long_is_refused() {
    let mut bench = Bench::new();
    let long = || "x".repeat(JOB_TEXTS_MAX);
    let changes: [fn(&mut JobSpec, String); 3] =
        [|spec, text| spec.fs = text, |spec, text| spec.program.path = text, |spec, text| spec.program.sha256 = text];
    for change in changes {
        let Ok(Reply::Job(job)) = bench.run(&Command::NewJob { user: "u".to_owned() }) else { panic!("no id") };
        let mut wanted = spec(&["a"], 0);
        change(&mut wanted, long());
        let request = SubmitRequest { job, spec: "/staging".to_owned(), sha256: "00".to_owned() };
        let refused = bench.run(&Command::Submit { request, spec: Arc::new(wanted) });
        assert!(matches!(&refused, Err(Refusal::Invalid(why)) if why.contains("paths")), "{refused:?}");
    }
}

#[test]
fn an_assigned_attempt_that_the_next_poll_lacks_is_offered_again() {
    let mut bench = Bench::new();
    let mut tracker = Tracker::join(1, "a", 1, &mut bench);
    let job = bench.submit(spec(&["a"], 0));
    for _ in 0..3 {
        tracker.seq += 1;
        let reply = tracker.say(&mut bench);
        let Some(Order::Launch(launch)) = reply.orders.first() else { panic!("{reply:?}") };
        assert_eq!(launch.attempt, attempt(job, Map, 0, 0));
    }
}

#[test]
fn a_waiting_poll_is_woken_by_what_concerns_it_and_collects_once() {
    let mut bench = Bench::new();
    let mut tracker = Tracker::join(1, "a", 1, &mut bench);
    tracker.seq += 1;
    let mut request = tracker.request();
    request.wait_ms = 1000;
    assert_eq!(bench.observe(Report::Poll(request.clone())), Answer::Wait);
    assert!(!bench.effects.contains(&Effect::Wake(tracker.id)));
    bench.submit(spec(&["a"], 0));
    assert!(bench.effects.contains(&Effect::Wake(tracker.id)));
    let collect = Report::Collect { tracker: tracker.id, epoch: tracker.epoch, seq: tracker.seq };
    let Answer::Orders(reply) = bench.observe(collect.clone()) else { panic!("no orders") };
    assert!(matches!(reply.orders[..], [Order::Launch(_)]));
    assert_eq!(bench.observe(collect), Answer::Orders(reply.clone()));
    assert_eq!(bench.observe(Report::Poll(request)), Answer::Orders(reply), "a late copy");
}

#[test]
fn an_older_epoch_is_refused_and_an_older_poll_changes_nothing() {
    let mut bench = Bench::new();
    let mut tracker = Tracker::join(1, "a", 1, &mut bench);
    let job = bench.submit(spec(&["a"], 0));
    let old = tracker.request();
    tracker.poll(&mut bench);
    tracker.poll(&mut bench);
    let Answer::Orders(reply) = bench.observe(Report::Poll(old.clone())) else { panic!("no answer") };
    assert!(reply.orders.is_empty());
    assert_eq!(bench.status(job).maps.running, 1, "the poll did not hold the attempt, and is too old to say so");
    tracker.register(&mut bench);
    assert_eq!(bench.observe(Report::Poll(old)), Answer::Stale);
}

#[test]
fn a_new_registration_ends_what_ran_and_keeps_outputs_of_the_same_folder() {
    let mut bench = Bench::new();
    let mut tracker = Tracker::join(1, "a", 1, &mut bench);
    let job = bench.submit(spec(&["a", "a"], 1));
    tracker.poll(&mut bench);
    tracker.finish(&mut bench);
    assert_eq!(tracker.runs(), ["m1.0"]);
    tracker.held.clear();
    tracker.register(&mut bench);
    tracker.poll(&mut bench);
    assert_eq!(tracker.runs(), ["m1.1"]);
    assert_eq!(bench.ends(job), ["m0.0 SUCCEEDED", "m1.0 KILLED"]);
    tracker.held.clear();
    tracker.generation.0 += 1;
    tracker.register(&mut bench);
    tracker.poll(&mut bench);
    assert_eq!(bench.ends(job)[2..], ["m1.1 KILLED", "m0.0 OBSOLETE"]);
    assert_eq!(tracker.runs(), ["m0.1"]);
}

#[test]
fn a_success_that_comes_after_the_attempt_was_given_up_does_not_count() {
    let mut bench = Bench::new();
    let mut slow = Tracker::join(1, "a", 1, &mut bench);
    let job = bench.submit(spec(&["a"], 0));
    slow.poll(&mut bench);
    let first = slow.only();
    bench.pass(31_000);
    let mut other = Tracker::join(2, "b", 1, &mut bench);
    assert_eq!(other.runs(), ["m0.1"]);
    slow.held.insert(first, succeeded());
    assert_eq!(bench.observe(Report::Poll(slow.request())), Answer::Stale);
    slow.register(&mut bench);
    let orders = slow.poll(&mut bench);
    assert_eq!(orders, [Order::Forget { attempt: first }]);
    assert_eq!(bench.status(job).maps.done, 0);
    other.finish(&mut bench);
    assert_eq!(bench.status(job).maps.done, 1);
}

#[test]
fn outputs_are_told_from_a_position_on_and_a_foreign_position_begins_anew() {
    let mut bench = Bench::new();
    let mut tracker = Tracker::join(1, "a", 2, &mut bench);
    let job = bench.submit(spec(&["a", "a"], 1));
    tracker.poll(&mut bench);
    tracker.finish(&mut bench);
    let told = |from: u64, bench: &mut Bench, tracker: &mut Tracker| {
        tracker.wants = vec![OutputsWanted { job, from }];
        let orders = tracker.poll(bench);
        orders.into_iter().find_map(|order| match order {
            Order::Outputs { from, events, .. } => Some((from, events.len())),
            _ => None,
        })
    };
    assert_eq!(told(0, &mut bench, &mut tracker), Some((0, 2)));
    assert_eq!(told(1, &mut bench, &mut tracker), Some((1, 1)));
    assert_eq!(told(2, &mut bench, &mut tracker), None);
    assert_eq!(told(7, &mut bench, &mut tracker), Some((0, 2)));
    bench.restart();
    let again = bench.specs[&job].clone();
    bench.observe(Report::Spec { job, spec: Ok(again) });
    tracker.register(&mut bench);
    assert_eq!(told(2, &mut bench, &mut tracker), Some((1 << 32, 0)), "what was known of the life before is void");
    assert_eq!(told(1 << 32, &mut bench, &mut tracker), None);
}

#[test]
fn orders_that_take_time_are_said_again_only_after_a_while() {
    let mut bench = Bench::new();
    let mut tracker = Tracker::join(1, "a", 1, &mut bench);
    let job = bench.submit(spec(&["a"], 0));
    tracker.poll(&mut bench);
    let map = tracker.only();
    tracker.held.insert(map, AttemptPhase::CommitPending);
    let grants = |orders: Vec<Order>| orders.iter().filter(|order| matches!(order, Order::GrantCommit { .. })).count();
    assert_eq!(grants(tracker.poll(&mut bench)), 1);
    tracker.held.insert(map, AttemptPhase::CommitPending);
    assert_eq!(grants(tracker.poll(&mut bench)), 0);
    bench.pass(1_000);
    assert_eq!(grants(tracker.poll(&mut bench)), 1);
    assert_eq!(grants(tracker.poll(&mut bench)), 0, "it goes on, so it knows");
    tracker.finish(&mut bench);
    assert_eq!(bench.status(job).maps.done, 1);
}

#[test]
fn a_tracker_that_lost_a_running_attempt_has_it_run_again() {
    let mut bench = Bench::new();
    let mut tracker = Tracker::join(1, "a", 1, &mut bench);
    let job = bench.submit(spec(&["a"], 0));
    tracker.poll(&mut bench);
    tracker.poll(&mut bench);
    tracker.held.clear();
    tracker.poll(&mut bench);
    assert_eq!(tracker.runs(), ["m0.1"]);
    assert_eq!(bench.ends(job), ["m0.0 KILLED"]);
}

#[test]
fn a_stranger_on_a_tracker_is_ended_and_takes_room_until_then() {
    let mut bench = Bench::new();
    let mut tracker = Tracker::join(1, "a", 1, &mut bench);
    let mut wanted = spec(&["b"], 0);
    wanted.output = None;
    let job = bench.submit(wanted);
    bench.run(&crate::api::Command::KillJob { job, reason: String::new() }).unwrap();
    let stranger = attempt(job, Reduce, 5, 3);
    tracker.held.insert(stranger, AttemptPhase::Running);
    tracker.poll(&mut bench);
    let next = bench.submit(spec(&["a"], 0));
    assert_eq!(bench.status(next).maps.running, 0);
    let orders = tracker.poll(&mut bench);
    assert!(orders.contains(&Order::Forget { attempt: stranger }));
    assert_eq!(bench.state_of(next), JobState::Running);
    assert_eq!(tracker.runs(), ["m0.0"]);
}
