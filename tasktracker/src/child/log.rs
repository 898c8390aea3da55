//! What a child prints, kept in a file of bounded size: its beginning as it comes, and after the limit only the end.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

/// Bytes of a log that are written as they come.
pub(crate) const LOG_BYTES_MAX: u64 = 8 << 20;
/// Bytes at the end that are always kept.
const TAIL_BYTES: usize = 64 << 10;
const BUFFER_BYTES: usize = 32 << 10;

/// One log.
#[derive(Debug)]
pub(crate) struct Log {
    file: File,
    written: u64,
    left_out: u64,
    tail: VecDeque<u8>,
}

/// A log that a task writes and others look at.
pub(crate) type SharedLog = Arc<Mutex<Log>>;

impl Log {
    /// Begins an empty log.
    ///
    /// # Errors
    /// What the disk says.
    pub(crate) fn create(path: &Path) -> std::io::Result<SharedLog> {
        let file = File::create(path)?;
        Ok(Arc::new(Mutex::new(Self { file, written: 0, left_out: 0, tail: VecDeque::new() })))
    }

    /// Takes what was printed. A disk that is full costs the log, not the attempt.
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        let room = usize::try_from(LOG_BYTES_MAX.saturating_sub(self.written)).unwrap_or(usize::MAX);
        let (now, later) = bytes.split_at(bytes.len().min(room));
        if self.file.write_all(now).is_ok() {
            self.written += now.len() as u64;
        } else {
            self.left_out += now.len() as u64;
        }
        self.left_out += later.len() as u64;
        let kept = bytes.get(bytes.len().saturating_sub(TAIL_BYTES)..).unwrap_or_default();
        let excess = (self.tail.len() + kept.len()).saturating_sub(TAIL_BYTES);
        self.tail.drain(..excess);
        self.tail.extend(kept);
    }

    /// Nothing more will come: the end of a long log is appended to its beginning.
    pub(crate) fn finish(&mut self) {
        if self.left_out == 0 {
            return;
        }
        let kept = usize::try_from(self.left_out).unwrap_or(usize::MAX).min(self.tail.len());
        let gap = self.left_out.saturating_sub(kept as u64);
        self.tail.make_contiguous();
        let (tail, _) = self.tail.as_slices();
        let end = tail.get(tail.len() - kept..).unwrap_or_default();
        let _full_disk = writeln!(self.file, "\n[… {gap} bytes left out …]").and_then(|()| self.file.write_all(end));
        self.left_out = 0;
    }

    /// The last lines, as text.
    pub(crate) fn last_lines(&self, lines: usize) -> Vec<String> {
        let (first, second) = self.tail.as_slices();
        let bytes = [first, second].concat();
        let text = String::from_utf8_lossy(&bytes);
        let mut found: Vec<String> = text.lines().rev().take(lines).map(str::to_owned).collect();
        found.reverse();
        found
    }
}

/// Copies from a pipe into a log until the pipe ends.
pub(crate) async fn copy(mut pipe: pipe::Receiver, log: SharedLog) {
    let mut buffer = vec![0; BUFFER_BYTES];
    while let Ok(read @ 1..) = pipe.read(&mut buffer).await {
        let log = Arc::clone(&log);
        let written = tokio::task::spawn_blocking(move || {
            let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
            log.put(buffer.get(..read).unwrap_or_default());
            buffer
        });
        match written.await {
            Ok(given_back) => buffer = given_back,
            Err(_) => return,
        }
    }
}
