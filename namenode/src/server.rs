//! Start and end of a namenode.
//!
//! Start: bind the ports, so that a taken one costs nothing; open the folder (formatting an empty one), which begins a new
//! term; start the driver; open the doors. End: the doors first, which lets calls in work finish; then the driver; then the
//! journal.

use crate::config::NamenodeConfig;
use crate::doors::fsck::Fsck;
use crate::doors::internal::DatanodeDoor;
use crate::doors::pages::{Pages, PagesConfig};
use crate::doors::rpc::{AdminRules, ClientDoor, ClientProtocol};
use crate::driver::{Driver, DriverHandle, DriverParts};
use crate::error::StartError;
use crate::format;
use crate::groups::Groups;
use crate::metrics::Metrics;
use crate::topology::Topology;
use mammoth_journal::{CheckpointPolicy, Identity, Opened};
use mammoth_namenode_core::State;
use mammoth_namenode_core::api::Report;
use mammoth_net::rpc::server::{ConnectionThreads, ServerLimits, serve as serve_rpc};
use mammoth_platform::{Clock, Entropy, Shutdown, SystemClock, SystemEntropy, Workers};
use mammoth_protocol::internal::ClusterIdentity;
use mammoth_protocol::{Seq, Term};
use mammoth_web::bind::listen;
use mammoth_web::doors::{Doors, door_threads};
use mammoth_web::{AllowedHosts, Running, ServeLimits};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use tokio::runtime::Handle as RuntimeHandle;

/// Threads for the rare small file that a door reads.
const BLOCKING_THREADS_MAX: usize = 4;

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

/// A running namenode.
pub type Handle = Running<Namenode>;

/// What there is to say of a running namenode.
pub struct Namenode {
    addrs: Addrs,
    identity: ClusterIdentity,
    term: Term,
}

impl Namenode {
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
    let (runtime, own_runtime) = match runtime {
        Some(given) => (given, None),
        None => {
            let own = door_threads("namenode-door", config.door_threads, BLOCKING_THREADS_MAX);
            let own = own.map_err(StartError::Threads)?;
            (own.handle().clone(), Some(own))
        }
    };
    let workers = Workers::new(shutdown.clone());
    let driver = DriverHandle::default();
    let metrics = Arc::new(Metrics::default());
    let topology = Topology::new(config.racks.clone());
    let identified = identity.clone();
    let started = Started { config, addrs, identity: identified, term, driver, metrics, topology, clock, shutdown };
    let shutdown = started.shutdown.clone();
    started.run_driver(opened, entropy, &workers)?;
    if let Err(error) = started.open_doors(listeners, runtime) {
        shutdown.trigger();
        return Err(error);
    }
    Ok(Running::new(Namenode { addrs, identity, term }, shutdown, workers, own_runtime))
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
    let state = State::new(config.core.clone(), clock.now()).loading();
    let mut opened = mammoth_journal::open(&config.dir, &Identity::default(), state)?;
    let identity = format::read(&config.dir, &opened.identity)?;
    opened.state.resume(opened.term, Seq(opened.next_seq.0.saturating_sub(1)));
    let key = mammoth_platform::keys::DFS_HOSTS.name();
    let rules = config.hosts.read().map_err(|reason| StartError::Setting { key, reason })?;
    opened.state.observe(clock.now(), Report::Hosts(rules));
    Ok((opened, identity))
}

/// What the parts of one namenode share.
struct Started {
    config: NamenodeConfig,
    addrs: Addrs,
    identity: ClusterIdentity,
    term: Term,
    driver: DriverHandle,
    metrics: Arc<Metrics>,
    topology: Topology,
    clock: Arc<dyn Clock>,
    shutdown: Shutdown,
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
        let notified = self.driver.mailbox.clone();
        let (state, journal) = opened.start(policy, workers, move || notified.poke())?;
        let driver = Driver::new(DriverParts {
            state,
            journal,
            handle: self.driver.clone(),
            clock: Arc::clone(&self.clock),
            entropy,
            metrics: Arc::clone(&self.metrics),
        });
        Ok(workers.thread("namenode", move || driver.run())?)
    }

    /// Opens the doors, and sees to it that the driver ends after them.
    fn open_doors(&self, listeners: Listeners, runtime: RuntimeHandle) -> Result<(), StartError> {
        let closing = self.driver.mailbox.close_when_dropped();
        let mut doors = Doors::new(runtime, self.shutdown.clone());
        let rpc = doors.listener(listeners.rpc).map_err(StartError::Threads)?;
        let mailbox = self.driver.mailbox.clone();
        let announce = move || mailbox.announce();
        let threads = ConnectionThreads::start("namenode-rpc", self.config.rpc_threads, BLOCKING_THREADS_MAX, announce);
        let threads = Some(threads.map_err(StartError::Threads)?);
        doors.other(serve_rpc(rpc, self.client_door(), ServerLimits::default(), self.shutdown.clone(), threads));
        doors.http(listeners.http, self.pages(), ServeLimits::default()).map_err(StartError::Threads)?;
        let datanodes = doors.http(listeners.internal, self.datanode_door(), ServeLimits::for_daemons());
        datanodes.map_err(StartError::Threads)?;
        doors.then_drop(closing);
        Ok(())
    }

    fn client_door(&self) -> Arc<ClientProtocol> {
        let core = &self.config.core;
        Arc::new(ClientProtocol(Arc::new(ClientDoor {
            driver: self.driver.announced(),
            groups: Groups::new(Arc::clone(&self.clock)),
            pool: self.identity.pool_id.clone(),
            identity: self.identity.clone(),
            defaults: self.config.defaults,
            rules: AdminRules {
                permissions: core.permissions,
                superuser: core.superuser.clone(),
                supergroup: core.supergroup.clone(),
            },
            hosts: self.config.hosts.clone(),
            topology: self.topology.clone(),
            log_dir: self.config.log_dir.clone(),
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
        let pages = Pages::new(config, self.driver.clone(), Arc::clone(&self.metrics), Arc::clone(&self.clock));
        let core = &self.config.core;
        let fsck = Fsck {
            driver: self.driver.clone(),
            groups: Groups::new(Arc::clone(&self.clock)),
            clock: Arc::clone(&self.clock),
            pool: self.identity.pool_id.clone(),
            default_replication: self.config.defaults.replication,
            min_replication: usize::from(core.replication_min),
            user: self.config.page_user.clone(),
        };
        pages.router(self.hosts()).merge(fsck.router(self.hosts()))
    }

    fn datanode_door(&self) -> axum::Router {
        let door = DatanodeDoor {
            driver: self.driver.clone(),
            identity: self.identity.clone(),
            topology: self.topology.clone(),
            term: self.term,
        };
        door.router(self.hosts())
    }

    fn hosts(&self) -> AllowedHosts {
        AllowedHosts::new(crate::config::ALLOWED_HOSTS).with(&self.config.host_names)
    }
}
