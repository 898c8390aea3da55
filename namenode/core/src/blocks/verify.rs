//! Complaints of readers. The map believes them at once, as a reader must not be sent to wrong bytes twice; but only the
//! replica's own datanode can move it out of the way of a good copy, so it is asked to look.

use super::BlockMap;
use super::cluster::{NodeIx, VolumeIx};
use super::odd::Replica;
use crate::api::ReplicaOn;
use mammoth_protocol::internal::DnCommand;
use mammoth_protocol::{Block, Now};

/// Times that a datanode is asked to look at a replica: it says nothing of one that it finds to be good.
const ASK_TIMES: u32 = 3;

impl BlockMap {
    /// Somebody other than their own datanode found bad bytes in these replicas. Blocks under construction are left alone, as
    /// their readers may see a chunk half written.
    pub fn bad(&mut self, now: Now, replicas: &[(ReplicaOn, Block)]) {
        self.advance(now);
        for &(on, block) in replicas {
            let Some(slot) = self.table.find(block.id).filter(|&slot| self.table.get(slot).complete) else { continue };
            let there = |v: VolumeIx| match on {
                ReplicaOn::Storage(id) => self.cluster.volume(v).id == id,
                ReplicaOn::Datanode(id) => self.cluster.node_of(v).is_some_and(|n| self.cluster.node(n).id == id),
            };
            let found = self.replicas(slot).into_iter().find(|r| there(r.volume) && r.stamp == block.stamp);
            if let Some(replica) = found {
                self.take(slot, replica.volume);
                self.put(slot, Replica { corrupt: true, ..replica });
                self.settle(slot);
                self.cluster.volume_mut(replica.volume).checks.add(block.id, block.stamp);
            }
        }
    }

    /// The replicas that a datanode is to look at now.
    pub(super) fn verify_orders(&mut self, node: NodeIx) -> Vec<DnCommand> {
        let mut commands = Vec::new();
        for volume in self.cluster.node(node).volumes.clone() {
            let blocks = self.due_checks(volume);
            if !blocks.is_empty() {
                commands.push(DnCommand::Verify { storage: self.cluster.volume(volume).id, blocks });
            }
        }
        commands
    }

    fn due_checks(&mut self, volume: VolumeIx) -> Vec<Block> {
        let now_ms = self.now.monotonic_ms;
        let again_ms = now_ms + self.resend_ms();
        let mut blocks = self.cluster.volume_mut(volume).checks.due(now_ms, self.config.invalidate_limit);
        blocks.retain(|block| {
            let replica = self.table.find(block.id).and_then(|slot| self.replica(slot, volume));
            let doubted = replica.is_some_and(|r| r.corrupt && r.stamp == block.stamp);
            let checks = &mut self.cluster.volume_mut(volume).checks;
            let ask = doubted && checks.times(block.id) < ASK_TIMES;
            if ask {
                checks.handed_over(block.id, again_ms);
            } else {
                checks.remove(block.id);
            }
            ask
        });
        blocks
    }
}
