//! The jobtracker's doors, with the mistakes that are planted there: each changes a message on its way to or from the core.

use super::bugs::Bug;
use super::event::{Index, Request, Response, Wish};
use super::jobtracker::{Live, Parked, Steps};
use super::world::World;
use mammoth_jobtracker_core::api::{Answer, Command, Refusal, Reply, Report};
use mammoth_protocol::jobs::app::NewAppRequest;
use mammoth_protocol::jobs::client::SubmitRequest;
use mammoth_protocol::jobs::spec::ProgramRef;
use mammoth_protocol::jobs::tracker::{AttemptPhase, AttemptReport, Order, PollReply, PollRequest, RegisterRequest};
use mammoth_protocol::jobs::{AttemptId, Counters, JobId, TrackerEpoch, TrackerId};
use std::collections::{BTreeMap, BTreeSet};

/// What planted mistakes remember within a life.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    epochs: BTreeMap<TrackerId, TrackerEpoch>,
    counts: BTreeMap<TrackerId, u64>,
    launched: BTreeMap<AttemptId, TrackerId>,
    ended: BTreeSet<AttemptId>,
}

impl World {
    /// A message has arrived.
    pub(super) fn jobtracker_takes(&mut self, request: Request) {
        if self.jobtracker.live.is_none() {
            return self.sim.coverage.hit("request to a jobtracker that is down");
        }
        let forgetful = self.sim.rng.chance(200);
        self.with_jobtracker(|live, steps| match request {
            Request::Register(from, process, request) => live.register(steps, from, process, request),
            Request::Poll(from, process, request) => live.poll(steps, from, process, request),
            Request::Client(client, plan, wish) => live.client(steps, client, plan, wish, forgetful),
            Request::KillApp(app) => {
                let reason = "killed by the administrator".to_owned();
                if live.carry_out(steps, &Command::KillApp { app, reason }).is_err() {
                    steps.coverage.hit("refused: unknown application");
                }
                live.tick(steps);
            }
            Request::NewApp(driver, plan) => live.new_app(steps, driver, plan),
            Request::AppPoll(driver, plan, app, poll) => {
                let reply = match live.observe(steps, Report::AppPoll { app, poll, tasks: None }) {
                    Answer::App { reply } => Some(reply),
                    Answer::Gone => None,
                    other => unreachable!("{other:?} to a driver"),
                };
                live.send(steps, Response::Executors(driver, plan, reply));
            }
        });
    }

    /// The connection of a tracker breaks, and the jobtracker notices if a poll waits on it.
    pub(super) fn tracker_hangs_up(&mut self, tracker: Index) {
        if self.jobtracker.live.is_none() {
            return;
        }
        let id = self.trackers[tracker].id;
        self.with_jobtracker(|live, steps| {
            if let Some(Parked { epoch, seq, .. }) = live.parked.remove(&id) {
                steps.coverage.hit("tracker hung up");
                live.observe(steps, Report::HungUp { tracker: id, epoch, seq });
            }
        });
    }

    /// A poll has waited long enough.
    pub(super) fn wait_over(&mut self, life: u64, tracker: Index, epoch: TrackerEpoch, seq: u64) {
        if life != self.jobtracker.lives {
            return;
        }
        let id = self.trackers[tracker].id;
        self.with_jobtracker(|live, steps| {
            let same = |parked: &&Parked| parked.epoch == epoch && parked.seq == seq;
            if let Some(parked) = live.parked.get(&id).filter(same).copied() {
                live.parked.remove(&id);
                steps.coverage.hit("waiting poll over");
                live.answer_parked(steps, id, parked);
            }
        });
    }
}

impl Live {
    fn register(&mut self, steps: &mut Steps<'_>, from: Index, process: u64, mut request: RegisterRequest) {
        let id = request.tracker;
        let first = *steps.folders.entry(id).or_insert(request.generation);
        if steps.bug == Some(Bug::NewFolderUnseen) {
            request.generation = first;
        }
        self.parked.remove(&id);
        let response = match self.observe(steps, Report::Register(request)) {
            Answer::Registered(reply) => {
                self.memory.epochs.insert(id, reply.epoch);
                self.memory.counts.remove(&id);
                self.memory.launched.retain(|_, on| *on != id);
                Response::Registered(from, process, reply)
            }
            _ => Response::Stale(from, process, TrackerEpoch(0)),
        };
        self.send(steps, response);
    }

