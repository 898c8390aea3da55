//! The table of blocks: a slab of entries and an index by block id.
//!
//! Entries hold only what every block has. Whatever is out of the ordinary — a block under construction, a replica that is
//! not good — lives in the side table ([`super::odd`]), so that ten million quiet blocks stay small.

use super::types::BlockMeta;
use super::volumes::Volumes;
use foldhash::fast::FixedState;
use hashbrown::HashTable;
use mammoth_protocol::{BlockId, GenStamp, InodeId};
use std::hash::BuildHasher as _;

/// Place of a block in the table; given to another block once the block is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Slot(pub(super) u32);

/// What repair has to do with a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Condition {
    /// Not looked at yet: the namenode is starting.
    Unsurveyed,
    /// Under construction: left alone.
    Open,
    /// As many good replicas as wanted, nothing to clear.
    Fine,
    /// Too few good replicas, but the copies under way make up for it.
    Waiting,
    /// One good replica left where more are wanted.
    LastCopy,
    /// Less than a third of the wanted replicas.
    FewCopies,
    /// Too few replicas otherwise.
    SomeCopies,
    /// No good replica.
    Missing,
    /// No good replica, of a block that wants only one.
    MissingSingle,
    /// More good replicas than wanted.
    Surplus,
    /// Enough good replicas, and bad ones to clear away.
    Leftover,
}

impl Condition {
    pub(super) const COUNT: usize = 11;
    /// Those that call for copies, most urgent first.
    pub(super) const NEEDS: [Self; 3] = [Self::LastCopy, Self::FewCopies, Self::SomeCopies];
}

/// A block that a file owns.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) id: BlockId,
    pub(super) inode: InodeId,
    pub(super) stamp: GenStamp,
    pub(super) len: u64,
    /// Volumes whose replica was judged good (see [`super::judge`]). Empty while the block is under construction. Volumes whose
    /// datanode has just died are still in until they are drained: count with [`super::BlockMap::good`].
    pub(super) good: Volumes,
    pub(super) wanted: u16,
    /// Bad replicas as last tallied.
    pub(super) bad: u16,
    pub(super) complete: bool,
    /// Complete with at least the minimum of good replicas, as last tallied.
    pub(super) safe: bool,
    /// As last tallied.
    pub(super) condition: Condition,
}

const _: () = assert!(size_of::<Option<Entry>>() == 56);

impl Entry {
    pub(super) const fn meta(&self) -> BlockMeta {
        BlockMeta { inode: self.inode, stamp: self.stamp, len: self.len, wanted: self.wanted, complete: self.complete }
    }

    /// Good replicas that repair strives for; never 0, whatever the file says.
    pub(super) fn target(&self) -> usize {
        usize::from(self.wanted.max(1))
    }
}

/// All blocks that files own.
#[derive(Clone, Debug, Default)]
pub(super) struct BlockTable {
    slots: Vec<Option<Entry>>,
    free: Vec<Slot>,
    index: HashTable<Slot>,
}

fn hash(id: BlockId) -> u64 {
    FixedState::default().hash_one(id.0)
}

impl BlockTable {
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// One above the highest slot in use.
    pub(super) fn end(&self) -> u32 {
        self.slots.len() as u32
    }

    pub(super) fn find(&self, id: BlockId) -> Option<Slot> {
        self.index.find(hash(id), |&slot| self.at(slot).is_some_and(|e| e.id == id)).copied()
    }

    /// The entry of a slot, `None` if the slot is free.
    pub(super) fn at(&self, slot: Slot) -> Option<&Entry> {
        self.slots.get(slot.0 as usize)?.as_ref()
    }

    /// The entry of a slot that is known to be in use.
    pub(super) fn get(&self, slot: Slot) -> &Entry {
        self.at(slot).expect("a slot is kept only as long as its block")
    }

    pub(super) fn get_mut(&mut self, slot: Slot) -> &mut Entry {
        self.slots.get_mut(slot.0 as usize).and_then(Option::as_mut).expect("a slot is kept only as long as its block")
    }

    /// Adds a block that is not in.
    pub(super) fn insert(&mut self, entry: Entry) -> Slot {
        let id = entry.id;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            Slot(u32::try_from(self.slots.len() - 1).expect("2^32 blocks need more memory than there is"))
        });
        self.slots[slot.0 as usize] = Some(entry);
        let slots = &self.slots;
        self.index.insert_unique(hash(id), slot, |&s| hash(slots[s.0 as usize].as_ref().map_or(BlockId(0), |e| e.id)));
        slot
    }

    pub(super) fn remove(&mut self, slot: Slot) {
        let id = self.get(slot).id;
        if let Ok(found) = self.index.find_entry(hash(id), |&s| s == slot) {
            found.remove();
        }
        self.slots[slot.0 as usize] = None;
        self.free.push(slot);
    }

    /// Bytes allocated, slack of growth left out.
    #[cfg(test)]
    pub(super) fn allocated(&self) -> usize {
        self.slots.len() * size_of::<Option<Entry>>() + self.index.allocation_size()
    }

    /// All blocks, by slot.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Slot, &Entry)> {
        self.slots.iter().enumerate().filter_map(|(at, entry)| entry.as_ref().map(|e| (Slot(at as u32), e)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: i64) -> Entry {
        Entry {
            id: BlockId(id),
            inode: InodeId(1),
            stamp: GenStamp(1),
            len: 0,
            good: Volumes::new(),
            wanted: 1,
            bad: 0,
            complete: true,
            safe: false,
            condition: Condition::Unsurveyed,
        }
    }

    #[test]
    fn slots_are_found_by_id_and_used_again() {
        let mut table = BlockTable::default();
        for id in 1..=100 {
            table.insert(entry(id));
        }
        let slot = table.find(BlockId(40)).expect("inserted");
        table.remove(slot);
        assert_eq!(table.find(BlockId(40)), None);
        assert!(table.at(slot).is_none());
        assert_eq!(table.insert(entry(101)), slot);
        assert_eq!(table.len(), 100);
        for id in (1..=101).filter(|&id| id != 40) {
            let slot = table.find(BlockId(id)).expect("still in");
            assert_eq!(table.get(slot).id, BlockId(id));
        }
    }
}
