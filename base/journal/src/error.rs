//! What can go wrong with a journal.

use mammoth_platform::PlatformError;
use mammoth_protocol::Seq;
use std::path::PathBuf;

/// A journal that cannot be opened or written. None of these is worth a retry: the process that sees one stops serving.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The machine below failed, or another process holds the folder.
    #[error(transparent)]
    Platform(#[from] PlatformError),
    /// A folder that was never formatted.
    #[error("{} is not formatted", dir.display())]
    NotFormatted {
        /// The folder.
        dir: PathBuf,
    },
    /// A folder that holds something already.
    #[error("{} is not empty (it holds {found}); nothing was changed", dir.display())]
    NotEmpty {
        /// The folder.
        dir: PathBuf,
        /// One name in it.
        found: String,
    },
    /// A folder written by a newer program.
    #[error("{} has layout version {found}; this program reads versions up to {supported}", dir.display())]
    NewerLayout {
        /// The folder.
        dir: PathBuf,
        /// Its version.
        found: u32,
        /// The highest that we read.
        supported: u32,
    },
    /// A folder of another cluster, or of another part of it.
    #[error("{} belongs to {key} {found}, not to {expected}", dir.display())]
    Foreign {
        /// The folder.
        dir: PathBuf,
        /// Which part of the identity differs.
        key: String,
        /// What the folder says.
        found: String,
        /// What was expected.
        expected: String,
    },
    /// An identity file, or an identity to write, that is malformed.
    #[error("{}: {what}", path.display())]
    Identity {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A log whose bytes are not what was written. The operator has to restore a copy; the log was not
    /// touched.
    #[error("the edit log is corrupt: {segment} at byte {position}: {what}")]
    CorruptLog {
        /// The segment's file name.
        segment: String,
        /// Where in it, from 0.
        position: u64,
        /// What is wrong there.
        what: String,
    },
    /// Records that should be there are not.
    #[error("the edit log is incomplete: {what}")]
    Incomplete {
        /// What is missing.
        what: String,
    },
    /// A checkpoint whose contents are not what was written.
    #[error("the checkpoint is corrupt: {what}")]
    CorruptCheckpoint {
        /// What is wrong.
        what: String,
    },
    /// The checkpoint's store failed.
    #[error("{action} the checkpoint: {reason}")]
    Store {
        /// What was tried, as a verb.
        action: &'static str,
        /// What the store said.
        reason: String,
    },
    /// A group of records that does not follow the last one.
    #[error("record {found} does not follow record {last} of the log")]
    OutOfOrder {
        /// First record of the group.
        found: Seq,
        /// Last record of the log.
        last: Seq,
    },
    /// A fault that a test asked for.
    #[error("{0}")]
    Injected(String),
}
