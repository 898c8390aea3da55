//! Every change of state that a replica can go through, and those that it must not.

use crate::error::DatanodeError;
use crate::store::replica::Class;
use crate::store::testing::{block, bytes, create, finished, open, read, resume, send};
use crate::store::{NewReplica, Resume, Store};
use mammoth_protocol::internal::{ReplicaEvent, ReplicaState};
use mammoth_protocol::{Block, BlockId, GenStamp};
use std::sync::Arc;
use std::time::Duration;

fn reported(store: &Store) -> Vec<(i64, u64, u64, ReplicaState)> {
    let storage = store.usage()[0].storage;
    let (list, rest) = store.list(storage, None, 100);
    assert_eq!(rest, None);
    list.iter().map(|r| (r.block.id.0, r.block.stamp.0, r.block.len, r.state)).collect()
}

fn len(block: Block, len: u64) -> Block {
    Block { len, ..block }
}

#[test]
fn a_pipeline_writes_and_finalizes_and_everybody_hears_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let events = store.subscribe();
    let storage = store.usage()[0].storage;
    let b = block(1_073_741_825, 1001);
    let mut writer = create(&store, b, false).unwrap();
    send(&mut writer, 0, &bytes(0, 1300), 700).unwrap();
    assert_eq!(reported(&store), [(b.id.0, 1001, 1300, ReplicaState::Rbw)]);
    assert_eq!(store.visible_length(b).unwrap(), 0, "nothing is acknowledged yet");
    writer.ticket().set_acked(700);
    assert_eq!(store.visible_length(b).unwrap(), 700);
    assert_eq!(store.finalize(writer.ticket(), true).unwrap(), len(b, 1300));
    drop(writer);
    assert_eq!(read(&store, b).unwrap(), bytes(0, 1300));
    assert_eq!(reported(&store), [(b.id.0, 1001, 1300, ReplicaState::Finalized)]);
    let told = events.take(10);
    let wanted = vec![ReplicaEvent::Receiving(len(b, 0)), ReplicaEvent::Received(len(b, 1300))];
    assert_eq!(told, [(storage, wanted)]);
    let path = dir.path().join("current/BP-7-127.0.0.1-1/current/finalized/subdir0/subdir0");
    let meta = std::fs::read(path.join("blk_1073741825_1001.meta")).unwrap();
    assert_eq!(meta[..7], [0, 1, 2, 0, 0, 2, 0]);
    assert_eq!(meta.len(), 7 + 3 * 4);
    assert_eq!(std::fs::read(path.join("blk_1073741825")).unwrap(), bytes(0, 1300));
}

#[test]
fn a_block_is_created_once_and_an_older_unfinished_one_makes_room() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let b = block(1, 1001);
    let mut first = create(&store, b, false).unwrap();
    send(&mut first, 0, b"old", 3).unwrap();
    assert!(matches!(create(&store, b, false), Err(DatanodeError::Exists { .. })));
    assert!(matches!(create(&store, b, true), Err(DatanodeError::Exists { .. })));
    drop(first);
    let events = store.subscribe();
    let newer = block(1, 1002);
    drop(create(&store, newer, false).unwrap());
    let told = events.take(10).remove(0).1;
    assert_eq!(told, [ReplicaEvent::Deleted(len(b, 3)), ReplicaEvent::Receiving(newer)]);
    finished(&store, block(2, 5), 10);
    assert!(matches!(create(&store, block(2, 6), false), Err(DatanodeError::Exists { .. })), "complete ones stay");
}

#[test]
fn a_copy_is_unseen_until_it_is_complete_and_gone_if_it_never_is() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let b = block(1, 1001);
    let mut copy = create(&store, b, true).unwrap();
    send(&mut copy, 0, &bytes(0, 600), 600).unwrap();
    assert_eq!(reported(&store), []);
    assert!(read(&store, b).is_err());
    drop(copy);
    assert_eq!(store.replica_count(), 0);
    assert_eq!(store.usage()[0].used, 0);
    let mut copy = create(&store, b, true).unwrap();
    send(&mut copy, 0, &bytes(0, 600), 600).unwrap();
    store.finalize(copy.ticket(), false).unwrap();
    drop(copy);
    assert_eq!(read(&store, b).unwrap(), bytes(0, 600));
}

