//! A small world for tests: a state with its log and checkpoint, a clock, and datanodes that report what they are told to.

use crate::api::{Answer, Command, CoreConfig, Outcome, Query, Reply, Report};
use crate::check::check;
use crate::rows::Edit;
use crate::state::State;
use mammoth_protocol::internal::{
    DatanodeAddr, DnCommand, FullReportSlice, HeartbeatRequest, HighWater, IncrementalReport, RegisterRequest,
    ReplicaEvent, StorageEvents, StorageUsage,
};
use mammoth_protocol::journaled::Journaled;
use mammoth_protocol::{
    Block, Caller, DatanodeId, DfsPath, Epoch, ErrorCode, FsError, InodeId, Now, Seq, StorageId, Uuid,
};
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};

pub(crate) fn path(text: &str) -> DfsPath {
    DfsPath::parse(text).expect(text)
}

pub(crate) fn user(name: &str, groups: &[&str]) -> Caller {
    Caller {
        user: name.to_owned(),
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        addr: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        ..Caller::default()
    }
}

/// The superuser.
pub(crate) fn root() -> Caller {
    user("hdfs", &[])
}

pub(crate) fn config() -> CoreConfig {
    CoreConfig { block_size_min: 1, ..CoreConfig::default() }
}

/// A datanode with one volume; its numbers follow from its index.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    index: u128,
    epoch: Epoch,
    report_seq: u64,
}

impl Node {
    pub(crate) fn id(&self) -> DatanodeId {
        DatanodeId(Uuid(self.index))
    }

    pub(crate) fn storage(&self) -> StorageId {
        StorageId(Uuid(self.index << 32))
    }

    fn usage(&self) -> StorageUsage {
        StorageUsage { storage: self.storage(), capacity: 1 << 40, used: 0, remaining: 1 << 40, failed: false }
    }
}

/// Everything that survives a crash.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    /// Records after `applied`.
    pub(crate) log: VecDeque<(Seq, Vec<u8>)>,
    pub(crate) rows: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(crate) applied: Seq,
    /// A checkpoint under way: its watermark and the rows still to be written.
    pass: Option<(Seq, VecDeque<Vec<u8>>)>,
}

pub(crate) struct World {
    pub(crate) state: State,
    pub(crate) now: Now,
    pub(crate) seq: Seq,
    pub(crate) nodes: Vec<Node>,
    pub(crate) disk: Disk,
    pub(crate) entropy: u64,
}

impl World {
    pub(crate) fn new(config: CoreConfig) -> Self {
        let now = Now { monotonic_ms: 1_000_000, wall_ms: 1_700_000_000_000 };
        Self { state: State::new(config, now), now, seq: Seq(0), nodes: Vec::new(), disk: Disk::default(), entropy: 1 }
    }

    /// With three datanodes that have reported.
    pub(crate) fn with_nodes() -> Self {
        let mut world = Self::new(config());
        world.join(3);
        world
    }

    pub(crate) fn join(&mut self, count: u128) {
        for _ in 0..count {
            let index = self.nodes.len() as u128 + 1;
            self.nodes.push(Node { index, epoch: Epoch(0), report_seq: 0 });
            self.register(index as usize - 1);
        }
        self.pass(1);
    }

    /// A node registers anew and reports all it has: nothing.
    pub(crate) fn register(&mut self, at: usize) {
        self.register_unchecked(at);
        self.heartbeat(at);
        self.observe(Report::Full(self.empty_report(at)));
    }

    /// A node registers anew, without looking at all invariants.
    pub(crate) fn register_unchecked(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        node.epoch = Epoch(node.epoch.0 + 1 + self.seq.0);
        node.report_seq = 0;
        let node = node.clone();
        let addr = DatanodeAddr {
            ip: IpAddr::V4(Ipv4Addr::new(10, 0, 0, node.index as u8)),
            hostname: format!("dn{}", node.index),
            transfer_port: 9866,
            info_port: 9864,
            ipc_port: 9867,
        };
        let request = RegisterRequest {
            cluster_id: String::new(),
            datanode: node.id(),
            addr,
            rack: "/default-rack".to_owned(),
            storages: vec![node.usage()],
            seen: HighWater::default(),
            software: String::new(),
        };
        let outcome = self.state.observe(self.now, Report::Register { request, epoch: node.epoch });
        assert_eq!(outcome.refused, None);
    }

    /// A full report of a node that has nothing.
    pub(crate) fn empty_report(&self, at: usize) -> FullReportSlice {
        let node = &self.nodes[at];
        FullReportSlice {
            datanode: node.id(),
            epoch: node.epoch,
            storage: node.storage(),
            cut_seq: 0,
            slice: 0,
            last: true,
            replicas: Vec::new(),
        }
    }

