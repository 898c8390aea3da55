//! Where a block can be had, for readers and for pipelines.

use super::BlockMap;
use super::cluster::{NodeIx, VolumeIx};
use super::judge::{Verdict, judge};
use super::mix::Mix;
use super::odd::Replica;
use super::table::{Entry, Slot};
use crate::api::{Place, ReplicaStanding, ReplicaStatus};
use mammoth_protocol::BlockId;
use mammoth_protocol::internal::ReplicaState;
use std::net::IpAddr;

impl BlockMap {
    /// Finalized replicas with the present stamp, on live datanodes, not bad; of a complete block also of the right length.
    /// What `complete` and `addBlock` compare with the minimum.
    #[must_use]
    pub fn confirmed(&self, id: BlockId) -> usize {
        self.confirmed_where(id, |_| true)
    }

    /// As [`Self::confirmed`], of exactly this length: what counts when a client commits a block with its final length.
    #[must_use]
    pub fn confirmed_with_len(&self, id: BlockId, len: u64) -> usize {
        self.confirmed_where(id, |r| r.len == len)
    }

    fn confirmed_where(&self, id: BlockId, fits: impl Fn(&Replica) -> bool) -> usize {
        let Some(slot) = self.table.find(id) else { return 0 };
        let entry = self.table.get(slot);
        let confirmed = |r: &&Replica| {
            let sound = if entry.complete {
                judge(entry, r) == Verdict::Good
            } else {
                r.state == ReplicaState::Finalized && r.stamp == entry.stamp && !r.corrupt
            };
            sound && !r.doomed && fits(r) && self.cluster.volume(r.volume).serving()
        };
        self.replicas(slot).iter().filter(confirmed).count()
    }

    /// Some live datanode has reported a replica of the present stamp (or a later one), in whatever state.
    #[must_use]
    pub fn any_reported(&self, id: BlockId) -> bool {
        let Some(slot) = self.table.find(id) else { return false };
        let stamp = self.table.get(slot).stamp;
        self.replicas(slot).iter().any(|r| r.stamp >= stamp && self.cluster.volume(r.volume).serving())
    }

    /// Every volume of the pipeline has said, since this namenode started, whether it has a replica: by naming this block or by
    /// a complete full report of its present registration. A block without known pipeline counts as not reported.
    #[must_use]
    pub fn all_expected_reported(&self, id: BlockId) -> bool {
        let Some(slot) = self.table.find(id) else { return false };
        let odd = self.odd(slot);
        let told = |&v: &VolumeIx| {
            let place = self.cluster.volume(v);
            place.trusted() || (place.serving() && odd.replica(v).is_some())
        };
        !odd.expected.is_empty() && odd.expected.iter().all(told)
    }

    /// Where a reader at `near` finds the block: on its own host first, then on its rack, then elsewhere, silent datanodes
    /// after them, those that are to leave last; never a replica of an older stamp. `true`: there are replicas and all are bad; they are listed all the same.
    #[must_use]
    pub fn places_for_read(&self, id: BlockId, near: Option<IpAddr>) -> (Vec<Place>, bool) {
        let Some(slot) = self.table.find(id) else { return (Vec::new(), false) };
        let entry = self.table.get(slot);
        if !entry.complete {
            return (self.sorted(entry, self.writing(slot), near), false);
        }
        let good: Vec<VolumeIx> = self.good(slot).collect();
        if !good.is_empty() {
            return (self.sorted(entry, good, near), false);
        }
        // Better than nothing: what is to be deleted may still be there.
        let odd = self.odd(slot);
        let (sound, bad): (Vec<&Replica>, Vec<&Replica>) = odd
            .replicas
            .iter()
            .filter(|r| r.stamp == entry.stamp)
            .partition(|r| r.doomed && judge(entry, r) == Verdict::Good);
        let corrupt = sound.is_empty() && !bad.is_empty();
        let last_resort = if corrupt { bad } else { sound };
        (self.sorted(entry, last_resort.iter().map(|r| r.volume).collect(), near), corrupt)
    }

    /// All replicas of a block on live datanodes, those set aside included.
    #[must_use]
    pub fn replica_states(&self, id: BlockId) -> Vec<ReplicaStatus> {
        let Some(slot) = self.table.find(id) else { return Vec::new() };
        let entry = self.table.get(slot);
        let in_place = self.replicas(slot).into_iter().map(|replica| {
            let standing = match judge(entry, &replica) {
                Verdict::Good if replica.doomed => ReplicaStanding::Excess,
                Verdict::Good => ReplicaStanding::Live,
                Verdict::Bad => ReplicaStanding::Corrupt,
                Verdict::Unsettled => ReplicaStanding::Written,
            };
            (replica.volume, standing)
        });
        let aside = self.odd(slot).aside.iter().map(|aside| (aside.volume, ReplicaStanding::Corrupt));
        let all = in_place.chain(aside).filter(|(volume, _)| self.cluster.volume(*volume).serving());
        let status = |(volume, standing)| {
            let trusted = self.cluster.volume(volume).trusted();
            self.cluster.place(volume).map(|place| ReplicaStatus { place, standing, trusted })
        };
        all.filter_map(status).collect()
    }

    /// The pipeline of a block under construction, in its order; volumes whose datanode never registered are left out.
    #[must_use]
    pub fn places_of_pipeline(&self, id: BlockId) -> Vec<Place> {
        let Some(slot) = self.table.find(id) else { return Vec::new() };
        self.odd(slot).expected.iter().filter_map(|&v| self.cluster.place(v)).collect()
    }

    /// Volumes where a block under construction is being written: those that said so under the present stamp or a later one,
    /// then those of its pipeline that said nothing yet.
    pub(super) fn writing(&self, slot: Slot) -> Vec<VolumeIx> {
        let (entry, odd) = (self.table.get(slot), self.odd(slot));
        let current = |r: &&Replica| r.stamp >= entry.stamp && !r.corrupt && !r.doomed;
        let silent = |&v: &VolumeIx| odd.replica(v).is_none();
        let reported = odd.replicas.iter().filter(current).map(|r| r.volume);
        reported.chain(odd.expected.iter().copied().filter(silent)).collect()
    }

    /// Places by nearness; equals in an order that differs from block to block, so that readers spread.
    fn sorted(&self, entry: &Entry, volumes: Vec<VolumeIx>, near: Option<IpAddr>) -> Vec<Place> {
        let rack = near.and_then(|ip| self.cluster.on_host(ip).next()).map(|n| self.cluster.node(n).rack);
        let mut mix = Mix::new(entry.id.0 as u64);
        let mut keyed = Vec::with_capacity(volumes.len());
        for volume in volumes.into_iter().filter(|&v| self.cluster.volume(v).serving()) {
            let Some(ix) = self.cluster.node_of(volume) else { continue };
            let leaving = !self.cluster.lasting(volume);
            let key = (leaving, self.stale(self.cluster.node(ix)), self.distance(ix, near, rack), mix.next());
            keyed.push((key, volume));
        }
        keyed.sort_unstable();
        keyed.into_iter().filter_map(|(_, v)| self.cluster.place(v)).collect()
    }

    fn distance(&self, ix: NodeIx, near: Option<IpAddr>, rack: Option<super::cluster::RackIx>) -> u8 {
        let node = self.cluster.node(ix);
        if Some(node.addr.ip) == near {
            0
        } else if Some(node.rack) == rack {
            1
        } else {
            2
        }
    }
}
