//! Disks that fill: what does not fit is refused in one line and leaves nothing, what was acknowledged stays, and everybody
//! lives on.

use crate::harness::{Cluster, Options, Random, alive, bytes_of, poll};
use mammoth_client::{ClientConfig, ClientError, DfsClient};
use mammoth_protocol::DfsPath;
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::io::Read;
use std::process::Stdio;
use std::time::Duration;

const NAMES: [&str; 3] = ["datanode-1", "datanode-2", "datanode-3"];
const ALL: [&str; 4] = ["namenode", "datanode-1", "datanode-2", "datanode-3"];
const MIB: u64 = 1 << 20;

/// A cluster with small disks; where this machine allows none, says so loudly, as the test then proves nothing.
fn cluster(options: Options) -> Option<Cluster> {
    match Cluster::start_on_disks(options) {
        Ok(cluster) => Some(cluster),
        Err(reason) => {
            // Not `eprintln`, which a passing test keeps to itself.
            let line = format!("\nSKIPPED, no small file system can be mounted here: {reason}\n\n");
            let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
            None
        }
    }
}

/// Which processes the daemons are: they must stay the same ones.
fn pids(cluster: &Cluster) -> Vec<i32> {
    ALL.iter().map(|name| cluster.pid(name).as_raw_nonzero().get()).collect()
}

