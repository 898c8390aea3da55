//! Repair rounds: each compares wanted with good replicas and orders a bounded number of copies, most urgent first. Nothing
//! is remembered of a block that could not be helped; the next round simply meets it again.

use super::BlockMap;
use super::cluster::{Cluster, CopyOrder, NodeIx, VolumeIx};
use super::mix::Mix;
use super::pending::PendingCopy;
use super::table::{Condition, Slot};
use super::types::{BlockTick, TargetRequest};
use mammoth_protocol::internal::DnCommand;
use mammoth_protocol::{Block, BlockId, Now};

/// Blocks that a round looks at for every copy that it may order: some cannot be helped.
const LOOKS_PER_COPY: usize = 10;
/// Copies that one tick orders at most; the round goes on with the next.
const COPY_PORTION: usize = 200;

/// What is left of a round.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Round {
    copies: usize,
    looks: usize,
}

impl BlockMap {
    /// Time passed: notices deaths, plans copies and deletions, expires what was waited for. Does a bounded amount of work.
    /// `entropy` decides between equals.
    pub fn tick(&mut self, now: Now, entropy: u64) -> BlockTick {
        self.advance(now);
        self.bury_silent();
        let mut more = self.drain_portion();
        self.judge_safe_mode();
        more |= self.survey_portion();
        more |= self.settle_portion();
        more |= self.spread_portion();
        self.expire_copies();
        if !self.safety.off() {
            return BlockTick { commands: Vec::new(), more };
        }
        if self.now.monotonic_ms >= self.next_round_ms {
            self.next_round_ms = self.now.monotonic_ms + self.config.redundancy_interval_ms;
            if self.now.monotonic_ms >= self.safety.repair_from_ms {
                let copies = (self.config.work_multiplier as usize).saturating_mul(self.cluster.live() as usize);
                self.round = Round { copies, looks: copies.saturating_mul(LOOKS_PER_COPY) };
            }
            if !self.surveying() {
                self.admin_round();
            }
            self.trim_soon = true;
        }
        more |= self.copy_portion(&mut Mix::new(entropy));
        if self.trim_soon {
            self.trim_soon = self.trim_round();
            more |= self.trim_soon;
        }
        BlockTick { commands: self.overdue_recoveries(), more }
    }

    /// Orders a portion of the copies that are left of the round. `true`: there are more.
    fn copy_portion(&mut self, mix: &mut Mix) -> bool {
        if self.round.copies == 0 {
            return false;
        }
        let mut left = self.round.copies.min(COPY_PORTION);
        let mut looks = self.round.looks.min(COPY_PORTION * LOOKS_PER_COPY);
        self.round.copies -= left;
        self.round.looks -= looks;
        for condition in Condition::NEEDS.into_iter().chain([Condition::Misplaced]) {
            for id in self.queues.page(condition, looks) {
                if left == 0 {
                    return self.round.copies > 0;
                }
                looks -= 1;
                self.queues.looked_at(condition, id);
                if let Some(slot) = self.table.find(id) {
                    left -= usize::from(self.plan_copy(slot, condition, mix));
                }
            }
        }
        if looks > 0 {
            self.round = Round::default(); // All were looked at.
        }
        self.round.copies += left;
        self.round.looks > 0
    }

    /// Orders the missing copies of a block from one source, of a misplaced one a copy on another rack: what is too much
    /// afterwards is trimmed from the rack with most. `false`: not possible at the moment.
    fn plan_copy(&mut self, slot: Slot, condition: Condition, mix: &mut Mix) -> bool {
        let entry = self.table.get(slot);
        let (id, stamp, len) = (entry.id, entry.stamp, entry.len);
        let under_way = self.pending.of(id);
        let apart = condition == Condition::Misplaced;
        let missing = if apart {
            usize::from(under_way.is_empty())
        } else {
            self.lasting_target(slot).saturating_sub(self.lasting(slot).count() + under_way.len())
        };
        let Some(source) = self.source(slot, condition, mix).filter(|_| missing > 0) else { return false };
        let Some(node) = self.cluster.node_of(source) else { return false };
        // The racks of replicas that will not last say nothing about where the others should be.
        let (stay, go): (Vec<VolumeIx>, Vec<VolumeIx>) =
            self.replicas(slot).into_iter().map(|r| r.volume).partition(|&v| self.lasting(slot).any(|l| l == v));
        let taken = stay.into_iter().chain(under_way.iter().map(|c| c.target));
        let gone = go.into_iter().filter_map(|v| self.cluster.node_of(v));
        let request = TargetRequest {
            count: missing,
            chosen: taken.map(|v| self.cluster.volume(v).id).collect(),
            exclude: gone.map(|n| self.cluster.node(n).id).collect(),
            block_size: len,
            entropy: mix.next(),
            ..TargetRequest::default()
        };
        let places = self.choose_targets(&request);
        let helps = |&v: &VolumeIx| !apart || self.is_another_rack(slot, v);
        let targets = places.iter().filter_map(|p| self.cluster.find_volume(p.storage)).filter(helps);
        let targets: Vec<VolumeIx> = targets.collect();
        if targets.is_empty() && apart {
            return false;
        }
        if targets.is_empty() {
            self.clear_the_way(slot);
            return false;
        }
        let until_ms = self.now.monotonic_ms + self.config.pending_timeout_ms;
        for &target in &targets {
            self.begin_copy(id, target, Some(node), until_ms);
        }
        self.cluster.node_mut(node).outbox.push_back(CopyOrder { id, stamp, source, targets });
        self.settle(slot);
        true
    }

