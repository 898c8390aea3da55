//! Bytes that are not what was written: found, set aside, reported.

use crate::error::DatanodeError;
use crate::store::scrub::ScrubRules;
use crate::store::testing::{block, bytes, create, finished, identity, open, read, resume, send};
use crate::store::{Resume, Store};
use mammoth_platform::{Clock, ManualClock, Worker, WorkerState};
use mammoth_protocol::internal::ReplicaEvent;
use mammoth_protocol::{Block, Now};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

fn finalized(dir: &Path, name: &str) -> PathBuf {
    dir.join("current").join(identity().pool_id).join("current/finalized/subdir0/subdir0").join(name)
}

fn bad(dir: &Path, name: &str) -> PathBuf {
    dir.join("current").join(identity().pool_id).join("bad").join(name)
}

fn flip(path: &Path, at: usize) {
    let mut data = fs::read(path).unwrap();
    data[at] ^= 0x10;
    fs::write(path, data).unwrap();
}

/// Runs workers until they have nothing to do for longer than a slow disk's pause.
fn run(worker: &mut impl Worker, clock: &ManualClock) {
    for _ in 0..10_000 {
        match worker.work().unwrap() {
            WorkerState::Busy => {}
            WorkerState::Idle(ms) if ms < 1000 => clock.advance(Duration::from_millis(ms)),
            _ => return,
        }
    }
    panic!("does not come to rest");
}

fn scrub(store: &Arc<Store>) {
    let clock = ManualClock::at(Now { monotonic_ms: 5, wall_ms: 1_000_000 });
    let shared: Arc<dyn Clock> = Arc::new(clock.clone());
    let rules = ScrubRules { period_ms: 1_000_000, rate: 1 << 20 };
    for mut scrubber in store.scrubbers(&shared, rules) {
        run(&mut scrubber, &clock);
    }
}

fn told(events: &crate::store::EventQueue) -> Vec<ReplicaEvent> {
    events.take(100).into_iter().flat_map(|(_, events)| events).collect()
}

#[test]
fn the_scrubber_finds_flipped_bits_lost_tails_and_missing_files() {
    type Harm = fn(&Path);
    let harms: [Harm; 5] = [
        |dir| flip(&finalized(dir, "blk_2"), 1299),
        |dir| flip(&finalized(dir, "blk_2_1001.meta"), 8),
        |dir| fs::write(finalized(dir, "blk_2"), bytes(0, 1000)).unwrap(),
        |dir| fs::remove_file(finalized(dir, "blk_2_1001.meta")).unwrap(),
        |dir| fs::remove_file(finalized(dir, "blk_2")).unwrap(),
    ];
    for (n, harm) in harms.into_iter().enumerate() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        for id in 1..=3 {
            finished(&store, block(id, 1001), 1300);
        }
        let events = store.subscribe();
        scrub(&store);
        assert_eq!(told(&events), [], "nothing is wrong yet");
        harm(dir.path());
        store.volumes[0].state().scrub_began_ms = 0;
        scrub(&store);
        assert_eq!(told(&events), [ReplicaEvent::Bad(Block { len: 1300, ..block(2, 1001) })], "harm {n}");
        assert!(matches!(read(&store, block(2, 1001)), Err(DatanodeError::NotFound { .. })));
        assert_eq!((store.replica_count(), store.bad_count()), (2, 1));
    }
}

#[test]
fn a_round_of_scrubbing_keeps_its_pace_and_its_period() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    finished(&store, block(1, 1001), 1 << 20);
    let clock = ManualClock::at(Now { monotonic_ms: 5, wall_ms: 1_000_000 });
    let shared: Arc<dyn Clock> = Arc::new(clock.clone());
    let rules = ScrubRules { period_ms: 5_000_000, rate: 1 << 18 };
    let mut scrubber = store.scrubbers(&shared, rules).remove(0);
    let mut states = Vec::new();
    for _ in 0..7 {
        states.push(scrubber.work().unwrap());
    }
    let second = WorkerState::Idle(1000);
    let expected = [second, second, second, second, WorkerState::Busy, second, WorkerState::Idle(3_600_000)];
    assert_eq!(states, expected, "a quarter of a mebibyte each second, then a pause until the next round is due");
    clock.advance(Duration::from_millis(5_000_000));
    assert_eq!(scrubber.work().unwrap(), second);
}

