//! Deleting replicas of blocks that files own. I6 is decided here, by [`BlockMap::may_delete`], twice: when a deletion is
//! planned, and again when the order goes out, as good copies may have been lost in between.
//!
//! A doomed replica counts for nothing from the moment it is chosen. If it is needed again before its order ever went out, it
//! is simply good again. Afterwards nothing that its datanode reports can bring it back, as the order may be carried out at any
//! time: the datanode has to register anew, which ends all orders that it was given before.

use super::BlockMap;
use super::cluster::{NodeIx, VolumeIx};
use super::judge::{Verdict, judge};
use super::odd::Replica;
use super::table::{Entry, Slot};
use super::types::TargetRequest;
use mammoth_protocol::internal::{DnCommand, ReplicaState};
use mammoth_protocol::{Block, BlockId};

/// Whether a replica of a complete block is of an older stamp, or was still being written when its datanode stopped: it can
/// never become good.
pub(super) fn is_remnant(entry: &Entry, replica: &Replica) -> bool {
    replica.stamp < entry.stamp || replica.state == ReplicaState::Rwr
}

impl BlockMap {
    /// Whether the wanted number of good replicas remains without the one on `without`, each on a volume that has told all
    /// about itself in its present registration, of a datanode that is to stay.
    pub(super) fn vouched(&self, slot: Slot, without: Option<VolumeIx>) -> bool {
        self.vouchers(slot, without) >= self.table.get(slot).target()
    }

    fn vouchers(&self, slot: Slot, without: Option<VolumeIx>) -> usize {
        self.lasting(slot).filter(|&v| Some(v) != without && self.cluster.volume(v).trusted()).count()
    }

    /// I6: whether the replica in place on a volume may be deleted now.
    ///
    /// One exception to the wanted number: what a writer left behind on a datanode that missed the end of the write
    /// ([`is_remnant`]) can never be read again, so when it occupies the only datanode to which a missing copy could go, the
    /// minimum of good replicas is enough. Without it a cluster of three datanodes would never heal from such a write.
    pub(super) fn may_delete(&self, slot: Slot, volume: VolumeIx) -> bool {
        let entry = self.table.get(slot);
        if !entry.complete {
            return false;
        }
        if self.vouched(slot, Some(volume)) {
            return true;
        }
        self.odd(slot).replica(volume).is_some_and(|r| is_remnant(entry, r))
            && self.vouchers(slot, Some(volume)) >= usize::from(self.config.replication_min.max(1))
            && self.lasting(slot).count() + self.pending.of(entry.id).len() < entry.target()
            && !self.place_left(slot)
    }

    /// Whether some datanode without a replica of the block could take one.
    fn place_left(&self, slot: Slot) -> bool {
        let entry = self.table.get(slot);
        let pending = self.pending.of(entry.id).iter().map(|c| c.target);
        let taken = self.replicas(slot).into_iter().map(|r| r.volume).chain(pending);
        let request = TargetRequest {
            count: 1,
            chosen: taken.map(|v| self.cluster.volume(v).id).collect(),
            block_size: entry.len,
            ..TargetRequest::default()
        };
        !self.choose_targets(&request).is_empty()
    }

    /// Orders the deletion of the replica in place on a volume. The caller has asked [`Self::may_delete`] and settles.
    pub(super) fn doom(&mut self, slot: Slot, volume: VolumeIx) {
        let id = self.table.get(slot).id;
        if let Some(replica) = self.take(slot, volume) {
            self.put(slot, Replica { doomed: true, ..replica });
            self.cluster.volume_mut(volume).deletes.add(id, replica.stamp);
        }
    }

    /// Orders that a bad replica set aside be dropped. The caller has asked [`Self::vouched`] and settles.
    pub(super) fn doom_aside(&mut self, slot: Slot, volume: VolumeIx) {
        let id = self.table.get(slot).id;
        if let Some(aside) = self.odd_mut(slot).aside_mut(volume) {
            aside.doomed = true;
            let stamp = aside.stamp;
            self.cluster.volume_mut(volume).drops.add(id, stamp);
        }
    }

    /// Withdraws the deletion of the replica in place on a volume; the caller settles.
    pub(super) fn spare(&mut self, slot: Slot, volume: VolumeIx) {
        let id = self.table.get(slot).id;
        self.cluster.volume_mut(volume).deletes.remove(id);
        if let Some(replica) = self.take(slot, volume) {
            self.put(slot, Replica { doomed: false, ..replica });
        }
    }

