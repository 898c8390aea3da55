//! Fake clients: each submits a job, watches it, kills it perhaps, and remembers what it was told.

use super::event::{Event, Index, Request, Wish};
use super::tracker::host;
use super::world::{TRACKERS, World};
use mammoth_protocol::jobs::client::{JobState, JobStatus};
use mammoth_protocol::jobs::spec::{InputSplit, JobSpec, SPEC_VERSION};
use mammoth_protocol::jobs::{JobId, Resources};
use std::sync::Arc;

/// Jobs of one client in a run: few enough that the jobtracker forgets none.
const JOBS_MAX: u32 = 25;
/// Silence after which a client repeats itself.
const PATIENCE_MS: u64 = 600;

/// A client.
#[derive(Clone, Debug, Default)]
pub struct Client {
    /// What it wants and has not been answered.
    pub wish: Option<Wish>,
    /// The job that it watches.
    pub job: Option<JobId>,
    /// It was told that the job was taken.
    submitted: bool,
    /// It was told that the job is being killed, before the job was final.
    killed: bool,
    jobs: u32,
    plan: u64,
}

impl World {
    /// Plans the client's next act; earlier plans are void.
    pub(super) fn client_goes_on(&mut self, client: Index, most_ms: u64) {
        let delay = 1 + self.sim.rng.below(most_ms);
        let plan = self.clients[client].plan;
        self.sim.later(delay, Event::ClientActs { client, plan });
    }

    /// A client makes its next step, or repeats the one before.
    pub(super) fn client_acts(&mut self, client: Index, plan: u64) {
        if self.clients[client].plan != plan {
            return;
        }
        let kills = self.sim.mishap(25);
        let rests = self.sim.healing || self.clients[client].jobs >= JOBS_MAX;
        let known = &mut self.clients[client];
        let wish = match (known.wish, known.job) {
            (Some(wish), _) => wish,
            (None, None) if rests => return,
            (None, None) => Wish::Id,
            (None, Some(job)) if !known.submitted => Wish::Submit(job),
            (None, Some(job)) if kills && !known.killed => Wish::Kill(job),
            (None, Some(job)) => Wish::Status(job),
        };
        known.wish = Some(wish);
        self.send_to_jobtracker(Request::Client(client, plan, wish));
        self.sim.later(PATIENCE_MS, Event::ClientActs { client, plan });
    }

    /// A job id was given.
    pub(super) fn client_has_id(&mut self, client: Index, plan: u64, job: JobId) {
        if self.clients[client].plan != plan || self.clients[client].wish != Some(Wish::Id) {
            return;
        }
        if self.truth.specs.contains_key(&job) {
            return self.sim.violation(format!("{job} was given twice"));
        }
        let spec = self.some_spec();
        self.truth.specs.insert(job, Arc::new(spec));
        let known = &mut self.clients[client];
        known.job = Some(job);
        known.jobs += 1;
        self.client_is_answered(client);
    }

    fn client_is_answered(&mut self, client: Index) {
        self.clients[client].wish = None;
        self.clients[client].plan += 1;
        self.client_goes_on(client, 400);
    }

    /// The job, after what was wished.
    pub(super) fn client_is_told(&mut self, client: Index, plan: u64, wish: Wish, status: Option<&JobStatus>) {
        let known = &mut self.clients[client];
        if known.plan != plan || known.wish != Some(wish) {
            return;
        }
        let Some(status) = status else {
            let (job, submitted) = (known.job, known.submitted);
            known.job = None;
            known.submitted = false;
            if submitted {
                self.sim.violation(format!("client {client} was told that {job:?} was taken, and it is not known"));
            }
            return self.client_is_answered(client);
        };
        known.submitted = true;
        if matches!(wish, Wish::Kill(_)) && !status.state.is_final() {
            known.killed = true;
        }
        let resurrected = known.killed && status.state == JobState::Succeeded;
        if status.state.is_final() {
            self.sim.coverage.hit(match status.state {
                JobState::Succeeded => "client: succeeded",
                JobState::Failed => "client: failed",
                _ => "client: killed",
            });
            let known = &mut self.clients[client];
            (known.job, known.submitted, known.killed) = (None, false, false);
        }
        if resurrected {
            self.sim.violation(format!("client {client} killed {}, and it succeeded", status.job));
        }
        self.client_is_told_of(status);
        self.client_is_answered(client);
    }

    /// What was told must be so for ever.
    fn client_is_told_of(&mut self, status: &JobStatus) {
        let before = self.truth.told.get(&status.job).copied();
        if before.is_some_and(|before| before != status.state) {
            self.sim.violation(format!("{} was {before:?} and is {:?}", status.job, status.state));
        }
        if status.state.is_final() {
            self.truth.told.insert(status.job, status.state);
        }
    }

    fn some_spec(&mut self) -> JobSpec {
        let maps = self.sim.rng.below(6);
        let hosts =
            |rng: &mut crate::rng::Rng| (0..rng.below(3)).map(|_| host(rng.below(TRACKERS as u64) as usize)).collect();
        let splits =
            (0..maps).map(|_| InputSplit { hosts: hosts(&mut self.sim.rng), ..InputSplit::default() }).collect();
        let cores = if self.sim.rng.chance(20) { 50 } else { 1 + u32::from(self.sim.rng.chance(150)) };
        let reduces = if self.sim.rng.chance(300) { 0 } else { 1 + self.sim.rng.below(4) as u32 };
        let cores_of_reduce = 1 + u32::from(self.sim.rng.chance(150));
        JobSpec {
            version: SPEC_VERSION,
            name: "sim".to_owned(),
            user: "sim".to_owned(),
            program: mammoth_protocol::jobs::spec::ProgramRef::default(),
            entry: String::new(),
            args: Vec::new(),
            sdk: Vec::new(),
            settings: std::collections::BTreeMap::new(),
            fs: String::new(),
            splits,
            reduces,
            output: self.sim.rng.chance(850).then(|| "/out".to_owned()),
            map_resources: Resources { cores, memory_mib: 100 * cores },
            reduce_resources: Resources { cores: cores_of_reduce, memory_mib: 100 },
            map_attempts_max: 2 + self.sim.rng.below(3) as u32,
            reduce_attempts_max: 2 + self.sim.rng.below(3) as u32,
            task_timeout_ms: 0,
            slowstart_percent: [0, 5, 50, 100][self.sim.rng.below(4) as usize],
        }
    }
}
