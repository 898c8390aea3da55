//! The map side of a fold: one accumulator a key, in a hash table that is sorted at the end.

use super::MapSide;
use crate::combine::Partition;
use crate::fold::Fold;
use crate::mapper::{MapLoop, Sink};
use mammoth_runtime::error::RuntimeError;
use mammoth_runtime::fold::{self, FoldTable, MergeFn, PartitionFn};
use mammoth_runtime::merge::Combiner;
use mammoth_runtime::task::MapTask;
use postcard::ser_flavors::Size;
use serde::Serialize;
use std::cell::Cell;
use std::sync::{Arc, Mutex, PoisonError};

/// After so many bytes of values the growth of one accumulator is measured, and stands for all of them.
const MEASURE_EVERY: u64 = 16 * 1024;
/// What a collection takes in memory for each byte of its encoding, about.
const HEAP_PER_ENCODED: u64 = 4;

/// A mapper whose records are folded.
pub(crate) struct Folding<F: Fold> {
    pub(crate) mapper: Box<dyn MapLoop<F::Value>>,
    pub(crate) partitioner: Option<Arc<dyn Partition>>,
    pub(crate) fold: F,
}

/// The first failure of a partitioner, which the table calls where nobody can be told.
type FirstFailure = Arc<Mutex<Option<RuntimeError>>>;

impl<F: Fold> Folding<F> {
    fn merge(&self) -> MergeFn<F::Sum> {
        let fold = self.fold.clone();
        Arc::new(move |sum, other| fold.merge(sum, other))
    }

    fn partition(&self, partitions: u32, failure: &FirstFailure) -> Option<PartitionFn> {
        let partitioner = Arc::clone(self.partitioner.as_ref()?);
        let failure = Arc::clone(failure);
        Some(Arc::new(move |key| {
            partitioner.of(key, partitions).unwrap_or_else(|error| {
                failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                0
            })
        }))
    }
}

impl<F: Fold> MapSide for Folding<F> {
    fn run(&self, mut task: MapTask<'_>) -> Result<Vec<u64>, RuntimeError> {
        let failure = FirstFailure::default();
        let config = task.fold_config(self.partition(task.env.reduces, &failure))?;
        let mut sink = FoldSink {
            table: FoldTable::new(config, self.merge(), task.env.memory.reservation()),
            fold: &self.fold,
            bytes: 0,
            unmeasured: 0,
            failure: None,
        };
        self.mapper.run(&mut task, &mut sink)?;
        let FoldSink { table, bytes, .. } = sink;
        let partitions = task.finish_fold(table, bytes)?;
        failure.lock().unwrap_or_else(PoisonError::into_inner).take().map_or(Ok(partitions), Err)
    }

    fn combiner(&self) -> Option<Box<dyn Combiner>> {
        Some(fold::combiner(self.merge()))
    }
}

struct FoldSink<'a, F: Fold> {
    table: FoldTable<F::Sum>,
    fold: &'a F,
    bytes: u64,
    /// Bytes of values since an accumulator was last measured.
    unmeasured: u64,
    failure: Option<RuntimeError>,
}

fn encoded_len<T: Serialize>(value: &T) -> u64 {
    postcard::serialize_with_flavor(value, Size::default()).unwrap_or_default() as u64
}

impl<F: Fold> Sink<F::Value> for FoldSink<'_, F> {
    #[inline]
    fn put(&mut self, key: &[u8], value: &F::Value) {
        let fold = self.fold;
        // Nothing is written, but what a mapper gives out is counted in bytes.
        let size = encoded_len(value);
        self.bytes += key.len() as u64 + size;
        // Numbers and the like are within the table; what owns memory of its own may grow beside it.
        let is_measured = std::mem::needs_drop::<F::Sum>() && {
            self.unmeasured += size;
            self.unmeasured >= MEASURE_EVERY
        };
        let growth = Cell::new(0);
        let add = |sum: &mut F::Sum, value: &F::Value| {
            if !is_measured {
                return fold.add(sum, value);
            }
            let before = encoded_len(sum);
            fold.add(sum, value);
            growth.set(encoded_len(sum).saturating_sub(before));
        };
        let make = move |value: &F::Value| {
            let mut sum = fold.init();
            add(&mut sum, value);
            sum
        };
        let mut folded = self.table.fold(key, value, make, add);
        if is_measured && folded.is_ok() {
            let share = growth.get() as f64 / size.max(1) as f64;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an estimate, not negative")]
            let grown = (share * self.unmeasured as f64) as u64;
            self.unmeasured = 0;
            folded = self.table.grew(grown.saturating_mul(HEAP_PER_ENCODED));
        }
        if let Err(error) = folded {
            self.failure.get_or_insert(error);
        }
    }

    fn check(&mut self) -> Result<(), RuntimeError> {
        self.failure.take().map_or(Ok(()), Err)
    }
}
