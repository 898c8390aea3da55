//! What happens to attempts, and what follows for their tasks and their job.

use super::attempt::{Attempt, AttemptState, End, Input, Turn};
use super::task::{Output, Over, TaskInput, TaskState};
use super::{Job, Phase};
use crate::api::CoreConfig;
use crate::text::clip;
use crate::trackers::Place;
use mammoth_protocol::Now;
use mammoth_protocol::jobs::tracker::{AttemptPhase, AttemptReport, routes};
use mammoth_protocol::jobs::{AttemptId, Resources, TaskId, TaskKind};
use mammoth_protocol::limits::{ATTEMPTS_PER_TASK_MAX, REASON_BYTES_MAX};
use std::borrow::Cow;

/// Longest name of a phase that is kept.
const PHASE_BYTES_MAX: usize = 40;

/// What feeding an attempt led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fed {
    Nothing,
    Changed,
    /// The attempt takes nothing of its tracker any more.
    Freed {
        /// It failed by itself.
        failed: bool,
    },
}

impl Job {
    /// Gives a pending task to a tracker.
    pub(crate) fn assign(&mut self, task: TaskId, place: &Place, resources: Resources, now: Now) -> Option<AttemptId> {
        let limit = self.first.saturating_add(ATTEMPTS_PER_TASK_MAX);
        let work = self.work.as_deref_mut()?;
        let local = task.kind == TaskKind::Map && work.is_near(task.index, &place.host);
        let entry = work.task_mut(task)?;
        let number = entry.next;
        if number >= limit {
            work.failure.get_or_insert(format!("{task} was started {ATTEMPTS_PER_TASK_MAX} times and never ended"));
            return None;
        }
        entry.next += 1;
        entry.attempts.push(Attempt {
            number,
            tracker: place.tracker,
            generation: place.generation,
            host: place.host.clone(),
            http: place.http.clone(),
            resources,
            state: AttemptState::Assigned { offered: false },
            started_ms: now.wall_ms,
            finished_ms: 0,
            progress: 0.0,
            phase: "".into(),
            counters: Vec::new(),
        });
        let id = AttemptId { task, number };
        work.live.insert(id, place.tracker);
        match task.kind {
            TaskKind::Map => {
                work.map_runs.launched += 1;
                work.map_runs.local += u32::from(local);
            }
            TaskKind::Reduce => work.reduce_runs.launched += 1,
            TaskKind::Commit | TaskKind::Abort => {}
        }
        if work.started_ms == 0 {
            work.started_ms = now.wall_ms.max(1);
        }
        work.step(task, TaskInput::Assigned(number), u32::MAX, now.monotonic_ms);
        self.reserved = None;
        self.touch();
        Some(id)
    }

    /// Takes a tracker's report of a live attempt in.
    pub(crate) fn report(&mut self, report: &AttemptReport, config: &CoreConfig, now: Now) -> Fed {
        let id = report.attempt;
        let Some(work) = self.work.as_deref_mut() else { return Fed::Nothing };
        let all_known = work.maps_ever as usize == work.maps.len();
        let tally = work.sums.tally(&report.counters);
        let entry = work.task_mut(id.task).and_then(|task| task.attempt_mut(id.number));
        let Some(attempt) = entry.filter(|attempt| attempt.is_wanted()) else {
            return self.feed(id, &Input::Seen(&report.state), config, now);
        };
        attempt.progress = if report.progress.is_finite() { report.progress.clamp(0.0, 1.0) } else { 0.0 };
        if *attempt.phase != *report.phase {
            attempt.phase = clip(&report.phase, PHASE_BYTES_MAX).into();
        }
        attempt.counters = tally;
        let unread = || "it ended before every map's output was known".to_owned();
        let state = match &report.state {
            AttemptPhase::Succeeded { .. } if id.task.kind == TaskKind::Reduce && !all_known => {
                Cow::Owned(AttemptPhase::Failed { reason: unread() })
            }
            AttemptPhase::Failed { reason } => {
                Cow::Owned(AttemptPhase::Failed { reason: clip(reason, REASON_BYTES_MAX) })
            }
            AttemptPhase::Killed { reason } => {
                Cow::Owned(AttemptPhase::Killed { reason: clip(reason, REASON_BYTES_MAX) })
            }
            other => Cow::Borrowed(other),
        };
        self.feed(id, &Input::Seen(&state), config, now)
    }

    /// Lets something happen to an attempt.
    pub(crate) fn feed(&mut self, id: AttemptId, input: &Input<'_>, config: &CoreConfig, now: Now) -> Fed {
        let attempts_max = self.attempts_max(id.task.kind, config);
        let Some(work) = self.work.as_deref_mut() else { return Fed::Nothing };
        let entry = work.task_mut(id.task).and_then(|task| task.attempt_mut(id.number));
        let Some(attempt) = entry else { return Fed::Nothing };
        match attempt.step(input) {
            Turn::Same => return Fed::Nothing,
            Turn::Changed => {}
            Turn::Asks => self.grant(id.task),
            Turn::Given => {
                work.step(id.task, TaskInput::Over(id.number, Over::Killed), attempts_max, now.monotonic_ms);
            }
            Turn::Ended => {
                let failed = self.ended(id, attempts_max, now);
                return Fed::Freed { failed };
            }
        }
        self.touch();
        Fed::Changed
    }