    fn poll(&mut self, steps: &mut Steps<'_>, from: Index, process: u64, mut request: PollRequest) {
        let (id, own_epoch, own_seq) = (request.tracker, request.epoch, request.seq);
        self.plant(steps.bug, &mut request);
        let (epoch, seq) = (request.epoch, request.seq);
        let asking = request.attempts.iter().filter(|report| report.state == AttemptPhase::CommitPending);
        let asking: Vec<AttemptId> = asking.map(|report| report.attempt).collect();
        let ended = request.attempts.iter().filter(|report| is_over(&report.state)).map(|report| report.attempt);
        self.memory.ended.extend(ended);
        let parked = Parked { from, process, epoch, seq, own_seq };
        match self.observe(steps, Report::Poll(request)) {
            Answer::Orders(reply) => self.answer(steps, id, parked, own_epoch, reply, &asking),
            Answer::Wait if steps.bug == Some(Bug::EveryoneMayCommit) && !asking.is_empty() => {
                let collect = Report::Collect { tracker: id, epoch, seq };
                if let Answer::Orders(reply) = self.observe(steps, collect) {
                    self.answer(steps, id, parked, own_epoch, reply, &asking);
                }
            }
            Answer::Wait => {
                self.parked.insert(id, parked);
                steps.waits.push((from, epoch, seq));
            }
            _ => {
                steps.coverage.hit("old registration refused");
                self.send(steps, Response::Stale(from, process, own_epoch));
            }
        }
    }

    /// Answers a poll that waited.
    pub(super) fn answer_parked(&mut self, steps: &mut Steps<'_>, id: TrackerId, parked: Parked) {
        let collect = Report::Collect { tracker: id, epoch: parked.epoch, seq: parked.seq };
        match self.observe(steps, collect) {
            Answer::Orders(reply) => self.answer(steps, id, parked, parked.epoch, reply, &[]),
            _ => self.send(steps, Response::Stale(parked.from, parked.process, parked.epoch)),
        }
    }

    fn answer(
        &mut self,
        steps: &mut Steps<'_>,
        id: TrackerId,
        parked: Parked,
        epoch: TrackerEpoch,
        mut reply: PollReply,
        asking: &[AttemptId],
    ) {
        for order in &reply.orders {
            steps.coverage.hit(name_of(order));
            match order {
                Order::Launch(launch) => drop(self.memory.launched.insert(launch.attempt, id)),
                Order::GrantCommit { attempt } => drop(steps.truth.granted.insert(*attempt)),
                _ => {}
            }
        }
        match steps.bug {
            Some(Bug::EveryoneMayCommit) => {
                let orders = asking.iter().map(|attempt| Order::GrantCommit { attempt: *attempt });
                reply.orders.extend(orders);
            }
            Some(Bug::ExecutorsForgotten) => {
                let running = |order: &Order| match order {
                    Order::KillExecutor { app, .. } => {
                        self.process.state.app_status(*app).is_some_and(|status| status.state == "RUNNING")
                    }
                    _ => true,
                };
                reply.orders.retain(running);
            }
            _ => {}
        }
        reply.seq = parked.own_seq;
        self.send(steps, Response::Orders(parked.from, parked.process, epoch, reply));
    }

    /// Changes a poll as the planted mistake does.
    fn plant(&mut self, bug: Option<Bug>, request: &mut PollRequest) {
        let id = request.tracker;
        match bug {
            Some(Bug::CopyTakenForNew) if self.memory.epochs.get(&id) == Some(&request.epoch) => {
                let count = self.memory.counts.entry(id).or_default();
                *count += 1;
                request.seq = *count;
            }
            Some(Bug::OldEpochTaken) => {
                request.epoch = self.memory.epochs.get(&id).copied().unwrap_or(request.epoch);
            }
            Some(Bug::StrangersUnseen) => {
                request.attempts.retain(|report| self.memory.launched.contains_key(&report.attempt));
            }
            Some(Bug::LateSuccessTaken) => {
                for report in &mut request.attempts {
                    if matches!(report.state, AttemptPhase::Succeeded { .. }) {
                        report.attempt = self.present(report.attempt).unwrap_or(report.attempt);
                    }
                }
            }
            Some(Bug::ComplaintsLost) => request.fetch_failures.clear(),
            Some(Bug::LaunchPresumed) => {
                let shown: BTreeSet<AttemptId> = request.attempts.iter().map(|report| report.attempt).collect();
                let launched = self.memory.launched.iter().filter(|(attempt, on)| {
                    **on == id && !shown.contains(attempt) && !self.memory.ended.contains(attempt)
                });
                request.attempts.extend(launched.map(|(attempt, _)| presumed(*attempt)));
            }
            _ => {}
        }
    }

    /// The attempt by which the task of an attempt runs now.
    fn present(&self, attempt: AttemptId) -> Option<AttemptId> {
        let tasks = self.process.state.tasks(attempt.task.job)?;
        let task = tasks.into_iter().find(|task| task.task == attempt.task)?;
        let running =
            task.attempts.iter().rev().find(|attempt| attempt.state == "RUNNING" || attempt.state == "ASSIGNED");
        running.map(|attempt| attempt.attempt)
    }

