//! Fake tasktrackers: their polls and what they do as they are told.

use super::attempt::Held;
use super::doors::is_over;
use super::event::{Event, Index, Request};
use super::executor::HeldExecutor;
use super::jobtracker::config;
use super::world::World;
use crate::rng::Rng;
use mammoth_protocol::Uuid;
use mammoth_protocol::jobs::tracker::{
    ExecutorReport, FetchFailure, Order, OutputEvent, OutputsWanted, PollReply, PollRequest, RegisterReply,
    RegisterRequest,
};
use mammoth_protocol::jobs::{AppId, AttemptId, ExecutorId, JobId, Resources, TaskKind, TrackerEpoch, TrackerId};
use std::collections::{BTreeMap, BTreeSet};

/// Silence after which a tracker repeats itself.
const PATIENCE_MS: u64 = 700;

/// A tasktracker: a folder that outlives the process, and the process if it runs.
#[derive(Clone, Debug)]
pub struct Tracker {
    /// Which.
    pub index: Index,
    /// Its identity.
    pub id: TrackerId,
    /// What it grants.
    pub capacity: Resources,
    /// It runs.
    pub up: bool,
    /// Which process it is.
    pub life: u64,
    /// Identity of its folder.
    pub generation: Uuid,
    /// Outputs in it.
    pub files: BTreeSet<AttemptId>,
    /// Those among them that cannot be read.
    pub broken: BTreeSet<AttemptId>,
    /// Jobs of which there is something in it.
    pub jobs: BTreeSet<JobId>,
    /// Applications likewise.
    pub apps: BTreeSet<AppId>,
    /// Attempts, running and ended.
    pub held: BTreeMap<AttemptId, Held>,
    /// Executors, likewise.
    pub executors: BTreeMap<(AppId, ExecutorId), HeldExecutor>,
    /// Where maps' outputs are, by job.
    pub known: BTreeMap<JobId, Known>,
    /// Of its registration.
    pub epoch: Option<TrackerEpoch>,
    /// The process does nothing until then.
    pub hung_until_ms: u64,
    /// No message of it gets through until then.
    pub cut_off_until_ms: u64,
    pub(super) failures: Vec<FetchFailure>,
    /// Complaints before these.
    failures_before: u64,
    seq: u64,
    asked: Option<PollRequest>,
    sent_ms: u64,
    /// When the last message that was answered was sent.
    contact_ms: u64,
    plan: u64,
}

/// What a tracker knows of a job's outputs.
#[derive(Clone, Debug, Default)]
pub struct Known {
    next: u64,
    /// By map: which attempt's, in the folder of which identity.
    pub maps: BTreeMap<u32, (AttemptId, Uuid)>,
}

impl Tracker {
    pub(super) fn new(index: Index, rng: &mut Rng) -> Self {
        let cores = 2 + rng.below(3) as u32;
        Self {
            index,
            id: TrackerId(Uuid(index as u128 + 1)),
            capacity: Resources { cores, memory_mib: cores * 100 },
            up: false,
            life: 0,
            generation: Uuid(u128::from(rng.bits())),
            files: BTreeSet::new(),
            broken: BTreeSet::new(),
            jobs: BTreeSet::new(),
            apps: BTreeSet::new(),
            held: BTreeMap::new(),
            executors: BTreeMap::new(),
            known: BTreeMap::new(),
            epoch: None,
            hung_until_ms: 0,
            cut_off_until_ms: 0,
            failures: Vec::new(),
            failures_before: 0,
            seq: 0,
            asked: None,
            sent_ms: 0,
            contact_ms: 0,
            plan: 0,
        }
    }

    /// What runs here takes so much.
    #[must_use]
    pub fn used(&self) -> Resources {
        let attempts = self.held.values().filter(|held| !is_over(&held.phase)).map(|held| held.launch.resources);
        let executors = self.executors.values().filter(|held| held.ended.is_none()).map(|held| held.resources);
        attempts.chain(executors).fold(Resources::default(), |sum, taken| sum.plus(taken))
    }

