//! The end of a run: faults stop, and everything must become right.

use crate::client::{Client, Task};
use crate::event::Event;
use crate::kernel::Model;
use crate::oracle::{Content, Known, begins_with, length};
use crate::world::{DATANODES, World};
use mammoth_protocol::BlockId;

/// Simulated time that healing may take: dead nodes are noticed, leases expire, copies are made.
const HEAL_MS: u64 = 400_000;
/// How often to look whether all is well.
const LOOK_MS: u64 = 2_000;

impl World {
    /// Stops the faults and lets time pass until all is well.
    pub(crate) fn faults_are_over(&mut self) {
        self.namenode_is_spared();
        self.set_list(None);
        for index in 0..DATANODES {
            if !self.datanodes[index].up {
                self.sim.later(1, Event::DatanodeStarts(index));
            }
        }
        if !self.namenode.is_up() {
            self.sim.later(1, Event::NamenodeStarts);
        }
        self.settle(HEAL_MS, LOOK_MS, |world| {
            world.scrub_all();
            world.not_well()
        });
        if self.sim.is_right() {
            self.check_views();
            self.check_bytes();
        }
    }

    /// What is still to be done, if anything.
    fn not_well(&self) -> Option<String> {
        let busy = |c: &&Client| !matches!(c.task, Task::Idle) || c.pending.is_some() || c.doubt.is_some();
        if let Some(client) = self.clients.iter().find(busy) {
            let (task, pending, doubt) = (&client.task, &client.pending, &client.doubt);
            return Some(format!("client {} is at {task:?}, waits for {pending:?}, doubts {doubt:?}", client.index));
        }
        let (open, unsafe_reason) = self.namenode.unrest(self.sim.now())?;
        if let Some(reason) = unsafe_reason {
            return Some(reason);
        }
        if open > 0 {
            let actual = (0..self.clients.len()).flat_map(|index| self.actual(index));
            let files = actual.filter(|(_, file)| file.open && !self.may_stay_open(file)).collect::<Vec<_>>();
            if !files.is_empty() {
                return Some(format!("{open} files are open: {files:?}"));
            }
        }
        self.namenode.owned_blocks().into_iter().find_map(|(id, stamp, len, wanted)| {
            let good = self
                .datanodes
                .iter()
                .filter(|node| node.replicas.get(&id).is_some_and(|replica| replica.is_good(stamp, len)));
            let good = good.count();
            (good != usize::from(wanted)).then(|| format!("block {id} has {good} good replicas and wants {wanted}"))
        })
    }

    /// The bytes of every file are those that clients were told are there, on every replica.
    fn check_bytes(&mut self) {
        let mut wrong = Vec::new();
        for client in &self.clients {
            for (path, known) in &client.view.known {
                let Known::File(content, _) = known else { continue };
                let (blocks, closed) = match content {
                    Content::Closed(blocks) | Content::Cut(blocks) => (blocks, true),
                    Content::Open(blocks) => (blocks, false),
                };
                for (id, history) in blocks.iter().filter(|(_, history)| closed || length(history) > 0) {
                    if self.namenode.owner_of(*id).is_none() {
                        wrong.push(format!("{path}: block {id} with {history:?} is gone"));
                    }
                    wrong.extend(self.wrong_replicas(*id, history, closed).map(|what| format!("{path}: {what}")));
                }
            }
        }
        if let Some(what) = wrong.first() {
            self.sim.violation(what.clone());
        }
    }

    fn wrong_replicas<'a>(
        &'a self,
        id: BlockId,
        history: &'a crate::datanode::History,
        closed: bool,
    ) -> impl Iterator<Item = String> + 'a {
        self.datanodes.iter().filter_map(move |node| {
            // A stale replica may wait for its deletion; nobody is sent to it.
            let stamp = self.namenode.owner_of(id).map(|(stamp, ..)| stamp);
            let replica = node.replicas.get(&id).filter(|replica| Some(replica.stamp) == stamp)?;
            let right = if closed { replica.history == *history } else { begins_with(&replica.history, history) };
            let lost = length(&replica.history) < length(history);
            (!right || lost).then(|| format!("block {id} on dn{}: {:?} instead of {history:?}", node.index, replica))
        })
    }
}
