//! The balancer, as an operator runs it: asks the namenode for blocks of a datanode and has another one fetch them. Every step
//! may fail, and everything else goes on meanwhile.

use crate::bugs::Bug;
use crate::datanode::Replica;
use crate::event::{Event, Index};
use crate::world::{DATANODES, World};
use mammoth_namenode_core::api::{Answer, BlockOn, Query};
use mammoth_protocol::internal::{ReplicaEvent, ReplicaState};
use mammoth_protocol::{Block, GenStamp};

/// Blocks that are moved at a time, at most.
const MOVES_MAX: u64 = 4;

/// A replica that is to be moved.
#[derive(Clone, Debug)]
pub struct Move {
    block: Block,
    /// Whose replica is to go.
    from: Index,
    /// Who sends it.
    sender: Index,
    target: Index,
}

impl World {
    /// Somebody finds a datanode too full.
    pub(crate) fn balancer_moves(&mut self) {
        let from = self.some_datanode();
        let query = Query::BlocksOn { datanode: self.datanodes[from].id, bytes: u64::MAX, min_len: 0 };
        let Some(Ok(Answer::BlocksOn(found))) = self.namenode.ask(self.sim.now(), &query) else { return };
        for _ in 0..=self.sim.rng.below(MOVES_MAX) {
            let Some(offered) = self.sim.rng.pick(&found).cloned() else { return };
            self.plan_move(from, &offered);
        }
    }

    fn plan_move(&mut self, from: Index, offered: &BlockOn) {
        let holders: Vec<Index> = offered.places.iter().filter_map(|(id, _)| self.datanode_of(*id)).collect();
        let others: Vec<Index> = (0..DATANODES).filter(|index| !holders.contains(index)).collect();
        let (Some(target), Some(sender)) = (self.sim.rng.pick(&others).copied(), self.sim.rng.pick(&holders).copied())
        else {
            return;
        };
        self.sim.coverage.hit("move began");
        let order = Move { block: offered.block, from, sender, target };
        if self.bug == Some(Bug::MoveClaimedEarly) {
            self.report_move(&order, 0);
        }
        // What is offered may be old by then, and much may happen while the bytes are on their way.
        let most = if self.sim.rng.chance(200) && !self.sim.healing { 10_000 } else { 500 };
        let delay = 1 + self.sim.rng.below(most);
        self.sim.later(delay, Event::MoveEnds(order));
    }

    /// The bytes of a move have arrived, if both ends are still as they were.
    pub(crate) fn move_ends(&mut self, order: &Move) {
        let Move { block, sender, target, .. } = *order;
        if self.sim.mishap(100) || !self.reachable(target) || !self.reachable(sender) {
            return self.sim.coverage.hit("move failed");
        }
        let Some(source) = self.datanodes[sender].replicas.get(&block.id).cloned() else {
            return self.sim.coverage.hit("move of what is gone");
        };
        if source.stamp != block.stamp || source.state != ReplicaState::Finalized || source.len() != block.len {
            return self.sim.coverage.hit("move refused");
        }
        if source.corrupt && self.bug != Some(Bug::CorruptionUnseen) {
            self.sim.coverage.hit("corruption found by a move");
            self.datanodes[sender].set_aside(block.id);
            return self.report_soon(sender);
        }
        let working = self.datanodes[target].volumes.iter().position(|volume| !volume.failed);
        let Some(volume) = working.filter(|_| !self.datanodes[target].replicas.contains_key(&block.id)) else {
            return self.sim.coverage.hit("move refused");
        };
        let replica = Replica { volume, recovery: GenStamp::default(), ..source };
        self.datanodes[target].replicas.insert(block.id, replica);
        self.sim.coverage.hit("replica moved");
        self.report_move(order, volume);
    }

    fn report_move(&mut self, order: &Move, volume: usize) {
        let from = self.datanodes[order.from].id;
        self.datanodes[order.target].note(volume, ReplicaEvent::Moved { block: order.block, from });
        self.report_soon(order.target);
    }
}
