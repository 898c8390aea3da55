//! What breaks.

use super::event::Event;
use super::world::{TRACKERS, World};

impl World {
    /// Something breaks, and the next fault is planned.
    pub(super) fn fault(&mut self) {
        if self.sim.healing {
            return;
        }
        let next = 200 + self.sim.rng.below(1_500);
        self.sim.later(next, Event::Fault);
        let index = self.sim.rng.below(TRACKERS as u64) as usize;
        let up = self.trackers[index].up;
        match self.sim.rng.below(100) {
            0..=19 if up => {
                let folder_too = self.sim.rng.chance(350);
                self.sim.coverage.hit(if folder_too { "tracker lost its folder" } else { "tracker crashed" });
                self.tracker_dies(index, folder_too);
                if self.sim.rng.chance(500) {
                    self.tracker_hangs_up(index);
                }
                let most = if self.sim.rng.chance(500) { 600 } else { 6_000 };
                let away = 50 + self.sim.rng.below(most);
                self.sim.later(away, Event::TrackerStarts(index));
            }
            20..=34 if up => {
                self.sim.coverage.hit("tracker hung");
                let most = if self.sim.rng.chance(500) { 1_000 } else { 5_000 };
                self.trackers[index].hung_until_ms = self.sim.now_ms + 50 + self.sim.rng.below(most);
            }
            35..=54 => {
                self.sim.coverage.hit("tracker cut off");
                let most = if self.sim.rng.chance(500) { 1_000 } else { 6_000 };
                self.trackers[index].cut_off_until_ms = self.sim.now_ms + 50 + self.sim.rng.below(most);
                if self.sim.rng.chance(300) {
                    self.tracker_hangs_up(index);
                }
            }
            55..=74 => {
                let away = 10 + self.sim.rng.below(1_500);
                self.jobtracker_dies(away);
            }
            75..=89 => {
                let files: Vec<_> = self.trackers[index].files.iter().copied().collect();
                if let Some(file) = self.sim.rng.pick(&files).copied() {
                    self.sim.coverage.hit("output unreadable");
                    self.trackers[index].broken.insert(file);
                }
            }
            90..=92 => {
                self.sim.coverage.hit("jobtracker hung");
                let most = if self.sim.rng.chance(500) { 1_000 } else { 6_000 };
                self.jobtracker.hung_until_ms = self.sim.now_ms + 50 + self.sim.rng.below(most);
            }
            93..=95 => {
                self.sim.coverage.hit("wall clock jumped");
                self.sim.wall_offset_ms = self.sim.rng.below(10_000);
            }
            _ => self.sim.coverage.hit("nothing broke"),
        }
    }
}
