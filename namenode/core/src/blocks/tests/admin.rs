//! Datanodes that are to leave, or to be away for a while.

use super::*;
use crate::api::{AdminState, AdminWish, DatanodeKind, HostName, HostRules};
use mammoth_protocol::internal::ReplicaEvent::Receiving;

const AWAY: AdminWish = AdminWish::InMaintenance { until_wall_ms: None };

fn host(n: usize) -> HostName {
    HostName { host: format!("dn{n}"), port: None }
}

impl Fleet {
    /// The operator wants this of a datanode, and of the others that they serve.
    fn want(&mut self, n: usize, wish: AdminWish) {
        self.rules(HostRules { included: Vec::new(), wishes: vec![(host(n), wish)] });
    }

    fn rules(&mut self, rules: HostRules) {
        self.map.set_hosts(self.now, rules);
        self.check();
    }

    fn state(&self, n: usize) -> AdminState {
        let all = self.map.datanodes(self.now, DatanodeKind::All);
        all.into_iter().find(|status| status.id == datanode(n)).map(|status| status.admin).expect("registered")
    }

    /// Repair rounds in which every datanode up to `live` does at once what it is told; gives what was copied where.
    fn repair(&mut self, live: usize) -> Vec<(BlockId, usize)> {
        let mut done = Vec::new();
        for _ in 0..5 {
            self.round();
            for n in 0..live {
                let orders = self.beat(n);
                for (id, targets) in copies(&orders) {
                    for target in targets {
                        self.received(target, Block { id, ..block(1) });
                        done.push((id, target));
                    }
                }
                for (id, stamp) in deletes(&orders) {
                    self.events(n, &[ReplicaEvent::Deleted(Block { id, stamp, len: 0 })]);
                }
            }
        }
        done
    }
}

#[test]
fn a_datanode_leaves_when_its_blocks_have_their_replicas_elsewhere() {
    let mut fleet = Fleet::flat(4);
    fleet.stored(block(1), 3, &[0, 1, 2]);
    fleet.stored(block(2), 1, &[0]);
    fleet.stored(block(3), 2, &[1, 2]);
    fleet.want(0, AdminWish::Decommissioned);
    assert_eq!(fleet.state(0), AdminState::Decommissioning);
    assert_eq!(fleet.map.datanodes(fleet.now, DatanodeKind::Admin(AdminState::Decommissioning)).len(), 1);
    fleet.round();
    assert_eq!(fleet.state(0), AdminState::Decommissioning, "nothing is copied yet");
    assert_eq!(fleet.map.numbers(fleet.now).under_replicated, 2);
    let copied = fleet.repair(4);
    assert_eq!(copied.iter().filter(|(id, to)| *id == block(1).id && *to == 3).count(), 1, "{copied:?}");
    assert!(copied.iter().any(|(id, to)| *id == block(2).id && *to != 0) && copied.len() == 2, "{copied:?}");
    assert_eq!(fleet.state(0), AdminState::Decommissioned);
    assert_eq!(fleet.readers(block(1)), [0, 1, 2, 3], "it is still there to be read");
    let places = fleet.map.places_for_read(block(1).id, Some(ip(0))).0;
    assert_eq!(numbers_of(&places).last(), Some(&0), "but asked last, even by its own host");
    fleet.want(0, AdminWish::Decommissioned);
    assert_eq!(fleet.state(0), AdminState::Decommissioned, "the same list again");
    fleet.rules(HostRules::default());
    assert_eq!(fleet.state(0), AdminState::InService);
    fleet.tick();
    assert_eq!(fleet.map.numbers(fleet.now).over_replicated, 2);
    fleet.repair(4);
    assert_eq!((fleet.readers(block(1)).len(), fleet.readers(block(2)).len()), (3, 1), "trimmed");
}

#[test]
fn nothing_new_goes_to_a_datanode_that_is_to_leave_nor_is_it_trimmed() {
    let mut fleet = Fleet::flat(3);
    fleet.stored(block(1), 2, &[0, 1]);
    fleet.want(0, AdminWish::Decommissioned);
    let request = super::super::TargetRequest { count: 3, writer: Some(ip(0)), ..Default::default() };
    let mut chosen = numbers_of(&fleet.map.choose_targets(&request));
    chosen.sort_unstable();
    assert_eq!(chosen, [1, 2]);
    fleet.repair(3);
    assert_eq!(fleet.readers(block(1)), [0, 1, 2]);
    fleet.map.set_wanted(block(1).id, 1);
    fleet.repair(3);
    let left = fleet.readers(block(1));
    assert!(left.len() == 2 && left.contains(&0), "only what lasts is too much: {left:?}");
}

