//! The one thread that owns the state.
//!
//! It takes a batch of requests, decides each by the state as it is, applies the edits, and hands them to the journal as one
//! group; answers and orders leave when the journal says that what they depend on is durable. In between it gives the core its
//! ticks and the journal a slice of a checkpoint. It never waits for a disk and never for a door.

mod ask;
mod handle;
mod parked;
#[cfg(test)]
mod tests;

pub use ask::Held;
pub use handle::DriverHandle;

use crate::files::FilesHandle;
use ask::{Ask, Look};
use mammoth_jobtracker_core::State;
use mammoth_jobtracker_core::api::{Answer, Command, Effect, Outcome, Refusal, Reply, Report};
use mammoth_journal::{Counters, Journal};
use mammoth_platform::Clock;
use mammoth_protocol::jobs::app::{AppPoll, AppPollReply};
use mammoth_protocol::jobs::client::JobStatus;
use mammoth_protocol::jobs::spec::JobSpec;
use mammoth_protocol::jobs::tracker::{PollReply, PollRequest, RegisterReply, RegisterRequest};
use mammoth_protocol::jobs::{AppId, JobId, TrackerId};
use mammoth_protocol::{ErrorCode, FsError, Now};
use mammoth_web::mailbox::{Mailbox, Way};
use parked::{DriverPoll, Parked, TrackerPoll, Watcher};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Requests that one round takes at most, so that ticks and checkpoint slices get their turn.
const BATCH: usize = 256;
/// Milliseconds between two ticks.
const TICK_MS: u64 = 200;
/// Longest wait of a watcher of a job.
const WATCH_MAX_MS: u64 = 60_000;
/// How long the journal may take for its last group at the end.
const CLOSE_PATIENCE: Duration = Duration::from_secs(10);

/// What the journal has counted, as of the driver's last round; for metrics.
#[derive(Clone, Debug, Default)]
pub struct Figures(Arc<Mutex<Counters>>);

