//! Reading one partition of a shuffle: every map's segment, merged by key; equal keys in the order of the maps.

use super::task_error;
use crate::task::{Counts, TaskContext, TaskError};
use crate::wire::PlaceAddress;
use mammoth_engine_core::api::{OutputId, PlaceId, ShuffleId};
use mammoth_runtime::error::RuntimeError;
use mammoth_runtime::merge::{Cursor, Groups, MergeStream};
use mammoth_runtime::run::Order;
use mammoth_runtime::shuffle::OutputReader;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

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

impl ShuffleInput {
    /// Opens every map's segment.
    ///
    /// # Errors
    /// [`TaskError::Fetch`] for one that cannot be had.
    pub fn open(self) -> Result<ShuffleStream, TaskError> {
        let tick = super::spill_config(&self.task).tick;
        let mut cursors = Vec::new();
        for (map, output) in (0..).zip(&self.maps) {
            let (dir, name) = self.locate(map, *output)?;
            let failed = |error| self.lost(map, *output, error);
            let reader = OutputReader::open(Path::new(&dir), &name).map_err(failed)?;
            let segment = reader.index().segments.get(self.partition as usize).copied();
            let missing = || TaskError::fatal(format!("output {name} has no partition {}", self.partition));
            let segment = segment.ok_or_else(missing)?;
            if segment.len > 0 {
                Counts::add(&self.task.counts.shuffle_read, segment.len);
                let what = format!("partition {} of {name}", self.partition);
                cursors.push(Cursor::of_file(Arc::clone(reader.file()), segment, what, tick.clone()));
            }
        }
        let groups = Groups::new(MergeStream::new(cursors, Order::Key));
        Ok(ShuffleStream { groups, input: self, counted: 0 })
    }

    fn locate(&self, map: u32, output: Option<OutputId>) -> Result<(String, String), TaskError> {
        let lost = |reason: &str| TaskError::Fetch { shuffle: self.shuffle, map, output, reason: reason.to_owned() };
        let known = output.ok_or_else(|| lost("nobody has computed it"))?;
        match self.places.get(&known.place) {
            Some(PlaceAddress::Dir(dir)) => Ok((dir.clone(), known.file_name(self.shuffle, map))),
            Some(PlaceAddress::Server { .. }) => Err(TaskError::fatal("shuffle servers are not asked yet")),
            None => Err(lost("nobody knows where it lies")),
        }
    }

    fn lost(&self, map: u32, output: Option<OutputId>, error: RuntimeError) -> TaskError {
        match error {
            RuntimeError::Stopped(_) => TaskError::Cancelled,
            other => TaskError::Fetch { shuffle: self.shuffle, map, output, reason: other.to_string() },
        }
    }

    /// Finds the output that an error while reading came from: the first one that cannot be read through.
    fn blame(&self, error: RuntimeError) -> TaskError {
        if matches!(error, RuntimeError::Stopped(_)) {
            return TaskError::Cancelled;
        }
        for (map, output) in (0..).zip(&self.maps) {
            let Ok((dir, name)) = self.locate(map, *output) else { continue };
            if let Err(error) = read_through(Path::new(&dir), &name, self.partition) {
                return self.lost(map, *output, error);
            }
        }
        task_error(error)
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
