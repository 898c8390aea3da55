//! Start and end of a jobtracker.
//!
//! Start: bind the ports, so that a taken one costs nothing; open the folder (formatting an empty one), which begins a new
//! term; start the driver and the thread of files; open the doors. End: the doors first, which lets calls in work finish; then
//! the driver; then the journal.

use crate::config::JobtrackerConfig;
use crate::doors::clients::{self, Clients};
use crate::doors::internal;
use crate::doors::pages::Pages;
use crate::driver::{Driver, Figures, Mailbox};
use crate::error::StartError;
use crate::files::{Files, FilesHandle};
use mammoth_jobtracker_core::State;
use mammoth_jobtracker_core::api::CoreConfig;
use mammoth_journal::{CLUSTER_ID, CheckpointPolicy, Identity, Opened};
use mammoth_platform::{Clock, Entropy, Shutdown, SystemClock, SystemEntropy, Workers, keys};
use mammoth_web::bind::listen;
use mammoth_web::{AllowedHosts, ServeLimits, serve};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, Handle as RuntimeHandle, Runtime};
use tokio::sync::watch;

/// Stack of a thread that serves doors; nothing there recurses.
const DOOR_STACK: usize = 512 * 1024;
/// How long the parts of a jobtracker may take to end.
const END_PATIENCE: Duration = Duration::from_secs(30);

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

/// A running jobtracker. Dropping it asks for its end without waiting.
pub struct Handle {
    addrs: Addrs,
    shutdown: Shutdown,
    workers: Workers,
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
}

impl Handle {
    /// Where its doors are.
    #[must_use]
    pub fn addrs(&self) -> Addrs {
        self.addrs
    }

    /// Asks for its end.
    pub fn shutdown(&self) {
        self.shutdown.trigger();
    }

    /// Why it ended by itself, if it did.
    #[must_use]
    pub fn fatal_reason(&self) -> Option<String> {
        self.shutdown.fatal_reason()
    }

    /// Waits until it has ended, by [`Self::shutdown`] or by itself. Blocks the thread: not for asynchronous code.
    ///
    /// # Errors
    /// Why it ended by itself, or what did not end.
    pub fn wait(self) -> Result<(), String> {
        self.shutdown.wait_forever();
        let joined = self.workers.join(END_PATIENCE);
        match (self.shutdown.fatal_reason(), joined) {
            (Some(reason), _) => Err(reason),
            (None, Err(lines)) => Err(lines.join("; ")),
            (None, Ok(())) => Ok(()),
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shutdown.trigger();
        if let Some(runtime) = self.runtime.take() {
            // Dropping it here could block, or panic in asynchronous code.
            runtime.shutdown_background();
        }
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
    let runtime = door_runtime()?;
    let workers = Workers::new(shutdown.clone());
    let (mailbox, figures, files) = (Mailbox::default(), Figures::default(), Files::default());
    let clients = Clients { driver: mailbox.handle(), files: files.handle() };
    run_driver(&config, opened, &mailbox, &clock, (clients.files.clone(), figures.clone()), &workers)?;
    files.start(&config.dir, config.files.clone(), mailbox.handle(), runtime.handle().clone(), &workers)?;
    let hosts = || AllowedHosts::new(keys::MAMMOTH_HTTP_ALLOWED_HOSTS.name()).with(&config.host_names);
    let pages = Pages::new(clients.clone(), figures, Arc::clone(&clock), format!("http://{}", addrs.http));
    let people = hosts().guard(pages.router().merge(clients::router(clients)));
    let trackers = internal::router(mailbox.handle(), hosts());
    let doors = Doors { http: (http, people), internal: (internal, trackers), mailbox };
    if let Err(error) = doors.open(runtime.handle(), &shutdown) {
        shutdown.trigger();
        return Err(error);
    }
    Ok(Handle { addrs, shutdown, workers, runtime: Some(runtime) })
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
    Ok(mammoth_journal::open(&dir, &Identity::default(), State::new(core, clock.now()))?)
}

fn door_runtime() -> Result<Runtime, StartError> {
    Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(1)
        .thread_stack_size(DOOR_STACK)
        .thread_name("jobtracker-door")
        .enable_all()
        .build()
        .map_err(StartError::Threads)
}

fn run_driver(
    config: &JobtrackerConfig,
    opened: Opened<State>,
    mailbox: &Mailbox,
    clock: &Arc<dyn Clock>,
    (files, figures): (FilesHandle, Figures),
    workers: &Workers,
) -> Result<(), StartError> {
    let policy = CheckpointPolicy {
        bytes: config.checkpoint_bytes,
        interval_ms: config.checkpoint_interval_ms,
        ..CheckpointPolicy::default()
    };
    let notified = mailbox.clone();
    let (state, journal) = opened.start(policy, workers, move || notified.poke())?;
    let driver = Driver::new(state, journal, mailbox.clone(), Arc::clone(clock), files, figures);
    Ok(workers.thread("jobtracker", move || driver.run())?)
}

/// Both doors before they open.
struct Doors {
    http: (TcpListener, axum::Router),
    internal: (TcpListener, axum::Router),
    mailbox: Mailbox,
}

/// Ends the driver once the doors have ended, however they do.
struct CloseMailbox(Mailbox);

impl Drop for CloseMailbox {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Doors {
    fn open(self, runtime: &RuntimeHandle, shutdown: &Shutdown) -> Result<(), StartError> {
        let closing = CloseMailbox(self.mailbox);
        let _inside = runtime.enter();
        let door = |listener| tokio::net::TcpListener::from_std(listener).map_err(StartError::Threads);
        let (http, internal) = (door(self.http.0)?, door(self.internal.0)?);
        let (stop, stopped) = watch::channel(false);
        shutdown
            .subscribe(move || {
                stop.send_replace(true);
            })
            .forever();
        let limits = ServeLimits::default();
        // A tasktracker keeps its connection over many polls.
        let patient = ServeLimits { head: Duration::from_secs(120), ..limits };
        let people = serve(http, self.http.1, limits, stop_signal(stopped.clone()));
        let trackers = serve(internal, self.internal.1, patient, stop_signal(stopped));
        let tasks = [runtime.spawn(people), runtime.spawn(trackers)];
        runtime.spawn(async move {
            let closing = closing;
            for task in tasks {
                if let Err(error) = task.await {
                    tracing::error!(%error, "a door ended early");
                }
            }
            drop(closing);
        });
        Ok(())
    }
}

async fn stop_signal(mut stopped: watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stop| *stop).await;
}
