//! Surplus, bad and unowned replicas.

use super::*;
use crate::api::{ReplicaOn, SafeModeAction};
use mammoth_protocol::internal::ReplicaEvent::{Bad, Deleted};

fn deleted_on(fleet: &mut Fleet, datanodes: usize) -> Vec<usize> {
    (0..datanodes).filter(|&n| !deletes(&fleet.beat(n)).is_empty()).collect()
}

#[test]
fn surplus_goes_from_the_fullest_on_the_fullest_rack() {
    let mut fleet = Fleet::new(&["/a", "/b", "/b", "/c"]);
    fleet.remaining.insert(0, GIB);
    fleet.remaining.insert(2, 50 * GIB);
    (0..4).for_each(|n| drop(fleet.beat(n)));
    fleet.stored(block(1), 3, &[0, 1, 2, 3]);
    assert_eq!(fleet.map.numbers(fleet.now).over_replicated, 1);
    fleet.round();
    assert_eq!(fleet.map.numbers(fleet.now).over_replicated, 0);
    assert_eq!(fleet.readers(block(1)), [0, 1, 3], "2 shares a rack and has less room than 1");
    assert_eq!(deleted_on(&mut fleet, 4), [2]);
    fleet.events(2, &[Deleted(block(1))]);
    assert_eq!(fleet.map.stats(fleet.now).pending_deletion, 0);
}

#[test]
fn lowering_the_wanted_number_trims() {
    let mut fleet = Fleet::flat(3);
    fleet.stored(block(1), 3, &[0, 1, 2]);
    fleet.map.set_wanted(block(1).id, 1);
    fleet.round();
    assert_eq!(deleted_on(&mut fleet, 3).len(), 2);
    assert_eq!(fleet.readers(block(1)).len(), 1);
}

#[test]
fn volumes_that_have_not_reported_fully_neither_lose_nor_vouch() {
    let mut fleet = Fleet::flat(4);
    fleet.stored(block(1), 3, &[0, 1, 2, 3]);
    for n in 0..2 {
        fleet.register(n);
    }
    fleet.round();
    assert_eq!(deleted_on(&mut fleet, 4), [] as [usize; 0], "two vouch, three must");
    fleet.full(0, &[finalized(block(1))]);
    fleet.round();
    assert_eq!(deleted_on(&mut fleet, 4), [] as [usize; 0], "three vouch, and one of them would go");
    fleet.full(1, &[finalized(block(1))]);
    fleet.round();
    assert_eq!(deleted_on(&mut fleet, 4).len(), 1);
}

#[test]
fn a_deletion_is_judged_again_when_the_order_goes_out() {
    let mut fleet = Fleet::flat(4);
    fleet.stored(block(1), 3, &[0, 1, 2, 3]);
    fleet.round();
    let doomed = (0..4).find(|n| !fleet.readers(block(1)).contains(n)).expect("one is doomed");
    let others: Vec<usize> = (0..4).filter(|&n| n != doomed).collect();
    fleet.events(others[0], &[Bad(block(1))]);
    assert_eq!(deleted_on(&mut fleet, 4), [] as [usize; 0]);
    assert!(fleet.readers(block(1)).contains(&doomed), "it is needed again and was never ordered away");
}

#[test]
fn a_deletion_that_went_out_is_regretted_only_by_a_new_registration() {
    let mut fleet = Fleet::flat(4);
    fleet.stored(block(1), 3, &[0, 1, 2, 3]);
    fleet.round();
    let doomed = deleted_on(&mut fleet, 4)[0];
    let others: Vec<usize> = (0..4).filter(|&n| n != doomed).collect();
    fleet.events(others[0], &[Bad(block(1))]);
    assert!(!fleet.readers(block(1)).contains(&doomed), "it may be gone by now");
    assert_eq!(fleet.beat(doomed), []);
    fleet.full(doomed, &[finalized(block(1))]);
    assert!(!fleet.readers(block(1)).contains(&doomed), "a list says nothing of what is about to be deleted");
    fleet.pass(30_000);
    assert_eq!(fleet.beat(doomed), [], "it has had the order for so long, and it is not right any more");
    let outcome = fleet.beat_outcome(doomed);
    assert!(outcome.register && outcome.orders.is_empty(), "{outcome:?}");
    fleet.register(doomed);
    fleet.full(doomed, &[finalized(block(1))]);
    assert!(fleet.readers(block(1)).contains(&doomed));
    fleet.pass(60_000);
    assert_eq!(deletes(&fleet.beat(doomed)), []);
}