    fn request(&self) -> Option<PollRequest> {
        let epoch = self.epoch?;
        let executors = self.executors.iter().map(|((app, executor), held)| ExecutorReport {
            app: *app,
            executor: *executor,
            pid: Some(1),
            resources: held.resources,
            ended: held.ended.clone(),
        });
        let reducing = self.held.iter().filter(|(id, held)| id.task.kind == TaskKind::Reduce && !is_over(&held.phase));
        let reducing: BTreeSet<JobId> = reducing.map(|(id, _)| id.task.job).collect();
        let wanted = |job| OutputsWanted { job, from: self.known.get(&job).map_or(0, |known| known.next) };
        Some(PollRequest {
            tracker: self.id,
            epoch,
            seq: self.seq,
            attempts: self.held.iter().map(|(id, held)| held.report(*id)).collect(),
            executors: executors.collect(),
            fetch_failures: self.failures.clone(),
            fetch_failures_before: self.failures_before,
            wants_outputs: reducing.into_iter().map(wanted).collect(),
            jobs: self.jobs.iter().copied().collect(),
            apps: self.apps.iter().copied().collect(),
            wait_ms: config().poll_wait_ms,
        })
    }
}

impl World {
    /// Plans the tracker's next act; earlier plans are void.
    pub(super) fn tracker_goes_on(&mut self, index: Index, delay_ms: u64) {
        let tracker = &mut self.trackers[index];
        tracker.plan += 1;
        let event = Event::TrackerActs { tracker: index, life: tracker.life, plan: tracker.plan };
        self.sim.later(delay_ms, event);
    }

    /// Something that the jobtracker should hear of has happened: sometimes the waiting poll is given up for a new one.
    pub(super) fn tracker_has_news(&mut self, index: Index) {
        if self.sim.rng.chance(600) {
            self.trackers[index].asked = None;
            let delay = 1 + self.sim.rng.below(10);
            self.tracker_goes_on(index, delay);
        }
    }

    /// A tracker sends, or sends again.
    pub(super) fn tracker_acts(&mut self, index: Index, life: u64, plan: u64) {
        let tracker = &self.trackers[index];
        if !tracker.up || tracker.life != life || tracker.plan != plan {
            return;
        }
        self.fence(index);
        let now_ms = self.sim.now_ms;
        let tracker = &mut self.trackers[index];
        tracker.sent_ms = now_ms;
        if tracker.epoch.is_none() {
            let request = RegisterRequest {
                tracker: tracker.id,
                host: host(index),
                http: format!("{}:50060", host(index)),
                generation: tracker.generation,
                capacity: tracker.capacity,
                software: String::new(),
            };
            self.send_to_jobtracker(Request::Register(index, life, request));
        } else {
            if tracker.asked.is_none() {
                tracker.seq += 1;
                tracker.asked = tracker.request();
            } else {
                self.sim.coverage.hit("poll repeated");
            }
            if let Some(request) = self.trackers[index].asked.clone() {
                self.send_to_jobtracker(Request::Poll(index, life, request));
            }
        }
        self.tracker_goes_on(index, PATIENCE_MS);
    }

    /// A registration was taken.
    pub(super) fn registered(&mut self, index: Index, life: u64, reply: &RegisterReply) {
        let tracker = &mut self.trackers[index];
        if !tracker.up || tracker.life != life || tracker.epoch.is_some_and(|epoch| epoch >= reply.epoch) {
            return;
        }
        tracker.epoch = Some(reply.epoch);
        tracker.seq = 0;
        tracker.asked = None;
        tracker.failures.clear();
        tracker.known.clear();
        tracker.contact_ms = tracker.sent_ms;
        self.sim.coverage.hit("registered");
        self.tracker_goes_on(index, 1);
    }

    /// The jobtracker does not know the tracker.
    pub(super) fn not_known(&mut self, index: Index, life: u64, epoch: TrackerEpoch) {
        let tracker = &mut self.trackers[index];
        if tracker.up && tracker.life == life && tracker.epoch == Some(epoch) {
            tracker.epoch = None;
            tracker.asked = None;
            self.sim.coverage.hit("registers again");
            self.tracker_goes_on(index, 1);
        }
    }

    /// The answer to a poll.
    pub(super) fn take_orders(&mut self, index: Index, life: u64, epoch: TrackerEpoch, reply: PollReply) {
        let tracker = &mut self.trackers[index];
        let asked = tracker.asked.as_ref().map(|request| (request.epoch, request.seq));
        if !tracker.up || tracker.life != life || asked != Some((epoch, reply.seq)) {
            return self.sim.coverage.hit("late answer dropped");
        }
        let told = tracker.asked.take().map_or(0, |request| request.fetch_failures.len());
        tracker.failures.drain(..told);
        tracker.failures_before += told as u64;
        tracker.contact_ms = tracker.sent_ms;
        for order in reply.orders {
            self.obey(index, order);
        }
        let delay = 1 + self.sim.rng.below(10);
        self.tracker_goes_on(index, delay);
    }

