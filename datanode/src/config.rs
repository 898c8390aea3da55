//! Settings of a datanode as plain values, read once from Hadoop's keys.

use crate::error::{DatanodeError, Result};
use crate::store::SpaceRules;
use crate::transfer::TransferRules;
use mammoth_platform::settings::{Addr, HostPort, Key};
use mammoth_platform::{Settings, keys, process};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

/// Setting with further names under which the HTTP door may be called, between commas.
const ALLOWED_HOSTS: &str = "mammoth.http.allowed-hosts";
/// Three weeks.
const SCAN_HOURS: i64 = 504;
/// How long a new connection may take to send its first operation.
const OP_TIMEOUT: Duration = Duration::from_secs(10);

/// One door: where it listens, and where others find it.
#[derive(Clone, Debug)]
pub struct Door {
    /// Where to listen; port 0 takes any.
    pub bind: SocketAddr,
    /// What others are told.
    pub advertise: Advertise,
}

/// What others are told of a door, where it differs from where it listens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Advertise {
    /// Address that others connect to.
    pub ip: Option<IpAddr>,
    /// Name that others connect to if they prefer names.
    pub hostname: Option<String>,
    /// Port.
    pub port: Option<u16>,
}

/// All that a datanode needs to know before it starts.
#[derive(Clone, Debug)]
pub struct DatanodeConfig {
    /// Folders for blocks, each a volume.
    pub dirs: Vec<PathBuf>,
    /// `host:port` of the internal door of every namenode.
    pub namenodes: Vec<String>,
    /// Data transfers.
    pub transfer: Door,
    /// Status page.
    pub http: Door,
    /// Hadoop RPC.
    pub ipc: Door,
    /// Unix socket by which clients on this machine get open files; `_PORT` in it stands for the port of data transfers.
    /// `None` = they get none.
    pub domain_socket: Option<String>,
    /// Rack of this datanode.
    pub rack: String,
    /// Further names under which the HTTP door may be called.
    pub host_names: Vec<String>,
    /// Room of every volume.
    pub space: SpaceRules,
    /// Volumes that may fail before the datanode gives up; `None` = all but the last.
    pub failures_tolerated: Option<usize>,
    /// A closed replica is on the disk, not only in memory.
    pub sync_on_close: bool,
    /// Pause between two heartbeats.
    pub heartbeat: Duration,
    /// Pause between two full block reports.
    pub full_report: Duration,
    /// Copies to other datanodes at the same time.
    pub copies_max: usize,
    /// Moves of the balancer at the same time.
    pub moves_max: usize,
    /// Bytes a second of all moves together.
    pub balance_rate: u64,
    /// Time in which every replica is verified once; `None` = never.
    pub scan_period: Option<Duration>,
    /// Bytes a second and volume that verifying reads; 0 = no verifying.
    pub scan_rate: u64,
    /// Times and bounds of data transfers.
    pub transfers: TransferRules,
}

impl DatanodeConfig {
    /// Reads the settings.
    ///
    /// # Errors
    /// A value that cannot be accepted; a host without address; an address that other machines can reach.
    pub fn from_settings(settings: &Settings) -> Result<Self> {
        let transfer = door(settings, keys::DFS_DATANODE_ADDRESS)?;
        let http = door(settings, keys::DFS_DATANODE_HTTP_ADDRESS)?;
        let ipc = door(settings, keys::DFS_DATANODE_IPC_ADDRESS)?;
        let mut host_names = vec![process::host_name()];
        host_names.extend(http.advertise.hostname.clone());
        if let Some((listed, _)) = settings.raw(ALLOWED_HOSTS)? {
            host_names.extend(listed.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()));
        }
        let tolerated: i64 = settings.int(keys::DFS_DATANODE_FAILED_VOLUMES_TOLERATED)?;
        Ok(Self {
            dirs: settings.dirs(keys::DFS_DATANODE_DATA_DIR)?.into_iter().map(|dir| dir.path).collect(),
            namenodes: namenodes(settings)?,
            transfer,
            http,
            ipc,
            domain_socket: Some(settings.text(keys::DFS_DOMAIN_SOCKET_PATH)?).filter(|path| !path.is_empty()),
            rack: rack(settings)?,
            host_names,
            space: SpaceRules { reserved: settings.bytes(keys::DFS_DATANODE_DU_RESERVED)?, quota: None },
            failures_tolerated: usize::try_from(tolerated).ok(),
            sync_on_close: false,
            heartbeat: millis(settings.millis(keys::DFS_HEARTBEAT_INTERVAL)?),
            full_report: millis(settings.millis(keys::DFS_BLOCKREPORT_INTERVAL)?),
            copies_max: settings.int(keys::DFS_NAMENODE_REPLICATION_MAX_STREAMS_HARD_LIMIT)?,
            moves_max: settings.int(keys::DFS_DATANODE_BALANCE_MAX_CONCURRENT_MOVES)?,
            balance_rate: settings.bytes(keys::DFS_DATANODE_BALANCE_BANDWIDTH_PER_SEC)?,
            scan_period: scan_period(settings.int(keys::DFS_DATANODE_SCAN_PERIOD_HOURS)?),
            scan_rate: settings.bytes(keys::DFS_BLOCK_SCANNER_VOLUME_BYTES_PER_SECOND)?,
            transfers: TransferRules {
                socket_timeout: millis(settings.millis(keys::DFS_CLIENT_SOCKET_TIMEOUT)?),
                write_timeout: millis(settings.millis(keys::DFS_DATANODE_SOCKET_WRITE_TIMEOUT)?),
                keepalive: millis(settings.millis(keys::DFS_DATANODE_SOCKET_REUSE_KEEPALIVE)?),
                op_timeout: OP_TIMEOUT,
                connections: settings.int(keys::DFS_DATANODE_MAX_TRANSFER_THREADS)?,
                by_name: settings.flag(keys::DFS_CLIENT_USE_DATANODE_HOSTNAME)?,
                readahead: settings.bytes(keys::DFS_DATANODE_READAHEAD_BYTES)?,
            },
        })
    }
}

fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn scan_period(hours: i64) -> Option<Duration> {
    let hours = if hours == 0 { SCAN_HOURS } else { hours };
    u64::try_from(hours).ok().map(|hours| Duration::from_secs(hours.saturating_mul(3600)))
}

fn rack(settings: &Settings) -> Result<String> {
    let rack = settings.text(keys::MAMMOTH_DATANODE_RACK)?;
    if rack.starts_with('/') && rack.len() > 1 && !rack.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Ok(rack);
    }
    let reason = format!("{} is `{rack}`, expected a path such as /rack-1", keys::MAMMOTH_DATANODE_RACK.name());
    Err(DatanodeError::Setting { reason })
}

fn namenodes(settings: &Settings) -> Result<Vec<String>> {
    let listed = settings.list(keys::MAMMOTH_DATANODE_NAMENODES)?;
    if listed.is_empty() {
        return Ok(vec![settings.addr(keys::MAMMOTH_NAMENODE_INTERNAL_ADDRESS)?.to_string()]);
    }
    Ok(listed)
}

/// A door's address. Hadoop's default of all interfaces becomes loopback, as nothing protects the doors yet.
fn door(settings: &Settings, key: Key<Addr>) -> Result<Door> {
    let mut addr = settings.addr(key)?;
    if !settings.is_given(key.name()) {
        addr.host = Ipv4Addr::LOCALHOST.to_string();
    }
    let hostname = Some(settings.text(keys::DFS_DATANODE_HOSTNAME)?).filter(|name| !name.is_empty());
    Ok(Door { bind: resolve(key.name(), &addr)?, advertise: Advertise { hostname, ..Advertise::default() } })
}

fn resolve(key: &'static str, addr: &HostPort) -> Result<SocketAddr> {
    let fail = |reason: String| DatanodeError::Setting { reason: format!("{key}: {}: {reason}", addr.host) };
    let mut found = (addr.host.as_str(), addr.port).to_socket_addrs().map_err(|error| fail(error.to_string()))?;
    let addr = found.next().ok_or_else(|| fail("has no address".to_owned()))?;
    if addr.ip().is_loopback() {
        return Ok(addr);
    }
    Err(fail("without a cluster secret only loopback addresses are served".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[&str]) -> Result<DatanodeConfig> {
        let pairs: Vec<String> = pairs.iter().map(|pair| (*pair).to_owned()).collect();
        DatanodeConfig::from_settings(&Settings::load(None, &pairs).expect("no files"))
    }

    #[test]
    fn defaults_are_hadoops_on_loopback() {
        let config = config(&[]).expect("the defaults are good");
        assert_eq!(config.transfer.bind.to_string(), "127.0.0.1:9866");
        assert_eq!(config.http.bind.to_string(), "127.0.0.1:9864");
        assert_eq!(config.ipc.bind.to_string(), "127.0.0.1:9867");
        assert_eq!(config.namenodes, ["127.0.0.1:8022"]);
        assert_eq!((config.transfers.socket_timeout, config.heartbeat), (millis(60_000), millis(3_000)));
        assert_eq!(config.transfers.connections, 4096);
        assert_eq!((config.scan_period, config.scan_rate), (Some(Duration::from_secs(504 * 3600)), 1 << 20));
        assert_eq!((config.rack.as_str(), config.failures_tolerated), ("/default-rack", Some(0)));
        assert_eq!(config.domain_socket, None);
    }

    #[test]
    fn several_folders_and_namenodes_and_ipv6() {
        let config = config(&[
            "dfs.datanode.data.dir=/a,[SSD]file:///b",
            "mammoth.datanode.namenodes=127.0.0.1:1,[::1]:2",
            "dfs.datanode.address=[::1]:0",
            "dfs.datanode.hostname=node.example",
            "dfs.domain.socket.path=/run/dn._PORT",
            "dfs.datanode.scan.period.hours=-1",
            "dfs.datanode.failed.volumes.tolerated=-1",
        ])
        .expect("good");
        assert_eq!(config.dirs, [PathBuf::from("/a"), PathBuf::from("/b")]);
        assert_eq!(config.namenodes, ["127.0.0.1:1", "[::1]:2"]);
        assert_eq!(config.transfer.bind.to_string(), "[::1]:0");
        assert_eq!(config.transfer.advertise.hostname.as_deref(), Some("node.example"));
        assert_eq!((config.scan_period, config.failures_tolerated), (None, None));
        assert_eq!(config.domain_socket.as_deref(), Some("/run/dn._PORT"));
    }

    #[test]
    fn what_cannot_be_served_is_refused_by_name() {
        for (pair, part) in [
            ("dfs.datanode.address=0.0.0.0:9866", "dfs.datanode.address"),
            ("mammoth.datanode.rack=rack", "mammoth.datanode.rack"),
            ("dfs.datanode.max.transfer.threads=0", "dfs.datanode.max.transfer.threads"),
        ] {
            let error = config(&[pair]).expect_err(pair).to_string();
            assert!(error.contains(part) && !error.contains('\n'), "{pair}: {error}");
        }
    }
}
