//! The whole of a run: nodes, clients, the queue, the seed.

use crate::bugs::Bug;
use crate::client::Client;
use crate::coverage::Coverage;
use crate::datanode::Datanode;
use crate::event::{Event, Index, Queue, Request, Response};
use crate::fair::Fair;
use crate::namenode::Namenode;
use crate::rng::Rng;
use mammoth_namenode_core::api::SafeModeAction;
use mammoth_protocol::{DatanodeId, Now};

/// Fake datanodes and clients of a world.
pub const DATANODES: usize = 5;
/// Fake clients.
pub const CLIENTS: usize = 4;

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// What went wrong, if anything did.
    pub violation: Option<String>,
    /// A digest of everything that happened: the same seed gives the same.
    pub trace: u64,
    /// What was exercised.
    pub coverage: Coverage,
    /// Events before the faults stopped.
    pub events: u64,
}

/// Everything.
pub struct World {
    /// Milliseconds since the start.
    pub now_ms: u64,
    /// What will happen.
    pub queue: Queue,
    /// All choices.
    pub rng: Rng,
    /// The namenode with its disk.
    pub namenode: Namenode,
    /// The datanodes.
    pub datanodes: Vec<Datanode>,
    /// The clients.
    pub clients: Vec<Client>,
    /// What was exercised.
    pub coverage: Coverage,
    /// The planted mistake.
    pub bug: Option<Bug>,
    /// Faults have stopped; clients finish what they are at.
    pub healing: bool,
    /// Identities of writers given out.
    pub writers: u64,
    /// What faults have taken.
    pub fair: Fair,
    /// The namenode's wall clock is so far ahead.
    pub wall_offset_ms: u64,
    /// Its monotonic clock begins anew with every life.
    pub monotonic_offset_ms: u64,
    /// The first thing that went wrong.
    pub violation: Option<String>,
    /// The namenode's state may have changed since its invariants were checked.
    pub touched: bool,
    tells: bool,
    trace: u64,
}

/// Runs one seed: `events` events with faults, then healing.
#[must_use]
pub fn run(seed: u64, events: u64, bug: Option<Bug>) -> Verdict {
    let mut world = World::new(seed, bug);
    let mut count = 0;
    while count < events && world.violation.is_none() {
        world.step();
        count += 1;
    }
    if world.violation.is_none() {
        world.heal();
    }
    Verdict { violation: world.violation, trace: world.trace, coverage: world.coverage, events: count }
}

impl World {
    /// A world at its start: the namenode and all datanodes are about to run.
    #[must_use]
    pub fn new(seed: u64, bug: Option<Bug>) -> Self {
        let mut world = Self {
            now_ms: 1,
            queue: Queue::default(),
            rng: Rng::new(seed),
            namenode: Namenode::new(),
            datanodes: (0..DATANODES).map(Datanode::new).collect(),
            clients: (0..CLIENTS).map(Client::new).collect(),
            coverage: Coverage::default(),
            bug,
            healing: false,
            writers: 0,
            fair: Fair::default(),
            wall_offset_ms: 0,
            monotonic_offset_ms: 0,
            violation: None,
            touched: false,
            tells: std::env::var_os("MAMMOTH_SIM_TRACE").is_some(),
            trace: 0xcbf2_9ce4_8422_2325,
        };
        world.later(1, Event::NamenodeStarts);
        for index in 0..DATANODES {
            world.later(2 + index as u64, Event::HeartbeatDue(index));
        }
        for index in 0..CLIENTS {
            world.client_goes_on(index, 500);
        }
        world.later(2_000, Event::Fault);
        world
    }

    /// Both clocks.
    #[must_use]
    pub fn now(&self) -> Now {
        Now {
            monotonic_ms: self.monotonic_offset_ms + self.now_ms,
            wall_ms: 1_700_000_000_000 + self.wall_offset_ms + self.now_ms,
        }
    }

    /// Adds an event.
    pub fn later(&mut self, delay_ms: u64, event: Event) {
        self.queue.add(self.now_ms + delay_ms, event);
    }

    /// Notes what went wrong; the first is what counts.
    pub fn violation(&mut self, what: String) {
        if self.violation.is_none() {
            self.violation = Some(format!("at {} ms: {what}", self.now_ms));
        }
    }

    /// The number of a datanode.
    #[must_use]
    pub fn datanode_of(&self, id: DatanodeId) -> Option<Index> {
        self.datanodes.iter().position(|node| node.id == id)
    }

    /// Lets the next event happen.
    pub fn step(&mut self) {
        let Some((at_ms, event)) = self.queue.take_next() else {
            return self.violation("nothing is left to happen".to_owned());
        };
        self.now_ms = self.now_ms.max(at_ms);
        if let Some(wakes_ms) = self.addressee_hangs_until(&event) {
            return self.queue.add(wakes_ms, event);
        }
        self.record(&event);
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
            Event::DatanodeStarts(index) => self.datanode_starts(index),
            Event::ClientStep { client, plan } => self.client_step(client, plan),
            Event::SafeModeEnds => self.namenode_safe_mode(SafeModeAction::Leave),
            Event::Fault => self.fault(),
        }
        if std::mem::take(&mut self.touched) {
            self.check_core();
        }
    }

    /// Folds an event into the trace.
    fn record(&mut self, event: &Event) {
        let text = format!("{} {event:?}", self.now_ms);
        if self.tells {
            eprintln!("{text}");
        }
        for byte in text.bytes() {
            self.trace = (self.trace ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
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
        self.datanodes[index].up && self.datanodes[index].hung_until_ms <= self.now_ms
    }

    /// When the process wakes that an event is for, if it is stopped.
    fn addressee_hangs_until(&self, event: &Event) -> Option<u64> {
        let until_ms = match event {
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
        };
        (until_ms > self.now_ms).then_some(until_ms)
    }

    /// Most messages are quick, some are not.
    fn delay(&mut self) -> u64 {
        let most = if self.rng.chance(100) { 400 } else { 20 };
        1 + self.rng.below(most)
    }

    /// Sends a message to the namenode: lost, doubled or just late.
    pub fn send_to_namenode(&mut self, request: Request) {
        if !self.healing && self.rng.chance(30) {
            self.coverage.hit("request lost");
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
        if doubled && !self.healing && self.rng.chance(40) {
            self.coverage.hit("request doubled");
            let again = delay + self.rng.below(1_500);
            let mut copy = request.clone();
            copy.is_copy();
            self.later(again, Event::ToNamenode(copy));
        }
        self.later(delay, Event::ToNamenode(request));
    }

    /// Sends a message from the namenode: lost or just late.
    pub fn send_from_namenode(&mut self, response: Response) {
        if !self.healing && self.rng.chance(30) {
            self.coverage.hit("response lost");
            return;
        }
        let delay = self.delay();
        self.later(delay, Event::FromNamenode(response));
    }
}
