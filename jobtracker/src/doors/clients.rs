//! JSON for clients and for drivers of the in-memory mode.
//!
//! A change needs the content type of JSON: a page of somebody else in a browser cannot send that without being asked first,
//! and nobody answers that question.

use crate::driver::DriverHandle;
use crate::files::FilesHandle;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use mammoth_jobtracker_core::api::{Command, Refusal, Reply};
use mammoth_protocol::jobs::app::{AppPoll, AppPollReply, AppStatus, NewAppReply, NewAppRequest, routes as apps};
use mammoth_protocol::jobs::client::{
    AttemptEvents, AttemptStatus, ClusterStatus, JobStatus, NewJobReply, NewJobRequest, SubmitRequest, TaskStatus,
    TrackerStatus, routes,
};
use mammoth_protocol::jobs::spec::STAGING;
use mammoth_protocol::jobs::{AppId, JobId};
use mammoth_protocol::limits::{INTERNAL_BINARY_MAX, INTERNAL_JSON_MAX};
use mammoth_protocol::{ErrorCode, FsError};
use mammoth_web::HttpError;
use mammoth_web::body::read_limited;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Tasks that are looked at in one go: trackers and drivers wait meanwhile.
const TASKS_AT_ONCE: usize = 1_000;

/// What the routes stand on.
#[derive(Clone)]
pub struct Clients {
    /// Who decides.
    pub driver: DriverHandle,
    /// Who reads specifications and histories.
    pub files: FilesHandle,
}

type Door = State<Clients>;
type Answer<T> = Result<Json<T>, HttpError>;

/// The routes, to be guarded with those of the pages.
pub fn router(clients: Clients) -> Router {
    Router::new()
        .route(routes::NEW_JOB, post(new_job))
        .route(routes::JOBS, post(submit).get(jobs))
        .route(routes::JOB, get(job))
        .route(routes::KILL, post(kill_job))
        .route(routes::EVENTS, get(attempt_events))
        .route(routes::TASKS, get(tasks))
        .route(routes::TRACKERS, get(trackers))
        .route(routes::STATUS, get(status))
        .route(apps::APPS, post(new_app).get(all_apps))
        .route(apps::APP, get(app))
        .route(apps::POLL, post(poll_app))
        .route(apps::EVENTS, get(app_events))
        .route(apps::KILL, post(kill_app))
        .with_state(clients)
}

async fn json<T: DeserializeOwned>(headers: &HeaderMap, body: Body, max: usize) -> Result<T, HttpError> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if kind.split(';').next().map(str::trim) != Some("application/json") {
        return Err(HttpError::bad_request(format!("the content type is `{kind}`, expected `application/json`")));
    }
    let bytes = read_limited(body, max).await.map_err(|refusal| HttpError::bad_request(refusal.to_string()))?;
    serde_json::from_slice(&bytes).map_err(|error| HttpError::bad_request(format!("malformed JSON message: {error}")))
}

fn job_id(text: &str) -> Result<JobId, HttpError> {
    text.parse().map_err(|bad: mammoth_protocol::ids::BadId| HttpError::bad_request(bad.to_string()))
}

fn app_id(text: &str) -> Result<AppId, HttpError> {
    text.parse().map_err(|bad: mammoth_protocol::ids::BadId| HttpError::bad_request(bad.to_string()))
}

fn no_job(job: JobId) -> HttpError {
    let refusal = Refusal::UnknownJob(job);
    FsError::new(refusal.code(), refusal.to_string()).into()
}

fn no_app(app: AppId) -> HttpError {
    let refusal = Refusal::UnknownApp(app);
    FsError::new(refusal.code(), refusal.to_string()).into()
}

fn odd(reply: &Reply) -> HttpError {
    FsError::new(ErrorCode::Io, format!("the core gave a reply of the wrong kind: {reply:?}")).into()
}

