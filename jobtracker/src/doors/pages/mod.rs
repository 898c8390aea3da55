//! Pages for people, and metrics. Everything is rendered here and now from the driver's answers.

mod app;
mod job;
mod overview;

use super::clients::{Clients, failed_of, tasks_of};
use crate::driver::Figures;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use axum::routing::get;
use mammoth_platform::Clock;
use mammoth_protocol::jobs::{AppId, JobId};
use mammoth_protocol::{ErrorCode, FsError};
use mammoth_web::metrics::MetricsText;
use mammoth_web::page::{Page, Shell};
use mammoth_web::{HttpError, assets};
use overview::Overview;
use std::sync::Arc;

/// What the pages are made from.
pub struct Pages {
    clients: Clients,
    figures: Figures,
    clock: Arc<dyn Clock>,
    started_ms: u64,
    shell: Shell,
}

type Door = State<Arc<Pages>>;

impl Pages {
    /// Pages over a driver; `place` is the address under which it is known.
    #[must_use]
    pub fn new(clients: Clients, figures: Figures, clock: Arc<dyn Clock>, place: String) -> Self {
        let nav = &[("Overview", "/")];
        let shell = Shell { daemon: "Jobtracker", place, nav, version: env!("CARGO_PKG_VERSION") };
        Self { clients, figures, started_ms: clock.now().monotonic_ms, clock, shell }
    }

    /// The routes, to be guarded by the check of names.
    pub fn router(self) -> Router {
        Router::new()
            .route("/", get(start))
            .route("/jobs/{job}", get(one_job))
            .route("/apps/{app}", get(one_app))
            .route("/metrics", get(metrics))
            .fallback(missing)
            .with_state(Arc::new(self))
            .merge(assets::router())
    }

    fn uptime_ms(&self) -> u64 {
        self.clock.now().monotonic_ms.saturating_sub(self.started_ms)
    }

    fn respond(&self, page: Result<Page, HttpError>) -> Response {
        let page = page.unwrap_or_else(|error| {
            let heading = match error.code() {
                ErrorCode::FileNotFound => "Nothing is known of that",
                ErrorCode::IllegalArgument => "Not a name of a job",
                _ => "The jobtracker does not answer",
            };
            Page::problem(error.status(), "/", heading, error.message())
        });
        self.shell.respond(&page, self.uptime_ms())
    }

    fn wall_ms(&self) -> u64 {
        self.clock.now().wall_ms
    }

    async fn overview(&self) -> Result<Overview, HttpError> {
        let look = |state: &mammoth_jobtracker_core::State, now| Overview {
            cluster: state.cluster(),
            trackers: state.trackers(now),
            jobs: state.jobs(),
            apps: state.apps(),
        };
        Ok(self.clients.driver.look(look).await?)
    }

    async fn job_page(&self, id: &str) -> Result<Page, HttpError> {
        let bad = |bad: mammoth_protocol::ids::BadId| HttpError::bad_request(bad.to_string());
        let job: JobId = id.parse().map_err(bad)?;
        let status = self.clients.driver.watch_job(job, 0, 0).await?;
        let (tasks, total) = tasks_of(&self.clients, job, 0, job::TASKS_MAX).await?;
        let (failed, failures) = failed_of(&self.clients, job, job::FAILURES_MAX).await?;
        Ok(job::page(&status, &job::Work { tasks, total, failed, failures }, self.wall_ms()))
    }

    async fn app_page(&self, id: &str) -> Result<Page, HttpError> {
        let bad = |bad: mammoth_protocol::ids::BadId| HttpError::bad_request(bad.to_string());
        let app: AppId = id.parse().map_err(bad)?;
        let status = self.clients.driver.look(move |state, _| state.app_status(app)).await?;
        let gone = || FsError::new(ErrorCode::FileNotFound, format!("{app} is not known"));
        let status = status.ok_or_else(gone)?;
        let fold = self.clients.files.fold(app).await?;
        Ok(app::page(&status, &fold, self.wall_ms()))
    }
}

async fn start(State(pages): Door) -> Response {
    let page = pages.overview().await.map(|overview| overview::page(&overview, pages.wall_ms()));
    pages.respond(page)
}

async fn one_job(State(pages): Door, Path(id): Path<String>) -> Response {
    let page = pages.job_page(&id).await;
    pages.respond(page)
}

async fn one_app(State(pages): Door, Path(id): Path<String>) -> Response {
    let page = pages.app_page(&id).await;
    pages.respond(page)
}

async fn missing(State(pages): Door, uri: Uri) -> Response {
    let text = format!("There is no page at {}.", uri.path());
    let page = Page::problem(StatusCode::NOT_FOUND, "", "No such page", &text);
    pages.respond(Ok(page))
}

async fn metrics(State(pages): Door) -> Result<MetricsText, HttpError> {
    let Overview { cluster, .. } = pages.overview().await?;
    let journal = pages.figures.journal();
    let mut text = MetricsText::new();
    let name = "mammoth_jobtracker_trackers";
    text.family(name, "Tasktrackers by state.", "gauge");
    for (state, value) in [("live", cluster.trackers_live), ("dead", cluster.trackers_dead)] {
        text.sample(name, &[("state", state)], value);
    }
    text.gauge("mammoth_jobtracker_cores", "Cores of live tasktrackers.", cluster.capacity.cores);
    text.gauge("mammoth_jobtracker_cores_granted", "Cores granted.", cluster.used.cores);
    text.gauge("mammoth_jobtracker_memory_mib", "Memory of live tasktrackers.", cluster.capacity.memory_mib);
    text.gauge("mammoth_jobtracker_memory_granted_mib", "Memory granted.", cluster.used.memory_mib);
    text.gauge("mammoth_jobtracker_jobs_active", "Jobs that run or wait.", cluster.jobs_active);
    text.gauge("mammoth_jobtracker_apps_active", "Applications that run.", cluster.apps_active);
    text.gauge(
        "mammoth_jobtracker_jobs_ended",
        "Jobs and applications that ended and are remembered.",
        cluster.jobs_ended,
    );
    text.counter("mammoth_jobtracker_log_syncs_total", "Syncs of the edit log.", journal.syncs);
    text.counter("mammoth_jobtracker_log_records_total", "Records of the edit log.", journal.records);
    text.gauge("mammoth_jobtracker_uptime_seconds", "Time since the start.", pages.uptime_ms() / 1000);
    Ok(text)
}
