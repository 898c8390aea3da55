use super::*;
use mammoth_journal::checkpoint::MemoryStore;
use mammoth_journal::log::{Gate, GatedDisk, Log, LogDisk, MemoryDisk};
use mammoth_journal::{CheckpointPolicy, Parts, recover};
use mammoth_namenode_core::api::CoreConfig;
use mammoth_platform::{Shutdown, SystemClock, SystemEntropy, Workers};
use mammoth_protocol::internal::{
    DatanodeAddr, FullReportSlice, HeartbeatRequest, HighWater, ReplicaState, ReportedReplica, StorageUsage,
};
use mammoth_protocol::{Block, BlockId, DatanodeId, DfsPath, Seq, StorageId, Uuid};
use tokio::task::JoinHandle;

const PATIENCE: Duration = Duration::from_secs(20);
/// Long enough for an answer that nothing holds back, by far.
const MOMENT: Duration = Duration::from_millis(150);

/// A driver over a disk in memory.
struct Running {
    handle: DriverHandle,
    gate: Gate,
    disk: MemoryDisk,
    metrics: Arc<Metrics>,
    workers: Workers,
    shutdown: Shutdown,
}

fn start(disk: MemoryDisk) -> Running {
    let (shutdown, gate, handle) = (Shutdown::new(), Gate::default(), DriverHandle::default());
    let workers = Workers::new(shutdown.clone());
    if disk.segments().expect("readable").is_empty() {
        Log::format(&mut disk.clone(), "CID-test").expect("formatted");
    }
    let gated = GatedDisk { disk: disk.clone(), gate: gate.clone() };
    let store = MemoryStore::new();
    let state = State::new(CoreConfig::default(), SystemClock.now());
    let mut recovered = recover(gated, &store, "CID-test", state).expect("recovered");
    recovered.state.resume(recovered.log.term(), recovered.log.last());
    let parts = Parts { log: recovered.log, store, lock: None, applied: Seq(0), tail_bytes: 0 };
    let poked = handle.mailbox.clone();
    let journal =
        Journal::start(parts, CheckpointPolicy::default(), &workers, move || poked.poke()).expect("a journal");
    let metrics = Arc::new(Metrics::default());
    let driver = Driver::new(DriverParts {
        state: recovered.state,
        journal,
        handle: handle.clone(),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        metrics: metrics.clone(),
    });
    workers.thread("driver", move || driver.run()).expect("a thread");
    Running { handle, gate, disk, metrics, workers, shutdown }
}

impl Running {
    fn end(self) -> MemoryDisk {
        self.gate.shut(false);
        self.handle.mailbox.close();
        self.shutdown.trigger();
        self.workers.join(PATIENCE).expect("it ends in order");
        self.disk
    }

    fn mkdir(&self, text: &str) -> JoinHandle<Result<Reply, FsError>> {
        let command = Command::Mkdirs { path: path(text), mode: 0o755, create_parent: true };
        let handle = self.handle.clone();
        tokio::spawn(async move { handle.command(superuser(), command).await })
    }

    async fn exists(&self, text: &str) -> bool {
        let answer = self.handle.query(superuser(), Query::FileInfo { path: path(text) }).await;
        matches!(answer, Ok(Answer::FileInfo(Some(_))))
    }
}

fn superuser() -> Caller {
    Caller { user: CoreConfig::default().superuser, ..Caller::default() }
}

fn path(text: &str) -> DfsPath {
    DfsPath::parse(text).expect("a path")
}

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("in time")
}

async fn waits<T>(future: impl Future<Output = T>) -> bool {
    tokio::time::timeout(MOMENT, future).await.is_err()
}

#[tokio::test]
async fn nothing_leaves_before_what_it_depends_on_is_durable() {
    let running = start(MemoryDisk::new());
    in_time(running.mkdir("/old")).await.expect("no panic").expect("made");
    running.gate.shut(true);
    let mut made = running.mkdir("/new");
    assert!(waits(&mut made).await, "a reply");
    let mut seen = Box::pin(running.exists("/new"));
    assert!(waits(&mut seen).await, "an answer that saw it");
    let refused = Command::SetPermission { path: path("/missing"), mode: 0o700 };
    let mut refused = Box::pin(running.handle.command(superuser(), refused));
    assert!(waits(&mut refused).await, "a refusal");
    in_time(running.handle.query(superuser(), Query::Health)).await.expect("a figure depends on nothing");
    running.gate.shut(false);
    in_time(made).await.expect("no panic").expect("made");
    assert!(in_time(seen).await);
    let refusal = in_time(refused).await.expect_err("it is missing");
    assert_eq!(refusal.code, ErrorCode::FileNotFound);
    running.end();
}

#[tokio::test]
async fn what_an_edit_did_not_touch_is_answered_meanwhile() {
    let running = start(MemoryDisk::new());
    in_time(running.mkdir("/a")).await.expect("no panic").expect("made");
    in_time(running.mkdir("/b")).await.expect("no panic").expect("made");
    running.gate.shut(true);
    let chmod = Command::SetPermission { path: path("/a"), mode: 0o700 };
    let mut changed = Box::pin(running.handle.command(superuser(), chmod));
    assert!(waits(&mut changed).await);
    assert!(in_time(running.exists("/b")).await);
    assert!(waits(running.exists("/a")).await);
    running.gate.shut(false);
    in_time(changed).await.expect("changed");
    running.end();
}

