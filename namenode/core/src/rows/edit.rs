//! Edits: the log's language. Each changes one row; the order of variants and fields is the log's format.

use super::{Lease, Meta, RowKey, slot_of};
use crate::api::Reply;
use mammoth_protocol::{Block, BlockId, CallId, GenStamp, InodeId, Seq, StorageId};
use serde::{Deserialize, Serialize};

/// One change of one row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Edit {
    /// A file or folder comes into being.
    Created(Box<Created>),
    /// It has another name or is in another folder; with all that is below it, if it is a folder.
    Moved {
        /// What moved.
        id: InodeId,
        /// The folder that it is in now.
        parent: InodeId,
        /// Its name there.
        name: Box<str>,
    },
    /// A folder is deleted: nobody can reach it any more, and its content is to be reclaimed.
    Detached {
        /// The folder.
        id: InodeId,
    },
    /// A file (with the blocks in its own row) or an empty folder is gone for good.
    Removed {
        /// Its id, never to be used again.
        id: InodeId,
    },
    /// Its times are these.
    Times {
        /// File or folder.
        id: InodeId,
        /// Modification time, wall milliseconds, if it changed.
        mtime_ms: Option<u64>,
        /// Access time, wall milliseconds, if it changed.
        atime_ms: Option<u64>,
    },
    /// Its permission bits are these.
    Mode {
        /// File or folder.
        id: InodeId,
        /// The bits, sticky included.
        mode: u16,
    },
    /// It belongs to these.
    Owner {
        /// File or folder.
        id: InodeId,
        /// The owner, if it changed.
        owner: Option<Box<str>>,
        /// The group, if it changed.
        group: Option<Box<str>>,
    },
    /// Its blocks are to have so many replicas.
    Replication {
        /// The file.
        id: InodeId,
        /// Replicas wanted.
        replication: u16,
    },
    /// This client may write it, and nobody else.
    Leased {
        /// The file.
        id: InodeId,
        /// The right to write.
        lease: Lease,
    },
    /// Nobody writes it any more.
    Closed {
        /// The file.
        id: InodeId,
        /// Wall milliseconds.
        mtime_ms: u64,
    },
    /// It has a new last block, under construction.
    BlockAdded {
        /// The file.
        file: InodeId,
        /// Place of the block in the file.
        index: u32,
        /// The block, never used before.
        block: BlockId,
        /// Its stamp, never used before.
        stamp: GenStamp,
        /// Its pipeline.
        targets: Vec<StorageId>,
    },
    /// So much of the last block is known to be on its datanodes.
    BlockFlushed {
        /// The file.
        file: InodeId,
        /// Place of the block in the file.
        index: u32,
        /// Bytes.
        len: u64,
    },
    /// The last block is written through another pipeline, under a new stamp.
    BlockPiped {
        /// The file.
        file: InodeId,
        /// Place of the block in the file.
        index: u32,
        /// The new stamp.
        stamp: GenStamp,
        /// Bytes acknowledged so far.
        len: u64,
        /// The pipeline.
        targets: Vec<StorageId>,
    },
    /// The last block is under construction again: the file is appended to.
    BlockReopened {
        /// The file.
        file: InodeId,
        /// Place of the block in the file.
        index: u32,
        /// Volumes that have the block.
        targets: Vec<StorageId>,
    },
    /// Its replicas are brought to one length under a new stamp; only a commit that names the stamp counts.
    BlockRecovering {
        /// The file.
        file: InodeId,
        /// Place of the block in the file.
        index: u32,
        /// The stamp that the recovered replicas will carry.
        stamp: GenStamp,
    },
    /// Stamp and length of the last block are final.
    BlockCommitted {
        /// The file.
        file: InodeId,
        /// Place of the block in the file.
        index: u32,
        /// Final stamp and length.
        block: Block,
        /// Volumes said to hold it, if others than its pipeline.
        holders: Option<Vec<StorageId>>,
    },
    /// The last block is taken off the file.
    BlockTaken {
        /// The file.
        file: InodeId,
        /// Place of the block in the file.
        index: u32,
        /// The block.
        block: BlockId,
    },
    /// A row of further blocks of a removed file is gone.
    SegmentRemoved {
        /// The file.
        file: InodeId,
        /// Number of the row.
        segment: u32,
    },
    /// A stamp was handed out that no block carries yet.
    StampAllocated {
        /// The stamp.
        stamp: GenStamp,
    },
    /// The call that made this record is remembered; its key is the record's sequence.
    Remembered {
        /// The call.
        call: CallId,
        /// What it was told.
        reply: Reply,
        /// Wall milliseconds.
        wall_ms: u64,
    },
    /// Calls remembered at or before this sequence are forgotten.
    Forgotten {
        /// The sequence.
        floor: Seq,
    },
    /// The last block, complete until now, is cut: a recovery brings its replicas to this length under a new stamp. The block
    /// keeps its old length until that is committed.
    BlockCut {
        /// The file.
        file: InodeId,
        /// Place of the block in the file.
        index: u32,
        /// Bytes that remain of it.
        len: u64,
        /// The stamp that the cut replicas will carry.
        stamp: GenStamp,
        /// Volumes that have the block.
        targets: Vec<StorageId>,
    },
    /// Complete blocks of other files come to the end of this one; all of them lie in one row.
    BlocksJoined {
        /// The file.
        file: InodeId,
        /// Place of the first of them in the file.
        index: u32,
        /// The blocks, in order.
        blocks: Vec<Block>,
    },
}

