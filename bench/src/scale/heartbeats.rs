//! The namenode's core alone, with thousands of datanodes: what a heartbeat, a round of timers and a new block cost one core,
//! in peace and after many datanodes died.

use super::files::Files;
use super::fleet::{addr, datanode, storage, usage};
use crate::Scale;
use crate::meter::Wall;
use mammoth_namenode_core::State;
use mammoth_namenode_core::api::{Command, CoreConfig, Outcome, Reply, Report, SafeModeAction};
use mammoth_platform::process;
use mammoth_protocol::internal::{
    FullReportSlice, HeartbeatRequest, HighWater, RegisterRequest, ReplicaState, ReportedReplica,
};
use mammoth_protocol::journaled::Journaled;
use mammoth_protocol::{Auth, BlockId, Caller, DfsPath, Epoch, Now, Seq, Term};

const NODES: u64 = 5_000;
/// Datanodes that die, of them.
const DEAD: u64 = 50;
const ROUNDS: u64 = 20;
/// A heartbeat of every datanode, in the time of the core.
const HEARTBEAT_MS: u64 = 3_000;
/// Ticks meanwhile.
const TICKS: u64 = 15;

/// A core, what it was told, and how long that took it.
struct Core {
    state: State,
    now: Now,
    seq: u64,
}

/// Calls of one kind.
#[derive(Default)]
struct Spent {
    calls: u64,
    seconds: f64,
    longest: f64,
}

impl Spent {
    fn time<T>(&mut self, call: impl FnOnce() -> T) -> T {
        let wall = Wall::start();
        let result = call();
        let seconds = wall.seconds();
        self.calls += 1;
        self.seconds += seconds;
        self.longest = self.longest.max(seconds);
        result
    }

    fn print(&self, what: &str) {
        let (calls, longest) = (self.calls.max(1) as f64, self.longest * 1e3);
        let (each, rate) = (self.seconds / calls * 1e6, calls / self.seconds.max(1e-9));
        println!("  {what:<42} {each:>8.1} us each {rate:>10.0} a second of one core, {longest:>7.2} ms at most");
    }
}

/// Prints what thousands of datanodes cost the core.
pub(crate) fn measure(scale: &Scale) -> Result<(), String> {
    let files = Files { count: scale.files, doomed: 0 };
    println!("the namenode's core with {NODES} datanodes and {} replicas", files.count * 3);
    let before = process::resident_bytes();
    let mut core = Core::new(files);
    core.join(files);
    let bytes = process::resident_bytes().saturating_sub(before) / files.count.max(1);
    println!("  {bytes} bytes a file, what only {NODES} datanodes cost included");
    core.rounds("in peace", 0);
    core.now.monotonic_ms += 60_000; // Silent copies of the start would be over by then.
    core.new_blocks()?;
    let silence_ms = 11 * 60_000;
    for _ in 0..silence_ms / HEARTBEAT_MS {
        core.now.monotonic_ms += HEARTBEAT_MS;
        (DEAD..NODES).for_each(|number| drop(core.heartbeat(number)));
    }
    core.rounds(&format!("after {DEAD} datanodes died"), DEAD);
    Ok(())
}

impl Core {
    fn new(files: Files) -> Self {
        let now = Now { monotonic_ms: 1_000_000, wall_ms: 1_800_000_000_000 };
        let mut core = Self { state: State::new(CoreConfig::default(), now), now, seq: 0 };
        let mut edits = Vec::new();
        let mut touched = Vec::new();
        for n in 0..files.count {
            edits.clear();
            files.edits(n, &mut edits);
            core.apply(&edits);
            touched.clear();
            core.state.take_touched(usize::MAX, &mut touched);
        }
        core
    }

    fn apply(&mut self, edits: &[mammoth_namenode_core::Edit]) {
        self.seq += 1;
        edits.iter().for_each(|edit| self.state.apply(Seq(self.seq), edit));
    }

