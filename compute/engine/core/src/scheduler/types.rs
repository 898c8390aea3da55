//! What the scheduler knows of each thing.

use super::index::Index;
use crate::api::{DatasetId, JobSpec, OutputId, PlaceId, StageId, StageSpec, TaskKey};
use mammoth_protocol::jobs::ExecutorId;
use std::collections::{BTreeMap, BTreeSet};

/// An executor that is listened to.
#[derive(Debug)]
pub(crate) struct Executor {
    pub(crate) host: String,
    pub(crate) cores: usize,
    pub(crate) heard_ms: u64,
    pub(crate) running: BTreeSet<TaskKey>,
    pub(crate) blocks: BTreeSet<(DatasetId, u32)>,
    /// It is to be replaced: nothing more is given to it.
    pub(crate) condemned: bool,
}

/// The outputs of a stage.
#[derive(Debug)]
pub(crate) struct Shuffle {
    pub(crate) stage: StageId,
    pub(crate) version: u64,
    pub(crate) maps: Vec<Option<OutputId>>,
    /// Maps without an output.
    pub(crate) missing: BTreeSet<u32>,
    /// [`super::Scheduler::launches`] at the last change.
    pub(crate) changed_at: u64,
    /// Cached datasets that were ever computed from it.
    pub(crate) behind: BTreeSet<DatasetId>,
    /// Nothing will read it once the jobs that name it have ended.
    pub(crate) released: bool,
}

/// A stage that a job named. Those that write a shuffle stay until it is released, last stages go with their jobs.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) spec: StageSpec,
    /// Of the next submission.
    pub(crate) next_generation: u32,
    pub(crate) active: Option<Active>,
    /// By partition: failures since its last success.
    pub(crate) failures: BTreeMap<u32, u32>,
    /// Partitions whose executor died: tried alone.
    pub(crate) suspects: BTreeSet<u32>,
    pub(crate) fetches: Fetches,
    /// Of a last stage: results that were accepted.
    pub(crate) accepted: BTreeSet<u32>,
    /// Partitions of which an attempt was allowed to commit and did not say that it failed: their output may be visible.
    pub(crate) granted: BTreeSet<u32>,
}

/// Failed fetches of a stage since a task of it succeeded.
#[derive(Debug, Default)]
pub(crate) struct Fetches {
    /// Rounds of tasks in which fetches failed.
    pub(crate) rounds: u32,
    /// Launches up to this one belong to rounds that were counted.
    pub(crate) counted: u64,
    /// Places of the outputs that could not be had.
    pub(crate) places: BTreeSet<PlaceId>,
}

/// A submission of a stage.
#[derive(Debug)]
pub(crate) struct Active {
    pub(crate) generation: u32,
    /// Partitions that can run and wait for an executor.
    pub(crate) waiting: BTreeMap<u32, Waiting>,
    /// Those of them that have their data on a host.
    pub(crate) near: BTreeMap<String, BTreeSet<u32>>,
    /// And by who may take them.
    pub(crate) index: Index,
    /// Partitions that run. A partition is at most in one of the two.
    pub(crate) running: BTreeMap<u32, TaskKey>,
    /// Next attempt of each partition.
    pub(crate) attempts: BTreeMap<u32, u32>,
    /// The attempt that may make its output visible.
    pub(crate) committing: BTreeMap<u32, TaskKey>,
    /// When a task was last launched as near to its data as can be.
    pub(crate) near_ms: u64,
}

/// A partition that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) since_ms: u64,
    /// The only executors that can run it: they hold blocks of which the input is not there.
    pub(crate) bound: Option<BTreeSet<ExecutorId>>,
}

impl Active {
    pub(crate) fn new(generation: u32) -> Self {
        Self {
            generation,
            waiting: BTreeMap::new(),
            near: BTreeMap::new(),
            index: Index::default(),
            running: BTreeMap::new(),
            attempts: BTreeMap::new(),
            committing: BTreeMap::new(),
            near_ms: 0,
        }
    }

    /// Has a partition wait; one that waits already keeps its place.
    pub(crate) fn wait(&mut self, partition: u32, now_ms: u64, bound: Option<BTreeSet<ExecutorId>>, hosts: &[String]) {
        if let Some(waiting) = self.waiting.get_mut(&partition) {
            if waiting.bound != bound {
                waiting.bound = bound;
                self.index.mark(partition);
            }
            return;
        }
        self.waiting.insert(partition, Waiting { since_ms: now_ms, bound });
        self.index.mark(partition);
        for host in hosts {
            if let Some(near) = self.near.get_mut(host) {
                near.insert(partition);
            } else {
                self.near.insert(host.clone(), BTreeSet::from([partition]));
            }
        }
    }

    /// Takes a partition out of those that wait.
    pub(crate) fn unwait(&mut self, partition: u32, hosts: &[String]) {
        self.waiting.remove(&partition);
        self.index.remove(partition, hosts);
        for host in hosts {
            if let Some(near) = self.near.get_mut(host) {
                near.remove(&partition);
            }
        }
    }
}

impl Stage {
    pub(crate) fn hosts(&self, partition: u32) -> &[String] {
        self.spec.hosts.get(partition as usize).map(Vec::as_slice).unwrap_or_default()
    }
}

/// An action that has not ended.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) spec: JobSpec,
    /// Partitions of which no result was accepted.
    pub(crate) remaining: BTreeSet<u32>,
    /// Stages that it lacks something of, as of the last walk.
    pub(crate) needed: BTreeSet<StageId>,
    /// Stages that were submitted for it, or told to be skipped.
    pub(crate) told: BTreeSet<StageId>,
}

impl Job {
    pub(crate) fn names(&self, stage: StageId) -> bool {
        self.spec.stages.iter().any(|spec| spec.stage == stage)
    }
}

/// A launched task.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) executor: ExecutorId,
    /// Its place in the order of launches, from 1.
    pub(crate) launch: u64,
    /// It must be alone in its executor.
    pub(crate) alone: bool,
    /// When it was told to stop.
    pub(crate) cancelled_ms: Option<u64>,
}

/// An indeterminate stage that will be computed anew as soon as nothing lives that read its old outputs.
#[derive(Debug)]
pub(crate) struct Settling {
    /// Everything downstream.
    pub(crate) readers: BTreeSet<StageId>,
    /// Cached datasets made from the old outputs: blocks of them that still appear do not count.
    pub(crate) datasets: BTreeSet<DatasetId>,
}
