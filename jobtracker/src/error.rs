//! Why a jobtracker does not start.

use mammoth_platform::PlatformError;

/// Why a jobtracker does not start. One line each, naming the address, folder or setting.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting that cannot be accepted, or a folder that is in use or cannot be read.
    #[error(transparent)]
    Platform(#[from] PlatformError),
    /// A door that cannot be opened.
    #[error(transparent)]
    Bind(#[from] mammoth_web::bind::BindError),
    /// A setting that makes no sense here.
    #[error("{key}: {reason}")]
    Setting {
        /// The setting.
        key: &'static str,
        /// Why.
        reason: String,
    },
    /// The edit log or the checkpoint.
    #[error(transparent)]
    Journal(#[from] mammoth_journal::JournalError),
    /// No thread or runtime could be made.
    #[error("cannot start the jobtracker's threads: {0}")]
    Threads(std::io::Error),
}
