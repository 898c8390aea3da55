//! Both sides of a shuffle: sinks that spread pairs over partitions, and sources that read a partition's pairs by key.

use super::sinks::NoFunction;
use super::{Func, decode_error, encode_error};
use crate::{Data, Key, KeyEncode};
use mammoth_engine::batch::{BATCH_RECORDS, Batch, Records};
use mammoth_engine::ops::{Finished, Sink, SinkOp, Source, SourceArgs, SourceOp};
use mammoth_engine::shuffle::{ShuffleStream, finish_fold, finish_sort, fold_config, sort_config, task_error};
use mammoth_engine::task::{TaskContext, TaskError};
use mammoth_runtime::fold::{FoldTable, MergeFn, heap_estimate};
use mammoth_runtime::key::partition_of;
use mammoth_runtime::sort::Sorter;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::marker::PhantomData;
use std::sync::Arc;

/// A sum on its way: taken out while the closure that adds to it has it. It is written as the value alone.
struct Sum<V>(Option<V>);

impl<V: Serialize> Serialize for Sum<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Some(value) => value.serialize(serializer),
            None => Err(serde::ser::Error::custom("a sum was lost by a panic")),
        }
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Sum<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Some(V::deserialize(deserializer)?)))
    }
}

impl<V> Sum<V> {
    #[inline]
    fn add(&mut self, value: V, add: impl Fn(V, V) -> V) {
        self.0 = Some(match self.0.take() {
            Some(sum) => add(sum, value),
            None => value,
        });
    }
}

/// Sums values by key before they are written.
struct Fold<K, V: Data, F> {
    function: F,
    table: FoldTable<Sum<V>>,
    key: Vec<u8>,
    task: Arc<TaskContext>,
    types: PhantomData<fn(K)>,
}

pub(crate) struct FoldSink<K, V, F>(PhantomData<fn(K, V) -> F>);

impl<K, V, F> SinkOp for FoldSink<K, V, F>
where
    K: Key,
    V: Data,
    F: Fn(V, V) -> V + Func,
{
    const NAME: &'static str = "combine by key";
    type State = ();
    type Function = F;

    fn make(_state: (), function: F, task: &Arc<TaskContext>) -> Result<Box<dyn Sink>, TaskError> {
        let merge: MergeFn<Sum<V>> = Arc::new(move |sum: &mut Sum<V>, more: Sum<V>| {
            if let Some(value) = more.0 {
                sum.add(value, function);
            }
        });
        let table = FoldTable::new(fold_config(task), merge, task.memory.reservation());
        Ok(Box::new(Fold { function, table, key: Vec::new(), task: Arc::clone(task), types: PhantomData::<fn(K)> }))
    }
}

impl<K, V, F> Sink for Fold<K, V, F>
where
    K: Key,
    V: Data,
    F: Fn(V, V) -> V + Func,
{
    fn take(&mut self, batch: Batch) -> Result<bool, TaskError> {
        let function = self.function;
        for (key, value) in batch.into_vec::<(K, V)>()? {
            self.key.clear();
            key.encode_key(&mut self.key);
            let add = |sum: &mut Sum<V>, value| sum.add(value, function);
            let elsewhere = heap_estimate(&value);
            self.table.fold(&self.key, value, |value| Sum(Some(value)), add).map_err(task_error)?;
            if elsewhere > 0 {
                self.table.grew(elsewhere).map_err(task_error)?;
            }
        }
        Ok(true)
    }

    fn finish(self: Box<Self>) -> Result<Finished, TaskError> {
        finish_fold(&self.task, self.table)
    }
}

/// Which partition a key goes to.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Spread {
    /// By its hash.
    Hash {
        /// Number of partitions.
        partitions: u32,
    },
    /// By its place among bounds: the first partition has the keys below the first one.
    Range {
        /// Encoded keys, in their order.
        bounds: Vec<Vec<u8>>,
    },
}

impl Spread {
    #[inline]
    fn partition(&self, key: &[u8]) -> u32 {
        match self {
            Self::Hash { partitions } => partition_of(key, *partitions),
            Self::Range { bounds } => {
                u32::try_from(bounds.partition_point(|bound| bound.as_slice() <= key)).unwrap_or(u32::MAX)
            }
        }
    }
}

/// Sorts pairs by partition and key before they are written.
struct Sort<K, V> {
    spread: Spread,
    sorter: Sorter,
    key: Vec<u8>,
    value: Vec<u8>,
    task: Arc<TaskContext>,
    types: PhantomData<fn(K, V)>,
}

