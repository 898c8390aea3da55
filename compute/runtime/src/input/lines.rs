//! Lines of a piece of a text file, without a copy or an allocation for each.
//!
//! A line ends with `\n`, `\r\n` or `\r`. A piece that does not start its file leaves out everything up to its first line
//! end, and every piece reads on to the end of the line that starts at or before its own end: so each line belongs to
//! exactly one piece, wherever the cuts are.

use super::RecordReader;
use crate::error::RuntimeError;
use mammoth_platform::{Clock, IoBuffer, SystemClock};
use std::io::Read;

/// Bytes asked for at once within the piece.
const CHUNK: usize = 512 * 1024;
/// Bytes asked for at once beyond its end, where a line's rest is all that is wanted.
const TAIL: usize = 16 * 1024;
/// Longest line (Hadoop: the largest array).
const LINE_MAX: usize = i32::MAX as usize;
/// What some editors write before the first line.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What reading took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadStats {
    /// Bytes that came from the source.
    pub bytes: u64,
    /// Time spent waiting for them and verifying them, nanoseconds.
    pub ns: u64,
}

/// See the module. The source stands at the start of the piece.
#[derive(Debug)]
pub struct LineReader<R> {
    source: R,
    label: String,
    buffer: IoBuffer,
    /// What of the buffer is not handed out yet.
    at: usize,
    filled: usize,
    /// Position in the file of `at`.
    offset: u64,
    start: u64,
    end: u64,
    is_source_at_end: bool,
    stats: ReadStats,
}

impl<R: Read> LineReader<R> {
    /// A reader of `len` bytes from `start` on; `label` names the piece in errors.
    ///
    /// # Errors
    /// The first bytes cannot be read.
    pub fn new(source: R, label: String, start: u64, len: u64) -> Result<Self, RuntimeError> {
        let end = start.saturating_add(len);
        let (buffer, stats) = (IoBuffer::default(), ReadStats::default());
        let is_source_at_end = false;
        let mut reader =
            Self { source, label, buffer, at: 0, filled: 0, offset: start, start, end, is_source_at_end, stats };
        if start > 0 {
            reader.next_line()?;
        } else {
            reader.skip_byte_order_mark()?;
        }
        Ok(reader)
    }

    /// The next line without its end, and where it starts in the file.
    ///
    /// # Errors
    /// The source fails, or a line is longer than 2^31 - 1 bytes.
    pub fn next_line(&mut self) -> Result<Option<(u64, &[u8])>, RuntimeError> {
        if self.offset > self.end {
            return Ok(None);
        }
        let start = self.offset;
        let mut searched = 0;
        let (len, taken) = loop {
            let unread = self.buffer.get(self.at + searched..self.filled).unwrap_or_default();
            match memchr::memchr2(b'\n', b'\r', unread) {
                Some(found) => {
                    let len = searched + found;
                    match self.line_end(len) {
                        Some(taken) => break (len, taken),
                        // A `\r` is the last byte so far: a `\n` may follow.
                        None => searched = len,
                    }
                }
                None => searched = self.filled - self.at,
            }
            if !self.fill()? {
                let rest = self.filled - self.at;
                if rest == 0 {
                    return Ok(None);
                }
                break (searched, rest);
            }
        };
        let from = self.at;
        self.at += taken;
        self.offset += taken as u64;
        Ok(Some((start, self.buffer.get(from..from + len).unwrap_or_default())))
    }

    /// Length of a line of `len` bytes with its end; `None` if that depends on bytes that are not there yet.
    fn line_end(&self, len: usize) -> Option<usize> {
        let after = self.buffer.get(self.at + len..self.filled).unwrap_or_default();
        match after {
            [b'\r', b'\n', ..] => Some(len + 2),
            [b'\r'] if !self.is_source_at_end => None,
            _ => Some(len + 1),
        }
    }

    /// Gets more bytes; false at the end of the source. What is unread moves to the front of the buffer.
    fn fill(&mut self) -> Result<bool, RuntimeError> {
        if self.is_source_at_end {
            return Ok(false);
        }
        if self.at > 0 {
            self.buffer.copy_within(self.at..self.filled, 0);
            self.filled -= self.at;
            self.at = 0;
        }
        if self.filled > LINE_MAX {
            let why = format!("a line of more than {LINE_MAX} bytes at offset {}", self.offset);
            return Err(RuntimeError::Corrupt { what: self.label.clone(), why });
        }
        let position = self.offset.saturating_add(self.filled as u64);
        let left = usize::try_from(self.end.saturating_sub(position)).unwrap_or(CHUNK);
        let wanted = if left == 0 { TAIL } else { left.min(CHUNK) };
        if self.buffer.len() < self.filled + wanted {
            self.buffer.resize(self.filled + wanted);
        }
        let room = self.buffer.get_mut(self.filled..self.filled + wanted).unwrap_or_default();
        let before = SystemClock.monotonic_ns();
        let got = loop {
            match self.source.read(room) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                done => break done.map_err(|source| RuntimeError::Io { what: self.label.clone(), source })?,
            }
        };
        self.stats.ns += SystemClock.monotonic_ns().saturating_sub(before);
        self.stats.bytes += got as u64;
        self.filled += got;
        self.is_source_at_end = got == 0;
        Ok(got > 0)
    }

    fn skip_byte_order_mark(&mut self) -> Result<(), RuntimeError> {
        while self.filled < BYTE_ORDER_MARK.len() && self.fill()? {}
        if self.buffer.get(..self.filled).is_some_and(|head| head.starts_with(BYTE_ORDER_MARK)) {
            self.at = BYTE_ORDER_MARK.len();
            self.offset += BYTE_ORDER_MARK.len() as u64;
            // The line behind it is that of this piece, even where the piece ends within the mark.
            self.end = self.end.max(self.offset);
        }
        Ok(())
    }

    /// What reading took so far.
    #[must_use]
    pub fn stats(&self) -> ReadStats {
        self.stats
    }

    /// Share of the piece that was handed out, 0 to 1.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a share for people")]
    pub fn progress(&self) -> f32 {
        let len = self.end - self.start;
        if len == 0 { 1.0 } else { ((self.offset - self.start) as f32 / len as f32).min(1.0) }
    }
}

impl<R: Read + Send> RecordReader for LineReader<R> {
    fn next(&mut self) -> Result<Option<(u64, &[u8])>, RuntimeError> {
        self.next_line()
    }

    fn progress(&self) -> f32 {
        self.progress()
    }

    fn stats(&self) -> ReadStats {
        self.stats
    }
}
