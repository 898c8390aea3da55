//! Tasks end, one way or another, and ask whether they may commit.

use super::types::Fetches;
use super::{Active, Scheduler};
use crate::api::{Command, JobFailure, JobNumber, OutputId, PlaceId, ShuffleId, TaskEnd, TaskKey};
use mammoth_protocol::jobs::ExecutorId;
use mammoth_protocol::jobs::event::TaskOutcome;
use std::collections::BTreeSet;

/// A fetch that failed.
struct Fetch {
    shuffle: ShuffleId,
    map: u32,
    output: Option<OutputId>,
    reason: String,
}

impl Scheduler {
    pub(super) fn task_ended(&mut self, task: TaskKey, executor: ExecutorId, end: TaskEnd) {
        let Some(running) = self.tasks.get(&task).filter(|running| running.executor == executor) else { return };
        let launch = running.launch;
        let current = self.is_current(task);
        // Whatever it was, the partition is wanted again unless its work counts.
        self.dirty |= current && !matches!(end, TaskEnd::Success { .. });
        match end {
            TaskEnd::Success { .. } if !current => self.settle(task, TaskOutcome::Redundant),
            TaskEnd::Success { place } => self.succeeded(task, place, launch),
            TaskEnd::FetchFailed { shuffle, map, output, reason } => {
                self.settle(task, TaskOutcome::FetchFailed { shuffle: shuffle.0, map, reason: reason.clone() });
                if current {
                    self.fetch_failed(task, executor, launch, Fetch { shuffle, map, output, reason });
                }
            }
            TaskEnd::Failed { reason, fatal } => {
                self.settle(task, TaskOutcome::Failed { reason: reason.clone() });
                if current {
                    self.charge(task, &reason, fatal);
                }
            }
            TaskEnd::Cancelled => {
                self.settle(task, TaskOutcome::Cancelled);
                if current {
                    self.charge(task, "it stopped, and nobody had told it to", false);
                }
            }
        }
    }

    fn succeeded(&mut self, task: TaskKey, place: Option<PlaceId>, launch: u64) {
        let Some(stage) = self.stages.get(&task.stage) else { return };
        let writes = stage.spec.writes;
        match (writes, place) {
            (Some(_), Some(place)) if self.is_gone(place, launch) => {
                self.dirty = true;
                self.settle(task, TaskOutcome::Redundant);
            }
            (Some(shuffle), Some(place)) => {
                self.output_ready(shuffle, task, place);
                self.counts(task, None);
                self.complete(task.stage, shuffle);
            }
            (None, None) => self.result_ready(task),
            (Some(_), None) | (None, Some(_)) => {
                let reason = match place {
                    None => "it wrote no output".to_owned(),
                    Some(_) => "it wrote an output that nobody reads".to_owned(),
                };
                self.dirty = true;
                self.settle(task, TaskOutcome::Failed { reason: reason.clone() });
                self.charge(task, &reason, false);
            }
        }
    }

    fn result_ready(&mut self, task: TaskKey) {
        let owner = self.jobs.iter_mut().find(|(_, job)| job.spec.result == task.stage);
        let Some((number, job)) = owner else { return self.settle(task, TaskOutcome::Redundant) };
        let number = *number;
        job.remaining.remove(&task.partition);
        let done = job.remaining.is_empty();
        if let Some(stage) = self.stages.get_mut(&task.stage) {
            stage.accepted.insert(task.partition);
        }
        self.counts(task, Some(number));
        if done {
            self.end_job(number, None);
        }
    }

    /// The work of a task counts.
    fn counts(&mut self, task: TaskKey, job: Option<JobNumber>) {
        if let Some(stage) = self.stages.get_mut(&task.stage) {
            stage.fetches = Fetches::default();
            stage.failures.remove(&task.partition);
            stage.suspects.remove(&task.partition);
        }
        self.out.push(Command::Accept { task, job });
        self.settle(task, TaskOutcome::Success);
    }

    /// One more failure of a partition, and perhaps one too many.
    pub(super) fn charge(&mut self, task: TaskKey, reason: &str, fatal: bool) {
        let max = self.config.task_failures_max;
        let Some(stage) = self.stages.get_mut(&task.stage) else { return };
        let failures = stage.failures.entry(task.partition).or_insert(0);
        *failures += 1;
        if *failures >= max || fatal {
            let failure = JobFailure::TaskFailed {
                stage: task.stage,
                name: stage.spec.name.clone(),
                partition: task.partition,
                failures: *failures,
                reason: reason.to_owned(),
            };
            self.fail_jobs_of(task.stage, &failure);
        }
    }

