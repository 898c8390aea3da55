//! Counts and lists.

use super::*;
use crate::api::DatanodeKind;

#[test]
fn capacity_is_that_of_live_datanodes() {
    let mut fleet = Fleet::flat(2);
    (0..2).for_each(|n| drop(fleet.beat(n)));
    let stats = fleet.map.stats(fleet.now);
    assert_eq!((stats.capacity, stats.used, stats.remaining), (400 * GIB, 200 * GIB, 200 * GIB));
    fleet.only_live(&[1]);
    assert_eq!(fleet.map.stats(fleet.now).capacity, 200 * GIB);
}

#[test]
fn missing_blocks_come_in_order_and_pages() {
    let mut fleet = Fleet::flat(1);
    for n in [5, 1, 3] {
        fleet.stored(block(n), if n == 3 { 1 } else { 3 }, &[]);
    }
    let ids = |after, max| fleet.map.missing_blocks(after, max).iter().map(|b| b.0 - BlockId::RESERVED.0).collect();
    let (first, second): (Vec<i64>, Vec<i64>) = (ids(None, 2), ids(Some(block(3).id), 2));
    assert_eq!((first, second), (vec![1, 3], vec![5]));
    let stats = fleet.map.stats(fleet.now);
    assert_eq!((stats.missing_blocks, stats.missing_repl_one), (3, 1));
    fleet.map.set_wanted(block(3).id, 2);
    assert_eq!(fleet.map.stats(fleet.now).missing_repl_one, 0);
}

#[test]
fn datanodes_are_listed_by_state() {
    let mut fleet = Fleet::flat(3);
    fleet.stored(block(1), 2, &[0, 2]);
    fleet.only_live(&[0, 1]);
    let ids = |kind| fleet.map.datanodes(fleet.now, kind).iter().map(|d| d.id).collect::<Vec<_>>();
    assert_eq!(ids(DatanodeKind::All), [datanode(0), datanode(1), datanode(2)]);
    assert_eq!(ids(DatanodeKind::Live), [datanode(0), datanode(1)]);
    assert_eq!(ids(DatanodeKind::Dead), [datanode(2)]);
    let list = fleet.map.datanodes(fleet.now, DatanodeKind::All);
    assert_eq!((list[0].blocks, list[0].live, list[0].reported, list[0].last_contact_ms), (1, true, true, 0));
    assert_eq!((list[2].blocks, list[2].live, list[2].reported), (0, false, false));
    assert_eq!(list[2].last_report_wall_ms, 1_700_000_000_000);
    assert_eq!(list[0].rack, "/r");
}

#[test]
fn a_quiet_block_stays_small() {
    const BLOCKS: i64 = 100_000;
    let mut fleet = Fleet::cold(&CoreConfig::default(), &["/r"; 3]);
    fleet.map.set_own_high_water(HighWater { block: block(BLOCKS).id, ..HighWater::default() });
    for n in 1..=BLOCKS {
        fleet.map.insert(block(n).id, meta(block(n), 3, true));
    }
    fleet.map.loaded(fleet.now);
    let list: Vec<ReportedReplica> = (1..=BLOCKS).map(|n| finalized(block(n))).collect();
    for n in 0..3 {
        fleet.register(n);
        fleet.full(n, &list);
    }
    while fleet.map.tick(fleet.now, 1).more {}
    assert!(fleet.map.odd.is_empty());
    assert_eq!(fleet.map.numbers(fleet.now).under_replicated, 0);
    let lists: usize = fleet.map.cluster.volumes.iter().map(|v| v.blocks.allocated()).sum();
    let each = (fleet.map.table.allocated() + lists) / BLOCKS as usize;
    assert!(each <= 68, "{each} bytes a block of three replicas");
}
