//! What goes wrong, apart from what tasks and reports do by themselves.

use super::event::Happening;
use super::world::World;
use mammoth_engine_core::api::{DatasetId, Event};
use mammoth_protocol::jobs::ExecutorId;

impl World {
    pub(super) fn fault(&mut self) {
        if self.sim.healing {
            return;
        }
        let delay = 300 + self.sim.rng.below(3_500);
        self.sim.later(delay, Happening::Fault);
        let executors: Vec<ExecutorId> = self.executors.keys().copied().collect();
        let victim = self.sim.rng.pick(&executors).copied();
        match self.sim.rng.below(100) {
            0..=14 => {
                if let Some(victim) = victim {
                    self.sim.coverage.hit("executor killed");
                    let charge = self.sim.rng.chance(500);
                    self.kill(victim, charge);
                }
            }
            15..=20 => self.hang(victim),
            21..=30 => self.tracker_dies(),
            31..=55 => self.output_vanishes(),
            56..=80 => self.evict(victim),
            _ => self.cancel_job(),
        }
    }

    fn hang(&mut self, victim: Option<ExecutorId>) {
        let time_ms = if self.sim.rng.chance(300) { 30_000 } else { self.sim.rng.below(6_000) };
        if let Some(victim) = victim.and_then(|victim| self.executors.get_mut(&victim)) {
            victim.hung_until_ms = self.sim.now_ms + time_ms;
            self.sim.coverage.hit("executor hung");
        }
    }

    /// A tracker dies with its executors and all outputs that it serves; whether anybody says so or not.
    fn tracker_dies(&mut self) {
        let Some(trackers) = &self.trackers else { return };
        let host = usize::try_from(self.sim.rng.below(trackers.len() as u64)).unwrap_or(0);
        let place = trackers[host];
        self.places.remove(&place);
        let new = self.new_place();
        if let Some(trackers) = &mut self.trackers {
            trackers[host] = new;
        }
        let there = self.executors.iter().filter(|(_, executor)| executor.host == host);
        for executor in there.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.kill(executor, false);
        }
        if self.sim.rng.chance(700) {
            let delay = self.sim.rng.below(4_000);
            self.sim.later(delay, Happening::PlaceNoticed(place));
        } else {
            self.sim.coverage.hit("place lost without a word");
        }
    }

    fn output_vanishes(&mut self) {
        let outputs: Vec<_> =
            self.places.iter().flat_map(|(place, outputs)| outputs.keys().map(|output| (*place, *output))).collect();
        let Some((place, output)) = self.sim.rng.pick(&outputs).copied() else { return };
        if let Some(outputs) = self.places.get_mut(&place) {
            self.sim.coverage.hit("output vanished");
            outputs.remove(&output);
        }
    }

    /// A block makes room for another; the driver hears of it, sooner or later.
    fn evict(&mut self, victim: Option<ExecutorId>) {
        let Some(victim) = victim else { return };
        let blocks: Vec<(DatasetId, u32)> =
            self.executors.get(&victim).map(|known| known.blocks.keys().copied().collect()).unwrap_or_default();
        let Some(block) = self.sim.rng.pick(&blocks).copied() else { return };
        if let Some(known) = self.executors.get_mut(&victim) {
            known.blocks.remove(&block);
            self.sim.coverage.hit("block evicted");
        }
        let delay = 1 + self.sim.rng.below(2_000);
        let blocks = vec![(block.0, block.1, false)];
        self.sim.later(delay, Happening::Told(Event::BlocksChanged { executor: victim, blocks }));
    }

    fn cancel_job(&mut self) {
        let jobs: Vec<_> = self.oracle.live_jobs().collect();
        if let Some(job) = self.sim.rng.pick(&jobs).copied() {
            self.told(Event::JobCancelled { job, reason: "enough".to_owned() });
        }
    }

    /// Nothing is stopped or ignores anything any more.
    pub(super) fn faults_stop(&mut self) {
        for executor in self.executors.values_mut() {
            executor.hung_until_ms = 0;
        }
    }
}
