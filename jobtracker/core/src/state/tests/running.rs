//! Jobs from submission to their end.

use crate::api::{Command, CoreConfig, Effect, InternalCommand, Refusal, Reply, Report};
use crate::testing::{Bench, Tracker, attempt, failed, reload, spec, succeeded};
use mammoth_protocol::jobs::TaskKind::{Abort, Commit, Map, Reduce};
use mammoth_protocol::jobs::client::{JobState, SubmitRequest};
use mammoth_protocol::jobs::counters::names;
use mammoth_protocol::jobs::tracker::{AttemptPhase, Order};
use mammoth_protocol::jobs::{AppId, JobId};
use mammoth_protocol::limits::JOBS_ENDED_MAX;
use std::sync::Arc;

#[test]
fn a_job_runs_its_maps_reduces_and_commit_in_order() {
    let mut bench = Bench::new();
    let mut tracker = Tracker::join(1, "a", 2, &mut bench);
    let job = bench.submit(spec(&["a", "a"], 1));
    tracker.poll(&mut bench);
    assert_eq!(tracker.runs(), ["m0.0", "m1.0"]);
    assert_eq!(bench.state_of(job), JobState::Running);
    tracker.finish(&mut bench);
    assert_eq!(tracker.runs(), ["r0.0"]);
    let reduce = attempt(job, Reduce, 0, 0);
    tracker.held.insert(reduce, AttemptPhase::CommitPending);
    let orders = tracker.poll(&mut bench);
    assert!(orders.contains(&Order::GrantCommit { attempt: reduce }), "{orders:?}");
    tracker.finish(&mut bench);
    assert_eq!(tracker.runs(), ["c0.0"]);
    assert_eq!(bench.status(job).maps.done, 2);
    tracker.finish(&mut bench);
    let status = bench.status(job);
    assert_eq!(
        (status.state, status.reason, status.map_progress, status.reduce_progress),
        (JobState::Succeeded, None, 1.0, 1.0)
    );
    assert_eq!(status.counters.get("g", "n"), 3, "two maps and a reduce");
    assert_eq!(status.counters.get(names::JOB, names::DATA_LOCAL_MAPS), 2);
    assert_eq!(status.counters.get(names::JOB, names::LAUNCHED_REDUCES), 1);
    assert_eq!(bench.ends(job), ["m0.0 SUCCEEDED", "m1.0 SUCCEEDED", "r0.0 SUCCEEDED", "c0.0 SUCCEEDED"]);
    assert!(bench.effects.contains(&Effect::JobEnded(job)));
    tracker.jobs.push(job);
    assert_eq!(tracker.poll(&mut bench), [Order::DropJob { job }]);
}

#[test]
fn a_job_without_output_needs_no_commit_and_one_without_maps_runs_its_reduces() {
    let mut bench = Bench::new();
    let mut tracker = Tracker::join(1, "a", 2, &mut bench);
    let mut wanted = spec(&[], 2);
    wanted.output = None;
    let job = bench.submit(wanted);
    tracker.poll(&mut bench);
    assert_eq!(tracker.runs(), ["r0.0", "r1.0"]);
    tracker.finish(&mut bench);
    assert_eq!(bench.state_of(job), JobState::Succeeded);
    let nothing = bench.submit(spec(&[], 0));
    tracker.poll(&mut bench);
    assert_eq!(tracker.runs(), ["c0.0"], "the folder and its mark of success are made");
    tracker.finish(&mut bench);
    assert_eq!(bench.state_of(nothing), JobState::Succeeded);
}

