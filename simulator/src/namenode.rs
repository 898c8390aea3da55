//! The namenode of a world: the real core, group commit, log and checkpoint, on a disk that forgets what was not synced.

mod audit;
mod disk;

use crate::bugs::Bug;
use crate::event::{Event, Request, Response};
use crate::world::World;
use mammoth_journal::GroupCommit;
use mammoth_journal::checkpoint::{CheckpointCommand, CheckpointPolicy, CheckpointWriter, MemoryStore, Slicer};
use mammoth_journal::log::{Log, MemoryDisk};
use mammoth_namenode_core::State;
use mammoth_namenode_core::api::{Command, CoreConfig, Outcome, Report};
use mammoth_protocol::journaled::Journaled;
use mammoth_protocol::{Auth, CallId, Caller, Epoch, FsError, Seq, Term};

const CLUSTER: &str = "CID-sim";
const TICK_MS: u64 = 250;

/// The disk that outlives the process, and the process if it runs.
pub struct Namenode {
    disk: MemoryDisk,
    store: MemoryStore,
    live: Option<Box<Live>>,
    lives: u64,
}

/// What leaves when a decision is durable.
type Effect = Option<Response>;

struct Live {
    state: State,
    group: GroupCommit<Effect>,
    log: Log<MemoryDisk>,
    /// Last record of the group that is being synced.
    syncing: Option<Seq>,
    slicer: Slicer,
    writer: CheckpointWriter<MemoryStore>,
    /// A step of the checkpoint that waits for the log.
    step: Option<CheckpointCommand>,
    term: Term,
    registrations: u64,
}

/// Whether the namenode remembers calls of this kind, so that a repetition is answered and not carried out.
#[must_use]
pub fn is_remembered(command: &Command) -> bool {
    match command {
        Command::Create { .. }
        | Command::Append { .. }
        | Command::Rename { .. }
        | Command::Rename2 { .. }
        | Command::Delete { .. }
        | Command::UpdatePipeline { .. } => true,
        Command::Mkdirs { .. }
        | Command::AddBlock { .. }
        | Command::AbandonBlock { .. }
        | Command::Complete { .. }
        | Command::Fsync { .. }
        | Command::UpdateBlockForPipeline { .. }
        | Command::RecoverLease { .. }
        | Command::SetReplication { .. }
        | Command::SetPermission { .. }
        | Command::SetOwner { .. }
        | Command::SetTimes { .. }
        | Command::CommitBlockSync(_)
        | Command::Internal(_) => false,
    }
}

/// Settings under which minutes of simulated time show what a cluster does in hours.
fn config() -> CoreConfig {
    CoreConfig {
        block_size_min: 1,
        heartbeat_ms: 1_000,
        recheck_ms: 2_000,
        stale_ms: 5_000,
        lease_soft_ms: 20_000,
        lease_hard_ms: 60_000,
        safemode_extension_ms: 2_000,
        redundancy_interval_ms: 1_000,
        pending_timeout_ms: 10_000,
        permissions: false,
        superuser: "sim".to_owned(),
        ..CoreConfig::default()
    }
}

fn caller(call: Option<CallId>) -> Caller {
    Caller { user: "sim".to_owned(), call, ..Caller::default() }
}

fn internal() -> Caller {
    Caller { auth: Auth::Internal, ..caller(None) }
}

impl Namenode {
    /// A namenode with an empty disk, not yet started.
    #[must_use]
    pub fn new() -> Self {
        let mut disk = MemoryDisk::new();
        Log::format(&mut disk, CLUSTER).expect("an empty memory disk takes a log");
        Self { disk, store: MemoryStore::new(), live: None, lives: 0 }
    }

    /// It runs.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.live.is_some()
    }

    /// It runs, and everything that it has decided is durable.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.live.as_ref().is_some_and(|live| live.group.is_idle())
    }

    /// Highest durable sequence.
    #[must_use]
    pub fn durable_seq(&self) -> Seq {
        self.live.as_ref().map(|live| live.group.synced_seq()).unwrap_or_default()
    }
}

impl Live {
    /// Decides and applies; the effect waits for durability.
    fn carry_out(&mut self, world: &mut Steps<'_>, caller: &Caller, command: &Command, call: Option<Answerer>) {
        let now = world.now;
        match self.state.decide(now, world.entropy(), caller, command) {
            Ok(decision) if decision.edits.is_empty() => {
                let effect = call.map(|answer| answer(Ok(decision.reply)));
                self.hold(world, effect);
            }
            Ok(decision) => {
                let torn = world.bug == Some(Bug::TornDecision);
                let logged = if torn { &decision.edits[..1] } else { &decision.edits[..] };
                let effect = call.map(|answer| answer(Ok(decision.reply)));
                let early = world.bug == Some(Bug::ReplyBeforeSync);
                let (now_out, later) = if early { (effect, None) } else { (None, effect) };
                world.out.extend(now_out);
                let seq = self.group.decided(|out| State::encode_edits(logged, out), later);
                let seq = seq.expect("a memory disk does not fail");
                for edit in &decision.edits {
                    self.state.apply(seq, edit);
                }
            }
            Err(error) => {
                let effect = call.map(|answer| answer(Err(error)));
                self.hold(world, effect);
            }
        }
    }

