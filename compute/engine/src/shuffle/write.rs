//! Writing a task's output: sorted, or folded by key, one data and one index file.

use super::{spill_config, task_error};
use crate::ops::Finished;
use crate::task::{Counts, TaskContext, TaskError};
use mammoth_engine_core::api::output_name;
use mammoth_runtime::fold::{Accumulator, FoldConfig, FoldTable};
use mammoth_runtime::shuffle::{Finished as Written, OutputWriter};
use mammoth_runtime::sort::{SortConfig, Sorter};
use std::sync::Arc;

/// What a finished output took, in the terms of [`Counts`].
#[derive(Clone, Copy, Debug, Default)]
pub struct OutputDone {
    /// Bytes that went to disk for lack of memory.
    pub spilled: u64,
    /// Nanoseconds of sorting.
    pub sort_ns: u64,
    /// Nanoseconds of writing.
    pub write_ns: u64,
    /// Nanoseconds of merging what was spilled.
    pub merge_ns: u64,
}

/// The output that a task is to write, under a name that no other attempt has.
///
/// # Errors
/// The stage writes no shuffle; the file cannot be created.
pub fn output(task: &Arc<TaskContext>) -> Result<OutputWriter, TaskError> {
    let (shuffle, partitions) = task.writes.ok_or_else(|| TaskError::fatal("the stage writes no shuffle"))?;
    let key = task.key;
    let name = output_name(shuffle, key.partition, key.generation, key.attempt);
    OutputWriter::create(&task.env.site.shuffle_dir, &name, partitions, task.env.tuning.codec).map_err(task_error)
}

/// Number of partitions of the shuffle that a task writes.
fn partitions(task: &TaskContext) -> u32 {
    task.writes.map_or(1, |(_, partitions)| partitions)
}

/// How a task folds by key: into partitions by the hash of the key.
#[must_use]
pub fn fold_config(task: &Arc<TaskContext>) -> FoldConfig {
    FoldConfig {
        partitions: partitions(task),
        partition: None,
        memory: task.env.memory.total(),
        spill: spill_config(task),
    }
}

/// How a task sorts by key.
#[must_use]
pub fn sort_config(task: &Arc<TaskContext>) -> SortConfig {
    let memory = task.env.memory.total();
    SortConfig { partitions: partitions(task), memory, spill_percent: 1.0, spill: spill_config(task) }
}

fn done(task: &TaskContext, written: Written, took: OutputDone) -> Finished {
    Counts::add(&task.counts.shuffle_written, written.bytes);
    Counts::add(&task.counts.spilled, took.spilled);
    for (phase, ns) in [("sort", took.sort_ns), ("shuffle write", took.write_ns), ("merge", took.merge_ns)] {
        task.counts.phase(phase, ns / 1000);
    }
    Finished { result: Vec::new(), partitions: written.partition_bytes }
}

/// Writes a table as the task's output.
///
/// # Errors
/// The output cannot be written.
pub fn finish_fold<A: Accumulator>(task: &Arc<TaskContext>, table: FoldTable<A>) -> Result<Finished, TaskError> {
    let (written, stats) = table.finish(output(task)?).map_err(task_error)?;
    let took = OutputDone {
        spilled: stats.spilled_bytes,
        sort_ns: stats.sort_ns,
        write_ns: stats.spill_ns,
        merge_ns: stats.merge_ns,
    };
    Ok(done(task, written, took))
}

/// Writes what was sorted as the task's output.
///
/// # Errors
/// The output cannot be written.
pub fn finish_sort(task: &Arc<TaskContext>, sorter: Sorter) -> Result<Finished, TaskError> {
    let (written, stats) = sorter.finish(output(task)?).map_err(task_error)?;
    let took = OutputDone {
        spilled: stats.spilled_bytes,
        sort_ns: stats.sort_ns,
        write_ns: stats.spill_ns,
        merge_ns: stats.merge_ns,
    };
    Ok(done(task, written, took))
}
