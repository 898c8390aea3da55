//! `mapred job`: lists, shows and ends jobs, in the words of Hadoop's tool, which other programs parse.

use super::Place;
use crate::fault::Fault;
use mammoth_client::JobClient;
use mammoth_protocol::jobs::client::{AttemptStatus, JobState, JobStatus, TaskCounts};
use mammoth_protocol::jobs::{AttemptId, JobId, TaskKind};
use std::io::Write;

/// Runs `mapred job ARGS`.
pub(super) fn job(place: &Place, args: &[String], out: &mut dyn Write) -> Result<u8, Fault> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let (verb, rest) = words.split_first().ok_or_else(|| Fault::Usage("job: what about it?".to_owned()))?;
    match (verb.trim_start_matches('-'), rest) {
        ("list", []) => list(&place.client()?, false, out),
        ("list", ["all"]) => list(&place.client()?, true, out),
        ("status", [job]) => status(&place.client()?, id(job)?, out),
        ("kill", [job]) => kill(&place.client()?, id(job)?, out),
        ("counter", [job, group, name]) => counter(&place.client()?, id(job)?, group, name, out),
        ("events", [job, from, count]) => events(&place.client()?, id(job)?, number(from)?, number(count)?, out),
        ("list-attempt-ids", [job, kind, state]) => attempt_ids(&place.client()?, id(job)?, kind, state, out),
        ("list-active-trackers", []) => trackers(&place.client()?, out),
        ("logs", [job]) => logs(&place.client()?, id(job)?, None, out),
        ("logs", [job, attempt]) => logs(&place.client()?, id(job)?, Some(attempt_id(attempt)?), out),
        (
            "list" | "status" | "kill" | "counter" | "events" | "list-attempt-ids" | "list-active-trackers" | "logs",
            _,
        ) => Err(Fault::Usage(format!("job {verb}: wrong number of arguments"))),
        (
            "submit" | "history" | "kill-task" | "fail-task" | "set-priority" | "list-blacklisted-trackers" | "config",
            _,
        ) => Err(Fault::Other(format!("job {verb} is not implemented yet"))),
        _ => Err(Fault::Usage(format!("job {verb}: Unknown option"))),
    }
}

fn id(text: &str) -> Result<JobId, Fault> {
    text.parse().map_err(|bad: mammoth_protocol::ids::BadId| Fault::Other(bad.to_string()))
}

fn attempt_id(text: &str) -> Result<AttemptId, Fault> {
    text.parse().map_err(|bad: mammoth_protocol::ids::BadId| Fault::Other(bad.to_string()))
}

fn number(text: &str) -> Result<u64, Fault> {
    text.parse().map_err(|_| Fault::Usage(format!("`{text}': not a number")))
}

fn write(out: &mut dyn Write, text: &str) -> Result<(), Fault> {
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| match error.kind() {
        std::io::ErrorKind::BrokenPipe => Fault::BrokenPipe,
        _ => Fault::Output(error),
    })
}

fn list(client: &JobClient, all: bool, out: &mut dyn Write) -> Result<u8, Fault> {
    let jobs = client.jobs().map_err(Fault::Client)?;
    let shown: Vec<&JobStatus> = jobs.iter().filter(|job| all || !job.state.is_final()).collect();
    let mut text = if all {
        format!("{} jobs submitted\nStates are:\n\tRunning : 1\tSucceeded : 2\tFailed : 3\tPrep : 4\n", shown.len())
    } else {
        format!("{} jobs currently running\n", shown.len())
    };
    text += "JobId\tState\tStartTime\tUserName\tPriority\tSchedulingInfo\n";
    for job in shown {
        let (code, started) = (job.state.code(), job.submitted_ms);
        text += &format!("{}\t{code}\t{started}\t{}\tNORMAL\tNA\n", job.job, job.user);
    }
    write(out, &text)?;
    Ok(0)
}

fn status(client: &JobClient, job: JobId, out: &mut dyn Write) -> Result<u8, Fault> {
    let status = client.status(job).map_err(Fault::Client)?;
    let mut text = format!(
        "\nJob: {}\nJob Name: {}\nJob State: {}\ntracking URL: {}\nmap() completion: {}\nreduce() completion: {}\n",
        status.job,
        status.name,
        word(status.state),
        status.tracking_url,
        status.map_progress,
        status.reduce_progress,
    );
    for (kind, counts) in [("map", &status.maps), ("reduce", &status.reduces)] {
        let TaskCounts { total, pending, running, done, failed_attempts, killed_attempts } = counts;
        text += &format!(
            "Number of {kind}s: {total} ({pending} pending, {running} running, {done} done, {failed_attempts} failed \
             attempts, {killed_attempts} killed attempts)\n"
        );
    }
    if let Some(reason) = &status.reason {
        text += &format!("reason for failure: {reason}\n");
    }
    text += &format!("Counters: {}\n\n", status.counters.len());
    for (group, names) in &status.counters.groups {
        text += &format!("\t{group}\n");
        for (name, value) in names {
            text += &format!("\t\t{name}={value}\n");
        }
    }
    write(out, &text)?;
    Ok(0)
}