pub(crate) struct SortSink<K, V>(PhantomData<fn(K, V)>);

impl<K: Key, V: Data> SinkOp for SortSink<K, V> {
    const NAME: &'static str = "spread by key";
    type State = Spread;
    type Function = NoFunction;

    fn make(spread: Spread, _: NoFunction, task: &Arc<TaskContext>) -> Result<Box<dyn Sink>, TaskError> {
        let sorter = Sorter::new(sort_config(task), None, task.memory.reservation());
        let (key, value, task) = (Vec::new(), Vec::new(), Arc::clone(task));
        Ok(Box::new(Sort::<K, V> { spread, sorter, key, value, task, types: PhantomData }))
    }
}

impl<K: Key, V: Data> Sink for Sort<K, V> {
    fn take(&mut self, batch: Batch) -> Result<bool, TaskError> {
        let records: &Records<(K, V)> = batch.records()?;
        for (key, value) in records.as_slice() {
            self.key.clear();
            key.encode_key(&mut self.key);
            self.value.clear();
            postcard::to_io(value, &mut self.value).map_err(encode_error)?;
            self.sorter.add(self.spread.partition(&self.key), &self.key, &self.value).map_err(task_error)?;
        }
        Ok(true)
    }

    fn finish(self: Box<Self>) -> Result<Finished, TaskError> {
        finish_sort(&self.task, self.sorter)
    }
}

pub(crate) fn decode_key<K: Key>(encoded: &[u8]) -> Result<K, TaskError> {
    K::of_bytes(encoded).map_err(|error| TaskError::failed(format!("a key cannot be decoded: {error}")))
}

pub(crate) fn decode_value<V: Data>(encoded: &[u8]) -> Result<V, TaskError> {
    postcard::from_bytes(encoded).map_err(decode_error)
}

pub(crate) fn only_shuffle(args: &mut SourceArgs<'_>) -> Result<ShuffleStream, TaskError> {
    let input = args.shuffles.pop().ok_or_else(|| TaskError::fatal("there is no shuffle to read"))?;
    input.open()
}

/// One pair for each key: its values made one.
struct Reduced<K, V, F> {
    stream: ShuffleStream,
    function: F,
    types: PhantomData<fn() -> (K, V)>,
}

pub(crate) struct ReducedOp<K, V, F>(PhantomData<fn(K, V) -> F>);

impl<K, V, F> SourceOp for ReducedOp<K, V, F>
where
    K: Key,
    V: Data,
    F: Fn(V, V) -> V + Func,
{
    const NAME: &'static str = "reduce_by_key";
    type State = ();
    type Function = F;

    fn make(_state: (), function: F, mut args: SourceArgs<'_>) -> Result<Box<dyn Source>, TaskError> {
        let stream = only_shuffle(&mut args)?;
        Ok(Box::new(Reduced::<K, V, F> { stream, function, types: PhantomData }))
    }
}

impl<K, V, F> Source for Reduced<K, V, F>
where
    K: Key,
    V: Data,
    F: Fn(V, V) -> V + Func,
{
    fn next(&mut self) -> Result<Option<Batch>, TaskError> {
        let mut out: Vec<(K, V)> = Vec::with_capacity(BATCH_RECORDS);
        while out.len() < BATCH_RECORDS && self.stream.advance_group()? {
            let mut sum = Sum(None);
            while self.stream.advance_value()? {
                sum.add(decode_value(self.stream.value())?, self.function);
            }
            if let Some(value) = sum.0 {
                out.push((decode_key(self.stream.key())?, value));
            }
        }
        Ok((!out.is_empty()).then(|| Batch::owned(out)))
    }
}

/// One pair for each key: all its values, in the order of the maps and of each map's records.
struct Grouped<K, V> {
    stream: ShuffleStream,
    types: PhantomData<fn() -> (K, V)>,
}

pub(crate) struct GroupedOp<K, V>(PhantomData<fn(K, V)>);

/// Values after which a batch of groups is given on, however few keys they have.
const VALUES_MAX: usize = 8 * BATCH_RECORDS;

impl<K: Key, V: Data> SourceOp for GroupedOp<K, V> {
    const NAME: &'static str = "group_by_key";
    type State = ();
    type Function = NoFunction;

