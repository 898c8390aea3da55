//! Fake executors.

use super::event::{Event, Index};
use super::world::World;
use mammoth_protocol::jobs::tracker::LaunchExecutor;
use mammoth_protocol::jobs::{AppId, ExecutorId, Resources};

/// An executor on a tracker.
#[derive(Clone, Debug)]
pub struct HeldExecutor {
    /// What it takes.
    pub resources: Resources,
    /// Why it has ended.
    pub ended: Option<String>,
}

impl World {
    /// A tracker starts an executor, unless it holds it already.
    pub(super) fn start_executor(&mut self, index: Index, launch: &LaunchExecutor) {
        let key = (launch.app, launch.executor);
        let life = self.trackers[index].life;
        if self.trackers[index].executors.contains_key(&key) {
            return self.sim.coverage.hit("launch of an executor that is held");
        }
        if let Err(what) = self.truth.executor_starts(key, index, life) {
            return self.sim.violation(what);
        }
        let tracker = &mut self.trackers[index];
        tracker.executors.insert(key, HeldExecutor { resources: launch.resources, ended: None });
        tracker.apps.insert(launch.app);
        let (used, capacity) = (tracker.used(), tracker.capacity);
        if !capacity.fits(used) {
            self.sim.violation(format!("tracker {index} has {capacity} and runs {used}"));
        }
        if self.sim.mishap(300) {
            let delay = 1 + self.sim.rng.below(3_000);
            let (app, executor) = key;
            self.sim.later(delay, Event::ExecutorDies { tracker: index, life, app, executor, by_order: false });
        }
        self.tracker_has_news(index);
    }

    /// An executor ends.
    pub(super) fn executor_dies(&mut self, index: Index, life: u64, key: (AppId, ExecutorId), by_order: bool) {
        let tracker = &mut self.trackers[index];
        if !tracker.up || tracker.life != life {
            return;
        }
        let Some(held) = tracker.executors.get_mut(&key).filter(|held| held.ended.is_none()) else { return };
        held.ended = Some(if by_order { "ended by order" } else { "out of memory" }.to_owned());
        self.sim.coverage.hit(if by_order { "executor ended by order" } else { "executor ended by itself" });
        self.tracker_has_news(index);
    }
}
