//! What the namenode tells about files, blocks and datanodes, as plain values that were checked on arrival.

use mammoth_protocol::hadoop::common::TokenProto;
use mammoth_protocol::{Block, DfsPath, InodeId};
use std::fmt;

/// What a path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// A file.
    File,
    /// A folder.
    Directory,
    /// A symbolic link.
    Symlink,
}

/// All about one file or folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileStatus {
    /// Its whole path.
    pub path: DfsPath,
    /// What it is.
    pub kind: FileKind,
    /// Length in bytes; 0 for folders. For a file that is being written: the length of its finished blocks.
    pub len: u64,
    /// Wanted replicas; 0 for folders.
    pub replication: u16,
    /// Block size in bytes; 0 for folders.
    pub block_size: u64,
    /// Nine permission bits and the sticky bit (octal 1000).
    pub permission: u16,
    /// Owner.
    pub owner: String,
    /// Group.
    pub group: String,
    /// Last change, milliseconds since 1970.
    pub modified_ms: u64,
    /// Last access, milliseconds since 1970.
    pub accessed_ms: u64,
    /// Its identity over renames.
    pub file_id: InodeId,
    /// Entries of a folder, if the namenode said.
    pub children: Option<u32>,
    /// It has an access control list.
    pub has_acl: bool,
    /// It is encrypted at rest.
    pub is_encrypted: bool,
    /// It is stored in striped groups.
    pub is_erasure_coded: bool,
    /// Number of its storage policy, 0 for none of its own.
    pub storage_policy: u8,
    /// Where a symbolic link leads, else empty.
    pub link_target: String,
}

impl FileStatus {
    /// Whether it is a folder.
    #[must_use]
    pub fn is_dir(&self) -> bool {
        self.kind == FileKind::Directory
    }

    /// Whether it is a file.
    #[must_use]
    pub fn is_file(&self) -> bool {
        self.kind == FileKind::File
    }

    /// The last name of its path.
    #[must_use]
    pub fn name(&self) -> &str {
        self.path.name()
    }
}

/// One page of a folder, in byte order of the names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListingPage {
    /// Its entries.
    pub entries: Vec<FileStatus>,
    /// How many entries follow after these.
    pub remaining: u32,
}

/// Totals below a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ContentSummary {
    /// Bytes of all files.
    pub length: u64,
    /// Files.
    pub file_count: u64,
    /// Folders, the path itself included.
    pub directory_count: u64,
    /// Bytes with all replicas.
    pub space_consumed: u64,
    /// Most names allowed, if limited.
    pub quota: Option<u64>,
    /// Most bytes with replicas allowed, if limited.
    pub space_quota: Option<u64>,
}

/// What hedged reads did, as HDFS counts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HedgedReads {
    /// Times that a second datanode was asked, as the first had given nothing for a while.
    pub ops: u64,
    /// Times that it was the first to answer.
    pub wins: u64,
}

/// Totals of the file system, sizes in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FsStats {
    /// Size of all volumes.
    pub capacity: u64,
    /// Bytes that blocks take.
    pub used: u64,
    /// Bytes that can still be written.
    pub remaining: u64,
    /// Blocks with fewer replicas than wanted.
    pub under_replicated: u64,
    /// Blocks with corrupt replicas.
    pub corrupt_blocks: u64,
    /// Blocks without any good replica.
    pub missing_blocks: u64,
    /// Those among them that wanted one replica.
    pub missing_replication_one: u64,
    /// Blocks whose replicas are to be deleted.
    pub pending_deletion: u64,
}

/// Which datanodes to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReportKind {
    /// Every one that the namenode knows.
    All,
    /// Those that sent heartbeats of late.
    Live,
    /// Those that did not.
    Dead,
    /// Those being emptied.
    Decommissioning,
    /// Those on their way into maintenance.
    EnteringMaintenance,
    /// Those in maintenance.
    InMaintenance,
}

/// What an operator wants of a datanode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AdminState {
    /// To serve.
    #[default]
    Normal,
    /// To be emptied.
    Decommissioning,
    /// Emptied.
    Decommissioned,
    /// To leave for a while.
    EnteringMaintenance,
    /// Away for a while.
    InMaintenance,
}

