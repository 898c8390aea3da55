//! A cluster of four datanodes with a proxy in front of every door that daemons and clients use.

use super::cluster::{BlockOf, Cluster, Options, alive};
use super::connections::owner_of;
use super::poll;
use super::proxy::{Flow, Proxy, Trap, Way};
use super::steps::StepClient;
use mammoth_client::{ClientConfig, DfsClient};
use mammoth_platform::Settings;
use rustix::process::Signal;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// The datanodes.
pub(crate) const NAMES: [&str; 4] = ["datanode-1", "datanode-2", "datanode-3", "datanode-4"];
/// How long something that must come is waited for, on a machine that is busy with much else.
pub(crate) const LIMIT: Duration = Duration::from_secs(90);

/// A cluster and its proxies.
pub(crate) struct Wired {
    pub(crate) cluster: Cluster,
    /// Between clients and the namenode.
    pub(crate) rpc: Proxy,
    /// Between datanodes and the namenode.
    pub(crate) internal: Proxy,
    /// In front of the datanodes' data transfers, in the order of [`NAMES`]; clients and other datanodes come this way.
    pub(crate) transfers: Vec<Proxy>,
}

impl Wired {
    /// Starts one with short timeouts.
    pub(crate) fn start() -> Self {
        Self::start_with(Options::fast())
    }

