//! The invariants, by name. Tests and the simulator check them after every step; nothing else calls them, as they look at
//! everything.

use crate::blocks::BlockMeta;
use crate::derived::{NAMENODE_HOLDER, Tree};
use crate::rows::{DETACHED, Inode};
use crate::state::State;
use mammoth_protocol::invariant::{Invariant, Violation, check_all};
use mammoth_protocol::{BlockId, InodeId};
use std::collections::BTreeMap;

/// All invariants, by name.
const INVARIANTS: &[Invariant<State>] = &[
    ("tree_is_of_rows", tree_is_of_rows),
    ("block_belongs_to_one_file", block_belongs_to_one_file),
    ("blocks_are_dense", blocks_are_dense),
    ("only_the_last_block_is_built", only_the_last_block_is_built),
    ("block_map_is_of_rows", block_map_is_of_rows),
    ("lease_is_of_open_file", lease_is_of_open_file),
    ("recovery_has_a_way_out", recovery_has_a_way_out),
    ("counters_are_ahead", counters_are_ahead),
    ("calls_are_of_rows", calls_are_of_rows),
];

/// Checks every invariant of the state.
///
/// # Errors
/// The first that does not hold.
pub fn check(state: &State) -> Result<(), Violation> {
    check_all(state, INVARIANTS)?;
    state.blocks.check().map_err(|what| Violation { invariant: "block_map", what })
}

/// Every block that a file owns, with what the block map says of it: for audits that compare with what is really on disks.
#[must_use]
pub fn owned_blocks(state: &State) -> Vec<(BlockId, BlockMeta)> {
    let ids = files(state).flat_map(|(id, _)| state.rows.blocks_of(id).map(|block| block.id));
    ids.filter_map(|id| state.blocks.get(id).map(|meta| (id, meta))).collect()
}

/// The whole hard state as the checkpoint would have it, in key order: for audits that compare two states.
#[must_use]
pub fn rows(state: &State) -> Vec<(Vec<u8>, Vec<u8>)> {
    let encoded = state.rows.all_keys().into_iter().map(|key| {
        let mut value = Vec::new();
        state.rows.encode_row(&key, &mut value);
        (key, value)
    });
    encoded.collect()
}

/// Folder contents, the detached folders and the counts are exactly what the inodes' parents and names say; every inode can be
/// reached from the root or a detached folder.
fn tree_is_of_rows(state: &State) -> Result<(), String> {
    let built = Tree::build(&state.rows.inodes).map_err(|error| error.what)?;
    if !state.tree.same_as(&built) {
        return Err("the tree differs from one built anew".to_owned());
    }
    let stray =
        state.tree.detached().iter().find(|id| state.rows.inode(**id).is_none_or(|inode| inode.parent != DETACHED));
    stray.map_or(Ok(()), |id| Err(format!("{id} is not detached")))
}

/// I2: a block belongs to one inode.
fn block_belongs_to_one_file(state: &State) -> Result<(), String> {
    let mut owners: BTreeMap<BlockId, InodeId> = BTreeMap::new();
    for (id, _) in files(state) {
        for block in state.rows.blocks_of(id) {
            if let Some(other) = owners.insert(block.id, id) {
                return Err(format!("block {} belongs to {other} and {id}", block.id));
            }
        }
    }
    Ok(())
}

/// Rows of a file's blocks are full but for the last, numbered from 0, and belong to a file.
fn blocks_are_dense(state: &State) -> Result<(), String> {
    state.rows.check_shape()
}

/// All blocks of a closed file are committed, and all of an open one but the last.
fn only_the_last_block_is_built(state: &State) -> Result<(), String> {
    for (id, inode) in files(state) {
        let segments: Vec<_> = state.rows.segments_of(id).collect();
        let mut runs: Vec<_> = state.rows.file(id).into_iter().map(|file| file.building).collect();
        runs.extend(segments.iter().map(|(_, segment)| segment.run.building()));
        let last = runs.pop().flatten();
        if runs.iter().any(|run| run.is_some()) {
            return Err(format!("{id} builds a block that is not its last"));
        }
        if inode.lease().is_none() && last.is_some() {
            return Err(format!("{id} is closed and builds its last block"));
        }
    }
    Ok(())
}

