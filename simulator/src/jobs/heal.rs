//! The end of a run: faults stop, and everything must come to its end (I11).

use super::event::Event;
use super::world::{TRACKERS, World};
use crate::kernel::Model;
use mammoth_jobtracker_core::check::unfinished;

/// Simulated time that it may take.
const HEAL_MS: u64 = 120_000;
/// How often to look whether all is well.
const LOOK_MS: u64 = 1_000;

impl World {
    /// Stops the faults and lets time pass until all is well.
    pub(super) fn faults_are_over(&mut self) {
        self.jobtracker.hung_until_ms = 0;
        for index in 0..TRACKERS {
            self.trackers[index].cut_off_until_ms = 0;
            self.trackers[index].hung_until_ms = 0;
            if !self.trackers[index].up {
                self.sim.later(1, Event::TrackerStarts(index));
            }
        }
        if self.jobtracker.live.is_none() {
            self.sim.later(1, Event::JobtrackerStarts);
        }
        self.settle(HEAL_MS, LOOK_MS, |world| world.not_well());
    }

    /// What is still to be done, if anything.
    fn not_well(&self) -> Option<String> {
        let Some(state) = self.jobtracker.state() else { return Some("the jobtracker is down".to_owned()) };
        let (jobs, apps) = unfinished(state);
        if jobs + apps > 0 {
            let jobs = state.jobs().into_iter().filter(|status| !status.state.is_final());
            let jobs: Vec<_> =
                jobs.map(|status| (status.job.number, status.maps, status.reduces, status.reason)).collect();
            return Some(format!("{apps} applications and jobs {jobs:?} go on; {:?}", state.cluster()));
        }
        if let Some((client, known)) = self.clients.iter().enumerate().find(|(_, known)| known.job.is_some()) {
            return Some(format!("client {client} waits for {known:?}"));
        }
        if let Some((driver, known)) =
            self.drivers.iter().enumerate().find(|(_, known)| known.app.is_some() || known.wants)
        {
            return Some(format!("driver {driver} goes on: {known:?}"));
        }
        let busy = self.trackers.iter().find(|tracker| {
            !(tracker.held.is_empty()
                && tracker.executors.is_empty()
                && tracker.jobs.is_empty()
                && tracker.apps.is_empty())
        });
        busy.map(|tracker| {
            let (held, executors) = (&tracker.held, &tracker.executors);
            format!("tracker {} holds {held:?}, {executors:?}, {:?}, {:?}", tracker.index, tracker.jobs, tracker.apps)
        })
    }
}
