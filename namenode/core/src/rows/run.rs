//! The blocks that one row holds.

use mammoth_protocol::limits::{BLOCKS_IN_FILE_ROW, BLOCKS_PER_ROW};
use mammoth_protocol::{Block, GenStamp, StorageId};

/// Where a file's block lies: in the inode's own row, or in a further one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    /// The segment; `None` is the inode's row.
    pub(crate) segment: Option<u32>,
    /// Place in the row's run.
    pub(crate) at: usize,
}

/// The slot of a file's block, by index.
pub(crate) fn slot_of(index: u32) -> Slot {
    match (index as usize).checked_sub(BLOCKS_IN_FILE_ROW) {
        None => Slot { segment: None, at: index as usize },
        Some(beyond) => Slot { segment: Some((beyond / BLOCKS_PER_ROW) as u32), at: beyond % BLOCKS_PER_ROW },
    }
}

/// Index of a segment's first block.
pub(crate) fn first_index(segment: u32) -> u32 {
    BLOCKS_IN_FILE_ROW as u32 + segment * BLOCKS_PER_ROW as u32
}

/// Consecutive blocks of a file. Only the last block of a file can be under construction, so only the last of its last run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Run {
    blocks: Vec<Block>,
    building: Option<Box<Building>>,
}

/// The construction of a run's last block: a writer (or a recovery) may still change its stamp and length.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Building {
    /// Volumes that hold or may hold data of it. Hard state, so that a restarted namenode knows whom to wait for before it
    /// judges that there is no data.
    pub(crate) targets: Vec<StorageId>,
    /// The stamp of the recovery under way: the only one that may commit the block.
    pub(crate) recovery: Option<GenStamp>,
    /// The bytes that the recovery is to leave: the block is being truncated. `None` leaves that to its replicas.
    pub(crate) cut: Option<u64>,
}

impl Run {
    /// A run of its parts.
    pub(super) fn new(blocks: Vec<Block>, building: Option<Box<Building>>) -> Self {
        Self { blocks, building }
    }

    /// Its parts.
    pub(super) fn into_parts(self) -> (Vec<Block>, Option<Box<Building>>) {
        (self.blocks, self.building)
    }

    /// The blocks, in order.
    pub(crate) fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// The construction of the last block; `None` if it is committed.
    pub(crate) fn building(&self) -> Option<&Building> {
        self.building.as_deref()
    }

    /// The construction of the last block, to change it.
    pub(crate) fn building_mut(&mut self) -> Option<&mut Building> {
        self.building.as_deref_mut()
    }

    /// Adds a block under construction.
    pub(crate) fn push(&mut self, block: Block, building: Building) {
        self.blocks.push(block);
        self.set_building(Some(building));
    }

    /// Adds complete blocks.
    pub(crate) fn extend(&mut self, more: &[Block]) {
        self.blocks.extend_from_slice(more);
    }

    /// Takes the last block off.
    pub(crate) fn pop(&mut self) -> Option<Block> {
        self.building = None;
        self.blocks.pop()
    }

    /// A block, to change it.
    pub(crate) fn block_mut(&mut self, at: usize) -> Option<&mut Block> {
        self.blocks.get_mut(at)
    }

    /// Begins (`Some`) or ends (`None`) the construction of the last block.
    pub(crate) fn set_building(&mut self, building: Option<Building>) {
        self.building = building.map(Box::new);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mammoth_protocol::BlockId;

    #[test]
    fn slots_count_on_where_the_row_before_ends() {
        for (index, segment, at) in
            [(0, None, 0), (3, None, 3), (4, Some(0), 0), (259, Some(0), 255), (260, Some(1), 0), (9_999, Some(39), 11)]
        {
            assert_eq!(slot_of(index), Slot { segment, at });
            if let Some(segment) = segment {
                assert_eq!(first_index(segment) as usize + at, index as usize);
            }
        }
    }

    #[test]
    fn runs_grow_and_shrink() {
        let block = |id| Block { id: BlockId(id), stamp: GenStamp(1), len: 0 };
        let mut run = Run::default();
        for id in 0..4 {
            run.push(block(id), Building::default());
            assert_eq!(run.blocks().len(), id as usize + 1);
            assert!(run.building().is_some());
        }
        run.block_mut(2).expect("there").len = 7;
        assert!(run.block_mut(4).is_none());
        for id in (0..4).rev() {
            assert_eq!(run.pop().map(|block| block.id), Some(BlockId(id)));
            assert!(run.building().is_none(), "the block before was committed");
        }
        assert_eq!((run.pop(), run), (None, Run::default()));
    }
}
