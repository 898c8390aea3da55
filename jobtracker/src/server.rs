//! Start and end of a jobtracker.
//!
//! Start: bind the ports, so that a taken one costs nothing; open the folder (formatting an empty one), which begins a new
//! term; start the driver and the thread of files; open the doors. End: the doors first, which lets calls in work finish; then
//! the driver; then the journal.

use crate::config::JobtrackerConfig;
use crate::doors::clients::{self, Clients};
use crate::doors::internal;
use crate::doors::pages::Pages;
use crate::driver::{Driver, DriverHandle, Figures};
use crate::error::StartError;
use crate::files::{Files, FilesHandle};
use mammoth_jobtracker_core::State;
use mammoth_jobtracker_core::api::CoreConfig;
use mammoth_journal::{CLUSTER_ID, CheckpointPolicy, Identity, Opened};
use mammoth_platform::{Clock, Entropy, Shutdown, SystemClock, SystemEntropy, Workers, keys};
use mammoth_web::bind::listen;
use mammoth_web::doors::{Doors, door_threads};
use mammoth_web::{AllowedHosts, Running, ServeLimits};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

/// What a jobtracker takes from its surroundings.
pub struct Components {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
    /// Ends the jobtracker, and is told why it ended.
    pub shutdown: Shutdown,
}

impl Default for Components {
    fn default() -> Self {
        Self { clock: Arc::new(SystemClock), entropy: Arc::new(SystemEntropy), shutdown: Shutdown::new() }
    }
}

/// Where the doors of a running jobtracker are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addrs {
    /// Pages, clients and drivers.
    pub http: SocketAddr,
    /// For tasktrackers.
    pub internal: SocketAddr,
}

/// A running jobtracker.
pub type Handle = Running<Jobtracker>;

/// What there is to say of a running jobtracker.
pub struct Jobtracker {
    addrs: Addrs,
}

impl Jobtracker {
    /// Where its doors are.
    #[must_use]
    pub fn addrs(&self) -> Addrs {
        self.addrs
    }
}

/// Starts a jobtracker: returns with its doors open.
///
/// # Errors
/// See [`StartError`].
pub fn start(config: JobtrackerConfig, components: Components) -> Result<Handle, StartError> {
    let Components { clock, entropy, shutdown } = components;
    let http = listen("clients and pages", keys::MAPREDUCE_JOBTRACKER_HTTP_ADDRESS.name(), config.http)?;
    let internal = listen("tasktrackers", keys::MAMMOTH_JOBTRACKER_INTERNAL_ADDRESS.name(), config.internal)?;
    let addr = |listener: &TcpListener| listener.local_addr().map_err(StartError::Threads);
    let addrs = Addrs { http: addr(&http)?, internal: addr(&internal)? };
    let opened = open(&config, addrs, &*clock, &*entropy)?;
    tracing::info!(term = %opened.term, rows = opened.stats.rows, replayed = opened.stats.records_replayed,
        http = %addrs.http, internal = %addrs.internal, "jobtracker starts");
    let runtime = door_threads("jobtracker-door", 1, 1).map_err(StartError::Threads)?;
    let workers = Workers::new(shutdown.clone());
    let (driver, figures, files) = (DriverHandle::default(), Figures::default(), Files::default());
    let clients = Clients { driver: driver.clone(), files: files.handle() };
    run_driver(&config, opened, &driver, &clock, (clients.files.clone(), figures.clone()), &workers)?;
    files.start(&config.dir, config.files.clone(), driver.clone(), runtime.handle().clone(), &workers)?;
    let hosts = || AllowedHosts::new(keys::MAMMOTH_HTTP_ALLOWED_HOSTS.name()).with(&config.host_names);
    let pages = Pages::new(clients.clone(), figures, Arc::clone(&clock), format!("http://{}", addrs.http));
    let people = hosts().guard(pages.router().merge(clients::router(clients)));
    let trackers = internal::router(driver.clone(), hosts());
    let mut doors = Doors::new(runtime.handle().clone(), shutdown.clone());
    let open = doors.http(http, people, ServeLimits::default());
    // The driver ends after the doors; at once, if one of them cannot be opened.
    let closing = driver.mailbox.close_when_dropped();
    if let Err(error) = open.and_then(|()| doors.http(internal, trackers, ServeLimits::for_daemons())) {
        shutdown.trigger();
        return Err(StartError::Threads(error));
    }
    doors.then_drop(closing);
    Ok(Running::new(Jobtracker { addrs }, shutdown, workers, Some(runtime)))
}

/// Opens the folder of the jobtracker, which begins a new term; formats an empty one.
fn open(
    config: &JobtrackerConfig,
    addrs: Addrs,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
) -> Result<Opened<State>, StartError> {
    let dir = config.dir.join("journal");
    if !mammoth_journal::is_formatted(&dir) {
        let identity = Identity::of([(CLUSTER_ID, format!("JT-{}", entropy.uuid()))]);
        mammoth_journal::format(&dir, &identity)?;
        tracing::info!(dir = %dir.display(), "folder formatted");
    }
    let core = CoreConfig {
        expiry_ms: config.expiry_ms,
        poll_wait_ms: (config.expiry_ms / 3).clamp(1, 10_000),
        app_lease_ms: config.app_lease_ms,
        url: format!("http://{}", addrs.http),
        ..CoreConfig::default()
    };
    Ok(mammoth_journal::open(&dir, &Identity::default(), State::new(core, clock.now()).loading())?)
}

fn run_driver(
    config: &JobtrackerConfig,
    opened: Opened<State>,
    handle: &DriverHandle,
    clock: &Arc<dyn Clock>,
    (files, figures): (FilesHandle, Figures),
    workers: &Workers,
) -> Result<(), StartError> {
    let policy = CheckpointPolicy {
        bytes: config.checkpoint_bytes,
        interval_ms: config.checkpoint_interval_ms,
        ..CheckpointPolicy::default()
    };
    let notified = handle.mailbox.clone();
    let (state, journal) = opened.start(policy, workers, move || notified.poke())?;
    let driver = Driver::new(state, journal, handle.clone(), Arc::clone(clock), files, figures);
    Ok(workers.thread("jobtracker", move || driver.run())?)
}
