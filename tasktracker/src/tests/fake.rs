//! A jobtracker that says what the test wants, a cluster whose files the test holds, and a tasktracker between them.

use crate::localize::Fetch;
use crate::{Components, Handle, TasktrackerConfig, start};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use mammoth_platform::{Clock, Deadline, SystemClock, SystemEntropy};
use mammoth_protocol::jobs::spec::ProgramRef;
use mammoth_protocol::jobs::tracker::{
    AttemptPhase, LaunchAttempt, LaunchExecutor, Order, PollReply, PollRequest, RegisterReply, RegisterRequest, routes,
};
use mammoth_protocol::jobs::{AppId, AttemptId, ExecutorId, JobId, Resources, TaskId, TaskKind, TrackerEpoch};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

pub(super) const JOB: JobId = JobId { cluster_ms: 5, number: 1 };
pub(super) const APP: AppId = AppId { cluster_ms: 5, number: 2 };
/// What everything may take before a test has failed.
pub(super) const SOON: Duration = Duration::from_secs(30);
pub(super) const DONE: &str = r#"echo '{"from":"done","counters":{"groups":{}},"partitions":[7]}' >&0"#;

pub(super) fn attempt(kind: TaskKind, index: u32) -> AttemptId {
    AttemptId { task: TaskId { job: JOB, kind, index }, number: 0 }
}

pub(super) fn map(index: u32) -> AttemptId {
    attempt(TaskKind::Map, index)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Waits until something holds.
pub(super) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Deadline::after(&SystemClock, SOON);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(!deadline.is_over(&SystemClock), "in time: {what}");
        let poll = Duration::from_millis(2);
        std::thread::sleep(poll);
    }
}

/// Files of the cluster, below a folder.
pub(super) struct Files(PathBuf);

impl Files {
    fn put(&self, path: &str, bytes: &[u8]) {
        let path = self.0.join(path.trim_start_matches('/'));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        // Never half of it, as another test's thread may read it now.
        let tmp = path.with_extension("tmp");
        std::fs::write(&tmp, bytes).unwrap();
        mammoth_platform::durable::rename_unsynced(&tmp, &path).unwrap();
    }
}

impl Fetch for Files {
    fn open(&self, _: &str, _: &str, path: &str) -> Result<Box<dyn Read + Send>, String> {
        let file = std::fs::File::open(self.0.join(path.trim_start_matches('/')));
        Ok(Box::new(file.map_err(|_| format!("{path}: no such file"))?))
    }
}

#[derive(Default)]
pub(super) struct Said {
    pub(super) registrations: Vec<RegisterRequest>,
    pub(super) polls: Vec<PollRequest>,
    orders: Vec<Order>,
    /// Polls of any other are refused; 0 = registrations too.
    epoch: u64,
}

/// The jobtracker.
pub(super) struct Jobtracker {
    pub(super) said: Mutex<Said>,
    orders: watch::Sender<u64>,
    pub(super) expiry_ms: u64,
}

impl Jobtracker {
    pub(super) fn order(&self, order: Order) {
        self.said.lock().unwrap().orders.push(order);
        self.orders.send_modify(|orders| *orders += 1);
    }

    /// Forgets its trackers, as after a restart.
    pub(super) fn forget(&self) {
        self.said.lock().unwrap().epoch += 1;
        self.orders.send_modify(|orders| *orders += 1);
    }

    pub(super) fn last(&self) -> Option<PollRequest> {
        self.said.lock().unwrap().polls.last().cloned()
    }

    pub(super) fn phase(&self, attempt: AttemptId) -> Option<AttemptPhase> {
        let report = self.last()?.attempts.into_iter().find(|report| report.attempt == attempt);
        report.map(|report| report.state)
    }

    /// How an attempt ended.
    pub(super) fn end_of(&self, attempt: AttemptId) -> AttemptPhase {
        until("the attempt ends", || {
            self.phase(attempt).filter(|phase| {
                !matches!(phase, AttemptPhase::Starting | AttemptPhase::Running | AttemptPhase::CommitPending)
            })
        })
    }

