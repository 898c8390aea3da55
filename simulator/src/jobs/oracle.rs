//! What really happened, and whether the jobtracker believes it.

use super::event::Index;
use super::world::World;
use mammoth_jobtracker_core::State;
use mammoth_jobtracker_core::check::{check, outputs};
use mammoth_protocol::jobs::client::{AttemptEvent, JobState, JobStatus};
use mammoth_protocol::jobs::spec::JobSpec;
use mammoth_protocol::jobs::{AppId, AttemptId, ExecutorId, JobId, TaskId, TaskKind};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::doors::is_over;

/// What really happened.
#[derive(Clone, Debug, Default)]
pub struct Truth {
    /// Specifications in the file system.
    pub specs: BTreeMap<JobId, Arc<JobSpec>>,
    /// Attempts to which the core gave leave to commit.
    pub granted: BTreeSet<AttemptId>,
    /// Final states that clients were told.
    pub told: BTreeMap<JobId, JobState>,
    /// Attempts that were started.
    attempts: BTreeMap<AttemptId, Started>,
    executors: BTreeMap<(AppId, ExecutorId), (Index, u64)>,
    /// Attempts whose output was made visible, by task.
    committed: BTreeMap<TaskId, BTreeSet<AttemptId>>,
    job_committed: BTreeSet<JobId>,
    /// By job: attempts whose end the jobtracker has told in this life.
    cursors: BTreeMap<JobId, u64>,
    /// By job: the version that was last looked at in this life.
    versions: BTreeMap<JobId, u64>,
    /// By which attempt a task is done, as told in this life.
    done: BTreeMap<TaskId, AttemptId>,
    finals: BTreeMap<JobId, (JobState, Option<String>)>,
}

/// An attempt that was started.
#[derive(Clone, Debug)]
struct Started {
    tracker: Index,
    process: u64,
    /// Life of the jobtracker at that time.
    life: u64,
    /// What it read, if it succeeded.
    succeeded: Option<BTreeMap<u32, AttemptId>>,
}

impl Truth {
    /// The jobtracker has started: what it told before of attempts is void.
    pub(super) fn new_life(&mut self) {
        self.cursors.clear();
        self.versions.clear();
        self.done.clear();
        // An end that nobody was told of may not have been durable.
        self.finals.clear();
    }

    /// An attempt is started: never again, and nowhere else.
    pub(super) fn attempt_starts(&mut self, id: AttemptId, on: Index, process: u64, life: u64) -> Result<(), String> {
        let started = Started { tracker: on, process, life, succeeded: None };
        match self.attempts.insert(id, started) {
            None => Ok(()),
            Some(before) => Err(format!(
                "{id} was started on tracker {} process {} and again on {on} process {process}",
                before.tracker, before.process
            )),
        }
    }

    pub(super) fn attempt_succeeds(&mut self, id: AttemptId, reads: &BTreeMap<u32, AttemptId>) {
        if let Some(started) = self.attempts.get_mut(&id) {
            started.succeeded = Some(reads.clone());
        }
    }

    pub(super) fn executor_starts(&mut self, key: (AppId, ExecutorId), on: Index, process: u64) -> Result<(), String> {
        match self.executors.insert(key, (on, process)) {
            None => Ok(()),
            Some(before) => Err(format!("executor {} of {} was started on {before:?} and on {on}", key.1, key.0)),
        }
    }

    /// An attempt makes its output visible (I8).
    pub(super) fn task_commits(&mut self, id: AttemptId, life: u64) -> Result<(), String> {
        self.committed.entry(id.task).or_default().insert(id);
        if !self.granted.contains(&id) {
            return Err(format!("{id} commits without leave"));
        }
        let of_this_life = self.attempts.get(&id).is_some_and(|started| started.life == life);
        match self.done.get(&id.task).filter(|by| **by != id && of_this_life) {
            Some(by) => Err(format!("{id} commits after {by} was told to have done the task")),
            None => Ok(()),
        }
    }

    /// The commit of a job's output is carried out: all of it must be there (I9).
    pub(super) fn job_commits(&mut self, id: AttemptId, spec: &JobSpec, life: u64) -> Result<(), String> {
        let job = id.task.job;
        self.job_committed.insert(job);
        let missing = parts(job, spec).into_iter().find(|task| !self.committed.contains_key(task));
        let of_this_life = self.attempts.get(&id).is_some_and(|started| started.life == life);
        let gone = self.finals.get(&job).filter(|(state, _)| *state != JobState::Succeeded && of_this_life);
        match (missing, gone) {
            (Some(task), _) => Err(format!("{job} is committed, and {task} is not")),
            (None, Some(end)) => Err(format!("{job} is committed after it had ended: {end:?}")),
            (None, None) => Ok(()),
        }
    }

    /// An attempt's end as the jobtracker tells it.
    fn told_of(&mut self, event: &AttemptEvent, spec: &JobSpec) -> Result<(), String> {
        let id = event.attempt;
        match event.status.as_str() {
            "SUCCEEDED" => {
                let really = self.attempts.get(&id).and_then(|started| started.succeeded.as_ref());
                let Some(reads) = really else { return Err(format!("{id} is told to have succeeded, and did not")) };
                if let Some(before) = self.done.insert(id.task, id) {
                    return Err(format!("{} was done by {before} and again by {id}", id.task));
                }
                let visible = self.committed.get(&id.task).is_some_and(|by| by.contains(&id));
                if parts(id.task.job, spec).contains(&id.task) && !visible {
                    return Err(format!("{id} succeeded, and its output is not visible"));
                }
                self.read_everything(id, reads, spec)
            }
            "OBSOLETE" => {
                self.done.remove(&id.task);
                Ok(())
            }
            "FAILED" | "KILLED" => Ok(()),
            other => Err(format!("{id} is {other}")),
        }
    }

