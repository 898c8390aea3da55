//! Registrations, heartbeats, incremental and full reports.

use super::*;
use mammoth_protocol::internal::ReplicaEvent::{Bad, Deleted, Received, Receiving};

#[test]
fn an_unknown_datanode_or_an_old_epoch_is_sent_to_register() {
    let mut fleet = Fleet::flat(2);
    let stranger =
        HeartbeatRequest { datanode: datanode(9), epoch: Epoch(1), storages: Vec::new(), xceivers: 0, copies: 0 };
    assert!(fleet.map.heartbeat(fleet.now, &stranger).register);
    let old = Epoch(fleet.epochs[0]);
    fleet.register(0);
    fleet.map.insert(block(1).id, meta(block(1), 1, true));
    let report = IncrementalReport {
        datanode: datanode(0),
        epoch: old,
        storages: vec![StorageEvents { storage: storage(0), seq: 1, events: vec![Received(block(1))] }],
    };
    assert!(fleet.map.incremental(fleet.now, &report).register);
    assert_eq!(fleet.map.confirmed(block(1).id), 0, "nothing of it was taken");
}

#[test]
fn a_repeated_incremental_report_is_ignored_and_a_gap_asks_for_a_full_one() {
    let mut fleet = Fleet::flat(1);
    fleet.map.insert(block(1).id, meta(block(1), 1, true));
    fleet.received(0, block(1));
    fleet.events(0, &[Bad(block(1))]);
    assert_eq!(fleet.events_at(0, 1, &[Received(block(1))]), Outcome::default());
    assert_eq!(fleet.map.confirmed(block(1).id), 0, "an old message changes nothing");
    let outcome = fleet.events_at(0, 4, &[Received(block(1))]);
    assert_eq!(outcome.resync, [storage(0)]);
    assert_eq!(fleet.map.confirmed(block(1).id), 1, "what it says is true nevertheless");
    assert!(!fleet.map.datanodes(fleet.now, crate::api::DatanodeKind::All)[0].reported);
    fleet.full(0, &[finalized(block(1))]);
    assert!(fleet.map.datanodes(fleet.now, crate::api::DatanodeKind::All)[0].reported);
}

#[test]
fn a_full_report_adds_and_removes() {
    let mut fleet = Fleet::flat(1);
    fleet.stored(block(1), 1, &[0]);
    fleet.stored(block(2), 1, &[]);
    fleet.full(0, &[finalized(block(2))]);
    assert_eq!(fleet.map.confirmed(block(1).id), 0);
    assert_eq!(fleet.map.confirmed(block(2).id), 1);
    assert_eq!(fleet.map.missing_blocks(None, 10), [block(1).id]);
}

#[test]
fn nothing_is_removed_before_the_last_slice() {
    let mut fleet = Fleet::flat(1);
    for n in 1..=4 {
        fleet.stored(block(n), 1, &[0]);
    }
    fleet.slice(0, 4, 0, false, &[finalized(block(1))]);
    assert_eq!(fleet.map.confirmed(block(4).id), 1);
    fleet.slice(0, 4, 1, true, &[finalized(block(3))]);
    let confirmed: Vec<usize> = (1..=4).map(|n| fleet.map.confirmed(block(n).id)).collect();
    assert_eq!(confirmed, [1, 0, 1, 0]);
}

#[test]
fn a_list_does_not_undo_later_events() {
    let mut fleet = Fleet::flat(1);
    for n in 1..=3 {
        fleet.map.insert(block(n).id, meta(block(n), 1, true));
    }
    fleet.received(0, block(1));
    fleet.received(0, block(2));
    // Cut after event 2; while it travels 1 turns out to be bad and 3 arrives.
    fleet.events(0, &[Bad(block(1))]);
    fleet.slice(0, 2, 0, false, &[finalized(block(1))]);
    fleet.received(0, block(3));
    fleet.slice(0, 2, 1, true, &[finalized(block(2))]);
    let confirmed: Vec<usize> = (1..=3).map(|n| fleet.map.confirmed(block(n).id)).collect();
    assert_eq!(confirmed, [0, 1, 1]);
}

#[test]
fn an_interrupted_report_starts_again() {
    let mut fleet = Fleet::flat(1);
    fleet.stored(block(1), 1, &[0]);
    fleet.slice(0, 1, 0, false, &[]);
    assert_eq!(fleet.slice(0, 1, 2, true, &[]).resync, [storage(0)]);
    assert_eq!(fleet.map.confirmed(block(1).id), 1);
    fleet.slice(0, 1, 0, false, &[]);
    fleet.slice(0, 1, 1, true, &[]);
    assert_eq!(fleet.map.confirmed(block(1).id), 0);
}

