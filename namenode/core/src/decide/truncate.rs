//! `truncate`: a file becomes shorter.
//!
//! Whole blocks behind the new end just go, in one record. If the new end lies within a block, that block's replicas must be
//! cut, which is a block recovery that knows its length beforehand: until it is committed the namenode holds the file's lease
//! and nobody can write it.

use super::create::check_client;
use super::draft::Draft;
use super::lease::{Takeover, take_over};
use super::recovery::hold;
use crate::access::WRITE;
use crate::api::Reply;
use crate::errors::{not_a_file, not_found};
use crate::rows::{Edit, slot_of};
use mammoth_protocol::{Block, DfsPath, ErrorCode, FsError, InodeId};

/// Shortens a file to `len` bytes.
pub(super) fn truncate(draft: &mut Draft<'_>, path: &DfsPath, len: u64, client: &str) -> Result<Reply, FsError> {
    check_client(client)?;
    draft.guard(&format!("Cannot truncate for {path}"))?;
    let resolved = draft.resolve(path)?;
    let id = resolved.last().ok_or_else(|| not_found(path))?;
    if draft.state.rows.file(id).is_none() {
        return Err(not_a_file(path));
    }
    draft.access().on_path(&resolved, WRITE)?;
    if is_under_way(draft, id, len) {
        return Ok(Reply::Done(false));
    }
    if let Takeover::Recovering(why) = take_over(draft, id, "TRUNCATE_FILE", path, client)? {
        return Ok(Reply::Refused(why));
    }
    if !draft.is_empty() {
        // Its writer's last block may go with the lease, in this very record: the next try finds a closed file.
        let message = format!(
            "Failed to TRUNCATE_FILE {path} for {client} because lease recovery is in progress. Try again later."
        );
        return Ok(Reply::Refused(FsError::new(ErrorCode::RecoveryInProgress, message)));
    }
    let present = draft.state.rows.len_of(id);
    if len > present {
        let message = format!("Cannot truncate to a larger file size. Current size: {present}, truncate size: {len}.");
        return Err(FsError::new(ErrorCode::IllegalArgument, message));
    }
    if len == present {
        return Ok(Reply::Done(true));
    }
    let (keep, cut) = blocks_up_to(draft, id, len);
    if let Some((_, block)) = cut {
        super::append::check_replicated(draft, "truncate", path, Some(block))?;
    }
    take_off(draft, id, keep);
    draft.push(Edit::Times { id, mtime_ms: Some(draft.now.wall_ms), atime_ms: None });
    let Some((remains, block)) = cut else { return Ok(Reply::Done(true)) };
    hold(draft, id);
    let (places, _) = draft.state.blocks.places_for_read(block.id, draft.caller.addr);
    let targets = places.iter().map(|place| place.storage).collect();
    let stamp = draft.next_stamp();
    draft.push(Edit::BlockCut { file: id, index: keep - 1, len: remains, stamp, targets });
    Ok(Reply::Done(false))
}

/// The file is being truncated to this very length already: somebody asks again.
fn is_under_way(draft: &Draft<'_>, id: InodeId, len: u64) -> bool {
    let rows = &draft.state.rows;
    let last = rows.last_block(id).and_then(|(_, block, building)| Some((block.len, building?.cut?)));
    last.is_some_and(|(before, cut)| rows.len_of(id) - before + cut == len)
}

/// How many blocks hold the first `len` bytes, and, if the last of them is longer than that needs, the bytes that remain of it.
fn blocks_up_to(draft: &Draft<'_>, id: InodeId, len: u64) -> (u32, Option<(u64, Block)>) {
    let mut position = 0;
    let mut keep = 0;
    for block in draft.state.rows.blocks_of(id) {
        if position >= len {
            break;
        }
        keep += 1;
        let next = position.saturating_add(block.len);
        if next > len {
            return (keep, Some((len - position, block)));
        }
        position = next;
    }
    (keep, None)
}

/// Takes all blocks but the first `keep` off a file, from the end: whole rows at once.
fn take_off(draft: &mut Draft<'_>, file: InodeId, keep: u32) {
    let blocks: Vec<Block> = draft.state.rows.blocks_of(file).collect();
    let segments: Vec<u32> = draft.state.rows.segments_of(file).map(|(number, _)| number).collect();
    // The first block to go; its row keeps those before it.
    let slot = slot_of(keep);
    let stays = |segment: u32| slot.segment.is_some_and(|last| segment < last || (segment == last && slot.at > 0));
    for &segment in segments.iter().rev().filter(|segment| !stays(**segment)) {
        draft.push(Edit::SegmentRemoved { file, segment });
    }
    let in_row = (keep..blocks.len() as u32).filter(|&index| {
        let segment = slot_of(index).segment;
        segment.is_none_or(stays)
    });
    for index in in_row.rev() {
        if let Some(block) = blocks.get(index as usize) {
            draft.push(Edit::BlockTaken { file, index, block: block.id });
        }
    }
}
