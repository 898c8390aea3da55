//! A namenode in a process of its own: this program again, so that its memory and its CPU are nobody else's.

use crate::caller::Caller;
use crate::meter::{Cpu, Wall, cpu_of, memory_mib};
use mammoth_platform::{Settings, keys};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

/// First argument of this program when it is to be a namenode; the second is its folder.
pub(crate) const ROLE: &str = "be-a-namenode";

/// Serves until standard input ends.
pub(crate) fn serve(args: &[String]) -> Result<(), String> {
    let [dir] = args else { return Err(format!("{ROLE} DIR")) };
    let mut settings = Settings::load(None, &[]).map_err(|e| e.to_string())?;
    settings.set(keys::DFS_NAMENODE_NAME_DIR.name(), dir.clone());
    for key in [
        keys::DFS_NAMENODE_RPC_ADDRESS.name(),
        keys::DFS_NAMENODE_HTTP_ADDRESS.name(),
        keys::MAMMOTH_NAMENODE_INTERNAL_ADDRESS.name(),
    ] {
        settings.set(key, "127.0.0.1:0");
    }
    let config = mammoth_namenode::NamenodeConfig::from_settings(&settings).map_err(|e| e.to_string())?;
    let handle = mammoth_namenode::start(config, Default::default()).map_err(|e| e.to_string())?;
    let addrs = handle.addrs();
    println!("{} {} {}", addrs.rpc, addrs.internal, addrs.http);
    let mut line = String::new();
    while std::io::stdin().read_line(&mut line).is_ok_and(|read| read > 0) {}
    handle.shutdown();
    handle.wait().map_err(|e| e.to_string())
}

/// A running namenode; ends with this.
pub(crate) struct Namenode {
    child: Child,
    rpc: SocketAddr,
    /// Where datanodes call.
    pub(crate) internal: SocketAddr,
    /// Where it tells of itself.
    http: SocketAddr,
    /// Seconds until its doors were open.
    pub(crate) seconds: f64,
    /// Identities of clients that were given away.
    identities: AtomicU64,
}

impl Namenode {
    /// Starts one over a folder, which it formats if it is empty.
    pub(crate) fn start(dir: &Path) -> Result<Self, String> {
        let own = std::env::current_exe().map_err(|e| e.to_string())?;
        let wall = Wall::start();
        let mut command = Command::new(own);
        command.arg(ROLE).arg(dir).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|e| e.to_string())?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line).map_err(|e| e.to_string())?;
        }
        let mut addrs = line.split_whitespace().map(str::parse);
        match (addrs.next(), addrs.next(), addrs.next()) {
            (Some(Ok(rpc)), Some(Ok(internal)), Some(Ok(http))) => {
                let identities = AtomicU64::new(1);
                Ok(Self { child, rpc, internal, http, seconds: wall.seconds(), identities })
            }
            _ => Err(format!("the namenode did not start: {:?}", child.wait())),
        }
    }

    /// A client with an identity that no other had.
    pub(crate) fn caller(&self) -> Result<Caller, String> {
        Caller::connect(&self.rpc.to_string(), self.identities.fetch_add(1, Ordering::Relaxed))
    }

    /// A figure of its `/metrics`.
    pub(crate) fn figure(&self, name: &str) -> Result<f64, String> {
        crate::metadata::figure(&self.http.to_string(), name)
    }

    /// CPU seconds so far.
    pub(crate) fn cpu(&self) -> Cpu {
        cpu_of(self.child.id())
    }

    /// Resident memory, bytes.
    pub(crate) fn resident(&self) -> f64 {
        memory_mib(self.child.id(), "VmRSS") * f64::from(1 << 20)
    }

    /// Highest resident memory so far, bytes.
    pub(crate) fn peak(&self) -> f64 {
        memory_mib(self.child.id(), "VmHWM") * f64::from(1 << 20)
    }
}

impl Drop for Namenode {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ended = self.child.wait();
    }
}
