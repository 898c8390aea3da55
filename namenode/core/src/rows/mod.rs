//! The hard state: rows, and the edits that change them.
//!
//! Hard state is a set of rows; an [`Edit`] changes exactly one of them ([`Edit::row`] says which), so a checkpoint may be
//! *fuzzy*: written row by row while edits go on, with rows of different age, possibly from before and after a rename. Three
//! rules make replay on top of it exact:
//!
//! 1. A row carries the sequence of its last edit. While loading, an edit at or below it is skipped: the row has it already.
//! 2. While loading, an edit other than a creating one leaves a missing row missing: a later edit, still to come, removed it.
//! 3. Nothing that an edit does to its row depends on another row. The counters of [`Meta`], which creating edits raise too,
//!    only ever grow, so raising them twice is raising them once.
//!
//! Everything else the namenode knows of the namespace (folder contents, leases, the block map's list of blocks) is derived
//! from rows by [`crate::derived`]. This module never looks at derived or soft state.

mod attrs;
mod codec;
mod edit;
mod inode;
mod inodes;
mod key;
mod load;
mod meta;
mod packed;
mod paged;
mod run;
mod step;
#[cfg(test)]
mod tests;

pub(crate) use attrs::Attrs;
pub(crate) use codec::{decode_record, encode_record};
pub use edit::{Created, Edit, NewFile};
pub use inode::Lease;
pub(crate) use inode::{File, Inode};
pub(crate) use inodes::Inodes;
pub(crate) use key::RowKey;
pub(crate) use meta::{Meta, Retry};
pub(crate) use run::{Building, Run, slot_of};

use inode::InodeParts;
use load::Gate;
use mammoth_protocol::limits::{BLOCKS_IN_FILE_ROW, BLOCKS_PER_ROW};
use mammoth_protocol::{Block, InodeId, Seq};
use std::collections::{BTreeMap, BTreeSet};

/// Longest block, bytes. Far above any real one, and low enough that lengths of files add up.
pub(crate) const BLOCK_BYTES_MAX: u64 = 1 << 50;

/// Ids and stamps stay below, so that there is always a next one.
const COUNTER_MAX: u64 = 1 << 62;

/// The pretended parent of deleted folders whose content is still to be reclaimed.
pub(crate) const DETACHED: InodeId = InodeId(0);

/// Blocks of a file beyond those in its own row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Sequence of the last edit of this row.
    pub(crate) seq: Seq,
    /// Never empty: a row without blocks is removed.
    pub(crate) run: Run,
}

/// All rows, and which of them the checkpoint lacks.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    pub(crate) meta: Meta,
    pub(crate) inodes: Inodes,
    pub(crate) segments: BTreeMap<(InodeId, u32), Segment>,
    pub(crate) retries: BTreeMap<Seq, Retry>,
    touched: BTreeSet<RowKey>,
    gate: Option<Gate>,
}

impl Rows {
    /// The rows of an empty file system: the root folder, owned by `owner`.
    pub(crate) fn new(owner: &str, group: &str) -> Self {
        let root = Attrs { owner: owner.into(), group: group.into(), mode: 0o755, replication: 0, block_size: 0 };
        let mut inodes = Inodes::default();
        let root = InodeParts::root(inodes.place_of(root));
        inodes.put(InodeId::ROOT, root).expect("no name is short enough");
        let touched = BTreeSet::from([RowKey::Meta, RowKey::Inode(InodeId::ROOT)]);
        Self { meta: Meta::new(), inodes, segments: BTreeMap::new(), retries: BTreeMap::new(), touched, gate: None }
    }