impl Figures {
    /// The present numbers.
    #[must_use]
    pub fn journal(&self) -> Counters {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The driver.
pub struct Driver {
    state: State,
    journal: Journal<Held>,
    mailbox: Mailbox<Ask>,
    clock: Arc<dyn Clock>,
    files: FilesHandle,
    figures: Figures,
    parked: Parked,
    next_tick_ms: u64,
}

impl Driver {
    /// A driver that does not run yet; it is asked by `handle`, whose mailbox `journal` must poke.
    #[must_use]
    pub fn new(
        state: State,
        journal: Journal<Held>,
        handle: DriverHandle,
        clock: Arc<dyn Clock>,
        files: FilesHandle,
        figures: Figures,
    ) -> Self {
        let mailbox = handle.mailbox;
        Self { state, journal, mailbox, clock, files, figures, parked: Parked::default(), next_tick_ms: 0 }
    }

    /// Runs until the mailbox is closed and empty.
    ///
    /// # Errors
    /// The journal failed.
    pub fn run(mut self) -> Result<(), String> {
        let _closing = self.mailbox.empty_when_dropped();
        let start = self.clock.now();
        let (nobody, _) = tokio::sync::oneshot::channel();
        self.command(start, Command::Start, nobody);
        let mut more = false;
        loop {
            let room = if self.journal.is_full() { 0 } else { BATCH };
            let batch = self.mailbox.take(room, self.patience(more));
            let now = self.clock.now();
            let nothing_asked = batch.asks.is_empty();
            for ask in batch.asks {
                self.serve(now, ask);
            }
            if now.monotonic_ms >= self.next_tick_ms {
                self.note_hung_up(now);
                self.tick(now);
                self.next_tick_ms = now.monotonic_ms + TICK_MS;
            }
            self.end_waits(now);
            self.journal.flush();
            let released = self.journal.poll();
            released.effects.into_iter().for_each(Held::leave);
            if let Some(failed) = released.failed {
                return Err(failed.reason);
            }
            more = self.journal.step(&mut self.state, now.monotonic_ms);
            *self.figures.0.lock().unwrap_or_else(PoisonError::into_inner) = self.journal.counters();
            if batch.closed && nothing_asked && batch.left == 0 {
                return self.end();
            }
        }
    }

    /// How long nothing has to happen.
    fn patience(&self, more: bool) -> Duration {
        if more {
            return Duration::ZERO;
        }
        let next = self.parked.next_ms().map_or(self.next_tick_ms, |wait| wait.min(self.next_tick_ms));
        Duration::from_millis(next.saturating_sub(self.clock.now().monotonic_ms))
    }

    fn serve(&mut self, now: Now, ask: Ask) {
        match ask {
            Ask::Command { command, answer } => self.command(now, command, answer),
            Ask::Look(look) => self.look(now, look),
            Ask::WatchJob { job, version, wait_ms, answer } => self.watch(now, job, version, wait_ms, answer),
            Ask::Register { request, answer } => self.register(now, request, answer),
            Ask::Poll { request, answer } => self.poll(now, request, answer),
            Ask::AppPoll { app, poll, tasks, answer } => self.poll_app(now, app, poll, tasks, answer),
            Ask::Spec { job, spec } => self.spec(now, job, spec),
        }
    }

    fn command(&mut self, now: Now, command: Command, answer: Way<Reply>) {
        let submitted = match &command {
            Command::Submit { request, spec } => Some((request.job, Arc::clone(spec))),
            _ => None,
        };
        match self.decide(now, &command, |reply| Held::answer(answer, reply)) {
            Ok(()) => {
                self.tick(now);
                if let Some((job, spec)) = submitted {
                    self.spec(now, job, Ok(spec));
                }
            }
            Err(reason) => tracing::error!(reason, "a command could not be recorded"),
        }
    }

    /// Judges a command and records what it leads to; `reply` makes the answer that leaves once that is durable.
    fn decide(
        &mut self,
        now: Now,
        command: &Command,
        reply: impl FnOnce(Result<Reply, FsError>) -> Held,
    ) -> Result<(), String> {
        let (edits, result) = match self.state.decide(now, command) {
            Ok(decision) => (decision.edits, Ok(decision.reply)),
            Err(refusal) => (Vec::new(), Err(refused(&refusal))),
        };
        match self.journal.commit(&mut self.state, &edits, reply(result)) {
            Ok(committed) => {
                if let Some(held) = committed.at_once {
                    held.leave();
                }
                Ok(())
            }
            Err(refused) => Err(refused.reason),
        }
    }

    fn tick(&mut self, now: Now) {
        let outcome = self.state.tick(now);
        self.carry_out(now, outcome);
    }

    /// What reports and time led to, and what that leads to in turn.
    fn carry_out(&mut self, now: Now, outcome: Outcome) {
        let mut due = VecDeque::from([outcome]);
        while let Some(outcome) = due.pop_front() {
            for command in outcome.commands {
                match self.decide(now, &command, |_| Held::nothing()) {
                    Ok(()) => {
                        let mut next = self.state.tick(now);
                        // What is known of something that has ended goes when the next one ends.
                        let is_end = |effect: &mut Effect| matches!(effect, Effect::JobEnded(_) | Effect::AppEnded(_));
                        let ends: Vec<Effect> = next.effects.extract_if(.., is_end).collect();
                        ends.into_iter().for_each(|end| self.effect(now, end));
                        due.push_back(next);
                    }
                    Err(reason) => tracing::error!(?command, reason, "own command not recorded"),
                }
            }
            for effect in outcome.effects {
                self.effect(now, effect);
            }
        }
    }

    fn effect(&mut self, now: Now, effect: Effect) {
        match effect {
            Effect::Wake(tracker) => self.collect(now, tracker),
            Effect::JobChanged(job) => self.job_changed(now, job),
            Effect::AppChanged(app) => self.app_changed(app),
            Effect::LoadSpec { job, path, sha256 } => self.files.load_spec(job, path, sha256),
            Effect::JobEnded(job) => {
                if let (Some(status), tasks) = (self.state.job_status(job), self.state.tasks(job)) {
                    // What it was staged with goes then, and a restart that knows nothing of its end would need that.
                    let files = self.files.clone();
                    self.hold(Held(Box::new(move || files.job_ended(status, tasks.unwrap_or_default()))));
                }
            }
            Effect::AppEnded(app) => {
                let files = self.files.clone();
                self.hold(Held(Box::new(move || files.app_ended(app))));
            }
        }
    }

    fn look(&mut self, now: Now, look: Look) {
        let answer = look(&self.state, now);
        self.hold(Held(answer));
    }

    fn watch(&mut self, now: Now, job: JobId, version: u64, wait_ms: u64, answer: Way<JobStatus>) {
        if self.state.job_version(job) != Some(version) || wait_ms == 0 {
            self.tell_status(job, answer);
            return;
        }
        let until_ms = now.monotonic_ms + wait_ms.min(WATCH_MAX_MS);
        self.parked.jobs.entry(job).or_default().push(Watcher { version, until_ms, answer });
    }

    fn tell_status(&mut self, job: JobId, answer: Way<JobStatus>) {
        let status = self.state.job_status(job).ok_or_else(|| refused(&Refusal::UnknownJob(job)));
        self.hold(Held::answer(answer, status));
    }

    fn job_changed(&mut self, now: Now, job: JobId) {
        let version = self.state.job_version(job);
        for watcher in self.parked.take_watchers(job, version, now.monotonic_ms) {
            self.tell_status(job, watcher.answer);
        }
    }

    fn register(&mut self, now: Now, request: RegisterRequest, answer: Way<RegisterReply>) {
        let mut outcome = self.state.observe(now, Report::Register(request));
        let reply = match std::mem::take(&mut outcome.answer) {
            Answer::Registered(reply) => Ok(reply),
            other => Err(odd(&other)),
        };
        self.carry_out(now, outcome);
        self.hold(Held::answer(answer, reply));
    }

    fn poll(&mut self, now: Now, request: PollRequest, answer: Way<Option<PollReply>>) {
        let (tracker, epoch, seq) = (request.tracker, request.epoch, request.seq);
        let wait_ms = request.wait_ms.min(self.state.config().poll_wait_ms);
        if let Some(before) = self.parked.trackers.remove(&tracker) {
            // The tracker has more to say and does not listen there any more.
            let nothing = PollReply { seq: before.seq, orders: Vec::new() };
            self.hold(Held::answer(before.answer, Ok(Some(nothing))));
        }
        let mut outcome = self.state.observe(now, Report::Poll(request));
        match std::mem::take(&mut outcome.answer) {
            Answer::Wait if wait_ms > 0 => {
                let until_ms = now.monotonic_ms + wait_ms;
                self.parked.trackers.insert(tracker, TrackerPoll { epoch, seq, until_ms, answer });
            }
            Answer::Wait => self.hold(Held::answer(answer, Ok(Some(PollReply { seq, orders: Vec::new() })))),
            reply => self.hold(Held::answer(answer, orders(reply))),
        }
        self.carry_out(now, outcome);
    }

    /// Answers the waiting poll of a tasktracker with whatever there is.
    fn collect(&mut self, now: Now, tracker: TrackerId) {
        let Some(poll) = self.parked.trackers.remove(&tracker) else { return };
        let mut outcome = self.state.observe(now, Report::Collect { tracker, epoch: poll.epoch, seq: poll.seq });
        let reply = orders(std::mem::take(&mut outcome.answer));
        self.hold(Held::answer(poll.answer, reply));
        self.carry_out(now, outcome);
    }

    fn poll_app(&mut self, now: Now, app: AppId, poll: AppPoll, tasks: Option<(u64, u64)>, answer: Way<AppPollReply>) {
        let (known, ended) = (poll.known, poll.ended.is_some());
        let wait_ms = poll.wait_ms.min(self.state.config().app_lease_ms / 3);
        if let Some(before) = self.parked.apps.remove(&app) {
            self.tell_app(app, before.answer);
        }
        let mut outcome = self.state.observe(now, Report::AppPoll { app, poll, tasks });
        match std::mem::take(&mut outcome.answer) {
            Answer::App { reply } => {
                if reply.version == known && wait_ms > 0 && !ended {
                    let until_ms = now.monotonic_ms + wait_ms;
                    self.parked.apps.insert(app, DriverPoll { known, until_ms, answer });
                } else {
                    self.hold(Held::answer(answer, Ok(reply)));
                }
            }
            Answer::Gone => self.hold(Held::answer(answer, Err(refused(&Refusal::UnknownApp(app))))),
            other => self.hold(Held::answer(answer, Err(odd(&other)))),
        }
        self.carry_out(now, outcome);
    }

    fn app_changed(&mut self, app: AppId) {
        let version = self.state.app_poll_reply(app).map(|reply| reply.version);
        if self.parked.apps.get(&app).is_some_and(|poll| Some(poll.known) != version)
            && let Some(poll) = self.parked.apps.remove(&app)
        {
            self.tell_app(app, poll.answer);
        }
    }

    fn tell_app(&mut self, app: AppId, answer: Way<AppPollReply>) {
        let reply = self.state.app_poll_reply(app).ok_or_else(|| refused(&Refusal::UnknownApp(app)));
        self.hold(Held::answer(answer, reply));
    }

    fn spec(&mut self, now: Now, job: JobId, spec: Result<Arc<JobSpec>, String>) {
        let outcome = self.state.observe(now, Report::Spec { job, spec });
        self.carry_out(now, outcome);
    }

    fn note_hung_up(&mut self, now: Now) {
        for (tracker, TrackerPoll { epoch, seq, .. }) in self.parked.take_hung_up() {
            let outcome = self.state.observe(now, Report::HungUp { tracker, epoch, seq });
            self.carry_out(now, outcome);
        }
    }

    /// Answers those who have waited long enough.
    fn end_waits(&mut self, now: Now) {
        for tracker in self.parked.due_trackers(now.monotonic_ms) {
            self.collect(now, tracker);
        }
        for app in self.parked.due_apps(now.monotonic_ms) {
            if let Some(poll) = self.parked.apps.remove(&app) {
                self.tell_app(app, poll.answer);
            }
        }
        for job in self.parked.watched() {
            self.job_changed(now, job);
        }
    }

    /// Lets an answer go once everything that is decided now is durable.
    fn hold(&mut self, held: Held) {
        // One that is refused is dropped, which tells whoever waits that the jobtracker ends.
        if let Ok(Some(at_once)) = self.journal.hold(held) {
            at_once.leave();
        }
    }

    /// Everybody who asked has an answer or waits for the journal: its last group, then the end.
    fn end(self) -> Result<(), String> {
        let released = self.journal.close(CLOSE_PATIENCE);
        released.effects.into_iter().for_each(Held::leave);
        released.failed.map_or(Ok(()), |failed| Err(failed.reason))
    }
}

fn refused(refusal: &Refusal) -> FsError {
    FsError::new(refusal.code(), refusal.to_string())
}

fn odd(answer: &Answer) -> FsError {
    match answer {
        Answer::Stale => FsError::new(ErrorCode::Retriable, "the jobtracker is starting"),
        other => FsError::new(ErrorCode::Io, format!("the core gave an answer of the wrong kind: {other:?}")),
    }
}

fn orders(answer: Answer) -> Result<Option<PollReply>, FsError> {
    match answer {
        Answer::Orders(reply) => Ok(Some(reply)),
        Answer::Stale => Ok(None),
        other => Err(odd(&other)),
    }
}
