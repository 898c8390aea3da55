//! What operators' programs learn of blocks: those of a datanode, and all that repair and deletion have to do.

use super::status::{DatanodeStatus, Place, ReplicaStatus};
use mammoth_protocol::{Block, DatanodeId, InodeId, StorageId};

/// A block that a datanode has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockOn {
    /// The file that owns it.
    pub file: InodeId,
    /// Identity, stamp and length.
    pub block: Block,
    /// Its good replicas.
    pub places: Vec<(DatanodeId, StorageId)>,
}

/// All that repair and deletion have to do. Lists are cut to what was asked for; counts are whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Files and folders.
    pub inodes: u64,
    /// Blocks that files own.
    pub blocks: u64,
    /// Datanodes that send heartbeats.
    pub live: u32,
    /// Datanodes that stopped to.
    pub dead: u32,
    /// Blocks with some good replica, but fewer than wanted.
    pub under_replicated: u64,
    /// Some of them, most urgent first.
    pub waiting: Vec<BlockEntry>,
    /// Blocks whose replicas all lie on one rack although there are several.
    pub misplaced: u64,
    /// Some of them.
    pub apart: Vec<BlockEntry>,
    /// Blocks without any good replica.
    pub missing: u64,
    /// Some of them.
    pub lost: Vec<BlockEntry>,
    /// Copies ordered and not yet confirmed.
    pub pending_copies: u64,
    /// Some of them.
    pub pending: Vec<PendingEntry>,
    /// Replicas to delete, of every datanode that has such.
    pub deletions: Vec<Deletions>,
    /// Replicas known to be bad.
    pub corrupt_replicas: u64,
    /// Some of the blocks with such.
    pub corrupt: Vec<BlockEntry>,
    /// Every datanode.
    pub datanodes: Vec<DatanodeStatus>,
}

/// A block and its replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockEntry {
    /// Path of its file; `None` for one that is being reclaimed.
    pub path: Option<String>,
    /// The block.
    pub block: Block,
    /// Its replicas on live datanodes.
    pub replicas: Vec<ReplicaStatus>,
}

/// Copies of a block that are under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingEntry {
    /// The block.
    pub block: Block,
    /// Where they will be.
    pub targets: Vec<Place>,
}

/// Replicas that a datanode is to delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deletions {
    /// `ip:port` of the datanode's data transfers.
    pub datanode: String,
    /// How many.
    pub count: u64,
    /// Some of them; the length is not known.
    pub blocks: Vec<Block>,
}
