//! The one writer of a replica that is being written: puts verified packets on the disk, data first, then checksums.
//!
//! Data that is there already is skipped, so that a client may send again what it does not know to have arrived. Where a
//! packet begins or ends within a chunk, the chunk's checksum is computed anew from what the disk already has of it.

use super::Store;
use super::map::{Entry, EntryState};
use super::replica::{Replica, State, Writing};
use super::verify::{Files, sum_position};
use super::volume::{Promise, Volume, footprint};
use crate::error::{DatanodeError, DiskContext, Result};
use mammoth_platform::durable;
use mammoth_protocol::Block;
use mammoth_protocol::datatransfer::checksum::{self, CRC_BYTES};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

/// Most bytes of data in one write to a file. Linux chooses the size of new page-cache pages by the size of a write. Up to
/// 32 KiB they come from the per-CPU lists and from remnants of memory in use before; larger ones are cut from larger free
/// blocks, which on a virtual machine the host may have taken back (measured there: 2 to 3 CPU seconds a GiB instead of 0.5).
const WRITE_PIECE: u64 = 32 * 1024;

/// What names a replica under its present writer; whoever holds it may speak for that writer, until somebody else took over.
#[derive(Clone, Debug)]
pub(crate) struct Ticket {
    pub(crate) entry: Arc<Entry>,
    pub(crate) writing: Arc<Writing>,
    pub(crate) volume: Arc<Volume>,
    /// Identity; the length says nothing.
    pub(crate) block: Block,
}

impl Ticket {
    /// Everybody downstream has so many bytes.
    pub(crate) fn set_acked(&self, len: u64) {
        self.writing.set_acked(len);
    }

    /// Whether the replica still belongs to this writer.
    pub(crate) fn holds(&self, state: Option<&Replica>) -> bool {
        state.is_some_and(|replica| {
            let same = replica.state.writing().is_some_and(|writing| Arc::ptr_eq(writing, &self.writing));
            same && replica.stamp == self.block.stamp
        })
    }

    /// The replica, which must still belong to this writer.
    pub(super) fn replica<'a>(&self, state: &'a mut EntryState) -> Result<&'a mut Replica> {
        let held = self.holds(state.replica.as_ref());
        state.replica.as_mut().filter(|_| held).ok_or_else(|| self.fenced())
    }

    pub(crate) fn fenced(&self) -> DatanodeError {
        DatanodeError::Fenced { block: self.block }
    }
}

/// The writer; detaches from the replica when dropped, and then drops a copy that is not complete.
#[derive(Debug)]
pub(crate) struct ReplicaWriter {
    store: Arc<Store>,
    ticket: Ticket,
    files: Files,
    path: PathBuf,
    on_disk: u64,
    tail_crc: u32,
    promise: Option<Promise>,
    sums: Vec<u8>,
    /// The replica did not exist before.
    created: bool,
    /// The disk was full before its first byte: nothing of it stays.
    stillborn: bool,
    /// A copy that arrives: nothing of it stays unless it is complete.
    temporary: bool,
}

/// What a new writer is made of.
pub(crate) struct WriterParts {
    pub(crate) ticket: Ticket,
    pub(crate) files: Files,
    pub(crate) path: PathBuf,
    pub(crate) promise: Option<Promise>,
    pub(crate) created: bool,
    pub(crate) temporary: bool,
}

impl ReplicaWriter {
    /// A writer that goes on where the files end.
    pub(crate) fn new(store: &Arc<Store>, parts: WriterParts) -> Self {
        let tide = parts.ticket.writing.progress();
        Self {
            store: Arc::clone(store),
            ticket: parts.ticket,
            files: parts.files,
            path: parts.path,
            on_disk: tide.on_disk,
            tail_crc: tide.tail_crc,
            promise: parts.promise,
            sums: Vec::new(),
            created: parts.created,
            stillborn: false,
            temporary: parts.temporary,
        }
    }

    pub(crate) fn ticket(&self) -> &Ticket {
        &self.ticket
    }

    /// Identity and present length.
    pub(crate) fn block(&self) -> Block {
        Block { len: self.on_disk, ..self.ticket.block }
    }

    /// Puts the data of a packet on the disk. `checksums` are of the packet's own chunks, verified by the caller, or empty.
    ///
    /// # Errors
    /// A packet beyond the end of the replica, a full disk, a disk that fails. The replica then ends where it did before.
    pub(crate) fn write(&mut self, offset: u64, data: &[u8], checksums: &[u8]) -> Result<()> {
        let gap = || DatanodeError::Gap { block: self.ticket.block, offset, found: self.on_disk };
        let end = offset.checked_add(data.len() as u64).ok_or_else(gap)?;
        if offset > self.on_disk {
            return Err(gap());
        }
        let skip = usize::try_from(self.on_disk - offset).unwrap_or(usize::MAX);
        let Some(fresh) = data.get(skip..).filter(|fresh| !fresh.is_empty()) else { return Ok(()) };
        let growth = footprint(end) - footprint(self.on_disk);
        let charged = self.ticket.volume.charge(self.ticket.block, growth);
        self.stillborn = self.created && self.on_disk == 0 && charged.is_err();
        charged?;
        let written = self.write_fresh(offset, end, fresh, checksums);
        match written {
            Ok(tail_crc) => {
                if let Some(promise) = &mut self.promise {
                    promise.consume(growth);
                }
                self.on_disk = end;
                self.tail_crc = tail_crc;
                self.ticket.writing.set_on_disk(end, tail_crc);
                Ok(())
            }
            Err(error) => {
                self.ticket.volume.refund(growth);
                let error = if error.is_no_space() { self.ticket.volume.no_space(self.ticket.block) } else { error };
                // What this packet left behind would be garbage to a later reader of the files.
                if let Err(second) = self.files.cut(self.on_disk, self.tail_crc) {
                    tracing::warn!(block = %self.ticket.block, error = %second, "cannot cut a failed write off");
                }
                self.stillborn = self.created && self.on_disk == 0 && error.is_no_space();
                self.store.note_failure(&self.ticket.volume, &error);
                Err(error)
            }
        }
    }

