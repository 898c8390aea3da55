//! A namenode that takes everybody in, remembers what it hears, and orders what a test tells it to.

use crate::config::{Advertise, DatanodeConfig, Door};
use crate::daemon::{Components, Handle, start};
use crate::store::SpaceRules;
use crate::store::testing::identity;
use crate::transfer::TransferRules;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use mammoth_platform::{Deadline, SystemClock};
use mammoth_protocol::internal::{
    ClusterIdentity, CommitBlockSync, DnCommand, FullReportSlice, HeartbeatReply, HeartbeatRequest, IncrementalReport,
    InternalRefusal, RegisterReply, RegisterRequest, ReplicaEvent, ReportReply, routes,
};
use mammoth_protocol::{Epoch, ErrorCode, Seq, StorageId, Term};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What the namenode has heard and will say.
pub(super) struct Memory {
    pub(super) identity: ClusterIdentity,
    pub(super) term: Term,
    pub(super) seq: Seq,
    pub(super) epoch: Epoch,
    pub(super) registers: Vec<RegisterRequest>,
    pub(super) heartbeats: Vec<HeartbeatRequest>,
    pub(super) incrementals: Vec<IncrementalReport>,
    pub(super) fulls: Vec<FullReportSlice>,
    pub(super) commits: Vec<CommitBlockSync>,
    /// Orders for each datanode's next heartbeat, by the registration order of datanodes.
    pub(super) orders: BTreeMap<usize, Vec<DnCommand>>,
    /// How many incremental reports are heard but not answered.
    pub(super) lost_answers: u32,
    pub(super) resync: Vec<StorageId>,
}

type Shared = Arc<Mutex<Memory>>;

/// The namenode; ends when dropped.
pub(super) struct FakeNamenode {
    memory: Shared,
    pub(super) addr: SocketAddr,
    runtime: Option<tokio::runtime::Runtime>,
}

impl FakeNamenode {
    pub(super) fn start() -> Self {
        Self::at("127.0.0.1:0".parse().expect("an address"))
    }

    pub(super) fn at(addr: SocketAddr) -> Self {
        let memory = Memory {
            identity: identity(),
            term: Term(5),
            seq: Seq(100),
            epoch: Epoch(0),
            registers: Vec::new(),
            heartbeats: Vec::new(),
            incrementals: Vec::new(),
            fulls: Vec::new(),
            commits: Vec::new(),
            orders: BTreeMap::new(),
            lost_answers: 0,
            resync: Vec::new(),
        };
        let memory = Arc::new(Mutex::new(memory));
        let router = Router::new()
            .route(
                routes::IDENTITY,
                get(|State(m): State<Shared>| async move { axum::Json(lock(&m).identity.clone()) }),
            )
            .route(routes::REGISTER, post(register))
            .route(routes::HEARTBEAT, post(heartbeat))
            .route(routes::INCREMENTAL, post(incremental))
            .route(routes::FULL, post(full))
            .route(routes::COMMIT_SYNC, post(commit))
            .with_state(Arc::clone(&memory));
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let listener = TcpListener::bind(addr).expect("a port");
        let addr = listener.local_addr().expect("bound");
        listener.set_nonblocking(true).expect("set");
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            mammoth_web::serve(listener, router, mammoth_web::ServeLimits::default(), std::future::pending()).await;
        });
        Self { memory, addr, runtime: Some(runtime) }
    }

    pub(super) fn memory(&self) -> MutexGuard<'_, Memory> {
        lock(&self.memory)
    }

    /// Orders something of the datanode that registered as the `n`th.
    pub(super) fn order(&self, n: usize, command: DnCommand) {
        self.memory().orders.entry(n).or_default().push(command);
    }

    /// All events that were told of a volume, in order, each report once.
    pub(super) fn events(&self, storage: StorageId) -> Vec<ReplicaEvent> {
        let memory = self.memory();
        let mut reports = BTreeMap::new();
        for part in memory.incrementals.iter().filter(|r| r.epoch == memory.epoch).flat_map(|r| &r.storages) {
            if part.storage == storage {
                reports.insert(part.seq, part.events.clone());
            }
        }
        reports.into_values().flatten().collect()
    }

    /// Polls until something is so.
    pub(super) fn eventually(&self, what: &str, check: impl Fn(&Memory) -> bool) {
        eventually(what, || check(&self.memory()));
    }
}

impl Drop for FakeNamenode {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(5));
        }
    }
}

pub(super) fn eventually(what: &str, check: impl Fn() -> bool) {
    let deadline = Deadline::after(&SystemClock, Duration::from_secs(20));
    while !check() {
        assert!(!deadline.is_over(&SystemClock), "never: {what}");
        let poll = Duration::from_millis(5);
        std::thread::sleep(poll);
    }
}

fn lock(memory: &Shared) -> MutexGuard<'_, Memory> {
    memory.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unregistered() -> Response {
    let refusal = InternalRefusal { code: ErrorCode::UnregisteredNode, message: "unknown epoch".to_owned() };
    (StatusCode::FORBIDDEN, axum::Json(refusal)).into_response()
}

