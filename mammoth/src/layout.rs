//! The files of a cluster folder.
//!
//! ```text
//! DIR/plan.json          addresses, daemon count and settings: written before anything starts, kept for ever
//! DIR/cluster.json       what runs now: one entry a daemon with pid, addresses, folders; gone when the cluster is down
//! DIR/env                to source: MAMMOTH_FS, MAMMOTH_HTTP, MAMMOTH_JOBTRACKER, HADOOP_CONF_DIR
//! DIR/conf/              core-site.xml and hdfs-site.xml for clients, ours and Hadoop's own (HADOOP_CONF_DIR)
//! DIR/data/NAME/         the daemon's data
//! DIR/sockets/dn.PORT    where a datanode gives the open files of its replicas to clients on this machine
//! DIR/logs/NAME.log      its log; DIR/logs/up.log where they share a process
//! DIR/in_use.lock        held by the process of an embedded cluster
//! DIR/control.sock       where that process listens for `restart` and `down`
//! ```

mod clients;
mod sockets;

pub(crate) use clients::is_for_clients;

use crate::ports::DaemonAddrs;
use mammoth_platform::durable;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A cluster folder.
#[derive(Clone, Debug)]
pub struct ClusterDir {
    root: PathBuf,
}

/// What kind of daemon a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The one namenode.
    Namenode,
    /// One of the datanodes.
    Datanode,
    /// The one jobtracker.
    Jobtracker,
    /// One of the tasktrackers.
    Tasktracker,
}

impl Role {
    /// The program, and the subcommand of `mammoth`, that runs it.
    #[must_use]
    pub fn program(self) -> &'static str {
        match self {
            Self::Namenode => "namenode",
            Self::Datanode => "datanode",
            Self::Jobtracker => "jobtracker",
            Self::Tasktracker => "tasktracker",
        }
    }
}

/// How a cluster was set up; a later `up` of the same folder starts the same cluster on the same addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Layout of this file; [`Plan::VERSION`].
    pub version: u32,
    /// Every daemon, namenode first.
    pub daemons: Vec<PlannedDaemon>,
}

impl Plan {
    /// The layout that this program writes.
    pub const VERSION: u32 = 1;

    /// The namenode.
    #[must_use]
    pub fn namenode(&self) -> Option<&PlannedDaemon> {
        self.of(Role::Namenode).next()
    }

    /// The jobtracker, if the cluster has one.
    #[must_use]
    pub fn jobtracker(&self) -> Option<&PlannedDaemon> {
        self.of(Role::Jobtracker).next()
    }

    /// How many daemons of a kind there are.
    #[must_use]
    pub fn count(&self, role: Role) -> usize {
        self.of(role).count()
    }

    fn of(&self, role: Role) -> impl Iterator<Item = &PlannedDaemon> {
        self.daemons.iter().filter(move |planned| planned.role == role)
    }
}

/// One daemon of a [`Plan`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedDaemon {
    /// `namenode`, `datanode-1`, …, `jobtracker`, `tasktracker-1`, …
    pub name: String,
    /// Its kind.
    pub role: Role,
    /// Its rack; `None` for the default one.
    pub rack: Option<String>,
    /// Its addresses.
    pub addrs: DaemonAddrs,
}

/// `cluster.json`: what runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// Whether every daemon has a process of its own.
    pub processes: bool,
    /// The process that answers on the control socket; for `processes` the starter, if it stays.
    pub supervisor: Option<u32>,
    /// Every daemon, namenode first.
    pub daemons: Vec<RunningDaemon>,
}

/// One running daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningDaemon {
    /// `namenode`, `datanode-1`, ...
    pub name: String,
    /// Its process.
    pub pid: u32,
    /// Start time of that process in clock ticks since boot, so that a reused pid is not mistaken for it.
    pub pid_started: u64,
    /// Its addresses.
    #[serde(flatten)]
    pub addrs: DaemonAddrs,
    /// Its data.
    pub data: PathBuf,
    /// Its log.
    pub log: PathBuf,
    /// How to start it again: the arguments after the program; empty where daemons share a process.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
}

/// What is wrong with a cluster folder.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// Reading or writing failed.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file that is not what it should be.
    #[error("{}: not a file of a Mammoth cluster: {why}", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

impl ClusterDir {
    /// Opens or makes the folder.
    ///
    /// # Errors
    /// A file in its place, a parent that is not writable.
    pub fn create(root: &Path) -> Result<Self, LayoutError> {
        for part in ["", "conf", "data", "logs"] {
            let path = root.join(part);
            std::fs::create_dir_all(&path).map_err(|source| LayoutError::Io { path, source })?;
        }
        let root = root.canonicalize().map_err(|source| LayoutError::Io { path: root.to_owned(), source })?;
        Ok(Self { root })
    }

