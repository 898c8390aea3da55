//! Opening the volumes: lock them, see whose they are, format new ones, load what is there.
//!
//! A folder becomes a volume only if it holds nothing of a volume yet. Whatever belongs to another cluster, pool, datanode
//! or a newer version is refused, and so are two volumes that contradict each other.

use super::events::EventHub;
use super::layout::{POOL_PREFIX, PoolDirs, VERSION};
use super::map::ReplicaMap;
use super::replica::{Replica, State};
use super::scan::{self, Scanned};
use super::state::VolumeState;
use super::version::{self, VolumeVersion};
use super::volume::Volume;
use super::{Store, StoreRules, SuspectQueue, wall_ms};
use crate::error::{DatanodeError, DiskContext, Result};
use mammoth_platform::{Clock, DirLock, Entropy, PlatformError, Shutdown, durable, process};
use mammoth_protocol::internal::{ClusterIdentity, HighWater};
use mammoth_protocol::{DatanodeId, StorageId};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};

/// Folders that this process has locked, and what it knows of them before it opens them.
#[derive(Debug)]
pub(crate) struct LockedVolumes {
    folders: Vec<Folder>,
    /// Folders that are unusable.
    unusable: usize,
    identity: Option<ClusterIdentity>,
    datanode: Option<DatanodeId>,
}

#[derive(Debug)]
struct Folder {
    root: PathBuf,
    lock: DirLock,
    version: Option<VolumeVersion>,
}

/// What opening needs beside the folders.
pub(crate) struct Opening<'a> {
    /// Which file system it must be.
    pub(crate) identity: &'a ClusterIdentity,
    pub(crate) rules: StoreRules,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) entropy: &'a dyn Entropy,
    pub(crate) shutdown: Shutdown,
}

impl LockedVolumes {
    /// Creates the folders that are missing, locks all, and reads whose they are. Up to `tolerated` folders may be
    /// unusable.
    ///
    /// # Errors
    /// A folder in use, unusable, or in contradiction to another.
    pub(crate) fn lock(dirs: &[PathBuf], tolerated: Option<usize>) -> Result<Self> {
        let mut folders = Vec::new();
        let mut unusable = 0;
        for root in dirs {
            match Folder::lock(root) {
                Ok(folder) => folders.push(folder),
                Err(error @ DatanodeError::Platform(PlatformError::Io { .. })) => {
                    unusable += 1;
                    if unusable > super::tolerated(tolerated, dirs.len()) {
                        return Err(error);
                    }
                    tracing::error!(folder = %root.display(), %error, "volume unusable, going on without it");
                }
                Err(error) => return Err(error),
            }
        }
        let mut locked = Self { folders, unusable, identity: None, datanode: None };
        locked.compare()?;
        Ok(locked)
    }

    /// Which file system the volumes belong to; `None` if all of them are new.
    pub(crate) fn identity(&self) -> Option<&ClusterIdentity> {
        self.identity.as_ref()
    }

    fn compare(&mut self) -> Result<()> {
        let mut storages = BTreeMap::new();
        for folder in &self.folders {
            let Some(version) = &folder.version else { continue };
            let path = folder.version_path();
            let pool = folder.pool()?;
            let found = version::read_pool(&PoolDirs::new(&folder.root, &pool), &version.cluster_id)?;
            match (&self.identity, self.datanode) {
                (Some(identity), Some(datanode)) => {
                    version::check_volume(&path, version, &identity.cluster_id, datanode)?;
                    version::check_identity(&path, &found, identity)?;
                }
                _ => (self.identity, self.datanode) = (Some(found), Some(version.datanode)),
            }
            if let Some(other) = storages.insert(version.storage, &folder.root) {
                let reason = format!("is a copy of {}: both are {}", other.display(), version.storage);
                return Err(DatanodeError::BadVolume { path: folder.root.clone(), reason });
            }
        }
        Ok(())
    }