#[test]
fn a_copy_joins_a_pipeline_at_its_announced_length_only() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let b = block(1, 1001);
    let mut copy = create(&store, b, true).unwrap();
    send(&mut copy, 0, &bytes(0, 600), 600).unwrap();
    assert!(matches!(store.convert_to_rbw(copy.ticket(), 700), Err(DatanodeError::Length { .. })));
    store.convert_to_rbw(copy.ticket(), 600).unwrap();
    copy.keep();
    drop(copy);
    assert_eq!(reported(&store), [(1, 1001, 600, ReplicaState::Rbw)]);
    let streaming = Resume::RecoverStreaming { acked: 600, sent: 600 };
    let mut writer = resume(&store, b, 1002, streaming).unwrap();
    send(&mut writer, 512, &bytes(512, 500), 500).unwrap();
    store.finalize(writer.ticket(), false).unwrap();
    assert_eq!(read(&store, block(1, 1002)).unwrap(), bytes(0, 1012));
}

/// Each row: acknowledged, on disk, then what the client says it has acknowledged and sent, and whether it may go on.
#[test]
fn streaming_recovery_demands_all_that_was_acknowledged_and_cuts_the_rest() {
    for (acked, on_disk, says_acked, says_sent, goes_on) in [
        (1000, 1000, 1000, 1000, true),
        (1000, 1300, 1000, 1300, true),
        (1000, 1300, 900, 2000, true),
        (1000, 1300, 1001, 2000, false),
        (1000, 1300, 1000, 1299, false),
        (0, 0, 0, 0, true),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let b = block(1, 1001);
        let mut writer = create(&store, b, false).unwrap();
        send(&mut writer, 0, &bytes(0, on_disk), 333).unwrap();
        writer.ticket().set_acked(acked);
        drop(writer);
        let how = Resume::RecoverStreaming { acked: says_acked, sent: says_sent };
        let result = resume(&store, b, 1002, how);
        assert_eq!(result.is_ok(), goes_on, "{acked} {on_disk} {says_acked} {says_sent}: {result:?}");
        let state = if goes_on { (1, 1002, acked) } else { (1, 1001, on_disk as u64) };
        assert_eq!(reported(&store), [(state.0, state.1, state.2, ReplicaState::Rbw)]);
        if let Ok(mut writer) = result {
            send(&mut writer, acked, &bytes(acked, 800), 800).unwrap();
            store.finalize(writer.ticket(), false).unwrap();
            assert_eq!(read(&store, block(1, 1002)).unwrap(), bytes(0, acked as usize + 800));
        }
    }
}

#[test]
fn stamps_bound_who_may_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    drop(create(&store, block(1, 1005), false).unwrap());
    let how = Resume::RecoverStreaming { acked: 0, sent: 0 };
    assert!(matches!(resume(&store, block(1, 1006), 1007, how), Err(DatanodeError::Stamp { .. })), "too old");
    assert!(matches!(resume(&store, block(1, 1001), 1004, how), Err(DatanodeError::Stamp { .. })), "too new");
    drop(resume(&store, block(1, 1001), 1005, how).unwrap());
    assert!(matches!(resume(&store, block(9, 1), 2, how), Err(DatanodeError::NotFound { .. })));
    finished(&store, block(2, 1001), 10);
    assert!(matches!(resume(&store, block(2, 1001), 1002, how), Err(DatanodeError::State { .. })), "not rbw");
    let append = |len| Resume::Append { len };
    assert!(matches!(resume(&store, block(2, 1000), 1002, append(10)), Err(DatanodeError::Stamp { .. })));
    assert!(matches!(resume(&store, block(2, 1001), 1000, append(10)), Err(DatanodeError::Stamp { .. })));
    assert!(matches!(resume(&store, block(2, 1001), 1002, append(11)), Err(DatanodeError::Length { .. })));
    drop(resume(&store, block(2, 1001), 1001, append(10)).unwrap());
    assert!(matches!(resume(&store, block(2, 1001), 1002, append(10)), Err(DatanodeError::State { .. })));
}

