//! The invariants of the block map, each a function that says where it fails. They look at everything, so they are for tests
//! and the simulator.

use super::BlockMap;
use super::cluster::{Standing, VolumeIx};
use super::judge::{Verdict, judge};
use super::table::{Condition, Slot};
use std::collections::BTreeSet;

type Check = (&'static str, fn(&BlockMap) -> Result<(), String>);

/// Every invariant, by name.
const CHECKS: [Check; 11] = [
    ("good_replicas_are_good", good_replicas_are_good),
    ("replicas_and_volumes_agree", replicas_and_volumes_agree),
    ("one_replica_a_volume", one_replica_a_volume),
    ("conditions_match_queues", conditions_match_queues),
    ("tally_is_right", tally_is_right),
    ("doomed_replicas_are_ordered", doomed_replicas_are_ordered),
    ("orders_name_what_may_go", orders_name_what_may_go),
    ("hints_are_of_surplus", hints_are_of_surplus),
    ("scheduled_is_what_is_under_way", scheduled_is_what_is_under_way),
    ("readers_get_no_older_stamp", readers_get_no_older_stamp),
    ("datanodes_are_found_and_counted", |map| map.cluster.check_indexes()),
];

impl BlockMap {
    /// Checks every invariant of the map; for tests and the simulator, as it looks at everything.
    ///
    /// # Errors
    /// The name of the first invariant that does not hold, and where.
    pub fn check(&self) -> Result<(), String> {
        CHECKS.iter().try_for_each(|(name, check)| check(self).map_err(|what| format!("{name}: {what}")))
    }

    fn volumes(&self) -> impl Iterator<Item = VolumeIx> {
        (0..self.cluster.volumes.len() as u32).map(VolumeIx)
    }
}

fn holds(condition: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if condition { Ok(()) } else { Err(what()) }
}

/// Only complete blocks list good replicas; what is in the side table of a complete block is not good, or doomed.
fn good_replicas_are_good(map: &BlockMap) -> Result<(), String> {
    for (slot, entry) in map.table.iter() {
        holds(entry.complete || entry.good.as_slice().is_empty(), || {
            format!("open block {} lists good ones", entry.id)
        })?;
        for replica in &map.odd(slot).replicas {
            let good = judge(entry, replica) == Verdict::Good && !replica.doomed;
            holds(!good, || format!("block {} keeps a good replica aside: {replica:?}", entry.id))?;
        }
    }
    Ok(())
}

/// A block's replicas and the volumes' lists of blocks are the same relation; likewise for `bad/` folders.
fn replicas_and_volumes_agree(map: &BlockMap) -> Result<(), String> {
    let (mut by_block, mut aside_by_block) = (BTreeSet::new(), BTreeSet::new());
    for (slot, entry) in map.table.iter() {
        by_block.extend(map.replicas(slot).iter().map(|r| (slot, r.volume)));
        aside_by_block.extend(map.odd(slot).aside.iter().map(|a| (entry.id, a.volume)));
    }
    let (mut by_volume, mut aside_by_volume) = (BTreeSet::new(), BTreeSet::new());
    for v in map.volumes() {
        let volume = map.cluster.volume(v);
        by_volume.extend(volume.blocks.iter().map(|slot| (slot, v)));
        aside_by_volume.extend(volume.aside.iter().map(|&id| (id, v)));
        let draining = map.draining.contains(&v);
        let kept = volume.standing != Standing::Gone || draining;
        holds(kept || volume.blocks.is_empty(), || format!("{} keeps replicas", volume.id))?;
        holds(!(volume.serving() && draining), || format!("{} is drained while it serves", volume.id))?;
    }
    holds(by_block == by_volume, || format!("in place {:?}", by_block.symmetric_difference(&by_volume).next()))?;
    holds(aside_by_block == aside_by_volume, || "set aside".to_owned())
}

/// A volume has at most one replica of a block in place, and at most one in `bad/`.
fn one_replica_a_volume(map: &BlockMap) -> Result<(), String> {
    for (slot, entry) in map.table.iter() {
        let replicas = map.replicas(slot);
        let volumes: BTreeSet<VolumeIx> = replicas.iter().map(|r| r.volume).collect();
        holds(volumes.len() == replicas.len(), || format!("block {}: {replicas:?}", entry.id))?;
    }
    Ok(())
}

/// Every block is in the queue of its condition and no other. A block with a replica on a volume that is being drained may
/// still be where it was before that volume went.
fn conditions_match_queues(map: &BlockMap) -> Result<(), String> {
    let mut queued = 0;
    for (slot, entry) in map.table.iter() {
        let idle = matches!(entry.condition, Condition::Unsurveyed | Condition::Open | Condition::Fine);
        queued += u64::from(!idle);
        holds(idle || map.queues.contains(entry.condition, entry.id), || {
            format!("block {} is not in queue {:?}", entry.id, entry.condition)
        })?;
        let right = map.condition(slot, map.good(slot).count());
        let later = on_draining_volume(map, slot) || map.unsettled.contains(&slot) || !map.spread.knows(slot);
        holds(right == entry.condition || later, || {
            format!("block {} is {right:?}, queued as {:?}", entry.id, entry.condition)
        })?;
    }
    let all = Condition::NEEDS.into_iter().chain([
        Condition::Waiting,
        Condition::Missing,
        Condition::MissingSingle,
        Condition::Surplus,
        Condition::Leftover,
        Condition::Misplaced,
    ]);
    let in_queues: u64 = all.map(|c| map.queues.len(c)).sum();
    holds(queued == in_queues, || format!("{queued} blocks to queue, {in_queues} queued"))
}

fn on_draining_volume(map: &BlockMap, slot: Slot) -> bool {
    map.replicas(slot).iter().any(|r| map.cluster.volume(r.volume).standing == Standing::Gone)
}

/// The counts that are kept are what counting gives.
fn tally_is_right(map: &BlockMap) -> Result<(), String> {
    let mut tally = super::replicas::Tally::default();
    for (slot, entry) in map.table.iter() {
        tally.complete += u64::from(entry.complete);
        tally.safe += u64::from(entry.safe);
        tally.bad_replicas += u64::from(entry.bad);
        tally.bad_blocks += u64::from(entry.bad > 0);
        let safe = entry.complete && map.good(slot).count() >= usize::from(map.config.replication_min);
        let right = entry.safe == safe && usize::from(entry.bad) == map.bad_of(slot);
        holds(right || on_draining_volume(map, slot), || format!("block {}", entry.id))?;
    }
    holds(tally == map.tally, || format!("counted {tally:?}, kept {:?}", map.tally))
}

/// A doomed replica on a volume that serves has an order for its stamp, so that its deletion is not forgotten.
fn doomed_replicas_are_ordered(map: &BlockMap) -> Result<(), String> {
    for (slot, entry) in map.table.iter() {
        let odd = map.odd(slot);
        for r in odd.replicas.iter().filter(|r| r.doomed && map.cluster.volume(r.volume).serving()) {
            let ordered = map.cluster.volume(r.volume).deletes.stamp(entry.id);
            holds(ordered == Some(r.stamp), || format!("block {}: {r:?}, ordered {ordered:?}", entry.id))?;
        }
        for a in odd.aside.iter().filter(|a| a.doomed) {
            let ordered = map.cluster.volume(a.volume).drops.stamp(entry.id);
            holds(ordered == Some(a.stamp), || format!("block {}: {a:?}, ordered {ordered:?}", entry.id))?;
        }
    }
    Ok(())
}

/// I6, as far as a state can show it: an order on a block that a file owns names a doomed replica, never one that counts as
/// good; an order on another block names an id that was allocated. That enough good replicas remain is asked when an order
/// goes out.
fn orders_name_what_may_go(map: &BlockMap) -> Result<(), String> {
    for v in map.volumes() {
        let volume = map.cluster.volume(v);
        volume.deletes.check()?;
        volume.drops.check()?;
        volume.checks.check()?;
        for id in volume.deletes.ids() {
            let fits = match map.table.find(id) {
                Some(slot) => map.odd(slot).replica(v).is_some_and(|r| r.doomed),
                None => map.may_be_deleted_unowned(id),
            };
            holds(fits, || format!("block {id} on {}", volume.id))?;
        }
    }
    Ok(())
}

/// Hints are kept as long as there is something to delete, no longer.
fn hints_are_of_surplus(map: &BlockMap) -> Result<(), String> {
    for slot in map.hints.keys() {
        let surplus = map.table.at(*slot).is_some_and(|entry| entry.condition == Condition::Surplus);
        holds(surplus, || format!("slot {} has a hint and no surplus", slot.0))?;
    }
    Ok(())
}

/// What is scheduled on a volume is its part in pipelines and copies.
fn scheduled_is_what_is_under_way(map: &BlockMap) -> Result<(), String> {
    let mut scheduled = vec![0_u32; map.cluster.volumes.len()];
    for (slot, entry) in map.table.iter() {
        let odd = map.odd(slot);
        holds(odd.expected.is_empty() || !entry.complete, || format!("complete block {} has a pipeline", entry.id))?;
        odd.expected.iter().for_each(|v| scheduled[v.0 as usize] += 1);
    }
    for (id, copy) in map.pending.iter() {
        holds(map.table.find(id).is_some(), || format!("a copy of the unknown block {id}"))?;
        scheduled[copy.target.0 as usize] += 1;
    }
    holds(map.pending.iter().count() as u64 == map.pending.len(), || "count of copies".to_owned())?;
    let kept: Vec<u32> = map.cluster.volumes.iter().map(|v| v.scheduled).collect();
    holds(kept == scheduled, || format!("counted {scheduled:?}, kept {kept:?}"))
}

/// I3: nobody is sent to a replica of an older stamp.
fn readers_get_no_older_stamp(map: &BlockMap) -> Result<(), String> {
    for (slot, entry) in map.table.iter() {
        let replicas = map.replicas(slot);
        for place in map.places_for_read(entry.id, None).0 {
            let older =
                replicas.iter().any(|r| map.cluster.volume(r.volume).id == place.storage && r.stamp < entry.stamp);
            holds(!older, || format!("block {} on {}", entry.id, place.storage))?;
        }
    }
    Ok(())
}
