//! Messages between datanode and namenode, on the namenode's internal listener: JSON for small control messages, postcard for
//! reports. The datanode always calls; commands ride on heartbeat replies.
//!
//! Every reply carries (cluster id, term): a datanode ignores commands of an older term than it has seen.

use crate::ids::{Block, BlockId, DatanodeId, Epoch, GenStamp, Seq, StorageId, Term};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Routes of the internal listener.
pub mod routes {
    /// GET: [`super::ClusterIdentity`].
    pub const IDENTITY: &str = "/internal/v1/identity";
    /// POST JSON [`super::RegisterRequest`]: [`super::RegisterReply`].
    pub const REGISTER: &str = "/internal/v1/register";
    /// POST JSON [`super::HeartbeatRequest`]: [`super::HeartbeatReply`].
    pub const HEARTBEAT: &str = "/internal/v1/heartbeat";
    /// POST postcard [`super::IncrementalReport`]: JSON [`super::ReportReply`].
    pub const INCREMENTAL: &str = "/internal/v1/incremental-report";
    /// POST postcard [`super::FullReportSlice`]: JSON [`super::ReportReply`].
    pub const FULL: &str = "/internal/v1/full-report";
    /// POST JSON [`super::BadReplicas`]: [`super::ReportReply`].
    pub const BAD: &str = "/internal/v1/bad-replicas";
    /// POST JSON [`super::CommitBlockSync`]: [`super::ReportReply`].
    pub const COMMIT_SYNC: &str = "/internal/v1/commit-block-synchronization";
}

/// Which file system this is. Written into every volume and checked at every contact.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterIdentity {
    /// `CID-<uuid>`.
    pub cluster_id: String,
    /// A positive 31-bit number, as HDFS prints it.
    pub namespace_id: u32,
    /// `BP-<number>-<ip>-<milliseconds>`.
    pub pool_id: String,
    /// Time of formatting, milliseconds since 1970.
    pub created_ms: u64,
}

/// Where clients and other datanodes reach a datanode; apart from where it binds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatanodeAddr {
    /// Address that clients connect to by default.
    pub ip: IpAddr,
    /// Name that clients connect to if they prefer names.
    pub hostname: String,
    /// Data-transfer port.
    pub transfer_port: u16,
    /// HTTP port.
    pub info_port: u16,
    /// Hadoop RPC port.
    pub ipc_port: u16,
}

/// What the datanode has seen of the namenode's past: one that starts below it has lost edits and must stay in safe mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HighWater {
    /// Highest term.
    pub term: Term,
    /// Highest sequence of the edit log.
    pub seq: Seq,
    /// Highest block id among the replicas.
    pub block: BlockId,
}

/// A datanode introduces itself; sent at start and whenever the namenode asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisterRequest {
    /// Which file system it believes in.
    pub cluster_id: String,
    /// The datanode.
    pub datanode: DatanodeId,
    /// Where to reach it.
    pub addr: DatanodeAddr,
    /// Rack, `/default-rack` if it knows none.
    pub rack: String,
    /// Its volumes.
    pub storages: Vec<StorageUsage>,
    /// Its past.
    pub seen: HighWater,
    /// Version of the program.
    pub software: String,
}

/// The namenode takes a datanode in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisterReply {
    /// Which file system this is.
    pub cluster_id: String,
    /// Reign of this namenode.
    pub term: Term,
    /// Every later message of the datanode carries it; an older one is refused.
    pub epoch: Epoch,
}

/// Space of one volume, bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageUsage {
    /// The volume.
    pub storage: StorageId,
    /// Size of the file system less what is reserved.
    pub capacity: u64,
    /// Bytes that block data and checksums take.
    pub used: u64,
    /// Bytes that can still be written.
    pub remaining: u64,
    /// The volume no longer works.
    pub failed: bool,
}

/// "I live." Sent every heartbeat interval from a thread of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeartbeatRequest {
    /// The datanode.
    pub datanode: DatanodeId,
    /// From its registration.
    pub epoch: Epoch,
    /// Its volumes.
    pub storages: Vec<StorageUsage>,
    /// Connections that move data at present; placement avoids the busy.
    pub xceivers: u32,
    /// Copies to other nodes under way; the namenode bounds them.
    pub copies: u32,
}

/// What the datanode is to do, and what it is to remember.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeartbeatReply {
    /// Which file system this is.
    pub cluster_id: String,
    /// Reign of this namenode.
    pub term: Term,
    /// Highest durable sequence of the edit log.
    pub seq: Seq,
    /// Work, each item safe to do twice.
    pub commands: Vec<DnCommand>,
}

/// One other datanode's volume, as target or source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaPlace {
    /// The datanode.
    pub datanode: DatanodeId,
    /// Its volume.
    pub storage: StorageId,
    /// Where to reach it.
    pub addr: DatanodeAddr,
}

