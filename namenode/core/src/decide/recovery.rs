//! Lease recovery: a file whose writer is gone gets a definite end.
//!
//! ```text
//!  open ──▶ every block has its replicas ─────────────────────────────▶ closed
//!    │ ───▶ last block without any data ────── last block taken off ──▶ closed
//!    └────▶ last block under construction: the namenode holds the lease,
//!           a datanode leads the block's recovery under a new stamp
//!             │ it took too long: another leader, a newer stamp ◀─┐
//!             ├───────────────────────────────────────────────────┘
//!             └─▶ commit_block_sync with the current stamp ───────────▶ closed
//! ```
//!
//! A truncation goes the same way: the namenode takes the lease, and the recovery has the length to cut to.
//!
//! A restarted namenode knows no replicas. It then waits: a last block is taken off only if every volume that may hold data
//! of it has said that it holds none.

use super::draft::Draft;
use crate::access::WRITE;
use crate::api::Reply;
use crate::derived::{NAMENODE_HOLDER, owner_of};
use crate::errors::{io, not_a_file, not_found};
use crate::rows::{Edit, Lease};
use crate::state::State;
use mammoth_protocol::internal::CommitBlockSync;
use mammoth_protocol::{Block, DfsPath, ErrorCode, FsError, InodeId};

/// What an open file needs to be closed without its writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing.
    Close,
    /// Its last block, which has no data anywhere, must go.
    DropLast,
    /// Datanodes must agree on its last block.
    Recover,
    /// Its last block is committed, but its replicas have not been reported yet.
    Wait,
}

/// Judges an open file. `silent`: its writer has not been heard of for so long that no datanode's news of its last block can
/// still be under way.
pub(crate) fn judge(state: &State, id: InodeId, silent: bool) -> Verdict {
    let Some((index, block, building)) = state.rows.last_block(id) else { return Verdict::Close };
    let min = usize::from(state.config.replication_min);
    let before = index.checked_sub(1).and_then(|before| state.rows.block_at(id, before as usize));
    let before_is_safe = before.is_none_or(|before| state.blocks.confirmed(before.id) >= min);
    let Some(building) = building else {
        let safe = before_is_safe && state.blocks.confirmed(block.id) >= min;
        return if safe { Verdict::Close } else { Verdict::Wait };
    };
    let untouched = block.len == 0 && building.recovery.is_none();
    let no_data = !state.blocks.any_reported(block.id) && state.blocks.all_expected_reported(block.id);
    if silent && untouched && no_data && before_is_safe { Verdict::DropLast } else { Verdict::Recover }
}

/// How far a release came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Released {
    /// The edits close the file.
    Closed,
    /// The namenode has the lease now (or the edits give it to it) and goes on by itself.
    NotYet,
}

/// Takes an open file from its writer: closes it, or begins its recovery under the namenode's own lease.
pub(super) fn release(draft: &mut Draft<'_>, id: InodeId, silent: bool) -> Released {
    let state = draft.state;
    let verdict = judge(state, id, silent);
    let last = state.rows.last_block(id);
    match (verdict, last) {
        (Verdict::Close, _) | (_, None) => close(draft, id),
        (Verdict::DropLast, Some((index, block, _))) => {
            draft.push(Edit::BlockTaken { file: id, index, block: block.id });
            close(draft, id)
        }
        (Verdict::Recover, Some((index, _, building))) => {
            hold(draft, id);
            if building.is_some_and(|building| building.recovery.is_none()) {
                let stamp = draft.next_stamp();
                draft.push(Edit::BlockRecovering { file: id, index, stamp });
            }
            Released::NotYet
        }
        (Verdict::Wait, Some(_)) => {
            hold(draft, id);
            Released::NotYet
        }
    }
}

fn close(draft: &mut Draft<'_>, id: InodeId) -> Released {
    draft.push(Edit::Closed { id, mtime_ms: draft.now.wall_ms });
    Released::Closed
}

/// Gives the lease to the namenode itself, so that the old writer, should it return, is refused.
pub(super) fn hold(draft: &mut Draft<'_>, id: InodeId) {
    let holder = draft.state.rows.inode(id).and_then(|inode| inode.lease());
    if holder.is_none_or(|lease| *lease.client != *NAMENODE_HOLDER) {
        draft.push(Edit::Leased { id, lease: Lease { client: NAMENODE_HOLDER.into(), addr: None } });
    }
}

