//! The scheduler's state and its transitions.
//!
//! It is level-triggered: after every event [`Scheduler::advance`] looks at what each job still lacks, walks from its last stage
//! towards the shuffles that are not there, and gives the tasks of stages that can run to free executors. An event only changes
//! facts; nothing depends on remembering why a task is wanted.

mod events;
mod place;
mod walk;

#[cfg(test)]
mod tests;

use crate::api::{
    Command, Config, DatasetId, Event, JobFailure, JobNumber, JobSpec, OutputId, Outputs, ShuffleId, StageId, StageSpec, TaskKey,
};
use mammoth_protocol::Now;
use mammoth_protocol::jobs::ExecutorId;
use mammoth_protocol::jobs::event::TaskOutcome;
use std::collections::{BTreeMap, BTreeSet};

/// The scheduler. See the crate's head.
#[derive(Debug)]
pub struct Scheduler {
    config: Config,
    now_ms: u64,
    executors: BTreeMap<ExecutorId, Executor>,
    stages: BTreeMap<StageId, Stage>,
    shuffles: BTreeMap<ShuffleId, Shuffle>,
    jobs: BTreeMap<JobNumber, Job>,
    tasks: BTreeMap<TaskKey, Running>,
    out: Vec<Command>,
}

#[derive(Debug)]
struct Executor {
    host: String,
    cores: usize,
    heard_ms: u64,
    running: BTreeSet<TaskKey>,
    blocks: BTreeSet<(DatasetId, u32)>,
    /// It is to be replaced: nothing more is given to it.
    condemned: bool,
}

#[derive(Debug)]
struct Shuffle {
    stage: StageId,
    version: u64,
    maps: Vec<Option<OutputId>>,
}

#[derive(Debug)]
struct Stage {
    spec: StageSpec,
    /// Of the next submission.
    next_generation: u32,
    active: Option<Active>,
    /// Since the last success.
    fetch_failures: u32,
    /// By partition, over all generations.
    failures: BTreeMap<u32, u32>,
    /// Partitions whose executor died: tried alone.
    suspects: BTreeSet<u32>,
    /// Results that were accepted, of a last stage.
    accepted: BTreeSet<u32>,
}

/// A submission of a stage.
#[derive(Debug)]
struct Active {
    generation: u32,
    /// Partitions that wait, and since when.
    waiting: BTreeMap<u32, u64>,
    /// Partitions that run. A partition is in one of the two.
    running: BTreeMap<u32, TaskKey>,
    /// Next attempt of each partition.
    attempts: BTreeMap<u32, u32>,
    /// The attempt that may make its output visible.
    committing: BTreeMap<u32, TaskKey>,
}

#[derive(Debug)]
struct Job {
    spec: JobSpec,
    remaining: BTreeSet<u32>,
    /// Stages whose absence of work was told already.
    skipped: BTreeSet<StageId>,
}

#[derive(Debug)]
struct Running {
    executor: ExecutorId,
    /// When it was told to stop.
    cancelled_ms: Option<u64>,
}

impl Scheduler {
    /// A scheduler without executors and jobs.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            config,
            now_ms: 0,
            executors: BTreeMap::new(),
            stages: BTreeMap::new(),
            shuffles: BTreeMap::new(),
            jobs: BTreeMap::new(),
            tasks: BTreeMap::new(),
            out: Vec::new(),
        }
    }

    /// Takes in what happened and says what is to be done, in order.
    pub fn handle(&mut self, now: Now, event: Event) -> Vec<Command> {
        self.now_ms = self.now_ms.max(now.monotonic_ms);
        self.take(event);
        self.advance();
        std::mem::take(&mut self.out)
    }

    /// The outputs of a shuffle, as a task that is launched now must see them; `None` if no job needed it yet.
    #[must_use]
    pub fn outputs(&self, shuffle: ShuffleId) -> Option<Outputs> {
        let known = self.shuffles.get(&shuffle)?;
        Some(Outputs { version: known.version, maps: known.maps.clone() })
    }

    /// Whether [`Event::Tick`] may have an effect: there are tasks or jobs.
    #[must_use]
    pub fn wants_ticks(&self) -> bool {
        !self.jobs.is_empty() || !self.tasks.is_empty() || !self.executors.is_empty()
    }

    fn settle(&mut self, task: TaskKey, outcome: TaskOutcome) {
        let Some(running) = self.tasks.remove(&task) else { return };
        if let Some(executor) = self.executors.get_mut(&running.executor) {
            executor.running.remove(&task);
        }
        if let Some(active) = self.active_of(task) {
            if active.running.get(&task.partition) == Some(&task) {
                active.running.remove(&task.partition);
            }
            if active.committing.get(&task.partition) == Some(&task) && outcome != TaskOutcome::Success {
                active.committing.remove(&task.partition);
            }
        }
        self.out.push(Command::Settled { task, executor: running.executor, outcome });
    }

    /// The submission that a task belongs to, if it is the present one.
    fn active_of(&mut self, task: TaskKey) -> Option<&mut Active> {
        let active = self.stages.get_mut(&task.stage)?.active.as_mut()?;
        (active.generation == task.generation).then_some(active)
    }

    fn end_job(&mut self, job: JobNumber, failure: Option<JobFailure>) {
        let Some(ended) = self.jobs.remove(&job) else { return };
        let needed: BTreeSet<StageId> =
            self.jobs.values().flat_map(|job| job.spec.stages.iter().map(|stage| stage.stage)).collect();
        for spec in &ended.spec.stages {
            if !needed.contains(&spec.stage) {
                self.stop_stage(spec.stage);
            }
        }
        self.stages.remove(&ended.spec.result);
        self.out.push(Command::JobEnded { job, failure });
    }

    /// Ends a submission whose results nobody wants any more.
    fn stop_stage(&mut self, stage: StageId) {
        let Some(known) = self.stages.get_mut(&stage) else { return };
        known.failures.clear();
        known.suspects.clear();
        known.fetch_failures = 0;
        let Some(active) = known.active.take() else { return };
        for task in active.running.into_values() {
            self.cancel(task);
        }
    }

    fn cancel(&mut self, task: TaskKey) {
        let Some(running) = self.tasks.get_mut(&task) else { return };
        if running.cancelled_ms.is_none() {
            running.cancelled_ms = Some(self.now_ms);
            self.out.push(Command::Cancel { task, executor: running.executor });
        }
    }

    fn replace(&mut self, executor: ExecutorId, reason: String, charge: bool) {
        if let Some(known) = self.executors.get_mut(&executor)
            && !known.condemned
        {
            known.condemned = true;
            self.out.push(Command::ReplaceExecutor { executor, reason, charge });
        }
    }
}
