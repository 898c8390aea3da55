//! Path lookup: the one place that walks the tree by names.

use crate::rows::{DETACHED, Inode};
use crate::state::State;
use mammoth_protocol::{DfsPath, InodeId};

/// Which version of the namespace a lookup means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// The present one.
    Current,
}

/// How far a path exists.
#[derive(Clone, Debug)]
pub(crate) struct Resolved<'a> {
    /// The path that was looked up.
    pub(crate) path: &'a DfsPath,
    /// The inodes from the root down, as far as they exist; never empty. Only the last can be a file.
    pub(crate) chain: Vec<InodeId>,
    /// Names of the path that no inode has.
    pub(crate) missing: usize,
}

impl Resolved<'_> {
    /// The inode of the whole path, if it exists.
    pub(crate) fn last(&self) -> Option<InodeId> {
        if self.missing == 0 { self.chain.last().copied() } else { None }
    }

    /// The deepest inode that exists.
    pub(crate) fn deepest(&self) -> InodeId {
        *self.chain.last().expect("the chain begins with the root")
    }

    /// The folder that the path is in, if it exists; `None` for the root.
    pub(crate) fn parent(&self) -> Option<InodeId> {
        match self.missing {
            0 => self.chain.iter().rev().nth(1).copied(),
            1 => self.chain.last().copied(),
            _ => None,
        }
    }

    /// The path down to the `depth`th inode of the chain; 0 is the root.
    pub(crate) fn prefix(&self, depth: usize) -> String {
        let mut text: String = self.path.parts().take(depth).flat_map(|part| ["/", part]).collect();
        if text.is_empty() {
            text.push('/');
        }
        text
    }

    /// The path down to the deepest inode that exists.
    pub(crate) fn deepest_path(&self) -> String {
        self.prefix(self.chain.len() - 1)
    }

    /// The missing names, from the top down.
    pub(crate) fn missing_names(&self) -> impl Iterator<Item = &str> {
        self.path.parts().skip(self.chain.len() - 1)
    }
}

impl State {
    /// Looks a path up.
    pub(crate) fn resolve<'a>(&self, at: At, path: &'a DfsPath) -> Resolved<'a> {
        let At::Current = at;
        let mut chain = vec![InodeId::ROOT];
        let mut here = InodeId::ROOT;
        let mut parts = path.parts();
        let mut missing = 0;
        for part in parts.by_ref() {
            match self.tree.child(&self.rows.inodes, here, part) {
                Some(child) => {
                    here = child;
                    chain.push(child);
                }
                None => {
                    missing = 1 + parts.count();
                    break;
                }
            }
        }
        Resolved { path, chain, missing }
    }

    /// An inode that a path leads to: not one that is deleted and waits to be reclaimed.
    pub(crate) fn reachable(&self, id: InodeId) -> Option<Inode<'_>> {
        self.ancestors(id).last().filter(|top| *top == InodeId::ROOT).and_then(|_| self.rows.inode(id))
    }

    /// An inode, the folder that it is in, the folder that that is in … up to the root, or to a detached folder.
    pub(crate) fn ancestors(&self, id: InodeId) -> impl Iterator<Item = InodeId> {
        std::iter::successors(self.rows.inode(id).map(|_| id), |id| {
            let parent = self.rows.inodes.parent_of(*id)?;
            (*id != InodeId::ROOT && parent != DETACHED).then_some(parent)
        })
    }

    /// The path of a reachable inode.
    pub(crate) fn path_of(&self, id: InodeId) -> String {
        let mut names: Vec<&str> =
            self.ancestors(id).filter_map(|id| self.rows.inode(id)).map(|inode| inode.name).collect();
        names.reverse();
        if names.len() == 1 { "/".to_owned() } else { names.join("/") }
    }
}
