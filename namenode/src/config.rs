//! Settings of a namenode as plain values, read once from Hadoop's keys.

use crate::error::StartError;
use crate::hosts::HostFiles;
use crate::topology::RackSource;
use mammoth_namenode_core::api::CoreConfig;
use mammoth_platform::settings::{HostPort, Key, Text};
use mammoth_platform::{Settings, keys, process};
use mammoth_web::bind;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// Setting with further names under which the HTTP doors may be called, between commas.
pub const ALLOWED_HOSTS: &str = "mammoth.http.allowed-hosts";
/// Setting with the user as whom the file browser looks at files, and its value when unset.
const PAGE_USER: (&str, &str) = ("hadoop.http.staticuser.user", "dr.who");
/// Hadoop's RPC port.
const RPC_PORT: u16 = 8020;

/// All that a namenode needs to know before it starts.
#[derive(Clone, Debug)]
pub struct NamenodeConfig {
    /// Folder of the edit log and the checkpoint.
    pub dir: PathBuf,
    /// Where clients call; port 0 takes any.
    pub rpc: SocketAddr,
    /// Status page and JSON.
    pub http: SocketAddr,
    /// Where datanodes call.
    pub internal: SocketAddr,
    /// Names under which the HTTP doors may be called, besides loopback ones.
    pub host_names: Vec<String>,
    /// The user as whom the file browser looks at files.
    pub page_user: String,
    /// Rules of the core.
    pub core: CoreConfig,
    /// What clients are told to use.
    pub defaults: ServerDefaults,
    /// Who says which datanodes may be here.
    pub hosts: HostFiles,
    /// Who says in which racks they are.
    pub racks: RackSource,
    /// Folder for what is written for people to read.
    pub log_dir: Option<PathBuf>,
    /// Growth of the edit log, in bytes, that starts a checkpoint.
    pub checkpoint_bytes: u64,
    /// Milliseconds after which a checkpoint starts if anything is new.
    pub checkpoint_interval_ms: u64,
    /// Threads that serve clients' calls: half as many as there are cores, as the state has one thread and clients often
    /// run beside it.
    pub rpc_threads: usize,
    /// Threads that serve datanodes and pages, if the caller brings no runtime.
    pub door_threads: usize,
}

/// What clients use where their user said nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerDefaults {
    /// Bytes.
    pub block_size: u64,
    /// Replicas of each block.
    pub replication: u16,
    /// Bytes of a packet.
    pub write_packet_size: u32,
    /// Bytes of a buffer.
    pub file_buffer_size: u32,
    /// Minutes that deleted files stay in the trash.
    pub trash_interval_min: u64,
}

impl NamenodeConfig {
    /// Reads the settings.
    ///
    /// # Errors
    /// A value that cannot be accepted; a host without address; an address that other machines can reach.
    pub fn from_settings(settings: &Settings) -> Result<Self, StartError> {
        let rpc = rpc_host_port(settings)?;
        let http = bind::door_address(settings, keys::DFS_NAMENODE_HTTP_ADDRESS)?;
        let internal = settings.addr(keys::MAMMOTH_NAMENODE_INTERNAL_ADDRESS)?;
        let host_names = bind::host_names(settings, &[&process::host_name(), &rpc.host, &http.host])?;
        let page_user = settings.raw(PAGE_USER.0)?.map_or_else(|| PAGE_USER.1.to_owned(), |(user, _)| user);
        Ok(Self {
            dir: data_dir(settings)?,
            rpc: rpc_bind(settings, &rpc)?,
            http: bind::resolve(keys::DFS_NAMENODE_HTTP_ADDRESS.name(), &http)?,
            internal: bind::resolve(keys::MAMMOTH_NAMENODE_INTERNAL_ADDRESS.name(), &internal)?,
            host_names,
            page_user,
            core: core_config(settings)?,
            defaults: server_defaults(settings)?,
            hosts: HostFiles {
                include: file(settings, keys::DFS_HOSTS)?,
                exclude: file(settings, keys::DFS_HOSTS_EXCLUDE)?,
            },
            racks: rack_source(settings)?,
            log_dir: file(settings, keys::HADOOP_LOG_DIR)?,
            checkpoint_bytes: settings.bytes(keys::MAMMOTH_JOURNAL_CHECKPOINT_BYTES)?,
            checkpoint_interval_ms: settings.millis(keys::MAMMOTH_JOURNAL_CHECKPOINT_INTERVAL)?,
            rpc_threads: (std::thread::available_parallelism().map_or(1, usize::from) / 2).clamp(1, 8),
            door_threads: 1,
        })
    }
}