fn word(state: JobState) -> &'static str {
    match state {
        JobState::Prep => "PREP",
        JobState::Running => "RUNNING",
        JobState::Succeeded => "SUCCEEDED",
        JobState::Failed => "FAILED",
        JobState::Killed => "KILLED",
    }
}

fn kill(client: &JobClient, job: JobId, out: &mut dyn Write) -> Result<u8, Fault> {
    let before = client.status(job).map_err(Fault::Client)?;
    if before.state.is_final() {
        return Err(Fault::Other(format!("{job} has ended already: {}", word(before.state))));
    }
    client.kill(job).map_err(Fault::Client)?;
    write(out, &format!("Killed job {job}\n"))?;
    Ok(0)
}

fn counter(client: &JobClient, job: JobId, group: &str, name: &str, out: &mut dyn Write) -> Result<u8, Fault> {
    let status = client.status(job).map_err(Fault::Client)?;
    let value = status.counters.groups.get(group).and_then(|names| names.get(name));
    let unknown = || Fault::Other(format!("{job} has no counter `{name}' in group `{group}'"));
    write(out, &format!("{}\n", value.ok_or_else(unknown)?))?;
    Ok(0)
}

fn events(client: &JobClient, job: JobId, from: u64, count: u64, out: &mut dyn Write) -> Result<u8, Fault> {
    let events = client.events(job, from).map_err(Fault::Client)?.events;
    let shown = events.iter().take(usize::try_from(count).unwrap_or(usize::MAX));
    let mut text = String::from("Task completion events for ") + &job.to_string() + "\n";
    text += &format!("Number of events (from {from}) are: {}\n", shown.len());
    for event in shown {
        text += &format!("{} {} {}\n", event.status, event.attempt, event.tracker);
    }
    write(out, &text)?;
    Ok(0)
}

fn attempts(client: &JobClient, job: JobId) -> Result<Vec<(TaskKind, AttemptStatus)>, Fault> {
    let tasks = client.tasks(job).map_err(Fault::Client)?;
    Ok(tasks.into_iter().flat_map(|task| task.attempts.into_iter().map(move |attempt| (task.kind, attempt))).collect())
}

fn attempt_ids(client: &JobClient, job: JobId, kind: &str, state: &str, out: &mut dyn Write) -> Result<u8, Fault> {
    let wanted = match kind.to_ascii_lowercase().as_str() {
        "map" => TaskKind::Map,
        "reduce" => TaskKind::Reduce,
        _ => return Err(Fault::Usage(format!("`{kind}': expected map or reduce"))),
    };
    let state = state.to_ascii_lowercase();
    let is_state = |attempt: &AttemptStatus| match state.as_str() {
        "running" => attempt.finished_ms == 0,
        _ => attempt.finished_ms > 0,
    };
    if !matches!(state.as_str(), "running" | "completed") {
        return Err(Fault::Usage(format!("`{state}': expected running or completed")));
    }
    let mut text = String::new();
    for (_, attempt) in attempts(client, job)?.iter().filter(|(kind, a)| *kind == wanted && is_state(a)) {
        text += &format!("{}\n", attempt.attempt);
    }
    write(out, &text)?;
    Ok(0)
}

fn trackers(client: &JobClient, out: &mut dyn Write) -> Result<u8, Fault> {
    let trackers = client.trackers().map_err(Fault::Client)?;
    let text: String = trackers.iter().filter(|t| t.live).map(|t| format!("{}\n", t.name)).collect();
    write(out, &text)?;
    Ok(0)
}

/// Says where the logs are: they stay with the tasktrackers, which serve them.
fn logs(client: &JobClient, job: JobId, only: Option<AttemptId>, out: &mut dyn Write) -> Result<u8, Fault> {
    let all = attempts(client, job)?;
    let shown: Vec<_> = all.iter().filter(|(_, a)| only.is_none_or(|only| a.attempt == only)).collect();
    if shown.is_empty() {
        return Err(Fault::Other(match only {
            Some(attempt) => format!("{job} has no attempt {attempt}"),
            None => format!("{job} has no attempts yet"),
        }));
    }
    let text: String = shown.iter().map(|(_, a)| format!("{} {} {}\n", a.attempt, a.state, a.log)).collect();
    write(out, &text)?;
    Ok(0)
}
