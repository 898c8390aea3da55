//! The whole of a run: driver, executors, places.

use super::bugs::Bug;
use super::event::Happening;
use super::executor::{Executor, Output};
use super::oracle::Oracle;
use super::plan::Pool;
use crate::kernel::{Kernel, Model, Verdict};
use mammoth_engine_core::Scheduler;
use mammoth_engine_core::api::{Config, OutputId, PlaceId, ShuffleId};
use mammoth_protocol::jobs::ExecutorId;
use std::collections::{BTreeMap, BTreeSet};

/// Hosts of a world.
pub(super) const HOSTS: usize = 3;
/// Executors that the cluster manager keeps up.
const EXECUTORS: usize = 4;

/// Everything.
pub(super) struct World {
    pub(super) sim: Kernel<Happening>,
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
    pub(super) bug: Option<Bug>,
}

/// Runs one seed: `events` events with faults, then healing.
#[must_use]
pub fn run(seed: u64, events: u64, bug: Option<Bug>) -> Verdict {
    World::new(seed, bug).run(events)
}

impl Model for World {
    type Event = Happening;

    fn sim(&mut self) -> &mut Kernel<Happening> {
        &mut self.sim
    }

    fn wakes_ms(&self, happening: &Happening) -> u64 {
        match happening {
            Happening::Order(executor, _) | Happening::Finish(executor, _) | Happening::HeartbeatDue(executor) => {
                self.executors.get(executor).map_or(0, |known| known.hung_until_ms)
            }
            _ => 0,
        }
    }

    fn happen(&mut self, happening: Happening) {
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

    fn heal(&mut self) {
        self.faults_are_over();
    }
}

impl World {
    /// A world at its start.
    pub(super) fn new(seed: u64, bug: Option<Bug>) -> Self {
        let config = Config { locality_wait_ms: 300 * (seed % 3), ..Config::default() };
        let mut world = Self {
            sim: Kernel::new(seed),
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
            bug,
        };
        if seed.is_multiple_of(2) {
            world.trackers = Some((0..HOSTS).map(|_| world.new_place()).collect());
        }
        for number in 0..EXECUTORS {
            world.sim.later(1 + number as u64, Happening::ExecutorStarts);
        }
        world.sim.later(5, Happening::Tick);
        world.sim.later(10, Happening::Submit);
        world.sim.later(1_000, Happening::Fault);
        world
    }

    pub(super) fn new_place(&mut self) -> PlaceId {
        let place = PlaceId(self.next_place);
        self.next_place += 1;
        self.places.insert(place, BTreeMap::new());
        place
    }

    fn tick(&mut self) {
        self.sim.later(1_000, Happening::Tick);
        self.told(mammoth_engine_core::api::Event::Tick);
    }

    /// Has the cluster manager bring the number of executors up again.
    pub(super) fn replenish(&mut self) {
        if self.executors.len() < EXECUTORS {
            let delay = 200 + self.sim.rng.below(1_500);
            self.sim.later(delay, Happening::ExecutorStarts);
        }
    }
}
