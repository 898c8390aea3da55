//! A map: one split in, one sorted and partitioned file out.

use super::TaskEnv;
use super::meter::{Count, Phase};
use super::plan::JobPlan;
use crate::error::RuntimeError;
use crate::input::{ReadStats, RecordReader};
use mammoth_platform::{Clock, SystemClock};
use mammoth_protocol::jobs::spec::InputSplit;

/// Records between two looks at the clock and the counters.
const BATCH: u64 = 1024;

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
        let before = SystemClock.monotonic_ns();
        env.meter.add(Count::SplitRawBytes, split.payload.len() as u64);
        let reader = plan.format.open(env.files, &split.payload)?;
        env.meter.enter(Phase::Map);
        let started_ns = SystemClock.monotonic_ns();
        let opening = started_ns.saturating_sub(before).saturating_sub(reader.stats().ns);
        env.meter.spend(Phase::Read, opening);
        Ok(Self { env, reader, records: 0, unreported: 0, started_ns })
    }

    /// The next record: where it starts in its file, and its bytes.
    ///
    /// # Errors
    /// The split cannot be read.
    pub fn next_record(&mut self) -> Result<Option<(u64, &[u8])>, RuntimeError> {
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
        self.env.meter.set_progress(self.reader.progress() * 0.9);
    }

    /// Ends the reading: what it took is counted. The time since the start that was not reading, nanoseconds.
    pub fn end_input(&mut self) -> u64 {
        self.report();
        let ReadStats { bytes, ns } = self.reader.stats();
        self.env.meter.add(Count::HdfsBytesRead, bytes);
        self.env.meter.spend(Phase::Read, ns);
        SystemClock.monotonic_ns().saturating_sub(self.started_ns).saturating_sub(ns)
    }
}
