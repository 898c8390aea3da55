//! What faults may take. The file system promises to survive whatever leaves it one good replica of a block and the time to
//! make more of them; a fault that asks for more proves nothing. This is the book of what was taken when.

use crate::datanode::Replica;
use crate::event::Index;
use crate::oracle::Actual;
use crate::world::World;
use mammoth_protocol::BlockId;
use mammoth_protocol::internal::ReplicaState;
use std::collections::{BTreeMap, BTreeSet};

/// Between two faults that hit the same block: the first must have been noticed before the second.
const NOTICE_MS: u64 = 40_000;

/// Faults on replicas so far, and deletions that are on their way.
#[derive(Clone, Debug, Default)]
pub struct Fair {
    taken: BTreeMap<BlockId, (u64, u64)>,
    deleting: BTreeSet<(Index, BlockId)>,
    /// Fewest replicas that were wanted when a deletion was ordered.
    wanted: BTreeMap<BlockId, u16>,
    /// Blocks of which all may hang on one replica: only one is wanted, or a file may be recovered from the only one at hand.
    single: BTreeSet<BlockId>,
}

impl Fair {
    /// A fault takes a replica.
    pub fn took(&mut self, id: BlockId, now_ms: u64) {
        let (count, last) = self.taken.entry(id).or_default();
        *count += 1;
        *last = now_ms;
    }

    /// Replicas that faults have taken from a block.
    #[must_use]
    pub fn losses(&self, id: BlockId) -> u64 {
        self.taken.get(&id).map_or(0, |(count, _)| *count)
    }

    /// From now on a single replica may be all there is of the block.
    pub fn single(&mut self, id: BlockId) {
        self.single.insert(id);
    }

    /// A deletion of a replica is ordered while so many are wanted.
    pub fn ordered(&mut self, id: BlockId, wanted: u16) {
        let least = self.wanted.entry(id).or_insert(wanted);
        *least = (*least).min(wanted);
    }

    /// Good replicas that must remain when another one is deleted; never 0.
    #[must_use]
    pub fn must_remain(&self, id: BlockId, wanted: u16) -> usize {
        let least = self.wanted.get(&id).map_or(wanted, |least| wanted.min(*least));
        let losses = usize::try_from(self.losses(id)).unwrap_or(usize::MAX);
        usize::from(least).saturating_sub(losses).max(1)
    }

    /// A deletion has left the namenode: the replica is as good as gone.
    pub fn deleting(&mut self, index: Index, id: BlockId) {
        self.deleting.insert((index, id));
    }

    /// It was carried out; what comes later is another replica.
    pub fn deleted(&mut self, index: Index, id: BlockId) {
        self.deleting.remove(&(index, id));
    }
}

impl World {
    /// Whether no fault on the block is unnoticed, so that the namenode knows which replicas are good.
    pub(crate) fn is_known(&self, id: BlockId) -> bool {
        let recent = self.fair.taken.get(&id).is_some_and(|(_, last)| last + NOTICE_MS > self.sim.now_ms);
        let corrupt = |replica: &Replica| replica.corrupt;
        !recent && !self.datanodes.iter().any(|node| node.replicas.get(&id).is_some_and(corrupt))
    }

    /// Whether a file may stay open for ever: its last block is empty, and no volume that was to hold it will come back. The
    /// namenode waits for one to say that nobody wrote it, as it could not know otherwise; somebody has to delete the file.
    pub(crate) fn may_stay_open(&self, file: &Actual) -> bool {
        let nowhere = |id: &BlockId| !self.datanodes.iter().any(|node| node.replicas.contains_key(id));
        file.pipeline.is_empty() && file.blocks.last().is_some_and(|(id, len)| *len == 0 && nowhere(id))
    }

    /// Whether the file system must survive the loss of this replica: enough others are as good, none of them is about to go,
    /// and no other fault has hit the block lately.
    pub(crate) fn may_lose(&self, index: Index, id: BlockId) -> bool {
        let Some(replica) = self.datanodes[index].replicas.get(&id) else { return false };
        if self.fair.single.contains(&id) || !self.is_known(id) {
            return false;
        }
        let as_good = |other: &Replica| stands_in(replica, other);
        let others = self.datanodes.iter().filter(|node| {
            let stays = !self.fair.deleting.contains(&(node.index, id));
            node.index != index && stays && self.reachable(node.index) && node.replicas.get(&id).is_some_and(as_good)
        });
        others.count() >= 2
    }
}

/// Whether the other replica holds all that anybody was promised of this one.
fn stands_in(replica: &Replica, other: &Replica) -> bool {
    // A writer is told of bytes that the whole pipeline has, so every member of one stamp has them.
    let same = other.stamp == replica.stamp;
    same && (other.state == ReplicaState::Finalized || replica.state != ReplicaState::Finalized)
}