/// A new file or folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Created {
    /// Its id, never used before.
    pub id: InodeId,
    /// The folder that it is in.
    pub parent: InodeId,
    /// Its name there.
    pub name: Box<str>,
    /// Owner.
    pub owner: Box<str>,
    /// Group.
    pub group: Box<str>,
    /// Permission bits, sticky included.
    pub mode: u16,
    /// Wall milliseconds.
    pub mtime_ms: u64,
    /// What makes it a file; `None` is a folder.
    pub file: Option<NewFile>,
}

/// What a new file has beside a folder: it is open for writing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewFile {
    /// Replicas wanted of each block.
    pub replication: u16,
    /// Bytes of a full block.
    pub block_size: u64,
    /// Who writes it.
    pub lease: Lease,
}

impl Edit {
    /// The inode whose answers this edit changes; `None` if no query can see it.
    #[must_use]
    pub fn inode(&self) -> Option<InodeId> {
        match self {
            Self::Created(created) => Some(created.id),
            Self::Moved { id, .. }
            | Self::Detached { id }
            | Self::Removed { id }
            | Self::Times { id, .. }
            | Self::Mode { id, .. }
            | Self::Owner { id, .. }
            | Self::Replication { id, .. }
            | Self::Leased { id, .. }
            | Self::Closed { id, .. } => Some(*id),
            Self::BlockAdded { file, .. }
            | Self::BlockFlushed { file, .. }
            | Self::BlockPiped { file, .. }
            | Self::BlockReopened { file, .. }
            | Self::BlockRecovering { file, .. }
            | Self::BlockCommitted { file, .. }
            | Self::BlockTaken { file, .. }
            | Self::BlockCut { file, .. }
            | Self::BlocksJoined { file, .. }
            | Self::SegmentRemoved { file, .. } => Some(*file),
            Self::StampAllocated { .. } | Self::Remembered { .. } | Self::Forgotten { .. } => None,
        }
    }

    /// The place in its file of the block that this edit changes.
    pub(crate) fn block_index(&self) -> Option<u32> {
        match self {
            Self::BlockAdded { index, .. }
            | Self::BlockFlushed { index, .. }
            | Self::BlockPiped { index, .. }
            | Self::BlockReopened { index, .. }
            | Self::BlockRecovering { index, .. }
            | Self::BlockCommitted { index, .. }
            | Self::BlockTaken { index, .. }
            | Self::BlockCut { index, .. }
            | Self::BlocksJoined { index, .. } => Some(*index),
            _ => None,
        }
    }

    /// The row that this edit changes, as part of record `seq`.
    pub(crate) fn row(&self, seq: Seq) -> RowKey {
        let Some(id) = self.inode() else {
            return match self {
                Self::Remembered { .. } => RowKey::Retry(seq),
                _ => RowKey::Meta,
            };
        };
        if let Self::SegmentRemoved { segment, .. } = self {
            return RowKey::Blocks(id, *segment);
        }
        match self.block_index().and_then(|index| slot_of(index).segment) {
            Some(segment) => RowKey::Blocks(id, segment),
            None => RowKey::Inode(id),
        }
    }

    /// What this edit shows to have been allocated.
    pub(crate) fn allocates(&self, meta: &Meta) -> Meta {
        let mut raised = *meta;
        match self {
            Self::Created(created) => raised.last_inode = meta.last_inode.max(created.id),
            Self::BlockAdded { block, stamp, .. } => {
                raised.last_block = meta.last_block.max(*block);
                raised.last_stamp = meta.last_stamp.max(*stamp);
            }
            Self::BlockPiped { stamp, .. }
            | Self::BlockRecovering { stamp, .. }
            | Self::BlockCut { stamp, .. }
            | Self::StampAllocated { stamp } => {
                raised.last_stamp = meta.last_stamp.max(*stamp);
            }
            Self::Forgotten { floor } => raised.retry_floor = meta.retry_floor.max(*floor),
            _ => {}
        }
        raised
    }
}