#[test]
fn four_failures_of_a_task_fail_the_job_after_tidying_up() {
    let mut bench = Bench::new();
    let mut tracker = Tracker::join(1, "a", 2, &mut bench);
    let job = bench.submit(spec(&["a", "a"], 0));
    tracker.poll(&mut bench);
    for number in 0..4 {
        let map = attempt(job, Map, 0, number);
        assert_eq!(tracker.held.get(&map), Some(&AttemptPhase::Running));
        tracker.held.insert(map, failed("panicked at word.rs:3\nlast words"));
        tracker.poll(&mut bench);
    }
    assert_eq!(bench.state_of(job), JobState::Running, "not final before the abort was tried");
    tracker.poll(&mut bench);
    tracker.poll(&mut bench);
    assert_eq!(tracker.runs(), ["x0.0"], "the other map was ended first");
    tracker.finish(&mut bench);
    let status = bench.status(job);
    assert_eq!(status.state, JobState::Failed);
    let reason = status.reason.unwrap();
    let head = format!(
        "{} failed 4 times, last on a:50060: panicked at word.rs:3\nlast words\n",
        attempt(job, Map, 0, 3).task
    );
    assert!(reason.starts_with(&head), "{reason}");
    assert!(
        reason.ends_with(&format!("log: http://a:50060/tasklog?plaintext=true&attemptid={}", attempt(job, Map, 0, 3)))
    );
    assert_eq!((status.maps.failed_attempts, status.maps.killed_attempts), (4, 1));
}

#[test]
fn killed_attempts_do_not_count() {
    let mut bench = Bench::new();
    let mut tracker = Tracker::join(1, "a", 1, &mut bench);
    let job = bench.submit(spec(&["a"], 0));
    tracker.poll(&mut bench);
    for number in 0..8 {
        let map = attempt(job, Map, 0, number);
        tracker.held.insert(map, AttemptPhase::Killed { reason: "restarted".to_owned() });
        tracker.poll(&mut bench);
    }
    tracker.finish(&mut bench);
    tracker.finish(&mut bench);
    assert_eq!(bench.state_of(job), JobState::Succeeded);
    assert_eq!(bench.status(job).counters.get(names::JOB, names::KILLED_MAPS), 8);
}

#[test]
fn a_killed_job_ends_its_attempts_then_tidies_up_and_survives_restarts_as_such() {
    let mut bench = Bench::new();
    let mut tracker = Tracker::join(1, "a", 2, &mut bench);
    let job = bench.submit(spec(&["a", "a"], 0));
    tracker.poll(&mut bench);
    bench.run(&Command::KillJob { job, reason: "killed by u".to_owned() }).unwrap();
    bench.run(&Command::KillJob { job, reason: "again".to_owned() }).unwrap();
    let orders = tracker.poll(&mut bench);
    assert_eq!(orders.len(), 2);
    assert!(tracker.runs().is_empty());
    bench.restart();
    assert_eq!(bench.state_of(job), JobState::Running);
    tracker.register(&mut bench);
    tracker.poll(&mut bench);
    let spec = bench.specs[&job].clone();
    bench.observe(Report::Spec { job, spec: Ok(spec) });
    tracker.poll(&mut bench);
    assert_eq!(tracker.only(), attempt(job, Abort, 0, 1000), "numbers of the next life begin above");
    tracker.finish(&mut bench);
    let status = bench.status(job);
    assert_eq!((status.state, status.reason.as_deref()), (JobState::Killed, Some("killed by u")));
}

#[test]
fn a_job_that_never_started_is_killed_at_once() {
    let mut bench = Bench::new();
    let job = bench.submit(spec(&["a"], 0));
    bench.run(&Command::KillJob { job, reason: "no".to_owned() }).unwrap();
    assert_eq!(bench.state_of(job), JobState::Killed);
}

#[test]
fn tidying_up_that_cannot_be_done_does_not_hang_the_job() {
    let mut bench = Bench::new();
    let mut tracker = Tracker::join(1, "a", 1, &mut bench);
    let job = bench.submit(spec(&["a"], 0));
    tracker.poll(&mut bench);
    bench.run(&Command::KillJob { job, reason: "no".to_owned() }).unwrap();
    tracker.poll(&mut bench);
    tracker.poll(&mut bench);
    for number in 0..3 {
        assert_eq!(tracker.only(), attempt(job, Abort, 0, number));
        tracker.held.insert(attempt(job, Abort, 0, number), failed("no namenode"));
        tracker.poll(&mut bench);
    }
    assert_eq!(bench.state_of(job), JobState::Killed);
    let other = bench.submit(spec(&["a"], 0));
    tracker.poll(&mut bench);
    bench.run(&Command::KillJob { job: other, reason: "no".to_owned() }).unwrap();
    bench.pass(200_000);
    assert_eq!(bench.state_of(other), JobState::Killed, "no tracker is left, and it ends all the same");
}

