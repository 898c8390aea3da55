//! Files that somebody writes.

use super::Asker;
use crate::api::{Answer, OpenFile};
use mammoth_protocol::{DfsPath, FsError, InodeId};

impl Asker<'_, '_> {
    /// A page of the open files at or below a path.
    pub(super) fn open_files(
        &mut self,
        after: InodeId,
        below: &DfsPath,
        blocking: bool,
        max: usize,
    ) -> Result<Answer, FsError> {
        self.require_superuser()?;
        let above = self.resolve(below)?.last();
        let mut files = Vec::new();
        for id in self.state.leases.files_after(after) {
            let under = self.state.ancestors(id).any(|folder| Some(folder) == above);
            let lease = self.state.reachable(id).and_then(|inode| inode.lease()).filter(|_| under);
            let Some(lease) = lease.filter(|_| !blocking || self.blocks_departure(id)) else { continue };
            if files.len() == max {
                return Ok(Answer::OpenFiles { files, more: true });
            }
            let (client, addr) = (lease.client.to_string(), lease.addr);
            self.saw.extend(self.state.ancestors(id));
            files.push(OpenFile { id, path: self.state.path_of(id), client, addr });
        }
        Ok(Answer::OpenFiles { files, more: false })
    }

    fn blocks_departure(&self, id: InodeId) -> bool {
        let last = self.state.rows.last_block(id).filter(|(_, _, building)| building.is_some());
        last.is_some_and(|(_, block, _)| self.state.blocks.is_written_where_to_leave(block.id))
    }
}
