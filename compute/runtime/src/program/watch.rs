//! Watching a job in Hadoop's words, which tools parse: progress on change, attempts that failed, the end and the counters.

use crate::error::RuntimeError;
use mammoth_client::{ClientError, JobClient};
use mammoth_platform::Shutdown;
use mammoth_protocol::jobs::client::{AttemptEvent, JobState, JobStatus};
use mammoth_protocol::jobs::{Counters, JobId};
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::mpsc;
use std::time::Duration;

/// How long one question may wait for a change.
const WAIT_MS: u64 = 2_000;
/// Pause between two answers: a busy job changes all the time.
const PAUSE: Duration = Duration::from_millis(50);

/// How watching ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Succeeded,
    /// Or killed.
    Failed,
    /// The user had enough; the job goes on.
    Interrupted,
}

/// What ends the wait of the calling thread.
enum Said {
    Done(Result<Ending, ClientError>),
    Interrupted,
}

/// Shows a job on standard error until it ends or the user interrupts.
pub(super) fn watch(jobs: &JobClient, job: JobId, interrupt: &Shutdown) -> Result<Ending, RuntimeError> {
    let (tell, told) = mpsc::sync_channel(2);
    let interrupted = tell.clone();
    let _subscription = interrupt.subscribe(move || drop(interrupted.try_send(Said::Interrupted)));
    let jobs = jobs.clone();
    let follow = move || drop(tell.send(Said::Done(follow(&jobs, job))));
    // Not waited for: it may be in the middle of a long question, and ends with the process.
    let spawned = std::thread::Builder::new().name("job-watch".to_owned()).spawn(follow);
    spawned.map_err(|source| RuntimeError::Io { what: "a thread that watches".to_owned(), source })?;
    match told.recv() {
        Ok(Said::Done(ending)) => Ok(ending?),
        Ok(Said::Interrupted) => Ok(Ending::Interrupted),
        Err(_) => Err(RuntimeError::Refused(format!("watching {job} failed; it may still run"))),
    }
}

fn follow(jobs: &JobClient, job: JobId) -> Result<Ending, ClientError> {
    let mut screen = Screen::default();
    let mut version = 0;
    loop {
        let status = jobs.wait_status(job, version, WAIT_MS)?;
        version = status.version;
        let events = new_events(jobs, job, screen.events_seen)?;
        // Where nobody reads any more the job is followed all the same: its end is this process's status.
        let _nobody_reads = std::io::stderr().write_all(screen.show(&status, &events).as_bytes());
        if status.state.is_final() {
            return Ok(if status.state == JobState::Succeeded { Ending::Succeeded } else { Ending::Failed });
        }
        std::thread::sleep(PAUSE);
    }
}

/// All events from a position on, however many answers they take.
fn new_events(jobs: &JobClient, job: JobId, mut from: u64) -> Result<Vec<AttemptEvent>, ClientError> {
    let mut all = Vec::new();
    loop {
        let page = jobs.events(job, from)?.events;
        match page.last() {
            Some(last) if last.seq >= from => from = last.seq.saturating_add(1),
            _ => return Ok(all),
        }
        all.extend(page);
    }
}

/// What was shown so far.
#[derive(Debug, Default)]
struct Screen {
    is_begun: bool,
    progress: Option<(u32, u32)>,
    events_seen: u64,
    /// What was said of the last attempt that failed.
    last_failure: String,
}