    /// I9: a reduce has read the output of every map, made in the same life.
    fn read_everything(&self, id: AttemptId, reads: &BTreeMap<u32, AttemptId>, spec: &JobSpec) -> Result<(), String> {
        if id.task.kind != TaskKind::Reduce {
            return Ok(());
        }
        if reads.len() != spec.splits.len() {
            return Err(format!(
                "{id} succeeded and read the outputs of {} of {} maps",
                reads.len(),
                spec.splits.len()
            ));
        }
        let life = |id: AttemptId| id.number / 1000;
        let good = |map: &AttemptId| {
            let really = self.attempts.get(map).is_some_and(|started| started.succeeded.is_some());
            really && life(*map) == life(id)
        };
        match reads.values().find(|map| !good(map)) {
            Some(map) => Err(format!("{id} read {map}, which is no output of this life")),
            None => Ok(()),
        }
    }

    /// A job that is final stays so, and one that succeeded has all its output.
    fn is_final(&mut self, status: &JobStatus, spec: &JobSpec) -> Result<(), String> {
        let job = status.job;
        let end = (status.state, status.reason.clone());
        if let Some(before) = self.finals.get(&job) {
            let same = *before == end;
            return if same { Ok(()) } else { Err(format!("{job} had ended: {before:?}, and now {end:?}")) };
        }
        self.finals.insert(job, end);
        if status.state != JobState::Succeeded {
            return if status.reason.is_some() { Ok(()) } else { Err(format!("{job} ended for no reason")) };
        }
        let tasks = spec.splits.len() as i64 + i64::from(spec.reduces);
        let counted = status.counters.get("sim", "tasks");
        if counted != tasks {
            return Err(format!("{job} has {tasks} tasks and counted {counted}"));
        }
        if spec.output.is_some() && !self.job_committed.contains(&job) {
            return Err(format!("{job} succeeded, and its output was never committed"));
        }
        Ok(())
    }
}

/// Tasks that make a part of the output.
fn parts(job: JobId, spec: &JobSpec) -> BTreeSet<TaskId> {
    if spec.output.is_none() {
        return BTreeSet::new();
    }
    let (kind, count) = match spec.reduces {
        0 => (TaskKind::Map, spec.splits.len() as u32),
        reduces => (TaskKind::Reduce, reduces),
    };
    (0..count).map(|index| TaskId { job, kind, index }).collect()
}

impl World {
    /// Compares what the jobtracker believes with what really happened.
    pub(super) fn compare(&mut self) {
        let Some(live) = self.jobtracker.live.take() else { return };
        let compared = check(&live.process.state).map_err(|violation| violation.to_string());
        let compared = compared
            .and_then(|()| self.compare_jobs(&live.process.state))
            .and_then(|()| self.compare_outputs(&live.process.state));
        self.jobtracker.live = Some(live);
        if let Err(what) = compared {
            self.sim.violation(what);
        }
    }

    fn compare_jobs(&mut self, state: &State) -> Result<(), String> {
        let specs: Vec<(JobId, Arc<JobSpec>)> =
            self.truth.specs.iter().map(|(job, spec)| (*job, spec.clone())).collect();
        for (job, spec) in specs {
            let Some(version) = state.job_version(job) else { continue };
            if self.truth.versions.insert(job, version) == Some(version) {
                continue;
            }
            let from = self.truth.cursors.get(&job).copied().unwrap_or_default();
            let events = state.attempt_events(job, from).unwrap_or_default().events;
            self.truth.cursors.insert(job, from + events.len() as u64);
            for event in events {
                self.sim.coverage.hit(&format!("{:?} {}", event.attempt.task.kind, event.status));
                self.truth.told_of(&event, &spec)?;
                self.was_really_lost(&event)?;
            }
            if let Some(status) = state.job_status(job).filter(|status| status.state.is_final()) {
                if status.reason.as_deref().is_some_and(|reason| reason.contains("no tasktracker has as much")) {
                    self.sim.coverage.hit("job that fits nowhere failed");
                }
                self.truth.is_final(&status, &spec)?;
            }
        }
        Ok(())
    }

    /// A tracker that is said to have lost an attempt has lost it.
    fn was_really_lost(&mut self, event: &AttemptEvent) -> Result<(), String> {
        if event.status == "KILLED" && event.text.contains("a map of its job needs the room") {
            self.sim.coverage.hit("reduce gave way to a map");
        }
        if event.status != "KILLED" || !event.text.contains("does not have it any more") {
            return Ok(());
        }
        let id = event.attempt;
        let runs = |tracker: &&super::tracker::Tracker| tracker.held.get(&id).is_some_and(|held| !is_over(&held.phase));
        match self.trackers.iter().find(runs) {
            Some(tracker) => Err(format!("{id} is told to be lost, and tracker {} runs it", tracker.index)),
            None => Ok(()),
        }
    }

    /// Outputs that reduces may still need lie where they are said to lie, where that can be known.
    fn compare_outputs(&mut self, state: &State) -> Result<(), String> {
        for (id, at, generation, epoch) in outputs(state) {
            let Some(tracker) = self.tracker_of(at).map(|index| &self.trackers[index]) else { continue };
            let in_touch = tracker.up && tracker.epoch == Some(epoch);
            if in_touch && (tracker.generation != generation || !tracker.files.contains(&id)) {
                return Err(format!("the output of {id} is said to lie on tracker {}, and does not", tracker.index));
            }
        }
        Ok(())
    }
}
