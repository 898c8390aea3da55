//! What a client is told at its start: plain values with Hadoop's defaults.

use crate::checksum::ChecksumCombine;
use crate::error::ClientError;
use crate::types::host_port;
use mammoth_platform::settings::HostPort;
use mammoth_platform::{Clock, Entropy, PlatformError, Settings, SystemClock, SystemEntropy, keys, process};
use mammoth_protocol::datatransfer::packet::data_per_packet;
use mammoth_protocol::limits::BYTES_PER_CHECKSUM;
use std::sync::Arc;
use std::time::Duration;

/// Port of a namenode whose address names none.
const DEFAULT_NAMENODE_PORT: u16 = 8020;
/// Data in a packet unless the configuration says otherwise. Four times Hadoop's: a quarter of the system calls and wake-ups.
const DEFAULT_PACKET_DATA: usize = 256 * 1024;

/// When a datanode that failed in a pipeline is replaced by another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReplacePolicy {
    /// Never: writing goes on with those that are left.
    Never,
    /// If three or more replicas are wanted and half of them are lost, or readers may have seen the data already.
    #[default]
    Default,
    /// Whenever fewer are left than wanted.
    Always,
}

/// What to do about a datanode that failed in a pipeline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplaceDatanode {
    /// When it is replaced.
    pub policy: ReplacePolicy,
    /// Writing goes on even if no replacement can be had; otherwise that is an error.
    pub best_effort: bool,
}

/// All values of a client.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// The namenode's Hadoop RPC door.
    pub namenode: HostPort,
    /// The user in whose name everything happens.
    pub user: String,
    /// Block size of new files, bytes.
    pub block_size: u64,
    /// Replicas of new files.
    pub replication: u16,
    /// Permission bits that new files and folders do not get.
    pub umask: u16,
    /// How long a datanode may be silent. Connections through a pipeline of n nodes get n twelfths more, n seconds at least.
    pub socket_timeout: Duration,
    /// Bytes of data in a full packet, a multiple of 512.
    pub packet_data: usize,
    /// Bytes that a writer holds back for datanodes that are slow or fail, at most.
    pub write_buffer: usize,
    /// Connect to datanodes by name instead of address.
    pub use_datanode_hostname: bool,
    /// Unix socket by which datanodes on this machine give the open files of their replicas; `_PORT` in it stands for the
    /// port of a datanode's data transfers. `None` = all is read over TCP.
    pub domain_socket: Option<String>,
    /// How long a socket that failed is left alone.
    pub domain_socket_pause: Duration,
    /// Datanodes that may be read beside slow ones, over all readers of a client; 0 = none.
    pub hedged_read_threads: usize,
    /// How long a datanode may give nothing before another one is asked as well.
    pub hedged_read_threshold: Duration,
    /// What to do about a datanode that failed in a pipeline.
    pub replace_datanode: ReplaceDatanode,
    /// How often other datanodes are asked for when the pipeline of a new block cannot be built.
    pub block_write_retries: u32,
    /// How often a reader asks for a block's locations again after every one failed.
    pub block_acquire_failures: u32,
    /// How checksums of blocks become that of a file.
    pub checksum_combine: ChecksumCombine,
    /// Pause between two renewals of the lease on open files; half of the namenode's soft limit.
    pub lease_renew_interval: Duration,
    /// Time to connect to the namenode.
    pub rpc_connect_timeout: Duration,
    /// Time for one attempt at a call of the namenode.
    pub rpc_timeout: Duration,
    /// How long a namenode that this client never reached is tried again. Short, as the address may be wrong.
    pub first_connect_budget: Duration,
    /// How long a namenode that was reached before, and may be restarting, is tried again.
    pub reconnect_budget: Duration,
    /// How long a file whose last block is being recovered is waited for.
    pub recovery_budget: Duration,
    /// How long closing a file, or its next block, waits for the datanodes' word about the block before.
    pub complete_budget: Duration,
}

impl ClientConfig {
    /// Hadoop's defaults, for a namenode given as URI: `hdfs://host[:port][/…]`, or `host:port`.
    ///
    /// # Errors
    /// A text that names no HDFS namenode.
    pub fn for_uri(uri: &str) -> Result<Self, ClientError> {
        let namenode = parse_uri(uri).map_err(ClientError::Invalid)?;
        Ok(Self {
            namenode,
            user: default_user(),
            block_size: 128 << 20,
            replication: 3,
            umask: 0o022,
            socket_timeout: Duration::from_secs(60),
            packet_data: DEFAULT_PACKET_DATA,
            write_buffer: 16 << 20,
            use_datanode_hostname: false,
            domain_socket: None,
            domain_socket_pause: Duration::from_secs(600),
            hedged_read_threads: 0,
            hedged_read_threshold: Duration::from_millis(500),
            replace_datanode: ReplaceDatanode::default(),
            block_write_retries: 3,
            block_acquire_failures: 3,
            checksum_combine: ChecksumCombine::default(),
            lease_renew_interval: Duration::from_secs(30),
            rpc_connect_timeout: Duration::from_secs(20),
            rpc_timeout: Duration::from_secs(60),
            first_connect_budget: Duration::from_secs(1),
            reconnect_budget: Duration::from_secs(30),
            recovery_budget: Duration::from_secs(10),
            complete_budget: Duration::from_secs(30),
        })
    }

