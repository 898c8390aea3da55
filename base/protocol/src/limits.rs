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

/// Maps of one job, and reduces.
pub const TASKS_PER_KIND_MAX: usize = 1_000_000;
/// Attempts of one task between two starts of the jobtracker; their numbers leave room for no more.
pub const ATTEMPTS_PER_TASK_MAX: u32 = 1000;
/// Executors of one application between two starts of the jobtracker, likewise.
pub const EXECUTORS_PER_LIFE_MAX: u32 = 100_000;
/// Jobs with an id that were not submitted yet; the oldest goes first.
pub const JOBS_PREPARED_MAX: usize = 1000;
/// Jobs that run or wait, and applications.
pub const JOBS_ACTIVE_MAX: usize = 10_000;
/// Jobs that ended and are still shown, and applications.
pub const JOBS_ENDED_MAX: usize = 100;
/// Bytes of the texts by which the jobtracker remembers a job or an application.
pub const JOB_TEXTS_MAX: usize = 12 * 1024;
/// Bytes kept of a text that says why something failed.
pub const REASON_BYTES_MAX: usize = 2 * 1024;
/// Counters of one job; further ones are not summed.
pub const COUNTERS_PER_JOB_MAX: usize = 1000;
/// Longest name of a counter or a group of counters.
pub const COUNTER_NAME_BYTES_MAX: usize = 200;
/// Ends of attempts that are kept of one job.
pub const ATTEMPT_EVENTS_MAX: usize = 100_000;
/// Ends of attempts in one answer.
pub const ATTEMPT_EVENTS_PER_ANSWER: usize = 1000;
/// Events about maps' outputs in one answer to a tasktracker.
pub const OUTPUT_EVENTS_PER_ANSWER: usize = 10_000;
/// Attempts and executors that are started by one answer to a tasktracker; the next answer has more.
pub const LAUNCHES_PER_ANSWER: usize = 200;
/// Bytes of the texts in the launches of one answer, but for the first; they may grow sixfold on the wire.
pub const LAUNCH_BYTES_PER_ANSWER: usize = 1024 * 1024;
/// Tasktrackers that the jobtracker knows, dead ones included.
pub const TRACKERS_MAX: usize = 10_000;

const _: () = assert!(JOB_TEXTS_MAX + REASON_BYTES_MAX + 1024 < ROW_BYTES_MAX);
const _: () = assert!(PACKET_MAX > 2 * 1024 * 1024);
const _: () = assert!(BLOCKS_IN_FILE_ROW < BLOCKS_PER_ROW);
const _: () = assert!(NAME_BYTES_MAX < ROW_BYTES_MAX / 8);
