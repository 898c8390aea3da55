//! Judging commands: one file per family.

mod apps;
mod jobs;

use crate::api::{Command, InternalCommand, Refusal, Reply};
use crate::rows::Edit;
use crate::state::State;
use mammoth_protocol::Now;

/// What an accepted command leads to.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// To apply and to log as one record; none if nothing changes.
    pub edits: Vec<Edit>,
    /// For the caller, once the edits are durable.
    pub reply: Reply,
}

impl Decision {
    fn done(edits: Vec<Edit>) -> Self {
        Self { edits, reply: Reply::Done }
    }
}

impl State {
    /// Judges a command by the present state, and changes nothing.
    ///
    /// # Errors
    /// Why it cannot be.
    pub fn decide(&self, now: Now, command: &Command) -> Result<Decision, Refusal> {
        match command {
            Command::Start if self.started => Ok(Decision::done(Vec::new())),
            Command::Start => Ok(Decision::done(vec![Edit::Started { at_ms: now.wall_ms }])),
            _ if !self.started => Err(Refusal::Starting),
            Command::NewJob { user } => self.new_job(now, user),
            Command::Submit { request, spec } => self.submit(now, request, spec),
            Command::KillJob { job, reason } => self.kill_job(*job, reason),
            Command::NewApp(request) => self.new_app(now, request),
            Command::KillApp { app, reason } => self.kill_app(now, *app, reason),
            Command::Internal(command) => Ok(Decision::done(match command {
                InternalCommand::BeginCommit { job, started_ms, counters } => {
                    self.begin_commit(*job, *started_ms, counters)
                }
                InternalCommand::BeginAbort { job, ending, started_ms, counters } => {
                    self.begin_abort(*job, ending, *started_ms, counters)
                }
                InternalCommand::EndJob { job } => self.end_job(now, *job),
                InternalCommand::EndApp { app, ending, tasks_done, tasks_total } => {
                    self.end_app(now, *app, ending.as_ref(), *tasks_done, *tasks_total)
                }
            })),
        }
    }
}
