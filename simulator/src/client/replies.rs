//! What a client makes of an answer.

use super::{Pending, Phase, Task, Writing};
use crate::event::{Index, Request};
use crate::oracle::{Change, Content, Known};
use crate::world::World;
use mammoth_namenode_core::api::{Command, LocatedBlock, Reply};
use mammoth_protocol::{CallId, ErrorCode, FsError};

impl World {
    /// Takes the unanswered call if this is its answer; late and doubled answers are dropped.
    pub(super) fn answered(&mut self, index: Index, call: CallId) -> Option<Pending> {
        let client = &mut self.clients[index];
        client.pending.as_ref().filter(|pending| pending.call == call)?;
        client.plan += 1;
        client.pending.take()
    }

    /// The answer to a change.
    pub(crate) fn client_reply(&mut self, index: Index, call: CallId, result: Result<Reply, FsError>) {
        let Some(Pending { change, request, sent, .. }) = self.answered(index, call) else { return };
        let result = match result {
            Ok(Reply::Refused(error)) | Err(error) => Err(error),
            Ok(reply) => Ok(reply),
        };
        if let Err(error) = &result {
            self.sim.coverage.hit(&format!("refused: {:?}", error.code));
            if sent > 1 && change.shows() {
                // One copy may have been carried out, and only the other one met safe mode.
                self.clients[index].doubts(change.clone(), self.sim.now_ms);
            }
        }
        match self.clients[index].task.clone() {
            Task::Simple(_) => self.simple_reply(index, &change, result, &request),
            Task::Futile => self.futile_reply(index, &result, &request),
            Task::Write(writing) => self.write_reply(index, writing, &change, result, &request),
            Task::Idle | Task::Free | Task::Read(_) => self.client_idle(index),
        }
    }

    fn simple_reply(&mut self, index: Index, change: &Change, result: Result<Reply, FsError>, request: &Request) {
        match (&result, change) {
            (Ok(Reply::Done(true)), Change::Truncate(path, blocks)) => {
                self.sim.coverage.hit("file truncated");
                self.clients[index].view.apply(&Change::Close(path.clone(), blocks.clone()));
                return self.client_idle(index);
            }
            (Ok(Reply::Done(false)), Change::Truncate(..)) => {
                self.clients[index].view.apply(change);
                return self.ask_again(index, change, request);
            }
            (Err(error), Change::Truncate(..)) if error.code == ErrorCode::Io => {
                self.sim.coverage.hit("truncate before any replica is confirmed");
                return self.client_idle(index);
            }
            _ => {}
        }
        match result {
            Ok(Reply::Done(true) | Reply::Unit) => self.clients[index].view.apply(change),
            Ok(other) => self.sim.violation(format!("{request:?} answered {other:?}, the client's view allows it")),
            Err(error) if error.code.is_retryable() => {}
            Err(error) => self.sim.violation(format!("{request:?} refused: {error:?}, the client's view allows it")),
        }
        self.client_idle(index);
    }

    /// The last block is being cut: the same call, as a new one, tells when that is done.
    fn ask_again(&mut self, index: Index, change: &Change, request: &Request) {
        self.sim.coverage.hit("truncate must wait");
        let Request::Command { command, .. } = request else { return self.client_idle(index) };
        self.call_later(index, command.clone(), change.clone());
    }