async fn new_job(State(door): Door, headers: HeaderMap, body: Body) -> Answer<NewJobReply> {
    let request: NewJobRequest = json(&headers, body, INTERNAL_JSON_MAX).await?;
    match door.driver.command(Command::NewJob { user: request.user }).await? {
        Reply::Job(job) => Ok(Json(NewJobReply { job, staging: format!("{STAGING}/jobs/{job}") })),
        other => Err(odd(&other)),
    }
}

async fn submit(State(door): Door, headers: HeaderMap, body: Body) -> Answer<JobStatus> {
    let request: SubmitRequest = json(&headers, body, INTERNAL_JSON_MAX).await?;
    let job = request.job;
    let spec = door.files.read_spec(request.spec.clone(), request.sha256.clone()).await?;
    door.driver.command(Command::Submit { request, spec }).await?;
    Ok(Json(door.driver.watch_job(job, 0, 0).await?))
}

async fn jobs(State(door): Door) -> Answer<Vec<JobStatus>> {
    Ok(Json(door.driver.look(|state, _| state.jobs()).await?))
}

/// Parameters of a question that may wait.
#[derive(Deserialize)]
struct Watch {
    #[serde(default)]
    version: u64,
    #[serde(default)]
    wait_ms: u64,
}

async fn job(State(door): Door, Path(id): Path<String>, Query(watch): Query<Watch>) -> Answer<JobStatus> {
    Ok(Json(door.driver.watch_job(job_id(&id)?, watch.version, watch.wait_ms).await?))
}

async fn kill_job(State(door): Door, Path(id): Path<String>, headers: HeaderMap, body: Body) -> Answer<JobStatus> {
    let _: serde_json::Value = json(&headers, body, INTERNAL_JSON_MAX).await?;
    let job = job_id(&id)?;
    door.driver.command(Command::KillJob { job, reason: "killed by a client".to_owned() }).await?;
    Ok(Json(door.driver.watch_job(job, 0, 0).await?))
}

/// From which position on.
#[derive(Deserialize)]
struct From {
    #[serde(default)]
    from: u64,
}

async fn attempt_events(State(door): Door, Path(id): Path<String>, Query(q): Query<From>) -> Answer<AttemptEvents> {
    let job = job_id(&id)?;
    let events = door.driver.look(move |state, _| state.attempt_events(job, q.from)).await?;
    events.map(Json).ok_or_else(|| no_job(job))
}

/// Some of a job's tasks; all of them unless it says otherwise.
#[derive(Deserialize)]
struct Part {
    #[serde(default)]
    from: usize,
    max: Option<usize>,
}

async fn tasks(State(door): Door, Path(id): Path<String>, Query(part): Query<Part>) -> Answer<Vec<TaskStatus>> {
    Ok(Json(tasks_of(&door, job_id(&id)?, part.from, part.max.unwrap_or(usize::MAX)).await?.0))
}

/// At most `max` of a job's tasks from a position on, and how many there are, from the state or from its history.
pub(crate) async fn tasks_of(
    door: &Clients,
    job: JobId,
    from: usize,
    max: usize,
) -> Result<(Vec<TaskStatus>, usize), HttpError> {
    let mut tasks = Vec::new();
    loop {
        let (next, some) = (from.saturating_add(tasks.len()), TASKS_AT_ONCE.min(max - tasks.len()));
        let look = door.driver.look(move |state, _| state.tasks_from(job, next, some)).await?;
        let (more, total) = look.ok_or_else(|| no_job(job))?;
        if total == 0 {
            // They are not kept, or not any more.
            let all = door.files.tasks(job).await?;
            let total = all.len();
            return Ok((all.into_iter().skip(from).take(max).collect(), total));
        }
        let was_last = more.len() < some;
        tasks.extend(more);
        if was_last || tasks.len() >= max {
            return Ok((tasks, total));
        }
    }
}

