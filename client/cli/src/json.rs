//! What `--json` prints: the field names are those of WebHDFS where it has them; sizes are bytes, times milliseconds.

use crate::fs::{Kind, Status};
use crate::paths::Item;
use mammoth_client::{ContentSummary, FsStats};
use serde::Serialize;

/// One path.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Path<'a> {
    path: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    length: u64,
    owner: &'a str,
    group: &'a str,
    permission: String,
    replication: u16,
    block_size: u64,
    modification_time: u64,
    access_time: u64,
}

impl<'a> Path<'a> {
    /// What is known about an item.
    pub(crate) fn new(item: &'a Item, status: &'a Status) -> Self {
        Self {
            path: &item.shown,
            kind: match status.kind {
                Kind::File => "FILE",
                Kind::Folder => "DIRECTORY",
                Kind::Symlink => "SYMLINK",
            },
            length: status.len,
            owner: &status.owner,
            group: &status.group,
            permission: format!("{:o}", status.permission),
            replication: status.replication,
            block_size: status.block_size,
            modification_time: status.modified_ms,
            access_time: status.accessed_ms,
        }
    }
}

/// Totals below a path.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Usage<'a> {
    path: &'a str,
    length: u64,
    space_consumed: u64,
    file_count: u64,
    directory_count: u64,
}

impl<'a> Usage<'a> {
    /// The totals of a path as shown.
    pub(crate) fn new(path: &'a str, summary: &ContentSummary) -> Self {
        Self {
            path,
            length: summary.length,
            space_consumed: summary.space_consumed,
            file_count: summary.file_count,
            directory_count: summary.directory_count,
        }
    }
}

/// Size and use of a file system.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FileSystem<'a> {
    filesystem: &'a str,
    capacity: u64,
    used: u64,
    remaining: u64,
}

impl<'a> FileSystem<'a> {
    /// The figures of the file system with this URI.
    pub(crate) fn new(uri: &'a str, stats: &FsStats) -> Self {
        Self { filesystem: uri, capacity: stats.capacity, used: stats.used, remaining: stats.remaining }
    }
}