#[test]
fn a_restart_runs_the_tasks_again_under_new_numbers() {
    let mut bench = Bench::new();
    let mut tracker = Tracker::join(1, "a", 1, &mut bench);
    let job = bench.submit(spec(&["a", "a"], 1));
    tracker.poll(&mut bench);
    tracker.finish(&mut bench);
    assert_eq!(tracker.runs(), ["m1.0"]);
    for life in 1..3 {
        bench.restart();
        assert_eq!(bench.state_of(job), JobState::Prep, "its specification is to be read again");
        bench.tick();
        let asked = |effect: &&Effect| matches!(effect, Effect::LoadSpec { .. });
        assert_eq!(bench.effects.iter().filter(asked).count(), 1, "asked once");
        tracker.register(&mut bench);
        let orders = tracker.poll(&mut bench);
        assert!(matches!(orders[0], Order::Kill { .. }), "{orders:?}");
        let spec = bench.specs[&job].clone();
        bench.observe(Report::Spec { job, spec: Ok(spec) });
        assert!(bench.state.trackers(bench.now)[0].used.cores == 1, "what ends still takes its share");
        tracker.poll(&mut bench);
        tracker.poll(&mut bench);
        assert_eq!(tracker.runs(), [format!("m0.{}", life * 1000)]);
    }
}

#[test]
fn a_commit_that_began_is_all_that_a_restart_runs() {
    let mut bench = Bench::new();
    let mut tracker = Tracker::join(1, "a", 1, &mut bench);
    let job = bench.submit(spec(&["a"], 0));
    tracker.poll(&mut bench);
    tracker.finish(&mut bench);
    assert_eq!(tracker.only(), attempt(job, Commit, 0, 0));
    bench.restart();
    tracker.register(&mut bench);
    tracker.poll(&mut bench);
    let spec = bench.specs[&job].clone();
    bench.observe(Report::Spec { job, spec: Ok(spec) });
    tracker.poll(&mut bench);
    tracker.poll(&mut bench);
    assert_eq!(tracker.only(), attempt(job, Commit, 0, 1000));
    tracker.finish(&mut bench);
    let status = bench.status(job);
    assert_eq!((status.state, status.maps.done), (JobState::Succeeded, 1));
    assert_eq!(status.counters.get("g", "n"), 1, "the counters of the map outlive the restart");
}

#[test]
fn a_commit_that_fails_fails_the_job() {
    let mut bench = Bench::new();
    let mut tracker = Tracker::join(1, "a", 1, &mut bench);
    let job = bench.submit(spec(&["a"], 0));
    tracker.poll(&mut bench);
    tracker.finish(&mut bench);
    for number in 0..4 {
        tracker.held.insert(attempt(job, Commit, 0, number), failed("quota"));
        tracker.poll(&mut bench);
    }
    tracker.poll(&mut bench);
    assert_eq!(tracker.runs(), ["x0.0"]);
    tracker.finish(&mut bench);
    assert_eq!(bench.state_of(job), JobState::Failed);
    assert!(bench.status(job).reason.unwrap().contains("quota"));
}

#[test]
fn the_same_submission_twice_is_one_job_and_another_one_is_refused() {
    let mut bench = Bench::new();
    let job = bench.submit(spec(&["a"], 0));
    let again = |sha: &str| Command::Submit {
        request: SubmitRequest { job, spec: format!("/staging/{job}"), sha256: sha.to_owned() },
        spec: Arc::new(spec(&["a"], 0)),
    };
    assert_eq!(bench.run(&again("00")), Ok(Reply::Done));
    assert_eq!(bench.run(&again("11")), Err(Refusal::OtherSpec(job)));
    let unknown = mammoth_protocol::jobs::JobId { number: 9, ..job };
    let kill = Command::KillJob { job: unknown, reason: String::new() };
    assert_eq!(bench.run(&kill), Err(Refusal::UnknownJob(unknown)));
    assert_eq!(bench.state.jobs().len(), 1);
}

