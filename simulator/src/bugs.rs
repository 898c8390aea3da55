//! Mistakes that the simulator can make on purpose. Each stands for one that a change could bring in; the tests show that the
//! invariants and the oracle notice every one of them within the ordinary seeds. A check that never failed proves nothing.

/// One planted mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// The namenode answers a client before its edits are durable.
    ReplyBeforeSync,
    /// Orders to datanodes leave before the edits that caused them are durable.
    OrderBeforeSync,
    /// A repeated call is carried out again: its identity is lost at the door.
    RetryRunTwice,
    /// The log takes the first edit of a decision only.
    TornDecision,
    /// The last durable record is lost at a start.
    LostEditAtReplay,
    /// The checkpoint says "applied" before its rows are durable.
    MarkBeforeRows,
    /// A checkpoint row is written before the log is synced up to it.
    RowBeforeLog,
    /// Some rows never reach the checkpoint.
    RowsForgotten,
    /// Log segments go although no checkpoint covers them.
    LogCutEarly,
    /// The namenode's door hides gaps between a datanode's reports.
    GapHidden,
    /// A late copy of an old report is taken for a new one.
    OldReportTaken,
    /// A volume that has registered and said nothing yet is trusted: what it said last time is taken to be all there is.
    SilentVolumeTrusted,
    /// The commit of an earlier attempt of a block recovery is taken for the present one's.
    OldRecoveryCommitted,
    /// A datanode reports an old replica under the newest stamp that it has heard of.
    StaleCountedGood,
    /// A datanode claims that a copy has arrived when it has only been ordered.
    CopyClaimedEarly,
    /// A datanode never looks at its checksums.
    CorruptionUnseen,
    /// A recovery does not fence the writer: it goes on writing under the old stamp.
    RecoveryWithoutFence,
    /// The log takes a cut for any recovery: a namenode that starts from it has forgotten the length.
    CutLoggedAsRecovery,
    /// The sources of a concatenation go before the target has their blocks.
    SourcesGoFirst,
    /// A datanode claims that a move has ended when it has only begun.
    MoveClaimedEarly,
    /// A datanode is taken for decommissioned while its blocks are still being copied.
    DecommissionedEarly,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 21] = [
        Self::ReplyBeforeSync,
        Self::OrderBeforeSync,
        Self::RetryRunTwice,
        Self::TornDecision,
        Self::LostEditAtReplay,
        Self::MarkBeforeRows,
        Self::RowBeforeLog,
        Self::RowsForgotten,
        Self::LogCutEarly,
        Self::GapHidden,
        Self::OldReportTaken,
        Self::SilentVolumeTrusted,
        Self::OldRecoveryCommitted,
        Self::StaleCountedGood,
        Self::CopyClaimedEarly,
        Self::CorruptionUnseen,
        Self::RecoveryWithoutFence,
        Self::CutLoggedAsRecovery,
        Self::SourcesGoFirst,
        Self::MoveClaimedEarly,
        Self::DecommissionedEarly,
    ];
}
