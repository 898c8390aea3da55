//! `append`.

use super::create::check_client;
use super::draft::Draft;
use super::lease::{Takeover, take_over};
use crate::access::WRITE;
use crate::api::{LocatedBlock, Reply};
use crate::errors::{exists, host_of, io};
use crate::rows::{Edit, Lease};
use mammoth_protocol::{Block, DfsPath, ErrorCode, FsError, InodeId};

/// Opens a file for writing at its end. A partial last block is under construction again, with its present stamp: the client
/// gets a newer one when it sets its pipeline up.
pub(super) fn append(draft: &mut Draft<'_>, path: &DfsPath, client: &str, new_block: bool) -> Result<Reply, FsError> {
    check_client(client)?;
    draft.guard(&format!("Cannot append to file{path}"))?;
    let resolved = draft.resolve(path)?;
    let state = draft.state;
    let inode = resolved.last().and_then(|id| state.rows.inode(id));
    if inode.is_some_and(|inode| inode.is_dir()) {
        return Err(exists(format!("Cannot append to directory {path}; already exists as a directory.")));
    }
    draft.access().on_path(&resolved, WRITE)?;
    let (Some(id), Some(inode)) = (resolved.last(), inode) else {
        let on = host_of(draft.caller);
        let message = format!("Failed to append to non-existent file {path} for client {on}");
        return Err(FsError::new(ErrorCode::FileNotFound, message));
    };
    if let Takeover::Recovering(why) = take_over(draft, id, "APPEND_FILE", path, client)? {
        return Ok(Reply::Refused(why));
    }
    let last = state.rows.last_block(id);
    if last.is_some_and(|(_, _, building)| building.is_some()) {
        // Closing it took its empty last block off, in this very record: the next try finds a closed file.
        let message = format!(
            "Failed to APPEND_FILE {path} for {client} because lease recovery is in progress. Try again later."
        );
        return Ok(Reply::Refused(FsError::new(ErrorCode::RecoveryInProgress, message)));
    }
    let last = last.map(|(index, block, _)| (index, block));
    check_replicated(draft, "append", path, last.map(|(_, block)| block))?;
    draft.push(Edit::Leased { id, lease: Lease { client: client.into(), addr: draft.caller.addr } });
    let last = match last {
        Some((index, block)) if !new_block && block.len < inode.attrs.block_size => {
            Some(reopen(draft, id, index, block))
        }
        Some((_, block)) if new_block => {
            Some(LocatedBlock { block, offset: state.rows.len_of(id) - block.len, places: Vec::new(), corrupt: false })
        }
        _ => None,
    };
    let status = state.status_of(id, String::new()).ok_or_else(|| crate::errors::not_found(path))?;
    Ok(Reply::Appended { last, status: Box::new(status) })
}

/// The last block can be changed: enough replicas of it are known. `op` is HDFS's name of the call.
pub(super) fn check_replicated(
    draft: &Draft<'_>,
    op: &str,
    path: &DfsPath,
    last: Option<Block>,
) -> Result<(), FsError> {
    let Some(block) = last else { return Ok(()) };
    if draft.state.blocks.confirmed(block.id) >= usize::from(draft.state.config.replication_min) {
        return Ok(());
    }
    Err(io(format!("{op}: lastBlock={block} of src={path} is not sufficiently replicated yet.")))
}

fn reopen(draft: &mut Draft<'_>, id: InodeId, index: u32, block: Block) -> LocatedBlock {
    let (places, _) = draft.state.blocks.places_for_read(block.id, draft.caller.addr);
    let targets = places.iter().map(|place| place.storage).collect();
    draft.push(Edit::BlockReopened { file: id, index, targets });
    LocatedBlock { block, offset: draft.state.rows.len_of(id) - block.len, places, corrupt: false }
}