    fn obey(&mut self, index: Index, order: Order) {
        let life = self.trackers[index].life;
        match order {
            Order::Launch(launch) => self.start_attempt(index, launch),
            Order::Kill { attempt, .. } => {
                let delay = 1 + self.sim.rng.below(200);
                self.sim.later(delay, Event::AttemptDies { tracker: index, life, attempt });
            }
            Order::GrantCommit { attempt } => self.may_commit(index, attempt),
            Order::Forget { attempt } => {
                let tracker = &mut self.trackers[index];
                if tracker.held.get(&attempt).is_some_and(|held| is_over(&held.phase)) {
                    tracker.held.remove(&attempt);
                }
            }
            Order::Outputs { job, from, events } => self.learn_outputs(index, job, from, events),
            Order::DropJob { job } => {
                let delay = 1 + self.sim.rng.below(100);
                self.sim.later(delay, Event::JobDropped { tracker: index, life, job });
            }
            Order::LaunchExecutor(launch) => self.start_executor(index, &launch),
            Order::KillExecutor { app, executor, .. } => {
                let delay = 1 + self.sim.rng.below(200);
                self.sim.later(delay, Event::ExecutorDies { tracker: index, life, app, executor, by_order: true });
            }
            Order::ForgetExecutor { app, executor } => {
                let tracker = &mut self.trackers[index];
                if tracker.executors.get(&(app, executor)).is_some_and(|held| held.ended.is_some()) {
                    tracker.executors.remove(&(app, executor));
                }
            }
            Order::DropApp { app } => drop(self.trackers[index].apps.remove(&app)),
        }
    }

    fn learn_outputs(&mut self, index: Index, job: JobId, from: u64, events: Vec<OutputEvent>) {
        let known = self.trackers[index].known.entry(job).or_default();
        if from != known.next {
            known.maps.clear();
            if known.next != 0 {
                self.sim.coverage.hit("outputs of an earlier life void");
            }
        }
        known.next = from + events.len() as u64;
        for event in events {
            match event {
                OutputEvent::Ready { attempt, generation, .. } => {
                    known.maps.insert(attempt.task.index, (attempt, generation));
                }
                OutputEvent::Lost { attempt } => drop(known.maps.remove(&attempt.task.index)),
            }
        }
    }

    /// What is left of a job goes.
    pub(super) fn job_dropped(&mut self, index: Index, life: u64, job: JobId) {
        let tracker = &mut self.trackers[index];
        if !tracker.up || tracker.life != life {
            return;
        }
        tracker.jobs.remove(&job);
        tracker.files.retain(|id| id.task.job != job);
        tracker.broken.retain(|id| id.task.job != job);
        tracker.known.remove(&job);
        let state = self.jobtracker.state().and_then(|state| state.job_status(job));
        if let Some(status) = state.filter(|status| !status.state.is_final()) {
            self.sim.violation(format!("what is left of {job} went, and it is {:?}", status.state));
        }
    }

    /// A tracker that could not reach the jobtracker for too long ends what it runs.
    pub(super) fn fence(&mut self, index: Index) {
        let tracker = &mut self.trackers[index];
        if self.sim.now_ms.saturating_sub(tracker.contact_ms) <= config().expiry_ms {
            return;
        }
        let mut any = false;
        for held in tracker.held.values_mut() {
            any |= held.die("the jobtracker was silent");
        }
        for held in tracker.executors.values_mut().filter(|held| held.ended.is_none()) {
            held.ended = Some("the jobtracker was silent".to_owned());
            any = true;
        }
        if any {
            self.sim.coverage.hit("tracker ended its attempts");
        }
    }

    /// A tracker's process ends. Its children end with it.
    pub(super) fn tracker_dies(&mut self, index: Index, folder_too: bool) {
        let generation = Uuid(u128::from(self.sim.rng.bits()));
        let tracker = &mut self.trackers[index];
        tracker.up = false;
        tracker.life += 1;
        tracker.held.clear();
        tracker.executors.clear();
        tracker.known.clear();
        tracker.failures.clear();
        tracker.epoch = None;
        tracker.asked = None;
        tracker.hung_until_ms = 0;
        if folder_too {
            tracker.generation = generation;
            tracker.files.clear();
            tracker.broken.clear();
            tracker.jobs.clear();
            tracker.apps.clear();
        }
    }

    /// A tracker starts.
    pub(super) fn tracker_starts(&mut self, index: Index) {
        let now_ms = self.sim.now_ms;
        let tracker = &mut self.trackers[index];
        if !tracker.up {
            tracker.up = true;
            tracker.contact_ms = now_ms;
            self.tracker_goes_on(index, 1);
        }
    }
}

/// Host name of a tracker.
#[must_use]
pub fn host(index: Index) -> String {
    format!("h{index}")
}
