//! Outputs and executors are lost: what is lost, and only that, is computed again.

use crate::api::{Command, Event, PlaceId, TaskEnd};
use crate::testing::{Bench, job, last, launches, map};
use mammoth_protocol::jobs::event::TaskOutcome;

/// Three maps on executors 0, 1, 2, and two reduces that run.
fn reducing() -> Bench {
    let mut bench = Bench::new(&[1, 1, 1]);
    bench.submit(job(0, &[map(0, 3, &[]), last(1, 2, &[0])]));
    bench.run_stage(0);
    assert_eq!(bench.runs(), ["1.0", "1.1"]);
    bench
}

#[test]
fn a_failed_fetch_runs_that_map_again_and_no_other() {
    let mut bench = reducing();
    let commands = bench.fetch_fails("1.0", 0, 1);
    assert_eq!(launches(&commands).len(), 1);
    assert_eq!(bench.runs(), ["0.1", "1.1"]);
    bench.run_out();
    assert_eq!(bench.ended(0).as_deref(), Some(""));
    assert_eq!((bench.launches("0.0"), bench.launches("0.1"), bench.launches("0.2")), (1, 2, 1));
    assert_eq!((bench.launches("1.0"), bench.launches("1.1")), (2, 1));
}

#[test]
fn a_failed_fetch_is_no_fault_of_the_task() {
    let mut bench = reducing();
    for _ in 0..3 {
        bench.fail("1.0");
    }
    bench.fetch_fails("1.0", 0, 1);
    bench.run_out();
    assert_eq!(bench.ended(0).as_deref(), Some(""), "a fourth failure would have failed the job");
}

#[test]
fn rounds_of_failed_fetches_without_a_success_fail_the_job_by_name() {
    let mut bench = reducing();
    for round in 0..4 {
        assert_eq!(bench.ended(0), None, "round {round}");
        bench.fetch_fails("1.0", 0, 1);
        if round < 3 {
            bench.run_stage(0);
        }
    }
    let end = bench.ended(0).unwrap();
    assert!(end.contains("stage 1") && end.contains("4 times") && end.contains("refused"), "{end}");
}

#[test]
fn tasks_that_fail_of_the_same_loss_are_one_round() {
    let mut bench = Bench::new(&[9]);
    bench.submit(job(0, &[map(0, 2, &[]), last(1, 8, &[0])]));
    bench.run_stage(0);
    for reduce in 0..8 {
        let output = crate::api::OutputId::default();
        bench.fetch_of(&format!("1.{reduce}"), 0, 1, Some(output));
    }
    assert_eq!(bench.ended(0), None);
    bench.run_out();
    assert_eq!(bench.ended(0).as_deref(), Some(""));
    assert_eq!(bench.launches("0.1"), 2);
}

#[test]
fn a_success_between_failed_fetches_begins_the_count_anew() {
    let mut bench = Bench::new(&[1]);
    bench.submit(job(0, &[map(0, 1, &[]), last(1, 3, &[0])]));
    bench.run_stage(0);
    for reduce in 0..3 {
        for _ in 0..3 {
            bench.fetch_fails(&format!("1.{reduce}"), 0, 0);
            bench.run_stage(0);
        }
        bench.succeed(&format!("1.{reduce}"));
    }
    assert_eq!(bench.ended(0).as_deref(), Some(""));
}

#[test]
fn a_fetch_of_an_output_that_was_replaced_loses_nothing() {
    let mut bench = reducing();
    let old = bench.output(0, 1);
    bench.fetch_fails("1.0", 0, 1);
    bench.run_stage(0);
    let new = bench.output(0, 1);
    assert_ne!(old, new);
    bench.fetch_of("1.1", 0, 1, old);
    assert_eq!(bench.output(0, 1), new);
    bench.run_out();
    assert_eq!((bench.ended(0).as_deref(), bench.launches("0.1")), (Some(""), 2));
}

#[test]
fn a_lying_executor_does_not_keep_a_job_for_ever() {
    let mut bench = reducing();
    for _ in 0..4 {
        bench.fetch_of("1.0", 7, 99, None);
    }
    assert!(bench.ended(0).unwrap().contains("could not be fetched"));
}

