//! Pipelines that start on a replica that exists: append, and going on after a node failed.
//!
//! The rules are HDFS's. A client names the stamp that it knows, the stamp that the replica gets, and how many bytes it
//! knows to be acknowledged; a replica that does not fit is refused, so that the client drops this node.

use super::Store;
use super::create::Attempt;
use super::finish::{rename, settled};
use super::layout::{data_name, meta_name};
use super::map::{Entry, EntryState};
use super::replica::{Place, Replica, State, Stop, Tide, Writing};
use super::verify::{Files, Unfit};
use super::volume::{Promise, footprint};
use super::writer::{ReplicaWriter, Ticket, WriterParts};
use crate::error::{DatanodeError, DiskContext, Result};
use mammoth_protocol::internal::ReplicaEvent;
use mammoth_protocol::{Block, GenStamp};
use std::path::PathBuf;
use std::sync::Arc;

/// How a client goes on with a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resume {
    /// Writes behind the end of a complete replica of `len` bytes.
    Append {
        /// Bytes that the client expects.
        len: u64,
    },
    /// Tries again to append, after a pipeline for it failed: the replica may be complete still, or opened already.
    RecoverAppend {
        /// Bytes that the client expects.
        len: u64,
    },
    /// Goes on in the middle of a block.
    RecoverStreaming {
        /// Bytes that the client knows to be acknowledged.
        acked: u64,
        /// Bytes that it sent.
        sent: u64,
    },
}

/// What stands in the way of taking a replica over.
enum Obstacle {
    Busy(Arc<Writing>),
    Error(DatanodeError),
}

impl From<DatanodeError> for Obstacle {
    fn from(error: DatanodeError) -> Self {
        Self::Error(error)
    }
}

