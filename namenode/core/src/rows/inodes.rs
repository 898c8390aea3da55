//! All files and folders, each as few bytes as it can be told in.
//!
//! Only what most inodes have is packed. The few that are being written have a lease and a construction too, which are kept
//! beside, as they are.

use super::attrs::{Attrs, AttrsIx, AttrsPool};
use super::inode::{File, FileParts, Inode, InodeParts, Lease};
use super::packed::{self, Packed, pack, unpack};
use super::paged::Paged;
use super::run::{Building, Run};
use mammoth_protocol::InodeId;
use std::collections::BTreeMap;

/// Longest name, bytes; far above any that a client can give.
const NAME_MAX: usize = 16 << 10;

/// A map from ids to files and folders.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inodes {
    packed: Paged,
    attrs: AttrsPool,
    open: BTreeMap<InodeId, Open>,
    /// Where inodes are packed; kept for its room.
    scratch: Vec<u8>,
}

/// What a file has while it is written.
#[derive(Clone, Debug, Default)]
struct Open {
    lease: Option<Lease>,
    building: Option<Box<Building>>,
}

impl Inodes {
    /// Number of inodes.
    pub(crate) fn len(&self) -> usize {
        self.packed.len()
    }

    /// A file or folder.
    pub(crate) fn get(&self, id: InodeId) -> Option<Inode<'_>> {
        self.packed.get(id.0).map(|bytes| self.unpacked(id, bytes))
    }

    /// Its name, without looking at the rest.
    pub(crate) fn name_of(&self, id: InodeId) -> Option<&[u8]> {
        self.packed.get(id.0).map(packed::name_of)
    }

    /// The folder that it is in, without looking at the rest.
    pub(crate) fn parent_of(&self, id: InodeId) -> Option<InodeId> {
        self.packed.get(id.0).map(|bytes| packed::parent_of(id, bytes))
    }

    /// All, by id.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (InodeId, Inode<'_>)> {
        self.packed.iter().map(|(id, bytes)| (InodeId(id), self.unpacked(InodeId(id), bytes)))
    }

    /// All ids, ascending.
    pub(crate) fn ids(&self) -> impl Iterator<Item = InodeId> {
        self.packed.iter().map(|(id, _)| InodeId(id))
    }

    fn unpacked<'a>(&'a self, id: InodeId, bytes: &'a [u8]) -> Inode<'a> {
        let (packed, first) = unpack(id, bytes);
        let Packed { name, is_file, is_open, seq, parent, mtime_ms, atime_ms, attrs } = packed;
        let attrs = self.attrs.get(attrs).expect("attributes stay as long as an inode has them");
        let open = if is_open { self.open.get(&id) } else { None };
        let file = is_file.then(|| File {
            first,
            building: open.and_then(|open| open.building.as_deref()),
            lease: open.and_then(|open| open.lease.as_ref()),
        });
        Inode { seq, parent, name, mtime_ms, atime_ms, attrs, file }
    }

    /// The place of attributes that an inode is about to be put with.
    pub(super) fn place_of(&mut self, attrs: Attrs) -> AttrsIx {
        self.attrs.place_of(attrs)
    }

    /// An inode taken apart, to be changed and [put](Self::put) again.
    pub(super) fn take(&mut self, id: InodeId) -> Option<InodeParts> {
        let (packed, blocks) = unpack(id, self.packed.get(id.0)?);
        let Packed { name, is_file, is_open, seq, parent, mtime_ms, atime_ms, attrs } = packed;
        let open = if is_open { self.open.remove(&id) } else { None };
        let file = is_file.then(|| {
            let Open { lease, building } = open.unwrap_or_default();
            FileParts { first: Run::new(blocks.collect(), building), lease }
        });
        Some(InodeParts { seq, parent, name: name.into(), mtime_ms, atime_ms, attrs, file })
    }

    /// Puts an inode; in the place of the one of this id, if there is one.
    ///
    /// # Errors
    /// Its name is too long.
    pub(super) fn put(&mut self, id: InodeId, inode: InodeParts) -> Result<(), &'static str> {
        let InodeParts { seq, parent, name, mtime_ms, atime_ms, attrs, file } = inode;
        if name.len() > NAME_MAX {
            return Err("its name is too long");
        }
        self.attrs.claim(attrs);
        self.forget(id);
        let is_file = file.is_some();
        let FileParts { first, lease } = file.unwrap_or_default();
        let (blocks, building) = first.into_parts();
        let is_open = lease.is_some() || building.is_some();
        if is_open {
            self.open.insert(id, Open { lease, building });
        }
        let packed = Packed { name: &name, is_file, is_open, seq, parent, mtime_ms, atime_ms, attrs };
        self.scratch.clear();
        pack(id, &packed, &blocks, &mut self.scratch);
        self.packed.put(id.0, &self.scratch);
        Ok(())
    }

    /// Takes an inode out for good; `false` if there is none.
    pub(super) fn remove(&mut self, id: InodeId) -> bool {
        self.forget(id);
        self.packed.remove(id.0)
    }

    /// Gives back what an inode has beside its bytes.
    fn forget(&mut self, id: InodeId) {
        let Some(bytes) = self.packed.get(id.0) else { return };
        let (old, _) = unpack(id, bytes);
        self.attrs.release(old.attrs);
        if old.is_open {
            self.open.remove(&id);
        }
    }
}
