//! Shuffles: what a task writes for others, and what it reads of theirs. The files are the same as those of MapReduce.

mod read;
mod write;

pub use read::{ShuffleInput, ShuffleStream};
pub use write::{OutputDone, finish_fold, finish_sort, fold_config, output, sort_config};

use crate::task::{TaskContext, TaskError};
use mammoth_runtime::error::RuntimeError;
use mammoth_runtime::run::{SpillConfig, Tick};
use std::sync::Arc;

/// What a failure of the runtime means for the task.
#[must_use]
pub fn task_error(error: RuntimeError) -> TaskError {
    match error {
        RuntimeError::Stopped(_) => TaskError::Cancelled,
        other => TaskError::failed(other),
    }
}

/// How a task writes and merges sorted runs.
#[must_use]
pub fn spill_config(task: &Arc<TaskContext>) -> SpillConfig {
    let tuning = &task.env.tuning;
    let watched = Arc::clone(task.cancel_flag());
    let tick: Tick = Arc::new(move || match watched.load(std::sync::atomic::Ordering::Relaxed) {
        true => Err(RuntimeError::Stopped("the task was cancelled".to_owned())),
        false => Ok(()),
    });
    let mut config = SpillConfig::new(&task.env.site.work_dir);
    config.codec = tuning.codec;
    config.frame_bytes = tuning.frame_bytes;
    config.fan_in = tuning.fan_in;
    config.tick = Some(tick);
    config
}
