//! Who may write: every call of a writer proves its lease here, and a new writer takes an old one's over here.

use super::draft::Draft;
use super::recovery::{Released, release};
use crate::access::Access;
use crate::derived::NAMENODE_HOLDER;
use crate::errors::{host, host_of};
use crate::paths::At;
use crate::rows::Lease;
use crate::state::State;
use mammoth_protocol::{DfsPath, ErrorCode, FsError, InodeId};

/// A file that a call of its writer means, with its present path.
#[derive(Clone, Debug)]
pub(crate) struct OpenFile {
    pub(crate) id: InodeId,
    pub(crate) path: String,
}

/// The inode that a writer's call means: by id if the call names one, so that a rename mid-write does no harm.
pub(crate) fn open_file(
    state: &State,
    access: Access<'_>,
    path: &DfsPath,
    file: Option<InodeId>,
    client: &str,
) -> Result<OpenFile, FsError> {
    let missing = |id: InodeId| {
        let who = holder_text(state, path.as_str(), id, client);
        FsError::new(ErrorCode::FileNotFound, format!("File does not exist: {who}"))
    };
    if let Some(id) = file {
        return match state.reachable(id) {
            Some(_) => Ok(OpenFile { id, path: state.path_of(id) }),
            None => Err(missing(id)),
        };
    }
    let resolved = state.resolve(At::Current, path);
    access.traverse(&resolved)?;
    let id = resolved.last().ok_or_else(|| missing(InodeId(0)))?;
    Ok(OpenFile { id, path: path.to_string() })
}

/// The client has the file's lease (I4).
pub(crate) fn check_lease<'a>(state: &'a State, file: &OpenFile, client: &str) -> Result<&'a Lease, FsError> {
    let expired = |why: &str| {
        let who = holder_text(state, &file.path, file.id, client);
        FsError::new(ErrorCode::LeaseExpired, format!("{why}: {who}"))
    };
    let inode = state.rows.inode(file.id).filter(|inode| !inode.is_dir());
    let inode = inode.ok_or_else(|| expired("INode is not a regular file"))?;
    let lease = inode.lease().ok_or_else(|| expired("File is not open for writing"))?;
    if holds(lease, client) {
        return Ok(lease);
    }
    Err(expired(&format!("Client (={client}) is not the lease owner (={}", lease.client)))
}

/// Whether the lease is this client's. No client can have the namenode's own, whatever name it gives itself.
pub(super) fn holds(lease: &Lease, client: &str) -> bool {
    *lease.client == *client && client != NAMENODE_HOLDER
}

/// Both: the file of a writer's call, which the client may write.
pub(crate) fn leased_file<'a>(
    state: &'a State,
    access: Access<'_>,
    path: &DfsPath,
    file: Option<InodeId>,
    client: &str,
) -> Result<(OpenFile, &'a Lease), FsError> {
    let file = open_file(state, access, path, file, client)?;
    let lease = check_lease(state, &file, client)?;
    Ok((file, lease))
}

fn holder_text(state: &State, path: &str, id: InodeId, client: &str) -> String {
    match state.leases.count_of(client) {
        0 => format!("{path} (inode {id}) Holder {client} does not have any open files."),
        count => format!("{path} (inode {id}) [Lease.  Holder: {client}, pending creates: {count}]"),
    }
}

/// What became of a file's lease.
pub(super) enum Takeover {
    /// Nobody writes the file, or nobody will once the edits are applied.
    Closed,
    /// The edits begin its recovery; the call is to be refused with this.
    Recovering(FsError),
}

/// Makes way for a new writer: a file that nobody writes is free at once; one whose writer has been silent for the soft limit
/// is closed, or its recovery begins. `op` is HDFS's name of the call.
///
/// # Errors
/// The writer lives, is the caller itself, or the file is in recovery already.
pub(super) fn take_over(
    draft: &mut Draft<'_>,
    id: InodeId,
    op: &str,
    path: &DfsPath,
    client: &str,
) -> Result<Takeover, FsError> {
    let state = draft.state;
    let Some(lease) = state.rows.inode(id).and_then(|inode| inode.lease()) else { return Ok(Takeover::Closed) };
    let on = host_of(draft.caller);
    let refuse =
        |code, why: String| FsError::new(code, format!("Failed to {op} {path} for {client} on {on} because {why}"));
    let owner = format!("{} on {}", lease.client, host(lease.addr));
    if *lease.client == *client {
        let why = format!("{client} is already the current lease holder.");
        return Err(refuse(ErrorCode::AlreadyBeingCreated, why));
    }
    let in_recovery = state.rows.last_block(id).and_then(|(_, _, building)| building?.recovery).is_some();
    if *lease.client == *NAMENODE_HOLDER || in_recovery {
        let why = format!("another recovery is in progress by {owner}");
        return Err(refuse(ErrorCode::RecoveryInProgress, why));
    }
    if !state.leases.expired(&lease.client, state.config.lease_soft_ms, draft.now.monotonic_ms) {
        let why = format!("this file lease is currently owned by {owner}");
        return Err(refuse(ErrorCode::AlreadyBeingCreated, why));
    }
    Ok(match release(draft, id, true) {
        Released::Closed => Takeover::Closed,
        Released::NotYet => {
            let why = "lease recovery is in progress. Try again later.".to_owned();
            Takeover::Recovering(refuse(ErrorCode::RecoveryInProgress, why))
        }
    })
}
