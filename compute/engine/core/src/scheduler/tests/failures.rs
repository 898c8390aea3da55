//! Tasks fail, kill their executors, hang or do not stop.

use crate::api::{Command, Config, TaskEnd};
use crate::testing::{Bench, job, last, launches, map};
use mammoth_protocol::jobs::event::TaskOutcome;

#[test]
fn a_task_that_always_fails_fails_its_job_by_name() {
    let mut bench = Bench::new(&[2]);
    bench.submit(job(0, &[last(3, 2, &[])]));
    for _ in 0..4 {
        assert_eq!(bench.ended(0), None);
        bench.fail("3.1");
    }
    let end = bench.ended(0).unwrap();
    assert!(end.contains("stage 3 (stage 3): partition 1 failed 4 time(s)") && end.contains("boom"), "{end}");
    let cancelled = bench.said.iter().filter(|command| matches!(command, Command::Cancel { .. })).count();
    assert_eq!(cancelled, 1, "the other partition is told to stop");
}

#[test]
fn failures_are_counted_until_a_success() {
    let mut bench = Bench::new(&[1]);
    bench.submit(job(0, &[map(0, 1, &[]), last(1, 1, &[0])]));
    for _ in 0..3 {
        for _ in 0..3 {
            bench.fail("0.0");
        }
        bench.succeed("0.0");
        bench.lose_place(0);
        bench.fail("1.0");
    }
    assert_eq!(bench.ended(0), None);
    bench.run_out();
    assert_eq!(bench.ended(0).as_deref(), Some(""));
}

#[test]
fn a_fatal_failure_fails_the_job_at_once() {
    let mut bench = Bench::new(&[1]);
    bench.submit(job(0, &[last(0, 1, &[])]));
    let task = bench.task("0.0");
    bench.end(task, TaskEnd::Failed { reason: "no such operation".to_owned(), fatal: true });
    assert!(bench.ended(0).unwrap().contains("failed 1 time(s), the last one: no such operation"));
}

#[test]
fn a_failing_stage_fails_only_the_jobs_that_need_it() {
    let mut bench = Bench::new(&[4]);
    bench.submit(job(0, &[map(0, 1, &[]), map(1, 1, &[0]), last(2, 1, &[1])]));
    bench.run_stage(0);
    bench.run_stage(1);
    bench.lose_place(0);
    bench.lose_place(0);
    // Job 0 runs its last task and needs nothing more; job 1 needs the first stage again.
    bench.submit(job(1, &[map(0, 1, &[]), last(3, 1, &[0])]));
    for _ in 0..4 {
        bench.fail("0.0");
    }
    assert!(bench.ended(1).unwrap().contains("boom"));
    assert_eq!(bench.ended(0), None);
    bench.run_out();
    assert_eq!(bench.ended(0).as_deref(), Some(""));
}

#[test]
fn a_task_that_kills_its_executors_fails_by_name_and_others_survive() {
    let mut bench = Bench::new(&[4]);
    bench.submit(job(0, &[last(0, 4, &[])]));
    bench.submit(job(1, &[last(1, 3, &[])]));
    for executor in 0..20 {
        // Whichever executor runs 0.2 dies of it; everything else ends well.
        while let Some(task) = bench.running.keys().find(|task| !(task.stage.0 == 0 && task.partition == 2)).copied() {
            if bench.runs().contains(&"0.2".to_owned()) && executor == 0 {
                break;
            }
            bench.succeed_task(task);
        }
        if bench.ended(0).is_some() {
            break;
        }
        bench.lose(executor, true);
        bench.add(executor + 1, 4);
    }
    bench.run_out();
    let end = bench.ended(0).unwrap();
    assert!(end.contains("partition 2 failed 4 time(s)") && end.contains("it died"), "{end}");
    assert_eq!(bench.ended(1).as_deref(), Some(""));
    for innocent in ["0.0", "0.1", "0.3"] {
        assert_eq!(bench.accepted(innocent), 1, "{innocent}");
    }
}

