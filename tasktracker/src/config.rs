//! Settings of a tasktracker as plain values, read once.

use crate::error::{Result, TasktrackerError};
use mammoth_platform::{Settings, keys, process};
use mammoth_protocol::jobs::Resources;
use mammoth_web::bind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Memory that is granted where the machine does not tell how much it has, MiB.
const MEMORY_UNKNOWN_MIB: u64 = 2048;

/// All that a tasktracker needs to know before it starts.
#[derive(Clone, Debug)]
pub struct TasktrackerConfig {
    /// Folder for programs, work, shuffle files and logs.
    pub dir: PathBuf,
    /// `host:port` of the jobtracker's internal door.
    pub jobtracker: String,
    /// Where the HTTP door listens; port 0 takes any.
    pub http: SocketAddr,
    /// Name under which others reach this host, where it is not the machine's own.
    pub host_name: Option<String>,
    /// Further names under which the HTTP door may be called.
    pub host_names: Vec<String>,
    /// What can be granted.
    pub capacity: Resources,
}

impl TasktrackerConfig {
    /// Reads the settings.
    ///
    /// # Errors
    /// A value that cannot be accepted; a host without address; an address that other machines can reach.
    pub fn from_settings(settings: &Settings) -> Result<Self> {
        let key = keys::MAPREDUCE_TASKTRACKER_HTTP_ADDRESS;
        let http = bind::resolve(key.name(), &bind::door_address(settings, key)?)?;
        let host_name = Some(settings.text(keys::MAPREDUCE_TASKTRACKER_HOST_NAME)?).filter(|name| !name.is_empty());
        let own = process::host_name();
        let host_names = bind::host_names(settings, &[own.as_str(), host_name.as_deref().unwrap_or_default()])?;
        let dirs = settings.dirs(keys::MAPREDUCE_CLUSTER_LOCAL_DIR)?;
        let dir = dirs.into_iter().next().map(|dir| dir.path).ok_or_else(|| TasktrackerError::Setting {
            reason: format!("{}: no folder", keys::MAPREDUCE_CLUSTER_LOCAL_DIR.name()),
        })?;
        let reports_to = settings.text(keys::MAMMOTH_TASKTRACKER_JOBTRACKER)?;
        let jobtracker = if reports_to.is_empty() {
            settings.addr(keys::MAMMOTH_JOBTRACKER_INTERNAL_ADDRESS)?.to_string()
        } else {
            reports_to
        };
        Ok(Self { dir, jobtracker, http, host_name, host_names, capacity: capacity(settings)? })
    }
}

/// What is granted: as the settings say, otherwise this tracker's share of the machine.
fn capacity(settings: &Settings) -> Result<Resources> {
    let trackers: u32 = settings.int(keys::MAMMOTH_TASKTRACKERS_ON_HOST)?;
    let cores: u32 = settings.int(keys::MAMMOTH_TASKTRACKER_CORES)?;
    let memory_mib: u32 = settings.int(keys::MAMMOTH_TASKTRACKER_MEMORY_MB)?;
    let all_cores = std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(1));
    let share = share_of_machine(trackers.max(1), all_cores, machine_memory_mib());
    Ok(Resources {
        cores: if cores == 0 { share.cores } else { cores },
        memory_mib: if memory_mib == 0 { share.memory_mib } else { memory_mib },
    })
}

/// One of `trackers` equal parts of all cores (one at least) and of three quarters of the memory.
fn share_of_machine(trackers: u32, cores: u32, memory_mib: u64) -> Resources {
    let memory = memory_mib / 4 * 3 / u64::from(trackers);
    Resources { cores: (cores / trackers).max(1), memory_mib: u32::try_from(memory).unwrap_or(u32::MAX).max(1) }
}

/// Memory of the machine, or of the control group that this process is held in if that has less.
fn machine_memory_mib() -> u64 {
    let number = |path: &str, field: &str| {
        let text = std::fs::read_to_string(Path::new(path)).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(field))?;
        line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()
    };
    let whole = number("/proc/meminfo", "MemTotal:").map(|kib| kib / 1024);
    let group = number("/sys/fs/cgroup/memory.max", "").map(|bytes| bytes >> 20);
    whole.into_iter().chain(group).min().unwrap_or(MEMORY_UNKNOWN_MIB)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[&str]) -> Result<TasktrackerConfig> {
        let pairs: Vec<String> = pairs.iter().map(|pair| (*pair).to_owned()).collect();
        TasktrackerConfig::from_settings(&Settings::load(None, &pairs).expect("no files"))
    }

    #[test]
    fn defaults_are_hadoops_on_loopback() {
        let config = config(&[]).expect("the defaults are good");
        assert_eq!(config.http.to_string(), "127.0.0.1:50060");
        assert_eq!(config.jobtracker, "127.0.0.1:8021");
        assert!(config.capacity.cores >= 1 && config.capacity.memory_mib >= 1);
        assert!(config.dir.is_absolute() && config.dir.ends_with("mapred/local"));
    }

    #[test]
    fn given_values_win_over_shares() {
        let config = config(&[
            "mapreduce.cluster.local.dir=/a,/b",
            "mammoth.tasktracker.jobtracker=127.0.0.1:7",
            "mammoth.tasktracker.cores=3",
            "mammoth.tasktracker.memory-mb=512",
            "mapreduce.tasktracker.host.name=node.example",
        ])
        .expect("good");
        assert_eq!((config.dir, config.jobtracker.as_str()), (PathBuf::from("/a"), "127.0.0.1:7"));
        assert_eq!(config.capacity, Resources { cores: 3, memory_mib: 512 });
        assert_eq!(config.host_name.as_deref(), Some("node.example"));
        assert!(config.host_names.contains(&"node.example".to_owned()));
    }

    #[test]
    fn shares_divide_the_machine_but_never_to_nothing() {
        assert_eq!(share_of_machine(3, 2, 24_000), Resources { cores: 1, memory_mib: 6000 });
        assert_eq!(share_of_machine(2, 9, 4), Resources { cores: 4, memory_mib: 1 });
        assert_eq!(share_of_machine(1, 8, u64::MAX).memory_mib, u32::MAX);
    }

    #[test]
    fn an_address_that_others_reach_is_refused_by_name() {
        let error = config(&["mapreduce.tasktracker.http.address=0.0.0.0:1"]).expect_err("unprotected").to_string();
        assert!(error.contains("mapreduce.tasktracker.http.address") && !error.contains('\n'), "{error}");
    }
}
