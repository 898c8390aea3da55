//! Sorted runs: what does not fit into memory, or came over the network, as frames of records in the order of their keys.
//!
//! A run on disk looks like a task's output, with its index in memory. It belongs to the process that made it and goes with it.

#[cfg(test)]
pub(crate) mod testing;

use crate::disk;
use crate::error::RuntimeError;
use crate::memory::Reservation;
use crate::merge::{self, Combining, RecordStream};
use crate::record;
use crate::shuffle::{Codec, FrameWriter, Index, OutputWriter, Segment};
use mammoth_platform::{Clock, Entropy, SystemClock, SystemEntropy};
use mammoth_protocol::jobs::shuffle::FRAME_MAX;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Called for each frame that is written or read, so at least a few times a second while there is work: shows that the task is
/// alive, and may end the work with an error.
pub type Tick = Arc<dyn Fn() -> Result<(), RuntimeError> + Send + Sync>;

/// What order the records of a partition are kept in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// By the bytes of their keys; equal keys as they arrived.
    #[default]
    Key,
    /// As they arrived.
    Arrival,
}

/// How runs are written and merged.
#[derive(Clone)]
pub struct SpillConfig {
    /// Folder for runs.
    pub work_dir: PathBuf,
    /// Compression of frames.
    pub codec: Codec,
    /// Bytes of records after which a frame is closed.
    pub frame_bytes: usize,
    /// Runs on disk that are merged at once, at least 2.
    pub fan_in: usize,
    /// The order within each partition of a run.
    pub order: Order,
    /// See [`Tick`].
    pub tick: Option<Tick>,
}

impl std::fmt::Debug for SpillConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { work_dir, codec, frame_bytes, fan_in, order, tick: _ } = self;
        f.debug_struct("SpillConfig")
            .field("work_dir", work_dir)
            .field("codec", codec)
            .field("frame_bytes", frame_bytes)
            .field("fan_in", fan_in)
            .field("order", order)
            .finish_non_exhaustive()
    }
}

impl SpillConfig {
    /// Uncompressed frames of 64 KiB, ten runs at once, sorted by key.
    #[must_use]
    pub fn new(work_dir: impl Into<PathBuf>) -> Self {
        let (codec, order) = (Codec::None, Order::Key);
        Self { work_dir: work_dir.into(), codec, frame_bytes: 64 * 1024, fan_in: 10, order, tick: None }
    }

    pub(crate) fn tick(&self) -> Result<(), RuntimeError> {
        self.tick.as_ref().map_or(Ok(()), |tick| tick())
    }

    pub(crate) fn fan_in(&self) -> usize {
        self.fan_in.max(2)
    }
}

/// Measures phases.
pub(crate) struct Stopwatch(u64);

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self(SystemClock.monotonic_ns())
    }

    /// Nanoseconds since the start or the last lap.
    pub(crate) fn lap(&mut self) -> u64 {
        let now = SystemClock.monotonic_ns();
        let lap = now.saturating_sub(self.0);
        self.0 = now;
        lap
    }
}

/// Where frames go.
pub trait FrameTarget {
    /// Appends a frame of so many records to a partition, which must not be before the last one.
    ///
    /// # Errors
    /// It cannot be written.
    fn write_frame(&mut self, partition: u32, frame: &[u8], records: u32) -> Result<(), RuntimeError>;
}

impl FrameTarget for OutputWriter {
    fn write_frame(&mut self, partition: u32, frame: &[u8], records: u32) -> Result<(), RuntimeError> {
        self.write(partition, frame, records)
    }
}

impl FrameTarget for FrameWriter {
    fn write_frame(&mut self, partition: u32, frame: &[u8], records: u32) -> Result<(), RuntimeError> {
        self.write(partition, frame, records)
    }
}

/// Packs records into frames.
#[derive(Debug)]
pub struct Packer {
    frame: Vec<u8>,
    frame_bytes: usize,
    partition: u32,
    records: u32,
}

impl Packer {
    /// Frames of about `frame_bytes`; a larger record gets a frame of its own.
    #[must_use]
    pub fn new(frame_bytes: usize) -> Self {
        Self { frame: Vec::new(), frame_bytes: frame_bytes.min(FRAME_MAX as usize), partition: 0, records: 0 }
    }

