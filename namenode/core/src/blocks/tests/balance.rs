//! Moves of the balancer: whose replica goes, and which blocks there are to move.

use super::*;
use mammoth_protocol::internal::ReplicaEvent::{Deleted, Moved};

/// A datanode receives a replica that is to take the place of another's.
fn moved(fleet: &mut Fleet, block: Block, from: usize, to: usize) {
    let outcome = fleet.events(to, &[Moved { block, from: datanode(from) }]);
    assert_eq!(outcome, Outcome::default());
}

/// Which datanodes are told to delete the block.
fn losers(fleet: &mut Fleet, datanodes: usize, block: Block) -> Vec<usize> {
    fleet.round();
    (0..datanodes).filter(|&n| deletes(&fleet.beat(n)).contains(&(block.id, block.stamp))).collect()
}

#[test]
fn the_relieved_datanode_loses_its_replica_whatever_room_others_have() {
    for from in 0..3 {
        let mut fleet = Fleet::flat(4);
        // By the ordinary rule the fullest goes.
        let fullest = (from + 1) % 3;
        fleet.remaining.insert(fullest, GIB);
        fleet.beat(fullest);
        fleet.stored(block(1), 3, &[0, 1, 2]);
        moved(&mut fleet, block(1), from, 3);
        assert_eq!(losers(&mut fleet, 4, block(1)), [from]);
        assert_eq!(fleet.readers(block(1)), (0..4).filter(|&n| n != from).collect::<Vec<_>>());
        fleet.events(from, &[Deleted(block(1))]);
        assert_eq!(losers(&mut fleet, 4, block(1)), []);
    }
}

#[test]
fn without_a_surplus_a_move_costs_nothing() {
    let mut fleet = Fleet::flat(4);
    fleet.stored(block(1), 3, &[0, 1]);
    moved(&mut fleet, block(1), 0, 3);
    assert_eq!(losers(&mut fleet, 4, block(1)), []);
    assert_eq!(fleet.readers(block(1)), [0, 1, 3]);
    // The surplus that comes later has nothing to do with the move.
    fleet.remaining.insert(1, GIB);
    fleet.received(2, block(1));
    fleet.beat(1);
    assert_eq!(losers(&mut fleet, 4, block(1)), [1]);
}

#[test]
fn a_move_never_leaves_a_block_on_fewer_racks() {
    // 0 and 1 on one rack, 2 alone on the other; the only replica there moves over to the first rack.
    let mut fleet = Fleet::new(&["/a", "/a", "/b", "/a"]);
    fleet.stored(block(1), 3, &[0, 1, 2]);
    moved(&mut fleet, block(1), 2, 3);
    assert_ne!(losers(&mut fleet, 4, block(1)), [2]);
    assert!(fleet.readers(block(1)).contains(&2));
    // From rack to rack it is fine if both stay in use, and so is a move to a rack of its own.
    for (racks, to) in [(["/a", "/a", "/b", "/b"], 3), (["/a", "/a", "/b", "/c"], 3)] {
        let mut fleet = Fleet::new(&racks);
        fleet.stored(block(1), 3, &[0, 1, 2]);
        moved(&mut fleet, block(1), 2, to);
        assert_eq!(losers(&mut fleet, 4, block(1)), [2], "{racks:?}");
    }
}

#[test]
fn a_word_from_nobody_known_is_an_ordinary_replica() {
    let mut fleet = Fleet::flat(4);
    fleet.remaining.insert(1, GIB);
    fleet.beat(1);
    fleet.stored(block(1), 3, &[0, 1, 2]);
    fleet.events(3, &[Moved { block: block(1), from: datanode(77) }]);
    assert_eq!(losers(&mut fleet, 4, block(1)), [1]);
    let mut fleet = Fleet::flat(4);
    fleet.remaining.insert(1, GIB);
    fleet.beat(1);
    fleet.stored(block(1), 3, &[0, 1, 2]);
    moved(&mut fleet, block(1), 3, 3);
    assert_eq!(losers(&mut fleet, 4, block(1)), [1], "nobody relieves itself");
}

#[test]
fn an_old_replica_that_nobody_confirms_is_not_chosen() {
    let mut fleet = Fleet::flat(4);
    fleet.stored(block(1), 3, &[0, 1, 2]);
    // It registers again and has not listed what it has.
    fleet.register(0);
    moved(&mut fleet, block(1), 0, 3);
    assert_ne!(losers(&mut fleet, 4, block(1)), [0]);
    assert!(fleet.readers(block(1)).len() >= 3);
}

#[test]
fn blocks_to_move_are_those_with_nothing_to_repair() {
    let mut fleet = Fleet::flat(4);
    for n in 1..=6 {
        fleet.stored(block(n), 3, &[0, 1, 2]);
    }
    let lacking = block(7);
    fleet.stored(lacking, 3, &[0, 1]);
    fleet.open(block(8), 3, &[0, 1, 2]);
    let small = Block { len: 99, ..block(9) };
    fleet.stored(small, 3, &[0, 1, 2]);
    let ids = |bytes, entropy| -> Vec<i64> {
        let found = fleet.map.blocks_on(datanode(0), bytes, 100, entropy).expect("a datanode");
        found.iter().for_each(|b| assert_eq!((b.block.len, b.places.len()), (100, 3)));
        let mut ids: Vec<i64> = found.iter().map(|b| b.block.id.0 - BlockId::RESERVED.0).collect();
        ids.sort_unstable();
        ids
    };
    for entropy in 0..20 {
        assert_eq!(ids(u64::MAX, entropy), [1, 2, 3, 4, 5, 6]);
        assert_eq!(ids(150, entropy).len(), 2);
    }
    let starts: std::collections::BTreeSet<_> = (0..20).map(|entropy| ids(1, entropy)).collect();
    assert!(starts.len() > 1, "always from the same one");
    assert_eq!(fleet.map.blocks_on(datanode(3), 1, 0, 0), Some(Vec::new()));
    assert_eq!(fleet.map.blocks_on(datanode(9), 1, 0, 0), None);
}

#[test]
fn the_bandwidth_goes_home_with_every_heartbeat() {
    let mut fleet = Fleet::flat(2);
    let told = |fleet: &mut Fleet, n| -> Vec<u64> {
        let rate =
            |order| if let DnCommand::BalanceRate { bytes_per_second } = order { Some(bytes_per_second) } else { None };
        fleet.beat(n).into_iter().filter_map(rate).collect()
    };
    assert_eq!(told(&mut fleet, 0), []);
    fleet.map.set_balance_rate(5);
    fleet.map.set_balance_rate(7);
    assert_eq!((told(&mut fleet, 0), told(&mut fleet, 0), told(&mut fleet, 1)), (vec![7], vec![7], vec![7]));
}