    fn futile_reply(&mut self, index: Index, result: &Result<Reply, FsError>, request: &Request) {
        match result {
            Ok(reply) => self.sim.violation(format!("{request:?} answered {reply:?}, the client's view forbids it")),
            Err(error) => match error.code {
                ErrorCode::FileAlreadyExists | ErrorCode::AlreadyBeingCreated => {}
                code if code.is_retryable() => {}
                _ => self.sim.violation(format!("{request:?} refused for a strange reason: {error:?}")),
            },
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
                if !self.reopened(index, &mut writing, last, change) {
                    writing.file = None;
                    return self.give_up(index, writing);
                }
                if writing.phase == Phase::Streaming {
                    return self.stamp_for_append(index, writing);
                }
            }
            (Phase::Adding, Reply::Block(located)) if located.places.is_empty() => {
                return self.sim.violation(format!("{request:?} gave {located:?}, which nobody can write to"));
            }
            (Phase::Adding, Reply::Block(located)) => {
                writing.sure = writing.done.len();
                if self.clients[index].view.replication(&writing.path) == 1 {
                    self.fair.single(located.block.id);
                }
                self.begin_block(&mut writing, &located);
            }
            (Phase::Abandoning, Reply::Unit) => writing.phase = Phase::NextBlock,
            (Phase::Stamping, Reply::Block(located)) => {
                return self.restamp(index, &mut writing, located.block.stamp);
            }
            (Phase::Updating | Phase::Flushing, Reply::Unit) => {
                writing.current.iter_mut().for_each(|current| current.sure = true);
                writing.phase = Phase::Streaming;
            }
            (Phase::Renaming, Reply::Done(true) | Reply::Unit) => {
                self.clients[index].view.apply(change);
                if let Change::Rename(_, to) = change {
                    writing.path.clone_from(to);
                }
                writing.phase = Phase::NextBlock;
            }
            (Phase::Completing, Reply::Done(true)) => {
                self.sim.coverage.hit("file closed");
                self.clients[index].view.apply(change);
                return self.client_idle(index);
            }
            (Phase::Completing, Reply::Done(false)) => {
                self.sim.coverage.hit("complete must wait");
                writing.phase = Phase::NextBlock;
            }
            (phase, reply) => {
                self.sim.violation(format!("{request:?} answered {reply:?} in {phase:?}"));
                return self.client_idle(index);
            }
        }
        self.clients[index].task = Task::Write(writing);
        self.client_goes_on(index, 200);
    }

    /// The file is open again; a partial last block goes on under its new stamp. `false`: the client does not know what is in
    /// the file, and nobody who knows can be asked.
    fn reopened(&mut self, index: Index, writing: &mut Writing, last: Option<LocatedBlock>, change: &Change) -> bool {
        match self.clients[index].view.known.get(&writing.path) {
            Some(Known::File(Content::Closed(blocks) | Content::Cut(blocks), _)) => writing.done.clone_from(blocks),
            _ => match self.recovered_content(index, &writing.path) {
                Some(blocks) => writing.done = blocks,
                None => return false,
            },
        }
        self.clients[index].view.apply(change);
        writing.phase = Phase::NextBlock;
        writing.sure = writing.done.len();
        let Some(located) = last else { return true };
        let Some((id, history)) = writing.done.pop() else {
            self.sim.violation(format!("append gave a last block to an empty file {}", writing.path));
            return true;
        };
        if id != located.block.id || crate::oracle::length(&history) != located.block.len {
            self.sim.violation(format!("append gave {located:?}, the last block is {id} with {history:?}"));
        }
        writing.sure = writing.done.len();
        self.begin_block(writing, &located);
        writing.blocks_left += 1;
        if let Some(current) = &mut writing.current {
            current.block = located.block;
            current.goal = super::BLOCK_SIZE.min(located.block.len + 1 + current.goal);
            current.acked = history;
            current.sure = true;
        }
        true
    }

    /// After append: the datanodes reopen their finalized replicas under a new stamp, as in a pipeline recovery.
    fn stamp_for_append(&mut self, index: Index, mut writing: Writing) {
        let Some(current) = &writing.current else { return self.client_idle(index) };
        let command = Command::UpdateBlockForPipeline { block: current.block, client: self.clients[index].name() };
        writing.phase = Phase::Stamping;
        self.clients[index].task = Task::Write(writing);
        self.call(index, command, Change::Inner);
    }

    fn write_refused(&mut self, index: Index, mut writing: Writing, error: &FsError, request: &Request) {
        let later = error.code.is_retryable();
        match writing.phase {
            Phase::Opening if later || error.code == ErrorCode::AlreadyBeingCreated => {
                return self.client_idle(index);
            }
            Phase::Adding | Phase::Completing | Phase::Renaming if later => writing.phase = Phase::NextBlock,
            Phase::Flushing if later => writing.phase = Phase::Streaming,
            Phase::Stamping | Phase::Updating | Phase::Abandoning if later => {
                // The call itself is repeated: safe mode ends.
                return self.repeat(index, writing, request);
            }
            Phase::Adding if error.code == ErrorCode::Io => {
                self.sim.coverage.hit("no datanode for a block");
                writing.exclude.clear();
                writing.phase = Phase::NextBlock;
            }
            Phase::Renaming => {
                self.sim.violation(format!("{request:?} refused: {error:?}, the client's view allows it"));
                writing.phase = Phase::NextBlock;
            }
            Phase::Opening if error.code == ErrorCode::Io => {
                self.sim.coverage.hit("append before any replica is confirmed");
                return self.client_idle(index);
            }
            _ => {
                // The lease went to somebody else, say: a writer that slept too long gives up.
                self.sim.coverage.hit("writer gave up");
                return self.give_up(index, writing);
            }
        }
        self.clients[index].task = Task::Write(writing);
        self.client_goes_on(index, 1_000);
    }

    fn repeat(&mut self, index: Index, writing: Writing, request: &Request) {
        self.clients[index].task = Task::Write(writing);
        if let Request::Command { command, .. } = request {
            self.call_later(index, command.clone(), Change::Inner);
        }
    }

    /// After a crash in a call: find out whether its change is there.
    pub(crate) fn settle_doubt(&mut self, index: Index) {
        if !self.namenode.is_settled() || self.sim.now_ms < self.clients[index].doubt_ends_ms {
            // Nobody can be asked yet, or what is seen now may be undone by a crash, or a copy of the call is on its way.
            return self.client_goes_on(index, 200);
        }
        if let Some(change) = self.clients[index].doubt.take() {
            self.adopt_actual(index, &change);
        }
        self.client_idle(index);
    }
}
