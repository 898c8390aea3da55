//! What goes into the scheduler and what comes out.
//!
//! Every event may come twice or late: tasks are named by stage, generation, partition and attempt, outputs by the attempt that
//! made them, and an event about something that is no longer current changes nothing.

use mammoth_protocol::jobs::ExecutorId;
use mammoth_protocol::jobs::event::TaskOutcome;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Makes the ids of this module: numbers that the driver hands out, never twice within an application.
macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
            #[serde(transparent)]
            pub struct $name(pub u32);

            impl fmt::Display for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    self.0.fmt(f)
                }
            }
        )*
    };
}

ids! {
    /// An action: `collect`, `count` …
    JobNumber;
    /// A stage. One that writes a shuffle keeps its id over all jobs that need the shuffle; the last stage of a job is that
    /// job's own.
    StageId;
    /// A shuffle: the outputs of one stage, read by others.
    ShuffleId;
    /// A dataset that may be cached.
    DatasetId;
    /// A place where outputs lie and are served: a shuffle server and the generation of its folder. It outlives executors.
    PlaceId;
}

/// What a re-computation of the same partition gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Determinism {
    /// The same records in the same order.
    #[default]
    Determinate,
    /// The same records in any order.
    Unordered,
    /// Other records: outputs of two computations must never be mixed.
    Indeterminate,
}

/// One try at one partition of a stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TaskKey {
    /// The stage.
    pub stage: StageId,
    /// Which submission of the stage, from 0; grows whenever the stage, or a part of it, is submitted again.
    pub generation: u32,
    /// The partition.
    pub partition: u32,
    /// Which try at the partition in this generation, from 0.
    pub attempt: u32,
}

impl fmt::Display for TaskKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{} partition {} attempt {}", self.stage, self.generation, self.partition, self.attempt)
    }
}

/// The output of one partition of a stage that writes a shuffle: who made it, and where it lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OutputId {
    /// Generation of the stage whose task made it.
    pub generation: u32,
    /// Attempt of that task.
    pub attempt: u32,
    /// Where it lies.
    pub place: PlaceId,
}

impl OutputId {
    /// Name of the output's files: unique within the application, of letters, digits and `-` only.
    #[must_use]
    pub fn file_name(&self, shuffle: ShuffleId, map: u32) -> String {
        output_name(shuffle, map, self.generation, self.attempt)
    }
}

/// Name of the files that a task leaves: see [`OutputId::file_name`].
#[must_use]
pub fn output_name(shuffle: ShuffleId, map: u32, generation: u32, attempt: u32) -> String {
    format!("shuffle-{shuffle}-map-{map}-{generation}-{attempt}")
}

/// The outputs of a shuffle, as a task that reads it must see them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outputs {
    /// Grows with every change of `maps`, for copies elsewhere.
    pub version: u64,
    /// By partition of the stage that writes them; `None`: not there (yet, or any more).
    pub maps: Vec<Option<OutputId>>,
}

/// A stage reads a shuffle.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parent {
    /// Which.
    pub shuffle: ShuffleId,
    /// Datasets between the shuffle and the end of the stage, partitioned as the stage is: where one of them holds a
    /// partition, that partition does not need the shuffle.
    pub behind: Vec<DatasetId>,
    /// Partitions of the stage that read the shuffle at all; `None` = all.
    pub readers: Option<std::ops::Range<u32>>,
}

/// A stage: a run of operations without a shuffle between them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StageSpec {
    /// Which.
    pub stage: StageId,
    /// For people: the operations in it.
    pub name: String,
    /// The shuffle that it writes; `None`: the last stage of a job, whose tasks give results.
    pub writes: Option<ShuffleId>,
    /// Number of its partitions.
    pub partitions: u32,
    /// The shuffles that it reads.
    pub parents: Vec<Parent>,
    /// Whether a partition computed again is the same.
    pub determinism: Determinism,
    /// By partition, host names that hold its input, best first; empty, or as long as there are partitions.
    pub hosts: Vec<Vec<String>>,
    /// Datasets in it that are cached and partitioned as the stage is, the last ones first: a task runs best on an executor
    /// that holds its partition.
    pub cached: Vec<DatasetId>,
}

