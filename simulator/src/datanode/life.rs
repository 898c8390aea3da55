//! How a fake datanode talks with the namenode and obeys it.

use super::Datanode;
use crate::bugs::Bug;
use crate::event::{Event, Index, Request};
use crate::world::World;
use mammoth_namenode_core::api::Outcome;
use mammoth_protocol::internal::{DnCommand, ReplicaEvent, ReplicaState};
use mammoth_protocol::{Block, Seq, Term};

/// Interval of heartbeats.
const HEARTBEAT_MS: u64 = 1_000;
/// An unanswered report is sent again after this.
const REPORT_RETRY_MS: u64 = 1_500;

impl World {
    /// Sends a heartbeat, or an introduction, and plans the next.
    pub(crate) fn heartbeat_due(&mut self, index: Index) {
        self.later(HEARTBEAT_MS, Event::HeartbeatDue(index));
        let node = &self.datanodes[index];
        if !node.up {
            return;
        }
        let request = match node.epoch {
            None => Request::Register(index, node.registration()),
            Some(epoch) => Request::Heartbeat(index, node.heartbeat(epoch)),
        };
        self.send_to_namenode(request);
    }

    /// Changes are reported at once.
    pub(crate) fn report_soon(&mut self, index: Index) {
        let delay = 1 + self.rng.below(20);
        self.later(delay, Event::ReportDue(index));
    }

    /// Sends what is due: a full report, or what has changed, or again what was not answered.
    pub(crate) fn report_due(&mut self, index: Index) {
        let node = &mut self.datanodes[index];
        if !node.up || node.epoch.is_none() {
            return;
        }
        let request = if node.full_due && node.in_flight.is_none() {
            node.next_full().map(|slice| Request::Full(index, slice))
        } else {
            node.next_incremental().map(|report| Request::Incremental(index, report))
        };
        if let Some(request) = request {
            self.send_to_namenode(request);
            self.later(REPORT_RETRY_MS, Event::ReportDue(index));
        }
    }

    /// The namenode has an incremental report.
    pub(crate) fn report_taken(&mut self, index: Index, term: Term, outcome: Outcome) {
        let node = &mut self.datanodes[index];
        if !node.up || node.seen.term > term {
            return;
        }
        node.saw(term, Seq(0));
        if outcome.register {
            return self.register_again(index);
        }
        node.in_flight = None;
        if !outcome.resync.is_empty() {
            node.full_due = true;
        }
        if !node.events.is_empty() || node.full_due {
            self.report_soon(index);
        }
    }

    /// The namenode has a full report.
    pub(crate) fn full_taken(&mut self, index: Index, term: Term, outcome: &Outcome) {
        let node = &mut self.datanodes[index];
        if !node.up || node.seen.term > term {
            return;
        }
        if outcome.register {
            return self.register_again(index);
        }
        node.full_due = !outcome.resync.is_empty();
        self.report_soon(index);
    }

    fn register_again(&mut self, index: Index) {
        self.coverage.hit("registered again");
        let node = &mut self.datanodes[index];
        node.epoch = None;
        node.in_flight = None;
        let request = Request::Register(index, node.registration());
        self.send_to_namenode(request);
    }

    /// Orders come home with a heartbeat's answer; they are carried out a little later, in any order.
    pub(crate) fn take_orders(&mut self, index: Index, term: Term, outcome: Outcome) {
        let seq = self.namenode.durable_seq();
        let node = &mut self.datanodes[index];
        if !node.up || (node.seen.term > term && self.bug != Some(Bug::OldTermObeyed)) {
            return;
        }
        node.saw(term, seq);
        if outcome.register {
            return self.register_again(index);
        }
        for order in outcome.orders {
            let delay = 1 + self.rng.below(300);
            self.later(delay, Event::Order(index, term, order));
        }
    }

