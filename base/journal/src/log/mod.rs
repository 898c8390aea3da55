//! The edit log: segments of records, appended and synced in groups.
//!
//! Synchronous and single-threaded over any [`LogDisk`]; the thread around it is [`crate::Journal`]'s, the simulator drives
//! it step by step.

pub mod codec;
mod disk;
mod file_disk;
mod gated_disk;
mod memory_disk;
mod reader;
#[cfg(test)]
mod tests;

pub use disk::{LogDisk, segment_name, segment_of_name};
pub use file_disk::FileDisk;
pub use gated_disk::{Gate, GatedDisk};
pub use memory_disk::{MemoryDisk, Tear};
pub use reader::{Next, SegmentReader, Torn};

use crate::error::JournalError;
use crate::group::Group;
use codec::Header;
use mammoth_protocol::{Seq, Term};
use std::collections::VecDeque;

/// Size at which a segment is ended and the next begun, in bytes.
pub const SEGMENT_BYTES: u64 = 16 * 1024 * 1024;

/// A log that is open for appending.
#[derive(Debug)]
pub struct Log<D> {
    disk: D,
    cluster: String,
    term: Term,
    /// First sequences of all segments; the last one is open.
    segments: VecDeque<Seq>,
    open_bytes: u64,
    last: Seq,
}

impl<D: LogDisk> Log<D> {
    /// Writes the first segment of an empty log.
    ///
    /// # Errors
    /// The disk fails.
    pub fn format(disk: &mut D, cluster: &str) -> Result<(), JournalError> {
        let header = Header { cluster: cluster.to_owned(), term: Term(0), first: Seq(1) };
        disk.create(Seq(1), &header.encode())
    }

    /// Begins a reign: opens a new segment behind record `last`, whose header makes `term` durable. `segments` are those
    /// that the disk holds.
    ///
    /// # Errors
    /// The disk fails.
    pub(crate) fn begin(
        disk: D,
        cluster: &str,
        term: Term,
        last: Seq,
        segments: Vec<Seq>,
    ) -> Result<Self, JournalError> {
        let mut log = Self { disk, cluster: cluster.to_owned(), term, segments: segments.into(), open_bytes: 0, last };
        log.open_next()?;
        Ok(log)
    }

    /// Sequence of the last record appended.
    pub fn last(&self) -> Seq {
        self.last
    }

    /// The term that new segments carry.
    pub fn term(&self) -> Term {
        self.term
    }

    /// How many segments there are.
    pub fn segment_count(&self) -> usize {
        self.segments.len()
    }

    /// Appends a group; durable only after [`Self::sync`].
    ///
    /// # Errors
    /// A group that does not follow the last one; the disk fails or is full. The log must not be used again.
    pub fn append(&mut self, group: &Group) -> Result<(), JournalError> {
        if group.first.0 != self.last.0 + 1 {
            return Err(JournalError::OutOfOrder { found: group.first, last: self.last });
        }
        self.disk.append(&group.bytes)?;
        self.open_bytes += group.bytes.len() as u64;
        self.last = group.last;
        Ok(())
    }

    /// Makes everything appended durable; a segment that has grown large is ended.
    ///
    /// # Errors
    /// The disk fails. The log must not be used again.
    pub fn sync(&mut self) -> Result<(), JournalError> {
        self.disk.sync()?;
        if self.open_bytes >= SEGMENT_BYTES { self.open_next() } else { Ok(()) }
    }

    /// Ends the open segment, unless it is empty, so that a checkpoint can make it superfluous. Everything appended must be
    /// synced.
    ///
    /// # Errors
    /// The disk fails.
    pub fn roll(&mut self) -> Result<(), JournalError> {
        if self.open_bytes > 0 { self.open_next() } else { Ok(()) }
    }

    /// Deletes the segments whose records are all at or before `applied`, and tells how many. The open one stays.
    ///
    /// # Errors
    /// The disk fails.
    pub fn trim(&mut self, applied: Seq) -> Result<usize, JournalError> {
        let mut removed = 0;
        while let (Some(oldest), Some(next)) = (self.segments.front().copied(), self.segments.get(1).copied()) {
            if next.0 > applied.0 + 1 {
                break;
            }
            self.disk.remove(oldest)?;
            self.segments.pop_front();
            removed += 1;
        }
        Ok(removed)
    }

    fn open_next(&mut self) -> Result<(), JournalError> {
        let first = Seq(self.last.0 + 1);
        let header = Header { cluster: self.cluster.clone(), term: self.term, first };
        self.disk.create(first, &header.encode())?;
        // An empty segment is begun anew under the same name.
        if self.segments.back() != Some(&first) {
            self.segments.push_back(first);
        }
        self.open_bytes = 0;
        Ok(())
    }
}
