use super::*;
use crate::files::Files;
use mammoth_jobtracker_core::api::CoreConfig;
use mammoth_journal::checkpoint::MemoryStore;
use mammoth_journal::log::{Gate, GatedDisk, Log, MemoryDisk};
use mammoth_journal::{CheckpointPolicy, Parts, recover};
use mammoth_platform::{Deadline, Shutdown, SystemClock, Workers};
use mammoth_protocol::Seq;
use mammoth_protocol::jobs::Resources;
use mammoth_protocol::jobs::app::NewAppRequest;
use mammoth_protocol::jobs::client::SubmitRequest;
use mammoth_protocol::jobs::spec::{ProgramRef, SPEC_VERSION};
use mammoth_web::inbox::Lane;
use std::collections::BTreeMap;
use tokio::sync::oneshot;

const PATIENCE: Duration = Duration::from_secs(20);

/// A driver over a disk in memory, and what it tells the thread of the jobtracker's own folder.
struct Running {
    handle: DriverHandle,
    gate: Gate,
    files: Files,
    workers: Workers,
    shutdown: Shutdown,
}

fn start() -> Running {
    let (shutdown, gate, handle, files) = (Shutdown::new(), Gate::default(), DriverHandle::default(), Files::default());
    let workers = Workers::new(shutdown.clone());
    let disk = MemoryDisk::new();
    Log::format(&mut disk.clone(), "JT-test").expect("formatted");
    let store = MemoryStore::new();
    let state = State::new(CoreConfig::default(), SystemClock.now());
    let recovered = recover(GatedDisk { disk, gate: gate.clone() }, &store, "JT-test", state).expect("recovered");
    let parts = Parts { log: recovered.log, store, lock: None, applied: Seq(0), tail_bytes: 0 };
    let poked = handle.mailbox.clone();
    let journal =
        Journal::start(parts, CheckpointPolicy::default(), &workers, move || poked.poke()).expect("a journal");
    let clock = Arc::new(SystemClock);
    let driver = Driver::new(recovered.state, journal, handle.clone(), clock, files.handle(), Figures::default());
    workers.thread("driver", move || driver.run()).expect("a thread");
    Running { handle, gate, files, workers, shutdown }
}

impl Running {
    /// Wants a change and does not wait for the answer.
    async fn send(&self, command: Command) -> oneshot::Receiver<Result<Reply, FsError>> {
        let (answer, waiting) = oneshot::channel();
        self.handle.mailbox.tell(Lane::Client, Ask::Command { command, answer }).await;
        waiting
    }

    async fn command(&self, command: Command) -> Reply {
        self.send(command).await.await.expect("an answer").expect("not refused")
    }

    /// Returns once the driver has taken everything that was sent before, whether its answers may leave or not.
    async fn taken(&self) {
        let (seen, looked) = oneshot::channel();
        let look: Look = Box::new(|_, _| {
            let _nobody_waits = seen.send(());
            Box::new(|| {})
        });
        self.handle.mailbox.tell(Lane::Client, Ask::Look(look)).await;
        looked.await.expect("looked");
    }

    fn end(self) {
        self.gate.shut(false);
        self.handle.mailbox.close();
        self.shutdown.trigger();
        self.workers.join(PATIENCE).expect("it ends in order");
    }

    fn ends_within_patience(&self) -> String {
        let deadline = Deadline::after(&SystemClock, PATIENCE);
        loop {
            if let Some(end) = self.files.ends().pop() {
                return end;
            }
            assert!(!deadline.is_over(&SystemClock), "nothing was told");
            std::thread::yield_now();
        }
    }
}

/// A job that is done as soon as it is known.
fn nothing_to_do() -> Arc<JobSpec> {
    let resources = Resources { cores: 1, memory_mib: 1 };
    Arc::new(JobSpec {
        version: SPEC_VERSION,
        name: "nothing".to_owned(),
        user: "u".to_owned(),
        program: ProgramRef::default(),
        entry: "nothing".to_owned(),
        args: Vec::new(),
        sdk: Vec::new(),
        settings: BTreeMap::new(),
        fs: "hdfs://nn:8020".to_owned(),
        splits: Vec::new(),
        reduces: 0,
        output: None,
        map_resources: resources,
        reduce_resources: resources,
        map_attempts_max: 1,
        reduce_attempts_max: 1,
        task_timeout_ms: 0,
        slowstart_percent: 5,
    })
}

fn app() -> NewAppRequest {
    NewAppRequest {
        name: "app".to_owned(),
        user: "u".to_owned(),
        fs: String::new(),
        program: ProgramRef::default(),
        driver: "d:1".to_owned(),
        secret: "s".to_owned(),
        settings: BTreeMap::new(),
    }
}

#[tokio::test]
async fn ends_are_told_when_they_are_durable() {
    let running = start();
    let Reply::Job(job) = running.command(Command::NewJob { user: "u".to_owned() }).await else { panic!("no job") };
    let Reply::App(known) = running.command(Command::NewApp(app())).await else { panic!("no application") };
    running.gate.shut(true);
    let request = SubmitRequest { job, spec: "/staging".to_owned(), sha256: "00".to_owned() };
    let _submitted = running.send(Command::Submit { request, spec: nothing_to_do() }).await;
    running.taken().await;
    assert_eq!(running.files.ends(), [""; 0], "a restart would run the job again");
    running.gate.shut(false);
    assert_eq!(running.ends_within_patience(), job.to_string());
    running.gate.shut(true);
    let _killed = running.send(Command::KillApp { app: known.app, reason: "test".to_owned() }).await;
    running.taken().await;
    assert_eq!(running.files.ends(), [""; 0], "a restart would take the application up again");
    running.gate.shut(false);
    assert_eq!(running.ends_within_patience(), known.app.to_string());
    running.end();
}
