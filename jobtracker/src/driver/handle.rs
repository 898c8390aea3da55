//! How the doors reach the driver.

use super::ask::Ask;
use mammoth_jobtracker_core::State;
use mammoth_jobtracker_core::api::{Command, Reply};
use mammoth_protocol::jobs::app::{AppPoll, AppPollReply};
use mammoth_protocol::jobs::client::JobStatus;
use mammoth_protocol::jobs::spec::JobSpec;
use mammoth_protocol::jobs::tracker::{PollReply, PollRequest, RegisterReply, RegisterRequest};
use mammoth_protocol::jobs::{AppId, JobId};
use mammoth_protocol::{FsError, Now};
use mammoth_web::inbox::Lane;
use mammoth_web::mailbox::{Mailbox, Way};
use std::sync::Arc;

/// Asks the driver; clones ask the same one. Every call waits for a place in the queue, then for its answer, which leaves only
/// when all that it depends on is durable.
///
/// All calls fail with the core's refusal, or with [`mammoth_protocol::ErrorCode::Retriable`] while the jobtracker ends.
#[derive(Clone)]
pub struct DriverHandle {
    pub(crate) mailbox: Mailbox<Ask>,
}

impl Default for DriverHandle {
    fn default() -> Self {
        Self { mailbox: Mailbox::new("jobtracker") }
    }
}

impl DriverHandle {
    /// Wants a change.
    ///
    /// # Errors
    /// See the type.
    pub async fn command(&self, command: Command) -> Result<Reply, FsError> {
        self.mailbox.ask(Lane::Client, |answer| Ask::Command { command, answer }).await
    }

    /// Looks at the state.
    ///
    /// # Errors
    /// See the type.
    pub async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&State, Now) -> T + Send + 'static,
    ) -> Result<T, FsError> {
        let ask = |answer: Way<T>| {
            Ask::Look(Box::new(move |state, now| {
                let seen = look(state, now);
                Box::new(move || drop(answer.send(Ok(seen))))
            }))
        };
        self.mailbox.ask(Lane::Client, ask).await
    }

    /// Where a job stands, once that is no longer what `version` was, or after `wait_ms`.
    ///
    /// # Errors
    /// See the type; no such job.
    pub async fn watch_job(&self, job: JobId, version: u64, wait_ms: u64) -> Result<JobStatus, FsError> {
        self.mailbox.ask(Lane::Client, |answer| Ask::WatchJob { job, version, wait_ms, answer }).await
    }

    /// Takes a tasktracker in.
    ///
    /// # Errors
    /// See the type.
    pub async fn register(&self, request: RegisterRequest) -> Result<RegisterReply, FsError> {
        self.mailbox.ask(Lane::Daemon, |answer| Ask::Register { request, answer }).await
    }

    /// Tells what a tasktracker holds, and waits for orders; nothing if it must register.
    ///
    /// # Errors
    /// See the type.
    pub async fn poll(&self, request: PollRequest) -> Result<Option<PollReply>, FsError> {
        self.mailbox.ask(Lane::Daemon, |answer| Ask::Poll { request, answer }).await
    }

    /// A driver lives. Its events are not looked at; `tasks` is what all that were stored say: tasks done, and tasks known.
    ///
    /// # Errors
    /// See the type; no such application.
    pub async fn poll_app(
        &self,
        app: AppId,
        poll: AppPoll,
        tasks: Option<(u64, u64)>,
    ) -> Result<AppPollReply, FsError> {
        self.mailbox.ask(Lane::Daemon, |answer| Ask::AppPoll { app, poll, tasks, answer }).await
    }

    /// Brings a specification that the core asked for.
    pub(crate) async fn spec(&self, job: JobId, spec: Result<Arc<JobSpec>, String>) {
        self.mailbox.tell(Lane::Daemon, Ask::Spec { job, spec }).await;
    }
}
