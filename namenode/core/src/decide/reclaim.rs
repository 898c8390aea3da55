//! The content of deleted folders, freed in slices.

use super::delete::remove_file;
use super::draft::Draft;
use crate::api::Reply;
use crate::rows::{DETACHED, Edit};
use mammoth_protocol::limits::RECLAIM_SLICE;
use mammoth_protocol::{FsError, InodeId};

/// Frees up to a slice of what is below a detached folder, deepest first, so that every inode's parent outlives it.
pub(super) fn reclaim(draft: &mut Draft<'_>, root: InodeId) -> Result<Reply, FsError> {
    if draft.state.rows.inode(root).is_some_and(|inode| inode.parent == DETACHED) {
        free(draft, root);
    }
    Ok(Reply::Unit)
}

/// Walks down in depth-first order with a stack of its own: a folder may be deeper than the thread's stack allows.
fn free(draft: &mut Draft<'_>, root: InodeId) {
    let state = draft.state;
    let children = |id| state.tree.children(id).into_iter().flat_map(|children| children.iter());
    let mut path = vec![(root, children(root))];
    while draft.len() < RECLAIM_SLICE {
        let Some((folder, rest)) = path.last_mut() else { return };
        match rest.next() {
            Some(child) if state.rows.file(child).is_some() => remove_file(draft, child),
            Some(child) => path.push((child, children(child))),
            None => {
                draft.push(Edit::Removed { id: *folder });
                path.pop();
            }
        }
    }
}
