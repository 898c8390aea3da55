//! Start and end of a tasktracker: which threads there are, and the handle that its starter holds.

use crate::child::life::Ground;
use crate::child::spawn::tracker_mark;
use crate::config::TasktrackerConfig;
use crate::doors::{self, Doors};
use crate::error::{Result, StartError, TasktrackerError};
use crate::fetch::DfsFetch;
use crate::folder::{Folder, TrashWorker};
use crate::launcher::Launcher;
use crate::localize::{Fetch, Localizer};
use crate::procs::{self, Leaders, Marks, Reaper};
use crate::table::Table;
use crate::tracking::{Contact, Tracking};
use mammoth_platform::{Clock, Entropy, Settings, Shutdown, SystemClock, SystemEntropy, Workers, keys, process};
use mammoth_protocol::jobs::TrackerId;
use mammoth_protocol::jobs::tracker::RegisterRequest;
use mammoth_web::bind;
use mammoth_web::doors::stopped;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::runtime::Runtime;

/// How long threads may take to end.
const JOIN_TIMEOUT: Duration = Duration::from_secs(30);
/// How long attempts may take to end with the tracker.
const END_TIMEOUT: Duration = Duration::from_secs(15);

/// What a tasktracker is given beside its settings.
#[derive(Clone)]
pub struct Components {
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Source of identities.
    pub entropy: Arc<dyn Entropy>,
    /// Reads programs and specifications.
    pub fetch: Arc<dyn Fetch>,
}

impl Components {
    /// Those of the machine; files come from the distributed file system, by clients with these settings.
    #[must_use]
    pub fn system(settings: &Settings) -> Self {
        Self {
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            fetch: Arc::new(DfsFetch::new(settings)),
        }
    }
}

/// Where the doors are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addrs {
    /// Pages, logs and the shuffle.
    pub http: SocketAddr,
}

/// A running tasktracker.
pub struct Handle {
    addrs: Addrs,
    tracker: TrackerId,
    contact: Arc<Contact>,
    shutdown: Shutdown,
    workers: Workers,
    folder: Arc<Folder>,
}

impl Handle {
    /// Where its doors are.
    #[must_use]
    pub fn addrs(&self) -> Addrs {
        self.addrs
    }

    /// Its identity, for ever.
    #[must_use]
    pub fn tracker(&self) -> TrackerId {
        self.tracker
    }

    /// Whether the jobtracker has taken it in.
    #[must_use]
    pub fn registered(&self) -> bool {
        self.contact.registered.load(Ordering::SeqCst)
    }

    /// Asks it to end, with all its attempts and executors; returns at once.
    pub fn shutdown(&self) {
        self.shutdown.trigger();
    }

    /// Why it cannot go on, if so.
    #[must_use]
    pub fn fatal(&self) -> Option<String> {
        self.shutdown.fatal_reason()
    }

    /// Waits for its end. Nothing that it started is left then.
    ///
    /// # Errors
    /// It ended by itself; the reason.
    pub fn wait(self) -> Result<()> {
        self.shutdown.wait_forever();
        if let Err(lines) = self.workers.join(JOIN_TIMEOUT) {
            tracing::debug!(?lines, "threads that did not end well");
        }
        self.folder.trash.empty();
        match self.shutdown.fatal_reason() {
            None => Ok(()),
            Some(reason) => Err(TasktrackerError::Fatal { reason }),
        }
    }
}

/// Starts a tasktracker. It listens when this returns; it is of use once the jobtracker has taken it in, which it waits for.
/// The process becomes a subreaper: orphans among its descendants become its children.
///
/// # Errors
/// A folder in use or not its own, an address in use.
pub fn start(config: TasktrackerConfig, components: Components) -> std::result::Result<Handle, StartError> {
    let clock = Arc::clone(&components.clock);
    let folder = Folder::open(&config.dir, &*components.entropy, |tracker| end_former(tracker, &*clock))?;
    let key = keys::MAPREDUCE_TASKTRACKER_HTTP_ADDRESS.name();
    let listener = bind::listen("pages and the shuffle", key, config.http)?;
    let http = listener.local_addr().map_err(|source| bind::BindError::Taken {
        door: "pages and the shuffle",
        key,
        addr: config.http,
        source,
    })?;
    let shutdown = Shutdown::new();
    let workers = Workers::new(shutdown.clone());
    let parts = Parts { config, components, folder: Arc::new(folder), listener, http, shutdown, workers };
    parts.run()
}

/// Ends what a former process of this tracker left running: its folder is about to be emptied.
fn end_former(tracker: TrackerId, clock: &dyn Clock) {
    let marks = Marks {
        what: "a former run".to_owned(),
        leader: None,
        since: 0,
        environment: vec![tracker_mark(tracker)],
        folder: None,
        below_us: false,
    };
    procs::end_all(&marks, clock);
}