    pub(super) fn failure_of(&self, attempt: AttemptId) -> String {
        match self.end_of(attempt) {
            AttemptPhase::Failed { reason } => reason,
            other => panic!("it did not fail but {other:?}"),
        }
    }
}

async fn register(State(own): State<Arc<Jobtracker>>, Json(request): Json<RegisterRequest>) -> Response {
    let mut said = own.said.lock().unwrap();
    said.registrations.push(request);
    let reply = RegisterReply { epoch: TrackerEpoch(said.epoch), poll_wait_ms: 1_000, expiry_ms: own.expiry_ms };
    Json(reply).into_response()
}

async fn poll(State(own): State<Arc<Jobtracker>>, Json(request): Json<PollRequest>) -> Response {
    let mut orders = own.orders.subscribe();
    let (seq, epoch, wait) = (request.seq, request.epoch.0, Duration::from_millis(request.wait_ms));
    let deadline = tokio::time::sleep(wait);
    tokio::pin!(deadline);
    own.said.lock().unwrap().polls.push(request);
    let mut over = wait.is_zero();
    loop {
        {
            let mut said = own.said.lock().unwrap();
            if said.epoch != epoch {
                return StatusCode::CONFLICT.into_response();
            }
            let newest = said.polls.iter().rev().find(|poll| poll.epoch.0 == epoch).map_or(0, |poll| poll.seq);
            if newest == seq && (over || !said.orders.is_empty()) {
                let orders = std::mem::take(&mut said.orders);
                return Json(PollReply { seq, orders }).into_response();
            }
            if over {
                return Json(PollReply { seq, orders: Vec::new() }).into_response();
            }
        }
        tokio::select! {
            () = &mut deadline => over = true,
            _ = orders.changed() => {}
        }
    }
}

/// A tasktracker of the cluster that lies in `dir`.
pub(super) fn tracker(dir: &Path, jobtracker: &str) -> Handle {
    let config = TasktrackerConfig {
        dir: dir.join("local"),
        jobtracker: jobtracker.to_owned(),
        http: "127.0.0.1:0".parse().unwrap(),
        host_name: None,
        host_names: Vec::new(),
        capacity: Resources { cores: 2, memory_mib: 512 },
    };
    let components = Components {
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        fetch: Arc::new(Files(dir.join("files"))),
    };
    start(config, components).unwrap()
}

/// All of it.
pub(super) struct Cluster {
    pub(super) jobtracker: Arc<Jobtracker>,
    pub(super) dir: tempfile::TempDir,
    files: Files,
    pub(super) addr: String,
    /// The jobtracker lives as long.
    runtime: Option<tokio::runtime::Runtime>,
    tracker: Option<Handle>,
}

impl Cluster {
    pub(super) fn start() -> Self {
        Self::with_expiry(60_000)
    }

    pub(super) fn with_expiry(expiry_ms: u64) -> Self {
        let mut cluster = Self::without_tracker(expiry_ms);
        cluster.start_tracker();
        cluster
    }

