//! Applications of the in-memory mode and their executors: the jobtracker as their cluster manager.
//!
//! Level-triggered: a driver says how many executors it wants, and the scheduler brings their number there, whatever ends and
//! whoever is lost in between. A driver that is not heard of for its lease is gone, and so are its executors.

mod driver;
mod executor;

pub(crate) use executor::{Executor, ExecutorInput, ExecutorState};

use crate::api::{CoreConfig, Ending};
use crate::rows::AppRow;
use crate::state::State;
use crate::text::{clip, first_line};
use crate::trackers::ExecutorKey;
use executor::ExecutorTurn;
use mammoth_protocol::Now;
use mammoth_protocol::jobs::tracker::ExecutorReport;
use mammoth_protocol::jobs::{AppId, ExecutorId, Resources, TrackerId};
use mammoth_protocol::limits::{EXECUTORS_PER_LIFE_MAX, REASON_BYTES_MAX};
use std::collections::BTreeMap;

/// Ended executors that a driver is still shown.
const ENDED_SHOWN: usize = 100;
/// Doublings of the pause after executors that end at once.
const PAUSE_DOUBLINGS_MAX: u32 = 5;

/// The soft side of an application.
#[derive(Clone, Debug)]
pub(crate) struct App {
    pub(crate) id: AppId,
    /// Place in the queue.
    pub(crate) place: u64,
    /// Its row says that it has ended.
    pub(crate) ended: bool,
    /// Its driver is gone then, monotonic milliseconds.
    pub(crate) lease_until_ms: u64,
    /// The last poll taken in; 0 = none in this life.
    pub(crate) seq: u64,
    pub(crate) target: u32,
    /// What each further executor takes.
    pub(crate) resources: Resources,
    pub(crate) executors: BTreeMap<ExecutorId, Executor>,
    /// Grows with every change that the driver is shown.
    pub(crate) version: u64,
    /// Why there are fewer than wanted.
    pub(crate) waiting: Option<String>,
    /// Since when its executors fit no tracker at all, monotonic milliseconds.
    pub(crate) unfit_ms: Option<u64>,
    /// The end that it waits for: nothing inside = well.
    pub(crate) due: Option<Option<Ending>>,
    pub(crate) tasks_done: u64,
    pub(crate) tasks_total: u64,
    /// Executors by tracker that ended by themselves there.
    pub(crate) deaths_on: BTreeMap<TrackerId, u32>,
    /// Executors in a row that ended at once.
    quick_deaths: u32,
    /// When the last of them did, monotonic milliseconds.
    last_death_ms: u64,
    /// No executor is started before, monotonic milliseconds.
    pub(crate) pause_until_ms: u64,
    first: u32,
    next: u32,
}

impl App {
    /// The soft side of a row.
    pub(crate) fn new(id: AppId, row: &AppRow, life: u32, config: &CoreConfig, now: Now) -> Self {
        let lives = life.saturating_sub(row.record.life);
        let first = lives.saturating_mul(EXECUTORS_PER_LIFE_MAX);
        Self {
            id,
            place: row.record.place,
            ended: row.end.is_some(),
            lease_until_ms: now.monotonic_ms.saturating_add(config.app_lease_ms),
            seq: 0,
            target: 0,
            resources: Resources::default(),
            executors: BTreeMap::new(),
            version: u64::from(life) << 32,
            waiting: None,
            unfit_ms: None,
            due: None,
            tasks_done: 0,
            tasks_total: 0,
            deaths_on: BTreeMap::new(),
            quick_deaths: 0,
            last_death_ms: 0,
            pause_until_ms: 0,
            first,
            next: first,
        }
    }

    /// Something that the driver is shown is different.
    pub(crate) fn touch(&mut self) {
        self.version += 1;
    }

    /// Executors that run or are about to.
    pub(crate) fn wanted(&self) -> usize {
        self.executors.values().filter(|executor| executor.is_wanted()).count()
    }

    /// How many more are to be started now.
    pub(crate) fn lacks(&self, now_ms: u64) -> usize {
        let open = !self.ended && self.due.is_none() && now_ms >= self.pause_until_ms;
        if open { (self.target as usize).saturating_sub(self.wanted()) } else { 0 }
    }

    /// Takes the number of a new executor.
    pub(crate) fn next_id(&mut self) -> Option<ExecutorId> {
        if self.next - self.first >= EXECUTORS_PER_LIFE_MAX {
            let reason = format!("more than {EXECUTORS_PER_LIFE_MAX} executors were started");
            self.due.get_or_insert(Some(Ending { killed: false, reason }));
            return None;
        }
        self.next += 1;
        Some(ExecutorId(self.next - 1))
    }

    /// Says why there are fewer executors than wanted.
    pub(crate) fn set_waiting(&mut self, why: Option<String>) {
        if self.waiting != why {
            self.waiting = why;
            self.touch();
        }
    }

