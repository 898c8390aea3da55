//! Start and end of a namenode.
//!
//! Start: bind the ports, so that a taken one costs nothing; open the folder (formatting an empty one), which begins a new
//! term; start the driver; open the doors. End: the doors first, which lets calls in work finish; then the driver; then the
//! journal.

use crate::config::NamenodeConfig;
use crate::doors::internal::DatanodeDoor;
use crate::doors::pages::{Pages, PagesConfig};
use crate::doors::rpc::{AdminRules, ClientDoor, ClientProtocol};
use crate::driver::{Driver, DriverParts, Mailbox};
use crate::error::StartError;
use crate::format;
use crate::groups::Groups;
use crate::metrics::Metrics;
use mammoth_journal::{CheckpointPolicy, Identity, Opened};
use mammoth_namenode_core::State;
use mammoth_net::rpc::server::{ServerLimits, serve as serve_rpc};
use mammoth_platform::{Clock, Entropy, Shutdown, SystemClock, SystemEntropy, Workers};
use mammoth_protocol::internal::ClusterIdentity;
use mammoth_protocol::{Seq, Term};
use mammoth_web::bind::listen;
use mammoth_web::{AllowedHosts, ServeLimits, serve};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, Handle as RuntimeHandle, Runtime};
use tokio::sync::watch;

/// Stack of a thread that serves doors; nothing there recurses.
const DOOR_STACK: usize = 512 * 1024;
/// Threads for the rare small file that a door reads.
const BLOCKING_THREADS_MAX: usize = 4;
/// How long the parts of a namenode may take to end.
const END_PATIENCE: Duration = Duration::from_secs(30);

/// What a namenode takes from its surroundings.
pub struct Components {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
    /// Ends the namenode, and is told why it ended.
    pub shutdown: Shutdown,
    /// Runs the doors; without one, the namenode makes its own. It must have I/O and time, and outlive the namenode.
    pub runtime: Option<RuntimeHandle>,
}

impl Default for Components {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            shutdown: Shutdown::new(),
            runtime: None,
        }
    }
}

/// Where the doors of a running namenode are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addrs {
    /// Hadoop RPC for clients.
    pub rpc: SocketAddr,
    /// Status page and JSON.
    pub http: SocketAddr,
    /// For datanodes.
    pub internal: SocketAddr,
}

/// A running namenode. Dropping it asks for its end without waiting.
pub struct Handle {
    addrs: Addrs,
    identity: ClusterIdentity,
    term: Term,
    shutdown: Shutdown,
    workers: Workers,
    runtime: Option<Runtime>,
}

impl Handle {
    /// Where its doors are.
    #[must_use]
    pub fn addrs(&self) -> Addrs {
        self.addrs
    }

    /// Which file system it serves.
    #[must_use]
    pub fn identity(&self) -> &ClusterIdentity {
        &self.identity
    }

