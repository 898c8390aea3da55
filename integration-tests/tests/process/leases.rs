//! A client dies in the middle of a put: others can take the file over, and what it wrote is closed in order.

use crate::harness::{Cluster, Options, Random, bytes_of, poll};
use rustix::process::{Pid, Signal, kill_process};
use std::io::Read;
use std::process::{Child, Stdio};
use std::time::Duration;

/// Starts a put from a pipe, feeds it 3.5 blocks of 1 MiB, and kills or stops it.
fn broken_put(cluster: &Cluster, signal: Signal) -> Child {
    let mut command = cluster.dfs_command(&["put", "-d", "-", "/left"]);
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().expect("dfs starts");
    let mut pipe = child.stdin.take().expect("a pipe");
    std::io::copy(&mut Random::new(3, 3_500_000).by_ref(), &mut pipe).expect("the first blocks are taken");
    poll("four blocks are begun", Duration::from_secs(20), || {
        let count = cluster.blocks("/left")?.len();
        if count >= 4 { Ok(()) } else { Err(format!("{count} blocks")) }
    });
    kill_process(Pid::from_child(&child), signal).expect("the client runs");
    // Dropping the pipe of a killed client tells nobody anything.
    drop(pipe);
    child
}

/// A stopped client goes on, finds that it lost the file, and changes nothing of it; a killed one is gone.
fn ended(cluster: &Cluster, mut child: Child) {
    let before = cluster.cat("/left");
    kill_process(Pid::from_child(&child), Signal::CONT).expect("not collected yet, so it is there");
    let pid = Pid::from_child(&child);
    let status = poll("the client ends", Duration::from_secs(30), || match child.try_wait() {
        Ok(Some(status)) => Ok(status),
        other => Err(format!("{pid:?}: {other:?}")),
    });
    assert!(!status.success(), "it lost the file, so it must not claim success");
    assert!(cluster.cat("/left") == before, "it changed a file that was no longer its own");
}

fn overwritten(signal: Signal) {
    let cluster = Cluster::start(Options::fast());
    let child = broken_put(&cluster, signal);
    let bytes = bytes_of(4, 100_000);
    cluster.dfs_with(&["put", "-f", "-", "/left"], &bytes).ok();
    assert_eq!(cluster.cat("/left"), bytes);
    ended(&cluster, child);
}

#[test]
fn another_client_overwrites_what_a_killed_one_left() {
    overwritten(Signal::KILL);
}

#[test]
fn another_client_overwrites_what_a_frozen_one_holds() {
    overwritten(Signal::STOP);
}

fn appended(signal: Signal) {
    let cluster = Cluster::start(Options::fast());
    let child = broken_put(&cluster, signal);
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
    ended(&cluster, child);
}

#[test]
fn another_client_appends_to_what_a_killed_one_wrote() {
    appended(Signal::KILL);
}

#[test]
fn another_client_appends_to_what_a_frozen_one_wrote() {
    appended(Signal::STOP);
}

fn closed_by_the_namenode(signal: Signal) {
    let cluster = Cluster::start(Options::fast().set("dfs.namenode.lease-hard-limit-sec", "4"));
    let child = broken_put(&cluster, signal);
    poll("the file is closed", Duration::from_secs(30), || {
        let status = cluster.status()?;
        if status["health"]["open_files"] == 0 { Ok(()) } else { Err(status["health"].to_string()) }
    });
    let bytes = cluster.cat("/left");
    assert!(bytes.len() >= 3 * 1024 * 1024, "complete blocks are kept: {}", bytes.len());
    assert!(bytes[..] == bytes_of(3, 3_500_000)[..bytes.len()], "what is kept is what was written");
    ended(&cluster, child);
}

#[test]
fn the_namenode_closes_a_killed_clients_file_after_the_hard_limit() {
    closed_by_the_namenode(Signal::KILL);
}

#[test]
fn the_namenode_closes_a_frozen_clients_file_after_the_hard_limit() {
    closed_by_the_namenode(Signal::STOP);
}
