//! The jobtracker's clients: submitting and watching jobs, and holding applications of the in-memory mode.

mod caller;

use crate::error::ClientError;
use caller::Caller;
use mammoth_protocol::jobs::app::{AppPoll, AppPollReply, AppStatus, NewAppReply, NewAppRequest, routes as app_routes};
use mammoth_protocol::jobs::client::{
    AttemptEvents, ClusterStatus, JobStatus, NewJobReply, NewJobRequest, SubmitRequest, TaskStatus, TrackerStatus,
    routes,
};
use mammoth_protocol::jobs::event::TimedEvent;
use mammoth_protocol::jobs::{AppId, JobId};
use std::sync::Arc;
use std::time::Duration;

/// One jobtracker. Cheap to clone; every call blocks. Calls work inside and outside any async runtime.
///
/// A call that finds nobody is tried again: for a second if the jobtracker was never reached, as its address may be wrong, for
/// half a minute if it was, as it may be restarting. All calls may be repeated: submissions by the job's id, polls by their
/// number.
#[derive(Clone, Debug)]
pub struct JobClient {
    caller: Arc<Caller>,
}

impl JobClient {
    /// A client of the jobtracker at `http://host:port` (or `host:port`). Connects at its first call.
    ///
    /// # Errors
    /// A text that names no jobtracker; a missing local resource.
    pub fn connect(address: &str) -> Result<Self, ClientError> {
        Ok(Self { caller: Arc::new(Caller::new(address)?) })
    }

    /// `host:port` of the jobtracker.
    #[must_use]
    pub fn address(&self) -> &str {
        self.caller.address()
    }

    /// Asks for a job id. Asking again after a lost answer leaves an id unused, which does no harm.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn new_job(&self, user: &str) -> Result<NewJobReply, ClientError> {
        self.caller.post(routes::NEW_JOB, &NewJobRequest { user: user.to_owned() })
    }

    /// Hands a staged job over; the same again does nothing.
    ///
    /// # Errors
    /// See [`ClientError`]; a specification that the jobtracker cannot read or does not take.
    pub fn submit(&self, request: &SubmitRequest) -> Result<JobStatus, ClientError> {
        self.caller.post(routes::JOBS, request)
    }

    /// Where a job stands.
    ///
    /// # Errors
    /// See [`ClientError`]; no such job.
    pub fn status(&self, job: JobId) -> Result<JobStatus, ClientError> {
        self.caller.get(&of_job(routes::JOB, job), Duration::ZERO)
    }

    /// Where a job stands, once that is no longer what `version` was, or after `wait_ms`.
    ///
    /// # Errors
    /// As [`Self::status`].
    pub fn wait_status(&self, job: JobId, version: u64, wait_ms: u64) -> Result<JobStatus, ClientError> {
        let route = format!("{}?version={version}&wait_ms={wait_ms}", of_job(routes::JOB, job));
        self.caller.get(&route, Duration::from_millis(wait_ms))
    }

    /// Ends a job. One that has ended stays as it is.
    ///
    /// # Errors
    /// As [`Self::status`].
    pub fn kill(&self, job: JobId) -> Result<JobStatus, ClientError> {
        self.caller.post(&of_job(routes::KILL, job), &serde_json::json!({}))
    }

    /// All jobs that the jobtracker remembers, newest first.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn jobs(&self) -> Result<Vec<JobStatus>, ClientError> {
        self.caller.get(routes::JOBS, Duration::ZERO)
    }

    /// The ends of a job's attempts, from a position on.
    ///
    /// # Errors
    /// As [`Self::status`].
    pub fn events(&self, job: JobId, from: u64) -> Result<AttemptEvents, ClientError> {
        self.caller.get(&format!("{}?from={from}", of_job(routes::EVENTS, job)), Duration::ZERO)
    }

    /// A job's tasks with their attempts.
    ///
    /// # Errors
    /// As [`Self::status`].
    pub fn tasks(&self, job: JobId) -> Result<Vec<TaskStatus>, ClientError> {
        self.caller.get(&of_job(routes::TASKS, job), Duration::ZERO)
    }

    /// All tasktrackers.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn trackers(&self) -> Result<Vec<TrackerStatus>, ClientError> {
        self.caller.get(routes::TRACKERS, Duration::ZERO)
    }

    /// The whole in figures.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn cluster(&self) -> Result<ClusterStatus, ClientError> {
        self.caller.get(routes::STATUS, Duration::ZERO)
    }

    /// Asks for an application. One whose answer is lost ends by itself, as nobody polls for it.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn new_app(&self, request: &NewAppRequest) -> Result<NewAppReply, ClientError> {
        self.caller.post(app_routes::APPS, request)
    }

    /// Keeps an application alive, and says what it wants.
    ///
    /// # Errors
    /// See [`ClientError`]; an application that the jobtracker does not know (any more).
    pub fn poll_app(&self, app: AppId, poll: &AppPoll) -> Result<AppPollReply, ClientError> {
        let waits = Duration::from_millis(poll.wait_ms);
        self.caller.post_waiting(&of_app(app_routes::POLL, app), poll, waits)
    }

    /// One application.
    ///
    /// # Errors
    /// See [`ClientError`]; no such application.
    pub fn app(&self, app: AppId) -> Result<AppStatus, ClientError> {
        self.caller.get(&of_app(app_routes::APP, app), Duration::ZERO)
    }

    /// All applications that the jobtracker remembers, newest first.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn apps(&self) -> Result<Vec<AppStatus>, ClientError> {
        self.caller.get(app_routes::APPS, Duration::ZERO)
    }

    /// Everything that happened in an application so far.
    ///
    /// # Errors
    /// As [`Self::app`].
    pub fn app_events(&self, app: AppId) -> Result<Vec<TimedEvent>, ClientError> {
        self.caller.get_lines(&of_app(app_routes::EVENTS, app))
    }

    /// Ends an application.
    ///
    /// # Errors
    /// As [`Self::app`].
    pub fn kill_app(&self, app: AppId) -> Result<AppStatus, ClientError> {
        self.caller.post(&of_app(app_routes::KILL, app), &serde_json::json!({}))
    }
}

fn of_job(route: &str, job: JobId) -> String {
    route.replace("{job}", &job.to_string())
}

fn of_app(route: &str, app: AppId) -> String {
    route.replace("{app}", &app.to_string())
}
