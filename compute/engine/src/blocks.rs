//! The block manager: partitions of cached datasets, in memory, the least recently used ones given up first.
//!
//! A block is a list of shared batches. Giving one up loses nothing but time: it is computed again from its lineage.

use crate::batch::Batch;
use crate::ops::{CacheCodec, Source};
use crate::task::{Counts, TaskContext, TaskError};
use mammoth_engine_core::api::DatasetId;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A dataset and one of its partitions.
pub type BlockId = (DatasetId, u32);

/// The batches of one partition.
pub(crate) struct Block {
    batches: Mutex<Vec<Batch>>,
    weight: u64,
}

/// All blocks of an executor.
pub struct Blocks {
    max: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    blocks: BTreeMap<BlockId, Held>,
    /// What all blocks weigh, those included that are being made.
    used: u64,
    uses: u64,
    /// What came and went since it was last told: bytes held now.
    changes: Vec<(DatasetId, u32, u64)>,
}

struct Held {
    block: Arc<Block>,
    used_at: u64,
}

impl Blocks {
    /// A manager of at most `max` bytes.
    #[must_use]
    pub fn new(max: u64) -> Self {
        Self { max, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self, id: BlockId) -> Option<Arc<Block>> {
        let mut state = self.state();
        state.uses += 1;
        let uses = state.uses;
        let held = state.blocks.get_mut(&id)?;
        held.used_at = uses;
        Some(Arc::clone(&held.block))
    }

    /// Makes room for a part of a block of `dataset`, at the expense of blocks of others.
    fn grow(&self, dataset: DatasetId, bytes: u64) -> bool {
        let mut state = self.state();
        while state.used.saturating_add(bytes) > self.max {
            let others = state.blocks.iter().filter(|((of, _), _)| *of != dataset);
            let Some(id) = others.min_by_key(|(_, held)| held.used_at).map(|(id, _)| *id) else { return false };
            state.give_up(id);
        }
        state.used += bytes;
        true
    }

    fn shrink(&self, bytes: u64) {
        let mut state = self.state();
        state.used = state.used.saturating_sub(bytes);
    }

    /// Takes a block whose weight was grown already.
    fn put(&self, id: BlockId, block: Block) {
        let mut state = self.state();
        if state.blocks.contains_key(&id) {
            state.used = state.used.saturating_sub(block.weight);
            return;
        }
        state.uses += 1;
        let used_at = state.uses;
        state.changes.push((id.0, id.1, block.weight.max(1)));
        state.blocks.insert(id, Held { block: Arc::new(block), used_at });
    }

    /// Gives up all blocks of a dataset.
    pub(crate) fn drop_dataset(&self, dataset: DatasetId) {
        let mut state = self.state();
        let ids: Vec<BlockId> = state.blocks.keys().filter(|(of, _)| *of == dataset).copied().collect();
        for id in ids {
            state.give_up(id);
        }
    }

    /// What came and went since the last time.
    pub(crate) fn take_changes(&self) -> Vec<(DatasetId, u32, u64)> {
        std::mem::take(&mut self.state().changes)
    }

    /// Bytes held.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.state().used
    }
}

impl State {
    fn give_up(&mut self, id: BlockId) {
        if let Some(held) = self.blocks.remove(&id) {
            self.used = self.used.saturating_sub(held.block.weight);
            self.changes.push((id.0, id.1, 0));
        }
    }
}

/// Gives a block's batches.
pub(crate) struct BlockSource {
    block: Arc<Block>,
    codec: Arc<dyn CacheCodec>,
    task: Arc<TaskContext>,
    at: usize,
}

impl BlockSource {
    pub(crate) fn new(block: Arc<Block>, codec: Arc<dyn CacheCodec>, task: Arc<TaskContext>) -> Self {
        Self { block, codec, task, at: 0 }
    }
}

impl Source for BlockSource {
    fn next(&mut self) -> Result<Option<Batch>, TaskError> {
        self.task.check()?;
        let batches = self.block.batches.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(kept) = batches.get(self.at) else { return Ok(None) };
        self.at += 1;
        Counts::add(&self.task.counts.records_in, kept.len() as u64);
        self.codec.share(kept).map(Some)
    }
}

/// Gives what another source gives, and keeps it, as long as there is room.
pub(crate) struct CachingSource {
    id: BlockId,
    inner: Box<dyn Source>,
    codec: Arc<dyn CacheCodec>,
    task: Arc<TaskContext>,
    /// `None` once there was no room, or all is put.
    kept: Option<Vec<Batch>>,
    weight: u64,
}

impl CachingSource {
    pub(crate) fn new(id: BlockId, inner: Box<dyn Source>, codec: Arc<dyn CacheCodec>, task: Arc<TaskContext>) -> Self {
        Self { id, inner, codec, task, kept: Some(Vec::new()), weight: 0 }
    }

    fn give_up(&mut self) {
        if self.kept.take().is_some() {
            self.task.env.blocks.shrink(self.weight);
            self.weight = 0;
        }
    }
}

impl Source for CachingSource {
    fn next(&mut self) -> Result<Option<Batch>, TaskError> {
        let Some(batch) = self.inner.next()? else {
            if let Some(batches) = self.kept.take() {
                let block = Block { batches: Mutex::new(batches), weight: self.weight };
                self.weight = 0;
                self.task.env.blocks.put(self.id, block);
            }
            return Ok(None);
        };
        if self.kept.is_none() {
            return Ok(Some(batch));
        }
        let kept = self.codec.keep(batch)?;
        let weight = self.codec.weight(&kept);
        if !self.task.env.blocks.grow(self.id.0, weight) {
            self.give_up();
            return Ok(Some(kept));
        }
        self.weight += weight;
        let batch = self.codec.share(&kept)?;
        if let Some(batches) = &mut self.kept {
            batches.push(kept);
        }
        Ok(Some(batch))
    }
}

impl Drop for CachingSource {
    fn drop(&mut self) {
        self.give_up();
    }
}