    /// Takes doomed replicas back where good ones are missing. Part of `settle`.
    pub(super) fn reprieve(&mut self, slot: Slot) {
        let entry = self.table.get(slot);
        let missing = entry.target().saturating_sub(self.lasting(slot).count());
        let nothing_else = self.good(slot).next().is_none();
        let helps = |v: VolumeIx| nothing_else || self.cluster.lasting(v);
        let sound = |r: &&Replica| r.doomed && judge(entry, r) == Verdict::Good && helps(r.volume);
        let doomed: Vec<VolumeIx> = self.odd(slot).replicas.iter().filter(sound).map(|r| r.volume).collect();
        let id = entry.id;
        let mut spared = 0;
        for volume in doomed {
            if spared < missing && self.cluster.volume(volume).deletes.times(id) == 0 {
                self.spare(slot, volume);
                spared += 1;
            } else if nothing_else && self.cluster.volume(volume).deletes.times(id) > 0 {
                self.recall(volume);
            }
        }
    }

    /// Has a volume's datanode register anew, so that its replicas can count again which it was told to delete and may not
    /// have deleted yet.
    fn recall(&mut self, volume: VolumeIx) {
        if let Some(node) = self.cluster.node_of(volume) {
            self.cluster.node_mut(node).recalled = true;
        }
    }

    /// The deletions that a datanode is to be handed now.
    pub(super) fn deletions(&mut self, node: NodeIx) -> Vec<DnCommand> {
        let mut left = self.config.invalidate_limit;
        let mut commands = Vec::new();
        for volume in self.cluster.node(node).volumes.clone() {
            if !self.cluster.volume(volume).serving() {
                continue;
            }
            let storage = self.cluster.volume(volume).id;
            let blocks = self.due_deletes(volume, left);
            left -= blocks.len();
            if !blocks.is_empty() {
                commands.push(DnCommand::Delete { storage, blocks });
            }
            let blocks = self.due_drops(volume, left);
            left -= blocks.len();
            if !blocks.is_empty() {
                commands.push(DnCommand::DropBad { storage, blocks });
            }
        }
        commands
    }

    fn due_deletes(&mut self, volume: VolumeIx, max: usize) -> Vec<Block> {
        let again_ms = self.now.monotonic_ms + self.resend_ms();
        let mut blocks = self.cluster.volume_mut(volume).deletes.due(self.now.monotonic_ms, max);
        blocks.retain(|block| {
            let Some(slot) = self.table.find(block.id) else {
                return self.may_be_deleted_unowned(block.id);
            };
            let allowed = self.may_delete(slot, volume);
            if !allowed && self.cluster.volume(volume).deletes.times(block.id) == 0 {
                self.spare(slot, volume);
                self.settle(slot);
            } else if !allowed {
                // Neither confirmed nor allowed any more: it was lost, or is late. If enough others are left, and only not
                // confirmed at the moment, time will tell.
                self.cluster.volume_mut(volume).deletes.postpone(block.id, again_ms);
                if self.lasting(slot).count() < self.table.get(slot).target() {
                    self.recall(volume);
                }
            }
            allowed
        });
        for block in &blocks {
            self.cluster.volume_mut(volume).deletes.handed_over(block.id, again_ms);
        }
        blocks
    }

    fn due_drops(&mut self, volume: VolumeIx, max: usize) -> Vec<Block> {
        let again_ms = self.now.monotonic_ms + self.resend_ms();
        let mut blocks = self.cluster.volume_mut(volume).drops.due(self.now.monotonic_ms, max);
        blocks.retain(|block| {
            let Some(slot) = self.table.find(block.id) else { return true };
            let allowed = self.table.get(slot).complete && self.vouched(slot, None);
            if !allowed {
                self.cluster.volume_mut(volume).drops.remove(block.id);
                if let Some(aside) = self.odd_mut(slot).aside_mut(volume) {
                    aside.doomed = false;
                }
                self.settle(slot);
            }
            allowed
        });
        for block in &blocks {
            self.cluster.volume_mut(volume).drops.handed_over(block.id, again_ms);
        }
        blocks
    }

    /// A replica is no longer in a volume's `bad/` folder, or no longer worth remembering there.
    pub(super) fn dropped(&mut self, volume: VolumeIx, id: BlockId) {
        let place = self.cluster.volume_mut(volume);
        place.drops.remove(id);
        place.aside.remove(&id);
        if let Some(slot) = self.table.find(id) {
            self.odd_mut(slot).aside.retain(|a| a.volume != volume);
            self.settle(slot);
        }
    }
}