    /// An attempt has just ended; whether it failed by itself.
    fn ended(&mut self, id: AttemptId, attempts_max: u32, now: Now) -> bool {
        self.touch();
        let Some(work) = self.work.as_deref_mut() else { return false };
        work.live.remove(&id);
        if id.task.kind == TaskKind::Reduce {
            work.outputs.reduce_ended(id);
        }
        let entry = work.task_mut(id.task).and_then(|task| task.attempt_mut(id.number));
        let Some(attempt) = entry else { return false };
        attempt.finished_ms = now.wall_ms;
        let output = Output { tracker: attempt.tracker, generation: attempt.generation };
        let (http, tracker, log) = (attempt.http.clone(), attempt.tracker, attempt.log_url(id));
        let AttemptState::Ended(end) = attempt.state.clone() else { return false };
        let now_ms = now.monotonic_ms;
        match &end {
            End::Succeeded => {
                attempt.progress = 1.0;
                work.count(id);
                if id.task.kind == TaskKind::Map && !work.reduces.is_empty() {
                    work.outputs.ready(id, &http, output.generation);
                }
                work.step(id.task, TaskInput::Over(id.number, Over::Succeeded(output)), attempts_max, now_ms);
                self.events.add(id, "SUCCEEDED", String::new(), &http);
            }
            End::Failed(reason) => {
                work.attempt_failed(id.task, tracker);
                work.step(id.task, TaskInput::Over(id.number, Over::Failed), attempts_max, now_ms);
                work.note_failure(id.task, &http, reason, &log);
                self.events.add(id, "FAILED", format!("{reason}\nlog: {log}"), &http);
            }
            End::Killed(reason) => {
                match id.task.kind {
                    TaskKind::Map => work.map_runs.killed += 1,
                    TaskKind::Reduce => work.reduce_runs.killed += 1,
                    TaskKind::Commit | TaskKind::Abort => {}
                }
                work.step(id.task, TaskInput::Over(id.number, Over::Killed), attempts_max, now_ms);
                self.events.add(id, "KILLED", reason.clone(), &http);
            }
        }
        self.grant(id.task);
        if let Some(task) = self.work.as_deref_mut().and_then(|work| work.task_mut(id.task)) {
            task.prune();
        }
        matches!(end, End::Failed(_))
    }

    /// Gives the task's attempt leave to commit if it asks and no other attempt of the task may be committing.
    fn grant(&mut self, id: TaskId) {
        let Some(task) = self.work.as_deref_mut().and_then(|work| work.task_mut(id)) else { return };
        let TaskState::Running { attempt: number } = task.state else { return };
        if task.another_may_commit(number) {
            return;
        }
        if let Some(attempt) = task.attempt_mut(number).filter(|attempt| attempt.state == AttemptState::Asking) {
            attempt.step(&Input::Grant);
        }
    }

    /// A map's output is gone. `blame` says why if that is the fault of the attempt or of its tracker.
    pub(crate) fn output_lost(&mut self, map: u32, number: u32, blame: Option<&str>, config: &CoreConfig, now: Now) {
        let id = AttemptId { task: TaskId { job: self.id, kind: TaskKind::Map, index: map }, number };
        let attempts_max = self.attempts_max(TaskKind::Map, config);
        let Some(work) = self.work.as_deref_mut() else { return };
        let Some(attempt) = work.attempt(id) else { return };
        let (http, tracker, log) = (attempt.http.clone(), attempt.tracker, attempt.log_url(id));
        if blame.is_some() {
            work.attempt_failed(id.task, tracker);
        }
        if !work.step(id.task, TaskInput::OutputLost(number), attempts_max, now.monotonic_ms) {
            return;
        }
        work.outputs.lost(id);
        let text = blame.unwrap_or("its tasktracker is gone, or its files are");
        if blame.is_some() {
            work.note_failure(id.task, &http, text, &log);
        }
        self.events.add(id, "OBSOLETE", text.to_owned(), &http);
        self.touch();
    }

    /// Everything that runs is no longer wanted.
    pub(crate) fn live_attempts(&self) -> Vec<AttemptId> {
        self.work.iter().flat_map(|work| work.live.keys().copied()).collect()
    }

    fn attempts_max(&self, kind: TaskKind, config: &CoreConfig) -> u32 {
        let of_spec = self.spec().map_or((1, 1), |spec| (spec.map_attempts_max, spec.reduce_attempts_max));
        let max = match kind {
            TaskKind::Map => of_spec.0,
            TaskKind::Reduce => of_spec.1,
            TaskKind::Commit => config.commit_attempts_max,
            TaskKind::Abort => config.abort_attempts_max,
        };
        max.max(1)
    }

    /// Its tasks are over.
    pub(crate) fn is_final(&self) -> bool {
        self.phase == Phase::Ended
    }
}

impl super::Work {
    fn attempt_failed(&mut self, id: TaskId, tracker: mammoth_protocol::jobs::TrackerId) {
        *self.failures_on.entry(tracker).or_default() += 1;
        match id.kind {
            TaskKind::Map => self.map_runs.failed += 1,
            TaskKind::Reduce => self.reduce_runs.failed += 1,
            TaskKind::Commit | TaskKind::Abort => {}
        }
        if let Some(task) = self.task_mut(id) {
            task.failures = task.failures.saturating_add(1);
            if !task.failed_on.contains(&tracker) {
                task.failed_on.push(tracker);
            }
        }
    }

    /// If the task failed for good, that is why the job does.
    fn note_failure(&mut self, id: TaskId, http: &str, reason: &str, log: &str) {
        let Some(task) = self.task(id).filter(|task| task.state == TaskState::Failed) else { return };
        let times = if task.failures == 1 { "once".to_owned() } else { format!("{} times", task.failures) };
        let reason = clip(reason, REASON_BYTES_MAX - 600);
        self.failure.get_or_insert(format!("{id} failed {times}, last on {http}: {reason}\nlog: {log}"));
    }
}

impl Attempt {
    /// Where its log is.
    pub(crate) fn log_url(&self, id: AttemptId) -> String {
        format!("http://{}{}", self.http, routes::LOG.replace("{attempt}", &id.to_string()))
    }
}
