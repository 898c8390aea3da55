//! What can go wrong in a tasktracker.

use mammoth_platform::PlatformError;
pub(crate) use mammoth_platform::chain;
use mammoth_web::bind::BindError;
use std::path::PathBuf;

/// A failure of the tasktracker itself. What goes wrong with one attempt is the reason in its report, not this.
#[derive(Debug, thiserror::Error)]
pub enum TasktrackerError {
    /// The machine below failed, or a setting cannot be accepted.
    #[error(transparent)]
    Platform(#[from] PlatformError),
    /// The HTTP door cannot be opened.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A setting that cannot be accepted.
    #[error("{reason}")]
    Setting {
        /// Which, and why.
        reason: String,
    },
    /// A folder that is not a tasktracker's, or of another version.
    #[error("{}: {reason}", path.display())]
    BadFolder {
        /// The file that says so.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// It ended by itself.
    #[error("{reason}")]
    Fatal {
        /// What was fatal.
        reason: String,
    },
}

/// Why a tasktracker did not start.
pub type StartError = TasktrackerError;

/// Shorthand of this crate.
pub(crate) type Result<T> = std::result::Result<T, TasktrackerError>;