    fn write_fresh(&mut self, offset: u64, end: u64, fresh: &[u8], checksums: &[u8]) -> Result<u32> {
        let chunk = self.files.chunk as u64;
        write_pieces(&self.files.data, fresh, self.on_disk).disk("write", &self.path)?;
        let first_chunk = self.on_disk - self.on_disk % chunk;
        let aligned = offset.is_multiple_of(chunk) && offset <= first_chunk && !checksums.is_empty();
        let sums = if aligned {
            let skip = usize::try_from((first_chunk - offset) / chunk).unwrap_or(usize::MAX);
            checksums.get(skip.saturating_mul(CRC_BYTES)..).unwrap_or_default()
        } else {
            self.compute_sums(fresh);
            &self.sums
        };
        self.files
            .meta
            .write_all_at(sums, sum_position(first_chunk, self.files.chunk))
            .disk("write checksums of", &self.path)?;
        let last = sums.last_chunk::<CRC_BYTES>().map_or(0, |sum| u32::from_be_bytes(*sum));
        Ok(if end.is_multiple_of(chunk) { 0 } else { last })
    }

    /// Computes the checksums of all chunks that `fresh`, which follows what is on the disk, touches.
    fn compute_sums(&mut self, fresh: &[u8]) {
        self.sums.clear();
        let chunk = self.files.chunk;
        let inside = usize::try_from(self.on_disk % chunk as u64).unwrap_or(0);
        let mut rest = fresh;
        if inside > 0 {
            let (head, tail) = fresh.split_at(fresh.len().min(chunk - inside));
            self.sums.extend_from_slice(&checksum::extend_crc(self.tail_crc, head).to_be_bytes());
            rest = tail;
        }
        checksum::append_checksums(&mut self.sums, rest, chunk);
    }

    /// Makes all that was written durable: data and checksums, and with `names` the names of the files too. Without them
    /// only for a replica that is finalized next, which makes its new names durable.
    ///
    /// # Errors
    /// A failed sync.
    pub(crate) fn sync(&self, names: bool) -> Result<()> {
        let sync = || -> Result<()> {
            self.files.data.sync_data().disk("sync", &self.path)?;
            self.files.meta.sync_data().disk("sync checksums of", &self.path)?;
            if let Some(dir) = self.path.parent().filter(|_| names) {
                durable::sync_dir(dir)?;
            }
            Ok(())
        };
        sync().inspect_err(|error| self.store.note_failure(&self.ticket.volume, error))
    }

    /// Whether the rules make every complete replica durable.
    pub(crate) fn sync_on_close(&self) -> bool {
        self.store.sync_on_close()
    }

    /// Bytes that one checksum covers.
    pub(crate) fn chunk(&self) -> usize {
        self.files.chunk
    }

    /// The copy stays.
    pub(crate) fn keep(&mut self) {
        self.temporary = false;
    }

    /// Drops the replica that was being made.
    fn drop_replica(&self) {
        let mut state = self.ticket.entry.lock();
        if !self.ticket.holds(state.replica.as_ref()) {
            return;
        }
        if let Some(replica) = state.replica.take() {
            self.store.unlink(&replica);
            if matches!(replica.state, State::Rbw(_)) {
                self.store.deleted_event(replica.volume.id, replica.block());
            }
        }
        self.store.map.tidy(self.ticket.block.id, &mut state);
    }
}

impl Drop for ReplicaWriter {
    fn drop(&mut self) {
        if self.temporary || self.stillborn {
            self.drop_replica();
        }
        self.ticket.writing.detach();
    }
}

/// Writes in pieces that end at multiples of [`WRITE_PIECE`].
fn write_pieces(file: &File, data: &[u8], at: u64) -> std::io::Result<()> {
    let mut at = at;
    let mut rest = data;
    while !rest.is_empty() {
        let to_boundary = WRITE_PIECE - at % WRITE_PIECE;
        let len = usize::try_from(to_boundary).unwrap_or(usize::MAX).min(rest.len());
        let (piece, after) = rest.split_at(len);
        file.write_all_at(piece, at)?;
        at = at.saturating_add(len as u64);
        rest = after;
    }
    Ok(())
}

/// Writes the header of a new meta file.
pub(crate) fn begin_meta(files: &Files) -> std::io::Result<()> {
    let chunk = u32::try_from(files.chunk).unwrap_or(u32::MAX);
    files.meta.write_all_at(&checksum::encode_meta_header(chunk), 0)
}
