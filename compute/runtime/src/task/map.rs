//! A map: one split in, one sorted and partitioned file out; or one file of output, if the job has no reduces.

use super::TaskEnv;
use super::meter::{Count, Phase};
use super::plan::JobPlan;
use crate::error::RuntimeError;
use crate::fold::{Accumulator, FoldConfig, FoldTable, PartitionFn};
use crate::input::RecordReader;
use crate::merge::Combiner;
use crate::output::TextOutput;
use crate::shuffle::{Finished, OutputWriter};
use crate::sort::{SortConfig, Sorter};
use mammoth_platform::{Clock, SystemClock, keys};
use mammoth_protocol::jobs::spec::InputSplit;

/// Records between two looks at the clock and the counters.
const BATCH: u64 = 1024;
/// Share of a map's progress that the end of its input means; the rest is the last merge.
const INPUT_SHARE: f32 = 0.9;

/// What a map has: the records of its split, and where its output goes.
pub struct MapTask<'a> {
    /// Its surroundings.
    pub env: &'a TaskEnv<'a>,
    reader: Box<dyn RecordReader>,
    records: u64,
    unreported: u64,
    started_ns: u64,
}

impl<'a> MapTask<'a> {
    /// Opens a split.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn open(env: &'a TaskEnv<'a>, plan: &JobPlan, split: &InputSplit) -> Result<Self, RuntimeError> {
        let started_ns = SystemClock.monotonic_ns();
        env.meter.add(Count::SplitRawBytes, split.payload.len() as u64);
        env.meter.enter(Phase::Read);
        let reader = plan.format.open(env.files, &split.payload)?;
        // What the reader itself waited for is in its own figures already.
        let opening = SystemClock.monotonic_ns().saturating_sub(started_ns).saturating_sub(reader.stats().ns);
        env.meter.spend(Phase::Read, opening);
        env.meter.enter(Phase::Map);
        Ok(Self { env, reader, records: 0, unreported: 0, started_ns: started_ns.saturating_add(opening) })
    }

    /// The next record: where it starts in its file, and its bytes.
    ///
    /// # Errors
    /// The split cannot be read.
    #[inline]
    pub fn next_record(&mut self) -> Result<Option<(u64, &[u8])>, RuntimeError> {
        // Not with the counters: the user's code may take its time over each record.
        self.env.meter.alive();
        self.unreported += 1;
        if self.unreported == BATCH {
            self.report();
        }
        let record = self.reader.next()?;
        self.records += u64::from(record.is_some());
        Ok(record)
    }

    fn report(&mut self) {
        self.unreported = 0;
        self.env.meter.set(Count::MapInputRecords, self.records);
        self.env.meter.set_progress(self.reader.progress() * INPUT_SHARE);
    }

    /// A sort for the output, of the size that the settings say.
    ///
    /// # Errors
    /// Settings out of their ranges.
    pub fn sorter(&self, combiner: Option<Box<dyn Combiner>>) -> Result<Sorter, RuntimeError> {
        let settings = &self.env.settings;
        let config = SortConfig {
            partitions: self.env.reduces,
            memory: self.env.sort_bytes()?,
            spill_percent: settings.float(keys::MAPREDUCE_MAP_SORT_SPILL_PERCENT)?,
            spill: self.env.spill_config()?,
        };
        Ok(Sorter::new(config, combiner, self.env.memory.reservation()))
    }

    /// A fold for the output, of the size that the settings say.
    ///
    /// # Errors
    /// Settings out of their ranges.
    pub fn fold_config(&self, partition: Option<PartitionFn>) -> Result<FoldConfig, RuntimeError> {
        let memory = self.env.sort_bytes()?;
        Ok(FoldConfig { partitions: self.env.reduces, partition, memory, spill: self.env.spill_config()? })
    }

    /// The output, named after the attempt.
    fn writer(&self) -> Result<OutputWriter, RuntimeError> {
        let codec = self.env.codec()?;
        OutputWriter::create(&self.env.shuffle_dir, &self.env.attempt.to_string(), self.env.reduces, codec)
    }

    /// Ends the reading: the time since the start that was not reading, nanoseconds.
    fn end_input(&mut self) {
        self.report();
        self.env.meter.add(Count::HdfsBytesRead, self.reader.stats().bytes);
        self.env.meter.spend(Phase::Read, self.reader.stats().ns);
        self.env.meter.enter(Phase::Sort);
    }

    /// Writes what was sorted; the bytes of each partition.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn finish_sort(mut self, sorter: Sorter) -> Result<Vec<u64>, RuntimeError> {
        self.end_input();
        let (finished, stats) = sorter.finish(self.writer()?)?;
        let meter = &self.env.meter;
        meter.add(Count::MapOutputRecords, stats.records);
        meter.add(Count::MapOutputBytes, stats.bytes);
        meter.add(Count::CombineInputRecords, stats.combine_in);
        meter.add(Count::CombineOutputRecords, stats.combine_out);
        self.count_spills(stats.spilled_records, stats.spilled_bytes, stats.merge_passes);
        self.spend(stats.sort_ns, stats.spill_ns, stats.merge_ns);
        Ok(self.finished(&finished, stats.sort_ns + stats.spill_ns + stats.merge_ns))
    }

    /// Writes what was folded, of records of so many bytes; the bytes of each partition.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn finish_fold<A: Accumulator>(mut self, table: FoldTable<A>, bytes: u64) -> Result<Vec<u64>, RuntimeError> {
        self.end_input();
        let (finished, stats) = table.finish(self.writer()?)?;
        let meter = &self.env.meter;
        meter.add(Count::MapOutputRecords, stats.records);
        meter.add(Count::MapOutputBytes, bytes);
        meter.add(Count::CombineInputRecords, stats.records);
        meter.add(Count::CombineOutputRecords, stats.keys);
        self.count_spills(stats.spilled_records, stats.spilled_bytes, stats.merge_passes);
        self.spend(stats.sort_ns, stats.spill_ns, stats.merge_ns);
        Ok(self.finished(&finished, stats.sort_ns + stats.spill_ns + stats.merge_ns))
    }

    fn count_spills(&self, records: u64, bytes: u64, merge_passes: u64) {
        let meter = &self.env.meter;
        meter.add(Count::SpilledRecords, records);
        meter.add(Count::SpilledBytes, bytes);
        meter.add(Count::MergePasses, merge_passes);
        // What was spilled is read again, once.
        meter.add(Count::FileBytesRead, bytes);
        meter.add(Count::FileBytesWritten, bytes);
    }

    fn spend(&self, sort_ns: u64, spill_ns: u64, merge_ns: u64) {
        self.env.meter.spend(Phase::Sort, sort_ns);
        self.env.meter.spend(Phase::Spill, spill_ns);
        self.env.meter.spend(Phase::Merge, merge_ns);
    }

    /// Counts the output. The time that was neither reading nor `others_ns` was the mapper's.
    fn finished(self, output: &Finished, others_ns: u64) -> Vec<u64> {
        let meter = &self.env.meter;
        // Hadoop counts the output itself as spilled, too: it was written to local disk.
        meter.add(Count::SpilledRecords, output.records);
        meter.add(Count::SpilledBytes, output.bytes);
        meter.add(Count::FileBytesWritten, output.bytes);
        meter.add(Count::MapOutputMaterializedBytes, output.bytes);
        self.count_map(others_ns);
        output.partition_bytes.clone()
    }

    fn count_map(&self, others_ns: u64) {
        let elapsed = SystemClock.monotonic_ns().saturating_sub(self.started_ns);
        let others = self.reader.stats().ns.saturating_add(others_ns);
        self.env.meter.spend(Phase::Map, elapsed.saturating_sub(others));
        self.env.meter.set_progress(1.0);
    }

    /// Closes the output file of a job without reduces.
    ///
    /// # Errors
    /// Not everything arrived.
    pub fn finish_text(mut self, output: TextOutput) -> Result<Vec<u64>, RuntimeError> {
        self.end_input();
        let before = self.env.meter.spent(Phase::Write);
        self.env.close_output(output, Count::MapOutputRecords)?;
        self.count_map(self.env.meter.spent(Phase::Write) - before);
        Ok(Vec::new())
    }
}
