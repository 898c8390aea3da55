//! One volume: its folders, its lock, and how much room it has.
//!
//! Room is counted in three ways that add up: what the file system says, what our replicas take, and what has been promised
//! to replicas that are still being written. The file system is asked by a background worker, so that a disk that hangs
//! does not stall the heartbeat.

use super::layout::PoolDirs;
use super::state::VolumeState;
use crate::error::{DatanodeError, DiskContext, Result};
use mammoth_platform::{DirLock, IoContext, durable};
use mammoth_protocol::datatransfer::checksum::{META_HEADER, checksums_len};
use mammoth_protocol::internal::StorageUsage;
use mammoth_protocol::limits::BYTES_PER_CHECKSUM;
use mammoth_protocol::{Block, StorageId};
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// Bytes that a replica of `len` bytes takes, checksums included.
pub(crate) fn footprint(len: u64) -> u64 {
    let chunks = len.div_ceil(BYTES_PER_CHECKSUM as u64);
    len.saturating_add(chunks.saturating_mul(4)).saturating_add(META_HEADER as u64)
}

/// Bytes of the meta file of a replica of `len` bytes with chunks of `chunk`.
pub(crate) fn meta_len(len: u64, chunk: usize) -> u64 {
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    (META_HEADER as u64).saturating_add(checksums_len(len, chunk) as u64)
}

/// How much of a volume may be used.
#[derive(Clone, Copy, Debug, Default)]
pub struct SpaceRules {
    /// Bytes of the file system that stay free of blocks.
    pub reserved: u64,
    /// Most bytes that replicas may take, whatever the file system would allow; `None` = no such bound.
    pub quota: Option<u64>,
}

/// A volume in service or failed.
#[derive(Debug)]
pub(crate) struct Volume {
    pub(crate) id: StorageId,
    pub(crate) root: PathBuf,
    pub(crate) dirs: PoolDirs,
    rules: SpaceRules,
    /// Bytes of the file system, and of these the free ones; refreshed now and then.
    total: AtomicU64,
    free: AtomicU64,
    /// Bytes that replicas take.
    used: AtomicU64,
    /// Bytes that replicas being written may still take.
    promised: AtomicU64,
    /// Something was written since the last whole sync.
    dirty: AtomicBool,
    failure: OnceLock<String>,
    /// Held while the volume is tried, as all trials use one file.
    probing: Mutex<()>,
    /// What will be remembered at the next save.
    state: Mutex<VolumeState>,
    _lock: Option<DirLock>,
}

impl Volume {
    pub(crate) fn new(id: StorageId, root: PathBuf, pool_id: &str, rules: SpaceRules, lock: Option<DirLock>) -> Self {
        Self {
            id,
            dirs: PoolDirs::new(&root, pool_id),
            root,
            rules,
            total: AtomicU64::new(0),
            free: AtomicU64::new(0),
            used: AtomicU64::new(0),
            promised: AtomicU64::new(0),
            dirty: AtomicBool::new(false),
            failure: OnceLock::new(),
            probing: Mutex::default(),
            state: Mutex::default(),
            _lock: lock,
        }
    }

    /// What the volume remembers.
    pub(crate) fn state(&self) -> MutexGuard<'_, VolumeState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Creates the folders that are missing, durably.
    pub(crate) fn create_dirs(&self) -> Result<()> {
        for dir in [&self.dirs.finalized, &self.dirs.rbw, &self.dirs.tmp, &self.dirs.bad] {
            durable::create_dir_synced(dir)?;
        }
        Ok(())
    }

    /// Asks the file system for its size and free space.
    pub(crate) fn refresh(&self) -> Result<()> {
        let stat = rustix::fs::statvfs(&self.root).disk("ask for the free space of", &self.root)?;
        self.total.store(stat.f_blocks.saturating_mul(stat.f_frsize), Ordering::Relaxed);
        self.free.store(stat.f_bavail.saturating_mul(stat.f_frsize), Ordering::Relaxed);
        Ok(())
    }

    /// Bytes that replicas may take in all.
    fn capacity(&self) -> u64 {
        let of_system = self.total.load(Ordering::Relaxed).saturating_sub(self.rules.reserved);
        self.rules.quota.map_or(of_system, |quota| of_system.min(quota))
    }

    /// Bytes that nobody has and nobody was promised.
    pub(crate) fn remaining(&self) -> u64 {
        let (total, free) = (self.total.load(Ordering::Relaxed), self.free.load(Ordering::Relaxed));
        let (used, promised) = (self.used.load(Ordering::Relaxed), self.promised.load(Ordering::Relaxed));
        // What others use counts against the reserve first.
        let others = total.saturating_sub(free).saturating_sub(used);
        let reserve_left = self.rules.reserved.saturating_sub(others);
        let by_rules = self.capacity().saturating_sub(used);
        by_rules.min(free.saturating_sub(reserve_left)).saturating_sub(promised)
    }

    /// What the namenode is told.
    pub(crate) fn usage(&self) -> StorageUsage {
        if self.failure().is_some() {
            return StorageUsage { storage: self.id, failed: true, ..StorageUsage::default() };
        }
        StorageUsage {
            storage: self.id,
            capacity: self.capacity(),
            used: self.used.load(Ordering::Relaxed),
            remaining: self.remaining(),
            failed: false,
        }
    }

