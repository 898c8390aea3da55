//! The jobtracker of a world: the real core and group commit, on a disk that forgets what was not synced.

use super::bugs::Bug;
use super::event::{Event, Index, Response};
use super::oracle::Truth;
use super::world::World;
use crate::coverage::Coverage;
use crate::kernel::disk::{Disk, Process};
use mammoth_jobtracker_core::api::{Command, CoreConfig, Effect, InternalCommand, Outcome, Refusal, Reply, Report};
use mammoth_jobtracker_core::{Edit, State};
use mammoth_protocol::jobs::{JobId, TrackerEpoch, TrackerId};
use mammoth_protocol::journaled::Journaled;
use mammoth_protocol::{Now, Seq, Uuid};
use std::collections::{BTreeMap, BTreeSet};

const TICK_MS: u64 = 100;

/// Cluster id of its log.
const CLUSTER: &str = "CID-jobs";

/// The disk that outlives the process, and the process if it runs.
pub struct Jobtracker {
    pub(super) disk: Disk<State>,
    pub(super) live: Option<Box<Live>>,
    pub(super) lives: u64,
    /// The process does nothing until then.
    pub(super) hung_until_ms: u64,
    /// The folders with which trackers registered first, for a planted mistake.
    pub(super) folders: BTreeMap<TrackerId, Uuid>,
}

/// The process.
pub struct Live {
    pub(super) process: Process<State, Vec<Response>>,
    /// Polls that wait, by tracker: from whom, and which.
    pub(super) parked: BTreeMap<TrackerId, Parked>,
    /// What planted mistakes remember.
    pub(super) memory: super::doors::Memory,
}

/// A poll that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parked {
    pub(super) from: Index,
    pub(super) process: u64,
    pub(super) epoch: TrackerEpoch,
    pub(super) seq: u64,
    /// The tracker's own number of it, which a planted mistake may have changed.
    pub(super) own_seq: u64,
}

/// Settings under which seconds of simulated time show what a cluster does in hours.
#[must_use]
pub fn config() -> CoreConfig {
    CoreConfig {
        expiry_ms: 3_000,
        hang_up_ms: 700,
        poll_wait_ms: 400,
        app_lease_ms: 2_500,
        unfit_ms: 1_500,
        elsewhere_ms: 1_500,
        preempt_ms: 500,
        kill_wait_ms: 4_000,
        abort_wait_ms: 20_000,
        quick_death_ms: 300,
        executor_pause_ms: 50,
        spec_retry_ms: 700,
        ..CoreConfig::default()
    }
}

impl Default for Jobtracker {
    fn default() -> Self {
        Self::new()
    }
}

impl Jobtracker {
    /// A jobtracker with an empty disk, not yet started.
    #[must_use]
    pub fn new() -> Self {
        Self { disk: Disk::new(CLUSTER), live: None, lives: 0, hung_until_ms: 0, folders: BTreeMap::new() }
    }

    /// The core, if the process runs.
    #[must_use]
    pub fn state(&self) -> Option<&State> {
        self.live.as_ref().map(|live| &live.process.state)
    }
}

/// What the jobtracker needs of the world while it works, and what it wants done.
pub(super) struct Steps<'a> {
    pub(super) now: Now,
    pub(super) coverage: &'a mut Coverage,
    pub(super) bug: Option<Bug>,
    pub(super) truth: &'a mut Truth,
    pub(super) history: &'a mut Vec<(Seq, Vec<Edit>)>,
    pub(super) folders: &'a mut BTreeMap<TrackerId, Uuid>,
    pub(super) out: Vec<Response>,
    /// Specifications to read.
    pub(super) read: Vec<JobId>,
    /// Trackers whose waiting polls are to be answered.
    pub(super) wake: BTreeSet<TrackerId>,
    /// Polls that have just been told to wait.
    pub(super) waits: Vec<(Index, TrackerEpoch, u64)>,
}

impl Live {
    /// Decides and applies; the reply is the caller's to send when it is durable.
    pub(super) fn carry_out(&mut self, steps: &mut Steps<'_>, command: &Command) -> Result<Reply, Refusal> {
        let decision = self.process.state.decide(steps.now, command)?;
        steps.coverage.hit(name_of(command));
        if decision.edits.is_empty() {
            return Ok(decision.reply);
        }
        let unlogged =
            *command == Command::Start && steps.bug == Some(Bug::LifeNotLogged) && self.process.log.last() > Seq(0);
        let seq = if unlogged {
            // The planted mistake: the state has changed and the log has not.
            self.process.group.decided_seq()
        } else {
            let encoded = self.process.group.decided(|out| State::encode_edits(&decision.edits, out), Vec::new());
            encoded.expect("records are short and the log works")
        };
        for edit in &decision.edits {
            self.process.state.apply(seq, edit);
        }
        if !unlogged {
            steps.history.push((seq, decision.edits));
        }
        Ok(decision.reply)
    }

