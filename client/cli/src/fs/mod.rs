//! File systems as the commands see them: the cluster and the local disk side by side, so that one copy loop serves `put`,
//! `get` and `cp`, and `file:///` works in every command as it does in Hadoop's shell.
//!
//! Paths are absolute texts without a trailing slash (but for `/`); which names are valid is for each file system to say.

mod crc;
mod local;
mod names;
mod remote;

pub(crate) use local::LocalFs;
pub(crate) use remote::RemoteFs;

use crate::fault::Fault;
use mammoth_client::{ContentSummary, FileChecksum, FsStats};
use std::io::{Read, Write};
use std::sync::Arc;

/// A file system that several items and threads share.
pub(crate) type FsRef = Arc<dyn FileSystem>;

/// What a path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Folder,
    Symlink,
}

/// All about one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) kind: Kind,
    /// Bytes; 0 for a folder.
    pub(crate) len: u64,
    /// Replicas; 0 for a folder.
    pub(crate) replication: u16,
    /// Bytes; 0 for a folder.
    pub(crate) block_size: u64,
    /// Nine bits and the sticky bit.
    pub(crate) permission: u16,
    pub(crate) owner: String,
    pub(crate) group: String,
    /// Milliseconds since 1970.
    pub(crate) modified_ms: u64,
    /// Milliseconds since 1970.
    pub(crate) accessed_ms: u64,
    pub(crate) has_acl: bool,
    pub(crate) is_erasure_coded: bool,
}

impl Status {
    pub(crate) fn is_folder(&self) -> bool {
        self.kind == Kind::Folder
    }

    pub(crate) fn is_file(&self) -> bool {
        self.kind == Kind::File
    }
}

/// A name in a folder.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) status: Status,
}

/// How to create a file.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct WriteOptions {
    /// Replace an existing file.
    pub(crate) overwrite: bool,
    /// One replica, as for data that can be had again.
    pub(crate) lazy: bool,
    /// Write Hadoop's checksum file beside it, where the file system has no checksums of its own.
    pub(crate) checksum_file: bool,
    /// How long the file will be, as far as is known: a disk may make room at once.
    pub(crate) len: Option<u64>,
}

/// A kind of access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

/// A file being written. Dropped without [`Sink::finish`] it is incomplete and to be deleted by whoever created it.
pub(crate) trait Sink: Write + Send {
    /// Ends the file: all of it is stored, or this fails.
    fn finish(self: Box<Self>) -> Result<(), Fault>;
}

/// One file system.
pub(crate) trait FileSystem: Send + Sync {
    /// `hdfs://host:port` or `file://`: what comes before a path in full.
    fn uri(&self) -> &str;

    /// The folder that relative paths start from.
    fn working_folder(&self) -> &str;

    /// The status of a path, `None` if it does not exist.
    fn status(&self, path: &str) -> Result<Option<Status>, Fault>;

    /// The entries of a folder by name.
    fn list(&self, path: &str) -> Result<Vec<Entry>, Fault>;

    /// Makes a folder and all above it. `permission` is exact if given, else the usual less the umask.
    fn mkdirs(&self, path: &str, permission: Option<u16>) -> Result<(), Fault>;

    /// Deletes; `false` if it would not, as for a missing path.
    fn delete(&self, path: &str, recursive: bool) -> Result<bool, Fault>;

    /// Renames to a path that does not exist; `false` if it would not.
    fn rename(&self, from: &str, to: &str) -> Result<bool, Fault>;

    /// Renames over a file, which is never missing meanwhile.
    fn replace(&self, from: &str, to: &str) -> Result<(), Fault>;

    /// Renames into the trash.
    fn rename_to_trash(&self, from: &str, to: &str) -> Result<(), Fault>;

    /// Minutes that deleted files stay in the trash, 0 for no trash.
    fn trash_minutes(&self) -> Result<u64, Fault>;

    /// A reader from byte `from` on. `verify` off accepts bad checksums, where that can be chosen.
    fn open(&self, path: &str, from: u64, verify: bool) -> Result<Box<dyn Read + Send>, Fault>;

    /// Creates a file.
    fn create(&self, path: &str, options: WriteOptions) -> Result<Box<dyn Sink>, Fault>;

    /// Appends to a file that exists.
    fn append(&self, path: &str) -> Result<Box<dyn Sink>, Fault>;

    /// Shortens a file; `false` if its last block is still being cut.
    fn truncate(&self, path: &str, len: u64) -> Result<bool, Fault>;

    /// Moves the content of files to the end of another.
    fn concat(&self, target: &str, sources: &[&str]) -> Result<(), Fault>;

    fn set_permission(&self, path: &str, permission: u16) -> Result<(), Fault>;

    /// Sets what is given.
    fn set_owner(&self, path: &str, owner: Option<&str>, group: Option<&str>) -> Result<(), Fault>;

    /// Sets what is given, milliseconds since 1970.
    fn set_times(&self, path: &str, modified_ms: Option<u64>, accessed_ms: Option<u64>) -> Result<(), Fault>;

    /// Sets the wanted replicas of a file; `false` if it would not.
    fn set_replication(&self, path: &str, replication: u16) -> Result<bool, Fault>;

    /// Replicas that each block of a file has at present.
    fn replica_counts(&self, path: &str) -> Result<Vec<usize>, Fault>;

    /// Checksum of a whole file, `None` where files have none.
    fn checksum(&self, path: &str) -> Result<Option<FileChecksum>, Fault>;

    /// Whether the caller may.
    fn may(&self, path: &str, access: Access) -> Result<bool, Fault>;

    /// Totals below a path.
    fn summary(&self, path: &str) -> Result<ContentSummary, Fault>;

    /// Size and use of the whole.
    fn stats(&self) -> Result<FsStats, Fault>;
}