/// The last of a job's attempts that failed, at most `max`, and how many there are.
pub(crate) async fn failed_of(
    door: &Clients,
    job: JobId,
    max: usize,
) -> Result<(Vec<AttemptStatus>, usize), HttpError> {
    let look =
        move |state: &mammoth_jobtracker_core::State, _| (state.tasks_from(job, 0, 0), state.failed_attempts(job, max));
    match door.driver.look(look).await? {
        (Some((_, 1..)), Some(failed)) => Ok(failed),
        (None, _) | (_, None) => Err(no_job(job)),
        (Some((_, 0)), _) => {
            let tasks = door.files.tasks(job).await?;
            let failed = tasks.into_iter().flat_map(|task| task.attempts).filter(|attempt| attempt.state == "FAILED");
            let mut failed: Vec<AttemptStatus> = failed.collect();
            let total = failed.len();
            Ok((failed.split_off(total.saturating_sub(max)), total))
        }
    }
}

async fn trackers(State(door): Door) -> Answer<Vec<TrackerStatus>> {
    Ok(Json(door.driver.look(|state, now| state.trackers(now)).await?))
}

async fn status(State(door): Door) -> Answer<ClusterStatus> {
    Ok(Json(door.driver.look(|state, _| state.cluster()).await?))
}

async fn new_app(State(door): Door, headers: HeaderMap, body: Body) -> Answer<NewAppReply> {
    let request: NewAppRequest = json(&headers, body, INTERNAL_JSON_MAX).await?;
    match door.driver.command(Command::NewApp(request)).await? {
        Reply::App(reply) => Ok(Json(reply)),
        other => Err(odd(&other)),
    }
}

async fn all_apps(State(door): Door) -> Answer<Vec<AppStatus>> {
    Ok(Json(door.driver.look(|state, _| state.apps()).await?))
}

async fn app(State(door): Door, Path(id): Path<String>) -> Answer<AppStatus> {
    let app = app_id(&id)?;
    door.driver.look(move |state, _| state.app_status(app)).await?.map(Json).ok_or_else(|| no_app(app))
}

async fn poll_app(State(door): Door, Path(id): Path<String>, headers: HeaderMap, body: Body) -> Answer<AppPollReply> {
    let mut poll: AppPoll = json(&headers, body, INTERNAL_BINARY_MAX).await?;
    let app = app_id(&id)?;
    let tasks = if poll.events.is_empty() { None } else { Some(keep_events(&door, app, &mut poll).await?) };
    Ok(Json(door.driver.poll_app(app, poll, tasks).await?))
}

/// Stores the events of a poll, which may be answered then; tasks done and known by all events so far.
async fn keep_events(door: &Clients, app: AppId, poll: &mut AppPoll) -> Result<(u64, u64), HttpError> {
    let AppPoll { seq, target, executor, known, .. } = *poll;
    // Nothing is stored for somebody unknown, and a disk that takes its time does not make a driver look gone: as older than
    // all others, this poll is a sign of life only.
    let (release, events, ended) = (Vec::new(), Vec::new(), None);
    let alive = AppPoll { seq: 0, target, executor, release, events, ended, wait_ms: 0, known };
    door.driver.poll_app(app, alive, None).await?;
    Ok(door.files.events(app, seq, std::mem::take(&mut poll.events)).await?)
}

async fn app_events(State(door): Door, Path(id): Path<String>) -> Result<Response, HttpError> {
    let lines = door.files.lines(app_id(&id)?).await?;
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], lines).into_response())
}

async fn kill_app(State(door): Door, Path(id): Path<String>, headers: HeaderMap, body: Body) -> Answer<AppStatus> {
    let _: serde_json::Value = json(&headers, body, INTERNAL_JSON_MAX).await?;
    let app = app_id(&id)?;
    door.driver.command(Command::KillApp { app, reason: "killed by a client".to_owned() }).await?;
    door.driver.look(move |state, _| state.app_status(app)).await?.map(Json).ok_or_else(|| no_app(app))
}

/// For [`crate::fuzzing`].
pub(super) fn fuzz_query(text: &str) {
    if let Ok(uri) = format!("/?{text}").parse::<axum::http::Uri>() {
        let _ = Query::<Watch>::try_from_uri(&uri);
        let _ = Query::<From>::try_from_uri(&uri);
        let _ = Query::<Part>::try_from_uri(&uri);
    }
}
