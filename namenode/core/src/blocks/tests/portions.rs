//! Work on many blocks at once, done in portions so that nobody else waits for all of it.

use super::*;
use crate::api::{AdminState, AdminWish, DatanodeKind, HostName, HostRules};
use mammoth_protocol::internal::ReplicaEvent::{Bad, Received};

/// More than any portion.
const MANY: i64 = 12_000;

/// A datanode with many blocks that nobody else has.
fn fleet_with_many() -> (Fleet, Vec<ReportedReplica>) {
    let mut fleet = Fleet::flat(2);
    fleet.map.set_own_high_water(HighWater { block: block(MANY).id, ..HighWater::default() });
    for n in 1..=MANY {
        fleet.map.insert(block(n).id, meta(block(n), 1, true));
    }
    let list: Vec<ReportedReplica> = (1..=MANY).map(|n| finalized(block(n))).collect();
    fleet.full(0, &list);
    (fleet, list)
}

fn missing(fleet: &Fleet) -> u64 {
    fleet.map.stats(fleet.now).missing_blocks
}

/// A list of these that is complete in one slice.
fn whole_list(fleet: &Fleet, replicas: &[ReportedReplica]) -> FullReportSlice {
    FullReportSlice {
        datanode: datanode(0),
        epoch: Epoch(fleet.epochs[0]),
        storage: storage(0),
        cut_seq: 0,
        slice: 0,
        last: true,
        replicas: replicas.to_vec(),
    }
}

fn is_asked_to_report(orders: &[DnCommand]) -> bool {
    orders.iter().any(|order| matches!(order, DnCommand::FullReport { .. }))
}

#[test]
fn a_list_is_taken_in_portions_and_events_in_between_are_newer() {
    let (mut fleet, list) = fleet_with_many();
    let slice = whole_list(&fleet, &list[1..]);
    let (outcome, next) = fleet.map.full_portion(fleet.now, &slice, 0);
    assert_eq!(outcome, Outcome::default());
    let next = next.expect("it is too long for one portion");
    // One that is still to come in the list turns out to be bad, one that is not in the list arrives.
    let (late, first) = (block(MANY), block(1));
    fleet.events(0, &[Bad(late), Received(first)]);
    let mut from = Some(next);
    while let Some(at) = from {
        let (outcome, next) = fleet.map.full_portion(fleet.now, &slice, at);
        assert_eq!(outcome, Outcome::default());
        from = next;
        fleet.check();
    }
    assert_eq!((fleet.map.confirmed(late.id), fleet.map.confirmed(first.id)), (0, 1));
    assert_eq!(missing(&fleet), 1);
}

#[test]
fn a_portion_of_a_list_that_was_given_up_is_not_taken() {
    let (mut fleet, list) = fleet_with_many();
    let old = whole_list(&fleet, &list);
    let (_, next) = fleet.map.full_portion(fleet.now, &old, 0);
    let next = next.expect("it is too long for one portion");
    let other = whole_list(&fleet, &list[..1]);
    assert_eq!(fleet.map.full(fleet.now, &other), Outcome::default());
    let outcome = fleet.map.full_portion(fleet.now, &old, next).0;
    assert_eq!(outcome.resync, [storage(0)]);
    assert_eq!(missing(&fleet), MANY as u64 - 1, "the shorter list counts");
}

#[test]
fn what_a_list_does_not_name_is_given_up_in_portions() {
    let (mut fleet, _) = fleet_with_many();
    let empty = whole_list(&fleet, &[]);
    let (_, next) = fleet.map.full_portion(fleet.now, &empty, 0);
    let first = missing(&fleet);
    assert!(next.is_some() && first > 0 && first < MANY as u64, "{first} at once");
    let late = block(MANY);
    fleet.received(0, late);
    let mut from = next;
    while let Some(at) = from {
        from = fleet.map.full_portion(fleet.now, &empty, at).1;
        fleet.check();
    }
    assert_eq!((missing(&fleet), fleet.map.confirmed(late.id)), (MANY as u64 - 1, 1), "what came in between is newer");
}

