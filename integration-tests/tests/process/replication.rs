//! Datanodes go and return: files stay readable, the number of replicas is brought back to what is wanted.

use crate::harness::{Cluster, Options, bytes_of, poll};
use rustix::process::Signal;
use std::time::Duration;

/// Whether every block of a file has this many live replicas by the namenode's account.
fn replicas(cluster: &Cluster, path: &str, wanted: usize) -> Result<(), String> {
    let counts: Vec<usize> = cluster.blocks(path)?.iter().map(|block| block.ports.len()).collect();
    if counts.iter().all(|count| *count == wanted) { Ok(()) } else { Err(format!("{counts:?} replicas")) }
}

fn two_of_three_gone(signal: Signal) {
    let cluster = Cluster::start(Options::fast());
    let bytes = bytes_of(11, 4_000_000);
    cluster.put("/a", &bytes);
    for name in ["datanode-1", "datanode-3"] {
        cluster.signal(name, signal);
    }
    let run = cluster.dfs(&["cat", "/a"]).ok();
    assert!(run.out == bytes);
    assert!(run.took < Duration::from_secs(30), "{:?}", run.took);
    for name in ["datanode-1", "datanode-3"] {
        let _ = rustix::process::kill_process(cluster.pid(name), Signal::CONT);
    }
}

#[test]
fn every_file_reads_with_two_of_three_datanodes_killed() {
    two_of_three_gone(Signal::KILL);
}

#[test]
fn every_file_reads_with_two_of_three_datanodes_frozen() {
    two_of_three_gone(Signal::STOP);
}

fn node_leaves_and_returns(signal: Signal) {
    let cluster = Cluster::start(Options::fast().datanodes(4));
    let bytes = bytes_of(12, 6_000_000);
    cluster.put("/a", &bytes);
    cluster.signal("datanode-2", signal);
    poll("datanode-2 is missed", Duration::from_secs(30), || {
        let status = cluster.status()?;
        if status["health"]["dead"] == 1 { Ok(()) } else { Err(status["health"].to_string()) }
    });
    poll("three replicas again", Duration::from_secs(30), || replicas(&cluster, "/a", 3));
    if signal == Signal::STOP {
        cluster.signal("datanode-2", Signal::CONT);
    } else {
        cluster.restart("datanode-2").ok();
    }
    poll("datanode-2 is used again", Duration::from_secs(30), || {
        let status = cluster.status()?;
        if status["health"]["live"] == 4 { Ok(()) } else { Err(status["health"].to_string()) }
    });
    poll("what is too much goes", Duration::from_secs(30), || {
        let names = ["datanode-1", "datanode-2", "datanode-3", "datanode-4"];
        let count: usize = names.iter().map(|name| cluster.replicas(name).len()).sum();
        if count == 18 { Ok(()) } else { Err(format!("{count} replicas on disk for 6 blocks")) }
    });
    replicas(&cluster, "/a", 3).expect("exactly three of each");
    assert!(cluster.cat("/a") == bytes);
}

#[test]
fn a_dead_datanodes_blocks_are_copied_and_trimmed_when_it_returns() {
    node_leaves_and_returns(Signal::KILL);
}

#[test]
fn a_frozen_datanodes_blocks_are_copied_and_trimmed_when_it_returns() {
    node_leaves_and_returns(Signal::STOP);
}

#[test]
fn setrep_adds_and_removes_replicas() {
    let cluster = Cluster::start(Options::fast());
    cluster.put("/a", &bytes_of(13, 1_500_000));
    cluster.dfs(&["setrep", "-w", "1", "/a"]).ok();
    poll("one replica", Duration::from_secs(30), || replicas(&cluster, "/a", 1));
    let run = cluster.dfs(&["setrep", "-w", "3", "/a"]).ok();
    assert!(run.text().starts_with("Replication 3 set: /a\n"), "{}", run.text());
    poll("three replicas", Duration::from_secs(30), || replicas(&cluster, "/a", 3));
}