#[tokio::test]
async fn commands_gather_while_a_sync_runs_and_survive_a_restart() {
    let running = start(MemoryDisk::new());
    running.gate.shut(true);
    let first = running.mkdir("/first");
    let mut rest = Vec::new();
    for nth in 0..100 {
        rest.push(running.mkdir(&format!("/d{nth}")));
    }
    assert!(waits(std::future::pending::<()>()).await);
    running.gate.shut(false);
    in_time(first).await.expect("no panic").expect("made");
    for made in rest {
        in_time(made).await.expect("no panic").expect("made");
    }
    in_time(running.handle.query(superuser(), Query::Health)).await.expect("a round later");
    let figures = running.metrics.figures();
    assert!(figures.groups <= 10, "{} groups for 101 commands", figures.groups);
    let disk = running.end();
    disk.crash(mammoth_journal::log::Tear::Lost);
    let again = start(disk);
    for nth in 0..100 {
        assert!(in_time(again.exists(&format!("/d{nth}"))).await, "/d{nth}");
    }
    again.end();
}

#[tokio::test]
async fn a_failed_sync_ends_it_and_everybody_is_told_to_try_again() {
    let running = start(MemoryDisk::new());
    running.gate.shut(true);
    let mut waiting = running.mkdir("/a");
    assert!(waits(&mut waiting).await);
    running.disk.fail_sync_after(0);
    running.gate.shut(false);
    let refusal = in_time(waiting).await.expect("no panic").expect_err("it may be lost");
    assert_eq!(refusal.code, ErrorCode::Retriable);
    let late = in_time(running.mkdir("/b")).await.expect("no panic").expect_err("the door is closed");
    assert_eq!(late.code, ErrorCode::Retriable);
    assert!(running.shutdown.wait(PATIENCE));
    let reason = running.shutdown.fatal_reason().expect("a reason");
    assert!(reason.contains("journal"), "{reason}");
    assert!(running.workers.join(PATIENCE).is_err());
}

fn registration(nth: u16) -> RegisterRequest {
    let addr = DatanodeAddr {
        ip: "127.0.0.1".parse().expect("an address"),
        hostname: "localhost".to_owned(),
        transfer_port: 10_000 + nth,
        info_port: 20_000 + nth,
        ipc_port: 30_000 + nth,
    };
    RegisterRequest {
        cluster_id: "CID-test".to_owned(),
        datanode: DatanodeId(Uuid(u128::from(nth))),
        addr,
        rack: "/default-rack".to_owned(),
        storages: vec![usage(nth)],
        seen: HighWater::default(),
        software: "test".to_owned(),
    }
}

fn usage(nth: u16) -> StorageUsage {
    let storage = StorageId(Uuid(u128::from(nth) + 1_000));
    StorageUsage { storage, capacity: 1 << 30, used: 0, remaining: 1 << 30, failed: false }
}

#[tokio::test]
async fn datanodes_get_growing_epochs_and_strangers_must_register() {
    let running = start(MemoryDisk::new());
    let first = in_time(running.handle.register(registration(1))).await.expect("taken in");
    let second = in_time(running.handle.register(registration(2))).await.expect("taken in");
    assert!(second > first);
    let beat = |datanode: u16, epoch| HeartbeatRequest {
        datanode: DatanodeId(Uuid(u128::from(datanode))),
        epoch,
        storages: vec![usage(datanode)],
        xceivers: 0,
        copies: 0,
    };
    let known = in_time(running.handle.report(Report::Heartbeat(beat(1, first)))).await.expect("taken");
    assert!(!known.register);
    let old = in_time(running.handle.report(Report::Heartbeat(beat(2, first)))).await.expect("answered");
    let stranger = in_time(running.handle.report(Report::Heartbeat(beat(3, second)))).await.expect("answered");
    assert!(old.register && stranger.register);
    let disk = running.end();
    let again = start(disk);
    let third = in_time(again.handle.register(registration(1))).await.expect("taken in");
    assert!(third > second, "a new term's epochs are above all before");
    again.end();
}

#[tokio::test]
async fn full_reports_are_taken_in_order_and_strangers_must_register() {
    let running = start(MemoryDisk::new());
    let epoch = in_time(running.handle.register(registration(1))).await.expect("taken in");
    let first = BlockId::RESERVED.0 + 1;
    let slice = |datanode: u16, slice: u32, last| {
        let block = |n: i64| Block { id: BlockId(first + i64::from(slice) * 10_000 + n), ..Block::default() };
        let replica = |n| ReportedReplica { block: block(n), state: ReplicaState::Finalized };
        Report::Full(FullReportSlice {
            datanode: DatanodeId(Uuid(u128::from(datanode))),
            epoch,
            storage: usage(datanode).storage,
            cut_seq: 0,
            slice,
            last,
            replicas: (0..10_000).map(replica).collect(),
        })
    };
    // All at once: the second would be refused if it came to its turn before the first is taken whole.
    let (a, b, stranger) = tokio::join!(
        in_time(running.handle.report(slice(1, 0, false))),
        in_time(running.handle.report(slice(1, 1, true))),
        in_time(running.handle.report(slice(2, 0, true))),
    );
    for taken in [a, b] {
        let taken = taken.expect("answered");
        assert_eq!((taken.register, taken.resync.len()), (false, 0));
    }
    assert!(stranger.expect("answered").register);
    let lone = in_time(running.handle.report(slice(1, 5, true))).await.expect("answered");
    assert_eq!(lone.resync, [usage(1).storage], "it belongs to no report");
    running.end();
}
