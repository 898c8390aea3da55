//! A client dies in the middle of a put: others can take the file over, and what it wrote is closed in order.

use crate::harness::{Cluster, Options, Random, bytes_of, poll};
use std::io::Read;
use std::process::Stdio;
use std::time::Duration;

/// A put that dies after 3.5 blocks of 1 MiB.
fn killed_put(cluster: &Cluster) {
    let mut child = broken_put(cluster, rustix::process::Signal::KILL);
    child.wait().expect("the client is gone");
}

/// Starts a put from a pipe, feeds it 3.5 blocks of 1 MiB, and kills or stops it.
fn broken_put(cluster: &Cluster, signal: rustix::process::Signal) -> std::process::Child {
    let mut command = cluster.dfs_command(&["put", "-d", "-", "/left"]);
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().expect("dfs starts");
    let mut pipe = child.stdin.take().expect("a pipe");
    std::io::copy(&mut Random::new(3, 3_500_000).by_ref(), &mut pipe).expect("the first blocks are taken");
    poll("four blocks are begun", Duration::from_secs(20), || {
        let count = cluster.blocks("/left")?.len();
        if count >= 4 { Ok(()) } else { Err(format!("{count} blocks")) }
    });
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), signal).expect("the client runs");
    // Dropping the pipe of a killed client tells nobody anything.
    drop(pipe);
    child
}

#[test]
fn another_client_overwrites_after_the_soft_limit() {
    let cluster = Cluster::start(Options::fast());
    killed_put(&cluster);
    let bytes = bytes_of(4, 100_000);
    cluster.dfs_with(&["put", "-f", "-", "/left"], &bytes).ok();
    assert_eq!(cluster.cat("/left"), bytes);
}

#[test]
fn another_client_appends_after_the_soft_limit_and_finds_what_was_written() {
    let cluster = Cluster::start(Options::fast());
    killed_put(&cluster);
    poll("the file can be appended to", Duration::from_secs(30), || {
        let run = cluster.dfs_with(&["appendToFile", "-", "/left"], b"the end");
        if run.code == 0 { Ok(()) } else { Err(run.err) }
    });
    let bytes = cluster.cat("/left");
    let written = bytes_of(3, 3_500_000);
    let kept = bytes.len() - "the end".len();
    assert!(kept >= 3 * 1024 * 1024, "complete blocks are kept: {kept}");
    assert_eq!(bytes[kept..], *b"the end");
    assert!(bytes[..kept] == written[..kept], "what is kept is what was written");
}

#[test]
fn the_namenode_closes_the_file_after_the_hard_limit() {
    let cluster = Cluster::start(Options::fast().set("dfs.namenode.lease-hard-limit-sec", "4"));
    killed_put(&cluster);
    poll("the file is closed", Duration::from_secs(30), || {
        let status = cluster.status()?;
        if status["health"]["open_files"] == 0 { Ok(()) } else { Err(status["health"].to_string()) }
    });
    let bytes = cluster.cat("/left");
    assert!(bytes.len() >= 3 * 1024 * 1024, "complete blocks are kept: {}", bytes.len());
    assert!(bytes[..] == bytes_of(3, 3_500_000)[..bytes.len()], "what is kept is what was written");
}

#[test]
fn a_frozen_client_loses_its_lease_and_says_so() {
    let cluster = Cluster::start(Options::fast());
    let mut child = broken_put(&cluster, rustix::process::Signal::STOP);
    let bytes = bytes_of(4, 100_000);
    poll("the file can be taken over", Duration::from_secs(30), || {
        let run = cluster.dfs_with(&["put", "-f", "-", "/left"], &bytes);
        if run.code == 0 { Ok(()) } else { Err(run.err) }
    });
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::CONT).expect("the client is still there");
    let status = child.wait().expect("the client ends");
    assert!(!status.success(), "it lost the file, so it must not claim success");
    assert_eq!(cluster.cat("/left"), bytes);
}
