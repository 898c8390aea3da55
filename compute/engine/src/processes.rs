//! `local-cluster[N,CORES,MIB]`: executors as processes of this machine, started from this program's own image.
//!
//! Each process has one end of a socket pair as its standard input: it ends when the driver does, and the driver sees at once
//! that it has ended. One that dies is replaced, unless too many die without any task succeeding in between.

use crate::context::{Cluster, Context, Options};
use crate::door::Door;
use crate::driver::Manager;
use crate::error::EngineError;
use crate::hub::{Fault, Hub, Input};
use crate::image::{self, OWN_IMAGE};
use crate::local::{app_started, settings_map};
use crate::scratch::Scratch;
use mammoth_platform::{Deadline, Entropy, SystemClock, SystemEntropy, process};
use mammoth_protocol::Uuid;
use mammoth_protocol::jobs::link::{ExecutorAssignment, ROLE_VARIABLE, Role, ToChild};
use mammoth_protocol::jobs::{AppId, ExecutorId, Resources};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Deaths of executors without a task's success between them that end the application, for each executor wanted.
const DEATHS_MAX: u32 = 8;
/// How long executors may take to end when they are asked to.
const STOP_WAIT: Duration = Duration::from_secs(3);
const STOP_STEP: Duration = Duration::from_millis(10);

/// A context of `local-cluster[executors,cores,memory_mib]`.
pub(crate) fn start(options: &Options, executors: u32, resources: Resources) -> Result<Context, EngineError> {
    Context::start(options, false, |hub, _| {
        let scratch = Scratch::new()?;
        let secret = SystemEntropy.uuid().to_string();
        let door = Door::open(Arc::clone(hub), IpAddr::V4(Ipv4Addr::LOCALHOST), secret, image::digest()?)?;
        let mut manager = Processes {
            hub: Arc::clone(hub),
            door,
            resources,
            settings: settings_map(options),
            children: BTreeMap::new(),
            next: 0,
            deaths: 0,
            deaths_max: DEATHS_MAX.saturating_mul(executors),
            stopping: false,
            scratch,
        };
        for _ in 0..executors {
            manager.spawn()?;
        }
        let master = format!("local-cluster[{executors},{},{}]", resources.cores, resources.memory_mib);
        let app = app_started(options, &master);
        let cores = executors.saturating_mul(resources.cores);
        Ok(Cluster { master, cores, app, manager: Box::new(manager) })
    })
}

struct Processes {
    hub: Arc<Hub>,
    door: Door,
    resources: Resources,
    settings: BTreeMap<String, String>,
    children: BTreeMap<ExecutorId, Process>,
    next: u32,
    deaths: u32,
    deaths_max: u32,
    stopping: bool,
    scratch: Scratch,
}

struct Process {
    child: Arc<Mutex<Child>>,
    /// The driver's end of its standard input.
    _link: UnixStream,
}

fn lock(child: &Mutex<Child>) -> MutexGuard<'_, Child> {
    child.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Processes {
    fn spawn(&mut self) -> Result<(), EngineError> {
        let executor = ExecutorId(self.next);
        self.next += 1;
        let work_dir = self.scratch.folder(&format!("executor-{executor}"))?;
        let assignment = ExecutorAssignment {
            app: AppId { cluster_ms: 0, number: std::process::id() },
            executor,
            driver: self.door.address.to_string(),
            secret: self.door.shared.secret.clone(),
            work_dir: work_dir.to_string_lossy().into_owned(),
            shuffle_dir: self.scratch.folder("shuffle")?.to_string_lossy().into_owned(),
            // No server: all executors see the folder.
            shuffle_server: String::new(),
            generation: Uuid::default(),
            host: process::host_name(),
            resources: self.resources,
            settings: self.settings.clone(),
        };
        self.hub.expect(executor);
        let process = launch(&assignment, &self.hub)?;
        self.children.insert(executor, process);
        Ok(())
    }
}

/// Starts a process, tells it what to be, and watches it.
fn launch(assignment: &ExecutorAssignment, hub: &Arc<Hub>) -> Result<Process, EngineError> {
    let executor = assignment.executor;
    let failed = || EngineError::io(format!("start executor {executor}"));
    let (mut ours, theirs) = UnixStream::pair().map_err(failed())?;
    let child = Command::new(OWN_IMAGE)
        .env(ROLE_VARIABLE, Role::Executor.name())
        .current_dir(&assignment.work_dir)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .process_group(0)
        .spawn()
        .map_err(failed())?;
    let child = Arc::new(Mutex::new(child));
    let process = Process { child: Arc::clone(&child), _link: ours.try_clone().map_err(failed())? };
    let line = serde_json::to_vec(&ToChild::Executor(assignment.clone()));
    let mut line = line.map_err(|error| EngineError::Codec { what: "an assignment", reason: error.to_string() })?;
    line.push(b'\n');
    ours.write_all(&line).map_err(failed())?;
    let hub = Arc::clone(hub);
    let watch = move || {
        // Its end of the stream closes when it ends; what it says before is for trackers.
        let mut said = [0; 4096];
        while matches!(ours.read(&mut said), Ok(1..)) {}
        let reason = match lock(&child).wait() {
            Ok(status) => format!("its process ended: {status}"),
            Err(error) => format!("its process cannot be waited for: {error}"),
        };
        hub.send(Input::Lost { executor, reason, fault: Fault::Own });
    };
    std::thread::Builder::new().name(format!("watch-{executor}")).spawn(watch).map_err(failed())?;
    Ok(process)
}

impl Manager for Processes {
    fn replace(&mut self, executor: ExecutorId, _reason: &str) {
        if let Some(process) = self.children.get(&executor)
            && let Err(error) = lock(&process.child).kill()
        {
            tracing::warn!(%executor, %error, "an executor's process could not be ended");
        }
    }

    fn lost(&mut self, executor: ExecutorId, reason: &str) -> Result<(), String> {
        if self.children.remove(&executor).is_none() || self.stopping {
            return Ok(());
        }
        self.deaths += 1;
        if self.deaths > self.deaths_max {
            return Err(format!("executors die one after the other, the last one: {reason}"));
        }
        self.spawn().map_err(|error| error.to_string())
    }

    fn progress(&mut self) {
        self.deaths = 0;
    }

    fn stop(&mut self, _failure: Option<&str>) {
        self.stopping = true;
        let deadline = Deadline::after(&SystemClock, STOP_WAIT);
        for (executor, process) in std::mem::take(&mut self.children) {
            loop {
                let mut child = lock(&process.child);
                match child.try_wait() {
                    Ok(None) if deadline.is_over(&SystemClock) => {
                        if let Err(error) = child.kill() {
                            tracing::warn!(%executor, %error, "an executor's process could not be ended");
                        }
                        let _ended = child.wait();
                        break;
                    }
                    Ok(None) => {}
                    Ok(Some(_)) | Err(_) => break,
                }
                drop(child);
                std::thread::sleep(STOP_STEP);
            }
        }
    }
}
