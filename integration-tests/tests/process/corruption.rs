//! Bytes go bad on disk: readers get the right ones from elsewhere, the bad replica is set aside, replaced, then deleted.

use crate::harness::{Cluster, Options, bytes_of, poll};
use rustix::process::Signal;
use std::fs::OpenOptions;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

const NAMES: [&str; 3] = ["datanode-1", "datanode-2", "datanode-3"];

/// What happens to a replica's files.
#[derive(Clone, Copy, Debug)]
enum Damage {
    DataBit,
    ChecksumBit,
    Truncated,
    NoChecksums,
}

fn meta_of(data: &Path) -> Option<PathBuf> {
    let name = data.file_name().and_then(|n| n.to_str()).expect("a block file");
    let folder = data.parent().expect("a folder");
    let entries = std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    let is_meta = |path: &PathBuf| {
        path.file_name()
            .and_then(|n| n.to_str())
            .is_some_and(|n| n.starts_with(&format!("{name}_")) && n.ends_with(".meta"))
    };
    entries.into_iter().find(is_meta)
}

pub(crate) fn flip(path: &Path, at: u64) {
    let mut file = OpenOptions::new().read(true).write(true).open(path).expect("opens");
    let mut byte = [0];
    file.seek(SeekFrom::Start(at)).expect("seeks");
    file.read_exact(&mut byte).expect("reads");
    byte[0] ^= 0x10;
    file.seek(SeekFrom::Start(at)).expect("seeks");
    file.write_all(&byte).expect("writes");
}

fn damage(data: &Path, kind: Damage) {
    match kind {
        Damage::DataBit => flip(data, 700_001),
        Damage::ChecksumBit => flip(&meta_of(data).expect("checksums"), 7 + 4 * 100),
        Damage::Truncated => {
            OpenOptions::new().write(true).open(data).and_then(|f| f.set_len(500_000)).expect("cuts");
        }
        Damage::NoChecksums => std::fs::remove_file(meta_of(data).expect("checksums")).expect("removes"),
    }
}

/// The finalized replica of the only block on a datanode.
pub(crate) fn replica(cluster: &Cluster, name: &str) -> PathBuf {
    let all = cluster.replicas(name);
    let good: Vec<_> = all.iter().filter(|path| path.to_string_lossy().contains("/finalized/")).collect();
    assert_eq!(good.len(), 1, "{name}: {all:?}");
    good[0].clone()
}

/// Data and checksums of a replica; nothing where there is none.
fn files_of(data: &Path) -> (Vec<u8>, Vec<u8>) {
    let read = |path: Option<PathBuf>| path.and_then(|path| std::fs::read(path).ok()).unwrap_or_default();
    (read(Some(data.to_owned())), read(meta_of(data)))
}

fn good_replica(cluster: &Cluster, name: &str, bytes: &[u8]) -> Result<(), String> {
    let all = cluster.replicas(name);
    let [only] = all.as_slice() else { return Err(format!("{name}: {all:?}")) };
    let same = std::fs::read(only).map_err(|e| e.to_string())? == bytes;
    if same && only.to_string_lossy().contains("/finalized/") { Ok(()) } else { Err(format!("{name}: {all:?}")) }
}

/// With three datanodes the only place for a new copy is the node of the bad one.
fn one_bad_replica(kind: Damage) {
    let cluster = Cluster::start(Options::fast().blocks(1 << 20));
    let bytes = bytes_of(21, 1_000_000);
    cluster.put("/a", &bytes);
    // The one that readers are sent to first.
    let before = replica(&cluster, holders(&cluster)[0]);
    damage(&before, kind);
    let damaged = files_of(&before);
    poll("every read is right, and the bad replica is replaced", Duration::from_secs(40), || {
        let run = cluster.dfs(&["cat", "/a"]);
        assert_eq!(run.code, 0, "{kind:?}: {}", run.err);
        assert!(run.out == bytes, "{kind:?}: wrong bytes were served");
        NAMES.iter().try_for_each(|name| good_replica(&cluster, name, &bytes))?;
        if files_of(&before) == damaged { Err("the damaged files are still there".to_owned()) } else { Ok(()) }
    });
    poll("nothing bad is left", Duration::from_secs(30), || {
        let health = cluster.status()?["health"].clone();
        if health["corrupt_replicas"] == 0 && health["under_replicated"] == 0 {
            Ok(())
        } else {
            Err(health.to_string())
        }
    });
}

/// Readers ask the namenode once more when every replica failed them, not three times with pauses.
fn impatient() -> Options {
    Options::fast().blocks(1 << 20).set("dfs.client.max.block.acquire.failures", "1")
}

/// The datanodes of `/a`'s only block, in the order in which readers are sent to them.
pub(crate) fn holders(cluster: &Cluster) -> Vec<&'static str> {
    // The file is closed with one of them; the others tell a moment later.
    let ports = poll("three replicas", Duration::from_secs(10), || {
        let ports = cluster.blocks("/a")?[0].ports.clone();
        if ports.len() == NAMES.len() { Ok(ports) } else { Err(format!("{ports:?}")) }
    });
    let name_of = |port: &u64| NAMES.into_iter().find(|name| u64::from(cluster.addr(name, "transfer").port()) == *port);
    ports.iter().map(|port| name_of(port).expect("one of the three")).collect()
}

