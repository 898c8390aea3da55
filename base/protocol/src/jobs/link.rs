//! Tasktracker and the process of an attempt or executor: JSON lines over the child's standard input, which is one end of a
//! socket pair. The end of the stream is the end of the other side: a child dies with its tracker, and a tracker sees at once
//! that a child is gone.

use super::counters::Counters;
use super::ids::{AppId, AttemptId, ExecutorId};
use super::resources::Resources;
use super::tracker::OutputEvent;
use crate::ids::Uuid;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Environment variable with the role that a program shall play; absent = driver. Never an argument, as those are the user's.
pub const ROLE_VARIABLE: &str = "MAMMOTH_ROLE";
/// Longest line.
pub const LINE_MAX: usize = 4 * 1024 * 1024;

/// What a job program is run as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Prints [`Description`] as one line of JSON and ends.
    Describe,
    /// Computes splits, stores and submits; the user's terminal.
    Driver,
    /// One attempt of a task.
    Task,
    /// An executor of the in-memory mode.
    Executor,
}

impl Role {
    /// The variable's value.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Describe => "describe",
            Self::Driver => "driver",
            Self::Task => "task",
            Self::Executor => "executor",
        }
    }

    /// The role of that name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        [Self::Describe, Self::Driver, Self::Task, Self::Executor].into_iter().find(|role| role.name() == name)
    }
}

/// What a program says that it can do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Version of this contract: 1.
    pub contract: u32,
    /// Names of its MapReduce jobs.
    pub jobs: Vec<String>,
    /// Names of its in-memory applications.
    pub apps: Vec<String>,
}

/// What a tracker says to its child. The first line is `Task` or `Executor`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "to", rename_all = "snake_case")]
pub enum ToChild {
    /// Be this attempt.
    Task(TaskAssignment),
    /// Be this executor.
    Executor(ExecutorAssignment),
    /// Where maps' outputs are, for a reduce; from event 0 on, each once, in order.
    Outputs {
        /// The next events.
        events: Vec<OutputEvent>,
    },
    /// The output may be made visible.
    CommitGranted,
    /// Stop; the process is killed soon after.
    Stop {
        /// Why.
        reason: String,
    },
}

/// One attempt of a task. All paths are absolute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskAssignment {
    /// Which.
    pub attempt: AttemptId,
    /// File with the job's specification, verified.
    pub spec: String,
    /// Working folder of the attempt; it goes with it.
    pub work_dir: String,
    /// Where a map leaves `<attempt>.data` and `<attempt>.index`; on the same file system as `work_dir`.
    pub shuffle_dir: String,
    /// Host name of the tracker.
    pub host: String,
    /// Number of maps of the job.
    pub maps: u32,
    /// Number of reduces of the job.
    pub reduces: u32,
    /// What was granted.
    pub resources: Resources,
}

/// An executor. All paths are absolute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutorAssignment {
    /// Its application.
    pub app: AppId,
    /// Which.
    pub executor: ExecutorId,
    /// `host:port` of the driver.
    pub driver: String,
    /// Shown to the driver, and demanded of it.
    pub secret: String,
    /// Working folder; it goes with the executor.
    pub work_dir: String,
    /// Where shuffle files are left; they outlive the executor.
    pub shuffle_dir: String,
    /// `host:port` of the tracker's shuffle server, which serves them.
    pub shuffle_server: String,
    /// Generation of that folder.
    pub generation: Uuid,
    /// Host name of the tracker.
    pub host: String,
    /// What was granted.
    pub resources: Resources,
    /// Settings of the application.
    pub settings: BTreeMap<String, String>,
}

/// What a child says to its tracker. Every line counts as a sign of life of an attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "snake_case")]
pub enum FromChild {
    /// How far it is; at least every few seconds while it makes progress.
    Progress {
        /// 0 to 1.
        progress: f32,
        /// What it is at.
        phase: String,
        /// So far.
        counters: Counters,
    },
    /// The output is written; may it be made visible?
    AskCommit,
    /// A map's output could not be had.
    FetchFailed {
        /// The map's attempt.
        map: AttemptId,
        /// What happened.
        reason: String,
    },
    /// The work is done; the process ends with status 0. Status 0 without this line is a failure.
    Done {
        /// In the end.
        counters: Counters,
        /// Bytes of each partition of a map's output.
        partitions: Vec<u64>,
    },
    /// The work failed; the process ends with another status.
    Failed {
        /// One line.
        reason: String,
    },
}
