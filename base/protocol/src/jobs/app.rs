//! Drivers of the in-memory mode and the jobtracker, as the cluster manager: JSON on its HTTP door.
//!
//! A driver that has not polled for its lease is gone: its executors are ended.

use super::event::TimedEvent;
use super::ids::{AppId, ExecutorId};
use super::resources::Resources;
use super::spec::ProgramRef;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Routes. `{app}` stands for an application id.
pub mod routes {
    /// POST [`super::NewAppRequest`]: [`super::NewAppReply`]. GET: `Vec<`[`super::AppStatus`]`>`, newest first.
    pub const APPS: &str = "/api/v1/apps";
    /// GET: [`super::AppStatus`].
    pub const APP: &str = "/api/v1/apps/{app}";
    /// POST [`super::AppPoll`]: [`super::AppPollReply`]; 404 if the application is not known (any more).
    pub const POLL: &str = "/api/v1/apps/{app}/poll";
    /// GET: the application's events as JSON lines.
    pub const EVENTS: &str = "/api/v1/apps/{app}/events";
    /// POST `{}`: [`super::AppStatus`].
    pub const KILL: &str = "/api/v1/apps/{app}/kill";
}

/// A driver asks for an application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewAppRequest {
    /// For people.
    pub name: String,
    /// Whose.
    pub user: String,
    /// URI of the file system where the program lies.
    pub fs: String,
    /// The driver's own image, stored before.
    pub program: ProgramRef,
    /// `host:port` where executors find the driver.
    pub driver: String,
    /// What executors show to the driver.
    pub secret: String,
    /// Settings that executors get.
    pub settings: BTreeMap<String, String>,
}

/// The application is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewAppReply {
    /// Which.
    pub app: AppId,
    /// A driver that does not poll for so long is gone, milliseconds.
    pub lease_ms: u64,
    /// How many executors of one core the cluster could grant in all.
    pub cluster: Resources,
}

/// "I live, and this is what I want." Every third of the lease, or as a long poll.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AppPoll {
    /// From 1; the same again when a reply was lost, and its events are then taken once.
    pub seq: u64,
    /// How many executors it wants now; those beyond are ended, youngest first, unless named in `release`.
    pub target: u32,
    /// What each takes.
    pub executor: Resources,
    /// Executors that it no longer wants or trusts; another takes the place if the target says so.
    pub release: Vec<ExecutorId>,
    /// What happened since.
    pub events: Vec<TimedEvent>,
    /// Set once, last: the application ended; nothing = well, else why not.
    pub ended: Option<AppEnd>,
    /// How long the jobtracker may wait for a change of the executors, milliseconds.
    pub wait_ms: u64,
    /// The version of [`AppPollReply`] that the driver knows.
    pub known: u64,
}

/// How an application ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppEnd {
    /// Nothing if well.
    pub failure: Option<String>,
}

/// The state of an application's executors.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppPollReply {
    /// Grows with every change.
    pub version: u64,
    /// All executors that are granted or ended lately.
    pub executors: Vec<ExecutorState>,
    /// Somebody ended the application: why.
    pub killed: Option<String>,
    /// Why there are fewer than wanted, if so: for the user's terminal.
    pub waiting: Option<String>,
}

/// One executor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutorState {
    /// Which.
    pub executor: ExecutorId,
    /// Host name of its tasktracker.
    pub host: String,
    /// What it has.
    pub resources: Resources,
    /// Set once it has ended: why.
    pub ended: Option<String>,
    /// It ended as its tasktracker is lost, and with that all that lay there.
    #[serde(default)]
    pub tracker_lost: bool,
}

/// One application, as clients and pages show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppStatus {
    /// Which.
    pub app: AppId,
    /// For people.
    pub name: String,
    /// Whose.
    pub user: String,
    /// RUNNING, SUCCEEDED, FAILED, KILLED.
    pub state: String,
    /// Milliseconds since 1970.
    pub started_ms: u64,
    /// 0 = not yet.
    pub finished_ms: u64,
    /// Why it failed.
    pub reason: Option<String>,
    /// Executors that run.
    pub executors: u32,
    /// Tasks done, from its events.
    pub tasks_done: u64,
    /// Tasks known, from its events.
    pub tasks_total: u64,
}