/// A file or folder, if one is named.
fn file(settings: &Settings, key: Key<Text>) -> Result<Option<PathBuf>, StartError> {
    let text = settings.text(key)?;
    Ok((!text.is_empty()).then(|| PathBuf::from(text)))
}

/// The table if there is one, as in Hadoop where both are set.
fn rack_source(settings: &Settings) -> Result<RackSource, StartError> {
    if let Some(table) = file(settings, keys::NET_TOPOLOGY_TABLE_FILE_NAME)? {
        return Ok(RackSource::Table(table));
    }
    Ok(file(settings, keys::NET_TOPOLOGY_SCRIPT_FILE_NAME)?.map_or(RackSource::Datanode, RackSource::Script))
}

/// The one folder of the namenode.
fn data_dir(settings: &Settings) -> Result<PathBuf, StartError> {
    let key = keys::DFS_NAMENODE_NAME_DIR;
    let mut dirs = settings.dirs(key)?;
    match (dirs.pop(), dirs.is_empty()) {
        (Some(dir), true) => Ok(dir.path),
        _ => Err(StartError::Setting { key: key.name(), reason: "name exactly one folder".to_owned() }),
    }
}

/// `dfs.namenode.rpc-address`, else the authority of `fs.defaultFS`, else loopback.
fn rpc_host_port(settings: &Settings) -> Result<HostPort, StartError> {
    if let Some(given) = settings.addr_if_set(keys::DFS_NAMENODE_RPC_ADDRESS)? {
        return Ok(given);
    }
    let uri = settings.uri(keys::FS_DEFAULT_FS)?;
    let authority = uri.strip_prefix("hdfs://").and_then(|rest| rest.split('/').next()).filter(|text| !text.is_empty());
    let Some(authority) = authority else {
        return Ok(HostPort { host: Ipv4Addr::LOCALHOST.to_string(), port: RPC_PORT });
    };
    let bad = || StartError::Setting { key: keys::FS_DEFAULT_FS.name(), reason: format!("bad port in {uri}") };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().map_err(|_| bad())?),
        _ => (authority, RPC_PORT),
    };
    Ok(HostPort { host: host.trim_start_matches('[').trim_end_matches(']').to_owned(), port })
}

/// Where to listen for RPC, which may be another host than clients call.
fn rpc_bind(settings: &Settings, rpc: &HostPort) -> Result<SocketAddr, StartError> {
    let host = settings.text(keys::DFS_NAMENODE_RPC_BIND_HOST)?;
    if host.is_empty() {
        return Ok(bind::resolve(keys::DFS_NAMENODE_RPC_ADDRESS.name(), rpc)?);
    }
    Ok(bind::resolve(keys::DFS_NAMENODE_RPC_BIND_HOST.name(), &HostPort { host, port: rpc.port })?)
}

fn server_defaults(settings: &Settings) -> Result<ServerDefaults, StartError> {
    let small = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    Ok(ServerDefaults {
        block_size: settings.bytes(keys::DFS_BLOCKSIZE)?,
        replication: settings.int(keys::DFS_REPLICATION)?,
        write_packet_size: small(settings.bytes(keys::DFS_CLIENT_WRITE_PACKET_SIZE)?),
        file_buffer_size: small(settings.bytes(keys::IO_FILE_BUFFER_SIZE)?),
        trash_interval_min: settings.int(keys::FS_TRASH_INTERVAL)?,
    })
}

