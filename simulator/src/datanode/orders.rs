//! How a fake datanode obeys the namenode.

use super::Datanode;
use crate::event::{Event, Index, Request};
use crate::world::World;
use mammoth_namenode_core::api::Outcome;
use mammoth_protocol::internal::{DnCommand, ReplicaEvent};
use mammoth_protocol::{Block, BlockId, Epoch, GenStamp, Seq, StorageId, Term};

impl World {
    /// Orders come home with a heartbeat's answer; they are carried out a little later, in any order.
    pub(crate) fn take_orders(&mut self, index: Index, term: Term, seq: Seq, outcome: Outcome) {
        let node = &mut self.datanodes[index];
        let Some(epoch) = node.epoch.filter(|_| node.up && node.seen.term <= term) else { return };
        node.saw(term, seq);
        if outcome.register {
            return self.register_again(index);
        }
        for order in outcome.orders {
            // Deletions wait for a disk, copies for a stream.
            let most = if self.sim.rng.chance(150) && !self.sim.healing { 10_000 } else { 300 };
            let delay = 1 + self.sim.rng.below(most);
            self.sim.later(delay, Event::Order(index, term, epoch, order));
        }
    }

    /// Carries out an order, unless it is of an earlier registration: the namenode has forgotten it then.
    pub(crate) fn obey(&mut self, index: Index, term: Term, epoch: Epoch, order: DnCommand) {
        let node = &self.datanodes[index];
        let present = node.epoch == Some(epoch) && node.seen.term <= term;
        if !node.up {
            return;
        }
        if !present {
            return self.sim.coverage.hit("old order dropped");
        }
        match order {
            DnCommand::Register => self.register_again(index),
            DnCommand::FullReport { storages } => self.list_again(index, &storages),
            DnCommand::Copy { block, targets } => {
                self.sim.coverage.hit("copy ordered");
                self.copy(index, block, &targets);
            }
            DnCommand::Delete { storage, blocks } => {
                if let Some(volume) = self.datanodes[index].volume_of(storage) {
                    self.delete_all(index, volume, &blocks);
                }
            }
            DnCommand::DropBad { storage, blocks } => {
                if let Some(volume) = self.datanodes[index].volume_of(storage) {
                    self.drop_bad(index, volume, &blocks);
                }
            }
            DnCommand::Verify { .. } => self.scrub(index),
            DnCommand::BalanceRate { .. } => {}
            DnCommand::Recover { block, new_stamp, cut, replicas } => {
                self.recover(index, block, new_stamp, cut, &replicas);
            }
        }
    }

    /// A list that is on its way already is as good as a new one: if not, the namenode refuses it.
    fn list_again(&mut self, index: Index, storages: &[StorageId]) {
        self.sim.coverage.hit("full report ordered");
        let node = &mut self.datanodes[index];
        for storage in storages {
            if let Some(volume) = node.volume_of(*storage)
                && node.volumes[volume].list.is_none()
            {
                node.volumes[volume].full_due = true;
            }
        }
        self.report_soon(index);
    }

    fn delete_all(&mut self, index: Index, volume: usize, blocks: &[Block]) {
        for block in blocks {
            self.sim.coverage.hit("deletion carried out");
            self.check_deletion(index, volume, *block);
            self.datanodes[index].delete(volume, *block);
            self.fair.deleted(index, block.id);
        }
        self.report_soon(index);
    }

    fn drop_bad(&mut self, index: Index, volume: usize, blocks: &[Block]) {
        let node = &mut self.datanodes[index];
        for block in blocks {
            node.bad.remove(&(volume, block.id));
            node.note(volume, ReplicaEvent::Deleted(*block));
        }
        self.sim.coverage.hit("bad replicas dropped");
        self.report_soon(index);
    }

    /// I6, at the last moment: no order takes a good replica of a block that a file owns, unless as many remain as were
    /// wanted at any time when a deletion was ordered, but for those that faults have taken.
    fn check_deletion(&mut self, index: Index, volume: usize, block: Block) {
        let Some((stamp, len, wanted)) = self.namenode.owner_of(block.id) else { return };
        let this = self.datanodes[index].replicas.get(&block.id);
        let this_is_good = this.is_some_and(|replica| replica.volume == volume && replica.is_good(stamp, len));
        if !this_is_good || block.stamp != stamp {
            return;
        }
        let good = self.good_elsewhere(index, block.id, stamp, len);
        if good < self.fair.must_remain(block.id, wanted) {
            self.sim.violation(format!("{block} on dn{index} is deleted; {good} good ones remain of {wanted}"));
        }
    }

    /// Good replicas on other datanodes, running or not.
    pub(crate) fn good_elsewhere(&self, index: Index, id: BlockId, stamp: GenStamp, len: u64) -> usize {
        let good = |node: &&Datanode| node.replicas.get(&id).is_some_and(|replica| replica.is_good(stamp, len));
        self.datanodes.iter().filter(|node| node.index != index).filter(good).count()
    }

    /// A stopped datanode starts.
    pub(crate) fn datanode_starts(&mut self, index: Index) {
        let node = &mut self.datanodes[index];
        if node.up {
            return;
        }
        self.sim.coverage.hit("datanode returned");
        for volume in 0..node.volumes.len() {
            if node.volumes[volume].failed {
                node.replace(volume);
            }
        }
        node.up = true;
        let request = Request::Register(index, node.registration());
        self.send_to_namenode(request);
    }
}
