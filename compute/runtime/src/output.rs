//! Text output: `key TAB value NEWLINE`, in a file of its own for each task. The file becomes visible by [`crate::commit`].

pub use crate::commit::{Committer, TaskOutput};

use crate::error::RuntimeError;
use crate::files::{FileSystem, Sink};
use mammoth_client::ClientError;
use mammoth_platform::{Clock, SystemClock};
use mammoth_protocol::DfsPath;
use std::fmt::Display;
use std::io::Write;

/// Bytes gathered before they go to the file.
const BUFFER: usize = 256 * 1024;

/// Name of a task's file: `part-r-00007` of a reduce, `part-m-00007` of a map without reduces.
#[must_use]
pub fn part_name(letter: char, index: u32) -> String {
    format!("part-{letter}-{index:05}")
}

/// Writes text to one file. After a failure all further calls do nothing, and [`TextOutput::close`] says what it was.
pub struct TextOutput {
    sink: Box<dyn Sink>,
    path: DfsPath,
    buffer: Vec<u8>,
    records: u64,
    bytes: u64,
    ns: u64,
    failure: Option<RuntimeError>,
}

impl std::fmt::Debug for TextOutput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TextOutput").field("path", &self.path).field("records", &self.records).finish_non_exhaustive()
    }
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WriteStats {
    /// Lines.
    pub records: u64,
    /// Bytes.
    pub bytes: u64,
    /// Time that the file took, nanoseconds.
    pub ns: u64,
}

impl TextOutput {
    /// Creates the file, replacing one that an earlier process of the same attempt left.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn create(files: &dyn FileSystem, path: &DfsPath) -> Result<Self, RuntimeError> {
        Self::open(path, || files.create(path, true))
    }

    /// As [`Self::create`], in a folder that is there: one that went is not brought back.
    ///
    /// # Errors
    /// It cannot be created; the folder is gone.
    pub fn create_in(files: &dyn FileSystem, path: &DfsPath) -> Result<Self, RuntimeError> {
        Self::open(path, || files.create_in(path))
    }

    fn open(path: &DfsPath, create: impl FnOnce() -> Result<Box<dyn Sink>, ClientError>) -> Result<Self, RuntimeError> {
        let before = SystemClock.monotonic_ns();
        let sink = create()?;
        let ns = SystemClock.monotonic_ns().saturating_sub(before);
        let buffer = Vec::with_capacity(BUFFER + 4096);
        Ok(Self { sink, path: path.clone(), buffer, records: 0, bytes: 0, ns, failure: None })
    }

    /// Writes `key TAB value NEWLINE`.
    pub fn record(&mut self, key: impl Display, value: impl Display) {
        self.put(format_args!("{key}\t{value}\n"));
    }

    /// Writes one line without a tab of its own.
    pub fn line(&mut self, text: impl Display) {
        self.put(format_args!("{text}\n"));
    }

    /// Writes bytes as they are, as one record; the caller ends the line.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.records += 1;
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BUFFER {
            self.flush();
        }
    }

    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        self.records += 1;
        if let Err(source) = self.buffer.write_fmt(text) {
            // Memory takes everything, so it was the text that could not be made.
            self.fail(RuntimeError::Io { what: "a key or value cannot be shown as text".to_owned(), source });
        }
        if self.buffer.len() >= BUFFER {
            self.flush();
        }
    }

    fn fail(&mut self, error: RuntimeError) {
        self.failure.get_or_insert(error);
    }

    /// Whether an earlier call failed.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// The first failure so far, given once.
    ///
    /// # Errors
    /// That failure.
    pub fn check(&mut self) -> Result<(), RuntimeError> {
        self.failure.take().map_or(Ok(()), Err)
    }

    fn flush(&mut self) {
        if self.failure.is_none() && !self.buffer.is_empty() {
            let before = SystemClock.monotonic_ns();
            let written = self.sink.write_all(&self.buffer);
            self.ns += SystemClock.monotonic_ns().saturating_sub(before);
            self.bytes += self.buffer.len() as u64;
            if let Err(source) = written {
                self.fail(RuntimeError::Io { what: self.path.to_string(), source });
            }
        }
        self.buffer.clear();
    }

    /// What was written so far.
    #[must_use]
    pub fn stats(&self) -> WriteStats {
        WriteStats { records: self.records, bytes: self.bytes, ns: self.ns }
    }

    /// Writes what is left and closes the file.
    ///
    /// # Errors
    /// The first failure since it was created.
    pub fn close(mut self) -> Result<WriteStats, RuntimeError> {
        self.flush();
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        let before = SystemClock.monotonic_ns();
        self.sink.close()?;
        let ns = self.ns + SystemClock.monotonic_ns().saturating_sub(before);
        Ok(WriteStats { records: self.records, bytes: self.bytes, ns })
    }
}
