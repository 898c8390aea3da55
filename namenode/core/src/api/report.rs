//! News that change soft state, and what reports and ticks lead to.

use super::command::Command;
use super::hosts::HostRules;
use mammoth_protocol::internal::{DnCommand, FullReportSlice, HeartbeatRequest, IncrementalReport, RegisterRequest};
use mammoth_protocol::{Block, DatanodeId, Epoch, FsError, StorageId};

/// News that change soft state (where replicas are, who lives), never hard state directly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// A datanode introduces itself.
    Register {
        /// What it says of itself; the driver has compared the cluster id.
        request: RegisterRequest,
        /// The epoch that it gets: new, and above all before.
        epoch: Epoch,
    },
    /// A datanode lives.
    Heartbeat(HeartbeatRequest),
    /// Changes of a datanode's volumes.
    Incremental(IncrementalReport),
    /// A slice of the list of all replicas of a volume.
    Full(FullReportSlice),
    /// A client or a datanode found bad bytes.
    Bad {
        /// In these replicas.
        replicas: Vec<(ReplicaOn, Block)>,
    },
    /// A lease holder lives.
    RenewLease {
        /// Its name.
        client: String,
    },
    /// The administrator.
    SafeMode(SafeModeAction),
    /// The operator's list of datanodes, whole and anew.
    Hosts(HostRules),
    /// Bytes a second that each datanode may use for balancing, from now on until this namenode ends.
    BalanceRate(u64),
}

/// A replica's place, as its finder names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplicaOn {
    /// A volume.
    Storage(StorageId),
    /// Some volume of a datanode.
    Datanode(DatanodeId),
}

/// `dfsadmin -safemode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SafeModeAction {
    /// Switch it on.
    Enter,
    /// Switch it off, unless edits were lost.
    Leave,
    /// Switch it off whatever the reason.
    ForceExit,
}

/// What a report or a tick leads to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// To go through `decide` and `apply` like a client's.
    pub commands: Vec<Command>,
    /// Orders for the reporting datanode (heartbeat) to carry home; they may leave only when all edits applied so far are
    /// durable.
    pub orders: Vec<DnCommand>,
    /// The reporter is unknown or of an old epoch.
    pub register: bool,
    /// Volumes whose reports have a gap.
    pub resync: Vec<StorageId>,
    /// A registration or an action that must not be (another cluster, a datanode id in use from a live address …).
    pub refused: Option<FsError>,
    /// There is more of this work: call `tick` again soon.
    pub more: bool,
}
