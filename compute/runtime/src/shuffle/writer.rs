//! Writing frames, partition by partition.

use super::paths;
use crate::disk;
use crate::error::RuntimeError;
use mammoth_platform::durable;
use mammoth_protocol::jobs::shuffle::{Codec, FRAME_HEADER_LEN, FrameHeader, Index, Segment, is_output_name};
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Bytes that are gathered before they are written.
const BUFFER: usize = 128 * 1024;
/// Files of the same output that may be under way, those included that killed processes left.
const TRIES_MAX: u32 = 1000;

/// Writes frames to any file, and remembers where each partition lies.
pub(crate) struct FrameWriter {
    file: BufWriter<File>,
    path: PathBuf,
    codec: Codec,
    segments: Vec<Segment>,
    partitions: u32,
    packed: Vec<u8>,
    offset: u64,
}

impl FrameWriter {
    pub(crate) fn new(file: File, path: PathBuf, partitions: u32, codec: Codec) -> Self {
        let file = BufWriter::with_capacity(BUFFER, file);
        Self { file, path, codec, segments: Vec::new(), partitions, packed: Vec::new(), offset: 0 }
    }

    /// Appends a frame to a partition; an empty one is left out.
    pub(crate) fn write(&mut self, partition: u32, frame: &[u8], records: u32) -> Result<(), RuntimeError> {
        if frame.is_empty() && records == 0 {
            return Ok(());
        }
        let segment = self.segment(partition)?;
        let (codec, payload) = match self.codec {
            Codec::Lz4 if pack(frame, &mut self.packed) => (Codec::Lz4, self.packed.as_slice()),
            _ => (Codec::None, frame),
        };
        let header = FrameHeader::of(codec, payload, frame.len(), records)
            .map_err(|error| RuntimeError::Refused(format!("{}: {error}", self.path.display())))?;
        let written = self.file.write_all(&header.encode()).and_then(|()| self.file.write_all(payload));
        written.map_err(|source| disk::failed("write", &self.path, source))?;
        let len = (FRAME_HEADER_LEN + payload.len()) as u64;
        self.offset += len;
        if let Some(segment) = self.segments.get_mut(segment) {
            segment.len += len;
            segment.raw += frame.len() as u64;
            segment.records += u64::from(records);
        }
        Ok(())
    }

    /// Moves on to a partition.
    fn segment(&mut self, partition: u32) -> Result<usize, RuntimeError> {
        let at = partition as usize;
        if partition >= self.partitions || at + 1 < self.segments.len() {
            let text = format!("{}: partition {partition} is written out of order", self.path.display());
            return Err(RuntimeError::Refused(text));
        }
        let next = Segment { offset: self.offset, ..Segment::default() };
        self.segments.resize(at + 1, next);
        Ok(at)
    }

    /// Writes what is left.
    pub(crate) fn finish(mut self) -> Result<(File, Index), RuntimeError> {
        let next = Segment { offset: self.offset, ..Segment::default() };
        self.segments.resize(self.partitions as usize, next);
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error);
        let file = file.map_err(|source| disk::failed("write", &self.path, source))?;
        Ok((file, Index { segments: self.segments }))
    }
}

/// Compresses a frame; `false` if that makes it no smaller.
fn pack(frame: &[u8], packed: &mut Vec<u8>) -> bool {
    packed.resize(lz4_flex::block::get_maximum_output_size(frame.len()), 0);
    match lz4_flex::block::compress_into(frame, packed) {
        Ok(len) if len < frame.len() => {
            packed.truncate(len);
            true
        }
        _ => false,
    }
}

/// What a finished output holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Finished {
    /// Bytes of each partition in the file, as tasks report them.
    pub partition_bytes: Vec<u64>,
    /// Bytes of the data file.
    pub bytes: u64,
    /// Bytes of the frames before they were compressed.
    pub raw_bytes: u64,
    /// Records in it.
    pub records: u64,
}

