//! Replicas on local disks: which there are, how they change, and that what is read is what was written.
//!
//! # Layout
//! - [`layout`], [`version`], [`state`], [`volume`]: one volume: names, whose it is, what it remembers, how much room it has
//! - [`open`], [`scan`]: opening volumes at start, and what a crash may have left in them
//! - [`replica`], [`map`], [`events`]: replicas in memory, and the news about them
//! - [`create`], [`writer`], [`finish`], [`pipeline`]: writing, and pipelines that go on after a failure
//! - [`reader`], [`verify`], [`scrub`]: reading and verifying
//! - [`recovery`]: bringing all replicas of a last block to one length
//! - [`remove`]: deleting, and setting bad replicas aside
//! - [`upkeep`]: making things durable now and then
//!
//! What is absent: sockets, the namenode, any choice that concerns more than this datanode.

mod create;
pub(crate) mod events;
mod finish;
pub(crate) mod fuzzing;
mod layout;
mod map;
mod open;
mod pipeline;
mod reader;
mod recovery;
mod remove;
pub(crate) mod replica;
mod scan;
mod scrub;
mod state;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod upkeep;
mod verify;
mod version;
mod volume;
mod writer;

pub(crate) use create::NewReplica;
pub(crate) use events::EventQueue;
pub(crate) use open::{LockedVolumes, Opening};
pub(crate) use pipeline::Resume;
pub(crate) use reader::ReplicaReader;
pub(crate) use recovery::Candidate;
pub(crate) use scrub::{ScrubRules, SuspectQueue};
pub use volume::SpaceRules;
pub(crate) use writer::{ReplicaWriter, Ticket};

use crate::error::{DatanodeError, Result};
use events::EventHub;
use mammoth_platform::{Clock, Shutdown};
use mammoth_protocol::internal::{ClusterIdentity, HighWater, ReplicaEvent, ReportedReplica, StorageUsage};
use mammoth_protocol::{Block, BlockId, DatanodeId, GenStamp, StorageId};
use map::ReplicaMap;
use replica::Replica;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use volume::Volume;

/// How long somebody who takes a replica over waits for its present writer to let go.
const STOP_WRITER: Duration = Duration::from_secs(10);
/// Entries looked at while the map is locked.
const LIST_STEP: usize = 4096;

/// Rules of a store.
#[derive(Clone, Debug)]
pub(crate) struct StoreRules {
    /// Room of every volume.
    pub(crate) space: SpaceRules,
    /// Finalizing makes durable, even if the writer did not ask.
    pub(crate) sync_on_close: bool,
    /// Volumes that may fail before the datanode gives up; `None` = all but the last.
    pub(crate) failures_tolerated: Option<usize>,
}

/// All replicas of a datanode.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) datanode: DatanodeId,
    pub(crate) identity: ClusterIdentity,
    rules: StoreRules,
    volumes: Vec<Arc<Volume>>,
    /// Configured folders that could not be used at the start.
    unusable: usize,
    /// Where choosing a volume begins next time.
    next_volume: AtomicUsize,
    map: ReplicaMap,
    events: EventHub,
    /// Replicas in `bad/` folders, with their lengths.
    bad: Mutex<BTreeMap<(StorageId, BlockId, GenStamp), u64>>,
    suspects: Arc<SuspectQueue>,
    seen: Mutex<HighWater>,
    shutdown: Shutdown,
}

impl Store {
    fn bad(&self) -> MutexGuard<'_, BTreeMap<(StorageId, BlockId, GenStamp), u64>> {
        self.bad.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seen_lock(&self) -> MutexGuard<'_, HighWater> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Space of every volume.
    pub(crate) fn usage(&self) -> Vec<StorageUsage> {
        self.volumes.iter().map(|volume| volume.usage()).collect()
    }

    /// Every volume with its folder and, if it failed, why.
    pub(crate) fn volumes(&self) -> impl Iterator<Item = (StorageId, &std::path::Path, Option<&str>)> {
        self.volumes.iter().map(|volume| (volume.id, volume.root.as_path(), volume.failure()))
    }

    /// Number of replicas.
    pub(crate) fn replica_count(&self) -> usize {
        self.map.len()
    }

    /// Number of replicas in `bad/` folders.
    pub(crate) fn bad_count(&self) -> usize {
        self.bad().len()
    }

    /// A queue of everything that happens from now on.
    pub(crate) fn subscribe(&self) -> Arc<EventQueue> {
        self.events.subscribe()
    }

    /// Replicas that somebody doubts.
    pub(crate) fn suspects(&self) -> &Arc<SuspectQueue> {
        &self.suspects
    }

    /// What is known of the namenode's past.
    pub(crate) fn seen(&self) -> HighWater {
        let mut seen = *self.seen_lock();
        seen.block = seen.block.max(self.map.highest().unwrap_or_default());
        seen
    }

    /// Remembers what a namenode said of itself; made durable by and by.
    pub(crate) fn note_seen(&self, term: mammoth_protocol::Term, seq: mammoth_protocol::Seq) {
        let mut seen = self.seen_lock();
        seen.term = seen.term.max(term);
        seen.seq = seen.seq.max(seq);
    }

    fn deleted_event(&self, storage: StorageId, block: Block) {
        self.events.push(storage, ReplicaEvent::Deleted(block));
    }

