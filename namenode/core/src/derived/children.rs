//! The entries of one folder, in byte order of their names.

use crate::rows::Inodes;
use foldhash::fast::FixedState;
use mammoth_protocol::InodeId;
use std::hash::BuildHasher as _;

/// Ids per chunk: a folder of a million entries inserts by moving at most 5 KiB.
const CHUNK_MAX: usize = 512;
/// Tags that are compared together, without a branch for each.
const BLOCK: usize = 32;

/// Ids of a folder's entries, ordered by name. The names stay in the inodes, so an entry costs 10 bytes, and a chunk that
/// another one follows a name; to find the place of a name is a binary search that reads the inodes it compares, and to find an entry reads few: of
/// its chunk only those whose tag is that of the name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Children {
    /// None is empty; each is sorted, and all are before all of the next.
    chunks: Vec<Chunk>,
    len: usize,
}

/// Neighbouring entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Chunk {
    ids: Vec<InodeId>,
    /// Of each name, some bits of a hash.
    tags: Vec<u16>,
    /// If there is a next chunk: none of the names is after this one, and all of the next are. Chunks are searched for every name,
    /// and inodes lie far apart. A folder of one chunk, as most are, needs none.
    bound: Box<[u8]>,
}

impl Chunk {
    fn in_order(inodes: &Inodes, ids: &[InodeId]) -> Self {
        let tags = ids.iter().map(|id| tag(name_of(inodes, *id))).collect();
        Self { ids: ids.to_vec(), tags, bound: Box::default() }
    }

    fn insert(&mut self, at: usize, id: InodeId, name: &[u8]) {
        self.ids.insert(at, id);
        self.tags.insert(at, tag(name));
    }

    fn remove(&mut self, at: usize) {
        self.ids.remove(at);
        self.tags.remove(at);
    }

    /// What comes from `keep` on.
    fn split_off(&mut self, inodes: &Inodes, keep: usize) -> Self {
        let (ids, tags) = (self.ids.split_off(keep), self.tags.split_off(keep));
        self.ids.shrink_to_fit();
        self.tags.shrink_to_fit();
        let own = self.last_name(inodes).into();
        Self { ids, tags, bound: std::mem::replace(&mut self.bound, own) }
    }

    fn last_name<'a>(&self, inodes: &'a Inodes) -> &'a [u8] {
        self.ids.last().map_or(&[], |last| name_of(inodes, *last))
    }

    fn find(&self, inodes: &Inodes, name: &[u8]) -> Option<usize> {
        let wanted = tag(name);
        let blocks = self.tags.chunks(BLOCK).enumerate();
        let hits = blocks.filter(|(_, tags)| tags.iter().fold(false, |hit, tag| hit | (*tag == wanted)));
        let same = hits.flat_map(|(block, tags)| (block * BLOCK..).zip(tags).filter(|(_, tag)| **tag == wanted));
        same.map(|(at, _)| at).find(|at| self.ids.get(*at).is_some_and(|id| name_of(inodes, *id) == name))
    }
}

/// The same for the same name within a process.
fn tag(name: &[u8]) -> u16 {
    FixedState::default().hash_one(name) as u16
}

impl Children {
    /// The children of these ids, which are in order already.
    pub(crate) fn in_order(inodes: &Inodes, ids: &[InodeId]) -> Self {
        let mut chunks: Vec<_> = ids.chunks(CHUNK_MAX).map(|ids| Chunk::in_order(inodes, ids)).collect();
        if let Some((_, before)) = chunks.split_last_mut() {
            before.iter_mut().for_each(|chunk| chunk.bound = chunk.last_name(inodes).into());
        }
        Self { chunks, len: ids.len() }
    }
}

/// Place of an entry: chunk, and index in the chunk.
type Place = (usize, usize);

impl Children {
    /// Number of entries.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The entry of this name.
    pub(crate) fn get(&self, inodes: &Inodes, name: &[u8]) -> Option<InodeId> {
        let chunk = self.chunks.get(self.chunk_of(name))?;
        chunk.ids.get(chunk.find(inodes, name)?).copied()
    }

