//! One attempt of a task, from the tracker's first line to the last word about it.
//!
//! [`plan`]: the job as its program describes it; [`attempt`]: the process; [`map`], [`reduce`]: what it does; [`meter`]: what
//! it counts; [`context`]: what the user's code sees.

mod attempt;
mod context;
mod map;
mod meter;
mod plan;
mod reduce;
#[cfg(test)]
pub(crate) mod testing;

pub use attempt::main;
pub use context::TaskContext;
pub use map::MapTask;
pub use meter::{Count, Counter, Meter, Phase};
pub use plan::{JobArgs, JobPlan, TaskCode, expected_outputs, output_of};
pub use reduce::{ReduceGroups, ReduceTask};

use crate::commit::Committer;
use crate::error::RuntimeError;
use crate::files::FileSystem;
use crate::memory::TaskMemory;
use crate::output::{TextOutput, part_name};
use crate::run::SpillConfig;
use crate::shuffle::Codec;
use mammoth_platform::{Settings, keys};
use mammoth_protocol::DfsPath;
use mammoth_protocol::jobs::AttemptId;
use std::path::PathBuf;
use std::sync::Arc;

/// Where a task runs: in a process of a cluster, or in the local runner.
pub struct TaskEnv<'a> {
    /// The job's file system.
    pub files: &'a dyn FileSystem,
    /// Settings of the job.
    pub settings: Arc<Settings>,
    /// What it counts.
    pub meter: Meter,
    /// The attempt.
    pub attempt: AttemptId,
    /// Folder of its own on local disk, for runs that do not fit into memory.
    pub work_dir: PathBuf,
    /// Folder for maps' outputs.
    pub shuffle_dir: PathBuf,
    /// Number of partitions of the maps' output.
    pub reduces: u32,
    /// Memory for its buffers, bytes.
    pub buffer_bytes: u64,
    /// The account over them.
    pub memory: TaskMemory,
    /// Folder of the job's output.
    pub output: Option<DfsPath>,
}

impl TaskEnv<'_> {
    /// Memory for the buffers of a task that was granted so much, bytes: most of it, but in any case what a map sorts in.
    ///
    /// # Errors
    /// Settings out of their ranges.
    pub fn buffer_bytes_of(granted: u64, settings: &Settings) -> Result<u64, RuntimeError> {
        let sort = sort_bytes(settings)?;
        Ok((granted / 10 * 7).max(sort + sort / 8))
    }

    /// Size of a map's sort buffer, bytes.
    ///
    /// # Errors
    /// Settings out of their ranges.
    pub fn sort_bytes(&self) -> Result<u64, RuntimeError> {
        sort_bytes(&self.settings)
    }

    /// How what lies between the phases is compressed.
    ///
    /// # Errors
    /// Settings out of their ranges.
    pub fn codec(&self) -> Result<Codec, RuntimeError> {
        let is_compressed = self.settings.flag(keys::MAPREDUCE_MAP_OUTPUT_COMPRESS)?;
        Ok(if is_compressed { Codec::Lz4 } else { Codec::None })
    }

    /// How runs are written and merged.
    ///
    /// # Errors
    /// Settings out of their ranges.
    pub fn spill_config(&self) -> Result<SpillConfig, RuntimeError> {
        let frame_bytes = self.settings.bytes(keys::MAMMOTH_SHUFFLE_FRAME_BYTES)?;
        let meter = self.meter.clone();
        Ok(SpillConfig {
            codec: self.codec()?,
            frame_bytes: usize::try_from(frame_bytes).unwrap_or(usize::MAX),
            fan_in: self.settings.int(keys::MAPREDUCE_TASK_IO_SORT_FACTOR)?,
            tick: Some(Arc::new(move || {
                meter.alive();
                Ok(())
            })),
            ..SpillConfig::new(&self.work_dir)
        })
    }

    /// What the user's code sees.
    #[must_use]
    pub fn context(&self) -> TaskContext {
        TaskContext::new(self.attempt, Arc::clone(&self.settings), self.meter.clone())
    }

    /// The committer of the job's output.
    ///
    /// # Errors
    /// A job without output.
    pub fn committer(&self) -> Result<Committer<'_>, RuntimeError> {
        let none = || RuntimeError::Refused("Output directory not set.".to_owned());
        Ok(Committer::new(self.files, self.output.clone().ok_or_else(none)?))
    }

    /// The file that this task writes.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn text_output(&self) -> Result<TextOutput, RuntimeError> {
        let folder = self.committer()?.attempt_folder(&self.attempt.to_string())?;
        let task = self.attempt.task;
        let name = part_name(task.kind.letter(), task.index);
        let path = folder.join(&name).map_err(|error| RuntimeError::Refused(error.to_string()))?;
        TextOutput::create(self.files, &path)
    }

    /// Closes the file and counts what was written, as `records`.
    ///
    /// # Errors
    /// Not everything arrived.
    pub fn close_output(&self, output: TextOutput, records: Count) -> Result<(), RuntimeError> {
        let stats = output.close()?;
        self.meter.spend(Phase::Write, stats.ns);
        self.meter.add(records, stats.records);
        self.meter.add(Count::HdfsBytesWritten, stats.bytes);
        Ok(())
    }
}

fn sort_bytes(settings: &Settings) -> Result<u64, RuntimeError> {
    Ok(settings.int::<u64>(keys::MAPREDUCE_TASK_IO_SORT_MB)? << 20)
}
