//! Copies from one fake datanode to others.

use super::Replica;
use crate::bugs::Bug;
use crate::event::Index;
use crate::world::World;
use mammoth_protocol::internal::{ReplicaEvent, ReplicaPlace, ReplicaState};
use mammoth_protocol::{Block, GenStamp};

impl World {
    /// Sends a finalized replica to the targets. A target that has any replica of the block refuses.
    pub(super) fn copy(&mut self, index: Index, block: Block, targets: &[ReplicaPlace]) {
        let Some(source) = self.datanodes[index].replicas.get(&block.id).cloned() else { return };
        if source.stamp != block.stamp || source.state != ReplicaState::Finalized {
            return;
        }
        if source.corrupt && self.bug != Some(Bug::CorruptionUnseen) {
            self.sim.coverage.hit("corruption found by a copy");
            self.datanodes[index].set_aside(block.id);
            return self.report_soon(index);
        }
        for place in targets {
            let Some(target) = self.datanode_of(place.datanode) else { continue };
            if self.sim.mishap(100) {
                self.sim.coverage.hit("copy failed");
                continue;
            }
            let reachable = self.reachable(target);
            let node = &mut self.datanodes[target];
            let Some(volume) = node.volume_for(place.storage).filter(|_| reachable) else { continue };
            if node.replicas.contains_key(&block.id) {
                self.sim.coverage.hit("copy refused");
                continue;
            }
            let replica = Replica { volume, recovery: GenStamp::default(), ..source.clone() };
            if self.bug != Some(Bug::CopyClaimedEarly) {
                node.replicas.insert(block.id, replica);
            }
            node.note(volume, ReplicaEvent::Received(Block { len: source.len(), ..block }));
            self.report_soon(target);
        }
    }
}