/// A fleet of two, and the one that was just called back: it is to delete a replica, and the other one has become bad.
fn called_back() -> (Fleet, usize) {
    let mut fleet = Fleet::flat(2);
    fleet.stored(block(1), 1, &[0, 1]);
    fleet.round();
    let doomed = deleted_on(&mut fleet, 2)[0];
    fleet.events(1 - doomed, &[Bad(block(1))]);
    assert!(fleet.beat_outcome(doomed).register);
    (fleet, doomed)
}

#[test]
fn the_last_replica_is_called_back_at_once() {
    let (mut fleet, doomed) = called_back();
    assert!(!fleet.beat_outcome(doomed).register, "once");
    fleet.register(doomed);
    fleet.full(doomed, &[finalized(block(1))]);
    assert_eq!(fleet.readers(block(1)), [doomed]);
}

#[test]
fn a_deletion_by_an_order_of_an_earlier_registration_leaves_a_doubt() {
    let (mut fleet, doomed) = called_back();
    fleet.register(doomed);
    // The list was cut before the deletion that had begun was over, and is complete before the next heartbeat.
    fleet.slice(doomed, 0, 0, false, &[]);
    fleet.events(doomed, &[Deleted(block(1))]);
    fleet.slice(doomed, 0, 1, true, &[]);
    let orders = fleet.beat(doomed);
    assert_eq!(deletes(&orders), []);
    fleet.pass(60_000);
    let wanted = DnCommand::FullReport { storages: vec![storage(doomed)] };
    assert!(orders.contains(&wanted) || fleet.beat(doomed).contains(&wanted), "what is there is not known");
    fleet.full(doomed, &[]);
    assert_eq!(fleet.readers(block(1)), [] as [usize; 0], "gone");
}

#[test]
fn a_bad_replica_is_deleted_only_when_enough_good_ones_are_confirmed() {
    let mut fleet = Fleet::flat(4);
    fleet.stored(block(1), 3, &[0, 1, 2]);
    fleet.map.bad(fleet.now, &[(ReplicaOn::Datanode(datanode(2)), block(1))]);
    fleet.round();
    assert_eq!(deleted_on(&mut fleet, 4), [] as [usize; 0]);
    fleet.received(3, block(1));
    fleet.round();
    assert_eq!(deleted_on(&mut fleet, 4), [2]);
    fleet.events(2, &[Deleted(block(1))]);
    assert_eq!(fleet.map.numbers(fleet.now).corrupt_replicas, 0);
}

#[test]
fn a_replica_set_aside_is_dropped_once_there_are_enough() {
    let mut fleet = Fleet::flat(4);
    fleet.stored(block(1), 3, &[0, 1, 2]);
    fleet.events(2, &[Bad(block(1))]);
    assert_eq!(fleet.readers(block(1)), [0, 1]);
    fleet.round();
    assert_eq!(drops(&fleet.beat(2)), [] as [BlockId; 0]);
    fleet.received(3, block(1));
    fleet.round();
    for _ in 0..3 {
        assert_eq!(drops(&fleet.beat(2)), [block(1).id], "until it confirms");
        fleet.pass(30_000);
    }
    assert_eq!(fleet.map.numbers(fleet.now).corrupt_replicas, 1);
    fleet.events(2, &[Deleted(block(1))]);
    assert_eq!(fleet.map.numbers(fleet.now).corrupt_replicas, 0);
    assert_eq!(drops(&fleet.beat(2)), [] as [BlockId; 0]);
}

#[test]
fn the_end_of_a_dropped_replica_is_not_taken_for_that_of_the_new_copy() {
    let mut fleet = Fleet::flat(3);
    fleet.stored(block(1), 3, &[0, 1, 2]);
    fleet.events(2, &[Bad(block(1))]);
    fleet.received(2, block(1));
    fleet.round();
    assert_eq!(drops(&fleet.beat(2)), [block(1).id]);
    fleet.events(2, &[Deleted(block(1))]);
    assert_eq!(fleet.map.numbers(fleet.now).corrupt_replicas, 0);
    assert_eq!(fleet.readers(block(1)), [0, 1, 2]);
    assert_eq!(fleet.beat(2), []);
    fleet.events(2, &[Deleted(block(1))]);
    assert_eq!(fleet.beat(2), [DnCommand::FullReport { storages: vec![storage(2)] }], "nothing explains this one");
    assert_eq!(fleet.readers(block(1)), [0, 1, 2]);
    fleet.full(2, &[]);
    assert_eq!(fleet.readers(block(1)), [0, 1]);
}

