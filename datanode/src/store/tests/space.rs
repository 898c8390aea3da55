//! Full disks: the write fails, says why, and leaves nothing that was not acknowledged.

use crate::error::DatanodeError;
use crate::store::testing::{block, bytes, create, finished, identity, open_dirs, read, rules, send, stop};
use crate::store::{NewReplica, Resume, SpaceRules, Store, StoreRules};
use mammoth_protocol::Block;
use std::fs;
use std::path::Path;
use std::sync::Arc;

fn small(dir: &Path, quota: u64) -> Arc<Store> {
    let rules = StoreRules { space: SpaceRules { reserved: 0, quota: Some(quota) }, ..rules() };
    open_dirs(&[dir.to_owned()], &identity(), rules, 1).unwrap()
}

fn files_in(dir: &Path) -> usize {
    let rbw = dir.join("current").join(identity().pool_id).join("current/rbw");
    fs::read_dir(rbw).unwrap().count()
}

#[test]
fn a_block_that_cannot_fit_is_refused_before_its_first_byte() {
    let dir = tempfile::tempdir().unwrap();
    let store = small(dir.path(), 10_000);
    let new = |len| NewReplica {
        block: Block { len, ..block(1, 1001) },
        storage: None,
        chunk: 512,
        temporary: false,
        stop: stop(),
    };
    let error = store.create(&new(20_000)).unwrap_err();
    assert!(error.is_no_space() && error.to_string().contains("no space left for blk_1_1001"), "{error}");
    assert_eq!((store.replica_count(), files_in(dir.path())), (0, 0));
    let first = store.create(&new(6_000)).unwrap();
    let second = NewReplica { block: Block { len: 6_000, ..block(2, 1001) }, ..new(0) };
    assert!(store.create(&second).is_err(), "the first block's room is promised");
    drop(first);
    assert!(store.create(&second).is_ok());
}

#[test]
fn a_disk_that_fills_up_fails_one_write_and_keeps_what_was_written_before() {
    let dir = tempfile::tempdir().unwrap();
    let store = small(dir.path(), 5_000);
    let mut writer = create(&store, block(1, 1001), false).unwrap();
    send(&mut writer, 0, &bytes(0, 3000), 1000).unwrap();
    writer.ticket().set_acked(3000);
    let error = send(&mut writer, 3000, &bytes(3000, 3000), 3000).unwrap_err();
    assert!(matches!(error, DatanodeError::NoSpace { .. }), "{error}");
    drop(writer);
    assert_eq!(store.usage()[0].used, 3000 + 7 + 6 * 4);
    let how = Resume::RecoverStreaming { acked: 3000, sent: 6000 };
    let writer = store.resume(block(1, 1001), block(1, 1002).stamp, how, &stop()).unwrap();
    store.finalize(writer.ticket(), false).unwrap();
    drop(writer);
    assert_eq!(read(&store, block(1, 1002)).unwrap(), bytes(0, 3000));
}

#[test]
fn a_disk_that_is_full_at_the_first_byte_keeps_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = small(dir.path(), 5_000);
    finished(&store, block(1, 1001), 4000);
    for temporary in [false, true] {
        let mut writer = create(&store, block(2, 1001), temporary).unwrap();
        assert!(send(&mut writer, 0, &bytes(0, 2000), 2000).is_err());
        drop(writer);
        assert_eq!((store.replica_count(), files_in(dir.path())), (1, 0));
        assert_eq!(store.usage()[0].used, 4000 + 7 + 8 * 4);
    }
}

#[test]
fn a_full_volume_passes_the_block_on_to_another() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let rules = StoreRules { space: SpaceRules { reserved: 0, quota: Some(5_000) }, ..rules() };
    let dirs = [a.path().to_owned(), b.path().to_owned()];
    let store = open_dirs(&dirs, &identity(), rules, 1).unwrap();
    let wanted = store.usage()[0].storage;
    let make = |id| {
        let block = Block { len: 4_000, ..block(id, 1001) };
        let new = NewReplica { block, storage: Some(wanted), chunk: 512, temporary: false, stop: stop() };
        let mut writer = store.create(&new)?;
        send(&mut writer, 0, &bytes(0, 4000), 4000)?;
        store.finalize(writer.ticket(), false)
    };
    make(1).unwrap();
    make(2).unwrap();
    assert!(make(3).unwrap_err().is_no_space());
    let used: Vec<u64> = store.usage().iter().map(|usage| usage.used).collect();
    assert_eq!(used, [4000 + 7 + 8 * 4; 2]);
}