/// An action, as the driver submits it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobSpec {
    /// Which.
    pub job: JobNumber,
    /// Every stage that it may need, parents before children. Stages that the scheduler knows are the same as before, but for
    /// where their input lies and what of it is cached.
    pub stages: Vec<StageSpec>,
    /// The last stage.
    pub result: StageId,
    /// The partitions of it that are wanted.
    pub partitions: Vec<u32>,
}

/// How a task ended on its executor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskEnd {
    /// Well. A task of a stage that writes a shuffle left its output in `place`; the driver keeps the result of any other until
    /// it sees [`Command::Accept`] or [`Command::Settled`].
    Success {
        /// Where the output lies, if it wrote one.
        place: Option<PlaceId>,
    },
    /// The output of a map partition could not be had. No fault of the task.
    FetchFailed {
        /// The shuffle.
        shuffle: ShuffleId,
        /// The partition of the stage that writes it.
        map: u32,
        /// The output that was tried; `None`: the task was told of none.
        output: Option<OutputId>,
        /// What happened, for people.
        reason: String,
    },
    /// By itself: an error or a panic in it.
    Failed {
        /// One line, for people.
        reason: String,
        /// Whether another try must fail as well: the job fails at once.
        fatal: bool,
    },
    /// It stopped as it was told to.
    Cancelled,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An executor said hello.
    ExecutorAdded {
        /// Which.
        executor: ExecutorId,
        /// Its host name, as data locations spell it.
        host: String,
        /// Tasks at a time.
        cores: u32,
    },
    /// An executor lives. At least every second or so while it does.
    ExecutorHeard {
        /// Which.
        executor: ExecutorId,
    },
    /// An executor is gone, or will never be listened to again. The one way by which executors go.
    ExecutorLost {
        /// Which.
        executor: ExecutorId,
        /// Why, for people.
        reason: String,
        /// Whether a task in it may be why: each of its tasks is charged with a failure, and tried alone in an executor next.
        charge: bool,
    },
    /// Everything that lay in a place is gone.
    PlaceLost {
        /// Which.
        place: PlaceId,
    },
    /// Blocks of cached datasets came or went.
    BlocksChanged {
        /// Where.
        executor: ExecutorId,
        /// Dataset, partition, and whether it is held now.
        blocks: Vec<(DatasetId, u32, bool)>,
    },
    /// An action begins.
    JobSubmitted(JobSpec),
    /// Nobody waits for the action any more.
    JobCancelled {
        /// Which.
        job: JobNumber,
        /// Why, for people.
        reason: String,
    },
    /// A task ended.
    TaskEnded {
        /// Which.
        task: TaskKey,
        /// Where.
        executor: ExecutorId,
        /// How.
        end: TaskEnd,
    },
    /// A task wrote its output file and asks whether it may make it visible.
    CommitAsked {
        /// Which.
        task: TaskKey,
        /// Where.
        executor: ExecutorId,
    },
    /// Nothing can read the shuffle any more.
    ShuffleReleased {
        /// Which.
        shuffle: ShuffleId,
    },
    /// The dataset is no longer cached.
    DatasetReleased {
        /// Which.
        dataset: DatasetId,
    },
    /// Time went by.
    Tick,
}

/// How near a task runs to its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Locality {
    /// The executor holds the cached block.
    Process,
    /// The executor's host holds the data.
    Node,
    /// There is nothing to be near to, or waiting for it took too long.
    Any,
}

impl Locality {
    /// The name in events.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Node => "node",
            Self::Any => "any",
        }
    }
}

