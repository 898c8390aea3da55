//! Stores in temporary folders, for the tests of this crate.

use super::open::{LockedVolumes, Opening};
use super::replica::Stop;
use super::{NewReplica, ReplicaWriter, Resume, SpaceRules, Store, StoreRules};
use crate::error::Result;
use mammoth_platform::{SeededEntropy, Shutdown, SystemClock};
use mammoth_protocol::datatransfer::checksum;
use mammoth_protocol::internal::ClusterIdentity;
use mammoth_protocol::{Block, BlockId, GenStamp};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The file system that test stores belong to.
pub(crate) fn identity() -> ClusterIdentity {
    ClusterIdentity {
        cluster_id: "CID-1".to_owned(),
        namespace_id: 7,
        pool_id: "BP-7-127.0.0.1-1".to_owned(),
        created_ms: 1,
    }
}

pub(crate) fn rules() -> StoreRules {
    StoreRules { space: SpaceRules::default(), sync_on_close: false, failures_tolerated: None }
}

/// Opens the store in `dirs`.
pub(crate) fn open_dirs(
    dirs: &[PathBuf],
    identity: &ClusterIdentity,
    rules: StoreRules,
    seed: u64,
) -> Result<Arc<Store>> {
    let entropy = SeededEntropy::new(seed);
    LockedVolumes::lock(dirs, rules.failures_tolerated)?.open(Opening {
        identity,
        rules,
        clock: &SystemClock,
        entropy: &entropy,
        shutdown: Shutdown::new(),
    })
}

/// Opens the store with one volume.
pub(crate) fn open(dir: &Path) -> Arc<Store> {
    open_dirs(&[dir.to_owned()], &identity(), rules(), 1).expect("the store opens")
}

/// A writer that can be told to stop and remembers it.
#[derive(Default)]
pub(crate) struct StopFlag(pub(crate) AtomicBool);

impl Stop for StopFlag {
    fn stop(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

pub(crate) fn stop() -> Arc<dyn Stop> {
    Arc::new(StopFlag::default())
}

pub(crate) fn block(id: i64, stamp: u64) -> Block {
    Block { id: BlockId(id), stamp: GenStamp(stamp), len: 0 }
}

/// Bytes that differ from place to place.
pub(crate) fn bytes(from: u64, len: usize) -> Vec<u8> {
    (from..from + len as u64).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

pub(crate) fn create(store: &Arc<Store>, block: Block, temporary: bool) -> Result<ReplicaWriter> {
    store.create(&NewReplica { block, storage: None, chunk: 512, temporary, stop: stop() })
}

pub(crate) fn resume(store: &Arc<Store>, block: Block, stamp: u64, how: Resume) -> Result<ReplicaWriter> {
    store.resume(block, GenStamp(stamp), how, &stop())
}

/// Sends `data` at `offset` in packets of `size` bytes as a client would: checksums of each packet's own chunks.
pub(crate) fn send(writer: &mut ReplicaWriter, offset: u64, data: &[u8], size: usize) -> Result<()> {
    let mut at = offset;
    for part in data.chunks(size) {
        let mut sums = Vec::new();
        checksum::append_checksums(&mut sums, part, 512);
        writer.write(at, part, &sums)?;
        at += part.len() as u64;
    }
    Ok(())
}

/// A complete replica of [`bytes`].
pub(crate) fn finished(store: &Arc<Store>, block: Block, len: usize) -> Block {
    let mut writer = create(store, block, false).expect("created");
    send(&mut writer, 0, &bytes(0, len), 64_512).expect("written");
    store.finalize(writer.ticket(), false).expect("finalized")
}

/// All bytes that a reader gets, verified.
pub(crate) fn read(store: &Store, block: Block) -> Result<Vec<u8>> {
    store.open_reader(block, 0)?.whole()
}
