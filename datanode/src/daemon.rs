//! Start and end of a datanode: what all its threads share, which threads there are, and the handle that its starter holds.

use crate::config::{DatanodeConfig, Door};
use crate::doors::ipc::IpcHandler;
use crate::doors::{http, serve_doors};
use crate::error::{DatanodeError, Result, StartError};
use crate::heartbeat::Heartbeat;
use crate::namenode::NamenodeCaller;
use crate::orders::{Orders, Remover};
use crate::registration::Registration;
use crate::report::Reporter;
use crate::store::{LockedVolumes, Opening, ScrubRules, Store, StoreRules};
use crate::transfer::{Balance, Context, Counters, Server, Sockets};
use mammoth_net::data::{IdleStreams, domain};
use mammoth_platform::settings::{Addr, Key};
use mammoth_platform::{Clock, Entropy, Shutdown, SystemClock, SystemEntropy, Workers, keys, process};
use mammoth_protocol::internal::{ClusterIdentity, DatanodeAddr};
use mammoth_web::bind::listen;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// How long threads may take to end.
const JOIN_TIMEOUT: Duration = Duration::from_secs(30);

/// What a datanode is given beside its settings.
#[derive(Clone)]
pub struct Components {
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Source of identities.
    pub entropy: Arc<dyn Entropy>,
}

impl Components {
    /// Those of the machine.
    #[must_use]
    pub fn system() -> Self {
        Self { clock: Arc::new(SystemClock), entropy: Arc::new(SystemEntropy) }
    }
}

/// Where the doors are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addrs {
    /// Data transfers.
    pub transfer: SocketAddr,
    /// Status page.
    pub http: SocketAddr,
    /// Hadoop RPC.
    pub ipc: SocketAddr,
}

/// What the threads of a datanode share.
pub(crate) struct Shared {
    config: DatanodeConfig,
    pub(crate) clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    pub(crate) shutdown: Shutdown,
    workers: Workers,
    pub(crate) transfers: Arc<Context>,
    pub(crate) orders: Orders,
    /// What others are told of the doors.
    pub(crate) addr: DatanodeAddr,
    pub(crate) rack: String,
    pub(crate) heartbeat: Duration,
    pub(crate) full_report: Duration,
    registrations: Vec<Arc<Registration>>,
    /// The volumes until they are open.
    locked: Mutex<Option<LockedVolumes>>,
    started_ms: u64,
}

impl Shared {
    /// The replicas; opens the volumes if nobody has, and formats new ones for this file system.
    ///
    /// # Errors
    /// Volumes of another file system, a disk that fails.
    pub(crate) fn open_store(self: &Arc<Self>, identity: &ClusterIdentity) -> Result<Arc<Store>> {
        let mut locked = self.locked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = self.transfers.store.get() {
            return Ok(Arc::clone(store));
        }
        let volumes = locked.take().ok_or(DatanodeError::Stopping)?;
        let rules = StoreRules {
            space: self.config.space,
            sync_on_close: self.config.sync_on_close,
            failures_tolerated: self.config.failures_tolerated,
        };
        let store = volumes.open(Opening {
            identity,
            rules,
            clock: &self.clock,
            entropy: &self.entropy,
            shutdown: self.shutdown.clone(),
        })?;
        for registration in &self.registrations {
            registration.attach(store.subscribe());
        }
        self.start_upkeep(&store)?;
        tracing::info!(datanode = %store.datanode, replicas = store.replica_count(), "volumes open");
        let _ = self.transfers.store.set(Arc::clone(&store));
        Ok(store)
    }

    fn start_upkeep(&self, store: &Arc<Store>) -> Result<()> {
        for upkeep in store.upkeep(&self.clock) {
            self.workers.worker(upkeep)?;
        }
        self.workers.worker(store.suspect_checker())?;
        let rate = self.config.scan_rate;
        if let Some(period) = self.config.scan_period.filter(|_| rate > 0) {
            let period_ms = u64::try_from(period.as_millis()).unwrap_or(u64::MAX);
            for scrubber in store.scrubbers(&self.clock, ScrubRules { period_ms, rate }) {
                self.workers.worker(scrubber)?;
            }
        }
        Ok(())
    }

    /// Whether any namenode has taken this datanode in.
    pub(crate) fn registered(&self) -> bool {
        self.registrations.iter().any(|registration| registration.epoch().is_some())
    }

    pub(crate) fn namenodes(&self) -> Vec<String> {
        self.config.namenodes.clone()
    }

    pub(crate) fn uptime_ms(&self) -> u64 {
        self.clock.now().monotonic_ms.saturating_sub(self.started_ms)
    }

