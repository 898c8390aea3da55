//! What readers are told, and what counts as confirmed.

use super::*;
use crate::api::ReplicaOn;
use mammoth_protocol::internal::ReplicaEvent::{Bad, Received, Receiving};

#[test]
fn readers_get_the_nearest_first() {
    let mut fleet = Fleet::new(&["/a", "/b", "/b", "/c"]);
    fleet.stored(block(1), 3, &[0, 1, 2]);
    for near in [1, 2] {
        let places = numbers_of(&fleet.map.places_for_read(block(1).id, Some(ip(near))).0);
        assert_eq!(places, [near, 3 - near, 0], "own host, own rack, elsewhere");
    }
    assert_eq!(fleet.map.places_for_read(block(1).id, Some(ip(200))).0.len(), 3);
}

#[test]
fn equals_are_spread_over_blocks() {
    let mut fleet = Fleet::flat(3);
    let mut first = [0; 3];
    for n in 1..=60 {
        fleet.stored(block(n), 3, &[0, 1, 2]);
        first[numbers_of(&fleet.map.places_for_read(block(n).id, None).0)[0]] += 1;
    }
    assert!(first.iter().all(|&n| n > 8), "{first:?}");
}

#[test]
fn only_the_present_stamp_and_length_are_good() {
    let mut fleet = Fleet::flat(4);
    let good = block(1);
    fleet.stored(good, 3, &[0]);
    fleet.received(1, Block { stamp: GenStamp(1000), ..good });
    fleet.received(2, Block { len: 99, ..good });
    fleet.events(3, &[Receiving(good)]);
    assert_eq!(fleet.readers(good), [0]);
    assert_eq!(fleet.map.confirmed(good.id), 1);
    assert_eq!(fleet.map.numbers(fleet.now).corrupt_replicas, 2, "the one being written is neither");
    fleet.received(3, good);
    assert_eq!(fleet.readers(good), [0, 3]);
}

#[test]
fn if_all_replicas_are_bad_they_are_listed_as_such_and_nothing_is_deleted() {
    let mut fleet = Fleet::flat(3);
    let lost = block(1);
    fleet.stored(lost, 3, &[0, 1]);
    fleet.received(2, Block { stamp: GenStamp(1000), ..lost });
    let on = |n| (ReplicaOn::Datanode(datanode(n)), lost);
    fleet.map.bad(fleet.now, &[on(0), (ReplicaOn::Storage(storage(1)), lost)]);
    let (places, corrupt) = fleet.map.places_for_read(lost.id, None);
    assert!(corrupt);
    let mut places = numbers_of(&places);
    places.sort_unstable();
    assert_eq!(places, [0, 1], "never the older stamp");
    for _ in 0..5 {
        fleet.round();
        for n in 0..3 {
            let mut orders = fleet.beat(n);
            // Their datanodes are asked to look for themselves; nothing else happens.
            orders.retain(|order| !matches!(order, DnCommand::Verify { .. }));
            assert_eq!(orders, []);
        }
    }
    assert_eq!(fleet.map.missing_blocks(None, 10), [lost.id]);
    assert_eq!(fleet.map.stats(fleet.now).corrupt_blocks, 1);
}

#[test]
fn an_open_block_lists_who_writes_it_under_the_present_stamp() {
    let mut fleet = Fleet::flat(4);
    let first = block(1);
    fleet.open(first, 3, &[0, 1, 2]);
    assert_eq!(fleet.readers(first), [0, 1, 2], "who was told to write");
    assert_eq!(numbers_of(&fleet.map.places_of_pipeline(first.id)), [0, 1, 2]);
    fleet.events(0, &[Receiving(first)]);
    let second = Block { stamp: GenStamp(1002), ..first };
    fleet.map.update(first.id, second.stamp, 0, false);
    fleet.map.set_expected(first.id, &[storage(1), storage(2)]);
    fleet.events(1, &[Receiving(second)]);
    assert_eq!(fleet.readers(first), [1, 2], "0 has an older stamp");
    assert!(fleet.map.any_reported(first.id));
    fleet.events(1, &[Bad(second)]);
    fleet.events(2, &[Receiving(second)]);
    assert_eq!(fleet.readers(first), [1, 2], "1 may write it anew");
}

#[test]
fn finalized_replicas_of_an_open_block_are_confirmed() {
    let mut fleet = Fleet::flat(3);
    let written = block(1);
    fleet.open(written, 3, &[0, 1, 2]);
    assert!(!fleet.map.any_reported(written.id));
    assert!(fleet.map.all_expected_reported(written.id), "all volumes have reported fully");
    fleet.events(0, &[Receiving(written)]);
    assert_eq!(fleet.map.confirmed(written.id), 0);
    fleet.events(0, &[Received(written)]);
    fleet.received(1, Block { len: 7, ..written });
    assert_eq!(fleet.map.confirmed(written.id), 2);
    assert_eq!(fleet.map.confirmed_with_len(written.id, 100), 1);
    fleet.map.update(written.id, written.stamp, written.len, true);
    fleet.check();
    assert_eq!(fleet.map.confirmed(written.id), 1);
    assert_eq!(fleet.readers(written), [0]);
}

#[test]
fn after_a_restart_an_open_block_waits_for_its_volumes() {
    let mut fleet = Fleet::cold(&CoreConfig::default(), &["/r", "/r"]);
    fleet.open(block(1), 2, &[0, 1]);
    fleet.map.loaded(fleet.now);
    assert!(!fleet.map.all_expected_reported(block(1).id));
    fleet.register(0);
    fleet.full(0, &[]);
    assert!(!fleet.map.all_expected_reported(block(1).id));
    fleet.register(1);
    let replica = ReportedReplica { block: block(1), state: ReplicaState::Rwr };
    fleet.slice(1, 0, 0, false, &[replica]);
    assert!(fleet.map.all_expected_reported(block(1).id), "the second named it");
    assert!(fleet.map.any_reported(block(1).id));
    assert_eq!(fleet.readers(block(1)), [0, 1]);
}

#[test]
fn a_corrupt_mark_stays_until_the_replica_is_another() {
    let mut fleet = Fleet::flat(2);
    let bad = block(1);
    fleet.stored(bad, 2, &[0, 1]);
    fleet.map.bad(fleet.now, &[(ReplicaOn::Storage(storage(0)), bad)]);
    fleet.received(0, bad);
    fleet.full(0, &[finalized(bad)]);
    assert_eq!(fleet.readers(bad), [1], "saying the same again is no cure");
    fleet.events(0, &[ReplicaEvent::Deleted(bad), Received(bad)]);
    assert_eq!(fleet.readers(bad), [0, 1]);
    fleet.map.bad(fleet.now, &[(ReplicaOn::Storage(storage(0)), Block { stamp: GenStamp(999), ..bad })]);
    assert_eq!(fleet.readers(bad), [0, 1], "a report about an older replica");
}
