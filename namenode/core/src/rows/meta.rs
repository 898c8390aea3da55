//! Rows beside inodes and blocks: the counters, and remembered calls.

use crate::api::Reply;
use mammoth_protocol::{BlockId, CallId, GenStamp, InodeId, Seq};
use serde::{Deserialize, Serialize};

/// What was allocated last. Every field only ever grows, so that replaying an edit twice does no harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Meta {
    pub(crate) last_inode: InodeId,
    pub(crate) last_block: BlockId,
    pub(crate) last_stamp: GenStamp,
    /// Calls remembered at or before this sequence are forgotten.
    pub(crate) retry_floor: Seq,
}

impl Meta {
    pub(crate) fn new() -> Self {
        Self {
            last_inode: InodeId::ROOT,
            last_block: BlockId::RESERVED,
            last_stamp: GenStamp::RESERVED,
            retry_floor: Seq(0),
        }
    }

    /// The larger of both, field by field.
    pub(crate) fn raise(&mut self, other: &Self) {
        self.last_inode = self.last_inode.max(other.last_inode);
        self.last_block = self.last_block.max(other.last_block);
        self.last_stamp = self.last_stamp.max(other.last_stamp);
        self.retry_floor = self.retry_floor.max(other.retry_floor);
    }
}

/// A call that changed something, and what it was told: a retry of it is told the same. Its key is its sequence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Retry {
    pub(crate) wall_ms: u64,
    pub(crate) call: CallId,
    pub(crate) reply: Reply,
}