    /// Appends a record to a partition; a full frame goes to `target`.
    ///
    /// # Errors
    /// A record over [`record::RECORD_MAX`]; what `target` says.
    #[inline]
    pub fn add(
        &mut self,
        target: &mut impl FrameTarget,
        partition: u32,
        key: &[u8],
        value: &[u8],
    ) -> Result<(), RuntimeError> {
        let len = record::len(key.len(), value.len());
        if partition != self.partition || self.frame.len() + len > self.frame_bytes {
            self.flush(target)?;
            self.partition = partition;
            check_record(key.len(), value.len())?;
        }
        record::put(&mut self.frame, key, value);
        self.records += 1;
        Ok(())
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// What `target` says.
    pub fn flush(&mut self, target: &mut impl FrameTarget) -> Result<(), RuntimeError> {
        if self.records > 0 {
            target.write_frame(self.partition, &self.frame, self.records)?;
            self.frame.clear();
            self.records = 0;
        }
        Ok(())
    }
}

/// Refuses a record that no frame can hold.
pub(crate) fn check_record(key: usize, value: usize) -> Result<(), RuntimeError> {
    let len = key.saturating_add(value);
    if len > record::RECORD_MAX {
        let text = format!("a record of {len} bytes is over the limit of {}", record::RECORD_MAX);
        return Err(RuntimeError::Refused(text));
    }
    Ok(())
}

fn run_path(config: &SpillConfig) -> PathBuf {
    config.work_dir.join(format!("run-{:016x}.spill", SystemEntropy.next_u64()))
}

/// Writes a run.
pub(crate) struct RunWriter {
    frames: FrameWriter,
    packer: Packer,
    config: SpillConfig,
    /// Deletes the file unless it is finished.
    file: RunFile,
}

impl<T: FrameTarget> FrameTarget for (&mut T, &SpillConfig) {
    fn write_frame(&mut self, partition: u32, frame: &[u8], records: u32) -> Result<(), RuntimeError> {
        self.1.tick()?;
        self.0.write_frame(partition, frame, records)
    }
}

impl RunWriter {
    pub(crate) fn create(config: &SpillConfig, partitions: u32) -> Result<Self, RuntimeError> {
        let (file, run) = RunFile::create(config)?;
        let frames = FrameWriter::new(file, run.path.clone(), partitions, config.codec);
        Ok(Self { frames, packer: Packer::new(config.frame_bytes), config: config.clone(), file: run })
    }

    #[inline]
    pub(crate) fn add(&mut self, partition: u32, key: &[u8], value: &[u8]) -> Result<(), RuntimeError> {
        self.packer.add(&mut (&mut self.frames, &self.config), partition, key, value)
    }

    /// Appends all records of a stream to a partition, through the combiner if there is one.
    pub(crate) fn pour(
        &mut self,
        stream: impl RecordStream,
        partition: u32,
        combining: Option<&mut Combining>,
    ) -> Result<(), RuntimeError> {
        merge::pour(stream, partition, combining, &mut self.packer, &mut (&mut self.frames, &self.config))
    }

    pub(crate) fn finish(mut self) -> Result<RunFile, RuntimeError> {
        self.packer.flush(&mut (&mut self.frames, &self.config))?;
        (_, self.file.index) = self.frames.finish()?;
        Ok(self.file)
    }
}

/// A run on disk.
#[derive(Debug)]
pub struct RunFile {
    path: PathBuf,
    index: Index,
    /// Deleted when dropped; otherwise somebody else's.
    is_own: bool,
}

impl RunFile {
    /// A new file for one partition, to be filled by the caller.
    pub(crate) fn create(config: &SpillConfig) -> Result<(File, Self), RuntimeError> {
        let path = run_path(config);
        let file = File::create_new(&path).map_err(|source| disk::failed("create", &path, source))?;
        Ok((file, Self { path, index: Index::default(), is_own: true }))
    }

    /// A run of one partition: a segment of a file, which stays when this is dropped.
    #[must_use]
    pub fn borrowed(path: PathBuf, segment: Segment) -> Self {
        Self { path, index: Index { segments: vec![segment] }, is_own: false }
    }

    pub(crate) fn set_segment(&mut self, segment: Segment) {
        self.index = Index { segments: vec![segment] };
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where each partition lies.
    #[must_use]
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// Opens it for reading.
    ///
    /// # Errors
    /// It cannot be opened.
    pub(crate) fn open(&self) -> Result<Arc<File>, RuntimeError> {
        File::open(&self.path).map(Arc::new).map_err(|source| disk::failed("open", &self.path, source))
    }

    pub(crate) fn what(&self, partition: u32) -> String {
        format!("partition {partition} of {}", self.path.display())
    }

    /// Bytes of all partitions, as stored.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.index.segments.iter().map(|segment| segment.len).sum()
    }

    /// Records of all partitions.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.index.segments.iter().map(|segment| segment.records).sum()
    }
}

impl Drop for RunFile {
    fn drop(&mut self) {
        if self.is_own {
            // The working folder goes with the task in any case.
            let _gone = std::fs::remove_file(&self.path);
        }
    }
}

/// A run of one partition, in memory: the frames as they were stored, compressed or not.
#[derive(Debug)]
pub struct RunMemory {
    /// The frames.
    pub bytes: Vec<u8>,
    /// What they take of the accountant's memory.
    pub reservation: Reservation,
}

/// A sorted run.
#[derive(Debug)]
pub enum Run {
    /// On disk.
    File(RunFile),
    /// In memory; of one partition only.
    Memory(RunMemory),
}

impl Run {
    /// Bytes as stored.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        match self {
            Self::File(file) => file.bytes(),
            Self::Memory(memory) => memory.bytes.len() as u64,
        }
    }
}
