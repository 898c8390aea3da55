//! What breaks, and the rule that keeps it fair: the file system promises to survive what leaves one good replica of every
//! block within reach, so no fault here takes the last one.

use crate::event::Event;
use crate::world::{CLIENTS, DATANODES, World};
use mammoth_protocol::internal::ReplicaState;
use mammoth_protocol::{BlockId, StorageId};

/// How one fault is chosen, in parts of a hundred.
const NAMENODE_CRASH: std::ops::Range<u64> = 0..25;
const DATANODE_CRASH: std::ops::Range<u64> = 25..55;
const CLIENT_CRASH: std::ops::Range<u64> = 55..70;
const BIT_FLIP: std::ops::Range<u64> = 70..85;
const DISK_LOST: std::ops::Range<u64> = 85..92;

impl World {
    /// Something breaks, and the next fault is planned.
    pub(crate) fn fault(&mut self) {
        if self.healing {
            return;
        }
        let delay = 500 + self.rng.below(6_000);
        self.later(delay, Event::Fault);
        let kind = self.rng.below(100);
        if NAMENODE_CRASH.contains(&kind) {
            self.namenode_crashes();
        } else if DATANODE_CRASH.contains(&kind) {
            self.datanode_crashes();
        } else if CLIENT_CRASH.contains(&kind) {
            self.client_crashes();
        } else if BIT_FLIP.contains(&kind) {
            self.bit_flips();
        } else if DISK_LOST.contains(&kind) {
            self.disk_is_lost();
        } else {
            self.scrub_all();
        }
    }

    fn datanode_crashes(&mut self) {
        let index = usize::try_from(self.rng.below(DATANODES as u64)).unwrap_or_default();
        let up = self.datanodes.iter().filter(|node| node.up).count();
        if !self.datanodes[index].up || up <= 2 {
            return;
        }
        self.coverage.hit("datanode crashed");
        self.datanodes[index].crash();
        // Some come back before they are missed, some long after.
        let away = if self.rng.chance(500) { 100 + self.rng.below(3_000) } else { 20_000 + self.rng.below(40_000) };
        self.later(away, Event::DatanodeStarts(index));
    }

    fn client_crashes(&mut self) {
        let index = usize::try_from(self.rng.below(CLIENTS as u64)).unwrap_or_default();
        self.coverage.hit("client crashed");
        if self.clients[index].doubt.is_some() {
            return;
        }
        self.clients[index].crash();
        // Long enough for its last messages to arrive or be lost.
        self.clients[index].plan += 1;
        let plan = self.clients[index].plan;
        let delay = 3_000 + self.rng.below(2_000);
        self.later(delay, Event::ClientStep { client: index, plan });
    }

    /// Good finalized replicas of a block with the stamp of this one, elsewhere and within reach.
    fn others(&self, index: usize, id: BlockId) -> usize {
        let Some(replica) = self.datanodes[index].replicas.get(&id) else { return 0 };
        let good = |node: &&crate::datanode::Datanode| {
            node.up
                && node.index != index
                && node.replicas.get(&id).is_some_and(|other| {
                    !other.corrupt
                        && other.stamp == replica.stamp
                        && other.state == ReplicaState::Finalized
                        && replica.state == ReplicaState::Finalized
                })
        };
        self.datanodes.iter().filter(good).count()
    }

    fn bit_flips(&mut self) {
        let index = usize::try_from(self.rng.below(DATANODES as u64)).unwrap_or_default();
        let ids: Vec<BlockId> = self.datanodes[index].replicas.keys().copied().collect();
        let fair: Vec<BlockId> = ids.into_iter().filter(|id| self.others(index, *id) >= 2).collect();
        let Some(id) = self.rng.pick(&fair).copied() else { return };
        self.coverage.hit("bit flipped");
        if let Some(replica) = self.datanodes[index].replicas.get_mut(&id) {
            replica.corrupt = true;
        }
        if self.bug != Some(crate::Bug::CorruptionUnseen) {
            // Its scrubber, a copy or a reader comes by some time.
            self.scrub(index);
        }
    }

    /// A datanode looks at all its checksums.
    fn scrub(&mut self, index: usize) {
        if !self.datanodes[index].up || self.bug == Some(crate::Bug::CorruptionUnseen) {
            return;
        }
        let flipped: Vec<BlockId> =
            self.datanodes[index].replicas.iter().filter(|(_, r)| r.corrupt).map(|(id, _)| *id).collect();
        for id in flipped {
            self.coverage.hit("corruption found");
            self.datanodes[index].set_aside(id);
        }
        self.report_soon(index);
    }

    /// Every datanode looks at all its checksums.
    pub(crate) fn scrub_all(&mut self) {
        for index in 0..DATANODES {
            self.scrub(index);
        }
    }

    /// A datanode's disk is replaced by an empty one, if every block on it is safe elsewhere.
    fn disk_is_lost(&mut self) {
        let index = usize::try_from(self.rng.below(DATANODES as u64)).unwrap_or_default();
        let ids: Vec<BlockId> = self.datanodes[index].replicas.keys().copied().collect();
        if !self.datanodes[index].up || !ids.iter().all(|id| self.others(index, *id) >= 1) {
            return;
        }
        self.coverage.hit("disk lost");
        let node = &mut self.datanodes[index];
        node.crash();
        node.replicas.clear();
        node.bad.clear();
        node.storage = StorageId(mammoth_protocol::Uuid(node.storage.0.0 + 100));
        let delay = 500 + self.rng.below(20_000);
        self.later(delay, Event::DatanodeStarts(index));
    }
}
