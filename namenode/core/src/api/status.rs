//! What clients and pages learn: files, blocks, datanodes, numbers.

use super::hosts::AdminState;
use mammoth_protocol::internal::DatanodeAddr;
use mammoth_protocol::{Block, DatanodeId, DfsPath, InodeId, StorageId};
use serde::{Deserialize, Serialize};

/// Everything a client learns of a file or folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileStatus {
    /// Its id, for ever.
    pub id: InodeId,
    /// The last name; empty for the path that was asked for itself.
    pub name: String,
    /// A folder.
    pub is_dir: bool,
    /// Bytes; for an open file the length of its complete blocks and of what fsync made known.
    pub len: u64,
    /// Replicas wanted of each block; 0 for folders.
    pub replication: u16,
    /// Bytes of a full block; 0 for folders.
    pub block_size: u64,
    /// Modification time, wall milliseconds.
    pub mtime_ms: u64,
    /// Access time, wall milliseconds; 0 for folders.
    pub atime_ms: u64,
    /// Permission bits.
    pub mode: u16,
    /// Owner.
    pub owner: String,
    /// Group.
    pub group: String,
    /// Entries of a folder.
    pub children: u32,
    /// Where the blocks are, if asked for.
    pub blocks: Option<FileBlocks>,
}

/// A page of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// In byte order of their names.
    pub entries: Vec<FileStatus>,
    /// Entries after the last of this page.
    pub remaining: u32,
}

/// Blocks of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileBlocks {
    /// Length of the file without a last block under construction.
    pub len: u64,
    /// Somebody writes the file.
    pub open: bool,
    /// Those that were asked for.
    pub blocks: Vec<LocatedBlock>,
    /// The last block of the file, whether asked for or not.
    pub last: Option<LocatedBlock>,
    /// The last block is complete.
    pub last_complete: bool,
}

/// A block and where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocatedBlock {
    /// Identity, stamp and length.
    pub block: Block,
    /// Offset in the file, bytes.
    pub offset: u64,
    /// Good replicas (nearest first), or the pipeline of a block to write; never one of an older stamp. All bad ones if every
    /// replica is bad, with `corrupt`.
    pub places: Vec<Place>,
    /// Every replica is known to be bad.
    pub corrupt: bool,
}

/// A volume of a datanode, as a client reaches it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The datanode.
    pub datanode: DatanodeId,
    /// Its volume.
    pub storage: StorageId,
    /// Where to reach it.
    pub addr: DatanodeAddr,
    /// Its rack.
    pub rack: String,
    /// Whether the datanode is to leave; not remembered with replies.
    #[serde(skip)]
    pub admin: AdminState,
}

/// What a replica counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplicaStanding {
    /// It is good.
    Live,
    /// It is good, and to be deleted as there are enough.
    Excess,
    /// It is known to be bad.
    Corrupt,
    /// It is being written.
    Written,
}

/// A replica of a block on a live datanode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaStatus {
    /// Where it is.
    pub place: Place,
    /// What it counts for.
    pub standing: ReplicaStanding,
    /// Its volume has told of all its replicas since the datanode last registered.
    pub trusted: bool,
}

/// A block, whose it is, and its replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockState {
    /// The file that owns it.
    pub file: DfsPath,
    /// Replicas wanted.
    pub wanted: u16,
    /// The replicas.
    pub replicas: Vec<ReplicaStatus>,
}

/// A file that somebody writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenFile {
    /// Its id.
    pub id: InodeId,
    /// Its path.
    pub path: String,
    /// The lease holder's name.
    pub client: String,
    /// Where the holder called from; `None` for the namenode itself.
    pub addr: Option<std::net::IpAddr>,
}

/// Counts below a path; a folder counts itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ContentSummary {
    /// Bytes of all files.
    pub len: u64,
    /// Files.
    pub files: u64,
    /// Folders.
    pub dirs: u64,
    /// Bytes with all wanted replicas.
    pub space: u64,
}

/// `getFsStats`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FsStats {
    /// Bytes of all live volumes.
    pub capacity: u64,
    /// Bytes that replicas take.
    pub used: u64,
    /// Bytes that can still be written.
    pub remaining: u64,
    /// Blocks with fewer good replicas than wanted.
    pub under_replicated: u64,
    /// Blocks all of whose replicas are bad.
    pub corrupt_blocks: u64,
    /// Blocks without any good replica.
    pub missing_blocks: u64,
    /// Of these, blocks of files that want one replica only.
    pub missing_repl_one: u64,
    /// Replicas still to be deleted.
    pub pending_deletion: u64,
}

/// One datanode, as reports and pages show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DatanodeStatus {
    /// The datanode.
    pub id: DatanodeId,
    /// Where to reach it.
    pub addr: DatanodeAddr,
    /// Its rack.
    pub rack: String,
    /// It sends heartbeats.
    pub live: bool,
    /// It has been silent for a while.
    pub stale: bool,
    /// What the operator wants of it, and how far that is.
    pub admin: AdminState,
    /// Bytes of its volumes.
    pub capacity: u64,
    /// Bytes that replicas take.
    pub used: u64,
    /// Bytes that can still be written.
    pub remaining: u64,
    /// Connections that move data.
    pub xceivers: u32,
    /// Replicas that it has reported.
    pub blocks: u64,
    /// Milliseconds since the last heartbeat.
    pub last_contact_ms: u64,
    /// Wall time of the last heartbeat, 0 if never since this namenode started.
    pub last_contact_wall_ms: u64,
    /// Wall time of the last complete full report, 0 if none yet.
    pub last_report_wall_ms: u64,
    /// Volumes that no longer work.
    pub failed_volumes: u32,
    /// All its volumes have sent a complete full report in this epoch.
    pub reported: bool,
}

/// Whether and why the namenode is in safe mode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum SafeMode {
    /// It is not.
    Off,
    /// Start-up: waiting for reports.
    Startup {
        /// Complete blocks with the minimum of confirmed replicas.
        reported: u64,
        /// So many must be.
        needed: u64,
        /// Complete blocks.
        total: u64,
        /// The threshold is reached; it ends after this time.
        extension_left_ms: Option<u64>,
    },
    /// Somebody switched it on.
    Manual,
    /// A datanode has seen a later past than this namenode remembers: edits were lost.
    Behind {
        /// Who has seen what.
        message: String,
    },
}

/// The state of the file system in numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Health {
    /// Safe mode.
    pub safe_mode: SafeMode,
    /// Files, those still being reclaimed included.
    pub files: u64,
    /// Folders, the root and those still being reclaimed included.
    pub dirs: u64,
    /// Blocks that files own.
    pub blocks: u64,
    /// Files that somebody writes, or that are in recovery.
    pub open_files: u64,
    /// Datanodes that send heartbeats.
    pub live: u32,
    /// Datanodes that stopped to.
    pub dead: u32,
    /// Live datanodes that have been silent for a while.
    pub stale: u32,
    /// Blocks with some good replica, but fewer than wanted.
    pub under_replicated: u64,
    /// Blocks with more good replicas than wanted.
    pub over_replicated: u64,
    /// Blocks whose replicas all lie on one rack although there are several.
    pub misplaced: u64,
    /// Copies ordered and not yet confirmed.
    pub pending_copies: u64,
    /// Replicas known to be bad.
    pub corrupt_replicas: u64,
    /// Capacity and further counts.
    pub stats: FsStats,
    /// Files whose lease the namenode has taken over to close them.
    pub recoveries: u64,
    /// Deleted folders whose content is still being reclaimed.
    pub reclaiming: u64,
}
