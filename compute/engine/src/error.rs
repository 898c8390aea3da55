//! What goes wrong in the in-memory mode.

use mammoth_client::ClientError;
use std::io;

/// Why an action or a context failed.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The scheduler gave the job up.
    #[error("{0}")]
    Job(#[from] mammoth_engine_core::api::JobFailure),
    /// A name that is no master.
    #[error("`{0}` is no master: use local, local[N], local[*] or local-cluster[N,CORES,MIB]")]
    BadMaster(String),
    /// A function could not be named.
    #[error(transparent)]
    Code(#[from] CodeError),
    /// The plan cannot be what it says.
    #[error("{0}")]
    Plan(String),
    /// Something could not be encoded or decoded.
    #[error("{what}: {reason}")]
    Codec {
        /// What.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// The context is stopped, or the application was ended.
    #[error("the application has ended: {0}")]
    Ended(String),
    /// An action within a task would wait for a core that the task itself has.
    #[error("an action cannot be run inside a task: run it before, and give the task its result")]
    InTask,
    /// Results took too much of the driver's memory.
    #[error(
        "the results of {action} take more than {max} bytes in the driver: write them to files, or reduce them first"
    )]
    ResultTooLarge {
        /// The action.
        action: String,
        /// The limit.
        max: u64,
    },
    /// A task's part of an accumulator could not be added: the accumulator's value means nothing any more.
    #[error("the accumulator `{name}` could not take in what a task added: {reason}")]
    Accumulator {
        /// The accumulator's name.
        name: String,
        /// What happened.
        reason: String,
    },
    /// A dataset without records has no first one, no sum of one's own making.
    #[error("{0}: the dataset is empty")]
    Empty(&'static str),
    /// The file system or the jobtracker.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Files, processes, sockets of this machine.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// A setting or a variable of the environment.
    #[error("{0}")]
    Setting(String),
}

impl EngineError {
    /// An error of the system, with what was tried.
    pub fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

/// Why a function could not be named, or what a name stands for could not be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    /// It is not part of the executable.
    #[error(
        "`{name}` ({signature}) lies outside of the program's own executable: shared libraries cannot give operations"
    )]
    Outside {
        /// The operation.
        name: String,
        /// Its type.
        signature: String,
    },
    /// The executable could not be found in memory.
    #[error("the program's own executable could not be found in memory: {0}")]
    NoImage(String),
    /// What a message names is not what lies there.
    #[error("`{name}` at offset {offset:#x} is refused: {reason}")]
    Refused {
        /// The operation.
        name: String,
        /// Where it should be.
        offset: u64,
        /// Which check failed.
        reason: &'static str,
    },
    /// An operation of a kind that this version cannot run.
    #[error("`{0}` cannot be run by this version")]
    Unsupported(String),
    /// A source where a step should be, and so on.
    #[error("`{name}` is no {wanted}")]
    WrongKind {
        /// The operation.
        name: String,
        /// What it should be.
        wanted: &'static str,
    },
}
