//! The journal at run time, as the driver sees it: commit, hand over, collect what may leave, take a slice of a checkpoint.
//!
//! All methods are for the one thread that owns the state, and none of them waits for a disk. Two threads work behind it;
//! `notify` tells the driver that [`Journal::poll`] has something new.

#[cfg(test)]
mod tests;

use crate::checkpoint::{CheckpointCommand, CheckpointPolicy, CheckpointStore, CheckpointWriter, Slicer};
use crate::error::JournalError;
use crate::group::{GroupCommit, Refused};
use crate::log::{Log, LogDisk};
use crate::progress::{Counters, Progress, Reached};
use crate::threads::{LogCommand, run_checkpoint, run_log};
use mammoth_platform::{Clock, Deadline, DirLock, SystemClock, Workers};
use mammoth_protocol::journaled::Journaled;
use mammoth_protocol::{Seq, Term};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::Duration;

/// Room for two groups, a roll and a trim, with some to spare: the driver never finds it full.
const LOG_COMMANDS: usize = 8;
/// Slices on their way to the checkpoint's thread.
const CHECKPOINT_COMMANDS: usize = 4;

/// What may leave now.
#[derive(Debug, PartialEq, Eq)]
pub struct Released<E> {
    /// Effects whose decisions are durable, in order.
    pub effects: Vec<E>,
    /// Set once, when the journal has failed: nothing can be committed any more.
    pub failed: Option<Failed<E>>,
}

/// The end of a journal.
#[derive(Debug, PartialEq, Eq)]
pub struct Failed<E> {
    /// Why.
    pub reason: String,
    /// Effects whose decisions may or may not survive: clients must not be told either way.
    pub refused: Vec<E>,
}

/// The parts of a journal that is about to run.
#[derive(Debug)]
pub struct Parts<D, C> {
    /// The log, as recovered.
    pub log: Log<D>,
    /// The checkpoint's store.
    pub store: C,
    /// The lock of their folder, kept until both threads have ended.
    pub lock: Option<DirLock>,
    /// Applied sequence of the checkpoint.
    pub applied: Seq,
    /// Bytes of log behind it.
    pub tail_bytes: u64,
}

/// A running journal. Dropping it lets the threads finish what they were handed and end; [`Journal::close`] also waits.
#[derive(Debug)]
pub struct Journal<E> {
    group: GroupCommit<E>,
    slicer: Slicer,
    term: Term,
    progress: Arc<Progress>,
    to_log: SyncSender<LogCommand>,
    to_checkpoint: SyncSender<CheckpointCommand>,
    /// A command that the checkpoint's thread had no room for.
    unsent: Option<CheckpointCommand>,
    failure_told: bool,
    applied: Seq,
    checkpoints_seen: u64,
}

impl<E> Journal<E> {
    /// Starts the two threads in `workers`, whose shutdown becomes fatal if one of them fails. `notify` is called by them
    /// whenever [`Self::poll`] may have something new; it must not block on the driver.
    ///
    /// # Errors
    /// The checkpoint cannot be read; no thread can be started.
    pub fn start<D, C>(
        parts: Parts<D, C>,
        policy: CheckpointPolicy,
        workers: &Workers,
        notify: impl Fn() + Send + Sync + 'static,
    ) -> Result<Self, JournalError>
    where
        D: LogDisk + Send + 'static,
        C: CheckpointStore + Send + 'static,
    {
        let Parts { log, store, lock, applied, tail_bytes } = parts;
        let (term, last, segments) = (log.term(), log.last(), log.segment_count() as u64);
        let counters = Counters { segments, ..Counters::default() };
        let reached = Reached { synced: last, applied, counters, ..Reached::default() };
        let progress = Arc::new(Progress::new(reached, Box::new(notify)));
        let (to_log, log_commands) = sync_channel(LOG_COMMANDS);
        let (to_checkpoint, checkpoint_commands) = sync_channel(CHECKPOINT_COMMANDS);
        let writer = CheckpointWriter::new(store)?;
        let lock = Arc::new(lock);
        let (own_lock, own_progress) = (lock.clone(), progress.clone());
        workers.thread("journal-log", move || {
            let _lock = own_lock;
            run_log(log, &log_commands, &own_progress)
        })?;
        let (own_progress, own_log) = (progress.clone(), to_log.clone());
        workers.thread("checkpoint", move || {
            let _lock = lock;
            run_checkpoint(writer, &checkpoint_commands, &own_log, &own_progress)
        })?;
        let now_ms = SystemClock.now().monotonic_ms;
        Ok(Self {
            group: GroupCommit::new(term, last),
            slicer: Slicer::new(policy, applied, tail_bytes, now_ms),
            term,
            progress,
            to_log,
            to_checkpoint,
            unsent: None,
            failure_told: false,
            applied,
            checkpoints_seen: 0,
        })
    }

    /// The term of this start.
    #[must_use]
    pub fn term(&self) -> Term {
        self.term
    }

    /// Sequence that the next decision gets.
    #[must_use]
    pub fn next_seq(&self) -> Seq {
        self.group.next_seq()
    }

    /// Sequence of the last decision.
    #[must_use]
    pub fn decided_seq(&self) -> Seq {
        self.group.decided_seq()
    }

    /// Sequence up to which all is durable, as of the last [`Self::poll`].
    #[must_use]
    pub fn synced_seq(&self) -> Seq {
        self.group.synced_seq()
    }