    fn make(_state: (), _: NoFunction, mut args: SourceArgs<'_>) -> Result<Box<dyn Source>, TaskError> {
        let stream = only_shuffle(&mut args)?;
        Ok(Box::new(Grouped::<K, V> { stream, types: PhantomData }))
    }
}

impl<K: Key, V: Data> Source for Grouped<K, V> {
    fn next(&mut self) -> Result<Option<Batch>, TaskError> {
        let mut out: Vec<(K, Vec<V>)> = Vec::new();
        let mut taken = 0;
        while out.len() < BATCH_RECORDS && taken < VALUES_MAX && self.stream.advance_group()? {
            let mut values = Vec::new();
            while self.stream.advance_value()? {
                values.push(decode_value(self.stream.value())?);
            }
            taken += values.len();
            out.push((decode_key(self.stream.key())?, values));
        }
        Ok((!out.is_empty()).then(|| Batch::owned(out)))
    }
}

/// All pairs, in the order of their keys.
struct Sorted<K, V> {
    stream: ShuffleStream,
    /// A group is being given.
    within: bool,
    types: PhantomData<fn() -> (K, V)>,
}

pub(crate) struct SortedOp<K, V>(PhantomData<fn(K, V)>);

impl<K: Key, V: Data> SourceOp for SortedOp<K, V> {
    const NAME: &'static str = "sort_by_key";
    type State = ();
    type Function = NoFunction;

    fn make(_state: (), _: NoFunction, mut args: SourceArgs<'_>) -> Result<Box<dyn Source>, TaskError> {
        let stream = only_shuffle(&mut args)?;
        Ok(Box::new(Sorted::<K, V> { stream, within: false, types: PhantomData }))
    }
}

impl<K: Key, V: Data> Source for Sorted<K, V> {
    fn next(&mut self) -> Result<Option<Batch>, TaskError> {
        let mut out: Vec<(K, V)> = Vec::with_capacity(BATCH_RECORDS);
        while out.len() < BATCH_RECORDS {
            if self.within && self.stream.advance_value()? {
                out.push((decode_key(self.stream.key())?, decode_value(self.stream.value())?));
                continue;
            }
            self.within = self.stream.advance_group()?;
            if !self.within {
                break;
            }
        }
        Ok((!out.is_empty()).then(|| Batch::owned(out)))
    }
}

/// Samples of the keys of each partition, for bounds.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct KeySample {
    /// Records that there are.
    pub(crate) records: u64,
    /// Encoded keys.
    pub(crate) keys: Vec<Vec<u8>>,
}

struct Sample<K, V> {
    wanted: usize,
    sample: KeySample,
    random: u64,
    types: PhantomData<fn(K, V)>,
}

pub(crate) struct SampleOp<K, V>(PhantomData<fn(K, V)>);

/// Where the random numbers of every sample begin: bounds depend on the records and nothing else.
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

impl<K: KeyEncode + Send + 'static, V: Send + 'static> SinkOp for SampleOp<K, V> {
    const NAME: &'static str = "sample keys";
    type State = u32;
    type Function = NoFunction;

    fn make(wanted: u32, _: NoFunction, task: &Arc<TaskContext>) -> Result<Box<dyn Sink>, TaskError> {
        let random = SEED ^ u64::from(task.key.partition).wrapping_mul(SEED);
        let (wanted, sample) = (wanted as usize, KeySample::default());
        Ok(Box::new(Sample::<K, V> { wanted, sample, random, types: PhantomData }))
    }
}

impl<K, V> Sample<K, V> {
    /// SplitMix64.
    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(SEED);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

impl<K: KeyEncode + Send + 'static, V: Send + 'static> Sink for Sample<K, V> {
    /// Reservoir sampling: each record has the same chance.
    fn take(&mut self, batch: Batch) -> Result<bool, TaskError> {
        let records: &Records<(K, V)> = batch.records()?;
        for (key, _) in records.as_slice() {
            self.sample.records += 1;
            let at = if self.sample.keys.len() < self.wanted {
                self.sample.keys.push(Vec::new());
                self.sample.keys.len() - 1
            } else {
                usize::try_from(self.next_random() % self.sample.records).unwrap_or(usize::MAX)
            };
            if let Some(slot) = self.sample.keys.get_mut(at) {
                slot.clear();
                key.encode_key(slot);
            }
        }
        Ok(true)
    }

    fn finish(self: Box<Self>) -> Result<Finished, TaskError> {
        Ok(Finished { result: postcard::to_allocvec(&self.sample).map_err(encode_error)?, partitions: Vec::new() })
    }
}
