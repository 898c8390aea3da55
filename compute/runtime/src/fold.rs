//! Folding by key in memory: a hash table from encoded keys to accumulators, sorted only when it is emptied.
//!
//! A key that is known costs one hash and no allocation. When memory is refused, the table goes to disk as a sorted run, each
//! accumulator in postcard; in the end the runs are merged, accumulators of equal keys with them.

mod entries;
mod table;
#[cfg(test)]
mod tests;

pub use entries::FoldEntries;

use crate::error::RuntimeError;
use crate::key;
use crate::memory::Reservation;
use crate::merge::{Combiner, Combining, Emit, MergeStats, Values, reduce_runs};
use crate::run::{Packer, Run, RunWriter, SpillConfig, Stopwatch};
use crate::shuffle::{Finished, OutputWriter};
use postcard::ser_flavors::Size;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use table::Table;

/// An accumulator: travels between processes and to disk.
pub trait Accumulator: Serialize + DeserializeOwned + Send + 'static {}

impl<A: Serialize + DeserializeOwned + Send + 'static> Accumulator for A {}

/// Merges an accumulator into another one of the same key.
pub type MergeFn<A> = Arc<dyn Fn(&mut A, A) + Send + Sync>;

/// The partition of an encoded key, if not by its hash.
pub type PartitionFn = Arc<dyn Fn(&[u8]) -> u32 + Send + Sync>;

/// How to fold.
#[derive(Clone)]
pub struct FoldConfig {
    /// Number of partitions.
    pub partitions: u32,
    /// `None`: by hash.
    pub partition: Option<PartitionFn>,
    /// Most bytes of keys and table in memory; what accumulators hold elsewhere counts as far as [`FoldTable::grew`] is told.
    pub memory: u64,
    /// How runs are written and merged.
    pub spill: SpillConfig,
}

impl std::fmt::Debug for FoldConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { partitions, partition: _, memory, spill } = self;
        f.debug_struct("FoldConfig")
            .field("partitions", partitions)
            .field("memory", memory)
            .field("spill", spill)
            .finish_non_exhaustive()
    }
}

impl FoldConfig {
    fn partition_of(&self, encoded: &[u8], hash: u64) -> u32 {
        match &self.partition {
            Some(partition) => partition(encoded),
            None => key::partition_of_hash(hash, self.partitions),
        }
    }
}

/// What folding took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FoldStats {
    /// Values that were folded in.
    pub records: u64,
    /// Accumulators that came out.
    pub keys: u64,
    /// Times that the table went to disk.
    pub spills: u64,
    /// Accumulators written to runs, passes of merging included.
    pub spilled_records: u64,
    /// Bytes of the same.
    pub spilled_bytes: u64,
    /// Passes of merging before the last one.
    pub merge_passes: u64,
    /// Nanoseconds of sorting.
    pub sort_ns: u64,
    /// Nanoseconds of writing what was in memory.
    pub spill_ns: u64,
    /// Nanoseconds of merging.
    pub merge_ns: u64,
}

/// See the module.
pub struct FoldTable<A> {
    config: FoldConfig,
    table: Table<A>,
    merge: MergeFn<A>,
    runs: Vec<Run>,
    stats: FoldStats,
}

impl<A> std::fmt::Debug for FoldTable<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FoldTable").field("config", &self.config).field("stats", &self.stats).finish_non_exhaustive()
    }
}

impl<A: Accumulator> FoldTable<A> {
    /// An empty table.
    #[must_use]
    pub fn new(config: FoldConfig, merge: MergeFn<A>, reservation: Reservation) -> Self {
        let table = Table::new(config.memory, reservation);
        Self { config, table, merge, runs: Vec::new(), stats: FoldStats::default() }
    }

    /// Folds a value into the accumulator of an encoded key: `make` makes a new one of it, `add` adds it to one that is there.
    ///
    /// # Errors
    /// A full disk; a key over [`crate::record::RECORD_MAX`].
    #[inline]
    pub fn fold<V>(
        &mut self,
        key: &[u8],
        value: V,
        make: impl FnOnce(V) -> A,
        add: impl FnOnce(&mut A, V),
    ) -> Result<(), RuntimeError> {
        self.stats.records += 1;
        let hash = key::hash(key);
        if let Some(known) = self.table.find(hash, key) {
            add(known, value);
            return Ok(());
        }
        self.insert(hash, key, make(value))
    }

    fn insert(&mut self, hash: u64, key: &[u8], accumulator: A) -> Result<(), RuntimeError> {
        crate::run::check_record(key.len(), 0)?;
        if !self.table.make_room(key.len()) {
            self.spill()?;
            self.table.make_room_when_empty(key.len());
        }
        self.table.insert(hash, key, accumulator);
        Ok(())
    }

    /// Says that accumulators have allocated at most `bytes` more outside of themselves, as [`heap_estimate`] has it. When memory
    /// is short they are measured: what was told may be far too much.
    ///
    /// # Errors
    /// The table had to go to disk, and could not.
    #[inline]
    pub fn grew(&mut self, bytes: u64) -> Result<(), RuntimeError> {
        if self.table.grew(bytes) { Ok(()) } else { self.has_grown() }
    }

    #[cold]
    fn has_grown(&mut self) -> Result<(), RuntimeError> {
        // Vectors hold room for twice what is in them.
        if self.table.measure(|accumulator| encoded_len(accumulator).saturating_mul(2)) {
            return Ok(());
        }
        self.spill()?;
        self.table.reset();
        Ok(())
    }

