//! `create`.

use super::draft::Draft;
use super::lease::{Takeover, take_over};
use super::mkdirs::{MODE_MASK, check_parent, inherited_mode};
use crate::access::WRITE;
use crate::api::{FileStatus, Reply};
use crate::errors::{exists, host_of, io};
use crate::paths::Resolved;
use crate::rows::{BLOCK_BYTES_MAX, Lease, NewFile};
use mammoth_protocol::limits::PRINCIPAL_BYTES_MAX;
use mammoth_protocol::{DfsPath, ErrorCode, FsError};

/// A wish for a new file.
pub(super) struct Wish<'a> {
    pub(super) path: &'a DfsPath,
    pub(super) mode: u16,
    pub(super) overwrite: bool,
    pub(super) create_parent: bool,
    pub(super) replication: u16,
    pub(super) block_size: u64,
    pub(super) client: &'a str,
}

/// Makes a file and opens it for writing.
pub(super) fn create(draft: &mut Draft<'_>, wish: &Wish<'_>) -> Result<Reply, FsError> {
    check_replication(draft, wish.path, wish.replication)?;
    check_block_size(draft, wish.block_size)?;
    check_client(wish.client)?;
    draft.guard(&format!("Cannot create file{}", wish.path))?;
    let mut resolved = draft.resolve(wish.path)?;
    draft.access().on_ancestor(&resolved, WRITE)?;
    if resolved.last().is_some() {
        if let Some(refused) = clear_way(draft, wish, &resolved)? {
            return Ok(Reply::Refused(refused));
        }
        resolved.chain.pop();
        resolved.missing = 1;
    } else if !wish.create_parent {
        check_parent(draft.state, &resolved)?;
    }
    let (parent, group) = draft.make_ancestors(&resolved, inherited_mode)?;
    let mode = wish.mode & MODE_MASK;
    let lease = Lease { client: wish.client.into(), addr: draft.caller.addr };
    let file = NewFile { replication: wish.replication, block_size: wish.block_size, lease };
    let id = draft.create_inode(parent, wish.path.name(), &group, mode, Some(file));
    Ok(Reply::Created(Box::new(FileStatus {
        id,
        name: String::new(),
        is_dir: false,
        len: 0,
        replication: wish.replication,
        block_size: wish.block_size,
        mtime_ms: draft.now.wall_ms,
        atime_ms: draft.now.wall_ms,
        mode,
        owner: draft.caller.user.clone(),
        group: group.into(),
        children: 0,
        blocks: None,
    })))
}

/// Takes what has the file's name out of its way, or refuses. A refusal that comes back as a value has edits.
fn clear_way(draft: &mut Draft<'_>, wish: &Wish<'_>, resolved: &Resolved<'_>) -> Result<Option<FsError>, FsError> {
    let path = wish.path;
    let id = resolved.deepest();
    if draft.state.rows.inode(id).is_some_and(|inode| inode.is_dir()) {
        return Err(exists(format!("{path} already exists as a directory")));
    }
    if wish.overwrite {
        // As in HDFS, whoever may overwrite a file may do so while another writes it: the writer loses its lease with it.
        draft.access().on_path(resolved, WRITE)?;
        super::delete::remove_file(draft, id);
        return Ok(None);
    }
    let refusal = exists(format!("{path} for client {} already exists", host_of(draft.caller)));
    match take_over(draft, id, "CREATE_FILE", path, wish.client)? {
        Takeover::Recovering(why) => Ok(Some(why)),
        Takeover::Closed if draft.is_empty() => Err(refusal),
        Takeover::Closed => Ok(Some(refusal)),
    }
}

/// A number of replicas that a file may want.
pub(super) fn check_replication(draft: &Draft<'_>, path: &DfsPath, replication: u16) -> Result<(), FsError> {
    let config = &draft.state.config;
    if replication < config.replication_min {
        return Err(io(format!(
            "Requested replication factor of {replication} is less than the required minimum of {} for {path}",
            config.replication_min
        )));
    }
    if replication > config.replication_max {
        return Err(io(format!(
            "Requested replication factor of {replication} exceeds maximum of {} for {path}",
            config.replication_max
        )));
    }
    Ok(())
}

fn check_block_size(draft: &Draft<'_>, block_size: u64) -> Result<(), FsError> {
    let min = draft.state.config.block_size_min;
    if block_size > BLOCK_BYTES_MAX {
        return Err(FsError::new(ErrorCode::IllegalArgument, format!("Invalid block size: {block_size}")));
    }
    if block_size >= min {
        return Ok(());
    }
    Err(io(format!(
        "Specified block size is less than configured minimum value (dfs.namenode.fs-limits.min-block-size): \
         {block_size} < {min}"
    )))
}

/// A name that a lease holder may have.
pub(super) fn check_client(client: &str) -> Result<(), FsError> {
    if client.is_empty() || client.len() > PRINCIPAL_BYTES_MAX || client == crate::derived::NAMENODE_HOLDER {
        return Err(FsError::new(ErrorCode::IllegalArgument, format!("Invalid client name `{client}`")));
    }
    Ok(())
}
