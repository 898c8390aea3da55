//! Who leads the recovery of a last block.

use super::*;
use mammoth_protocol::internal::ReplicaEvent::Receiving;

fn recovers(orders: &[DnCommand]) -> Vec<(GenStamp, usize)> {
    let one = |o: &DnCommand| match o {
        DnCommand::Recover { new_stamp, replicas, .. } => Some((*new_stamp, replicas.len())),
        _ => None,
    };
    orders.iter().filter_map(one).collect()
}

fn leaders(fleet: &mut Fleet) -> Vec<usize> {
    (0..3).filter(|&n| !recovers(&fleet.beat(n)).is_empty()).collect()
}

#[test]
fn another_leader_is_tried_after_each_failure() {
    let mut fleet = Fleet::flat(3);
    fleet.open(block(1), 3, &[0, 1, 2]);
    (0..3).for_each(|n| drop(fleet.events(n, &[Receiving(block(1))])));
    let mut led = Vec::new();
    for stamp in 1002..=1005 {
        assert!(fleet.map.start_recovery(block(1).id, GenStamp(stamp), None, fleet.now));
        fleet.check();
        let now = leaders(&mut fleet);
        assert_eq!(now.len(), 1);
        led.extend(now);
        assert_eq!(leaders(&mut fleet), [] as [usize; 0], "handed over once");
        fleet.pass(18_999);
        assert_eq!(fleet.tick(), []);
        fleet.pass(1);
        assert_eq!(fleet.tick(), [InternalCommand::ContinueRecovery { file: InodeId(20_000) }]);
    }
    assert_eq!(led[3], led[0], "when all have tried, the one that tried longest ago");
    led.truncate(3);
    led.sort_unstable();
    assert_eq!(led, [0, 1, 2]);
    fleet.map.stop_recovery(block(1).id);
    fleet.pass(60_000);
    assert_eq!(fleet.tick(), []);
}

#[test]
fn replicas_of_older_stamps_take_no_part_and_the_order_names_the_rest() {
    let mut fleet = Fleet::flat(3);
    let present = Block { stamp: GenStamp(1002), ..block(1) };
    fleet.open(present, 3, &[0, 1, 2]);
    fleet.events(0, &[Receiving(block(1))]);
    fleet.events(2, &[Receiving(present)]);
    assert!(fleet.map.start_recovery(present.id, GenStamp(1003), None, fleet.now));
    assert_eq!(recovers(&fleet.beat(2)), [(GenStamp(1003), 2)], "2 has named it, 1 was told to write it");
}

#[test]
fn without_datanodes_nobody_leads_and_a_death_calls_for_the_next() {
    let mut fleet = Fleet::flat(2);
    fleet.open(block(1), 2, &[0]);
    fleet.events(0, &[Receiving(block(1))]);
    assert!(fleet.map.start_recovery(block(1).id, GenStamp(1002), None, fleet.now));
    let successor = RegisterRequest { datanode: datanode(7), storages: vec![], ..fleet.request(0) };
    fleet.map.register(fleet.now, &successor, Epoch(77));
    assert_eq!(fleet.tick().len(), 1, "the leader died");
    assert!(!fleet.map.start_recovery(block(1).id, GenStamp(1003), None, fleet.now));
    fleet.register(0);
    assert_eq!(recovers(&fleet.beat(0)), [], "not what was ordered before");
    assert!(fleet.map.start_recovery(block(1).id, GenStamp(1004), None, fleet.now));
    assert_eq!(recovers(&fleet.beat(0)), [(GenStamp(1004), 1)]);
}

#[test]
fn completion_and_removal_end_a_recovery() {
    let mut fleet = Fleet::flat(1);
    for n in 1..=2 {
        fleet.open(block(n), 1, &[0]);
        assert!(fleet.map.start_recovery(block(n).id, GenStamp(1002), None, fleet.now));
    }
    fleet.map.update(block(1).id, GenStamp(1002), 5, true);
    fleet.map.remove(block(2).id);
    assert_eq!(recovers(&fleet.beat(0)), []);
    fleet.pass(100_000);
    assert_eq!(fleet.tick(), []);
    assert!(!fleet.map.start_recovery(block(1).id, GenStamp(1003), None, fleet.now), "complete");
    assert!(!fleet.map.start_recovery(block(2).id, GenStamp(1003), None, fleet.now), "gone");
}
