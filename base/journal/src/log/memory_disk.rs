//! Segments in memory, for tests and the simulator: keeps appended and synced bytes apart, loses the former in a crash,
//! and fails when told to.

use super::disk::{LogDisk, segment_name};
use crate::error::JournalError;
use mammoth_protocol::Seq;
use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A disk in memory; clones are the same disk, so that a test keeps it over the crash of whoever writes to it.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    segments: BTreeMap<Seq, Segment>,
    open: Option<Seq>,
    appends_left: Option<usize>,
    syncs_left: Option<usize>,
    bytes_left: Option<usize>,
}

#[derive(Clone, Debug, Default)]
struct Segment {
    bytes: Vec<u8>,
    synced: usize,
}

/// Zeros that a crash leaves behind all of it: the room that a disk makes ahead.
const ROOM: usize = 100;

/// What a crash leaves of bytes that were appended and not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tear {
    /// Nothing.
    Lost,
    /// So many of them, at most.
    Prefix(usize),
    /// All of them, but so many from the front as zeros: later pages reached the disk before earlier ones.
    Hole(usize),
    /// All.
    Kept,
}

impl MemoryDisk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The power goes and comes back.
    pub fn crash(&self, tear: Tear) {
        let mut inner = self.lock();
        let open = inner.open.take();
        for (seq, segment) in &mut inner.segments {
            let unsynced = segment.bytes.len() - segment.synced;
            match tear {
                Tear::Lost => segment.bytes.truncate(segment.synced),
                Tear::Prefix(n) => segment.bytes.truncate(segment.synced + n.min(unsynced)),
                Tear::Hole(n) => {
                    let end = segment.synced + n.min(unsynced);
                    segment.bytes[segment.synced..end].fill(0);
                }
                Tear::Kept => {}
            }
            if open == Some(*seq) {
                segment.bytes.resize(segment.bytes.len() + ROOM, 0);
            }
            segment.synced = segment.bytes.len();
        }
    }

    /// Makes every append after the next `n` fail.
    pub fn fail_append_after(&self, n: usize) {
        self.lock().appends_left = Some(n);
    }

    /// Makes every sync after the next `n` fail.
    pub fn fail_sync_after(&self, n: usize) {
        self.lock().syncs_left = Some(n);
    }

    /// Leaves room for `n` further bytes; the append that does not fit is cut short and fails.
    pub fn fill_up_after(&self, n: usize) {
        self.lock().bytes_left = Some(n);
    }

    /// Takes all faults back.
    pub fn heal(&self) {
        let mut inner = self.lock();
        (inner.appends_left, inner.syncs_left, inner.bytes_left) = (None, None, None);
    }

    /// A segment's bytes, appended ones included.
    #[must_use]
    pub fn bytes(&self, segment: Seq) -> Vec<u8> {
        self.lock().segments.get(&segment).map(|s| s.bytes.clone()).unwrap_or_default()
    }

    /// Replaces a segment's bytes, as damage would.
    pub fn damage(&self, segment: Seq, bytes: Vec<u8>) {
        let synced = bytes.len();
        self.lock().segments.insert(segment, Segment { bytes, synced });
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn open(&mut self) -> Result<&mut Segment, JournalError> {
        let open = self.open.and_then(|seq| self.segments.get_mut(&seq));
        open.ok_or_else(|| JournalError::Injected("no segment is open for appending".to_owned()))
    }
}

fn spend(left: &mut Option<usize>, what: &str) -> Result<(), JournalError> {
    match left {
        Some(0) => Err(JournalError::Injected(format!("{what} failed"))),
        Some(n) => {
            *n -= 1;
            Ok(())
        }
        None => Ok(()),
    }
}

fn missing(segment: Seq) -> JournalError {
    JournalError::Injected(format!("no such segment: {}", segment_name(segment)))
}

impl LogDisk for MemoryDisk {
    fn segments(&self) -> Result<Vec<Seq>, JournalError> {
        Ok(self.lock().segments.keys().copied().collect())
    }

    fn read(&self, segment: Seq) -> Result<Box<dyn Read + '_>, JournalError> {
        let bytes = self.lock().segments.get(&segment).ok_or_else(|| missing(segment))?.bytes.clone();
        Ok(Box::new(Cursor::new(bytes)))
    }

    fn create(&mut self, segment: Seq, header: &[u8]) -> Result<(), JournalError> {
        let mut inner = self.lock();
        inner.segments.insert(segment, Segment { bytes: header.to_vec(), synced: header.len() });
        inner.open = Some(segment);
        Ok(())
    }

    fn cut(&mut self, segment: Seq, length: u64) -> Result<(), JournalError> {
        let mut inner = self.lock();
        let found = inner.segments.get_mut(&segment).ok_or_else(|| missing(segment))?;
        found.bytes.truncate(usize::try_from(length).unwrap_or(usize::MAX));
        found.synced = found.bytes.len();
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), JournalError> {
        let mut inner = self.lock();
        spend(&mut inner.appends_left, "append")?;
        let room = inner.bytes_left.unwrap_or(usize::MAX);
        let fits = bytes.len().min(room);
        inner.open()?.bytes.extend_from_slice(&bytes[..fits]);
        if let Some(left) = &mut inner.bytes_left {
            *left -= fits;
        }
        if fits < bytes.len() { Err(JournalError::Injected("no space left on device".to_owned())) } else { Ok(()) }
    }

    fn sync(&mut self) -> Result<(), JournalError> {
        let mut inner = self.lock();
        spend(&mut inner.syncs_left, "sync")?;
        let segment = inner.open()?;
        segment.synced = segment.bytes.len();
        Ok(())
    }

    fn remove(&mut self, segment: Seq) -> Result<(), JournalError> {
        self.lock().segments.remove(&segment);
        Ok(())
    }
}
