//! Mistakes at the scheduler's door, each standing for one that a change could bring in.

/// One planted mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// A stage that gives other records each time is taken for one that does not: it is re-run in parts.
    PartialRerun,
    /// A result is delivered whenever a task reports it.
    ResultDeliveredTwice,
    /// A late report of an earlier attempt is taken for the present one's.
    OldReportTaken,
    /// What could not be fetched is not passed on: the output counts as there.
    LossHidden,
    /// An executor that is lost is taken to take its tracker's outputs with it.
    LossInvented,
    /// Executors are said to have one core more.
    OverCommit,
    /// An executor that is lost is never said to be.
    ExecutorLossHidden,
    /// A failed fetch is passed on as a failure of the task.
    FetchCountsAsFailure,
    /// Cached blocks of outputs that are made anew are kept.
    BlocksKept,
    /// Whoever asks may commit.
    EveryCommitGranted,
    /// Tasks are not charged with the executors that they kill.
    KillsUncharged,
    /// A cancelled job goes on.
    CancelLost,
    /// Tasks are told of a copy of a shuffle's outputs that is never renewed.
    CopyNotRenewed,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::PartialRerun,
        Self::ResultDeliveredTwice,
        Self::OldReportTaken,
        Self::LossHidden,
        Self::LossInvented,
        Self::OverCommit,
        Self::ExecutorLossHidden,
        Self::FetchCountsAsFailure,
        Self::BlocksKept,
        Self::EveryCommitGranted,
        Self::KillsUncharged,
        Self::CancelLost,
        Self::CopyNotRenewed,
    ];
}
