//! The whole state of a jobtracker, and its way to the log and the checkpoint.

mod after;
mod journaled;
mod settle;
#[cfg(test)]
mod tests;

use crate::api::{Answer, CoreConfig, Effect, Outcome, Report};
use crate::apps::App;
use crate::jobs::Job;
use crate::rows::Rows;
use crate::trackers::Tracker;
use mammoth_protocol::Now;
use mammoth_protocol::jobs::TrackerId;
use std::collections::{BTreeMap, BTreeSet};

/// The owner, who calls several times a second, was stopped if it did not for so long.
const STALL_MS: u64 = 1_500;

/// Everything that a jobtracker knows. One thread owns it.
///
/// | part | kind | changed by |
/// |---|---|---|
/// | `rows` | hard: log and checkpoint | `apply` only |
/// | `jobs`, `apps` (which, their phases), `queue`, `started` | derived from `rows` | `apply` only |
/// | `jobs` (tasks, attempts), `apps` (executors), `trackers` | soft: rebuilt from reports | `observe`, `tick`, `apply` |
#[derive(Clone, Debug)]
pub struct State {
    pub(crate) config: CoreConfig,
    pub(crate) rows: Rows,
    /// This life has begun.
    pub(crate) started: bool,
    /// Submitted jobs that are known, by number.
    pub(crate) jobs: BTreeMap<u32, Job>,
    /// Applications that are known, by number.
    pub(crate) apps: BTreeMap<u32, App>,
    /// Jobs and applications that have not ended, by place.
    pub(crate) queue: BTreeMap<u64, Queued>,
    pub(crate) trackers: BTreeMap<TrackerId, Tracker>,
    /// When this life began, monotonic milliseconds.
    pub(crate) began_ms: u64,
    /// Registrations in this life.
    pub(crate) epochs: u64,
    pub(crate) news: News,
    /// The latest time that `observe` or `tick` was told.
    pub(crate) clock: Now,
}

/// One that waits for grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Queued {
    Job(u32),
    App(u32),
}

/// What has changed since the last outcome.
#[derive(Clone, Debug, Default)]
pub(crate) struct News {
    pub(crate) jobs: BTreeSet<u32>,
    pub(crate) apps: BTreeSet<u32>,
    /// Trackers for which there may be orders.
    pub(crate) trackers: BTreeSet<TrackerId>,
    pub(crate) effects: Vec<Effect>,
}

impl State {
    /// A jobtracker that knows of nothing. To load a stored one, go on with
    /// [`Journaled`](mammoth_protocol::journaled::Journaled)'s methods; in any case [`crate::api::Command::Start`] comes next.
    #[must_use]
    pub fn new(config: CoreConfig, now: Now) -> Self {
        Self {
            config,
            rows: Rows::default(),
            started: false,
            jobs: BTreeMap::new(),
            apps: BTreeMap::new(),
            queue: BTreeMap::new(),
            trackers: BTreeMap::new(),
            began_ms: now.monotonic_ms,
            epochs: 0,
            news: News::default(),
            clock: now,
        }
    }

    /// Makes an empty state ready to be loaded. Without it loading begins with the first row, and a log whose checkpoint has none
    /// would be taken as if it were being decided: what does not fit would go unnoticed.
    #[must_use]
    pub fn loading(mut self) -> Self {
        self.rows.begin_load();
        self
    }

    /// Back to the beginning of a life.
    fn forget_soft(&mut self) {
        let rows = std::mem::take(&mut self.rows);
        *self = Self { rows, ..Self::new(self.config.clone(), self.clock) };
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &CoreConfig {
        &self.config
    }

    /// Takes news in.
    pub fn observe(&mut self, now: Now, report: Report) -> Outcome {
        self.advance_clock(now);
        let answer = match report {
            Report::Register(request) => {
                let answer = self.register(request);
                self.settle(false);
                answer
            }
            Report::Poll(request) => {
                let (id, seq) = (request.tracker, request.seq);
                let pending = self.poll(request);
                self.settle(false);
                self.answer(id, seq, pending)
            }
            Report::Collect { tracker, epoch, seq } => self.collect(tracker, epoch, seq),
            Report::HungUp { tracker, epoch, seq } => {
                self.hung_up(tracker, epoch, seq);
                Answer::None
            }
            Report::AppPoll { app, poll, tasks } => {
                self.app_poll(app, poll, tasks);
                self.settle(false);
                self.app_poll_reply(app).map_or(Answer::Gone, |reply| Answer::App { reply })
            }
            Report::Spec { job, spec } => {
                self.take_spec(job, spec);
                self.settle(false);
                Answer::None
            }
        };
        self.outcome(answer, false)
    }

    /// Lets time pass, and starts what follows from edits that were applied.
    pub fn tick(&mut self, now: Now) -> Outcome {
        self.advance_clock(now);
        if !self.started {
            return Outcome::default();
        }
        self.expire_trackers();
        self.expire_apps();
        self.settle(true);
        self.ask_for_specs();
        self.outcome(Answer::None, true)
    }

    /// Keeps the latest time; time never goes back. While the jobtracker itself stood still nobody was silent.
    fn advance_clock(&mut self, now: Now) {
        let still_ms = now.monotonic_ms.saturating_sub(self.clock.monotonic_ms);
        if still_ms >= STALL_MS {
            for tracker in self.trackers.values_mut() {
                tracker.heard_ms = tracker.heard_ms.saturating_add(still_ms);
                tracker.hung_up_ms = tracker.hung_up_ms.map(|at_ms| at_ms.saturating_add(still_ms));
            }
            for app in self.apps.values_mut() {
                app.lease_until_ms = app.lease_until_ms.saturating_add(still_ms);
            }
        }
        self.clock = Now { monotonic_ms: self.clock.monotonic_ms.max(now.monotonic_ms), wall_ms: now.wall_ms };
    }
}
