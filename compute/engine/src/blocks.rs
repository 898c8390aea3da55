//! The block manager: partitions of cached datasets, in memory, the least recently used ones given up first.
//!
//! A block is a list of shared batches. Giving one up loses nothing but time: it is computed again from its lineage. Blocks take
//! what memory the accountant has free; tasks that need it have blocks given up, down to one half of everything.

use crate::batch::Batch;
use crate::ops::{CacheCodec, Source};
use crate::task::{Counts, TaskContext, TaskError};
use mammoth_engine_core::api::DatasetId;
use mammoth_runtime::memory::{Accountant, Evict};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// A dataset and one of its partitions.
pub type BlockId = (DatasetId, u32);

/// The batches of one partition.
pub(crate) struct Block {
    batches: Mutex<Vec<Batch>>,
    weight: u64,
}

/// All blocks of an executor.
pub struct Blocks {
    memory: Accountant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    blocks: BTreeMap<BlockId, Held>,
    uses: u64,
    /// What came and went since it was last told: bytes held now.
    changes: Vec<(DatasetId, u32, u64)>,
}

struct Held {
    block: Arc<Block>,
    used_at: u64,
}

impl Blocks {
    /// A manager that takes its memory from `memory`, and gives it back when tasks need it.
    #[must_use]
    pub fn new(memory: Accountant) -> Arc<Self> {
        let blocks = Arc::new(Self { memory: memory.clone(), state: Mutex::default() });
        let evictor: Weak<dyn Evict> = Arc::<Self>::downgrade(&blocks);
        memory.set_evictor(evictor);
        blocks
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
        while !self.memory.try_store(bytes) {
            let mut state = self.state();
            let Some(victim) = state.oldest(|of| of != dataset) else { return false };
            let given_up = state.give_up(victim);
            drop(state);
            self.release(given_up);
        }
        true
    }

    /// Takes a block whose weight was grown already.
    fn put(&self, id: BlockId, block: Block) {
        let mut state = self.state();
        if state.blocks.contains_key(&id) {
            drop(state);
            self.memory.release_stored(block.weight);
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
        let given_up: Vec<_> = ids.into_iter().map(|id| state.give_up(id)).collect();
        drop(state);
        for block in given_up {
            self.release(block);
        }
    }

    /// Lets a block go that was given up; its weight. Its records are dropped without the lock, and may panic as they like.
    fn release(&self, block: Option<Arc<Block>>) -> u64 {
        let Some(block) = block else { return 0 };
        let weight = block.weight;
        self.memory.release_stored(weight);
        crate::task::panic::discard("a cached block", block);
        weight
    }

    /// What came and went since the last time.
    pub(crate) fn take_changes(&self) -> Vec<(DatasetId, u32, u64)> {
        std::mem::take(&mut self.state().changes)
    }
}

impl Evict for Blocks {
    fn evict(&self, bytes: u64) {
        let mut freed = 0;
        while freed < bytes {
            let mut state = self.state();
            let Some(victim) = state.oldest(|_| true) else { return };
            let given_up = state.give_up(victim);
            drop(state);
            freed += self.release(given_up).max(1);
        }
    }
}

impl State {
    /// The block that was not used for the longest time, among the datasets that may go.
    fn oldest(&self, may_go: impl Fn(DatasetId) -> bool) -> Option<BlockId> {
        let others = self.blocks.iter().filter(|((of, _), _)| may_go(*of));
        others.min_by_key(|(_, held)| held.used_at).map(|(id, _)| *id)
    }

    /// Forgets a block; whoever gets it drops it.
    fn give_up(&mut self, id: BlockId) -> Option<Arc<Block>> {
        let held = self.blocks.remove(&id)?;
        self.changes.push((id.0, id.1, 0));
        Some(held.block)
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
            self.task.env.memory.release_stored(self.weight);
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
