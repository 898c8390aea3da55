//! The frames of a run in memory: lent where they lie, unless they are compressed.

use crate::error::RuntimeError;
use crate::run::RunMemory;
use crate::shuffle::unpack;
use mammoth_protocol::jobs::shuffle::{Codec, FRAME_HEADER_LEN, FrameHeader};
use std::ops::Range;

/// See the module. The memory is given back when this goes.
pub(super) struct Resident {
    run: RunMemory,
    /// Where the next frame begins.
    next: usize,
    /// Where the payload of the present one lies in the run, unless it is in `raw`.
    stored: Range<usize>,
    raw: Vec<u8>,
    is_raw: bool,
}

impl Resident {
    pub(super) fn new(run: RunMemory) -> Self {
        Self { run, next: 0, stored: 0..0, raw: Vec::new(), is_raw: false }
    }

    /// Moves on to the next frame; `false` at the end.
    pub(super) fn advance(&mut self) -> Result<bool, RuntimeError> {
        (self.stored, self.is_raw) = (0..0, false);
        let Some((header, stored)) = frame_at(&self.run.bytes, self.next)? else { return Ok(false) };
        let bytes = self.run.bytes.get(stored.clone()).unwrap_or_default();
        header.verify(bytes).map_err(|error| Self::corrupt(&error.to_string()))?;
        if header.codec == Codec::Lz4 {
            unpack(&header, bytes, &mut self.raw).map_err(Self::corrupt)?;
            self.is_raw = true;
        }
        self.next = stored.end;
        self.stored = stored;
        Ok(true)
    }

    /// The payload of the present frame.
    #[inline]
    pub(super) fn payload(&self) -> &[u8] {
        if self.is_raw { &self.raw } else { self.run.bytes.get(self.stored.clone()).unwrap_or_default() }
    }

    pub(super) fn corrupt(why: &str) -> RuntimeError {
        RuntimeError::Corrupt { what: "a segment in memory".to_owned(), why: why.to_owned() }
    }
}

/// The frame that begins at `at`: its header, and where its payload lies; `None` at the end.
fn frame_at(bytes: &[u8], at: usize) -> Result<Option<(FrameHeader, Range<usize>)>, RuntimeError> {
    let rest = bytes.get(at..).unwrap_or_default();
    if rest.is_empty() {
        return Ok(None);
    }
    let torn = || Resident::corrupt("the segment ends within a frame");
    let head: &[u8; FRAME_HEADER_LEN] = rest.first_chunk().ok_or_else(torn)?;
    let header = FrameHeader::decode(head).map_err(|error| Resident::corrupt(&error.to_string()))?;
    let start = at + FRAME_HEADER_LEN;
    let payload = start..start.saturating_add(header.len as usize);
    if payload.end > bytes.len() {
        return Err(torn());
    }
    Ok(Some((header, payload)))
}

/// Bytes that reading a run's frames takes beyond the run itself: the largest of those that are compressed.
pub(crate) fn unpacked_max(bytes: &[u8]) -> u64 {
    let (mut at, mut largest) = (0, 0);
    // What is wrong with them is found when they are read.
    while let Ok(Some((header, payload))) = frame_at(bytes, at) {
        if header.codec == Codec::Lz4 {
            largest = largest.max(header.raw_len);
        }
        at = payload.end;
    }
    u64::from(largest)
}
