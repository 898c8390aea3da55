//! One sorted stream, with the present record located.

use super::RecordStream;
use crate::error::RuntimeError;
use crate::key;
use crate::memory::Reservation;
use crate::record;
use crate::run::{RunMemory, Tick};
use crate::shuffle::{FileRange, Segment, SegmentReader, buffered};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::ops::Range;
use std::sync::Arc;

/// The bytes of a segment, from wherever they are.
enum Bytes {
    File(BufReader<FileRange>),
    Memory { bytes: io::Cursor<Vec<u8>>, _reservation: Reservation },
}

impl Read for Bytes {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(out),
            Self::Memory { bytes, .. } => bytes.read(out),
        }
    }

    fn read_exact(&mut self, out: &mut [u8]) -> io::Result<()> {
        match self {
            Self::File(file) => file.read_exact(out),
            Self::Memory { bytes, .. } => bytes.read_exact(out),
        }
    }
}

/// The records of one segment, in the order in which they are stored.
pub struct Cursor {
    /// `None` at the end: file, buffers and memory are given back then.
    segment: Option<SegmentReader<Bytes>>,
    tick: Option<Tick>,
    key: Range<usize>,
    value: Range<usize>,
    prefix: u64,
    /// Bytes of the present frame.
    end: usize,
}

impl std::fmt::Debug for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cursor").field("segment", &self.segment).field("key", &self.key).finish_non_exhaustive()
    }
}

impl Cursor {
    fn new(bytes: Bytes, len: u64, what: String, tick: Option<Tick>) -> Self {
        let segment = Some(SegmentReader::new(bytes, len, what));
        Self { segment, tick, key: 0..0, value: 0..0, prefix: 0, end: 0 }
    }

    /// The records of a segment of a file; `what` names it in errors.
    #[must_use]
    pub fn of_file(file: Arc<File>, segment: Segment, what: String, tick: Option<Tick>) -> Self {
        Self::new(Bytes::File(buffered(file, segment)), segment.len, what, tick)
    }

    /// The records of a run in memory.
    #[must_use]
    pub fn of_memory(run: RunMemory, tick: Option<Tick>) -> Self {
        let RunMemory { bytes, reservation } = run;
        let len = bytes.len() as u64;
        let bytes = Bytes::Memory { bytes: io::Cursor::new(bytes), _reservation: reservation };
        Self::new(bytes, len, "a segment in memory".to_owned(), tick)
    }

    /// See [`key::prefix`].
    #[inline]
    pub(crate) fn prefix(&self) -> u64 {
        self.prefix
    }

    #[inline]
    fn payload(&self) -> &[u8] {
        self.segment.as_ref().map_or(&[], |segment| segment.frame().payload)
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
            self.end = segment.frame().payload.len();
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
