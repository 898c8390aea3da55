//! Executors that tasktrackers start, by way of the jobtracker.
//!
//! The driver says how many it wants with every poll, which is its sign of life, too; the jobtracker brings the number there and
//! keeps it. What happens in the application goes the same way.

use crate::context::{Cluster, Context, Options};
use crate::door::Door;
use crate::driver::Manager;
use crate::error::EngineError;
use crate::events::EventLog;
use crate::hub::{Fault, Hub, Input};
use crate::image;
use crate::local::settings_map;
use mammoth_client::{ClientError, JobClient};
use mammoth_platform::{Entropy, Settings, SystemEntropy, keys, process};
use mammoth_protocol::jobs::app::{AppEnd, AppPoll, AppPollReply, ExecutorState, NewAppRequest};
use mammoth_protocol::jobs::event::AppEvent;
use mammoth_protocol::jobs::{AppId, ExecutorId, Resources};
use mammoth_runtime::program::Environment;
use mammoth_runtime::upload::store_program;
use std::collections::BTreeSet;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Events that go with one poll.
const EVENTS_MAX: usize = 2000;
/// Bytes of events in one poll, as JSON: well within what the jobtracker reads.
const EVENTS_BYTES_MAX: usize = 4 << 20;
/// Deaths of executors without a task's success between them that end the application, for each executor wanted.
const DEATHS_MAX: u32 = 8;
/// How long the last words may take to reach the jobtracker.
const LAST_WORDS: Duration = Duration::from_secs(10);
/// Pause between polls that have nothing to wait for.
const POLL_PAUSE: Duration = Duration::from_millis(20);

/// A context on the cluster of the environment.
///
/// # Errors
/// No cluster is named, or it cannot be reached or refuses.
pub fn start_on_cluster(options: &Options, environment: &Environment) -> Result<Context, EngineError> {
    let runtime = |error: mammoth_runtime::error::RuntimeError| EngineError::Setting(error.to_string());
    let jobs = environment.job_client().map_err(runtime)?;
    let files = environment.client().map_err(runtime)?;
    let program = store_program(&files).map_err(runtime)?;
    let mut options = options.clone();
    options.fs = format!("hdfs://{}", files.namenode_address());
    Context::start(&options.clone(), true, |hub, events| {
        let wish = Wish::of(&options.settings, &jobs)?;
        let secret = SystemEntropy.uuid().to_string();
        let (bind, advertise) = door_address(jobs.address());
        hub.admit_all();
        let door = Door::open(Arc::clone(hub), bind, secret.clone(), image::digest()?)?;
        let user = files.config().user.clone();
        let request = NewAppRequest {
            name: options.name.clone(),
            user: user.clone(),
            fs: options.fs.clone(),
            program,
            driver: format!("{advertise}:{}", door.address.port()),
            secret,
            settings: settings_map(&options),
        };
        let reply = jobs.new_app(&request)?;
        // Where to look, as drivers of jobs on disk say it too.
        let (address, app) = (jobs.address(), reply.app);
        let _nobody_reads = writeln!(
            std::io::stderr(),
            "The url to track the application: http://{address}/apps/{app}\nRunning application: {app}"
        );
        let started =
            AppEvent::AppStarted { app: reply.app, name: options.name.clone(), user, master: "cluster".to_owned() };
        let cores = wish.target.saturating_mul(wish.executor.cores);
        let poller = Poller::start(Parts {
            app: reply.app,
            lease: Duration::from_millis(reply.lease_ms),
            wish,
            jobs,
            hub: Arc::clone(hub),
            events: Arc::clone(events),
        })?;
        let deaths_max = DEATHS_MAX.saturating_mul(wish.target.max(1));
        let manager = Trackers { poller, _door: door, known: BTreeSet::new(), deaths: 0, deaths_max };
        Ok(Cluster { master: "cluster".to_owned(), cores, app: started, manager: Box::new(manager) })
    })
}

/// How many executors of what size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Wish {
    target: u32,
    executor: Resources,
}

impl Wish {
    /// What settings say; where they do not, one executor for each tasktracker, as large as all trackers allow.
    fn of(settings: &Settings, jobs: &JobClient) -> Result<Self, EngineError> {
        let setting = |error: mammoth_platform::PlatformError| EngineError::Setting(error.to_string());
        let instances: u32 = settings.int(keys::SPARK_EXECUTOR_INSTANCES).map_err(setting)?;
        let cores: u32 = settings.int(keys::SPARK_EXECUTOR_CORES).map_err(setting)?;
        let memory = settings.bytes(keys::SPARK_EXECUTOR_MEMORY).map_err(setting)? >> 20;
        let given = settings.is_given(keys::SPARK_EXECUTOR_MEMORY.name());
        let trackers: Vec<Resources> =
            jobs.trackers()?.iter().filter(|tracker| tracker.live).map(|tracker| tracker.capacity).collect();
        let memory = u32::try_from(memory).unwrap_or(u32::MAX);
        Ok(Self::over(&trackers, instances, cores, memory, given))
    }

