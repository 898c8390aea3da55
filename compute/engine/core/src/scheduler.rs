//! The scheduler's state and its transitions.
//!
//! It is level-triggered: an event changes facts, and marks them as changed where that may matter to jobs; then the
//! [walk](walk) looks at what each job still lacks, from its last stage towards the shuffles that are not there, and has the
//! partitions that can run wait for executors; then [placing](place) gives them to executors with room. Nothing depends on
//! remembering why a task is wanted.
//!
//! What runs has what it needs until it says otherwise: outputs that are lost are made again when a task that is still to be
//! started reads them, not before.

mod executors;
mod index;
mod jobs;
mod outputs;
mod place;
mod rollback;
mod tasks;
mod types;
mod walk;

#[cfg(test)]
mod tests;

use crate::api::{Command, Config, DatasetId, Event, JobNumber, Outputs, PlaceId, ShuffleId, StageId, TaskKey};
use mammoth_protocol::Now;
use mammoth_protocol::jobs::ExecutorId;
use std::collections::{BTreeMap, BTreeSet};

pub(crate) use index::Entry;
pub(crate) use types::{Active, Executor, Job, Running, Settling, Shuffle, Stage};

/// The scheduler. See the crate's head.
#[derive(Debug)]
pub struct Scheduler {
    pub(crate) config: Config,
    pub(crate) now_ms: u64,
    pub(crate) executors: BTreeMap<ExecutorId, Executor>,
    /// Executors that are never listened to again.
    pub(crate) gone: BTreeSet<ExecutorId>,
    /// Hosts with executors that are used, and how many.
    pub(crate) hosts: BTreeMap<String, usize>,
    /// Executors by the cached blocks that they hold.
    pub(crate) holders: BTreeMap<(DatasetId, u32), BTreeSet<ExecutorId>>,
    pub(crate) stages: BTreeMap<StageId, Stage>,
    pub(crate) shuffles: BTreeMap<ShuffleId, Shuffle>,
    pub(crate) jobs: BTreeMap<JobNumber, Job>,
    /// Every launched task that has not ended, cancelled ones included.
    pub(crate) tasks: BTreeMap<TaskKey, Running>,
    /// Stages that are rolled back as soon as old readers have ended.
    pub(crate) settling: BTreeMap<StageId, Settling>,
    /// Launches so far when a place was lost: what was launched before may have left its output there.
    pub(crate) places_lost: BTreeMap<PlaceId, u64>,
    /// Launches so far: the order of launches and other facts.
    pub(crate) launches: u64,
    /// Stages with partitions that may be placed, the first job's first.
    pub(crate) order: Vec<StageId>,
    /// When partitions were last placed.
    pub(crate) placed_ms: u64,
    /// Waiting partitions that placing looked at so far: what it costs.
    pub(crate) looked: u64,
    /// Facts changed that the walk looks at.
    dirty: bool,
    /// Partitions wait for shuffles: a cached block that appears may free them.
    blocked: bool,
    out: Vec<Command>,
}

impl Scheduler {
    /// A scheduler without executors and jobs.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            config,
            now_ms: 0,
            executors: BTreeMap::new(),
            hosts: BTreeMap::new(),
            gone: BTreeSet::new(),
            holders: BTreeMap::new(),
            stages: BTreeMap::new(),
            shuffles: BTreeMap::new(),
            jobs: BTreeMap::new(),
            tasks: BTreeMap::new(),
            settling: BTreeMap::new(),
            places_lost: BTreeMap::new(),
            launches: 0,
            order: Vec::new(),
            placed_ms: 0,
            looked: 0,
            dirty: false,
            blocked: false,
            out: Vec::new(),
        }
    }

    /// Takes in what happened and says what is to be done, in order.
    pub fn handle(&mut self, now: Now, event: Event) -> Vec<Command> {
        self.now_ms = self.now_ms.max(now.monotonic_ms);
        let mere_sign_of_life = matches!(event, Event::ExecutorHeard { .. });
        self.take(event);
        while std::mem::take(&mut self.dirty) {
            self.walk();
        }
        if !mere_sign_of_life {
            self.place();
        }
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

    fn take(&mut self, event: Event) {
        match event {
            Event::ExecutorAdded { executor, host, cores } => self.executor_added(executor, host, cores),
            Event::ExecutorHeard { executor } => self.executor_heard(executor),
            Event::ExecutorLost { executor, reason, charge } => self.executor_lost(executor, &reason, charge),
            Event::PlaceLost { place } => self.place_lost(place),
            Event::BlocksChanged { executor, blocks } => self.blocks_changed(executor, &blocks),
            Event::JobSubmitted(spec) => self.job_submitted(spec),
            Event::JobCancelled { job, reason } => self.job_cancelled(job, reason),
            Event::TaskEnded { task, executor, end } => self.task_ended(task, executor, end),
            Event::CommitAsked { task, executor } => self.commit_asked(task, executor),
            Event::ShuffleReleased { shuffle } => self.shuffle_released(shuffle),
            Event::DatasetReleased { dataset } => self.dataset_released(dataset),
            Event::Tick => self.tick(),
        }
    }
}
