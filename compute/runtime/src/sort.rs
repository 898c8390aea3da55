//! The sort of a map's output: records gather in memory, are sorted by partition and key bytes, and go to disk when memory is
//! used up; in the end everything is merged into one output.
//!
//! Records lie one after the other in an arena, and an index of 24 bytes each is what is sorted: partition, the first eight bytes
//! of the key, and where the rest is. Equal keys keep the order in which they came, so the output depends on nothing but the
//! records.

mod buffer;
#[cfg(test)]
mod tests;

use crate::error::RuntimeError;
use crate::memory::Reservation;
use crate::merge::{Combiner, Combining, MergeStats, OpenRuns, pour, reduce_runs};
use crate::run::{self, Order, Packer, Run, RunWriter, SpillConfig, Stopwatch};
use crate::shuffle::{Finished, OutputWriter};
use buffer::Buffer;

/// How to sort.
#[derive(Clone, Debug)]
pub struct SortConfig {
    /// Number of partitions.
    pub partitions: u32,
    /// Most bytes of records and index in memory.
    pub memory: u64,
    /// Share of that at which a spill begins, 0 to 1.
    pub spill_percent: f64,
    /// How runs are written and merged. With [`Order::Arrival`] records are gathered by partition, not sorted.
    pub spill: SpillConfig,
}

/// What sorting took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SortStats {
    /// Records that were added.
    pub records: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
    /// Runs that were written for lack of memory.
    pub spills: u64,
    /// Records written to runs, passes of merging included; the output itself is not.
    pub spilled_records: u64,
    /// Bytes of the same.
    pub spilled_bytes: u64,
    /// Passes of merging before the last one.
    pub merge_passes: u64,
    /// Records that the combiner was given.
    pub combine_in: u64,
    /// Records that it made.
    pub combine_out: u64,
    /// Nanoseconds of sorting.
    pub sort_ns: u64,
    /// Nanoseconds of combining and writing what was sorted in memory.
    pub spill_ns: u64,
    /// Nanoseconds of merging.
    pub merge_ns: u64,
}

/// See the module.
pub struct Sorter {
    config: SortConfig,
    buffer: Buffer,
    combining: Option<Combining>,
    runs: Vec<Run>,
    stats: SortStats,
}

impl std::fmt::Debug for Sorter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sorter").field("config", &self.config).field("stats", &self.stats).finish_non_exhaustive()
    }
}

impl Sorter {
    /// An empty sort. A combiner needs [`Order::Key`]; otherwise it is left out.
    #[must_use]
    pub fn new(config: SortConfig, combiner: Option<Box<dyn Combiner>>, reservation: Reservation) -> Self {
        let limit = config.memory as f64 * config.spill_percent.clamp(0.0, 1.0);
        let buffer = Buffer::new(limit as u64, config.spill.order, reservation);
        let combiner = combiner.filter(|_| config.spill.order == Order::Key);
        Self { config, buffer, combining: combiner.map(Combining::new), runs: Vec::new(), stats: SortStats::default() }
    }

    /// Adds a record.
    ///
    /// # Errors
    /// A partition that does not exist, a record over [`crate::record::RECORD_MAX`], a full disk, the combiner's.
    #[inline]
    pub fn add(&mut self, partition: u32, key: &[u8], value: &[u8]) -> Result<(), RuntimeError> {
        self.stats.records += 1;
        self.stats.bytes += (key.len() + value.len()) as u64;
        if partition < self.config.partitions && self.buffer.push(partition, key, value) {
            return Ok(());
        }
        self.add_slowly(partition, key, value)
    }

    #[cold]
    fn add_slowly(&mut self, partition: u32, key: &[u8], value: &[u8]) -> Result<(), RuntimeError> {
        if partition >= self.config.partitions {
            let text = format!("there is no partition {partition} of {}", self.config.partitions);
            return Err(RuntimeError::Refused(text));
        }
        run::check_record(key.len(), value.len())?;
        if !self.buffer.make_room(key.len() + value.len()) {
            self.spill()?;
            if !self.buffer.make_room_when_empty(key.len() + value.len()) {
                return self.spill_one(partition, key, value);
            }
        }
        if self.buffer.push(partition, key, value) { Ok(()) } else { self.spill_one(partition, key, value) }
    }

