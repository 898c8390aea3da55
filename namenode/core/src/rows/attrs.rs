//! Owner, group, mode and layout of an inode, shared by all inodes that have the same.

use std::collections::BTreeSet;
use std::ops::Deref;
use std::sync::Arc;

/// What many inodes have in common: a file system has millions of inodes and a few hundred of these.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Attrs {
    pub(crate) owner: Box<str>,
    pub(crate) group: Box<str>,
    /// Permission bits with the sticky bit.
    pub(crate) mode: u16,
    /// Replicas wanted; 0 for folders.
    pub(crate) replication: u16,
    /// Bytes of a full block; 0 for folders.
    pub(crate) block_size: u64,
}

/// A reference into the pool.
pub(crate) type SharedAttrs = Arc<Attrs>;

/// Every [`Attrs`] in use, once. One that no inode has any more is dropped, so that no client can grow the pool for ever.
#[derive(Clone, Debug, Default)]
pub(crate) struct AttrsPool {
    all: BTreeSet<Pooled>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Pooled(SharedAttrs);

impl std::borrow::Borrow<Attrs> for Pooled {
    fn borrow(&self) -> &Attrs {
        self.0.deref()
    }
}

impl AttrsPool {
    /// The shared form of `attrs`.
    pub(crate) fn share(&mut self, attrs: Attrs) -> SharedAttrs {
        if let Some(known) = self.all.get(&attrs) {
            return Arc::clone(&known.0);
        }
        let new = Arc::new(attrs);
        self.all.insert(Pooled(Arc::clone(&new)));
        new
    }

    /// Gives a reference back.
    pub(crate) fn release(&mut self, attrs: SharedAttrs) {
        // Two references: the caller's and the pool's.
        if Arc::strong_count(&attrs) == 2 {
            self.all.remove(attrs.deref());
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_attributes_are_stored_once_and_unused_ones_dropped() {
        let mut pool = AttrsPool::default();
        let attrs = |mode| Attrs { owner: "u".into(), group: "g".into(), mode, replication: 3, block_size: 1 };
        let a = pool.share(attrs(0o644));
        let b = pool.share(attrs(0o644));
        let c = pool.share(attrs(0o600));
        assert!(Arc::ptr_eq(&a, &b));
        assert_eq!(pool.len(), 2);
        pool.release(a);
        assert_eq!(pool.len(), 2, "b still has it");
        pool.release(b);
        pool.release(c);
        assert_eq!(pool.len(), 0);
    }
}
