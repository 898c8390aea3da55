//! The whole of a run.

use super::bugs::Bug;
use super::client::Client;
use super::driver::Driver;
use super::event::{Event, Index, Queue, Request, Response};
use super::jobtracker::Jobtracker;
use super::oracle::Truth;
use super::tracker::Tracker;
use crate::coverage::Coverage;
use crate::rng::Rng;
use crate::world::Verdict;
use mammoth_protocol::Now;
use mammoth_protocol::jobs::TrackerId;

/// Fake tasktrackers of a world.
pub const TRACKERS: usize = 4;
/// Fake clients.
pub const CLIENTS: usize = 3;
/// Fake drivers.
pub const DRIVERS: usize = 2;

/// Everything.
pub struct World {
    /// Milliseconds since the start.
    pub now_ms: u64,
    /// What will happen.
    pub queue: Queue,
    /// All choices.
    pub rng: Rng,
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
    /// What was exercised.
    pub coverage: Coverage,
    /// The planted mistake.
    pub bug: Option<Bug>,
    /// Faults have stopped.
    pub healing: bool,
    /// The jobtracker's wall clock is so far ahead.
    pub wall_offset_ms: u64,
    /// Its monotonic clock begins anew with every life.
    pub monotonic_offset_ms: u64,
    /// The first thing that went wrong.
    pub violation: Option<String>,
    /// The jobtracker's state may have changed since it was compared with the truth.
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
    /// A world at its start: everything is about to run.
    #[must_use]
    pub fn new(seed: u64, bug: Option<Bug>) -> Self {
        let mut rng = Rng::new(seed);
        let mut world = Self {
            now_ms: 1,
            queue: Queue::default(),
            jobtracker: Jobtracker::new(),
            trackers: (0..TRACKERS).map(|index| Tracker::new(index, &mut rng)).collect(),
            clients: (0..CLIENTS).map(|_| Client::default()).collect(),
            drivers: (0..DRIVERS).map(|_| Driver::default()).collect(),
            truth: Truth::default(),
            coverage: Coverage::default(),
            bug,
            healing: false,
            wall_offset_ms: 0,
            monotonic_offset_ms: 0,
            violation: None,
            touched: false,
            tells: std::env::var_os("MAMMOTH_SIM_TRACE").is_some(),
            trace: 0xcbf2_9ce4_8422_2325,
            rng,
        };
        world.later(1, Event::JobtrackerStarts);
        for index in 0..TRACKERS {
            world.later(2 + index as u64, Event::TrackerStarts(index));
        }
        for client in 0..CLIENTS {
            world.client_goes_on(client, 300);
        }
        for driver in 0..DRIVERS {
            world.driver_goes_on(driver, 2_000);
        }
        world.later(1_000, Event::Fault);
        world
    }

    /// Both clocks of the jobtracker.
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

    /// The number of a tracker.
    #[must_use]
    pub fn tracker_of(&self, id: TrackerId) -> Option<Index> {
        self.trackers.iter().position(|tracker| tracker.id == id)
    }

    /// Lets the next event happen.
    pub fn step(&mut self) {
        let Some((at_ms, event)) = self.queue.take_next() else {
            return self.violation("nothing is left to happen".to_owned());
        };
        self.now_ms = self.now_ms.max(at_ms);
        if let Some(wakes_ms) = self.jobtracker_hangs_until(&event).or_else(|| self.addressee_hangs_until(&event)) {
            return self.queue.add(wakes_ms, event);
        }
        self.record(&event);
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
            Response::Registered(index, life, reply) => self.registered(index, life, &reply),
            Response::Stale(index, life, epoch) => self.not_known(index, life, epoch),
            Response::Orders(index, life, epoch, reply) => self.take_orders(index, life, epoch, reply),
            Response::Id(client, plan, job) => self.client_has_id(client, plan, job),
            Response::Job(client, plan, wish, status) => self.client_is_told(client, plan, wish, status.as_deref()),
            Response::App(driver, plan, app) => self.driver_has_app(driver, plan, app),
            Response::Executors(driver, plan, reply) => self.driver_is_told(driver, plan, reply),
        }
    }

    /// When the jobtracker wakes that an event is for, if it is stopped.
    fn jobtracker_hangs_until(&self, event: &Event) -> Option<u64> {
        let concerned = matches!(
            event,
            Event::ToJobtracker(_)
                | Event::Synced { .. }
                | Event::Tick { .. }
                | Event::Checkpoint { .. }
                | Event::WaitOver { .. }
                | Event::SpecRead { .. }
        );
        let until_ms = self.jobtracker.hung_until_ms;
        (concerned && until_ms > self.now_ms).then_some(until_ms)
    }

    /// When the tracker wakes that an event is for, if it is stopped.
    fn addressee_hangs_until(&self, event: &Event) -> Option<u64> {
        let tracker = match event {
            Event::TrackerActs { tracker, .. }
            | Event::AttemptMoves { tracker, .. }
            | Event::AttemptDies { tracker, .. }
            | Event::ExecutorDies { tracker, .. }
            | Event::JobDropped { tracker, .. }
            | Event::FromJobtracker(
                Response::Registered(tracker, ..) | Response::Stale(tracker, ..) | Response::Orders(tracker, ..),
            ) => *tracker,
            _ => return None,
        };
        let until_ms = self.trackers[tracker].hung_until_ms;
        (until_ms > self.now_ms).then_some(until_ms)
    }

    /// Most messages are quick, some are not.
    fn delay(&mut self) -> u64 {
        let most = if self.rng.chance(100) { 400 } else { 15 };
        1 + self.rng.below(most)
    }

    /// A tracker at one end of a message is cut off.
    fn is_cut_off(&self, tracker: Option<Index>) -> bool {
        tracker.is_some_and(|tracker| self.trackers[tracker].cut_off_until_ms > self.now_ms)
    }

    /// Sends a message to the jobtracker: lost, doubled or just late.
    pub fn send_to_jobtracker(&mut self, request: Request) {
        let tracker = match &request {
            Request::Register(index, ..) | Request::Poll(index, ..) => Some(*index),
            Request::Client(..) | Request::NewApp(..) | Request::KillApp(_) | Request::AppPoll(..) => None,
        };
        if self.is_cut_off(tracker) || (!self.healing && self.rng.chance(25)) {
            return self.coverage.hit("request lost");
        }
        // A transport does not double calls; a sender that thinks one lost repeats it. A late copy is a harmless one only
        // where it is told apart: registrations and requests for ids are not doubled.
        let may_double = matches!(request, Request::Poll(..) | Request::AppPoll(..) | Request::Client(..));
        if may_double && !self.healing && self.rng.chance(40) {
            self.coverage.hit("request doubled");
            let delay = self.delay() + self.rng.below(300);
            self.later(delay, Event::ToJobtracker(request.clone()));
        }
        let delay = self.delay();
        self.later(delay, Event::ToJobtracker(request));
    }

    /// Sends a message of the jobtracker.
    pub fn send_from_jobtracker(&mut self, response: Response) {
        let tracker = match &response {
            Response::Registered(index, ..) | Response::Stale(index, ..) | Response::Orders(index, ..) => Some(*index),
            Response::Id(..) | Response::Job(..) | Response::App(..) | Response::Executors(..) => None,
        };
        if self.is_cut_off(tracker) || (!self.healing && self.rng.chance(25)) {
            return self.coverage.hit("response lost");
        }
        let delay = self.delay();
        self.later(delay, Event::FromJobtracker(response));
    }
}
