//! What datanodes say of single replicas, by incremental events and by lists.

use super::BlockMap;
use super::cluster::VolumeIx;
use super::odd::{Replica, SetAside};
use super::table::Slot;
use crate::api::Outcome;
use mammoth_protocol::internal::{FullReportSlice, IncrementalReport, ReplicaEvent, ReplicaState};
use mammoth_protocol::{Block, BlockId, DatanodeId, Epoch, Now, StorageId};

use super::cluster::NodeIx;
use super::reports::{Part, Slice, Step, Unlisted};

/// Replicas of a list that are taken in one go.
const LIST_PORTION: usize = 2_000;

/// How a replica came to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// It just changed.
    Event,
    /// It was there when a list was made.
    List,
}

impl BlockMap {
    /// Changes of volumes; sets `register` and `resync` of the outcome.
    pub fn incremental(&mut self, now: Now, report: &IncrementalReport) -> Outcome {
        self.advance(now);
        let Some(node) = self.reporter(report.datanode, report.epoch) else {
            return Outcome { register: true, ..Outcome::default() };
        };
        let mut outcome = Outcome::default();
        for part in &report.storages {
            let Some(volume) = self.volume_of(node, part.storage) else {
                outcome.register = true;
                continue;
            };
            let step = self.cluster.volume_mut(volume).reports.step(part.seq);
            if step == Step::Seen {
                continue;
            }
            let mut whole = step == Step::Next;
            for event in &part.events {
                whole &= self.event(volume, *event);
            }
            if !whole {
                outcome.resync.push(part.storage);
            }
        }
        self.judge_safe_mode();
        outcome
    }

    /// A slice of a volume's full report; sets `register` and `resync` of the outcome.
    pub fn full(&mut self, now: Now, slice: &FullReportSlice) -> Outcome {
        let mut outcome = Outcome::default();
        let mut from = Some(0);
        while let Some(at) = from {
            (outcome, from) = self.full_portion(now, slice, at);
        }
        outcome
    }

    /// A portion of such a slice, from the replica at a place on: for those who have others to serve in between. Also gives
    /// the place where the next portion begins, if there is one; it must be the next of this volume's reports that is given.
    pub fn full_portion(&mut self, now: Now, slice: &FullReportSlice, from: usize) -> (Outcome, Option<usize>) {
        self.advance(now);
        let known = self.reporter(slice.datanode, slice.epoch).and_then(|node| self.volume_of(node, slice.storage));
        let Some(volume) = known else {
            return (Outcome { register: true, ..Outcome::default() }, None);
        };
        if !self.cluster.volume(volume).serving() {
            return (Outcome::default(), None); // It failed; if it recovers, it is asked anew.
        }
        if let Some(outcome) = self.begin_portion(volume, slice, from) {
            return (outcome, None);
        }
        let end = slice.replicas.len().min(from + LIST_PORTION);
        for replica in slice.replicas.get(from..end).unwrap_or_default() {
            let slot = self.table.find(replica.block.id);
            if self.cluster.volume_mut(volume).reports.listed(replica.block, slot) {
                self.note(volume, slot, replica.block, replica.state, Source::List);
            }
        }
        if end < slice.replicas.len() {
            return (Outcome::default(), Some(end));
        }
        if slice.last {
            if self.gone_portion(volume) {
                return (Outcome::default(), Some(slice.replicas.len() + 1));
            }
            self.cluster.volume_mut(volume).reports.finish(now.wall_ms);
        }
        self.judge_safe_mode();
        (Outcome::default(), None)
    }

    /// Gives up a portion of what a complete list does not name. `false`: there was nothing of the kind.
    fn gone_portion(&mut self, volume: VolumeIx) -> bool {
        let (slots, orders) = self.cluster.volume_mut(volume).reports.gone(LIST_PORTION);
        for &slot in &slots {
            if let Some(entry) = self.table.at(slot) {
                self.vanished(volume, entry.id);
            }
        }
        for &id in &orders {
            self.vanished(volume, id);
        }
        !(slots.is_empty() && orders.is_empty())
    }

