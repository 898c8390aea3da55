//! Requests on their way in, and answers on their way out.

use mammoth_jobtracker_core::State;
use mammoth_jobtracker_core::api::{Command, Reply};
use mammoth_protocol::jobs::app::{AppPoll, AppPollReply};
use mammoth_protocol::jobs::client::JobStatus;
use mammoth_protocol::jobs::spec::JobSpec;
use mammoth_protocol::jobs::tracker::{PollReply, PollRequest, RegisterReply, RegisterRequest};
use mammoth_protocol::jobs::{AppId, JobId};
use mammoth_protocol::{FsError, Now};
use mammoth_web::mailbox::Way;
use std::sync::Arc;

/// A question: looks at the state, and gives what brings the answer to whoever asked.
pub(crate) type Look = Box<dyn FnOnce(&State, Now) -> Box<dyn FnOnce() + Send> + Send>;

/// A request of a door, or of the thread of files.
pub(crate) enum Ask {
    /// A change.
    Command { command: Command, answer: Way<Reply> },
    /// A question.
    Look(Look),
    /// A question whose answer may wait for a change of the job.
    WatchJob { job: JobId, version: u64, wait_ms: u64, answer: Way<JobStatus> },
    /// A tasktracker introduces itself.
    Register { request: RegisterRequest, answer: Way<RegisterReply> },
    /// A tasktracker wants orders; no reply = it must register.
    Poll { request: PollRequest, answer: Way<Option<PollReply>> },
    /// A driver lives. Its events were stored before, and say how many tasks are done and known.
    AppPoll { app: AppId, poll: AppPoll, tasks: Option<(u64, u64)>, answer: Way<AppPollReply> },
    /// A specification that the core asked for.
    Spec { job: JobId, spec: Result<Arc<JobSpec>, String> },
}

/// An answer or a deed that is ready, but waits until all that it depends on is durable.
pub struct Held(pub(crate) Box<dyn FnOnce() + Send>);

impl Held {
    /// Nobody waits.
    pub(crate) fn nothing() -> Self {
        Self(Box::new(|| {}))
    }

    /// An answer to whoever asked. Dropped without leaving, it tells them that nobody will answer.
    pub(crate) fn answer<T: Send + 'static>(way: Way<T>, result: Result<T, FsError>) -> Self {
        Self(Box::new(move || drop(way.send(result))))
    }

    pub(crate) fn leave(self) {
        (self.0)();
    }
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Held")
    }
}