    pub(crate) fn heartbeat(&mut self, at: usize) -> Vec<DnCommand> {
        let orders = self.heartbeat_unchecked(at);
        check(&self.state).unwrap();
        orders
    }

    /// The same without looking at all invariants.
    pub(crate) fn heartbeat_unchecked(&mut self, at: usize) -> Vec<DnCommand> {
        let node = self.nodes[at].clone();
        let heartbeat = HeartbeatRequest {
            datanode: node.id(),
            epoch: node.epoch,
            storages: vec![node.usage()],
            xceivers: 0,
            copies: 0,
        };
        let outcome = self.state.observe(self.now, Report::Heartbeat(heartbeat));
        assert!(!outcome.register);
        outcome.orders
    }

    /// A node tells of one event.
    pub(crate) fn tell(&mut self, at: usize, event: ReplicaEvent) {
        self.tell_unchecked(at, event);
        check(&self.state).unwrap();
    }

    /// The same without looking at all invariants.
    pub(crate) fn tell_unchecked(&mut self, at: usize, event: ReplicaEvent) {
        let node = &mut self.nodes[at];
        node.report_seq += 1;
        let events = StorageEvents { storage: node.storage(), seq: node.report_seq, events: vec![event] };
        let report = IncrementalReport { datanode: node.id(), epoch: node.epoch, storages: vec![events] };
        let outcome = self.state.observe(self.now, Report::Incremental(report));
        assert_eq!((outcome.register, outcome.resync), (false, Vec::new()));
    }

    /// Every node of the pipeline reports the block as finalized.
    pub(crate) fn receive(&mut self, block: Block) {
        let places = self.state.blocks.places_of_pipeline(block.id);
        let holders: Vec<StorageId> = places.iter().map(|place| place.storage).collect();
        for at in 0..self.nodes.len() {
            if holders.contains(&self.nodes[at].storage()) {
                self.tell(at, ReplicaEvent::Received(block));
            }
        }
    }

    pub(crate) fn observe(&mut self, report: Report) -> Outcome {
        let outcome = self.state.observe(self.now, report);
        check(&self.state).unwrap();
        outcome
    }

    /// Time passes; nodes that live send heartbeats; what is due is done.
    pub(crate) fn pass(&mut self, ms: u64) {
        self.now.monotonic_ms += ms;
        self.now.wall_ms += ms;
        for at in 0..self.nodes.len() {
            self.heartbeat(at);
        }
        self.tick();
    }

    pub(crate) fn tick(&mut self) -> Outcome {
        let entropy = self.next_entropy();
        let outcome = self.state.tick(self.now, entropy);
        check(&self.state).unwrap();
        for command in &outcome.commands {
            self.act(&root(), command.clone()).unwrap();
        }
        outcome
    }

    fn next_entropy(&mut self) -> u64 {
        self.entropy = self.entropy.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.entropy >> 7
    }

    /// Decides, applies, logs; every invariant holds after every edit's record.
    pub(crate) fn act(&mut self, caller: &Caller, command: Command) -> Result<Reply, FsError> {
        let entropy = self.next_entropy();
        let decision = self.state.decide(self.now, entropy, caller, &command)?;
        if !decision.edits.is_empty() {
            self.seq = Seq(self.seq.0 + 1);
            let mut record = Vec::new();
            State::encode_edits(&decision.edits, &mut record);
            self.disk.log.push_back((self.seq, record));
            for edit in &decision.edits {
                self.state.apply(self.seq, edit);
            }
            check(&self.state).unwrap_or_else(|violation| panic!("{violation} after {command:?}"));
        }
        Ok(decision.reply)
    }

    /// As the superuser, and it must succeed.
    pub(crate) fn must(&mut self, command: Command) -> Reply {
        let what = format!("{command:?}");
        self.act(&root(), command).unwrap_or_else(|error| panic!("{what}: {error}"))
    }

    /// As the superuser, and it must be refused.
    pub(crate) fn refuse(&mut self, command: Command) -> (ErrorCode, String) {
        let before = self.seq;
        let error = self.act(&root(), command.clone()).expect_err(&format!("{command:?}"));
        assert_eq!(self.seq, before, "a refusal has no effect");
        (error.code, error.message)
    }

    pub(crate) fn ask(&self, caller: &Caller, query: Query) -> Result<Answer, FsError> {
        self.state.query(self.now, 1, caller, &query, &mut Vec::new())
    }