fn core_config(settings: &Settings) -> Result<CoreConfig, StartError> {
    let threshold = settings.float(keys::DFS_NAMENODE_SAFEMODE_THRESHOLD_PCT)?;
    Ok(CoreConfig {
        replication_min: settings.int(keys::DFS_NAMENODE_REPLICATION_MIN)?,
        replication_max: settings.int(keys::DFS_REPLICATION_MAX)?,
        block_size_min: settings.bytes(keys::DFS_NAMENODE_MIN_BLOCK_SIZE)?,
        blocks_per_file_max: settings.int(keys::DFS_NAMENODE_MAX_BLOCKS_PER_FILE)?,
        directory_entries_max: settings.int(keys::DFS_NAMENODE_MAX_DIRECTORY_ITEMS)?,
        heartbeat_ms: settings.millis(keys::DFS_HEARTBEAT_INTERVAL)?,
        recheck_ms: settings.millis(keys::DFS_NAMENODE_HEARTBEAT_RECHECK_INTERVAL)?,
        stale_ms: settings.millis(keys::DFS_NAMENODE_STALE_DATANODE_INTERVAL)?,
        lease_soft_ms: settings.millis(keys::MAMMOTH_NAMENODE_LEASE_SOFT_LIMIT)?,
        lease_hard_ms: settings.millis(keys::DFS_NAMENODE_LEASE_HARD_LIMIT)?,
        safemode_threshold_ppm: parts_per_million(threshold),
        safemode_extension_ms: settings.millis(keys::DFS_NAMENODE_SAFEMODE_EXTENSION)?,
        safemode_min_datanodes: settings.int(keys::DFS_NAMENODE_SAFEMODE_MIN_DATANODES)?,
        redundancy_interval_ms: settings.millis(keys::DFS_NAMENODE_REDUNDANCY_INTERVAL)?,
        max_streams: settings.int(keys::DFS_NAMENODE_REPLICATION_MAX_STREAMS)?,
        max_streams_hard: settings.int(keys::DFS_NAMENODE_REPLICATION_MAX_STREAMS_HARD_LIMIT)?,
        work_multiplier: settings.int(keys::DFS_NAMENODE_REPLICATION_WORK_MULTIPLIER)?,
        pending_timeout_ms: settings.millis(keys::DFS_NAMENODE_RECONSTRUCTION_PENDING_TIMEOUT)?,
        invalidate_limit: settings.int(keys::DFS_BLOCK_INVALIDATE_LIMIT)?,
        maintenance_min: settings.int(keys::DFS_NAMENODE_MAINTENANCE_REPLICATION_MIN)?,
        listing_page: settings.int(keys::DFS_LS_LIMIT)?,
        permissions: settings.flag(keys::DFS_PERMISSIONS_ENABLED)?,
        superuser: process::user_name(),
        supergroup: settings.text(keys::DFS_PERMISSIONS_SUPERUSERGROUP)?,
        access_time_precision_ms: settings.millis(keys::DFS_NAMENODE_ACCESSTIME_PRECISION)?,
    })
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the setting lies between 0 and 1.5")]
fn parts_per_million(share: f64) -> u32 {
    (share * 1e6).round() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[&str]) -> Result<NamenodeConfig, StartError> {
        let pairs: Vec<String> = pairs.iter().map(|pair| (*pair).to_owned()).collect();
        NamenodeConfig::from_settings(&Settings::load(None, &pairs).expect("no files"))
    }

    #[test]
    fn defaults_listen_on_loopback_only() {
        let config = config(&[]).expect("the defaults are good");
        assert_eq!(config.rpc.to_string(), "127.0.0.1:8020");
        assert_eq!(config.http.to_string(), "127.0.0.1:9870");
        assert_eq!(config.internal.to_string(), "127.0.0.1:8022");
        assert_eq!((config.core.recheck_ms, config.core.stale_ms), (300_000, 30_000));
        assert_eq!(config.core.safemode_threshold_ppm, 999_000);
        assert_eq!(config.defaults.block_size, 128 << 20);
    }

    #[test]
    fn the_rpc_address_comes_from_the_default_file_system() {
        for (uri, addr) in [
            ("hdfs://127.0.0.1:9000", "127.0.0.1:9000"),
            ("hdfs://127.0.0.1/", "127.0.0.1:8020"),
            ("hdfs://[::1]:9000/x", "[::1]:9000"),
            ("hdfs://[::1]", "[::1]:8020"),
        ] {
            let config = config(&[&format!("fs.defaultFS={uri}")]).expect(uri);
            assert_eq!(config.rpc.to_string(), addr);
        }
        let both = config(&["fs.defaultFS=hdfs://127.0.0.1:1", "dfs.namenode.rpc-address=127.0.0.1:2"]);
        assert_eq!(both.expect("good").rpc.port(), 2);
        assert!(matches!(config(&["fs.defaultFS=hdfs://127.0.0.1:x"]), Err(StartError::Setting { .. })));
    }

    #[test]
    fn names_for_the_http_doors_are_gathered() {
        let config = config(&["mammoth.http.allowed-hosts=a.example, b.example,"]).expect("good");
        assert!(["a.example", "b.example", "127.0.0.1"].iter().all(|name| config.host_names.iter().any(|n| n == name)));
        assert!(config.host_names.iter().all(|name| !name.is_empty() && name != "0.0.0.0"));
    }

    #[test]
    fn what_cannot_be_served_is_refused_by_name() {
        for (pair, part) in [
            ("dfs.namenode.http-address=0.0.0.0:9870", "dfs.namenode.http-address"),
            ("dfs.namenode.rpc-bind-host=0.0.0.0", "dfs.namenode.rpc-bind-host"),
            ("dfs.namenode.name.dir=/a,/b", "dfs.namenode.name.dir"),
            ("dfs.replication=0", "dfs.replication"),
        ] {
            let error = config(&[pair]).expect_err(pair).to_string();
            assert!(error.contains(part) && !error.contains('\n'), "{pair}: {error}");
        }
    }
}
