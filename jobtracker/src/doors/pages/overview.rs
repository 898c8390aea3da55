//! The start page: the verdict, figures, what runs, tasktrackers, what ended.

use mammoth_protocol::jobs::app::AppStatus;
use mammoth_protocol::jobs::client::{ClusterStatus, JobState, JobStatus, TaskCounts, TrackerStatus};
use mammoth_web::html::{Html, Piece};
use mammoth_web::page::{Page, Tone, fill_bar, moment, tag, tile};
use mammoth_web::text::{bytes, count, duration_ms, percent, took_us};

/// Seconds between two loads of the start page.
const REFRESH_S: u32 = 2;
/// Ended jobs and applications that the start page lists.
const ENDED_MAX: usize = 50;

/// Everything that the start page shows.
pub(crate) struct Overview {
    /// The whole.
    pub(crate) cluster: ClusterStatus,
    /// Tasktrackers.
    pub(crate) trackers: Vec<TrackerStatus>,
    /// Jobs, newest first.
    pub(crate) jobs: Vec<JobStatus>,
    /// Applications, newest first.
    pub(crate) apps: Vec<AppStatus>,
}

/// A job or an application, in one list.
struct Row<'a> {
    id: String,
    address: &'static str,
    kind: &'static str,
    name: &'a str,
    user: &'a str,
    state: String,
    started_ms: u64,
    finished_ms: u64,
    reason: Option<&'a str>,
    progress: Html,
}

/// Draws it. `wall_ms` is the time of drawing.
pub(crate) fn page(overview: &Overview, wall_ms: u64) -> Page {
    let mut body = verdict(overview);
    body.add(&tiles(overview));
    let mut rows: Vec<Row<'_>> = overview.jobs.iter().map(of_job).chain(overview.apps.iter().map(of_app)).collect();
    rows.sort_by_key(|row| std::cmp::Reverse((row.started_ms, row.id.clone())));
    let (active, ended): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.finished_ms == 0);
    list(&mut body, "Running", &active, wall_ms, "Nothing runs. Start something with `mapred run`.");
    trackers(&mut body, &overview.trackers);
    let shown = ended.len().min(ENDED_MAX);
    list(&mut body, "Ended", &ended[..shown], wall_ms, "Nothing has ended yet.");
    Page::new("Overview", "/", body).refreshed(REFRESH_S)
}

fn verdict(Overview { cluster, .. }: &Overview) -> Html {
    let (tone, label) = match (cluster.trackers_live, cluster.trackers_dead) {
        (0, _) => (Tone::Bad, "no tasktracker"),
        (_, 0) => (Tone::Ok, "healthy"),
        _ => (Tone::Warn, "tasktrackers missing"),
    };
    Html::of(
        "<section class=\"verdict {}\" aria-label=\"Health\"><p class=\"tag\">{}</p><h1>{}</h1></section>",
        &[&tone, &label, &cluster.health],
    )
}

fn tiles(Overview { cluster, .. }: &Overview) -> Html {
    let mut html = Html::literal("<dl class=\"tiles\">");
    let dead = match cluster.trackers_dead {
        0 => String::new(),
        n => format!("{n} not heard of"),
    };
    let trackers_tone = if cluster.trackers_dead > 0 { Tone::Warn } else { Tone::Off };
    html.add(&tile(trackers_tone, "Tasktrackers", &cluster.trackers_live, &dead));
    let cores = format!("{} of {}", cluster.used.cores, cluster.capacity.cores);
    html.add(&tile(Tone::Off, "Cores in use", &cores, ""));
    let mib = |mib: u32| bytes(u64::from(mib) << 20);
    html.add(&tile(
        Tone::Off,
        "Memory granted",
        &mib(cluster.used.memory_mib),
        &format!("of {}", mib(cluster.capacity.memory_mib)),
    ));
    html.add(&tile(Tone::Off, "Jobs running", &cluster.jobs_active, ""));
    html.add(&tile(Tone::Off, "Applications running", &cluster.apps_active, ""));
    html.add(&tile(Tone::Off, "Ended", &cluster.jobs_ended, ""));
    html.raw("</dl>");
    html
}

fn of_job(job: &JobStatus) -> Row<'_> {
    let mut progress = bar("map", &job.maps);
    if job.reduces.total > 0 {
        progress.add(&bar("reduce", &job.reduces));
    }
    Row {
        id: job.job.to_string(),
        address: "/jobs/",
        kind: "on disk",
        name: &job.name,
        user: &job.user,
        state: state_of(job.state).to_owned(),
        started_ms: job.submitted_ms,
        finished_ms: job.finished_ms,
        reason: job.reason.as_deref(),
        progress,
    }
}

fn of_app(app: &AppStatus) -> Row<'_> {
    let counts = TaskCounts { total: app.tasks_total as u32, done: app.tasks_done as u32, ..TaskCounts::default() };
    Row {
        id: app.app.to_string(),
        address: "/apps/",
        kind: "in memory",
        name: &app.name,
        user: &app.user,
        state: app.state.clone(),
        started_ms: app.started_ms,
        finished_ms: app.finished_ms,
        reason: app.reason.as_deref(),
        progress: bar("tasks", &counts),
    }
}

/// The state as Hadoop's tools print it.
pub(crate) fn state_of(state: JobState) -> &'static str {
    match state {
        JobState::Prep => "PREP",
        JobState::Running => "RUNNING",
        JobState::Succeeded => "SUCCEEDED",
        JobState::Failed => "FAILED",
        JobState::Killed => "KILLED",
    }
}

