//! Merging in passes: runs on disk beyond the fan-in are first merged into larger ones.
//!
//! Only neighbours are merged, so that records with equal keys stay in the order of the runs. The first pass takes as many runs
//! as leave full passes for the rest.
//!
//! Runs in memory may be any number, as long as there is room for what reading them takes: a decompressed frame of each. Those
//! for which there is none go to disk first, a few at a time.

use super::combine::{Combiner, Combining};
use super::resident::unpacked_max;
use super::{Cursor, MergeStream};
use crate::error::RuntimeError;
use crate::run::{Run, RunFile, RunWriter, SpillConfig, Stopwatch};
use std::fs::File;
use std::sync::Arc;

/// What merging took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MergeStats {
    /// Passes that wrote a run, before the last one that did not.
    pub passes: u64,
    /// Records that those passes wrote.
    pub spilled_records: u64,
    /// Bytes that those passes wrote.
    pub spilled_bytes: u64,
    /// Records that the combiner was given.
    pub combine_in: u64,
    /// Records that it made.
    pub combine_out: u64,
    /// Nanoseconds of those passes.
    pub ns: u64,
}

impl MergeStats {
    fn count(&mut self, merged: &RunFile) {
        self.passes += 1;
        self.spilled_records += merged.records();
        self.spilled_bytes += merged.bytes();
    }
}

/// A run that is being read.
enum Open {
    File { file: Arc<File>, run: RunFile },
    Memory(Option<crate::run::RunMemory>),
}

impl Open {
    fn of(run: Run) -> Result<Self, RuntimeError> {
        Ok(match run {
            Run::File(run) => Self::File { file: run.open()?, run },
            Run::Memory(memory) => Self::Memory(Some(memory)),
        })
    }

    /// The cursor over a partition, unless it is empty.
    fn cursor(&mut self, partition: u32, config: &SpillConfig) -> Option<Cursor> {
        match self {
            Self::File { file, run } => {
                let segment = run.index().segments.get(partition as usize).filter(|segment| segment.len > 0)?;
                Some(Cursor::of_file(Arc::clone(file), *segment, run.what(partition), config.tick.clone()))
            }
            Self::Memory(memory) if partition == 0 => Some(Cursor::of_memory(memory.take()?, config.tick.clone())),
            Self::Memory(_) => None,
        }
    }
}

/// Opened runs of several partitions, which are merged one partition after the other.
pub(crate) struct OpenRuns {
    runs: Vec<Open>,
    config: SpillConfig,
}

impl OpenRuns {
    /// Opens runs, at most as many as [`reduce_runs`] leaves.
    pub(crate) fn open(runs: Vec<Run>, config: &SpillConfig) -> Result<Self, RuntimeError> {
        let runs = runs.into_iter().map(Open::of).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { runs, config: config.clone() })
    }

    /// A merge of one partition; each partition once.
    pub(crate) fn merge<'a>(&mut self, partition: u32) -> MergeStream<'a> {
        let cursors = self.runs.iter_mut().filter_map(|run| run.cursor(partition, &self.config)).collect();
        MergeStream::new(cursors, self.config.order)
    }
}

/// How many of `files` runs the next pass merges.
pub(super) const fn pass_width(files: usize, fan_in: usize) -> usize {
    match (files - 1) % (fan_in - 1) {
        0 => fan_in,
        rest => rest + 1,
    }
}

/// The neighbours with `width` files among them and the fewest bytes.
fn cheapest_window(runs: &[Run], width: usize) -> std::ops::Range<usize> {
    let files: Vec<usize> =
        runs.iter().enumerate().filter(|(_, run)| matches!(run, Run::File(_))).map(|(at, _)| at).collect();
    let bytes = |range: &std::ops::Range<usize>| -> u64 {
        runs.get(range.clone()).unwrap_or_default().iter().map(Run::bytes).sum()
    };
    let windows = files.windows(width).filter_map(|window| Some(*window.first()?..*window.last()? + 1));
    windows.min_by_key(bytes).unwrap_or(0..0)
}

/// Takes room for a decompressed frame of each run in memory; neighbours for which there is no more go to disk together.
fn make_room(
    runs: Vec<Run>,
    partitions: u32,
    config: &SpillConfig,
    mut combining: Option<&mut Combining>,
    stats: &mut MergeStats,
) -> Result<Vec<Run>, RuntimeError> {
    let mut roomy: Vec<Run> = Vec::with_capacity(runs.len());
    for mut run in runs {
        if let Run::Memory(memory) = &mut run {
            let needed = unpacked_max(&memory.bytes);
            if !memory.reservation.try_grow(needed) {
                let is_file = |run: &Run| matches!(run, Run::File(_));
                let batch = roomy.split_off(roomy.iter().rposition(is_file).map_or(0, |at| at + 1));
                if !batch.is_empty() {
                    let merged = merge_to_file(batch, partitions, config, combining.as_deref_mut())?;
                    stats.count(&merged);
                    roomy.push(Run::File(merged));
                }
                if !memory.reservation.try_grow(needed) {
                    // One frame is always read, as work must go on.
                    memory.reservation.force(needed);
                }
            }
        }
        roomy.push(run);
    }
    Ok(roomy)
}

/// Merges runs of `partitions` partitions until at most `fan_in` are on disk. Runs in memory may be any number.
pub(crate) fn reduce_runs(
    runs: Vec<Run>,
    partitions: u32,
    config: &SpillConfig,
    mut combining: Option<&mut Combining>,
    stats: &mut MergeStats,
) -> Result<Vec<Run>, RuntimeError> {
    let mut watch = Stopwatch::start();
    let mut runs = make_room(runs, partitions, config, combining.as_deref_mut(), stats)?;
    loop {
        let files = runs.iter().filter(|run| matches!(run, Run::File(_))).count();
        if files <= config.fan_in() {
            stats.ns += watch.lap();
            return Ok(runs);
        }
        let window = cheapest_window(&runs, pass_width(files, config.fan_in()));
        let at = window.start;
        let inputs: Vec<Run> = runs.drain(window).collect();
        let merged = merge_to_file(inputs, partitions, config, combining.as_deref_mut())?;
        stats.count(&merged);
        runs.insert(at, Run::File(merged));
    }
}

/// Merges runs into one on disk.
pub(crate) fn merge_to_file(
    runs: Vec<Run>,
    partitions: u32,
    config: &SpillConfig,
    mut combining: Option<&mut Combining>,
) -> Result<RunFile, RuntimeError> {
    let mut out = RunWriter::create(config, partitions)?;
    let mut open = OpenRuns::open(runs, config)?;
    for partition in 0..partitions {
        out.pour(open.merge(partition), partition, combining.as_deref_mut())?;
    }
    out.finish()
}

/// One stream of the runs of one partition: merges in passes as far as needed, then gives the last merge as it goes.
///
/// # Errors
/// Runs cannot be read or written; what the combiner says.
pub fn merge_runs(
    runs: Vec<Run>,
    config: &SpillConfig,
    combiner: Option<Box<dyn Combiner>>,
) -> Result<(MergeStream<'static>, MergeStats), RuntimeError> {
    let mut stats = MergeStats::default();
    let mut combining = combiner.map(Combining::new);
    let runs = reduce_runs(runs, 1, config, combining.as_mut(), &mut stats)?;
    if let Some(combining) = combining {
        (stats.combine_in, stats.combine_out) = (combining.records_in, combining.records_out);
    }
    Ok((OpenRuns::open(runs, config)?.merge(0), stats))
}
