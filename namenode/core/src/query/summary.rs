//! Counts below a path.

use super::Asker;
use crate::access::{EXECUTE, READ};
use crate::api::{Answer, ContentSummary};
use crate::errors::not_found;
use mammoth_protocol::{DfsPath, FsError};

impl Asker<'_, '_> {
    /// Walks everything below a path.
    pub(super) fn content_summary(&mut self, path: &DfsPath) -> Result<Answer, FsError> {
        let resolved = self.resolve(path)?;
        let root = resolved.last().ok_or_else(|| not_found(path))?;
        self.access().on_path(&resolved, READ)?;
        let state = self.state;
        let mut sum = ContentSummary::default();
        let mut waiting = vec![root];
        while let Some(id) = waiting.pop() {
            let Some(inode) = state.rows.inode(id) else { continue };
            self.saw.push(id);
            if inode.is_dir() {
                sum.dirs += 1;
                self.access().on_folder(id, READ | EXECUTE)?;
                waiting.extend(state.tree.children(id).into_iter().flat_map(|children| children.iter()));
            } else {
                let len = state.rows.len_of(id);
                sum.files += 1;
                sum.len = sum.len.saturating_add(len);
                sum.space = sum.space.saturating_add(len.saturating_mul(inode.attrs.replication.into()));
            }
        }
        Ok(Answer::Summary(sum))
    }
}
