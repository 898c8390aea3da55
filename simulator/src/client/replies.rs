//! What a client makes of an answer.

use super::{Phase, Task, Writing};
use crate::datanode::cut;
use crate::event::{Index, Request};
use crate::oracle::{Change, Content, Known, begins_with};
use crate::world::World;
use mammoth_namenode_core::api::{Answer, FileBlocks, LocatedBlock, Reply};
use mammoth_protocol::{CallId, ErrorCode, FsError};

impl World {
    /// Takes the unanswered call if this is its answer; late and doubled answers are dropped.
    fn answered(&mut self, index: Index, call: CallId) -> Option<(Change, Request)> {
        let client = &mut self.clients[index];
        client.pending.as_ref().filter(|pending| pending.call == call)?;
        client.plan += 1;
        client.pending.take().map(|pending| (pending.change, pending.request))
    }

    /// The answer to a change.
    pub(crate) fn client_reply(&mut self, index: Index, call: CallId, result: Result<Reply, FsError>) {
        let Some((change, request)) = self.answered(index, call) else { return };
        let result = match result {
            Ok(Reply::Refused(error)) | Err(error) => Err(error),
            Ok(reply) => Ok(reply),
        };
        match self.clients[index].task.clone() {
            Task::Simple(_) => self.simple_reply(index, &change, result, &request),
            Task::Write(writing) => self.write_reply(index, writing, &change, result, &request),
            Task::Idle | Task::Read(_) => self.client_idle(index),
        }
    }

    fn simple_reply(&mut self, index: Index, change: &Change, result: Result<Reply, FsError>, request: &Request) {
        match result {
            Ok(Reply::Done(true) | Reply::Unit) => self.clients[index].view.apply(change),
            Ok(other) => self.violation(format!("{request:?} answered {other:?}, the client's view allows it")),
            Err(error) if error.code.is_retryable() => self.coverage.hit("refused for now"),
            Err(error) => self.violation(format!("{request:?} refused: {error:?}, the client's view allows it")),
        }
        self.client_idle(index);
    }

    fn write_reply(
        &mut self,
        index: Index,
        mut writing: Writing,
        change: &Change,
        result: Result<Reply, FsError>,
        request: &Request,
    ) {
        let reply = match result {
            Ok(reply) => reply,
            Err(error) => return self.write_refused(index, writing, &error, request),
        };
        match (writing.phase, reply) {
            (Phase::Opening, Reply::Created(status)) => {
                writing.file = Some(status.id);
                writing.phase = Phase::NextBlock;
                self.clients[index].view.apply(change);
            }
            (Phase::Opening, Reply::Appended { last, status }) => {
                writing.file = Some(status.id);
                self.reopened(index, &mut writing, last, change);
                if writing.phase == Phase::Streaming {
                    let stamp = writing.current.as_ref().map(|current| current.block.stamp).unwrap_or_default();
                    return self.restamp_for_append(index, &mut writing, stamp);
                }
            }
            (Phase::Adding, Reply::Block(located)) => self.begin_block(&mut writing, &located),
            (Phase::Abandoning, _) => writing.phase = Phase::NextBlock,
            (Phase::Stamping, Reply::Block(located)) => {
                return self.restamp(index, &mut writing, located.block.stamp);
            }
            (Phase::Updating, Reply::Unit) => writing.phase = Phase::Streaming,
            (Phase::Completing, Reply::Done(true)) => {
                self.coverage.hit("file closed");
                self.clients[index].view.apply(change);
                return self.client_idle(index);
            }
            (Phase::Completing, Reply::Done(false)) => {
                self.coverage.hit("complete must wait");
                writing.phase = Phase::NextBlock;
            }
            (phase, reply) => {
                self.violation(format!("{request:?} answered {reply:?} in {phase:?}"));
                return self.client_idle(index);
            }
        }
        self.clients[index].task = Task::Write(writing);
        self.client_goes_on(index, 300);
    }

    /// The file is open again; a partial last block goes on under its new stamp.
    fn reopened(&mut self, index: Index, writing: &mut Writing, last: Option<LocatedBlock>, change: &Change) {
        let view = &self.clients[index].view;
        if let Some(Known::File(Content::Closed(blocks), _)) = view.known.get(&writing.path) {
            writing.done.clone_from(blocks);
        }
        self.clients[index].view.apply(change);
        writing.phase = Phase::NextBlock;
        let Some(located) = last else { return };
        let Some((id, history)) = writing.done.pop() else {
            return self.violation(format!("append gave a last block to an empty file {}", writing.path));
        };
        if id != located.block.id || crate::oracle::length(&history) != located.block.len {
            self.violation(format!("append gave {located:?}, the last block is {id} with {history:?}"));
        }
        self.begin_block(writing, &located);
        writing.blocks_left += 1;
        if let Some(current) = &mut writing.current {
            current.block = located.block;
            current.goal = super::BLOCK_SIZE.min(located.block.len + 1 + current.goal);
            current.acked = history;
        }
    }