#[test]
fn a_block_that_is_being_written_holds_its_datanode_back() {
    let mut fleet = Fleet::flat(3);
    fleet.open(block(1), 2, &[0]);
    fleet.events(0, &[Receiving(block(1))]);
    fleet.want(0, AdminWish::Decommissioned);
    fleet.repair(3);
    assert_eq!(fleet.state(0), AdminState::Decommissioning);
    fleet.map.set_expected(block(1).id, &[storage(0), storage(1)]);
    fleet.repair(3);
    assert_eq!(fleet.state(0), AdminState::Decommissioned, "another one of its pipeline stays");
}

#[test]
fn a_pipeline_that_has_not_told_anything_holds_its_datanode_back() {
    let mut fleet = Fleet::flat(2);
    fleet.open(block(1), 1, &[0]);
    fleet.want(0, AdminWish::Decommissioned);
    fleet.repair(2);
    assert_eq!(fleet.state(0), AdminState::Decommissioning);
}

/// Four datanodes, of which the first has one of a block's three replicas, is in maintenance and off.
fn one_is_away() -> Fleet {
    let mut fleet = Fleet::flat(4);
    fleet.stored(block(1), 3, &[0, 1, 2]);
    fleet.want(0, AWAY);
    fleet.repair(4);
    fleet.only_live(&[1, 2, 3]);
    assert_eq!(fleet.map.numbers(fleet.now).under_replicated, 0);
    fleet
}

#[test]
fn a_machine_that_comes_back_empty_ends_the_maintenance_of_what_was_there() {
    let mut fleet = one_is_away();
    let request = mammoth_protocol::internal::RegisterRequest { addr: fleet.request(0).addr, ..fleet.request(3) };
    assert!(fleet.map.register(fleet.now, &request, Epoch(99)).refused.is_none());
    fleet.round();
    assert_eq!(fleet.map.numbers(fleet.now).under_replicated, 1, "nobody brings that replica back");
}

#[test]
fn a_datanode_without_its_copies_never_leaves() {
    let mut fleet = Fleet::flat(2);
    fleet.stored(block(1), 2, &[0, 1]);
    fleet.want(0, AdminWish::Decommissioned);
    assert_eq!(fleet.repair(2), [], "there is no third one");
    assert_eq!(fleet.state(0), AdminState::Decommissioning);
    fleet.only_live(&[1]);
    let round = |fleet: &mut Fleet| {
        fleet.beat(1);
        fleet.round();
        fleet.round();
    };
    round(&mut fleet);
    assert_eq!(fleet.state(0), AdminState::Decommissioning, "dead, and its block lacks a copy: it may be wanted yet");
    fleet.map.set_wanted(block(1).id, 1);
    round(&mut fleet);
    assert_eq!(fleet.state(0), AdminState::Decommissioned, "nobody lacks anything");
}

#[test]
fn who_is_not_in_the_list_is_not_let_in() {
    let mut fleet = Fleet::flat(3);
    fleet.stored(block(1), 2, &[0, 1]);
    let listed = |n: &[usize]| HostRules { included: n.iter().map(|&n| host(n)).collect(), wishes: Vec::new() };
    fleet.rules(listed(&[0, 2]));
    fleet.tick();
    assert_eq!(fleet.readers(block(1)), [0]);
    assert!(fleet.beat_outcome(1).register);
    let refused = fleet.map.register(fleet.now, &fleet.request(1), Epoch(99)).refused.expect("refused");
    assert!(refused.message.contains("not in the include-list"), "{refused}");
    assert!(fleet.beat_outcome(1).register, "still unknown");
    fleet.rules(listed(&[0, 1, 2]));
    fleet.register(1);
    fleet.full(1, &[finalized(block(1))]);
    assert_eq!(fleet.readers(block(1)), [0, 1]);
    let port = |port| HostRules { included: vec![HostName { port: Some(port), ..host(0) }], wishes: Vec::new() };
    fleet.rules(port(9866));
    fleet.tick();
    assert_eq!(fleet.readers(block(1)), [0]);
    fleet.rules(port(9867));
    fleet.tick();
    assert_eq!(fleet.readers(block(1)), [] as [usize; 0]);
}

