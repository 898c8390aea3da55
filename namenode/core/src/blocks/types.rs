//! What goes in and out of the block map beside the messages of datanodes.

use crate::api::InternalCommand;
use mammoth_protocol::{DatanodeId, GenStamp, InodeId, StorageId};
use std::net::IpAddr;

/// What the namespace knows of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockMeta {
    /// The file that owns it.
    pub inode: InodeId,
    /// Its present stamp; replicas of an older one are stale.
    pub stamp: GenStamp,
    /// Its length in bytes; of a block under construction what is durably known.
    pub len: u64,
    /// Replicas that its file wants.
    pub wanted: u16,
    /// Stamp and length are final (until the file is appended to): only replicas that match both are good.
    pub complete: bool,
}

/// A wish for volumes to write a block to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetRequest {
    /// Volumes wanted, beside [`Self::chosen`].
    pub count: usize,
    /// Host of the writer: a datanode on it is taken first.
    pub writer: Option<IpAddr>,
    /// Datanodes that must not be taken.
    pub exclude: Vec<DatanodeId>,
    /// Volumes that have the block already (or are in its pipeline): their datanodes are not taken again, their racks count.
    pub chosen: Vec<StorageId>,
    /// `host`, `ip`, `host:port` or `ip:port` of datanodes to take first if they can be taken at all.
    pub favored: Vec<String>,
    /// Bytes that must be free.
    pub block_size: u64,
    /// Decides between equals.
    pub entropy: u64,
}

/// What a tick of the block map leads to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockTick {
    /// Work for the namespace.
    pub commands: Vec<InternalCommand>,
    /// There is more of this work: tick again soon.
    pub more: bool,
}

/// Counts for the status page; those of [`crate::api::FsStats`] are apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlockNumbers {
    /// Blocks that files own.
    pub blocks: u64,
    /// Datanodes that send heartbeats.
    pub live: u32,
    /// Datanodes that did once.
    pub dead: u32,
    /// Live datanodes that have been silent for a while.
    pub stale: u32,
    /// Complete blocks with some good replica, but fewer than wanted.
    pub under_replicated: u64,
    /// Complete blocks with more good replicas than wanted.
    pub over_replicated: u64,
    /// Complete blocks whose replicas all lie on one rack although there are several.
    pub misplaced: u64,
    /// Copies ordered and not yet confirmed.
    pub pending_copies: u64,
    /// Replicas of complete blocks whose bytes, length or stamp are wrong, those set aside by their datanode included.
    pub corrupt_replicas: u64,
}
