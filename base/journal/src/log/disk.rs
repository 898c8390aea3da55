//! The disk below an edit log, as a trait, so that a simulator can supply one that loses what was not synced.

use crate::error::JournalError;
use mammoth_protocol::Seq;
use std::io::Read;

/// Segments, each named by the sequence of its first record; one of them is open for appending.
///
/// After a crash a segment that was created is there with at least its header, a segment that was deleted is gone, and of
/// what was appended at least everything up to the last successful [`LogDisk::sync`]. Zeros may follow in the last one: the
/// disk makes room ahead.
pub trait LogDisk {
    /// All segments, in order.
    ///
    /// # Errors
    /// The disk fails.
    fn segments(&self) -> Result<Vec<Seq>, JournalError>;

    /// Reads a segment from its start.
    ///
    /// # Errors
    /// No such segment, or the disk fails.
    fn read(&self, segment: Seq) -> Result<Box<dyn Read + '_>, JournalError>;

    /// Ends the open segment behind its last record, durably. Then creates one that holds `header` (replacing one of the same
    /// name), durably and all at once, and opens it for appending.
    ///
    /// # Errors
    /// The disk fails. None may be open then, and the caller must not append again.
    fn create(&mut self, segment: Seq, header: &[u8]) -> Result<(), JournalError>;

    /// Cuts a segment to `length` bytes, durably.
    ///
    /// # Errors
    /// No such segment, or the disk fails.
    fn cut(&mut self, segment: Seq, length: u64) -> Result<(), JournalError>;

    /// Appends to the open segment. Durable only after [`Self::sync`].
    ///
    /// # Errors
    /// The disk fails or is full; part of the bytes may have been appended. The caller must not append again.
    fn append(&mut self, bytes: &[u8]) -> Result<(), JournalError>;

    /// Makes everything appended to the open segment durable.
    ///
    /// # Errors
    /// The disk fails. Nothing is known about the appended bytes then, and the caller must not try again.
    fn sync(&mut self) -> Result<(), JournalError>;

    /// Deletes a segment that is not open, durably.
    ///
    /// # Errors
    /// The disk fails.
    fn remove(&mut self, segment: Seq) -> Result<(), JournalError>;
}

/// File name of a segment.
#[must_use]
pub fn segment_name(segment: Seq) -> String {
    format!("edits_{:020}", segment.0)
}

/// The segment of a file name, if it is one.
#[must_use]
pub fn segment_of_name(name: &str) -> Option<Seq> {
    let digits = name.strip_prefix("edits_")?;
    if digits.len() != 20 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().map(Seq)
}
