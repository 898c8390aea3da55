//! The checkpoint in sled; nothing else in the workspace names sled.
//!
//! Measured on 0.34.7: its `flush` starts the write-back on Linux and does not wait for the disk, so every sync here also
//! fsyncs sled's files. One atomic batch of 200,000 rows takes 7 GiB of memory, single inserts 0.2 GiB: rows are inserted
//! one by one, in key order. Where it finds a message damaged it silently goes on without it, and often without what follows
//! in the same half MiB, so that rows are missing or older than they were, while later ones and the marks are there. So a
//! seal is kept over all rows ([`Digest`]): it is broken, durably, before the first row of a checkpoint changes, and made anew
//! with the applied mark. While it is broken nothing can be said of the rows, nor need it: a crash may leave any part of what
//! was not synced, and the log still has all of it.

use super::digest::Digest;
use super::{CheckpointStore, Mark, RowVisitor};
use crate::error::JournalError;
use mammoth_platform::{Deadline, IoContext, SystemClock, durable};
use mammoth_protocol::Seq;
use std::cell::Cell;
use std::fs::{self, File};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

const CACHE_BYTES: u64 = 64 * 1024 * 1024;
/// How long to wait for the file's lock; who else may open it is settled by the folder's lock before.
const LOCK_WAIT: Duration = Duration::from_secs(10);
/// Rows that are read and handed over together, and how many such batches are read ahead.
const BATCH_ROWS: usize = 512;
const BATCHES_AHEAD: usize = 8;
const LOCK_POLL: Duration = Duration::from_millis(10);
/// Bytes that must be free before a database is opened. sled changes its files then, and one that finds the disk full half-way
/// leaves what it calls corrupt at the next start (seen once, on a full disk).
const ROOM: u64 = 4 << 20;
/// First byte of a mark's key, and of a row's.
const MARK: u8 = 0;
const ROW: u8 = 1;
/// Key of the seal: a digest of all rows, or nothing while rows change.
const SEAL: [u8; 2] = [MARK, 2];

/// A sled database in a folder of its own.
#[derive(Debug)]
pub struct SledStore {
    db: sled::Db,
    dir: PathBuf,
    key: Vec<u8>,
    /// Of the rows as they are now, once they were read.
    digest: Cell<Option<Digest>>,
    /// The database itself says that its rows are being changed.
    broken: bool,
}

/// What was found in place of a seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seal {
    /// None was ever made.
    Absent,
    /// Rows were being changed.
    Broken,
    /// The rows were these.
    Whole(Digest),
}

/// sled panics on some kinds of damage; a start must refuse such a folder in words.
fn unpanicked<T>(action: &'static str, call: impl FnOnce() -> Result<T, JournalError>) -> Result<T, JournalError> {
    let reason = "its files are damaged (sled panicked)".to_owned();
    catch_unwind(AssertUnwindSafe(call)).unwrap_or(Err(JournalError::Store { action, reason }))
}

fn failed(action: &'static str) -> impl Fn(sled::Error) -> JournalError {
    move |error| JournalError::Store { action, reason: error.to_string() }
}