    /// Starts one with these settings, and those that the proxies need.
    pub(crate) fn start_with(options: Options) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let dir = Cluster::fresh_folder();
        let file = dir.path().join("cluster.json");
        let internal = Proxy::start(any, false, move || internal_door(&file));
        let options = options
            .datanodes(4)
            .set("dfs.datanode.hostname", "127.0.0.2")
            .set("dfs.client.use.datanode.hostname", "true")
            .set("dfs.blockreport.intervalMsec", "3000")
            .set("mammoth.journal.checkpoint-interval", "2s")
            .set("mammoth.datanode.namenodes", &internal.addr().to_string());
        let cluster = Cluster::start_in(dir, options).expect("no disks, so none that is missing");
        let namenode = cluster.addr("namenode", "rpc");
        let rpc = Proxy::start(any, true, move || Some(namenode));
        let transfer = |name: &&str| {
            let door = cluster.addr(name, "transfer");
            Proxy::start(SocketAddr::from(([127, 0, 0, 2], door.port())), false, move || Some(door))
        };
        let transfers = NAMES.iter().map(transfer).collect();
        Self { cluster, rpc, internal, transfers }
    }

    /// A client that does as it is told, behind the proxies.
    pub(crate) fn step_client(&self) -> StepClient {
        StepClient::start(self.rpc.addr(), self.cluster.settings())
    }

    /// A client that looks from outside, past the proxies.
    pub(crate) fn onlooker(&self) -> DfsClient {
        let mut pairs = vec![format!("fs.defaultFS={}", self.cluster.fs())];
        pairs.extend(self.cluster.settings().iter().map(|(key, value)| format!("{key}={value}")));
        let settings = Settings::load(None, &pairs).expect("settings");
        let mut config = ClientConfig::from_settings(&settings).expect("a configuration");
        config.use_datanode_hostname = false;
        DfsClient::connect(config).expect("a client")
    }

    /// The proxy in front of a datanode's data transfers.
    pub(crate) fn transfer(&self, name: &str) -> &Proxy {
        let at = NAMES.iter().position(|known| *known == name).expect("one of the four");
        &self.transfers[at]
    }

    /// A file's last block, and the datanodes that have it or write it, in no order.
    pub(crate) fn pipeline(&self, path: &str) -> Result<(BlockOf, Vec<String>), String> {
        let block = self.cluster.blocks(path)?.pop().ok_or("no block yet")?;
        let name_of = |port: &u64| {
            let name = NAMES.iter().find(|name| u64::from(self.cluster.addr(name, "transfer").port()) == *port);
            name.map(|name| (*name).to_owned()).ok_or_else(|| format!("no datanode at port {port}"))
        };
        let names = block.ports.iter().map(name_of).collect::<Result<Vec<_>, _>>()?;
        Ok((block, names))
    }

    /// The file of a block's replica on a datanode, and its length.
    pub(crate) fn replica(&self, name: &str, block: i64) -> Option<(PathBuf, u64)> {
        let file_name = format!("blk_{block}");
        let path =
            self.cluster.replicas(name).into_iter().find(|path| path.file_name().is_some_and(|n| *n == *file_name))?;
        let len = std::fs::metadata(&path).ok()?.len();
        Some((path, len))
    }

    /// All of these datanodes have at least so many bytes of the block in their files.
    pub(crate) fn written(&self, names: &[String], block: i64, len: u64) {
        poll("the datanodes have the bytes", LIMIT, || {
            let lens: Vec<_> = names.iter().map(|name| self.replica(name, block).map(|(_, len)| len)).collect();
            if lens.iter().all(|found| found.is_some_and(|found| found >= len)) {
                Ok(())
            } else {
                Err(format!("{lens:?}"))
            }
        });
    }

    /// Sets a trap in front of every datanode, once none is copied to for what was before.
    pub(crate) fn trap_transfers(&self, trap: Trap) {
        poll("nothing is to be repaired", LIMIT, || self.cluster.repaired());
        self.transfers.iter().for_each(|proxy| proxy.trap(trap));
    }

    /// Waits until one of those traps has caught something, takes the others away, and tells in front of whom it was.
    pub(crate) fn caught_transfer(&self) -> &'static str {
        let name = poll("a transfer is caught", LIMIT, || {
            let caught = NAMES.iter().find(|name| self.transfer(name).has_caught().is_some());
            caught.copied().ok_or_else(|| "none".to_owned())
        });
        NAMES.iter().filter(|other| **other != name).for_each(|other| self.transfer(other).disarm());
        name
    }

    /// Which datanode has the connection that the internal door's trap has caught.
    pub(crate) fn caught_reporter(&self) -> String {
        let port = self.internal.caught();
        let pids: Vec<_> =
            NAMES.iter().map(|name| ((*name).to_owned(), self.cluster.pid(name).as_raw_nonzero().get())).collect();
        poll("the reporter is known", LIMIT, || owner_of(port, self.internal.addr().port(), &pids))
    }

    /// Everything goes its way again.
    pub(crate) fn calm(&self) {
        for proxy in self.transfers.iter().chain([&self.rpc, &self.internal]) {
            proxy.disarm();
            proxy.set_both(Flow::Pass);
            proxy.let_go();
        }
    }

    /// Brings back who was killed or stopped, and waits until nothing is missing.
    pub(crate) fn heal(&self) {
        self.calm();
        for name in NAMES.iter().chain(&["namenode"]) {
            let pid = self.cluster.pid(name);
            if alive(pid) {
                self.cluster.signal(name, Signal::CONT);
            } else {
                self.cluster.restart(name).ok();
            }
        }
        poll("the cluster is whole again", LIMIT, || {
            let status = self.cluster.status()?;
            let health = &status["health"];
            let told =
                status["datanodes"].as_array().is_some_and(|all| all.iter().all(|node| node["reported"] == true));
            let whole = told && health["live"] == 4 && health["stale"] == 0 && health["under_replicated"] == 0;
            if whole && health["safe_mode"] == "Off" { Ok(()) } else { Err(health.to_string()) }
        });
    }

    /// The connections that a datanode's proxy carries give no more acknowledgements until this is taken back.
    pub(crate) fn hold_answers(&self, name: &str) {
        self.transfer(name).set(Way::Down, Flow::Hold);
    }
}

/// The internal door of the namenode of the cluster that is starting, once it is known.
fn internal_door(file: &std::path::Path) -> Option<SocketAddr> {
    let running: serde_json::Value = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
    running["daemons"].as_array()?.iter().find(|d| d["name"] == "namenode")?["internal"].as_str()?.parse().ok()
}
