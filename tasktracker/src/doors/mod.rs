//! The HTTP door (50060): the shuffle, logs, and pages, on a small runtime of its own. It reads files and the table, and
//! changes nothing.

mod file;
mod logs;
mod pages;
mod shuffle;

use crate::config::TasktrackerConfig;
use crate::folder::Folder;
use crate::localize::Localizer;
use crate::table::Table;
use crate::tracking::Contact;
use axum::Router;
use axum::routing::get;
use mammoth_platform::{Clock, Shutdown, Workers};
use mammoth_protocol::jobs::shuffle::ROUTE;
use mammoth_web::doors::{door_threads, stopped};
use mammoth_web::{AllowedHosts, ServeLimits, assets};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// Threads that wait for the disk on behalf of requests.
const BLOCKING_THREADS: usize = 32;
/// Reduces of a large job keep a few connections each.
const CONNECTIONS: usize = 2048;
/// The setting that names further hosts.
const HOSTS_SETTING: &str = "mammoth.http.allowed-hosts";

/// What the routes look at.
pub(crate) struct Doors {
    pub(crate) config: TasktrackerConfig,
    pub(crate) folder: Arc<Folder>,
    pub(crate) table: Arc<Table>,
    pub(crate) localizer: Arc<Localizer>,
    pub(crate) contact: Arc<Contact>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) workers: Workers,
    /// `host:port` under which it is known.
    pub(crate) http: String,
    pub(crate) started_ms: u64,
    pub(crate) shuffle_bytes: AtomicU64,
    pub(crate) shuffle_segments: AtomicU64,
    pub(crate) shuffle_refused: AtomicU64,
}

/// The routes, guarded by the check of names.
fn router(doors: Arc<Doors>) -> Router {
    let hosts = AllowedHosts::new(HOSTS_SETTING).with(&doors.config.host_names);
    let routes = Router::new()
        .route("/", get(pages::page))
        .route("/api/v1/status", get(pages::status))
        .route("/metrics", get(pages::metrics))
        .route(ROUTE, get(shuffle::segment))
        .route("/logs/{attempt}/{stream}", get(logs::of_attempt))
        .route("/logs/{app}/{executor}/{stream}", get(logs::of_executor))
        .route("/tasklog", get(logs::tasklog))
        .with_state(doors)
        .merge(assets::router());
    hosts.guard(routes)
}

/// Serves until the shutdown.
///
/// # Errors
/// The system has no resources for it.
pub(crate) fn serve(listener: TcpListener, doors: Arc<Doors>, shutdown: &Shutdown) -> std::io::Result<()> {
    let runtime = door_threads("door", 2, BLOCKING_THREADS)?;
    let served = runtime.block_on(async {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let limits = ServeLimits { connections: CONNECTIONS, ..ServeLimits::default() };
        mammoth_web::serve(listener, router(doors), limits, stopped(shutdown)).await;
        Ok(())
    });
    runtime.shutdown_timeout(Duration::from_secs(5));
    served
}

/// For [`crate::fuzzing`].
pub(crate) fn fuzz_query(text: &str) {
    if let Ok(uri) = format!("/?{text}").parse::<axum::http::Uri>() {
        shuffle::fuzz_query(&uri);
        logs::fuzz_query(&uri);
    }
}
