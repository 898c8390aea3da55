//! New replicas: for a pipeline, or for a copy from another datanode.

use super::Store;
use super::layout::{data_name, meta_name};
use super::map::{Entry, EntryState};
use super::replica::{Place, Replica, State, Stop, Tide, Writing};
use super::verify::Files;
use super::volume::{Promise, Volume, footprint};
use super::writer::{ReplicaWriter, Ticket, WriterParts, begin_meta};
use crate::error::{DatanodeError, DiskContext, Result};
use mammoth_protocol::internal::ReplicaEvent;
use mammoth_protocol::{Block, StorageId};
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What a new replica should be.
pub(crate) struct NewReplica {
    /// Block and stamp; the length is the most bytes that are expected, 0 if unknown.
    pub(crate) block: Block,
    /// The volume that the namenode chose; another one is taken if it is unknown or full.
    pub(crate) storage: Option<StorageId>,
    /// Bytes that one checksum covers.
    pub(crate) chunk: usize,
    /// A copy of a replica elsewhere, not a pipeline of a client.
    pub(crate) temporary: bool,
    /// Stops the writer.
    pub(crate) stop: Arc<dyn Stop>,
}

impl Store {
    /// Makes a replica and its writer.
    ///
    /// # Errors
    /// A replica that is here already, no room, a disk that fails. Nothing is left behind then.
    pub(crate) fn create(self: &Arc<Self>, new: &NewReplica) -> Result<ReplicaWriter> {
        loop {
            let busy = self.map.with(new.block.id, |entry, state| self.create_in(new, entry, state));
            match busy? {
                Attempt::Made(writer) => return Ok(*writer),
                Attempt::Again => {}
                Attempt::Busy(writing) => self.stop_other(new.block, &writing)?,
            }
        }
    }

    fn create_in(self: &Arc<Self>, new: &NewReplica, entry: &Arc<Entry>, state: &mut EntryState) -> Result<Attempt> {
        if let Some(old) = &state.replica {
            let unfinished = matches!(old.state, State::Temporary(_) | State::Rbw(_) | State::Rwr);
            if old.stamp >= new.block.stamp || !unfinished {
                return Err(DatanodeError::Exists { block: new.block, found: old.stamp, state: old.state.name() });
            }
            if let Some(writing) = old.state.writing().filter(|writing| writing.has_writer()) {
                return Ok(Attempt::Busy(Arc::clone(writing)));
            }
            // What an older pipeline left here is worth nothing beside a newer one.
            tracing::info!(old = %old.block(), new = %new.block, "unfinished replica replaced");
            self.unlink(old);
            self.deleted_event(old.volume.id, old.block());
            state.replica = None;
        }
        let (volume, promise) = self.choose_volume(new.block, new.storage)?;
        let place = if new.temporary { Place::Tmp } else { Place::Rbw };
        let dir = place.dir(&volume.dirs, new.block.id);
        let files = match make_files(&dir, new) {
            Ok(files) => files,
            Err(error) if error.is_no_space() => return Err(volume.no_space(new.block)),
            Err(error) => {
                self.note_failure(&volume, &error);
                // The volume is out of service now: another one may do. Each can fail once.
                return if volume.failure().is_some() { Ok(Attempt::Again) } else { Err(error) };
            }
        };
        volume.charge_existing(footprint(0));
        let writing = Writing::new(Tide::default(), Some(Arc::clone(&new.stop)));
        let (id, stamp) = (new.block.id, new.block.stamp);
        let state_now =
            if new.temporary { State::Temporary(Arc::clone(&writing)) } else { State::Rbw(Arc::clone(&writing)) };
        state.replica = Some(Replica { id, stamp, len: 0, volume: Arc::clone(&volume), state: state_now });
        let block = Block { len: 0, ..new.block };
        if !new.temporary {
            self.events.push(volume.id, ReplicaEvent::Receiving(block));
        }
        let ticket = Ticket { entry: Arc::clone(entry), writing, volume, block };
        let parts = WriterParts {
            ticket,
            files,
            path: dir.join(data_name(id)),
            promise: Some(promise),
            created: true,
            temporary: new.temporary,
        };
        Ok(Attempt::Made(Box::new(ReplicaWriter::new(self, parts))))
    }

    /// The wanted volume if it has room, otherwise the next one that has.
    fn choose_volume(&self, block: Block, wanted: Option<StorageId>) -> Result<(Arc<Volume>, Promise)> {
        let start = self.next_volume.fetch_add(1, Ordering::Relaxed);
        let count = self.volumes.len();
        let first = wanted.and_then(|id| self.volumes.iter().find(|volume| volume.id == id));
        let others = (0..count).filter_map(|n| self.volumes.get(start.wrapping_add(n) % count.max(1)));
        for volume in first.into_iter().chain(others) {
            if volume.failure().is_some() {
                continue;
            }
            if let Some(promise) = volume.promise(footprint(block.len)) {
                return Ok((Arc::clone(volume), promise));
            }
        }
        Err(DatanodeError::NoSpace { block, place: "any volume".to_owned() })
    }

    /// Stops the writer of a replica that somebody else wants.
    pub(super) fn stop_other(&self, block: Block, writing: &Writing) -> Result<()> {
        tracing::info!(%block, "stopping the present writer");
        if writing.stop_writer(super::STOP_WRITER) { Ok(()) } else { Err(DatanodeError::WriterStuck { block }) }
    }
}

/// What came of an attempt to take a replica over.
pub(super) enum Attempt {
    /// Done.
    Made(Box<ReplicaWriter>),
    /// It has a writer, who must stop first.
    Busy(Arc<Writing>),
    /// A volume failed meanwhile, another try may do.
    Again,
}

fn make_files(dir: &Path, new: &NewReplica) -> Result<Files> {
    let meta_path = dir.join(meta_name(new.block.id, new.block.stamp));
    let data_path = dir.join(data_name(new.block.id));
    let make = || -> Result<Files> {
        let create = |path: &Path| {
            File::options().read(true).write(true).create(true).truncate(true).open(path).disk("create", path)
        };
        let files = Files { meta: create(&meta_path)?, data: create(&data_path)?, chunk: new.chunk };
        begin_meta(&files).disk("write", &meta_path)?;
        Ok(files)
    };
    make().inspect_err(|_| {
        let _ = fs::remove_file(&data_path);
        let _ = fs::remove_file(&meta_path);
    })
}