#[test]
fn a_doubted_replica_is_looked_at_soon_and_a_good_one_stays() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    finished(&store, block(1, 1001), 1300);
    finished(&store, block(2, 1001), 1300);
    flip(&finalized(dir.path(), "blk_2"), 0);
    for id in [1, 2, 3] {
        store.suspects().add(block(id, 0).id);
    }
    let mut checker = store.suspect_checker();
    while checker.work().unwrap() == WorkerState::Busy {}
    assert_eq!((store.replica_count(), store.bad_count()), (1, 1));
    assert!(read(&store, block(1, 1001)).is_ok());
}

#[test]
fn a_reader_that_finds_files_missing_sets_the_replica_aside() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    finished(&store, block(1, 1001), 1300);
    let events = store.subscribe();
    fs::remove_file(finalized(dir.path(), "blk_1_1001.meta")).unwrap();
    assert!(matches!(read(&store, block(1, 1001)), Err(DatanodeError::Bad { .. })));
    assert_eq!(told(&events), [ReplicaEvent::Bad(Block { len: 1300, ..block(1, 1001) })]);
    assert!(bad(dir.path(), "blk_1_1001").exists());
}

#[test]
fn bad_replicas_wait_for_the_order_to_drop_them_and_give_way_to_a_new_copy() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let storage = store.usage()[0].storage;
    let done = finished(&store, block(1, 1001), 1300);
    store.set_aside(storage, done, "for the test");
    let mut copy = create(&store, block(1, 1001), true).unwrap();
    send(&mut copy, 0, &bytes(0, 1300), 1300).unwrap();
    let events = store.subscribe();
    store.tell_bad(storage);
    assert_eq!(told(&events), [], "what becomes of the copy is not known yet");
    store.finalize(copy.ticket(), false).unwrap();
    drop(copy);
    store.tell_bad(storage);
    assert_eq!(told(&events), [ReplicaEvent::Received(done)], "never the good one by the name of the bad one");
    assert_eq!(store.bad_count(), 0);
    store.set_aside(storage, done, "for the test");
    told(&events);
    store.tell_bad(storage);
    assert_eq!(told(&events), [ReplicaEvent::Bad(done)]);
    store.drop_bad(storage, done);
    assert_eq!(told(&events), [ReplicaEvent::Deleted(done)]);
    assert!(!bad(dir.path(), "blk_1_1001").exists());
    assert_eq!(store.usage()[0].used, 0);
}

#[test]
fn a_replica_that_changed_since_the_fault_was_found_stays() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let done = finished(&store, block(1, 1001), 1300);
    let mut writer = resume(&store, done, 1001, Resume::Append { len: 1300 }).unwrap();
    store.set_aside(store.usage()[0].storage, done, "it is being written");
    send(&mut writer, 1300, &bytes(1300, 10), 10).unwrap();
    store.finalize(writer.ticket(), false).unwrap();
    store.set_aside(store.usage()[0].storage, done, "it has grown");
    assert_eq!(read(&store, done).unwrap(), bytes(0, 1310));
}

#[test]
fn appending_to_wrong_bytes_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let done = finished(&store, block(1, 1001), 1300);
    flip(&finalized(dir.path(), "blk_1"), 1280);
    let result = resume(&store, done, 1002, Resume::Append { len: 1300 });
    assert!(matches!(result, Err(DatanodeError::Bad { .. })), "{result:?}");
    assert_eq!(store.bad_count(), 1);
}

#[test]
fn readers_of_a_growing_replica_get_checksums_that_match_at_every_length() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let b = block(1, 1001);
    let mut writer = create(&store, b, false).unwrap();
    for step in 0..40 {
        let at = writer.block().len;
        let reader = store.open_reader(b, 0).unwrap();
        send(&mut writer, at, &bytes(at, 1 + step * 7), 100).unwrap();
        assert_eq!(reader.whole().unwrap(), bytes(0, at as usize), "as it was when it was opened");
        assert_eq!(read(&store, b).unwrap(), bytes(0, writer.block().len as usize));
    }
}
