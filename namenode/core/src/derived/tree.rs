//! The tree of folders, from the inodes' parents and names.

use super::{Children, contradiction};
use crate::rows::{DETACHED, Inode, Inodes};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use mammoth_protocol::InodeId;
use mammoth_protocol::journaled::CorruptRow;
use std::collections::{BTreeMap, BTreeSet};

/// Who is in which folder, and how many there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tree {
    /// Folders with entries.
    folders: HashMap<InodeId, Children, FixedState>,
    /// Deleted folders whose content is still to be reclaimed.
    detached: BTreeSet<InodeId>,
    files: u64,
    dirs: u64,
}

impl Tree {
    /// The tree of an empty file system.
    pub(crate) fn new() -> Self {
        Self { dirs: 1, ..Self::default() }
    }

    /// The tree of these inodes.
    ///
    /// # Errors
    /// Two entries of one name, a parent that is missing or no folder, or folders that no walk from above reaches.
    pub(crate) fn build(inodes: &Inodes) -> Result<Self, CorruptRow> {
        let mut tree = Self::default();
        let mut by_parent: BTreeMap<InodeId, Vec<InodeId>> = BTreeMap::new();
        for (id, inode) in inodes.iter() {
            tree.count(&inode);
            if inode.parent == DETACHED {
                tree.detached.insert(id);
            } else if id != InodeId::ROOT {
                by_parent.entry(inode.parent).or_default().push(id);
            }
        }
        for (parent, ids) in by_parent {
            if !inodes.get(parent).is_some_and(|inode| inode.is_dir()) {
                return Err(contradiction(&format!("{} is in {parent}, which is no folder", ids[0])));
            }
            // The names are looked up once each, not at every comparison.
            let mut entries: Vec<_> = ids.into_iter().map(|id| (inodes.name_of(id), id)).collect();
            entries.sort_unstable();
            if let Some([(_, a), (_, b)]) = entries.array_windows().find(|[(a, _), (b, _)]| a == b) {
                return Err(contradiction(&format!("{a} and {b} have the same name in {parent}")));
            }
            let ids: Vec<InodeId> = entries.into_iter().map(|(_, id)| id).collect();
            tree.folders.insert(parent, Children::in_order(inodes, &ids));
        }
        if tree.reachable() == inodes.len() { Ok(tree) } else { Err(contradiction("some folders are in each other")) }
    }

    fn reachable(&self) -> usize {
        let mut waiting: Vec<InodeId> = self.detached.iter().copied().chain([InodeId::ROOT]).collect();
        let mut seen = waiting.len();
        while let Some(id) = waiting.pop() {
            if let Some(children) = self.folders.get(&id) {
                seen += children.len();
                waiting.extend(children.iter());
            }
        }
        seen
    }

    /// Enters an inode into its folder.
    pub(crate) fn link(&mut self, inodes: &Inodes, id: InodeId) {
        let Some(parent) = inodes.parent_of(id) else { return };
        if parent == DETACHED {
            self.detached.insert(id);
            return;
        }
        let fresh = self.folders.entry(parent).or_default().insert(inodes, id);
        debug_assert!(fresh, "{id} takes a name in {parent} that another has");
    }

    /// Takes an inode out of its folder, while it still has its old parent and name.
    pub(crate) fn unlink(&mut self, inodes: &Inodes, id: InodeId) {
        let Some(parent) = inodes.parent_of(id) else { return };
        if parent == DETACHED {
            self.detached.remove(&id);
            return;
        }
        let Some(children) = self.folders.get_mut(&parent) else { return };
        let known = children.remove(inodes, id);
        debug_assert!(known, "{id} was not in {parent}");
        if children.len() == 0 {
            self.folders.remove(&parent);
        }
    }

    /// Counts an inode in.
    pub(crate) fn count(&mut self, inode: &Inode<'_>) {
        *self.counter(inode) += 1;
    }

    /// Counts an inode out.
    pub(crate) fn uncount(&mut self, inode: &Inode<'_>) {
        *self.counter(inode) -= 1;
    }

    fn counter(&mut self, inode: &Inode<'_>) -> &mut u64 {
        if inode.is_dir() { &mut self.dirs } else { &mut self.files }
    }

    /// The entry of a folder.
    pub(crate) fn child(&self, inodes: &Inodes, folder: InodeId, name: &str) -> Option<InodeId> {
        self.folders.get(&folder)?.get(inodes, name.as_bytes())
    }

    /// The entries of a folder; `None` if it has none.
    pub(crate) fn children(&self, folder: InodeId) -> Option<&Children> {
        self.folders.get(&folder)
    }

    /// Number of a folder's entries.
    pub(crate) fn child_count(&self, folder: InodeId) -> usize {
        self.folders.get(&folder).map_or(0, Children::len)
    }

    /// Deleted folders whose content is still to be reclaimed.
    pub(crate) fn detached(&self) -> &BTreeSet<InodeId> {
        &self.detached
    }

    /// Files, those below detached folders included.
    pub(crate) fn files(&self) -> u64 {
        self.files
    }

    /// Folders, the root and detached ones included.
    pub(crate) fn dirs(&self) -> u64 {
        self.dirs
    }

    /// Same entries in the same order, however they are cut into chunks.
    pub(crate) fn same_as(&self, other: &Self) -> bool {
        let counts = |tree: &Self| (tree.files, tree.dirs, tree.folders.len(), tree.detached.clone());
        let same_entries = |(folder, children): (&InodeId, &Children)| {
            other.folders.get(folder).is_some_and(|theirs| children.iter().eq(theirs.iter()))
        };
        counts(self) == counts(other) && self.folders.iter().all(same_entries)
    }
}
