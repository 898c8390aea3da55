//! Keys that datanodes read; the namenode reads the first two as well.

super::table! {
    /// Pause between two heartbeats (bare numbers are seconds).
    DFS_HEARTBEAT_INTERVAL: Millis("dfs.heartbeat.interval", "3", "s", 10);
    /// Pause between two full block reports (bare numbers are milliseconds).
    DFS_BLOCKREPORT_INTERVAL: Millis("dfs.blockreport.intervalMsec", "21600000", "ms", 100);
    /// Folders for blocks, each a volume.
    DFS_DATANODE_DATA_DIR: Dirs("dfs.datanode.data.dir", "file://${hadoop.tmp.dir}/dfs/data");
    /// Bytes of each volume that stay free of blocks.
    DFS_DATANODE_DU_RESERVED: Bytes("dfs.datanode.du.reserved", "0", 0, u64::MAX);
    /// Volumes that may fail before the datanode gives up.
    DFS_DATANODE_FAILED_VOLUMES_TOLERATED: Int("dfs.datanode.failed.volumes.tolerated", "0", -1, 10_000);
    /// Address of the data-transfer protocol.
    DFS_DATANODE_ADDRESS: Addr("dfs.datanode.address", "0.0.0.0:9866");
    /// Address of WebHDFS and the status page.
    DFS_DATANODE_HTTP_ADDRESS: Addr("dfs.datanode.http.address", "0.0.0.0:9864");
    /// Address of Hadoop RPC.
    DFS_DATANODE_IPC_ADDRESS: Addr("dfs.datanode.ipc.address", "0.0.0.0:9867");
    /// Name under which others reach it, where it is not the machine's own.
    DFS_DATANODE_HOSTNAME: Text("dfs.datanode.hostname", "", &[]);
    /// Bytes in front of what is sent that the kernel is told to read from the disk; 0 = what it does by itself.
    DFS_DATANODE_READAHEAD_BYTES: Bytes("dfs.datanode.readahead.bytes", "4m", 0, 1 << 32);
    /// Transfers at the same time.
    DFS_DATANODE_MAX_TRANSFER_THREADS: Int("dfs.datanode.max.transfer.threads", "4096", 1, 65_536);
    /// How long a write to a peer may take (bare numbers are milliseconds); 0 = for ever.
    DFS_DATANODE_SOCKET_WRITE_TIMEOUT: Millis("dfs.datanode.socket.write.timeout", "480000", "ms", 0);
    /// How long a connection is kept for a further operation (bare numbers are milliseconds).
    DFS_DATANODE_SOCKET_REUSE_KEEPALIVE: Millis("dfs.datanode.socket.reuse.keepalive", "4000", "ms", 0);
    /// Bytes a second that all moves of the balancer together may send and receive at a datanode.
    DFS_DATANODE_BALANCE_BANDWIDTH_PER_SEC: Bytes("dfs.datanode.balance.bandwidthPerSec", "100m", 1, 1 << 50);
    /// Moves of the balancer that a datanode takes part in at the same time; the balancer keeps to it too.
    DFS_DATANODE_BALANCE_MAX_CONCURRENT_MOVES: Int("dfs.datanode.balance.max.concurrent.moves", "100", 1, 10_000);
    /// Hours within which every replica is verified; 0 = the default of three weeks, negative = never.
    DFS_DATANODE_SCAN_PERIOD_HOURS: Int("dfs.datanode.scan.period.hours", "504", -1, 1_000_000);
    /// Bytes a second and volume that verifying reads; 0 = no verifying.
    DFS_BLOCK_SCANNER_VOLUME_BYTES_PER_SECOND: Bytes(
        "dfs.block.scanner.volume.bytes.per.second", "1048576", 0, 1 << 40,
    );
}
