//! `concat`: the blocks of several files become the end of another, without a byte moving.
//!
//! Each edit says all about one row, the blocks themselves included, so that nothing depends on a file that is gone: first
//! the target gets the blocks, then the sources go. A block changes its owner with the first of the two, so that it is
//! nobody's at no time.

use super::delete::remove_file;
use super::draft::Draft;
use crate::access::{READ, WRITE};
use crate::api::Reply;
use crate::errors::{io, not_a_file, not_found};
use crate::paths::Resolved;
use crate::rows::{Edit, Inode, slot_of};
use mammoth_protocol::{Block, DfsPath, ErrorCode, FsError, InodeId};

/// Moves the blocks of `sources` to the end of `target`.
pub(super) fn concat(draft: &mut Draft<'_>, target: &DfsPath, sources: &[DfsPath]) -> Result<Reply, FsError> {
    if sources.is_empty() {
        return Err(illegal("No sources given".to_owned()));
    }
    draft.guard(&format!("Cannot concat {target}"))?;
    let resolved = draft.resolve(target)?;
    draft.access().on_path(&resolved, WRITE)?;
    let (id, inode) = file_of(draft, &resolved)?;
    if inode.lease().is_some() {
        return Err(illegal(format!("concat: target file {target} is under construction")));
    }
    let mut files = Vec::with_capacity(sources.len());
    for source in sources {
        files.push(check_source(draft, source, (id, &inode, target))?);
    }
    let mut distinct = files.clone();
    distinct.sort_unstable();
    distinct.dedup();
    if distinct.len() < files.len() {
        return Err(illegal("concat: at least two of the source files are the same".to_owned()));
    }
    let rows = &draft.state.rows;
    let blocks: Vec<Block> = files.iter().flat_map(|&file| rows.blocks_of(file)).collect();
    check_count(draft, id, blocks.len(), target)?;
    join(draft, id, &blocks);
    for file in files {
        remove_file(draft, file);
    }
    if let Some(parent) = resolved.parent() {
        draft.touch_folder(parent);
    }
    draft.push(Edit::Times { id, mtime_ms: Some(draft.now.wall_ms), atime_ms: None });
    Ok(Reply::Unit)
}

fn illegal(message: String) -> FsError {
    FsError::new(ErrorCode::IllegalArgument, message)
}

fn file_of<'a>(draft: &Draft<'a>, resolved: &Resolved<'_>) -> Result<(InodeId, Inode<'a>), FsError> {
    let found = resolved.last().and_then(|id| Some((id, draft.state.rows.inode(id)?)));
    let (id, inode) = found.ok_or_else(|| not_found(resolved.path))?;
    if inode.is_dir() { Err(not_a_file(resolved.path)) } else { Ok((id, inode)) }
}

/// A file whose blocks may go to the end of the target.
fn check_source(
    draft: &Draft<'_>,
    source: &DfsPath,
    (target_id, target, target_path): (InodeId, &Inode<'_>, &DfsPath),
) -> Result<InodeId, FsError> {
    let resolved = draft.resolve(source)?;
    draft.access().on_path(&resolved, READ)?;
    draft.access().on_removal(&resolved)?;
    let (id, inode) = file_of(draft, &resolved)?;
    if inode.parent != target.parent {
        return Err(illegal(format!(
            "Source file {source} is not in the same directory with the target {target_path}"
        )));
    }
    if id == target_id {
        return Err(illegal(format!("concat: the src file {source} is the same with the target file {target_path}")));
    }
    if inode.lease().is_some() || draft.state.rows.block_count(id) == 0 {
        return Err(illegal(format!("concat: source file {source} is invalid or empty or underConstruction")));
    }
    let (size, target_size) = (inode.attrs.block_size, target.attrs.block_size);
    if size > target_size {
        return Err(illegal(format!(
            "concat: source file {source} has preferred block size {size} which is greater than the target file's \
             preferred block size {target_size}"
        )));
    }
    Ok(id)
}

/// The target stays within the limit of blocks, which also bounds the record.
fn check_count(draft: &Draft<'_>, id: InodeId, more: usize, target: &DfsPath) -> Result<(), FsError> {
    let (count, max) = (draft.state.rows.block_count(id) + more, draft.state.config.blocks_per_file_max);
    if count <= max {
        return Ok(());
    }
    Err(io(format!(
        "concat: {target} would have {count} blocks, more than {max} (dfs.namenode.fs-limits.max-blocks-per-file)"
    )))
}

/// Gives blocks to the file, row by row.
fn join(draft: &mut Draft<'_>, file: InodeId, blocks: &[Block]) {
    let mut index = draft.state.rows.block_count(file) as u32;
    let mut rest = blocks.iter().copied().peekable();
    while rest.peek().is_some() {
        let segment = slot_of(index).segment;
        let mut part = Vec::new();
        let first = index;
        while slot_of(index).segment == segment
            && let Some(block) = rest.next()
        {
            part.push(block);
            index += 1;
        }
        draft.push(Edit::BlocksJoined { file, index: first, blocks: part });
    }
}
