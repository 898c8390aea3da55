//! Why a driver, a task or a job's own code failed. Every text names the thing and fits on one line, unless a server's does not.

use mammoth_client::ClientError;
use mammoth_platform::PlatformError;
use std::io;
use std::path::{Path, PathBuf};

/// A failure.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// The command line makes no sense: shown with the usage, status 255.
    #[error("{0}")]
    Usage(String),
    /// What was asked for cannot be done, in a sentence of its own.
    #[error("{0}")]
    Refused(String),
    /// The cluster refused or could not do it.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Settings that cannot be used, or a failure of the machine below.
    #[error(transparent)]
    Platform(#[from] PlatformError),
    /// A local file or stream.
    #[error("{what}: {source}")]
    Io {
        /// What was attempted, on what.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// Bytes that are not what they should be.
    #[error("{what}: {why}")]
    Corrupt {
        /// What was read.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// The job's own code gave up.
    #[error("{0}")]
    User(String),
    /// The process was told to stop.
    #[error("stopped: {0}")]
    Stopped(String),
}

impl RuntimeError {
    /// Whether this process has no more files or memory, whatever it was that it wanted to read.
    #[must_use]
    pub fn is_exhaustion(&self) -> bool {
        matches!(self, Self::Io { source, .. } if is_exhausted(source))
    }

    /// The status with which a driver ends: Hadoop's tools answer a wrong command line with 255.
    #[must_use]
    pub const fn exit_status(&self) -> u8 {
        match self {
            Self::Usage(_) => 255,
            _ => 1,
        }
    }
}

/// Whether the system said that this process, or the machine, has no more of something: files, memory. That is nobody else's
/// fault, and passes.
pub(crate) fn is_exhausted(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(errno, Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOBUFS))
}

/// A local path with an error that says no more than why.
pub(crate) fn local(path: &Path) -> impl FnOnce(io::Error) -> RuntimeError + use<> {
    let path: PathBuf = path.to_owned();
    move |source| RuntimeError::Io { what: path.display().to_string(), source }
}
