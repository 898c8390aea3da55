//! `mkdirs`.

use super::draft::Draft;
use crate::access::WRITE;
use crate::api::Reply;
use crate::errors::exists;
use crate::paths::Resolved;
use crate::state::State;
use mammoth_protocol::{DfsPath, ErrorCode, FsError};

/// Permission bits that an inode can have.
pub(super) const MODE_MASK: u16 = 0o1777;

/// A folder through which further ones are made must let its owner do so.
const OWNER_WRITES_AND_PASSES: u16 = 0o300;

/// Makes a folder; an existing one is success.
pub(super) fn mkdirs(draft: &mut Draft<'_>, path: &DfsPath, mode: u16, create_parent: bool) -> Result<Reply, FsError> {
    draft.guard(&format!("Cannot create directory {path}"))?;
    let resolved = draft.resolve(path)?;
    if let Some(inode) = resolved.last().and_then(|id| draft.state.rows.inode(id)) {
        return if inode.is_dir() {
            Ok(Reply::Done(true))
        } else {
            Err(exists(format!("Path is not a directory: {path}")))
        };
    }
    draft.access().on_ancestor(&resolved, WRITE)?;
    if !create_parent {
        check_parent(draft.state, &resolved)?;
    }
    let mode = mode & MODE_MASK;
    let (parent, group) = draft.make_ancestors(&resolved, |_| (mode & 0o777) | OWNER_WRITES_AND_PASSES)?;
    draft.create_inode(parent, path.name(), &group, mode, None);
    Ok(Reply::Done(true))
}

/// The mode of folders that a file's creation makes on the way: as the folder above them.
pub(super) fn inherited_mode(above: u16) -> u16 {
    (above & 0o777) | OWNER_WRITES_AND_PASSES
}

/// The folder that a missing path would be in exists.
pub(super) fn check_parent(state: &State, resolved: &Resolved<'_>) -> Result<(), FsError> {
    let above = || resolved.path.parent().unwrap_or_else(DfsPath::root);
    match resolved.parent().and_then(|id| state.rows.inode(id)) {
        Some(parent) if parent.is_dir() => Ok(()),
        Some(_) => {
            Err(FsError::new(ErrorCode::ParentNotDirectory, format!("Parent path is not a directory: {}", above())))
        }
        None => Err(FsError::new(ErrorCode::FileNotFound, format!("Parent directory doesn't exist: {}", above()))),
    }
}
