//! Surplus and bad replicas: which are chosen for deletion once a block has enough good ones.

use super::BlockMap;
use super::cluster::VolumeIx;
use super::deletion::is_remnant;
use super::judge::{Verdict, judge};
use super::table::{Condition, Slot};

/// Blocks of each kind that one round looks at.
const PAGE: usize = 1_000;

impl BlockMap {
    /// Chooses deletions for a page of blocks. `true`: the page was full and bore fruit, so go on soon.
    pub(super) fn trim_round(&mut self) -> bool {
        let mut more = false;
        for condition in [Condition::Surplus, Condition::Leftover] {
            let page = self.queues.page(condition, PAGE);
            let full = page.len() == PAGE;
            let mut fruit = false;
            for id in page {
                self.queues.looked_at(condition, id);
                if let Some(slot) = self.table.find(id) {
                    self.trim(slot);
                    fruit |= self.table.get(slot).condition != condition;
                }
            }
            more |= full && fruit;
        }
        more
    }

    /// Chooses what of a block may go.
    fn trim(&mut self, slot: Slot) {
        while self.lasting(slot).count() > self.table.get(slot).target()
            && let Some(volume) = self.hinted(slot).or_else(|| self.victim(slot))
        {
            self.doom(slot, volume);
        }
        let (entry, odd) = (self.table.get(slot), self.odd(slot));
        let bad: Vec<VolumeIx> = odd
            .replicas
            .iter()
            .filter(|r| !r.doomed && judge(entry, r) == Verdict::Bad)
            .map(|r| r.volume)
            .filter(|&v| self.cluster.volume(v).serving() && self.may_delete(slot, v))
            .collect();
        let aside: Vec<VolumeIx> = odd.aside.iter().filter(|a| !a.doomed).map(|a| a.volume).collect();
        let drop = self.vouched(slot, None);
        for volume in bad {
            self.doom(slot, volume);
        }
        for volume in aside.into_iter().filter(|_| drop) {
            self.doom_aside(slot, volume);
        }
        self.settle(slot);
    }

    /// Deletes remnants of a write that occupy the only datanodes to which a missing copy could go.
    pub(super) fn clear_the_way(&mut self, slot: Slot) {
        let (entry, odd) = (self.table.get(slot), self.odd(slot));
        let remnants: Vec<VolumeIx> = odd
            .replicas
            .iter()
            .filter(|r| !r.doomed && is_remnant(entry, r))
            .map(|r| r.volume)
            .filter(|&v| self.cluster.volume(v).serving() && self.may_delete(slot, v))
            .collect();
        for volume in remnants {
            self.doom(slot, volume);
        }
        self.settle(slot);
    }

    /// The good replica to lose first: from a datanode with several, from the rack with most, from the fullest volume.
    fn victim(&self, slot: Slot) -> Option<VolumeIx> {
        let good: Vec<VolumeIx> = self.lasting(slot).collect();
        let node = |v: VolumeIx| self.cluster.node_of(v);
        let rack = |v: VolumeIx| node(v).map(|n| self.cluster.node(n).rack);
        let candidates = good.iter().copied().filter(|&v| self.cluster.volume(v).trusted() && self.may_delete(slot, v));
        candidates.max_by_key(|&v| {
            let same_node = good.iter().filter(|&&g| node(g) == node(v)).count();
            let same_rack = good.iter().filter(|&&g| rack(g) == rack(v)).count();
            (same_node, same_rack, std::cmp::Reverse(self.cluster.volume(v).usage.remaining), v)
        })
    }
}
