//! What each event changes.

use super::{Executor, Job, Scheduler, Shuffle, Stage};
use crate::api::{
    Command, Determinism, Event, JobFailure, JobNumber, JobSpec, OutputId, ShuffleId, StageId, TaskEnd, TaskKey,
};
use mammoth_protocol::jobs::ExecutorId;
use mammoth_protocol::jobs::event::TaskOutcome;
use std::collections::{BTreeMap, BTreeSet};

impl Scheduler {
    pub(super) fn take(&mut self, event: Event) {
        match event {
            Event::ExecutorAdded { executor, host, cores } => self.executor_added(executor, host, cores),
            Event::ExecutorHeard { executor } => {
                if let Some(known) = self.executors.get_mut(&executor) {
                    known.heard_ms = self.now_ms;
                }
            }
            Event::ExecutorLost { executor, reason, charge } => self.executor_lost(executor, &reason, charge),
            Event::PlaceLost { place } => {
                let lost: Vec<_> = self.outputs_where(|output| output.place == place);
                lost.into_iter().for_each(|(shuffle, map)| self.output_lost(shuffle, map));
            }
            Event::BlocksChanged { executor, blocks } => {
                if let Some(known) = self.executors.get_mut(&executor) {
                    for (dataset, partition, held) in blocks {
                        if held {
                            known.blocks.insert((dataset, partition));
                        } else {
                            known.blocks.remove(&(dataset, partition));
                        }
                    }
                }
            }
            Event::JobSubmitted(spec) => self.job_submitted(spec),
            Event::JobCancelled { job, reason } => self.end_job(job, Some(JobFailure::Cancelled(reason))),
            Event::TaskEnded { task, executor, end } => {
                if self.tasks.get(&task).is_some_and(|running| running.executor == executor) {
                    self.task_ended(task, end);
                }
            }
            Event::CommitAsked { task, executor } => self.commit_asked(task, executor),
            Event::ShuffleReleased { shuffle } => {
                if let Some(known) = self.shuffles.remove(&shuffle) {
                    self.stop_stage(known.stage);
                    self.stages.remove(&known.stage);
                    self.out.push(Command::DropShuffle { shuffle, before: None });
                }
            }
            Event::DatasetReleased { dataset } => {
                for executor in self.executors.values_mut() {
                    executor.blocks.retain(|(held, _)| *held != dataset);
                }
            }
            Event::Tick => self.tick(),
        }
    }

    fn executor_added(&mut self, executor: ExecutorId, host: String, cores: u32) {
        let heard_ms = self.now_ms;
        self.executors.entry(executor).or_insert_with(|| Executor {
            host,
            cores: cores as usize,
            heard_ms,
            running: BTreeSet::new(),
            blocks: BTreeSet::new(),
            condemned: false,
        });
    }

    fn executor_lost(&mut self, executor: ExecutorId, reason: &str, charge: bool) {
        let Some(lost) = self.executors.remove(&executor) else { return };
        for task in lost.running {
            let wanted = self.active_of(task).is_some();
            self.settle(task, TaskOutcome::ExecutorLost);
            if charge && wanted {
                if let Some(stage) = self.stages.get_mut(&task.stage) {
                    stage.suspects.insert(task.partition);
                }
                self.charge(task, &format!("executor {executor} was lost: {reason}"), false);
            }
        }
    }

