//! The namenode of a world: the real core, group commit, log and checkpoint, on a disk that forgets what was not synced.

mod audit;
mod disk;
mod doors;
mod planted;

use crate::bugs::Bug;
use crate::coverage::Coverage;
use crate::event::{Event, Index, Request, Response};
use crate::kernel::disk::{Disk, Process};
use crate::world::World;
use mammoth_namenode_core::api::{Command, CoreConfig, Outcome, Reply, Report, SafeModeAction};
use mammoth_namenode_core::{Edit, State};
use mammoth_protocol::internal::DnCommand;
use mammoth_protocol::journaled::Journaled;
use mammoth_protocol::{Auth, CallId, Caller, Epoch, FsError, Now, Seq, Term};

const CLUSTER: &str = "CID-sim";
const TICK_MS: u64 = 250;
/// Ticks in a row while the core says that there is more to do.
const TICKS_AT_ONCE: usize = 100;

/// The disk that outlives the process, and the process if it runs.
pub struct Namenode {
    disk: Disk<State>,
    live: Option<Box<Live>>,
    lives: u64,
    /// The disk will fail at the next sync.
    disk_fails: bool,
    /// When it is to die.
    fate: Option<Fate>,
    /// What planted mistakes remember.
    memory: planted::Memory,
}

/// A moment for the namenode to die at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// A group has been written and not synced.
    Unsynced,
    /// Rows of a checkpoint have been written.
    Checkpoint,
}

/// What leaves when a decision is durable.
type Effect = Option<Response>;

struct Live {
    process: Process<State, Effect>,
    term: Term,
    registrations: u64,
}

/// Whether the namenode remembers calls of this kind, so that a repetition is answered and not carried out.
#[must_use]
pub fn is_remembered(command: &Command) -> bool {
    matches!(
        command,
        Command::Create { .. }
            | Command::Append { .. }
            | Command::Truncate { .. }
            | Command::Concat { .. }
            | Command::Rename { .. }
            | Command::Rename2 { .. }
            | Command::Delete { .. }
            | Command::UpdatePipeline { .. }
    )
}

/// Settings under which minutes of simulated time show what a cluster does in hours.
fn config() -> CoreConfig {
    CoreConfig {
        block_size_min: 1,
        heartbeat_ms: 1_000,
        recheck_ms: 500,
        stale_ms: 5_000,
        lease_soft_ms: 10_000,
        lease_hard_ms: 30_000,
        safemode_threshold_ppm: 900_000,
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

impl Default for Namenode {
    fn default() -> Self {
        Self::new()
    }
}

impl Namenode {
    /// A namenode with an empty disk, not yet started.
    #[must_use]
    pub fn new() -> Self {
        Self {
            disk: Disk::new(CLUSTER),
            live: None,
            lives: 0,
            disk_fails: false,
            fate: None,
            memory: planted::Memory::default(),
        }
    }

    /// It runs.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.live.is_some()
    }

    /// It runs, and everything that it has decided is durable.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.live.as_ref().is_some_and(|live| live.process.group.is_idle())
    }
}

type Answerer = Box<dyn FnOnce(Result<Reply, FsError>) -> Response>;

/// What the namenode needs of the world while it works, and what it wants sent.
struct Steps<'a> {
    now: Now,
    rng: &'a mut crate::rng::Rng,
    coverage: &'a mut Coverage,
    history: &'a mut Vec<(Seq, Vec<Edit>)>,
    memory: &'a mut planted::Memory,
    bug: Option<Bug>,
    out: Vec<Response>,
    /// Orders that were just given; they have not left yet.
    orders: Vec<(Index, Vec<DnCommand>)>,
    /// Calls that were just refused.
    refused: Vec<(Index, CallId)>,
    disk_failed: bool,
}

impl Steps<'_> {
    fn entropy(&mut self) -> u64 {
        self.rng.bits()
    }
}

impl Live {
    /// Decides and applies; the effect waits for durability. Whether the command was accepted.
    fn carry_out(
        &mut self,
        steps: &mut Steps<'_>,
        caller: &Caller,
        command: &Command,
        answer: Option<Answerer>,
    ) -> bool {
        let decided = self.process.state.decide(steps.now, steps.entropy(), caller, command);
        let accepted = matches!(&decided, Ok(decision) if !matches!(decision.reply, Reply::Refused(_)));
        steps.coverage.hit(doors::name_of(command, accepted));
        match decided {
            Ok(decision) if decision.edits.is_empty() => {
                self.hold(steps, answer.map(|answer| answer(Ok(decision.reply))));
            }
            Ok(mut decision) => {
                let logged = planted::spoil(steps.bug, &mut decision.edits);
                let effect = answer.map(|answer| answer(Ok(decision.reply)));
                let early = steps.bug == Some(Bug::ReplyBeforeSync);
                let (now_out, later) = if early { (effect, None) } else { (None, effect) };
                steps.out.extend(now_out);
                let seq = self.process.group.decided(|out| State::encode_edits(&logged, out), later);
                let seq = seq.expect("records are short and the log works");
                for edit in &decision.edits {
                    self.process.state.apply(seq, edit);
                }
                steps.memory.decided(&decision.edits);
                steps.history.push((seq, decision.edits));
            }
            Err(error) => self.hold(steps, answer.map(|answer| answer(Err(error)))),
        }
        accepted
    }

