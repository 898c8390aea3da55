//! The page of one application of the in-memory mode, folded from its events.

use super::overview::{bar, state_tag, took};
use mammoth_protocol::jobs::app::AppStatus;
use mammoth_protocol::jobs::client::TaskCounts;
use mammoth_protocol::jobs::fold::{AppFold, StageFold};
use mammoth_web::html::Html;
use mammoth_web::page::{Page, Tone, moment, tag, tile};
use mammoth_web::text::{bytes, count, took_us};

/// Seconds between two loads while the application runs.
const REFRESH_S: u32 = 2;

/// Draws it. `wall_ms` is the time of drawing.
pub(crate) fn page(app: &AppStatus, fold: &AppFold, wall_ms: u64) -> Page {
    let id = app.app.to_string();
    let mut body = Html::of(
        "<h1 class=\"path\">{} {}</h1><p class=\"path\">{} · {} · {}</p>",
        &[&app.name, &state_tag(&app.state), &id, &app.user, &fold.master],
    );
    if let Some(reason) = &app.reason {
        body.fill("<pre class=\"panel path\">{}</pre>", &[reason]);
    }
    body.add(&tiles(app, fold, wall_ms));
    actions(&mut body, fold, wall_ms);
    stages(&mut body, fold, wall_ms);
    executors(&mut body, fold, app.finished_ms > 0);
    if !fold.failures.is_empty() {
        body.fill(
            "<h2 id=\"failures\">Failures<span class=\"n\">{}</span></h2>",
            &[&count(fold.failures.len() as u64)],
        );
        for text in fold.failures.iter().rev().take(20) {
            body.fill("<pre class=\"panel path\">{}</pre>", &[text]);
        }
    }
    phases(&mut body, fold);
    let page = Page::new(app.name.clone(), "/", body);
    if app.finished_ms > 0 { page } else { page.refreshed(REFRESH_S) }
}

fn tiles(app: &AppStatus, fold: &AppFold, wall_ms: u64) -> Html {
    let mut html = Html::literal("<dl class=\"tiles\">");
    html.add(&tile(Tone::Off, "Time", &took(app.started_ms, app.finished_ms, wall_ms), ""));
    html.add(&tile(Tone::Off, "Started", &moment(app.started_ms), ""));
    html.add(&tile(Tone::Off, "Executors", &app.executors, ""));
    html.add(&tile(Tone::Off, "Tasks done", &count(app.tasks_done), ""));
    let cached: u64 = fold.cached.values().sum();
    html.add(&tile(Tone::Off, "Held in memory", &bytes(cached), &format!("{} at most", bytes(fold.cached_peak))));
    html.add(&tile(Tone::Off, "Read from the file system", &bytes(fold.total.dfs_read), ""));
    html.add(&tile(Tone::Off, "Shuffled", &bytes(fold.total.shuffle_written), ""));
    html.add(&tile(Tone::Off, "Spilled", &bytes(fold.total.spilled), ""));
    html.raw("</dl>");
    html
}

fn actions(body: &mut Html, fold: &AppFold, wall_ms: u64) {
    body.fill("<h2>Actions<span class=\"n\">{}</span></h2>", &[&count(fold.jobs.len() as u64)]);
    if fold.jobs.is_empty() {
        body.raw("<p class=\"empty\">None yet.</p>");
        return;
    }
    body.raw("<table><thead><tr><th>Action</th><th>State</th><th class=\"num\">Time</th></tr></thead><tbody>");
    for (number, job) in &fold.jobs {
        let state = match (&job.failure, job.ended_ms) {
            (Some(_), _) => "FAILED",
            (None, 0) => "RUNNING",
            (None, _) => "SUCCEEDED",
        };
        body.fill(
            "<tr><th scope=\"row\" class=\"path\">{} {}<small>{}</small></th><td data-label=\"State\"><div>{}</div></td>",
            &[number, &job.action, &job.call_site, &state_tag(state)],
        );
        body.fill(
            "<td class=\"num\" data-label=\"Time\">{}</td></tr>",
            &[&took(job.started_ms, job.ended_ms, wall_ms)],
        );
    }
    body.raw("</tbody></table>");
}