#[test]
fn a_missing_full_report_is_ordered() {
    let mut fleet = Fleet::flat(1);
    fleet.register(0);
    assert_eq!(fleet.beat(0), [], "it sends one by itself");
    fleet.pass(30_000);
    assert_eq!(fleet.beat(0), [DnCommand::FullReport { storages: vec![storage(0)] }]);
    assert_eq!(fleet.beat(0), [], "and not at every heartbeat");
    fleet.full(0, &[]);
    fleet.pass(60_000);
    assert_eq!(fleet.beat(0), []);
}

#[test]
fn a_silent_datanode_becomes_stale_then_dead_and_is_used_again() {
    let mut fleet = Fleet::flat(2);
    fleet.stored(block(1), 2, &[0, 1]);
    fleet.pass(31_000);
    fleet.beat(1);
    fleet.tick();
    assert_eq!((fleet.map.numbers(fleet.now).live, fleet.map.numbers(fleet.now).stale), (2, 1));
    assert_eq!(numbers_of(&fleet.map.places_for_read(block(1).id, Some(ip(0))).0), [1, 0], "silent ones last");
    fleet.only_live(&[1]);
    assert_eq!((fleet.map.numbers(fleet.now).live, fleet.map.numbers(fleet.now).dead), (1, 1));
    assert_eq!(fleet.readers(block(1)), [1]);
    assert_eq!(fleet.map.numbers(fleet.now).under_replicated, 1);
    assert!(fleet.beat_outcome(0).register, "it was given up");
    fleet.register(0);
    fleet.full(0, &[finalized(block(1))]);
    assert_eq!(fleet.readers(block(1)), [0, 1]);
    assert_eq!(fleet.map.numbers(fleet.now).under_replicated, 0);
}

#[test]
fn a_death_counts_at_once_even_before_it_is_drained() {
    let mut fleet = Fleet::flat(2);
    fleet.stored(block(1), 2, &[0, 1]);
    let successor = RegisterRequest { datanode: datanode(7), storages: vec![], ..fleet.request(0) };
    fleet.map.register(fleet.now, &successor, Epoch(77));
    assert_eq!(fleet.readers(block(1)), [1], "its address has another owner");
    assert_eq!(fleet.map.confirmed(block(1).id), 1);
    fleet.check();
    fleet.register(0);
    assert_eq!(fleet.map.confirmed(block(1).id), 1, "it must report anew");
}

#[test]
fn a_volume_moves_with_its_replicas_to_another_datanode() {
    let mut fleet = Fleet::flat(2);
    fleet.stored(block(1), 1, &[0]);
    let both = RegisterRequest { storages: vec![fleet.usage(0), fleet.usage(1)], ..fleet.request(1) };
    fleet.register_as(1, &both);
    let (places, _) = fleet.map.places_for_read(block(1).id, None);
    assert_eq!((places[0].datanode, places[0].storage), (datanode(1), storage(0)));
    assert!(fleet.beat_outcome(0).register, "its volume is gone");
}

#[test]
fn a_failed_volume_loses_its_replicas_and_must_report_when_it_works_again() {
    let mut fleet = Fleet::flat(2);
    fleet.stored(block(1), 2, &[0, 1]);
    fleet.failed.insert(0, true);
    fleet.beat(0);
    assert_eq!(fleet.readers(block(1)), [1]);
    fleet.received(0, block(1));
    assert_eq!(fleet.readers(block(1)), [1], "it does not count");
    fleet.tick();
    fleet.failed.insert(0, false);
    assert_eq!(fleet.beat(0), [DnCommand::FullReport { storages: vec![storage(0)] }]);
    assert_eq!(fleet.readers(block(1)), [1]);
    fleet.full(0, &[finalized(block(1))]);
    assert_eq!(fleet.readers(block(1)), [0, 1]);
}

#[test]
fn replicas_of_unknown_blocks_are_deleted_unless_their_ids_were_never_given_out() {
    let mut fleet = Fleet::flat(1);
    let (old, lost) = (block(1), block(5000));
    let reserved = Block { id: BlockId(-3), ..block(1) };
    fleet.full(0, &[finalized(reserved), finalized(old), finalized(lost)]);
    fleet.events(0, &[Receiving(block(2))]);
    let mut orders = deletes(&fleet.beat(0));
    orders.sort_unstable();
    assert_eq!(orders, [(old.id, old.stamp), (block(2).id, block(2).stamp)]);
    assert_eq!(deletes(&fleet.beat(0)), [], "once");
    fleet.pass(30_000);
    assert_eq!(deletes(&fleet.beat(0)).len(), 2, "and again without confirmation");
    fleet.events(0, &[Deleted(old)]);
    fleet.full(0, &[]);
    fleet.pass(30_000);
    assert_eq!(deletes(&fleet.beat(0)), [], "a list confirms as well");
    assert_eq!(fleet.map.stats(fleet.now).pending_deletion, 0);
}
