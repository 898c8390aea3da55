//! What is derived from rows: folder contents, leases by holder, calls by id, and the block map's list of blocks.
//!
//! Nothing here is stored. Live, each edit is announced twice: [`State::before`] forgets what the edit is about to change,
//! while the row still has its old form; [`State::after`] learns what the row has become. After loading, [`State::derive`]
//! builds all of it from the rows; `check` compares the two.

mod children;
mod leases;
mod tree;

pub(crate) use children::Children;
pub(crate) use leases::Leases;
pub(crate) use tree::Tree;

use crate::blocks::{BlockMap, BlockMeta};
use crate::rows::{Building, Edit, Inode};
use crate::state::State;
use mammoth_protocol::journaled::CorruptRow;
use mammoth_protocol::{Block, BlockId, InodeId, Seq, StorageId};

/// The name under which the namenode itself holds the lease of a file in recovery.
pub(crate) const NAMENODE_HOLDER: &str = "HDFS_NameNode";

impl State {
    /// Forgets what `edit` is about to change.
    pub(crate) fn before(&mut self, edit: &Edit) {
        match edit {
            Edit::Moved { id, .. } | Edit::Detached { id } => self.tree.unlink(&self.rows.inodes, *id),
            Edit::Leased { id, .. } | Edit::Closed { id, .. } => self.drop_lease(*id),
            Edit::Removed { id } => {
                self.tree.unlink(&self.rows.inodes, *id);
                self.drop_lease(*id);
                let Some(inode) = self.rows.inode(*id) else { return };
                self.tree.uncount(&inode);
                if let Some(file) = inode.file {
                    remove_blocks(&mut self.blocks, *id, file.first);
                }
            }
            Edit::SegmentRemoved { file, segment } => {
                if let Some(segment) = self.rows.segments.get(&(*file, *segment)) {
                    remove_blocks(&mut self.blocks, *file, segment.run.blocks().iter().copied());
                }
            }
            Edit::BlockTaken { block, .. } => self.blocks.remove(*block),
            Edit::Forgotten { floor } => {
                for (seq, retry) in self.rows.retries.range(..=*floor) {
                    if self.calls.get(&retry.call) == Some(seq) {
                        self.calls.remove(&retry.call);
                    }
                }
            }
            _ => {}
        }
    }

    /// Learns what `edit`, of record `seq`, has changed.
    pub(crate) fn after(&mut self, seq: Seq, edit: &Edit) {
        match edit {
            Edit::Created(created) => {
                self.tree.link(&self.rows.inodes, created.id);
                if let Some(inode) = self.rows.inode(created.id) {
                    self.tree.count(&inode);
                }
                self.take_lease(created.id);
            }
            Edit::Moved { id, .. } | Edit::Detached { id } => self.tree.link(&self.rows.inodes, *id),
            Edit::Leased { id, .. } => self.take_lease(*id),
            Edit::Replication { id, replication } => {
                for block in self.rows.blocks_of(*id) {
                    self.blocks.set_wanted(block.id, *replication);
                }
            }
            Edit::BlockAdded { file, block, targets, .. } => {
                self.insert_last_block(*file);
                self.blocks.set_expected(*block, targets);
            }
            Edit::BlockFlushed { file, .. } => self.update_last_block(*file, None),
            Edit::BlockPiped { file, targets, .. } | Edit::BlockReopened { file, targets, .. } => {
                self.update_last_block(*file, Some(targets));
            }
            Edit::BlockCommitted { file, block, holders, .. } => {
                self.blocks.stop_recovery(block.id);
                self.update_last_block(*file, holders.as_deref());
            }
            Edit::BlockRecovering { file, .. } => {
                self.resumed.remove(file);
                self.recover_last_block(*file);
            }
            Edit::BlockCut { file, targets, .. } => {
                self.update_last_block(*file, Some(targets));
                self.recover_last_block(*file);
            }
            Edit::BlocksJoined { file, blocks, .. } => {
                let wanted = self.rows.inode(*file).map_or(1, |inode| inode.attrs.replication);
                for block in blocks {
                    self.blocks.give_to(block.id, *file, wanted);
                }
            }
            Edit::Remembered { call, .. } => {
                self.calls.insert(*call, seq);
            }
            _ => {}
        }
    }