    fn over(trackers: &[Resources], instances: u32, cores: u32, memory_mib: u32, memory_given: bool) -> Self {
        let least_cores = trackers.iter().map(|tracker| tracker.cores).min().unwrap_or(1).max(1);
        let cores = if cores == 0 { least_cores } else { cores };
        let least_memory = trackers.iter().map(|tracker| tracker.memory_mib).min().unwrap_or(memory_mib);
        let memory_mib = if memory_given { memory_mib } else { memory_mib.min(least_memory).max(16) };
        let fit = |tracker: &Resources| (tracker.cores / cores).min(tracker.memory_mib / memory_mib.max(1));
        let room = trackers.iter().map(fit).sum::<u32>().max(1);
        let target = if instances == 0 { room } else { instances };
        Self { target, executor: Resources { cores, memory_mib } }
    }
}

/// Where the driver's door binds, and the name that executors find it by: this machine alone if the jobtracker is on it.
fn door_address(jobtracker: &str) -> (IpAddr, String) {
    let host = jobtracker.rsplit_once(':').map_or(jobtracker, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V6(address)) if address.is_loopback() => (IpAddr::V6(Ipv6Addr::LOCALHOST), "[::1]".to_owned()),
        Ok(address) if address.is_loopback() => (IpAddr::V4(Ipv4Addr::LOCALHOST), "127.0.0.1".to_owned()),
        Err(_) if host == "localhost" => (IpAddr::V4(Ipv4Addr::LOCALHOST), "127.0.0.1".to_owned()),
        _ => (IpAddr::V4(Ipv4Addr::UNSPECIFIED), process::host_name()),
    }
}

/// Ends and replaces executors by way of the poller.
struct Trackers {
    poller: Poller,
    /// Keeps the door open.
    _door: Door,
    /// Executors that were lost already.
    known: BTreeSet<ExecutorId>,
    deaths: u32,
    deaths_max: u32,
}

impl Manager for Trackers {
    fn replace(&mut self, executor: ExecutorId, _reason: &str) {
        self.poller.shared.orders().release.insert(executor);
    }

    fn lost(&mut self, executor: ExecutorId, reason: &str) -> Result<(), String> {
        if self.known.insert(executor) {
            self.deaths += 1;
        }
        // One that only cannot reach the driver any more must not go on.
        self.poller.shared.orders().release.insert(executor);
        if self.deaths > self.deaths_max {
            return Err(format!("executors die one after the other, the last one: {reason}"));
        }
        Ok(())
    }

    fn progress(&mut self) {
        self.deaths = 0;
    }

    fn stop(&mut self, failure: Option<&str>) {
        self.poller.stop(failure);
    }
}

struct Parts {
    app: AppId,
    lease: Duration,
    wish: Wish,
    jobs: JobClient,
    hub: Arc<Hub>,
    events: Arc<EventLog>,
}

#[derive(Default)]
struct Orders {
    release: BTreeSet<ExecutorId>,
    ended: Option<AppEnd>,
}

#[derive(Default)]
struct Shared {
    orders: Mutex<Orders>,
    changed: Condvar,
}

