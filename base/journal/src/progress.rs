//! How far the journal's threads have come, shared between them and the driver.

use mammoth_protocol::Seq;
use std::fmt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What the threads have reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reached {
    /// All records up to here are durable.
    pub(crate) synced: Seq,
    /// The last complete checkpoint.
    pub(crate) applied: Seq,
    /// The first failure.
    pub(crate) failed: Option<String>,
    /// The driver is gone, nothing more will come.
    pub(crate) closed: bool,
    pub(crate) counters: Counters,
}

/// What the threads have done since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Syncs of the log.
    pub syncs: u64,
    /// Records written.
    pub records: u64,
    /// Bytes of log written.
    pub bytes: u64,
    /// Most records in one group.
    pub largest_group: u64,
    /// Longest write and sync of one group, in nanoseconds.
    pub longest_sync_ns: u64,
    /// All writes and syncs together, in nanoseconds.
    pub sync_ns: u64,
    /// Segments of the log at present.
    pub segments: u64,
    /// Checkpoints completed.
    pub checkpoints: u64,
    /// Rows written or deleted by checkpoints.
    pub checkpoint_rows: u64,
}

/// See the module. Every change calls `notify`, outside the lock.
pub(crate) struct Progress {
    reached: Mutex<Reached>,
    changed: Condvar,
    notify: Box<dyn Fn() + Send + Sync>,
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress").field("reached", &self.read()).finish_non_exhaustive()
    }
}

impl Progress {
    pub(crate) fn new(reached: Reached, notify: Box<dyn Fn() + Send + Sync>) -> Self {
        Self { reached: Mutex::new(reached), changed: Condvar::new(), notify }
    }

    pub(crate) fn read(&self) -> Reached {
        self.lock().clone()
    }

    pub(crate) fn update(&self, change: impl FnOnce(&mut Reached)) {
        change(&mut self.lock());
        self.changed.notify_all();
        (self.notify)();
    }

    /// The first failure stays.
    pub(crate) fn fail(&self, reason: &str) {
        self.update(|reached| {
            reached.failed.get_or_insert_with(|| reason.to_owned());
        });
    }

    /// Waits until everything up to `seq` is durable; false if it never will be.
    pub(crate) fn wait_synced(&self, seq: Seq) -> bool {
        let hopeful = |r: &mut Reached| r.synced < seq && r.failed.is_none() && !r.closed;
        let reached = self.changed.wait_while(self.lock(), hopeful).unwrap_or_else(PoisonError::into_inner);
        reached.synced >= seq
    }

    /// Waits for a change that makes `enough` true, at most `timeout`.
    pub(crate) fn wait_until(&self, timeout: Duration, enough: impl Fn(&Reached) -> bool) -> Reached {
        let (reached, _) = self
            .changed
            .wait_timeout_while(self.lock(), timeout, |r| !enough(r))
            .unwrap_or_else(PoisonError::into_inner);
        reached.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Reached> {
        self.reached.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
