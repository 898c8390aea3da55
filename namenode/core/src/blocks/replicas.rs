//! Replicas of a block: where each is kept, and the tally that every change ends with.
//!
//! Every change has the same shape: take the replica out, put it back as it is now (or not), `settle` the block. `take` and
//! `put` know where a replica belongs; `settle` alone moves blocks between queues and keeps the counts, so each is right
//! whatever happened before.

use super::BlockMap;
use super::cluster::VolumeIx;
use super::judge::{Verdict, judge};
use super::odd::{Odd, Replica};
use super::table::{Condition, Entry, Slot};
use mammoth_protocol::internal::ReplicaState;

/// Counts over all blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Complete blocks.
    pub(super) complete: u64,
    /// Those with at least the minimum of good replicas.
    pub(super) safe: u64,
    /// Bad replicas, in place or set aside.
    pub(super) bad_replicas: u64,
    /// Blocks with such.
    pub(super) bad_blocks: u64,
}

/// What a place among the good ones stands for.
const fn good_replica(entry: &Entry, volume: VolumeIx) -> Replica {
    Replica {
        volume,
        stamp: entry.stamp,
        len: entry.len,
        state: ReplicaState::Finalized,
        corrupt: false,
        doomed: false,
    }
}

impl BlockMap {
    /// Volumes with a good replica that counts.
    pub(super) fn good(&self, slot: Slot) -> impl Iterator<Item = VolumeIx> {
        self.table.get(slot).good.as_slice().iter().copied().filter(|&v| self.cluster.volume(v).serving())
    }

    /// Of those, volumes whose datanode is to stay.
    pub(super) fn lasting(&self, slot: Slot) -> impl Iterator<Item = VolumeIx> {
        self.table.get(slot).good.as_slice().iter().copied().filter(|&v| self.cluster.lasting(v))
    }

    /// What is out of the ordinary about a block.
    pub(super) fn odd(&self, slot: Slot) -> &Odd {
        self.odd.get(&slot).unwrap_or(&self.nothing_odd)
    }

    pub(super) fn odd_mut(&mut self, slot: Slot) -> &mut Odd {
        self.odd.entry(slot).or_default()
    }

    /// All replicas in place, good ones first.
    pub(super) fn replicas(&self, slot: Slot) -> Vec<Replica> {
        let entry = self.table.get(slot);
        let good = entry.good.as_slice().iter().map(|&volume| good_replica(entry, volume));
        good.chain(self.odd(slot).replicas.iter().copied()).collect()
    }

    /// The replica in place on a volume.
    pub(super) fn replica(&self, slot: Slot, volume: VolumeIx) -> Option<Replica> {
        let entry = self.table.get(slot);
        if entry.good.contains(volume) {
            return Some(good_replica(entry, volume));
        }
        self.odd(slot).replica(volume).copied()
    }

    /// Takes the replica out that is in place on a volume.
    pub(super) fn take(&mut self, slot: Slot, volume: VolumeIx) -> Option<Replica> {
        let found = self.replica(slot, volume)?;
        if !self.table.get_mut(slot).good.remove(volume)
            && let Some(odd) = self.odd.get_mut(&slot)
        {
            odd.take_replica(volume);
        }
        self.cluster.volume_mut(volume).blocks.remove(slot);
        Some(found)
    }

    /// Puts a replica in place; the volume had none of the block.
    pub(super) fn put(&mut self, slot: Slot, replica: Replica) {
        let entry = self.table.get_mut(slot);
        if judge(entry, &replica) == Verdict::Good && !replica.doomed {
            entry.good.insert(replica.volume);
        } else {
            self.odd_mut(slot).replicas.push(replica);
        }
        self.cluster.volume_mut(replica.volume).blocks.insert(slot);
    }

    /// Brings queues and counts up to date after any change of a block.
    pub(super) fn settle(&mut self, slot: Slot) {
        self.reprieve(slot);
        if self.odd(slot).is_empty() {
            self.odd.remove(&slot);
        }
        let good = self.good(slot).count();
        let entry = self.table.get(slot);
        let safe = entry.complete && good >= usize::from(self.config.replication_min);
        let bad = u16::try_from(self.bad_of(slot)).unwrap_or(u16::MAX);
        let condition = self.condition(slot, good);

        let entry = self.table.get_mut(slot);
        self.tally.safe = self.tally.safe + u64::from(safe) - u64::from(entry.safe);
        self.tally.bad_replicas = self.tally.bad_replicas + u64::from(bad) - u64::from(entry.bad);
        self.tally.bad_blocks = self.tally.bad_blocks + u64::from(bad > 0) - u64::from(entry.bad > 0);
        self.queues.moved(entry.id, entry.condition, condition);
        (entry.safe, entry.bad, entry.condition) = (safe, bad, condition);
        if condition != Condition::Surplus {
            self.hints.remove(&slot);
        }
        if condition.lacks() {
            self.hold_back(slot);
        }
    }

    /// Bad replicas, in place or set aside.
    pub(super) fn bad_of(&self, slot: Slot) -> usize {
        let (entry, odd) = (self.table.get(slot), self.odd(slot));
        odd.replicas.iter().filter(|r| judge(entry, r) == Verdict::Bad).count() + odd.aside.len()
    }

    /// Bad replicas whose deletion is not ordered yet.
    fn something_to_clear(&self, slot: Slot) -> bool {
        let (entry, odd) = (self.table.get(slot), self.odd(slot));
        odd.replicas.iter().any(|r| !r.doomed && judge(entry, r) == Verdict::Bad) || odd.aside.iter().any(|a| !a.doomed)
    }

    /// What repair has to do with a block that has `good` good replicas.
    pub(super) fn condition(&self, slot: Slot, good: usize) -> Condition {
        let entry = self.table.get(slot);
        let target = entry.target();
        let (lasting, needed) = (self.lasting(slot).count(), self.lasting_target(slot));
        if slot.0 >= self.surveyed {
            Condition::Unsurveyed
        } else if !entry.complete {
            Condition::Open
        } else if good == 0 && self.pending.of(entry.id).iter().any(|c| c.source.is_none()) {
            Condition::Waiting
        } else if good == 0 {
            if target == 1 { Condition::MissingSingle } else { Condition::Missing }
        } else if lasting < needed {
            if lasting + self.pending.of(entry.id).len() >= needed {
                Condition::Waiting
            } else if good == 1 {
                Condition::LastCopy
            } else if lasting * 3 < needed {
                Condition::FewCopies
            } else {
                Condition::SomeCopies
            }
        } else if lasting > target {
            Condition::Surplus
        } else if self.something_to_clear(slot) {
            Condition::Leftover
        } else if self.misplaced(slot) {
            Condition::Misplaced
        } else {
            Condition::Fine
        }
    }
}
