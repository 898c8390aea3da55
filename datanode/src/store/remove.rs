//! Replicas that go: deleted by order, or set aside because their bytes are wrong.

use super::Store;
use super::finish::rename;
use super::layout::{bad_data_name, meta_name};
use super::replica::{Replica, State};
use super::volume::footprint;
use crate::error::{DatanodeError, Result};
use mammoth_protocol::internal::ReplicaEvent;
use mammoth_protocol::{Block, StorageId};
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

impl Store {
    /// Deletes the replica with exactly this stamp, in whatever state it is. One that is not here counts as deleted.
    /// `stands` tells at the last moment, when no report can list the replica any more, whether it is still to go.
    ///
    /// # Errors
    /// A writer that does not stop.
    pub(crate) fn delete(&self, storage: StorageId, block: Block, stands: impl Fn() -> bool) -> Result<()> {
        loop {
            let Some(entry) = self.map.find(block.id) else { break };
            let mut state = entry.lock();
            let same = |replica: &&Replica| replica.volume.id == storage && replica.stamp == block.stamp;
            let Some(replica) = state.replica.as_ref().filter(same) else { break };
            if !stands() {
                return Ok(());
            }
            if let Some(writing) = replica.state.writing().filter(|writing| writing.has_writer()) {
                let writing = Arc::clone(writing);
                drop(state);
                self.stop_other(block, &writing)?;
                continue;
            }
            self.unlink(replica);
            state.replica = None;
            self.map.tidy(block.id, &mut state);
            break;
        }
        // Told in any case, as the order shows that the namenode thinks otherwise.
        self.deleted_event(storage, block);
        Ok(())
    }

    /// Deletes the files of a replica that is about to leave the map. A file that stays is found at the next start.
    pub(super) fn unlink(&self, replica: &Replica) {
        let len = replica.len();
        for path in [replica.data_path(), replica.meta_path()] {
            if let Err(error) = remove(&path) {
                tracing::warn!(block = %replica.block(), path = %path.display(), %error, "cannot delete a file");
            }
        }
        replica.volume.refund(footprint(len));
    }

    /// Moves a complete replica whose bytes are wrong out of the way and tells the namenode, unless it has changed since
    /// the fault was found: `found` is what it was then.
    pub(crate) fn set_aside(&self, storage: StorageId, found: Block, reason: &str) {
        let Some(entry) = self.map.find(found.id) else { return };
        let mut state = entry.lock();
        let same = |replica: &&Replica| {
            matches!(replica.state, State::Finalized) && replica.volume.id == storage && replica.block() == found
        };
        let Some(replica) = state.replica.as_ref().filter(same) else {
            tracing::warn!(block = %found, %storage, reason, "bad replica has changed since, left in place");
            return;
        };
        tracing::warn!(block = %found, %storage, reason, "bad replica set aside");
        let bad = &replica.volume.dirs.bad;
        let moves = [
            (replica.data_path(), bad.join(bad_data_name(found.id, found.stamp))),
            (replica.meta_path(), bad.join(meta_name(found.id, found.stamp))),
        ];
        for (from, to) in &moves {
            if from.exists()
                && let Err(error) = rename(from, to)
            {
                tracing::warn!(block = %found, path = %from.display(), %error, "cannot set a file aside");
                self.note_failure(&replica.volume, &error);
            }
        }
        self.bad().insert((storage, found.id, found.stamp), found.len);
        state.replica = None;
        self.map.tidy(found.id, &mut state);
        self.events.push(storage, ReplicaEvent::Bad(found));
    }

    /// Deletes a replica that was set aside, by order.
    pub(crate) fn drop_bad(&self, storage: StorageId, block: Block) {
        self.drop_bad_files(storage, block);
        self.deleted_event(storage, block);
    }

    pub(super) fn drop_bad_files(&self, storage: StorageId, block: Block) {
        let Some(volume) = self.volumes.iter().find(|volume| volume.id == storage) else { return };
        let Some(len) = self.bad().remove(&(storage, block.id, block.stamp)) else { return };
        let bad = &volume.dirs.bad;
        for name in [bad_data_name(block.id, block.stamp), meta_name(block.id, block.stamp)] {
            if let Err(error) = remove(&bad.join(&name)) {
                tracing::warn!(file = name, %error, "cannot delete a bad replica");
            }
        }
        volume.refund(footprint(len));
    }
}

/// Deletes a file; a missing one is fine.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

impl DatanodeError {
    /// The replica whose bytes are wrong, if that is what failed.
    pub(crate) fn bad_replica(&self) -> Option<(StorageId, Block, &str)> {
        match self {
            Self::Bad { block, storage, reason } => Some((*storage, *block, reason)),
            _ => None,
        }
    }
}
