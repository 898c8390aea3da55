//! What a restart makes of files that a crash left.

use crate::store::Store;
use crate::store::testing::{block, bytes, create, finished, identity, open, open_dirs, read, rules, send};
use mammoth_platform::durable;
use mammoth_protocol::internal::ReplicaState;
use mammoth_protocol::{Block, GenStamp};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn pool(dir: &Path) -> PathBuf {
    dir.join("current").join(identity().pool_id)
}

fn rbw(dir: &Path, name: &str) -> PathBuf {
    pool(dir).join("current/rbw").join(name)
}

fn finalized(dir: &Path, name: &str) -> PathBuf {
    pool(dir).join("current/finalized/subdir0/subdir0").join(name)
}

/// As if the machine had been booted since.
fn forget_boot(dir: &Path) {
    let path = dir.join("current/state.json");
    let text = fs::read_to_string(&path).unwrap();
    let mut state: serde_json::Value = serde_json::from_str(&text).unwrap();
    state["boot_id"] = "another boot".into();
    fs::write(&path, state.to_string()).unwrap();
}

fn only(store: &Arc<Store>) -> Option<(u64, u64, ReplicaState)> {
    let (list, _) = store.list(store.usage()[0].storage, None, 10);
    list.first().map(|r| (r.block.stamp.0, r.block.len, r.state))
}

#[test]
fn an_unfinished_replica_keeps_every_byte_that_its_checksums_cover() {
    let dir = tempfile::tempdir().unwrap();
    let full = bytes(0, 1300);
    let store = open(dir.path());
    let mut writer = create(&store, block(1, 1001), false).unwrap();
    send(&mut writer, 0, &full, 300).unwrap();
    drop((writer, store));
    let (data, meta) = (rbw(dir.path(), "blk_1"), rbw(dir.path(), "blk_1_1001.meta"));
    let (whole_data, whole_meta) = (fs::read(&data).unwrap(), fs::read(&meta).unwrap());
    // The data ends at every byte of its last two chunks; the checksums are whole: the last one fits no shorter chunk.
    for len in (512..=1300).rev() {
        fs::write(&data, &whole_data[..len]).unwrap();
        fs::write(&meta, &whole_meta).unwrap();
        let expected = if len == 1300 { 1300 } else { len as u64 / 512 * 512 };
        assert_eq!(only(&open(dir.path())), Some((1001, expected, ReplicaState::Rwr)), "data cut to {len}");
        assert_eq!(fs::metadata(&data).unwrap().len(), expected);
        assert_eq!(fs::metadata(&meta).unwrap().len(), 7 + expected.div_ceil(512) * 4);
    }
    // The checksums end at every byte; the data is whole.
    for len in 0..=whole_meta.len() {
        fs::write(&data, &whole_data).unwrap();
        fs::write(&meta, &whole_meta[..len]).unwrap();
        let expected = (len.saturating_sub(7) as u64 / 4 * 512).min(1300);
        assert_eq!(only(&open(dir.path())), Some((1001, expected, ReplicaState::Rwr)), "checksums cut to {len}");
    }
}

#[test]
fn acknowledged_bytes_within_a_chunk_survive_a_writer_that_died_before_their_new_checksum() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut writer = create(&store, block(1, 1001), false).unwrap();
    for acked in [1_usize, 100, 511] {
        let at = writer.block().len;
        send(&mut writer, at, &bytes(at, acked - at as usize), 512).unwrap();
        // The next packet's data has arrived at the disk, its checksum has not.
        let path = rbw(dir.path(), "blk_1");
        let saved = fs::read(&path).unwrap();
        assert_eq!(saved.len(), acked);
        let copy = tempfile::tempdir().unwrap();
        copy_tree(dir.path(), copy.path());
        fs::write(rbw(copy.path(), "blk_1"), bytes(0, 900)).unwrap();
        assert_eq!(only(&open(copy.path())), Some((1001, acked as u64, ReplicaState::Rwr)));
    }
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn damage_inside_an_unfinished_replica_is_told_from_a_lost_tail() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut writer = create(&store, block(1, 1001), false).unwrap();
    send(&mut writer, 0, &bytes(0, 5000), 5000).unwrap();
    drop((writer, store));
    let path = rbw(dir.path(), "blk_1");
    let mut data = fs::read(&path).unwrap();
    data[1000] ^= 1;
    fs::write(&path, data).unwrap();
    let copy = tempfile::tempdir().unwrap();
    copy_tree(dir.path(), copy.path());
    assert_eq!(only(&open(dir.path())), None, "the process died, the disk did not: these bytes have changed");
    assert_eq!(open(dir.path()).bad_count(), 1);
    forget_boot(copy.path());
    assert_eq!(only(&open(copy.path())), Some((1001, 512, ReplicaState::Rwr)), "the power went: the tail was lost");
}

