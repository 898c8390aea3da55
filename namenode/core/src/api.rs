//! The four entrances of the core, as types: commands and queries of clients, reports of datanodes, and what comes out.

use mammoth_protocol::internal::{CommitBlockSync, DatanodeAddr, DnCommand, HeartbeatRequest, RegisterRequest};
use mammoth_protocol::internal::{FullReportSlice, IncrementalReport};
use mammoth_protocol::{Block, DatanodeId, DfsPath, Epoch, InodeId, StorageId};
use serde::{Deserialize, Serialize};

/// A wish to change the namespace. `decide` turns it into edits and a reply, or refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Makes a folder, with those above it if `create_parent`. An existing folder is success.
    Mkdirs { path: DfsPath, mode: u16, create_parent: bool },
    /// Opens a new file for writing.
    Create {
        path: DfsPath,
        mode: u16,
        /// Replace an existing file (never a folder).
        overwrite: bool,
        create_parent: bool,
        replication: u16,
        block_size: u64,
        /// The lease holder's name.
        client: String,
    },
    /// Opens an existing file for writing at its end.
    Append { path: DfsPath, client: String, new_block: bool },
    /// Gives an open file its next block; `previous` is the client's view of the block before, with its final length.
    AddBlock {
        path: DfsPath,
        /// The file's id, if the client knows it: wins over the path, so that a rename mid-write works.
        file: Option<InodeId>,
        client: String,
        previous: Option<Block>,
        exclude: Vec<DatanodeId>,
        /// `host:port` or host of datanodes that the client would like.
        favored: Vec<String>,
    },
    /// Takes the last, unwritten block off an open file.
    AbandonBlock { path: DfsPath, file: Option<InodeId>, client: String, block: Block },
    /// Closes a file; [`Reply::Done`]`(false)` means "ask again": a block lacks its minimum of replicas.
    Complete { path: DfsPath, file: Option<InodeId>, client: String, last: Option<Block> },
    /// Makes the length so far of the last block durable at the namenode.
    Fsync { path: DfsPath, file: Option<InodeId>, client: String, last_len: Option<u64> },
    /// Allocates a new stamp for the last block of an open file, before its pipeline is rebuilt.
    UpdateBlockForPipeline { block: Block, client: String },
    /// The pipeline now runs under the new stamp on these volumes.
    UpdatePipeline { client: String, old: Block, new: Block, storages: Vec<StorageId> },
    /// Takes the lease from whoever has it; [`Reply::Done`]`(true)` if the file is closed now.
    RecoverLease { path: DfsPath, client: String },
    /// Hadoop's old rename: into an existing folder, `false` instead of most errors.
    Rename { src: DfsPath, dst: DfsPath },
    /// Hadoop's rename2: errors, `overwrite` replaces a file or an empty folder.
    Rename2 { src: DfsPath, dst: DfsPath, overwrite: bool },
    /// Deletes; `false` for a missing path.
    Delete { path: DfsPath, recursive: bool },
    SetReplication { path: DfsPath, replication: u16 },
    SetPermission { path: DfsPath, mode: u16 },
    SetOwner { path: DfsPath, owner: Option<String>, group: Option<String> },
    /// Times in wall milliseconds; `None` leaves one as it is.
    SetTimes { path: DfsPath, mtime_ms: Option<u64>, atime_ms: Option<u64> },
    /// The end of a block recovery.
    CommitBlockSync(CommitBlockSync),
    /// The work that a tick found due. Only ticks make these; `decide` still judges them by the present state.
    Internal(InternalCommand),
}

/// Due work that changes hard state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InternalCommand {
    /// The hard limit of a lease passed: the namenode takes it over and recovers or closes the file.
    ExpireLease { file: InodeId, holder: String },
    /// Free up to a slice of the inodes below a detached folder.
    Reclaim { root: InodeId },
    /// Forget calls older than the retry cache keeps.
    ForgetRetries,
    /// A file under recovery whose last block now has enough replicas, or needs a (new) recovery attempt.
    ContinueRecovery { file: InodeId },
}

