//! The entries of one folder, in byte order of their names.

use crate::rows::Inodes;
use mammoth_protocol::InodeId;

/// Ids per chunk: a folder of a million entries inserts by moving at most 4 KiB.
const CHUNK_MAX: usize = 512;

/// Ids of a folder's entries, ordered by name. The names stay in the inodes, so an entry costs 8 bytes; looking one up is a
/// binary search that reads the inodes it compares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Children {
    /// None is empty; each is sorted, and all are before all of the next.
    chunks: Vec<Vec<InodeId>>,
    len: usize,
}

/// Of ids that are in order already.
impl FromIterator<InodeId> for Children {
    fn from_iter<I: IntoIterator<Item = InodeId>>(ids: I) -> Self {
        let ids: Vec<InodeId> = ids.into_iter().collect();
        Self { chunks: ids.chunks(CHUNK_MAX).map(<[InodeId]>::to_vec).collect(), len: ids.len() }
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
        let (chunk, at) = self.search(inodes, name).ok()?;
        self.chunks.get(chunk)?.get(at).copied()
    }

    /// Adds an entry; an inode of this id and name must exist. `false` if the name is taken.
    pub(crate) fn insert(&mut self, inodes: &Inodes, id: InodeId) -> bool {
        let Err((chunk, at)) = self.search(inodes, name_of(inodes, id)) else { return false };
        if chunk == self.chunks.len() {
            self.chunks.push(Vec::new());
        }
        let (chunk, at) = self.make_room(chunk, at);
        let Some(ids) = self.chunks.get_mut(chunk) else { return false };
        ids.insert(at, id);
        self.len += 1;
        true
    }

    /// Splits a chunk that is full; gives the place where what was to come to `at` comes now.
    fn make_room(&mut self, chunk: usize, at: usize) -> Place {
        let Some(ids) = self.chunks.get_mut(chunk).filter(|ids| ids.len() >= CHUNK_MAX) else { return (chunk, at) };
        // Names mostly arrive in order: leave the chunk full then, else halve it.
        let keep = if at == ids.len() { CHUNK_MAX } else { CHUNK_MAX / 2 };
        let rest = ids.split_off(keep);
        ids.shrink_to_fit();
        self.chunks.insert(chunk + 1, rest);
        if at < keep { (chunk, at) } else { (chunk + 1, at - keep) }
    }

    /// Takes an entry out, while the inode still has its name here.
    pub(crate) fn remove(&mut self, inodes: &Inodes, id: InodeId) -> bool {
        let Ok((chunk, at)) = self.search(inodes, name_of(inodes, id)) else { return false };
        let Some(ids) = self.chunks.get_mut(chunk).filter(|ids| ids.get(at) == Some(&id)) else { return false };
        ids.remove(at);
        self.len -= 1;
        if ids.is_empty() {
            self.chunks.remove(chunk);
        }
        true
    }

    /// All entries, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = InodeId> {
        self.chunks.iter().flatten().copied()
    }

    /// The entries after a name, in order, and how many they are.
    pub(crate) fn after(&self, inodes: &Inodes, name: &[u8]) -> (usize, impl Iterator<Item = InodeId>) {
        let (chunk, at) = match self.search(inodes, name) {
            Ok((chunk, at)) => (chunk, at + 1),
            Err(place) => place,
        };
        let before: usize = self.chunks.iter().take(chunk).map(Vec::len).sum::<usize>() + at;
        let rest = self.chunks.iter().skip(chunk).flatten().skip(at).copied();
        (self.len - before, rest)
    }

    fn search(&self, inodes: &Inodes, name: &[u8]) -> Result<Place, Place> {
        let last_of = |ids: &Vec<InodeId>| ids.last().map_or(&[][..], |last| name_of(inodes, *last));
        let chunk = self.chunks.partition_point(|ids| last_of(ids) < name);
        let Some(ids) = self.chunks.get(chunk) else {
            // After every entry: the end of the last chunk, if there is one.
            let last = self.chunks.len().saturating_sub(1);
            return Err((last, self.chunks.get(last).map_or(0, Vec::len)));
        };
        match ids.binary_search_by(|id| name_of(inodes, *id).cmp(name)) {
            Ok(at) => Ok((chunk, at)),
            Err(at) => Err((chunk, at)),
        }
    }
}

fn name_of(inodes: &Inodes, id: InodeId) -> &[u8] {
    inodes.name_of(id).unwrap_or_default()
}
