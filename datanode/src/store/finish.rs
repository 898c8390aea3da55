//! The end of writing: a replica becomes complete, or a copy that arrived becomes part of a pipeline.
//!
//! The checksum file moves first, so that a data file in the finalized tree always has its checksums beside it; what a crash
//! in between leaves is put together at the next start.

use super::Store;
use super::layout::{PoolDirs, data_name, meta_name};
use super::replica::{Place, Replica, State, Tide, Writing};
use super::writer::Ticket;
use crate::error::{DatanodeError, DiskContext, Result};
use mammoth_platform::durable;
use mammoth_protocol::internal::ReplicaEvent;
use mammoth_protocol::{Block, BlockId, DatanodeId, GenStamp};
use std::fs;
use std::path::{Path, PathBuf};

impl Store {
    /// Makes the replica of this writer complete. With `sync`, or if the rules ask for it, its new place is durable when
    /// this returns; its bytes must have been synced before.
    ///
    /// # Errors
    /// The replica belongs to somebody else by now, or the disk fails.
    pub(crate) fn finalize(&self, ticket: &Ticket, sync: bool) -> Result<Block> {
        let mut state = ticket.entry.lock();
        let replica = ticket.replica(&mut state)?;
        self.finalize_replica(replica, replica.stamp, sync)
    }

    /// As [`Self::finalize`], of a replica in a pipeline of which the next datanode has finalized its own: its word to the
    /// namenode is on its way by now, so this one's need not hurry.
    ///
    /// # Errors
    /// As [`Self::finalize`].
    pub(crate) fn finalize_second(&self, ticket: &Ticket, sync: bool) -> Result<Block> {
        let mut state = ticket.entry.lock();
        let replica = ticket.replica(&mut state)?;
        let block = self.settle_finalized(replica, replica.stamp, sync)?;
        self.events.push_second(replica.volume.id, ReplicaEvent::Received(block));
        Ok(block)
    }

    /// Whether finalizing makes durable anyway.
    pub(crate) fn sync_on_close(&self) -> bool {
        self.rules.sync_on_close
    }

    /// As [`Self::finalize`], of a replica that was moved here to relieve another datanode.
    ///
    /// # Errors
    /// As [`Self::finalize`].
    pub(crate) fn finalize_moved(&self, ticket: &Ticket, sync: bool, from: DatanodeId) -> Result<Block> {
        let mut state = ticket.entry.lock();
        let replica = ticket.replica(&mut state)?;
        let block = self.settle_finalized(replica, replica.stamp, sync)?;
        self.events.push(replica.volume.id, ReplicaEvent::Moved { block, from });
        Ok(block)
    }

    /// Moves a replica into the finalized tree under `stamp` and tells the namenode.
    pub(super) fn finalize_replica(&self, replica: &mut Replica, stamp: GenStamp, sync: bool) -> Result<Block> {
        let block = self.settle_finalized(replica, stamp, sync)?;
        self.events.push(replica.volume.id, ReplicaEvent::Received(block));
        Ok(block)
    }

    fn settle_finalized(&self, replica: &mut Replica, stamp: GenStamp, sync: bool) -> Result<Block> {
        replica.volume.check_serving()?;
        let len = replica.len();
        let moved = move_into_finalized(replica, stamp, sync);
        moved.inspect_err(|error| self.note_failure(&replica.volume, error))?;
        replica.stamp = stamp;
        replica.len = len;
        replica.state = State::Finalized;
        Ok(replica.block())
    }

    /// Turns a copy that has arrived into a member of a pipeline whose writer comes next.
    ///
    /// # Errors
    /// Another length than the sender announced; the replica belongs to somebody else by now; the disk fails.
    pub(crate) fn convert_to_rbw(&self, ticket: &Ticket, expected_len: u64) -> Result<Block> {
        let mut state = ticket.entry.lock();
        let replica = ticket.replica(&mut state)?;
        let block = replica.block();
        let tide = ticket.writing.progress();
        if tide.on_disk != expected_len {
            return Err(DatanodeError::Length { block, found: tide.on_disk, expected: expected_len.to_string() });
        }
        let to = Place::Rbw.dir(&replica.volume.dirs, replica.id);
        rename(&replica.meta_path(), &to.join(meta_name(replica.id, replica.stamp)))?;
        rename(&replica.data_path(), &to.join(data_name(replica.id)))?;
        // A writing of its own: the one of the copy ends with its writer.
        replica.state = State::Rbw(Writing::new(Tide { acked: tide.on_disk, ..tide }, None));
        self.events.push(replica.volume.id, ReplicaEvent::Receiving(block));
        Ok(block)
    }
}

fn move_into_finalized(replica: &Replica, stamp: GenStamp, sync: bool) -> Result<()> {
    let dir = finalized_dir(&replica.volume.dirs, replica.id)?;
    let (data, meta) = (replica.data_path(), replica.meta_path());
    rename(&meta, &dir.join(meta_name(replica.id, stamp)))?;
    rename(&data, &dir.join(data_name(replica.id)))?;
    if sync {
        // The two levels above may be as new as this one.
        for dir in dir.ancestors().take(3) {
            durable::sync_dir(dir)?;
        }
        if let Some(from) = data.parent().filter(|from| *from != dir) {
            durable::sync_dir(from)?;
        }
    }
    Ok(())
}

/// The folder of a finalized replica, made if it is missing.
pub(super) fn finalized_dir(dirs: &PoolDirs, id: BlockId) -> Result<PathBuf> {
    let dir = dirs.finalized_of(id);
    if !dir.is_dir() {
        fs::create_dir_all(&dir).disk("create folder", &dir)?;
    }
    Ok(dir)
}

/// Renames unless both names are the same.
pub(super) fn rename(from: &Path, to: &Path) -> Result<()> {
    if from == to {
        return Ok(());
    }
    Ok(durable::rename_unsynced(from, to)?)
}

/// The progress of a replica of which every byte counts as acknowledged.
pub(super) fn settled(len: u64, tail_crc: u32) -> Tide {
    Tide { on_disk: len, acked: len, tail_crc }
}