    /// Formats new folders, loads all replicas.
    ///
    /// # Errors
    /// Volumes of another file system; a disk that fails.
    pub(crate) fn open(self, opening: Opening<'_>) -> Result<Arc<Store>> {
        let datanode = self.datanode.unwrap_or_else(|| DatanodeId(opening.entropy.uuid()));
        if let (Some(found), Some(folder)) = (&self.identity, self.folders.iter().find(|f| f.version.is_some())) {
            version::check_identity(&folder.version_path(), found, opening.identity)?;
        }
        let mut failures = Failures::new(opening.rules.failures_tolerated, self.unusable, self.folders.len());
        let mut volumes = Vec::new();
        for folder in self.folders {
            let root = folder.root.clone();
            volumes.extend(failures.pass(&root, folder.into_volume(&opening, datanode))?);
        }
        let unusable = failures.count;
        let boot_id = process::boot_id().unwrap_or_default();
        let now = wall_ms(opening.clock);
        let scans: Vec<Result<(Scanned, VolumeState)>> = std::thread::scope(|scope| {
            let scan = |volume: &Arc<Volume>| scan_volume(volume, &boot_id, now);
            let threads: Vec<_> = volumes.iter().map(|volume| scope.spawn(move || scan(volume))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap_or(Err(DatanodeError::Stopping))).collect()
        });
        let store = Store {
            datanode,
            identity: opening.identity.clone(),
            rules: opening.rules,
            volumes,
            unusable,
            next_volume: AtomicUsize::new(0),
            map: ReplicaMap::default(),
            events: EventHub::default(),
            bad: Mutex::default(),
            suspects: Arc::new(SuspectQueue::default()),
            seen: Mutex::default(),
            shutdown: opening.shutdown,
        };
        let mut seen = HighWater::default();
        for (volume, scanned) in store.volumes.iter().zip(scans) {
            if let Err(error) = &scanned {
                volume.fail(error.to_string());
            }
            let Some((scanned, state)) = failures.pass(&volume.root, scanned)? else { continue };
            seen.term = seen.term.max(state.seen.term);
            seen.seq = seen.seq.max(state.seen.seq);
            seen.block = seen.block.max(state.seen.block);
            store.adopt(scanned);
        }
        *store.seen_lock() = seen;
        Ok(Arc::new(store))
    }
}

/// Volumes that fail while they are opened.
struct Failures {
    count: usize,
    tolerated: usize,
}

impl Failures {
    fn new(setting: Option<usize>, unusable: usize, usable: usize) -> Self {
        Self { count: unusable, tolerated: super::tolerated(setting, unusable + usable) }
    }

