//! Where a file's blocks are.

use crate::api::{FileBlocks, LocatedBlock};
use crate::state::State;
use mammoth_protocol::{Block, InodeId};
use std::net::IpAddr;

impl State {
    /// The blocks of a file that overlap a range, with readers near `near` first.
    pub(crate) fn blocks_in_range(&self, id: InodeId, offset: u64, len: u64, near: Option<IpAddr>) -> FileBlocks {
        let end = offset.saturating_add(len);
        let mut found = FileBlocks {
            open: self.rows.inode(id).is_some_and(|inode| inode.lease().is_some()),
            last_complete: true,
            ..FileBlocks::default()
        };
        let last = self.rows.last_block(id).map(|(_, block, building)| (block, building.is_some()));
        let mut position = 0;
        for block in self.rows.blocks_of(id) {
            let next = block.len.saturating_add(position);
            // A block under construction may have more bytes than are known here: it overlaps all that is beyond its start.
            let building = last.is_some_and(|(last, building)| building && last.id == block.id);
            let overlaps = position < end && (next > offset || building);
            if overlaps {
                found.blocks.push(self.locate(&block, position, near));
            }
            if last.is_some_and(|(last, _)| last.id == block.id) {
                found.last_complete = !building;
                found.last = Some(self.locate(&block, position, near));
            }
            if !building {
                found.len = next;
            }
            position = next;
        }
        found
    }

    /// A block with its readers. Of one under construction these are the volumes of its pipeline, but for those that are known
    /// to have an older replica (I3).
    fn locate(&self, block: &Block, offset: u64, near: Option<IpAddr>) -> LocatedBlock {
        let (places, corrupt) = self.blocks.places_for_read(block.id, near);
        LocatedBlock { block: *block, offset, places, corrupt }
    }
}
