//! `delete`, and how files and folders go.

use super::draft::Draft;
use crate::api::Reply;
use crate::rows::Edit;
use mammoth_protocol::{DfsPath, ErrorCode, FsError, InodeId};

/// Deletes a file, an empty folder, or with `recursive` a folder with all that is in it.
pub(super) fn delete(draft: &mut Draft<'_>, path: &DfsPath, recursive: bool) -> Result<Reply, FsError> {
    draft.guard(&format!("Cannot delete {path}"))?;
    let resolved = draft.resolve(path)?;
    draft.access().on_removal(&resolved)?;
    let Some(id) = resolved.last() else { return Ok(Reply::Done(false)) };
    draft.access().on_subtree(id)?;
    if !recursive && draft.state.tree.child_count(id) > 0 {
        return Err(FsError::new(ErrorCode::PathIsNotEmptyDirectory, format!("{path} is non empty")));
    }
    let Some(parent) = resolved.parent() else {
        // The root: HDFS answers false.
        return Ok(Reply::Done(false));
    };
    remove(draft, id);
    draft.touch_folder(parent);
    Ok(Reply::Done(true))
}

/// Takes an inode away: a file or an empty folder at once; a folder with entries becomes unreachable at once, and what is in
/// it is reclaimed in slices.
pub(super) fn remove(draft: &mut Draft<'_>, id: InodeId) {
    if draft.state.rows.file(id).is_some() {
        remove_file(draft, id);
    } else if draft.state.tree.child_count(id) > 0 {
        draft.push(Edit::Detached { id });
    } else {
        draft.push(Edit::Removed { id });
    }
}

/// Takes a file away, with the rows of its further blocks.
pub(super) fn remove_file(draft: &mut Draft<'_>, id: InodeId) {
    let segments: Vec<u32> = draft.state.rows.segments_of(id).map(|(number, _)| number).collect();
    for segment in segments {
        draft.push(Edit::SegmentRemoved { file: id, segment });
    }
    draft.push(Edit::Removed { id });
}
