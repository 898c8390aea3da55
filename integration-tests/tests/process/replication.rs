//! Datanodes go and return: files stay readable, the number of replicas is brought back to what is wanted.

use crate::harness::{Cluster, Options, Random, Stopwatch, bytes_of, poll};
use rustix::process::Signal;
use std::io::Read;
use std::process::Stdio;
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

/// The datanode that a reader has a connection to.
fn serving(cluster: &Cluster) -> Result<&'static str, String> {
    let table = std::fs::read_to_string("/proc/net/tcp").map_err(|e| e.to_string())?;
    let busy = |port: u16| {
        let suffix = format!(":{port:04X}");
        // Number, local address, remote address, state: 01 is an open connection.
        let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        rows.into_iter().any(|row| row.len() > 3 && row[1].ends_with(&suffix) && row[3] == "01")
    };
    let names = ["datanode-1", "datanode-2", "datanode-3"];
    let serving: Vec<_> = names.into_iter().filter(|name| busy(cluster.addr(name, "transfer").port())).collect();
    let [only] = serving[..] else { return Err(format!("{serving:?}")) };
    Ok(only)
}

fn gone_in_the_middle_of_a_read(signal: Signal) {
    const LEN: u64 = 48 << 20;
    let cluster = Cluster::start(Options::fast().blocks(64 << 20));
    let mut put = cluster.dfs_command(&["put", "-", "/a"]);
    let mut child = put.stdin(Stdio::piped()).spawn().expect("dfs starts");
    std::io::copy(&mut Random::new(14, LEN), &mut child.stdin.take().expect("a pipe")).expect("all is taken");
    assert!(child.wait().expect("ends").success());
    let mut cat = cluster.dfs_command(&["cat", "/a"]).stdout(Stdio::piped()).spawn().expect("dfs starts");
    let mut out = cat.stdout.take().expect("a pipe");
    let mut bytes = vec![0; 1 << 20];
    out.read_exact(&mut bytes).expect("the first bytes");
    // Far more is left than fits into sockets and buffers.
    let victim = poll("one datanode serves the reader", Duration::from_secs(10), || serving(&cluster));
    let watch = Stopwatch::start();
    cluster.signal(victim, signal);
    out.read_to_end(&mut bytes).expect("the rest");
    assert!(cat.wait().expect("ends").success());
    assert!(watch.elapsed() < Duration::from_secs(30), "{victim}: {:?}", watch.elapsed());
    assert!(bytes == bytes_of(14, usize::try_from(LEN).expect("fits")), "the bytes differ");
}

#[test]
fn a_reader_goes_on_elsewhere_when_its_datanode_is_killed() {
    gone_in_the_middle_of_a_read(Signal::KILL);
}

#[test]
fn a_reader_goes_on_elsewhere_when_its_datanode_freezes() {
    gone_in_the_middle_of_a_read(Signal::STOP);
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
