//! Block recovery, on the side of one replica: it is frozen first and told its length, then cut to what was agreed.
//!
//! Each recovery has a stamp that no other has, and grows. A replica in recovery belongs to the newest one; a writer that
//! is still at work is stopped. Both steps may be repeated.

use super::Store;
use super::pipeline::bad;
use super::replica::{Class, Replica, State};
use super::verify::{Files, Unfit};
use super::volume::footprint;
use crate::error::{DatanodeError, DiskContext, Result};
use mammoth_protocol::{Block, GenStamp, StorageId};

/// A replica that may take part in a recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// Block, present stamp, bytes on the disk.
    pub(crate) block: Block,
    /// What it was before.
    pub(crate) class: Class,
}

impl Store {
    /// Freezes the replica of `block` for the recovery that will give it the stamp `recovery`; `None` if there is none.
    ///
    /// # Errors
    /// An older replica than the block's stamp; a newer recovery or stamp; a writer that does not stop.
    pub(crate) fn init_recovery(&self, block: Block, recovery: GenStamp) -> Result<Option<Candidate>> {
        loop {
            let Some(entry) = self.map.find(block.id) else { return Ok(None) };
            let mut state = entry.lock();
            let Some(replica) = state.replica.as_mut() else { return Ok(None) };
            if let State::Rbw(writing) = &replica.state
                && replica.stamp < recovery
                && writing.has_writer()
            {
                let writing = std::sync::Arc::clone(writing);
                drop(state);
                self.stop_other(block, &writing)?;
                continue;
            }
            return freeze(replica, block, recovery);
        }
    }

    /// Ends a recovery: the replica gets `len` bytes and the recovery's stamp, and is complete. Gives its volume.
    ///
    /// # Errors
    /// A replica that is not in this recovery, or is shorter; a disk that fails.
    pub(crate) fn update_recovery(&self, block: Block, recovery: GenStamp, len: u64) -> Result<StorageId> {
        let entry = self.map.find(block.id).ok_or(DatanodeError::NotFound { block })?;
        let mut state = entry.lock();
        let replica = state.replica.as_mut().ok_or(DatanodeError::NotFound { block })?;
        let result = self.update_frozen(replica, block, recovery, len);
        if let Err(error) = &result {
            self.note_failure(&replica.volume, error);
        }
        result
    }

    fn update_frozen(&self, replica: &mut Replica, block: Block, recovery: GenStamp, len: u64) -> Result<StorageId> {
        replica.volume.check_serving()?;
        let storage = replica.volume.id;
        match replica.state {
            State::Finalized if replica.stamp == recovery && replica.len == len => return Ok(storage),
            State::Rur { recovery: newer, .. } if newer != recovery => {
                return Err(DatanodeError::InRecovery { block, recovery: newer });
            }
            State::Rur { .. } => {}
            _ => return Err(DatanodeError::State { block, found: replica.state.name(), expected: "rur" }),
        }
        if replica.len < len {
            return Err(DatanodeError::Length { block, found: replica.len, expected: format!("at least {len}") });
        }
        let files = Files::open(&replica.data_path(), &replica.meta_path(), replica.len, true);
        let files = files.map_err(|unfit| bad(replica, unfit))?;
        if len < replica.len {
            let path = replica.data_path();
            let tail = files.tail_crc(len, replica.len).disk("read", &path)?;
            let wrong = || bad(replica, Unfit::Bad("the chunk at its new end does not fit its checksum".to_owned()));
            files.cut(len, tail.ok_or_else(wrong)?).disk("cut", &path)?;
            replica.volume.refund(footprint(replica.len) - footprint(len));
            replica.len = len;
        }
        self.finalize_replica(replica, recovery, self.rules.sync_on_close)?;
        Ok(storage)
    }
}

fn freeze(replica: &mut Replica, block: Block, recovery: GenStamp) -> Result<Option<Candidate>> {
    if replica.stamp < block.stamp {
        let expected = format!("{} or newer", block.stamp);
        return Err(DatanodeError::Stamp { block, found: replica.stamp, expected });
    }
    let newer = || DatanodeError::InRecovery { block, recovery: replica.stamp };
    let (class, visible) = match &replica.state {
        State::Temporary(_) => return Ok(None),
        // An earlier round of this very recovery got here, and its end was not heard of.
        State::Finalized if replica.stamp == recovery => {
            return Ok(Some(Candidate { block: replica.block(), class: Class::Finalized }));
        }
        _ if replica.stamp >= recovery => return Err(newer()),
        State::Rur { recovery: present, .. } if *present > recovery => {
            return Err(DatanodeError::InRecovery { block, recovery: *present });
        }
        State::Rur { from, visible, .. } => (*from, *visible),
        State::Finalized => (Class::Finalized, replica.len),
        State::Rbw(writing) => (Class::Rbw, writing.progress().acked),
        State::Rwr => (Class::Rwr, 0),
    };
    replica.len = replica.len();
    replica.state = State::Rur { recovery, from: class, visible };
    Ok(Some(Candidate { block: replica.block(), class }))
}
