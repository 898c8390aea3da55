//! The scheduler, event by event.

use super::*;
use crate::api::{Parent, PlaceId, TaskEnd};

const MAP: StageId = StageId(0);
const REDUCE: StageId = StageId(1);
const SHUFFLE: ShuffleId = ShuffleId(0);
const ONE: ExecutorId = ExecutorId(1);

fn job(maps: u32, reduces: u32) -> JobSpec {
    let map = StageSpec { stage: MAP, writes: Some(SHUFFLE), partitions: maps, ..StageSpec::default() };
    let parents = vec![Parent { shuffle: SHUFFLE, ..Parent::default() }];
    let reduce = StageSpec { stage: REDUCE, partitions: reduces, parents, ..StageSpec::default() };
    let partitions = (0..reduces).collect();
    JobSpec { job: JobNumber(0), stages: vec![map, reduce], result: REDUCE, partitions }
}

fn launched(commands: &[Command]) -> Vec<TaskKey> {
    let launch = |command: &Command| match command {
        Command::Launch { task, .. } => Some(*task),
        _ => None,
    };
    commands.iter().filter_map(launch).collect()
}

fn success(task: TaskKey) -> Event {
    let place = (task.stage == MAP).then_some(PlaceId(0));
    Event::TaskEnded { task, executor: ONE, end: TaskEnd::Success { place } }
}

fn started(cores: u32) -> Scheduler {
    let mut scheduler = Scheduler::new(Config::default());
    scheduler.handle(Now::default(), Event::ExecutorAdded { executor: ONE, host: "h".to_owned(), cores });
    scheduler
}

/// Runs everything that is launched until nothing is; returns all commands.
fn run_out(scheduler: &mut Scheduler, first: Vec<Command>) -> Vec<Command> {
    let mut todo = launched(&first);
    let mut all = first;
    while let Some(task) = todo.pop() {
        let next = scheduler.handle(Now::default(), success(task));
        todo.extend(launched(&next));
        all.extend(next);
    }
    all
}

#[test]
fn reduces_run_after_all_maps_and_the_job_ends_once() {
    let mut scheduler = started(2);
    let first = scheduler.handle(Now::default(), Event::JobSubmitted(job(3, 2)));
    assert_eq!(launched(&first).len(), 2, "two cores");
    let all = run_out(&mut scheduler, first);
    let order: Vec<StageId> = launched(&all).iter().map(|task| task.stage).collect();
    assert_eq!(order, [MAP, MAP, MAP, REDUCE, REDUCE]);
    let ends = all.iter().filter(|command| matches!(command, Command::JobEnded { failure: None, .. })).count();
    assert_eq!(ends, 1);
}

#[test]
fn a_second_job_skips_the_stage_whose_output_exists() {
    let mut scheduler = started(4);
    let first = scheduler.handle(Now::default(), Event::JobSubmitted(job(2, 1)));
    run_out(&mut scheduler, first);
    let mut again = job(2, 1);
    again.job = JobNumber(1);
    again.result = StageId(2);
    again.stages[1].stage = StageId(2);
    let commands = scheduler.handle(Now::default(), Event::JobSubmitted(again));
    assert!(commands.contains(&Command::StageSkipped { stage: MAP }));
    assert_eq!(launched(&commands).iter().map(|task| task.stage).collect::<Vec<_>>(), [StageId(2)]);
}

#[test]
fn a_failed_fetch_runs_that_map_again_and_no_other() {
    let mut scheduler = started(1);
    let mut commands = scheduler.handle(Now::default(), Event::JobSubmitted(job(3, 1)));
    let reduce = loop {
        let task = launched(&commands)[0];
        if task.stage == REDUCE {
            break task;
        }
        commands = scheduler.handle(Now::default(), success(task));
    };
    let output = scheduler.outputs(SHUFFLE).unwrap().maps[1];
    let end = TaskEnd::FetchFailed { shuffle: SHUFFLE, map: 1, output, reason: "gone".to_owned() };
    let commands = scheduler.handle(Now::default(), Event::TaskEnded { task: reduce, executor: ONE, end });
    let again = launched(&commands);
    assert_eq!(again.iter().map(|task| (task.stage, task.partition)).collect::<Vec<_>>(), [(MAP, 1)]);
    let all = run_out(&mut scheduler, commands);
    assert!(all.iter().any(|command| matches!(command, Command::JobEnded { failure: None, .. })));
}

#[test]
fn a_task_that_always_fails_fails_its_job_by_name() {
    let mut scheduler = started(1);
    let mut commands = scheduler.handle(Now::default(), Event::JobSubmitted(job(1, 1)));
    for _ in 0..4 {
        let task = launched(&commands)[0];
        let end = TaskEnd::Failed { reason: "boom".to_owned(), fatal: false };
        commands = scheduler.handle(Now::default(), Event::TaskEnded { task, executor: ONE, end });
    }
    let failure = commands.iter().find_map(|command| match command {
        Command::JobEnded { failure, .. } => failure.clone(),
        _ => None,
    });
    assert!(failure.unwrap().to_string().contains("boom"));
}

#[test]
fn one_attempt_is_granted_the_commit() {
    let mut scheduler = started(1);
    let mut commands = scheduler.handle(Now::default(), Event::JobSubmitted(job(1, 1)));
    let task = launched(&commands)[0];
    commands = scheduler.handle(Now::default(), Event::CommitAsked { task, executor: ONE });
    assert_eq!(commands, [Command::Commit { task, executor: ONE, granted: true }]);
    let other = TaskKey { attempt: 7, ..task };
    commands = scheduler.handle(Now::default(), Event::CommitAsked { task: other, executor: ONE });
    assert_eq!(commands, [Command::Commit { task: other, executor: ONE, granted: false }]);
}
