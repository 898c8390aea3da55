//! Safe mode: in and out.

use super::*;
use crate::api::{SafeMode, SafeModeAction};

/// `blocks` complete blocks of one replica each are known, two datanodes are about to come.
fn starting(config: &CoreConfig, blocks: i64) -> Fleet {
    let mut fleet = Fleet::cold(config, &["/r", "/r"]);
    for n in 1..=blocks {
        fleet.map.insert(block(n).id, meta(block(n), 2, true));
    }
    fleet.map.loaded(fleet.now);
    fleet.check();
    fleet.register(0);
    fleet.register(1);
    fleet
}

fn listed(range: std::ops::RangeInclusive<i64>) -> Vec<ReportedReplica> {
    range.map(|n| finalized(block(n))).collect()
}

#[test]
fn an_empty_file_system_is_ready_at_once_and_before_loading_nothing_is() {
    let mut fleet = Fleet::cold(&CoreConfig::default(), &["/r"]);
    assert!(matches!(fleet.map.safe_mode(fleet.now), SafeMode::Startup { .. }));
    fleet.map.loaded(fleet.now);
    assert_eq!(fleet.map.safe_mode(fleet.now), SafeMode::Off);
}

#[test]
fn a_clean_restart_leaves_when_everything_has_reported() {
    let mut fleet = starting(&CoreConfig::default(), 10);
    fleet.full(0, &listed(1..=9));
    let waiting = SafeMode::Startup { reported: 9, needed: 10, total: 10, extension_left_ms: None };
    assert_eq!(fleet.map.safe_mode(fleet.now), waiting);
    assert_eq!(fleet.map.stats(fleet.now).missing_blocks, 1);
    fleet.full(1, &listed(10..=10));
    assert_eq!(fleet.map.safe_mode(fleet.now), SafeMode::Off);
}

#[test]
fn the_extension_runs_only_if_something_is_missing() {
    let config = CoreConfig { safemode_threshold_ppm: 900_000, ..CoreConfig::default() };
    let mut fleet = starting(&config, 10);
    fleet.full(0, &listed(1..=9));
    let SafeMode::Startup { extension_left_ms, .. } = fleet.map.safe_mode(fleet.now) else { panic!("too early") };
    assert_eq!(extension_left_ms, Some(30_000));
    fleet.pass(29_999);
    fleet.tick();
    assert!(matches!(fleet.map.safe_mode(fleet.now), SafeMode::Startup { .. }));
    fleet.pass(1);
    fleet.tick();
    assert_eq!(fleet.map.safe_mode(fleet.now), SafeMode::Off);
    assert_eq!(fleet.map.missing_blocks(None, 10), [block(10).id], "the survey found it");
}

#[test]
fn falling_below_the_threshold_starts_the_extension_anew() {
    let config = CoreConfig { safemode_threshold_ppm: 900_000, ..CoreConfig::default() };
    let mut fleet = starting(&config, 10);
    fleet.full(0, &listed(1..=9));
    fleet.pass(20_000);
    fleet.events(0, &[ReplicaEvent::Bad(block(1))]);
    fleet.pass(20_000);
    fleet.tick();
    fleet.received(0, block(1));
    let SafeMode::Startup { extension_left_ms, .. } = fleet.map.safe_mode(fleet.now) else { panic!("too early") };
    assert_eq!(extension_left_ms, Some(30_000));
}

#[test]
fn datanodes_are_waited_for_if_asked() {
    let config = CoreConfig { safemode_min_datanodes: 2, ..CoreConfig::default() };
    let mut fleet = Fleet::cold(&config, &["/r", "/r"]);
    fleet.map.loaded(fleet.now);
    fleet.register(0);
    assert!(matches!(fleet.map.safe_mode(fleet.now), SafeMode::Startup { .. }));
    fleet.register(1);
    assert_eq!(fleet.map.safe_mode(fleet.now), SafeMode::Off);
}

#[test]
fn after_a_start_copies_wait_for_datanodes_that_are_still_coming() {
    let mut fleet = starting(&CoreConfig::default(), 3);
    fleet.full(0, &listed(1..=3));
    assert_eq!(fleet.map.safe_mode(fleet.now), SafeMode::Off);
    fleet.round();
    assert_eq!(fleet.map.numbers(fleet.now).under_replicated, 3);
    assert_eq!(copies(&fleet.beat(0)), []);
    fleet.full(1, &listed(1..=2));
    fleet.pass(30_000);
    fleet.tick();
    assert_eq!(copies(&fleet.beat(0)), [(block(3).id, vec![1])]);
}

#[test]
fn in_start_up_nothing_is_deleted() {
    let mut fleet = starting(&CoreConfig::default(), 3);
    fleet.full(0, &listed(1..=2));
    fleet.full(1, &listed(7..=8));
    assert_eq!(fleet.beat(1), []);
    fleet.received(0, block(3));
    assert_eq!(deletes(&fleet.beat(1)).len(), 2);
}

#[test]
fn a_datanode_that_has_seen_more_keeps_the_namenode_from_going_on() {
    let own = BlockId(BlockId::RESERVED.0 + 1000);
    let same = HighWater { term: Term(1), seq: Seq(1000), block: own };
    for seen in [
        HighWater { term: Term(2), ..same },
        HighWater { seq: Seq(1001), ..same },
        HighWater { block: BlockId(own.0 + 1), ..same },
    ] {
        let mut fleet = Fleet::flat(2);
        fleet.register_as(0, &RegisterRequest { seen: same, ..fleet.request(0) });
        assert_eq!(fleet.map.safe_mode(fleet.now), SafeMode::Off);
        let request = RegisterRequest { seen, ..fleet.request(1) };
        fleet.register_as(1, &request);
        assert!(matches!(fleet.map.safe_mode(fleet.now), SafeMode::Behind { .. }), "{seen:?}");
        fleet.map.safe_mode_action(fleet.now, SafeModeAction::Leave).expect_err("not without force");
        fleet.map.safe_mode_action(fleet.now, SafeModeAction::Enter).expect("changes nothing");
        assert!(matches!(fleet.map.safe_mode(fleet.now), SafeMode::Behind { .. }));
        fleet.map.safe_mode_action(fleet.now, SafeModeAction::ForceExit).expect("by force");
        fleet.register_as(1, &request);
        assert_eq!(fleet.map.safe_mode(fleet.now), SafeMode::Off, "the loss was accepted");
    }
}
