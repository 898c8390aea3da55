//! Requests on their way in, and answers on their way out.

use mammoth_namenode_core::api::{Answer, Command, Query, Reply, Report};
use mammoth_protocol::internal::{DnCommand, RegisterRequest};
use mammoth_protocol::{Caller, Epoch, ErrorCode, FsError, Seq, StorageId};
use mammoth_web::mailbox::Way;
use std::sync::Arc;

/// What came of a report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reported {
    /// Orders for the reporter to carry home.
    pub orders: Vec<DnCommand>,
    /// The reporter must register again.
    pub register: bool,
    /// Volumes that must send full reports.
    pub resync: Vec<StorageId>,
    /// Highest durable sequence of the edit log when this left.
    pub seq: Seq,
}

/// A request of a door.
#[derive(Debug)]
pub(crate) enum Ask {
    /// A change.
    Command { caller: Arc<Caller>, command: Command, answer: Way<Reply> },
    /// A question.
    Query { caller: Arc<Caller>, query: Query, answer: Way<Answer> },
    /// News.
    Report { report: Report, answer: Way<Reported> },
    /// A checkpoint.
    Save { answer: Way<Seq> },
    /// A datanode that needs an epoch.
    Register { request: RegisterRequest, answer: Way<Epoch> },
}

/// An answer that is ready, but may have to wait for the log.
#[derive(Debug)]
pub(crate) enum Effect {
    /// To a command.
    Reply(Way<Reply>, Result<Reply, FsError>),
    /// To a question.
    Answer(Way<Answer>, Result<Answer, FsError>),
    /// To news.
    Reported(Way<Reported>, Reported),
    /// Nobody waits: a command of the namenode itself.
    Own,
}

impl Effect {
    /// Lets it go; the log is durable up to `synced`.
    pub(crate) fn release(self, synced: Seq) {
        match self {
            Self::Reply(way, Ok(Reply::Refused(error))) => drop(way.send(Err(error))),
            Self::Reply(way, result) => drop(way.send(result)),
            Self::Answer(way, result) => drop(way.send(result)),
            Self::Reported(way, reported) => drop(way.send(Ok(Reported { seq: synced, ..reported }))),
            Self::Own => {}
        }
    }

    /// The log failed under it: nobody knows whether it will count, so the caller is told to ask again.
    pub(crate) fn fail(self) {
        let lost = || FsError::new(ErrorCode::Retriable, "the namenode's edit log failed; try again");
        match self {
            Self::Reply(way, _) => drop(way.send(Err(lost()))),
            Self::Answer(way, _) => drop(way.send(Err(lost()))),
            Self::Reported(way, _) => drop(way.send(Err(lost()))),
            Self::Own => {}
        }
    }
}
