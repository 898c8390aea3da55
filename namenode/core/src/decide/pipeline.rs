//! Calls of a writer in mid-block: a block given back, a pipeline rebuilt, a length made durable.

use super::draft::Draft;
use super::lease::{holds, leased_file};
use crate::api::{LocatedBlock, Reply};
use crate::derived::owner_of;
use crate::errors::io;
use crate::rows::{BLOCK_BYTES_MAX, Edit};
use mammoth_protocol::{Block, DfsPath, ErrorCode, FsError, InodeId, StorageId};

/// Takes the last block off. Idempotent: a block that is not the last any more is gone already.
pub(super) fn abandon_block(
    draft: &mut Draft<'_>,
    path: &DfsPath,
    file: Option<InodeId>,
    client: &str,
    block: Block,
) -> Result<Reply, FsError> {
    draft.guard(&format!("Cannot abandon block {block} for file{path}"))?;
    let (file, _) = leased_file(draft.state, draft.access(), path, file, client)?;
    if let Some((index, last, _)) = draft.state.rows.last_block(file.id)
        && last.id == block.id
    {
        draft.push(Edit::BlockTaken { file: file.id, index, block: last.id });
    }
    Ok(Reply::Unit)
}

/// Makes the length so far of the last block durable. The known length only grows.
pub(super) fn fsync(
    draft: &mut Draft<'_>,
    path: &DfsPath,
    file: Option<InodeId>,
    client: &str,
    last_len: Option<u64>,
) -> Result<Reply, FsError> {
    draft.guard(&format!("Cannot fsync file {path}"))?;
    let (file, _) = leased_file(draft.state, draft.access(), path, file, client)?;
    let last = draft.state.rows.last_block(file.id);
    if let (Some((index, block, Some(_))), Some(len)) = (last, last_len)
        && len > block.len
    {
        check_len(len)?;
        draft.push(Edit::BlockFlushed { file: file.id, index, len });
    }
    Ok(Reply::Unit)
}

/// `updateBlockForPipeline`: hands out a stamp above all before. No block carries it until its pipeline runs.
pub(super) fn new_stamp(draft: &mut Draft<'_>, block: Block, client: &str) -> Result<Reply, FsError> {
    draft.guard(&format!("Cannot get a new generation stamp and an access token for block {block}"))?;
    writer_of(draft, block, client)?;
    let stamp = draft.next_stamp();
    draft.push(Edit::StampAllocated { stamp });
    let block = Block { stamp, ..block };
    Ok(Reply::Block(Box::new(LocatedBlock { block, offset: 0, places: Vec::new(), corrupt: false })))
}

/// `updatePipeline`: the block is written through another pipeline, under the new stamp; replicas with the old one are stale
/// from now on (I3).
pub(super) fn update_pipeline(
    draft: &mut Draft<'_>,
    client: &str,
    old: Block,
    new: Block,
    storages: &[StorageId],
) -> Result<Reply, FsError> {
    draft.guard("Pipeline not updated")?;
    let (file, index, last) = writer_of(draft, old, client)?;
    if new.id != old.id {
        return Err(io(format!("Update {old} to another block: {new}")));
    }
    if new.stamp <= last.stamp || new.len < last.len {
        return Err(io(format!("Update {last} (size={}) to an older state: {new} (size={})", last.len, new.len)));
    }
    if new.stamp > draft.last_stamp() {
        return Err(io(format!("Update {last} to {new}, a stamp that was never given out")));
    }
    check_len(new.len)?;
    if storages.is_empty() || storages.len() > usize::from(draft.state.config.replication_max) {
        return Err(FsError::new(ErrorCode::IllegalArgument, format!("A pipeline of {} volumes", storages.len())));
    }
    draft.push(Edit::BlockPiped { file, index, stamp: new.stamp, len: new.len, targets: storages.to_vec() });
    Ok(Reply::Unit)
}

/// The open file whose last block, under construction, this is, and which the client writes.
fn writer_of(draft: &Draft<'_>, block: Block, client: &str) -> Result<(InodeId, u32, Block), FsError> {
    let state = draft.state;
    let file = owner_of(&state.blocks, block.id).ok_or_else(|| io(format!("{block} does not exist.")))?;
    let lease = state
        .reachable(file)
        .and_then(|inode| inode.lease())
        .ok_or_else(|| io(format!("The file {block} belonged to does not exist or it is not under construction.")))?;
    let last = state.rows.last_block(file).filter(|(_, last, _)| last.id == block.id);
    let Some((index, last, Some(building))) = last else {
        return Err(io(format!("Unexpected BlockUCState: {block} is COMPLETE but not UNDER_CONSTRUCTION")));
    };
    if building.recovery.is_some() {
        return Err(io(format!("Unexpected BlockUCState: {block} is UNDER_RECOVERY but not UNDER_CONSTRUCTION")));
    }
    if !holds(lease, client) {
        let message = format!("Lease mismatch: {block} is accessed by a non lease holder {client}");
        return Err(FsError::new(ErrorCode::LeaseExpired, message));
    }
    Ok((file, index, last))
}

/// A length that a block can have.
pub(super) fn check_len(len: u64) -> Result<(), FsError> {
    if len > BLOCK_BYTES_MAX {
        return Err(FsError::new(ErrorCode::IllegalArgument, format!("A block of {len} bytes")));
    }
    Ok(())
}
