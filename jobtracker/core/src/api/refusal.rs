//! Why a command is refused.

use mammoth_protocol::ErrorCode;
use mammoth_protocol::jobs::{AppId, JobId};

/// A command that cannot be. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// [`super::Command::Start`] has not been applied in this life.
    #[error("the jobtracker is starting")]
    Starting,
    /// No such job, or not any more.
    #[error("{0} is not known")]
    UnknownJob(JobId),
    /// No such application, or not any more.
    #[error("{0} is not known")]
    UnknownApp(AppId),
    /// The job was submitted before with another specification.
    #[error("{0} was submitted before with another specification")]
    OtherSpec(JobId),
    /// A specification or request that cannot be run.
    #[error("{0}")]
    Invalid(String),
    /// More than the jobtracker takes at a time.
    #[error("{what}: at most {limit} at a time")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
}

impl Refusal {
    /// The kind, from which doors derive a status.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Starting | Self::TooMany { .. } => ErrorCode::Retriable,
            Self::UnknownJob(_) | Self::UnknownApp(_) => ErrorCode::FileNotFound,
            Self::OtherSpec(_) | Self::Invalid(_) => ErrorCode::IllegalArgument,
        }
    }
}