/// Bytes that are free on the disk of `dir`.
fn free(dir: &Path) -> Result<u64, JournalError> {
    let stat = rustix::fs::statvfs(dir).io("look at the room of", dir)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Refuses a disk that is full, before anything on it is touched.
fn require_room(free: u64) -> Result<(), JournalError> {
    if free >= ROOM {
        return Ok(());
    }
    let reason = format!("No space left on device: {free} bytes are free, and {ROOM} are needed to open it safely");
    Err(JournalError::Store { action: "open", reason })
}

/// The same, with the folder that it is about.
fn located(error: JournalError, dir: &Path) -> JournalError {
    match error {
        JournalError::Store { action, reason } => {
            JournalError::Store { action, reason: format!("{}: {reason}", dir.display()) }
        }
        JournalError::CorruptCheckpoint { what } => {
            JournalError::CorruptCheckpoint { what: format!("{}: {what}", dir.display()) }
        }
        other => other,
    }
}

impl SledStore {
    /// Opens the database in `dir`, or creates it.
    ///
    /// # Errors
    /// A database that is damaged or in use.
    pub fn open(dir: &Path) -> Result<Self, JournalError> {
        durable::create_dir_synced(dir)?;
        Self::open_with(dir, free(dir)?)
    }

    /// The same, in a folder that exists, on a disk with so many bytes free.
    pub(crate) fn open_with(dir: &Path, free: u64) -> Result<Self, JournalError> {
        require_room(free).map_err(|error| located(error, dir))?;
        let config = sled::Config::new().path(dir).cache_capacity(CACHE_BYTES).flush_every_ms(None);
        let deadline = Deadline::after(&SystemClock, LOCK_WAIT);
        let db = loop {
            let opened = unpanicked("open", || config.open().map_err(failed("open")));
            match opened.map_err(|error| located(error, dir)) {
                // The threads of a database that this process has just closed may keep its file for a moment.
                Err(JournalError::Store { reason, .. })
                    if reason.contains("could not acquire lock") && !deadline.is_over(&SystemClock) =>
                {
                    std::thread::sleep(LOCK_POLL);
                }
                result => break result?,
            }
        };
        let mut store = Self { db, dir: dir.to_owned(), key: Vec::new(), digest: Cell::new(None), broken: false };
        let seal = unpanicked("open", || store.seal()).map_err(|error| located(error, dir))?;
        store.broken = seal == Seal::Broken;
        Ok(store)
    }

    /// Makes the seal that a database of the first layout lacks.
    ///
    /// # Errors
    /// The database cannot be read or written.
    pub(crate) fn seal_first(&mut self) -> Result<(), JournalError> {
        let first = |store: &Self| {
            Ok(store.seal()? == Seal::Absent && store.count_rows(&mut |_, _| Ok(()))? != Digest::default())
        };
        if unpanicked("read", || first(self)).map_err(|error| located(error, &self.dir))? {
            self.make_seal()?;
            self.sync()?;
        }
        Ok(())
    }

    /// Leaves it as the first layout was.
    #[cfg(test)]
    pub(crate) fn forget_seal(&mut self) -> Result<(), JournalError> {
        self.db.remove(SEAL).map_err(failed("unseal"))?;
        self.sync()
    }

    fn seal(&self) -> Result<Seal, JournalError> {
        match self.db.get(SEAL).map_err(failed("read the seal of"))? {
            None => Ok(Seal::Absent),
            Some(bytes) if bytes.is_empty() => Ok(Seal::Broken),
            Some(bytes) => Digest::decode(&bytes).map(Seal::Whole).ok_or_else(|| JournalError::CorruptCheckpoint {
                what: format!("its seal of {} bytes is none", bytes.len()),
            }),
        }
    }

    /// Gives all rows to `visit`, and tells what they are. A thread of its own reads ahead: of a start over many rows, half is
    /// sled's work.
    fn count_rows(&self, visit: &mut RowVisitor<'_>) -> Result<Digest, JournalError> {
        let db = &self.db;
        let digest = std::thread::scope(|scope| {
            let (send, batches) = sync_channel(BATCHES_AHEAD);
            let reader = scope.spawn(move || unpanicked("read", || read_rows(db, &send)));
            for batch in batches {
                for (key, value) in batch {
                    visit(key.get(1..).unwrap_or_default(), &value)?;
                }
            }
            reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })?;
        self.digest.set(Some(digest));
        Ok(digest)
    }

    /// The digest of the rows as they are; reads them if nobody has yet.
    fn known(&self) -> Result<Digest, JournalError> {
        match self.digest.get() {
            Some(digest) => Ok(digest),
            None => self.count_rows(&mut |_, _| Ok(())),
        }
    }

    /// Rows are about to change: from here to the next seal a crash may leave any part of them.
    fn break_seal(&mut self) -> Result<(), JournalError> {
        self.known()?;
        // One that has never been sealed is marked as well: rows without any seal are damage.
        if !self.broken {
            self.db.insert(SEAL, &[]).map_err(failed("break the seal of"))?;
            self.sync()?;
            self.broken = true;
        }
        Ok(())
    }

    fn make_seal(&mut self) -> Result<(), JournalError> {
        let digest = self.known()?;
        self.db.insert(SEAL, &digest.encode()).map_err(failed("seal"))?;
        self.broken = false;
        Ok(())
    }

    /// What `old` was under this key is not there any more, what `new` is, is.
    fn changed(&self, key: &[u8], old: Option<&[u8]>, new: Option<&[u8]>) {
        let mut digest = self.digest.get().unwrap_or_default();
        old.into_iter().for_each(|old| digest.take(key, old));
        new.into_iter().for_each(|new| digest.put(key, new));
        self.digest.set(Some(digest));
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
        self.break_seal()?;
        let old = self.db.insert(row_key(&mut self.key, key), value).map_err(failed("write a row of"))?;
        self.changed(key, old.as_deref(), Some(value));
        Ok(())
    }

    fn delete(&mut self, key: &[u8]) -> Result<(), JournalError> {
        self.break_seal()?;
        let old = self.db.remove(row_key(&mut self.key, key)).map_err(failed("delete a row of"))?;
        self.changed(key, old.as_deref(), None);
        Ok(())
    }

    fn set_mark(&mut self, mark: Mark, seq: Seq) -> Result<(), JournalError> {
        if mark == Mark::Applied {
            // All rows are synced by then.
            self.make_seal()?;
        }
        self.db.insert([MARK, mark as u8], &seq.0.to_be_bytes()).map_err(failed("write a mark of"))?;
        Ok(())
    }

    fn sync(&mut self) -> Result<(), JournalError> {
        self.db.flush().map_err(failed("flush"))?;
        sync_tree(&self.dir)
    }

    fn mark(&self, mark: Mark) -> Result<Seq, JournalError> {
        let get = || self.db.get([MARK, mark as u8]).map_err(failed("read a mark of"));
        let Some(value) = unpanicked("read", get).map_err(|error| located(error, &self.dir))? else {
            return Ok(Seq(0));
        };
        let bytes = value.as_ref().try_into().map_err(|_| JournalError::CorruptCheckpoint {
            what: format!("the mark {mark:?} has {} bytes", value.len()),
        })?;
        Ok(Seq(u64::from_be_bytes(bytes)))
    }

    fn for_each(&self, visit: &mut RowVisitor<'_>) -> Result<(), JournalError> {
        let read = || {
            let seal = self.seal()?;
            let found = self.count_rows(visit)?;
            let what = match seal {
                Seal::Whole(written) if found != written => found.difference(written),
                Seal::Absent if found != Digest::default() => "it has rows and no seal".to_owned(),
                _ => return Ok(()),
            };
            // A row more or less is a file more or less.
            Err(JournalError::CorruptCheckpoint { what })
        };
        unpanicked("read", read).map_err(|error| located(error, &self.dir))
    }
}

/// Rows as sled has them.
type Batch = Vec<(sled::IVec, sled::IVec)>;

/// Sends all rows, in order, until nobody takes them any more; tells what they are.
fn read_rows(db: &sled::Db, send: &SyncSender<Batch>) -> Result<Digest, JournalError> {
    let mut digest = Digest::default();
    let mut rows = db.scan_prefix([ROW]);
    loop {
        let batch: Batch = rows.by_ref().take(BATCH_ROWS).collect::<Result<_, _>>().map_err(failed("read a row of"))?;
        for (key, value) in &batch {
            digest.put(key.get(1..).unwrap_or_default(), value);
        }
        if batch.is_empty() || send.send(batch).is_err() {
            return Ok(digest);
        }
    }
}
