//! A real cluster for the measurements: the release programs, any free ports, a temporary folder.

use crate::meter::{Cpu, cpu_of_family, memory_mib};
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

/// A running cluster.
pub(crate) struct Cluster {
    dir: tempfile::TempDir,
    processes: bool,
    /// Identities of clients that were given away.
    identities: AtomicU64,
}

/// The program of this name, beside this one.
pub(crate) fn program(name: &str) -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|e| e.to_string())?;
    let path = own.with_file_name(name);
    if path.exists() {
        Ok(path)
    } else {
        Err(format!("{} is missing: run `cargo build --release` first", path.display()))
    }
}

impl Cluster {
    /// An empty folder; nothing runs yet.
    pub(crate) fn new(processes: bool) -> Result<Self, String> {
        let dir = tempfile::Builder::new().prefix("mammoth-bench-").tempdir().map_err(|e| e.to_string())?;
        Ok(Self { dir, processes, identities: AtomicU64::new(0) })
    }

    /// The first of so many numbers that no client of this cluster has.
    pub(crate) fn identities(&self, count: u64) -> u64 {
        self.identities.fetch_add(count, Ordering::Relaxed)
    }

    /// `mammoth up`, to `ready`.
    pub(crate) fn up(&self) -> Result<(), String> {
        let mut command = self.mammoth("up")?;
        command.args(["--detach", "--port-base", "0"]);
        if self.processes {
            command.arg("--processes");
        }
        check(&mut command)
    }

    /// `mammoth down`.
    pub(crate) fn down(&self) -> Result<(), String> {
        check(&mut self.mammoth("down")?)
    }

    fn mammoth(&self, verb: &str) -> Result<Command, String> {
        let mut command = Command::new(program("mammoth")?);
        command.arg(verb).arg("--dir").arg(self.dir.path());
        Ok(command)
    }

    fn running(&self) -> Result<Value, String> {
        let text = std::fs::read(self.dir.path().join("cluster.json")).map_err(|e| e.to_string())?;
        serde_json::from_slice(&text).map_err(|e| e.to_string())
    }

    /// Its processes, each once.
    pub(crate) fn pids(&self) -> Result<Vec<u32>, String> {
        let running = self.running()?;
        let daemons = running["daemons"].as_array().ok_or("cluster.json names no daemons")?;
        let mut pids: Vec<u32> =
            daemons.iter().filter_map(|d| d["pid"].as_u64()).filter_map(|pid| u32::try_from(pid).ok()).collect();
        pids.sort_unstable();
        pids.dedup();
        Ok(pids)
    }

    /// One of the namenode's addresses.
    pub(crate) fn namenode(&self, door: &str) -> Result<String, String> {
        self.address("namenode", door)
    }

    /// One of the jobtracker's addresses.
    pub(crate) fn jobtracker(&self, door: &str) -> Result<String, String> {
        self.address("jobtracker", door)
    }

    fn address(&self, role: &str, door: &str) -> Result<String, String> {
        let running = self.running()?;
        let daemons = running["daemons"].as_array().into_iter().flatten();
        let found = daemons.filter(|daemon| daemon["name"] == role).find_map(|daemon| daemon[door].as_str());
        found.map(str::to_owned).ok_or_else(|| format!("no address {door} of the {role}"))
    }

    /// CPU seconds of all its processes, tasks that have ended included.
    pub(crate) fn cpu(&self) -> Result<Cpu, String> {
        Ok(self.pids()?.into_iter().map(cpu_of_family).sum())
    }

    /// Resident memory of all its processes, MiB.
    pub(crate) fn resident_mib(&self) -> Result<f64, String> {
        Ok(self.pids()?.into_iter().map(|pid| memory_mib(pid, "VmRSS")).sum())
    }

    /// Highest resident memory that any of its processes reached, MiB.
    pub(crate) fn peak_mib(&self) -> Result<f64, String> {
        Ok(self.pids()?.into_iter().map(|pid| memory_mib(pid, "VmHWM")).fold(0.0, f64::max))
    }

    /// A `dfs` command on it, which knows its address only: it reads over TCP.
    pub(crate) fn dfs(&self, args: &[&str]) -> Result<(), String> {
        check(&mut self.dfs_command(args)?)
    }

    /// A `dfs` command with the configuration that the cluster leaves for clients, short-circuit reads among it.
    pub(crate) fn dfs_local(&self, args: &[&str]) -> Result<(), String> {
        check(self.dfs_command(args)?.env("HADOOP_CONF_DIR", self.conf()))
    }

    fn dfs_command(&self, args: &[&str]) -> Result<Command, String> {
        let mut command = Command::new(program("dfs")?);
        command.env("MAMMOTH_FS", format!("hdfs://{}", self.namenode("rpc")?)).args(args);
        command.env_remove("HADOOP_CONF_DIR");
        Ok(command)
    }

    /// The configuration that the cluster leaves for clients.
    pub(crate) fn conf(&self) -> PathBuf {
        self.dir.path().join("conf")
    }
}

/// Runs a command to its end; its complaint if it failed.
pub(crate) fn check(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output().map_err(|e| format!("{command:?}: {e}"))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim()))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Err(reason) = self.down() {
            eprintln!("mammoth-bench: {reason}");
        }
    }
}
