//! Jobs are cancelled, commits are granted, and what nobody needs goes.

use crate::api::{Command, DatasetId, Event, ShuffleId, StageId, TaskKey};
use crate::testing::{Bench, job, last, map};
use mammoth_protocol::jobs::ExecutorId;

#[test]
fn a_cancelled_job_ends_at_once_and_its_tasks_are_told_to_stop() {
    let mut bench = Bench::new(&[2]);
    bench.submit(job(0, &[map(0, 2, &[]), last(1, 1, &[0])]));
    let commands = bench.cancel(0);
    assert_eq!(commands.iter().filter(|command| matches!(command, Command::Cancel { .. })).count(), 2);
    assert_eq!(bench.ended(0).as_deref(), Some("cancelled: no more"));
    assert_eq!(bench.cancel(0), [], "twice");
    // One of them was done already.
    bench.succeed("0.0");
    bench.stopped("0.1");
    assert_eq!(bench.output(0, 0), None);
    assert!(!bench.scheduler.stages.contains_key(&StageId(1)));
}

#[test]
fn a_stage_that_another_job_names_goes_on() {
    let mut bench = Bench::new(&[2]);
    bench.submit(job(0, &[map(0, 2, &[]), last(1, 1, &[0])]));
    bench.submit(job(1, &[map(0, 2, &[]), last(2, 1, &[0])]));
    assert!(!bench.cancel(0).iter().any(|command| matches!(command, Command::Cancel { .. })));
    bench.run_out();
    assert_eq!((bench.ended(1).as_deref(), bench.launches("0.0")), (Some(""), 1));
}

fn ask(bench: &mut Bench, task: TaskKey, executor: u32) -> bool {
    match bench.event(Event::CommitAsked { task, executor: ExecutorId(executor) }).as_slice() {
        [Command::Commit { granted, .. }] => *granted,
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_the_attempt_that_runs_may_commit() {
    let mut bench = Bench::new(&[1]);
    bench.submit(job(0, &[last(0, 1, &[])]));
    let task = bench.task("0.0");
    assert!(!ask(&mut bench, task, 9), "from elsewhere");
    assert!(!ask(&mut bench, TaskKey { attempt: 7, ..task }, 0), "of another attempt");
    assert!(ask(&mut bench, task, 0));
    assert!(ask(&mut bench, task, 0), "again");
    bench.fail("0.0");
    assert!(!ask(&mut bench, task, 0), "after its end");
    let next = bench.task("0.0");
    assert!(ask(&mut bench, next, 0), "the one before left nothing");
    bench.cancel(0);
    assert!(!ask(&mut bench, next, 0), "of a job that was cancelled");
}

#[test]
fn a_released_shuffle_goes_when_no_job_names_it() {
    let mut bench = Bench::new(&[1]);
    bench.submit(job(0, &[map(0, 1, &[]), last(1, 1, &[0])]));
    bench.succeed("0.0");
    let dropped = Command::DropShuffle { shuffle: ShuffleId(0), before: None };
    assert_eq!(bench.event(Event::ShuffleReleased { shuffle: ShuffleId(0) }), [], "the job reads it");
    bench.run_out();
    assert!(bench.said.contains(&dropped));
    assert!(bench.scheduler.stages.is_empty() && bench.scheduler.shuffles.is_empty());
    assert_eq!(bench.event(Event::ShuffleReleased { shuffle: ShuffleId(0) }), []);
}

#[test]
fn a_stage_that_comes_back_does_not_take_its_old_tasks_for_new_ones() {
    let mut bench = Bench::new(&[1, 1]);
    bench.submit(job(0, &[map(0, 1, &[]), last(1, 1, &[0])]));
    let old = bench.task("0.0");
    bench.cancel(0);
    bench.event(Event::ShuffleReleased { shuffle: ShuffleId(0) });
    bench.submit(job(1, &[map(0, 1, &[]), last(2, 1, &[0])]));
    assert_ne!(bench.task("0.0"), old);
    bench.run_out();
    assert_eq!(bench.ended(1).as_deref(), Some(""));
}

#[test]
fn blocks_of_a_released_dataset_are_forgotten() {
    let mut bench = Bench::new(&[1]);
    bench.block(0, 1, 0, true);
    bench.block(0, 2, 0, true);
    bench.event(Event::DatasetReleased { dataset: DatasetId(1) });
    assert_eq!(bench.scheduler.holders.keys().copied().collect::<Vec<_>>(), [(DatasetId(2), 0)]);
}

#[test]
fn ticks_are_wanted_while_there_is_something() {
    let mut bench = Bench::new(&[]);
    assert!(!bench.scheduler.wants_ticks());
    bench.submit(job(0, &[last(0, 1, &[])]));
    assert!(bench.scheduler.wants_ticks());
    bench.cancel(0);
    assert!(!bench.scheduler.wants_ticks());
}
