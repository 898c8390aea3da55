//! A datanode with two volumes: replicas spread over both; one that fails is given up, its replicas come back on the other,
//! and a restart reads no data.

use crate::harness::{Cluster, Options, alive, bytes_of, files_below, poll, program};
use rustix::process::{Pid, Signal};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A datanode of our own beside a cluster's, with folders `a` and `b`.
struct TwoVolumes {
    dir: tempfile::TempDir,
    child: Child,
}

impl TwoVolumes {
    fn start(cluster: &Cluster, dir: tempfile::TempDir, tolerated: u8) -> Self {
        let folders = format!("{},{}", dir.path().join("a").display(), dir.path().join("b").display());
        let mut command = Command::new(program("datanode"));
        for pair in [
            format!("mammoth.namenode.internal-address={}", cluster.addr("namenode", "internal")),
            format!("dfs.datanode.data.dir={folders}"),
            format!("dfs.datanode.failed.volumes.tolerated={tolerated}"),
            "dfs.datanode.address=127.0.0.1:0".to_owned(),
            "dfs.datanode.http.address=127.0.0.1:0".to_owned(),
            "dfs.datanode.ipc.address=127.0.0.1:0".to_owned(),
            "dfs.heartbeat.interval=200ms".to_owned(),
        ] {
            command.args(["-D", &pair]);
        }
        let log = std::fs::File::options().create(true).append(true).open(dir.path().join("log")).expect("a log");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        Self { child: command.spawn().expect("the datanode starts"), dir }
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("a pid")).expect("not zero")
    }

    /// Complete replicas on a volume.
    fn replicas(&self, name: &str) -> usize {
        finalized(&self.folder(name)).len()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder("log")).expect("a log")
    }

    /// Ends it in order and keeps its folder.
    fn stop(mut self) -> tempfile::TempDir {
        rustix::process::kill_process(self.pid(), Signal::TERM).expect("told to end");
        assert!(self.child.wait().expect("ends").success(), "{}", self.log());
        std::mem::replace(&mut self.dir, tempfile::tempdir().expect("another folder"))
    }
}

impl Drop for TwoVolumes {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn finalized(folder: &Path) -> Vec<PathBuf> {
    let is_replica = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("blk_") && !name.ends_with(".meta") && path.iter().any(|part| part == "finalized")
    };
    files_below(folder).into_iter().filter(is_replica).collect()
}

fn live(cluster: &Cluster, wanted: u64) {
    poll(&format!("{wanted} datanodes are live"), Duration::from_secs(30), || {
        let status = cluster.status()?;
        let ready = status["datanodes"].as_array().is_some_and(|all| all.iter().all(|node| node["reported"] == true));
        let health = &status["health"];
        if health["live"] == wanted && ready { Ok(()) } else { Err(health.to_string()) }
    });
}

fn fresh() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("mammoth-volumes-").tempdir().expect("a folder")
}

/// Bytes that a process has asked the system to read so far.
fn bytes_read(pid: Pid) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{}/io", pid.as_raw_nonzero())).expect("its figures");
    let line = text.lines().find_map(|line| line.strip_prefix("rchar: ")).expect("a figure");
    line.parse().expect("a number")
}

#[test]
fn a_volume_that_fails_is_given_up_and_its_replicas_come_back_elsewhere() {
    let cluster = Cluster::start(Options::fast().datanodes(2));
    let node = TwoVolumes::start(&cluster, fresh(), 1);
    live(&cluster, 3);
    let bytes = bytes_of(70, 12 << 20);
    cluster.put("/a", &bytes);
    poll("all replicas are there", Duration::from_secs(20), || {
        let counts = (node.replicas("a"), node.replicas("b"));
        if counts.0 + counts.1 == 12 { Ok(()) } else { Err(format!("{counts:?}")) }
    });
    let (first, second) = (node.replicas("a"), node.replicas("b"));
    assert!(first >= 1 && second >= 1, "{first} and {second} replicas");

    // The disk of the first goes away.
    mammoth_platform::durable::rename_unsynced(&node.folder("a"), &node.folder("gone")).expect("moved away");
    std::fs::write(node.folder("a"), b"no folder").expect("a file in its place");
    let small = bytes_of(71, 6 << 20);
    cluster.put("/b", &small);
    poll("the lost replicas are on the other volume", Duration::from_secs(60), || {
        let run = cluster.status()?;
        let health = &run["health"];
        let whole = health["under_replicated"] == 0 && node.replicas("b") == 18;
        if whole { Ok(()) } else { Err(format!("{} replicas; {health}", node.replicas("b"))) }
    });
    assert!(alive(node.pid()), "one failure is tolerated");
    assert!(node.log().contains("volume failed"), "{}", node.log());
    assert!(cluster.cat("/a") == bytes && cluster.cat("/b") == small);
    let status = cluster.status().expect("the namenode answers");
    let failed =
        status["datanodes"].as_array().expect("a list").iter().filter(|node| node["failed_volumes"] == 1).count();
    assert_eq!(failed, 1, "{status}");

    // It comes up without that volume, if it may.
    let dir = node.stop();
    let mut refused = TwoVolumes::start(&cluster, dir, 0);
    assert!(!refused.child.wait().expect("ends").success(), "no failure is tolerated");
    assert!(refused.log().contains("/a"), "{}", refused.log());
    let dir = std::mem::replace(&mut refused.dir, fresh());
    std::fs::write(refused.folder("log"), b"").expect("a log");
    let node = TwoVolumes::start(&cluster, dir, 1);
    live(&cluster, 3);
    poll("all replicas are known", Duration::from_secs(30), || {
        let health = cluster.status()?["health"].clone();
        if health["under_replicated"] == 0 { Ok(()) } else { Err(health.to_string()) }
    });
    assert_eq!(node.replicas("b"), 18);
}

#[test]
fn a_restart_reads_no_data() {
    let cluster = Cluster::start(Options::fast().datanodes(1).set("dfs.replication", "2"));
    let node = TwoVolumes::start(&cluster, fresh(), 0);
    live(&cluster, 2);
    let bytes = bytes_of(72, 32 << 20);
    cluster.put("/a", &bytes);
    poll("all replicas are there", Duration::from_secs(20), || {
        let count = node.replicas("a") + node.replicas("b");
        if count == 32 { Ok(()) } else { Err(count.to_string()) }
    });
    let dir = node.stop();
    let node = TwoVolumes::start(&cluster, dir, 0);
    live(&cluster, 2);
    poll("all replicas are known", Duration::from_secs(30), || {
        let status = cluster.status()?;
        let nodes = status["datanodes"].as_array().cloned().unwrap_or_default();
        let all = nodes.iter().all(|node| node["blocks"] == 32 && node["live"] == true);
        if all { Ok(()) } else { Err(status["datanodes"].to_string()) }
    });
    let read = bytes_read(node.pid());
    assert!(read < 4 << 20, "{read} bytes were read to start with 32 MiB of data");
}
