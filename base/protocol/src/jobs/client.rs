//! Clients and the jobtracker: JSON on its HTTP door, below `/api/v1`.

use super::counters::Counters;
use super::ids::{AttemptId, JobId, TaskId, TaskKind};
use serde::{Deserialize, Serialize};

/// Routes of the jobtracker's HTTP door. `{job}` stands for a job id.
pub mod routes {
    /// POST [`super::NewJobRequest`]: [`super::NewJobReply`]. Takes an id; nothing runs yet.
    pub const NEW_JOB: &str = "/api/v1/jobs/new";
    /// POST [`super::SubmitRequest`]: [`super::JobStatus`]. The same submission twice starts one job.
    /// GET: `Vec<`[`super::JobStatus`]`>`, newest first.
    pub const JOBS: &str = "/api/v1/jobs";
    /// GET `?version=V&wait_ms=W`: [`super::JobStatus`], at once if its version differs from V, else after at most W.
    pub const JOB: &str = "/api/v1/jobs/{job}";
    /// POST `{}`: [`super::JobStatus`].
    pub const KILL: &str = "/api/v1/jobs/{job}/kill";
    /// GET `?from=N`: [`super::AttemptEvents`], the ends of attempts in the order they became known.
    pub const EVENTS: &str = "/api/v1/jobs/{job}/events";
    /// GET `?from=N&max=M`: `Vec<`[`super::TaskStatus`]`>`, all of them without parameters.
    pub const TASKS: &str = "/api/v1/jobs/{job}/tasks";
    /// GET: `Vec<`[`super::TrackerStatus`]`>`.
    pub const TRACKERS: &str = "/api/v1/trackers";
    /// GET: [`super::ClusterStatus`].
    pub const STATUS: &str = "/api/v1/status";
}

/// Asks for a job id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewJobRequest {
    /// Who.
    pub user: String,
}

/// A job id and the folder to stage the job in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewJobReply {
    /// The id.
    pub job: JobId,
    /// Where the driver stores the [`super::spec::JobSpec`] as `spec`; it makes the folder.
    pub staging: String,
}

/// Hands a staged job over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubmitRequest {
    /// From [`NewJobReply`].
    pub job: JobId,
    /// Path of the stored specification.
    pub spec: String,
    /// SHA-256 of the specification's bytes, lower-case hex: a torn one is refused.
    pub sha256: String,
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum JobState {
    /// It has an id; nothing runs.
    Prep,
    /// Its tasks run.
    Running,
    /// Its output is complete and visible.
    Succeeded,
    /// It will not be; see the reason.
    Failed,
    /// Somebody ended it.
    Killed,
}

impl JobState {
    /// Whether nothing will change any more.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Killed)
    }

    /// The number that Hadoop's job lists print.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Running => 1,
            Self::Succeeded => 2,
            Self::Failed => 3,
            Self::Prep => 4,
            Self::Killed => 5,
        }
    }
}

/// One job, as clients and pages show it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobStatus {
    /// The job.
    pub job: JobId,
    /// For people.
    pub name: String,
    /// Whose.
    pub user: String,
    /// Where it stands.
    pub state: JobState,
    /// Grows with every change of anything here.
    pub version: u64,
    /// Share of the maps' work done, 0 to 1.
    pub map_progress: f32,
    /// Share of the reduces' work done, 0 to 1.
    pub reduce_progress: f32,
    /// Numbers of tasks.
    pub maps: TaskCounts,
    /// Numbers of tasks.
    pub reduces: TaskCounts,
    /// When it was submitted, milliseconds since 1970.
    pub submitted_ms: u64,
    /// When its first attempt started; 0 = not yet.
    pub started_ms: u64,
    /// When it ended; 0 = not yet.
    pub finished_ms: u64,
    /// Why it failed, or who killed it.
    pub reason: Option<String>,
    /// So far, or in the end.
    pub counters: Counters,
    /// Path of the output folder.
    pub output: Option<String>,
    /// Page about the job.
    pub tracking_url: String,
}

/// Tasks of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskCounts {
    /// All.
    pub total: u32,
    /// Waiting for a tasktracker.
    pub pending: u32,
    /// With a running attempt.
    pub running: u32,
    /// Done.
    pub done: u32,
    /// Attempts that failed.
    pub failed_attempts: u32,
    /// Attempts that were killed.
    pub killed_attempts: u32,
}

/// How an attempt ended, for `Task Id : …, Status : …` lines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptEvent {
    /// Position, from 0.
    pub seq: u64,
    /// The attempt.
    pub attempt: AttemptId,
    /// Where it stands, as Hadoop names it: SUCCEEDED, FAILED, KILLED, OBSOLETE.
    pub status: String,
    /// The last lines of what it said, and where its log is.
    pub text: String,
    /// Where it ran.
    pub tracker: String,
}

/// Events from a position on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptEvents {
    /// At most 1,000.
    pub events: Vec<AttemptEvent>,
}

/// One task with its attempts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskStatus {
    /// The task.
    pub task: TaskId,
    /// Map, reduce …
    pub kind: TaskKind,
    /// PENDING, RUNNING, COMMITTING, SUCCEEDED, FAILED, KILLED.
    pub state: String,
    /// 0 to 1.
    pub progress: f32,
    /// The split, for people.
    pub label: String,
    /// In order.
    pub attempts: Vec<AttemptStatus>,
}

/// One attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptStatus {
    /// The attempt.
    pub attempt: AttemptId,
    /// ASSIGNED, RUNNING, COMMIT_PENDING, SUCCEEDED, FAILED, KILLED.
    pub state: String,
    /// 0 to 1.
    pub progress: f32,
    /// What it is at: map, sort, shuffle, merge, reduce …
    pub phase: String,
    /// Host name of the tasktracker.
    pub host: String,
    /// Where its log is: a URL of the tasktracker.
    pub log: String,
    /// Milliseconds since 1970.
    pub started_ms: u64,
    /// 0 = not yet.
    pub finished_ms: u64,
    /// Why it failed, with its last lines.
    pub reason: Option<String>,
    /// What it counted.
    pub counters: Counters,
}

/// One tasktracker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrackerStatus {
    /// `tracker_<host>:<port>`.
    pub name: String,
    /// Host name.
    pub host: String,
    /// `host:port` of its HTTP door.
    pub http: String,
    /// Whether it is heard of.
    pub live: bool,
    /// What it can grant.
    pub capacity: super::Resources,
    /// What it has granted.
    pub used: super::Resources,
    /// Attempts that run.
    pub attempts: u32,
    /// Executors that run.
    pub executors: u32,
    /// Attempts that failed there, ever.
    pub failures: u32,
    /// Milliseconds since it was heard of.
    pub silent_ms: u64,
}

/// The whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterStatus {
    /// One sentence.
    pub health: String,
    /// Tasktrackers that are heard of.
    pub trackers_live: u32,
    /// Tasktrackers that are not.
    pub trackers_dead: u32,
    /// Of the live ones.
    pub capacity: super::Resources,
    /// Granted.
    pub used: super::Resources,
    /// Jobs that run or wait.
    pub jobs_active: u32,
    /// Jobs and applications that ended.
    pub jobs_ended: u32,
    /// Applications that run.
    pub apps_active: u32,
}
