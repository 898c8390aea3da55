//! The table of blocks: a slab of entries and an index by block id.
//!
//! Both grow in small parts: a slab or an index that moved as a whole would keep everybody waiting at ten million blocks.
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
    /// Enough good replicas, and all on one rack although there are several.
    Misplaced,
}

impl Condition {
    pub(super) const COUNT: usize = 12;
    /// Those that call for copies, most urgent first.
    pub(super) const NEEDS: [Self; 3] = [Self::LastCopy, Self::FewCopies, Self::SomeCopies];

    /// The block is looked after, and has fewer good replicas than it wants, or none yet.
    pub(super) const fn lacks(self) -> bool {
        !matches!(self, Self::Unsurveyed | Self::Fine | Self::Surplus | Self::Leftover | Self::Misplaced)
    }
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
#[derive(Clone, Debug)]
pub(super) struct BlockTable {
    /// Each has room for [`CHUNK`] entries, and all but the last are full.
    chunks: Vec<Vec<Option<Entry>>>,
    free: Vec<Slot>,
    /// Slots by block id, in [`SHARDS`] tables by some bits of the hash.
    index: Vec<HashTable<Slot>>,
    len: usize,
}

const CHUNK: usize = 4096;
const SHARDS: usize = 1024;

fn hash(id: BlockId) -> u64 {
    FixedState::default().hash_one(id.0)
}

/// The table of a hash, by bits that the table itself does not look at.
const fn shard(hash: u64) -> usize {
    (hash >> 40) as usize % SHARDS
}

/// Chunk of a slot, and place in the chunk.
const fn locate(slot: Slot) -> (usize, usize) {
    (slot.0 as usize / CHUNK, slot.0 as usize % CHUNK)
}

impl Default for BlockTable {
    fn default() -> Self {
        Self { chunks: Vec::new(), free: Vec::new(), index: vec![HashTable::new(); SHARDS], len: 0 }
    }
}

impl BlockTable {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// One above the highest slot in use.
    pub(super) fn end(&self) -> u32 {
        self.chunks.last().map_or(0, |last| ((self.chunks.len() - 1) * CHUNK + last.len()) as u32)
    }

    pub(super) fn find(&self, id: BlockId) -> Option<Slot> {
        let hash = hash(id);
        self.index[shard(hash)].find(hash, |&slot| self.at(slot).is_some_and(|e| e.id == id)).copied()
    }

    /// The entry of a slot, `None` if the slot is free.
    pub(super) fn at(&self, slot: Slot) -> Option<&Entry> {
        let (chunk, at) = locate(slot);
        self.chunks.get(chunk)?.get(at)?.as_ref()
    }

    /// The entry of a slot that is known to be in use.
    pub(super) fn get(&self, slot: Slot) -> &Entry {
        self.at(slot).expect("a slot is kept only as long as its block")
    }

    pub(super) fn get_mut(&mut self, slot: Slot) -> &mut Entry {
        self.place_mut(slot).as_mut().expect("a slot is kept only as long as its block")
    }

    fn place_mut(&mut self, slot: Slot) -> &mut Option<Entry> {
        let (chunk, at) = locate(slot);
        &mut self.chunks[chunk][at]
    }

    /// Adds a block that is not in.
    pub(super) fn insert(&mut self, entry: Entry) -> Slot {
        let hash_of_block = hash(entry.id);
        let slot = self.free.pop().unwrap_or_else(|| self.add_slot());
        *self.place_mut(slot) = Some(entry);
        let chunks = &self.chunks;
        let hash_of_slot = |&slot: &Slot| {
            let (chunk, at) = locate(slot);
            chunks[chunk][at].as_ref().map_or(0, |entry| hash(entry.id))
        };
        self.index[shard(hash_of_block)].insert_unique(hash_of_block, slot, hash_of_slot);
        self.len += 1;
        slot
    }

    fn add_slot(&mut self) -> Slot {
        if self.chunks.last().is_none_or(|last| last.len() == CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        let chunk = self.chunks.len() - 1;
        self.chunks[chunk].push(None);
        let slot = chunk * CHUNK + self.chunks[chunk].len() - 1;
        Slot(u32::try_from(slot).expect("2^32 blocks need more memory than there is"))
    }

    pub(super) fn remove(&mut self, slot: Slot) {
        let hash = hash(self.get(slot).id);
        if let Ok(found) = self.index[shard(hash)].find_entry(hash, |&s| s == slot) {
            found.remove();
        }
        *self.place_mut(slot) = None;
        self.len -= 1;
        self.free.push(slot);
    }

    /// Bytes allocated, slack of growth left out.
    #[cfg(test)]
    pub(super) fn allocated(&self) -> usize {
        let index: usize = self.index.iter().map(HashTable::allocation_size).sum();
        self.end() as usize * size_of::<Option<Entry>>() + index
    }

    /// All blocks, by slot.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Slot, &Entry)> {
        let places = self.chunks.iter().flatten().enumerate();
        places.filter_map(|(at, entry)| entry.as_ref().map(|e| (Slot(at as u32), e)))
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