/// All daemons live in the same processes, their disks are in service and nobody panicked.
#[track_caller]
fn all_well(cluster: &Cluster, pids_before: &[i32]) {
    assert_eq!(pids(cluster), pids_before);
    for name in ALL {
        rustix::process::test_kill_process(cluster.pid(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        let log = cluster.log(name);
        for word in ["panicked", "volume failed"] {
            assert!(!log.contains(word), "{name}: `{word}` in its log");
        }
    }
    poll("three datanodes are in service", Duration::from_secs(10), || {
        let health = cluster.status()?["health"].clone();
        if health["live"] == 3 { Ok(()) } else { Err(health.to_string()) }
    });
}

/// So many replicas are on every datanode, in whatever state.
fn replicas_are(cluster: &Cluster, wanted: usize) {
    poll(&format!("{wanted} replicas on every datanode"), Duration::from_secs(30), || {
        let counts: Vec<usize> = NAMES.iter().map(|name| cluster.replicas(name).len()).collect();
        if counts == [wanted; 3] { Ok(()) } else { Err(format!("{counts:?}")) }
    });
}

/// One line that names the file and says that there is no room.
#[track_caller]
fn complains_of_room(err: &str, path: &str) {
    assert_eq!(err.lines().count(), 1, "{err}");
    assert!(err.starts_with("put: ") && err.contains(path), "{err}");
    let says = ["no space", "No space", "room", "space left", "could only be written to 0"];
    assert!(says.iter().any(|words| err.contains(words)), "{err}");
}

/// Somebody who stores something small succeeds as soon as the room that a failed put took is free again.
fn a_small_put_succeeds(cluster: &Cluster) {
    let bytes = bytes_of(31, 700_000);
    poll("a small put succeeds", Duration::from_secs(20), || {
        let run = cluster.dfs_with(&["put", "-", "/small"], &bytes);
        if run.code == 0 { Ok(()) } else { Err(run.err) }
    });
    assert!(cluster.cat("/small") == bytes);
}

#[test]
fn a_put_larger_than_the_disks_leaves_nothing() {
    let Some(cluster) = cluster(Options::fast().disks(&NAMES, 12)) else { return };
    let before = pids(&cluster);
    let kept = bytes_of(30, 1_500_000);
    cluster.put("/kept", &kept);
    let run = cluster.dfs_with(&["put", "-", "/big"], &bytes_of(32, 30_000_000));
    assert_eq!(run.code, 1, "{}", run.err);
    complains_of_room(&run.err, "/big");
    let listing = cluster.dfs(&["ls", "-R", "/"]).ok().text();
    assert_eq!(listing.lines().count(), 1, "only /kept is there: {listing}");
    replicas_are(&cluster, 2);
    a_small_put_succeeds(&cluster);
    assert!(cluster.cat("/kept") == kept);
    all_well(&cluster, &before);
}

/// A put whose disks are filled by somebody else in the middle of a block that had been promised its room.
fn filled_in_the_middle(cluster: &Cluster, full: &[&str]) -> (std::process::Output, Duration) {
    let mut put = cluster.dfs_command(&["put", "-", "/big"]);
    let mut child = put.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("dfs starts");
    let mut pipe = child.stdin.take().expect("a pipe");
    let mut source = Random::new(33, 6 * MIB);
    std::io::copy(&mut source.by_ref().take(2 * MIB), &mut pipe).expect("the first part is taken");
    poll("the block is being written", Duration::from_secs(20), || {
        let lens: Vec<u64> = NAMES.iter().map(|name| written(cluster, name)).collect();
        if lens.iter().all(|len| *len >= MIB) { Ok(()) } else { Err(format!("{lens:?}")) }
    });
    for name in full {
        cluster.fill(name, 0);
    }
    let watch = crate::harness::Stopwatch::start();
    // A put that fails breaks the pipe.
    let _ = std::io::copy(&mut source, &mut pipe);
    drop(pipe);
    let output = child.wait_with_output().expect("dfs ends");
    (output, watch.elapsed())
}

fn written(cluster: &Cluster, name: &str) -> u64 {
    let lens = cluster.replicas(name).into_iter().filter_map(|path| std::fs::metadata(path).ok());
    lens.map(|meta| meta.len()).sum()
}

#[test]
fn disks_that_fill_in_the_middle_of_a_block_fail_the_put_and_nothing_else() {
    let Some(cluster) = cluster(Options::fast().blocks(8 * MIB).disks(&NAMES, 24)) else { return };
    let before = pids(&cluster);
    let (output, took) = filled_in_the_middle(&cluster, &NAMES);
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(took < Duration::from_secs(30), "{took:?}");
    assert_eq!(err.lines().count(), 1, "{err}");
    assert!(err.starts_with("put: ") && err.contains("/big"), "{err}");
    assert_eq!(cluster.dfs(&["ls", "-R", "/"]).ok().text(), "", "the failed put left something");
    replicas_are(&cluster, 0);
    all_well(&cluster, &before);
    for name in NAMES {
        cluster.make_room(name);
    }
    a_small_put_succeeds(&cluster);
}

#[test]
fn one_disk_that_fills_in_the_middle_of_a_block_costs_only_its_replica() {
    let Some(cluster) = cluster(Options::fast().blocks(8 * MIB).disks(&NAMES, 24)) else { return };
    let kept = bytes_of(35, 500_000);
    cluster.put("/kept", &kept);
    let (output, took) = filled_in_the_middle(&cluster, &["datanode-2"]);
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{err}");
    assert!(took < Duration::from_secs(30), "{took:?}");
    assert!(cluster.cat("/big") == bytes_of(33, 6 << 20));
    // It also starts on a full disk, and serves what it has. What the failed replica took is somebody else's by then.
    cluster.make_room("datanode-2");
    cluster.fill("datanode-2", 0);
    cluster.restart("datanode-2").ok();
    let before = pids(&cluster);
    for name in ["datanode-1", "datanode-3"] {
        cluster.signal(name, Signal::STOP);
    }
    assert!(cluster.cat("/kept") == kept);
    for name in ["datanode-1", "datanode-3"] {
        cluster.signal(name, Signal::CONT);
    }
    cluster.make_room("datanode-2");
    poll("the third replica is made when there is room", Duration::from_secs(30), || {
        let ports = cluster.blocks("/big")?[0].ports.len();
        if ports == 3 { Ok(()) } else { Err(format!("{ports} replicas")) }
    });
    replicas_are(&cluster, 2);
    all_well(&cluster, &before);
}

/// Makes folders with long names until told no; gives back the names that were acknowledged.
fn folders_until_refused(client: &DfsClient, number: usize) -> (Vec<String>, ClientError) {
    let mut made = Vec::new();
    for step in 0.. {
        let name = format!("{number}-{step}-{}", "x".repeat(180));
        match client.mkdirs(&DfsPath::parse(&format!("/{name}")).expect("a path"), None, true) {
            Ok(_) => made.push(name),
            Err(error) => return (made, error),
        }
    }
    unreachable!("a disk is full one day")
}

/// A client that gives up soon, as nobody will come back.
fn client(cluster: &Cluster) -> DfsClient {
    let mut config = ClientConfig::for_uri(&cluster.fs()).expect("a configuration");
    config.reconnect_budget = Duration::from_secs(1);
    DfsClient::connect(config).expect("a client")
}

fn namenode_gone(cluster: &Cluster) {
    let pid = cluster.pid("namenode");
    poll("the namenode closes its doors and ends", Duration::from_secs(20), || {
        if alive(pid) { Err("alive".to_owned()) } else { Ok(()) }
    });
}

/// Fills the namenode's disk under a storm of creations, `left` bytes from its end. What was acknowledged must be there when
/// there is room again; what was refused may be.
fn namenodes_disk_fills(options: Options, left: u64) {
    const CLIENTS: usize = 4;
    let Some(cluster) = cluster(options.disks(&["namenode"], 24)) else { return };
    let kept = bytes_of(34, 300_000);
    cluster.put("/kept", &kept);
    let results: Vec<_> = std::thread::scope(|scope| {
        let cluster = &cluster;
        let storms: Vec<_> =
            (0..CLIENTS).map(|n| scope.spawn(move || folders_until_refused(&client(cluster), n))).collect();
        poll("the storm has begun", Duration::from_secs(20), || {
            let files = cluster.status()?["health"]["stats"].clone();
            let count = cluster.dfs(&["ls", "/"]).ok().text().lines().count();
            if count > 50 { Ok(()) } else { Err(format!("{count} names, {files}")) }
        });
        cluster.fill("namenode", left);
        storms.into_iter().map(|storm| storm.join().expect("a storm ends well")).collect()
    });
    namenode_gone(&cluster);
    let log = cluster.log("namenode");
    assert!(!log.contains("panicked"), "{log}");
    let last = log.lines().last().unwrap_or_default();
    assert!(last.contains("No space left on device"), "{log}");
    // With not one byte left it may or may not start; it must not harm what is there, nor panic.
    let early = cluster.restart("namenode");
    assert!(early.code == 0 || early.err.contains("No space left on device"), "{}", early.err);
    cluster.make_room("namenode");
    cluster.restart("namenode").ok();
    let client = client(&cluster);
    let listed = client.list_all(&DfsPath::parse("/").expect("a path")).expect("a listing");
    let listed: BTreeSet<&str> = listed.iter().map(|status| status.name()).collect();
    for (made, _) in &results {
        for name in made {
            assert!(listed.contains(name.as_str()), "{name} was acknowledged");
        }
    }
    let acknowledged: usize = results.iter().map(|(made, _)| made.len()).sum();
    assert!(acknowledged > 50 && listed.len() <= acknowledged + 1 + CLIENTS, "{acknowledged}, {}", listed.len());
    assert!(!cluster.log("namenode").contains("panicked"), "{}", cluster.log("namenode"));
    poll("the cluster works again", Duration::from_secs(30), || {
        let run = cluster.dfs(&["cat", "/kept"]);
        if run.out == kept { Ok(()) } else { Err(run.err) }
    });
    cluster.put("/more", &kept);
}

#[test]
fn a_full_edit_log_disk_loses_nothing_that_was_acknowledged() {
    namenodes_disk_fills(Options::fast(), 0);
}

#[test]
fn a_disk_that_fills_during_checkpoints_loses_nothing_that_was_acknowledged() {
    // A checkpoint whenever anything is new, and some room left, so that either of the two may meet the end.
    let options = Options::fast().set("mammoth.journal.checkpoint-interval", "50ms");
    namenodes_disk_fills(options, 600_000);
}
