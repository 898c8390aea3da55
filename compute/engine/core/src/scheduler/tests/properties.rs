//! Whatever happens in whatever order: every invariant holds (the bench looks after every event), results come once, and when
//! nothing more goes wrong every job ends.

use crate::api::{DatasetId, Determinism, Event, JobSpec, ShuffleId, StageSpec, TaskEnd};
use crate::testing::{Bench, job, last, map};
use mammoth_protocol::jobs::ExecutorId;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Submit(u32),
    Cancel(u32),
    Succeed(usize),
    Fail(usize),
    Fetch(usize, u32),
    Stopped(usize),
    Repeat(usize),
    Commit(usize),
    Add(u32),
    Lose(usize, bool),
    Place(u32),
    Block(usize, u32, bool),
    Release(u32),
    Tick(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0_u32..6).prop_map(Step::Submit),
        1 => (0_u32..6).prop_map(Step::Cancel),
        12 => any::<usize>().prop_map(Step::Succeed),
        2 => any::<usize>().prop_map(Step::Fail),
        3 => (any::<usize>(), 0_u32..4).prop_map(|(task, map)| Step::Fetch(task, map)),
        2 => any::<usize>().prop_map(Step::Stopped),
        1 => any::<usize>().prop_map(Step::Repeat),
        1 => any::<usize>().prop_map(Step::Commit),
        2 => (1_u32..4).prop_map(Step::Add),
        1 => (any::<usize>(), any::<bool>()).prop_map(|(executor, charge)| Step::Lose(executor, charge)),
        1 => (0_u32..6).prop_map(Step::Place),
        2 => (any::<usize>(), 0_u32..3, any::<bool>()).prop_map(|(at, block, held)| Step::Block(at, block, held)),
        1 => (0_u32..3).prop_map(Step::Release),
        2 => (0_u64..6_000).prop_map(Step::Tick),
    ]
}

/// Job `number` over stages that several jobs share: one plain, one indeterminate, one that reads both.
fn plan(number: u32) -> JobSpec {
    let random = StageSpec { determinism: Determinism::Indeterminate, ..map(1, 2, &[]) };
    let mut result = last(10 + number, 3, &[if number.is_multiple_of(2) { 2 } else { 1 }]);
    result.cached = vec![DatasetId(1)];
    result.parents[0].behind = vec![DatasetId(1)];
    job(number, &[map(0, 3, &[]), random, map(2, 2, &[0, 1]), result])
}

fn apply(bench: &mut Bench, step: Step, submitted: &mut Vec<u32>) {
    let task = |at: usize| bench.running.keys().nth(at % bench.running.len().max(1)).copied();
    let executor =
        |at: usize| bench.scheduler.executors.keys().nth(at % bench.scheduler.executors.len().max(1)).copied();
    match step {
        Step::Submit(number) if !submitted.contains(&number) => {
            submitted.push(number);
            bench.submit(plan(number));
        }
        Step::Submit(_) => {}
        Step::Cancel(number) => drop(bench.cancel(number)),
        Step::Succeed(at) => drop(task(at).map(|task| bench.succeed_task(task))),
        Step::Fail(at) => {
            let end = TaskEnd::Failed { reason: "boom".to_owned(), fatal: false };
            drop(task(at).map(|task| bench.end(task, end)));
        }
        Step::Fetch(at, map) => {
            let shuffle = task(at).map_or(0, |task| if task.stage.0 < 3 { map % 2 } else { 1 + map % 2 });
            let maps = bench.scheduler.outputs(ShuffleId(shuffle)).map_or(0, |outputs| outputs.maps.len());
            let output = if (map as usize) < maps { bench.output(shuffle, map) } else { None };
            let end = TaskEnd::FetchFailed { shuffle: ShuffleId(shuffle), map, output, reason: "gone".to_owned() };
            drop(task(at).map(|task| bench.end(task, end)));
        }
        Step::Stopped(at) => drop(task(at).map(|task| bench.end(task, TaskEnd::Cancelled))),
        Step::Repeat(at) => {
            if let Some((task, executor)) = bench.running.iter().nth(at % bench.running.len().max(1)) {
                let (task, executor) = (*task, *executor);
                bench.succeed_task(task);
                let again = Event::TaskEnded { task, executor, end: TaskEnd::Success { place: None } };
                assert_eq!(bench.event(again), []);
            }
        }
        Step::Commit(at) => {
            if let Some((task, executor)) = bench.running.iter().nth(at % bench.running.len().max(1)) {
                let (task, executor) = (*task, *executor);
                bench.event(Event::CommitAsked { task, executor });
            }
        }
        Step::Add(cores) => {
            let next =
                bench.scheduler.gone.last().max(bench.scheduler.executors.keys().last()).map_or(0, |id| id.0 + 1);
            bench.add(next, cores);
        }
        Step::Lose(at, charge) => drop(executor(at).map(|id| bench.lose(id.0, charge))),
        Step::Place(place) => drop(bench.lose_place(place)),
        Step::Block(at, partition, held) => drop(executor(at).map(|id| bench.block(id.0, 1, partition, held))),
        Step::Release(shuffle) => drop(bench.event(Event::ShuffleReleased { shuffle: ShuffleId(shuffle) })),
        Step::Tick(later_ms) => {
            let ids: Vec<ExecutorId> = bench.scheduler.executors.keys().copied().collect();
            for executor in ids {
                bench.event(Event::ExecutorHeard { executor });
            }
            bench.tick(later_ms);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_job_ends_and_every_result_comes_once(steps in prop::collection::vec(step(), 1..150)) {
        let mut bench = Bench::new(&[2, 1]);
        let mut submitted = Vec::new();
        for step in steps {
            apply(&mut bench, step, &mut submitted);
        }
        bench.add(1000, 2);
        bench.run_out();
        for _ in 0..3 {
            bench.tick(6_000);
            bench.run_out();
        }
        for number in submitted {
            let end = bench.ended(number);
            prop_assert!(end.is_some(), "job {number} has not ended");
            for partition in 0..3 {
                let accepted = bench.accepted(&format!("{}.{partition}", 10 + number));
                prop_assert!(accepted <= 1 && (accepted == 1 || end.as_deref() != Some("")));
            }
        }
    }

    #[test]
    fn the_same_events_give_the_same_commands(steps in prop::collection::vec(step(), 1..80)) {
        let run = || {
            let mut bench = Bench::new(&[2, 1]);
            let mut submitted = Vec::new();
            for step in steps.clone() {
                apply(&mut bench, step, &mut submitted);
            }
            bench.said
        };
        prop_assert_eq!(run(), run());
    }
}