struct Parts {
    config: TasktrackerConfig,
    components: Components,
    folder: Arc<Folder>,
    listener: TcpListener,
    http: SocketAddr,
    shutdown: Shutdown,
    workers: Workers,
}

impl Parts {
    fn run(self) -> Result<Handle> {
        let handle = Handle {
            addrs: Addrs { http: self.http },
            tracker: self.folder.tracker,
            contact: Arc::default(),
            shutdown: self.shutdown.clone(),
            workers: self.workers.clone(),
            folder: Arc::clone(&self.folder),
        };
        let (shutdown, workers) = (self.shutdown.clone(), self.workers.clone());
        match self.start_threads(Arc::clone(&handle.contact)) {
            Ok(()) => Ok(handle),
            Err(error) => {
                shutdown.trigger();
                let _ = workers.join(JOIN_TIMEOUT);
                Err(error)
            }
        }
    }

    fn host(&self) -> String {
        let own = || if self.http.ip().is_loopback() { "localhost".to_owned() } else { process::host_name() };
        self.config.host_name.clone().unwrap_or_else(own)
    }

    /// `host:port` by which others find the door.
    fn advertised(&self) -> String {
        self.config
            .host_name
            .as_ref()
            .map_or_else(|| self.http.to_string(), |name| format!("{name}:{}", self.http.port()))
    }

    fn start_threads(self, contact: Arc<Contact>) -> Result<()> {
        let Components { clock, fetch, .. } = self.components.clone();
        let runtime = children_runtime().map_err(|error| TasktrackerError::Fatal { reason: error.to_string() })?;
        let subreaper = rustix::process::set_child_subreaper(Some(rustix::process::getpid())).is_ok();
        let leaders = Arc::new(Leaders::default());
        let ground = Arc::new(Ground {
            folder: Arc::clone(&self.folder),
            table: Arc::new(Table::new()),
            leaders: Arc::clone(&leaders),
            clock: Arc::clone(&clock),
            subreaper,
        });
        let localizer = Arc::new(Localizer::new(fetch, Arc::clone(&self.folder)));
        let table = Arc::clone(&ground.table);
        let doors = Doors {
            config: self.config.clone(),
            folder: Arc::clone(&self.folder),
            table: Arc::clone(&table),
            localizer: Arc::clone(&localizer),
            contact: Arc::clone(&contact),
            clock: Arc::clone(&clock),
            workers: self.workers.clone(),
            http: self.advertised(),
            started_ms: clock.now().monotonic_ms,
            shuffle_bytes: AtomicU64::new(0),
            shuffle_segments: AtomicU64::new(0),
            shuffle_refused: AtomicU64::new(0),
        };
        let launcher = Arc::new(Launcher {
            ground,
            localizer,
            shutdown: self.shutdown.clone(),
            host: self.host(),
            http: self.advertised(),
            runtime: runtime.handle().clone(),
        });
        let tracking = Tracking {
            introduction: RegisterRequest {
                tracker: self.folder.tracker,
                host: self.host(),
                http: self.advertised(),
                generation: self.folder.generation,
                capacity: self.config.capacity,
                software: env!("CARGO_PKG_VERSION").to_owned(),
            },
            jobtracker: self.config.jobtracker.clone(),
            contact,
            launcher,
            shutdown: self.shutdown.clone(),
            clock: Arc::clone(&clock),
        };
        let (listener, workers, shutdown) = (self.listener, self.workers, self.shutdown);
        self.folder.trash.wake_with(workers.worker(TrashWorker(Arc::clone(&self.folder.trash)))?);
        workers.worker(Reaper::new(leaders, clock))?;
        let stopping = shutdown.clone();
        workers.thread("children", move || {
            host_children(runtime, &table, &stopping);
            std::result::Result::<(), String>::Ok(())
        })?;
        workers.thread("doors", move || doors::serve(listener, Arc::new(doors), &shutdown))?;
        Ok(workers.thread("tracking", move || tracking.run())?)
    }
}

/// Where children are supervised.
fn children_runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name("children").enable_all().build()
}

/// Keeps the runtime of the children until the shutdown, and ends them then.
fn host_children(runtime: Runtime, table: &Table, shutdown: &Shutdown) {
    runtime.block_on(async {
        stopped(shutdown).await;
        // Orders that were being carried out when the shutdown came may still start something.
        let mut live = table.live();
        let ended = async {
            loop {
                table.end_all("the tasktracker is shutting down");
                if *live.borrow_and_update() == 0 || live.changed().await.is_err() {
                    return;
                }
            }
        };
        if tokio::time::timeout(END_TIMEOUT, ended).await.is_err() {
            tracing::warn!("attempts did not end in time");
        }
    });
    runtime.shutdown_timeout(Duration::from_secs(2));
}