    /// Whether so much waits for the disk that the driver should take no further commands until [`Self::poll`] releases
    /// something.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.group.is_full()
    }

    /// Takes a decision: records its edits, applies them to `state`, and keeps `effect` until they are durable. A decision
    /// without edits is only held.
    ///
    /// Hand it over with [`Self::flush`], after as many further decisions as are at hand.
    ///
    /// # Errors
    /// The journal has failed, or the edits are too long for a record. The state is as before.
    pub fn commit<S: Journaled>(
        &mut self,
        state: &mut S,
        edits: &[S::Edit],
        effect: E,
    ) -> Result<Committed<E>, Refused<E>> {
        if edits.is_empty() {
            let seq = self.group.decided_seq();
            return self.group.hold(effect).map(|at_once| Committed { seq, at_once });
        }
        let seq = self.group.decided(|out| S::encode_edits(edits, out), effect)?;
        for edit in edits {
            state.apply(seq, edit);
        }
        Ok(Committed { seq, at_once: None })
    }

    /// Holds an effect that depends on the state as it is now; gives it back if it may leave at once.
    ///
    /// # Errors
    /// The journal has failed.
    pub fn hold(&mut self, effect: E) -> Result<Option<E>, Refused<E>> {
        self.group.hold(effect)
    }

    /// Whether everything decided is durable, as of the last [`Self::poll`].
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.group.is_idle()
    }

    /// Hands everything decided to the log's thread, unless two groups are on their way already; [`Self::poll`] does so
    /// again when one of them is done. Never waits.
    pub fn flush(&mut self) {
        if let Some(group) = self.group.next_group() {
            // A thread that is gone has said why; `poll` passes it on.
            let sent = self.to_log.try_send(LogCommand::Write(group));
            debug_assert!(!matches!(sent, Err(TrySendError::Full(_))), "at most two groups are on their way");
        }
    }

    /// Collects what may leave, and hands over what was decided meanwhile. Never waits.
    pub fn poll(&mut self) -> Released<E> {
        let reached = self.progress.read();
        if reached.counters.checkpoints > self.checkpoints_seen {
            self.checkpoints_seen = reached.counters.checkpoints;
            self.applied = reached.applied;
            self.slicer.ended();
        }
        let effects = self.group.synced(reached.synced);
        let failed = match reached.failed {
            Some(reason) if !self.failure_told => {
                self.failure_told = true;
                let refused = self.group.failed(reason.clone());
                Some(Failed { reason, refused })
            }
            _ => None,
        };
        self.flush();
        Released { effects, failed }
    }

    /// Takes the next step of a checkpoint: begins one if it is due, encodes one slice of rows, passes it on. Call it once a
    /// round of the driver, between decisions; `now_ms` is the monotonic clock. Tells whether there is more to do now.
    /// Never waits.
    pub fn step<S: Journaled>(&mut self, state: &mut S, now_ms: u64) -> bool {
        if self.group.failure().is_some() {
            return false;
        }
        let (decided, bytes) = (self.group.decided_seq(), self.group.bytes_decided());
        if self.slicer.begin_if_due(now_ms, decided, bytes) {
            self.roll();
        }
        self.next_slice(state)
    }

    /// Begins a checkpoint although none is due, for an operator's command and for tests. [`Self::step`] goes on with it.
    pub fn checkpoint_now(&mut self, now_ms: u64) {
        if self.slicer.is_idle() {
            self.slicer.begin(now_ms, self.group.decided_seq(), self.group.bytes_decided());
            self.roll();
        }
    }

    /// Applied sequence of the last complete checkpoint, as of the last [`Self::poll`].
    #[must_use]
    pub fn applied_seq(&self) -> Seq {
        self.applied
    }

    /// What the threads have done.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.progress.read().counters
    }

    /// Hands over what was decided and waits until it is durable, at most `timeout`; then ends the threads. Answers the
    /// effects that may leave, with a failure if something is not durable.
    pub fn close(mut self, timeout: Duration) -> Released<E> {
        let deadline = Deadline::after(&SystemClock, timeout);
        let mut all = Vec::new();
        loop {
            let released = self.poll();
            all.extend(released.effects);
            if released.failed.is_some() || self.group.is_idle() {
                return Released { effects: all, failed: released.failed };
            }
            if self.group.failure().is_some() {
                return Released { effects: all, failed: None };
            }
            let left = deadline.left(&SystemClock);
            if left.is_zero() {
                let reason = format!("the edit log was not synced within {timeout:?}");
                let refused = self.group.failed(reason.clone());
                return Released { effects: all, failed: Some(Failed { reason, refused }) };
            }
            let synced = self.group.synced_seq();
            self.progress.wait_until(left, |r| r.synced > synced || r.failed.is_some());
        }
    }

    /// Ends the log's segment, so that the checkpoint that begins now can make it superfluous.
    fn roll(&mut self) {
        self.flush();
        // If there is no room the segment just lives on until the next checkpoint.
        let _sent = self.to_log.try_send(LogCommand::Roll);
    }

    fn next_slice<S: Journaled>(&mut self, state: &mut S) -> bool {
        let next = match self.unsent.take() {
            Some(command) => Some(command),
            None => self.slicer.next(state, self.group.decided_seq()),
        };
        match next.map(|command| self.to_checkpoint.try_send(command)) {
            Some(Err(TrySendError::Full(command))) => {
                self.unsent = Some(command);
                false
            }
            Some(Err(TrySendError::Disconnected(_))) | None => false,
            Some(Ok(())) => self.slicer.is_slicing(),
        }
    }
}

impl<E> Drop for Journal<E> {
    fn drop(&mut self) {
        self.progress.update(|reached| reached.closed = true);
    }
}

/// A decision that was taken.
#[derive(Debug, PartialEq, Eq)]
pub struct Committed<E> {
    /// Its sequence; for one without edits, that of the last decision.
    pub seq: Seq,
    /// The effect, if it may leave at once: only for a decision without edits, when all before it is durable.
    pub at_once: Option<E>,
}
