//! The bodies of the journal's two threads: one writes and syncs the log, the other puts rows into the checkpoint.
//!
//! Both stop for good at the first failure, and say so before anybody could take a later success for an earlier one's.

use crate::checkpoint::{CheckpointCommand, CheckpointStore, CheckpointWriter};
use crate::group::Group;
use crate::log::{Log, LogDisk};
use crate::progress::Progress;
use mammoth_platform::{Clock, SystemClock};
use mammoth_protocol::Seq;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};

/// What the log's thread is told to do.
#[derive(Debug)]
pub(crate) enum LogCommand {
    Write(Group),
    Roll,
    Trim(Seq),
}

/// Marks the journal failed when its thread ends in a panic, so that nobody waits for it for ever.
struct FailOnPanic(Arc<Progress>);

impl Drop for FailOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail("a thread of the journal panicked");
        }
    }
}

/// Runs until the driver and the checkpoint's thread are gone.
pub(crate) fn run_log<D: LogDisk>(
    mut log: Log<D>,
    commands: &Receiver<LogCommand>,
    progress: &Arc<Progress>,
) -> Result<(), String> {
    let _guard = FailOnPanic(progress.clone());
    for command in commands {
        let result = match command {
            LogCommand::Write(group) => write_group(&mut log, &group, progress),
            LogCommand::Roll => log.roll(),
            LogCommand::Trim(applied) => log.trim(applied).map(drop),
        };
        if let Err(error) = result {
            let reason = format!("the journal stopped: {error}");
            progress.fail(&reason);
            return Err(reason);
        }
        let segments = log.segment_count() as u64;
        if progress.read().counters.segments != segments {
            progress.update(|r| r.counters.segments = segments);
        }
    }
    // After an orderly end damage to the last records can be told from a write that a crash interrupted, as all before the
    // beginning of a segment was whole.
    if let Err(error) = log.roll() {
        tracing::warn!(%error, "the last segment of the edit log was not ended in order");
    }
    Ok(())
}

fn write_group<D: LogDisk>(
    log: &mut Log<D>,
    group: &Group,
    progress: &Progress,
) -> Result<(), crate::error::JournalError> {
    let began = SystemClock.monotonic_ns();
    log.append(group)?;
    log.sync()?;
    let took = SystemClock.monotonic_ns().saturating_sub(began);
    progress.update(|r| {
        r.synced = group.last;
        r.counters.syncs += 1;
        r.counters.records += group.records();
        r.counters.bytes += group.bytes.len() as u64;
        r.counters.largest_group = r.counters.largest_group.max(group.records());
        r.counters.longest_sync_ns = r.counters.longest_sync_ns.max(took);
        r.counters.sync_ns += took;
    });
    Ok(())
}

/// Runs until the driver is gone, or what a command needs will never be synced.
pub(crate) fn run_checkpoint<C: CheckpointStore>(
    mut writer: CheckpointWriter<C>,
    commands: &Receiver<CheckpointCommand>,
    log: &SyncSender<LogCommand>,
    progress: &Arc<Progress>,
) -> Result<(), String> {
    let _guard = FailOnPanic(progress.clone());
    for command in commands {
        if !progress.wait_synced(command.needs_synced()) {
            return Ok(());
        }
        let rows = match &command {
            CheckpointCommand::Rows { rows, .. } => rows.len() as u64,
            CheckpointCommand::End { .. } => 0,
        };
        match writer.carry_out(command) {
            Ok(None) => progress.update(|r| r.counters.checkpoint_rows += rows),
            Ok(Some(applied)) => {
                // A log that ended in the meantime has said so itself.
                let _ended = log.send(LogCommand::Trim(applied));
                progress.update(|r| {
                    r.applied = applied;
                    r.counters.checkpoints += 1;
                });
            }
            Err(error) => {
                let reason = format!("the journal stopped: {error}");
                progress.fail(&reason);
                return Err(reason);
            }
        }
    }
    Ok(())
}
