//! Runs one task from order to report.

use super::panic;
use super::pipeline::Builder;
use super::{Counts, TaskContext, TaskError};
use crate::executor::Env;
use crate::ops::Finished;
use crate::wire::{TaskOrder, TaskReport, WireEnd};
use mammoth_platform::{Clock, SystemClock};
use mammoth_protocol::jobs::event::TaskMetrics;
use rustix::time::{ClockId, clock_gettime};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Runs a task; whatever happens in it is in the report.
pub(crate) fn run_task(env: &Arc<Env>, order: &TaskOrder, cancelled: &Arc<AtomicBool>) -> TaskReport {
    let task = TaskContext::new(order.task, Arc::clone(env), Arc::clone(cancelled));
    let (wall, cpu) = (SystemClock.monotonic_ns(), cpu_ns());
    let entered = task.enter();
    let ended = panic::catch(|| steps(&task, order)).unwrap_or_else(|text| Err(TaskError::Failed(text)));
    drop(entered);
    let wall_us = SystemClock.monotonic_ns().saturating_sub(wall) / 1000;
    let cpu_us = cpu_ns().saturating_sub(cpu) / 1000;
    let mut metrics = metrics_of(&task.counts, wall_us, cpu_us);
    match ended {
        Ok((finished, accumulators)) => {
            metrics.result = finished.result.len() as u64;
            TaskReport { task: order.task, end: WireEnd::Success, metrics, accumulators, result: finished.result }
        }
        Err(error) => {
            let end = end_of(error);
            TaskReport { task: order.task, end, metrics, accumulators: Vec::new(), result: Vec::new() }
        }
    }
}

type Done = (Finished, Vec<(u32, Vec<u8>)>);

fn steps(task: &Arc<TaskContext>, order: &TaskOrder) -> Result<Done, TaskError> {
    task.check()?;
    let program = task.env.program(order.program)?;
    let builder = Builder { program: &program, order, task };
    let mut source = builder.root()?;
    let mut sink = builder.sink()?;
    while let Some(batch) = source.next()? {
        task.check()?;
        Counts::add(&task.counts.records_out, batch.len() as u64);
        if !sink.take(batch)? {
            break;
        }
    }
    drop(source);
    let finished = sink.finish()?;
    let accumulators = task.accumulators.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let accumulators =
        accumulators.encode().map_err(|error| TaskError::fatal(format!("an accumulator cannot be encoded: {error}")))?;
    Ok((finished, accumulators))
}

fn end_of(error: TaskError) -> WireEnd {
    match error {
        TaskError::Fetch { shuffle, map, output, reason } => WireEnd::FetchFailed { shuffle, map, output, reason },
        TaskError::Failed(reason) => WireEnd::Failed { reason, fatal: false },
        TaskError::Fatal(reason) => WireEnd::Failed { reason, fatal: true },
        TaskError::Cancelled => WireEnd::Cancelled,
    }
}

fn metrics_of(counts: &Counts, wall_us: u64, cpu_us: u64) -> TaskMetrics {
    let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let mut phases: std::collections::BTreeMap<String, u64> =
        counts.phases().into_iter().map(|(name, us)| (name.to_owned(), us)).collect();
    let known: u64 = phases.values().sum();
    phases.insert("compute".to_owned(), wall_us.saturating_sub(known));
    TaskMetrics {
        wall_us,
        cpu_us,
        phases,
        dfs_read: get(&counts.dfs_read),
        dfs_written: get(&counts.dfs_written),
        spilled: get(&counts.spilled),
        shuffle_written: get(&counts.shuffle_written),
        shuffle_read: get(&counts.shuffle_read),
        records_in: get(&counts.records_in),
        records_out: get(&counts.records_out),
        result: 0,
        memory_peak: 0,
    }
}

/// Processor time of this thread, nanoseconds.
fn cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0))
}