/// `recoverLease`: somebody wants a file closed now, whoever writes it.
pub(super) fn recover_lease(draft: &mut Draft<'_>, path: &DfsPath, client: &str) -> Result<Reply, FsError> {
    draft.guard(&format!("Cannot recover the lease of {path}"))?;
    super::create::check_client(client)?;
    let resolved = draft.resolve(path)?;
    draft.access().on_path(&resolved, WRITE)?;
    let id = resolved.last().ok_or_else(|| not_found(path))?;
    let inode = draft.state.rows.inode(id).ok_or_else(|| not_found(path))?;
    if inode.is_dir() {
        return Err(not_a_file(path));
    }
    let Some(lease) = inode.lease() else { return Ok(Reply::Done(true)) };
    let (soft, now) = (draft.state.config.lease_soft_ms, draft.now.monotonic_ms);
    let silent = *lease.client != *NAMENODE_HOLDER && draft.state.leases.expired(&lease.client, soft, now);
    Ok(Reply::Done(release(draft, id, silent) == Released::Closed))
}

/// The hard limit of a lease passed.
pub(super) fn expire_lease(draft: &mut Draft<'_>, id: InodeId, holder: &str) -> Result<Reply, FsError> {
    let state = draft.state;
    let still = state.reachable(id).and_then(|inode| inode.lease()).is_some_and(|lease| *lease.client == *holder);
    if still && state.leases.expired(holder, state.config.lease_hard_ms, draft.now.monotonic_ms) {
        release(draft, id, true);
    }
    Ok(Reply::Unit)
}

/// A file in recovery can be closed now, or its last attempt took too long: another begins, under a newer stamp.
pub(super) fn continue_recovery(draft: &mut Draft<'_>, id: InodeId) -> Result<Reply, FsError> {
    let state = draft.state;
    let ours =
        state.reachable(id).and_then(|inode| inode.lease()).is_some_and(|lease| *lease.client == *NAMENODE_HOLDER);
    if !ours {
        return Ok(Reply::Unit);
    }
    match (judge(state, id, false), state.rows.last_block(id)) {
        // An attempt that nobody led yet keeps its stamp: the next tick looks for a leader again.
        (Verdict::Recover, Some((index, _, _))) if !state.leaderless.contains(&id) => {
            let stamp = draft.next_stamp();
            draft.push(Edit::BlockRecovering { file: id, index, stamp });
        }
        (Verdict::Close, _) => {
            close(draft, id);
        }
        _ => {}
    }
    Ok(Reply::Unit)
}

/// The leader of a block recovery reports what the replicas agreed on. Only the current attempt counts: an older one's
/// replicas carry a stamp that the newer one has fenced.
pub(super) fn commit_block_sync(draft: &mut Draft<'_>, sync: &CommitBlockSync) -> Result<Reply, FsError> {
    draft.guard("Cannot commitBlockSynchronization while in safe mode")?;
    let state = draft.state;
    let Some(id) = owner_of(&state.blocks, sync.block.id) else {
        let message = format!("Block (={}) not found", sync.block);
        return if sync.delete { Ok(Reply::Unit) } else { Err(io(message)) };
    };
    if state.reachable(id).is_none() {
        let message = format!("File not found: inode {id}, likely due to delayed block removal");
        return Err(FsError::new(ErrorCode::FileNotFound, message));
    }
    let Some((index, block, Some(building))) =
        state.rows.last_block(id).filter(|(_, last, _)| last.id == sync.block.id)
    else {
        // Committed already: the leader asks again because our answer was lost.
        return Ok(Reply::Unit);
    };
    if building.recovery != Some(sync.new_stamp) {
        let current = building.recovery.map_or_else(|| "none".to_owned(), |stamp| stamp.to_string());
        return Err(io(format!(
            "The recovery id {} does not match current recovery id {current} for block {}",
            sync.new_stamp, sync.block
        )));
    }
    super::pipeline::check_len(sync.new_len)?;
    if let Some(len) = building.cut
        && (sync.delete || sync.new_len != len)
    {
        return Err(io(format!("Block {block} is being cut to {len} bytes, not to {}", sync.new_len)));
    }
    if sync.storages.len() > usize::from(state.config.replication_max) {
        let message = format!("A recovered block on {} volumes", sync.storages.len());
        return Err(FsError::new(ErrorCode::IllegalArgument, message));
    }
    if sync.delete && block.len > 0 {
        return Err(io(format!("Block {block} is known to have {} bytes: it is not dropped as empty", block.len)));
    }
    if sync.delete {
        draft.push(Edit::BlockTaken { file: id, index, block: block.id });
    } else {
        let block = Block { id: block.id, stamp: sync.new_stamp, len: sync.new_len };
        draft.push(Edit::BlockCommitted { file: id, index, block, holders: Some(sync.storages.clone()) });
    }
    close(draft, id);
    Ok(Reply::Unit)
}