    fn job_submitted(&mut self, spec: JobSpec) {
        for stage in &spec.stages {
            if let Some(shuffle) = stage.writes {
                self.shuffles.entry(shuffle).or_insert_with(|| Shuffle {
                    stage: stage.stage,
                    version: 0,
                    maps: vec![None; stage.partitions as usize],
                });
            }
            self.stages.entry(stage.stage).or_insert_with(|| Stage {
                spec: stage.clone(),
                next_generation: 0,
                active: None,
                fetch_failures: 0,
                failures: BTreeMap::new(),
                suspects: BTreeSet::new(),
                accepted: BTreeSet::new(),
            });
        }
        let job = spec.job;
        let remaining: BTreeSet<u32> = spec.partitions.iter().copied().collect();
        let total = self.stages.get(&spec.result).map_or(0, |stage| stage.spec.partitions);
        let unknown = |shuffle: &ShuffleId| !self.shuffles.contains_key(shuffle);
        let orphan = spec.stages.iter().flat_map(|stage| &stage.parents).map(|parent| parent.shuffle).find(unknown);
        let nothing = remaining.is_empty();
        let beyond = remaining.iter().any(|partition| *partition >= total);
        self.jobs.insert(job, Job { spec, remaining, skipped: BTreeSet::new() });
        if let Some(shuffle) = orphan {
            self.end_job(job, Some(JobFailure::BadPlan(format!("no stage writes shuffle {shuffle}"))));
        } else if beyond {
            self.end_job(job, Some(JobFailure::BadPlan(format!("the last stage has {total} partitions only"))));
        } else if nothing {
            self.end_job(job, None);
        }
    }

    fn task_ended(&mut self, task: TaskKey, end: TaskEnd) {
        let current = self.active_of(task).is_some();
        match end {
            TaskEnd::Success { place } => self.succeeded(task, place, current),
            TaskEnd::FetchFailed { shuffle, map, output, reason } => {
                let outcome = TaskOutcome::FetchFailed { shuffle: shuffle.0, map, reason: reason.clone() };
                self.settle(task, outcome);
                let now = self.shuffles.get(&shuffle).and_then(|known| known.maps.get(map as usize).copied().flatten());
                if output.is_some() && now == output {
                    self.output_lost(shuffle, map);
                }
                if current {
                    self.fetch_failed(task.stage, reason);
                }
            }
            TaskEnd::Failed { reason, fatal } => {
                self.settle(task, TaskOutcome::Failed { reason: reason.clone() });
                if current {
                    self.charge(task, &reason, fatal);
                }
            }
            TaskEnd::Cancelled => self.settle(task, TaskOutcome::Cancelled),
        }
    }

    fn succeeded(&mut self, task: TaskKey, place: Option<crate::api::PlaceId>, current: bool) {
        let writes = self.stages.get(&task.stage).and_then(|stage| stage.spec.writes);
        let counts = current
            && match (writes, place) {
                (Some(shuffle), Some(place)) => self.output_ready(shuffle, task, place),
                (None, None) => self.result_ready(task),
                _ => false,
            };
        if let (true, Some(stage)) = (counts, self.stages.get_mut(&task.stage)) {
            stage.fetch_failures = 0;
            stage.suspects.remove(&task.partition);
        }
        self.settle(task, if counts { TaskOutcome::Success } else { TaskOutcome::Redundant });
        let done = self.jobs.iter().find(|(_, job)| job.remaining.is_empty()).map(|(job, _)| *job);
        if let Some(job) = done {
            if counts {
                let generation = task.generation;
                self.out.push(Command::StageCompleted { stage: task.stage, generation });
            }
            self.end_job(job, None);
        }
    }

    fn output_ready(&mut self, shuffle: ShuffleId, task: TaskKey, place: crate::api::PlaceId) -> bool {
        let Some(known) = self.shuffles.get_mut(&shuffle) else { return false };
        let Some(slot) = known.maps.get_mut(task.partition as usize) else { return false };
        if slot.is_some() {
            return false;
        }
        *slot = Some(OutputId { generation: task.generation, attempt: task.attempt, place });
        known.version += 1;
        self.out.push(Command::Accept { task, job: None });
        true
    }

    fn result_ready(&mut self, task: TaskKey) -> bool {
        let owner = self.jobs.iter_mut().find(|(_, job)| job.spec.result == task.stage);
        let Some((number, job)) = owner else { return false };
        if !job.remaining.remove(&task.partition) {
            return false;
        }
        self.out.push(Command::Accept { task, job: Some(*number) });
        if let Some(stage) = self.stages.get_mut(&task.stage) {
            stage.accepted.insert(task.partition);
        }
        true
    }