    /// Builds everything from the rows.
    ///
    /// # Errors
    /// Rows that contradict each other.
    pub(crate) fn derive(&mut self) -> Result<(), CorruptRow> {
        self.rows.check_shape().map_err(|what| contradiction(&what))?;
        self.tree = Tree::build(&self.rows.inodes)?;
        self.leases = Leases::default();
        self.blocks = BlockMap::new(&self.config);
        self.calls = self.rows.retries.iter().map(|(seq, retry)| (retry.call, *seq)).collect();
        for (id, inode) in self.rows.inodes.iter() {
            if let Some(lease) = inode.lease() {
                self.leases.insert(&lease.client, id, self.clock.monotonic_ms);
            }
            if let Some(file) = inode.file {
                insert_blocks(&mut self.blocks, (id, &inode), file.first, file.building)?;
            }
        }
        for ((id, _), segment) in &self.rows.segments {
            let Some(inode) = self.rows.inode(*id) else { continue };
            insert_blocks(
                &mut self.blocks,
                (*id, &inode),
                segment.run.blocks().iter().copied(),
                segment.run.building(),
            )?;
        }
        Ok(())
    }

    fn take_lease(&mut self, id: InodeId) {
        if let Some(lease) = self.rows.inode(id).and_then(|inode| inode.lease()) {
            self.leases.insert(&lease.client, id, self.clock.monotonic_ms);
        }
    }

    fn drop_lease(&mut self, id: InodeId) {
        if let Some(lease) = self.rows.inode(id).and_then(|inode| inode.lease()) {
            self.leases.remove(&lease.client, id);
            self.leaderless.remove(&id);
            self.resumed.remove(&id);
        }
    }

    fn insert_last_block(&mut self, file: InodeId) {
        let Some((_, block, building)) = self.rows.last_block(file) else { return };
        let Some(inode) = self.rows.inode(file) else { return };
        self.blocks.insert(block.id, meta_of(file, &inode, block, building.is_none()));
    }

    fn update_last_block(&mut self, file: InodeId, expected: Option<&[StorageId]>) {
        let Some((_, block, building)) = self.rows.last_block(file) else { return };
        self.blocks.update(block.id, block.stamp, block.len, building.is_none());
        if let Some(expected) = expected {
            self.blocks.set_expected(block.id, expected);
        }
    }

    /// Orders the recovery that the last block's row names. If nobody can lead it now, a later tick tries again.
    pub(crate) fn recover_last_block(&mut self, file: InodeId) {
        let Some((_, block, building)) = self.rows.last_block(file) else {
            self.leaderless.remove(&file);
            return;
        };
        let attempt = building.and_then(|building| Some((building.recovery?, building.cut)));
        let Some((stamp, cut)) = attempt else {
            self.leaderless.remove(&file);
            return;
        };
        if self.blocks.start_recovery(block.id, stamp, cut, self.clock) {
            self.leaderless.remove(&file);
        } else {
            self.leaderless.insert(file);
        }
    }
}

fn meta_of(file: InodeId, inode: &Inode<'_>, block: Block, complete: bool) -> BlockMeta {
    BlockMeta { inode: file, stamp: block.stamp, len: block.len, wanted: inode.attrs.replication, complete }
}

/// Forgets the blocks of a file that goes; those that another file has been given meanwhile stay.
fn remove_blocks(blocks: &mut BlockMap, file: InodeId, gone: impl Iterator<Item = Block>) {
    for block in gone {
        if owner_of(blocks, block.id) == Some(file) {
            blocks.remove(block.id);
        }
    }
}

/// Enters the blocks of one row.
fn insert_blocks(
    blocks: &mut BlockMap,
    (file, inode): (InodeId, &Inode<'_>),
    row: impl ExactSizeIterator<Item = Block>,
    building: Option<&Building>,
) -> Result<(), CorruptRow> {
    let count = row.len();
    for (at, block) in row.enumerate() {
        let building = building.filter(|_| at + 1 == count);
        if !blocks.insert_new(block.id, meta_of(file, inode, block, building.is_none())) {
            let other = owner_of(blocks, block.id).unwrap_or_default();
            return Err(contradiction(&format!("block {} belongs to {other} and {file}", block.id)));
        }
        if let Some(building) = building {
            blocks.set_expected(block.id, &building.targets);
        }
    }
    Ok(())
}

/// Rows that cannot be together.
pub(crate) fn contradiction(what: &str) -> CorruptRow {
    CorruptRow { what: format!("the rows contradict each other: {what}") }
}

/// The file that owns a block.
pub(crate) fn owner_of(blocks: &BlockMap, block: BlockId) -> Option<InodeId> {
    blocks.get(block).map(|meta| meta.inode)
}
