//! A reduce: one partition of every map's output in, one file out.

use super::TaskEnv;
use super::attempt::WAIT;
use super::meter::{Count, Meter, Phase};
use super::plan::JobPlan;
use crate::error::RuntimeError;
use crate::fetch::{FetchConfig, FetchStats, FetchStep, Fetcher};
use crate::link::Link;
use crate::merge::{Groups, MergeStream, merge_runs};
use crate::output::TextOutput;
use crate::run::Run;
use mammoth_platform::{Clock, SystemClock, keys};
use mammoth_protocol::jobs::link::FromChild;
use std::sync::atomic::{AtomicBool, Ordering};

/// Records between two looks at the counters.
const BATCH: u64 = 1024;
/// Tries at one output after which the fault may be here: a few minutes' worth.
const TRIES_MAX: u32 = 30;
/// Shares of a reduce's progress, as in Hadoop: a third each for fetching, merging, reducing.
const FETCH_SHARE: f32 = 1.0 / 3.0;
const MERGE_SHARE: f32 = 2.0 / 3.0;

/// What a reduce has: its partition of the maps' output, sorted, and where its output goes.
pub struct ReduceTask<'a> {
    /// Its surroundings.
    pub env: &'a TaskEnv<'a>,
    groups: Groups<MergeStream<'static>>,
    total: u64,
    started_ns: u64,
}

impl<'a> ReduceTask<'a> {
    /// Merges runs as far as that takes passes; `records` is how many they hold.
    ///
    /// # Errors
    /// The runs cannot be read, or merged ones not written.
    pub fn new(env: &'a TaskEnv<'a>, plan: &JobPlan, runs: Vec<Run>, records: u64) -> Result<Self, RuntimeError> {
        let meter = &env.meter;
        meter.enter(Phase::Merge);
        meter.set_progress(FETCH_SHARE);
        let (stream, stats) = merge_runs(runs, &env.spill_config()?, plan.code.combiner())?;
        meter.spend(Phase::Merge, stats.ns);
        meter.add(Count::MergePasses, stats.passes);
        count_merged(meter, (stats.spilled_records, stats.spilled_bytes), (stats.combine_in, stats.combine_out));
        meter.enter(Phase::Reduce);
        meter.set_progress(MERGE_SHARE);
        let started_ns = SystemClock.monotonic_ns();
        Ok(Self { env, groups: Groups::new(stream), total: records, started_ns })
    }

    /// The groups of equal keys, in the order of the keys.
    pub fn groups(&mut self) -> ReduceGroups<'_> {
        ReduceGroups { env: self.env, total: self.total, groups: &mut self.groups, unreported: 0 }
    }

    /// Closes the output file, and counts.
    ///
    /// # Errors
    /// Not everything arrived.
    pub fn finish(self, output: TextOutput) -> Result<(), RuntimeError> {
        let meter = &self.env.meter;
        let before = meter.spent(Phase::Write);
        meter.set(Count::ReduceInputRecords, self.groups.records());
        meter.set(Count::ReduceInputGroups, self.groups.groups());
        self.env.close_output(output, Count::ReduceOutputRecords)?;
        let elapsed = SystemClock.monotonic_ns().saturating_sub(self.started_ns);
        meter.spend(Phase::Reduce, elapsed.saturating_sub(meter.spent(Phase::Write) - before));
        meter.set_progress(1.0);
        Ok(())
    }
}

/// Walks over the groups of a reduce's input.
pub struct ReduceGroups<'a> {
    env: &'a TaskEnv<'a>,
    total: u64,
    groups: &'a mut Groups<MergeStream<'static>>,
    unreported: u64,
}

impl ReduceGroups<'_> {
    /// Moves on to the next group; `false` at the end. Values that nobody took are passed over.
    ///
    /// # Errors
    /// The input cannot be read.
    pub fn next_group(&mut self) -> Result<bool, RuntimeError> {
        self.count();
        self.groups.advance_group()
    }

    /// The group's key, encoded.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        self.groups.key()
    }

    /// The group's next value, encoded.
    ///
    /// # Errors
    /// The input cannot be read.
    #[inline]
    pub fn next_value(&mut self) -> Result<Option<&[u8]>, RuntimeError> {
        self.count();
        Ok(if self.groups.advance_value()? { Some(self.groups.value()) } else { None })
    }

    #[inline]
    fn count(&mut self) {
        // Not with the counters: the user's code may take its time over each value.
        self.env.meter.alive();
        self.unreported += 1;
        if self.unreported == BATCH {
            self.report();
        }
    }

    #[cold]
    #[expect(clippy::cast_precision_loss, reason = "a share for people")]
    fn report(&mut self) {
        self.unreported = 0;
        let meter = &self.env.meter;
        meter.set(Count::ReduceInputRecords, self.groups.records());
        meter.set(Count::ReduceInputGroups, self.groups.groups());
        let share = self.groups.records() as f32 / self.total.max(1) as f32;
        meter.set_progress(MERGE_SHARE + (1.0 - MERGE_SHARE) * share.min(1.0));
    }
}