    /// Carries out an order.
    pub(crate) fn obey(&mut self, index: Index, term: Term, order: DnCommand) {
        if !self.datanodes[index].up || (self.datanodes[index].seen.term > term && self.bug != Some(Bug::OldTermObeyed))
        {
            return;
        }
        match order {
            DnCommand::Register => self.register_again(index),
            DnCommand::FullReport { .. } => {
                self.datanodes[index].full_due = true;
                self.report_soon(index);
            }
            DnCommand::Copy { block, targets } => {
                self.coverage.hit("copy ordered");
                let targets = targets.iter().filter_map(|place| self.datanode_of(place.datanode)).collect::<Vec<_>>();
                self.copy(index, block, &targets);
            }
            DnCommand::Delete { storage, blocks } => {
                if self.datanodes[index].storage == storage {
                    self.delete_all(index, &blocks);
                }
            }
            DnCommand::DropBad { storage, blocks } => {
                let node = &mut self.datanodes[index];
                if node.storage == storage {
                    for block in blocks {
                        node.bad.remove(&block.id);
                        node.events.push(ReplicaEvent::Deleted(block));
                    }
                    self.coverage.hit("bad replicas dropped");
                    self.report_soon(index);
                }
            }
            DnCommand::Recover { block, new_stamp, replicas } => {
                let members = replicas.iter().filter_map(|place| self.datanode_of(place.datanode)).collect::<Vec<_>>();
                self.recover(index, block, new_stamp, &members);
            }
        }
    }

    fn delete_all(&mut self, index: Index, blocks: &[Block]) {
        let any_stamp = self.bug == Some(Bug::DeleteAnyStamp);
        for block in blocks {
            self.coverage.hit("deletion ordered");
            self.check_deletion(index, *block);
            self.datanodes[index].delete(block.id, block.stamp, any_stamp);
        }
        self.report_soon(index);
    }

    /// I6: a good replica of a block that a file owns goes only while enough others stay.
    fn check_deletion(&mut self, index: Index, block: Block) {
        let Some((stamp, len, wanted)) = self.namenode.owner_of(block.id) else { return };
        let good = |node: &&Datanode| {
            node.replicas.get(&block.id).is_some_and(|replica| {
                replica.stamp == stamp
                    && replica.len() == len
                    && !replica.corrupt
                    && replica.state == ReplicaState::Finalized
            })
        };
        let this_is_good = self.datanodes.get(index).as_ref().is_some_and(good);
        if !this_is_good || block.stamp != stamp {
            return;
        }
        let others = self.datanodes.iter().filter(|node| node.index != index).filter(good).count();
        if others == 0 {
            self.violation(format!("{block} on dn{index} is deleted by order; it is the last good one of {wanted}"));
        }
    }

    fn copy(&mut self, index: Index, block: Block, targets: &[Index]) {
        let Some(source) = self.datanodes[index].replicas.get(&block.id).cloned() else { return };
        if source.stamp != block.stamp || source.state != ReplicaState::Finalized {
            return;
        }
        if source.corrupt && self.bug != Some(Bug::CorruptionUnseen) {
            self.coverage.hit("corruption found by a copy");
            self.datanodes[index].set_aside(block.id);
            return self.report_soon(index);
        }
        for &target in targets {
            if !self.healing && self.rng.chance(100) {
                self.coverage.hit("copy failed");
                continue;
            }
            let node = &mut self.datanodes[target];
            let newer = node.replicas.get(&block.id).is_some_and(|old| old.stamp >= source.stamp);
            if !node.up || newer {
                continue;
            }
            let block = Block { len: source.len(), ..block };
            if self.bug != Some(Bug::CopyClaimedEarly) {
                node.replicas.insert(block.id, source.clone());
            }
            node.events.push(ReplicaEvent::Received(block));
            self.report_soon(target);
        }
    }

    /// A stopped datanode starts.
    pub(crate) fn datanode_starts(&mut self, index: Index) {
        if self.datanodes[index].up {
            return;
        }
        self.coverage.hit("datanode returned");
        self.datanodes[index].up = true;
        let request = Request::Register(index, self.datanodes[index].registration());
        self.send_to_namenode(request);
    }
}