    /// Writes what is in memory as a run.
    fn spill(&mut self) -> Result<(), RuntimeError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let mut watch = Stopwatch::start();
        self.buffer.sort();
        self.stats.sort_ns += watch.lap();
        let mut writer = RunWriter::create(&self.config.spill, self.config.partitions)?;
        for (partition, records) in self.buffer.partitions() {
            writer.pour(records, partition, self.combining.as_mut())?;
        }
        self.keep(writer)?;
        self.buffer.clear();
        self.stats.spill_ns += watch.lap();
        Ok(())
    }

    /// Writes one record as a run of its own: it is larger than the memory.
    fn spill_one(&mut self, partition: u32, key: &[u8], value: &[u8]) -> Result<(), RuntimeError> {
        let mut watch = Stopwatch::start();
        let mut writer = RunWriter::create(&self.config.spill, self.config.partitions)?;
        writer.add(partition, key, value)?;
        self.keep(writer)?;
        self.stats.spill_ns += watch.lap();
        Ok(())
    }

    fn keep(&mut self, writer: RunWriter) -> Result<(), RuntimeError> {
        let run = writer.finish()?;
        self.stats.spills += 1;
        self.stats.spilled_records += run.records();
        self.stats.spilled_bytes += run.bytes();
        self.runs.push(Run::File(run));
        Ok(())
    }

    /// Writes everything to `output`, in order, and finishes it. The combiner runs over what was spilled once more.
    ///
    /// # Errors
    /// Runs cannot be read, the output cannot be written, the combiner's.
    pub fn finish(mut self, mut output: OutputWriter) -> Result<(Finished, SortStats), RuntimeError> {
        let mut watch = Stopwatch::start();
        self.buffer.sort();
        self.stats.sort_ns += watch.lap();
        let has_spilled = !self.runs.is_empty();
        if has_spilled {
            self.merge_into(&mut output)?;
        } else {
            let mut packer = Packer::new(self.config.spill.frame_bytes);
            let mut out = (&mut output, &self.config.spill);
            for (partition, records) in self.buffer.partitions() {
                pour(records, partition, self.combining.as_mut(), &mut packer, &mut out)?;
            }
            packer.flush(&mut out)?;
        }
        let finished = output.finish()?;
        let spent = if has_spilled { &mut self.stats.merge_ns } else { &mut self.stats.spill_ns };
        *spent += watch.lap();
        if let Some(combining) = &self.combining {
            (self.stats.combine_in, self.stats.combine_out) = (combining.records_in, combining.records_out);
        }
        Ok((finished, self.stats))
    }

    fn merge_into(&mut self, output: &mut OutputWriter) -> Result<(), RuntimeError> {
        let mut merging = MergeStats::default();
        let (partitions, spill) = (self.config.partitions, &self.config.spill);
        let runs = std::mem::take(&mut self.runs);
        let runs = reduce_runs(runs, partitions, spill, self.combining.as_mut(), &mut merging)?;
        self.stats.merge_passes += merging.passes;
        self.stats.spilled_records += merging.spilled_records;
        self.stats.spilled_bytes += merging.spilled_bytes;
        let mut open = OpenRuns::open(runs, spill)?;
        let mut packer = Packer::new(spill.frame_bytes);
        let mut out = (output, spill);
        let mut rest = self.buffer.partitions().peekable();
        for partition in 0..partitions {
            let mut stream = open.merge(partition);
            if let Some((_, records)) = rest.next_if(|(of, _)| *of == partition) {
                stream = stream.and(records);
            }
            pour(stream, partition, self.combining.as_mut(), &mut packer, &mut out)?;
        }
        packer.flush(&mut out)
    }

    /// What it took so far.
    #[must_use]
    pub fn stats(&self) -> SortStats {
        self.stats
    }
}
