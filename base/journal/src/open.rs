//! A journal's folder: made once, opened by one process at a time.
//!
//! ```text
//! in_use.lock                    the kernel's lock, with the holder's process id
//! VERSION                        layout version and identity; written last, so its presence means "formatted"
//! edits_00000000000000000001 …   the log's segments
//! checkpoint/                    the rows, in sled
//! ```

use crate::checkpoint::{CheckpointPolicy, SledStore};
use crate::error::JournalError;
use crate::identity::{CLUSTER_ID, Identity, VERSION_FILE};
use crate::journal::{Journal, Parts};
use crate::log::{FileDisk, Log, segment_of_name};
use crate::recover::{LoadStats, Recovered, recover};
use mammoth_platform::{DirLock, IoContext, Workers, durable};
use mammoth_protocol::journaled::Journaled;
use mammoth_protocol::{Seq, Term};
use std::fs;
use std::path::Path;

const CHECKPOINT_DIR: &str = "checkpoint";

/// Whether a folder holds a formatted journal.
#[must_use]
pub fn is_formatted(dir: &Path) -> bool {
    dir.join(VERSION_FILE).exists()
}

/// Makes a journal in an empty or missing folder. What an interrupted call left is overwritten.
///
/// # Errors
/// A folder that holds anything else, or is in use; an identity without [`CLUSTER_ID`]; the disk fails.
pub fn format(dir: &Path, identity: &Identity) -> Result<(), JournalError> {
    identity.check(dir)?;
    durable::create_dir_synced(dir)?;
    let _lock = DirLock::acquire(dir)?;
    for entry in fs::read_dir(dir).io("list", dir)? {
        let name = entry.io("list", dir)?.file_name().to_string_lossy().into_owned();
        // Without VERSION there can only be the one segment that is written below.
        let ours = segment_of_name(name.strip_suffix(durable::TMP_SUFFIX).unwrap_or(&name)) == Some(Seq(1))
            || name == format!("{VERSION_FILE}{}", durable::TMP_SUFFIX);
        if name != DirLock::FILE_NAME && !ours {
            return Err(JournalError::NotEmpty { dir: dir.to_owned(), found: name });
        }
    }
    Log::format(&mut FileDisk::new(dir), identity.get(CLUSTER_ID).unwrap_or_default())?;
    identity.write(dir)
}

/// A journal that was opened and loaded, and does not run yet.
#[derive(Debug)]
pub struct Opened<S> {
    /// The state after the last record of the log.
    pub state: S,
    /// Whose folder it is.
    pub identity: Identity,
    /// Sequence that the next decision gets.
    pub next_seq: Seq,
    /// The term of this start, one above the last.
    pub term: Term,
    /// What was found.
    pub stats: LoadStats,
    pub(crate) parts: Parts<FileDisk, SledStore>,
}

/// Locks the folder, checks that it is the one expected, loads the checkpoint's rows into the empty `state` and applies the
/// log's tail.
///
/// # Errors
/// A folder that is in use, not formatted, newer, or differs from `expected` in a part that it names; a damaged or
/// incomplete log or checkpoint, with the place; the disk fails.
pub fn open<S: Journaled>(dir: &Path, expected: &Identity, state: S) -> Result<Opened<S>, JournalError> {
    if !is_formatted(dir) {
        return Err(JournalError::NotFormatted { dir: dir.to_owned() });
    }
    let lock = DirLock::acquire(dir)?;
    let (identity, layout) = Identity::read_with_layout(dir)?;
    identity.expect(expected, dir)?;
    remove_leftovers(dir)?;
    let mut store = SledStore::open(&dir.join(CHECKPOINT_DIR))?;
    if layout < 2 {
        store.seal_first()?;
        identity.write(dir)?;
    }
    let cluster = identity.get(CLUSTER_ID).unwrap_or_default();
    let Recovered { state, log, stats } = recover(FileDisk::new(dir), &store, cluster, state)?;
    if let Some((segment, torn)) = &stats.torn {
        tracing::warn!(
            segment,
            at = torn.at,
            bytes = torn.bytes,
            "the edit log ended in a record that was never synced ({}); it was cut there",
            torn.what
        );
    }
    let (next_seq, term) = (Seq(log.last().0 + 1), log.term());
    let parts = Parts { log, store, lock: Some(lock), applied: stats.applied, tail_bytes: stats.bytes_replayed };
    Ok(Opened { state, identity, next_seq, term, stats, parts })
}

/// Deletes files that a crash kept from getting their names.
fn remove_leftovers(dir: &Path) -> Result<(), JournalError> {
    for entry in fs::read_dir(dir).io("list", dir)? {
        let path = entry.io("list", dir)?.path();
        if path.extension().is_some_and(|suffix| suffix == "tmp") {
            durable::remove_synced(&path)?;
        }
    }
    Ok(())
}

impl<S> Opened<S> {
    /// Starts the journal's threads; see [`Journal::start`].
    ///
    /// # Errors
    /// As [`Journal::start`].
    pub fn start<E>(
        self,
        policy: CheckpointPolicy,
        workers: &Workers,
        notify: impl Fn() + Send + Sync + 'static,
    ) -> Result<(S, Journal<E>), JournalError> {
        let journal = Journal::start(self.parts, policy, workers, notify)?;
        Ok((self.state, journal))
    }
}
