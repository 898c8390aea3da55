//! The checkpoint in sled; nothing else in the workspace names sled.
//!
//! Measured on 0.34.7: its `flush` starts the write-back on Linux and does not wait for the disk, so every sync here also
//! fsyncs sled's files. One atomic batch of 200,000 rows takes 7 GiB of memory, single inserts 0.2 GiB: rows are inserted
//! one by one, in key order. Where it finds its file damaged it silently goes back to what it held before the damaged
//! write, marks included; the log's missing beginning tells.

use super::{CheckpointStore, Mark, RowVisitor};
use crate::error::JournalError;
use mammoth_platform::{Deadline, IoContext, SystemClock, durable};
use mammoth_protocol::Seq;
use std::fs::{self, File};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

const CACHE_BYTES: u64 = 64 * 1024 * 1024;
/// How long to wait for the file's lock; who else may open it is settled by the folder's lock before.
const LOCK_WAIT: Duration = Duration::from_secs(10);
const LOCK_POLL: Duration = Duration::from_millis(10);
/// First byte of a mark's key, and of a row's.
const MARK: u8 = 0;
const ROW: u8 = 1;

/// A sled database in a folder of its own.
#[derive(Debug)]
pub struct SledStore {
    db: sled::Db,
    dir: PathBuf,
    key: Vec<u8>,
}

/// sled panics on some kinds of damage; a start must refuse such a folder in words.
fn unpanicked<T>(action: &'static str, call: impl FnOnce() -> Result<T, JournalError>) -> Result<T, JournalError> {
    let reason = "its files are damaged (sled panicked)".to_owned();
    catch_unwind(AssertUnwindSafe(call)).unwrap_or(Err(JournalError::Store { action, reason }))
}

fn failed(action: &'static str) -> impl Fn(sled::Error) -> JournalError {
    move |error| JournalError::Store { action, reason: error.to_string() }
}

impl SledStore {
    /// Opens the database in `dir`, or creates it.
    ///
    /// # Errors
    /// A database that is damaged or in use.
    pub fn open(dir: &Path) -> Result<Self, JournalError> {
        durable::create_dir_synced(dir)?;
        let config = sled::Config::new().path(dir).cache_capacity(CACHE_BYTES).flush_every_ms(None);
        let deadline = Deadline::after(&SystemClock, LOCK_WAIT);
        let db = loop {
            match unpanicked("open", || config.open().map_err(failed("open"))) {
                // The threads of a database that this process has just closed may keep its file for a moment.
                Err(JournalError::Store { reason, .. })
                    if reason.contains("could not acquire lock") && !deadline.is_over(&SystemClock) =>
                {
                    std::thread::sleep(LOCK_POLL);
                }
                result => break result?,
            }
        };
        Ok(Self { db, dir: dir.to_owned(), key: Vec::new() })
    }
}

/// Builds the key of a row in `buffer`.
fn row_key<'a>(buffer: &'a mut Vec<u8>, key: &[u8]) -> &'a [u8] {
    buffer.clear();
    buffer.push(ROW);
    buffer.extend_from_slice(key);
    buffer
}

/// Fsyncs every file below `dir`, then the folders.
fn sync_tree(dir: &Path) -> Result<(), JournalError> {
    for entry in fs::read_dir(dir).io("list", dir)? {
        let entry = entry.io("list", dir)?;
        let path = entry.path();
        if entry.file_type().io("list", &path)?.is_dir() {
            sync_tree(&path)?;
            continue;
        }
        match File::open(&path) {
            Ok(file) => file.sync_all().io("sync", &path)?,
            // sled deletes old snapshots and blobs by itself.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => Err(e).io("open", &path)?,
        }
    }
    Ok(durable::sync_dir(dir)?)
}

impl CheckpointStore for SledStore {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), JournalError> {
        self.db.insert(row_key(&mut self.key, key), value).map_err(failed("write a row of"))?;
        Ok(())
    }

    fn delete(&mut self, key: &[u8]) -> Result<(), JournalError> {
        self.db.remove(row_key(&mut self.key, key)).map_err(failed("delete a row of"))?;
        Ok(())
    }

    fn set_mark(&mut self, mark: Mark, seq: Seq) -> Result<(), JournalError> {
        self.db.insert([MARK, mark as u8], &seq.0.to_be_bytes()).map_err(failed("write a mark of"))?;
        Ok(())
    }

    fn sync(&mut self) -> Result<(), JournalError> {
        self.db.flush().map_err(failed("flush"))?;
        sync_tree(&self.dir)
    }

    fn mark(&self, mark: Mark) -> Result<Seq, JournalError> {
        let Some(value) = self.db.get([MARK, mark as u8]).map_err(failed("read a mark of"))? else {
            return Ok(Seq(0));
        };
        let bytes = value.as_ref().try_into().map_err(|_| JournalError::CorruptCheckpoint {
            what: format!("the mark {mark:?} has {} bytes", value.len()),
        })?;
        Ok(Seq(u64::from_be_bytes(bytes)))
    }

    fn for_each(&self, visit: &mut RowVisitor<'_>) -> Result<(), JournalError> {
        unpanicked("read", || {
            for row in self.db.scan_prefix([ROW]) {
                let (key, value) = row.map_err(failed("read a row of"))?;
                visit(key.get(1..).unwrap_or_default(), &value)?;
            }
            Ok(())
        })
    }
}
