//! Keys that clients read; the block size, replication and checksum are also what the namenode tells clients to use.

super::table! {
    /// Block size of new files.
    DFS_BLOCKSIZE: Bytes("dfs.blocksize", "128m", 512, 1 << 40);
    /// Replicas of each block of a new file.
    DFS_REPLICATION: Int("dfs.replication", "3", 1, 512);
    /// Bytes that one checksum covers.
    DFS_BYTES_PER_CHECKSUM: Int("dfs.bytes-per-checksum", "512", 512, 512);
    /// Kind of checksum of new files.
    DFS_CHECKSUM_TYPE: Text("dfs.checksum.type", "CRC32C", &["CRC32C"]);
    /// How checksums of blocks become that of a file: HDFS's MD5 of MD5s, or the CRC of the file's bytes.
    DFS_CHECKSUM_COMBINE_MODE: Text("dfs.checksum.combine.mode", "MD5MD5CRC", &["MD5MD5CRC", "COMPOSITE_CRC"]);
    /// Size of the packets that a writer sends.
    DFS_CLIENT_WRITE_PACKET_SIZE: Bytes("dfs.client-write-packet-size", "64k", 512, 16 << 20);
    /// Packets that a writer may have on the way without an answer.
    DFS_CLIENT_WRITE_MAX_PACKETS_IN_FLIGHT: Int("dfs.client.write.max-packets-in-flight", "80", 1, 65_536);
    /// How long a client waits for a datanode (bare numbers are milliseconds).
    DFS_CLIENT_SOCKET_TIMEOUT: Millis("dfs.client.socket-timeout", "60000", "ms", 1);
    /// How often a writer asks for other datanodes when a pipeline cannot be built.
    DFS_CLIENT_BLOCK_WRITE_RETRIES: Int("dfs.client.block.write.retries", "3", 0, 1000);
    /// How often a writer asks again for its next block, or for the end of its file, while replicas are unconfirmed.
    DFS_CLIENT_BLOCK_WRITE_LOCATE_FOLLOWING_RETRIES: Int(
        "dfs.client.block.write.locateFollowingBlock.retries", "5", 0, 1000,
    );
    /// First pause between such calls (bare numbers are milliseconds); it doubles each time.
    DFS_CLIENT_BLOCK_WRITE_LOCATE_FOLLOWING_DELAY: Millis(
        "dfs.client.block.write.locateFollowingBlock.initial.delay.ms", "400", "ms", 1,
    );
    /// Whether a failed datanode of a pipeline is replaced by another.
    DFS_CLIENT_REPLACE_DATANODE_ENABLE: Flag("dfs.client.block.write.replace-datanode-on-failure.enable", "true");
    /// When a failed datanode is replaced: DEFAULT = if at least three replicas are wanted and half are lost or data was
    /// flushed.
    DFS_CLIENT_REPLACE_DATANODE_POLICY: Text(
        "dfs.client.block.write.replace-datanode-on-failure.policy", "DEFAULT", &["DEFAULT", "ALWAYS", "NEVER"],
    );
    /// Whether writing goes on when a failed datanode should be replaced and cannot.
    DFS_CLIENT_REPLACE_DATANODE_BEST_EFFORT: Flag(
        "dfs.client.block.write.replace-datanode-on-failure.best-effort", "false",
    );
    /// Whether clients connect to datanodes by name instead of address.
    DFS_CLIENT_USE_DATANODE_HOSTNAME: Flag("dfs.client.use.datanode.hostname", "false");
    /// Whether clients read replicas of datanodes on their own machine from the files themselves; needs the socket's name.
    DFS_CLIENT_READ_SHORTCIRCUIT: Flag("dfs.client.read.shortcircuit", "false");
    /// Name of the Unix socket by which a datanode gives such clients its open files; `_PORT` stands for the port of its
    /// data-transfer door. Datanodes read it too; empty = none.
    DFS_DOMAIN_SOCKET_PATH: Text("dfs.domain.socket.path", "", &[]);
    /// How long a client goes without a socket that failed (bare numbers are seconds).
    DFS_DOMAIN_SOCKET_DISABLE_INTERVAL: Millis("dfs.domain.socket.disable.interval.seconds", "600", "s", 0);
    /// Bytes that the balancer moves from or to one datanode in one iteration, at most.
    DFS_BALANCER_MAX_SIZE_TO_MOVE: Bytes("dfs.balancer.max-size-to-move", "10737418240", 1, 1 << 50);
    /// Bytes of blocks that the balancer asks for at once.
    DFS_BALANCER_GETBLOCKS_SIZE: Bytes("dfs.balancer.getBlocks.size", "2147483648", 1, 1 << 50);
    /// Smaller blocks are not worth moving.
    DFS_BALANCER_GETBLOCKS_MIN_BLOCK_SIZE: Bytes("dfs.balancer.getBlocks.min-block-size", "10485760", 0, 1 << 50);
    /// Moves of the balancer at the same time, in the whole cluster.
    DFS_BALANCER_MOVER_THREADS: Int("dfs.balancer.moverThreads", "1000", 1, 10_000);
    /// How long an iteration of the balancer begins new moves (bare numbers are milliseconds).
    DFS_BALANCER_MAX_ITERATION_TIME: Millis("dfs.balancer.max-iteration-time", "1200000", "ms", 1);
    /// Datanodes that a client may read beside slow ones; 0 = none, and a slow one is waited for.
    DFS_CLIENT_HEDGED_READ_THREADPOOL_SIZE: Int("dfs.client.hedged.read.threadpool.size", "0", 0, 10_000);
    /// How long a datanode may give nothing before such another one is asked as well (bare numbers are milliseconds).
    DFS_CLIENT_HEDGED_READ_THRESHOLD: Millis("dfs.client.hedged.read.threshold.millis", "500", "ms", 1);
    /// How often a reader asks for a file's blocks again before it gives up on one.
    DFS_CLIENT_MAX_BLOCK_ACQUIRE_FAILURES: Int("dfs.client.max.block.acquire.failures", "3", 0, 1000);
}