    /// The values of a configuration; `fs.defaultFS` names the namenode.
    ///
    /// # Errors
    /// A value out of its range, or a file system that is not HDFS.
    pub fn from_settings(settings: &Settings) -> Result<Self, ClientError> {
        let uri = settings.uri(keys::FS_DEFAULT_FS).map_err(invalid)?;
        let base = Self::for_uri(&uri)?;
        Self::read(settings, base).map_err(invalid)
    }

    fn read(settings: &Settings, base: Self) -> Result<Self, PlatformError> {
        let millis = |key| settings.millis(key).map(Duration::from_millis);
        let packet_data = if settings.is_given(keys::DFS_CLIENT_WRITE_PACKET_SIZE.name()) {
            let bytes = settings.bytes(keys::DFS_CLIENT_WRITE_PACKET_SIZE)?;
            data_per_packet(usize::try_from(bytes).unwrap_or(DEFAULT_PACKET_DATA), BYTES_PER_CHECKSUM)
        } else {
            base.packet_data
        };
        let enabled = settings.flag(keys::DFS_CLIENT_REPLACE_DATANODE_ENABLE)?;
        let policy = match settings.text(keys::DFS_CLIENT_REPLACE_DATANODE_POLICY)?.as_str() {
            "ALWAYS" if enabled => ReplacePolicy::Always,
            "DEFAULT" if enabled => ReplacePolicy::Default,
            _ => ReplacePolicy::Never,
        };
        let best_effort = settings.flag(keys::DFS_CLIENT_REPLACE_DATANODE_BEST_EFFORT)?;
        Ok(Self {
            block_size: settings.bytes(keys::DFS_BLOCKSIZE)?,
            replication: settings.int(keys::DFS_REPLICATION)?,
            umask: settings.octal(keys::FS_PERMISSIONS_UMASK_MODE)?,
            socket_timeout: millis(keys::DFS_CLIENT_SOCKET_TIMEOUT)?,
            packet_data,
            use_datanode_hostname: settings.flag(keys::DFS_CLIENT_USE_DATANODE_HOSTNAME)?,
            domain_socket: settings
                .flag(keys::DFS_CLIENT_READ_SHORTCIRCUIT)?
                .then_some(settings.text(keys::DFS_DOMAIN_SOCKET_PATH)?)
                .filter(|path| !path.is_empty()),
            domain_socket_pause: millis(keys::DFS_DOMAIN_SOCKET_DISABLE_INTERVAL)?,
            hedged_read_threads: settings.int(keys::DFS_CLIENT_HEDGED_READ_THREADPOOL_SIZE)?,
            hedged_read_threshold: millis(keys::DFS_CLIENT_HEDGED_READ_THRESHOLD)?,
            replace_datanode: ReplaceDatanode { policy, best_effort },
            block_write_retries: settings.int(keys::DFS_CLIENT_BLOCK_WRITE_RETRIES)?,
            block_acquire_failures: settings.int(keys::DFS_CLIENT_MAX_BLOCK_ACQUIRE_FAILURES)?,
            checksum_combine: match settings.text(keys::DFS_CHECKSUM_COMBINE_MODE)?.as_str() {
                "COMPOSITE_CRC" => ChecksumCombine::CompositeCrc,
                _ => ChecksumCombine::Md5,
            },
            lease_renew_interval: (millis(keys::MAMMOTH_NAMENODE_LEASE_SOFT_LIMIT)? / 2).min(base.lease_renew_interval),
            rpc_connect_timeout: millis(keys::IPC_CLIENT_CONNECT_TIMEOUT)?,
            ..base
        })
    }

    /// `host:port` of the namenode.
    pub(crate) fn namenode_address(&self) -> String {
        host_port(&self.namenode.host, self.namenode.port)
    }