    pub(crate) fn mkdirs(&mut self, text: &str) {
        assert_eq!(
            self.must(Command::Mkdirs { path: path(text), mode: 0o755, create_parent: true }),
            Reply::Done(true)
        );
    }

    pub(crate) fn create(&mut self, text: &str, client: &str) -> InodeId {
        match self.must(create(text, client)) {
            Reply::Created(status) => status.id,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn add_block(&mut self, text: &str, client: &str, previous: Option<Block>) -> Block {
        match self.must(add_block(text, client, previous)) {
            Reply::Block(located) => located.block,
            other => panic!("{other:?}"),
        }
    }

    /// A closed file with blocks of these lengths.
    pub(crate) fn file(&mut self, text: &str, lens: &[u64]) -> InodeId {
        let id = self.create(text, "writer");
        let mut previous = None;
        for len in lens {
            let block = Block { len: *len, ..self.add_block(text, "writer", previous) };
            self.receive(block);
            previous = Some(block);
        }
        assert_eq!(self.must(complete(text, "writer", previous)), Reply::Done(true));
        id
    }

    /// Bytes of a file; 0 if there is none.
    pub(crate) fn len_of(&self, text: &str) -> u64 {
        match self.ask(&root(), Query::FileInfo { path: path(text) }) {
            Ok(Answer::FileInfo(status)) => status.map_or(0, |status| status.len),
            _ => 0,
        }
    }

    pub(crate) fn exists(&self, text: &str) -> bool {
        match self.ask(&root(), Query::FileInfo { path: path(text) }) {
            Ok(Answer::FileInfo(status)) => status.is_some(),
            other => panic!("{other:?}"),
        }
    }

    /// Writes up to `rows` rows of a checkpoint, going on with the pass under way.
    pub(crate) fn checkpoint(&mut self, rows: usize) {
        let (watermark, mut waiting) = self.disk.pass.take().unwrap_or_else(|| {
            let mut keys = Vec::new();
            self.state.take_touched(usize::MAX, &mut keys);
            (self.seq, keys.into())
        });
        for _ in 0..rows {
            let Some(key) = waiting.pop_front() else { break };
            let mut value = Vec::new();
            if self.state.encode_row(&key, &mut value) {
                self.disk.rows.insert(key, value);
            } else {
                self.disk.rows.remove(&key);
            }
        }
        if !waiting.is_empty() {
            self.disk.pass = Some((watermark, waiting));
            return;
        }
        self.disk.applied = watermark;
        while self.disk.log.front().is_some_and(|(seq, _)| *seq <= watermark) {
            self.disk.log.pop_front();
        }
    }

    /// What a process that starts on this disk builds.
    pub(crate) fn reload(&self) -> State {
        let mut state = State::new(self.state.config.clone(), self.now);
        for (key, value) in &self.disk.rows {
            state.load_row(key, value).unwrap();
        }
        for (seq, record) in &self.disk.log {
            for edit in State::decode_edits(record).unwrap() {
                state.apply(*seq, &edit);
            }
        }
        state.finish_load().unwrap();
        check(&state).unwrap();
        state
    }

    /// Kills the namenode and starts it again; datanodes do not know yet.
    pub(crate) fn restart(&mut self) {
        self.state = self.reload();
        self.disk.pass = None;
        // Rows of the pass that was cut short are touched again by the tail.
    }
}

/// All rows of a state, encoded.
pub(crate) fn all_rows(state: &State) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let keys = state.rows.all_keys();
    keys.into_iter()
        .map(|key| {
            let mut value = Vec::new();
            assert!(state.encode_row(&key, &mut value));
            (key, value)
        })
        .collect()
}

pub(crate) fn create(text: &str, client: &str) -> Command {
    Command::Create {
        path: path(text),
        mode: 0o644,
        overwrite: false,
        create_parent: true,
        replication: 3,
        block_size: 100,
        client: client.to_owned(),
    }
}

pub(crate) fn add_block(text: &str, client: &str, previous: Option<Block>) -> Command {
    Command::AddBlock {
        path: path(text),
        file: None,
        client: client.to_owned(),
        previous,
        exclude: Vec::new(),
        favored: Vec::new(),
    }
}

pub(crate) fn complete(text: &str, client: &str, last: Option<Block>) -> Command {
    Command::Complete { path: path(text), file: None, client: client.to_owned(), last }
}

pub(crate) fn delete(text: &str, recursive: bool) -> Command {
    Command::Delete { path: path(text), recursive }
}

/// The edits that a command would make.
pub(crate) fn edits_of(world: &World, caller: &Caller, command: &Command) -> Vec<Edit> {
    world.state.decide(world.now, 1, caller, command).map(|decision| decision.edits).unwrap_or_default()
}