/// One order of the namenode. Orders are repeated until reports show their effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DnCommand {
    /// Unknown datanode or old epoch: register again.
    Register,
    /// Send a full report of these volumes.
    FullReport {
        /// The volumes.
        storages: Vec<StorageId>,
    },
    /// Copy a finalized replica to other nodes (each target gets its own copy of the stream, by pipeline).
    Copy {
        /// What to copy; the stamp must match.
        block: Block,
        /// The pipeline.
        targets: Vec<ReplicaPlace>,
    },
    /// Delete replicas with exactly these stamps, in whatever state they are.
    Delete {
        /// The volume.
        storage: StorageId,
        /// The replicas; lengths are not compared.
        blocks: Vec<Block>,
    },
    /// Empty the volume's `bad/` folder of these: enough good copies are confirmed.
    DropBad {
        /// The volume.
        storage: StorageId,
        /// The replicas.
        blocks: Vec<Block>,
    },
    /// Somebody read bytes that do not match their checksums: look, and report `Bad` what is.
    Verify {
        /// The volume.
        storage: StorageId,
        /// The replicas.
        blocks: Vec<Block>,
    },
    /// From now on use so many bytes a second at most for moves of the balancer.
    BalanceRate {
        /// All moves together; 0 changes nothing.
        bytes_per_second: u64,
    },
    /// Lead the recovery of a last block: agree on a length under the new stamp, then commit it at the namenode.
    Recover {
        /// The block with its present stamp; the length says nothing.
        block: Block,
        /// The stamp that the recovered replicas will carry.
        new_stamp: GenStamp,
        /// Bytes that are to remain: the file is being truncated. `None`: the replicas agree on a length.
        #[serde(default)]
        cut: Option<u64>,
        /// All replicas that may take part, this node's own included.
        replicas: Vec<ReplicaPlace>,
    },
}

/// What a volume tells of one replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReplicaState {
    /// Complete, immutable but for append.
    Finalized,
    /// Being written by a pipeline.
    Rbw,
    /// Was being written when the datanode stopped.
    Rwr,
    /// In recovery.
    Rur,
}

/// One replica of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportedReplica {
    /// Identity and length; for a replica being written, the bytes on disk so far.
    pub block: Block,
    /// Its state.
    pub state: ReplicaState,
}

/// One change of a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReplicaEvent {
    /// A pipeline began to write it, or it changed its stamp while being written.
    Receiving(Block),
    /// It is finalized.
    Received(Block),
    /// It is gone.
    Deleted(Block),
    /// Its bytes do not match its checksums; it is set aside in `bad/` (or about to be).
    Bad(Block),
    /// It is finalized, and meant to take the place of the replica on another datanode.
    Moved {
        /// The replica.
        block: Block,
        /// The datanode whose replica may go once there are enough.
        from: DatanodeId,
    },
}

/// Changes of one volume since the last report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageEvents {
    /// The volume.
    pub storage: StorageId,
    /// Grows by one with each incremental report of this volume within an epoch; the first is 1.
    pub seq: u64,
    /// In the order in which they happened.
    pub events: Vec<ReplicaEvent>,
}

/// Changes since the last report; at most one in flight per datanode, sent again unchanged until answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncrementalReport {
    /// The datanode.
    pub datanode: DatanodeId,
    /// From its registration.
    pub epoch: Epoch,
    /// By volume.
    pub storages: Vec<StorageEvents>,
}

/// A part of a volume's full report. Slices come in order of block id; the last completes the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FullReportSlice {
    /// The datanode.
    pub datanode: DatanodeId,
    /// From its registration.
    pub epoch: Epoch,
    /// The volume.
    pub storage: StorageId,
    /// The volume's incremental sequence at which the list was cut.
    pub cut_seq: u64,
    /// Number of the slice from 0.
    pub slice: u32,
    /// Whether this is the last.
    pub last: bool,
    /// The replicas, ascending by block id over all slices.
    pub replicas: Vec<ReportedReplica>,
}

/// Answer to any report.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportReply {
    /// Which file system this is.
    pub cluster_id: String,
    /// Reign of this namenode.
    pub term: Term,
    /// The datanode must register again; nothing of the report was taken.
    pub register: bool,
    /// Volumes whose reports have a gap: send full ones.
    pub resync: Vec<StorageId>,
}

/// Replicas whose bytes do not match their checksums, found by a datanode other than their own (say, while copying).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadReplicas {
    /// The reporter.
    pub datanode: DatanodeId,
    /// From its registration.
    pub epoch: Epoch,
    /// Which replica on which volume.
    pub replicas: Vec<(StorageId, Block)>,
}

/// The leader of a block recovery has brought the replicas to one length and stamp, or found none with data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitBlockSync {
    /// The leader.
    pub datanode: DatanodeId,
    /// From its registration.
    pub epoch: Epoch,
    /// The block as the order named it.
    pub block: Block,
    /// From the order.
    pub new_stamp: GenStamp,
    /// Agreed length, bytes.
    pub new_len: u64,
    /// No replica had data: take the block off the file.
    pub delete: bool,
    /// The volumes that hold the recovered replica.
    pub storages: Vec<StorageId>,
}

/// Why an internal call was refused: one line, with the HTTP status 4xx.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InternalRefusal {
    /// The kind.
    pub code: crate::error::ErrorCode,
    /// One sentence.
    pub message: String,
}
