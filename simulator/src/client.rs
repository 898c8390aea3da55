//! A fake client: one task at a time, one call at a time, repeated under the same identity until it is answered.

mod choose;
mod pipeline;
mod reads;
mod replies;

pub(crate) use choose::path as choose_path;

use crate::datanode::History;
use crate::event::{Event, Index, Request};
use crate::oracle::{Change, Content, Known, View};
use crate::world::World;
use mammoth_namenode_core::api::{Command, Query};
use mammoth_protocol::{Block, BlockId, CallId, InodeId, StorageId, Uuid};
use std::collections::BTreeSet;

/// A call is repeated after this long without an answer. Requests travel faster than that or are lost.
const RETRY_MS: u64 = 2_000;
/// So long after a call was last sent, no copy of it is under way.
const SETTLED_MS: u64 = 2_500;
/// Bytes of a full block.
pub const BLOCK_SIZE: u64 = 100;

/// What a client is at.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "there are three of them")]
pub enum Task {
    /// Nothing: the next step chooses.
    Idle,
    /// One call whose success is this change.
    Simple(Change),
    /// One call that must be refused, for one reason or another.
    Futile,
    /// One call that may be refused or not; it changes nothing in the client's own view.
    Free,
    /// A file is written.
    Write(Writing),
    /// A file is read and compared.
    Read(String),
}

/// A file that is being written.
#[derive(Clone, Debug)]
pub struct Writing {
    /// Its path now.
    pub path: String,
    /// Its path as the writer knows it: from before a rename.
    pub opened_as: String,
    /// Its id, from the answer to create or append.
    pub file: Option<InodeId>,
    /// Full blocks still to come after this one.
    pub blocks_left: u64,
    /// What is finished.
    pub done: Vec<(BlockId, History)>,
    /// So many of them the namenode knows to be written: whoever closes the file now must keep them.
    pub sure: usize,
    /// The last finished block as the namenode must learn it.
    pub previous: Option<Block>,
    /// The block at hand.
    pub current: Option<Current>,
    /// Where the conversation is.
    pub phase: Phase,
    /// Identity of these bytes.
    pub writer: u64,
    /// Datanodes that failed at set-up.
    pub exclude: Vec<Index>,
    /// Longest pause between two portions of bytes.
    pub pace_ms: u64,
}

/// The block that is being written.
#[derive(Clone, Debug)]
pub struct Current {
    /// With its stamp and the acknowledged length.
    pub block: Block,
    /// The pipeline, with the volumes that were named.
    pub targets: Vec<(Index, StorageId)>,
    /// Acknowledged bytes.
    pub acked: History,
    /// Length that the block shall have.
    pub goal: u64,
    /// The pipeline stands.
    pub set_up: bool,
    /// The namenode has heard of it since it stands: whoever closes the file now must keep what was acknowledged.
    pub sure: bool,
}

/// Where a writing client's conversation with the namenode is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Create or append is asked.
    Opening,
    /// The next step asks for a block, or completes.
    NextBlock,
    /// A block is asked.
    Adding,
    /// Bytes flow.
    Streaming,
    /// A failed set-up is taken back.
    Abandoning,
    /// A new stamp is asked.
    Stamping,
    /// The new pipeline is told; the new stamp is in the block already.
    Updating,
    /// The bytes so far are made known.
    Flushing,
    /// The file gets another name in between.
    Renaming,
    /// Close is asked.
    Completing,
}

/// An unanswered call.
#[derive(Clone, Debug)]
pub struct Pending {
    /// Its identity.
    pub call: CallId,
    /// The message.
    pub request: Request,
    /// Success means this.
    pub change: Change,
    /// How often it was sent.
    pub sent: u32,
}

/// A fake client.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its number.
    pub index: Index,
    /// Grows when the client process is replaced.
    pub incarnation: u64,
    /// Grows with every answer; steps of an earlier plan are void.
    pub plan: u64,
    /// What it is at.
    pub task: Task,
    /// What it waits for.
    pub pending: Option<Pending>,
    /// What it knows.
    pub view: View,
    /// A call of the process before, of which nobody knows whether it was carried out.
    pub doubt: Option<Change>,
    /// When nothing of that call can be under way any more.
    pub doubt_ends_ms: u64,
    /// Nothing moves in it before this time, as if it were stopped.
    pub hung_until_ms: u64,
    /// Calls that were refused. A copy that arrives later must not be carried out: nobody promises that it is not, but the
    /// client could not know what is there.
    pub refused: BTreeSet<CallId>,
    calls: i32,
}

impl Client {
    /// A new client.
    #[must_use]
    pub fn new(index: Index) -> Self {
        Self {
            index,
            incarnation: 1,
            plan: 0,
            task: Task::Idle,
            pending: None,
            view: View::default(),
            doubt: None,
            doubt_ends_ms: 0,
            hung_until_ms: 0,
            refused: BTreeSet::new(),
            calls: 0,
        }
    }

