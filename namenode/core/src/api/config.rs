//! Settings of the core: plain numbers.

use mammoth_protocol::limits;

/// Settings of the core; times in milliseconds. The default is HDFS's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoreConfig {
    /// Confirmed replicas without which no block is complete.
    pub replication_min: u16,
    /// Most replicas that a file may want.
    pub replication_max: u16,
    /// Smallest block size that a file may have, bytes.
    pub block_size_min: u64,
    /// Most blocks of one file.
    pub blocks_per_file_max: usize,
    /// Most entries of one folder.
    pub directory_entries_max: usize,
    /// Interval of datanode heartbeats.
    pub heartbeat_ms: u64,
    /// A datanode is dead after twice this and ten heartbeats of silence.
    pub recheck_ms: u64,
    /// A datanode is stale after this long a silence.
    pub stale_ms: u64,
    /// After this long without renewal others may take a file over.
    pub lease_soft_ms: u64,
    /// After this long without renewal the namenode closes the file.
    pub lease_hard_ms: u64,
    /// Share of blocks that must have reported, in parts per million.
    pub safemode_threshold_ppm: u32,
    /// Time that start-up safe mode goes on after the threshold, if some block still lacks replicas.
    pub safemode_extension_ms: u64,
    /// Live datanodes without which start-up safe mode goes on.
    pub safemode_min_datanodes: u32,
    /// Interval of repair rounds.
    pub redundancy_interval_ms: u64,
    /// Copies that one datanode sends at once.
    pub max_streams: u32,
    /// The same for blocks with one replica left.
    pub max_streams_hard: u32,
    /// Copies ordered per live datanode and repair round.
    pub work_multiplier: u32,
    /// After this long an ordered copy is thought lost and ordered again.
    pub pending_timeout_ms: u64,
    /// Deletions that one heartbeat reply carries.
    pub invalidate_limit: usize,
    /// Good replicas elsewhere without which a datanode may not be away for maintenance.
    pub maintenance_min: u16,
    /// Entries of one listing page.
    pub listing_page: usize,
    /// Check permissions.
    pub permissions: bool,
    /// The user that may do everything.
    pub superuser: String,
    /// The group whose members may do everything.
    pub supergroup: String,
    /// Access times are kept to this precision; 0 keeps none.
    pub access_time_precision_ms: u64,
}

impl Default for CoreConfig {
    fn default() -> Self {
        Self {
            replication_min: 1,
            replication_max: limits::REPLICATION_MAX,
            block_size_min: limits::BLOCK_SIZE_MIN,
            blocks_per_file_max: limits::BLOCKS_PER_FILE_MAX,
            directory_entries_max: limits::DIRECTORY_ENTRIES_MAX,
            heartbeat_ms: 3_000,
            recheck_ms: 300_000,
            stale_ms: 30_000,
            lease_soft_ms: 60_000,
            lease_hard_ms: 1_200_000,
            safemode_threshold_ppm: 999_000,
            safemode_extension_ms: 30_000,
            safemode_min_datanodes: 0,
            redundancy_interval_ms: 3_000,
            max_streams: 2,
            max_streams_hard: 4,
            work_multiplier: 2,
            pending_timeout_ms: 300_000,
            invalidate_limit: 1_000,
            maintenance_min: 1,
            listing_page: limits::LISTING_PAGE_MAX,
            permissions: true,
            superuser: "hdfs".to_owned(),
            supergroup: "supergroup".to_owned(),
            access_time_precision_ms: 3_600_000,
        }
    }
}
