//! Hedged reads: a datanode that is stopped holds a reader up for about the threshold, not for the socket's timeout.

use crate::harness::{Cluster, Options, Stopwatch, bytes_of, run};
use rustix::process::Signal;
use std::process::Command;
use std::time::Duration;

/// The socket's timeout of these clients: a get that waits for it is told from one that does not.
const TIMEOUT: Duration = Duration::from_secs(40);

fn get(cluster: &Cluster, settings: &[&str], target: &str) -> Command {
    let timeout = format!("dfs.client.socket-timeout={}", TIMEOUT.as_millis());
    let mut args = vec!["-D", timeout.as_str()];
    args.extend(settings.iter().flat_map(|setting| ["-D", setting]));
    args.extend(["-get", "-f", "/a", target]);
    let mut command = cluster.dfs_command(&args);
    command.env("MAMMOTH_LOG", "info,mammoth_client=debug");
    command
}

#[test]
fn a_stopped_datanode_holds_a_get_up_for_the_threshold_only() {
    // The namenode goes on sending readers to datanodes that are silent.
    let options = Options::fast().set("dfs.namenode.heartbeat.recheck-interval", "600000");
    let cluster = Cluster::start(options.set("dfs.namenode.stale.datanode.interval", "600000"));
    let bytes = bytes_of(71, 3_000_000);
    cluster.put("/a", &bytes);
    let temp = tempfile::tempdir().expect("a folder");
    let target = temp.path().join("a").display().to_string();
    // Two of three replicas of each block give nothing; which of them are asked first is chance.
    for name in ["datanode-1", "datanode-2"] {
        cluster.signal(name, Signal::STOP);
    }
    let settings = ["dfs.client.hedged.read.threadpool.size=4", "dfs.client.hedged.read.threshold.millis=200"];
    let watch = Stopwatch::start();
    let mut asked_twice = false;
    // Again until a stopped one came first: with three orders of three, soon.
    for _ in 0..8 {
        let got = run(&mut get(&cluster, &settings, &target), b"", TIMEOUT * 3).ok();
        assert!(std::fs::read(&target).expect("got") == bytes);
        asked_twice |= got.err.contains("hedged_read_ops_win=1");
        if asked_twice {
            break;
        }
    }
    let took = watch.elapsed();
    for name in ["datanode-1", "datanode-2"] {
        cluster.signal(name, Signal::CONT);
    }
    assert!(asked_twice, "the first datanode was never one of the stopped ones");
    assert!(took < TIMEOUT / 2, "waited for a stopped datanode: {took:?}");
}
