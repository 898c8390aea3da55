//! Reading frames, each verified before anybody sees it.

use super::paths;
use crate::disk;
use crate::error::RuntimeError;
use mammoth_protocol::jobs::shuffle::{Codec, FRAME_HEADER_LEN, FrameHeader, Index, Segment, ShuffleError};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// Most bytes that are read from a file at a time.
const BUFFER: u64 = 64 * 1024;

/// A part of a file that others read, too.
#[derive(Debug)]
pub struct FileRange {
    file: Arc<File>,
    at: u64,
    end: u64,
}

impl FileRange {
    /// The bytes of `file` from `at`, `len` of them.
    #[must_use]
    pub fn new(file: Arc<File>, at: u64, len: u64) -> Self {
        Self { file, at, end: at.saturating_add(len) }
    }
}

impl Read for FileRange {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let wanted = out.len().min(left);
        let read = self.file.read_at(out.get_mut(..wanted).unwrap_or_default(), self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// A frame as its writer gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Decompressed.
    pub payload: &'a [u8],
    /// What the writer counted.
    pub records: u32,
}

/// Decompresses a verified payload, whose header was decoded: its lengths are within their limits.
pub(crate) fn unpack(header: &FrameHeader, stored: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
    let len = header.raw_len as usize;
    out.resize(len, 0);
    match lz4_flex::block::decompress_into(stored, out) {
        Ok(found) if found == len => Ok(()),
        _ => Err("a frame does not decompress to the length that it claims"),
    }
}

/// Reads the frames of one segment.
pub struct SegmentReader<R> {
    reader: R,
    what: String,
    /// Bytes that must still come.
    left: u64,
    frame: FrameBuffer,
}

/// The frame that was read last. The buffers only grow.
#[derive(Default)]
struct FrameBuffer {
    stored: Vec<u8>,
    raw: Vec<u8>,
    /// Which of the two holds the payload, and how much of it.
    is_raw: bool,
    len: usize,
    records: u32,
}

impl FrameBuffer {
    #[inline]
    fn payload(&self) -> &[u8] {
        let from = if self.is_raw { &self.raw } else { &self.stored };
        from.get(..self.len).unwrap_or_default()
    }
}

impl<R> std::fmt::Debug for SegmentReader<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SegmentReader").field("what", &self.what).field("left", &self.left).finish_non_exhaustive()
    }
}

impl SegmentReader<BufReader<FileRange>> {
    /// The frames of a segment of a data file; `what` names it in errors.
    #[must_use]
    pub fn of_file(file: Arc<File>, segment: Segment, what: String) -> Self {
        Self::new(buffered(file, segment), segment.len, what)
    }
}

/// A segment's bytes, read in pieces of a fair size.
pub(crate) fn buffered(file: Arc<File>, segment: Segment) -> BufReader<FileRange> {
    let capacity = usize::try_from(segment.len.min(BUFFER)).unwrap_or(0);
    BufReader::with_capacity(capacity, FileRange::new(file, segment.offset, segment.len))
}

impl<R: Read> SegmentReader<R> {
    /// The frames in the next `len` bytes of `reader`; `what` names them in errors.
    #[must_use]
    pub fn new(reader: R, len: u64, what: String) -> Self {
        Self { reader, what, left: len, frame: FrameBuffer::default() }
    }

    /// The next frame; `None` at the end of the segment.
    ///
    /// # Errors
    /// The reader fails or ends early; bytes that were not written so.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, RuntimeError> {
        Ok(if self.advance()? { Some(self.frame()) } else { None })
    }

    /// Reads the next frame; `false` at the end of the segment.
    ///
    /// # Errors
    /// As [`Self::next_frame`].
    pub fn advance(&mut self) -> Result<bool, RuntimeError> {
        self.frame.len = 0;
        self.frame.records = 0;
        if self.left == 0 {
            return Ok(false);
        }
        let mut head = [0; FRAME_HEADER_LEN];
        self.expect_within(FRAME_HEADER_LEN as u64)?;
        self.reader.read_exact(&mut head).map_err(|source| self.failed(source))?;
        let header = FrameHeader::decode(&head).map_err(|error| self.invalid(&error))?;
        self.expect_within(header.len.into())?;
        let len = header.len as usize;
        if self.frame.stored.len() < len {
            self.frame.stored.resize(len, 0);
        }
        let stored = self.frame.stored.get_mut(..len).unwrap_or_default();
        if let Err(source) = self.reader.read_exact(stored) {
            return Err(self.failed(source));
        }
        if let Err(error) = header.verify(stored) {
            return Err(self.invalid(&error));
        }
        self.frame.is_raw = header.codec == Codec::Lz4;
        if self.frame.is_raw
            && let Err(why) = unpack(&header, stored, &mut self.frame.raw)
        {
            return Err(self.corrupt(why));
        }
        self.frame.len = header.raw_len as usize;
        self.frame.records = header.records;
        Ok(true)
    }

    /// The frame that was read last; empty before the first and behind the last.
    #[inline]
    #[must_use]
    pub fn frame(&self) -> Frame<'_> {
        Frame { payload: self.frame.payload(), records: self.frame.records }
    }

    /// What it is called in errors.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }

    fn expect_within(&mut self, bytes: u64) -> Result<(), RuntimeError> {
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(self.corrupt("the segment ends within a frame")),
        }
    }

    fn failed(&self, source: io::Error) -> RuntimeError {
        if source.kind() == io::ErrorKind::UnexpectedEof {
            return self.corrupt("it ends early");
        }
        RuntimeError::Io { what: format!("read {}", self.what), source }
    }

    fn invalid(&self, error: &ShuffleError) -> RuntimeError {
        self.corrupt(&error.to_string())
    }

    pub(crate) fn corrupt(&self, why: &str) -> RuntimeError {
        RuntimeError::Corrupt { what: self.what.clone(), why: why.to_owned() }
    }
}

/// A finished output on this machine.
#[derive(Debug)]
pub struct OutputReader {
    file: Arc<File>,
    index: Index,
    what: String,
}

impl OutputReader {
    /// Opens the output `name` in a folder.
    ///
    /// # Errors
    /// It is not there, or the two files are not what was written.
    pub fn open(dir: &Path, name: &str) -> Result<Self, RuntimeError> {
        let (data_path, index_path) = paths(dir, name);
        let bytes = std::fs::read(&index_path).map_err(|source| disk::failed("read", &index_path, source))?;
        let corrupt = |path: &Path, why: String| RuntimeError::Corrupt { what: path.display().to_string(), why };
        let index = Index::decode(&bytes).map_err(|error| corrupt(&index_path, error.to_string()))?;
        let file = File::open(&data_path).map_err(|source| disk::failed("open", &data_path, source))?;
        let found = file.metadata().map_err(|source| disk::failed("open", &data_path, source))?.len();
        if found != index.data_len() {
            return Err(corrupt(&data_path, format!("it has {found} bytes, its index says {}", index.data_len())));
        }
        Ok(Self { file: Arc::new(file), index, what: data_path.display().to_string() })
    }

    /// Where each partition lies.
    #[must_use]
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// The data file.
    #[must_use]
    pub fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// The frames of a partition.
    ///
    /// # Errors
    /// The output has no such partition.
    pub fn segment(&self, partition: u32) -> Result<SegmentReader<BufReader<FileRange>>, RuntimeError> {
        let what = format!("partition {partition} of {}", self.what);
        match self.index.segments.get(partition as usize) {
            Some(segment) => Ok(SegmentReader::of_file(Arc::clone(&self.file), *segment, what)),
            None => Err(RuntimeError::Refused(format!("{what} does not exist"))),
        }
    }
}
