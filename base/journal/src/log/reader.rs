//! Reads the records of one segment in order, and judges its end: clean, room, torn, or corrupt.

use super::codec::{CLUSTER_BYTES_MAX, Decoded, Header, RECORD_HEAD, Record, decode_record, later_write};
use super::disk::segment_name;
use crate::error::JournalError;
use mammoth_platform::PlatformError;
use mammoth_protocol::{Seq, Term};
use std::io::Read;

const CHUNK: usize = 256 * 1024;
/// Most bytes behind a bad record that are searched for a good one; a segment is rolled long before.
const SEARCH_BYTES_MAX: usize = 512 * 1024 * 1024;

/// A segment that is being read.
pub struct SegmentReader<R> {
    name: String,
    input: R,
    window: Vec<u8>,
    start: usize,
    /// Place of `window[start]` in the segment.
    position: u64,
    at_end: bool,
    header: Header,
    next: Seq,
    term: Term,
}

/// Records at the end of a segment that a crash cut short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    /// Where the segment has to be cut.
    pub at: u64,
    /// Bytes from there to its end, or to where zeros begin that reach there.
    pub bytes: u64,
    /// What was found there.
    pub what: &'static str,
}

/// What comes next in a segment.
#[derive(Debug)]
pub enum Next<'a> {
    /// A record, and where it stands.
    Record(Record<'a>, u64),
    /// The end, right behind the last record: here.
    End(u64),
    /// The end, and from here on zeros: the room of a segment that was open when its process was killed.
    Room(u64),
    /// A record that was never synced; the segment ends before it.
    Torn(Torn),
}

impl<R: Read> SegmentReader<R> {
    /// Reads the header of segment `segment`.
    ///
    /// # Errors
    /// A header that is damaged, newer, or of another segment: it was written whole before the segment got its name.
    pub fn open(segment: Seq, input: R) -> Result<Self, JournalError> {
        let header = Header { cluster: String::new(), term: Term(0), first: segment };
        let mut reader = Self {
            name: segment_name(segment),
            input,
            window: Vec::new(),
            start: 0,
            position: 0,
            at_end: false,
            header,
            next: segment,
            term: Term(0),
        };
        reader.fill(CLUSTER_BYTES_MAX + 64)?;
        let (header, length) = Header::decode(&reader.window).map_err(|bad| reader.corrupt(bad.to_string()))?;
        if header.first != segment {
            return Err(reader.corrupt(format!("the header is of segment {}", segment_name(header.first))));
        }
        reader.term = header.term;
        reader.header = header;
        reader.skip(length);
        Ok(reader)
    }

    /// Its header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Term of the last record read, the header's before the first.
    pub fn term(&self) -> Term {
        self.term
    }

    /// Sequence of the record that comes next.
    pub fn next_seq(&self) -> Seq {
        self.next
    }

    /// The next record.
    ///
    /// # Errors
    /// A record that was once whole and is not any more, or that is not the one expected; the disk fails.
    pub fn read_next(&mut self) -> Result<Next<'_>, JournalError> {
        let (seq, term, place, length) = loop {
            let need = match decode_record(self.rest()) {
                Decoded::Record(record) => break (record.seq, record.term, record.place, record.encoded_len()),
                Decoded::More(_) if self.at_end && self.rest().is_empty() => return Ok(Next::End(self.position)),
                Decoded::More(_) if self.at_end => return self.judge("it is cut short"),
                Decoded::More(need) => need,
                Decoded::Bad(what) => return self.judge(what),
            };
            self.fill(need)?;
        };
        if seq != self.next {
            return Err(self.corrupt(format!("record {seq} stands where record {} is expected", self.next)));
        }
        if term < self.term {
            return Err(self.corrupt(format!("record {seq} is of term {term}, after term {}", self.term)));
        }
        (self.next, self.term) = (Seq(seq.0 + 1), term);
        let (start, position) = (self.start, self.position);
        self.skip(length);
        let edits = self.window.get(start + RECORD_HEAD..start + length).unwrap_or_default();
        Ok(Next::Record(Record { seq, term, place, edits }, position))
    }

    /// Room, torn, or corrupt: corrupt if a later write follows, as everything before a write was synced before it.
    fn judge(&mut self, what: &'static str) -> Result<Next<'_>, JournalError> {
        self.fill(SEARCH_BYTES_MAX)?;
        if !self.at_end {
            return Err(self.corrupt(format!("record {}: {what}, and far more bytes follow", self.next)));
        }
        let bytes = self.rest().iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        if bytes == 0 {
            return Ok(Next::Room(self.position));
        }
        // The record itself cannot begin at its own first byte, where it was found bad.
        let behind = self.rest().get(1..).unwrap_or_default();
        if let Some((at, seq)) = later_write(behind, self.next) {
            let place = self.position + 1 + at as u64;
            return Err(
                self.corrupt(format!("record {}: {what}, but record {seq} at byte {place} is intact", self.next))
            );
        }
        Ok(Next::Torn(Torn { at: self.position, bytes: bytes as u64, what }))
    }

    fn rest(&self) -> &[u8] {
        self.window.get(self.start..).unwrap_or_default()
    }

    fn skip(&mut self, bytes: usize) {
        self.start += bytes;
        self.position += bytes as u64;
    }

    /// Reads until `need` bytes are at hand or the segment ends.
    fn fill(&mut self, need: usize) -> Result<(), JournalError> {
        if self.start > CHUNK {
            self.window.drain(..self.start);
            self.start = 0;
        }
        while !self.at_end && self.window.len() - self.start < need {
            let before = self.window.len();
            let read = self.input.by_ref().take(CHUNK as u64).read_to_end(&mut self.window);
            read.map_err(|source| PlatformError::Io { action: "read", path: self.name.clone().into(), source })?;
            self.at_end = self.window.len() == before;
        }
        Ok(())
    }

    fn corrupt(&self, what: String) -> JournalError {
        JournalError::CorruptLog { segment: self.name.clone(), position: self.position, what }
    }
}
