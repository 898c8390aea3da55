//! What can go wrong in a datanode.

use mammoth_net::data::DataError;
use mammoth_net::data::domain::DomainError;
use mammoth_platform::PlatformError;
pub(crate) use mammoth_platform::chain;
use mammoth_protocol::wire::WireError;
use mammoth_protocol::{Block, GenStamp, StorageId};
use mammoth_web::bind::BindError;
use std::io;
use std::path::{Path, PathBuf};

/// A failure of the datanode, of one replica or of one transfer.
#[derive(Debug, thiserror::Error)]
pub enum DatanodeError {
    /// The machine below failed.
    #[error(transparent)]
    Platform(#[from] PlatformError),
    /// A setting that cannot be accepted.
    #[error("{reason}")]
    Setting {
        /// Which, and why.
        reason: String,
    },
    /// It ended by itself.
    #[error("{reason}")]
    Fatal {
        /// What was fatal.
        reason: String,
    },
    /// A folder of another cluster, datanode or version.
    #[error("{}: {field} is {found}, expected {expected}", path.display())]
    Mismatch {
        /// The folder or its `VERSION` file.
        path: PathBuf,
        /// What differs.
        field: &'static str,
        /// Its value.
        found: String,
        /// The value that would be accepted.
        expected: String,
    },
    /// A folder that cannot be a volume.
    #[error("{}: {reason}", path.display())]
    BadVolume {
        /// The folder or a file in it.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The port of a door cannot be had.
    #[error(transparent)]
    Door(#[from] BindError),
    /// A socket for one of the doors cannot be had.
    #[error("cannot listen on {addr}: {source}")]
    Bind {
        /// The wanted address.
        addr: String,
        /// Why.
        source: io::Error,
    },
    /// The Unix socket for clients on this machine cannot be had.
    #[error("dfs.domain.socket.path: {0}")]
    Domain(#[from] DomainError),
    /// Clients come before the volumes are open.
    #[error("the datanode has not met its namenode yet")]
    NotReady,
    /// There is no such replica here.
    #[error("replica of {block} not found")]
    NotFound {
        /// The wanted block.
        block: Block,
    },
    /// A replica of the block is here already.
    #[error("{block} exists here with stamp {found} as {state}")]
    Exists {
        /// The wanted block.
        block: Block,
        /// Stamp of the replica here.
        found: GenStamp,
        /// Its state.
        state: &'static str,
    },
    /// The replica has another generation stamp.
    #[error("{block}: the replica has stamp {found}, expected {expected}")]
    Stamp {
        /// The wanted block.
        block: Block,
        /// Stamp of the replica here.
        found: GenStamp,
        /// What was expected.
        expected: String,
    },
    /// The replica is in a state in which this cannot be done.
    #[error("{block}: the replica is {found}, expected {expected}")]
    State {
        /// The wanted block.
        block: Block,
        /// Its state.
        found: &'static str,
        /// The states that would do.
        expected: &'static str,
    },
    /// The replica is shorter or longer than it should be.
    #[error("{block}: the replica has {found} bytes, expected {expected}")]
    Length {
        /// The wanted block.
        block: Block,
        /// Its length, bytes.
        found: u64,
        /// What was expected.
        expected: String,
    },
    /// A range that the replica does not have.
    #[error("offset {offset} and length {len} do not fit {block} of {found} bytes")]
    Range {
        /// The block.
        block: Block,
        /// First byte.
        offset: u64,
        /// Bytes from there.
        len: u64,
        /// Bytes that can be read.
        found: u64,
    },
    /// The disks are full.
    #[error("no space left for {block} on {place}")]
    NoSpace {
        /// The block.
        block: Block,
        /// The volume, or all of them.
        place: String,
    },
    /// The bytes of a replica do not match its checksums, or are missing.
    #[error("replica of {block} on {storage} is bad: {reason}")]
    Bad {
        /// The block as the replica has it.
        block: Block,
        /// Its volume.
        storage: StorageId,
        /// What is wrong.
        reason: String,
    },
    /// A newer recovery of the block has begun.
    #[error("{block} is in recovery with stamp {recovery}")]
    InRecovery {
        /// The block.
        block: Block,
        /// Stamp of that recovery.
        recovery: GenStamp,
    },
    /// Somebody else took the replica over.
    #[error("the writer of {block} was stopped")]
    Fenced {
        /// The block.
        block: Block,
    },
    /// A writer was told to stop and does not.
    #[error("the present writer of {block} does not stop")]
    WriterStuck {
        /// The block.
        block: Block,
    },
    /// A packet that does not belong where the writer is.
    #[error("{block}: packet at offset {offset}, but the replica has {found} bytes")]
    Gap {
        /// The block.
        block: Block,
        /// Where the packet starts.
        offset: u64,
        /// Bytes received so far.
        found: u64,
    },
    /// The volume no longer works.
    #[error("volume {storage} has failed: {reason}")]
    VolumeFailed {
        /// The volume.
        storage: StorageId,
        /// What failed.
        reason: String,
    },
    /// A stream of the data-transfer protocol failed.
    #[error("{}", chain(.0))]
    Data(#[from] DataError),
    /// A message that makes no sense here.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// Another datanode or the namenode said no.
    #[error("{peer} refused: {reason}")]
    Refused {
        /// Who.
        peer: String,
        /// Its words.
        reason: String,
    },
    /// Moves of the balancer are bounded.
    #[error("not able to take part in a move: the quota of {max} at a time is exceeded")]
    TooManyMoves {
        /// So many at a time.
        max: usize,
    },
    /// A request that this datanode does not serve.
    #[error("{0}")]
    Unsupported(String),
    /// The daemon ends.
    #[error("the datanode is shutting down")]
    Stopping,
}

/// Why a datanode did not start.
pub type StartError = DatanodeError;

/// Shorthand of this crate.
pub(crate) type Result<T> = std::result::Result<T, DatanodeError>;

impl DatanodeError {
    /// Whether the disk is full.
    pub(crate) fn is_no_space(&self) -> bool {
        match self {
            Self::NoSpace { .. } => true,
            Self::Platform(PlatformError::Io { source, .. }) => {
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            _ => false,
        }
    }

    /// Whether the disk refused something for a reason that says something about the disk, or gave back other bytes than it
    /// was given. A process that has no descriptors or memory left says nothing about a disk.
    pub(crate) fn is_disk_failure(&self) -> bool {
        use rustix::io::Errno;
        let about_us = |source: &io::Error| {
            let errno = source.raw_os_error().map(Errno::from_raw_os_error);
            matches!(errno, Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::INTR | Errno::AGAIN))
        };
        match self {
            Self::Platform(PlatformError::Io { source, .. }) => !self.is_no_space() && !about_us(source),
            Self::BadVolume { .. } => true,
            _ => false,
        }
    }
}

/// Adds verb and path to an I/O result, as this crate's error.
pub(crate) trait DiskContext<T> {
    /// `action` is a verb.
    fn disk(self, action: &'static str, path: &Path) -> Result<T>;
}

impl<T> DiskContext<T> for io::Result<T> {
    fn disk(self, action: &'static str, path: &Path) -> Result<T> {
        self.map_err(|source| PlatformError::Io { action, path: path.to_owned(), source }.into())
    }
}

impl<T> DiskContext<T> for rustix::io::Result<T> {
    fn disk(self, action: &'static str, path: &Path) -> Result<T> {
        self.map_err(io::Error::from).disk(action, path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;

    #[test]
    fn a_lack_of_descriptors_or_memory_says_nothing_about_a_disk() {
        let failed = |errno: Errno| Err::<(), _>(errno).disk("open", Path::new("/a")).unwrap_err();
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::INTR, Errno::AGAIN, Errno::NOSPC, Errno::DQUOT] {
            assert!(!failed(errno).is_disk_failure(), "{errno}");
        }
        for errno in [Errno::IO, Errno::ROFS, Errno::NOENT, Errno::NODEV, Errno::ACCESS] {
            assert!(failed(errno).is_disk_failure(), "{errno}");
        }
    }
}
