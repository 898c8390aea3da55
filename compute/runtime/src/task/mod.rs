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
pub use reduce::ReduceTask;

use crate::commit::Committer;
use crate::error::RuntimeError;
use crate::files::FileSystem;
use crate::output::{TextOutput, part_name};
use mammoth_platform::Settings;
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
    /// Memory that the task was granted, bytes.
    pub memory: u64,
    /// Folder of the job's output.
    pub output: Option<DfsPath>,
}

impl TaskEnv<'_> {
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
