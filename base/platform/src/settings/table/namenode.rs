//! Keys that the namenode reads.

super::table! {
    /// Folders of the edit log and the checkpoint.
    DFS_NAMENODE_NAME_DIR: Dirs("dfs.namenode.name.dir", "file://${hadoop.tmp.dir}/dfs/name");
    /// Address that clients call; without one it is taken from fs.defaultFS.
    DFS_NAMENODE_RPC_ADDRESS: Addr("dfs.namenode.rpc-address", "");
    /// Host to listen on, where it differs from the one that clients call.
    DFS_NAMENODE_RPC_BIND_HOST: Text("dfs.namenode.rpc-bind-host", "", &[]);
    /// Address of WebHDFS and the status page.
    DFS_NAMENODE_HTTP_ADDRESS: Addr("dfs.namenode.http-address", "0.0.0.0:9870");
    /// Calls that are answered at the same time.
    DFS_NAMENODE_HANDLER_COUNT: Int("dfs.namenode.handler.count", "10", 1, 10_000);

    /// Most replicas that a client may ask for.
    DFS_REPLICATION_MAX: Int("dfs.replication.max", "512", 1, 512);
    /// Replicas that a block needs to count as written.
    DFS_NAMENODE_REPLICATION_MIN: Int("dfs.namenode.replication.min", "1", 1, 512);
    /// Longest name of a file or folder, in bytes; 0 = Hadoop's word for no limit, here 255.
    DFS_NAMENODE_MAX_COMPONENT_LENGTH: Int("dfs.namenode.fs-limits.max-component-length", "255", 0, 255);
    /// Most entries of one folder.
    DFS_NAMENODE_MAX_DIRECTORY_ITEMS: Int("dfs.namenode.fs-limits.max-directory-items", "1048576", 1, 6_400_000);
    /// Smallest block size that a client may ask for.
    DFS_NAMENODE_MIN_BLOCK_SIZE: Bytes("dfs.namenode.fs-limits.min-block-size", "1048576", 0, 1 << 40);
    /// Most blocks of one file.
    DFS_NAMENODE_MAX_BLOCKS_PER_FILE: Int("dfs.namenode.fs-limits.max-blocks-per-file", "10000", 1, 10_000_000);
    /// Precision of access times (bare numbers are milliseconds); 0 = they are not kept.
    DFS_NAMENODE_ACCESSTIME_PRECISION: Millis("dfs.namenode.accesstime.precision", "3600000", "ms", 0);
    /// Entries of one page of a listing.
    DFS_LS_LIMIT: Int("dfs.ls.limit", "1000", 1, 1000);
    /// Largest record of the edit log, in bytes.
    DFS_NAMENODE_MAX_OP_SIZE: Bytes("dfs.namenode.max.op.size", "52428800", 1 << 20, 1 << 28);

    /// Whether permissions are checked.
    DFS_PERMISSIONS_ENABLED: Flag("dfs.permissions.enabled", "true");
    /// Group whose members may do everything.
    DFS_PERMISSIONS_SUPERUSERGROUP: Text("dfs.permissions.superusergroup", "supergroup", &[]);

    /// Half the time that a silent datanode has beyond ten heartbeats before it counts as dead (bare numbers are
    /// milliseconds).
    DFS_NAMENODE_HEARTBEAT_RECHECK_INTERVAL: Millis("dfs.namenode.heartbeat.recheck-interval", "300000", "ms", 1);
    /// Silence after which a datanode counts as stale (bare numbers are milliseconds).
    DFS_NAMENODE_STALE_DATANODE_INTERVAL: Millis("dfs.namenode.stale.datanode.interval", "30000", "ms", 1);
    /// Whether stale datanodes are tried last by readers.
    DFS_NAMENODE_AVOID_READ_STALE_DATANODE: Flag("dfs.namenode.avoid.read.stale.datanode", "false");
    /// Whether stale datanodes get no new replicas.
    DFS_NAMENODE_AVOID_WRITE_STALE_DATANODE: Flag("dfs.namenode.avoid.write.stale.datanode", "false");

    /// Part of all blocks that must have reported enough replicas before safe mode ends.
    DFS_NAMENODE_SAFEMODE_THRESHOLD_PCT: Float("dfs.namenode.safemode.threshold-pct", "0.999f", 0.0, 1.5);
    /// How long safe mode goes on after that, if blocks still lack replicas (bare numbers are milliseconds).
    DFS_NAMENODE_SAFEMODE_EXTENSION: Millis("dfs.namenode.safemode.extension", "30000", "ms", 0);
    /// Datanodes that must be alive before safe mode ends.
    DFS_NAMENODE_SAFEMODE_MIN_DATANODES: Int("dfs.namenode.safemode.min.datanodes", "0", 0, 1 << 31);

    /// Pause between two rounds of repair (bare numbers are seconds).
    DFS_NAMENODE_REDUNDANCY_INTERVAL: Millis("dfs.namenode.redundancy.interval.seconds", "3", "s", 1);
    /// Copies of one round, for each live datanode.
    DFS_NAMENODE_REPLICATION_WORK_MULTIPLIER: Int(
        "dfs.namenode.replication.work.multiplier.per.iteration", "2", 1, 100_000,
    );
    /// Copies that one datanode sends at the same time.
    DFS_NAMENODE_REPLICATION_MAX_STREAMS: Int("dfs.namenode.replication.max-streams", "2", 1, 10_000);
    /// The same, copies of the highest priority included.
    DFS_NAMENODE_REPLICATION_MAX_STREAMS_HARD_LIMIT: Int(
        "dfs.namenode.replication.max-streams-hard-limit", "4", 1, 10_000,
    );
    /// Time after which an unconfirmed copy is ordered again (bare numbers are seconds).
    DFS_NAMENODE_RECONSTRUCTION_PENDING_TIMEOUT: Millis(
        "dfs.namenode.reconstruction.pending.timeout-sec", "300", "s", 1,
    );
    /// Most replicas that one heartbeat's answer tells a datanode to delete.
    DFS_BLOCK_INVALIDATE_LIMIT: Int("dfs.block.invalidate.limit", "1000", 1, 10_000_000);
    /// File with the datanodes that may be here, one a line, or Hadoop's JSON list of hosts; empty = all may.
    DFS_HOSTS: Text("dfs.hosts", "", &[]);
    /// File with the datanodes that are to be decommissioned, one a line.
    DFS_HOSTS_EXCLUDE: Text("dfs.hosts.exclude", "", &[]);
    /// Replicas elsewhere that blocks of a datanode in maintenance must have.
    DFS_NAMENODE_MAINTENANCE_REPLICATION_MIN: Int("dfs.namenode.maintenance.replication.min", "1", 0, 512);
    /// Program that is given an address of a datanode and prints its rack.
    NET_TOPOLOGY_SCRIPT_FILE_NAME: Text("net.topology.script.file.name", "", &[]);
    /// File with addresses of datanodes and their racks, in two columns.
    NET_TOPOLOGY_TABLE_FILE_NAME: Text("net.topology.table.file.name", "", &[]);
    /// Folder for what the namenode writes for people to read, beside its log; empty = the folder of its log.
    HADOOP_LOG_DIR: Text("hadoop.log.dir", "", &[]);
    /// Time after which an abandoned file is closed for its writer (bare numbers are seconds).
    DFS_NAMENODE_LEASE_HARD_LIMIT: Millis("dfs.namenode.lease-hard-limit-sec", "1200", "s", 1);
}