    /// Judges a portion by what came before; what to answer if it is not to be taken.
    fn begin_portion(&mut self, volume: VolumeIx, slice: &FullReportSlice, from: usize) -> Option<Outcome> {
        let again = || Some(Outcome { resync: vec![slice.storage], ..Outcome::default() });
        let ask_at_ms = self.now.monotonic_ms + self.resend_ms();
        let (table, place) = (&self.table, &mut self.cluster.volumes[volume.0 as usize]);
        let (blocks, deletes) = (&place.blocks, &place.deletes);
        let here = || Unlisted { slots: blocks.clone(), orders: deletes.ids().collect() };
        let ends =
            slice.replicas.first().zip(slice.replicas.last()).map(|(first, last)| (first.block.id, last.block.id));
        let part = Part { number: slice.slice, cut: slice.cut_seq, last: slice.last, ends };
        if from > 0 {
            return if place.reports.is_taking(part) { None } else { again() };
        }
        match place.reports.slice(part, here, |id| table.find(id)) {
            Slice::Seen => Some(Outcome::default()),
            Slice::Restart => again(),
            Slice::Take => {
                place.reports.ask_at_ms = ask_at_ms;
                None
            }
        }
    }

    /// The datanode of a message, if it is live and the message is of its present registration.
    pub(super) fn reporter(&self, id: DatanodeId, epoch: Epoch) -> Option<NodeIx> {
        let ix = self.cluster.find_node(id)?;
        let node = self.cluster.node(ix);
        (node.live && node.epoch == epoch).then_some(ix)
    }

    /// A volume, if it belongs to the datanode.
    pub(super) fn volume_of(&self, node: NodeIx, id: StorageId) -> Option<VolumeIx> {
        self.cluster.find_volume(id).filter(|&v| self.cluster.node_of(v) == Some(node))
    }

    /// Applies one event. `false`: it cost the full report that was arriving.
    fn event(&mut self, volume: VolumeIx, event: ReplicaEvent) -> bool {
        let (ReplicaEvent::Receiving(block)
        | ReplicaEvent::Received(block)
        | ReplicaEvent::Deleted(block)
        | ReplicaEvent::Bad(block)
        | ReplicaEvent::Moved { block, .. }) = event;
        let slot = self.table.find(block.id);
        let kept = self.cluster.volume_mut(volume).reports.touch(block, slot);
        match event {
            ReplicaEvent::Receiving(block) => self.note(volume, slot, block, ReplicaState::Rbw, Source::Event),
            ReplicaEvent::Received(block) => self.note(volume, slot, block, ReplicaState::Finalized, Source::Event),
            ReplicaEvent::Deleted(block) => self.deleted(volume, block),
            ReplicaEvent::Bad(block) => self.set_aside(volume, block),
            ReplicaEvent::Moved { block, from } => {
                self.note(volume, slot, block, ReplicaState::Finalized, Source::Event);
                self.hint(volume, block.id, from);
            }
        }
        kept
    }

    /// A volume has a replica of the block in a slot, if any, in place.
    fn note(&mut self, volume: VolumeIx, slot: Option<Slot>, block: Block, state: ReplicaState, source: Source) {
        if !self.cluster.volume(volume).serving() {
            return; // Forgotten when it failed; if it recovers, a full report follows.
        }
        let Some(slot) = slot else {
            if self.may_be_deleted_unowned(block.id) {
                self.cluster.volume_mut(volume).deletes.add(block.id, block.stamp);
            }
            return;
        };
        let set_aside = |a: &SetAside| a.volume == volume && a.stamp == block.stamp;
        if source == Source::List && self.replica(slot, volume).is_none() && self.odd(slot).aside.iter().any(set_aside)
        {
            return; // The bad one, about to be moved. Of a new copy an event tells.
        }
        let before = self.take(slot, volume);
        let same = before.filter(|b| b.stamp == block.stamp);
        let mut replica = Replica {
            volume,
            stamp: block.stamp,
            len: block.len,
            state,
            corrupt: same.is_some_and(|b| b.corrupt),
            doomed: same.is_some_and(|b| b.doomed),
        };
        let finished = state == ReplicaState::Finalized && block.stamp == self.table.get(slot).stamp;
        // A list may have been cut before an order arrived that was handed over meanwhile, or before it is carried out.
        let handed = self.cluster.volume(volume).deletes.times(block.id) > 0;
        let stands_by_order = replica.doomed && (source == Source::Event || handed || self.may_delete(slot, volume));
        if !stands_by_order {
            replica.doomed = false;
            self.cluster.volume_mut(volume).deletes.remove(block.id);
        }
        self.put(slot, replica);
        if finished && let Some(node) = self.cluster.node_of(volume) {
            self.end_copies(block.id, |cluster, copy| cluster.node_of(copy.target) == Some(node));
        }
        self.settle(slot);
    }

