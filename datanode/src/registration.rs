//! Where the relation to one namenode stands, shared between the thread that sends heartbeats and the one that reports.

use crate::store::EventQueue;
use mammoth_protocol::{Epoch, StorageId};
use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// The relation to one namenode.
#[derive(Debug)]
pub(crate) struct Registration {
    addr: String,
    inner: Mutex<Inner>,
    changed: Condvar,
    /// What happened to replicas and this namenode does not know yet; there once the volumes are open.
    queue: OnceLock<Arc<EventQueue>>,
}

#[derive(Debug, Default)]
struct Inner {
    epoch: Option<Epoch>,
    ever: bool,
    full: BTreeSet<StorageId>,
    woken: bool,
}

impl Registration {
    /// None yet, with the namenode at `addr`.
    pub(crate) fn new(addr: &str) -> Self {
        Self { addr: addr.to_owned(), inner: Mutex::default(), changed: Condvar::new(), queue: OnceLock::new() }
    }

    /// Where the namenode's internal door is.
    pub(crate) fn addr(&self) -> &str {
        &self.addr
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The registration in force.
    pub(crate) fn epoch(&self) -> Option<Epoch> {
        self.lock().epoch
    }

    /// Whether the namenode ever took this datanode in.
    pub(crate) fn ever(&self) -> bool {
        self.lock().ever
    }

    /// The volumes are open: news come from this queue.
    pub(crate) fn attach(&self, queue: Arc<EventQueue>) {
        let _ = self.queue.set(queue);
    }

    /// The queue of news.
    pub(crate) fn queue(&self) -> Option<&Arc<EventQueue>> {
        self.queue.get()
    }

    /// The namenode took this datanode in. All volumes tell of themselves anew.
    pub(crate) fn registered(&self, epoch: Epoch, storages: impl Iterator<Item = StorageId>) {
        let mut inner = self.lock();
        inner.epoch = Some(epoch);
        inner.ever = true;
        inner.full = storages.collect();
        drop(inner);
        self.wake_reporter();
    }

    /// The namenode does not know the registration `epoch` any more.
    pub(crate) fn lost(&self, epoch: Epoch) {
        let mut inner = self.lock();
        if inner.epoch == Some(epoch) {
            inner.epoch = None;
            inner.woken = true;
        }
        drop(inner);
        self.changed.notify_all();
    }

    /// The namenode wants full reports of these volumes.
    pub(crate) fn want_full(&self, storages: &[StorageId]) {
        if !storages.is_empty() {
            self.lock().full.extend(storages);
            self.wake_reporter();
        }
    }

    /// A volume whose full report is due.
    pub(crate) fn take_full(&self) -> Option<StorageId> {
        self.lock().full.pop_first()
    }

    fn wake_reporter(&self) {
        if let Some(queue) = self.queue.get() {
            queue.wake();
        }
    }

    /// Ends all waits.
    pub(crate) fn wake(&self) {
        self.lock().woken = true;
        self.changed.notify_all();
        self.wake_reporter();
    }

    /// Waits for the next heartbeat, less if there is reason to hurry.
    pub(crate) fn wait(&self, timeout: Duration) {
        let (mut inner, _) = self
            .changed
            .wait_timeout_while(self.lock(), timeout, |inner| !inner.woken)
            .unwrap_or_else(PoisonError::into_inner);
        inner.woken = false;
    }
}
