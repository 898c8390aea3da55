//! Where new replicas go.

use super::*;
use crate::blocks::TargetRequest;

fn request(count: usize, entropy: u64) -> TargetRequest {
    TargetRequest { count, block_size: 128 << 20, entropy, ..TargetRequest::default() }
}

fn chosen(fleet: &Fleet, request: &TargetRequest) -> Vec<usize> {
    numbers_of(&fleet.map.choose_targets(request))
}

#[test]
fn writer_first_then_two_on_one_other_rack() {
    let fleet = Fleet::new(&["/a", "/a", "/b", "/b", "/c", "/c"]);
    let rack = |n: usize| n / 2;
    for entropy in 0..50 {
        let targets = chosen(&fleet, &TargetRequest { writer: Some(ip(1)), ..request(3, entropy) });
        assert_eq!(targets[0], 1);
        assert_ne!(rack(targets[1]), 0);
        assert_eq!(rack(targets[1]), rack(targets[2]));
        assert_ne!(targets[1], targets[2]);
    }
}

#[test]
fn a_writer_from_outside_gets_a_random_first_place() {
    let fleet = Fleet::flat(5);
    let mut first = [0; 5];
    for entropy in 0..200 {
        let targets = chosen(&fleet, &TargetRequest { writer: Some(ip(99)), ..request(3, entropy) });
        assert_eq!(targets.len(), 3);
        first[targets[0]] += 1;
    }
    assert!(first.iter().all(|&n| n > 15), "{first:?}");
    assert_eq!(chosen(&fleet, &request(3, 7)), chosen(&fleet, &request(3, 7)), "the entropy decides");
}

#[test]
fn never_two_on_one_datanode_and_fewer_if_there_are_no_more() {
    let fleet = Fleet::flat(3);
    let mut targets = chosen(&fleet, &request(5, 1));
    targets.sort_unstable();
    assert_eq!(targets, [0, 1, 2]);
    let rest = TargetRequest { chosen: vec![storage(0)], exclude: vec![datanode(1)], ..request(2, 1) };
    assert_eq!(chosen(&fleet, &rest), [2]);
}

#[test]
fn the_full_and_the_dead_are_not_taken() {
    let mut fleet = Fleet::flat(4);
    fleet.remaining.insert(1, 1 << 20);
    fleet.only_live(&[0, 1, 2]);
    let mut targets = chosen(&fleet, &request(4, 1));
    targets.sort_unstable();
    assert_eq!(targets, [0, 2]);
}

#[test]
fn space_that_is_promised_is_not_promised_again() {
    let mut fleet = Fleet::flat(1);
    fleet.remaining.insert(0, 300 << 20);
    fleet.beat(0);
    fleet.open(block(1), 1, &[0]);
    assert_eq!(chosen(&fleet, &request(1, 1)), [0]);
    fleet.open(block(2), 1, &[0]);
    assert_eq!(chosen(&fleet, &request(1, 1)), [] as [usize; 0]);
    fleet.map.remove(block(1).id);
    assert_eq!(chosen(&fleet, &request(1, 1)), [0]);
}

#[test]
fn the_silent_and_the_busy_are_taken_last() {
    let mut fleet = Fleet::flat(4);
    fleet.pass(31_000);
    fleet.xceivers.insert(1, 100);
    (1..4).for_each(|n| drop(fleet.beat(n)));
    for entropy in 0..20 {
        let mut two = chosen(&fleet, &request(2, entropy));
        two.sort_unstable();
        assert_eq!(two, [2, 3]);
        assert_eq!(chosen(&fleet, &request(3, entropy))[2], 1, "busy before silent");
        assert_eq!(chosen(&fleet, &request(4, entropy))[3], 0);
    }
}

#[test]
fn favored_datanodes_go_first_by_any_of_their_names() {
    let fleet = Fleet::flat(4);
    for name in ["dn3", "dn3:9866", "10.0.0.4", "10.0.0.4:9866"] {
        let wish = TargetRequest { favored: vec![name.to_owned()], writer: Some(ip(0)), ..request(2, 5) };
        assert_eq!(chosen(&fleet, &wish)[0], 3, "{name}");
    }
    let wrong = TargetRequest { favored: vec!["dn3:1".to_owned()], writer: Some(ip(0)), ..request(2, 5) };
    assert_eq!(chosen(&fleet, &wrong)[0], 0);
}

#[test]
fn a_repair_prefers_a_second_rack() {
    let fleet = Fleet::new(&["/a", "/a", "/a", "/b"]);
    for entropy in 0..20 {
        let repair = TargetRequest { chosen: vec![storage(0), storage(1)], ..request(1, entropy) };
        assert_eq!(chosen(&fleet, &repair), [3]);
    }
}

#[test]
fn racks_are_not_overfilled() {
    let fleet = Fleet::new(&["/a", "/a", "/a", "/a", "/a", "/a", "/b", "/b", "/b", "/c", "/c", "/c"]);
    for entropy in 0..50 {
        let targets = chosen(&fleet, &request(6, entropy));
        let on_a = targets.iter().filter(|&&n| n < 6).count();
        assert!(targets.len() == 6 && on_a <= 3, "(6 - 1) / 3 racks + 2: {targets:?}");
    }
}

#[test]
fn among_many_datanodes_the_rules_hold_and_all_have_their_turn() {
    let racks = ["/a", "/b", "/c", "/d", "/e", "/f"];
    let all: Vec<&'static str> = (0..60).map(|n| racks[n % 6]).collect();
    let mut fleet = Fleet::new(&all);
    fleet.remaining.insert(7, 0);
    fleet.beat(7);
    let mut times = [0; 60];
    for entropy in 0..600 {
        let targets = chosen(&fleet, &TargetRequest { exclude: vec![datanode(8)], ..request(3, entropy) });
        let [first, second, third] = targets[..] else { panic!("{targets:?}") };
        assert!(first % 6 != second % 6 && second % 6 == third % 6 && second != third, "{targets:?}");
        [first, second, third].iter().for_each(|&n| times[n] += 1);
    }
    assert_eq!((times[7], times[8]), (0, 0), "without room, excluded");
    let others = times.iter().enumerate().filter(|(n, _)| ![7, 8].contains(n));
    assert!(others.into_iter().all(|(_, &n)| (10..=60).contains(&n)), "{times:?}");
}
