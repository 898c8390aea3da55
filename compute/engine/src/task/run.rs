//! Runs one task from order to report.

use super::panic;
use super::pipeline::Builder;
use super::{Counts, TaskContext, TaskError};
use crate::executor::Env;
use crate::ops::Finished;
use crate::program::Program;
use crate::wire::{TaskOrder, TaskReport, WireEnd, cut_reason};
use mammoth_platform::{Clock, SystemClock};
use mammoth_protocol::jobs::event::TaskMetrics;
use rustix::time::{ClockId, clock_gettime};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Runs a task; whatever happens in it is in the report.
pub(crate) fn run_task(env: &Arc<Env>, order: &TaskOrder, cancelled: &Arc<AtomicBool>) -> TaskReport {
    let (wall, cpu) = (SystemClock.monotonic_ns(), cpu_ns());
    let mut report = match env.program(order.program) {
        Ok(program) => {
            let task = TaskContext::new(order.task, program.writes, Arc::clone(env), Arc::clone(cancelled));
            let entered = task.enter();
            let ended = panic::catch(|| steps(&task, &program, order));
            drop(entered);
            let report = report_of(order, &task.counts, ended.unwrap_or_else(|text| Err(TaskError::Failed(text))));
            // What tasks add up are values of users' types. They are encoded by now: the task has its end already.
            panic::discard("what a task added up", task);
            report
        }
        Err(error) => report_of(order, &Counts::default(), Err(error)),
    };
    report.metrics.wall_us = SystemClock.monotonic_ns().saturating_sub(wall) / 1000;
    report.metrics.cpu_us = cpu_ns().saturating_sub(cpu) / 1000;
    let known: u64 = report.metrics.phases.values().sum();
    report.metrics.phases.insert("compute".to_owned(), report.metrics.wall_us.saturating_sub(known));
    report
}

/// Most bytes of what a task adds to accumulators.
const ACCUMULATORS_MAX: usize = 32 << 20;

type Done = (Finished, Vec<(u32, Vec<u8>)>);

fn steps(task: &Arc<TaskContext>, program: &Program, order: &TaskOrder) -> Result<Done, TaskError> {
    task.check()?;
    let builder = Builder { program, order, task };
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
    task.check_result(program.sink.name(), finished.result.len())?;
    let accumulators = task.accumulators.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let accumulators = accumulators
        .encode()
        .map_err(|error| TaskError::fatal(format!("an accumulator cannot be encoded: {error}")))?;
    let added: usize = accumulators.iter().map(|(_, part)| part.len()).sum();
    if added > ACCUMULATORS_MAX {
        let text = format!("what the task added to accumulators takes {added} bytes, more than {ACCUMULATORS_MAX}");
        return Err(TaskError::Fatal(text));
    }
    Ok((finished, accumulators))
}

fn report_of(order: &TaskOrder, counts: &Counts, ended: Result<Done, TaskError>) -> TaskReport {
    let mut metrics = metrics_of(counts);
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

fn end_of(error: TaskError) -> WireEnd {
    match error {
        TaskError::Fetch { shuffle, map, output, reason } => {
            WireEnd::FetchFailed { shuffle, map, output, reason: cut_reason(reason) }
        }
        TaskError::Failed(reason) => WireEnd::Failed { reason: cut_reason(reason), fatal: false },
        TaskError::Fatal(reason) => WireEnd::Failed { reason: cut_reason(reason), fatal: true },
        TaskError::Cancelled => WireEnd::Cancelled,
    }
}

fn metrics_of(counts: &Counts) -> TaskMetrics {
    let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    TaskMetrics {
        phases: counts.phases().into_iter().map(|(name, us)| (name.to_owned(), us)).collect(),
        dfs_read: get(&counts.dfs_read),
        dfs_written: get(&counts.dfs_written),
        spilled: get(&counts.spilled),
        shuffle_written: get(&counts.shuffle_written),
        shuffle_read: get(&counts.shuffle_read),
        records_in: get(&counts.records_in),
        records_out: get(&counts.records_out),
        ..TaskMetrics::default()
    }
}

/// Processor time of this thread, nanoseconds.
fn cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_of_any_length_are_cut_between_characters() {
        let long = "ü".repeat(1 << 20);
        for error in [TaskError::failed(&long), TaskError::fatal(&long), TaskError::failed("short")] {
            let WireEnd::Failed { reason, .. } = end_of(error) else { panic!("it failed") };
            assert!(reason == "short" || (reason.len() <= 64 * 1024 && reason.ends_with("ü …")), "{}", reason.len());
        }
        let fetch = TaskError::Fetch { shuffle: Default::default(), map: 0, output: None, reason: long };
        let WireEnd::FetchFailed { reason, .. } = end_of(fetch) else { panic!("it could not be fetched") };
        assert!(reason.len() <= 64 * 1024);
    }
}
