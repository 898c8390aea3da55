//! All replicas by block id.
//!
//! The map's lock is held only to find or forget an entry; what happens to one replica happens under the entry's own lock,
//! so that a slow disk stalls nobody else. Lock order: an entry may be held while the map is locked, never the reverse.

use super::replica::Replica;
use mammoth_protocol::BlockId;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The place of one block.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    inner: Mutex<EntryState>,
}

/// What is in it.
#[derive(Debug, Default)]
pub(crate) struct EntryState {
    pub(crate) replica: Option<Replica>,
    /// The map has forgotten this entry: look again.
    retired: bool,
}

impl Entry {
    /// Locks whatever its state; for callers that found the entry by a replica that they work on.
    pub(crate) fn lock(&self) -> MutexGuard<'_, EntryState> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The map.
#[derive(Debug, Default)]
pub(crate) struct ReplicaMap {
    entries: Mutex<BTreeMap<BlockId, Arc<Entry>>>,
}

impl ReplicaMap {
    fn entries(&self) -> MutexGuard<'_, BTreeMap<BlockId, Arc<Entry>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The entry of a block, if there is a replica or somebody is just making one.
    pub(crate) fn find(&self, id: BlockId) -> Option<Arc<Entry>> {
        self.entries().get(&id).cloned()
    }

    /// The entry of a block, made if there is none.
    pub(crate) fn find_or_add(&self, id: BlockId) -> Arc<Entry> {
        self.entries().entry(id).or_default().clone()
    }

    /// Works on the entry of a block, made if there is none; afterwards an entry without replica is forgotten.
    pub(crate) fn with<T>(&self, id: BlockId, work: impl FnOnce(&Arc<Entry>, &mut EntryState) -> T) -> T {
        loop {
            let entry = self.find_or_add(id);
            let mut state = entry.lock();
            if state.retired {
                continue;
            }
            let result = work(&entry, &mut state);
            self.tidy(id, &mut state);
            return result;
        }
    }

    /// Forgets the entry if it is empty.
    pub(crate) fn tidy(&self, id: BlockId, state: &mut EntryState) {
        if state.replica.is_none() && !state.retired {
            state.retired = true;
            self.entries().remove(&id);
        }
    }

    /// Up to `max` entries after `cursor`, ascending.
    pub(crate) fn after(&self, cursor: Option<BlockId>, max: usize) -> Vec<(BlockId, Arc<Entry>)> {
        let from = cursor.map_or(Bound::Unbounded, Bound::Excluded);
        let entries = self.entries();
        let range = entries.range((from, Bound::Unbounded)).take(max);
        range.map(|(id, entry)| (*id, Arc::clone(entry))).collect()
    }

    /// Number of entries.
    pub(crate) fn len(&self) -> usize {
        self.entries().len()
    }

    /// The highest block id.
    pub(crate) fn highest(&self) -> Option<BlockId> {
        self.entries().last_key_value().map(|(id, _)| *id)
    }
}