impl Store {
    /// Goes on with a replica under `stamp`.
    ///
    /// # Errors
    /// A replica of another stamp, state or length than the client may go on with; a bad replica; a disk that fails.
    pub(crate) fn resume(
        self: &Arc<Self>,
        block: Block,
        stamp: GenStamp,
        how: Resume,
        stop: &Arc<dyn Stop>,
    ) -> Result<ReplicaWriter> {
        let job = ResumeJob { store: self, block, stamp, how, stop };
        loop {
            let entry = self.map.find(block.id).ok_or(DatanodeError::NotFound { block })?;
            match self.attempt(&job, &entry) {
                Ok(Attempt::Made(writer)) => return Ok(*writer),
                Ok(Attempt::Again) => {}
                Ok(Attempt::Busy(writing)) => self.stop_other(block, &writing)?,
                Err(DatanodeError::Bad { block: bad, storage, reason }) => {
                    self.set_aside(storage, bad, &reason);
                    return Err(DatanodeError::Bad { block: bad, storage, reason });
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn attempt(self: &Arc<Self>, job: &ResumeJob<'_>, entry: &Arc<Entry>) -> Result<Attempt> {
        let mut state = entry.lock();
        match job.take_over(entry, &mut state) {
            Ok(writer) => Ok(Attempt::Made(Box::new(writer))),
            Err(Obstacle::Busy(writing)) => Ok(Attempt::Busy(writing)),
            Err(Obstacle::Error(error)) => {
                if let Some(replica) = &state.replica {
                    self.note_failure(&replica.volume, &error);
                }
                Err(error)
            }
        }
    }

    /// Completes a replica whose pipeline failed at its very end, under `stamp`.
    ///
    /// # Errors
    /// A replica of another stamp, state or length; a disk that fails.
    pub(crate) fn recover_close(&self, block: Block, stamp: GenStamp, len: u64) -> Result<Block> {
        loop {
            let entry = self.map.find(block.id).ok_or(DatanodeError::NotFound { block })?;
            let mut state = entry.lock();
            let replica = state.replica.as_mut().ok_or(DatanodeError::NotFound { block })?;
            match check_recover(block, stamp, len, replica) {
                Ok(()) => return self.finalize_replica(replica, stamp, self.rules.sync_on_close),
                Err(Obstacle::Error(error)) => return Err(error),
                Err(Obstacle::Busy(writing)) => {
                    drop(state);
                    self.stop_other(block, &writing)?;
                }
            }
        }
    }
}

struct ResumeJob<'a> {
    store: &'a Arc<Store>,
    block: Block,
    stamp: GenStamp,
    how: Resume,
    stop: &'a Arc<dyn Stop>,
}

impl ResumeJob<'_> {
    fn take_over(&self, entry: &Arc<Entry>, state: &mut EntryState) -> std::result::Result<ReplicaWriter, Obstacle> {
        let block = self.block;
        let replica = state.replica.as_mut().ok_or(DatanodeError::NotFound { block })?;
        replica.volume.check_serving()?;
        match self.how {
            Resume::Append { len } => {
                if replica.stamp != block.stamp {
                    return Err(wrong_stamp(block, replica, &block.stamp.to_string()).into());
                }
                if self.stamp < block.stamp {
                    return Err(wrong_stamp(block, replica, &format!("at most {}", self.stamp)).into());
                }
                if !matches!(replica.state, State::Finalized) {
                    return Err(wrong_state(block, replica, "finalized").into());
                }
                check_len(block, replica.len, len)?;
                Ok(self.open_finalized(entry, replica)?)
            }
            Resume::RecoverAppend { len } => {
                check_recover(block, self.stamp, len, replica)?;
                if matches!(replica.state, State::Finalized) {
                    Ok(self.open_finalized(entry, replica)?)
                } else {
                    Ok(self.open_rbw(entry, replica, len)?)
                }
            }
            Resume::RecoverStreaming { acked, sent } => {
                let tide = self.check_streaming(replica, acked, sent)?;
                Ok(self.open_rbw(entry, replica, tide.acked)?)
            }
        }
    }

    fn check_streaming(&self, replica: &Replica, acked: u64, sent: u64) -> std::result::Result<Tide, Obstacle> {
        let State::Rbw(writing) = &replica.state else {
            return Err(wrong_state(self.block, replica, "rbw").into());
        };
        if writing.has_writer() {
            return Err(Obstacle::Busy(Arc::clone(writing)));
        }
        check_stamps(self.block, self.stamp, replica)?;
        let tide = writing.progress();
        if tide.acked < acked || tide.on_disk > sent {
            let expected = format!("between {acked} acknowledged and {sent} sent (acknowledged here: {})", tide.acked);
            return Err(DatanodeError::Length { block: self.block, found: tide.on_disk, expected }.into());
        }
        Ok(tide)
    }

    /// Opens a complete replica for writing behind its end.
    fn open_finalized(&self, entry: &Arc<Entry>, replica: &mut Replica) -> Result<ReplicaWriter> {
        let len = replica.len;
        let (data, meta) = (replica.data_path(), replica.meta_path());
        let files = Files::open(&data, &meta, len, true).map_err(|unfit| bad(replica, unfit))?;
        let tail = files.tail_crc(len, len).disk("read", &data)?;
        let wrong = || bad(replica, Unfit::Bad("the last chunk does not fit its checksum".to_owned()));
        let tide = settled(len, tail.ok_or_else(wrong)?);
        let promise = self.promise(replica)?;
        // Data first: a data file in the finalized tree always has its checksums beside it.
        let dir = Place::Rbw.dir(&replica.volume.dirs, replica.id);
        let data_to = dir.join(data_name(replica.id));
        rename(&data, &data_to)?;
        if let Err(error) = rename(&meta, &dir.join(meta_name(replica.id, self.stamp))) {
            if let Err(second) = rename(&data_to, &data) {
                tracing::warn!(block = %replica.block(), error = %second, "cannot move a replica back");
            }
            return Err(error);
        }
        Ok(self.attach(entry, replica, tide, files, promise))
    }

    /// Opens a replica that a pipeline left, cut to `len` bytes.
    fn open_rbw(&self, entry: &Arc<Entry>, replica: &mut Replica, len: u64) -> Result<ReplicaWriter> {
        let on_disk = replica.len();
        let (data, meta) = (replica.data_path(), replica.meta_path());
        let files = Files::open(&data, &meta, on_disk, true).map_err(|unfit| bad(replica, unfit))?;
        let tail = files.tail_crc(len, on_disk).disk("read", &data)?;
        let wrong = || bad(replica, Unfit::Bad("the last chunk does not fit its checksum".to_owned()));
        let tail_crc = tail.ok_or_else(wrong)?;
        if on_disk > len {
            files.cut(len, tail_crc).disk("cut", &data)?;
            replica.volume.refund(footprint(on_disk) - footprint(len));
        }
        let promise = self.promise(replica)?;
        rename(&meta, &Place::Rbw.dir(&replica.volume.dirs, replica.id).join(meta_name(replica.id, self.stamp)))?;
        Ok(self.attach(entry, replica, settled(len, tail_crc), files, promise))
    }

    fn promise(&self, replica: &Replica) -> Result<Promise> {
        let wanted = footprint(self.block.len).saturating_sub(footprint(replica.len()));
        replica.volume.promise(wanted).ok_or_else(|| replica.volume.no_space(self.block))
    }

    fn attach(
        &self,
        entry: &Arc<Entry>,
        replica: &mut Replica,
        tide: Tide,
        files: Files,
        promise: Promise,
    ) -> ReplicaWriter {
        let writing = Writing::new(tide, Some(Arc::clone(self.stop)));
        replica.stamp = self.stamp;
        replica.state = State::Rbw(Arc::clone(&writing));
        let block = replica.block();
        self.store.events.push(replica.volume.id, ReplicaEvent::Receiving(block));
        let path: PathBuf = replica.data_path();
        let ticket = Ticket { entry: Arc::clone(entry), writing, volume: Arc::clone(&replica.volume), block };
        let parts = WriterParts { ticket, files, path, promise: Some(promise), created: false, temporary: false };
        ReplicaWriter::new(self.store, parts)
    }
}

/// What going on with an append and closing again both demand.
fn check_recover(block: Block, stamp: GenStamp, len: u64, replica: &Replica) -> std::result::Result<(), Obstacle> {
    if !matches!(replica.state, State::Finalized | State::Rbw(_)) {
        return Err(wrong_state(block, replica, "finalized or rbw").into());
    }
    check_stamps(block, stamp, replica)?;
    if let State::Rbw(writing) = &replica.state {
        if writing.has_writer() {
            return Err(Obstacle::Busy(Arc::clone(writing)));
        }
        let tide = writing.progress();
        if tide.acked != tide.on_disk {
            let expected = format!("the {} that are acknowledged", tide.acked);
            return Err(DatanodeError::Length { block, found: tide.on_disk, expected }.into());
        }
    }
    Ok(check_len(block, replica.len(), len)?)
}

/// A replica may be as new as the stamp that it gets, as an earlier attempt may have got that far.
fn check_stamps(block: Block, stamp: GenStamp, replica: &Replica) -> Result<()> {
    if (block.stamp..=stamp).contains(&replica.stamp) {
        return Ok(());
    }
    Err(wrong_stamp(block, replica, &format!("{} to {stamp}", block.stamp)))
}

fn check_len(block: Block, found: u64, expected: u64) -> Result<()> {
    if found == expected { Ok(()) } else { Err(DatanodeError::Length { block, found, expected: expected.to_string() }) }
}

fn wrong_stamp(block: Block, replica: &Replica, expected: &str) -> DatanodeError {
    DatanodeError::Stamp { block, found: replica.stamp, expected: expected.to_owned() }
}

fn wrong_state(block: Block, replica: &Replica, expected: &'static str) -> DatanodeError {
    DatanodeError::State { block, found: replica.state.name(), expected }
}

/// Why the files of a replica cannot be used, as an error.
pub(super) fn bad(replica: &Replica, unfit: Unfit) -> DatanodeError {
    match unfit {
        Unfit::Bad(reason) => DatanodeError::Bad { block: replica.block(), storage: replica.volume.id, reason },
        Unfit::Disk(error) => error,
    }
}
