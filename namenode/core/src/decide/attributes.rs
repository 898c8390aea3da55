//! Calls that set what a file or folder carries: replication, permission, owner, times.

use super::create::check_replication;
use super::draft::Draft;
use super::mkdirs::MODE_MASK;
use crate::access::WRITE;
use crate::api::Reply;
use crate::errors::not_found;
use crate::rows::Edit;
use mammoth_protocol::limits::PRINCIPAL_BYTES_MAX;
use mammoth_protocol::{DfsPath, ErrorCode, FsError};

/// Wants another number of replicas. Copies and deletions follow from the block map's next rounds.
pub(super) fn set_replication(draft: &mut Draft<'_>, path: &DfsPath, replication: u16) -> Result<Reply, FsError> {
    check_replication(draft, path, replication)?;
    draft.guard(&format!("Cannot set replication for {path}"))?;
    let resolved = draft.resolve(path)?;
    draft.access().on_path(&resolved, WRITE)?;
    let Some((id, inode)) = resolved.last().and_then(|id| Some((id, draft.state.rows.inode(id)?))) else {
        return Ok(Reply::Done(false));
    };
    if inode.is_dir() {
        return Ok(Reply::Done(false));
    }
    if inode.attrs.replication != replication {
        draft.push(Edit::Replication { id, replication });
    }
    Ok(Reply::Done(true))
}

/// Sets the permission bits.
pub(super) fn set_permission(draft: &mut Draft<'_>, path: &DfsPath, mode: u16) -> Result<Reply, FsError> {
    draft.guard(&format!("Cannot set permission for {path}"))?;
    let resolved = draft.resolve(path)?;
    let id = resolved.last().ok_or_else(|| not_found(path))?;
    draft.access().owns(&resolved)?;
    draft.push(Edit::Mode { id, mode: mode & MODE_MASK });
    Ok(Reply::Unit)
}

/// Sets owner, group or both.
pub(super) fn set_owner(
    draft: &mut Draft<'_>,
    path: &DfsPath,
    owner: Option<&str>,
    group: Option<&str>,
) -> Result<Reply, FsError> {
    draft.guard(&format!("Cannot set owner for {path}"))?;
    let resolved = draft.resolve(path)?;
    let id = resolved.last().ok_or_else(|| not_found(path))?;
    draft.access().owns(&resolved)?;
    draft.access().may_give(owner, group)?;
    for name in [owner, group].into_iter().flatten() {
        if name.is_empty() || name.len() > PRINCIPAL_BYTES_MAX {
            return Err(FsError::new(ErrorCode::IllegalArgument, format!("Invalid owner or group name `{name}`")));
        }
    }
    if owner.is_some() || group.is_some() {
        draft.push(Edit::Owner { id, owner: owner.map(Into::into), group: group.map(Into::into) });
    }
    Ok(Reply::Unit)
}

/// Sets modification time, access time or both.
pub(super) fn set_times(
    draft: &mut Draft<'_>,
    path: &DfsPath,
    mtime_ms: Option<u64>,
    atime_ms: Option<u64>,
) -> Result<Reply, FsError> {
    draft.guard(&format!("Cannot set times {path}"))?;
    let resolved = draft.resolve(path)?;
    draft.access().on_path(&resolved, WRITE)?;
    let id = resolved
        .last()
        .ok_or_else(|| FsError::new(ErrorCode::FileNotFound, format!("File/Directory {path} does not exist.")))?;
    if mtime_ms.is_some() || atime_ms.is_some() {
        draft.push(Edit::Times { id, mtime_ms, atime_ms });
    }
    Ok(Reply::Unit)
}
