//! Reading one partition of a shuffle: every map's segment, merged by key; equal keys in the order of the maps.

use super::task_error;
use crate::task::{Counts, TaskContext, TaskError};
use crate::wire::PlaceAddress;
use mammoth_engine_core::api::{OutputId, PlaceId, ShuffleId};
use mammoth_platform::{Clock, SystemClock};
use mammoth_runtime::error::RuntimeError;
use mammoth_runtime::fetch::{FetchConfig, FetchError, FetchStep, Fetcher, Location, MapOutput};
use mammoth_runtime::merge::{Cursor, Groups, MergeStream, merge_runs};
use mammoth_runtime::run::Order;
use mammoth_runtime::shuffle::OutputReader;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// One partition of a shuffle, as a task reads it.
pub struct ShuffleInput {
    /// Which.
    pub shuffle: ShuffleId,
    /// The partition.
    pub partition: u32,
    /// By partition of the stage that wrote it.
    pub maps: Vec<Option<OutputId>>,
    /// Where outputs lie.
    pub places: BTreeMap<PlaceId, PlaceAddress>,
    /// Shuffles that the task reads at the same time, this one included.
    pub inputs: usize,
    /// The task.
    pub task: Arc<TaskContext>,
}

/// The groups of equal keys of a partition.
pub struct ShuffleStream {
    groups: Groups<MergeStream<'static>>,
    input: ShuffleInput,
    /// Records that were counted.
    counted: u64,
}

/// Segments of files on this machine that are merged as they lie; more than these are gathered first. Fewer where the process
/// may not open as many for each input of each task.
const OPEN_MAX: usize = 128;
/// How often a task that fetches looks whether it shall stop.
const WAIT_STEP: Duration = Duration::from_millis(100);

impl ShuffleInput {
    /// Opens every map's segment: as it lies where that is this machine, else fetched.
    ///
    /// # Errors
    /// [`TaskError::Fetch`] for one that cannot be had.
    pub fn open(self) -> Result<ShuffleStream, TaskError> {
        let mut outputs = Vec::new();
        for (map, output) in (0..).zip(&self.maps) {
            outputs.push(self.locate(map, *output)?);
        }
        let is_near = outputs.iter().all(|output| matches!(output.location, Location::Dir(_)));
        let open_max = OPEN_MAX.min(self.task.env.files_per_task / self.inputs.max(1));
        let stream =
            if is_near && outputs.len() <= open_max { self.open_near(&outputs)? } else { self.fetch(outputs)? };
        Ok(ShuffleStream { groups: Groups::new(stream), input: self, counted: 0 })
    }

    fn open_near(&self, outputs: &[MapOutput]) -> Result<MergeStream<'static>, TaskError> {
        let tick = super::spill_config(&self.task).tick;
        let mut cursors = Vec::new();
        for MapOutput { map, output: name, location, .. } in outputs {
            let Location::Dir(dir) = location else { continue };
            let reader = OutputReader::open(dir, name).map_err(|error| self.lost(*map, error))?;
            let segment = reader.index().segments.get(self.partition as usize).copied();
            let missing = || TaskError::fatal(format!("output {name} has no partition {}", self.partition));
            let segment = segment.ok_or_else(missing)?;
            if segment.len > 0 {
                Counts::add(&self.task.counts.shuffle_read, segment.len);
                let what = format!("partition {} of {name}", self.partition);
                cursors.push(Cursor::of_file(Arc::clone(reader.file()), segment, what, tick.clone()));
            }
        }
        Ok(MergeStream::new(cursors, Order::Key))
    }

    fn fetch(&self, outputs: Vec<MapOutput>) -> Result<MergeStream<'static>, TaskError> {
        let before = SystemClock.monotonic_ns();
        let maps = u32::try_from(outputs.len()).unwrap_or(u32::MAX);
        let spill = super::spill_config(&self.task);
        // The rest is for what reads the merged records.
        let memory = self.task.env.memory.total() / 2;
        let mut config = FetchConfig::new(maps, self.partition, memory, spill.clone());
        config.parallel = self.task.env.tuning.copies;
        let fetcher = Fetcher::start(config, None, self.task.memory.reservation()).map_err(task_error)?;
        outputs.into_iter().for_each(|output| fetcher.ready(output));
        loop {
            self.task.check()?;
            match fetcher.wait(WAIT_STEP).map_err(task_error)? {
                FetchStep::Waiting => {}
                FetchStep::Done => break,
                FetchStep::Failed(FetchError { map, reason, location, .. }) => {
                    let output = self.maps.get(map as usize).copied().flatten();
                    let reason = format!("{location}: {reason}");
                    return Err(TaskError::Fetch { shuffle: self.shuffle, map, output, reason });
                }
            }
        }
        let (fetched, stats) = fetcher.finish().map_err(task_error)?;
        let runs = fetched.into_iter().map(|fetched| fetched.run).collect();
        let (stream, merging) = merge_runs(runs, &spill, None).map_err(task_error)?;
        let counts = &self.task.counts;
        Counts::add(&counts.shuffle_read, stats.bytes);
        Counts::add(&counts.spilled, stats.spilled_bytes + merging.spilled_bytes);
        counts.phase("shuffle read", SystemClock.monotonic_ns().saturating_sub(before) / 1000);
        Ok(stream)
    }

    fn locate(&self, map: u32, output: Option<OutputId>) -> Result<MapOutput, TaskError> {
        let lost = |reason: &str| TaskError::Fetch { shuffle: self.shuffle, map, output, reason: reason.to_owned() };
        let known = output.ok_or_else(|| lost("nobody has computed it"))?;
        let location = match self.places.get(&known.place) {
            Some(PlaceAddress::Dir(dir)) => Location::Dir(dir.into()),
            Some(PlaceAddress::Server { server, generation }) => {
                Location::Server { server: server.clone(), generation: *generation }
            }
            None => return Err(lost("nobody knows where it lies")),
        };
        let owner = self.task.env.site.app.clone();
        Ok(MapOutput { map, owner, output: known.file_name(self.shuffle, map), location })
    }

    fn lost(&self, map: u32, error: RuntimeError) -> TaskError {
        let output = self.maps.get(map as usize).copied().flatten();
        unread(self.shuffle, map, output, error)
    }

    /// Finds the output that an error while reading came from: the first one on this machine that cannot be read through. What
    /// was fetched was verified before, and is this task's own.
    fn blame(&self, error: RuntimeError) -> TaskError {
        if matches!(error, RuntimeError::Stopped(_)) {
            return TaskError::Cancelled;
        }
        if error.is_exhaustion() {
            return task_error(error);
        }
        for (map, output) in (0..).zip(&self.maps) {
            let Ok(MapOutput { output: name, location: Location::Dir(dir), .. }) = self.locate(map, *output) else {
                continue;
            };
            if let Err(error) = read_through(&dir, &name, self.partition) {
                return self.lost(map, error);
            }
        }
        task_error(error)
    }
}

