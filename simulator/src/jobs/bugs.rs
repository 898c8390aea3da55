//! Mistakes that the simulator can make on purpose, as [`crate::bugs`] does for the namenode.

/// One planted mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// Orders leave before the edits that they follow from are durable.
    OrderBeforeSync,
    /// The jobtracker answers clients before its edits are durable.
    ReplyBeforeSync,
    /// The last durable record is lost at a start.
    LostEditAtReplay,
    /// The start of a life is not logged: the next life takes the same numbers.
    LifeNotLogged,
    /// A copy of an earlier poll is taken for a new one.
    CopyTakenForNew,
    /// A poll of an earlier registration is taken for one of the present.
    OldEpochTaken,
    /// Every attempt that asks may commit.
    EveryoneMayCommit,
    /// The jobtracker does not see what a tracker holds that it did not give it.
    StrangersUnseen,
    /// A tracker's new folder is taken for its old one.
    NewFolderUnseen,
    /// The success of an attempt that was given up is taken for that of its task's present one.
    LateSuccessTaken,
    /// Executors of applications that have ended are not ended.
    ExecutorsForgotten,
    /// A reduce goes on without the outputs that it could not fetch.
    OutputSkipped,
    /// Complaints about outputs are lost.
    ComplaintsLost,
    /// What was ordered is taken to be there.
    LaunchPresumed,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::OrderBeforeSync,
        Self::ReplyBeforeSync,
        Self::LostEditAtReplay,
        Self::LifeNotLogged,
        Self::CopyTakenForNew,
        Self::OldEpochTaken,
        Self::EveryoneMayCommit,
        Self::StrangersUnseen,
        Self::NewFolderUnseen,
        Self::LateSuccessTaken,
        Self::ExecutorsForgotten,
        Self::OutputSkipped,
        Self::ComplaintsLost,
        Self::LaunchPresumed,
    ];
}
