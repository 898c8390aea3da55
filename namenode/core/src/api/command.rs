//! What changes the namespace, and the answer to it.

use super::status::{FileStatus, LocatedBlock};
use mammoth_protocol::internal::CommitBlockSync;
use mammoth_protocol::{Block, DatanodeId, DfsPath, FsError, InodeId, StorageId};
use serde::{Deserialize, Serialize};

/// A wish to change the namespace. `decide` turns it into edits and a reply, or refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Makes a folder, with those above it if `create_parent`. An existing folder is success.
    Mkdirs {
        /// The folder.
        path: DfsPath,
        /// Permission bits, the client's umask taken off already.
        mode: u16,
        /// Make missing folders above it too.
        create_parent: bool,
    },
    /// Opens a new file for writing: [`Reply::Created`].
    Create {
        /// The file.
        path: DfsPath,
        /// Permission bits, the client's umask taken off already.
        mode: u16,
        /// Replace an existing file (never a folder), even one that is being written.
        overwrite: bool,
        /// Make missing folders above it too.
        create_parent: bool,
        /// Replicas wanted of each block.
        replication: u16,
        /// Bytes of a full block.
        block_size: u64,
        /// The lease holder's name.
        client: String,
    },
    /// Opens an existing file for writing at its end: [`Reply::Appended`].
    Append {
        /// The file.
        path: DfsPath,
        /// The lease holder's name.
        client: String,
        /// Leave a partial last block as it is and begin a new one.
        new_block: bool,
    },
    /// Gives an open file its next block ([`Reply::Block`]); `previous` is the client's view of the block before, with its
    /// final length.
    AddBlock {
        /// The file.
        path: DfsPath,
        /// The file's id, if the client knows it: wins over the path, so that a rename mid-write works.
        file: Option<InodeId>,
        /// The lease holder's name.
        client: String,
        /// The last block of the file so far, to be committed.
        previous: Option<Block>,
        /// Datanodes that the client could not write to.
        exclude: Vec<DatanodeId>,
        /// `host:port` or host of datanodes that the client would like.
        favored: Vec<String>,
    },
    /// Takes the last, unwritten block off an open file.
    AbandonBlock {
        /// The file.
        path: DfsPath,
        /// As in [`Command::AddBlock`].
        file: Option<InodeId>,
        /// The lease holder's name.
        client: String,
        /// The block; if it is not the last of the file, nothing happens.
        block: Block,
    },
    /// Closes a file; [`Reply::Done`]`(false)` means "ask again": a block lacks its minimum of replicas.
    Complete {
        /// The file.
        path: DfsPath,
        /// As in [`Command::AddBlock`].
        file: Option<InodeId>,
        /// The lease holder's name.
        client: String,
        /// The last block with its final length, to be committed.
        last: Option<Block>,
    },
    /// Makes the length so far of the last block durable at the namenode.
    Fsync {
        /// The file.
        path: DfsPath,
        /// As in [`Command::AddBlock`].
        file: Option<InodeId>,
        /// The lease holder's name.
        client: String,
        /// Bytes of the last block that all its datanodes have; `None` leaves the known length.
        last_len: Option<u64>,
    },
    /// Allocates a new stamp for the last block of an open file, before its pipeline is rebuilt: [`Reply::Block`] without
    /// places.
    UpdateBlockForPipeline {
        /// The block as the client knows it.
        block: Block,
        /// The lease holder's name.
        client: String,
    },
    /// The pipeline now runs under the new stamp on these volumes.
    UpdatePipeline {
        /// The lease holder's name.
        client: String,
        /// The block with the stamp before.
        old: Block,
        /// The block with the stamp that [`Command::UpdateBlockForPipeline`] gave, and the bytes acknowledged so far.
        new: Block,
        /// The pipeline in its order.
        storages: Vec<StorageId>,
    },
    /// Takes the lease from whoever has it; [`Reply::Done`]`(true)` if the file is closed now.
    RecoverLease {
        /// The file.
        path: DfsPath,
        /// Who asks.
        client: String,
    },
    /// Shortens a file; [`Reply::Done`]`(false)`: its last block is being cut, and it can be written again when it is closed.
    Truncate {
        /// The file.
        path: DfsPath,
        /// Its new length, bytes; not above the present one.
        len: u64,
        /// Who asks.
        client: String,
    },
    /// Moves the blocks of several files to the end of another, in this order; the files are gone afterwards.
    Concat {
        /// The file that grows.
        target: DfsPath,
        /// Files in the same folder.
        sources: Vec<DfsPath>,
    },
    /// Hadoop's old rename: into an existing folder, `false` instead of most errors.
    Rename {
        /// What to rename.
        src: DfsPath,
        /// The new name, or a folder to move it into.
        dst: DfsPath,
    },
    /// Hadoop's rename2: errors, `overwrite` replaces a file or an empty folder.
    Rename2 {
        /// What to rename.
        src: DfsPath,
        /// The new name.
        dst: DfsPath,
        /// Replace what has the new name.
        overwrite: bool,
    },
    /// Deletes; [`Reply::Done`]`(false)` for a missing path.
    Delete {
        /// What to delete.
        path: DfsPath,
        /// With everything below it.
        recursive: bool,
    },
    /// Wants another number of replicas; [`Reply::Done`]`(false)` for a folder or a missing path.
    SetReplication {
        /// The file.
        path: DfsPath,
        /// Replicas wanted.
        replication: u16,
    },
    /// Sets the permission bits.
    SetPermission {
        /// File or folder.
        path: DfsPath,
        /// The bits, sticky included.
        mode: u16,
    },
    /// Sets owner, group or both.
    SetOwner {
        /// File or folder.
        path: DfsPath,
        /// The new owner; only the superuser may change it.
        owner: Option<String>,
        /// The new group; others than the superuser must be in it.
        group: Option<String>,
    },
    /// Times in wall milliseconds; `None` leaves one as it is.
    SetTimes {
        /// File or folder.
        path: DfsPath,
        /// Modification time.
        mtime_ms: Option<u64>,
        /// Access time.
        atime_ms: Option<u64>,
    },
    /// The end of a block recovery.
    CommitBlockSync(CommitBlockSync),
    /// The work that a tick found due. Only ticks make these; `decide` still judges them by the present state.
    Internal(InternalCommand),
}

/// Due work that changes hard state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InternalCommand {
    /// The hard limit of a lease passed: the namenode takes it over and recovers or closes the file.
    ExpireLease {
        /// The open file.
        file: InodeId,
        /// Who let the lease expire.
        holder: String,
    },
    /// Free up to a slice of the inodes below a detached folder.
    Reclaim {
        /// The detached folder.
        root: InodeId,
    },
    /// Forget calls older than the retry cache keeps.
    ForgetRetries,
    /// A file under recovery whose last block now has enough replicas, or needs a (new) recovery attempt.
    ContinueRecovery {
        /// The open file.
        file: InodeId,
    },
}

/// The answer to a command. Remembered calls are stored with it: its form is part of the log's and the rows' format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// Yes or no, where the call has such an answer.
    Done(bool),
    /// Nothing to say.
    Unit,
    /// A file that was just created.
    Created(Box<FileStatus>),
    /// A file opened for append.
    Appended {
        /// Its last block, if that is partial (or a new block was asked for).
        last: Option<LocatedBlock>,
        /// The file.
        status: Box<FileStatus>,
    },
    /// A block to write.
    Block(Box<LocatedBlock>),
    /// The call fails with this error, and yet its edits stand: it began the recovery of a file that somebody left open.
    Refused(FsError),
}