/// A state with its colour.
pub(crate) fn state_tag(state: &str) -> Html {
    let tone = match state {
        "SUCCEEDED" => Tone::Ok,
        "RUNNING" | "PREP" | "COMMITTING" | "COMMIT_PENDING" | "ASSIGNED" => Tone::Wait,
        "FAILED" => Tone::Bad,
        "KILLED" | "OBSOLETE" => Tone::Warn,
        _ => Tone::Off,
    };
    tag(tone, &state.to_lowercase().replace('_', " "))
}

/// Progress of one phase: done, running, all.
pub(crate) fn bar(phase: &str, counts: &TaskCounts) -> Html {
    let (done, running, total) = (u64::from(counts.done), u64::from(counts.running), u64::from(counts.total));
    let label = format!("{phase} {} of {}", count(done), count(total));
    let mut html = Html::of("<div>{} <span class=\"unit\">{}</span>", &[&label, &percent(done, total)]);
    html.add(&fill_bar(done, running, total, &label)).raw("</div>");
    html
}

/// How long something took, or has taken up to `wall_ms`.
pub(crate) fn took(started_ms: u64, finished_ms: u64, wall_ms: u64) -> String {
    match (started_ms, finished_ms) {
        (0, _) => "–".to_owned(),
        (from, 0) => took_us(wall_ms.saturating_sub(from).saturating_mul(1000)),
        (from, to) => took_us(to.saturating_sub(from).saturating_mul(1000)),
    }
}

fn list(body: &mut Html, title: &str, rows: &[Row<'_>], wall_ms: u64, nothing: &str) {
    body.fill("<h2>{}<span class=\"n\">{}</span></h2>", &[&title, &count(rows.len() as u64)]);
    if rows.is_empty() {
        body.fill("<p class=\"empty\">{}</p>", &[&nothing]);
        return;
    }
    body.raw("<table><thead><tr><th>Job</th><th>State</th><th>Started</th><th class=\"num\">Time</th><th>Progress</th></tr></thead><tbody>");
    for row in rows {
        body.fill(
            "<tr><th scope=\"row\" class=\"path\"><a href=\"{}{}\">{}</a><small>{}</small><small>{} · {}</small></th>",
            &[&row.address, &row.id, &row.name, &row.id, &row.kind, &row.user],
        );
        body.fill("<td data-label=\"State\"><div>{}{}</div></td>", &[&state_tag(&row.state), &why(row.reason)]);
        body.fill("<td class=\"keep\" data-label=\"Started\">{}</td>", &[&moment(row.started_ms)]);
        body.fill("<td class=\"num\" data-label=\"Time\">{}</td>", &[&took(row.started_ms, row.finished_ms, wall_ms)]);
        body.fill("<td data-label=\"Progress\"><div>{}</div></td></tr>", &[&row.progress]);
    }
    body.raw("</tbody></table>");
}

/// The first line of a reason; the whole stands on the page of the job.
fn why(reason: Option<&str>) -> Html {
    let first = reason.and_then(|text| text.lines().next()).unwrap_or_default();
    if first.is_empty() { Html::new() } else { Html::of("<small class=\"path\">{}</small>", &[&first]) }
}

fn trackers(body: &mut Html, trackers: &[TrackerStatus]) {
    body.fill("<h2 id=\"trackers\">Tasktrackers<span class=\"n\">{}</span></h2>", &[&count(trackers.len() as u64)]);
    if trackers.is_empty() {
        body.raw("<p class=\"empty\">None yet. A tasktracker appears here as soon as it registers.</p>");
        return;
    }
    body.raw("<table><thead><tr><th>Tasktracker</th><th>State</th><th class=\"num\">Attempts</th><th class=\"num\">Executors</th>");
    body.raw("<th class=\"num\">Failures</th><th>Granted</th></tr></thead><tbody>");
    for tracker in trackers {
        body.add(&tracker_row(tracker));
    }
    body.raw("</tbody></table>");
}

fn tracker_row(tracker: &TrackerStatus) -> Html {
    let state = if tracker.live { tag(Tone::Ok, "live") } else { tag(Tone::Bad, "not heard of") };
    let silent = duration_ms(tracker.silent_ms);
    let note = if tracker.live { Html::new() } else { Html::of("<small>for {}</small>", &[&silent]) };
    let (used, capacity) = (tracker.used, tracker.capacity);
    let granted = format!("{} of {} cores", used.cores, capacity.cores);
    let memory =
        format!("{} of {}", bytes(u64::from(used.memory_mib) << 20), bytes(u64::from(capacity.memory_mib) << 20));
    let bar = fill_bar(u64::from(used.cores), 0, u64::from(capacity.cores), &granted);
    let mut html = Html::of(
        "<tr><th scope=\"row\" class=\"path\"><a href=\"http://{}/\">{}</a><small>{}</small></th>",
        &[&tracker.http, &tracker.name, &tracker.http],
    );
    html.fill("<td data-label=\"State\"><div>{}{}</div></td>", &[&state, &note]);
    let numbers: [(&str, &dyn Piece); 3] =
        [("Attempts", &tracker.attempts), ("Executors", &tracker.executors), ("Failures", &tracker.failures)];
    for (label, value) in numbers {
        html.fill("<td class=\"num\" data-label=\"{}\">{}</td>", &[&label, value]);
    }
    html.fill("<td data-label=\"Granted\"><div>{}<small>{}</small>{}</div></td></tr>", &[&granted, &memory, &bar]);
    html
}