#[test]
fn suspects_are_alone_and_executors_are_kept_free_for_them() {
    let mut bench = Bench::new(&[2]);
    bench.add(1, 2);
    bench.submit(job(0, &[last(0, 12, &[])]));
    assert_eq!(bench.runs().len(), 4);
    let died: Vec<String> =
        bench.running.iter().filter(|(_, id)| id.0 == 1).map(|(task, _)| task.partition.to_string()).collect();
    bench.lose(1, true);
    // Both cores of the other are busy; what ends there makes room for a suspect, not for others.
    let busy = bench.runs();
    assert_eq!(launches(&bench.succeed(&busy[0])), Vec::<String>::new());
    let suspect = launches(&bench.succeed(&busy[1]));
    assert_eq!(suspect, [format!("0.{}@0", died[0])]);
    let next = launches(&bench.succeed(&format!("0.{}", died[0])));
    assert_eq!(next, [format!("0.{}@0", died[1])]);
    assert_eq!(launches(&bench.succeed(&format!("0.{}", died[1]))).len(), 2, "no suspect is left");
    bench.run_out();
    assert_eq!(bench.ended(0).as_deref(), Some(""));
}

#[test]
fn an_executor_that_was_taken_away_charges_nobody() {
    let mut bench = Bench::new(&[1]);
    bench.submit(job(0, &[last(0, 1, &[])]));
    for executor in 0..9 {
        let commands = bench.lose(executor, false);
        assert!(commands.iter().any(|c| matches!(c, Command::Settled { outcome: TaskOutcome::ExecutorLost, .. })));
        bench.add(executor + 1, 1);
    }
    bench.run_out();
    assert_eq!(bench.ended(0).as_deref(), Some(""));
}

#[test]
fn an_executor_that_is_silent_is_replaced_once() {
    let mut bench = Bench::new(&[1]);
    bench.submit(job(0, &[last(0, 1, &[])]));
    assert_eq!(bench.tick(15_000), []);
    let commands = bench.tick(1);
    assert!(matches!(commands.as_slice(), [Command::ReplaceExecutor { charge: true, .. }]), "{commands:?}");
    assert_eq!(bench.tick(1), []);
    bench.add(1, 1);
    bench.lose(0, true);
    bench.run_out();
    assert_eq!(bench.ended(0).as_deref(), Some(""));
}

#[test]
fn a_task_that_does_not_stop_has_its_executor_replaced() {
    let mut bench = Bench::with(Config { executor_silent_ms: u64::MAX, ..Config::default() }, &[1]);
    bench.submit(job(0, &[last(0, 1, &[])]));
    bench.cancel(0);
    bench.submit(job(1, &[last(1, 1, &[])]));
    assert_eq!(bench.runs(), ["0.0"], "its core is still taken");
    assert_eq!(bench.tick(10_000), []);
    let commands = bench.tick(1);
    assert!(matches!(commands.as_slice(), [Command::ReplaceExecutor { charge: false, .. }]), "{commands:?}");
    bench.stopped("0.0");
    assert!(bench.running.is_empty(), "nothing more is given to it");
    bench.lose(0, false);
    bench.add(1, 1);
    bench.run_out();
    assert_eq!(bench.ended(1).as_deref(), Some(""));
}

#[test]
fn a_task_that_stops_by_itself_has_failed() {
    let mut bench = Bench::new(&[1]);
    bench.submit(job(0, &[last(0, 1, &[])]));
    for _ in 0..4 {
        bench.stopped("0.0");
    }
    assert!(bench.ended(0).unwrap().contains("nobody had told it to"));
}

#[test]
fn a_success_without_its_output_is_a_failure() {
    let mut bench = Bench::new(&[1]);
    bench.submit(job(0, &[map(0, 1, &[]), last(1, 1, &[0])]));
    for _ in 0..4 {
        let task = bench.task("0.0");
        bench.end(task, TaskEnd::Success { place: None });
    }
    assert!(bench.ended(0).unwrap().contains("wrote no output"));
}
