//! Reading a replica: its files and the length up to which they can be read, taken at one moment.
//!
//! Of a replica that is being written, the bytes up to that length do not change any more, and neither do the checksums of
//! its full chunks. The checksum of the last, partial chunk does: it is taken from the writer together with the length.

use super::Store;
use super::pipeline::bad;
use super::replica::State;
use super::verify::Files;
use crate::error::{DatanodeError, Result};
use mammoth_protocol::datatransfer::checksum::{self, CRC_BYTES};
use mammoth_protocol::{Block, StorageId};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

/// How long a reader waits for bytes that another node has already told it of.
const WAIT_FOR_BYTES: Duration = Duration::from_secs(3);

/// An open replica.
#[derive(Debug)]
pub(crate) struct ReplicaReader {
    files: Files,
    /// Identity as the replica has it; the length is what can be read.
    pub(crate) block: Block,
    /// Its volume.
    pub(crate) storage: StorageId,
    /// Complete: its files' bytes will not change.
    pub(crate) complete: bool,
    /// Checksum of the partial chunk at the end, where the file's own may be of more bytes.
    tail_crc: Option<u32>,
}

impl Store {
    /// Opens the replica of `block` of which at least `need` bytes must be readable. The replica may be newer than the
    /// block's stamp, never older.
    ///
    /// # Errors
    /// No such replica, an older one, one that cannot be read before its recovery. A replica whose files are missing or
    /// too short is set aside.
    pub(crate) fn open_reader(&self, block: Block, need: u64) -> Result<ReplicaReader> {
        let result = self.open_reader_once(block, need);
        if let Some((storage, found, reason)) = result.as_ref().err().and_then(DatanodeError::bad_replica) {
            self.set_aside(storage, found, reason);
        }
        result
    }

    fn open_reader_once(&self, block: Block, need: u64) -> Result<ReplicaReader> {
        let entry = self.map.find(block.id).ok_or(DatanodeError::NotFound { block })?;
        let writing = entry.lock().replica.as_ref().and_then(|replica| replica.state.writing().map(Arc::clone));
        if let Some(writing) = writing {
            // Another node may have acknowledged more than this one has on its disk at the moment.
            writing.wait_on_disk(need, WAIT_FOR_BYTES);
        }
        let state = entry.lock();
        let replica = state.replica.as_ref().ok_or(DatanodeError::NotFound { block })?;
        replica.volume.check_serving()?;
        super::at_least(block, replica)?;
        if replica.visible().is_none() {
            return Err(DatanodeError::State { block, found: replica.state.name(), expected: "finalized or rbw" });
        }
        let (len, tail_crc) = match &replica.state {
            State::Rbw(writing) => {
                let tide = writing.progress();
                (tide.on_disk, Some(tide.tail_crc))
            }
            _ => (replica.len, None),
        };
        let path = replica.data_path();
        let files = Files::open(&path, &replica.meta_path(), len, false).map_err(|unfit| {
            let error = bad(replica, unfit);
            self.note_failure(&replica.volume, &error);
            error
        })?;
        Ok(ReplicaReader {
            files,
            block: Block { len, ..replica.block() },
            storage: replica.volume.id,
            complete: matches!(replica.state, State::Finalized),
            tail_crc,
        })
    }
}

impl ReplicaReader {
    /// Bytes that one checksum covers.
    pub(crate) fn chunk(&self) -> usize {
        self.files.chunk
    }

    /// The open files of a complete replica: data and checksums. Whoever has them reads on when the replica is renamed or
    /// deleted.
    ///
    /// # Errors
    /// A replica that is being written: what of it may be read is known here only.
    pub(crate) fn files(&self) -> Result<[&File; 2]> {
        if self.complete {
            return Ok([&self.files.data, &self.files.meta]);
        }
        Err(DatanodeError::State { block: self.block, found: "unfinished", expected: "finalized" })
    }

    /// The data file.
    pub(crate) fn data(&self) -> &File {
        &self.files.data
    }

    /// Reads the checksums of `len` bytes from `pos`, a chunk boundary. The range ends at a chunk boundary or at the end.
    ///
    /// # Errors
    /// A checksum file that is shorter than it was, or cannot be read: [`DatanodeError::Bad`].
    pub(crate) fn read_sums(&self, pos: u64, len: usize, sums: &mut Vec<u8>) -> Result<()> {
        sums.resize(checksum::checksums_len(len, self.files.chunk), 0);
        let read = self.files.meta.read_exact_at(sums, self.files.sum_position(pos));
        self.readable(read, "checksums")?;
        let at_end = pos + len as u64 == self.block.len && !self.block.len.is_multiple_of(self.files.chunk as u64);
        if at_end && let (Some(crc), Some(last)) = (self.tail_crc, sums.last_chunk_mut::<CRC_BYTES>()) {
            *last = crc.to_be_bytes();
        }
        Ok(())
    }

    /// Reads `data.len()` bytes from `pos`.
    ///
    /// # Errors
    /// As [`Self::read_sums`].
    pub(crate) fn read_data(&self, pos: u64, data: &mut [u8]) -> Result<()> {
        self.readable(self.files.data.read_exact_at(data, pos), "data")
    }

    /// A replica that ends early or cannot be read is bad.
    fn readable(&self, read: std::io::Result<()>, what: &str) -> Result<()> {
        read.map_err(|error| self.bad(format!("its {what} cannot be read: {error}")))
    }

    /// The replica is bad.
    pub(crate) fn bad(&self, reason: String) -> DatanodeError {
        DatanodeError::Bad { block: self.block, storage: self.storage, reason }
    }

    /// Checks data that was read against its checksums.
    ///
    /// # Errors
    /// [`DatanodeError::Bad`].
    pub(crate) fn verify(&self, pos: u64, data: &[u8], sums: &[u8]) -> Result<()> {
        checksum::verify(data, sums, self.files.chunk)
            .map_err(|error| self.bad(format!("wrong bytes behind offset {pos}: {error}")))
    }

    /// Has the kernel read a part of the data before it is asked for.
    pub(crate) fn will_need(&self, offset: u64, len: u64) {
        let len = std::num::NonZeroU64::new(len);
        // A hint: nothing is lost if the file system does not take it.
        let _ = rustix::fs::fadvise(&self.files.data, offset, len, rustix::fs::Advice::WillNeed);
    }

    /// All bytes, verified; for tests.
    #[cfg(test)]
    pub(crate) fn whole(&self) -> Result<Vec<u8>> {
        let mut data = vec![0; usize::try_from(self.block.len).unwrap_or(0)];
        self.read_data(0, &mut data)?;
        let mut sums = Vec::new();
        self.read_sums(0, data.len(), &mut sums)?;
        self.verify(0, &data, &sums)?;
        Ok(data)
    }
}
