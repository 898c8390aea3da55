//! Block reports: what happens to replicas, soon; and the whole list, after registering, when asked, and now and then.
//!
//! One thread a namenode, one report on its way at a time; what happens meanwhile gathers for the next. A report that is not
//! answered is sent again unchanged, so that its number means one thing. The list of a volume goes in slices, and news go
//! in between, as files wait for them to be closed.

use crate::daemon::Shared;
use crate::namenode::{CallError, NamenodeCaller};
use crate::registration::Registration;
use crate::store::{EventQueue, Store};
use mammoth_platform::Deadline;
use mammoth_protocol::internal::{FullReportSlice, IncrementalReport, ReportReply, StorageEvents, routes};
use mammoth_protocol::limits::{INCREMENTAL_EVENTS_MAX, REPORT_SLICE_REPLICAS};
use mammoth_protocol::{BlockId, Epoch, StorageId};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// First pause after a failed report; doubles up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// Pause while there is no registration, unless woken.
const IDLE: Duration = Duration::from_secs(1);
/// Pause before a list that the namenode lost the thread of begins anew.
const RESTART_PAUSE: Duration = Duration::from_millis(100);
/// Refusals of one report after which everything begins anew.
const REFUSALS_MAX: u32 = 3;

/// Reports to one namenode.
pub(crate) struct Reporter {
    shared: Arc<Shared>,
    registration: Arc<Registration>,
    caller: NamenodeCaller,
}

/// Why a round of reports ended.
enum Round {
    /// Register again first.
    Over,
    Stopping,
}

/// The reports under one registration.
struct Session<'a> {
    reporter: &'a Reporter,
    store: Arc<Store>,
    queue: Arc<EventQueue>,
    epoch: Epoch,
    /// Number of the last report of each volume.
    seqs: BTreeMap<StorageId, u64>,
    next_full: Deadline,
}

impl Reporter {
    pub(crate) fn new(shared: Arc<Shared>, registration: Arc<Registration>, caller: NamenodeCaller) -> Self {
        Self { shared, registration, caller }
    }

    /// Runs until the end of the daemon.
    pub(crate) fn run(self) {
        while !self.shared.shutdown.is_triggered() {
            let ready = || {
                let store = self.shared.transfers.store().ok()?;
                Some((Arc::clone(store), Arc::clone(self.registration.queue()?), self.registration.epoch()?))
            };
            let Some((store, queue, epoch)) = ready() else {
                match self.registration.queue() {
                    Some(queue) => {
                        // A list will say it all; who waits for one of these would wait in vain.
                        queue.clear();
                        queue.wait(IDLE);
                    }
                    None => drop(self.shared.shutdown.wait(Duration::from_millis(20))),
                }
                continue;
            };
            let next_full = Deadline::after(&self.shared.clock, self.shared.full_report);
            let session = Session { reporter: &self, store, queue, epoch, seqs: BTreeMap::new(), next_full };
            match session.run() {
                Round::Over => self.registration.lost(epoch),
                Round::Stopping => return,
            }
        }
    }
}

impl Session<'_> {
    fn run(mut self) -> Round {
        // The lists say it all, but for what is set aside.
        self.queue.clear();
        let storages: Vec<StorageId> = self.store.usage().iter().map(|usage| usage.storage).collect();
        for storage in &storages {
            self.store.tell_bad(*storage);
        }
        loop {
            if let Err(end) = self.step(&storages) {
                return end;
            }
        }
    }

    fn step(&mut self, storages: &[StorageId]) -> Result<(), Round> {
        let shared = &self.reporter.shared;
        if shared.shutdown.is_triggered() {
            return Err(Round::Stopping);
        }
        if self.reporter.registration.epoch() != Some(self.epoch) {
            return Err(Round::Over);
        }
        if self.queue.take_overflow() || self.next_full.is_over(&shared.clock) {
            self.next_full = Deadline::after(&shared.clock, shared.full_report);
            self.reporter.registration.want_full(storages);
        }
        if let Some(storage) = self.reporter.registration.take_full() {
            return self.send_list(storage);
        }
        self.queue.wait(self.next_full.left(&shared.clock).min(IDLE));
        self.send_news()
    }

    /// Sends what has happened, if anything has.
    fn send_news(&mut self) -> Result<(), Round> {
        let taken = self.queue.take(INCREMENTAL_EVENTS_MAX);
        if taken.is_empty() {
            return Ok(());
        }
        let mut storages = Vec::with_capacity(taken.len());
        for (storage, events) in taken {
            let seq = self.seqs.entry(storage).or_default();
            *seq += 1;
            storages.push(StorageEvents { storage, seq: *seq, events });
        }
        let report = IncrementalReport { datanode: self.store.datanode, epoch: self.epoch, storages };
        self.send(routes::INCREMENTAL, &report).map(drop)
    }

    /// Sends the whole list of a volume.
    fn send_list(&mut self, storage: StorageId) -> Result<(), Round> {
        let failed = self.store.usage().iter().any(|usage| usage.storage == storage && usage.failed);
        if failed || !self.store.usage().iter().any(|usage| usage.storage == storage) {
            return Ok(());
        }
        let cut_seq = self.seqs.get(&storage).copied().unwrap_or(0);
        let (mut cursor, mut slice): (Option<BlockId>, u32) = (None, 0);
        loop {
            let (replicas, next) = self.store.list(storage, cursor, REPORT_SLICE_REPLICAS);
            let last = next.is_none();
            let report = FullReportSlice {
                datanode: self.store.datanode,
                epoch: self.epoch,
                storage,
                cut_seq,
                slice,
                last,
                replicas,
            };
            if self.send(routes::FULL, &report)?.contains(&storage) {
                // The list begins anew, but not in a tight circle.
                return if self.reporter.shared.shutdown.wait(RESTART_PAUSE) { Err(Round::Stopping) } else { Ok(()) };
            }
            if last {
                return Ok(());
            }
            cursor = next;
            slice = slice.saturating_add(1);
            self.send_news()?;
        }
    }

    /// Sends a report until it is answered; gives the volumes whose lists the namenode wants.
    fn send<T: serde::Serialize>(&self, route: &str, report: &T) -> Result<Vec<StorageId>, Round> {
        let (mut pause, mut refusals) = (PAUSE_MIN, 0);
        loop {
            match self.reporter.caller.post_binary::<ReportReply>(route, report) {
                Ok(reply) => return self.answered(reply),
                Err(CallError::Stopping) => return Err(Round::Stopping),
                Err(error) if error.is_unregistered() => return Err(Round::Over),
                Err(error) => {
                    tracing::debug!(namenode = self.reporter.caller.addr(), route, %error, "report not answered");
                    if matches!(error, CallError::Refused(_)) {
                        refusals += 1;
                        if refusals >= REFUSALS_MAX {
                            tracing::warn!(route, %error, "the namenode refuses a report, registering anew");
                            return Err(Round::Over);
                        }
                    }
                }
            }
            if self.reporter.shared.shutdown.wait(pause) {
                return Err(Round::Stopping);
            }
            if self.reporter.registration.epoch() != Some(self.epoch) {
                return Err(Round::Over);
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    fn answered(&self, reply: ReportReply) -> Result<Vec<StorageId>, Round> {
        if reply.register || reply.cluster_id != self.store.identity.cluster_id {
            return Err(Round::Over);
        }
        self.reporter.registration.want_full(&reply.resync);
        Ok(reply.resync)
    }
}