fn stages(body: &mut Html, fold: &AppFold, wall_ms: u64) {
    body.fill("<h2>Stages<span class=\"n\">{}</span></h2>", &[&count(fold.stages.len() as u64)]);
    if fold.stages.is_empty() {
        body.raw("<p class=\"empty\">None yet.</p>");
        return;
    }
    body.raw(
        "<table><thead><tr><th>Stage</th><th>Tasks</th><th class=\"num\">Read</th><th class=\"num\">Shuffle read</th>",
    );
    body.raw("<th class=\"num\">Shuffle written</th><th class=\"num\">Time</th></tr></thead><tbody>");
    for (number, stage) in &fold.stages {
        body.add(&stage_row(*number, stage, wall_ms));
    }
    body.raw("</tbody></table>");
}

fn stage_row(number: u32, stage: &StageFold, wall_ms: u64) -> Html {
    let (done, running) = (u32::try_from(stage.done.len()).unwrap_or(u32::MAX), stage.running);
    let counts = TaskCounts { total: stage.total, running, done, ..TaskCounts::default() };
    let mut html = Html::of("<tr><th scope=\"row\" class=\"path\">{} {}", &[&number, &stage.name]);
    if stage.skipped > 0 {
        html.fill("<small>{} times not needed</small>", &[&stage.skipped]);
    }
    if stage.failed > 0 {
        html.fill("<small>{} failed tasks</small>", &[&stage.failed]);
    }
    html.fill("</th><td data-label=\"Tasks\"><div>{}</div></td>", &[&bar("tasks", &counts)]);
    let metrics = &stage.metrics;
    for (label, value) in [
        ("Read", metrics.dfs_read),
        ("Shuffle read", metrics.shuffle_read),
        ("Shuffle written", metrics.shuffle_written),
    ] {
        html.fill("<td class=\"num\" data-label=\"{}\">{}</td>", &[&label, &bytes(value)]);
    }
    html.fill(
        "<td class=\"num\" data-label=\"Time\">{}</td></tr>",
        &[&took(stage.started_ms, stage.ended_ms, wall_ms)],
    );
    html
}

fn executors(body: &mut Html, fold: &AppFold, ended: bool) {
    body.fill("<h2>Executors<span class=\"n\">{}</span></h2>", &[&count(fold.executors.len() as u64)]);
    if fold.executors.is_empty() {
        body.raw("<p class=\"empty\">None yet.</p>");
        return;
    }
    body.raw(
        "<table><thead><tr><th>Executor</th><th>State</th><th class=\"num\">Cores</th><th class=\"num\">Running</th>",
    );
    body.raw("<th class=\"num\">Done</th></tr></thead><tbody>");
    for (id, executor) in &fold.executors {
        let state = match &executor.lost {
            Some(reason) => Html::of("{}<small class=\"path\">{}</small>", &[&tag(Tone::Warn, "gone"), reason]),
            None if ended => tag(Tone::Off, "ended"),
            None => tag(Tone::Ok, "live"),
        };
        body.fill(
            "<tr><th scope=\"row\" class=\"path\">{}<small>{} · process {}</small></th><td data-label=\"State\"><div>{}</div></td>",
            &[&id.0, &executor.host, &executor.pid, &state],
        );
        for (label, value) in [("Cores", executor.cores), ("Running", executor.running), ("Done", executor.done)] {
            body.fill("<td class=\"num\" data-label=\"{}\">{}</td>", &[&label, &value]);
        }
        body.raw("</tr>");
    }
    body.raw("</tbody></table>");
}

fn phases(body: &mut Html, fold: &AppFold) {
    if fold.total.phases.is_empty() {
        return;
    }
    body.raw("<h2>Where the time of the tasks went</h2><table><thead><tr><th>Phase</th><th class=\"num\">Time</th></tr></thead><tbody>");
    for (phase, us) in &fold.total.phases {
        body.fill(
            "<tr><th scope=\"row\">{}</th><td class=\"num\" data-label=\"Time\">{}</td></tr>",
            &[phase, &took_us(*us)],
        );
    }
    body.raw("</tbody></table>");
}
