//! The page of one MapReduce job: how far it is, what failed and why, its tasks with their attempts, its counters.

use super::overview::{bar, state_of, state_tag, took};
use mammoth_protocol::jobs::Counters;
use mammoth_protocol::jobs::client::{AttemptStatus, JobStatus, TaskStatus};
use mammoth_web::html::{Html, Shown};
use mammoth_web::page::{Page, Tone, moment, tile};
use mammoth_web::text::count;

/// Tasks that the page lists; the JSON has all.
pub(super) const TASKS_MAX: usize = 500;
/// Failures that the page lists, the last ones.
pub(super) const FAILURES_MAX: usize = 20;
/// Seconds between two loads while the job runs.
const REFRESH_S: u32 = 2;

/// What the page shows of a job's tasks.
pub(super) struct Work {
    /// The first [`TASKS_MAX`].
    pub(super) tasks: Vec<TaskStatus>,
    /// How many there are.
    pub(super) total: usize,
    /// The last [`FAILURES_MAX`] attempts that failed.
    pub(super) failed: Vec<AttemptStatus>,
    /// How many there are.
    pub(super) failures: usize,
}

/// Draws it. `wall_ms` is the time of drawing.
pub(super) fn page(job: &JobStatus, work: &Work, wall_ms: u64) -> Page {
    let mut body = head(job);
    body.add(&tiles(job, wall_ms));
    body.raw("<h2>Progress</h2><div class=\"panel\">").add(&bar("map", &job.maps));
    if job.reduces.total > 0 {
        body.add(&bar("reduce", &job.reduces));
    }
    body.raw("</div>");
    failures(&mut body, work);
    task_table(&mut body, work, wall_ms);
    counters(&mut body, &job.counters);
    let page = Page::new(job.name.clone(), "/", body);
    if job.state.is_final() { page } else { page.refreshed(REFRESH_S) }
}

fn head(job: &JobStatus) -> Html {
    let mut html = Html::of(
        "<h1 class=\"path\">{} {}</h1><p class=\"path\">{} · {}</p>",
        &[&job.name, &state_tag(state_of(job.state)), &job.job.to_string(), &job.user],
    );
    if let Some(output) = &job.output {
        html.fill("<p class=\"path\">Output {}</p>", &[output]);
    }
    if let Some(reason) = &job.reason {
        html.fill("<pre class=\"panel path\">{}</pre>", &[reason]);
    }
    html
}

fn tiles(job: &JobStatus, wall_ms: u64) -> Html {
    let mut html = Html::literal("<dl class=\"tiles\">");
    html.add(&tile(Tone::Off, "Time", &took(job.submitted_ms, job.finished_ms, wall_ms), ""));
    html.add(&tile(Tone::Off, "Submitted", &moment(job.submitted_ms), ""));
    html.add(&tile(Tone::Off, "Maps", &count(u64::from(job.maps.total)), ""));
    html.add(&tile(Tone::Off, "Reduces", &count(u64::from(job.reduces.total)), ""));
    let failed = job.maps.failed_attempts + job.reduces.failed_attempts;
    let tone = if failed > 0 { Tone::Warn } else { Tone::Off };
    let killed = job.maps.killed_attempts + job.reduces.killed_attempts;
    html.add(&tile(tone, "Failed attempts", &failed, &format!("{killed} killed")));
    html.raw("</dl>");
    html
}

fn failures(body: &mut Html, work: &Work) {
    if work.failed.is_empty() {
        return;
    }
    body.fill("<h2 id=\"failures\">Failures<span class=\"n\">{}</span></h2>", &[&count(work.failures as u64)]);
    for attempt in work.failed.iter().rev() {
        let reason = attempt.reason.as_deref().unwrap_or("no reason was given");
        body.fill(
            "<p class=\"path\"><a href=\"{}\">{}</a> on {}</p><pre class=\"panel path\">{}</pre>",
            &[&attempt.log, &attempt.attempt.to_string(), &attempt.host, &reason],
        );
    }
}

fn task_table(body: &mut Html, work: &Work, wall_ms: u64) {
    body.fill("<h2 id=\"tasks\">Tasks<span class=\"n\">{}</span></h2>", &[&count(work.total as u64)]);
    if work.tasks.is_empty() {
        body.raw("<p class=\"empty\">None.</p>");
        return;
    }
    body.raw("<table><thead><tr><th>Task</th><th>State</th><th>Attempt</th><th>Host</th><th>Phase</th>");
    body.raw("<th class=\"num\">Progress</th><th class=\"num\">Time</th></tr></thead><tbody>");
    for task in &work.tasks {
        body.add(&task_rows(task, wall_ms));
    }
    body.raw("</tbody></table>");
    if work.total > work.tasks.len() {
        body.fill("<p class=\"empty\">and {} more</p>", &[&count((work.total - work.tasks.len()) as u64)]);
    }
}

fn task_rows(task: &TaskStatus, wall_ms: u64) -> Html {
    let mut html = Html::new();
    let id = task.task.to_string();
    if task.attempts.is_empty() {
        html.fill("<tr><th scope=\"row\" class=\"path\">{}<small>{}</small></th>", &[&id, &task.label]);
        html.fill(
            "<td data-label=\"State\"><div>{}</div></td><td></td><td></td><td></td><td></td><td></td></tr>",
            &[&state_tag(&task.state)],
        );
    }
    for attempt in &task.attempts {
        html.fill("<tr><th scope=\"row\" class=\"path\">{}<small>{}</small></th>", &[&id, &task.label]);
        html.fill("<td data-label=\"State\"><div>{}</div></td>", &[&state_tag(&attempt.state)]);
        html.fill(
            "<td data-label=\"Attempt\"><a href=\"{}\">{}</a></td><td class=\"path\" data-label=\"Host\">{}</td>",
            &[&attempt.log, &attempt.attempt.number, &attempt.host],
        );
        // The phase that an attempt ended in says nothing, unless it failed there.
        let phase = if attempt.state == "SUCCEEDED" { "–" } else { attempt.phase.as_str() };
        html.fill("<td data-label=\"Phase\">{}</td>", &[&phase]);
        let progress = format!("{:.0} %", f64::from(attempt.progress) * 100.0);
        html.fill(
            "<td class=\"num\" data-label=\"Progress\">{}</td><td class=\"num\" data-label=\"Time\">{}</td></tr>",
            &[&progress, &took(attempt.started_ms, attempt.finished_ms, wall_ms)],
        );
    }
    html
}

fn counters(body: &mut Html, counters: &Counters) {
    body.fill("<h2 id=\"counters\">Counters<span class=\"n\">{}</span></h2>", &[&count(counters.len() as u64)]);
    if counters.is_empty() {
        body.raw("<p class=\"empty\">Nothing was counted yet.</p>");
        return;
    }
    body.raw("<table><thead><tr><th>Counter</th><th>Group</th><th class=\"num\">Value</th></tr></thead><tbody>");
    for (group, names) in &counters.groups {
        for (name, value) in names {
            let shown = u64::try_from(*value).map_or_else(|_| value.to_string(), count);
            body.fill(
                "<tr><th scope=\"row\">{}</th><td data-label=\"Group\">{}</td><td class=\"num\" data-label=\"Value\">{}</td></tr>",
                &[name, group, &Shown(shown)],
            );
        }
    }
    body.raw("</tbody></table>");
}