#[test]
fn an_append_that_failed_is_tried_again_whatever_it_had_reached() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    finished(&store, block(1, 1001), 700);
    let again = Resume::RecoverAppend { len: 700 };
    drop(resume(&store, block(1, 1001), 1002, again).unwrap());
    let mut writer = resume(&store, block(1, 1001), 1003, again).unwrap();
    send(&mut writer, 700, &bytes(700, 5), 5).unwrap();
    drop(writer);
    assert!(matches!(resume(&store, block(1, 1001), 1004, again), Err(DatanodeError::Length { .. })), "bytes unacked");
    assert!(store.recover_close(block(1, 1001), GenStamp(1004), 705).is_err());
    let streaming = Resume::RecoverStreaming { acked: 700, sent: 705 };
    let mut writer = resume(&store, block(1, 1003), 1005, streaming).unwrap();
    send(&mut writer, 700, &bytes(700, 5), 5).unwrap();
    writer.ticket().set_acked(705);
    drop(writer);
    assert_eq!(store.recover_close(block(1, 1005), GenStamp(1006), 705).unwrap(), len(block(1, 1006), 705));
    assert_eq!(store.recover_close(block(1, 1005), GenStamp(1007), 705).unwrap(), len(block(1, 1007), 705));
    assert_eq!(read(&store, block(1, 1007)).unwrap(), bytes(0, 705));
}

#[test]
fn an_older_stamp_is_never_served_a_newer_one_is() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    finished(&store, block(1, 1005), 10);
    assert!(matches!(read(&store, block(1, 1006)), Err(DatanodeError::Stamp { .. })));
    assert!(matches!(store.visible_length(block(1, 1006)), Err(DatanodeError::Stamp { .. })));
    assert_eq!(read(&store, block(1, 1004)).unwrap(), bytes(0, 10));
}

#[test]
fn a_recovery_freezes_cuts_and_completes_and_may_be_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let b = block(1, 1001);
    let mut writer = create(&store, b, false).unwrap();
    send(&mut writer, 0, &bytes(0, 1300), 1300).unwrap();
    writer.ticket().set_acked(1000);
    drop(writer);
    let candidate = store.init_recovery(b, GenStamp(1010)).unwrap().unwrap();
    assert_eq!((candidate.class, candidate.block), (Class::Rbw, len(b, 1300)));
    assert_eq!(reported(&store), [(1, 1001, 1300, ReplicaState::Rur)]);
    assert_eq!(store.visible_length(b).unwrap(), 1000);
    assert_eq!(store.init_recovery(b, GenStamp(1010)).unwrap(), Some(candidate), "the order is repeated");
    assert!(matches!(store.init_recovery(b, GenStamp(1009)), Err(DatanodeError::InRecovery { .. })));
    assert_eq!(store.init_recovery(b, GenStamp(1011)).unwrap(), Some(candidate), "a newer one takes over");
    assert!(matches!(store.update_recovery(b, GenStamp(1010), 1100), Err(DatanodeError::InRecovery { .. })));
    assert!(matches!(store.update_recovery(b, GenStamp(1011), 1301), Err(DatanodeError::Length { .. })));
    store.update_recovery(b, GenStamp(1011), 1100).unwrap();
    store.update_recovery(b, GenStamp(1011), 1100).unwrap();
    assert_eq!(reported(&store), [(1, 1011, 1100, ReplicaState::Finalized)]);
    assert_eq!(read(&store, block(1, 1011)).unwrap(), bytes(0, 1100));
    let again = store.init_recovery(b, GenStamp(1011)).unwrap().unwrap();
    assert_eq!((again.class, again.block.len), (Class::Finalized, 1100), "a leader that lost its answer finds it done");
    assert!(matches!(store.init_recovery(b, GenStamp(1010)), Err(DatanodeError::InRecovery { .. })));
}

#[test]
fn recovery_of_what_is_not_here_or_older_or_only_arriving() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    assert_eq!(store.init_recovery(block(1, 1001), GenStamp(1002)).unwrap(), None);
    let copy = create(&store, block(1, 1001), true).unwrap();
    assert_eq!(store.init_recovery(block(1, 1001), GenStamp(1002)).unwrap(), None);
    drop(copy);
    finished(&store, block(2, 1001), 600);
    assert!(matches!(store.init_recovery(block(2, 1002), GenStamp(1003)), Err(DatanodeError::Stamp { .. })));
    assert!(matches!(store.update_recovery(block(2, 1001), GenStamp(1003), 5), Err(DatanodeError::State { .. })));
    store.init_recovery(block(2, 1001), GenStamp(1003)).unwrap().unwrap();
    assert_eq!(read(&store, block(2, 1001)).unwrap(), bytes(0, 600), "readers go on meanwhile");
    store.update_recovery(block(2, 1001), GenStamp(1003), 600).unwrap();
    assert_eq!(read(&store, block(2, 1003)).unwrap(), bytes(0, 600));
}