    /// Adds an entry; an inode of this id and name must exist. `false` if the name is taken.
    pub(crate) fn insert(&mut self, inodes: &Inodes, id: InodeId) -> bool {
        let name = name_of(inodes, id);
        let Err((chunk, at)) = self.search(inodes, name) else { return false };
        if chunk == self.chunks.len() {
            self.chunks.push(Chunk::default());
        }
        let (chunk, at) = self.make_room(inodes, chunk, at);
        let Some(entries) = self.chunks.get_mut(chunk) else { return false };
        entries.insert(at, id, name);
        self.len += 1;
        true
    }

    /// Splits a chunk that is full; gives the place where what was to come to `at` comes now.
    fn make_room(&mut self, inodes: &Inodes, chunk: usize, at: usize) -> Place {
        let Some(full) = self.chunks.get_mut(chunk).filter(|chunk| chunk.ids.len() >= CHUNK_MAX) else {
            return (chunk, at);
        };
        // Names mostly arrive in order: leave the chunk full then, else halve it.
        let keep = if at == full.ids.len() { CHUNK_MAX } else { CHUNK_MAX / 2 };
        let rest = full.split_off(inodes, keep);
        self.chunks.insert(chunk + 1, rest);
        if at < keep { (chunk, at) } else { (chunk + 1, at - keep) }
    }

    /// Takes an entry out, while the inode still has its name here.
    pub(crate) fn remove(&mut self, inodes: &Inodes, id: InodeId) -> bool {
        let name = name_of(inodes, id);
        let at = self.chunk_of(name);
        let Some(chunk) = self.chunks.get_mut(at) else { return false };
        let Some(place) = chunk.find(inodes, name).filter(|place| chunk.ids.get(*place) == Some(&id)) else {
            return false;
        };
        chunk.remove(place);
        self.len -= 1;
        if chunk.ids.is_empty() {
            self.chunks.remove(at);
        }
        true
    }

    /// All entries, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = InodeId> {
        self.chunks.iter().flat_map(|chunk| chunk.ids.iter().copied())
    }

    /// The entries after a name, in order, and how many they are.
    pub(crate) fn after(&self, inodes: &Inodes, name: &[u8]) -> (usize, impl Iterator<Item = InodeId>) {
        let (chunk, at) = match self.search(inodes, name) {
            Ok((chunk, at)) => (chunk, at + 1),
            Err(place) => place,
        };
        let before: usize = self.chunks.iter().take(chunk).map(|chunk| chunk.ids.len()).sum::<usize>() + at;
        let rest = self.chunks.iter().skip(chunk).flat_map(|chunk| chunk.ids.iter().copied()).skip(at);
        (self.len - before, rest)
    }

    /// The chunk that has the entry of this name, if any has; the last one for a name after all.
    fn chunk_of(&self, name: &[u8]) -> usize {
        let before = self.chunks.split_last().map_or(&[][..], |(_, before)| before);
        before.partition_point(|chunk| &*chunk.bound < name)
    }

    fn search(&self, inodes: &Inodes, name: &[u8]) -> Result<Place, Place> {
        let Some(last) = self.chunks.last() else { return Err((0, 0)) };
        if last.last_name(inodes) < name {
            // Names mostly arrive in order.
            return Err((self.chunks.len() - 1, last.ids.len()));
        }
        let chunk = self.chunk_of(name);
        let Some(found) = self.chunks.get(chunk) else { return Err((chunk, 0)) };
        match found.ids.binary_search_by(|id| name_of(inodes, *id).cmp(name)) {
            Ok(at) => Ok((chunk, at)),
            Err(at) => Err((chunk, at)),
        }
    }
}

fn name_of(inodes: &Inodes, id: InodeId) -> &[u8] {
    inodes.name_of(id).unwrap_or_default()
}
