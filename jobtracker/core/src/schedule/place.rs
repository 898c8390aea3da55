//! Placing the tasks of one job, and the executors of one application.

use super::floor::Floor;
use crate::jobs::{Job, Ready, Task, resources_of};
use crate::state::State;
use mammoth_protocol::jobs::{Resources, TaskId, TaskKind, TrackerId};

/// Tasks that are looked at beyond those that there is room for, as some may not run where there is.
const SPARE: usize = 1_000;

impl State {
    /// Gives a job's waiting tasks to trackers. If one is left, a tracker is kept for it.
    pub(super) fn place_job(&mut self, number: u32, floor: &mut Floor) {
        let has_output = self.has_output(number);
        let Some(job) = self.jobs.get(&number) else { return };
        let left = match job.ready(has_output, &self.config, self.clock) {
            Ready::Nothing => return,
            Ready::Soon(kind) => Some(kind),
            Ready::Only(kind) => {
                let task = job.task_id(kind, 0);
                (!self.place_task(task, floor)).then_some(kind)
            }
            Ready::Tasks => self.place_tasks(number, floor),
        };
        let Some(job) = self.jobs.get(&number) else { return };
        let Some(spec) = job.spec() else { return };
        let reserved = left.and_then(|kind| {
            let wanted = resources_of(kind, spec);
            // One that the job avoids would be kept from all others for nothing.
            let allows = |id: TrackerId| !self.shuns(job, id, wanted);
            let kept = job.reserved.filter(|id| self.is_fit(*id, wanted) && allows(*id));
            kept.or_else(|| self.tracker_to_keep(wanted, allows))
        });
        if let Some(job) = self.jobs.get_mut(&number) {
            job.reserved = reserved;
        }
        if let Some(tracker) = reserved {
            floor.reserve(tracker);
        }
    }

    /// Places maps, near their data first, then reduces; the kind of a task that is left.
    fn place_tasks(&mut self, number: u32, floor: &mut Floor) -> Option<TaskKind> {
        self.place_maps_near(number, floor);
        if self.place_all(number, TaskKind::Map, floor) {
            return Some(TaskKind::Map);
        }
        let may_start = self.jobs.get(&number)?.reduces_may_start();
        (may_start && self.place_all(number, TaskKind::Reduce, floor)).then_some(TaskKind::Reduce)
    }

    /// Places tasks of one kind while there is room; whether one is left.
    fn place_all(&mut self, number: u32, kind: TaskKind, floor: &mut Floor) -> bool {
        let Some(job) = self.jobs.get(&number) else { return false };
        let (Some(spec), Some(work)) = (job.spec(), job.work.as_deref()) else { return false };
        let wanted = resources_of(kind, spec);
        let waiting = if kind == TaskKind::Map { &work.pending_maps } else { &work.pending_reduces };
        let most = floor.slots(wanted).saturating_add(SPARE);
        let mut left = waiting.len() > most;
        let waiting: Vec<TaskId> = waiting.iter().take(most).map(|index| job.task_id(kind, *index)).collect();
        for task in waiting {
            if floor.fitting(wanted).next().is_none() {
                return true;
            }
            left |= !self.place_task(task, floor);
        }
        left
    }

    /// Hands out maps to trackers on the hosts of their data, one to each in turn.
    fn place_maps_near(&mut self, number: u32, floor: &mut Floor) {
        loop {
            let Some(job) = self.jobs.get(&number) else { return };
            let (Some(work), Some(spec)) = (job.work.as_deref(), job.spec()) else { return };
            if work.near.is_empty() {
                return;
            }
            let wanted = spec.map_resources;
            let mut taken = std::collections::BTreeSet::new();
            let mut round: Vec<(TaskId, TrackerId)> = Vec::new();
            for room in floor.fitting(wanted) {
                let tracker = room.place.tracker;
                if self.shuns(job, tracker, wanted) {
                    continue;
                }
                let near = work.near.get(&*room.place.host).into_iter().flatten();
                let mut near = near.filter(|map| !taken.contains(*map)).map(|map| job.task_id(TaskKind::Map, *map));
                let first = near.find(|id| work.task(*id).is_some_and(|task| self.allows(job, task, tracker, wanted)));
                if let Some(id) = first {
                    taken.insert(id.index);
                    round.push((id, tracker));
                }
            }
            if round.is_empty() {
                return;
            }
            for (task, tracker) in round {
                self.give(task, tracker, wanted, floor);
            }
        }
    }