    fn charge(&mut self, task: TaskKey, reason: &str, fatal: bool) {
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

    fn fetch_failed(&mut self, stage: StageId, reason: String) {
        let max = self.config.fetch_failures_max;
        let Some(known) = self.stages.get_mut(&stage) else { return };
        known.fetch_failures += 1;
        if known.fetch_failures >= max.saturating_mul(known.spec.partitions.max(1)) {
            let (name, times) = (known.spec.name.clone(), known.fetch_failures);
            self.fail_jobs_of(stage, &JobFailure::FetchFailed { stage, name, times, reason });
        }
    }

    fn fail_jobs_of(&mut self, stage: StageId, failure: &JobFailure) {
        let needs = |job: &Job| job.spec.stages.iter().any(|spec| spec.stage == stage);
        let jobs: Vec<JobNumber> = self.jobs.iter().filter(|(_, job)| needs(job)).map(|(number, _)| *number).collect();
        for job in jobs {
            self.end_job(job, Some(failure.clone()));
        }
    }

    fn outputs_where(&self, lost: impl Fn(&OutputId) -> bool) -> Vec<(ShuffleId, u32)> {
        let mut found = Vec::new();
        for (shuffle, known) in &self.shuffles {
            for (map, output) in (0..).zip(&known.maps) {
                if output.as_ref().is_some_and(&lost) {
                    found.push((*shuffle, map));
                }
            }
        }
        found
    }

    fn output_lost(&mut self, shuffle: ShuffleId, map: u32) {
        let Some(known) = self.shuffles.get_mut(&shuffle) else { return };
        let stage = known.stage;
        if let Some(slot) = known.maps.get_mut(map as usize)
            && slot.take().is_some()
        {
            known.version += 1;
            let indeterminate =
                self.stages.get(&stage).is_some_and(|stage| stage.spec.determinism == Determinism::Indeterminate);
            if indeterminate {
                self.roll_back(stage);
            }
        }
    }

    /// Forgets everything that a stage gave, and what was computed from it.
    fn roll_back(&mut self, stage: StageId) {
        self.stop_stage(stage);
        let Some(known) = self.stages.get(&stage) else { return };
        let (name, before) = (known.spec.name.clone(), known.next_generation);
        let Some(shuffle) = known.spec.writes else {
            if !known.accepted.is_empty() {
                self.fail_jobs_of(stage, &JobFailure::Indeterminate { stage, name });
            }
            return;
        };
        if let Some(outputs) = self.shuffles.get_mut(&shuffle) {
            outputs.maps.iter_mut().for_each(|slot| *slot = None);
            outputs.version += 1;
            self.out.push(Command::DropShuffle { shuffle, before: Some(before) });
        }
        let reads = |reader: &Stage| reader.spec.parents.iter().any(|parent| parent.shuffle == shuffle);
        let readers: Vec<StageId> =
            self.stages.iter().filter(|(_, reader)| reads(reader)).map(|(stage, _)| *stage).collect();
        for reader in readers {
            self.roll_back(reader);
        }
    }

    fn commit_asked(&mut self, task: TaskKey, executor: ExecutorId) {
        let known = self.tasks.get(&task).is_some_and(|running| running.executor == executor && running.cancelled_ms.is_none());
        let granted = known
            && self.active_of(task).is_some_and(|active| *active.committing.entry(task.partition).or_insert(task) == task);
        self.out.push(Command::Commit { task, executor, granted });
    }

    fn tick(&mut self) {
        let silent: Vec<ExecutorId> = self
            .executors
            .iter()
            .filter(|(_, executor)| self.now_ms.saturating_sub(executor.heard_ms) > self.config.executor_silent_ms)
            .map(|(id, _)| *id)
            .collect();
        for executor in silent {
            self.replace(executor, "it has not been heard of for too long".to_owned(), true);
        }
        let grace = self.config.cancel_grace_ms;
        let late = |since: Option<u64>| since.is_some_and(|since| self.now_ms.saturating_sub(since) > grace);
        let stuck: Vec<(TaskKey, ExecutorId)> = self
            .tasks
            .iter()
            .filter(|(_, running)| late(running.cancelled_ms))
            .map(|(task, running)| (*task, running.executor))
            .collect();
        for (task, executor) in stuck {
            self.replace(executor, format!("task {task} does not stop"), false);
        }
    }
}