/// What the driver shall do, in order. None of these may be dropped; a message that carries one out is repeated until it
/// arrives or its executor is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Start a task.
    Launch {
        /// Which.
        task: TaskKey,
        /// Where.
        executor: ExecutorId,
        /// How near.
        locality: Locality,
        /// The shuffles that it reads, with their outputs as [`Scheduler::outputs`](crate::Scheduler::outputs) gives them now.
        inputs: Vec<ShuffleId>,
    },
    /// Tell a task to stop; its end is still reported.
    Cancel {
        /// Which.
        task: TaskKey,
        /// Where.
        executor: ExecutorId,
    },
    /// Answer to [`Event::CommitAsked`].
    Commit {
        /// Which.
        task: TaskKey,
        /// Where.
        executor: ExecutorId,
        /// Whether its output becomes visible; otherwise it is to be thrown away.
        granted: bool,
    },
    /// The task's work counts: its accumulators are added, and its result, if its stage is a job's last one, is the
    /// partition's. Once for each partition of a result stage; before [`Command::Settled`] of the task.
    Accept {
        /// Which.
        task: TaskKey,
        /// The job whose result it is.
        job: Option<JobNumber>,
    },
    /// A task is over. Once for every launched task; whatever the driver keeps of it may go.
    Settled {
        /// Which.
        task: TaskKey,
        /// Where.
        executor: ExecutorId,
        /// How.
        outcome: TaskOutcome,
    },
    /// A stage, or a part of it, will be computed.
    StageSubmitted {
        /// Which.
        stage: StageId,
        /// Which time.
        generation: u32,
        /// Partitions to compute.
        partitions: Vec<u32>,
    },
    /// A stage is not needed, as all of its output exists.
    StageSkipped {
        /// Which.
        stage: StageId,
    },
    /// All that was submitted of a stage is there.
    StageCompleted {
        /// Which.
        stage: StageId,
        /// Which time.
        generation: u32,
    },
    /// An action is over. Once for every submitted job.
    JobEnded {
        /// Which.
        job: JobNumber,
        /// Nothing if every wanted partition was accepted, else why not.
        failure: Option<JobFailure>,
    },
    /// Outputs that nothing will read may go from all places.
    DropShuffle {
        /// Which.
        shuffle: ShuffleId,
        /// Only outputs of generations before this one; `None`: all.
        before: Option<u32>,
    },
    /// Cached blocks of a dataset may go from all executors: what they were made from is computed anew, and will be different.
    DropDataset {
        /// Which.
        dataset: DatasetId,
    },
    /// The executor does not answer or does not stop a task: end its process and have another one started.
    /// [`Event::ExecutorLost`] follows.
    ReplaceExecutor {
        /// Which.
        executor: ExecutorId,
        /// Why, for people.
        reason: String,
        /// Passed on to [`Event::ExecutorLost`].
        charge: bool,
    },
}

/// Why a job failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JobFailure {
    /// A task failed too often, or in a way that no other try can mend.
    #[error("stage {stage} ({name}): partition {partition} failed {failures} time(s), the last one: {reason}")]
    TaskFailed {
        /// Its stage.
        stage: StageId,
        /// The stage's name.
        name: String,
        /// Its partition.
        partition: u32,
        /// How often.
        failures: u32,
        /// The last failure.
        reason: String,
    },
    /// Outputs of a shuffle were lost again and again.
    #[error("stage {stage} ({name}): its input could not be fetched {times} times in a row, the last one: {reason}")]
    FetchFailed {
        /// The stage that reads.
        stage: StageId,
        /// The stage's name.
        name: String,
        /// How often.
        times: u32,
        /// The last failure.
        reason: String,
    },
    /// An output was lost that cannot be made again as it was, after results that depend on it had left.
    #[error(
        "stage {stage} ({name}) does not give the same records twice: an output of it was lost after results had left"
    )]
    Indeterminate {
        /// The stage whose output was lost.
        stage: StageId,
        /// The stage's name.
        name: String,
    },
    /// It was cancelled.
    #[error("cancelled: {0}")]
    Cancelled(String),
    /// The driver submitted something that makes no sense.
    #[error("the plan makes no sense: {0}")]
    BadPlan(String),
}

/// What the scheduler is told at its start. Times are milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Failures of one partition that fail its job.
    pub task_failures_max: u32,
    /// Fetch failures of a stage without a success between them that fail its job.
    pub fetch_failures_max: u32,
    /// How long a task waits for an executor near to its data, at each level of nearness.
    pub locality_wait_ms: u64,
    /// Silence after which an executor is replaced.
    pub executor_silent_ms: u64,
    /// How long a cancelled task may take to stop before its executor is replaced.
    pub cancel_grace_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            task_failures_max: 4,
            fetch_failures_max: 4,
            locality_wait_ms: 3000,
            executor_silent_ms: 15_000,
            cancel_grace_ms: 10_000,
        }
    }
}