/// What it means that an output on this machine could not be read.
fn unread(shuffle: ShuffleId, map: u32, output: Option<OutputId>, error: RuntimeError) -> TaskError {
    match error {
        RuntimeError::Stopped(_) => TaskError::Cancelled,
        // The output is as good as ever: computing it again would not help.
        exhausted if exhausted.is_exhaustion() => TaskError::failed(exhausted),
        other => TaskError::Fetch { shuffle, map, output, reason: other.to_string() },
    }
}

fn read_through(dir: &Path, name: &str, partition: u32) -> Result<(), RuntimeError> {
    let mut segment = OutputReader::open(dir, name)?.segment(partition)?;
    while segment.advance()? {}
    Ok(())
}

impl ShuffleStream {
    /// Moves on to the next group; `false` at the end.
    ///
    /// # Errors
    /// [`TaskError::Fetch`] for an output that cannot be read; cancelled.
    pub fn advance_group(&mut self) -> Result<bool, TaskError> {
        let is_live = self.groups.advance_group().map_err(|error| self.input.blame(error))?;
        if !is_live {
            let records = self.groups.records();
            Counts::add(&self.input.task.counts.records_in, records - self.counted);
            self.counted = records;
        }
        Ok(is_live)
    }

    /// Moves on to the next value of the group; `false` at its end.
    ///
    /// # Errors
    /// As [`Self::advance_group`].
    #[inline]
    pub fn advance_value(&mut self) -> Result<bool, TaskError> {
        self.groups.advance_value().map_err(|error| self.input.blame(error))
    }

    /// The group's key.
    #[inline]
    #[must_use]
    pub fn key(&self) -> &[u8] {
        self.groups.key()
    }

    /// The value that [`Self::advance_value`] moved to.
    #[inline]
    #[must_use]
    pub fn value(&self) -> &[u8] {
        self.groups.value()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn too_many_open_files_are_no_lost_output() {
        let of = |errno| {
            let source = io::Error::from_raw_os_error(errno);
            unread(ShuffleId(1), 2, None, RuntimeError::Io { what: "open x".to_owned(), source })
        };
        for (errno, is_lost) in [(2, true), (5, true), (24, false), (23, false), (12, false)] {
            let error = of(errno);
            assert_eq!(matches!(error, TaskError::Fetch { map: 2, .. }), is_lost, "{error:?}");
            assert!(is_lost || matches!(error, TaskError::Failed(_)), "{error:?}");
        }
        let corrupt = RuntimeError::Corrupt { what: "x".to_owned(), why: "bad".to_owned() };
        assert!(matches!(unread(ShuffleId(1), 2, None, corrupt), TaskError::Fetch { .. }));
    }
}
