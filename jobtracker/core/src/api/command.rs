//! What changes hard state, and the answer to it.

use mammoth_protocol::jobs::app::{NewAppReply, NewAppRequest};
use mammoth_protocol::jobs::client::SubmitRequest;
use mammoth_protocol::jobs::spec::JobSpec;
use mammoth_protocol::jobs::{AppId, Counters, JobId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A wish to change hard state. `decide` turns it into edits and a reply, or refuses.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// A jobtracker has started on this state. The first command of every life: nothing else is taken before, as attempt
    /// numbers, executor ids and registration epochs of this life are above those of earlier ones only then.
    Start,
    /// Takes a job id: [`Reply::Job`].
    NewJob {
        /// Who asks.
        user: String,
    },
    /// Hands a staged job over; the same submission twice starts one job. The owner has read the specification and compared
    /// its digest; after applying the edits it reports the same specification ([`super::Report::Spec`]), else the next tick
    /// asks for it.
    Submit {
        /// From the client.
        request: SubmitRequest,
        /// What the request names.
        spec: Arc<JobSpec>,
    },
    /// Ends a job; nothing happens to one that has ended.
    KillJob {
        /// Which.
        job: JobId,
        /// Who wants it and why, one line.
        reason: String,
    },
    /// A driver of the in-memory mode: [`Reply::App`].
    NewApp(NewAppRequest),
    /// Ends an application; nothing happens to one that has ended.
    KillApp {
        /// Which.
        app: AppId,
        /// Who wants it and why, one line.
        reason: String,
    },
    /// What reports and time led to. Only outcomes make these; `decide` still judges them by the present state.
    Internal(InternalCommand),
}

/// Due work that changes hard state.
#[derive(Clone, Debug, PartialEq)]
pub enum InternalCommand {
    /// All tasks of a job are done: from now on only the commit of its output is run, also after a restart.
    BeginCommit {
        /// Which.
        job: JobId,
        /// When its first attempt started, wall milliseconds.
        started_ms: u64,
        /// The sums of its tasks.
        counters: Counters,
    },
    /// A job will not succeed: what it left is removed, also after a restart, before it is final.
    BeginAbort {
        /// Which.
        job: JobId,
        /// Failed or killed.
        ending: Ending,
        /// When its first attempt started, wall milliseconds; 0 = never.
        started_ms: u64,
        /// The sums of its tasks.
        counters: Counters,
    },
    /// A job is final.
    EndJob {
        /// Which.
        job: JobId,
    },
    /// An application has ended.
    EndApp {
        /// Which.
        app: AppId,
        /// How; nothing = well.
        ending: Option<Ending>,
        /// Tasks done, from its events.
        tasks_done: u64,
        /// Tasks known, from its events.
        tasks_total: u64,
    },
}

/// Why something ends without success. Part of the log's and the rows' format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// Somebody wanted it; otherwise it failed.
    pub killed: bool,
    /// For people: a first line, then perhaps the last lines of what failed.
    pub reason: String,
}

/// The answer to a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A job id.
    Job(JobId),
    /// An application is known.
    App(NewAppReply),
    /// It is as wished; the present status can be asked for once the edits are applied.
    Done,
}
