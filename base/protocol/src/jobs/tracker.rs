//! Tasktracker and jobtracker, on the jobtracker's internal listener: JSON, the tracker always calls.
//!
//! One long poll at a time: it carries everything that the tracker holds, and comes back at once when there is an order. An
//! order whose effect is not in the next poll is given again; a poll with the sequence of the one before is answered with the
//! same orders. Nothing depends on a message that arrives once.

use super::counters::Counters;
use super::ids::{AppId, AttemptId, ExecutorId, JobId, TrackerEpoch, TrackerId};
use super::resources::Resources;
use super::spec::ProgramRef;
use crate::ids::Uuid;
use serde::{Deserialize, Serialize};

/// Routes of the internal listener.
pub mod routes {
    /// POST [`super::RegisterRequest`]: [`super::RegisterReply`].
    pub const REGISTER: &str = "/internal/v1/tracker/register";
    /// POST [`super::PollRequest`]: [`super::PollReply`]; 409 if the epoch is not the tracker's present one.
    pub const POLL: &str = "/internal/v1/tracker/poll";
    /// On the tracker's HTTP door, GET: what an attempt has said, as plain text. `{attempt}` stands for the attempt's id.
    pub const LOG: &str = "/tasklog?plaintext=true&attemptid={attempt}";
}

/// A tasktracker introduces itself; at start and whenever the jobtracker does not know its epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisterRequest {
    /// The tracker.
    pub tracker: TrackerId,
    /// Host name, as datanodes spell theirs, so that data can be near.
    pub host: String,
    /// `host:port` of its HTTP door: pages, logs and the shuffle.
    pub http: String,
    /// Identity of its folder of shuffle files: another one means that all files of before are gone.
    pub generation: Uuid,
    /// What it can grant.
    pub capacity: Resources,
    /// Version of the program.
    pub software: String,
}

/// The jobtracker takes a tracker in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisterReply {
    /// Every later message of the tracker carries it.
    pub epoch: TrackerEpoch,
    /// How long a poll may wait for orders, milliseconds.
    pub poll_wait_ms: u64,
    /// Silence after which the tracker is given up and its attempts run elsewhere, milliseconds. A tracker that could not
    /// reach the jobtracker for so long ends its attempts.
    pub expiry_ms: u64,
}

/// What a tracker holds, and the request for orders.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PollRequest {
    /// The tracker.
    pub tracker: TrackerId,
    /// From its registration.
    pub epoch: TrackerEpoch,
    /// From 1, in steps of 1; the same again when a reply was lost.
    pub seq: u64,
    /// Every attempt that it holds: running, and ended ones until the jobtracker says `Forget`.
    pub attempts: Vec<AttemptReport>,
    /// Every executor that it holds, likewise.
    pub executors: Vec<ExecutorReport>,
    /// Map outputs that its reduces could not fetch, since the last answered poll.
    pub fetch_failures: Vec<FetchFailure>,
    /// How many complaints of fetches this process has made before these: one that comes with two polls, as the first was not
    /// answered before the second was sent, is known by its number and counts once.
    pub fetch_failures_before: u64,
    /// Jobs whose reduces run here, and up to which event each knows the maps' outputs.
    pub wants_outputs: Vec<OutputsWanted>,
    /// Jobs whose files lie here; the answer names those that may go.
    pub jobs: Vec<JobId>,
    /// Applications whose files lie here, likewise.
    pub apps: Vec<AppId>,
    /// How long the jobtracker may wait for something to say, milliseconds.
    pub wait_ms: u64,
}

/// One attempt, as its tracker sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptReport {
    /// The attempt.
    pub attempt: AttemptId,
    /// Where it stands.
    pub state: AttemptPhase,
    /// Share of its work done, 0 to 1.
    pub progress: f32,
    /// What it is at: localize, map, sort, shuffle, merge, reduce, commit.
    pub phase: String,
    /// What it counted so far.
    pub counters: Counters,
    /// What it was granted: a jobtracker that does not know the attempt grants nothing of it to others until it has ended.
    #[serde(default)]
    pub resources: Resources,
}

/// Where an attempt stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AttemptPhase {
    /// Its program is fetched or started.
    Starting,
    /// It runs.
    Running,
    /// Its output is written; it asks whether it may commit.
    CommitPending,
    /// Done. A map of a job with reduces left its output with this tracker.
    Succeeded {
        /// Bytes of each partition of a map's output; empty where there is none.
        partitions: Vec<u64>,
    },
    /// It failed by itself.
    Failed {
        /// One line why, then the last lines of its standard error.
        reason: String,
    },
    /// It was ended by order, or with its tracker.
    Killed {
        /// Why.
        reason: String,
    },
}