    /// Refuses what would make no sense later.
    pub(crate) fn check(&self) -> Result<(), ClientError> {
        let whole = |size: u64| size > 0 && size.is_multiple_of(BYTES_PER_CHECKSUM as u64);
        if self.user.is_empty() {
            return Err(ClientError::Invalid("the user name is empty".to_owned()));
        }
        if !whole(self.packet_data as u64) || self.packet_data > (8 << 20) {
            let text = format!("packet size {}: must be a multiple of 512 up to 8 MiB", self.packet_data);
            return Err(ClientError::Invalid(text));
        }
        if !whole(self.block_size) {
            let text = format!("block size {}: must be a multiple of 512", self.block_size);
            return Err(ClientError::Invalid(text));
        }
        Ok(())
    }
}

fn invalid(error: PlatformError) -> ClientError {
    ClientError::Invalid(error.to_string())
}

/// The user that Hadoop's clients act as: `HADOOP_USER_NAME`, else who runs the process.
fn default_user() -> String {
    std::env::var("HADOOP_USER_NAME").ok().filter(|name| !name.is_empty()).unwrap_or_else(process::user_name)
}

fn parse_uri(uri: &str) -> Result<HostPort, String> {
    let bad = |why: &str| format!("`{uri}` names no HDFS file system: {why}");
    let rest = match uri.split_once(':') {
        Some(("hdfs", rest)) if rest.starts_with("//") => rest.trim_start_matches('/'),
        Some((scheme, rest)) if rest.starts_with('/') => {
            return Err(bad(&format!("the scheme is `{scheme}`, not `hdfs`")));
        }
        _ => uri,
    };
    let authority = rest.split('/').next().unwrap_or_default();
    let (host, port) = if let Some(inside) = authority.strip_prefix('[') {
        let (host, after) = inside.split_once(']').ok_or_else(|| bad("a bracket is open"))?;
        (host, after.strip_prefix(':'))
    } else {
        authority.rsplit_once(':').map_or((authority, None), |(host, port)| (host, Some(port)))
    };
    if host.is_empty() {
        return Err(bad("expected hdfs://host:port"));
    }
    let port = match port {
        Some(digits) => digits.parse().map_err(|_| bad("the port is no number up to 65535"))?,
        None => DEFAULT_NAMENODE_PORT,
    };
    Ok(HostPort { host: host.to_owned(), port })
}

/// Where time and randomness come from; tests put their own in.
#[derive(Clone)]
pub struct Components {
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Gives identities.
    pub entropy: Arc<dyn Entropy>,
}

impl Default for Components {
    /// Those of the machine.
    fn default() -> Self {
        Self { clock: Arc::new(SystemClock), entropy: Arc::new(SystemEntropy) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mammoth_platform::settings::Environment;

    #[test]
    fn uris_name_host_and_port() {
        for (uri, host, port) in [
            ("hdfs://nn:9000", "nn", 9000),
            ("hdfs://nn", "nn", 8020),
            ("hdfs://nn:9000/user/x", "nn", 9000),
            ("hdfs://[::1]:9000/", "::1", 9000),
            ("nn:9000", "nn", 9000),
            ("127.0.0.1:1", "127.0.0.1", 1),
        ] {
            let found = ClientConfig::for_uri(uri).unwrap().namenode;
            assert_eq!((found.host.as_str(), found.port), (host, port), "{uri}");
        }
        for uri in ["file:///", "hdfs://", "hdfs://:8020", "hdfs://nn:70000", "s3://bucket", ""] {
            assert!(ClientConfig::for_uri(uri).is_err(), "{uri}");
        }
    }

    #[test]
    fn settings_override_the_defaults() {
        let mut settings = Settings::new(Environment::of_process());
        for pair in [
            "fs.defaultFS=hdfs://nn:9000",
            "dfs.blocksize=1m",
            "dfs.replication=2",
            "dfs.client-write-packet-size=65536",
            "dfs.client.block.write.replace-datanode-on-failure.enable=false",
            "dfs.domain.socket.path=/run/dn._PORT",
        ] {
            settings.add_pair(pair).unwrap();
        }
        let config = ClientConfig::from_settings(&settings).unwrap();
        assert_eq!((config.block_size, config.replication, config.umask), (1 << 20, 2, 0o022));
        assert_eq!(config.packet_data, 64_512, "as Hadoop's default packet");
        assert_eq!(config.replace_datanode.policy, ReplacePolicy::Never);
        assert_eq!(config.lease_renew_interval, Duration::from_secs(30));
        config.check().unwrap();
        assert_eq!(config.domain_socket, None, "short circuit is off by default");
        settings.add_pair("dfs.client.read.shortcircuit=true").unwrap();
        let config = ClientConfig::from_settings(&settings).unwrap();
        assert_eq!(config.domain_socket.as_deref(), Some("/run/dn._PORT"));
        settings.add_pair("dfs.blocksize=1000").unwrap();
        assert!(ClientConfig::from_settings(&settings).unwrap().check().is_err(), "no multiple of 512");
    }
}