    /// Counts bytes that were written.
    ///
    /// # Errors
    /// More than the volume may hold; nothing is counted then.
    pub(crate) fn charge(&self, block: Block, bytes: u64) -> Result<()> {
        let before = self.used.fetch_add(bytes, Ordering::Relaxed);
        if self.rules.quota.is_some_and(|quota| before.saturating_add(bytes) > quota) {
            self.used.fetch_sub(bytes, Ordering::Relaxed);
            return Err(self.no_space(block));
        }
        self.dirty.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Counts bytes that were there before, whatever the rules say.
    pub(crate) fn charge_existing(&self, bytes: u64) {
        self.used.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts bytes that are gone.
    pub(crate) fn refund(&self, bytes: u64) {
        let shrink = |used: u64| Some(used.saturating_sub(bytes));
        let _ = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, shrink);
        self.dirty.store(true, Ordering::Relaxed);
    }

    pub(crate) fn no_space(&self, block: Block) -> DatanodeError {
        DatanodeError::NoSpace { block, place: self.root.display().to_string() }
    }

    /// Promises room; `None` if there is not that much.
    pub(crate) fn promise(self: &Arc<Self>, bytes: u64) -> Option<Promise> {
        if self.refresh().is_err() || self.remaining() < bytes.max(1) {
            return None;
        }
        self.promised.fetch_add(bytes, Ordering::Relaxed);
        Some(Promise { volume: Arc::clone(self), left: bytes })
    }

    /// Tells whether anything was written since the last call, and forgets it.
    pub(crate) fn take_dirty(&self) -> bool {
        self.dirty.swap(false, Ordering::Relaxed)
    }

    /// A sync failed: what it covered is still not durable.
    pub(crate) fn mark_dirty(&self) {
        self.dirty.store(true, Ordering::Relaxed);
    }

    /// Why the volume no longer works.
    pub(crate) fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }

    /// Takes the volume out of service; `false` if it was already.
    pub(crate) fn fail(&self, reason: String) -> bool {
        self.failure.set(reason).is_ok()
    }

    /// Refuses if the volume is out of service.
    pub(crate) fn check_serving(&self) -> Result<()> {
        match self.failure() {
            None => Ok(()),
            Some(reason) => Err(DatanodeError::VolumeFailed { storage: self.id, reason: reason.to_owned() }),
        }
    }

    /// Tries whether the volume can still be written and read, in the folder of what is being copied and in the one of what
    /// the volume remembers, as a disk may fail in parts; a full disk counts as working.
    pub(crate) fn probe(&self) -> Result<()> {
        let _one_at_a_time = self.probing.lock().unwrap_or_else(PoisonError::into_inner);
        for folder in [&self.dirs.tmp, &self.root.join("current")] {
            match probe_file(&folder.join("probe")) {
                Err(error) if error.is_no_space() => {}
                other => other?,
            }
        }
        Ok(())
    }
}

fn probe_file(path: &Path) -> Result<()> {
    let text = b"a disk that works gives back what it was given";
    let mut file = fs::File::create(path).io("create", path)?;
    file.write_all(text).io("write", path)?;
    file.sync_data().io("sync", path)?;
    let mut back = Vec::new();
    fs::File::open(path).io("open", path)?.read_to_end(&mut back).io("read", path)?;
    fs::remove_file(path).io("delete", path)?;
    if back == text {
        return Ok(());
    }
    Err(DatanodeError::BadVolume { path: path.to_owned(), reason: "reads other bytes than were written".into() })
}

/// Room on a volume that nobody else may take; given back when dropped.
#[derive(Debug)]
pub(crate) struct Promise {
    volume: Arc<Volume>,
    left: u64,
}

impl Promise {
    /// Part of it was used.
    pub(crate) fn consume(&mut self, bytes: u64) {
        let part = bytes.min(self.left);
        self.left -= part;
        self.volume.promised.fetch_sub(part, Ordering::Relaxed);
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.consume(self.left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(rules: SpaceRules) -> Arc<Volume> {
        let volume = Volume::new(StorageId::default(), "/".into(), "BP-1", rules, None);
        volume.total.store(1000, Ordering::Relaxed);
        volume.free.store(600, Ordering::Relaxed);
        Arc::new(volume)
    }

    #[test]
    fn room_is_what_is_free_less_reserve_and_promises() {
        let plain = volume(SpaceRules::default());
        assert_eq!((plain.capacity(), plain.remaining()), (1000, 600));
        // Others use 400 of the 500 reserved bytes already, so 100 of the free ones must stay.
        let reserved = volume(SpaceRules { reserved: 500, quota: None });
        assert_eq!((reserved.capacity(), reserved.remaining()), (500, 500));
        reserved.promised.store(450, Ordering::Relaxed);
        assert_eq!(reserved.remaining(), 50);
        let tiny = volume(SpaceRules { reserved: 0, quota: Some(100) });
        assert_eq!((tiny.capacity(), tiny.remaining()), (100, 100));
    }

    #[test]
    fn charges_stop_at_the_quota_and_count_nothing_then() {
        let volume = volume(SpaceRules { reserved: 0, quota: Some(100) });
        volume.charge(Block::default(), 90).unwrap();
        assert!(volume.charge(Block::default(), 11).unwrap_err().is_no_space());
        assert_eq!(volume.usage().used, 90);
        volume.charge(Block::default(), 10).unwrap();
        volume.refund(1000);
        assert_eq!(volume.usage().used, 0);
    }

    #[test]
    fn a_promise_shrinks_with_use_and_ends_when_dropped() {
        let volume = Arc::new(Volume::new(StorageId::default(), "/".into(), "BP-1", SpaceRules::default(), None));
        let mut promise = volume.promise(1000).expect("the machine has a thousand bytes");
        assert_eq!(volume.promised.load(Ordering::Relaxed), 1000);
        promise.consume(400);
        promise.consume(5000);
        assert_eq!(volume.promised.load(Ordering::Relaxed), 0);
        drop(promise);
        assert_eq!(volume.promised.load(Ordering::Relaxed), 0);
        assert!(volume.promise(u64::MAX).is_none());
    }
}