impl Screen {
    /// The lines that are new.
    fn show(&mut self, status: &JobStatus, events: &[AttemptEvent]) -> String {
        let mut text = String::new();
        let job = status.job;
        if !std::mem::replace(&mut self.is_begun, true) {
            if !status.tracking_url.is_empty() {
                let _infallible = writeln!(text, "The url to track the job: {}", status.tracking_url);
            }
            let _infallible = writeln!(text, "Running job: {job}");
        }
        for event in events {
            self.events_seen = self.events_seen.max(event.seq.saturating_add(1));
            if event.status == "FAILED" {
                let _infallible = writeln!(text, "Task Id : {}, Status : {}", event.attempt, event.status);
                if !event.text.is_empty() {
                    let _infallible = writeln!(text, "{}", once(&event.text));
                    self.last_failure.clone_from(&event.text);
                }
            }
        }
        let progress = (percent(status.map_progress), percent(status.reduce_progress));
        if self.progress != Some(progress) && status.state != JobState::Prep {
            self.progress = Some(progress);
            let _infallible = writeln!(text, " map {}% reduce {}%", progress.0, progress.1);
        }
        if status.state == JobState::Succeeded {
            let _infallible = writeln!(text, "Job {job} completed successfully");
            text.push_str(&counters(&status.counters));
        } else if status.state.is_final() {
            let state = if status.state == JobState::Killed { "KILLED" } else { "FAILED" };
            let reason = unsaid(status.reason.as_deref().unwrap_or("unknown"), &self.last_failure);
            let _infallible = writeln!(text, "Job {job} failed with state {state} due to: {}", once(reason));
            text.push_str(&counters(&status.counters));
        }
        text
    }
}

/// A job's reason without the words of its last attempt's and the address of its log, if those were shown just before.
fn unsaid<'a>(reason: &'a str, shown: &str) -> &'a str {
    let log = |text: &str| text.trim_end().lines().last().filter(|line| line.starts_with("log: ")).map(str::to_owned);
    let is_shown = log(reason).is_some() && log(reason) == log(shown);
    let first = shown.lines().next().filter(|line| is_shown && !line.is_empty());
    match first.and_then(|line| reason.find(line)) {
        Some(at) => reason[..at].trim_end().trim_end_matches(':'),
        None => reason,
    }
}

/// Why an attempt failed, with everything said once: the end of its log repeats the reason, and tracker and jobtracker each
/// name a page with that log.
fn once(text: &str) -> String {
    let mut lines = text.trim_end().lines();
    let first = lines.next().unwrap_or_default();
    let has_page = text.lines().any(|line| line.starts_with("Log: "));
    let is_new = |line: &&str| {
        let repeats = !line.trim().is_empty() && first.contains(line.trim());
        let other_page = has_page && line.starts_with("log: ");
        !repeats && !other_page
    };
    std::iter::once(first).chain(lines.filter(is_new)).collect::<Vec<_>>().join("\n")
}

/// Rounded down, so that 100% is said only of what is done.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share between 0 and 1")]
fn percent(share: f32) -> u32 {
    (f64::from(share.clamp(0.0, 1.0)) * 100.0 + 1e-4).floor() as u32
}

