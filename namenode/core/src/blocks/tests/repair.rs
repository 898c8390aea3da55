//! Copies: when, from where, to where, how many.

use super::*;
use crate::api::ReplicaOn;
use mammoth_protocol::internal::ReplicaEvent::{Bad, Receiving};

/// Gives every datanode a heartbeat and collects the copies ordered, with their sources.
fn all_copies(fleet: &mut Fleet, datanodes: usize) -> Vec<(usize, BlockId, Vec<usize>)> {
    let of = |(n, orders): (usize, Vec<DnCommand>)| copies(&orders).into_iter().map(move |(id, to)| (n, id, to));
    (0..datanodes).map(|n| (n, fleet.beat(n))).collect::<Vec<_>>().into_iter().flat_map(of).collect()
}

#[test]
fn a_missing_copy_is_ordered_once_and_again_after_its_time() {
    let mut fleet = Fleet::flat(3);
    fleet.stored(block(1), 2, &[0]);
    assert_eq!(fleet.map.numbers(fleet.now).under_replicated, 1);
    fleet.round();
    let ordered = all_copies(&mut fleet, 3);
    assert_eq!(ordered.len(), 1);
    let (source, id, targets) = &ordered[0];
    assert_eq!((*source, *id, targets.len()), (0, block(1).id, 1));
    assert_ne!(targets[0], 0);
    assert_eq!(fleet.map.numbers(fleet.now).pending_copies, 1);
    fleet.round();
    assert_eq!(all_copies(&mut fleet, 3), []);
    for _ in 0..31 {
        fleet.pass(10_000);
        (0..3).for_each(|n| assert_eq!(copies(&fleet.beat(n)).len(), 0));
    }
    fleet.round();
    let again = all_copies(&mut fleet, 3);
    assert_eq!(again.len(), 1, "it was thought lost");
    fleet.received(again[0].2[0], block(1));
    let numbers = fleet.map.numbers(fleet.now);
    assert_eq!((numbers.under_replicated, numbers.pending_copies), (0, 0));
}

#[test]
fn the_last_copy_goes_first_and_sources_are_not_overloaded() {
    let mut fleet = Fleet::flat(4);
    for n in 1..=6 {
        fleet.stored(block(n), 3, &[0, 1]);
    }
    fleet.stored(block(7), 3, &[0]);
    fleet.round();
    let orders = [fleet.beat(0), fleet.beat(1)];
    let of_zero: Vec<BlockId> = copies(&orders[0]).iter().map(|c| c.0).collect();
    assert_eq!(of_zero[0], block(7).id);
    assert!(of_zero.len() <= 2 && copies(&orders[1]).len() <= 2, "two streams each: {orders:?}");
}

#[test]
fn a_block_that_cannot_be_helped_stays_without_fuss() {
    let mut fleet = Fleet::flat(2);
    fleet.stored(block(1), 3, &[0, 1]);
    for _ in 0..10 {
        fleet.pass(3_000);
        let tick = fleet.map.tick(fleet.now, 1);
        assert!(!tick.more);
        assert_eq!(all_copies(&mut fleet, 2), []);
    }
    assert_eq!(fleet.map.numbers(fleet.now).under_replicated, 1);
}

#[test]
fn a_dead_datanode_is_made_up_for() {
    let mut fleet = Fleet::flat(4);
    fleet.stored(block(1), 3, &[0, 1, 2]);
    for _ in 0..70 {
        fleet.pass(10_000);
        for n in [0, 1, 3] {
            if let Some((_, targets)) = copies(&fleet.beat(n)).first() {
                assert_eq!(targets, &[3]);
                fleet.received(3, block(1));
            }
        }
        fleet.tick();
    }
    assert_eq!(fleet.readers(block(1)), [0, 1, 3]);
}

