//! Owner, group, mode and layout of an inode, shared by all inodes that have the same.

use std::collections::BTreeMap;
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

/// Place of attributes in the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AttrsIx(pub(super) u32);

/// Every [`Attrs`] in use, once. One that no inode has any more is dropped, so that no client can grow the pool for ever.
#[derive(Clone, Debug, Default)]
pub(super) struct AttrsPool {
    places: Vec<Option<Pooled>>,
    free: Vec<AttrsIx>,
    index: BTreeMap<Arc<Attrs>, AttrsIx>,
}

#[derive(Clone, Debug)]
struct Pooled {
    attrs: Arc<Attrs>,
    /// Inodes that have them.
    uses: u64,
}

impl AttrsPool {
    /// The attributes at a place that is in use.
    pub(super) fn get(&self, ix: AttrsIx) -> Option<&Attrs> {
        self.places.get(ix.0 as usize)?.as_ref().map(|pooled| &*pooled.attrs)
    }

    /// The place of `attrs`, for an inode that is about to [`Self::claim`] it.
    pub(super) fn place_of(&mut self, attrs: Attrs) -> AttrsIx {
        match self.index.get(&attrs) {
            Some(known) => *known,
            None => self.add(Arc::new(attrs)),
        }
    }

    /// One inode more has the attributes at `ix`.
    pub(super) fn claim(&mut self, ix: AttrsIx) {
        if let Some(Some(pooled)) = self.places.get_mut(ix.0 as usize) {
            pooled.uses += 1;
        }
    }

    fn add(&mut self, attrs: Arc<Attrs>) -> AttrsIx {
        let ix = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            AttrsIx((self.places.len() - 1) as u32)
        });
        self.places[ix.0 as usize] = Some(Pooled { attrs: Arc::clone(&attrs), uses: 0 });
        self.index.insert(attrs, ix);
        ix
    }

    /// One inode less has the attributes at `ix`.
    pub(super) fn release(&mut self, ix: AttrsIx) {
        let Some(place) = self.places.get_mut(ix.0 as usize) else { return };
        let Some(pooled) = place else { return };
        pooled.uses -= 1;
        if pooled.uses == 0 {
            self.index.remove(&*pooled.attrs);
            *place = None;
            self.free.push(ix);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_attributes_are_stored_once_and_unused_ones_dropped() {
        let mut pool = AttrsPool::default();
        let attrs = |mode| Attrs { owner: "u".into(), group: "g".into(), mode, replication: 3, block_size: 1 };
        let [a, b, c] = [0o644, 0o644, 0o600].map(|mode| {
            let ix = pool.place_of(attrs(mode));
            pool.claim(ix);
            ix
        });
        assert_eq!((a, pool.len()), (b, 2));
        pool.release(a);
        assert_eq!(pool.get(b), Some(&attrs(0o644)), "b still has it");
        pool.release(b);
        pool.release(c);
        assert_eq!((pool.len(), pool.get(b)), (0, None));
        assert_eq!(pool.place_of(attrs(0o755)), c, "places are used again");
    }
}