    /// Passes over a disk that fails, as long as that may be; all else is an error.
    fn pass<T>(&mut self, root: &Path, result: Result<T>) -> Result<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.is_disk_failure() && self.count < self.tolerated => {
                self.count += 1;
                tracing::error!(folder = %root.display(), %error, "volume unusable, going on without it");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

fn scan_volume(volume: &Arc<Volume>, boot_id: &str, now_ms: u64) -> Result<(Scanned, VolumeState)> {
    volume.refresh()?;
    let state = VolumeState::load(&volume.root)?;
    let same_boot = !boot_id.is_empty() && state.boot_id == boot_id;
    let synced_ms = if same_boot { None } else { Some(if state.synced_ms > now_ms { 0 } else { state.synced_ms }) };
    let scanned = scan::scan(volume, synced_ms)?;
    // From now on this boot counts; what was promised durable before is verified above.
    let mut state = state;
    boot_id.clone_into(&mut state.boot_id);
    match state.save(&volume.root) {
        // Then the next start verifies again what this one did. A full disk must come up: only so can it be emptied.
        Err(error) if error.is_no_space() => {
            tracing::warn!(folder = %volume.root.display(), %error, "cannot write the volume's state");
        }
        saved => saved?,
    }
    *volume.state() = state.clone();
    Ok((scanned, state))
}

impl Store {
    /// Takes the replicas of a volume in. Of two replicas of one block the better stays.
    fn adopt(&self, scanned: Scanned) {
        for (storage, block) in scanned.bad {
            self.bad().insert((storage, block.id, block.stamp), block.len);
        }
        for replica in scanned.replicas {
            let loser = self.map.with(replica.id, |_, state| match &mut state.replica {
                Some(present) if rank(present) >= rank(&replica) => Some(replica),
                present => present.replace(replica),
            });
            if let Some(loser) = loser {
                tracing::warn!(block = %loser.block(), folder = %loser.volume.root.display(), "second replica deleted");
                self.unlink(&loser);
            }
        }
    }
}

/// Which of two replicas of one block is better.
fn rank(replica: &Replica) -> (u64, bool, u64) {
    (replica.stamp.0, matches!(replica.state, State::Finalized), replica.len)
}

impl Folder {
    fn lock(root: &Path) -> Result<Self> {
        durable::create_dir_synced(root)?;
        let lock = DirLock::acquire(root)?;
        let folder = Self { root: root.to_owned(), lock, version: None };
        let version = version::read_volume(&folder.version_path())?;
        if version.is_none() {
            folder.check_blank()?;
        }
        Ok(Self { version, ..folder })
    }

    fn version_path(&self) -> PathBuf {
        self.root.join("current").join(VERSION)
    }

    fn pools(&self) -> Result<Vec<String>> {
        let current = self.root.join("current");
        let entries = match fs::read_dir(&current) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).disk("list", &current),
        };
        let mut pools = Vec::new();
        for entry in entries {
            let name = entry.disk("list", &current)?.file_name().to_string_lossy().into_owned();
            if name.starts_with(POOL_PREFIX) {
                pools.push(name);
            }
        }
        Ok(pools)
    }

    /// The one block pool of a formatted volume.
    fn pool(&self) -> Result<String> {
        let pools = self.pools()?;
        match pools.as_slice() {
            [pool] => Ok(pool.clone()),
            _ => {
                let reason = format!("holds {} block pools, expected one", pools.len());
                Err(DatanodeError::BadVolume { path: self.root.clone(), reason })
            }
        }
    }

    /// A folder without `VERSION` may only hold what an interrupted formatting leaves.
    fn check_blank(&self) -> Result<()> {
        for pool in self.pools()? {
            let dirs = PoolDirs::new(&self.root, &pool);
            for dir in [&dirs.finalized, &dirs.rbw, &dirs.bad] {
                if fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some()) {
                    let reason = format!("holds blocks in {}, but its VERSION file is missing", dir.display());
                    return Err(DatanodeError::BadVolume { path: self.root.clone(), reason });
                }
            }
        }
        Ok(())
    }

    fn into_volume(self, opening: &Opening<'_>, datanode: DatanodeId) -> Result<Arc<Volume>> {
        let path = self.version_path();
        let identity = opening.identity;
        let storage = self.version.as_ref().map_or_else(|| StorageId(opening.entropy.uuid()), |v| v.storage);
        if self.version.is_none() {
            self.clear_stale_pools(&identity.pool_id)?;
        }
        let volume = Volume::new(storage, self.root, &identity.pool_id, opening.rules.space, Some(self.lock));
        volume.create_dirs()?;
        if self.version.is_none() {
            version::write_pool(&volume.dirs, identity)?;
            // Last: a volume with this file is a whole one.
            let cluster_id = identity.cluster_id.clone();
            version::write_volume(&path, &VolumeVersion { storage, cluster_id, datanode })?;
            tracing::info!(folder = %volume.root.display(), %storage, cluster = %identity.cluster_id, "volume formatted");
        }
        Ok(Arc::new(volume))
    }

    /// What an interrupted formatting for another pool left, which [`Self::check_blank`] has found to be empty.
    fn clear_stale_pools(&self, pool_id: &str) -> Result<()> {
        for pool in self.pools()?.into_iter().filter(|pool| pool != pool_id) {
            let path = self.root.join("current").join(pool);
            fs::remove_dir_all(&path).disk("delete", &path)?;
        }
        Ok(())
    }
}