    /// Writes the table as a run.
    fn spill(&mut self) -> Result<(), RuntimeError> {
        let mut watch = Stopwatch::start();
        let mut sorted = self.table.drain_sorted(&self.config);
        self.stats.sort_ns += watch.lap();
        if sorted.is_empty() {
            self.table.take_back(sorted);
            return Ok(());
        }
        let mut writer = RunWriter::create(&self.config.spill, self.config.partitions)?;
        let mut value = Vec::new();
        while let Some((partition, key, accumulator)) = sorted.next() {
            encode(&accumulator, &mut value)?;
            writer.add(partition, key, &value)?;
        }
        let run = writer.finish()?;
        self.stats.spills += 1;
        self.stats.spilled_records += run.records();
        self.stats.spilled_bytes += run.bytes();
        self.runs.push(Run::File(run));
        self.table.take_back(sorted);
        self.stats.spill_ns += watch.lap();
        Ok(())
    }

    /// The accumulators of all keys, by partition and encoded key.
    ///
    /// # Errors
    /// Runs cannot be read or written.
    pub fn into_entries(mut self) -> Result<FoldEntries<A>, RuntimeError> {
        if self.runs.is_empty() {
            let mut watch = Stopwatch::start();
            let sorted = self.table.drain_sorted(&self.config);
            self.stats.sort_ns += watch.lap();
            return Ok(FoldEntries::of_memory(sorted, self.table, self.stats));
        }
        self.spill()?;
        let mut merging = MergeStats::default();
        let mut combining = Combining::new(combiner(Arc::clone(&self.merge)));
        let FoldConfig { partitions, spill, .. } = self.config;
        let runs = reduce_runs(self.runs, partitions, &spill, Some(&mut combining), &mut merging)?;
        self.stats.merge_passes += merging.passes;
        self.stats.spilled_records += merging.spilled_records;
        self.stats.spilled_bytes += merging.spilled_bytes;
        self.stats.merge_ns += merging.ns;
        FoldEntries::of_runs(runs, partitions, &spill, self.merge, self.stats)
    }

    /// Writes the accumulators of all keys in postcard to `output`, sorted, and finishes it.
    ///
    /// # Errors
    /// Runs cannot be read, the output cannot be written.
    pub fn finish(self, mut output: OutputWriter) -> Result<(Finished, FoldStats), RuntimeError> {
        let spill = self.config.spill.clone();
        let has_spilled = !self.runs.is_empty();
        let mut entries = self.into_entries()?;
        let mut watch = Stopwatch::start();
        let mut packer = Packer::new(spill.frame_bytes);
        let mut value = Vec::new();
        let mut out = (&mut output, &spill);
        while let Some((partition, key, accumulator)) = entries.next()? {
            encode(&accumulator, &mut value)?;
            packer.add(&mut out, partition, key, &value)?;
        }
        packer.flush(&mut out)?;
        let finished = output.finish()?;
        let mut stats = entries.stats();
        let spent = if has_spilled { &mut stats.merge_ns } else { &mut stats.spill_ns };
        *spent += watch.lap();
        Ok((finished, stats))
    }

    /// What it took so far.
    #[must_use]
    pub fn stats(&self) -> FoldStats {
        self.stats
    }
}

fn encoded_len<T: Serialize>(value: &T) -> u64 {
    postcard::serialize_with_flavor(value, Size::default()).unwrap_or(0) as u64
}

/// What an accumulator may hold on the heap when it has taken in a value of `encoded` bytes in postcard: those and the value
/// itself. Nothing for accumulators that hold nothing there.
#[inline]
#[must_use]
pub const fn heap_bytes<A, V>(encoded: u64) -> u64 {
    if std::mem::needs_drop::<A>() { encoded.saturating_add(size_of::<V>() as u64) } else { 0 }
}

/// As [`heap_bytes`], for accumulators of the values' own type.
#[inline]
#[must_use]
pub fn heap_estimate<V: Serialize>(value: &V) -> u64 {
    if std::mem::needs_drop::<V>() { heap_bytes::<V, V>(encoded_len(value)) } else { 0 }
}

fn encode<A: Serialize>(accumulator: &A, out: &mut Vec<u8>) -> Result<(), RuntimeError> {
    out.clear();
    *out = postcard::to_extend(accumulator, std::mem::take(out))
        .map_err(|error| RuntimeError::User(format!("an accumulator cannot be serialised: {error}")))?;
    Ok(())
}

/// Reads an accumulator that [`FoldTable::finish`] wrote.
///
/// # Errors
/// Bytes that are none.
pub fn decode<A: DeserializeOwned>(bytes: &[u8]) -> Result<A, RuntimeError> {
    postcard::from_bytes(bytes)
        .map_err(|error| RuntimeError::Corrupt { what: "an accumulator".to_owned(), why: error.to_string() })
}

/// Merges accumulators as they lie in runs.
struct MergeEncoded<A> {
    merge: MergeFn<A>,
    bytes: Vec<u8>,
}

impl<A: Accumulator> Combiner for MergeEncoded<A> {
    fn combine(&mut self, _key: &[u8], values: &mut dyn Values, out: &mut dyn Emit) -> Result<(), RuntimeError> {
        let Some(first) = values.next()? else { return Ok(()) };
        let mut sum: A = decode(first)?;
        while let Some(next) = values.next()? {
            (self.merge)(&mut sum, decode(next)?);
        }
        encode(&sum, &mut self.bytes)?;
        out.emit(&self.bytes)
    }
}

/// A combiner that merges accumulators in postcard: for whoever merges what [`FoldTable::finish`] wrote.
#[must_use]
pub fn combiner<A: Accumulator>(merge: MergeFn<A>) -> Box<dyn Combiner> {
    Box::new(MergeEncoded { merge, bytes: Vec::new() })
}
