//! Listings, page by page.

use super::Asker;
use crate::access::{EXECUTE, READ};
use crate::api::{Answer, FileStatus, Listing};
use mammoth_protocol::{DfsPath, FsError, InodeId};

impl Asker<'_, '_> {
    /// One page of a folder, in byte order of the names. A page with locations ends early once it has as many blocks as a
    /// page has entries.
    pub(super) fn listing(
        &mut self,
        path: &DfsPath,
        start_after: &[u8],
        need_location: bool,
    ) -> Result<Answer, FsError> {
        let resolved = self.resolve(path)?;
        let Some(id) = resolved.last() else { return Ok(Answer::Listing(None)) };
        let state = self.state;
        if state.rows.file(id).is_some() {
            let entries = self.entry(id, String::new(), need_location).into_iter().collect();
            return Ok(Answer::Listing(Some(Listing { entries, remaining: 0 })));
        }
        self.access().on_path(&resolved, READ | EXECUTE)?;
        let Some(children) = state.tree.children(id) else {
            return Ok(Answer::Listing(Some(Listing { entries: Vec::new(), remaining: 0 })));
        };
        let page = state.config.listing_page.max(1);
        let (total, after) = if start_after.is_empty() {
            (children.len(), None)
        } else {
            let (count, rest) = children.after(&state.rows.inodes, start_after);
            (count, Some(rest))
        };
        let ids: Vec<InodeId> = match after {
            Some(rest) => rest.take(page).collect(),
            None => children.iter().take(page).collect(),
        };
        let mut entries = Vec::with_capacity(ids.len());
        let mut blocks = 0;
        for child in ids {
            let name = state.rows.inode(child).map(|inode| inode.name.to_owned()).unwrap_or_default();
            let Some(entry) = self.entry(child, name, need_location) else { continue };
            blocks += entry.blocks.as_ref().map_or(0, |found| found.blocks.len());
            entries.push(entry);
            if blocks >= page {
                break;
            }
        }
        let remaining = u32::try_from(total - entries.len()).unwrap_or(u32::MAX);
        Ok(Answer::Listing(Some(Listing { entries, remaining })))
    }

    fn entry(&mut self, id: InodeId, name: String, need_location: bool) -> Option<FileStatus> {
        self.saw.push(id);
        let mut status = self.state.status_of(id, name)?;
        if need_location && !status.is_dir {
            status.blocks = Some(self.state.blocks_in_range(id, 0, u64::MAX, self.caller.addr));
        }
        Some(status)
    }
}
