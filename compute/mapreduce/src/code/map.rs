//! Map sides: where a mapper's records go.

use super::MapSide;
use crate::combine::{Combined, Combiner, Partition};
use crate::mapper::{Data, MapLoop, Sink};
use crate::reducer::{ValueSource, Values};
use crate::values;
use mammoth_runtime::error::RuntimeError;
use mammoth_runtime::key::{self, Key};
use mammoth_runtime::merge;
use mammoth_runtime::output::TextOutput;
use mammoth_runtime::sort::Sorter;
use mammoth_runtime::task::MapTask;
use std::fmt::Display;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};

/// Makes a combiner for each task.
type MakeCombiner = Arc<dyn Fn() -> Box<dyn merge::Combiner> + Send + Sync>;

/// Every record goes to the sort.
pub(crate) struct Sorting<K, V> {
    pub(crate) partitioner: Option<Arc<dyn Partition>>,
    combiner: Option<MakeCombiner>,
    of: PhantomData<fn(K, V)>,
}

impl<K, V> Default for Sorting<K, V> {
    fn default() -> Self {
        Self { partitioner: None, combiner: None, of: PhantomData }
    }
}

impl<K: Key, V: Data> Sorting<K, V> {
    pub(crate) fn set_combiner(&mut self, combiner: impl Combiner<Key = K, Value = V>) {
        let combiner = Mutex::new(combiner);
        self.combiner = Some(Arc::new(move || {
            let combiner = combiner.lock().unwrap_or_else(PoisonError::into_inner).clone();
            Box::new(EncodedCombiner { combiner, value: Vec::new() })
        }));
    }

    /// The map side with a mapper.
    pub(crate) fn with(self, mapper: Box<dyn MapLoop<V>>) -> SortSide<V> {
        SortSide { mapper, partitioner: self.partitioner, combiner: self.combiner }
    }
}

/// See [`Sorting`].
pub(crate) struct SortSide<V> {
    mapper: Box<dyn MapLoop<V>>,
    partitioner: Option<Arc<dyn Partition>>,
    combiner: Option<MakeCombiner>,
}

impl<V: Data> MapSide for SortSide<V> {
    fn run(&self, mut task: MapTask<'_>) -> Result<Vec<u64>, RuntimeError> {
        let mut sink = SortSink {
            sorter: task.sorter(self.combiner())?,
            partitions: task.env.reduces,
            partitioner: self.partitioner.as_deref(),
            value: Vec::with_capacity(256),
            failure: None,
        };
        self.mapper.run(&mut task, &mut sink)?;
        let SortSink { sorter, .. } = sink;
        task.finish_sort(sorter)
    }

    fn combiner(&self) -> Option<Box<dyn merge::Combiner>> {
        self.combiner.as_ref().map(|make| make())
    }
}

struct SortSink<'a> {
    sorter: Sorter,
    partitions: u32,
    partitioner: Option<&'a dyn Partition>,
    value: Vec<u8>,
    failure: Option<RuntimeError>,
}

impl SortSink<'_> {
    #[inline]
    fn add<V: Data>(&mut self, key: &[u8], value: &V) -> Result<(), RuntimeError> {
        values::encode(value, &mut self.value)?;
        let partition = match self.partitioner {
            None => key::partition_of(key, self.partitions),
            Some(partitioner) => partitioner.of(key, self.partitions)?,
        };
        self.sorter.add(partition, key, &self.value)
    }
}

impl<V: Data> Sink<V> for SortSink<'_> {
    #[inline]
    fn put(&mut self, key: &[u8], value: &V) {
        if let Err(error) = self.add(key, value) {
            self.failure.get_or_insert(error);
        }
    }

    fn check(&mut self) -> Result<(), RuntimeError> {
        self.failure.take().map_or(Ok(()), Err)
    }
}

/// A typed combiner over encoded records.
struct EncodedCombiner<C> {
    combiner: C,
    value: Vec<u8>,
}

impl<C: Combiner> merge::Combiner for EncodedCombiner<C> {
    fn combine(
        &mut self,
        key: &[u8],
        values: &mut dyn merge::Values,
        out: &mut dyn merge::Emit,
    ) -> Result<(), RuntimeError> {
        let typed = C::Key::of_bytes(key)
            .map_err(|error| RuntimeError::Corrupt { what: "a key".to_owned(), why: error.to_string() })?;
        let mut source = EncodedValues { values, failure: None };
        let mut combined = Combined::new(out, &mut self.value);
        let outcome = self.combiner.combine(&typed, &mut Values::new(&mut source), &mut combined);
        combined.check()?;
        source.failure.map_or(Ok(()), Err)?;
        outcome.map_err(|failure| failure.of("combine"))
    }
}

struct EncodedValues<'a> {
    values: &'a mut dyn merge::Values,
    failure: Option<RuntimeError>,
}

impl<V: Data> ValueSource<V> for EncodedValues<'_> {
    fn next_value(&mut self) -> Option<V> {
        match self.values.next().and_then(|bytes| bytes.map(values::decode).transpose()) {
            Ok(value) => value,
            Err(error) => {
                self.failure.get_or_insert(error);
                None
            }
        }
    }
}

/// What the mapper emits is the output.
pub(crate) struct MapOnly<K, V> {
    mapper: Box<dyn MapLoop<V>>,
    of: PhantomData<fn(K)>,
}

impl<K, V> MapOnly<K, V> {
    pub(crate) fn new(mapper: Box<dyn MapLoop<V>>) -> Self {
        Self { mapper, of: PhantomData }
    }
}

impl<K: Key + Display, V: Data + Display> MapSide for MapOnly<K, V> {
    fn run(&self, mut task: MapTask<'_>) -> Result<Vec<u64>, RuntimeError> {
        let mut sink = TextSink::<K> { text: task.env.text_output()?, failure: None, of: PhantomData };
        self.mapper.run(&mut task, &mut sink)?;
        let TextSink { text, .. } = sink;
        task.finish_text(text)
    }
}

struct TextSink<K> {
    text: TextOutput,
    failure: Option<RuntimeError>,
    of: PhantomData<fn(K)>,
}

impl<K: Key + Display, V: Display> Sink<V> for TextSink<K> {
    fn put(&mut self, key: &[u8], value: &V) {
        match K::of_bytes(key) {
            Ok(key) => self.text.record(key, value),
            Err(error) => {
                let why = error.to_string();
                self.failure.get_or_insert(RuntimeError::Corrupt { what: "a key".to_owned(), why });
            }
        }
    }

    fn check(&mut self) -> Result<(), RuntimeError> {
        self.failure.take().map_or(Ok(()), Err)?;
        self.text.check()
    }
}