    /// A datanode says that a replica is gone: every order to delete or to drop is confirmed this way, each time it is carried
    /// out, even if nothing was there.
    ///
    /// So it may be about a replica in `bad/` while a new copy of the same name is in place. An order to drop that is under way
    /// explains it; if nothing does, a good replica is not given up before a full report has told which one it was.
    fn deleted(&mut self, volume: VolumeIx, block: Block) {
        let place = self.cluster.volume_mut(volume);
        if place.drops.times(block.id) > 0 && place.drops.stamp(block.id) == Some(block.stamp) {
            return self.dropped(volume, block.id);
        }
        if let Some(stamp) = place.deletes.stamp(block.id).filter(|_| place.deletes.times(block.id) == 0) {
            if stamp == block.stamp {
                // By an order of an earlier registration, perhaps after it ended: only a list that is made from now on can tell.
                place.reports.doubt();
            }
            return; // The order is about to go out, unless it is withdrawn, and will be confirmed itself.
        }
        let Some(slot) = self.table.find(block.id) else {
            if place.deletes.stamp(block.id).is_some_and(|s| s <= block.stamp) {
                place.deletes.remove(block.id);
            }
            return;
        };
        if self.table.get(slot).good.contains(volume) {
            self.cluster.volume_mut(volume).reports.doubt();
        } else if self.replica(slot, volume).is_some_and(|r| r.stamp <= block.stamp) {
            self.vanished(volume, block.id);
        }
    }

    /// A datanode found a replica of its own to be bad and moves it out of the way.
    fn set_aside(&mut self, volume: VolumeIx, block: Block) {
        if !self.cluster.volume(volume).serving() {
            return;
        }
        let Some(slot) = self.table.find(block.id) else {
            if self.may_be_deleted_unowned(block.id) {
                let place = self.cluster.volume_mut(volume);
                place.deletes.remove(block.id);
                place.drops.add(block.id, block.stamp);
            }
            return;
        };
        if self.replica(slot, volume).is_some_and(|r| r.stamp <= block.stamp) {
            self.take(slot, volume);
            self.cluster.volume_mut(volume).deletes.remove(block.id);
        }
        let place = self.cluster.volume_mut(volume);
        place.drops.remove(block.id);
        place.aside.insert(block.id);
        let odd = self.odd_mut(slot);
        odd.aside.retain(|a| a.volume != volume);
        odd.aside.push(SetAside { volume, stamp: block.stamp, doomed: false });
        self.settle(slot);
    }

    /// Nothing of the block is in place on the volume any more.
    fn vanished(&mut self, volume: VolumeIx, id: BlockId) {
        self.cluster.volume_mut(volume).deletes.remove(id);
        if let Some(slot) = self.table.find(id) {
            self.take(slot, volume);
            self.settle(slot);
        }
    }

    /// Whether a replica of a block that no file owns may be deleted: not if its id was never allocated, as then this
    /// namenode has lost the edit that did.
    pub(super) fn may_be_deleted_unowned(&self, id: BlockId) -> bool {
        BlockId::RESERVED < id && id <= self.safety.own.block
    }

    /// Forgets a slot's replicas on all volumes, as no file owns the block any more; what is in place becomes deletion work.
    pub(super) fn disown(&mut self, slot: Slot) {
        let id = self.table.get(slot).id;
        for replica in self.replicas(slot) {
            self.take(slot, replica.volume);
            let place = self.cluster.volume_mut(replica.volume);
            place.reports.forget(id, slot);
            if place.serving() {
                place.deletes.add(id, replica.stamp);
            }
        }
        for aside in std::mem::take(&mut self.odd_mut(slot).aside) {
            let place = self.cluster.volume_mut(aside.volume);
            place.aside.remove(&id);
            place.drops.add(id, aside.stamp);
        }
    }
}