/// The block map lists exactly the files' blocks, each with its file, stamp, length, wanted replicas, and whether it is final.
fn block_map_is_of_rows(state: &State) -> Result<(), String> {
    let mut count = 0;
    for (id, inode) in files(state) {
        let building = state.rows.last_block(id).and_then(|(_, block, building)| building.map(|_| block.id));
        for block in state.rows.blocks_of(id) {
            count += 1;
            let meta = state.blocks.get(block.id).ok_or_else(|| format!("block {} of {id} is not listed", block.id))?;
            let expected = (id, block.stamp, block.len, inode.attrs.replication, building != Some(block.id));
            let found = (meta.inode, meta.stamp, meta.len, meta.wanted, meta.complete);
            if found != expected {
                return Err(format!("block {} is listed as {found:?}, not {expected:?}", block.id));
            }
        }
    }
    let listed = state.blocks.numbers(state.clock).blocks;
    if listed == count { Ok(()) } else { Err(format!("{listed} blocks are listed, the files have {count}")) }
}

/// I4: the lease table names exactly the open files, each with its one holder.
fn lease_is_of_open_file(state: &State) -> Result<(), String> {
    let mut open: Vec<_> = files(state).filter_map(|(id, inode)| Some((&*inode.lease()?.client, id))).collect();
    open.sort_unstable();
    if !state.leases.is_consistent() || !state.leases.iter().eq(open.iter().copied()) {
        return Err(format!("open are {open:?}, the table has {:?}", state.leases.iter().collect::<Vec<_>>()));
    }
    Ok(())
}

/// A file that the namenode holds has either nothing under construction, so that replicas' reports will close it, or a
/// recovery that somebody leads or that waits for a leader; nobody else's file has a recovery.
fn recovery_has_a_way_out(state: &State) -> Result<(), String> {
    for (id, inode) in files(state) {
        let Some(lease) = inode.lease() else { continue };
        let ours = *lease.client == *NAMENODE_HOLDER;
        let building = state.rows.last_block(id).and_then(|(_, _, building)| building);
        let recovering = building.is_some_and(|building| building.recovery.is_some());
        if recovering != (ours && building.is_some()) {
            return Err(format!("{id} is held by {}, recovering: {recovering}", lease.client));
        }
    }
    let mut waiting = state.leaderless.iter().chain(&state.resumed);
    let stray = waiting.find(|id| state.rows.inode(**id).and_then(|inode| inode.lease()).is_none());
    stray.map_or(Ok(()), |id| Err(format!("{id} waits for a leader and is not open")))
}

/// Ids and stamps in use were given out: none will be given out again.
fn counters_are_ahead(state: &State) -> Result<(), String> {
    let meta = &state.rows.meta;
    for id in state.rows.inodes.ids() {
        if id > meta.last_inode {
            return Err(format!("inode {id} is above the last, {}", meta.last_inode));
        }
        if let Some(block) = state.rows.blocks_of(id).find(|b| b.id > meta.last_block || b.stamp > meta.last_stamp) {
            return Err(format!("block {block} is above the last, {} and {}", meta.last_block, meta.last_stamp));
        }
    }
    Ok(())
}

/// The index of remembered calls has exactly the rows above the floor.
fn calls_are_of_rows(state: &State) -> Result<(), String> {
    let rows = &state.rows;
    let indexed = |(seq, retry): (&_, &crate::rows::Retry)| {
        *seq > rows.meta.retry_floor && state.calls.get(&retry.call) == Some(seq)
    };
    if rows.retries.len() == state.calls.len() && rows.retries.iter().all(indexed) {
        Ok(())
    } else {
        Err(format!("{} rows, {} calls", rows.retries.len(), state.calls.len()))
    }
}

fn files(state: &State) -> impl Iterator<Item = (InodeId, Inode<'_>)> {
    state.rows.inodes.iter().filter(|(_, inode)| !inode.is_dir())
}