    /// An inode that exists, reachable or not.
    pub(crate) fn inode(&self, id: InodeId) -> Option<Inode<'_>> {
        self.inodes.get(id)
    }

    /// The file part of an inode that is a file.
    pub(crate) fn file(&self, id: InodeId) -> Option<File<'_>> {
        self.inode(id)?.file
    }

    /// The rows of a file's further blocks, in order.
    pub(crate) fn segments_of(&self, id: InodeId) -> impl DoubleEndedIterator<Item = (u32, &Segment)> {
        self.segments.range((id, 0)..=(id, u32::MAX)).map(|((_, number), segment)| (*number, segment))
    }

    /// All blocks of a file, in order.
    pub(crate) fn blocks_of(&self, id: InodeId) -> impl Iterator<Item = Block> {
        let first = self.file(id).into_iter().flat_map(|file| file.first);
        first.chain(self.segments_of(id).flat_map(|(_, segment)| segment.run.blocks().iter().copied()))
    }

    /// Number of blocks of a file, without walking them.
    pub(crate) fn block_count(&self, id: InodeId) -> usize {
        let beyond = self.segments_of(id).next_back();
        match beyond {
            Some((number, segment)) => run::first_index(number) as usize + segment.run.blocks().len(),
            None => self.file(id).map_or(0, |file| file.first.len()),
        }
    }

    /// The block at an index of a file.
    pub(crate) fn block_at(&self, id: InodeId, index: usize) -> Option<Block> {
        let slot = slot_of(u32::try_from(index).ok()?);
        match slot.segment {
            None => self.file(id)?.first.nth(slot.at),
            Some(number) => self.segments.get(&(id, number))?.run.blocks().get(slot.at).copied(),
        }
    }

    /// The last block of a file with its index, and its construction if it is not committed yet.
    pub(crate) fn last_block(&self, id: InodeId) -> Option<(u32, Block, Option<&Building>)> {
        if let Some((number, segment)) = self.segments_of(id).next_back() {
            let index = run::first_index(number) + segment.run.blocks().len() as u32;
            return Some((index.checked_sub(1)?, *segment.run.blocks().last()?, segment.run.building()));
        }
        let file = self.file(id)?;
        let index = (file.first.len() as u32).checked_sub(1)?;
        Some((index, file.first.last()?, file.building))
    }

    /// Rows of blocks belong to files, follow on each other from 0, and all before the last are full; counters have room.
    ///
    /// # Errors
    /// What is not so.
    pub(crate) fn check_shape(&self) -> Result<(), String> {
        let mut next: Option<(InodeId, Option<u32>)> = None;
        for ((id, number), segment) in &self.segments {
            let file = self.file(*id).ok_or_else(|| format!("segment {number} of {id}, which is no file"))?;
            let expected = next.filter(|(before, _)| before == id).map_or(Some(0), |(_, expected)| expected);
            let len = segment.run.blocks().len();
            let base_is_full = file.first.len() == BLOCKS_IN_FILE_ROW;
            if expected != Some(*number) || !base_is_full || len == 0 || len > BLOCKS_PER_ROW {
                return Err(format!("segment {number} of {id} does not follow on"));
            }
            next = Some((*id, (len == BLOCKS_PER_ROW).then_some(number + 1)));
        }
        let Meta { last_inode, last_block, last_stamp, .. } = self.meta;
        let in_room = |count: u64| count < COUNTER_MAX;
        if in_room(last_inode.0) && in_room(last_block.0.unsigned_abs()) && in_room(last_stamp.0) {
            Ok(())
        } else {
            Err(format!("{:?} leaves no room", self.meta))
        }
    }

    /// Length of a file, bytes: what is known of all its blocks.
    pub(crate) fn len_of(&self, id: InodeId) -> u64 {
        self.blocks_of(id).fold(0, |sum, block| sum.saturating_add(block.len))
    }

    /// Moves up to `max` keys of rows touched since they were last taken into `out`, in key order.
    pub(crate) fn take_touched(&mut self, max: usize, out: &mut Vec<Vec<u8>>) {
        for _ in 0..max {
            let Some(key) = self.touched.pop_first() else { return };
            out.push(key.encode());
        }
    }

    /// The keys of all rows, in order. For tests and audits: it looks at everything.
    pub(crate) fn all_keys(&self) -> Vec<Vec<u8>> {
        let inodes = self.inodes.ids().map(RowKey::Inode);
        let segments = self.segments.keys().map(|(id, number)| RowKey::Blocks(*id, *number));
        let retries = self.retries.keys().map(|seq| RowKey::Retry(*seq));
        [RowKey::Meta].into_iter().chain(inodes).chain(segments).chain(retries).map(RowKey::encode).collect()
    }

    fn touch(&mut self, key: RowKey) {
        self.touched.insert(key);
    }
}