/// Counters in Hadoop's layout. The group of file systems comes first there, as ours does by its name.
fn counters(counters: &Counters) -> String {
    let mut text = format!("Counters: {}", counters.len());
    for (group, names) in &counters.groups {
        let _infallible = write!(text, "\n\t{group}");
        for (name, value) in names {
            let _infallible = write!(text, "\n\t\t{name}={value}");
        }
    }
    text.push('\n');
    text
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;
    use mammoth_protocol::jobs::client::TaskCounts;

    /// Job 7, which got that far.
    pub(in crate::program) fn status(state: JobState, map: f32, reduce: f32) -> JobStatus {
        JobStatus {
            job: JobId { cluster_ms: 1_700_000_000_000, number: 7 },
            name: "words".to_owned(),
            user: "ann".to_owned(),
            state,
            version: 1,
            map_progress: map,
            reduce_progress: reduce,
            maps: TaskCounts::default(),
            reduces: TaskCounts::default(),
            submitted_ms: 1,
            started_ms: 0,
            finished_ms: 0,
            reason: None,
            counters: Counters::default(),
            output: None,
            tracking_url: String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::status;
    use super::*;
    use mammoth_protocol::jobs::{AttemptId, TaskId, TaskKind};

    #[test]
    fn a_job_is_shown_in_hadoops_words() {
        let mut screen = Screen::default();
        assert_eq!(
            screen.show(&status(JobState::Running, 0.0, 0.0), &[]),
            "Running job: job_1700000000000_0007\n map 0% reduce 0%\n"
        );
        assert_eq!(screen.show(&status(JobState::Running, 0.001, 0.0), &[]), "", "only on change");
        let attempt = AttemptId {
            task: TaskId { job: status(JobState::Prep, 0.0, 0.0).job, kind: TaskKind::Map, index: 0 },
            number: 0,
        };
        let event = |status: &str, text: &str| AttemptEvent {
            seq: 4,
            attempt,
            status: status.to_owned(),
            text: text.to_owned(),
            tracker: String::new(),
        };
        assert_eq!(
            screen.show(&status(JobState::Running, 0.999, 0.33), &[event("FAILED", "why\n"), event("KILLED", "")]),
            "Task Id : attempt_1700000000000_0007_m_000000_0, Status : FAILED\nwhy\n map 99% reduce 33%\n"
        );
        assert_eq!(screen.events_seen, 5);
        let mut done = status(JobState::Succeeded, 1.0, 1.0);
        done.counters.add("Map-Reduce Framework", "Map input records", 5);
        done.counters.add("File System Counters", "HDFS: Number of bytes read", 9);
        assert_eq!(
            screen.show(&done, &[]),
            " map 100% reduce 100%\nJob job_1700000000000_0007 completed successfully\nCounters: 2\
             \n\tFile System Counters\n\t\tHDFS: Number of bytes read=9\
             \n\tMap-Reduce Framework\n\t\tMap input records=5\n"
        );
    }

    #[test]
    fn a_failure_says_why() {
        let mut failed = status(JobState::Failed, 0.5, 0.0);
        failed.reason = Some("Task task_1_0007_m_000000 failed 4 times".to_owned());
        let text = Screen::default().show(&failed, &[]);
        let line =
            "Job job_1700000000000_0007 failed with state FAILED due to: Task task_1_0007_m_000000 failed 4 times\n";
        assert!(text.contains(line), "{text}");
        assert!(Screen::default().show(&status(JobState::Killed, 0.0, 0.0), &[]).contains("failed with state KILLED"));
    }

    #[test]
    fn the_end_of_a_log_does_not_repeat_the_reason() {
        let text = "panicked: no tab at a.rs:7\nthread 'main' panicked at a.rs:7:9:\nno tab\nsee line 4\n\
                    panicked: no tab at a.rs:7\nLog: http://a:1/x\nlog: http://b:2/x\n";
        let said = "panicked: no tab at a.rs:7\nthread 'main' panicked at a.rs:7:9:\nsee line 4\nLog: http://a:1/x";
        assert_eq!(once(text), said);
        assert_eq!(once("lost\nlog: http://b:2/x\n"), "lost\nlog: http://b:2/x");
    }

    #[test]
    fn what_was_said_of_the_last_attempt_is_not_said_again() {
        let said = "map: no tab\nin line 7\nlog: http://a:1/x_3";
        let whole = format!("task_1 failed 4 times, last on a:1: {said}");
        assert_eq!(unsaid(&whole, said), "task_1 failed 4 times, last on a:1");
        assert_eq!(unsaid(&whole, "map: no tab\nlog: http://a:1/x_2"), whole, "of another attempt");
        assert_eq!(unsaid("killed by ann", said), "killed by ann");
        assert_eq!(unsaid("killed by ann", ""), "killed by ann");
    }

    #[test]
    fn percents_round_down_but_not_by_the_error_of_a_float() {
        assert_eq!(
            [percent(0.07), percent(0.999_9), percent(1.0), percent(f32::NAN), percent(7.0)],
            [7, 99, 100, 0, 100]
        );
    }
}
