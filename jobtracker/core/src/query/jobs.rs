//! Questions about jobs.

use crate::jobs::{Attempt, AttemptState, End, Job, Task, TaskState, Work};
use crate::rows::{JobRow, Stage, Submission};
use crate::state::State;
use mammoth_protocol::jobs::client::{AttemptEvents, AttemptStatus, JobState, JobStatus, TaskCounts, TaskStatus};
use mammoth_protocol::jobs::{AttemptId, Counters, JobId, TaskKind};
use std::collections::BTreeSet;

impl State {
    /// One job; nothing if it is not known (any more).
    #[must_use]
    pub fn job_status(&self, job: JobId) -> Option<JobStatus> {
        let row = self.job_row(job)?;
        Some(self.status_of_job(job.number, row))
    }

    /// All jobs that are known, newest first.
    #[must_use]
    pub fn jobs(&self) -> Vec<JobStatus> {
        self.rows.jobs.iter().rev().map(|(number, row)| self.status_of_job(*number, row)).collect()
    }

    /// Those of these jobs that got their ids here and need nothing any more: they are final, or forgotten.
    #[must_use]
    pub fn jobs_over(&self, jobs: &[JobId]) -> Vec<JobId> {
        let ours = jobs.iter().filter(|job| job.cluster_ms == self.rows.meta.cluster_ms);
        ours.filter(|job| self.job_row(**job).is_none_or(|row| row.stage.is_ended())).copied().collect()
    }

    /// The version of a job's status alone: cheap.
    #[must_use]
    pub fn job_version(&self, job: JobId) -> Option<u64> {
        self.job_row(job)?;
        Some(self.jobs.get(&job.number).map_or(0, |job| job.version))
    }

    fn status_of_job(&self, number: u32, row: &JobRow) -> JobStatus {
        let job = self.jobs.get(&number);
        let work = job.and_then(|job| job.work.as_deref());
        let (state, reason) = state_of(row, job);
        let nothing = Submission::default();
        let submission = row.stage.submission().unwrap_or(&nothing);
        let succeeding = matches!(row.stage, Stage::Committing(..)) || state == JobState::Succeeded;
        let counts = |kind: TaskKind, total: u32| counts_of(work, kind, total, succeeding);
        let (map_progress, maps) = counts(TaskKind::Map, submission.maps);
        let (reduce_progress, reduces) = counts(TaskKind::Reduce, submission.reduces);
        let started_ms = row.stage.past().map(|past| past.started_ms).or(work.map(|work| work.started_ms));
        let id = self.job_id(number);
        JobStatus {
            job: id,
            name: submission.name.clone(),
            user: if submission.user.is_empty() { row.user.clone() } else { submission.user.clone() },
            state,
            version: job.map_or(0, |job| job.version),
            map_progress,
            reduce_progress,
            maps,
            reduces,
            submitted_ms: if submission.submitted_ms == 0 { row.allocated_ms } else { submission.submitted_ms },
            started_ms: started_ms.unwrap_or_default(),
            finished_ms: row.stage.finished_ms().unwrap_or_default(),
            reason,
            counters: self.counters_of_job(number, row, work),
            output: submission.output.clone(),
            tracking_url: format!("{}/jobs/{id}", self.config.url),
        }
    }

    fn counters_of_job(&self, number: u32, row: &JobRow, work: Option<&Work>) -> Counters {
        match (row.stage.past(), work) {
            (Some(_), _) => self.rows.counters_of(number),
            (None, Some(work)) => work.counters(),
            (None, None) => Counters::default(),
        }
    }

    /// The tasks of a job with their attempts: maps, reduces, then commit and abort if they were started. Empty for a job that
    /// ended before the last restart, or long ago.
    #[must_use]
    pub fn tasks(&self, job: JobId) -> Option<Vec<TaskStatus>> {
        self.tasks_from(job, 0, usize::MAX).map(|(tasks, _)| tasks)
    }

    /// At most `max` of them from position `from` on, and how many there are in all. A job may have two hundred thousand, and
    /// while they are looked at nothing else happens.
    #[must_use]
    pub fn tasks_from(&self, job: JobId, from: usize, max: usize) -> Option<(Vec<TaskStatus>, usize)> {
        self.job_row(job)?;
        let Some((known, work)) = self.work_of(job) else { return Some((Vec::new(), 0)) };
        let shown = |task: &&Task| matches!(task.kind, TaskKind::Map | TaskKind::Reduce) || !task.attempts.is_empty();
        let some = work.tasks().filter(shown).skip(from).take(max);
        Some((some.map(|task| status_of_task(known, work, task)).collect(), work.tasks().filter(shown).count()))
    }

    /// The attempts of a job that failed: the last `max` of them in the order of their tasks, and how many there are in all.
    #[must_use]
    pub fn failed_attempts(&self, job: JobId, max: usize) -> Option<(Vec<AttemptStatus>, usize)> {
        self.job_row(job)?;
        let Some((known, work)) = self.work_of(job) else { return Some((Vec::new(), 0)) };
        let failed = |attempt: &&Attempt| matches!(attempt.state, AttemptState::Ended(End::Failed(_)));
        let of = |task: &Task| task.attempts.iter().filter(failed).count();
        let total = work.tasks().map(of).sum();
        let all = work.tasks().flat_map(|task| task.attempts.iter().filter(failed).map(move |attempt| (task, attempt)));
        let last = all.skip(usize::saturating_sub(total, max));
        Some((last.map(|(task, attempt)| status_of_attempt(known, work, task, attempt)).collect(), total))
    }

