//! The end of a run: faults stop, every job ends, and a job over everything gives its result.

use super::world::World;
use crate::kernel::Model;
use mammoth_engine_core::check::unfinished;

/// Simulated time in which all jobs must end.
const HEAL_MS: u64 = 400_000;
/// Tries of the last job: each may find some of what was lost without a word.
const TRIES: u32 = 20;

impl World {
    /// Stops the faults and lets time pass until all is well.
    pub(super) fn faults_are_over(&mut self) {
        self.faults_stop();
        if self.executors.is_empty() {
            self.replenish();
        }
        self.run_until("every job ends", |world| world.oracle.live_jobs().next().is_none());
        for _ in 0..TRIES {
            if !self.sim.is_right() || self.pool.stages.is_empty() {
                break;
            }
            let action = self.job_over_everything();
            let job = action.spec.job;
            self.submit(action);
            self.run_until("the last job ends", |world| world.oracle.live_jobs().next().is_none());
            let done = self.oracle.jobs.get(&job).is_some_and(|job| job.delivered.len() == 2);
            if done {
                self.sim.coverage.hit("all read at last");
                return self.clean_up();
            }
        }
        if self.sim.is_right() && !self.pool.stages.is_empty() {
            self.sim.violation(format!("a job over everything failed {TRIES} times after the faults stopped"));
        }
    }

    /// Everything that is let go of goes.
    fn clean_up(&mut self) {
        self.drop_everything();
        self.run_until("every task settles", |world| unfinished(&world.scheduler) == (0, 0));
        let there = self.oracle.there.len();
        if there > 0 {
            self.sim.violation(format!("{there} outputs are kept, and nothing can read them"));
        }
    }

    fn run_until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let deadline = self.sim.now_ms + HEAL_MS;
        while self.sim.is_right() && !done(self) {
            self.step();
            if self.sim.now_ms > deadline {
                let live: Vec<_> = self.oracle.live_jobs().collect();
                self.sim
                    .violation(format!("I11: {} s were not enough until {what}; jobs {live:?} go on", HEAL_MS / 1000));
            }
        }
    }
}
