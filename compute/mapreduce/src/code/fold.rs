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
use std::sync::{Arc, Mutex, PoisonError};

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
    failure: Option<RuntimeError>,
}

impl<F: Fold> Sink<F::Value> for FoldSink<'_, F> {
    #[inline]
    fn put(&mut self, key: &[u8], value: &F::Value) {
        let fold = self.fold;
        // Nothing is written, but what a mapper gives out is counted in bytes.
        let size = postcard::serialize_with_flavor(value, Size::default()).unwrap_or_default();
        self.bytes += (key.len() + size) as u64;
        let make = |value: &F::Value| {
            let mut sum = fold.init();
            fold.add(&mut sum, value);
            sum
        };
        let mut folded = self.table.fold(key, value, make, |sum, value| fold.add(sum, value));
        let elsewhere = fold::heap_bytes::<F::Sum, F::Value>(size as u64);
        if folded.is_ok() && elsewhere > 0 {
            folded = self.table.grew(elsewhere);
        }
        if let Err(error) = folded {
            self.failure.get_or_insert(error);
        }
    }

    fn check(&mut self) -> Result<(), RuntimeError> {
        self.failure.take().map_or(Ok(()), Err)
    }
}
