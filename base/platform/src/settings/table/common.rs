//! Keys that every part reads.

super::table! {
    /// File system that paths without a scheme belong to; a namenode listens at its host and port.
    FS_DEFAULT_FS: Uri("fs.defaultFS", "file:///");
    /// Folder below which other defaults lie.
    HADOOP_TMP_DIR: Text("hadoop.tmp.dir", "/tmp/hadoop-${user.name}", &[]);
    /// Size of buffers for sequential files, in bytes.
    IO_FILE_BUFFER_SIZE: Bytes("io.file.buffer.size", "4096", 512, 1 << 24);
    /// Permission bits that are taken from new files and folders, in octal.
    FS_PERMISSIONS_UMASK_MODE: Octal("fs.permissions.umask-mode", "022");
    /// Minutes that deleted files stay in the trash; 0 = deleted at once.
    FS_TRASH_INTERVAL: Int("fs.trash.interval", "0", 0, 1 << 31);
    /// How long a client waits for a connection to be accepted (bare numbers are milliseconds).
    IPC_CLIENT_CONNECT_TIMEOUT: Millis("ipc.client.connect.timeout", "20000", "ms", 1);
    /// How often a client tries a refused connection again.
    IPC_CLIENT_CONNECT_MAX_RETRIES: Int("ipc.client.connect.max.retries", "10", 0, 1 << 31);
    /// Pause between two such tries (bare numbers are milliseconds).
    IPC_CLIENT_CONNECT_RETRY_INTERVAL: Millis("ipc.client.connect.retry.interval", "1000", "ms", 1);
    /// How long a client waits for an answer (bare numbers are milliseconds); 0 = for ever.
    IPC_CLIENT_RPC_TIMEOUT: Millis("ipc.client.rpc-timeout.ms", "120000", "ms", 0);
    /// Idle time after which a client closes its connection (bare numbers are milliseconds).
    IPC_CLIENT_CONNECTION_MAXIDLETIME: Millis("ipc.client.connection.maxidletime", "10000", "ms", 1);
    /// Largest request that a server reads, in bytes.
    IPC_MAXIMUM_DATA_LENGTH: Bytes("ipc.maximum.data.length", "134217728", 1 << 16, 1 << 30);
    /// Largest answer that a client reads, in bytes.
    IPC_MAXIMUM_RESPONSE_LENGTH: Bytes("ipc.maximum.response.length", "134217728", 1 << 16, 1 << 30);
}