    /// All datanodes register and report.
    fn join(&mut self, files: Files) {
        let mut lists: Vec<Vec<u64>> = vec![Vec::new(); NODES as usize];
        for n in 0..files.count {
            // Three datanodes that have nothing else in common.
            (0..3).for_each(|replica| lists[((n * 7_919 + replica * 1_667) % NODES) as usize].push(n));
        }
        let mut spent = Spent::default();
        let mut replicas = 0;
        for (number, list) in (0..NODES).zip(lists) {
            let request = RegisterRequest {
                cluster_id: String::new(),
                datanode: datanode(number),
                addr: addr(number),
                rack: format!("/rack-{}", number % 100),
                storages: vec![usage(number)],
                seen: HighWater { term: Term(0), seq: Seq(0), block: BlockId(0) },
                software: String::new(),
            };
            self.state.observe(self.now, Report::Register { request, epoch: Epoch(1) });
            let whole = |n| ReportedReplica { block: Files::block(n), state: ReplicaState::Finalized };
            replicas += list.len();
            let slice = FullReportSlice {
                datanode: datanode(number),
                epoch: Epoch(1),
                storage: storage(number),
                cut_seq: 0,
                slice: 0,
                last: true,
                replicas: list.into_iter().map(whole).collect(),
            };
            spent.time(|| self.state.observe(self.now, Report::Full(slice)));
        }
        let million = spent.seconds * 1e6 / replicas.max(1) as f64;
        println!("  full reports of all: {million:.2} s of CPU a million replicas");
        self.state.observe(self.now, Report::SafeMode(SafeModeAction::Leave));
        let mut survey = Spent::default();
        while survey.time(|| self.state.tick(self.now, 1)).more {}
        survey.print("ticks of the survey after safe mode");
    }

    fn heartbeat(&mut self, number: u64) -> Outcome {
        let request = HeartbeatRequest {
            datanode: datanode(number),
            epoch: Epoch(1),
            storages: vec![usage(number)],
            xceivers: 0,
            copies: 0,
        };
        self.state.observe(self.now, Report::Heartbeat(request))
    }

    /// Rounds of heartbeats of all datanodes from `first` on, with the ticks that a namenode makes meanwhile.
    fn rounds(&mut self, when: &str, first: u64) {
        let (mut heartbeats, mut ticks, mut orders) = (Spent::default(), Spent::default(), 0);
        for round in 0..ROUNDS {
            for tick in 0..TICKS {
                self.now.monotonic_ms += HEARTBEAT_MS / TICKS;
                while ticks.time(|| self.state.tick(self.now, round * TICKS + tick)).more {}
                let share = |tick| first + (NODES - first) * tick / TICKS;
                for number in share(tick)..share(tick + 1) {
                    orders += heartbeats.time(|| self.heartbeat(number)).orders.len();
                }
            }
        }
        heartbeats.print(&format!("heartbeats {when}, {orders} orders"));
        ticks.print(&format!("ticks {when}"));
        let seconds = (ROUNDS * HEARTBEAT_MS) as f64 / 1e3;
        let busy = (heartbeats.seconds + ticks.seconds) / seconds;
        println!("    {:.2} % of one core for {NODES} datanodes", busy * 100.0);
    }

    /// What a pipeline for a new block costs, among so many datanodes.
    fn new_blocks(&mut self) -> Result<(), String> {
        let caller = Caller { auth: Auth::Internal, ..Caller::default() };
        let path = DfsPath::parse("/new").map_err(|e| e.to_string())?;
        let create = Command::Create {
            path: path.clone(),
            mode: 0o644,
            overwrite: false,
            create_parent: true,
            replication: 3,
            block_size: 128 << 20,
            client: "bench".to_owned(),
        };
        let decision = self.state.decide(self.now, 1, &caller, &create).map_err(|e| e.to_string())?;
        self.apply(&decision.edits);
        let add = Command::AddBlock {
            path,
            file: None,
            client: "bench".to_owned(),
            previous: None,
            exclude: Vec::new(),
            favored: Vec::new(),
        };
        let mut spent = Spent::default();
        for entropy in 0..1_000 {
            let decided = spent.time(|| self.state.decide(self.now, entropy, &caller, &add));
            if !matches!(decided.map_err(|e| e.to_string())?.reply, Reply::Block(_)) {
                return Err("addBlock gave no block".to_owned());
            }
        }
        spent.print("addBlock, with its choice of three");
        Ok(())
    }
}