#[test]
fn specifications_that_cannot_be_run_are_refused_by_name() {
    let mut bench = Bench::new();
    let Ok(Reply::Job(job)) = bench.run(&Command::NewJob { user: "u".to_owned() }) else { panic!("no id") };
    let request = SubmitRequest { job, spec: "/s".to_owned(), sha256: "00".to_owned() };
    let mut old = spec(&["a"], 0);
    old.version = 9;
    let mut empty = spec(&["a"], 0);
    empty.map_resources.cores = 0;
    let mut long = spec(&["a"], 0);
    long.name = "x".repeat(20_000);
    for bad in [old, empty, long] {
        let command = Command::Submit { request: request.clone(), spec: Arc::new(bad) };
        assert!(matches!(bench.run(&command), Err(Refusal::Invalid(_))));
    }
    assert_eq!(bench.state_of(job), JobState::Prep);
}

#[test]
fn a_specification_that_cannot_be_read_fails_the_job() {
    let mut bench = Bench::new();
    let job = bench.submit(spec(&["a"], 0));
    bench.restart();
    bench.observe(Report::Spec { job, spec: Err("the specification is gone".to_owned()) });
    let status = bench.status(job);
    assert_eq!((status.state, status.reason.as_deref()), (JobState::Failed, Some("the specification is gone")));
}

#[test]
fn nothing_is_decided_before_the_start_and_old_work_is_not_due_twice() {
    let now = mammoth_protocol::Now { monotonic_ms: 1, wall_ms: 1 };
    let state = crate::State::new(crate::api::CoreConfig::default(), now);
    assert_eq!(state.decide(now, &Command::NewJob { user: String::new() }), Err(Refusal::Starting));
    let mut bench = Bench::new();
    let job = bench.submit(spec(&["a"], 0));
    for command in [
        InternalCommand::EndJob { job },
        InternalCommand::EndJob { job: mammoth_protocol::jobs::JobId { number: 77, ..job } },
    ] {
        let decision = bench.state.decide(bench.now, &Command::Internal(command)).unwrap();
        assert_eq!(decision.edits, []);
    }
}

#[test]
fn ended_jobs_are_forgotten_beyond_a_hundred_and_what_is_loaded_is_what_was_kept() {
    let mut bench = Bench::new();
    let mut tracker = Tracker::join(1, "a", 1, &mut bench);
    let first = bench.submit(spec(&["a"], 0));
    for _ in 0..104 {
        tracker.poll(&mut bench);
        tracker.finish(&mut bench);
        tracker.finish(&mut bench);
        bench.pass(10);
        bench.submit(spec(&["a"], 0));
    }
    assert_eq!(bench.state.job_status(first), None);
    assert_eq!(bench.state.jobs().len(), 101, "a hundred that ended and one that runs");
    let loaded = reload(&bench.state, bench.now);
    assert_eq!(crate::check::rows(&loaded), crate::check::rows(&bench.state));
    bench.restart();
    assert_eq!(crate::check::rows(&loaded).len(), crate::check::rows(&bench.state).len());
    let late = Command::Submit {
        request: SubmitRequest { job: first, spec: format!("/staging/{first}"), sha256: "00".to_owned() },
        spec: Arc::new(spec(&["a"], 0)),
    };
    assert_eq!(bench.run(&late), Err(Refusal::UnknownJob(first)), "a late repetition starts nothing");
}

#[test]
fn a_reduce_that_ends_before_all_maps_did_has_failed() {
    let mut bench = Bench::new();
    let mut tracker = Tracker::join(1, "a", 3, &mut bench);
    let job = bench.submit(spec(&["a", "a"], 1));
    tracker.poll(&mut bench);
    tracker.held.insert(attempt(job, Map, 0, 0), succeeded());
    tracker.poll(&mut bench);
    assert_eq!(tracker.runs(), ["m1.0", "r0.0"]);
    tracker.held.insert(attempt(job, Reduce, 0, 0), succeeded());
    tracker.poll(&mut bench);
    assert_eq!(bench.ends(job), ["m0.0 SUCCEEDED", "r0.0 FAILED"]);
}

