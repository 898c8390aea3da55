//! Block recovery between fake datanodes: the leader fences the replicas, agrees on a length, and commits.

use crate::bugs::Bug;
use crate::event::{Index, Request};
use crate::world::World;
use mammoth_protocol::internal::{CommitBlockSync, ReplicaState};
use mammoth_protocol::{Block, GenStamp};

/// How good a replica's bytes are: only the best class present takes part.
fn class(state: ReplicaState) -> u8 {
    match state {
        ReplicaState::Finalized => 2,
        ReplicaState::Rbw | ReplicaState::Rur => 1,
        ReplicaState::Rwr => 0,
    }
}

impl World {
    pub(crate) fn recover(&mut self, leader: Index, block: Block, new_stamp: GenStamp, members: &[Index]) {
        self.coverage.hit("block recovery");
        let mut taking_part: Vec<(Index, u8, u64)> = Vec::new();
        for &member in members {
            let broken = !self.healing && self.rng.chance(30);
            let unfenced = self.bug == Some(Bug::RecoveryWithoutFence);
            let node = &mut self.datanodes[member];
            let Some(replica) = node.replicas.get_mut(&block.id).filter(|_| node.up && !broken) else { continue };
            if replica.stamp < block.stamp || replica.stamp >= new_stamp || replica.recovery >= new_stamp {
                continue;
            }
            if !unfenced {
                replica.recovery = new_stamp;
            }
            taking_part.push((member, class(replica.state), replica.len()));
        }
        let best = taking_part.iter().map(|(_, class, _)| *class).max().unwrap_or_default();
        taking_part.retain(|(_, class, _)| *class == best);
        let lengths = taking_part.iter().map(|(_, _, len)| *len);
        let longest = self.bug == Some(Bug::RecoveryTakesLongest);
        let agreed = if longest { lengths.max() } else { lengths.min() };
        let len = agreed.unwrap_or_default();
        if taking_part.is_empty() {
            // Nobody could be asked: another attempt will come.
            return;
        }
        let mut storages = Vec::new();
        for (member, _, _) in &taking_part {
            if !self.healing && self.rng.chance(30) {
                self.coverage.hit("recovery update lost");
                continue;
            }
            let node = &mut self.datanodes[*member];
            let Some(replica) = node.replicas.get_mut(&block.id) else { continue };
            crate::datanode::cut(&mut replica.history, len);
            replica.stamp = new_stamp;
            replica.state = ReplicaState::Finalized;
            replica.recovery = GenStamp::default();
            let new = Block { id: block.id, stamp: new_stamp, len: replica.len() };
            node.events.push(mammoth_protocol::internal::ReplicaEvent::Received(new));
            storages.push(node.storage);
            self.report_soon(*member);
        }
        let node = &self.datanodes[leader];
        let (Some(epoch), false) = (node.epoch, storages.is_empty()) else { return };
        let delete = len == 0;
        let commit = CommitBlockSync { datanode: node.id, epoch, block, new_stamp, new_len: len, delete, storages };
        self.send_to_namenode(Request::CommitSync(leader, commit));
    }
}
