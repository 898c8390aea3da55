//! What happened in an application of the in-memory mode: one JSON line each, from the driver to the jobtracker to the
//! history. Pages, history, comparison and tests are folds over them; there is no second path.

use super::ids::{AppId, ExecutorId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An event and when it happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TimedEvent {
    /// Milliseconds since 1970.
    pub at_ms: u64,
    /// What.
    #[serde(flatten)]
    pub event: AppEvent,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum AppEvent {
    /// The application began.
    AppStarted {
        /// Which.
        app: AppId,
        /// For people.
        name: String,
        /// Whose.
        user: String,
        /// `cluster`, `local[N]`, `local-cluster[n,c,m]`.
        master: String,
    },
    /// An executor is there.
    ExecutorAdded {
        /// Which.
        executor: ExecutorId,
        /// Its host.
        host: String,
        /// Tasks at a time.
        cores: u32,
        /// Its process.
        pid: u32,
    },
    /// An executor is gone.
    ExecutorLost {
        /// Which.
        executor: ExecutorId,
        /// Why.
        reason: String,
    },
    /// An action began.
    JobStarted {
        /// From 0.
        job: u32,
        /// The action: `collect`, `count` …
        action: String,
        /// `file:line` of the user's call.
        call_site: String,
        /// Stages that it may need, parents first.
        stages: Vec<u32>,
    },
    /// A stage, or part of one, was given to the scheduler of tasks.
    StageSubmitted {
        /// From 0.
        stage: u32,
        /// Which time, from 0.
        generation: u32,
        /// For people: the operations in it.
        name: String,
        /// Stages that it reads from.
        parents: Vec<u32>,
        /// The shuffle that it writes; none for the last stage of a job.
        shuffle: Option<u32>,
        /// Partitions to compute, which may be fewer than there are.
        partitions: Vec<u32>,
        /// All partitions.
        total: u32,
    },
    /// A stage was not needed, as its output exists.
    StageSkipped {
        /// Which.
        stage: u32,
    },
    /// A task was sent to an executor.
    TaskStarted {
        /// Its stage.
        stage: u32,
        /// See [`AppEvent::StageSubmitted`].
        generation: u32,
        /// Its partition.
        partition: u32,
        /// Which try at this partition in this generation, from 0.
        attempt: u32,
        /// Where.
        executor: ExecutorId,
        /// How near to its data: `process`, `node`, `any`.
        locality: String,
    },
    /// A task ended.
    TaskEnded {
        /// Its stage.
        stage: u32,
        /// See [`AppEvent::StageSubmitted`].
        generation: u32,
        /// Its partition.
        partition: u32,
        /// Which try.
        attempt: u32,
        /// Where.
        executor: ExecutorId,
        /// How.
        outcome: TaskOutcome,
        /// What it took.
        metrics: TaskMetrics,
    },
    /// Every partition of a stage is there.
    StageCompleted {
        /// Which.
        stage: u32,
        /// See [`AppEvent::StageSubmitted`].
        generation: u32,
    },
    /// Blocks of a cached dataset came or went on an executor.
    BlocksChanged {
        /// Where.
        executor: ExecutorId,
        /// (dataset, partition, bytes held now; 0 = gone).
        blocks: Vec<(u32, u32, u64)>,
    },
    /// An action ended.
    JobEnded {
        /// Which.
        job: u32,
        /// Nothing if it gave its result, else why not.
        failure: Option<String>,
    },
    /// The application ended.
    AppEnded {
        /// Nothing if it ended well.
        failure: Option<String>,
        /// Accumulators by name, as text.
        accumulators: BTreeMap<String, String>,
    },
}

/// How a task ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum TaskOutcome {
    /// Its result counts.
    Success,
    /// It did its work, but another attempt's result counts.
    Redundant,
    /// A shuffle output could not be had: no fault of the task.
    FetchFailed {
        /// The shuffle.
        shuffle: u32,
        /// The map partition.
        map: u32,
        /// What happened.
        reason: String,
    },
    /// It failed: message, file and line of a panic.
    Failed {
        /// Why.
        reason: String,
    },
    /// Its executor is gone.
    ExecutorLost,
    /// It was told to stop.
    Cancelled,
}

/// What a task took. Phases sum to the task's time, as far as they could be measured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskMetrics {
    /// Wall time, microseconds.
    pub wall_us: u64,
    /// Processor time, microseconds.
    pub cpu_us: u64,
    /// Microseconds by phase: read, compute, combine, sort, spill, shuffle write, shuffle read, merge, output.
    pub phases: BTreeMap<String, u64>,
    /// Bytes read from the distributed file system.
    pub dfs_read: u64,
    /// Bytes written to it.
    pub dfs_written: u64,
    /// Bytes that did not fit into memory and went to disk.
    pub spilled: u64,
    /// Bytes of shuffle output written.
    pub shuffle_written: u64,
    /// Bytes of shuffle output read.
    pub shuffle_read: u64,
    /// Records read from the file system, a shuffle or the cache.
    pub records_in: u64,
    /// Records given on.
    pub records_out: u64,
    /// Bytes of the result sent to the driver.
    pub result: u64,
    /// Most memory that the task had reserved, bytes.
    pub memory_peak: u64,
}
