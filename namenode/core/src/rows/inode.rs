//! Files and folders as rows have them.

use super::attrs::{Attrs, AttrsIx};
use super::packed::Blocks;
use super::run::{Building, Run};
use mammoth_protocol::{InodeId, Seq};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// A file or folder, as it lies in [`super::Inodes`]. Its id is its key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inode<'a> {
    /// Sequence of the last edit of this row.
    pub(crate) seq: Seq,
    /// The folder that it is in; [`super::DETACHED`] for a deleted folder; itself for the root.
    pub(crate) parent: InodeId,
    /// Empty for the root.
    pub(crate) name: &'a str,
    /// Wall milliseconds.
    pub(crate) mtime_ms: u64,
    /// Wall milliseconds; 0 for folders.
    pub(crate) atime_ms: u64,
    pub(crate) attrs: &'a Attrs,
    /// What makes it a file.
    pub(crate) file: Option<File<'a>>,
}

/// What only files have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct File<'a> {
    /// Its first blocks; further ones are in segments.
    pub(crate) first: Blocks<'a>,
    /// The construction of the last of these.
    pub(crate) building: Option<&'a Building>,
    /// Who writes it.
    pub(crate) lease: Option<&'a Lease>,
}

/// The right to write a file. At most one client has it (I4: a file has at most one writer).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The lease holder's name; all files of one name are renewed together.
    pub client: Box<str>,
    /// Where the holder called from; placement prefers a datanode there.
    pub addr: Option<IpAddr>,
}

impl<'a> Inode<'a> {
    pub(crate) fn is_dir(&self) -> bool {
        self.file.is_none()
    }

    /// Who writes it, if it is a file that somebody writes.
    pub(crate) fn lease(&self) -> Option<&'a Lease> {
        self.file?.lease
    }
}

/// A file or folder taken apart, to be made or changed.
#[derive(Clone, Debug)]
pub(super) struct InodeParts {
    pub(super) seq: Seq,
    pub(super) parent: InodeId,
    pub(super) name: Box<str>,
    pub(super) mtime_ms: u64,
    pub(super) atime_ms: u64,
    pub(super) attrs: AttrsIx,
    pub(super) file: Option<FileParts>,
}

/// What only files have.
#[derive(Clone, Debug, Default)]
pub(super) struct FileParts {
    pub(super) first: Run,
    pub(super) lease: Option<Lease>,
}

impl InodeParts {
    /// The root folder, not of the time of formatting, which no edit records: every load of an empty file system gives the same.
    pub(super) fn root(attrs: AttrsIx) -> Self {
        Self { seq: Seq(0), parent: InodeId::ROOT, name: "".into(), mtime_ms: 0, atime_ms: 0, attrs, file: None }
    }
}
