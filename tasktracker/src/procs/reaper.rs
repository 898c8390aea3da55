//! Reaps descendants that ended after their parents did, while attempts run and after.
//!
//! A child that somebody started with the standard library is somebody's to wait for. Such a child is in this process's
//! session, and, unless a tracker started it, in its group. So this reaps only what is in a foreign session, what is in the
//! group of a child of this tracker without being that child, and, after a time in which every owner would have waited, what is
//! in another group.

use super::belonging::Own;
use super::{Proc, all, reap};
use mammoth_platform::Clock;
use mammoth_platform::workers::{Worker, WorkerState};
use rustix::process::{WaitId, WaitIdOptions, waitid};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Pause between two looks.
const LOOK_MS: u64 = 1_000;
/// A zombie that may be somebody's is left for so long.
const PATIENCE_MS: u64 = 60_000;

/// The children that this tracker has started and not yet waited for.
#[derive(Debug, Default)]
pub(crate) struct Leaders {
    pids: Mutex<BTreeSet<i32>>,
}

impl Leaders {
    pub(crate) fn add(&self, pid: i32) {
        self.lock().insert(pid);
    }

    pub(crate) fn remove(&self, pid: i32) {
        self.lock().remove(&pid);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<i32>> {
        self.pids.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The background worker.
pub(crate) struct Reaper {
    leaders: Arc<Leaders>,
    clock: Arc<dyn Clock>,
    /// Zombies that may be somebody's, and since when they are seen.
    waiting: BTreeMap<(i32, u64), u64>,
}

impl Reaper {
    pub(crate) fn new(leaders: Arc<Leaders>, clock: Arc<dyn Clock>) -> Self {
        Self { leaders, clock, waiting: BTreeMap::new() }
    }

    /// Those of `procs` that can be reaped at `now_ms`.
    pub(super) fn choose(&mut self, own: Own, procs: &[Proc], now_ms: u64) -> Vec<i32> {
        let leaders = self.leaders.lock().clone();
        let mut chosen = Vec::new();
        let mut waiting = BTreeMap::new();
        for proc in procs.iter().filter(|proc| proc.zombie && proc.parent == own.pid && !leaders.contains(&proc.pid)) {
            if proc.session != own.session || leaders.contains(&proc.group) {
                chosen.push(proc.pid);
            } else if proc.group != own.group {
                let key = (proc.pid, proc.started);
                let since = self.waiting.get(&key).copied().unwrap_or(now_ms);
                if now_ms.saturating_sub(since) >= PATIENCE_MS {
                    chosen.push(proc.pid);
                } else {
                    waiting.insert(key, since);
                }
            }
        }
        self.waiting = waiting;
        chosen
    }
}

impl Worker for Reaper {
    fn name(&self) -> &'static str {
        "reaper"
    }

    fn work(&mut self) -> Result<WorkerState, String> {
        // A look that takes nothing tells whether it is worth walking over all processes.
        let peek = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        if matches!(waitid(WaitId::All, peek), Ok(Some(_))) {
            for pid in self.choose(Own::now(), &all(), self.clock.now().monotonic_ms) {
                reap(pid);
            }
        }
        Ok(WorkerState::Idle(LOOK_MS))
    }
}