    fn client(&mut self, steps: &mut Steps<'_>, client: Index, plan: u64, wish: Wish, forgetful: bool) {
        let done = match wish {
            Wish::Id => {
                let reply = self.carry_out(steps, &Command::NewJob { user: "sim".to_owned() });
                if let Ok(Reply::Job(job)) = reply {
                    self.send(steps, Response::Id(client, plan, job));
                }
                return;
            }
            Wish::Submit(job) => self.submit(steps, job, forgetful),
            Wish::Status(job) if forgetful => self.impossible(steps, job),
            Wish::Status(_) => Ok(()),
            Wish::Kill(job) => {
                let reason = format!("client {client} does not want it any more");
                self.carry_out(steps, &Command::KillJob { job, reason }).map(|_| ())
            }
        };
        if let Err(refusal) = &done {
            steps.coverage.hit(match refusal {
                Refusal::OtherSpec(_) => "refused: other specification",
                _ => "refused",
            });
        }
        self.tick(steps);
        let status = wish.job().and_then(|job| self.process.state.job_status(job)).map(Box::new);
        self.send(steps, Response::Job(client, plan, wish, status));
    }

    fn submit(&mut self, steps: &mut Steps<'_>, job: JobId, forgetful: bool) -> Result<(), Refusal> {
        let Some(spec) = steps.truth.specs.get(&job).cloned() else { return Err(Refusal::UnknownJob(job)) };
        let request = SubmitRequest { job, spec: format!("/staging/{job}/spec"), sha256: "00".to_owned() };
        self.carry_out(steps, &Command::Submit { request, spec: spec.clone() })?;
        if !forgetful {
            self.observe(steps, Report::Spec { job, spec: Ok(spec) });
        }
        Ok(())
    }

    /// What cannot be is refused.
    fn impossible(&mut self, steps: &mut Steps<'_>, job: JobId) -> Result<(), Refusal> {
        let unknown = JobId { number: job.number + 10_000, ..job };
        let kill = Command::KillJob { job: unknown, reason: String::new() };
        let killed = self.carry_out(steps, &kill);
        assert_eq!(killed, Err(Refusal::UnknownJob(unknown)), "nobody has submitted it");
        steps.coverage.hit("refused: unknown job");
        let Some(spec) = steps.truth.specs.get(&job).cloned() else { return Ok(()) };
        let request = SubmitRequest { job, spec: "/another".to_owned(), sha256: "11".to_owned() };
        self.carry_out(steps, &Command::Submit { request, spec }).map(|_| ())
    }

    fn new_app(&mut self, steps: &mut Steps<'_>, driver: Index, plan: u64) {
        let request = NewAppRequest {
            name: "sim".to_owned(),
            user: "sim".to_owned(),
            fs: String::new(),
            program: ProgramRef::default(),
            driver: format!("driver{driver}:1"),
            secret: String::new(),
            settings: BTreeMap::new(),
        };
        if let Ok(Reply::App(reply)) = self.carry_out(steps, &Command::NewApp(request)) {
            self.tick(steps);
            self.send(steps, Response::App(driver, plan, reply.app));
        }
    }
}

impl Wish {
    /// The job that it is about.
    #[must_use]
    pub fn job(self) -> Option<JobId> {
        match self {
            Self::Id => None,
            Self::Submit(job) | Self::Status(job) | Self::Kill(job) => Some(job),
        }
    }
}

fn presumed(attempt: AttemptId) -> AttemptReport {
    AttemptReport {
        attempt,
        state: AttemptPhase::Running,
        progress: 0.0,
        phase: String::new(),
        counters: Counters::default(),
        resources: mammoth_protocol::jobs::Resources::default(),
    }
}

/// Whether an attempt has ended.
pub(super) fn is_over(phase: &AttemptPhase) -> bool {
    match phase {
        AttemptPhase::Starting | AttemptPhase::Running | AttemptPhase::CommitPending => false,
        AttemptPhase::Succeeded { .. } | AttemptPhase::Failed { .. } | AttemptPhase::Killed { .. } => true,
    }
}

/// Orders by name, for coverage.
fn name_of(order: &Order) -> &'static str {
    match order {
        Order::Launch(_) => "order: launch",
        Order::Kill { .. } => "order: kill",
        Order::GrantCommit { .. } => "order: grant commit",
        Order::Forget { .. } => "order: forget",
        Order::Outputs { .. } => "order: outputs",
        Order::DropJob { .. } => "order: drop job",
        Order::LaunchExecutor(_) => "order: launch executor",
        Order::KillExecutor { .. } => "order: kill executor",
        Order::ForgetExecutor { .. } => "order: forget executor",
        Order::DropApp { .. } => "order: drop application",
    }
}
