//! Block recovery between fake datanodes: the leader fences the replicas, agrees on a length, and commits.

use crate::bugs::Bug;
use crate::event::{Event, Index, Request};
use crate::world::World;
use mammoth_protocol::internal::{CommitBlockSync, ReplicaEvent, ReplicaPlace, ReplicaState};
use mammoth_protocol::{Block, GenStamp, StorageId};

/// How good a replica's bytes are: only the best class present takes part.
fn class(state: ReplicaState) -> u8 {
    match state {
        ReplicaState::Finalized => 2,
        ReplicaState::Rbw | ReplicaState::Rur => 1,
        ReplicaState::Rwr => 0,
    }
}

/// What the leader has learned of the replicas.
struct Survey {
    /// Who takes part, with length.
    members: Vec<(Index, u64)>,
    /// Somebody could not be asked, or is fenced by a newer recovery.
    failed: bool,
}

impl World {
    pub(super) fn recover(
        &mut self,
        leader: Index,
        block: Block,
        new_stamp: GenStamp,
        cut: Option<u64>,
        places: &[ReplicaPlace],
    ) {
        self.sim.coverage.hit(if cut.is_some() { "block cut" } else { "block recovery" });
        let survey = self.fence(block, new_stamp, cut.unwrap_or(1), places);
        let agreed = survey.members.iter().map(|(_, len)| cut.unwrap_or(*len)).min();
        if agreed.is_none() && cut.is_some() {
            return; // Somebody else may have the bytes.
        }
        if agreed.unwrap_or_default() == 0 {
            // Nobody has any byte. Whoever could not be asked may have some.
            if !survey.failed {
                self.sim.coverage.hit("recovery of nothing");
                self.commit(leader, block, new_stamp, 0, Vec::new());
            }
            return;
        }
        let len = agreed.unwrap_or_default();
        let mut storages = Vec::new();
        for (member, _) in survey.members {
            if self.sim.mishap(30) {
                self.sim.coverage.hit("recovery update lost");
                continue;
            }
            let node = &mut self.datanodes[member];
            let Some(replica) = node.replicas.get_mut(&block.id) else { continue };
            crate::datanode::cut(&mut replica.history, len);
            replica.stamp = new_stamp;
            replica.state = ReplicaState::Finalized;
            replica.recovery = GenStamp::default();
            let (volume, len) = (replica.volume, replica.len());
            node.note(volume, ReplicaEvent::Received(Block { id: block.id, stamp: new_stamp, len }));
            storages.push(node.volumes[volume].storage);
            self.report_soon(member);
        }
        if !storages.is_empty() {
            self.commit(leader, block, new_stamp, len, storages);
        }
    }

    /// Asks every replica to take part; from then on no writer and no older recovery may touch it.
    fn fence(&mut self, block: Block, new_stamp: GenStamp, least: u64, places: &[ReplicaPlace]) -> Survey {
        let mut found: Vec<(Index, u8, u64)> = Vec::new();
        let mut failed = false;
        for place in places {
            let Some(member) = self.datanode_of(place.datanode) else { continue };
            if !self.reachable(member) || (self.sim.mishap(30)) {
                failed = true;
                continue;
            }
            let unfenced = self.bug == Some(Bug::RecoveryWithoutFence);
            let node = &mut self.datanodes[member];
            let Some(replica) = node.replicas.get_mut(&block.id) else { continue };
            if replica.stamp >= new_stamp || replica.recovery >= new_stamp {
                failed = true;
            } else if replica.stamp >= block.stamp {
                if !unfenced {
                    replica.recovery = new_stamp;
                }
                found.push((member, class(replica.state), replica.len()));
            }
        }
        // A replica without the bytes says nothing about what the others hold.
        found.retain(|(_, _, len)| *len >= least);
        let best = found.iter().map(|(_, class, _)| *class).max().unwrap_or_default();
        let members = found.into_iter().filter(|(_, class, _)| *class == best);
        Survey { members: members.map(|(member, _, len)| (member, len)).collect(), failed }
    }

    /// Tells the namenode, if the leader still is one.
    fn commit(&mut self, leader: Index, block: Block, new_stamp: GenStamp, len: u64, storages: Vec<StorageId>) {
        let node = &self.datanodes[leader];
        let Some(epoch) = node.epoch else { return };
        let commit =
            CommitBlockSync { datanode: node.id, epoch, block, new_stamp, new_len: len, delete: len == 0, storages };
        let request = Request::CommitSync(leader, commit);
        if self.sim.mishap(300) {
            // So slow that the namenode may have asked somebody else by now, or is about to.
            self.sim.coverage.hit("recovery committed late");
            let (least, most) = if self.sim.rng.chance(600) { (12_500, 2_500) } else { (2_000, 25_000) };
            let delay = least + self.sim.rng.below(most);
            return self.sim.later(delay, Event::ToNamenode(request));
        }
        self.send_to_namenode(request);
    }
}