    pub(super) fn without_tracker(expiry_ms: u64) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let addr = listener.local_addr().unwrap().to_string();
        let said = Said { epoch: 1, ..Said::default() };
        let jobtracker = Arc::new(Jobtracker { said: Mutex::new(said), orders: watch::Sender::new(0), expiry_ms });
        let router = Router::new()
            .route(routes::REGISTER, post(register))
            .route(routes::POLL, post(poll))
            .with_state(Arc::clone(&jobtracker));
        runtime.spawn(mammoth_web::serve(
            listener,
            router,
            mammoth_web::ServeLimits::default(),
            std::future::pending(),
        ));
        let dir = tempfile::tempdir().unwrap();
        let files = Files(dir.path().join("files"));
        Self { jobtracker, dir, files, addr, runtime: Some(runtime), tracker: None }
    }

    pub(super) fn start_tracker(&mut self) {
        let tracker = tracker(self.dir.path(), &self.addr);
        until("it is registered", || tracker.registered().then_some(()));
        self.tracker = Some(tracker);
    }

    pub(super) fn root(&self) -> PathBuf {
        self.dir.path().join("local")
    }

    pub(super) fn tracker(&self) -> &Handle {
        self.tracker.as_ref().unwrap()
    }

    /// Ends the tracker and waits for that.
    pub(super) fn stop_tracker(&mut self) {
        let tracker = self.tracker.take().unwrap();
        tracker.shutdown();
        tracker.wait().unwrap();
    }

    /// Nobody answers any more.
    pub(super) fn stop_jobtracker(&mut self) {
        self.runtime.take().unwrap().shutdown_background();
    }

    /// Stores a script; its name is its digest.
    pub(super) fn program(&self, script: &str) -> ProgramRef {
        self.store(format!("#!/bin/sh\n{script}\n").into_bytes())
    }

    pub(super) fn store(&self, bytes: Vec<u8>) -> ProgramRef {
        let sha256 = hex(&bytes);
        let program = ProgramRef { path: format!("/programs/{sha256}"), sha256, len: bytes.len() as u64 };
        self.files.put(&program.path, &bytes);
        program
    }

    pub(super) fn launch(&self, attempt: AttemptId, script: &str) -> LaunchAttempt {
        self.files.put("/spec", b"spec");
        LaunchAttempt {
            attempt,
            fs: "hdfs://h:1".to_owned(),
            spec: "/spec".to_owned(),
            spec_sha256: hex(b"spec"),
            program: self.program(script),
            user: "me".to_owned(),
            resources: Resources { cores: 1, memory_mib: 64 },
            maps: 3,
            reduces: 1,
            timeout_ms: 0,
        }
    }

    /// Orders an attempt that runs this script.
    pub(super) fn run(&self, attempt: AttemptId, script: &str) {
        self.jobtracker.order(Order::Launch(self.launch(attempt, script)));
    }

    /// Orders an executor that runs this script.
    pub(super) fn run_executor(&self, executor: u32, script: &str) {
        self.jobtracker.order(Order::LaunchExecutor(LaunchExecutor {
            app: APP,
            executor: ExecutorId(executor),
            fs: "hdfs://h:1".to_owned(),
            program: self.program(script),
            user: "me".to_owned(),
            resources: Resources { cores: 1, memory_mib: 64 },
            driver: "127.0.0.1:1".to_owned(),
            secret: "secret".to_owned(),
            settings: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
        }));
    }

    /// What the HTTP door says: status and body.
    pub(super) fn get(&self, route: &str) -> (u16, Vec<u8>) {
        let url = format!("http://{}{route}", self.tracker().addrs().http);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let response = reqwest::Client::builder().no_proxy().build().unwrap().get(url).send().await.unwrap();
            (response.status().as_u16(), response.bytes().await.unwrap().to_vec())
        })
    }

    pub(super) fn text(&self, route: &str) -> String {
        let (status, body) = self.get(route);
        assert_eq!(status, 200, "{route}");
        String::from_utf8(body).unwrap()
    }

    /// Names below a folder of the tracker.
    pub(super) fn names(&self, below: impl AsRef<Path>) -> Vec<String> {
        let entries = std::fs::read_dir(self.root().join(below)).into_iter().flatten();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(tracker) = self.tracker.take() {
            tracker.shutdown();
            let ended = tracker.wait();
            assert!(std::thread::panicking() || ended.is_ok(), "{ended:?}");
        }
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Processes that have this text in their command line; zombies have none.
pub(super) fn running(text: &str) -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(text)
    })
    .collect()
}

/// A number of seconds that no other test sleeps.
pub(super) fn seconds() -> String {
    format!("1{}", SystemClock.monotonic_ns() % 1_000_000_000)
}
