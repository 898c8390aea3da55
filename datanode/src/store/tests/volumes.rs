//! Several volumes: what is written spreads over them, and one that fails is given up as long as that may be.

use crate::store::testing::{block, bytes, create, finished, identity, open_dirs, read, rules};
use crate::store::{Store, StoreRules};
use mammoth_platform::{Clock, SystemClock, Worker};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn open(dirs: &[PathBuf], tolerated: usize) -> crate::error::Result<Arc<Store>> {
    open_dirs(dirs, &identity(), StoreRules { failures_tolerated: Some(tolerated), ..rules() }, 1)
}

fn two() -> (tempfile::TempDir, [PathBuf; 2]) {
    let dir = tempfile::tempdir().unwrap();
    let dirs = ["a", "b"].map(|name| dir.path().join(name));
    (dir, dirs)
}

/// The disk below a folder goes away, and comes back as something that is no folder.
fn break_disk(dir: &Path) {
    mammoth_platform::durable::rename_synced(dir, &dir.with_extension("gone")).unwrap();
    fs::write(dir, b"no folder").unwrap();
}

fn upkeep(store: &Arc<Store>) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    for mut worker in store.upkeep(&clock) {
        let _ = worker.work();
    }
}

#[test]
fn blocks_without_a_chosen_volume_spread_over_all() {
    let (_dir, dirs) = two();
    let store = open(&dirs, 0).unwrap();
    for id in 1..=10 {
        finished(&store, block(id, 1001), 5000);
    }
    let used: Vec<u64> = store.usage().iter().map(|usage| usage.used).collect();
    assert_eq!(used[0], used[1], "{used:?}");
    assert!(used[0] > 25_000);
}

#[test]
fn a_volume_that_fails_is_given_up_and_writing_goes_on_elsewhere() {
    let (_dir, dirs) = two();
    let store = open(&dirs, 1).unwrap();
    for id in 1..=4 {
        finished(&store, block(id, 1001), 5000);
    }
    break_disk(&dirs[0]);
    for id in 5..=8 {
        finished(&store, block(id, 1001), 5000);
        assert_eq!(read(&store, block(id, 1001)).unwrap(), bytes(0, 5000));
    }
    let usage = store.usage();
    assert!(usage[0].failed && !usage[1].failed, "{usage:?}");
    assert!(!store.shutdown.is_triggered());
    upkeep(&store);
    assert_eq!(store.replica_count(), 6, "two of the first four were on the volume that failed");
}

#[test]
fn too_many_failures_end_the_datanode_with_the_reason() {
    let (_dir, dirs) = two();
    let store = open(&dirs, 0).unwrap();
    break_disk(&dirs[0]);
    let outcomes: Vec<bool> = (1..=2).map(|id| create(&store, block(id, 1001), false).is_ok()).collect();
    assert!(outcomes.contains(&true), "the other volume works");
    let reason = store.shutdown.fatal_reason().expect("given up");
    assert!(reason.starts_with(&format!("volume {} failed: ", dirs[0].display())), "{reason}");
}

#[test]
fn the_last_volume_is_never_tolerated_to_fail() {
    let (_dir, dirs) = two();
    let store = open(&dirs, 5).unwrap();
    break_disk(&dirs[0]);
    break_disk(&dirs[1]);
    assert!(create(&store, block(1, 1001), false).is_err());
    assert!(store.shutdown.fatal_reason().is_some());
}

#[test]
fn folders_that_cannot_be_used_at_the_start_count_as_failures() {
    let (dir, [a, b]) = two();
    let dirs = [a, b, dir.path().join("c")];
    let store = open(&dirs, 1).unwrap();
    let blocks: Vec<_> = (1..=6).map(|id| finished(&store, block(id, 1001), 5000)).collect();
    drop(store);
    break_disk(&dirs[0]);
    assert!(open(&dirs, 0).is_err());
    let store = open(&dirs, 1).unwrap_or_else(|error| panic!("{error}"));
    let left: BTreeSet<_> = blocks.iter().filter(|block| read(&store, **block).is_ok()).collect();
    assert_eq!(left.len(), 4);
    assert!(store.shutdown.fatal_reason().is_none());
    break_disk(&dirs[1]);
    for id in 8..=9 {
        create(&store, block(id, 1001), false).expect("the third volume works");
    }
    assert!(store.shutdown.fatal_reason().is_some(), "one failure was tolerated, and it is used up");
}