#[test]
fn the_tasks_of_the_latest_job_are_kept_however_many_they_are_and_whatever_the_clock_says() {
    let mut bench = Bench::with(CoreConfig { ended_tasks_max: 2, ..CoreConfig::default() });
    let mut tracker = Tracker::join(1, "a", 4, &mut bench);
    let mut ended = Vec::new();
    for _ in 0..3 {
        let job = bench.submit(spec(&["a", "a", "a"], 0));
        for _ in 0..4 {
            tracker.finish(&mut bench);
        }
        assert_eq!(bench.state_of(job), JobState::Succeeded);
        assert_eq!(bench.state.tasks(job).unwrap().len(), 4, "three maps and the commit, for its history");
        ended.push(job);
        bench.now.wall_ms -= 3_600_000;
    }
    for job in &ended[..2] {
        assert!(bench.state.tasks(*job).unwrap().is_empty());
        let known = bench.state.jobs.get(&job.number).unwrap();
        assert!(known.work.is_none() && known.spec().is_none(), "what they were made of goes as well");
    }
}

#[test]
fn the_jobs_that_ended_first_are_forgotten_first_whatever_the_clock_says() {
    let mut bench = Bench::new();
    let mut nothing = spec(&[], 0);
    nothing.output = None;
    let mut jobs = Vec::new();
    for _ in 0..JOBS_ENDED_MAX + 3 {
        jobs.push(bench.submit(nothing.clone()));
        bench.now.wall_ms -= 60_000;
    }
    let known = |job: &JobId| bench.state.job_status(*job).is_some();
    assert!(jobs[3..].iter().all(known) && !jobs[..3].iter().any(known));
    let apps: Vec<AppId> = (0..JOBS_ENDED_MAX + 3)
        .map(|_| {
            let app = bench.app();
            bench.run(&Command::KillApp { app, reason: "test".to_owned() }).unwrap();
            bench.now.wall_ms -= 60_000;
            app
        })
        .collect();
    let known = |app: &AppId| bench.state.app_status(*app).is_some();
    assert!(apps[3..].iter().all(known) && !apps[..3].iter().any(known));
}

#[test]
fn what_a_job_was_staged_with_is_over_with_the_job() {
    let mut bench = Bench::new();
    let Ok(Reply::Job(prepared)) = bench.run(&Command::NewJob { user: "u".to_owned() }) else { panic!("no id") };
    let running = bench.submit(spec(&["a"], 0));
    let mut nothing = spec(&[], 0);
    nothing.output = None;
    let ended = bench.submit(nothing);
    let forgotten = JobId { number: ended.number + 1, ..ended };
    let foreign = JobId { cluster_ms: ended.cluster_ms + 1, ..ended };
    for _ in 0..2 {
        let over = bench.state.jobs_over(&[prepared, running, ended, forgotten, foreign]);
        assert_eq!(over, [ended, forgotten], "before a restart and after it");
        bench.restart();
    }
}

#[test]
fn tasks_are_told_in_pages_and_failures_apart() {
    let mut bench = Bench::new();
    let mut tracker = Tracker::join(1, "a", 7, &mut bench);
    let job = bench.submit(spec(&["a"; 7], 0));
    tracker.poll(&mut bench);
    for map in [0, 2, 5] {
        tracker.held.insert(attempt(job, Map, map, 0), failed(&map.to_string()));
    }
    tracker.poll(&mut bench);
    let all = bench.state.tasks(job).unwrap();
    let page = |from, max| bench.state.tasks_from(job, from, max).unwrap();
    assert_eq!(page(0, 3), (all[..3].to_vec(), 7));
    assert_eq!(page(5, 3), (all[5..].to_vec(), 7));
    assert_eq!(page(9, 3), (Vec::new(), 7));
    let (last, total) = bench.state.failed_attempts(job, 2).unwrap();
    let reasons: Vec<_> = last.into_iter().map(|attempt| attempt.reason.unwrap()).collect();
    assert_eq!((reasons, total), (vec!["2".to_owned(), "5".to_owned()], 3));
}