async fn register(State(memory): State<Shared>, body: Bytes) -> Response {
    let mut memory = lock(&memory);
    memory.registers.push(serde_json::from_slice(&body).expect("a registration"));
    memory.epoch = Epoch(memory.epoch.0 + 1);
    let cluster_id = memory.identity.cluster_id.clone();
    axum::Json(RegisterReply { cluster_id, term: memory.term, epoch: memory.epoch }).into_response()
}

async fn heartbeat(State(memory): State<Shared>, body: Bytes) -> Response {
    let mut memory = lock(&memory);
    let request: HeartbeatRequest = serde_json::from_slice(&body).expect("a heartbeat");
    let known = memory.registers.iter().position(|r| r.datanode == request.datanode);
    let Some(known) = known else { return unregistered() };
    memory.heartbeats.push(request);
    let commands = memory.orders.remove(&known).unwrap_or_default();
    let cluster_id = memory.identity.cluster_id.clone();
    axum::Json(HeartbeatReply { cluster_id, term: memory.term, seq: memory.seq, commands }).into_response()
}

fn answer(memory: &mut Memory) -> Response {
    let cluster_id = memory.identity.cluster_id.clone();
    let resync = std::mem::take(&mut memory.resync);
    axum::Json(ReportReply { cluster_id, term: memory.term, register: false, resync }).into_response()
}

async fn incremental(State(memory): State<Shared>, body: Bytes) -> Response {
    let mut memory = lock(&memory);
    let report: IncrementalReport = postcard::from_bytes(&body).expect("a report");
    memory.incrementals.push(report);
    if memory.lost_answers > 0 {
        memory.lost_answers -= 1;
        return StatusCode::BAD_GATEWAY.into_response();
    }
    answer(&mut memory)
}

async fn full(State(memory): State<Shared>, body: Bytes) -> Response {
    let mut memory = lock(&memory);
    memory.fulls.push(postcard::from_bytes(&body).expect("a report"));
    answer(&mut memory)
}

async fn commit(State(memory): State<Shared>, body: Bytes) -> Response {
    let mut memory = lock(&memory);
    memory.commits.push(serde_json::from_slice(&body).expect("a commit"));
    answer(&mut memory)
}

/// A datanode's settings: one volume in `dir`, ports of its own, short times.
pub(super) fn config(dir: &Path, namenode: SocketAddr) -> DatanodeConfig {
    let door = || Door { bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), advertise: Advertise::default() };
    DatanodeConfig {
        dirs: vec![dir.to_owned()],
        namenodes: vec![namenode.to_string()],
        transfer: door(),
        http: door(),
        ipc: door(),
        domain_socket: None,
        rack: "/default-rack".to_owned(),
        host_names: Vec::new(),
        space: SpaceRules::default(),
        failures_tolerated: Some(0),
        sync_on_close: false,
        heartbeat: Duration::from_millis(50),
        full_report: Duration::from_secs(3600),
        copies_max: 4,
        moves_max: 4,
        balance_rate: 1 << 30,
        scan_period: Some(Duration::from_secs(3600)),
        scan_rate: 1 << 20,
        transfers: TransferRules {
            socket_timeout: Duration::from_secs(5),
            write_timeout: Duration::from_secs(5),
            keepalive: Duration::from_secs(1),
            op_timeout: Duration::from_secs(5),
            connections: 64,
            by_name: false,
            readahead: 4 << 20,
        },
    }
}

/// A datanode; ends when dropped.
pub(super) struct Datanode {
    handle: Option<Handle>,
    pub(super) dir: Arc<tempfile::TempDir>,
}

impl Datanode {
    pub(super) fn start(namenode: SocketAddr) -> Self {
        Self::start_in(Arc::new(tempfile::tempdir().expect("a folder")), namenode)
    }

    pub(super) fn start_in(dir: Arc<tempfile::TempDir>, namenode: SocketAddr) -> Self {
        let handle = start(config(dir.path(), namenode), Components::system()).expect("started");
        Self { handle: Some(handle), dir }
    }

    pub(super) fn handle(&self) -> &Handle {
        self.handle.as_ref().expect("runs")
    }

    pub(super) fn store(&self) -> Arc<crate::store::Store> {
        Arc::clone(self.handle().store().expect("open"))
    }

    pub(super) fn registered(&self) {
        eventually("registered", || self.handle().registered());
    }

    /// Ends it.
    pub(super) fn stop(mut self) -> Arc<tempfile::TempDir> {
        self.end().expect("ends well");
        Arc::clone(&self.dir)
    }

    pub(super) fn end(&mut self) -> Result<(), String> {
        let Some(handle) = self.handle.take() else { return Ok(()) };
        handle.shutdown();
        handle.wait().map_err(|error| error.to_string())
    }
}

impl Drop for Datanode {
    fn drop(&mut self) {
        let _ = self.end();
    }
}
