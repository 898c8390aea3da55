//! `complete`, and what it shares with `addBlock`: committing the last block.

use super::draft::Draft;
use super::lease::{OpenFile, check_lease, open_file};
use crate::api::Reply;
use crate::errors::io;
use crate::rows::{BLOCK_BYTES_MAX, Edit};
use mammoth_protocol::{Block, DfsPath, ErrorCode, FsError, InodeId};

/// Closes a file once every block has its minimum of replicas; until then, `false`.
pub(super) fn complete(
    draft: &mut Draft<'_>,
    path: &DfsPath,
    file: Option<InodeId>,
    client: &str,
    last: Option<Block>,
) -> Result<Reply, FsError> {
    draft.guard(&format!("Cannot complete file {path}"))?;
    let state = draft.state;
    let file = open_file(state, draft.access(), path, file, client)?;
    if let Err(refusal) = check_lease(state, &file, client) {
        return if is_repeated(draft, &file, last) { Ok(Reply::Done(true)) } else { Err(refusal) };
    }
    if !before_last_is_safe(draft, file.id) {
        return Ok(Reply::Done(false));
    }
    let last = commit_last(draft, file.id, last)?;
    let done = last.is_none_or(|last| last.committed && last.is_safe);
    if done {
        draft.push(Edit::Closed { id: file.id, mtime_ms: draft.now.wall_ms });
    }
    Ok(Reply::Done(done))
}

/// The file is closed already, and just as this call wants it: its first answer was lost.
fn is_repeated(draft: &Draft<'_>, file: &OpenFile, last: Option<Block>) -> bool {
    let open = draft.state.rows.inode(file.id).is_none_or(|inode| inode.is_dir() || inode.lease().is_some());
    !open && same_block(last, draft.state.rows.last_block(file.id).map(|(_, block, _)| block))
}

/// Same id and stamp, or neither.
pub(super) fn same_block(a: Option<Block>, b: Option<Block>) -> bool {
    a.map(|block| (block.id, block.stamp)) == b.map(|block| (block.id, block.stamp))
}

/// The block before the last, if there is one, has its minimum of replicas. All before it had theirs when it was added.
pub(super) fn before_last_is_safe(draft: &Draft<'_>, id: InodeId) -> bool {
    let state = draft.state;
    let before = state.rows.block_count(id).checked_sub(2).and_then(|index| state.rows.block_at(id, index));
    before.is_none_or(|block| state.blocks.confirmed(block.id) >= usize::from(state.config.replication_min))
}

/// The last block as the edits so far leave it.
pub(super) struct Last {
    /// Its stamp and length are final.
    pub(super) committed: bool,
    /// It has its minimum of replicas.
    pub(super) is_safe: bool,
    /// Its length, bytes.
    pub(super) len: u64,
}

/// Commits the last block with the length that the client tells, unless it is committed already.
pub(super) fn commit_last(draft: &mut Draft<'_>, id: InodeId, told: Option<Block>) -> Result<Option<Last>, FsError> {
    let state = draft.state;
    let Some((index, block, building)) = state.rows.last_block(id) else { return Ok(None) };
    let min = usize::from(state.config.replication_min);
    let (Some(building), Some(told)) = (building, told) else {
        let is_safe = state.blocks.confirmed(block.id) >= min;
        return Ok(Some(Last { committed: building.is_none(), is_safe, len: block.len }));
    };
    if told.id != block.id {
        return Err(io(format!("Trying to commit inconsistent block: id = {}, expected id = {}", told.id, block.id)));
    }
    if building.recovery.is_some() {
        return Err(io(format!("Commit or complete block {told}, whereas it is under recovery.")));
    }
    if told.stamp != block.stamp {
        return Err(io(format!("Commit block with mismatching GS. NN has {block}, client submits {told}")));
    }
    if told.len < block.len || told.len > BLOCK_BYTES_MAX {
        let message = format!("Commit block {told} with {} bytes, whereas {} are known", told.len, block.len);
        return Err(FsError::new(ErrorCode::IllegalArgument, message));
    }
    draft.push(Edit::BlockCommitted { file: id, index, block: told, holders: None });
    let is_safe = state.blocks.confirmed_with_len(told.id, told.len) >= min;
    Ok(Some(Last { committed: true, is_safe, len: told.len }))
}