/// A datanode with its figures; sizes in bytes, times in milliseconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatanodeInfo {
    /// Its identity.
    pub uuid: String,
    /// Address that clients connect to by default.
    pub ip: String,
    /// Name that clients connect to if they prefer names.
    pub hostname: String,
    /// Data-transfer port.
    pub transfer_port: u16,
    /// HTTP port.
    pub info_port: u16,
    /// Hadoop RPC port.
    pub ipc_port: u16,
    /// Rack, `/default-rack` if none was set.
    pub rack: String,
    /// Size of its volumes.
    pub capacity: u64,
    /// Bytes that blocks take.
    pub dfs_used: u64,
    /// Bytes that other things take.
    pub non_dfs_used: u64,
    /// Bytes that can still be written.
    pub remaining: u64,
    /// Bytes that blocks of this file system take.
    pub block_pool_used: u64,
    /// Size of its cache.
    pub cache_capacity: u64,
    /// Used part of its cache.
    pub cache_used: u64,
    /// Connections that move data at present.
    pub xceivers: u32,
    /// Its last heartbeat.
    pub last_contact_ms: u64,
    /// Its last full block report, 0 for none yet.
    pub last_block_report_ms: u64,
    /// Blocks on it.
    pub num_blocks: u32,
    /// What the operator wants of it.
    pub admin_state: AdminState,
}

impl DatanodeInfo {
    /// `ip:port` of the data-transfer door, the name by which HDFS speaks of a datanode.
    #[must_use]
    pub fn transfer_addr(&self) -> String {
        host_port(&self.ip, self.transfer_port)
    }
}

impl fmt::Display for DatanodeInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.transfer_addr())
    }
}

/// `host:port`, with brackets around an IPv6 address.
#[must_use]
pub(crate) fn host_port(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// One block of a file and where its replicas are, the nearest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocatedBlock {
    /// Pool of the block.
    pub pool: String,
    /// The block; its length is what the namenode knows of it.
    pub block: Block,
    /// Where it starts in the file, bytes.
    pub offset: u64,
    /// No replica is good.
    pub corrupt: bool,
    /// Datanodes with a replica.
    pub nodes: Vec<DatanodeInfo>,
    /// The volume on each of them, `DS-…`.
    pub storage_ids: Vec<String>,
    /// Medium of each volume: `DISK`, `SSD`, …
    pub storage_types: Vec<&'static str>,
    /// The right to the block, where the cluster asks for one.
    pub(crate) token: TokenProto,
}

impl LocatedBlock {
    /// Whether a position of the file lies in the block.
    pub(crate) fn holds(&self, position: u64) -> bool {
        (self.offset..self.offset.saturating_add(self.block.len)).contains(&position)
    }
}

/// The blocks of a range of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockLocations {
    /// Length of the file, bytes, without an unfinished last block.
    pub file_len: u64,
    /// Somebody writes the file.
    pub under_construction: bool,
    /// The last block is finished (or there is none).
    pub is_last_block_complete: bool,
    /// The blocks of the range.
    pub blocks: Vec<LocatedBlock>,
    /// The last block of the file, in the range or not.
    pub last_block: Option<LocatedBlock>,
}

/// What the server would use where its user said nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerDefaults {
    /// Block size, bytes.
    pub block_size: u64,
    /// Bytes that one checksum covers.
    pub bytes_per_checksum: u32,
    /// Size of a packet, bytes.
    pub write_packet_size: u32,
    /// Replicas.
    pub replication: u16,
    /// Size of a buffer, bytes.
    pub file_buffer_size: u32,
    /// Data on the wire is encrypted.
    pub encrypt_data_transfer: bool,
    /// Minutes that deleted files stay in the trash; 0: no trash.
    pub trash_interval_min: u64,
}

/// A file that somebody writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenFile {
    /// Its path.
    pub path: String,
    /// The lease holder's name.
    pub client: String,
    /// Where the holder called from; empty for the namenode itself.
    pub machine: String,
}

/// What to do with safe mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SafeModeAction {
    /// Only ask.
    Get,
    /// Enter it.
    Enter,
    /// Leave it.
    Leave,
    /// Leave it even if blocks would be lost.
    ForceExit,
}

/// How to create a file. `None` means: as the client is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CreateOptions {
    /// Replace an existing file; otherwise that is an error.
    pub overwrite: bool,
    /// Wanted replicas.
    pub replication: Option<u16>,
    /// Block size in bytes, a multiple of 512.
    pub block_size: Option<u64>,
    /// Permission bits before the umask; 666 (octal) by default.
    pub permission: Option<u16>,
    /// Make missing folders above it; otherwise they are an error.
    pub create_parent: bool,
}

impl Default for CreateOptions {
    fn default() -> Self {
        Self { overwrite: false, replication: None, block_size: None, permission: None, create_parent: true }
    }
}

impl CreateOptions {
    /// The defaults, but replacing an existing file.
    #[must_use]
    pub fn overwriting() -> Self {
        Self { overwrite: true, ..Self::default() }
    }
}

/// How [`crate::DfsClient::rename2`] treats an existing target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RenameOptions {
    /// Replace an existing file or empty folder; otherwise that is an error.
    pub overwrite: bool,
    /// The target lies in the trash: the server may skip checks that do not matter there.
    pub to_trash: bool,
}
