//! What a client reads, and what it must find.

use super::Task;
use crate::datanode::{History, cut};
use crate::event::{Index, Request};
use crate::oracle::{Change, Content, Known, begins_with, length};
use crate::world::World;
use mammoth_namenode_core::api::{Answer, FileBlocks, LocatedBlock};
use mammoth_protocol::{BlockId, CallId, FsError};

impl World {
    /// The answer to a question.
    pub(crate) fn client_answer(&mut self, index: Index, call: CallId, result: Result<Answer, FsError>) {
        if self.answered(index, call).is_none() {
            return;
        }
        if let Task::Read(name) = self.clients[index].task.clone() {
            match result {
                Ok(Answer::Blocks(blocks)) => self.check_read(index, &name, &blocks),
                Ok(other) => self.sim.violation(format!("a read of {name} answered {other:?}")),
                Err(error) if error.code.is_retryable() => {}
                Err(error) => self.sim.violation(format!("a read of {name} was refused: {error:?}")),
            }
        }
        self.client_idle(index);
    }

    fn check_read(&mut self, index: Index, name: &str, found: &FileBlocks) {
        let Some(Known::File(content, _)) = self.clients[index].view.known.get(name).cloned() else { return };
        match content {
            Content::Closed(expected) => {
                self.sim.coverage.hit("read of a closed file");
                self.check_closed(name, found, &expected);
            }
            Content::Cut(expected) if !found.open => {
                self.check_closed(name, found, &expected);
                self.clients[index].view.apply(&Change::Close(name.to_owned(), expected));
            }
            Content::Open(acked) | Content::Cut(acked) if found.open => self.check_acked(name, found, &acked),
            Content::Open(acked) | Content::Cut(acked) => {
                self.check_acked(name, found, &acked);
                self.adopt_closed(index, name, found);
            }
        }
    }

    /// I3 and the bytes: whatever datanode a reader is sent to serves the block's own bytes or refuses.
    fn check_closed(&mut self, name: &str, found: &FileBlocks, expected: &[(BlockId, History)]) {
        let ids: Vec<_> = found.blocks.iter().map(|located| (located.block.id, located.block.len)).collect();
        let right: Vec<_> = expected.iter().map(|(id, history)| (*id, length(history))).collect();
        if ids != right {
            return self.sim.violation(format!("{name} should have blocks {expected:?} and has {ids:?}"));
        }
        for (located, (_, history)) in found.blocks.iter().zip(expected) {
            self.check_places(name, located, history);
        }
    }

    /// A file that was left open has at least what a pipeline acknowledged.
    fn check_acked(&mut self, name: &str, found: &FileBlocks, acked: &[(BlockId, History)]) {
        for (nth, (id, history)) in acked.iter().enumerate() {
            let located = found.blocks.iter().find(|located| located.block.id == *id);
            let last = nth + 1 == acked.len();
            match located {
                // Bytes of a block that is being written are not known to the namenode.
                Some(located) if !found.open || !last => {
                    if located.block.len < length(history) {
                        self.sim.violation(format!("{name}: {located:?} lost bytes of {history:?}"));
                    }
                    self.check_places(name, located, history);
                }
                Some(_) => {}
                None if length(history) == 0 => {}
                None => {
                    self.sim.violation(format!("{name} lost block {id} with the acknowledged {history:?}: {found:?}"))
                }
            }
        }
    }

    fn check_places(&mut self, name: &str, located: &LocatedBlock, history: &History) {
        for place in located.places.iter().filter(|_| !located.corrupt) {
            let Some(at) = self.datanode_of(place.datanode) else { continue };
            let Some(replica) = self.datanodes[at].replicas.get(&located.block.id) else { continue };
            // The datanode refuses an older stamp than the one asked for; its bytes would be another file's past.
            if replica.stamp < located.block.stamp || !self.reachable(at) {
                continue;
            }
            if replica.corrupt {
                if self.bug != Some(crate::Bug::CorruptionUnseen) {
                    self.sim.coverage.hit("corruption found by a reader");
                    self.send_to_namenode(Request::Bad(place.datanode, located.block));
                    continue;
                }
                return self.sim.violation(format!("{name}: dn{at} serves bad bytes of {}", located.block));
            }
            let mut served = replica.history.clone();
            cut(&mut served, located.block.len);
            if !begins_with(&served, history) {
                return self.sim.violation(format!("{name}: dn{at} serves {served:?} for {history:?}"));
            }
        }
    }

    /// Somebody closed a file that this client left open: from now on it is known exactly.
    fn adopt_closed(&mut self, index: Index, name: &str, found: &FileBlocks) {
        let blocks = found.blocks.iter().map(|located| (located.block.id, located.block.len)).collect::<Vec<_>>();
        let Some(blocks) = self.histories(&blocks) else { return };
        self.sim.coverage.hit("abandoned file known again");
        if let Some(Known::File(content, _)) = self.clients[index].view.known.get_mut(name) {
            *content = Content::Closed(blocks);
        }
    }

    /// What is in a file that this client left open and has just opened again: at least what was acknowledged.
    pub(super) fn recovered_content(&mut self, index: Index, name: &str) -> Option<Vec<(BlockId, History)>> {
        let actual = self.actual(index).remove(name)?;
        let blocks = self.histories(&actual.blocks)?;
        if let Some(Known::File(Content::Open(acked), _)) = self.clients[index].view.known.get(name).cloned() {
            for (id, history) in acked.iter().filter(|(_, history)| length(history) > 0) {
                let there = blocks.iter().find(|(is, _)| is == id);
                if there.is_none_or(|(_, whole)| !begins_with(whole, history)) {
                    self.sim
                        .violation(format!("{name} lost bytes of {id}: acknowledged {history:?}, there {blocks:?}"));
                }
            }
        }
        self.sim.coverage.hit("append to an abandoned file");
        Some(blocks)
    }

    /// The bytes of blocks, from any good replica of the present stamp.
    fn histories(&self, blocks: &[(BlockId, u64)]) -> Option<Vec<(BlockId, History)>> {
        let history = |(id, len): &(BlockId, u64)| {
            let stamp = self.namenode.stamp_of(*id)?;
            let mut replicas = self.datanodes.iter().filter_map(|node| node.replicas.get(id));
            let good = replicas.find(|replica| replica.is_good(stamp, *len))?;
            Some((*id, good.history.clone()))
        };
        blocks.iter().map(history).collect()
    }
}