/// Fetches the partition and runs the user's code over it.
pub(super) fn run(env: &TaskEnv<'_>, plan: &JobPlan, link: &Link, maps: u32) -> Result<(), RuntimeError> {
    let before = SystemClock.monotonic_ns();
    env.meter.enter(Phase::Shuffle);
    let fetcher = Fetcher::start(fetch_config(env, maps)?, plan.code.combiner(), env.memory.reservation())?;
    let is_fetched = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let follow = || link.follow_outputs(&is_fetched, |event| fetcher.apply(event));
        let spawned = std::thread::Builder::new().name("map-outputs".to_owned()).spawn_scoped(scope, follow);
        let fetched = match spawned {
            Ok(_) => wait_for_outputs(env, link, &fetcher, maps),
            Err(source) => Err(RuntimeError::Io { what: "start a thread".to_owned(), source }),
        };
        is_fetched.store(true, Ordering::SeqCst);
        link.wake();
        fetched
    })?;
    let (fetched, stats) = fetcher.finish()?;
    count_fetched(env, &stats, fetched.len());
    env.meter.spend(Phase::Shuffle, SystemClock.monotonic_ns().saturating_sub(before));
    let runs = fetched.into_iter().map(|fetched| fetched.run).collect();
    let records = stats.records.saturating_sub(stats.combine_in.saturating_sub(stats.combine_out));
    plan.code.reduce(ReduceTask::new(env, plan, runs, records)?)
}

fn fetch_config(env: &TaskEnv<'_>, maps: u32) -> Result<FetchConfig, RuntimeError> {
    let memory = env.buffer_bytes / 10 * 8;
    let config = FetchConfig::new(maps, env.attempt.task.index, memory, env.spill_config()?);
    let parallel = env.settings.int(keys::MAPREDUCE_REDUCE_SHUFFLE_PARALLELCOPIES)?;
    // A reducer gets a key's values in no order that it may count on.
    Ok(FetchConfig { parallel, keeps_map_order: false, ..config })
}

/// Waits until every map's output is here. What cannot be had is reported: who runs the job has the map run again.
fn wait_for_outputs(env: &TaskEnv<'_>, link: &Link, fetcher: &Fetcher, maps: u32) -> Result<(), RuntimeError> {
    loop {
        match fetcher.wait(WAIT)? {
            FetchStep::Done => return Ok(()),
            FetchStep::Failed(error) if error.tries >= TRIES_MAX => {
                return Err(RuntimeError::Refused(format!("{error} ({} tries)", error.tries)));
            }
            FetchStep::Failed(error) => {
                crate::link::complain(&error);
                if let Ok(map) = error.output.parse() {
                    link.send(&FromChild::FetchFailed { map, reason: error.to_string() });
                }
            }
            FetchStep::Waiting => {}
        }
        if let Some(reason) = link.stop_reason() {
            return Err(RuntimeError::Stopped(reason));
        }
        // Others are waited for, with timeouts of their own: that is no silence of this task's.
        #[expect(clippy::cast_precision_loss, reason = "a share for people")]
        env.meter.set_progress(FETCH_SHARE * fetcher.fetched() as f32 / maps.max(1) as f32);
        env.meter.set(Count::ReduceShuffleBytes, fetcher.stats().bytes);
    }
}

fn count_fetched(env: &TaskEnv<'_>, stats: &FetchStats, runs: usize) {
    let meter = &env.meter;
    meter.set(Count::ReduceShuffleBytes, stats.bytes);
    meter.set(Count::ShuffledMaps, stats.outputs);
    meter.set(Count::FailedShuffle, stats.failures);
    meter.set(Count::MergedMapOutputs, runs as u64);
    count_merged(meter, (stats.spilled_records, stats.spilled_bytes), (stats.combine_in, stats.combine_out));
}

/// What merging wrote to the disk and read back, in records and bytes, and how many records combining took and gave.
fn count_merged(meter: &Meter, (records, bytes): (u64, u64), (combine_in, combine_out): (u64, u64)) {
    meter.add(Count::SpilledRecords, records);
    meter.add(Count::SpilledBytes, bytes);
    meter.add(Count::FileBytesRead, bytes);
    meter.add(Count::FileBytesWritten, bytes);
    meter.add(Count::CombineInputRecords, combine_in);
    meter.add(Count::CombineOutputRecords, combine_out);
}