    /// Under which address it is known.
    pub(crate) fn place(&self) -> String {
        SocketAddr::new(self.addr.ip, self.addr.transfer_port).to_string()
    }

    /// The folder to name when something is wrong with all.
    pub(crate) fn first_dir(&self) -> &Path {
        self.config.dirs.first().map_or(Path::new("."), |dir| dir.as_path())
    }
}

/// A running datanode.
pub struct Handle {
    addrs: Addrs,
    shared: Arc<Shared>,
}

impl Handle {
    /// Where its doors are.
    #[must_use]
    pub fn addrs(&self) -> Addrs {
        self.addrs
    }

    /// Whether a namenode has taken it in.
    #[must_use]
    pub fn registered(&self) -> bool {
        self.shared.registered()
    }

    /// Its replicas; for tests.
    #[cfg(test)]
    pub(crate) fn store(&self) -> Option<&Arc<Store>> {
        self.shared.transfers.store.get()
    }

    /// Asks it to end; returns at once.
    pub fn shutdown(&self) {
        self.shared.shutdown.trigger();
    }

    /// Why it cannot go on, if so.
    #[must_use]
    pub fn fatal(&self) -> Option<String> {
        self.shared.shutdown.fatal_reason()
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// It ended by itself; the reason.
    pub fn wait(self) -> Result<()> {
        self.shared.shutdown.wait_forever();
        if let Err(lines) = self.shared.workers.join(JOIN_TIMEOUT) {
            tracing::debug!(?lines, "threads that did not end well");
        }
        if let Some(store) = self.shared.transfers.store.get() {
            store.save_states();
        }
        match self.shared.shutdown.fatal_reason() {
            None => Ok(()),
            Some(reason) => Err(DatanodeError::Fatal { reason }),
        }
    }
}

/// Starts a datanode. It listens when this returns; it is of use once its namenode has taken it in, which it waits for.
///
/// # Errors
/// A folder in use or not its own, an address in use.
pub fn start(config: DatanodeConfig, components: Components) -> std::result::Result<Handle, StartError> {
    let locked = LockedVolumes::lock(&config.dirs, config.failures_tolerated)?;
    let listeners = Listeners::bind(&config)?;
    let shared = share(config, components, locked, listeners.addrs);
    match run(&shared, listeners) {
        Ok(addrs) => Ok(Handle { addrs, shared }),
        Err(error) => {
            shared.shutdown.trigger();
            let _ = shared.workers.join(JOIN_TIMEOUT);
            Err(error)
        }
    }
}

struct Listeners {
    transfer: TcpListener,
    http: TcpListener,
    ipc: TcpListener,
    /// For clients on this machine, if there is one.
    local: Option<UnixListener>,
    addrs: Addrs,
}

impl Listeners {
    fn bind(config: &DatanodeConfig) -> Result<Self> {
        let (transfer_key, http_key, ipc_key) =
            (keys::DFS_DATANODE_ADDRESS, keys::DFS_DATANODE_HTTP_ADDRESS, keys::DFS_DATANODE_IPC_ADDRESS);
        let (transfer, transfer_addr) = bind("data transfers", transfer_key, config.transfer.bind)?;
        let (http, http_addr) = bind("the status page", http_key, config.http.bind)?;
        let (ipc, ipc_addr) = bind("Hadoop RPC", ipc_key, config.ipc.bind)?;
        // Transfers are threads that wait for their sockets.
        let fail = |source| DatanodeError::Bind { addr: transfer_addr.to_string(), source };
        transfer.set_nonblocking(false).map_err(fail)?;
        let addrs = Addrs { transfer: transfer_addr, http: http_addr, ipc: ipc_addr };
        let local = config.domain_socket.as_ref().map(|pattern| {
            // Clients know the port that is advertised.
            let port = config.transfer.advertise.port.unwrap_or(transfer_addr.port());
            domain::listen(&domain::effective_path(pattern, port))
        });
        Ok(Self { transfer, http, ipc, local: local.transpose()?, addrs })
    }
}

fn bind(door: &'static str, key: Key<Addr>, addr: SocketAddr) -> Result<(TcpListener, SocketAddr)> {
    let listener = listen(door, key.name(), addr)?;
    let bound = listener.local_addr().map_err(|source| DatanodeError::Bind { addr: addr.to_string(), source })?;
    Ok((listener, bound))
}

/// What others are told: what the operator said, otherwise where the doors really are.
fn advertised(config: &DatanodeConfig, addrs: Addrs) -> DatanodeAddr {
    let bound = Some(addrs.transfer.ip()).filter(|ip| !ip.is_unspecified());
    let ip = config.transfer.advertise.ip.or(bound).unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let name = || if ip.is_loopback() { "localhost".to_owned() } else { process::host_name() };
    let port = |door: &Door, bound: SocketAddr| door.advertise.port.unwrap_or(bound.port());
    DatanodeAddr {
        ip,
        hostname: config.transfer.advertise.hostname.clone().unwrap_or_else(name),
        transfer_port: port(&config.transfer, addrs.transfer),
        info_port: port(&config.http, addrs.http),
        ipc_port: port(&config.ipc, addrs.ipc),
    }
}

fn share(config: DatanodeConfig, components: Components, locked: LockedVolumes, addrs: Addrs) -> Arc<Shared> {
    let Components { clock, entropy } = components;
    let shutdown = Shutdown::new();
    let workers = Workers::new(shutdown.clone());
    let transfers = Arc::new(Context {
        store: Arc::new(OnceLock::new()),
        rules: config.transfers.clone(),
        counters: Counters::default(),
        balance: Balance::new(Arc::clone(&clock), shutdown.clone(), config.moves_max, config.balance_rate),
        sockets: Arc::new(Sockets::default()),
        local_sockets: Arc::new(Sockets::default()),
        idle: IdleStreams::default(),
    });
    let orders = Orders {
        workers: workers.clone(),
        transfers: Arc::clone(&transfers),
        clock: Arc::clone(&clock),
        entropy: Arc::clone(&entropy),
        shutdown: shutdown.clone(),
        copies_max: config.copies_max,
        running: Arc::default(),
        removals: Arc::default(),
        waker: OnceLock::new(),
    };
    Arc::new(Shared {
        addr: advertised(&config, addrs),
        rack: config.rack.clone(),
        heartbeat: config.heartbeat,
        full_report: config.full_report,
        registrations: config.namenodes.iter().map(|addr| Arc::new(Registration::new(addr))).collect(),
        locked: Mutex::new(Some(locked)),
        started_ms: clock.now().monotonic_ms,
        config,
        clock,
        entropy,
        shutdown,
        workers,
        transfers,
        orders,
    })
}

fn run(shared: &Arc<Shared>, listeners: Listeners) -> Result<Addrs> {
    let known = {
        let locked = shared.locked.lock().unwrap_or_else(PoisonError::into_inner);
        locked.as_ref().and_then(|volumes| volumes.identity().cloned())
    };
    if let Some(identity) = known {
        shared.open_store(&identity)?;
    }
    let remover = Remover { removals: Arc::clone(&shared.orders.removals), transfers: Arc::clone(&shared.transfers) };
    let _ = shared.orders.waker.set(shared.workers.worker(remover)?);
    let server = Server::new(listeners.transfer, Arc::clone(&shared.transfers), shared.shutdown.clone());
    shared.workers.thread("transfer-accept", move || server.run())?;
    if let Some(local) = listeners.local {
        let server = Server::new(local, Arc::clone(&shared.transfers), shared.shutdown.clone());
        shared.workers.thread("local-accept", move || server.run())?;
    }
    let handler = IpcHandler {
        transfers: Arc::clone(&shared.transfers),
        clock: Arc::clone(&shared.clock),
        started_ms: shared.started_ms,
    };
    let router = http::router(Arc::clone(shared), &shared.config.host_names);
    let (http, ipc, shutdown) = (listeners.http, listeners.ipc, shared.shutdown.clone());
    shared.workers.thread("doors", move || serve_doors(http, router, ipc, handler, shutdown))?;
    for registration in &shared.registrations {
        start_link(shared, registration)?;
    }
    Ok(listeners.addrs)
}

/// The two threads that talk to one namenode.
fn start_link(shared: &Arc<Shared>, registration: &Arc<Registration>) -> Result<()> {
    let at_end = Arc::clone(registration);
    shared.shutdown.subscribe(move || at_end.wake()).forever();
    let (own, reg) = (Arc::clone(shared), Arc::clone(registration));
    let heartbeat = move || -> std::result::Result<(), String> {
        let caller = NamenodeCaller::new(reg.addr(), &own.shutdown)?;
        Heartbeat::new(own, reg, caller).run()
    };
    shared.workers.thread("heartbeat", heartbeat)?;
    let (own, reg) = (Arc::clone(shared), Arc::clone(registration));
    let report = move || -> std::result::Result<(), String> {
        let caller = NamenodeCaller::new(reg.addr(), &own.shutdown)?;
        Reporter::new(own, reg, caller).run();
        Ok(())
    };
    Ok(shared.workers.thread("report", report)?)
}