    /// The output that a task could not have is lost. Tasks that were launched before that was known fail of the same cause:
    /// a round of them counts once.
    fn fetch_failed(&mut self, task: TaskKey, executor: ExecutorId, launch: u64, fetch: Fetch) {
        let Fetch { shuffle, map, output, reason } = fetch;
        let Some(stage) = self.stages.get(&task.stage) else { return };
        let reads: BTreeSet<ShuffleId> = stage.spec.parents.iter().map(|parent| parent.shuffle).collect();
        let known = reads.contains(&shuffle).then(|| self.output_of(shuffle, map)).flatten();
        let lost = output.filter(|output| known == Some(*output));
        if lost.is_some() {
            self.output_lost(shuffle, map);
        }
        let hid = output.is_none() && self.forget_hiding(task, executor, shuffle);
        let told_truly = self.shuffles.get(&shuffle).is_none_or(|known| launch > known.changed_at);
        let max = self.config.fetch_failures_max;
        let Some(stage) = self.stages.get_mut(&task.stage) else { return };
        let counts = launch > stage.fetches.counted && (lost.is_some() || (told_truly && !hid));
        let again = lost.is_some_and(|output| !stage.fetches.places.insert(output.place));
        if !counts {
            return;
        }
        stage.fetches.rounds += 1;
        stage.fetches.counted = self.launches;
        let times = stage.fetches.rounds;
        if times >= max {
            let failure = JobFailure::FetchFailed { stage: task.stage, name: stage.spec.name.clone(), times, reason };
            self.fail_jobs_of(task.stage, &failure);
        } else if let (true, Some(output)) = (again, lost) {
            // Round after round would find one more of them.
            self.outputs_lost_in(output.place, |shuffle| reads.contains(&shuffle));
        }
    }

    /// A task was told of no output, as a block in its executor made up for it, and the block was not there.
    fn forget_hiding(&mut self, task: TaskKey, executor: ExecutorId, shuffle: ShuffleId) -> bool {
        let Some(stage) = self.stages.get(&task.stage) else { return false };
        let parents = stage.spec.parents.iter().filter(|parent| parent.shuffle == shuffle);
        let blocks: Vec<_> = parents.flat_map(|parent| &parent.behind).map(|id| (*id, task.partition)).collect();
        let mut any = false;
        for block in blocks {
            any |= self.forget_block(executor, block);
        }
        any
    }

    pub(super) fn commit_asked(&mut self, task: TaskKey, executor: ExecutorId) {
        let here = self.tasks.get(&task).is_some_and(|running| running.executor == executor);
        let active = if here && self.is_current(task) { self.active_of(task) } else { None };
        let granted = active.is_some_and(|active| *active.committing.entry(task.partition).or_insert(task) == task);
        if granted && let Some(stage) = self.stages.get_mut(&task.stage) {
            stage.granted.insert(task.partition);
        }
        self.out.push(Command::Commit { task, executor, granted });
    }

    /// A task is over.
    pub(super) fn settle(&mut self, task: TaskKey, outcome: TaskOutcome) {
        let Some(running) = self.tasks.remove(&task) else { return };
        if let Some(executor) = self.executors.get_mut(&running.executor) {
            executor.running.remove(&task);
        }
        let mut granted = false;
        if let Some(active) = self.active_of(task) {
            if active.running.get(&task.partition) == Some(&task) {
                active.running.remove(&task.partition);
            }
            // Of a partition that is done no other attempt is started, unless its output is lost.
            granted = active.committing.get(&task.partition) == Some(&task);
            if granted {
                active.committing.remove(&task.partition);
            }
        }
        let said = !matches!(outcome, TaskOutcome::Success | TaskOutcome::ExecutorLost);
        if granted
            && said
            && let Some(stage) = self.stages.get_mut(&task.stage)
        {
            stage.granted.remove(&task.partition);
        }
        self.out.push(Command::Settled { task, executor: running.executor, outcome });
        self.settle_readers();
    }

    /// The submission that a task belongs to, if it is the present one.
    pub(super) fn active_of(&mut self, task: TaskKey) -> Option<&mut Active> {
        let active = self.stages.get_mut(&task.stage)?.active.as_mut()?;
        (active.generation == task.generation).then_some(active)
    }

    /// Whether what a task gives is still wanted: its submission is the present one.
    pub(super) fn is_current(&self, task: TaskKey) -> bool {
        let active = self.stages.get(&task.stage).and_then(|stage| stage.active.as_ref());
        active.is_some_and(|active| active.running.get(&task.partition) == Some(&task))
    }

    pub(super) fn cancel(&mut self, task: TaskKey) {
        let Some(running) = self.tasks.get_mut(&task) else { return };
        if running.cancelled_ms.is_none() {
            running.cancelled_ms = Some(self.now_ms);
            self.out.push(Command::Cancel { task, executor: running.executor });
        }
    }
}