#[test]
fn a_volume_that_returns_before_it_is_forgotten_serves_when_it_is() {
    let (mut fleet, list) = fleet_with_many();
    fleet.failed.insert(0, true);
    fleet.beat(0);
    fleet.failed.insert(0, false);
    assert!(!is_asked_to_report(&fleet.beat(0)), "too much is known of it");
    fleet.received(0, block(1));
    assert_eq!(fleet.map.confirmed(block(1).id), 0, "it does not serve yet");
    while fleet.map.tick(fleet.now, 1).more {}
    assert_eq!(missing(&fleet), MANY as u64);
    assert!(is_asked_to_report(&fleet.beat(0)));
    // A list that was cut before what was not taken proves nothing.
    fleet.slice(0, 0, 0, true, &list[1..]);
    assert!(!fleet.map.datanodes(fleet.now, DatanodeKind::All)[0].reported);
    fleet.full(0, &list);
    assert_eq!(missing(&fleet), 0);
}

/// A datanode with two volumes that is to leave.
fn leaving_with_two_volumes() -> (Fleet, RegisterRequest) {
    let mut fleet = Fleet::flat(3);
    let mut request = fleet.request(0);
    request.storages.push(StorageUsage { storage: storage(9), ..request.storages[0] });
    fleet.register_as(0, &request);
    fleet.full(0, &[]);
    let wish = (HostName { host: "dn0".to_owned(), port: None }, AdminWish::Decommissioned);
    fleet.map.set_hosts(fleet.now, HostRules { included: Vec::new(), wishes: vec![wish] });
    (fleet, request)
}

fn is_gone(fleet: &Fleet) -> bool {
    let all = fleet.map.datanodes(fleet.now, DatanodeKind::Admin(AdminState::Decommissioned));
    all.iter().any(|status| status.id == datanode(0))
}

#[test]
fn a_volume_left_out_of_heartbeats_holds_nobody_back() {
    let (mut fleet, request) = leaving_with_two_volumes();
    let heartbeat = HeartbeatRequest {
        datanode: datanode(0),
        epoch: Epoch(fleet.epochs[0]),
        storages: request.storages,
        xceivers: 0,
        copies: 0,
    };
    fleet.map.heartbeat(fleet.now, &heartbeat);
    fleet.round();
    fleet.round();
    assert!(!is_gone(&fleet), "one volume has not told yet");
    fleet.beat(0); // Names the first volume only.
    fleet.round();
    fleet.round();
    assert!(is_gone(&fleet));
}

#[test]
fn a_volume_that_returns_holds_its_datanode_back() {
    let (mut fleet, list) = fleet_with_many();
    let wish = (HostName { host: "dn0".to_owned(), port: None }, AdminWish::Decommissioned);
    fleet.map.set_hosts(fleet.now, HostRules { included: Vec::new(), wishes: vec![wish] });
    fleet.failed.insert(0, true);
    fleet.beat(0);
    fleet.failed.insert(0, false);
    fleet.beat(0);
    for _ in 0..3 {
        fleet.pass(3_000);
        while fleet.map.tick(fleet.now, 1).more {}
        assert!(!is_gone(&fleet), "it is about to tell what it has");
    }
    fleet.beat(0);
    fleet.full(0, &list);
    fleet.round();
    assert!(!is_gone(&fleet), "others need what it has");
}

#[test]
fn a_round_of_copies_goes_on_from_tick_to_tick_and_ends() {
    const NODES: usize = 120;
    let mut fleet = Fleet::flat(NODES);
    for n in 0..300 {
        fleet.map.insert(block(n + 1).id, meta(block(n + 1), 2, true));
        fleet.received(n as usize % NODES, block(n + 1));
    }
    fleet.pass(3_000);
    let copies = |fleet: &Fleet| fleet.map.numbers(fleet.now).pending_copies;
    assert!(fleet.map.tick(fleet.now, 1).more);
    assert_eq!(copies(&fleet), 200);
    while fleet.map.tick(fleet.now, 2).more {}
    assert_eq!(copies(&fleet), 2 * NODES as u64, "as many as a round may");
    fleet.check();
}
