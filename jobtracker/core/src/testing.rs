//! A jobtracker on a bench: the core with its journal, and trackers that do what a test says.

use crate::api::{Answer, Command, CoreConfig, Effect, Outcome, Refusal, Reply, Report};
use crate::check::check;
use crate::state::State;
use mammoth_protocol::jobs::app::{AppPoll, AppPollReply, NewAppRequest};
use mammoth_protocol::jobs::client::{JobState, JobStatus, SubmitRequest};
use mammoth_protocol::jobs::spec::{InputSplit, JobSpec, ProgramRef, SPEC_VERSION};
use mammoth_protocol::jobs::tracker::{
    AttemptPhase, AttemptReport, ExecutorReport, FetchFailure, Order, OutputsWanted, PollReply, PollRequest,
    RegisterRequest,
};
use mammoth_protocol::jobs::{
    AppId, AttemptId, Counters, ExecutorId, JobId, Resources, TaskId, TaskKind, TrackerEpoch, TrackerId,
};
use mammoth_protocol::journaled::Journaled;
use mammoth_protocol::{Now, Seq, Uuid};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) const CORE: Resources = Resources { cores: 1, memory_mib: 100 };

/// The core, its time, and what it has asked for.
pub(crate) struct Bench {
    pub(crate) state: State,
    pub(crate) now: Now,
    pub(crate) effects: Vec<Effect>,
    pub(crate) specs: BTreeMap<JobId, Arc<JobSpec>>,
    seq: u64,
    log: Vec<Vec<u8>>,
}

/// A tracker that holds what the test tells it to.
pub(crate) struct Tracker {
    pub(crate) id: TrackerId,
    pub(crate) host: String,
    pub(crate) generation: Uuid,
    pub(crate) capacity: Resources,
    pub(crate) epoch: TrackerEpoch,
    pub(crate) seq: u64,
    pub(crate) held: BTreeMap<AttemptId, AttemptPhase>,
    pub(crate) executors: BTreeMap<(AppId, ExecutorId), Option<String>>,
    pub(crate) failures: Vec<FetchFailure>,
    /// Complaints that were answered.
    pub(crate) failures_known: u64,
    pub(crate) wants: Vec<OutputsWanted>,
    pub(crate) jobs: Vec<JobId>,
    pub(crate) apps: Vec<AppId>,
}

pub(crate) fn spec(maps: &[&str], reduces: u32) -> JobSpec {
    let split = |host: &&str| InputSplit { hosts: vec![(*host).to_owned()], ..InputSplit::default() };
    JobSpec {
        version: SPEC_VERSION,
        name: "test".to_owned(),
        user: "u".to_owned(),
        program: ProgramRef::default(),
        entry: "test".to_owned(),
        args: Vec::new(),
        sdk: Vec::new(),
        settings: BTreeMap::new(),
        fs: "hdfs://nn:8020".to_owned(),
        splits: maps.iter().map(split).collect(),
        reduces,
        output: Some("/out".to_owned()),
        map_resources: CORE,
        reduce_resources: CORE,
        map_attempts_max: 4,
        reduce_attempts_max: 4,
        task_timeout_ms: 0,
        slowstart_percent: 5,
    }
}

pub(crate) fn attempt(job: JobId, kind: TaskKind, index: u32, number: u32) -> AttemptId {
    AttemptId { task: TaskId { job, kind, index }, number }
}

pub(crate) fn succeeded() -> AttemptPhase {
    AttemptPhase::Succeeded { partitions: Vec::new() }
}

