//! A checkpoint in memory, for tests and the simulator: keeps written and synced rows apart and loses the former, or any
//! part of them, in a crash.

use super::{CheckpointStore, Mark, RowVisitor};
use crate::error::JournalError;
use mammoth_protocol::Seq;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A store in memory; clones are the same store, so that a test keeps it over the crash of whoever writes to it.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    inner: Arc<Mutex<Inner>>,
}

/// Rows under their key, marks under `None` and their number.
type Cell = (Option<Vec<u8>>, u8);

#[derive(Debug, Default)]
struct Inner {
    durable: BTreeMap<Cell, Vec<u8>>,
    unsynced: Vec<(Cell, Option<Vec<u8>>)>,
    writes: usize,
    fail_after: Option<usize>,
}

/// What a crash leaves of writes that were not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreTear {
    /// Nothing.
    Lost,
    /// The first so many.
    Prefix(usize),
    /// Those whose bit is set (the 65th write shares the first one's bit): any part, in no order.
    Some(u64),
    /// All.
    Kept,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The power goes and comes back.
    pub fn crash(&self, tear: StoreTear) {
        let mut inner = self.lock();
        let unsynced = std::mem::take(&mut inner.unsynced);
        for (i, (cell, value)) in unsynced.into_iter().enumerate() {
            let stays = match tear {
                StoreTear::Lost => false,
                StoreTear::Prefix(n) => i < n,
                StoreTear::Some(bits) => bits >> (i % 64) & 1 == 1,
                StoreTear::Kept => true,
            };
            if stays {
                write(&mut inner.durable, cell, value);
            }
        }
        inner.fail_after = None;
    }

    /// Makes every write or sync after the next `n` fail.
    pub fn fail_after(&self, n: usize) {
        let mut inner = self.lock();
        inner.fail_after = Some(inner.writes + n);
    }

    /// Writes and syncs so far.
    #[must_use]
    pub fn writes(&self) -> usize {
        self.lock().writes
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn step(&self) -> Result<MutexGuard<'_, Inner>, JournalError> {
        let mut inner = self.lock();
        if inner.fail_after.is_some_and(|limit| inner.writes >= limit) {
            return Err(JournalError::Injected("the store failed".to_owned()));
        }
        inner.writes += 1;
        Ok(inner)
    }
}

fn write(to: &mut BTreeMap<Cell, Vec<u8>>, cell: Cell, value: Option<Vec<u8>>) {
    match value {
        Some(value) => to.insert(cell, value),
        None => to.remove(&cell),
    };
}

fn mark_cell(mark: Mark) -> Cell {
    (None, mark as u8)
}

impl Inner {
    /// What a reader sees: the synced contents with the unsynced writes on top.
    fn live(&self) -> BTreeMap<Cell, Vec<u8>> {
        let mut live = self.durable.clone();
        for (cell, value) in &self.unsynced {
            write(&mut live, cell.clone(), value.clone());
        }
        live
    }
}

impl CheckpointStore for MemoryStore {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), JournalError> {
        self.step()?.unsynced.push(((Some(key.to_vec()), 0), Some(value.to_vec())));
        Ok(())
    }

    fn delete(&mut self, key: &[u8]) -> Result<(), JournalError> {
        self.step()?.unsynced.push(((Some(key.to_vec()), 0), None));
        Ok(())
    }

    fn set_mark(&mut self, mark: Mark, seq: Seq) -> Result<(), JournalError> {
        self.step()?.unsynced.push((mark_cell(mark), Some(seq.0.to_be_bytes().to_vec())));
        Ok(())
    }

    fn sync(&mut self) -> Result<(), JournalError> {
        let mut inner = self.step()?;
        for (cell, value) in std::mem::take(&mut inner.unsynced) {
            write(&mut inner.durable, cell, value);
        }
        Ok(())
    }

    fn mark(&self, mark: Mark) -> Result<Seq, JournalError> {
        let live = self.lock().live();
        let bytes = live.get(&mark_cell(mark)).and_then(|bytes| bytes.as_slice().try_into().ok());
        Ok(Seq(bytes.map_or(0, u64::from_be_bytes)))
    }

    fn for_each(&self, visit: &mut RowVisitor<'_>) -> Result<(), JournalError> {
        let live = self.lock().live();
        live.iter().filter_map(|((key, _), value)| Some((key.as_ref()?, value))).try_for_each(|(k, v)| visit(k, v))
    }
}