/// A reduce could not get a map's output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchFailure {
    /// The reduce's attempt.
    pub reduce: AttemptId,
    /// The map's attempt whose output it was.
    pub map: AttemptId,
    /// What happened.
    pub reason: String,
}

/// A job and the number of its output events that a tracker knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputsWanted {
    /// The job.
    pub job: JobId,
    /// The first event that it lacks; 0 if it knows none, and after every registration.
    pub from: u64,
}

/// Orders.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PollReply {
    /// The poll that this answers.
    pub seq: u64,
    /// In order.
    pub orders: Vec<Order>,
}

/// What a tracker shall do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case")]
pub enum Order {
    /// Start an attempt, unless it is held already.
    Launch(LaunchAttempt),
    /// End an attempt; it is reported as killed.
    Kill {
        /// Which.
        attempt: AttemptId,
        /// Why, for its report.
        reason: String,
    },
    /// The attempt alone may make its output visible.
    GrantCommit {
        /// Which.
        attempt: AttemptId,
    },
    /// The end of the attempt is known; it need not be reported again.
    Forget {
        /// Which.
        attempt: AttemptId,
    },
    /// Where maps' outputs are.
    Outputs {
        /// The job.
        job: JobId,
        /// Position of the first event, which may be large from the start. If it is not the position that the tracker asked
        /// for, all that it knew of the job's outputs is void, and its list begins anew here.
        from: u64,
        /// At most 10,000.
        events: Vec<OutputEvent>,
    },
    /// Everything of the job may go: files, program copies in use by nobody, attempts.
    DropJob {
        /// Which.
        job: JobId,
    },
    /// Start an executor, unless it is held already.
    LaunchExecutor(LaunchExecutor),
    /// End an executor.
    KillExecutor {
        /// Its application.
        app: AppId,
        /// Which.
        executor: ExecutorId,
        /// Why.
        reason: String,
    },
    /// The end of the executor is known.
    ForgetExecutor {
        /// Its application.
        app: AppId,
        /// Which.
        executor: ExecutorId,
    },
    /// Everything of the application may go.
    DropApp {
        /// Which.
        app: AppId,
    },
}

/// An attempt to start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LaunchAttempt {
    /// Which.
    pub attempt: AttemptId,
    /// URI of the file system of the job.
    pub fs: String,
    /// Path of the job's specification in it.
    pub spec: String,
    /// SHA-256 of the specification, lower-case hex.
    pub spec_sha256: String,
    /// What to run.
    pub program: ProgramRef,
    /// In whose name.
    pub user: String,
    /// What it takes.
    pub resources: Resources,
    /// Number of maps of the job.
    pub maps: u32,
    /// Number of reduces of the job.
    pub reduces: u32,
    /// Silence after which it has failed, milliseconds; 0 = never.
    pub timeout_ms: u64,
}

/// An executor to start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LaunchExecutor {
    /// Its application.
    pub app: AppId,
    /// Which.
    pub executor: ExecutorId,
    /// URI of the file system where the program lies.
    pub fs: String,
    /// What to run: the image of the driver.
    pub program: ProgramRef,
    /// In whose name.
    pub user: String,
    /// What it takes.
    pub resources: Resources,
    /// `host:port` of the driver.
    pub driver: String,
    /// What the executor shows to its driver, and demands of it.
    pub secret: String,
    /// Settings of the application.
    pub settings: std::collections::BTreeMap<String, String>,
}

/// One executor, as its tracker sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutorReport {
    /// Its application.
    pub app: AppId,
    /// Which.
    pub executor: ExecutorId,
    /// Its process, once there is one.
    pub pid: Option<u32>,
    /// What it was granted; see [`AttemptReport::resources`].
    #[serde(default)]
    pub resources: Resources,
    /// Set once it has ended: why, with the last lines of its standard error.
    pub ended: Option<String>,
}

/// What happened to a map's output, in order. A later event about the same map replaces an earlier one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum OutputEvent {
    /// It can be fetched.
    Ready {
        /// The attempt that made it.
        attempt: AttemptId,
        /// `host:port` of the shuffle server.
        server: String,
        /// Generation of that server's folder.
        generation: Uuid,
    },
    /// It is gone; another attempt will make it again.
    Lost {
        /// The attempt that had made it.
        attempt: AttemptId,
    },
}