/// All three replicas are good and nothing is reported.
pub(crate) fn all_is_repaired(cluster: &Cluster, bytes: &[u8]) {
    poll("three good replicas, and nothing bad is left", Duration::from_secs(30), || {
        NAMES.iter().try_for_each(|name| good_replica(cluster, name, bytes))?;
        let health = cluster.status()?["health"].clone();
        let well = health["corrupt_replicas"] == 0 && health["under_replicated"] == 0 && health["live"] == 3;
        if well { Ok(()) } else { Err(health.to_string()) }
    });
}

/// The first replica is bad, the second one's node does not answer: the third serves, and when the node is back all is mended.
fn one_bad_and_one_frozen(kind: Damage) {
    let cluster = Cluster::start(Options::fast().blocks(1 << 20));
    let bytes = bytes_of(23, 1_000_000);
    cluster.put("/a", &bytes);
    let holders = holders(&cluster);
    let before = replica(&cluster, holders[0]);
    cluster.signal(holders[1], Signal::STOP);
    damage(&before, kind);
    let run = cluster.dfs(&["cat", "/a"]).ok();
    assert!(run.out == bytes, "{kind:?}: wrong bytes were served");
    assert!(run.took < Duration::from_secs(30), "{kind:?}: {:?}", run.took);
    poll("the bad replica is reported", Duration::from_secs(30), || {
        assert!(cluster.cat("/a") == bytes, "{kind:?}: wrong bytes were served");
        let health = cluster.status()?["health"].clone();
        let known = health["corrupt_replicas"] == 1 || good_replica(&cluster, holders[0], &bytes).is_ok();
        if known { Ok(()) } else { Err(health.to_string()) }
    });
    cluster.signal(holders[1], Signal::CONT);
    all_is_repaired(&cluster, &bytes);
    assert!(cluster.cat("/a") == bytes);
}

#[test]
fn bad_replicas_while_another_node_is_frozen() {
    // Each of them mostly waits.
    std::thread::scope(|scope| {
        for kind in [Damage::DataBit, Damage::ChecksumBit, Damage::Truncated, Damage::NoChecksums] {
            scope.spawn(move || one_bad_and_one_frozen(kind));
        }
    });
}

#[test]
fn with_the_only_good_replica_frozen_nothing_is_deleted() {
    let cluster = Cluster::start(impatient());
    let bytes = bytes_of(24, 1_000_000);
    cluster.put("/a", &bytes);
    let holders = holders(&cluster);
    cluster.signal(holders[2], Signal::STOP);
    for name in &holders[..2] {
        damage(&replica(&cluster, name), Damage::DataBit);
    }
    let run = cluster.dfs(&["cat", "/a"]);
    assert_eq!(run.code, 1);
    assert!(run.took < Duration::from_secs(30), "{:?}", run.took);
    assert!(run.err.contains("/a") && run.err.contains("blk_"), "{}", run.err);
    assert_eq!(run.err.lines().count(), 1, "{}", run.err);
    poll("the frozen one is missed", Duration::from_secs(30), || {
        let health = cluster.status()?["health"].clone();
        let known = health["dead"] == 1 && health["stats"]["missing_blocks"] == 1;
        if known { Ok(()) } else { Err(health.to_string()) }
    });
    for name in NAMES {
        assert_eq!(cluster.replicas(name).len(), 1, "{name}");
    }
    cluster.signal(holders[2], Signal::CONT);
    all_is_repaired(&cluster, &bytes);
    assert!(cluster.cat("/a") == bytes);
}

#[test]
fn a_flipped_data_bit() {
    one_bad_replica(Damage::DataBit);
}

#[test]
fn a_flipped_checksum_bit() {
    one_bad_replica(Damage::ChecksumBit);
}

#[test]
fn a_truncated_replica() {
    one_bad_replica(Damage::Truncated);
}

#[test]
fn a_missing_checksum_file() {
    one_bad_replica(Damage::NoChecksums);
}

#[test]
fn with_all_three_bad_there_is_a_clear_error_and_nothing_is_deleted() {
    let cluster = Cluster::start(impatient());
    cluster.put("/a", &bytes_of(22, 1_000_000));
    for name in NAMES {
        damage(&replica(&cluster, name), Damage::DataBit);
    }
    let run = cluster.dfs(&["cat", "/a"]);
    assert_eq!(run.code, 1);
    assert!(run.err.contains("/a") && run.err.contains("blk_"), "{}", run.err);
    assert_eq!(run.err.lines().count(), 1, "{}", run.err);
    poll("the namenode knows", Duration::from_secs(30), || {
        let health = cluster.status()?["health"].clone();
        if health["stats"]["missing_blocks"] == 1 { Ok(()) } else { Err(health.to_string()) }
    });
    // Several heartbeats and repair rounds later the bytes are still there: a person may want what can be saved.
    let beats = cluster.json("namenode", "/api/v1/status").expect("status")["health"].clone();
    cluster.dfs(&["cat", "/a"]);
    cluster.dfs(&["cat", "/a"]);
    for name in NAMES {
        assert_eq!(cluster.replicas(name).len(), 1, "{name}: {beats}");
    }
}
