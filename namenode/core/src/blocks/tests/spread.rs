//! Blocks that lie on one rack although there are several.

use super::*;
use proptest::prelude::*;

fn misplaced(fleet: &Fleet) -> u64 {
    fleet.map.numbers(fleet.now).misplaced
}

/// Lets repair work until it has nothing more to do; copies arrive and deletions are carried out at once. Gives the copies.
fn repair(fleet: &mut Fleet, datanodes: usize) -> Vec<(BlockId, Vec<usize>)> {
    let mut all = Vec::new();
    let mut idle = 0;
    while idle < 3 {
        fleet.round();
        let mut work = false;
        for n in 0..datanodes {
            let orders = fleet.beat(n);
            for (id, stamp) in deletes(&orders) {
                fleet.events(n, &[ReplicaEvent::Deleted(Block { id, stamp, len: 100 })]);
                work = true;
            }
            for (id, targets) in copies(&orders) {
                for &target in &targets {
                    fleet.received(target, Block { id, ..block(1) });
                }
                all.push((id, targets));
                work = true;
            }
        }
        idle = if work { 0 } else { idle + 1 };
    }
    all
}

#[test]
fn blocks_from_before_the_second_rack_move_there() {
    let mut fleet = Fleet::cold(&CoreConfig::default(), &["/a", "/a", "/a", "/b"]);
    fleet.map.loaded(fleet.now);
    for n in 0..3 {
        fleet.register(n);
        fleet.full(n, &[]);
    }
    for n in 1..=20 {
        fleet.stored(block(n), 3, &[0, 1, 2]);
    }
    fleet.stored(block(21), 1, &[0]);
    assert_eq!(misplaced(&fleet), 0, "there is one rack");
    fleet.register(3);
    fleet.full(3, &[]);
    fleet.tick();
    assert_eq!(misplaced(&fleet), 20, "one that wants a single replica is where it should be");
    assert_eq!(fleet.map.numbers(fleet.now).under_replicated, 0);
    let ordered = repair(&mut fleet, 4);
    assert_eq!(ordered.len(), 20, "one copy each");
    assert!(ordered.iter().all(|(_, targets)| *targets == [3]));
    assert_eq!(misplaced(&fleet), 0);
    for n in 1..=20 {
        let readers = fleet.readers(block(n));
        assert!(readers.len() == 3 && readers.contains(&3), "{readers:?}");
    }
}

#[test]
fn moves_between_racks_are_bounded_and_come_after_what_is_urgent() {
    let config = CoreConfig { max_streams: 100, max_streams_hard: 100, ..CoreConfig::default() };
    let mut fleet = Fleet::cold(&config, &["/a", "/a", "/a", "/b"]);
    fleet.map.loaded(fleet.now);
    for n in 0..3 {
        fleet.register(n);
        fleet.full(n, &[]);
    }
    for n in 1..=30 {
        fleet.stored(block(n), 3, &[0, 1, 2]);
    }
    fleet.stored(block(31), 2, &[0]);
    fleet.register(3);
    fleet.full(3, &[]);
    fleet.round();
    let ordered: Vec<_> = (0..4).flat_map(|n| copies(&fleet.beat(n))).collect();
    assert_eq!(ordered.len(), 8, "twice the datanodes: {ordered:?}");
    assert!(ordered.iter().any(|(id, _)| *id == block(31).id));
    fleet.round();
    let again: Vec<_> = (0..4).flat_map(|n| copies(&fleet.beat(n))).collect();
    assert!(again.iter().all(|(id, _)| !ordered.iter().any(|(before, _)| before == id)), "none twice");
}

#[test]
fn a_rack_that_goes_takes_its_claim_along() {
    let mut fleet = Fleet::new(&["/a", "/a", "/b"]);
    fleet.stored(block(1), 2, &[0, 1]);
    fleet.tick();
    assert_eq!(misplaced(&fleet), 1);
    fleet.only_live(&[0, 1]);
    assert_eq!(misplaced(&fleet), 0, "there is one rack left");
    fleet.register(2);
    fleet.full(2, &[]);
    fleet.tick();
    assert_eq!(misplaced(&fleet), 1);
    // The operator finds out that both were on different racks all the time.
    let request = RegisterRequest { rack: "/b".to_owned(), ..fleet.request(1) };
    fleet.register_as(1, &request);
    fleet.full(1, &[finalized(block(1))]);
    fleet.tick();
    assert_eq!(misplaced(&fleet), 0);
}

#[test]
fn a_full_rack_cannot_help_and_nothing_goes_round_in_circles() {
    let mut fleet = Fleet::new(&["/a", "/a", "/a", "/b"]);
    fleet.remaining.insert(3, 10);
    fleet.beat(3);
    fleet.stored(block(1), 3, &[0, 1, 2]);
    assert_eq!(repair(&mut fleet, 4), []);
    assert_eq!(misplaced(&fleet), 1);
    fleet.remaining.insert(3, GIB);
    assert_eq!(repair(&mut fleet, 4).len(), 1);
    assert_eq!(misplaced(&fleet), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Wherever blocks lie at first and however racks are cut: in the end each has what it wants, on two racks where there
    /// are two, and it took no more copies than blocks that lacked something.
    #[test]
    fn everything_ends_up_spread(
        racks in proptest::collection::vec(0_usize..3, 4..8),
        blocks in proptest::collection::vec((1_u16..4, proptest::collection::btree_set(0_usize..8, 1..4)), 1..12),
    ) {
        const NAMES: [&str; 3] = ["/a", "/b", "/c"];
        let names: Vec<&'static str> = racks.iter().map(|&r| NAMES[r]).collect();
        let count = names.len();
        let mut fleet = Fleet::new(&names);
        for (n, (wanted, on)) in blocks.iter().enumerate() {
            let on: Vec<usize> = on.iter().copied().filter(|&d| d < count).collect();
            let on = if on.is_empty() { vec![0] } else { on };
            fleet.stored(block(n as i64 + 1), *wanted, &on);
        }
        let several = names.iter().any(|name| *name != names[0]);
        let ordered = repair(&mut fleet, count);
        for (n, (wanted, _)) in blocks.iter().enumerate() {
            let readers = fleet.readers(block(n as i64 + 1));
            prop_assert_eq!(readers.len(), usize::from(*wanted).min(count));
            let spread: std::collections::BTreeSet<_> = readers.iter().map(|&d| names[d]).collect();
            prop_assert!(!several || *wanted < 2 || spread.len() >= 2, "{:?} on {:?}", readers, names);
            let of_block = ordered.iter().filter(|(id, _)| *id == block(n as i64 + 1).id).count();
            prop_assert!(of_block <= 2, "{} rounds for one block", of_block);
        }
    }
}
