//! Keys of our own, for what Hadoop has no key.

super::table! {
    /// Address at which the namenode listens for datanodes.
    MAMMOTH_NAMENODE_INTERNAL_ADDRESS: Addr("mammoth.namenode.internal-address", "127.0.0.1:8022");
    /// Such addresses of every namenode that a datanode reports to; empty = the one above.
    MAMMOTH_DATANODE_NAMENODES: List("mammoth.datanode.namenodes", "");
    /// Time after which another client may take over an abandoned file (bare numbers are seconds).
    MAMMOTH_NAMENODE_LEASE_SOFT_LIMIT: Millis("mammoth.namenode.lease-soft-limit", "60s", "s", 1);
    /// Growth of the edit log that starts a checkpoint.
    MAMMOTH_JOURNAL_CHECKPOINT_BYTES: Bytes("mammoth.journal.checkpoint-bytes", "64m", 4096, 1 << 40);
    /// Time after which a checkpoint starts if anything is new (bare numbers are seconds).
    MAMMOTH_JOURNAL_CHECKPOINT_INTERVAL: Millis("mammoth.journal.checkpoint-interval", "30s", "s", 1);
    /// File with the secret that the daemons of a cluster share; without one they listen on loopback only.
    MAMMOTH_CLUSTER_SECRET_FILE: Text("mammoth.cluster.secret-file", "", &[]);
    /// Rack of this datanode.
    MAMMOTH_DATANODE_RACK: Text("mammoth.datanode.rack", "/default-rack", &[]);
    /// Further names, between commas, under which the HTTP doors may be called.
    MAMMOTH_HTTP_ALLOWED_HOSTS: List("mammoth.http.allowed-hosts", "");
    /// The user as whom the file browser looks at files.
    HADOOP_HTTP_STATICUSER_USER: Text("hadoop.http.staticuser.user", "dr.who", &[]);
}