/// The answer to a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// Yes or no, where the call has such an answer.
    Done(bool),
    /// Nothing to say.
    Unit,
    /// A file that was just created.
    Created(Box<FileStatus>),
    /// A file opened for append: its last block if that is partial.
    Appended { last: Option<LocatedBlock>, status: Box<FileStatus> },
    /// A block to write.
    Block(Box<LocatedBlock>),
}

/// A question that changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// `None` for a missing path.
    FileInfo { path: DfsPath },
    /// One page of a folder's entries in byte order, after `start_after`; a file lists itself. `None` for a missing path.
    Listing { path: DfsPath, start_after: Vec<u8>, need_location: bool },
    /// Blocks that overlap a range of a file, each with readers sorted by nearness to the caller.
    BlockLocations { path: DfsPath, offset: u64, len: u64 },
    /// Counts below a path.
    ContentSummary { path: DfsPath },
    /// Capacity and counts of the whole file system.
    FsStats,
    /// Datanodes in a state.
    Datanodes { kind: DatanodeKind },
    /// Whether nobody writes the file.
    IsFileClosed { path: DfsPath },
    /// One more place for the pipeline of an open file's last block.
    AdditionalDatanode {
        path: DfsPath,
        file: Option<InodeId>,
        client: String,
        block: Block,
        existing: Vec<StorageId>,
        exclude: Vec<DatanodeId>,
        count: usize,
    },
    /// Whether the caller may read (4), write (2) or execute (1).
    CheckAccess { path: DfsPath, mode: u8 },
    /// Numbers for the status page and the health sentence.
    Health,
    /// Paths with blocks that no reader can get; at most `max`.
    CorruptFiles { max: usize },
}

/// Which datanodes a report names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatanodeKind {
    All,
    Live,
    Dead,
}

/// The answer to a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    FileInfo(Option<Box<FileStatus>>),
    Listing(Option<Listing>),
    Blocks(Box<FileBlocks>),
    Summary(ContentSummary),
    Stats(FsStats),
    Datanodes(Vec<DatanodeStatus>),
    Bool(bool),
    Block(Box<LocatedBlock>),
    Unit,
    Health(Box<Health>),
    Paths(Vec<DfsPath>),
}

/// Everything a client learns of a file or folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileStatus {
    pub id: InodeId,
    /// The last name; empty for the path that was asked for itself.
    pub name: String,
    pub is_dir: bool,
    /// Bytes; for an open file the length of its complete blocks and of what fsync made known.
    pub len: u64,
    /// 0 for folders.
    pub replication: u16,
    /// 0 for folders.
    pub block_size: u64,
    pub mtime_ms: u64,
    pub atime_ms: u64,
    pub mode: u16,
    pub owner: String,
    pub group: String,
    /// Entries of a folder.
    pub children: u32,
    /// Where the blocks are, if asked for.
    pub blocks: Option<FileBlocks>,
}

/// A page of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
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
    pub datanode: DatanodeId,
    pub storage: StorageId,
    pub addr: DatanodeAddr,
    pub rack: String,
}

/// Counts below a path; a folder counts itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ContentSummary {
    pub len: u64,
    pub files: u64,
    pub dirs: u64,
    /// Bytes with all wanted replicas.
    pub space: u64,
}

/// `getFsStats`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FsStats {
    pub capacity: u64,
    pub used: u64,
    pub remaining: u64,
    pub under_replicated: u64,
    pub corrupt_blocks: u64,
    pub missing_blocks: u64,
    pub missing_repl_one: u64,
    pub pending_deletion: u64,
}

