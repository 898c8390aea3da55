//! Bytes go bad on disk: readers get the right ones from elsewhere, the bad replica is set aside, replaced, then deleted.

use crate::harness::{Cluster, Options, bytes_of, poll};
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

fn flip(path: &Path, at: u64) {
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
fn replica(cluster: &Cluster, name: &str) -> PathBuf {
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
    let first = cluster.blocks("/a").expect("its block")[0].ports[0];
    let victim = NAMES.into_iter().find(|name| u64::from(cluster.addr(name, "transfer").port()) == first);
    let before = replica(&cluster, victim.expect("one of the three"));
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
    let cluster = Cluster::start(Options::fast().blocks(1 << 20));
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
