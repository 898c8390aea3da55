//! The few operations on files that drivers and tasks need, apart from where the files are: the cluster ([`DfsFiles`]), or the
//! memory of this process ([`MemoryFiles`]) for local runs and tests.

mod dfs;
mod memory;
#[cfg(test)]
mod tests;

pub use dfs::DfsFiles;
pub use memory::MemoryFiles;

use crate::error::RuntimeError;
use mammoth_client::ClientError;
use mammoth_protocol::DfsPath;
use std::io::{Read, Seek, Write};

/// What is known about a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileInfo {
    /// Its whole path.
    pub path: DfsPath,
    /// Whether it is a folder.
    pub is_dir: bool,
    /// Length in bytes; 0 for folders.
    pub len: u64,
    /// Size of its blocks in bytes; 0 for folders.
    pub block_size: u64,
}

/// One block of a file and the hosts that have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockHosts {
    /// Where it starts in the file, bytes.
    pub offset: u64,
    /// Its length, bytes.
    pub len: u64,
    /// Host names, nearest first.
    pub hosts: Vec<String>,
}

/// A file that is being written. Only [`Sink::close`] tells whether everything arrived.
pub trait Sink: Write + Send {
    /// Closes the file; its length is the answer.
    ///
    /// # Errors
    /// Not everything arrived.
    fn close(self: Box<Self>) -> Result<u64, ClientError>;
}

/// A file that is being read.
pub trait Source: Read + Seek + Send {}

impl<T: Read + Seek + Send> Source for T {}

/// A file system.
pub trait FileSystem: Send + Sync {
    /// Scheme and authority without a slash at the end: `hdfs://host:port`.
    fn uri(&self) -> String;

    /// The folder that relative paths start from.
    ///
    /// # Errors
    /// A user name that cannot be part of a path.
    fn home(&self) -> Result<DfsPath, ClientError>;

    /// All about a path; `None` if there is no such.
    ///
    /// # Errors
    /// See [`ClientError`].
    fn stat(&self, path: &DfsPath) -> Result<Option<FileInfo>, ClientError>;

    /// The entries of a folder, in byte order of their names.
    ///
    /// # Errors
    /// No such folder.
    fn list(&self, path: &DfsPath) -> Result<Vec<FileInfo>, ClientError>;

    /// Where the blocks of a file are.
    ///
    /// # Errors
    /// No such file.
    fn blocks(&self, path: &DfsPath, len: u64) -> Result<Vec<BlockHosts>, ClientError>;

    /// Makes a folder and all above it; an existing one is fine.
    ///
    /// # Errors
    /// A file is in the way.
    fn mkdirs(&self, path: &DfsPath) -> Result<(), ClientError>;

    /// Makes a folder in one that is there; an existing one is fine. So nobody brings back what was deleted meanwhile.
    ///
    /// # Errors
    /// The folder above is not there; a file is in the way.
    fn mkdir(&self, path: &DfsPath) -> Result<(), ClientError>;

    /// Creates a file in a folder that is there, or replaces one.
    ///
    /// # Errors
    /// The folder is not there.
    fn create_in(&self, path: &DfsPath) -> Result<Box<dyn Sink>, ClientError>;

    /// Creates a file and the folders above it.
    ///
    /// # Errors
    /// It exists and is not to be replaced.
    fn create(&self, path: &DfsPath, overwrite: bool) -> Result<Box<dyn Sink>, ClientError>;

    /// Opens a file at its start.
    ///
    /// # Errors
    /// No such file.
    fn open(&self, path: &DfsPath) -> Result<Box<dyn Source>, ClientError>;

    /// Renames to exactly `to`, which must not exist.
    ///
    /// # Errors
    /// The source is missing, the target exists.
    fn rename(&self, from: &DfsPath, to: &DfsPath) -> Result<(), ClientError>;

    /// Renames a file to exactly `to` in one step, in place of a file that is there.
    ///
    /// # Errors
    /// The source is missing, the target is a folder.
    fn replace(&self, from: &DfsPath, to: &DfsPath) -> Result<(), ClientError>;

    /// Deletes a path; false if there was none.
    ///
    /// # Errors
    /// A folder with entries while `recursive` is not set.
    fn delete(&self, path: &DfsPath, recursive: bool) -> Result<bool, ClientError>;
}

/// The path that a text given by a user means: absolute, relative to the home folder, or with this file system's URI in front.
///
/// # Errors
/// Another file system; no valid path.
pub fn resolve(files: &dyn FileSystem, text: &str) -> Result<DfsPath, RuntimeError> {
    let bad = |error: mammoth_protocol::path::BadPath| RuntimeError::Refused(error.to_string());
    DfsPath::parse(&absolute(files, text)?).map_err(bad)
}

/// As [`resolve`], for a text that may hold wildcards.
pub(crate) fn absolute(files: &dyn FileSystem, text: &str) -> Result<String, RuntimeError> {
    if text.is_empty() {
        return Err(RuntimeError::Refused("Can not create a Path from an empty string".to_owned()));
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        if text.starts_with('/') {
            return Ok(text.to_owned());
        }
        let home = files.home()?;
        let text = text.trim_start_matches("./");
        return Ok(if text.is_empty() || text == "." { home.to_string() } else { format!("{home}/{text}") });
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let given = format!("{scheme}://{authority}");
    let own = files.uri();
    // Without a port Hadoop's is meant; without an authority the default file system.
    if given != own && format!("{given}:8020") != own && !(authority.is_empty() && own.starts_with(&given)) {
        return Err(RuntimeError::Refused(format!("Wrong FS: {text}, expected: {own}")));
    }
    Ok(if path.is_empty() { "/".to_owned() } else { path.to_owned() })
}