    /// After append: the datanodes reopen their finalized replicas under the new stamp, as in a pipeline recovery.
    fn restamp_for_append(&mut self, index: Index, writing: &mut Writing, stamp: mammoth_protocol::GenStamp) {
        let _ = stamp;
        let Some(current) = writing.current.clone() else { return self.client_idle(index) };
        let client = self.clients[index].name();
        writing.phase = Phase::Stamping;
        self.clients[index].task = Task::Write(writing.clone());
        let command = mammoth_namenode_core::api::Command::UpdateBlockForPipeline { block: current.block, client };
        self.call(index, command, Change::Inner);
    }

    fn write_refused(&mut self, index: Index, mut writing: Writing, error: &FsError, request: &Request) {
        let later = error.code.is_retryable();
        match writing.phase {
            Phase::Opening if later || error.code == ErrorCode::AlreadyBeingCreated => {
                self.coverage.hit("open refused for now");
                return self.client_idle(index);
            }
            Phase::Adding | Phase::Completing if later => {
                self.coverage.hit("previous block not confirmed yet");
                writing.phase = Phase::NextBlock;
            }
            Phase::Stamping | Phase::Updating | Phase::Abandoning if later => {
                // The call itself is repeated: safe mode ends.
                self.coverage.hit("recovery refused for now");
                return self.repeat(index, writing, request);
            }
            Phase::Adding if error.code == ErrorCode::Io => {
                self.coverage.hit("no datanode for a block");
                writing.exclude.clear();
                writing.phase = Phase::NextBlock;
            }
            _ => {
                // The lease went to somebody else, say: a writer that slept too long gives up.
                self.coverage.hit("writer gave up");
                self.clients[index].task = Task::Write(writing);
                self.clients[index].crash();
                return self.client_goes_on(index, 5_000);
            }
        }
        self.clients[index].task = Task::Write(writing);
        self.client_goes_on(index, 1_000);
    }

    fn repeat(&mut self, index: Index, writing: Writing, request: &Request) {
        self.clients[index].task = Task::Write(writing);
        if let Request::Command { command, .. } = request {
            self.call(index, command.clone(), Change::Inner);
        }
    }

    /// The answer to a question.
    pub(crate) fn client_answer(&mut self, index: Index, call: CallId, result: Result<Answer, FsError>) {
        if self.answered(index, call).is_none() {
            return;
        }
        if let Task::Read(name) = self.clients[index].task.clone() {
            match result {
                Ok(Answer::Blocks(blocks)) => self.check_read(index, &name, &blocks),
                Ok(other) => self.violation(format!("a read of {name} answered {other:?}")),
                Err(error) if error.code.is_retryable() => {}
                Err(error) => self.violation(format!("a read of {name} was refused: {error:?}")),
            }
        }
        self.client_idle(index);
    }

    /// I3 and the bytes: whatever datanode a reader is sent to serves the block's own bytes or refuses.
    fn check_read(&mut self, index: Index, name: &str, blocks: &FileBlocks) {
        let Some(Known::File(Content::Closed(expected), _)) = self.clients[index].view.known.get(name).cloned() else {
            return;
        };
        let ids: Vec<_> = blocks.blocks.iter().map(|located| located.block.id).collect();
        if ids != expected.iter().map(|(id, _)| *id).collect::<Vec<_>>() {
            return self.violation(format!("{name} should have blocks {expected:?} and has {ids:?}"));
        }
        for (located, (_, history)) in blocks.blocks.iter().zip(&expected) {
            for place in located.places.iter().filter(|_| !located.corrupt) {
                let Some(at) = self.datanode_of(place.datanode) else { continue };
                let Some(replica) = self.datanodes[at].replicas.get(&located.block.id) else { continue };
                // The datanode refuses an older stamp than the one asked for; its bytes would be another file's past.
                if replica.stamp < located.block.stamp || replica.corrupt {
                    continue;
                }
                let mut served = replica.history.clone();
                cut(&mut served, located.block.len);
                if !begins_with(&served, history) {
                    self.violation(format!("{name}: dn{at} serves {served:?} for {history:?}"));
                }
            }
        }
    }

    /// After a crash in a call: find out whether its change is there.
    pub(crate) fn settle_doubt(&mut self, index: Index) {
        if !self.namenode.is_settled() {
            // Nobody can be asked yet, or what is seen now may be undone by a crash.
            return self.client_goes_on(index, 200);
        }
        if let Some(change) = self.clients[index].doubt.take() {
            self.adopt_actual(index, &change);
        }
        self.client_idle(index);
    }
}
