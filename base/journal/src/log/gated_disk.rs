//! A disk for tests in which a sync ends when the test says so.

use super::{LogDisk, MemoryDisk};
use crate::JournalError;
use mammoth_protocol::Seq;
use std::io::Read;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// Decides when a sync ends; clones are the same gate. It is open at first.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    /// Shuts the gate, or opens it for all who wait at it.
    pub fn shut(&self, shut: bool) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = shut;
        self.0.1.notify_all();
    }

    fn pass(&self) {
        let guard = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.0.1.wait_while(guard, |shut| *shut).unwrap_or_else(PoisonError::into_inner));
    }
}

/// A disk in memory whose syncs wait at a gate.
#[derive(Debug)]
pub struct GatedDisk {
    /// The disk.
    pub disk: MemoryDisk,
    /// Where syncs wait.
    pub gate: Gate,
}

impl LogDisk for GatedDisk {
    fn segments(&self) -> Result<Vec<Seq>, JournalError> {
        self.disk.segments()
    }

    fn read(&self, segment: Seq) -> Result<Box<dyn Read + '_>, JournalError> {
        self.disk.read(segment)
    }

    fn create(&mut self, segment: Seq, header: &[u8]) -> Result<(), JournalError> {
        self.disk.create(segment, header)
    }

    fn cut(&mut self, segment: Seq, length: u64) -> Result<(), JournalError> {
        self.disk.cut(segment, length)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), JournalError> {
        self.disk.append(bytes)
    }

    fn sync(&mut self) -> Result<(), JournalError> {
        self.gate.pass();
        self.disk.sync()
    }

    fn remove(&mut self, segment: Seq) -> Result<(), JournalError> {
        self.disk.remove(segment)
    }
}