    /// Its reign.
    #[must_use]
    pub fn term(&self) -> Term {
        self.term
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

/// The three listeners, bound.
struct Listeners {
    rpc: TcpListener,
    http: TcpListener,
    internal: TcpListener,
}

impl Listeners {
    fn bind(config: &NamenodeConfig) -> Result<Self, StartError> {
        use mammoth_platform::keys;
        let rpc_key = keys::DFS_NAMENODE_RPC_ADDRESS.name();
        let http_key = keys::DFS_NAMENODE_HTTP_ADDRESS.name();
        let internal_key = keys::MAMMOTH_NAMENODE_INTERNAL_ADDRESS.name();
        Ok(Self {
            rpc: listen("Hadoop RPC", rpc_key, config.rpc)?,
            http: listen("the status page", http_key, config.http)?,
            internal: listen("datanodes", internal_key, config.internal)?,
        })
    }

    fn addrs(&self) -> Result<Addrs, StartError> {
        let addr = |listener: &TcpListener| listener.local_addr().map_err(StartError::Threads);
        Ok(Addrs { rpc: addr(&self.rpc)?, http: addr(&self.http)?, internal: addr(&self.internal)? })
    }
}

/// Starts a namenode: returns with its doors open.
///
/// # Errors
/// See [`StartError`].
pub fn start(config: NamenodeConfig, components: Components) -> Result<Handle, StartError> {
    let Components { clock, entropy, shutdown, runtime } = components;
    let listeners = Listeners::bind(&config)?;
    let addrs = listeners.addrs()?;
    let (opened, identity) = open(&config, addrs, &*clock, &*entropy)?;
    let term = opened.term;
    tracing::info!(
        cluster = identity.cluster_id, %term, next = %opened.next_seq, rows = opened.stats.rows,
        replayed = opened.stats.records_replayed, rpc = %addrs.rpc, http = %addrs.http, internal = %addrs.internal,
        "namenode starts"
    );
    let own_runtime = if runtime.is_none() { Some(door_runtime(config.door_threads)?) } else { None };
    let runtime = match (&own_runtime, runtime) {
        (_, Some(given)) => given,
        (Some(own), None) => own.handle().clone(),
        (None, None) => return Err(StartError::Threads(std::io::Error::other("no runtime"))),
    };
    let workers = Workers::new(shutdown.clone());
    let mailbox = Mailbox::default();
    let metrics = Arc::new(Metrics::default());
    let started = Started { config, addrs, identity: identity.clone(), term, mailbox, metrics, clock, shutdown };
    let shutdown = started.shutdown.clone();
    started.run_driver(opened, entropy, &workers)?;
    if let Err(error) = started.open_doors(listeners, &runtime) {
        shutdown.trigger();
        return Err(error);
    }
    Ok(Handle { addrs, identity, term, shutdown, workers, runtime: own_runtime })
}

/// Opens the folder of the namenode, which begins a new term; formats an empty one.
fn open(
    config: &NamenodeConfig,
    addrs: Addrs,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
) -> Result<(Opened<State>, ClusterIdentity), StartError> {
    if !mammoth_journal::is_formatted(&config.dir) {
        let identity = format::draw(clock, entropy, addrs.rpc.ip());
        format::format(&config.dir, &identity)?;
        tracing::info!(dir = %config.dir.display(), cluster = identity.cluster_id, "folder formatted");
    }
    let state = State::new(config.core.clone(), clock.now());
    let mut opened = mammoth_journal::open(&config.dir, &Identity::default(), state)?;
    let identity = format::read(&config.dir, &opened.identity)?;
    opened.state.resume(opened.term, Seq(opened.next_seq.0.saturating_sub(1)));
    Ok((opened, identity))
}

fn door_runtime(threads: usize) -> Result<Runtime, StartError> {
    Builder::new_multi_thread()
        .worker_threads(threads.max(1))
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .thread_stack_size(DOOR_STACK)
        .thread_name("namenode-door")
        .enable_all()
        .build()
        .map_err(StartError::Threads)
}

/// What the parts of one namenode share.
struct Started {
    config: NamenodeConfig,
    addrs: Addrs,
    identity: ClusterIdentity,
    term: Term,
    mailbox: Mailbox,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
    shutdown: Shutdown,
}

/// Ends the driver once the doors have ended, however they do.
struct CloseMailbox(Mailbox);

impl Drop for CloseMailbox {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Started {
    fn run_driver(
        &self,
        opened: Opened<State>,
        entropy: Arc<dyn Entropy>,
        workers: &Workers,
    ) -> Result<(), StartError> {
        let policy = CheckpointPolicy {
            bytes: self.config.checkpoint_bytes,
            interval_ms: self.config.checkpoint_interval_ms,
            ..CheckpointPolicy::default()
        };
        let notified = self.mailbox.clone();
        let (state, journal) = opened.start(policy, workers, move || notified.poke())?;
        let driver = Driver::new(DriverParts {
            state,
            journal,
            mailbox: self.mailbox.clone(),
            clock: Arc::clone(&self.clock),
            entropy,
            metrics: Arc::clone(&self.metrics),
        });
        Ok(workers.thread("namenode", move || driver.run())?)
    }

    /// Opens the doors, and sees to it that the driver ends after them.
    fn open_doors(&self, listeners: Listeners, runtime: &RuntimeHandle) -> Result<(), StartError> {
        let closing = CloseMailbox(self.mailbox.clone());
        let _inside = runtime.enter();
        let door = |listener| tokio::net::TcpListener::from_std(listener).map_err(StartError::Threads);
        let (rpc, http, internal) = (door(listeners.rpc)?, door(listeners.http)?, door(listeners.internal)?);
        let (stop, stopped) = watch::channel(false);
        self.shutdown
            .subscribe(move || {
                stop.send_replace(true);
            })
            .forever();
        let limits = ServeLimits::default();
        // A datanode keeps its connection over many heartbeats.
        let patient = ServeLimits { head: Duration::from_secs(120), ..limits };
        let clients = serve_rpc(rpc, self.client_door(), ServerLimits::default(), self.shutdown.clone());
        let people = serve(http, self.pages(), limits, stop_signal(stopped.clone()));
        let datanodes = serve(internal, self.datanode_door(), patient, stop_signal(stopped));
        let tasks = [runtime.spawn(clients), runtime.spawn(people), runtime.spawn(datanodes)];
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

    fn client_door(&self) -> Arc<ClientProtocol> {
        let core = &self.config.core;
        Arc::new(ClientProtocol(Arc::new(ClientDoor {
            driver: self.mailbox.handle(),
            groups: Groups::new(Arc::clone(&self.clock)),
            pool: self.identity.pool_id.clone(),
            defaults: self.config.defaults,
            rules: AdminRules {
                permissions: core.permissions,
                superuser: core.superuser.clone(),
                supergroup: core.supergroup.clone(),
            },
            clock: Arc::clone(&self.clock),
        })))
    }

    fn pages(&self) -> axum::Router {
        let config = PagesConfig {
            identity: self.identity.clone(),
            term: self.term,
            heartbeat_ms: self.config.core.heartbeat_ms,
            user: self.config.page_user.clone(),
            place: format!("hdfs://{}", self.addrs.rpc),
        };
        let pages = Pages::new(config, self.mailbox.handle(), Arc::clone(&self.metrics), Arc::clone(&self.clock));
        pages.router(self.hosts())
    }

    fn datanode_door(&self) -> axum::Router {
        let door = DatanodeDoor { driver: self.mailbox.handle(), identity: self.identity.clone(), term: self.term };
        door.router(self.hosts())
    }

    fn hosts(&self) -> AllowedHosts {
        AllowedHosts::new(crate::config::ALLOWED_HOSTS).with(&self.config.host_names)
    }
}

async fn stop_signal(mut stopped: watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stop| *stop).await;
}
