//! One block from the open files of its replica, verified.
//!
//! Data goes straight into the caller's buffer, in pieces that are verified while they are still in the core's cache. What
//! does not begin or end with a chunk goes through a buffer of our own.

use super::stream::Failure;
use mammoth_net::data::domain::FILES;
use mammoth_protocol::datatransfer::checksum::{self, CRC_BYTES, META_HEADER};
use std::fs::File;
use std::os::unix::fs::FileExt;

/// Bytes that are read and verified at once.
const PIECE: usize = 128 * 1024;
/// Checksums that are read at once: those of 1 MiB of data.
const SUMS: usize = 2048;

/// An open replica.
pub(super) struct LocalBlock {
    data: File,
    meta: File,
    chunk: usize,
    /// Next byte to hand out, in the block.
    at: u64,
    /// Where the block ends as far as its reader knows.
    end: u64,
    /// Where the replica ends. It may have grown since its reader learnt of the block.
    replica_end: u64,
    /// Checksums of the chunks from `sums_from` on.
    sums: Vec<u8>,
    sums_from: u64,
    /// Verified data from `kept_from` on.
    kept: Vec<u8>,
    kept_from: u64,
}

impl LocalBlock {
    /// Reads a block of `end` bytes from `at` on.
    pub(super) fn open(files: [File; FILES], at: u64, end: u64) -> Result<Self, Failure> {
        let [data, meta] = files;
        let mut header = [0; META_HEADER];
        meta.read_exact_at(&mut header, 0)?;
        let chunk = checksum::parse_meta_header(header)?;
        let replica_end = data.metadata()?.len();
        if replica_end < end {
            return Err(Failure::Other(format!("the replica has {replica_end} of {end} bytes")));
        }
        // Read to its end as a rule: the disk reads on while the caller uses what it has. A hint, and nothing is lost if the file
        // system does not take it.
        let _ = rustix::fs::fadvise(&data, at, None, rustix::fs::Advice::Sequential);
        Ok(Self {
            data,
            meta,
            chunk,
            at,
            end,
            replica_end,
            sums: Vec::new(),
            sums_from: 0,
            kept: Vec::new(),
            kept_from: 0,
        })
    }

    /// Whether all was handed out.
    pub(super) fn is_done(&self) -> bool {
        self.at >= self.end
    }

    /// Goes on at another position.
    pub(super) fn seek(&mut self, at: u64) {
        self.at = at;
    }

    /// Reads verified data, one byte at least unless the block is done or `out` is empty. After an error `out` may hold
    /// anything.
    pub(super) fn read(&mut self, out: &mut [u8]) -> Result<usize, Failure> {
        let mut filled = 0;
        while let Some(room) = out.get_mut(filled..).filter(|room| !room.is_empty())
            && !self.is_done()
        {
            match self.read_piece(room) {
                Ok(read) => filled += read,
                // What is there is verified; whoever reads on meets the failure again.
                Err(_) if filled > 0 => break,
                Err(failure) => return Err(failure),
            }
        }
        Ok(filled)
    }

    fn read_piece(&mut self, out: &mut [u8]) -> Result<usize, Failure> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let out_len = out.len().min(left);
        let out = out.get_mut(..out_len).unwrap_or_default();
        let chunk = self.chunk;
        let step = (PIECE / chunk).max(1) * chunk;
        let direct = if out.len() >= step {
            step
        } else if self.at + out.len() as u64 == self.replica_end {
            out.len()
        } else {
            out.len() - out.len() % chunk
        };
        let taken = if self.at.is_multiple_of(chunk as u64) && direct > 0 {
            let out = out.get_mut(..direct).unwrap_or_default();
            self.data.read_exact_at(out, self.at)?;
            self.verify(self.at, out)?;
            direct
        } else {
            self.take_kept(out)?
        };
        self.at += taken as u64;
        Ok(taken)
    }

    /// Takes what lies at the position in `kept`, which is filled before if it has nothing of it.
    fn take_kept(&mut self, out: &mut [u8]) -> Result<usize, Failure> {
        let kept_to = self.kept_from + self.kept.len() as u64;
        if !(self.kept_from..kept_to).contains(&self.at) {
            let mut kept = std::mem::take(&mut self.kept);
            let from = self.at - self.at % self.chunk as u64;
            let step = (PIECE / self.chunk).max(1) * self.chunk;
            // No more than asked for is read: the next read may be elsewhere.
            let asked = (self.at + out.len() as u64).next_multiple_of(self.chunk as u64).min(self.replica_end);
            kept.resize(usize::try_from(asked - from).unwrap_or(step).min(step), 0);
            self.data.read_exact_at(&mut kept, from)?;
            self.verify(from, &kept)?;
            self.kept = kept;
            self.kept_from = from;
        }
        let before = usize::try_from(self.at - self.kept_from).unwrap_or(usize::MAX);
        let rest = self.kept.get(before..).unwrap_or_default();
        let taken = rest.len().min(out.len());
        if let (Some(to), Some(from)) = (out.get_mut(..taken), rest.get(..taken)) {
            to.copy_from_slice(from);
        }
        Ok(taken)
    }

    /// Checks data that starts at a chunk boundary, and ends at one or with the replica.
    fn verify(&mut self, at: u64, data: &[u8]) -> Result<(), Failure> {
        let first = at / self.chunk as u64;
        let count = data.len().div_ceil(self.chunk);
        let known = self.sums_from + (self.sums.len() / CRC_BYTES) as u64;
        if first < self.sums_from || first + count as u64 > known {
            self.read_sums(first, count)?;
        }
        let from = usize::try_from(first - self.sums_from).unwrap_or(usize::MAX).saturating_mul(CRC_BYTES);
        let sums = self.sums.get(from..from.saturating_add(count * CRC_BYTES)).unwrap_or_default();
        checksum::verify(data, sums, self.chunk)
            .map_err(|error| Failure::Corrupt(format!("behind {at} of the block: {error}")))
    }

    /// Reads the checksums of `count` chunks from `first` on, and of some more.
    fn read_sums(&mut self, first: u64, count: usize) -> Result<(), Failure> {
        let left = self.replica_end.div_ceil(self.chunk as u64).saturating_sub(first);
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(count.max(SUMS));
        let mut sums = std::mem::take(&mut self.sums);
        sums.resize(count * CRC_BYTES, 0);
        self.meta.read_exact_at(&mut sums, META_HEADER as u64 + first * CRC_BYTES as u64)?;
        self.sums = sums;
        self.sums_from = first;
        Ok(())
    }
}