#[test]
fn a_datanode_in_maintenance_may_be_away_without_being_given_up() {
    let mut fleet = Fleet::flat(4);
    fleet.stored(block(1), 3, &[0, 1, 2]);
    fleet.stored(block(2), 2, &[0]);
    fleet.want(0, AWAY);
    assert_eq!(fleet.state(0), AdminState::EnteringMaintenance);
    let copied = fleet.repair(4);
    assert!(copied.len() == 1 && copied[0].0 == block(2).id, "one other replica is enough: {copied:?}");
    assert_eq!(fleet.state(0), AdminState::InMaintenance);
    fleet.only_live(&[1, 2, 3]);
    assert_eq!(fleet.map.numbers(fleet.now).dead, 1);
    assert_eq!((fleet.state(0), fleet.readers(block(1))), (AdminState::InMaintenance, vec![1, 2]));
    let numbers = fleet.map.numbers(fleet.now);
    assert_eq!((numbers.under_replicated, numbers.pending_copies), (0, 0), "it is expected back");
    fleet.register(0);
    fleet.full(0, &[finalized(block(1)), finalized(block(2))]);
    assert_eq!((fleet.state(0), fleet.readers(block(1))), (AdminState::InMaintenance, vec![0, 1, 2]));
    fleet.only_live(&[1, 2, 3]);
    fleet.rules(HostRules::default());
    for n in 1..4 {
        fleet.beat(n);
    }
    fleet.tick();
    assert_eq!(fleet.map.numbers(fleet.now).under_replicated, 2, "now it is just dead");
}

#[test]
fn whoever_may_not_come_back_is_not_expected_back() {
    let mut fleet = one_is_away();
    fleet.rules(HostRules { included: (1..4).map(host).collect(), wishes: Vec::new() });
    for n in 1..4 {
        fleet.beat(n);
    }
    fleet.tick();
    assert_eq!(fleet.map.numbers(fleet.now).under_replicated, 1);
}

#[test]
fn maintenance_ends_with_its_time() {
    let mut fleet = Fleet::flat(3);
    fleet.stored(block(1), 2, &[0, 1]);
    let until = fleet.now.wall_ms + 60_000;
    fleet.want(0, AdminWish::InMaintenance { until_wall_ms: Some(until) });
    fleet.repair(3);
    assert_eq!(fleet.state(0), AdminState::InMaintenance);
    fleet.pass(60_000);
    fleet.repair(3);
    assert_eq!(fleet.state(0), AdminState::InService);
    fleet.want(0, AdminWish::InMaintenance { until_wall_ms: Some(until) });
    assert_eq!(fleet.state(0), AdminState::InService, "that is over");
    assert_eq!(fleet.readers(block(1)), [0, 1]);
}

#[test]
fn copies_for_one_that_leaves_keep_to_two_racks() {
    let mut fleet = Fleet::new(&["/a", "/a", "/a", "/b", "/b"]);
    fleet.stored(block(1), 3, &[0, 1, 3]);
    fleet.want(3, AdminWish::Decommissioned);
    assert_eq!(fleet.repair(5), [(block(1).id, 4)], "the rack of the one that leaves counts for nothing");
    assert_eq!(fleet.state(3), AdminState::Decommissioned);
}

#[test]
fn replicas_that_are_still_to_arrive_hold_their_datanode_back() {
    let mut fleet = Fleet::flat(3);
    fleet.open(block(1), 2, &[0, 1]);
    fleet.events(1, &[Receiving(block(1))]);
    fleet.received(1, block(1));
    fleet.map.update(block(1).id, block(1).stamp, 100, true);
    fleet.want(0, AdminWish::Decommissioned);
    fleet.round();
    fleet.round();
    assert_eq!(fleet.state(0), AdminState::Decommissioning, "its replica was promised");
    fleet.received(0, block(1));
    fleet.repair(3);
    assert_eq!((fleet.state(0), fleet.readers(block(1))), (AdminState::Decommissioned, vec![0, 1, 2]));
}

#[test]
fn one_that_has_left_leaves_anew_when_it_is_needed_again() {
    let mut fleet = Fleet::flat(4);
    fleet.stored(block(1), 2, &[0, 1]);
    fleet.want(0, AdminWish::Decommissioned);
    fleet.repair(4);
    assert_eq!(fleet.state(0), AdminState::Decommissioned);
    fleet.map.set_wanted(block(1).id, 3);
    assert_eq!(fleet.state(0), AdminState::Decommissioning, "two others have it, and three are wanted");
    fleet.repair(4);
    assert_eq!(fleet.state(0), AdminState::Decommissioned);
    assert_eq!(fleet.readers(block(1)).len(), 4);
    fleet.only_live(&[1, 2, 3]);
    fleet.map.set_wanted(block(1).id, 4);
    assert_eq!(fleet.state(0), AdminState::Decommissioned, "it is off: nothing can be fetched from it");
}

#[test]
fn a_dead_datanode_has_left_when_nobody_lacks_anything() {
    let mut fleet = Fleet::flat(4);
    fleet.stored(block(1), 2, &[0, 1]);
    fleet.only_live(&[1]);
    fleet.want(0, AdminWish::Decommissioned);
    fleet.round();
    assert_eq!(fleet.state(0), AdminState::Decommissioning, "it may be back with what is missing");
    fleet.register(2);
    fleet.received(2, block(1));
    fleet.round();
    fleet.round();
    assert_eq!(fleet.state(0), AdminState::Decommissioned);
}
