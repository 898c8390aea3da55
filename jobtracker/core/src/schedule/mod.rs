//! Who gets what: grants of cores and memory, in the order of submission, near the data where there is a choice.
//!
//! The first in the queue takes what it can use, then the next. A job's maps come before its reduces, so that reduces never
//! hold what maps need; where outputs were lost while reduces fill the cluster, the newest reduces give way. A tracker is kept
//! free for the next task of a job that fits nowhere, so that small tasks of later jobs do not starve a large one.

mod fit;
mod floor;
mod place;

use crate::jobs::Input;
use crate::state::{Queued, State};
use floor::Floor;
use mammoth_protocol::jobs::{AttemptId, Resources, TaskKind, TrackerId};
use std::collections::BTreeMap;

impl State {
    /// Grants what can be granted.
    pub(crate) fn schedule(&mut self) {
        let mut floor = Floor::new(&self.trackers);
        if floor.is_full() {
            return;
        }
        let queue: Vec<Queued> = self.queue.values().copied().collect();
        for entry in queue {
            if floor.is_full() {
                return;
            }
            match entry {
                Queued::Job(number) => self.place_job(number, &mut floor),
                Queued::App(number) => self.place_executors(number, &mut floor),
            }
        }
    }

    /// Maps that wait for too long, with reduces of their job holding the room, take it from the newest of those.
    pub(crate) fn preempt(&mut self) {
        let now_ms = self.clock.monotonic_ms;
        let mut victims: Vec<AttemptId> = Vec::new();
        for job in self.jobs.values() {
            let (Some(work), Some(spec)) = (job.work.as_deref(), job.spec()) else { continue };
            let waiting = |map: &u32| {
                work.maps.get(*map as usize).is_some_and(|task| task.waits_for_ms(now_ms) >= self.config.preempt_ms)
            };
            let moving = work.live.keys().any(|id| {
                let wanted = work.attempt(*id).is_some_and(|attempt| attempt.is_wanted());
                !wanted || id.task.kind == TaskKind::Map
            });
            if job.is_running() && !moving && work.pending_maps.iter().any(waiting) {
                victims.extend(self.newest_reduces(job, spec.map_resources));
            }
        }
        for victim in victims {
            self.feed(victim, &Input::End("a map of its job needs the room"));
        }
    }

    /// The fewest newest reduces of a job, all on one tracker, whose room a map fits into.
    fn newest_reduces(&self, job: &crate::jobs::Job, needed: Resources) -> Vec<AttemptId> {
        let Some(work) = job.work.as_deref() else { return Vec::new() };
        let mut reduces: Vec<(u64, AttemptId, TrackerId, Resources)> = Vec::new();
        for (id, tracker) in &work.live {
            if let Some(attempt) =
                work.attempt(*id).filter(|attempt| attempt.may_give_way() && id.task.kind == TaskKind::Reduce)
            {
                reduces.push((attempt.started_ms, *id, *tracker, attempt.resources));
            }
        }
        reduces.sort_by_key(|(started_ms, id, ..)| std::cmp::Reverse((*started_ms, *id)));
        let mut on: BTreeMap<TrackerId, (Resources, Vec<AttemptId>)> = BTreeMap::new();
        for (_, id, tracker, resources) in reduces {
            let free = || self.trackers.get(&tracker).map(|tracker| tracker.free()).unwrap_or_default();
            let (room, ids) = on.entry(tracker).or_insert_with(|| (free(), Vec::new()));
            *room = room.plus(resources);
            ids.push(id);
            if room.fits(needed) {
                return std::mem::take(ids);
            }
        }
        Vec::new()
    }
}
