//! What changes nothing: questions and their answers.

use super::hosts::AdminState;
use super::ledger::{BlockOn, Ledger};
use super::status::{
    BlockState, ContentSummary, DatanodeStatus, FileBlocks, FileStatus, FsStats, Health, Listing, LocatedBlock,
    OpenFile,
};
use mammoth_protocol::{Block, BlockId, DatanodeId, DfsPath, InodeId, StorageId};

/// A question that changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// [`Answer::FileInfo`]: `None` for a missing path.
    FileInfo {
        /// File or folder.
        path: DfsPath,
    },
    /// [`Answer::Listing`]: one page of a folder's entries in byte order; a file lists itself. `None` for a missing path.
    Listing {
        /// Folder or file.
        path: DfsPath,
        /// The page begins after this name; empty for the first page.
        start_after: Vec<u8>,
        /// Tell each file's blocks too.
        need_location: bool,
    },
    /// [`Answer::Blocks`]: blocks that overlap a range of a file, each with readers sorted by nearness to the caller.
    BlockLocations {
        /// The file.
        path: DfsPath,
        /// First byte.
        offset: u64,
        /// Bytes.
        len: u64,
    },
    /// [`Answer::Summary`]: counts below a path.
    ContentSummary {
        /// File or folder.
        path: DfsPath,
    },
    /// [`Answer::Stats`]: capacity and counts of the whole file system.
    FsStats,
    /// [`Answer::Datanodes`] in a state.
    Datanodes {
        /// Which.
        kind: DatanodeKind,
    },
    /// [`Answer::Bool`]: whether nobody writes the file.
    IsFileClosed {
        /// The file.
        path: DfsPath,
    },
    /// [`Answer::Block`]: more places for the pipeline of an open file's last block; the existing ones come first.
    AdditionalDatanode {
        /// The file.
        path: DfsPath,
        /// The file's id, if the client knows it: wins over the path.
        file: Option<InodeId>,
        /// The lease holder's name.
        client: String,
        /// The block.
        block: Block,
        /// Volumes still in the pipeline.
        existing: Vec<StorageId>,
        /// Datanodes that must not be taken.
        exclude: Vec<DatanodeId>,
        /// Volumes wanted beside the existing ones.
        count: usize,
    },
    /// [`Answer::Unit`] if the caller may read (4), write (2) or execute (1), else a refusal.
    CheckAccess {
        /// File or folder.
        path: DfsPath,
        /// The sum of what is asked.
        mode: u8,
    },
    /// [`Answer::OpenFiles`]: files that somebody writes, by id; for the superuser.
    OpenFiles {
        /// The page begins after this file; 0 for the first page.
        after: InodeId,
        /// Files at or below this path only.
        below: DfsPath,
        /// Files only whose last block is being written to a datanode that is to leave.
        blocking: bool,
        /// Entries of the page.
        max: usize,
    },
    /// [`Answer::Health`]: numbers for the status page and the health sentence.
    Health,
    /// [`Answer::BlockState`]: all about one block and its replicas; `None` if no file owns it. Superusers only.
    BlockState {
        /// The block.
        id: BlockId,
    },
    /// [`Answer::CorruptBlocks`]: blocks that no reader can get, ascending by id. Superusers only.
    CorruptBlocks {
        /// Only those after this one.
        after: Option<BlockId>,
        /// So many are looked at, at most.
        max: usize,
    },
    /// [`Answer::BlocksOn`]: blocks of a datanode for the balancer to choose from. Superusers only.
    BlocksOn {
        /// The datanode.
        datanode: DatanodeId,
        /// Enough when their lengths add up to this.
        bytes: u64,
        /// Shorter ones are left out, bytes.
        min_len: u64,
    },
    /// [`Answer::Ledger`]: what repair and deletion have to do. Superusers only.
    Ledger {
        /// Entries of each list, at most.
        max: usize,
    },
    /// [`Answer::Paths`]: files with blocks that no reader can get.
    CorruptFiles {
        /// At most so many.
        max: usize,
    },
}

/// Which datanodes a report names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatanodeKind {
    /// Every one that registered since this namenode started.
    All,
    /// Those that send heartbeats.
    Live,
    /// Those that stopped to.
    Dead,
    /// Those in this state between serving and leaving.
    Admin(AdminState),
}

/// The answer to a query; each query says which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To [`Query::FileInfo`].
    FileInfo(Option<Box<FileStatus>>),
    /// To [`Query::Listing`].
    Listing(Option<Listing>),
    /// To [`Query::BlockLocations`].
    Blocks(Box<FileBlocks>),
    /// To [`Query::ContentSummary`].
    Summary(ContentSummary),
    /// To [`Query::FsStats`].
    Stats(FsStats),
    /// To [`Query::Datanodes`].
    Datanodes(Vec<DatanodeStatus>),
    /// To [`Query::IsFileClosed`].
    Bool(bool),
    /// To [`Query::AdditionalDatanode`].
    Block(Box<LocatedBlock>),
    /// To [`Query::CheckAccess`].
    Unit,
    /// To [`Query::OpenFiles`].
    OpenFiles {
        /// By id.
        files: Vec<OpenFile>,
        /// There are files after the last of these.
        more: bool,
    },
    /// To [`Query::Health`].
    Health(Box<Health>),
    /// To [`Query::BlockState`].
    BlockState(Option<Box<BlockState>>),
    /// To [`Query::CorruptBlocks`].
    CorruptBlocks {
        /// The blocks with their files.
        found: Vec<(BlockId, DfsPath)>,
        /// There may be more after this one.
        next: Option<BlockId>,
    },
    /// To [`Query::BlocksOn`].
    BlocksOn(Vec<BlockOn>),
    /// To [`Query::Ledger`].
    Ledger(Box<Ledger>),
    /// To [`Query::CorruptFiles`].
    Paths(Vec<DfsPath>),
}
