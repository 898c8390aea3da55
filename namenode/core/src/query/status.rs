//! What clients learn of one file or folder.

use crate::api::FileStatus;
use crate::state::State;
use mammoth_protocol::InodeId;

impl State {
    /// The status of an inode under a name; without blocks.
    pub(crate) fn status_of(&self, id: InodeId, name: String) -> Option<FileStatus> {
        let inode = self.rows.inode(id)?;
        Some(FileStatus {
            id,
            name,
            is_dir: inode.is_dir(),
            len: self.rows.len_of(id),
            replication: inode.attrs.replication,
            block_size: inode.attrs.block_size,
            mtime_ms: inode.mtime_ms,
            atime_ms: inode.atime_ms,
            mode: inode.attrs.mode,
            owner: inode.attrs.owner.to_string(),
            group: inode.attrs.group.to_string(),
            children: u32::try_from(self.tree.child_count(id)).unwrap_or(u32::MAX),
            blocks: None,
        })
    }
}
