//! The whole of a run: nodes and clients, and the network between them.

use crate::bugs::Bug;
use crate::client::Client;
use crate::datanode::Datanode;
use crate::event::{Event, Index, Request, Response};
use crate::fair::Fair;
use crate::kernel::{Kernel, Model, Verdict};
use crate::namenode::Namenode;
use crate::operator::Leaving;
use mammoth_namenode_core::api::SafeModeAction;
use mammoth_protocol::DatanodeId;

/// Fake datanodes and clients of a world.
pub const DATANODES: usize = 5;
/// Fake clients.
pub const CLIENTS: usize = 4;

/// Everything.
pub struct World {
    /// Clock, events, choices.
    pub sim: Kernel<Event>,
    /// The namenode with its disk.
    pub namenode: Namenode,
    /// The datanodes.
    pub datanodes: Vec<Datanode>,
    /// The clients.
    pub clients: Vec<Client>,
    /// The planted mistake.
    pub bug: Option<Bug>,
    /// Identities of writers given out.
    pub writers: u64,
    /// What faults have taken.
    pub fair: Fair,
    /// The datanode that the operator's list names.
    pub leaving: Option<Leaving>,
    /// The namenode's state may have changed since its invariants were checked.
    pub touched: bool,
}

/// Runs one seed: `events` events with faults, then healing.
#[must_use]
pub fn run(seed: u64, events: u64, bug: Option<Bug>) -> Verdict {
    World::new(seed, bug).run(events)
}

impl Model for World {
    type Event = Event;

    fn sim(&mut self) -> &mut Kernel<Event> {
        &mut self.sim
    }

    fn wakes_ms(&self, event: &Event) -> u64 {
        match event {
            Event::HeartbeatDue(index)
            | Event::ReportDue(index)
            | Event::Order(index, ..)
            | Event::FromNamenode(
                Response::Registered(index, ..) | Response::Orders(index, ..) | Response::Taken(index, ..),
            ) => self.datanodes[*index].hung_until_ms,
            Event::ClientStep { client, .. }
            | Event::FromNamenode(Response::Reply { client, .. } | Response::Answer { client, .. }) => {
                self.clients[*client].hung_until_ms
            }
            _ => 0,
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::ToNamenode(request) => self.namenode_takes(request),
            Event::FromNamenode(response) => self.deliver(response),
            Event::Synced { life } => self.namenode_synced(life),
            Event::Tick { life } => self.namenode_ticks(life),
            Event::Checkpoint { life } => self.namenode_checkpoints(life),
            Event::NamenodeDies { life } => self.namenode_dies_now(life),
            Event::NamenodeStarts => self.namenode_starts(),
            Event::HeartbeatDue(index) => self.heartbeat_due(index),
            Event::ReportDue(index) => self.report_due(index),
            Event::Order(index, term, epoch, order) => self.obey(index, term, epoch, order),
            Event::MoveEnds(order) => self.move_ends(&order),
            Event::DatanodeStarts(index) => self.datanode_starts(index),
            Event::ClientStep { client, plan } => self.client_step(client, plan),
            Event::SafeModeEnds => self.namenode_safe_mode(SafeModeAction::Leave),
            Event::Fault => self.fault(),
        }
        if std::mem::take(&mut self.touched) {
            self.check_core();
        }
    }

    fn heal(&mut self) {
        self.faults_are_over();
    }
}

impl World {
    /// A world at its start: the namenode and all datanodes are about to run.
    #[must_use]
    pub fn new(seed: u64, bug: Option<Bug>) -> Self {
        let mut world = Self {
            sim: Kernel::new(seed),
            namenode: Namenode::new(),
            datanodes: (0..DATANODES).map(Datanode::new).collect(),
            clients: (0..CLIENTS).map(Client::new).collect(),
            bug,
            writers: 0,
            fair: Fair::default(),
            leaving: None,
            touched: false,
        };
        world.sim.later(1, Event::NamenodeStarts);
        for index in 0..DATANODES {
            world.sim.later(2 + index as u64, Event::HeartbeatDue(index));
        }
        for index in 0..CLIENTS {
            world.client_goes_on(index, 500);
        }
        world.sim.later(2_000, Event::Fault);
        world
    }

    /// The number of a datanode.
    #[must_use]
    pub fn datanode_of(&self, id: DatanodeId) -> Option<Index> {
        self.datanodes.iter().position(|node| node.id == id)
    }

    fn deliver(&mut self, response: Response) {
        match response {
            Response::Reply { client, call, result } => self.client_reply(client, call, result),
            Response::Answer { client, call, result } => self.client_answer(client, call, result),
            Response::Registered(index, epoch, term) => self.registered(index, epoch, term),
            Response::Orders(index, term, seq, outcome) => self.take_orders(index, term, seq, outcome),
            Response::Taken(index, term, number, outcome) => self.report_taken(index, term, number, &outcome),
        }
    }

    /// Whether a datanode runs and moves.
    #[must_use]
    pub fn reachable(&self, index: Index) -> bool {
        self.datanodes[index].up && self.datanodes[index].hung_until_ms <= self.sim.now_ms
    }

    fn delay(&mut self) -> u64 {
        self.sim.message_ms(20, 400, 100)
    }

    /// Sends a message to the namenode: lost, doubled or just late.
    pub fn send_to_namenode(&mut self, request: Request) {
        if self.sim.network_mishap(30, "request lost") {
            return;
        }
        let delay = self.delay();
        // A transport does not double calls; a client that repeats one it thinks lost does, and only where the namenode
        // remembers calls is a late repetition harmless.
        let doubled = match &request {
            Request::Command { .. } => request.is_remembered(),
            Request::Query { .. } | Request::Renew { .. } | Request::Bad(..) => false,
            Request::Register(..)
            | Request::Heartbeat(..)
            | Request::Incremental(..)
            | Request::Full(..)
            | Request::CommitSync(..) => true,
        };
        if doubled && self.sim.network_mishap(40, "request doubled") {
            let again = delay + self.sim.rng.below(1_500);
            let mut copy = request.clone();
            copy.is_copy();
            self.sim.later(again, Event::ToNamenode(copy));
        }
        self.sim.later(delay, Event::ToNamenode(request));
    }

    /// Sends a message from the namenode: lost or just late.
    pub fn send_from_namenode(&mut self, response: Response) {
        if self.sim.network_mishap(30, "response lost") {
            return;
        }
        let delay = self.delay();
        self.sim.later(delay, Event::FromNamenode(response));
    }
}
