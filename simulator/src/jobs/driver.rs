//! Fake drivers of the in-memory mode: each has an application for a while, wants more or fewer executors, and ends it or dies.

use super::event::{Event, Index, Request};
use super::world::World;
use mammoth_protocol::jobs::app::{AppEnd, AppPoll, AppPollReply};
use mammoth_protocol::jobs::{AppId, ExecutorId, Resources};

/// A driver.
#[derive(Clone, Debug, Default)]
pub struct Driver {
    /// Its application.
    pub app: Option<AppId>,
    /// It wants one now.
    pub wants: bool,
    seq: u64,
    target: u32,
    release: Vec<ExecutorId>,
    /// It had executors.
    served: bool,
    ending: bool,
    plan: u64,
}

impl World {
    /// Plans the driver's next act; earlier plans are void.
    pub(super) fn driver_goes_on(&mut self, driver: Index, most_ms: u64) {
        let delay = 1 + self.sim.rng.below(most_ms);
        self.drivers[driver].plan += 1;
        let plan = self.drivers[driver].plan;
        self.sim.later(delay, Event::DriverActs { driver, plan });
    }

    /// A driver makes its next step.
    pub(super) fn driver_acts(&mut self, driver: Index, plan: u64) {
        if self.drivers[driver].plan != plan {
            return;
        }
        let Some(app) = self.drivers[driver].app else {
            if self.sim.healing && !self.drivers[driver].wants {
                return;
            }
            self.drivers[driver].wants = true;
            self.driver_goes_on(driver, 500);
            let plan = self.drivers[driver].plan;
            return self.send_to_jobtracker(Request::NewApp(driver, plan));
        };
        if self.sim.mishap(30) {
            self.sim.coverage.hit("driver died");
            self.drivers[driver] = Driver { plan: self.drivers[driver].plan, ..Driver::default() };
            return self.driver_goes_on(driver, 6_000);
        }
        if self.sim.mishap(20) {
            let app = if self.sim.rng.chance(300) { AppId { number: 10_000, ..app } } else { app };
            self.send_to_jobtracker(Request::KillApp(app));
        }
        let changes = self.sim.mishap(200);
        let ends = if self.sim.healing { self.drivers[driver].served } else { self.sim.rng.chance(30) };
        let target = if changes { self.sim.rng.below(5) as u32 } else { self.drivers[driver].target };
        let known = &mut self.drivers[driver];
        known.target = if self.sim.healing { 1 } else { target };
        known.seq += 1;
        known.ending |= ends;
        let poll = AppPoll {
            seq: known.seq,
            target: known.target,
            executor: Resources { cores: 1, memory_mib: 100 },
            release: std::mem::take(&mut known.release),
            events: Vec::new(),
            ended: known.ending.then_some(AppEnd { failure: None }),
            wait_ms: 0,
            known: 0,
        };
        self.driver_goes_on(driver, 700);
        let plan = self.drivers[driver].plan;
        self.send_to_jobtracker(Request::AppPoll(driver, plan, app, poll));
    }

    /// An application was given.
    pub(super) fn driver_has_app(&mut self, driver: Index, plan: u64, app: AppId) {
        let target = 1 + self.sim.rng.below(3) as u32;
        let known = &mut self.drivers[driver];
        if known.plan == plan && known.app.is_none() {
            *known = Driver { app: Some(app), target, plan, ..Driver::default() };
            self.driver_goes_on(driver, 100);
        }
    }

    /// The application's executors.
    pub(super) fn driver_is_told(&mut self, driver: Index, plan: u64, reply: Option<AppPollReply>) {
        let released = self.sim.rng.chance(100);
        let known = &mut self.drivers[driver];
        if known.plan != plan {
            return;
        }
        let ended = match &reply {
            None => true,
            Some(reply) => reply.killed.is_some() || known.ending,
        };
        if ended {
            if reply.is_some_and(|reply| reply.killed.is_some()) {
                self.sim.coverage.hit("driver told that its application was ended");
            }
            self.drivers[driver] = Driver { plan, ..Driver::default() };
            return self.driver_goes_on(driver, 3_000);
        }
        let running = reply.iter().flat_map(|reply| &reply.executors).filter(|executor| executor.ended.is_none());
        let running: Vec<ExecutorId> = running.map(|executor| executor.executor).collect();
        known.served |= !running.is_empty();
        if released && let Some(first) = running.first() {
            known.release.push(*first);
            self.sim.coverage.hit("executor released");
        }
    }
}
