//! Every limit, in one place. Sizes are bytes, times are milliseconds unless the name says otherwise.

/// Longest path in characters and in components (HDFS: 8000 and 1000).
pub const PATH_CHARS_MAX: usize = 8000;
/// Deepest path.
pub const PATH_DEPTH_MAX: usize = 1000;
/// Longest name of one path component (HDFS: `dfs.namenode.fs-limits.max-component-length`).
pub const NAME_BYTES_MAX: usize = 255;
/// Most entries of one folder (HDFS: `dfs.namenode.fs-limits.max-directory-items`).
pub const DIRECTORY_ENTRIES_MAX: usize = 1_048_576;
/// Most blocks of one file (HDFS: `dfs.namenode.fs-limits.max-blocks-per-file`).
pub const BLOCKS_PER_FILE_MAX: usize = 10_000;
/// Smallest block size that a client may ask for (HDFS: `dfs.namenode.fs-limits.min-block-size`, settable).
pub const BLOCK_SIZE_MIN: u64 = 1024 * 1024;
/// Most replicas of one block.
pub const REPLICATION_MAX: u16 = 512;
/// Longest user, group or client name.
pub const PRINCIPAL_BYTES_MAX: usize = 1024;
/// Entries of one listing page (HDFS: `dfs.ls.limit`).
pub const LISTING_PAGE_MAX: usize = 1000;

/// Largest request frame of Hadoop RPC (Hadoop 3.5: `ipc.maximum.data.length`).
pub const RPC_FRAME_MAX: usize = 128 * 1024 * 1024;
/// Largest data-transfer packet, header and checksums included.
pub const PACKET_MAX: usize = 16 * 1024 * 1024;
/// Largest protobuf message that opens a data-transfer operation or answers one.
pub const DATA_OP_MAX: usize = 1024 * 1024;
/// Bytes that one checksum covers.
pub const BYTES_PER_CHECKSUM: usize = 512;
/// Largest JSON message between our daemons.
pub const INTERNAL_JSON_MAX: usize = 4 * 1024 * 1024;
/// Largest binary body between our daemons (a slice of a block report).
pub const INTERNAL_BINARY_MAX: usize = 32 * 1024 * 1024;
/// Replicas in one slice of a full block report.
pub const REPORT_SLICE_REPLICAS: usize = 100_000;
/// Replica events in one incremental report.
pub const INCREMENTAL_EVENTS_MAX: usize = 10_000;

/// Longest row of a checkpoint.
pub const ROW_BYTES_MAX: usize = 16 * 1024;
/// Blocks that a file's own row holds; further ones go to rows of [`BLOCKS_PER_ROW`].
pub const BLOCKS_IN_FILE_ROW: usize = 4;
/// Blocks in a further block row.
pub const BLOCKS_PER_ROW: usize = 256;
/// Inodes that one reclaiming edit frees.
pub const RECLAIM_SLICE: usize = 1000;
/// Calls that the retry cache remembers, and for how long.
pub const RETRY_ENTRIES_MAX: usize = 1_000_000;
/// See [`RETRY_ENTRIES_MAX`].
pub const RETRY_KEEP_MS: u64 = 10 * 60 * 1000;

const _: () = assert!(PACKET_MAX > 2 * 1024 * 1024);
const _: () = assert!(BLOCKS_IN_FILE_ROW < BLOCKS_PER_ROW);
const _: () = assert!(NAME_BYTES_MAX < ROW_BYTES_MAX / 8);