    /// Opens the folder of a cluster that exists.
    ///
    /// # Errors
    /// No such folder, or one that no cluster was ever started in.
    pub fn open(root: &Path) -> Result<Self, LayoutError> {
        let here = root.canonicalize().map_err(|source| LayoutError::Io { path: root.to_owned(), source })?;
        let dir = Self { root: here };
        match dir.plan()? {
            Some(_) => Ok(dir),
            None => Err(LayoutError::Malformed {
                path: dir.root,
                why: "there is no plan.json in it; start a cluster there with `mammoth up --dir`".to_owned(),
            }),
        }
    }

    /// The folder itself, absolute.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Data folder of a daemon.
    #[must_use]
    pub fn data(&self, name: &str) -> PathBuf {
        self.root.join("data").join(name)
    }

    /// Log of a daemon, or of `up`.
    #[must_use]
    pub fn log(&self, name: &str) -> PathBuf {
        self.root.join("logs").join(format!("{name}.log"))
    }

    /// Hadoop's configuration folder.
    #[must_use]
    pub fn conf(&self) -> PathBuf {
        self.root.join("conf")
    }

    /// The plan, if a cluster was ever started here.
    ///
    /// # Errors
    /// A plan that cannot be read.
    pub fn plan(&self) -> Result<Option<Plan>, LayoutError> {
        let plan: Option<Plan> = self.read("plan.json")?;
        match plan {
            Some(plan) if plan.version != Plan::VERSION => Err(LayoutError::Malformed {
                path: self.root.join("plan.json"),
                why: format!("layout version {}, this program knows {}", plan.version, Plan::VERSION),
            }),
            plan => Ok(plan),
        }
    }

    /// Keeps the plan.
    ///
    /// # Errors
    /// A failed write.
    pub fn write_plan(&self, plan: &Plan) -> Result<(), LayoutError> {
        self.write("plan.json", plan)
    }

    /// What runs, if anything was started and not stopped in order.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn running(&self) -> Result<Option<Running>, LayoutError> {
        self.read("cluster.json")
    }

    /// Says what runs.
    ///
    /// # Errors
    /// A failed write.
    pub fn write_running(&self, running: &Running) -> Result<(), LayoutError> {
        self.write("cluster.json", running)
    }

    /// Says that nothing runs.
    ///
    /// # Errors
    /// A failed removal.
    pub fn clear_running(&self) -> Result<(), LayoutError> {
        let path = self.root.join("cluster.json");
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(LayoutError::Io { path, source }),
            _ => Ok(()),
        }
    }

    fn read<T: for<'de> Deserialize<'de>>(&self, name: &str) -> Result<Option<T>, LayoutError> {
        let path = self.root.join(name);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(LayoutError::Io { path, source }),
        };
        let parsed = serde_json::from_slice(&text);
        parsed.map(Some).map_err(|e| LayoutError::Malformed { path, why: e.to_string() })
    }

    fn write<T: Serialize>(&self, name: &str, value: &T) -> Result<(), LayoutError> {
        let path = self.root.join(name);
        let text = serde_json::to_string_pretty(value)
            .map_err(|e| LayoutError::Malformed { path: path.clone(), why: e.to_string() })?;
        self.write_text(name, &(text + "\n"))
    }

    fn write_text(&self, name: &str, text: &str) -> Result<(), LayoutError> {
        let path = self.root.join(name);
        durable::replace(&path, text.as_bytes()).map_err(|e| LayoutError::Io { path, source: std::io::Error::other(e) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opening_a_folder_without_a_cluster_says_what_to_do() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let error = ClusterDir::open(dir.path()).expect_err("no plan there");
        assert!(error.to_string().contains("mammoth up --dir"), "{error}");
    }

    #[test]
    fn running_cluster_is_written_read_and_cleared() {
        let temp = tempfile::tempdir().expect("temporary folder");
        let dir = ClusterDir::create(temp.path()).expect("made");
        let addrs = DaemonAddrs {
            http: "127.0.0.1:1".parse().expect("an address"),
            rpc: "127.0.0.1:2".parse().ok(),
            ..DaemonAddrs::loopback(0)
        };
        let daemon = RunningDaemon {
            name: "namenode".into(),
            pid: 7,
            pid_started: 8,
            addrs,
            data: dir.data("namenode"),
            log: dir.log("up"),
            args: vec![],
        };
        let running = Running { processes: false, supervisor: Some(7), daemons: vec![daemon] };
        dir.write_running(&running).expect("written");
        assert_eq!(dir.running().expect("read"), Some(running));
        dir.clear_running().expect("cleared");
        assert_eq!(dir.running().expect("read"), None);
    }
}
