//! The status page (50060), the same as JSON, and metrics.

use super::Doors;
use crate::names::ChildId;
use crate::table::Shown;
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use mammoth_protocol::jobs::Resources;
use mammoth_web::metrics::MetricsText;
use mammoth_web::page::{Shell, Tone, fill_bar, moment, tag, tile};
use mammoth_web::{Html, Page, text};
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// An attempt or executor.
#[derive(Clone, Debug, Serialize)]
struct ChildStatus {
    /// Attempt id; of an executor its number.
    id: String,
    /// Job or application.
    owner: String,
    executor: bool,
    state: &'static str,
    phase: String,
    progress: f32,
    pid: Option<u32>,
    resources: Resources,
    started_ms: u64,
    reason: Option<String>,
    /// Path of what it prints on its standard error.
    log: String,
}

#[derive(Clone, Debug, Serialize)]
struct ProgramStatus {
    sha256: String,
    bytes: u64,
    /// Attempts and executors that run it.
    users: usize,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
struct DiskStatus {
    capacity: u64,
    free: u64,
}

/// All that the page shows.
#[derive(Clone, Debug, Serialize)]
struct Status {
    software: &'static str,
    tracker: String,
    generation: String,
    folder: String,
    jobtracker: String,
    registered: bool,
    uptime_ms: u64,
    capacity: Resources,
    used: Resources,
    attempts: Vec<ChildStatus>,
    executors: Vec<ChildStatus>,
    /// Jobs and applications whose files lie here.
    owners: Vec<String>,
    programs: Vec<ProgramStatus>,
    disk: DiskStatus,
    launched: u64,
    succeeded: u64,
    failed: u64,
    killed: u64,
    shuffle_segments: u64,
    shuffle_bytes: u64,
    shuffle_refused: u64,
    threads: Vec<String>,
}

impl From<Shown> for ChildStatus {
    fn from(shown: Shown) -> Self {
        Self {
            id: shown.child.name(),
            owner: shown.child.owner().to_string(),
            executor: matches!(shown.child, ChildId::Executor(..)),
            state: shown.state,
            phase: shown.step,
            progress: shown.progress,
            pid: shown.pid,
            resources: shown.resources,
            started_ms: shown.started_ms,
            reason: shown.reason,
            log: shown.child.log_route("stderr"),
        }
    }
}

impl ChildStatus {
    fn is_over(&self) -> bool {
        self.reason.is_some() || self.state == "SUCCEEDED"
    }
}

async fn gather(doors: &Arc<Doors>) -> Status {
    let own = Arc::clone(doors);
    let on_disk = tokio::task::spawn_blocking(move || {
        let disk = rustix::fs::statvfs(own.folder.root()).map_or_else(
            |_| DiskStatus::default(),
            |fs| DiskStatus {
                capacity: fs.f_blocks.saturating_mul(fs.f_frsize),
                free: fs.f_bavail.saturating_mul(fs.f_frsize),
            },
        );
        (own.localizer.programs(), disk)
    });
    let (programs, disk) = on_disk.await.unwrap_or_default();
    let (executors, attempts): (Vec<ChildStatus>, Vec<ChildStatus>) =
        doors.table.shown().into_iter().map(ChildStatus::from).partition(|child| child.executor);
    let live = attempts.iter().chain(&executors).filter(|child| !child.is_over());
    let used = live.fold(Resources::default(), |sum, child| sum.plus(child.resources));
    let tally = doors.table.tally();
    let program = |(sha256, bytes, users)| ProgramStatus { sha256, bytes, users };
    Status {
        software: env!("CARGO_PKG_VERSION"),
        tracker: doors.folder.tracker.to_string(),
        generation: doors.folder.generation.to_string(),
        folder: doors.folder.root().display().to_string(),
        jobtracker: doors.config.jobtracker.clone(),
        registered: doors.contact.registered.load(Ordering::SeqCst),
        uptime_ms: doors.clock.now().monotonic_ms.saturating_sub(doors.started_ms),
        capacity: doors.config.capacity,
        used,
        attempts,
        executors,
        owners: doors.table.owners().iter().map(ToString::to_string).collect(),
        programs: programs.into_iter().map(program).collect(),
        disk,
        launched: tally.launched,
        succeeded: tally.succeeded,
        failed: tally.failed,
        killed: tally.killed,
        shuffle_segments: doors.shuffle_segments.load(Ordering::Relaxed),
        shuffle_bytes: doors.shuffle_bytes.load(Ordering::Relaxed),
        shuffle_refused: doors.shuffle_refused.load(Ordering::Relaxed),
        threads: doors.workers.statuses().into_iter().map(|status| status.name).collect(),
    }
}

pub(super) async fn status(State(doors): State<Arc<Doors>>) -> Json<impl Serialize> {
    Json(gather(&doors).await)
}

pub(super) async fn metrics(State(doors): State<Arc<Doors>>) -> MetricsText {
    let status = gather(&doors).await;
    let running = |children: &[ChildStatus]| children.iter().filter(|child| !child.is_over()).count();
    let mut text = MetricsText::new();
    text.gauge("mammoth_tasktracker_registered", "1 if the jobtracker has taken it in.", u8::from(status.registered))
        .gauge("mammoth_tasktracker_cores", "Cores that it grants.", status.capacity.cores)
        .gauge("mammoth_tasktracker_cores_used", "Of these, granted.", status.used.cores)
        .gauge("mammoth_tasktracker_memory_mib", "MiB that it grants.", status.capacity.memory_mib)
        .gauge("mammoth_tasktracker_memory_mib_used", "Of these, granted.", status.used.memory_mib)
        .gauge("mammoth_tasktracker_attempts", "Attempts that run.", running(&status.attempts))
        .gauge("mammoth_tasktracker_executors", "Executors that run.", running(&status.executors))
        .gauge("mammoth_tasktracker_programs", "Programs on the local disk.", status.programs.len())
        .gauge("mammoth_tasktracker_disk_free_bytes", "Bytes free on the local disk.", status.disk.free)
        .counter("mammoth_tasktracker_launched_total", "Attempts and executors ordered.", status.launched)
        .counter("mammoth_tasktracker_succeeded_total", "Attempts that succeeded.", status.succeeded)
        .counter("mammoth_tasktracker_failed_total", "Attempts that failed.", status.failed)
        .counter("mammoth_tasktracker_killed_total", "Attempts that were killed.", status.killed)
        .counter("mammoth_tasktracker_shuffle_segments_total", "Segments served.", status.shuffle_segments)
        .counter("mammoth_tasktracker_shuffle_bytes_total", "Bytes of these.", status.shuffle_bytes)
        .counter("mammoth_tasktracker_shuffle_refused_total", "Segments refused.", status.shuffle_refused);
    text
}

pub(super) async fn page(State(doors): State<Arc<Doors>>) -> Response {
    let status = gather(&doors).await;
    let shell = Shell {
        daemon: "Tasktracker",
        place: doors.http.clone(),
        nav: &[("Overview", "/")],
        version: env!("CARGO_PKG_VERSION"),
    };
    shell.respond(&Page::new("Overview", "/", body(&status)).refreshed(5), status.uptime_ms)
}

fn body(status: &Status) -> Html {
    let (tone, label, heading) = if status.registered {
        (Tone::Ok, "in service", "This tasktracker runs tasks for its cluster.")
    } else {
        (Tone::Wait, "waiting", "This tasktracker waits for its jobtracker.")
    };
    let mut html = Html::of("<section class=\"verdict {}\"><p>{}</p>", &[&tone.class(), &tag(tone, label)]);
    let live = |children: &[ChildStatus]| children.iter().filter(|child| !child.is_over()).count() as u64;
    let (attempts, executors) = (live(&status.attempts), live(&status.executors));
    html.fill(
        "<h1>{}</h1><p>{} and {} run.</p></section>",
        &[&heading, &text::plural(attempts, "attempt", "attempts"), &text::plural(executors, "executor", "executors")],
    );
    html.raw("<dl class=\"tiles\">");
    let of = |used: u32, whole: u32| format!("{used} of {whole}");
    html.add(&tile(Tone::Off, "Cores granted", &of(status.used.cores, status.capacity.cores), ""));
    html.add(&tile(Tone::Off, "MiB granted", &of(status.used.memory_mib, status.capacity.memory_mib), ""));
    let ended = format!("{} failed, {} killed", status.failed, status.killed);
    html.add(&tile(Tone::Off, "Attempts succeeded", &text::count(status.succeeded), &ended));
    let segments = text::plural(status.shuffle_segments, "segment", "segments");
    html.add(&tile(Tone::Off, "Shuffle served", &text::bytes(status.shuffle_bytes), &segments));
    html.raw("</dl>");
    html.add(&children("Attempts", "No attempt is held.", &status.attempts));
    html.add(&children("Executors", "No executor is held.", &status.executors));
    html.add(&disk(status));
    html
}

fn children(title: &str, none: &str, children: &[ChildStatus]) -> Html {
    let mut html = Html::of("<section><h2>{}<span class=\"n\">{}</span></h2>", &[&title, &children.len()]);
    if children.is_empty() {
        html.fill("<p class=\"empty\">{}</p></section>", &[&none]);
        return html;
    }
    html.raw("<table><thead><tr><th>Id</th><th>State</th><th>At</th><th>Process</th><th>Since</th><th>Log</th></tr></thead><tbody>");
    for child in children {
        let tone = match child.state {
            "FAILED" => Tone::Bad,
            "KILLED" | "ENDED" => Tone::Off,
            "SUCCEEDED" => Tone::Ok,
            _ => Tone::Wait,
        };
        let reason = child.reason.as_deref().and_then(|reason| reason.lines().next()).unwrap_or_default();
        let percent = (child.progress * 100.0).round();
        let at = if child.executor { String::new() } else { format!("{} {percent} %", child.phase) };
        let pid = child.pid.map_or_else(|| "–".to_owned(), |pid| pid.to_string());
        let id = if child.executor { format!("{} executor {}", child.owner, child.id) } else { child.id.clone() };
        html.fill(
            "<tr><th class=\"path\" data-label=\"Id\">{}</th><td data-label=\"State\">{}<small>{}</small></td>\
             <td data-label=\"At\">{}</td><td data-label=\"Process\">{}</td><td data-label=\"Since\">{}</td>",
            &[&id, &tag(tone, child.state), &reason, &at, &pid, &moment(child.started_ms)],
        );
        let stdout = child.log.replace("/stderr", "/stdout");
        html.fill(
            "<td data-label=\"Log\"><a href=\"{}\">stderr</a> <a href=\"{}\">stdout</a></td></tr>",
            &[&child.log, &stdout],
        );
    }
    html.raw("</tbody></table></section>");
    html
}

fn disk(status: &Status) -> Html {
    let mut html = Html::literal("<section><h2>Local disk</h2>");
    let used = status.disk.capacity.saturating_sub(status.disk.free);
    let label = format!("{} free of {}", text::bytes(status.disk.free), text::bytes(status.disk.capacity));
    html.fill("<div class=\"panel\">{}<p>{}</p>", &[&fill_bar(used, 0, status.disk.capacity, &label), &label]);
    html.raw("<dl class=\"facts\">");
    let facts = [
        ("Folder", status.folder.clone()),
        ("Tracker", status.tracker.clone()),
        ("Shuffle generation", status.generation.clone()),
        ("Jobtracker", status.jobtracker.clone()),
        ("Files of", if status.owners.is_empty() { "no job".to_owned() } else { status.owners.join(", ") }),
    ];
    for (name, value) in facts {
        html.fill("<dt>{}</dt><dd>{}</dd>", &[&name, &value]);
    }
    html.raw("</dl></div></section>");
    html.fill("<section><h2>Programs<span class=\"n\">{}</span></h2>", &[&status.programs.len()]);
    if status.programs.is_empty() {
        html.raw("<p class=\"empty\">No program was needed yet.</p></section>");
        return html;
    }
    html.raw("<table><thead><tr><th>SHA-256</th><th>Size</th><th>Run by</th></tr></thead><tbody>");
    for program in &status.programs {
        html.fill(
            "<tr><td class=\"path mono\" data-label=\"SHA-256\">{}</td><td data-label=\"Size\">{}</td><td data-label=\"Run by\">{}</td></tr>",
            &[&program.sha256, &text::bytes(program.bytes), &program.users],
        );
    }
    html.raw("</tbody></table></section>");
    html
}