impl Shared {
    fn orders(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread that polls.
struct Poller {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    done: Receiver<()>,
}

impl Poller {
    fn start(parts: Parts) -> Result<Self, EngineError> {
        let shared = Arc::new(Shared::default());
        let (sender, done) = sync_channel(1);
        let polled = Arc::clone(&shared);
        let run = move || {
            Polling { parts, shared: polled, seq: 0, known: 0, told: BTreeSet::new(), waiting: None }.run();
            let _nobody_waits = sender.send(());
        };
        let thread = std::thread::Builder::new().name("app-poll".to_owned()).spawn(run);
        let thread = thread.map_err(EngineError::io("start the thread that polls the jobtracker"))?;
        Ok(Self { shared, thread: Some(thread), done })
    }

    fn stop(&mut self, failure: Option<&str>) {
        self.shared.orders().ended = Some(AppEnd { failure: failure.map(str::to_owned) });
        self.shared.changed.notify_all();
        if self.done.recv_timeout(LAST_WORDS).is_err() {
            tracing::warn!("the jobtracker was not told of the application's end; it will notice by the lease");
        } else if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

struct Polling {
    parts: Parts,
    shared: Arc<Shared>,
    seq: u64,
    /// Version of the last reply.
    known: u64,
    /// Executors whose end was told to the driver.
    told: BTreeSet<ExecutorId>,
    /// Why there are fewer executors than wanted, as told last.
    waiting: Option<String>,
}

impl Polling {
    fn run(mut self) {
        loop {
            let (release, ended) = {
                let orders = self.shared.orders();
                (orders.release.iter().copied().collect::<Vec<_>>(), orders.ended.clone())
            };
            let (events, is_all) = self.parts.events.take_unsent(EVENTS_MAX, EVENTS_BYTES_MAX);
            let last = ended.is_some() && is_all;
            self.seq += 1;
            let wait_ms = if ended.is_some() || !events.is_empty() { 0 } else { self.wait_ms() };
            let poll = AppPoll {
                seq: self.seq,
                target: if ended.is_some() { 0 } else { self.parts.wish.target },
                executor: self.parts.wish.executor,
                release: release.clone(),
                events,
                ended: if last { ended.clone() } else { None },
                wait_ms,
                known: self.known,
            };
            match self.parts.jobs.poll_app(self.parts.app, &poll) {
                Ok(_) if last => return,
                Ok(reply) => self.take(reply, &release),
                Err(error) => {
                    self.fail(&error);
                    return;
                }
            }
            self.pause();
        }
    }

    /// A third of the lease, and short enough that releases and events do not wait for long.
    fn wait_ms(&self) -> u64 {
        u64::try_from(self.parts.lease.as_millis() / 3).unwrap_or(1000).min(500)
    }

    /// A reply at once must not make the next poll follow at once for ever.
    fn pause(&self) {
        let orders = self.shared.orders();
        drop(self.shared.changed.wait_timeout_while(orders, POLL_PAUSE, |orders| orders.ended.is_none()));
    }

    fn take(&mut self, reply: AppPollReply, released: &[ExecutorId]) {
        self.known = reply.version;
        let present: BTreeSet<ExecutorId> =
            reply.executors.iter().filter(|state| state.ended.is_none()).map(|state| state.executor).collect();
        let mut orders = self.shared.orders();
        for executor in released.iter().filter(|executor| !present.contains(executor)) {
            orders.release.remove(executor);
        }
        drop(orders);
        for ExecutorState { executor, ended, tracker_lost, .. } in reply.executors {
            if let Some(reason) = ended
                && self.told.insert(executor)
            {
                let fault = if tracker_lost { Fault::Tracker } else { Fault::Own };
                self.parts.hub.send(Input::Lost { executor, reason, fault });
            }
        }
        if let Some(reason) = reply.killed {
            self.parts.hub.send(Input::Stop { failure: Some(reason) });
        }
        if reply.waiting != self.waiting {
            if let Some(reason) = &reply.waiting {
                tracing::warn!("{reason}");
            }
            self.waiting = reply.waiting;
        }
    }

    fn fail(&self, error: &ClientError) {
        if self.shared.orders().ended.is_none() {
            let failure = Some(format!("the jobtracker gave the application up: {error}"));
            self.parts.hub.send(Input::Stop { failure });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn tracker(cores: u32, memory_mib: u32) -> Resources {
        Resources { cores, memory_mib }
    }

    #[test]
    fn executors_fill_the_trackers_unless_settings_say_otherwise() {
        let trackers = [tracker(2, 4096), tracker(4, 4096), tracker(2, 4096)];
        let all = Wish::over(&trackers, 0, 0, 1024, false);
        assert_eq!(all, Wish { target: 4, executor: tracker(2, 1024) });
        let few = Wish::over(&trackers, 2, 1, 512, true);
        assert_eq!(few, Wish { target: 2, executor: tracker(1, 512) });
        let small = Wish::over(&[tracker(1, 600)], 0, 0, 1024, false);
        assert_eq!(small, Wish { target: 1, executor: tracker(1, 600) });
        let none = Wish::over(&[], 0, 0, 1024, false);
        assert_eq!(none, Wish { target: 1, executor: tracker(1, 1024) });
    }

    #[test]
    fn the_door_is_as_open_as_the_jobtrackers() {
        assert_eq!(door_address("127.0.0.1:50030").1, "127.0.0.1");
        assert_eq!(door_address("localhost:50030").0, IpAddr::V4(Ipv4Addr::LOCALHOST));
        assert_eq!(door_address("[::1]:50030").1, "[::1]");
        assert_eq!(door_address("10.0.0.1:50030").0, IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    }
}