#[test]
fn a_replica_between_two_folders_is_put_together() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let done = finished(&store, block(1, 1001), 1300);
    drop(store);
    durable::rename_synced(&finalized(dir.path(), "blk_1"), &rbw(dir.path(), "blk_1")).unwrap();
    let store = open(dir.path());
    assert_eq!(only(&store), Some((1001, 1300, ReplicaState::Finalized)));
    assert_eq!(read(&store, done).unwrap(), bytes(0, 1300));
}

#[test]
fn leftovers_of_copies_and_of_creation_go() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut copy = create(&store, block(1, 1001), true).unwrap();
    send(&mut copy, 0, &bytes(0, 100), 100).unwrap();
    std::mem::forget(copy);
    drop(store);
    fs::write(rbw(dir.path(), "blk_2_1001.meta"), b"").unwrap();
    fs::write(rbw(dir.path(), "blk_3"), b"").unwrap();
    // The forgotten copy keeps the store alive, and with it the lock: a folder of the same contents has none.
    let other = tempfile::tempdir().unwrap();
    copy_tree(dir.path(), other.path());
    let store = open(other.path());
    assert_eq!((only(&store), store.bad_count(), store.usage()[0].used), (None, 0, 0));
    assert_eq!(fs::read_dir(pool(other.path()).join("tmp")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(pool(other.path()).join("current/rbw")).unwrap().count(), 0);
}

#[test]
fn a_complete_replica_without_its_bytes_or_checksums_is_set_aside_at_start() {
    type Harm = fn(&Path);
    let harms: [Harm; 4] = [
        |dir| fs::remove_file(finalized(dir, "blk_1_1001.meta")).unwrap(),
        |dir| fs::write(finalized(dir, "blk_1_1001.meta"), b"rubbish").unwrap(),
        |dir| fs::write(finalized(dir, "blk_1"), bytes(0, 500)).unwrap(),
        |dir| fs::write(finalized(dir, "blk_1"), bytes(0, 3000)).unwrap(),
    ];
    for (n, harm) in harms.into_iter().enumerate() {
        let dir = tempfile::tempdir().unwrap();
        finished(&open(dir.path()), block(1, 1001), 1300);
        harm(dir.path());
        let store = open(dir.path());
        assert_eq!((only(&store), store.bad_count()), (None, 1), "harm {n}");
        assert_eq!(open_again(store, dir.path()).bad_count(), 1, "remembered over a further restart");
    }
    let dir = tempfile::tempdir().unwrap();
    finished(&open(dir.path()), block(1, 1001), 1300);
    fs::remove_file(finalized(dir.path(), "blk_1")).unwrap();
    let store = open(dir.path());
    assert_eq!((only(&store), store.bad_count()), (None, 0), "there is nothing to keep");
    assert!(!finalized(dir.path(), "blk_1_1001.meta").exists());
}

fn open_again(store: Arc<Store>, dir: &Path) -> Arc<Store> {
    drop(store);
    open(dir)
}

#[test]
fn after_a_crash_of_the_machine_young_replicas_are_verified_and_old_ones_are_not() {
    let flip = |dir: &Path| {
        let path = finalized(dir, "blk_1");
        let mut data = fs::read(&path).unwrap();
        data[3] ^= 1;
        fs::write(&path, data).unwrap();
    };
    let dir = tempfile::tempdir().unwrap();
    finished(&open(dir.path()), block(1, 1001), 1300);
    flip(dir.path());
    assert!(only(&open(dir.path())).is_some(), "a restart alone reads nothing");
    forget_boot(dir.path());
    let store = open(dir.path());
    assert_eq!((only(&store), store.bad_count()), (None, 1));
    // Written long before the last sync: the scrubber will find it.
    let dir = tempfile::tempdir().unwrap();
    finished(&open(dir.path()), block(1, 1001), 1300);
    flip(dir.path());
    let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    fs::File::options().write(true).open(finalized(dir.path(), "blk_1")).unwrap().set_modified(long_ago).unwrap();
    let path = dir.path().join("current/state.json");
    let mut state: serde_json::Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    state["boot_id"] = "another boot".into();
    state["synced_ms"] = 1_600_000_000_000_u64.into();
    fs::write(&path, state.to_string()).unwrap();
    assert!(only(&open(dir.path())).is_some());
}

#[test]
fn of_two_replicas_of_one_block_the_newer_stays() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let dirs = [a.path().to_owned(), b.path().to_owned()];
    drop(open_dirs(&dirs, &identity(), rules(), 1).unwrap());
    let alone = open(a.path());
    finished(&alone, block(1, 1001), 100);
    drop(alone);
    let alone = open(b.path());
    finished(&alone, block(1, 1002), 50);
    drop(alone);
    let store = open_dirs(&dirs, &identity(), rules(), 1).unwrap();
    let newest = Block { len: 50, stamp: GenStamp(1002), ..block(1, 0) };
    assert_eq!(store.open_reader(block(1, 1001), 0).unwrap().block, newest);
    assert!(!finalized(a.path(), "blk_1").exists());
}
