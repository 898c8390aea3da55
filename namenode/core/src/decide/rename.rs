//! `rename` and `rename2`. A rename is one edit of the inode that moves, however much is below it.

use super::delete::remove;
use super::draft::Draft;
use crate::access::WRITE;
use crate::api::Reply;
use crate::errors::{exists, io};
use crate::paths::Resolved;
use crate::rows::Edit;
use mammoth_protocol::{DfsPath, ErrorCode, FsError};

/// The old rename: an existing folder as destination means "into it", and most failures are just `false`.
pub(super) fn rename(draft: &mut Draft<'_>, src: &DfsPath, dst: &DfsPath) -> Result<Reply, FsError> {
    draft.guard(&format!("Cannot rename {src}"))?;
    let from = draft.resolve(src)?;
    let into = draft.resolve(dst)?;
    let folder = into.last().and_then(|id| draft.state.rows.inode(id)).is_some_and(|inode| inode.is_dir());
    let target = if folder { dst.join(src.name()).unwrap_or_else(|_| dst.clone()) } else { dst.clone() };
    let to = draft.resolve(&target)?;
    check_permissions(draft, &from, &to)?;
    if check_source(&from).is_err() {
        return Ok(Reply::Done(false));
    }
    if target == *src {
        return Ok(Reply::Done(true));
    }
    if check_not_below(src, &target).is_err() || to.last().is_some() || to.parent().is_none() {
        return Ok(Reply::Done(false));
    }
    move_to(draft, &from, &to)?;
    Ok(Reply::Done(true))
}

/// The rename with errors; with `overwrite` it replaces a file or an empty folder.
pub(super) fn rename2(draft: &mut Draft<'_>, src: &DfsPath, dst: &DfsPath, overwrite: bool) -> Result<Reply, FsError> {
    draft.guard(&format!("Cannot rename {src}"))?;
    let from = draft.resolve(src)?;
    let to = draft.resolve(dst)?;
    check_permissions(draft, &from, &to)?;
    check_source(&from)?;
    if src == dst {
        return Err(exists(format!("The source {src} and destination {dst} are the same")));
    }
    check_not_below(src, dst)?;
    if dst.is_root() {
        return Err(io("rename destination cannot be the root"));
    }
    if to.last().is_some() {
        check_overwrite(draft, &from, &to, overwrite)?;
    }
    match to.parent().and_then(|id| draft.state.rows.inode(id)) {
        Some(parent) if parent.is_dir() => {}
        Some(_) => {
            let message = format!("rename destination parent {dst} is a file.");
            return Err(FsError::new(ErrorCode::ParentNotDirectory, message));
        }
        None => {
            let message = format!("rename destination parent {dst} not found.");
            return Err(FsError::new(ErrorCode::FileNotFound, message));
        }
    }
    if let Some(replaced) = to.last() {
        remove(draft, replaced);
    }
    move_to(draft, &from, &to)?;
    Ok(Reply::Unit)
}

fn check_permissions(draft: &Draft<'_>, from: &Resolved<'_>, to: &Resolved<'_>) -> Result<(), FsError> {
    draft.access().on_removal(from)?;
    if to.last().is_some() {
        draft.access().on_removal(to)?;
    }
    draft.access().on_ancestor(to, WRITE)
}

fn check_source(from: &Resolved<'_>) -> Result<(), FsError> {
    if from.last().is_none() {
        let message = format!("rename source {} is not found.", from.path);
        return Err(FsError::new(ErrorCode::FileNotFound, message));
    }
    if from.path.is_root() { Err(io("rename source cannot be the root")) } else { Ok(()) }
}

/// A folder is not moved into itself.
fn check_not_below(src: &DfsPath, dst: &DfsPath) -> Result<(), FsError> {
    if dst != src && dst.starts_with(src) {
        return Err(io(format!("Rename destination {dst} is a directory or file under source {src}")));
    }
    Ok(())
}

fn check_overwrite(draft: &Draft<'_>, from: &Resolved<'_>, to: &Resolved<'_>, overwrite: bool) -> Result<(), FsError> {
    let is_dir = |resolved: &Resolved<'_>| {
        resolved.last().and_then(|id| draft.state.rows.inode(id)).is_some_and(|inode| inode.is_dir())
    };
    let (src, dst) = (from.path, to.path);
    if is_dir(from) != is_dir(to) {
        return Err(io(format!("Source {src} and destination {dst} must both be directories")));
    }
    if !overwrite {
        return Err(exists(format!("rename destination {dst} already exists")));
    }
    if to.last().is_some_and(|id| draft.state.tree.child_count(id) > 0) {
        return Err(io(format!("rename destination directory is not empty: {dst}")));
    }
    Ok(())
}

/// Moves an inode; the folder at the other end exists.
fn move_to(draft: &mut Draft<'_>, from: &Resolved<'_>, to: &Resolved<'_>) -> Result<(), FsError> {
    let (Some(id), Some(old), Some(parent)) = (from.last(), from.parent(), to.parent()) else {
        return Err(io(format!("rename from {} to {} failed.", from.path, to.path)));
    };
    if old != parent && to.last().is_none() {
        let above = to.path.parent().unwrap_or_else(DfsPath::root);
        draft.check_room(parent, above.as_str())?;
    }
    draft.push(Edit::Moved { id, parent, name: to.path.name().into() });
    draft.touch_folder(old);
    if old != parent {
        draft.touch_folder(parent);
    }
    Ok(())
}