#[test]
fn a_running_writer_is_stopped_by_whoever_takes_over_and_can_do_no_more_harm() {
    struct StopOther(std::sync::mpsc::SyncSender<()>);
    impl crate::store::replica::Stop for StopOther {
        fn stop(&self) {
            let _ = self.0.try_send(());
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    type Take = fn(&Arc<Store>, Block);
    let takers: [Take; 4] = [
        |store, b| assert!(store.init_recovery(b, GenStamp(1002)).unwrap().is_some()),
        |store, b| drop(resume(store, b, 1002, Resume::RecoverStreaming { acked: 0, sent: 2000 }).unwrap()),
        |store, b| store.delete(store.usage()[0].storage, b, || true).unwrap(),
        |store, b| drop(create(store, Block { stamp: GenStamp(1002), ..b }, true).unwrap()),
    ];
    for (n, take) in takers.into_iter().enumerate() {
        let b = block(n as i64 + 1, 1001);
        let (told, stopped) = std::sync::mpsc::sync_channel(1);
        let new = NewReplica { block: b, storage: None, chunk: 512, temporary: false, stop: Arc::new(StopOther(told)) };
        let mut writer = store.create(&new).unwrap();
        send(&mut writer, 0, &bytes(0, 600), 600).unwrap();
        let ticket = writer.ticket().clone();
        let thread = std::thread::spawn(move || {
            stopped.recv_timeout(Duration::from_secs(20)).expect("told to stop");
            drop(writer);
        });
        take(&store, b);
        thread.join().unwrap();
        assert!(matches!(store.finalize(&ticket, false), Err(DatanodeError::Fenced { .. })), "taker {n}");
    }
}

#[test]
fn deleting_needs_the_exact_stamp_and_tells_in_any_case() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let storage = store.usage()[0].storage;
    let done = finished(&store, block(1, 1005), 10);
    let events = store.subscribe();
    store.delete(storage, block(1, 1004), || true).unwrap();
    assert!(read(&store, done).is_ok());
    store.delete(storage, block(1, 1005), || true).unwrap();
    store.delete(storage, block(1, 1005), || true).unwrap();
    assert!(matches!(read(&store, done), Err(DatanodeError::NotFound { .. })));
    let told = events.take(10).remove(0).1;
    assert_eq!(told, [1004, 1005, 1005].map(|stamp| ReplicaEvent::Deleted(block(1, stamp))));
    assert_eq!(store.usage()[0].used, 0);
    let writing = create(&store, block(2, 1001), false).unwrap();
    drop(writing);
    store.delete(storage, block(2, 1001), || true).unwrap();
    assert_eq!(store.replica_count(), 0);
}

#[test]
fn lists_come_in_slices_in_order_of_ids() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for id in [5, 3, 9, 1, 7] {
        finished(&store, block(id, 1001), 1);
    }
    let storage = store.usage()[0].storage;
    let mut cursor = None;
    let mut slices = Vec::new();
    loop {
        let (list, next) = store.list(storage, cursor, 2);
        slices.push(list.iter().map(|r| r.block.id.0).collect::<Vec<_>>());
        cursor = next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(slices, [vec![1, 3], vec![5, 7], vec![9]]);
    assert_eq!(store.seen().block, BlockId(9));
}

#[test]
fn packets_of_any_size_and_place_arrive_whole() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path());
    // Below, at and above the pieces in which data goes to the file, aligned to them and not.
    for (id, size) in (1..).zip([511, 32_767, 32_768, 32_769, 64_512, 100_001, 262_144]) {
        let data = bytes(0, 300_007);
        let mut writer = create(&store, block(id, 1), false).expect("created");
        send(&mut writer, 0, &data, size).expect("written");
        store.finalize(writer.ticket(), false).expect("finalized");
        assert!(read(&store, block(id, 1)).expect("readable") == data, "packets of {size} bytes");
    }
}