    /// What saw state that may not be durable leaves only when it is.
    fn hold(&mut self, world: &mut Steps<'_>, effect: Effect) {
        let early = world.bug == Some(Bug::ReplyBeforeSync);
        let ready = if early { Some(effect) } else { self.group.hold(effect).expect("a memory disk does not fail") };
        world.out.extend(ready.flatten());
    }

    fn observe(&mut self, world: &mut Steps<'_>, report: Report) -> Outcome {
        let mut outcome = self.state.observe(world.now, report);
        for command in std::mem::take(&mut outcome.commands) {
            self.carry_out(world, &internal(), &command, None);
        }
        outcome
    }

    /// Orders leave only when every edit that they may follow from is durable.
    fn hold_orders(&mut self, world: &mut Steps<'_>, response: Response) {
        if world.bug == Some(Bug::OrderBeforeSync) {
            world.out.push(response);
        } else {
            let ready = self.group.hold(Some(response)).expect("a memory disk does not fail");
            world.out.extend(ready.flatten());
        }
    }

    fn epoch(&mut self) -> Epoch {
        self.registrations += 1;
        Epoch(self.term.0 << 32 | self.registrations)
    }
}

type Answerer = Box<dyn FnOnce(Result<mammoth_namenode_core::api::Reply, FsError>) -> Response>;

/// What the namenode needs of the world while it works, and what it wants sent.
struct Steps<'a> {
    now: mammoth_protocol::Now,
    rng: &'a mut crate::rng::Rng,
    bug: Option<Bug>,
    out: Vec<Response>,
}

impl Steps<'_> {
    fn entropy(&mut self) -> u64 {
        self.rng.bits()
    }
}

impl World {
    /// Lets the namenode work, if it runs, and sends what may leave.
    fn with_namenode(&mut self, work: impl FnOnce(&mut Live, &mut Steps<'_>)) {
        let now = self.now();
        let Some(mut live) = self.namenode.live.take() else { return };
        let mut steps = Steps { now, rng: &mut self.rng, bug: self.bug, out: Vec::new() };
        work(&mut live, &mut steps);
        let out = steps.out;
        self.namenode.live = Some(live);
        for response in out {
            self.send_from_namenode(response);
        }
        self.start_sync();
    }

    /// A message has arrived.
    pub(crate) fn namenode_takes(&mut self, request: Request) {
        if !self.namenode.is_up() {
            self.coverage.hit("request to a namenode that is down");
            return;
        }
        self.with_namenode(|live, steps| live.take(steps, request));
    }

    /// Time has passed.
    pub(crate) fn namenode_ticks(&mut self, life: u64) {
        if life != self.namenode.lives || !self.namenode.is_up() {
            return;
        }
        self.later(TICK_MS, Event::Tick { life });
        self.with_namenode(|live, steps| {
            for _ in 0..100 {
                let entropy = steps.entropy();
                let outcome = live.state.tick(steps.now, entropy);
                for command in &outcome.commands {
                    live.carry_out(steps, &internal(), command, None);
                }
                if !outcome.more {
                    break;
                }
            }
        });
    }
}

impl Live {
    fn take(&mut self, steps: &mut Steps<'_>, request: Request) {
        match request {
            Request::Command { client, call, command } => {
                let twice = steps.bug == Some(Bug::RetryRunTwice);
                let caller = caller((!twice).then_some(call));
                let answer: Answerer = Box::new(move |result| Response::Reply { client, call, result });
                self.carry_out(steps, &caller, &command, Some(answer));
            }
            Request::Query { client, call, query } => {
                let mut saw = Vec::new();
                let entropy = steps.entropy();
                let result = self.state.query(steps.now, entropy, &caller(None), &query, &mut saw);
                self.hold(steps, Some(Response::Answer { client, call, result }));
            }
            Request::Renew { name } => {
                self.observe(steps, Report::RenewLease { client: name });
            }
            Request::Register(index, request) => {
                let epoch = self.epoch();
                let outcome = self.observe(steps, Report::Register { request, epoch });
                if outcome.refused.is_none() {
                    let term = self.term;
                    self.hold_orders(steps, Response::Registered(index, epoch, term));
                }
            }
            Request::Heartbeat(index, request) => {
                let outcome = self.observe(steps, Report::Heartbeat(request));
                let term = self.term;
                self.hold_orders(steps, Response::Orders(index, term, outcome));
            }
            Request::Incremental(index, mut report) => {
                if steps.bug == Some(Bug::GapHidden) {
                    self.hide_gaps(&mut report);
                }
                let outcome = self.observe(steps, Report::Incremental(report));
                let term = self.term;
                self.hold_orders(steps, Response::Taken(index, term, outcome));
            }
            Request::Full(index, slice) => {
                let outcome = self.observe(steps, Report::Full(slice));
                let term = self.term;
                self.hold_orders(steps, Response::FullTaken(index, term, outcome));
            }
            Request::CommitSync(_, commit) => {
                self.carry_out(steps, &internal(), &Command::CommitBlockSync(commit), None);
            }
        }
    }

    /// The planted mistake: half of the reports vanish behind the door, and the sequence hides it.
    fn hide_gaps(&mut self, report: &mut mammoth_protocol::internal::IncrementalReport) {
        for storage in &mut report.storages {
            if storage.seq % 2 == 0 {
                storage.events.clear();
            }
        }
    }
}

/// A policy under which a run sees many checkpoints.
fn policy() -> CheckpointPolicy {
    CheckpointPolicy { bytes: 4_000, interval_ms: 3_000, rows_per_slice: 5 }
}