pub(crate) fn failed(reason: &str) -> AttemptPhase {
    AttemptPhase::Failed { reason: reason.to_owned() }
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(CoreConfig::default())
    }

    pub(crate) fn with(config: CoreConfig) -> Self {
        let now = Now { monotonic_ms: 1_000, wall_ms: 1_700_000_000_000 };
        let mut bench = Self {
            state: State::new(config, now),
            now,
            effects: Vec::new(),
            specs: BTreeMap::new(),
            seq: 0,
            log: Vec::new(),
        };
        bench.run(&Command::Start).expect("a start is never refused");
        bench
    }

    /// Decides, applies, ticks.
    pub(crate) fn run(&mut self, command: &Command) -> Result<Reply, Refusal> {
        let decision = self.state.decide(self.now, command)?;
        if !decision.edits.is_empty() {
            self.seq += 1;
            let mut bytes = Vec::new();
            State::encode_edits(&decision.edits, &mut bytes);
            self.log.push(bytes);
            for edit in &decision.edits {
                self.state.apply(Seq(self.seq), edit);
            }
            self.tick();
        }
        Ok(decision.reply)
    }

    pub(crate) fn tick(&mut self) {
        let outcome = self.state.tick(self.now);
        self.take(outcome);
    }

    /// Lets time pass in steps of a quarter of a second.
    pub(crate) fn pass(&mut self, ms: u64) {
        let end = self.now.monotonic_ms + ms;
        while self.now.monotonic_ms < end {
            let step = (end - self.now.monotonic_ms).min(250);
            self.now.monotonic_ms += step;
            self.now.wall_ms += step;
            self.tick();
        }
    }

    pub(crate) fn observe(&mut self, report: Report) -> Answer {
        let outcome = self.state.observe(self.now, report);
        self.take(outcome)
    }

    fn take(&mut self, outcome: Outcome) -> Answer {
        check(&self.state).unwrap();
        self.effects.extend(outcome.effects);
        for command in outcome.commands {
            self.run(&command).expect("internal commands are not refused");
        }
        outcome.answer
    }

    /// A new life from the log alone.
    pub(crate) fn restart(&mut self) {
        let mut state = State::new(self.state.config().clone(), self.now);
        for (at, record) in self.log.iter().enumerate() {
            for edit in State::decode_edits(record).unwrap() {
                state.apply(Seq(at as u64 + 1), &edit);
            }
        }
        state.finish_load().unwrap();
        assert_eq!(crate::check::rows(&state), crate::check::rows(&reload(&state, self.now)));
        self.state = state;
        self.effects.clear();
        self.run(&Command::Start).expect("a start is never refused");
    }

    pub(crate) fn submit(&mut self, spec: JobSpec) -> JobId {
        let Ok(Reply::Job(job)) = self.run(&Command::NewJob { user: "u".to_owned() }) else { panic!("no id") };
        let spec = Arc::new(spec);
        self.specs.insert(job, spec.clone());
        let request = SubmitRequest { job, spec: format!("/staging/{job}"), sha256: "00".to_owned() };
        self.run(&Command::Submit { request, spec: spec.clone() }).unwrap();
        self.observe(Report::Spec { job, spec: Ok(spec) });
        job
    }

    pub(crate) fn app(&mut self) -> AppId {
        let request = NewAppRequest {
            name: "app".to_owned(),
            user: "u".to_owned(),
            fs: String::new(),
            program: ProgramRef::default(),
            driver: "d:1".to_owned(),
            secret: "s".to_owned(),
            settings: BTreeMap::new(),
        };
        let Ok(Reply::App(reply)) = self.run(&Command::NewApp(request)) else { panic!("no id") };
        reply.app
    }

    pub(crate) fn drive(&mut self, app: AppId, seq: u64, target: u32) -> AppPollReply {
        let poll = AppPoll {
            seq,
            target,
            executor: CORE,
            release: Vec::new(),
            events: Vec::new(),
            ended: None,
            wait_ms: 0,
            known: 0,
        };
        match self.observe(Report::AppPoll { app, poll, tasks: None }) {
            Answer::App { reply } => reply,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn status(&self, job: JobId) -> JobStatus {
        self.state.job_status(job).unwrap()
    }

    pub(crate) fn state_of(&self, job: JobId) -> JobState {
        self.status(job).state
    }

    pub(crate) fn ends(&self, job: JobId) -> Vec<String> {
        let events = self.state.attempt_events(job, 0).unwrap().events;
        let short = |id: AttemptId| format!("{}{}.{}", id.task.kind.letter(), id.task.index, id.number);
        events.into_iter().map(|event| format!("{} {}", short(event.attempt), event.status)).collect()
    }
}

/// A state from another's rows, as a checkpoint would give it.
pub(crate) fn reload(state: &State, now: Now) -> State {
    let mut loaded = State::new(state.config().clone(), now);
    for (key, value) in crate::check::rows(state) {
        loaded.load_row(&key, &value).unwrap();
    }
    loaded.finish_load().unwrap();
    loaded
}

impl Tracker {
    pub(crate) fn new(number: u128, host: &str, cores: u32) -> Self {
        Self {
            id: TrackerId(Uuid(number)),
            host: host.to_owned(),
            generation: Uuid(1000 + number),
            capacity: Resources { cores, memory_mib: cores * 100 },
            epoch: TrackerEpoch(0),
            seq: 0,
            held: BTreeMap::new(),
            executors: BTreeMap::new(),
            failures: Vec::new(),
            failures_known: 0,
            wants: Vec::new(),
            jobs: Vec::new(),
            apps: Vec::new(),
        }
    }

    /// Registers and polls for the first time.
    pub(crate) fn join(number: u128, host: &str, cores: u32, bench: &mut Bench) -> Self {
        let mut tracker = Self::new(number, host, cores);
        tracker.register(bench);
        tracker.poll(bench);
        tracker
    }

    pub(crate) fn register(&mut self, bench: &mut Bench) {
        let request = RegisterRequest {
            tracker: self.id,
            host: self.host.clone(),
            http: format!("{}:50060", self.host),
            generation: self.generation,
            capacity: self.capacity,
            software: String::new(),
        };
        match bench.observe(Report::Register(request)) {
            Answer::Registered(reply) => self.epoch = reply.epoch,
            other => panic!("{other:?}"),
        }
        self.seq = 0;
    }

    pub(crate) fn request(&self) -> PollRequest {
        let attempts = self.held.iter().map(|(attempt, state)| AttemptReport {
            attempt: *attempt,
            state: state.clone(),
            progress: 0.5,
            phase: String::new(),
            counters: counted(1),
            resources: CORE,
        });
        let executors = self.executors.iter().map(|((app, executor), ended)| ExecutorReport {
            app: *app,
            executor: *executor,
            pid: Some(1),
            resources: CORE,
            ended: ended.clone(),
        });
        PollRequest {
            tracker: self.id,
            epoch: self.epoch,
            seq: self.seq,
            attempts: attempts.collect(),
            executors: executors.collect(),
            fetch_failures: self.failures.clone(),
            fetch_failures_before: self.failures_known,
            wants_outputs: self.wants.clone(),
            jobs: self.jobs.clone(),
            apps: self.apps.clone(),
            wait_ms: 0,
        }
    }

    /// Polls and does as it is told: starts what it shall, ends what it shall, forgets.
    pub(crate) fn poll(&mut self, bench: &mut Bench) -> Vec<Order> {
        self.seq += 1;
        let reply = self.say(bench);
        self.failures_known += self.failures.len() as u64;
        self.failures.clear();
        for order in &reply.orders {
            match order {
                Order::Launch(launch) => drop(self.held.insert(launch.attempt, AttemptPhase::Running)),
                Order::Kill { attempt, reason } => {
                    self.held.insert(*attempt, AttemptPhase::Killed { reason: reason.clone() });
                }
                Order::GrantCommit { attempt } => drop(self.held.insert(*attempt, AttemptPhase::Running)),
                Order::Forget { attempt } => drop(self.held.remove(attempt)),
                Order::LaunchExecutor(launch) => {
                    self.executors.insert((launch.app, launch.executor), None);
                }
                Order::KillExecutor { app, executor, reason } => {
                    self.executors.insert((*app, *executor), Some(reason.clone()));
                }
                Order::ForgetExecutor { app, executor } => drop(self.executors.remove(&(*app, *executor))),
                Order::Outputs { .. } | Order::DropJob { .. } | Order::DropApp { .. } => {}
            }
        }
        reply.orders
    }

    /// Sends the present poll, once more perhaps.
    pub(crate) fn say(&mut self, bench: &mut Bench) -> PollReply {
        match bench.observe(Report::Poll(self.request())) {
            Answer::Orders(reply) => reply,
            other => panic!("{other:?}"),
        }
    }

    /// Everything that runs here and is not a commit in question ends well.
    pub(crate) fn finish(&mut self, bench: &mut Bench) {
        for state in self.held.values_mut().filter(|state| **state == AttemptPhase::Running) {
            *state = succeeded();
        }
        self.poll(bench);
        // What follows from an edit comes with the next answer.
        self.poll(bench);
    }

    /// Attempts that run, short: `m0.0`.
    pub(crate) fn runs(&self) -> Vec<String> {
        let running = self.held.iter().filter(|(_, state)| **state == AttemptPhase::Running);
        running.map(|(id, _)| format!("{}{}.{}", id.task.kind.letter(), id.task.index, id.number)).collect()
    }

    /// The one that runs.
    pub(crate) fn only(&self) -> AttemptId {
        let mut running = self.held.iter().filter(|(_, state)| **state == AttemptPhase::Running);
        let (id, _) = running.next().expect("one runs");
        assert!(running.next().is_none(), "only one");
        *id
    }
}

pub(crate) fn counted(value: i64) -> Counters {
    let mut counters = Counters::default();
    counters.add("g", "n", value);
    counters
}