/// Writes an output: `<name>.data` and `<name>.index` appear in the folder together when it is finished, the index last, or
/// not at all. Neither is synced: an output that a power cut damaged is noticed by its checksums, and made again.
pub struct OutputWriter {
    frames: Option<FrameWriter>,
    dir: PathBuf,
    name: String,
    partitions: u32,
    /// Deleted unless they get their names.
    temporary: (PathBuf, PathBuf),
}

impl OutputWriter {
    /// Begins an output. A name is used once: who computes something again takes another.
    ///
    /// # Errors
    /// A name that is none (see [`is_output_name`]); no file can be created.
    pub fn create(dir: &Path, name: &str, partitions: u32, codec: Codec) -> Result<Self, RuntimeError> {
        if !is_output_name(name) {
            return Err(RuntimeError::Refused(format!("`{name}` is no name for a shuffle output")));
        }
        for number in 0..TRIES_MAX {
            let data = dir.join(format!("{name}.{number}.data{}", durable::TMP_SUFFIX));
            let index = dir.join(format!("{name}.{number}.index{}", durable::TMP_SUFFIX));
            match OpenOptions::new().write(true).create_new(true).open(&data) {
                Ok(file) => {
                    let frames = Some(FrameWriter::new(file, data.clone(), partitions, codec));
                    let (dir, name) = (dir.to_owned(), name.to_owned());
                    return Ok(Self { frames, dir, name, partitions, temporary: (data, index) });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(disk::failed("create", &data, error)),
            }
        }
        Err(RuntimeError::Refused(format!("{}: too many unfinished outputs of {name}", dir.display())))
    }

    /// Number of partitions.
    #[must_use]
    pub fn partitions(&self) -> u32 {
        self.partitions
    }

    /// Appends a frame to a partition, which must not be before the last one. `records` is how many it holds, as far as anybody
    /// counts. An empty frame is left out.
    ///
    /// # Errors
    /// Partitions out of order, a frame over the limit, a full disk.
    pub fn write(&mut self, partition: u32, frame: &[u8], records: u32) -> Result<(), RuntimeError> {
        match &mut self.frames {
            Some(frames) => frames.write(partition, frame, records),
            None => Err(RuntimeError::Refused(format!("output {} is finished", self.name))),
        }
    }

    /// Gives both files their names.
    ///
    /// # Errors
    /// They cannot be written or renamed; then neither is left.
    pub fn finish(mut self) -> Result<Finished, RuntimeError> {
        let Some(frames) = self.frames.take() else {
            return Err(RuntimeError::Refused(format!("output {} is finished", self.name)));
        };
        let (_, index) = frames.finish()?;
        let bytes = index.encode().map_err(|error| RuntimeError::Refused(format!("{}: {error}", self.name)))?;
        let (data_tmp, index_tmp) = &self.temporary;
        std::fs::write(index_tmp, bytes).map_err(|source| disk::failed("write", index_tmp, source))?;
        let (data_path, index_path) = paths(&self.dir, &self.name);
        durable::rename_unsynced(data_tmp, &data_path)?;
        durable::rename_unsynced(index_tmp, &index_path)?;
        Ok(Finished {
            partition_bytes: index.partition_bytes(),
            bytes: index.data_len(),
            raw_bytes: index.segments.iter().map(|segment| segment.raw).sum(),
            records: index.segments.iter().map(|segment| segment.records).sum(),
        })
    }
}

impl Drop for OutputWriter {
    fn drop(&mut self) {
        // After `finish` they do not exist under these names any more.
        for path in [&self.temporary.0, &self.temporary.1] {
            let _gone = std::fs::remove_file(path);
        }
    }
}

impl std::fmt::Debug for OutputWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutputWriter")
            .field("name", &self.name)
            .field("partitions", &self.partitions)
            .finish_non_exhaustive()
    }
}
