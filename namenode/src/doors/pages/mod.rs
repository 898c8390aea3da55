//! The HTTP door for people and programs: status page, file browser, JSON, metrics.
//!
//! Everything is rendered here and now from the driver's answers; nothing is cached, nothing is changed through this door.

mod api;
mod explorer;
mod file;
mod overview;
mod scrape;
#[cfg(test)]
mod tests;
mod verdict;

use crate::driver::DriverHandle;
use crate::metrics::Metrics;
use axum::Router;
use axum::extract::{Query as UrlQuery, State};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use axum::routing::get;
use mammoth_namenode_core::api::{Answer, DatanodeKind, DatanodeStatus, FileBlocks, FileStatus, Listing, Query};
use mammoth_platform::Clock;
use mammoth_protocol::internal::ClusterIdentity;
use mammoth_protocol::{Auth, Caller, DfsPath, ErrorCode, FsError, Term};
use mammoth_web::page::{Page, Shell};
use mammoth_web::{AllowedHosts, HttpError, assets};
use overview::Overview;
use std::fmt::Debug;
use std::sync::Arc;

/// Files in trouble that a page names at most.
const UNREADABLE_MAX: usize = 100;
/// Heartbeats that a datanode may miss before a page says that it is silent.
const SILENT_HEARTBEATS: u64 = 3;

/// What the pages are made from.
pub struct Pages {
    driver: DriverHandle,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
    started_ms: u64,
    identity: ClusterIdentity,
    term: Term,
    heartbeat_ms: u64,
    /// As whom the file browser looks.
    user: String,
    shell: Shell,
}

/// What [`Pages::new`] needs to know.
pub struct PagesConfig {
    /// Which file system.
    pub identity: ClusterIdentity,
    /// Reign of this namenode.
    pub term: Term,
    /// Interval of heartbeats.
    pub heartbeat_ms: u64,
    /// As whom the file browser looks at files.
    pub user: String,
    /// How clients call this namenode.
    pub place: String,
}

impl Pages {
    /// Pages over a driver.
    #[must_use]
    pub fn new(config: PagesConfig, driver: DriverHandle, metrics: Arc<Metrics>, clock: Arc<dyn Clock>) -> Self {
        let nav = &[("Overview", "/"), ("Files", explorer::NAV)];
        Self {
            driver,
            metrics,
            started_ms: clock.now().monotonic_ms,
            clock,
            identity: config.identity,
            term: config.term,
            heartbeat_ms: config.heartbeat_ms,
            user: config.user,
            shell: Shell { daemon: "Namenode", place: config.place, nav, version: env!("CARGO_PKG_VERSION") },
        }
    }

    /// The routes, guarded by the check of names.
    pub fn router(self, hosts: AllowedHosts) -> Router {
        let routes = Router::new()
            .route("/", get(start))
            .route("/explorer", get(explore))
            .route("/metrics", get(scrape::metrics))
            .route("/api/v1/status", get(api::status))
            .route("/api/v1/datanodes", get(api::datanodes))
            .route("/api/v1/files", get(api::files))
            .route("/api/v1/blocks", get(api::blocks))
            .fallback(missing)
            .with_state(Arc::new(self));
        hosts.guard(routes.merge(assets::router()))
    }