#[test]
fn a_copy_goes_back_to_where_a_bad_replica_was_set_aside() {
    let mut fleet = Fleet::flat(3);
    fleet.stored(block(1), 3, &[0, 1, 2]);
    fleet.map.bad(fleet.now, &[(ReplicaOn::Storage(storage(2)), block(1))]);
    fleet.round();
    assert_eq!(all_copies(&mut fleet, 3), [], "it still occupies the only place left");
    fleet.events(2, &[Bad(block(1))]);
    fleet.round();
    let ordered = all_copies(&mut fleet, 3);
    assert_eq!(ordered.iter().map(|c| c.2.clone()).collect::<Vec<_>>(), [[2]]);
    fleet.full(2, &[]);
    fleet.received(2, block(1));
    assert_eq!(fleet.readers(block(1)), [0, 1, 2]);
    fleet.round();
    assert_eq!(drops(&fleet.beat(2)), [block(1).id]);
}

#[test]
fn an_older_replica_makes_way_if_it_occupies_the_only_place_left() {
    let mut fleet = Fleet::flat(3);
    fleet.stored(block(1), 3, &[0, 1]);
    let older = Block { stamp: GenStamp(1000), ..block(1) };
    fleet.full(2, &[ReportedReplica { block: older, state: ReplicaState::Rwr }]);
    fleet.round();
    assert_eq!(deletes(&fleet.beat(2)), [(older.id, older.stamp)]);
    fleet.events(2, &[ReplicaEvent::Deleted(older)]);
    fleet.round();
    assert_eq!(all_copies(&mut fleet, 3).iter().map(|c| c.2.clone()).collect::<Vec<_>>(), [[2]]);
}

#[test]
fn an_older_replica_stays_while_there_is_another_place() {
    let mut fleet = Fleet::flat(4);
    fleet.stored(block(1), 3, &[0, 1]);
    let older = Block { stamp: GenStamp(1000), ..block(1) };
    fleet.received(2, older);
    fleet.round();
    assert_eq!(deletes(&fleet.beat(2)), []);
    assert_eq!(all_copies(&mut fleet, 4).iter().map(|c| c.2.clone()).collect::<Vec<_>>(), [[3]]);
    fleet.received(3, block(1));
    fleet.round();
    assert_eq!(deletes(&fleet.beat(2)), [(older.id, older.stamp)]);
}

#[test]
fn a_pipeline_that_is_about_to_report_is_no_reason_to_copy() {
    let mut fleet = Fleet::flat(4);
    let written = block(1);
    fleet.open(written, 3, &[0, 1, 2]);
    fleet.events(1, &[Receiving(written)]);
    fleet.received(0, written);
    fleet.map.update(written.id, written.stamp, written.len, true);
    fleet.round();
    assert_eq!(all_copies(&mut fleet, 4), []);
    assert_eq!(fleet.map.numbers(fleet.now).under_replicated, 1);
    fleet.received(1, written);
    fleet.received(2, written);
    assert_eq!(fleet.map.numbers(fleet.now).pending_copies, 0);
    assert_eq!(fleet.map.numbers(fleet.now).under_replicated, 0);
}

#[test]
fn an_order_that_lost_its_sense_is_not_handed_over() {
    let mut fleet = Fleet::flat(3);
    fleet.stored(block(1), 2, &[0]);
    fleet.round();
    fleet.map.remove(block(1).id);
    assert_eq!(copies(&fleet.beat(0)), []);
    fleet.stored(block(2), 2, &[0]);
    fleet.round();
    fleet.map.bad(fleet.now, &[(ReplicaOn::Storage(storage(0)), block(2))]);
    assert_eq!(copies(&fleet.beat(0)), []);
    assert_eq!(fleet.map.numbers(fleet.now).pending_copies, 0);
}

#[test]
fn a_round_is_bounded_and_goes_on_where_it_stopped() {
    let config = CoreConfig { max_streams: 1000, max_streams_hard: 1000, ..CoreConfig::default() };
    let mut fleet = Fleet::with(&config, &["/r", "/r", "/r"]);
    for n in 1..=40 {
        fleet.stored(block(n), 3, &[0, 1]);
    }
    fleet.beat(0);
    fleet.beat(1);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..7 {
        fleet.round();
        let ordered = all_copies(&mut fleet, 3);
        assert!(ordered.len() <= 6, "twice the live datanodes");
        seen.extend(ordered.into_iter().map(|c| c.1));
    }
    assert_eq!(seen.len(), 40);
}
