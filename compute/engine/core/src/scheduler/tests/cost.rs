//! What placing costs, in partitions that it looks at: in proportion to the tasks, whatever they wait for.

use crate::Scheduler;
use crate::api::{Command, Config, DatasetId, Event, JobSpec, StageSpec, TaskEnd, TaskKey};
use crate::testing::{job, last};
use mammoth_protocol::Now;
use mammoth_protocol::jobs::ExecutorId;
use std::collections::VecDeque;

const TASKS: u32 = 10_000;
/// Partitions looked at for each task: when it begins to wait, when a wait of it is over, when something of it changes, and
/// when it is launched.
const LOOKS: u64 = 6;

/// A scheduler and what runs, without a look at every invariant, which would cost more than anything here.
struct Mill {
    scheduler: Scheduler,
    now_ms: u64,
    running: VecDeque<(TaskKey, ExecutorId)>,
    done: u32,
}

impl Mill {
    /// Executors with so many cores each, on hosts `h0`…
    fn new(executors: u32, cores: u32) -> Self {
        let scheduler = Scheduler::new(Config { executor_silent_ms: u64::MAX, ..Config::default() });
        let mut mill = Self { scheduler, now_ms: 1, running: VecDeque::new(), done: 0 };
        for id in 0..executors {
            mill.event(Event::ExecutorAdded { executor: ExecutorId(id), host: format!("h{id}"), cores });
        }
        mill
    }

    fn event(&mut self, event: Event) {
        for command in self.scheduler.handle(Now { monotonic_ms: self.now_ms, wall_ms: 0 }, event) {
            if let Command::Launch { task, executor, .. } = command {
                self.running.push_back((task, executor));
            }
        }
    }

    /// Runs tasks to their ends, a millisecond each and each in its turn; every one caches its partition if `caches`. Partitions
    /// looked at.
    fn run(&mut self, spec: JobSpec, caches: bool) -> u64 {
        let before = self.scheduler.looked;
        self.event(Event::JobSubmitted(spec));
        while let Some((task, executor)) = self.running.pop_front() {
            self.now_ms += 1;
            if caches {
                let blocks = vec![(DatasetId(1), task.partition, true)];
                self.event(Event::BlocksChanged { executor, blocks });
            }
            self.event(Event::TaskEnded { task, executor, end: TaskEnd::Success { place: None } });
            self.done += 1;
        }
        self.scheduler.looked - before
    }
}

fn stage(hosts: impl Fn(u32) -> Vec<String>) -> StageSpec {
    StageSpec { hosts: (0..TASKS).map(hosts).collect(), ..last(0, TASKS, &[]) }
}

fn host(number: u32) -> String {
    format!("h{number}")
}

#[track_caller]
fn few(looked: u64) {
    assert!(looked >= u64::from(TASKS), "{looked} looks at {TASKS} tasks: nobody counts");
    assert!(looked <= LOOKS * u64::from(TASKS), "{looked} looks at {TASKS} tasks");
}

#[test]
fn executors_that_may_take_nothing_yet_cost_nothing() {
    let mut mill = Mill::new(4, 2);
    // All have their data on one host, whose executor is full, and no wait is ever over, as that one goes on taking them.
    let looked = mill.run(job(0, &[stage(|_| vec![host(0)])]), false);
    assert_eq!(mill.done, TASKS);
    few(looked);
}

#[test]
fn hosts_without_executors_cost_nothing() {
    let mut mill = Mill::new(4, 2);
    let looked = mill.run(job(0, &[stage(|at| vec![format!("away-{}", at % 7), "far".to_owned()])]), false);
    assert_eq!(mill.done, TASKS);
    few(looked);
}

#[test]
fn blocks_and_hosts_together_cost_no_more() {
    let mut mill = Mill::new(4, 2);
    let cached = StageSpec { cached: vec![DatasetId(2), DatasetId(1)], ..last(0, TASKS, &[]) };
    few(mill.run(job(0, &[cached]), true));
    // A third of the blocks goes; the rest is unevenly spread, and so is what is on hosts.
    for partition in (0..TASKS).step_by(3) {
        for executor in 0..4 {
            let blocks = vec![(DatasetId(1), partition, false)];
            mill.event(Event::BlocksChanged { executor: ExecutorId(executor), blocks });
        }
    }
    let hosts = |at: u32| match at % 5 {
        0 => Vec::new(),
        1 => vec![host(9)],
        _ => vec![host(0), host(at % 2)],
    };
    let mixed = StageSpec { cached: vec![DatasetId(2), DatasetId(1)], stage: crate::api::StageId(1), ..stage(hosts) };
    few(mill.run(job(1, &[mixed]), true));
    assert_eq!(mill.done, 2 * TASKS);
}
