//! Whose a process, a folder or a log is.

use mammoth_protocol::ids::BadId;
use mammoth_protocol::jobs::{AppId, AttemptId, ExecutorId, JobId};
use std::fmt;
use std::str::FromStr;

/// A job or an application: what folders are made for, and dropped with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Owner {
    Job(JobId),
    App(AppId),
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Job(job) => job.fmt(f),
            Self::App(app) => app.fmt(f),
        }
    }
}

impl FromStr for Owner {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let bad = |_| BadId { expected: "job or application id", text: text.to_owned() };
        text.parse().map(Self::Job).or_else(|_: BadId| text.parse().map(Self::App)).map_err(bad)
    }
}

/// A process that the tracker starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum ChildId {
    Attempt(AttemptId),
    Executor(AppId, ExecutorId),
}

impl ChildId {
    pub(crate) fn owner(&self) -> Owner {
        match self {
            Self::Attempt(attempt) => Owner::Job(attempt.task.job),
            Self::Executor(app, _) => Owner::App(*app),
        }
    }

    /// Its name within its owner's folders.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Attempt(attempt) => attempt.to_string(),
            Self::Executor(_, executor) => executor.to_string(),
        }
    }

    /// Path of its logs on the HTTP door.
    pub(crate) fn log_route(&self, stream: &str) -> String {
        match self {
            Self::Attempt(attempt) => format!("/logs/{attempt}/{stream}"),
            Self::Executor(app, executor) => format!("/logs/{app}/{executor}/{stream}"),
        }
    }
}

impl fmt::Display for ChildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attempt(attempt) => attempt.fmt(f),
            Self::Executor(app, executor) => write!(f, "{app} executor {executor}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_read_back_and_nothing_else_is() {
        for text in ["job_5_0001", "application_5_0001"] {
            assert_eq!(text.parse::<Owner>().unwrap().to_string(), text);
        }
        for bad in ["", "..", "job_5_0001/..", "attempt_5_0001_m_000000_0", "job_5_1"] {
            assert!(bad.parse::<Owner>().is_err(), "{bad}");
        }
    }
}