    /// Its name as a lease holder.
    #[must_use]
    pub fn name(&self) -> String {
        format!("client-{}-{}", self.index, self.incarnation)
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> String {
        format!("/c{}", self.index)
    }

    fn next_call(&mut self) -> CallId {
        self.calls += 1;
        CallId { client: Uuid((self.index as u128 + 1) * 1_000_000 + u128::from(self.incarnation)), call: self.calls }
    }

    /// The process dies and another takes its place; what it had open stays open.
    pub fn crash(&mut self, now_ms: u64) {
        if let Some(pending) = self.pending.take() {
            self.doubts(pending.change, now_ms);
        }
        self.remember_open_file();
        self.incarnation += 1;
        self.plan += 1;
        self.calls = 0;
        self.hung_until_ms = 0;
        self.task = Task::Idle;
    }

    /// Nobody knows whether a call was carried out.
    pub fn doubts(&mut self, change: Change, now_ms: u64) {
        self.doubt = Some(change);
        self.doubt_ends_ms = now_ms + SETTLED_MS;
    }

    /// Writes down what pipelines acknowledged of the file at hand: a later close must have it.
    fn remember_open_file(&mut self) {
        self.view = self.believed();
    }

    /// What it knows, with what it has written of the file at hand.
    #[must_use]
    pub fn believed(&self) -> View {
        let mut view = self.view.clone();
        if let Task::Write(writing) = &self.task
            && writing.file.is_some()
            && let Some(Known::File(content @ Content::Open(_), _)) = view.known.get_mut(&writing.path)
        {
            // A writer that has lost its lease without knowing fills its pipeline in vain.
            let mut acked = writing.done[..writing.sure].to_vec();
            let current = writing.current.as_ref().filter(|current| current.sure);
            acked.extend(current.map(|current| (current.block.id, current.acked.clone())));
            *content = Content::Open(acked);
        }
        view
    }
}

impl World {
    /// A client's next step, or the repetition of its unanswered call.
    pub(crate) fn client_step(&mut self, index: Index, plan: u64) {
        if self.clients[index].plan != plan {
            return;
        }
        if let Some(pending) = &self.clients[index].pending {
            if pending.sent > 0 {
                self.sim.coverage.hit("call repeated");
            }
            return self.send_call(index);
        }
        match self.clients[index].task.clone() {
            Task::Idle if self.sim.healing && self.clients[index].doubt.is_none() => {}
            Task::Idle => self.choose_task(index),
            Task::Write(writing) => self.write_step(index, writing),
            Task::Simple(_) | Task::Futile | Task::Free | Task::Read(_) => self.client_idle(index),
        }
    }

    /// Sends a call for the first time.
    pub(crate) fn call(&mut self, index: Index, command: Command, change: Change) {
        self.prepare(index, change, |client, call| Request::Command { client, call, command, copy: false });
        self.send_call(index);
    }

    /// As [`Self::call`], after a pause.
    pub(crate) fn call_later(&mut self, index: Index, command: Command, change: Change) {
        self.prepare(index, change, |client, call| Request::Command { client, call, command, copy: false });
        self.client_goes_on(index, 1_000);
    }

    /// Sends a question for the first time.
    pub(crate) fn ask(&mut self, index: Index, query: Query) {
        self.prepare(index, Change::Inner, |client, call| Request::Query { client, call, query });
        self.send_call(index);
    }

    fn prepare(&mut self, index: Index, change: Change, request: impl FnOnce(Index, CallId) -> Request) {
        let call = self.clients[index].next_call();
        self.clients[index].pending = Some(Pending { call, request: request(index, call), change, sent: 0 });
        self.clients[index].plan += 1;
    }

    fn send_call(&mut self, index: Index) {
        self.renew_lease(index);
        let plan = self.clients[index].plan;
        let Some(pending) = &mut self.clients[index].pending else { return };
        pending.sent += 1;
        let request = pending.request.clone();
        self.sim.later(RETRY_MS, Event::ClientStep { client: index, plan });
        self.send_to_namenode(request);
    }

    /// A writer tells the namenode that it lives.
    pub(crate) fn renew_lease(&mut self, index: Index) {
        if matches!(self.clients[index].task, Task::Write(_)) {
            let name = self.clients[index].name();
            self.send_to_namenode(Request::Renew { name });
        }
    }

    /// The task is over; the next step chooses another.
    pub(crate) fn client_idle(&mut self, index: Index) {
        self.clients[index].task = Task::Idle;
        self.client_goes_on(index, 300);
    }

    /// The next step comes within `within_ms`.
    pub(crate) fn client_goes_on(&mut self, index: Index, within_ms: u64) {
        self.clients[index].plan += 1;
        let plan = self.clients[index].plan;
        let delay = 1 + self.sim.rng.below(within_ms);
        self.sim.later(delay, Event::ClientStep { client: index, plan });
    }
}
