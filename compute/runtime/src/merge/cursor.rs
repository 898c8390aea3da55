//! One sorted stream, with the present record located.
//!
//! Runs in memory are read where they lie: many are merged at once, and a copy of a frame of each would take as much again as was
//! reserved for them. Compressed frames cannot be had without one; [`super::passes`] sees to it that there is room.

use super::RecordStream;
use super::resident::Resident;
use crate::error::RuntimeError;
use crate::key;
use crate::record;
use crate::run::{RunMemory, Tick};
use crate::shuffle::{FileRange, Segment, SegmentReader, buffered};
use std::fs::File;
use std::io::BufReader;
use std::ops::Range;
use std::sync::Arc;

/// The frames of a segment, from wherever they are.
enum Frames {
    File(SegmentReader<BufReader<FileRange>>),
    Memory(Resident),
}

impl Frames {
    fn advance(&mut self) -> Result<bool, RuntimeError> {
        match self {
            Self::File(reader) => reader.advance(),
            Self::Memory(resident) => resident.advance(),
        }
    }

    #[inline]
    fn payload(&self) -> &[u8] {
        match self {
            Self::File(reader) => reader.frame().payload,
            Self::Memory(resident) => resident.payload(),
        }
    }

    fn corrupt(&self, why: &str) -> RuntimeError {
        match self {
            Self::File(reader) => reader.corrupt(why),
            Self::Memory(_) => Resident::corrupt(why),
        }
    }
}

/// The records of one segment, in the order in which they are stored.
pub struct Cursor {
    /// `None` at the end: file, buffers and memory are given back then.
    segment: Option<Frames>,
    tick: Option<Tick>,
    key: Range<usize>,
    value: Range<usize>,
    prefix: u64,
    /// Bytes of the present frame.
    end: usize,
}

impl std::fmt::Debug for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cursor").field("key", &self.key).field("value", &self.value).finish_non_exhaustive()
    }
}

impl Cursor {
    fn new(frames: Frames, tick: Option<Tick>) -> Self {
        Self { segment: Some(frames), tick, key: 0..0, value: 0..0, prefix: 0, end: 0 }
    }

    /// The records of a segment of a file; `what` names it in errors.
    #[must_use]
    pub fn of_file(file: Arc<File>, segment: Segment, what: String, tick: Option<Tick>) -> Self {
        Self::new(Frames::File(SegmentReader::new(buffered(file, segment), segment.len, what)), tick)
    }

    /// The records of a run in memory.
    #[must_use]
    pub fn of_memory(run: RunMemory, tick: Option<Tick>) -> Self {
        Self::new(Frames::Memory(Resident::new(run)), tick)
    }

    /// See [`key::prefix`].
    #[inline]
    pub(crate) fn prefix(&self) -> u64 {
        self.prefix
    }

    #[inline]
    fn payload(&self) -> &[u8] {
        self.segment.as_ref().map_or(&[], Frames::payload)
    }

    #[cold]
    fn malformed(&self) -> RuntimeError {
        let why = record::RecordError.to_string();
        match &self.segment {
            Some(segment) => segment.corrupt(&why),
            None => RuntimeError::Corrupt { what: "a segment".to_owned(), why },
        }
    }

    /// Reads on to a frame with records.
    fn next_frame(&mut self) -> Result<bool, RuntimeError> {
        loop {
            let Some(segment) = &mut self.segment else { return Ok(false) };
            if let Some(tick) = &self.tick {
                tick()?;
            }
            (self.key, self.value) = (0..0, 0..0);
            if !segment.advance()? {
                (self.segment, self.end) = (None, 0);
                return Ok(false);
            }
            self.end = segment.payload().len();
            if self.end > 0 {
                return Ok(true);
            }
        }
    }
}

impl RecordStream for Cursor {
    #[inline]
    fn advance(&mut self) -> Result<bool, RuntimeError> {
        if self.value.end >= self.end && !self.next_frame()? {
            return Ok(false);
        }
        let payload = self.payload();
        let Ok((key, value)) = record::locate(payload, self.value.end) else { return Err(self.malformed()) };
        self.prefix = key::prefix(payload.get(key.clone()).unwrap_or_default());
        (self.key, self.value) = (key, value);
        Ok(true)
    }

    #[inline]
    fn key(&self) -> &[u8] {
        self.payload().get(self.key.clone()).unwrap_or_default()
    }

    #[inline]
    fn value(&self) -> &[u8] {
        self.payload().get(self.value.clone()).unwrap_or_default()
    }
}
