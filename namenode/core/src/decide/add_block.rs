//! `addBlock`.

use super::complete::{before_last_is_safe, commit_last, same_block};
use super::draft::Draft;
use super::lease::{OpenFile, leased_file};
use crate::api::{LocatedBlock, Place, Reply};
use crate::blocks::TargetRequest;
use crate::errors::io;
use crate::rows::{Edit, Lease};
use mammoth_protocol::{Block, DatanodeId, DfsPath, ErrorCode, FsError, InodeId};

/// A wish for the next block of an open file.
pub(super) struct Wish<'a> {
    pub(super) path: &'a DfsPath,
    pub(super) file: Option<InodeId>,
    pub(super) client: &'a str,
    pub(super) previous: Option<Block>,
    pub(super) exclude: &'a [DatanodeId],
    pub(super) favored: &'a [String],
}

/// Commits the last block and adds the next. Idempotent by the file's state: a client that asks again because it missed the
/// answer gets the same block.
pub(super) fn add_block(draft: &mut Draft<'_>, wish: &Wish<'_>) -> Result<Reply, FsError> {
    draft.guard(&format!("Cannot add block to {}", wish.path))?;
    let state = draft.state;
    let (file, lease) = leased_file(state, draft.access(), wish.path, wish.file, wish.client)?;
    match check_previous(draft, &file, wish.previous)? {
        Some(again) if again.places.is_empty() => return elsewhere(draft, &file, lease, wish, again),
        Some(again) => return Ok(Reply::Block(Box::new(again))),
        None => {}
    }
    if !before_last_is_safe(draft, file.id) {
        return Err(FsError::new(ErrorCode::NotReplicatedYet, format!("Not replicated yet: {}", file.path)));
    }
    let (count, max) = (state.rows.block_count(file.id), state.config.blocks_per_file_max);
    if count >= max {
        return Err(io(format!(
            "File has reached the limit on maximum number of blocks (dfs.namenode.fs-limits.max-blocks-per-file): \
             {count} >= {max}"
        )));
    }
    let places = choose(draft, &file, lease, wish)?;
    let known = state.rows.len_of(file.id);
    let before = state.rows.last_block(file.id).map_or(0, |(_, block, _)| block.len);
    let last = commit_last(draft, file.id, wish.previous)?;
    let offset = known - before + last.map_or(0, |last| last.len);
    let (id, stamp) = (draft.next_block(), draft.next_stamp());
    let targets = places.iter().map(|place| place.storage).collect();
    draft.push(Edit::BlockAdded { file: file.id, index: count as u32, block: id, stamp, targets });
    let block = Block { id, stamp, len: 0 };
    Ok(Reply::Block(Box::new(LocatedBlock { block, offset, places, corrupt: false })))
}

/// Volumes for a block of the file.
fn choose(draft: &Draft<'_>, file: &OpenFile, lease: &Lease, wish: &Wish<'_>) -> Result<Vec<Place>, FsError> {
    let state = draft.state;
    let attrs = &state.rows.inode(file.id).ok_or_else(|| crate::errors::not_found(wish.path))?.attrs;
    let request = TargetRequest {
        count: usize::from(attrs.replication),
        writer: lease.addr,
        exclude: wish.exclude.to_vec(),
        chosen: Vec::new(),
        favored: wish.favored.to_vec(),
        block_size: attrs.block_size,
        entropy: draft.entropy,
    };
    let places = state.blocks.choose_targets(&request);
    if places.is_empty() || places.len() < usize::from(state.config.replication_min) {
        return Err(no_targets(draft, file, places.len(), wish.exclude.len()));
    }
    Ok(places)
}

/// A block is asked for again whose pipeline has not registered since this namenode started: others take it, under a new stamp.
fn elsewhere(
    draft: &mut Draft<'_>,
    file: &OpenFile,
    lease: &Lease,
    wish: &Wish<'_>,
    again: LocatedBlock,
) -> Result<Reply, FsError> {
    let places = choose(draft, file, lease, wish)?;
    let index = draft.state.rows.block_count(file.id).saturating_sub(1) as u32;
    let block = Block { stamp: draft.next_stamp(), ..again.block };
    let targets = places.iter().map(|place| place.storage).collect();
    draft.push(Edit::BlockPiped { file: file.id, index, stamp: block.stamp, len: block.len, targets });
    Ok(Reply::Block(Box::new(LocatedBlock { block, places, ..again })))
}

/// The client's view of the file's last block is ours. If it is that of one block ago, the client missed an answer: the block
/// that it was given, `Some`, is given again.
fn check_previous(
    draft: &Draft<'_>,
    file: &OpenFile,
    previous: Option<Block>,
) -> Result<Option<LocatedBlock>, FsError> {
    let rows = &draft.state.rows;
    let last = rows.last_block(file.id);
    if same_block(previous, last.map(|(_, block, _)| block)) {
        return Ok(None);
    }
    let block_size = rows.inode(file.id).map_or(0, |inode| inode.attrs.block_size);
    let before = rows.block_count(file.id).checked_sub(2).and_then(|index| rows.block_at(file.id, index));
    // After an append that begins at a block's end the client was given no block to name.
    let missed =
        same_block(previous, before) || (previous.is_none() && before.is_some_and(|before| before.len >= block_size));
    match last {
        Some((_, block, None)) if previous.is_none() && block.len >= block_size => Ok(None),
        Some((_, block, Some(_))) if missed => {
            if block.len != 0 {
                return Err(io(format!(
                    "Request looked like a retry to allocate block {block} but it already contains {} bytes",
                    block.len
                )));
            }
            let places = draft.state.blocks.places_of_pipeline(block.id);
            Ok(Some(LocatedBlock { block, offset: rows.len_of(file.id), places, corrupt: false }))
        }
        _ => {
            let text = |block: Option<Block>| block.map_or_else(|| "null".to_owned(), |block| block.to_string());
            Err(io(format!(
                "Cannot allocate block in {}: passed 'previous' block {} does not match actual last block in file {}",
                file.path,
                text(previous),
                text(last.map(|(_, block, _)| block))
            )))
        }
    }
}

fn no_targets(draft: &Draft<'_>, file: &OpenFile, found: usize, excluded: usize) -> FsError {
    let state = draft.state;
    io(format!(
        "File {} could only be written to {found} of the {} minReplication nodes. There are {} datanode(s) running and \
         {excluded} node(s) are excluded in this operation.",
        file.path,
        state.config.replication_min,
        state.blocks.numbers(draft.now).live
    ))
}
