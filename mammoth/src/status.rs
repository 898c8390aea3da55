//! Whether a cluster is ready, asked of namenode and jobtracker as any other program would: by HTTP.

use crate::layout::{Plan, Role};
use mammoth_platform::{Deadline, SystemClock};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::net::SocketAddr;
use std::time::Duration;

/// What readiness needs to know of the namenode's `/api/v1/status`.
#[derive(Debug, Deserialize)]
pub struct Status {
    /// Its health.
    pub health: HealthPart,
    /// Its datanodes.
    pub datanodes: Vec<DatanodePart>,
}

/// The part of the health that matters here.
#[derive(Debug, Deserialize)]
pub struct HealthPart {
    /// `"Off"`, or why not.
    pub safe_mode: serde_json::Value,
}

/// The part of a datanode's state that matters here.
#[derive(Debug, Deserialize)]
pub struct DatanodePart {
    /// It sends heartbeats.
    pub live: bool,
    /// All its volumes have reported.
    pub reported: bool,
}

impl Status {
    /// Out of safe mode, and `datanodes` of them live and reported.
    #[must_use]
    pub fn ready(&self, datanodes: usize) -> bool {
        self.health.safe_mode == "Off" && self.reported() >= datanodes
    }

    fn reported(&self) -> usize {
        self.datanodes.iter().filter(|node| node.live && node.reported).count()
    }

    /// What is still missing, in words.
    #[must_use]
    pub fn waiting_for(&self, datanodes: usize) -> String {
        if self.health.safe_mode == "Off" {
            format!("{} of {datanodes} datanodes have reported", self.reported())
        } else {
            format!("the namenode is in safe mode: {}", self.health.safe_mode)
        }
    }
}

/// What readiness needs to know of the jobtracker's `/api/v1/status`.
#[derive(Debug, Deserialize)]
struct JobStatus {
    trackers_live: usize,
}

/// Waits until every daemon of a cluster is registered, has reported, and the namenode is out of safe mode; `alive` tells early
/// why that will never be.
///
/// # Errors
/// One line: time ran out, or `alive` said no.
pub fn wait_ready(plan: &Plan, limit: Duration, mut alive: impl FnMut() -> Result<(), String>) -> Result<(), String> {
    let deadline = Deadline::after(&SystemClock, limit);
    let namenode = plan.namenode().ok_or("the plan has no namenode")?;
    let files = StatusClient::new(namenode.addrs.http).map_err(|e| e.to_string())?;
    files.wait_ready(plan.count(Role::Datanode), limit, &mut alive).map_err(|e| e.to_string())?;
    let Some(jobtracker) = plan.jobtracker() else { return Ok(()) };
    let trackers = plan.count(Role::Tasktracker);
    let jobs = StatusClient::new(jobtracker.addrs.http).map_err(|e| e.to_string())?;
    let look = || match jobs.get::<JobStatus>() {
        Ok(status) if status.trackers_live >= trackers => Ok(()),
        Ok(status) => Err(format!("{} of {trackers} tasktrackers have registered", status.trackers_live)),
        Err(error) => Err(error),
    };
    poll(deadline, limit, look, alive).map_err(|e| e.to_string())
}

/// Looks again and again; `look` tells what is still missing.
fn poll(
    deadline: Deadline,
    limit: Duration,
    look: impl Fn() -> Result<(), String>,
    mut alive: impl FnMut() -> Result<(), String>,
) -> Result<(), NotReady> {
    let mut pause = Duration::from_millis(2);
    loop {
        alive().map_err(NotReady::Stopped)?;
        let Err(waiting) = look() else { return Ok(()) };
        if deadline.is_over(&SystemClock) {
            return Err(NotReady::Timeout { after: limit, waiting });
        }
        std::thread::sleep(pause.min(deadline.left(&SystemClock)));
        pause = (pause * 3 / 2).min(Duration::from_millis(50));
    }
}

/// Polls a daemon's `/api/v1/status`.
pub struct StatusClient {
    runtime: tokio::runtime::Runtime,
    http: reqwest::Client,
    url: String,
}

/// Why a cluster did not become ready.
#[derive(Debug, thiserror::Error)]
pub enum NotReady {
    /// The client itself could not be made.
    #[error("cannot ask the daemons: {0}")]
    Client(String),
    /// Time ran out.
    #[error("the cluster is not ready after {} s: {waiting}", after.as_secs())]
    Timeout {
        /// How long it had.
        after: Duration,
        /// What was missing at the end.
        waiting: String,
    },
    /// Somebody asked to stop, or a daemon ended.
    #[error("{0}")]
    Stopped(String),
}

impl StatusClient {
    /// A client for the daemon whose HTTP door is at `addr`.
    ///
    /// # Errors
    /// No resources for a runtime.
    pub fn new(addr: SocketAddr) -> Result<Self, NotReady> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| NotReady::Client(e.to_string()))?;
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(5))
            .build()
            .map_err(|e| NotReady::Client(e.to_string()))?;
        Ok(Self { runtime, http, url: format!("http://{addr}/api/v1/status") })
    }

    /// One look.
    ///
    /// # Errors
    /// Not reachable, or not a namenode.
    pub fn status(&self) -> Result<Status, String> {
        self.get()
    }

    fn get<T: DeserializeOwned>(&self) -> Result<T, String> {
        let get = async {
            let reply = self.http.get(&self.url).send().await?.error_for_status()?;
            reply.json::<T>().await
        };
        self.runtime.block_on(get).map_err(|e| format!("{}: {e}", self.url))
    }

    /// Waits until the cluster is ready; `alive` tells early why it never will be.
    ///
    /// # Errors
    /// Time ran out, or `alive` said no.
    pub fn wait_ready(
        &self,
        datanodes: usize,
        limit: Duration,
        alive: impl FnMut() -> Result<(), String>,
    ) -> Result<(), NotReady> {
        let look = || match self.status() {
            Ok(status) if status.ready(datanodes) => Ok(()),
            Ok(status) => Err(status.waiting_for(datanodes)),
            Err(error) => Err(error),
        };
        poll(Deadline::after(&SystemClock, limit), limit, look, alive)
    }
}