    /// What saw state that may not be durable leaves only when it is.
    fn hold(&mut self, steps: &mut Steps<'_>, effect: Effect) {
        let early = steps.bug == Some(Bug::ReplyBeforeSync);
        let ready = if early { Some(effect) } else { self.process.group.hold(effect).expect("the log works") };
        steps.out.extend(ready.flatten());
    }

    fn observe(&mut self, steps: &mut Steps<'_>, report: Report) -> Outcome {
        let mut outcome = self.process.state.observe(steps.now, report);
        for command in std::mem::take(&mut outcome.commands) {
            self.carry_out(steps, &internal(), &command, None);
        }
        outcome
    }

    /// Orders leave only when every edit that they may follow from is durable.
    fn hold_orders(&mut self, steps: &mut Steps<'_>, response: Response) {
        if steps.bug == Some(Bug::OrderBeforeSync) {
            steps.out.push(response);
        } else {
            let ready = self.process.group.hold(Some(response)).expect("the log works");
            steps.out.extend(ready.flatten());
        }
    }

    fn epoch(&mut self) -> Epoch {
        self.registrations += 1;
        Epoch(self.term.0 << 32 | self.registrations)
    }
}

impl World {
    /// Lets the namenode work, if it runs, and sends what may leave.
    fn with_namenode(&mut self, work: impl FnOnce(&mut Live, &mut Steps<'_>)) {
        let now = self.sim.now();
        let Some(mut live) = self.namenode.live.take() else { return };
        self.touched = true;
        let mut steps = Steps {
            now,
            rng: &mut self.sim.rng,
            coverage: &mut self.sim.coverage,
            history: &mut self.namenode.disk.history,
            memory: &mut self.namenode.memory,
            bug: self.bug,
            out: Vec::new(),
            orders: Vec::new(),
            refused: Vec::new(),
            disk_failed: false,
        };
        work(&mut live, &mut steps);
        let (out, orders, refused, disk_failed) = (steps.out, steps.orders, steps.refused, steps.disk_failed);
        self.namenode.live = Some(live);
        for (client, call) in refused {
            self.clients[client].refused.insert(call);
        }
        for (index, orders) in orders {
            self.check_orders(index, &orders);
        }
        for response in out {
            self.send_from_namenode(response);
        }
        if disk_failed {
            self.namenode_dies_now(self.namenode.lives);
        }
        self.start_sync();
    }

    /// A message has arrived.
    pub(crate) fn namenode_takes(&mut self, request: Request) {
        if !self.namenode.is_up() {
            return self.sim.coverage.hit("request to a namenode that is down");
        }
        if let Request::Command { client, call, copy: true, .. } = &request
            && self.clients[*client].refused.contains(call)
        {
            return self.sim.coverage.hit("late copy of a refused call");
        }
        self.with_namenode(|live, steps| live.take(steps, request));
    }

    /// Time has passed.
    pub(crate) fn namenode_ticks(&mut self, life: u64) {
        if life != self.namenode.lives || !self.namenode.is_up() {
            return;
        }
        self.sim.later(TICK_MS, Event::Tick { life });
        self.with_namenode(|live, steps| {
            for _ in 0..TICKS_AT_ONCE {
                let entropy = steps.entropy();
                let outcome = live.process.state.tick(steps.now, entropy);
                for command in &outcome.commands {
                    live.carry_out(steps, &internal(), command, None);
                }
                if !outcome.more {
                    break;
                }
            }
        });
    }

    /// The namenode reads the operator's list of datanodes.
    pub(crate) fn namenode_reads_list(&mut self) {
        let rules = self.host_rules();
        self.with_namenode(|live, steps| {
            live.observe(steps, Report::Hosts(rules));
        });
    }

    /// The administrator switches safe mode.
    pub(crate) fn namenode_safe_mode(&mut self, action: SafeModeAction) {
        self.with_namenode(|live, steps| {
            live.observe(steps, Report::SafeMode(action));
        });
    }
}