    /// Places one task; `false` if there is no room where it may run.
    fn place_task(&mut self, id: TaskId, floor: &mut Floor) -> bool {
        let Some(job) = self.jobs.get(&id.job.number) else { return true };
        let (Some(work), Some(spec)) = (job.work.as_deref(), job.spec()) else { return true };
        let Some(task) = work.task(id) else { return true };
        let wanted = resources_of(id.kind, spec);
        let Some(tracker) = floor.emptiest(wanted, |tracker| self.allows(job, task, tracker, wanted)) else {
            return false;
        };
        self.give(id, tracker, wanted, floor);
        true
    }

    fn give(&mut self, task: TaskId, tracker: TrackerId, resources: Resources, floor: &mut Floor) {
        let number = task.job.number;
        let Some(place) = floor.take(tracker, resources) else { return };
        let Some(job) = self.jobs.get_mut(&number) else { return };
        if let Some(attempt) = job.assign(task, &place, resources, self.clock)
            && let Some(on) = self.trackers.get_mut(&tracker)
        {
            on.attempts.insert(attempt, resources);
            self.news.trackers.insert(tracker);
        }
        self.news.jobs.insert(number);
    }

    /// A task may run on a tracker: its job does not avoid it, and it has not failed there while another could have it.
    fn allows(&self, job: &Job, task: &Task, tracker: TrackerId, wanted: Resources) -> bool {
        if self.shuns(job, tracker, wanted) {
            return false;
        }
        let patient = task.waits_for_ms(self.clock.monotonic_ms) < self.config.elsewhere_ms;
        let failed = |id: TrackerId| task.failed_on.contains(&id);
        !(patient && failed(tracker) && self.another_fits(wanted, |id| failed(id) || self.avoids(job, id)))
    }

    /// A job keeps off a tracker, as there are others.
    fn shuns(&self, job: &Job, tracker: TrackerId, wanted: Resources) -> bool {
        self.avoids(job, tracker) && self.another_fits(wanted, |id| self.avoids(job, id))
    }

    /// There is a live tracker, other than those that are left out, that has as much in all.
    fn another_fits(&self, wanted: Resources, left_out: impl Fn(TrackerId) -> bool) -> bool {
        let mut fit = self.trackers.iter().filter(|(_, other)| other.is_live() && other.capacity.fits(wanted));
        fit.any(|(id, _)| !left_out(*id))
    }

    /// Too many attempts of the job failed there.
    fn avoids(&self, job: &Job, tracker: TrackerId) -> bool {
        let failures = job.work.as_ref().and_then(|work| work.failures_on.get(&tracker).copied());
        failures.is_some_and(|failures| failures >= self.config.blacklist_failures)
    }

    /// Starts the executors that an application lacks.
    pub(super) fn place_executors(&mut self, number: u32, floor: &mut Floor) {
        let now_ms = self.clock.monotonic_ms;
        let Some(app) = self.apps.get(&number) else { return };
        let wanted = app.resources;
        for _ in 0..app.lacks(now_ms) {
            let Some(app) = self.apps.get(&number) else { return };
            let deaths = |id: TrackerId| app.deaths_on.get(&id).copied().unwrap_or_default();
            let least = floor.fitting(wanted).map(|room| deaths(room.place.tracker)).min();
            let tracker = least.and_then(|least| floor.emptiest(wanted, |id| deaths(id) == least));
            let Some(tracker) = tracker else {
                // The first one has a tracker kept for it, as a job's task has; more are a matter of luck.
                if app.wanted() == 0
                    && let Some(kept) = self.tracker_to_keep(wanted, |_| true)
                {
                    floor.reserve(kept);
                }
                return;
            };
            if !self.grant_executor(number, tracker) {
                return;
            }
            floor.take(tracker, wanted);
            self.news.trackers.insert(tracker);
        }
    }
}