    /// The good replica to copy from: of a datanode that may send more, not silent if possible, the least busy.
    fn source(&self, slot: Slot, condition: Condition, mix: &mut Mix) -> Option<VolumeIx> {
        let hard = condition == Condition::LastCopy;
        let limit = if hard { self.config.max_streams_hard } else { self.config.max_streams };
        let able = self.good(slot).filter_map(|v| {
            let node = self.cluster.node(self.cluster.node_of(v)?);
            (node.streams() < limit).then_some((v, node))
        });
        able.min_by_key(|&(v, node)| (self.stale(node), node.streams(), mix.next(), v)).map(|(v, _)| v)
    }

    /// The copies that a datanode is handed now: those that still make sense.
    pub(super) fn copy_orders(&mut self, node: NodeIx) -> Vec<DnCommand> {
        let outbox = std::mem::take(&mut self.cluster.node_mut(node).outbox);
        let mut commands = Vec::new();
        for order in outbox {
            match self.copy_command(node, &order) {
                Some(command) => commands.push(command),
                None => self.cancel_copy(node, &order),
            }
        }
        self.cluster.node_mut(node).copies_handed += commands.len() as u32;
        commands
    }

    fn copy_command(&self, node: NodeIx, order: &CopyOrder) -> Option<DnCommand> {
        let slot = self.table.find(order.id)?;
        let entry = self.table.get(slot);
        let sound = entry.stamp == order.stamp
            && self.cluster.node_of(order.source) == Some(node)
            && self.good(slot).any(|v| v == order.source);
        let wanted = |v: &&VolumeIx| {
            self.cluster.volume(**v).serving() && self.pending.of(order.id).iter().any(|c| c.target == **v)
        };
        let whole = order.targets.iter().filter(wanted).count() == order.targets.len();
        let targets = order.targets.iter().filter_map(|&v| self.cluster.replica_place(v)).collect();
        let block = Block { id: order.id, stamp: entry.stamp, len: entry.len };
        (sound && whole).then_some(DnCommand::Copy { block, targets })
    }

    fn cancel_copy(&mut self, node: NodeIx, order: &CopyOrder) {
        let ours = |copy: &PendingCopy| copy.source == Some(node) && order.targets.contains(&copy.target);
        self.end_copies(order.id, |_, copy| ours(copy));
        self.settle_by_id(order.id);
    }

    /// A datanode will not send what it was to send.
    pub(super) fn cancel_copies_from(&mut self, node: NodeIx) {
        self.cluster.node_mut(node).outbox.clear();
        for id in self.pending.blocks(|copy| copy.source == Some(node)) {
            self.end_copies(id, |_, copy| copy.source == Some(node));
            self.settle_by_id(id);
        }
    }

    /// Waits for a copy on a volume; the caller settles the block.
    pub(super) fn begin_copy(&mut self, id: BlockId, target: VolumeIx, source: Option<NodeIx>, until_ms: u64) {
        self.pending.add(id, target, source, until_ms);
        self.cluster.volume_mut(target).scheduled += 1;
    }

    /// Waits no more for the copies that `done` names; the caller settles the block.
    pub(super) fn end_copies(&mut self, id: BlockId, done: impl Fn(&Cluster, &PendingCopy) -> bool) {
        for copy in self.pending.take(id, |copy| done(&self.cluster, copy)) {
            self.cluster.volume_mut(copy.target).scheduled -= 1;
        }
    }

    /// Gives copies up that took too long.
    fn expire_copies(&mut self) {
        let now_ms = self.now.monotonic_ms;
        while let Some(id) = self.pending.next_overdue(now_ms) {
            self.end_copies(id, |_, copy| copy.overdue(now_ms));
            self.settle_by_id(id);
        }
    }
}