    fn work_of(&self, job: JobId) -> Option<(&Job, &Work)> {
        let known = self.jobs.get(&job.number)?;
        Some((known, known.work.as_deref()?))
    }

    /// The ends of a job's attempts from a position on, at most 1,000.
    #[must_use]
    pub fn attempt_events(&self, job: JobId, from: u64) -> Option<AttemptEvents> {
        self.job_row(job)?;
        Some(self.jobs.get(&job.number).map(|job| job.events.from(from)).unwrap_or_default())
    }
}

fn state_of(row: &JobRow, job: Option<&Job>) -> (JobState, Option<String>) {
    match &row.stage {
        Stage::Prepared => (JobState::Prep, None),
        Stage::Running(_) if job.is_none_or(|job| job.work.is_none()) => (JobState::Prep, None),
        Stage::Running(_) | Stage::Committing(..) => (JobState::Running, None),
        Stage::Aborting(_, _, ending) => (JobState::Running, Some(ending.reason.clone())),
        Stage::Ended { ending: None, .. } => (JobState::Succeeded, None),
        Stage::Ended { ending: Some(ending), .. } => {
            (if ending.killed { JobState::Killed } else { JobState::Failed }, Some(ending.reason.clone()))
        }
    }
}

/// Progress and numbers of the tasks of one kind. `succeeding`: all were done, whatever is still known of them.
fn counts_of(work: Option<&Work>, kind: TaskKind, total: u32, succeeding: bool) -> (f32, TaskCounts) {
    let mut counts = TaskCounts { total, ..TaskCounts::default() };
    let mut progress = 0.0;
    if let Some(work) = work {
        let (done, waiting, runs) = match kind {
            TaskKind::Map => (work.maps_done, work.pending_maps.len(), &work.map_runs),
            _ => (work.reduces_done, work.pending_reduces.len(), &work.reduce_runs),
        };
        let running: BTreeSet<_> = work.live.keys().filter(|id| id.task.kind == kind).map(|id| id.task).collect();
        let running = running.into_iter().filter_map(|id| work.task(id));
        let running = running.filter(|task| matches!(task.state, TaskState::Running { .. }));
        for task in running {
            counts.running += 1;
            progress += f64::from(task.progress());
        }
        counts.done = done;
        counts.pending = waiting as u32;
        counts.failed_attempts = runs.failed;
        counts.killed_attempts = runs.killed;
    }
    if succeeding {
        (counts.done, counts.pending, counts.running) = (total, 0, 0);
    }
    let whole = if total == 0 {
        f64::from(u8::from(succeeding))
    } else {
        (f64::from(counts.done) + progress) / f64::from(total)
    };
    (whole as f32, counts)
}

fn status_of_task(job: &Job, work: &Work, task: &Task) -> TaskStatus {
    let id = job.task_id(task.kind, task.index);
    let current = match task.state {
        TaskState::Running { attempt } => task.attempt(attempt),
        TaskState::Pending { .. } | TaskState::Done { .. } | TaskState::Failed => None,
    };
    let commits = |attempt: &Attempt| matches!(attempt.state, AttemptState::Granted { .. });
    let state = match &task.state {
        TaskState::Pending { .. } if job.is_final() => "KILLED",
        TaskState::Pending { .. } => "PENDING",
        TaskState::Running { .. } if current.is_some_and(commits) => "COMMITTING",
        TaskState::Running { .. } => "RUNNING",
        TaskState::Done { .. } => "SUCCEEDED",
        TaskState::Failed => "FAILED",
    };
    let split = job.spec().filter(|_| task.kind == TaskKind::Map).and_then(|spec| spec.splits.get(task.index as usize));
    TaskStatus {
        task: id,
        kind: task.kind,
        state: state.to_owned(),
        progress: task.progress(),
        label: split.map(|split| split.label.clone()).unwrap_or_default(),
        attempts: task.attempts.iter().map(|attempt| status_of_attempt(job, work, task, attempt)).collect(),
    }
}

fn status_of_attempt(job: &Job, work: &Work, task: &Task, attempt: &Attempt) -> AttemptStatus {
    let id = AttemptId { task: job.task_id(task.kind, task.index), number: attempt.number };
    AttemptStatus {
        attempt: id,
        state: attempt.state_name().to_owned(),
        progress: attempt.progress,
        phase: attempt.phase.to_string(),
        host: attempt.host.to_string(),
        log: attempt.log_url(id),
        started_ms: attempt.started_ms,
        finished_ms: attempt.finished_ms,
        reason: match &attempt.state {
            AttemptState::Ended(End::Failed(reason) | End::Killed(reason)) | AttemptState::Ending { reason, .. } => {
                Some(reason.clone())
            }
            _ => None,
        },
        counters: work.sums.of(&attempt.counters),
    }
}