    /// Lets follow what follows from edits.
    pub(super) fn tick(&mut self, steps: &mut Steps<'_>) {
        let outcome = self.process.state.tick(steps.now);
        self.follow(steps, outcome);
    }

    pub(super) fn observe(&mut self, steps: &mut Steps<'_>, report: Report) -> mammoth_jobtracker_core::api::Answer {
        let mut outcome = self.process.state.observe(steps.now, report);
        let answer = std::mem::take(&mut outcome.answer);
        self.follow(steps, outcome);
        answer
    }

    /// Does what an outcome asks for.
    fn follow(&mut self, steps: &mut Steps<'_>, outcome: Outcome) {
        for effect in outcome.effects {
            match effect {
                Effect::Wake(tracker) => drop(steps.wake.insert(tracker)),
                Effect::LoadSpec { job, .. } => steps.read.push(job),
                Effect::JobEnded(_) => steps.coverage.hit("job final"),
                Effect::AppEnded(_) => steps.coverage.hit("application final"),
                Effect::JobChanged(_) | Effect::AppChanged(_) => {}
            }
        }
        let any = !outcome.commands.is_empty();
        for command in &outcome.commands {
            self.carry_out(steps, command).expect("due work is never refused");
        }
        if any {
            self.tick(steps);
        }
    }

    /// Sends what may depend on everything decided so far.
    pub(super) fn send(&mut self, steps: &mut Steps<'_>, response: Response) {
        let early = match response {
            Response::Orders(..) | Response::Registered(..) | Response::Stale(..) | Response::Executors(..) => {
                steps.bug == Some(Bug::OrderBeforeSync)
            }
            Response::Id(..) | Response::Job(..) | Response::App(..) => steps.bug == Some(Bug::ReplyBeforeSync),
        };
        if early {
            steps.out.push(response);
        } else {
            let ready = self.process.group.hold(vec![response]).expect("the log works");
            steps.out.extend(ready.into_iter().flatten());
        }
    }
}

impl World {
    /// Lets the jobtracker work, if it runs, and does what it wants done.
    pub(super) fn with_jobtracker(&mut self, work: impl FnOnce(&mut Live, &mut Steps<'_>)) {
        let now = self.sim.now();
        let Some(mut live) = self.jobtracker.live.take() else { return };
        self.touched = true;
        let mut steps = Steps {
            now,
            coverage: &mut self.sim.coverage,
            bug: self.bug,
            truth: &mut self.truth,
            history: &mut self.jobtracker.disk.history,
            folders: &mut self.jobtracker.folders,
            out: Vec::new(),
            read: Vec::new(),
            wake: BTreeSet::new(),
            waits: Vec::new(),
        };
        work(&mut live, &mut steps);
        // Orders for one tracker may call for those of another.
        while let Some(tracker) = steps.wake.pop_first() {
            if let Some(parked) = live.parked.remove(&tracker) {
                steps.coverage.hit("waiting poll woken");
                live.answer_parked(&mut steps, tracker, parked);
            }
        }
        let (out, read, waits) = (steps.out, steps.read, steps.waits);
        let life = self.jobtracker.lives;
        self.jobtracker.live = Some(live);
        for response in out {
            self.send_from_jobtracker(response);
        }
        for job in read {
            let delay = 1 + self.sim.rng.below(50);
            self.sim.later(delay, Event::SpecRead { life, job });
        }
        for (tracker, epoch, seq) in waits {
            self.sim.later(config().poll_wait_ms, Event::WaitOver { life, tracker, epoch, seq });
        }
        self.start_sync();
    }

    /// Time has passed.
    pub(super) fn jobtracker_ticks(&mut self, life: u64) {
        if life == self.jobtracker.lives && self.jobtracker.live.is_some() {
            self.sim.later(TICK_MS, Event::Tick { life });
            self.with_jobtracker(|live, steps| live.tick(steps));
        }
    }

    /// The owner has read a specification, or found that there is none.
    pub(super) fn spec_read(&mut self, life: u64, job: JobId) {
        if life != self.jobtracker.lives {
            return;
        }
        let spec = self.truth.specs.get(&job).cloned().ok_or_else(|| "there is no specification".to_owned());
        self.sim.coverage.hit("specification read again");
        self.with_jobtracker(|live, steps| {
            live.observe(steps, Report::Spec { job, spec });
        });
    }
}

/// Commands by name, for coverage.
fn name_of(command: &Command) -> &'static str {
    match command {
        Command::Start => "start",
        Command::NewJob { .. } => "new job",
        Command::Submit { .. } => "submit",
        Command::KillJob { .. } => "kill job",
        Command::NewApp(_) => "new application",
        Command::KillApp { .. } => "kill application",
        Command::Internal(InternalCommand::BeginCommit { .. }) => "begin commit",
        Command::Internal(InternalCommand::BeginAbort { .. }) => "begin abort",
        Command::Internal(InternalCommand::EndJob { .. }) => "end job",
        Command::Internal(InternalCommand::EndApp { .. }) => "end application",
    }
}