    /// An executor ended without being told to.
    fn died(&mut self, id: ExecutorId, config: &CoreConfig, now_ms: u64) {
        let Some(executor) = self.executors.get(&id) else { return };
        let ExecutorState::Ended { reason, .. } = &executor.state else { return };
        let reason = reason.clone();
        *self.deaths_on.entry(executor.tracker).or_default() += 1;
        if now_ms.saturating_sub(executor.granted_ms) >= config.quick_death_ms {
            return;
        }
        self.last_death_ms = now_ms;
        self.quick_deaths += 1;
        let pause_ms = config.executor_pause_ms << (self.quick_deaths - 1).min(PAUSE_DOUBLINGS_MAX);
        self.pause_until_ms = now_ms.saturating_add(pause_ms);
        if self.quick_deaths >= config.quick_deaths_max && !self.ended {
            let text = format!("{} executors in a row ended at once, the last one: {reason}", self.quick_deaths);
            let reason = clip(&text, REASON_BYTES_MAX);
            self.due.get_or_insert(Some(Ending { killed: false, reason }));
        } else {
            self.set_waiting(Some(format!("an executor ended at once: {}", first_line(&reason))));
        }
    }

    /// An executor that was started after the last quick death and lives shows that not all die.
    pub(crate) fn forgive(&mut self, config: &CoreConfig, now_ms: u64) {
        let since = self.last_death_ms;
        let lives = |executor: &Executor| {
            let age_ms = now_ms.saturating_sub(executor.granted_ms);
            executor.state == ExecutorState::Running && executor.granted_ms > since && age_ms >= config.quick_death_ms
        };
        if self.quick_deaths > 0 && self.executors.values().any(lives) {
            self.quick_deaths = 0;
        }
    }

    /// Forgets executors that ended long ago.
    fn prune(&mut self) {
        let ended = self.executors.iter().filter(|(_, executor)| !executor.is_live()).map(|(id, _)| *id);
        let ended: Vec<_> = ended.collect();
        for id in ended.iter().take(ended.len().saturating_sub(ENDED_SHOWN)) {
            self.executors.remove(id);
        }
    }
}

impl State {
    /// Lets something happen to an executor.
    pub(crate) fn feed_executor(&mut self, key: ExecutorKey, input: &ExecutorInput<'_>) {
        let now_ms = self.clock.monotonic_ms;
        let Some(app) = self.apps.get_mut(&key.0.number).filter(|app| app.id == key.0) else { return };
        let Some(executor) = app.executors.get_mut(&key.1) else { return };
        let tracker = executor.tracker;
        match executor.step(input) {
            ExecutorTurn::Same => return,
            ExecutorTurn::Changed => {}
            ExecutorTurn::Ended { by_itself } => {
                if let Some(tracker) = self.trackers.get_mut(&tracker) {
                    tracker.executors.remove(&key);
                }
                if by_itself {
                    app.died(key.1, &self.config, now_ms);
                }
                app.prune();
            }
        }
        app.touch();
        self.news.apps.insert(key.0.number);
    }

    /// Gives an executor to a tracker.
    pub(crate) fn grant_executor(&mut self, number: u32, tracker: TrackerId) -> bool {
        let Some(app) = self.apps.get_mut(&number) else { return false };
        let Some(on) = self.trackers.get_mut(&tracker) else { return false };
        let Some(id) = app.next_id() else { return false };
        let (host, resources) = (on.place.host.clone(), app.resources);
        let granted_ms = self.clock.monotonic_ms;
        let state = ExecutorState::Assigned { offered: false };
        app.executors.insert(id, Executor { tracker, host, resources, granted_ms, state });
        on.executors.insert((app.id, id), resources);
        app.touch();
        self.news.apps.insert(number);
        true
    }

    /// A tracker shows an executor that nobody gave it in this life: one of an earlier life goes on, if its application does,
    /// and its driver is told of one that has ended meanwhile. Whether it is taken in.
    pub(crate) fn adopt(&mut self, tracker: TrackerId, report: &ExecutorReport) -> bool {
        let Some(app) = self.apps.get_mut(&report.app.number).filter(|app| app.id == report.app && !app.ended) else {
            return false;
        };
        let Some(on) = self.trackers.get_mut(&tracker) else { return false };
        let (id, resources) = (report.executor, report.resources);
        let room = on.capacity.less(on.used()).fits(resources);
        if id.0 >= app.first || app.executors.contains_key(&id) || (!room && report.ended.is_none()) {
            return false;
        }
        let host = on.place.host.clone();
        // When it began is not known. That it ended at once is not, either.
        let early_ms = if report.ended.is_some() { self.config.quick_death_ms } else { 0 };
        let granted_ms = self.clock.monotonic_ms.saturating_sub(early_ms);
        app.executors.insert(id, Executor { tracker, host, resources, granted_ms, state: ExecutorState::Running });
        on.executors.insert((app.id, id), resources);
        app.touch();
        self.news.apps.insert(report.app.number);
        true
    }
}