#[test]
fn a_place_that_fails_round_after_round_is_given_up_as_a_whole() {
    let mut bench = Bench::new(&[1]);
    bench.submit(job(0, &[map(0, 6, &[]), last(1, 1, &[0])]));
    bench.run_stage(0);
    bench.fetch_fails("1.0", 0, 0);
    bench.run_stage(0);
    bench.fetch_fails("1.0", 0, 3);
    assert_eq!(bench.scheduler.outputs(crate::api::ShuffleId(0)).unwrap().maps, [None; 6]);
    bench.run_out();
    assert_eq!(bench.ended(0).as_deref(), Some(""));
}

#[test]
fn what_runs_goes_on_when_an_output_is_lost() {
    let mut bench = reducing();
    assert_eq!(launches(&bench.lose_place(1)), Vec::<String>::new(), "nothing that waits needs it");
    bench.run_out();
    assert_eq!((bench.ended(0).as_deref(), bench.launches("0.1")), (Some(""), 1));
    // The next job needs all of it.
    bench.submit(job(1, &[map(0, 3, &[]), last(2, 1, &[0])]));
    assert_eq!(bench.runs(), ["0.1"]);
    bench.run_out();
    assert_eq!(bench.ended(1).as_deref(), Some(""));
}

#[test]
fn a_lost_place_takes_all_outputs_in_it_and_nothing_else() {
    let mut bench = Bench::new(&[1, 1]);
    bench.submit(job(0, &[map(0, 4, &[]), map(1, 2, &[]), last(2, 1, &[0, 1])]));
    bench.run_stage(0);
    bench.lose_place(0);
    bench.run_out();
    assert_eq!(bench.ended(0).as_deref(), Some(""));
    let again = (0..4).filter(|map| bench.launches(&format!("0.{map}")) == 2).count();
    assert_eq!(again, 2, "each executor had made two");
}

#[test]
fn an_output_that_is_told_after_its_place_was_lost_is_lost() {
    let mut bench = Bench::new(&[1]);
    bench.submit(job(0, &[map(0, 1, &[]), last(1, 1, &[0])]));
    bench.lose_place(0);
    let commands = bench.succeed("0.0");
    assert!(commands.iter().any(|c| matches!(c, Command::Settled { outcome: TaskOutcome::Redundant, .. })));
    assert_eq!(bench.runs(), ["0.0"]);
    // The place may be used again.
    bench.run_out();
    assert_eq!(bench.ended(0).as_deref(), Some(""));
}

#[test]
fn losing_an_executor_loses_no_output() {
    let mut bench = reducing();
    bench.lose(2, true);
    bench.run_out();
    assert_eq!((bench.ended(0).as_deref(), bench.launches("0.2")), (Some(""), 1));
}

#[test]
fn reports_of_what_is_over_change_nothing() {
    let mut bench = reducing();
    let task = bench.task("1.0");
    let executor = bench.running[&task];
    let done = Event::TaskEnded { task, executor, end: TaskEnd::Success { place: None } };
    bench.event(done.clone());
    assert_eq!(bench.event(done), [], "twice");
    let other = bench.task("1.1");
    let place = Some(PlaceId(0));
    let elsewhere = TaskEnd::Success { place };
    assert_eq!(
        bench.event(Event::TaskEnded { task: other, executor: mammoth_protocol::jobs::ExecutorId(77), end: elsewhere }),
        []
    );
    bench.run_out();
    assert_eq!((bench.ended(0).as_deref(), bench.accepted("1.0")), (Some(""), 1));
}

#[test]
fn a_report_of_an_earlier_generation_is_redundant() {
    let mut bench = Bench::new(&[1, 1]);
    bench.submit(job(0, &[map(0, 1, &[]), last(1, 1, &[0])]));
    let old = bench.task("0.0");
    bench.cancel(0);
    bench.submit(job(1, &[map(0, 1, &[]), last(2, 1, &[0])]));
    let new = bench.task("0.0");
    assert_eq!((old.generation, new.generation), (0, 1));
    bench.succeed_task(old);
    assert_eq!(bench.output(0, 0), None);
    bench.succeed_task(new);
    assert_eq!(bench.output(0, 0).unwrap().generation, 1);
}

#[test]
fn a_lost_executor_does_not_come_back() {
    let mut bench = Bench::new(&[1]);
    bench.lose(0, true);
    bench.add(0, 1);
    assert_eq!(bench.submit(job(0, &[last(0, 1, &[])])).len(), 1, "submitted, not launched");
    bench.lose(5, true);
    bench.add(5, 1);
    assert!(bench.running.is_empty(), "not even one that was lost before it was there");
    bench.add(6, 1);
    bench.run_out();
    assert_eq!(bench.ended(0).as_deref(), Some(""));
}