/// One datanode, as reports and pages show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DatanodeStatus {
    pub id: DatanodeId,
    pub addr: DatanodeAddr,
    pub rack: String,
    pub live: bool,
    pub stale: bool,
    pub capacity: u64,
    pub used: u64,
    pub remaining: u64,
    pub xceivers: u32,
    pub blocks: u64,
    /// Milliseconds since the last heartbeat.
    pub last_contact_ms: u64,
    /// Wall time of the last heartbeat, 0 if never since this namenode started.
    pub last_contact_wall_ms: u64,
    /// Wall time of the last complete full report, 0 if none yet.
    pub last_report_wall_ms: u64,
    pub failed_volumes: u32,
    /// All its volumes have sent a complete full report in this epoch.
    pub reported: bool,
}

/// Whether and why the namenode is in safe mode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum SafeMode {
    Off,
    /// Start-up: waiting for reports.
    Startup { reported: u64, needed: u64, total: u64, extension_left_ms: Option<u64> },
    /// Somebody switched it on.
    Manual,
    /// A datanode has seen a later past than this namenode remembers: edits were lost.
    Behind { message: String },
}

/// The state of the file system in numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Health {
    pub safe_mode: SafeMode,
    pub files: u64,
    pub dirs: u64,
    pub blocks: u64,
    pub open_files: u64,
    pub live: u32,
    pub dead: u32,
    pub stale: u32,
    pub under_replicated: u64,
    pub over_replicated: u64,
    pub pending_copies: u64,
    pub corrupt_replicas: u64,
    pub stats: FsStats,
    /// Lease recoveries and folders still being reclaimed.
    pub recoveries: u64,
    pub reclaiming: u64,
}

/// News that change soft state (where replicas are, who lives), never hard state directly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    Register { request: RegisterRequest, epoch: Epoch },
    Heartbeat(HeartbeatRequest),
    Incremental(IncrementalReport),
    Full(FullReportSlice),
    /// A client or a datanode found bad bytes.
    Bad { replicas: Vec<(ReplicaOn, Block)> },
    /// A lease holder lives.
    RenewLease { client: String },
    /// The administrator.
    SafeMode(SafeModeAction),
}

/// A replica's place, as its finder names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplicaOn {
    Storage(StorageId),
    Datanode(DatanodeId),
}

/// `dfsadmin -safemode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SafeModeAction {
    Enter,
    Leave,
    ForceExit,
}

/// What a report or a tick leads to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// To go through `decide` and `apply` like a client's.
    pub commands: Vec<Command>,
    /// Orders for the reporting datanode (heartbeat) to carry home; they may leave only when all edits applied so far are durable.
    pub orders: Vec<DnCommand>,
    /// The reporter is unknown or of an old epoch.
    pub register: bool,
    /// Volumes whose reports have a gap.
    pub resync: Vec<StorageId>,
    /// A registration that must not be (another cluster, a datanode id in use from a live address …).
    pub refused: Option<mammoth_protocol::FsError>,
    /// There is more of this work: call `tick` again soon.
    pub more: bool,
}

/// Settings of the core; times in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoreConfig {
    pub replication_min: u16,
    pub replication_max: u16,
    pub block_size_min: u64,
    pub blocks_per_file_max: usize,
    pub directory_entries_max: usize,
    pub heartbeat_ms: u64,
    pub recheck_ms: u64,
    pub stale_ms: u64,
    pub lease_soft_ms: u64,
    pub lease_hard_ms: u64,
    /// Share of blocks that must have reported, in parts per million.
    pub safemode_threshold_ppm: u32,
    pub safemode_extension_ms: u64,
    pub safemode_min_datanodes: u32,
    pub redundancy_interval_ms: u64,
    pub max_streams: u32,
    pub max_streams_hard: u32,
    pub work_multiplier: u32,
    pub pending_timeout_ms: u64,
    pub invalidate_limit: usize,
    pub listing_page: usize,
    pub permissions: bool,
    pub superuser: String,
    pub supergroup: String,
    pub access_time_precision_ms: u64,
}
