//! How a client moves bytes to datanodes, and what it does when one fails.

use super::{BLOCK_SIZE, Current, Phase, Task, Writing};
use crate::client::choose::path;
use crate::datanode::{Replica, cut};
use crate::event::Index;
use crate::oracle::{Change, length};
use crate::world::World;
use mammoth_namenode_core::api::{Command, LocatedBlock};
use mammoth_protocol::internal::{ReplicaEvent, ReplicaState};
use mammoth_protocol::{Block, GenStamp};

impl World {
    /// The next step of a writing client that waits for no answer.
    pub(crate) fn write_step(&mut self, index: Index, mut writing: Writing) {
        match writing.phase {
            Phase::NextBlock => {
                let renamed = self.sim.rng.chance(50) && self.rename_in_between(index, &mut writing);
                if !renamed {
                    self.next_block(index, writing);
                }
            }
            Phase::Streaming => self.stream(index, &mut writing),
            Phase::Opening
            | Phase::Adding
            | Phase::Abandoning
            | Phase::Stamping
            | Phase::Updating
            | Phase::Flushing
            | Phase::Renaming
            | Phase::Completing => self.client_idle(index),
        }
    }

    fn next_block(&mut self, index: Index, mut writing: Writing) {
        let client = self.clients[index].name();
        let more = writing.blocks_left > 0;
        let command = if more {
            writing.phase = Phase::Adding;
            Command::AddBlock {
                path: path(&writing.opened_as),
                file: writing.file,
                client,
                previous: writing.previous,
                exclude: writing.exclude.iter().map(|at| self.datanodes[*at].id).collect(),
                favored: Vec::new(),
            }
        } else {
            writing.phase = Phase::Completing;
            Command::Complete { path: path(&writing.opened_as), file: writing.file, client, last: writing.previous }
        };
        let close = Change::Close(writing.path.clone(), writing.done.clone());
        self.clients[index].task = Task::Write(writing);
        self.call(index, command, if more { Change::Inner } else { close });
    }

    /// Takes the block that the namenode gave.
    pub(crate) fn begin_block(&mut self, writing: &mut Writing, located: &LocatedBlock) {
        let places = located.places.iter();
        let targets = places.filter_map(|place| Some((self.datanode_of(place.datanode)?, place.storage))).collect();
        writing.blocks_left = writing.blocks_left.saturating_sub(1);
        let goal = if writing.blocks_left > 0 { BLOCK_SIZE } else { 1 + self.sim.rng.below(BLOCK_SIZE) };
        let block = Block { len: 0, ..located.block };
        writing.current = Some(Current { block, targets, acked: Vec::new(), goal, set_up: false, sure: false });
        writing.phase = Phase::Streaming;
    }

    /// One step of the bytes: set up, some bytes, the rest and the end. Any datanode may fail at any of them.
    fn stream(&mut self, index: Index, writing: &mut Writing) {
        let Some(mut current) = writing.current.take() else { return self.client_idle(index) };
        if !current.set_up {
            let failed = self.set_up_pipeline(&current);
            if let Some(failed) = failed {
                self.sim.coverage.hit("pipeline set-up failed");
                writing.exclude.push(failed);
                return self.abandon_block(index, writing, current);
            }
            current.set_up = true;
        }
        let have = length(&current.acked);
        if have > 0 && self.sim.rng.chance(50) {
            return self.flush(index, writing, current);
        }
        let end = have >= current.goal || self.sim.rng.chance(500);
        let upto = if end { current.goal } else { (have + 1 + self.sim.rng.below(40)).min(current.goal) };
        if upto > have {
            current.acked.push((writing.writer, upto));
        }
        let failed = self.send_bytes(&current, end);
        if failed.is_empty() {
            current.block.len = upto;
            if end {
                writing.previous = Some(current.block);
                writing.done.push((current.block.id, current.acked));
                writing.sure += usize::from(current.sure);
                writing.phase = Phase::NextBlock;
            } else {
                writing.current = Some(current);
            }
            self.clients[index].task = Task::Write(writing.clone());
            self.renew_lease(index);
            return self.client_goes_on(index, writing.pace_ms);
        }
        self.sim.coverage.hit("pipeline broke");
        cut(&mut current.acked, have);
        current.targets.retain(|(target, _)| !failed.contains(target));
        self.rebuild(index, writing, current);
    }

    /// Makes the acknowledged length known to the namenode.
    fn flush(&mut self, index: Index, writing: &mut Writing, current: Current) {
        let command = Command::Fsync {
            path: path(&writing.opened_as),
            file: writing.file,
            client: self.clients[index].name(),
            last_len: Some(length(&current.acked)),
        };
        writing.current = Some(current);
        writing.phase = Phase::Flushing;
        self.clients[index].task = Task::Write(writing.clone());
        self.call(index, command, Change::Inner);
    }