    fn version(&self) -> &'static str {
        self.shell.version
    }

    fn uptime_ms(&self) -> u64 {
        self.clock.now().monotonic_ms.saturating_sub(self.started_ms)
    }

    fn respond(&self, page: &Page) -> Response {
        self.shell.respond(page, self.uptime_ms())
    }

    /// Asks as the namenode itself: figures that everybody may see.
    async fn ask_internally(&self, query: Query) -> Result<Answer, FsError> {
        let caller = Caller { auth: Auth::Internal, ..Caller::default() };
        self.driver.query(caller, query).await
    }

    /// Asks as the user whom the settings name: the browser shows nothing that this user may not see.
    async fn ask(&self, query: Query) -> Result<Answer, FsError> {
        let caller = Caller { user: self.user.clone(), ..Caller::default() };
        self.driver.query(caller, query).await
    }

    fn odd(&self, answer: &impl Debug) -> HttpError {
        tracing::error!(?answer, "answer of the wrong kind");
        FsError::new(ErrorCode::Io, "the namenode gave itself an answer of the wrong kind").into()
    }

    async fn overview(&self) -> Result<Overview, HttpError> {
        let health = match self.ask_internally(Query::Health).await? {
            Answer::Health(health) => *health,
            other => return Err(self.odd(&other)),
        };
        let nodes = self.nodes().await?;
        let unreadable = match self.ask_internally(Query::CorruptFiles { max: UNREADABLE_MAX }).await? {
            Answer::Paths(paths) => paths,
            other => return Err(self.odd(&other)),
        };
        let silent_ms = SILENT_HEARTBEATS.saturating_mul(self.heartbeat_ms).max(1000);
        let verdict = verdict::verdict(&health, &nodes, &unreadable, silent_ms);
        let figures = self.metrics.figures();
        Ok(Overview { identity: self.identity.clone(), term: self.term, health, nodes, unreadable, verdict, figures })
    }

    async fn nodes(&self) -> Result<Vec<DatanodeStatus>, HttpError> {
        match self.ask_internally(Query::Datanodes { kind: DatanodeKind::All }).await? {
            Answer::Datanodes(nodes) => Ok(nodes),
            other => Err(self.odd(&other)),
        }
    }

    async fn existing(&self, path: &DfsPath) -> Result<FileStatus, HttpError> {
        match self.ask(Query::FileInfo { path: path.clone() }).await? {
            Answer::FileInfo(Some(status)) => Ok(*status),
            Answer::FileInfo(None) => {
                Err(FsError::new(ErrorCode::FileNotFound, format!("File does not exist: {path}")).into())
            }
            other => Err(self.odd(&other)),
        }
    }

    async fn listing(&self, path: &DfsPath, after: &str) -> Result<Listing, HttpError> {
        let start_after = after.as_bytes().to_vec();
        match self.ask(Query::Listing { path: path.clone(), start_after, need_location: false }).await? {
            Answer::Listing(listing) => Ok(listing.unwrap_or_else(|| Listing { entries: Vec::new(), remaining: 0 })),
            other => Err(self.odd(&other)),
        }
    }

    async fn blocks(&self, path: &DfsPath) -> Result<FileBlocks, HttpError> {
        match self.ask(Query::BlockLocations { path: path.clone(), offset: 0, len: u64::MAX }).await? {
            Answer::Blocks(blocks) => Ok(*blocks),
            other => Err(self.odd(&other)),
        }
    }

    async fn explorer_page(&self, query: &api::Where) -> Result<Page, HttpError> {
        let path = query.path()?;
        let status = self.existing(&path).await?;
        if status.is_dir {
            let listing = self.listing(&path, &query.after).await?;
            return Ok(explorer::folder_page(&path, &status, &listing, &query.after));
        }
        let blocks = self.blocks(&path).await?;
        let nodes = self.nodes().await?;
        Ok(file::page(&path, &status, &blocks, &nodes))
    }

    /// A page that says what went wrong in words.
    fn problem(&self, nav: &'static str, error: &HttpError) -> Page {
        let heading = match error.code() {
            ErrorCode::FileNotFound => "Nothing there".to_owned(),
            ErrorCode::AccessControl => format!("The user \"{}\" may not see this", self.user),
            ErrorCode::InvalidPath | ErrorCode::IllegalArgument | ErrorCode::PathComponentTooLong => {
                "Not a path".to_owned()
            }
            _ => "That did not work".to_owned(),
        };
        Page::problem(error.status(), nav, &heading, error.message())
    }
}

async fn start(State(pages): State<Arc<Pages>>) -> Response {
    let page = match pages.overview().await {
        Ok(overview) => overview::page(&overview),
        Err(error) => Page::problem(error.status(), "/", "The namenode does not answer", error.message()).refreshed(5),
    };
    pages.respond(&page)
}

async fn explore(State(pages): State<Arc<Pages>>, UrlQuery(query): UrlQuery<api::Where>) -> Response {
    let page = match pages.explorer_page(&query).await {
        Ok(page) => page,
        Err(error) => {
            let mut page = pages.problem(explorer::NAV, &error);
            let mut body = explorer::go_form(&query.path);
            body.add(&page.body);
            page.body = body;
            page
        }
    };
    pages.respond(&page)
}

async fn missing(State(pages): State<Arc<Pages>>, uri: Uri) -> Response {
    let text = format!("There is no page at {}.", uri.path());
    pages.respond(&Page::problem(StatusCode::NOT_FOUND, "", "No such page", &text))
}

/// For [`crate::fuzzing`].
pub(super) fn fuzz_query(text: &str) {
    if let Ok(uri) = format!("/?{text}").parse::<axum::http::Uri>()
        && let Ok(UrlQuery(asked)) = UrlQuery::<api::Where>::try_from_uri(&uri)
    {
        let _ = asked.path();
    }
}
