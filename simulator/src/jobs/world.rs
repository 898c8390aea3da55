//! The whole of a run: trackers, clients and drivers, and the network between them.

use super::bugs::Bug;
use super::client::Client;
use super::driver::Driver;
use super::event::{Event, Index, Request, Response};
use super::jobtracker::Jobtracker;
use super::oracle::Truth;
use super::tracker::Tracker;
use crate::kernel::{Kernel, Model, Verdict};
use mammoth_protocol::jobs::TrackerId;

/// Fake tasktrackers of a world.
pub const TRACKERS: usize = 4;
/// Fake clients.
pub const CLIENTS: usize = 3;
/// Fake drivers.
pub const DRIVERS: usize = 2;

/// Everything.
pub struct World {
    /// Clock, events, choices.
    pub sim: Kernel<Event>,
    /// The jobtracker with its disk.
    pub jobtracker: Jobtracker,
    /// The tasktrackers.
    pub trackers: Vec<Tracker>,
    /// The clients.
    pub clients: Vec<Client>,
    /// The drivers.
    pub drivers: Vec<Driver>,
    /// What really happened.
    pub truth: Truth,
    /// The planted mistake.
    pub bug: Option<Bug>,
    /// The jobtracker's state may have changed since it was compared with the truth.
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
            Event::ToJobtracker(_)
            | Event::Synced { .. }
            | Event::Tick { .. }
            | Event::Checkpoint { .. }
            | Event::WaitOver { .. }
            | Event::SpecRead { .. } => self.jobtracker.hung_until_ms,
            Event::TrackerActs { tracker, .. }
            | Event::AttemptMoves { tracker, .. }
            | Event::AttemptDies { tracker, .. }
            | Event::ExecutorDies { tracker, .. }
            | Event::JobDropped { tracker, .. }
            | Event::FromJobtracker(
                Response::Registered(tracker, ..) | Response::Stale(tracker, ..) | Response::Orders(tracker, ..),
            ) => self.trackers[*tracker].hung_until_ms,
            _ => 0,
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::ToJobtracker(request) => self.jobtracker_takes(request),
            Event::FromJobtracker(response) => self.deliver(response),
            Event::Synced { life } => self.jobtracker_synced(life),
            Event::Tick { life } => self.jobtracker_ticks(life),
            Event::Checkpoint { life } => self.jobtracker_checkpoints(life),
            Event::WaitOver { life, tracker, epoch, seq } => self.wait_over(life, tracker, epoch, seq),
            Event::SpecRead { life, job } => self.spec_read(life, job),
            Event::JobtrackerStarts => self.jobtracker_starts(),
            Event::TrackerActs { tracker, life, plan } => self.tracker_acts(tracker, life, plan),
            Event::TrackerStarts(index) => self.tracker_starts(index),
            Event::AttemptMoves { tracker, life, attempt } => self.attempt_moves(tracker, life, attempt),
            Event::AttemptDies { tracker, life, attempt } => self.attempt_dies(tracker, life, attempt),
            Event::ExecutorDies { tracker, life, app, executor, by_order } => {
                self.executor_dies(tracker, life, (app, executor), by_order);
            }
            Event::JobDropped { tracker, life, job } => self.job_dropped(tracker, life, job),
            Event::ClientActs { client, plan } => self.client_acts(client, plan),
            Event::DriverActs { driver, plan } => self.driver_acts(driver, plan),
            Event::Fault => self.fault(),
        }
        if std::mem::take(&mut self.touched) {
            self.compare();
        }
    }

    fn heal(&mut self) {
        self.faults_are_over();
    }
}

impl World {
    /// A world at its start: everything is about to run.
    #[must_use]
    pub fn new(seed: u64, bug: Option<Bug>) -> Self {
        let mut sim = Kernel::new(seed);
        let mut world = Self {
            jobtracker: Jobtracker::new(),
            trackers: (0..TRACKERS).map(|index| Tracker::new(index, &mut sim.rng)).collect(),
            clients: (0..CLIENTS).map(|_| Client::default()).collect(),
            drivers: (0..DRIVERS).map(|_| Driver::default()).collect(),
            truth: Truth::default(),
            bug,
            touched: false,
            sim,
        };
        world.sim.later(1, Event::JobtrackerStarts);
        for index in 0..TRACKERS {
            world.sim.later(2 + index as u64, Event::TrackerStarts(index));
        }
        for client in 0..CLIENTS {
            world.client_goes_on(client, 300);
        }
        for driver in 0..DRIVERS {
            world.driver_goes_on(driver, 2_000);
        }
        world.sim.later(1_000, Event::Fault);
        world
    }

    /// The number of a tracker.
    #[must_use]
    pub fn tracker_of(&self, id: TrackerId) -> Option<Index> {
        self.trackers.iter().position(|tracker| tracker.id == id)
    }

    fn deliver(&mut self, response: Response) {
        match response {
            Response::Registered(index, life, reply) => self.registered(index, life, &reply),
            Response::Stale(index, life, epoch) => self.not_known(index, life, epoch),
            Response::Orders(index, life, epoch, reply) => self.take_orders(index, life, epoch, reply),
            Response::Id(client, plan, job) => self.client_has_id(client, plan, job),
            Response::Job(client, plan, wish, status) => self.client_is_told(client, plan, wish, status.as_deref()),
            Response::App(driver, plan, app) => self.driver_has_app(driver, plan, app),
            Response::Executors(driver, plan, reply) => self.driver_is_told(driver, plan, reply),
        }
    }

    fn delay(&mut self) -> u64 {
        self.sim.message_ms(15, 400, 100)
    }

    /// A tracker at one end of a message is cut off.
    fn is_cut_off(&self, tracker: Option<Index>) -> bool {
        tracker.is_some_and(|tracker| self.trackers[tracker].cut_off_until_ms > self.sim.now_ms)
    }

    /// Sends a message to the jobtracker: lost, doubled or just late.
    pub fn send_to_jobtracker(&mut self, request: Request) {
        let tracker = match &request {
            Request::Register(index, ..) | Request::Poll(index, ..) => Some(*index),
            Request::Client(..) | Request::NewApp(..) | Request::KillApp(_) | Request::AppPoll(..) => None,
        };
        if self.is_cut_off(tracker) || self.sim.mishap(25) {
            return self.sim.coverage.hit("request lost");
        }
        // A transport does not double calls; a sender that thinks one lost repeats it. A late copy is a harmless one only
        // where it is told apart: registrations and requests for ids are not doubled.
        let may_double = matches!(request, Request::Poll(..) | Request::AppPoll(..) | Request::Client(..));
        if may_double && self.sim.network_mishap(40, "request doubled") {
            let delay = self.delay() + self.sim.rng.below(300);
            self.sim.later(delay, Event::ToJobtracker(request.clone()));
        }
        let delay = self.delay();
        self.sim.later(delay, Event::ToJobtracker(request));
    }

    /// Sends a message of the jobtracker.
    pub fn send_from_jobtracker(&mut self, response: Response) {
        let tracker = match &response {
            Response::Registered(index, ..) | Response::Stale(index, ..) | Response::Orders(index, ..) => Some(*index),
            Response::Id(..) | Response::Job(..) | Response::App(..) | Response::Executors(..) => None,
        };
        if self.is_cut_off(tracker) || self.sim.mishap(25) {
            return self.sim.coverage.hit("response lost");
        }
        let delay = self.delay();
        self.sim.later(delay, Event::FromJobtracker(response));
    }
}