#[test]
fn a_removed_block_is_deleted_in_bounded_portions() {
    let config = CoreConfig { invalidate_limit: 10, ..CoreConfig::default() };
    let mut fleet = Fleet::with(&config, &["/r"]);
    for n in 1..=25 {
        fleet.stored(block(n), 1, &[0]);
    }
    for n in 1..=25 {
        fleet.map.remove(block(n).id);
    }
    fleet.check();
    assert_eq!(fleet.map.stats(fleet.now).pending_deletion, 25);
    let portions: Vec<usize> = (0..4).map(|_| deletes(&fleet.beat(0)).len()).collect();
    assert_eq!(portions, [10, 10, 5, 0]);
}

#[test]
fn in_safe_mode_nothing_is_deleted_or_copied() {
    let mut fleet = Fleet::flat(3);
    fleet.stored(block(1), 2, &[0]);
    fleet.stored(block(2), 1, &[0, 1]);
    fleet.stored(block(3), 1, &[0]);
    fleet.round();
    fleet.map.remove(block(3).id);
    fleet.map.safe_mode_action(fleet.now, SafeModeAction::Enter).expect("always possible");
    for _ in 0..3 {
        fleet.round();
        (0..3).for_each(|n| assert_eq!(fleet.beat(n), []));
    }
    fleet.map.safe_mode_action(fleet.now, SafeModeAction::Leave).expect("manual");
    fleet.round();
    let orders: Vec<DnCommand> = (0..3).flat_map(|n| fleet.beat(n)).collect();
    assert_eq!((copies(&orders).len(), deletes(&orders).len()), (1, 2));
}

#[test]
fn a_datanode_that_returns_is_trimmed() {
    let mut fleet = Fleet::flat(4);
    fleet.stored(block(1), 3, &[0, 1, 2]);
    fleet.only_live(&[0, 1, 3]);
    fleet.received(3, block(1));
    fleet.register(2);
    fleet.round();
    assert_eq!(deleted_on(&mut fleet, 4), [] as [usize; 0]);
    fleet.full(2, &[finalized(block(1))]);
    fleet.round();
    assert_eq!(deleted_on(&mut fleet, 4).len(), 1);
    assert_eq!(fleet.readers(block(1)).len(), 3);
}

#[test]
fn the_datanode_of_a_doubted_replica_is_asked_to_look_a_few_times() {
    let asked = |orders: &[DnCommand]| orders.iter().any(|o| matches!(o, DnCommand::Verify { .. }));
    let mut fleet = Fleet::flat(3);
    fleet.stored(block(1), 3, &[0, 1, 2]);
    fleet.stored(block(2), 3, &[0, 1, 2]);
    fleet.map.bad(fleet.now, &[(ReplicaOn::Datanode(datanode(0)), block(1))]);
    fleet.map.bad(fleet.now, &[(ReplicaOn::Datanode(datanode(1)), block(2))]);
    for _ in 0..3 {
        let order = DnCommand::Verify { storage: storage(0), blocks: vec![Block { len: 0, ..block(1) }] };
        assert_eq!(fleet.beat(0), [order]);
        assert_eq!(fleet.beat(0), []);
        fleet.pass(30_000);
    }
    assert_eq!(fleet.beat(0), []);
    assert!(asked(&fleet.beat(1)));
    fleet.events(1, &[Bad(block(2))]);
    fleet.pass(30_000);
    assert!(!asked(&fleet.beat(1)), "it has looked");
}

#[test]
fn what_a_datanode_has_set_aside_is_what_it_said_since_it_registered() {
    let mut fleet = Fleet::flat(3);
    fleet.stored(block(1), 3, &[0, 1, 2]);
    fleet.events(2, &[Bad(block(1))]);
    fleet.full(2, &[finalized(block(1))]);
    assert_eq!(fleet.readers(block(1)), [0, 1], "the bad one, not moved yet");
    fleet.register(2);
    fleet.full(2, &[finalized(block(1))]);
    assert_eq!(fleet.readers(block(1)), [0, 1, 2], "a copy that came before it stopped");
    assert_eq!(fleet.map.numbers(fleet.now).corrupt_replicas, 0);
}
