//! The whole of a run: driver, executors, places, the queue, the seed.

use super::bugs::Bug;
use super::event::{Happening, Queue};
use super::executor::{Executor, Output};
use super::oracle::Oracle;
use super::plan::Pool;
use crate::coverage::Coverage;
use crate::rng::Rng;
use mammoth_engine_core::Scheduler;
use mammoth_engine_core::api::{Config, OutputId, PlaceId, ShuffleId};
use mammoth_protocol::Now;
use mammoth_protocol::jobs::ExecutorId;
use std::collections::{BTreeMap, BTreeSet};

/// Hosts of a world.
pub(super) const HOSTS: usize = 3;
/// Executors that the cluster manager keeps up.
const EXECUTORS: usize = 4;

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
    pub(super) now_ms: u64,
    pub(super) queue: Queue,
    pub(super) rng: Rng,
    pub(super) scheduler: Scheduler,
    pub(super) executors: BTreeMap<ExecutorId, Executor>,
    pub(super) next_executor: u32,
    /// Executors of which the driver was told that they are lost.
    pub(super) known_lost: BTreeSet<ExecutorId>,
    /// What really lies in the places that are there.
    pub(super) places: BTreeMap<PlaceId, BTreeMap<Output, super::work::Made>>,
    pub(super) next_place: u32,
    /// The place of each host's tracker; `None`: outputs live and die with executors.
    pub(super) trackers: Option<Vec<PlaceId>>,
    pub(super) pool: Pool,
    pub(super) oracle: Oracle,
    /// What the planted mistake remembers of outputs.
    pub(super) copies: BTreeMap<ShuffleId, Vec<Option<OutputId>>>,
    pub(super) coverage: Coverage,
    pub(super) bug: Option<Bug>,
    /// Faults have stopped.
    pub(super) healing: bool,
    pub(super) violation: Option<String>,
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
    /// A world at its start.
    #[must_use]
    pub fn new(seed: u64, bug: Option<Bug>) -> Self {
        let config = Config { locality_wait_ms: 300 * (seed % 3), ..Config::default() };
        let mut world = Self {
            now_ms: 1,
            queue: Queue::default(),
            rng: Rng::new(seed),
            scheduler: Scheduler::new(config),
            executors: BTreeMap::new(),
            next_executor: 0,
            known_lost: BTreeSet::new(),
            places: BTreeMap::new(),
            next_place: 0,
            trackers: None,
            pool: Pool::default(),
            oracle: Oracle::default(),
            copies: BTreeMap::new(),
            coverage: Coverage::default(),
            bug,
            healing: false,
            violation: None,
            tells: std::env::var_os("MAMMOTH_SIM_TRACE").is_some(),
            trace: 0xcbf2_9ce4_8422_2325,
        };
        if seed.is_multiple_of(2) {
            world.trackers = Some((0..HOSTS).map(|_| world.new_place()).collect());
        }
        for number in 0..EXECUTORS {
            world.later(1 + number as u64, Happening::ExecutorStarts);
        }
        world.later(5, Happening::Tick);
        world.later(10, Happening::Submit);
        world.later(1_000, Happening::Fault);
        world
    }

    pub(super) const fn now(&self) -> Now {
        Now { monotonic_ms: self.now_ms, wall_ms: 1_700_000_000_000 + self.now_ms }
    }

    pub(super) fn later(&mut self, delay_ms: u64, happening: Happening) {
        self.queue.add(self.now_ms + delay_ms, happening);
    }

    pub(super) fn new_place(&mut self) -> PlaceId {
        let place = PlaceId(self.next_place);
        self.next_place += 1;
        self.places.insert(place, BTreeMap::new());
        place
    }

    /// Notes what went wrong; the first is what counts.
    pub(super) fn violation(&mut self, what: String) {
        if self.violation.is_none() {
            self.violation = Some(format!("at {} ms: {what}", self.now_ms));
        }
    }

    /// Lets the next event happen.
    pub fn step(&mut self) {
        let Some((at_ms, happening)) = self.queue.take() else {
            return self.violation("nothing is left to happen".to_owned());
        };
        self.now_ms = self.now_ms.max(at_ms);
        if let Some(wakes_ms) = self.addressee_hangs_until(&happening) {
            return self.queue.add(wakes_ms, happening);
        }
        self.record(&format!("{} {happening:?}", self.now_ms));
        match happening {
            Happening::Told(event) => self.told(event),
            Happening::Order(executor, order) => self.obey(executor, order),
            Happening::Finish(executor, task) => self.finish(executor, task),
            Happening::HeartbeatDue(executor) => self.heartbeat(executor),
            Happening::LostKnown { executor, charge } => self.executor_lost(executor, charge),
            Happening::ExecutorStarts => self.executor_starts(),
            Happening::Tick => self.tick(),
            Happening::Submit => self.user_acts(),
            Happening::Fault => self.fault(),
            Happening::PlaceNoticed(place) => self.place_lost(place),
        }
    }

    /// Folds something into the trace.
    pub(super) fn record(&mut self, text: &str) {
        if self.tells {
            eprintln!("{text}");
        }
        for byte in text.bytes() {
            self.trace = (self.trace ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn tick(&mut self) {
        self.later(1_000, Happening::Tick);
        self.told(mammoth_engine_core::api::Event::Tick);
    }

    /// When the executor wakes that something is for, if it is stopped.
    fn addressee_hangs_until(&self, happening: &Happening) -> Option<u64> {
        match happening {
            Happening::Order(executor, _) | Happening::Finish(executor, _) | Happening::HeartbeatDue(executor) => {
                let known = self.executors.get(executor)?;
                (known.hung_until_ms > self.now_ms).then_some(known.hung_until_ms)
            }
            _ => None,
        }
    }

    /// Has the cluster manager bring the number of executors up again.
    pub(super) fn replenish(&mut self) {
        if self.executors.len() < EXECUTORS {
            let delay = 200 + self.rng.below(1_500);
            self.later(delay, Happening::ExecutorStarts);
        }
    }
}
