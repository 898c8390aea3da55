//! What could be granted at all, and who waits for what.

use crate::api::Ending;
use crate::jobs::{Job, Ready, resources_of};
use crate::state::State;
use crate::trackers::{Liveness, Tracker};
use mammoth_protocol::jobs::{Resources, TaskKind, TrackerId};

impl State {
    /// A live tracker has as much in all.
    pub(super) fn is_fit(&self, id: TrackerId, wanted: Resources) -> bool {
        self.trackers.get(&id).is_some_and(|tracker| tracker.state == Liveness::Live && tracker.capacity.fits(wanted))
    }

    /// Of the trackers that `allows` lets be used, the one that will soonest have room, as far as can be told: the emptiest.
    pub(super) fn tracker_to_keep(&self, wanted: Resources, allows: impl Fn(TrackerId) -> bool) -> Option<TrackerId> {
        let fit = self.trackers.iter().filter(|(id, _)| self.is_fit(**id, wanted) && allows(**id));
        let key = |(id, tracker): &(&TrackerId, &Tracker)| {
            let free = tracker.free();
            (free.cores, free.memory_mib, std::cmp::Reverse(**id))
        };
        fit.max_by_key(key).map(|(id, _)| *id)
    }

    /// Finds jobs and applications that want more than any live tracker has, and ends them after a while.
    pub(crate) fn find_unfit(&mut self) {
        let now_ms = self.clock.monotonic_ms;
        let restarted = self.rows.meta.lives > 1;
        if restarted && now_ms.saturating_sub(self.began_ms) < self.config.expiry_ms {
            // The largest tracker may not have come back yet.
            return;
        }
        let over = |since_ms: u64| now_ms.saturating_sub(since_ms) >= self.config.unfit_ms;
        let mut jobs: Vec<(u32, Option<u64>, Option<String>)> = Vec::new();
        for (number, job) in self.jobs.iter().filter(|(_, job)| !job.is_final()) {
            let unfit = self.next_wanted(*number, job).filter(|(_, wanted)| self.fits_nobody(*wanted));
            let since_ms = unfit.map(|_| job.unfit_ms.unwrap_or(now_ms));
            let failure = unfit.filter(|_| since_ms.is_some_and(over)).map(|(kind, wanted)| {
                let kind = match kind {
                    TaskKind::Map => "map",
                    TaskKind::Reduce => "reduce",
                    TaskKind::Commit | TaskKind::Abort => "task",
                };
                format!("a {kind} takes {wanted}, and no tasktracker has as much: {}", self.largest())
            });
            if since_ms != job.unfit_ms || failure.is_some() {
                jobs.push((*number, since_ms, failure));
            }
        }
        let mut apps: Vec<(u32, Option<u64>, Option<String>)> = Vec::new();
        for (number, app) in self.apps.iter().filter(|(_, app)| !app.ended) {
            let unfit = app.lacks(now_ms) > 0 && self.fits_nobody(app.resources);
            let since_ms = unfit.then(|| app.unfit_ms.unwrap_or(now_ms));
            let wanted = app.resources;
            let failure = since_ms.filter(|since_ms| over(*since_ms));
            let failure = failure
                .map(|_| format!("an executor takes {wanted}, and no tasktracker has as much: {}", self.largest()));
            apps.push((*number, since_ms, failure));
        }
        for (number, since_ms, failure) in jobs {
            let Some(job) = self.jobs.get_mut(&number) else { continue };
            job.unfit_ms = since_ms;
            if let (Some(failure), Some(work)) = (failure, job.work.as_deref_mut()) {
                work.failure.get_or_insert(failure);
                self.news.jobs.insert(number);
            }
        }
        for (number, since_ms, failure) in apps {
            let Some(app) = self.apps.get_mut(&number) else { continue };
            app.unfit_ms = since_ms;
            if let Some(reason) = failure {
                app.due.get_or_insert(Some(Ending { killed: false, reason }));
                self.news.apps.insert(number);
            }
        }
    }

    /// What the next task of a job takes that waits and may run.
    fn next_wanted(&self, number: u32, job: &Job) -> Option<(TaskKind, Resources)> {
        let work = job.work.as_deref()?;
        let spec = job.spec()?;
        let kind = match job.ready(self.has_output(number), &self.config, self.clock) {
            Ready::Nothing | Ready::Soon(_) => return None,
            Ready::Only(kind) => kind,
            Ready::Tasks if !work.pending_maps.is_empty() => TaskKind::Map,
            // Reduces that fit nowhere need not wait for the maps to show it.
            Ready::Tasks if !work.pending_reduces.is_empty() => TaskKind::Reduce,
            Ready::Tasks => return None,
        };
        Some((kind, resources_of(kind, spec)))
    }

    /// There are live trackers, and none has as much.
    fn fits_nobody(&self, wanted: Resources) -> bool {
        let mut live = self.trackers.values().filter(|tracker| tracker.is_live()).peekable();
        live.peek().is_some() && live.all(|tracker| !tracker.capacity.fits(wanted))
    }

    /// What trackers have, for a person who wants too much.
    fn largest(&self) -> String {
        let live = || self.trackers.values().filter(|tracker| tracker.is_live());
        let cores = live().map(|tracker| tracker.capacity.cores).max().unwrap_or_default();
        let memory_mib = live().map(|tracker| tracker.capacity.memory_mib).max().unwrap_or_default();
        format!("the most is {}", Resources { cores, memory_mib })
    }

    /// Says why an application has fewer executors than it wants.
    pub(crate) fn explain_waiting(&mut self, number: u32) {
        let now_ms = self.clock.monotonic_ms;
        let none = !self.trackers.values().any(|tracker| tracker.is_live());
        let Some(app) = self.apps.get_mut(&number) else { return };
        let before = app.version;
        let (has, wants) = (app.wanted(), app.target as usize);
        if app.ended || has >= wants {
            app.set_waiting(None);
        } else if now_ms >= app.pause_until_ms {
            let why = if none {
                "no tasktracker is registered".to_owned()
            } else {
                format!("waiting for room: {has} of {wants} executors")
            };
            app.set_waiting(Some(why));
        }
        if app.version != before {
            self.news.apps.insert(number);
        }
    }
}
