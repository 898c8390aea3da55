//! Files and folders as rows have them.

use super::attrs::SharedAttrs;
use super::name::Name;
use super::run::Run;
use mammoth_protocol::{InodeId, Seq};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// A file or folder. Its id is its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Inode {
    /// Sequence of the last edit of this row.
    pub(crate) seq: Seq,
    /// The folder that it is in; [`super::DETACHED`] for a deleted folder; itself for the root.
    pub(crate) parent: InodeId,
    /// Empty for the root.
    pub(crate) name: Name,
    /// Wall milliseconds.
    pub(crate) mtime_ms: u64,
    /// Wall milliseconds; 0 for folders.
    pub(crate) atime_ms: u64,
    pub(crate) attrs: SharedAttrs,
    pub(crate) body: Body,
}

/// What tells files from folders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    Dir,
    File(File),
}

/// What only files have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct File {
    /// Its first blocks; further ones are in segments.
    pub(crate) first: Run,
    /// Who writes it.
    pub(crate) lease: Option<Box<Lease>>,
}

/// The right to write a file. At most one client has it (I4: a file has at most one writer).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The lease holder's name; all files of one name are renewed together.
    pub client: Box<str>,
    /// Where the holder called from; placement prefers a datanode there.
    pub addr: Option<IpAddr>,
}

// One inode of a one-block file; its folder's entry and the block map's come on top.
const _: () = assert!(size_of::<Inode>() <= 112);

impl Inode {
    pub(crate) fn root(attrs: SharedAttrs) -> Self {
        Self {
            seq: Seq(0),
            parent: InodeId::ROOT,
            name: Name::from(""),
            // Not the time of formatting, which no edit records: every load of an empty file system gives the same root.
            mtime_ms: 0,
            atime_ms: 0,
            attrs,
            body: Body::Dir,
        }
    }

    pub(crate) fn is_dir(&self) -> bool {
        matches!(self.body, Body::Dir)
    }

    pub(crate) fn file(&self) -> Option<&File> {
        match &self.body {
            Body::Dir => None,
            Body::File(file) => Some(file),
        }
    }

    pub(crate) fn file_mut(&mut self) -> Option<&mut File> {
        match &mut self.body {
            Body::Dir => None,
            Body::File(file) => Some(file),
        }
    }

    /// Who writes it, if it is a file that somebody writes.
    pub(crate) fn lease(&self) -> Option<&Lease> {
        self.file()?.lease.as_deref()
    }
}