    /// Asks for a new stamp, if any datanode is left; gives the file up otherwise.
    fn rebuild(&mut self, index: Index, writing: &mut Writing, current: Current) {
        if current.targets.is_empty() {
            self.sim.coverage.hit("all datanodes of a pipeline lost");
            writing.current = Some(current);
            return self.give_up(index, writing.clone());
        }
        let command = Command::UpdateBlockForPipeline { block: current.block, client: self.clients[index].name() };
        writing.current = Some(current);
        writing.phase = Phase::Stamping;
        self.clients[index].task = Task::Write(writing.clone());
        self.call(index, command, Change::Inner);
    }

    /// The writer leaves the file as it is.
    pub(crate) fn give_up(&mut self, index: Index, writing: Writing) {
        self.clients[index].task = Task::Write(writing);
        self.clients[index].crash(self.sim.now_ms);
        self.client_goes_on(index, 5_000);
    }

    fn abandon_block(&mut self, index: Index, writing: &mut Writing, current: Current) {
        let command = Command::AbandonBlock {
            path: path(&writing.opened_as),
            file: writing.file,
            client: self.clients[index].name(),
            block: current.block,
        };
        writing.blocks_left += 1;
        writing.phase = Phase::Abandoning;
        self.clients[index].task = Task::Write(writing.clone());
        self.call(index, command, Change::Inner);
    }

    /// Opens a replica on every target; the first that fails, if one does.
    fn set_up_pipeline(&mut self, current: &Current) -> Option<Index> {
        for &(target, storage) in &current.targets {
            let broken = self.link_breaks() || !self.reachable(target);
            let node = &mut self.datanodes[target];
            let volume = node.volume_for(storage).filter(|_| !broken && !node.replicas.contains_key(&current.block.id));
            let Some(volume) = volume else { return Some(target) };
            let replica = Replica {
                volume,
                stamp: current.block.stamp,
                history: Vec::new(),
                state: ReplicaState::Rbw,
                corrupt: false,
                recovery: GenStamp::default(),
            };
            node.replicas.insert(current.block.id, replica);
            node.note(volume, ReplicaEvent::Receiving(current.block));
            self.report_soon(target);
        }
        None
    }

    /// Brings every target to the bytes in `current`; those that failed.
    fn send_bytes(&mut self, current: &Current, end: bool) -> Vec<Index> {
        let mut failed = Vec::new();
        for &(target, _) in &current.targets {
            let broken = self.link_breaks() || !self.reachable(target);
            let fenceless = self.bug == Some(crate::Bug::RecoveryWithoutFence);
            let node = &mut self.datanodes[target];
            let replica = node.replicas.get_mut(&current.block.id).filter(|replica| {
                let ours = replica.stamp == current.block.stamp && replica.state == ReplicaState::Rbw;
                ours && replica.recovery == GenStamp::default() || fenceless
            });
            let Some(replica) = replica.filter(|_| !broken) else {
                failed.push(target);
                continue;
            };
            replica.history.clone_from(&current.acked);
            if end {
                replica.state = ReplicaState::Finalized;
                let block = Block { id: current.block.id, stamp: replica.stamp, len: length(&current.acked) };
                let volume = replica.volume;
                node.note(volume, ReplicaEvent::Received(block));
                self.report_soon(target);
            }
        }
        failed
    }

    /// The new stamp has come: every remaining target takes it, or drops out.
    pub(crate) fn restamp(&mut self, index: Index, writing: &mut Writing, stamp: GenStamp) {
        let Some(mut current) = writing.current.take() else { return self.client_idle(index) };
        let mut kept = Vec::new();
        for &(target, _) in &current.targets {
            let broken = self.link_breaks() || !self.reachable(target);
            let node = &mut self.datanodes[target];
            let have = length(&current.acked);
            let replica = node.replicas.get_mut(&current.block.id).filter(|replica| {
                let writable = matches!(replica.state, ReplicaState::Rbw | ReplicaState::Finalized);
                let free = replica.recovery < stamp && !replica.corrupt;
                !broken && writable && free && replica.stamp < stamp && replica.len() >= have
            });
            if let Some(replica) = replica {
                replica.stamp = stamp;
                replica.state = ReplicaState::Rbw;
                replica.recovery = GenStamp::default();
                replica.history.clone_from(&current.acked);
                let volume = replica.volume;
                node.note(volume, ReplicaEvent::Receiving(Block { id: current.block.id, stamp, len: have }));
                kept.push((target, node.volumes[volume].storage));
                self.report_soon(target);
            }
        }
        current.targets = kept;
        if current.targets.is_empty() {
            return self.rebuild(index, writing, current);
        }
        let old = current.block;
        let new = Block { stamp, len: length(&current.acked), ..old };
        let storages = current.targets.iter().map(|(_, storage)| *storage).collect();
        let command = Command::UpdatePipeline { client: self.clients[index].name(), old, new, storages };
        current.block = new;
        current.set_up = true;
        writing.current = Some(current);
        writing.phase = Phase::Updating;
        self.clients[index].task = Task::Write(writing.clone());
        self.call(index, command, Change::Inner);
    }

    /// A connection between client and datanode breaks now and then while faults go on.
    fn link_breaks(&mut self) -> bool {
        self.sim.mishap(15)
    }
}