    /// A part of a volume's full list: replicas after `cursor`, ascending, at most `max`; and where to go on, `None` at
    /// the end.
    pub(crate) fn list(
        &self,
        storage: StorageId,
        cursor: Option<BlockId>,
        max: usize,
    ) -> (Vec<ReportedReplica>, Option<BlockId>) {
        let mut cursor = cursor;
        let mut listed = Vec::new();
        loop {
            let entries = self.map.after(cursor, LIST_STEP);
            let Some((last, _)) = entries.last() else { return (listed, None) };
            let end = *last;
            for (id, entry) in entries {
                if listed.len() == max {
                    return (listed, cursor);
                }
                cursor = Some(id);
                let state = entry.lock();
                let here = state.replica.as_ref().filter(|replica| replica.volume.id == storage);
                listed.extend(here.and_then(Replica::reported));
            }
            cursor = Some(end);
        }
    }

    /// Replicas in a volume's `bad/` folder, so that a namenode that does not know of them hears of them. One of which
    /// there is a good replica again is of no use to anybody and is dropped instead.
    pub(crate) fn tell_bad(&self, storage: StorageId) {
        let known: Vec<_> = self.bad().iter().filter(|((s, ..), _)| *s == storage).map(|(k, v)| (*k, *v)).collect();
        for ((_, id, stamp), len) in known {
            let block = Block { id, stamp, len };
            let here = self.map.find(id);
            let newest = here.and_then(|entry| entry.lock().replica.as_ref().map(|r| (r.stamp, r.state.name())));
            match newest {
                Some((s, "finalized")) if s >= stamp => self.drop_bad_files(storage, block),
                Some((s, _)) if s >= stamp => {}
                _ => self.events.push(storage, ReplicaEvent::Bad(block)),
            }
        }
    }

    /// The bytes that a reader of the block may see now.
    ///
    /// # Errors
    /// No such replica, an older one, or one that cannot be read before its recovery.
    pub(crate) fn visible_length(&self, block: Block) -> Result<u64> {
        let entry = self.map.find(block.id).ok_or(DatanodeError::NotFound { block })?;
        let state = entry.lock();
        let replica = state.replica.as_ref().ok_or(DatanodeError::NotFound { block })?;
        at_least(block, replica)?;
        let unreadable = || DatanodeError::State { block, found: replica.state.name(), expected: "finalized or rbw" };
        replica.visible().ok_or_else(unreadable)
    }

    /// A disk operation failed: finds out whether the volume did, and takes it out of service if so.
    pub(crate) fn note_failure(&self, volume: &Arc<Volume>, error: &DatanodeError) {
        if !error.is_disk_failure() || volume.failure().is_some() {
            return;
        }
        match volume.probe() {
            Err(second) if second.is_disk_failure() => self.fail_volume(volume, &format!("{error}; then {second}")),
            tried => {
                let tried = tried.err().map(|second| second.to_string());
                tracing::warn!(storage = %volume.id, %error, tried, "disk operation failed, the volume works otherwise");
            }
        }
    }

    /// Takes a volume out of service: its replicas are forgotten, the namenode is told.
    fn fail_volume(&self, volume: &Arc<Volume>, reason: &str) {
        if !volume.fail(reason.to_owned()) {
            return;
        }
        tracing::error!(storage = %volume.id, folder = %volume.root.display(), reason, "volume failed");
        let failed = self.unusable + self.volumes.iter().filter(|v| v.failure().is_some()).count();
        if failed > tolerated(self.rules.failures_tolerated, self.unusable + self.volumes.len()) {
            self.shutdown.fatal(format!("volume {} failed: {reason}", volume.root.display()));
        }
        // Entries are forgotten by the upkeep worker, as the caller may hold one of them.
    }

    /// Forgets the replicas of failed volumes.
    fn forget_failed(&self) {
        if self.volumes.iter().all(|volume| volume.failure().is_none()) {
            return;
        }
        let mut cursor = None;
        loop {
            let entries = self.map.after(cursor, LIST_STEP);
            let Some((last, _)) = entries.last() else { return };
            cursor = Some(*last);
            for (id, entry) in entries {
                let mut state = entry.lock();
                if let Some(replica) = &state.replica
                    && replica.volume.failure().is_some()
                {
                    if let Some(writing) = replica.state.writing()
                        && writing.has_writer()
                    {
                        continue; // It fails by itself at its next write.
                    }
                    state.replica = None;
                    self.map.tidy(id, &mut state);
                }
            }
        }
    }
}

/// How many of `volumes` volumes may fail: as many as the settings say, but not the last one.
fn tolerated(setting: Option<usize>, volumes: usize) -> usize {
    setting.unwrap_or(usize::MAX).min(volumes.saturating_sub(1))
}

/// Refuses a replica that is older than wanted.
fn at_least(wanted: Block, replica: &Replica) -> Result<()> {
    if replica.stamp >= wanted.stamp {
        return Ok(());
    }
    Err(DatanodeError::Stamp { block: wanted, found: replica.stamp, expected: format!("{} or newer", wanted.stamp) })
}

/// Milliseconds since 1970.
fn wall_ms(clock: &dyn Clock) -> u64 {
    clock.now().wall_ms
}
