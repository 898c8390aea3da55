//! Whether what the scheduler says is right, by all that it was told.

use super::event::Launch;
use super::oracle::{Job, Oracle, Task};
use crate::coverage::Coverage;
use mammoth_engine_core::api::{Command, JobFailure, JobNumber, Locality, OutputId, ShuffleId, StageId, TaskKey};
use mammoth_protocol::jobs::ExecutorId;
use mammoth_protocol::jobs::event::TaskOutcome;

/// Failures that fail a job.
const FAILURES_MAX: u32 = 4;

impl Oracle {
    /// What is wrong with a command, if anything is.
    pub(super) fn judge(&mut self, command: &Command, coverage: &mut Coverage) -> Option<String> {
        match command {
            Command::Launch { task, executor, locality, .. } => {
                coverage.hit(match locality {
                    Locality::Process => "launched near a block",
                    Locality::Node => "launched near its data",
                    Locality::Any => "launched anywhere",
                });
                self.judge_launch(*task, *executor, coverage)
            }
            Command::Cancel { task, .. } => {
                coverage.hit("task told to stop");
                let task = self.tasks.get_mut(task)?;
                task.told_to_stop = true;
                None
            }
            Command::Accept { task, job } => self.judge_accept(*task, *job, coverage),
            Command::Settled { task, executor, outcome } => self.judge_settled(*task, *executor, outcome, coverage),
            Command::StageSubmitted { stage, generation, .. } => {
                coverage.hit(if *generation == 0 { "stage submitted" } else { "stage submitted again" });
                let last = self.generations.insert(*stage, *generation);
                let rises = last.is_none_or(|last| last < *generation);
                (!rises).then(|| format!("stage {stage} was submitted as generation {generation} after {last:?}"))
            }
            Command::DropShuffle { shuffle, before } => self.judge_drop(*shuffle, *before, coverage),
            Command::JobEnded { job, failure } => self.judge_end(*job, failure.as_ref(), coverage),
            Command::Commit { granted, .. } => {
                coverage.hit(if *granted { "commit granted" } else { "commit not granted" });
                None
            }
            Command::StageSkipped { .. } => {
                coverage.hit("stage skipped");
                None
            }
            Command::StageCompleted { .. } => {
                coverage.hit("stage completed");
                None
            }
            Command::DropDataset { .. } => {
                coverage.hit("dataset dropped");
                None
            }
            Command::ReplaceExecutor { charge, .. } => {
                coverage.hit(if *charge { "silent executor replaced" } else { "stuck executor replaced" });
                None
            }
        }
    }

    fn judge_launch(&mut self, task: TaskKey, executor: ExecutorId, coverage: &mut Coverage) -> Option<String> {
        let twin = self.tasks.iter().find(|(other, known)| {
            other.stage == task.stage && other.partition == task.partition && !known.settled && !known.told_to_stop
        });
        if let Some((twin, _)) = twin {
            return Some(format!("{task} is launched while {twin} runs"));
        }
        let launched = Task { executor, told_to_stop: false, settled: false };
        if self.tasks.insert(task, launched).is_some() {
            return Some(format!("{task} is launched twice"));
        }
        match self.specs.get(&task.stage)?.writes {
            Some(shuffle) => {
                let again = self
                    .accepted
                    .iter()
                    .any(|(stage, _, partition)| (*stage, *partition) == (task.stage, task.partition));
                if again {
                    coverage.hit("lost output computed again");
                }
                let there = self.there.get(&(shuffle, task.partition));
                there.map(|there| format!("I13: {task} computes again what is there as {there:?}"))
            }
            None => {
                let (number, job) = self.owner(task.stage)?;
                let over = job.ended || job.delivered.contains(&task.partition);
                over.then(|| format!("I13: {task} computes again what job {number} has"))
            }
        }
    }

    /// What is wrong with the outputs that a task is told of.
    pub(super) fn judge_inputs(&self, launch: &Launch) -> Option<String> {
        let task = launch.task;
        let spec = self.specs.get(&task.stage)?;
        for (shuffle, maps) in &launch.inputs {
            let parent = spec.parents.iter().find(|parent| parent.shuffle == *shuffle);
            let Some(parent) = parent else { return Some(format!("{task} does not read shuffle {shuffle}")) };
            let whole = !maps.is_empty() && maps.iter().all(Option::is_some);
            if !whole && parent.behind.is_empty() {
                return Some(format!("I9: {task} is launched without all of shuffle {shuffle}: {maps:?}"));
            }
            let lost = |(map, output): (u32, &Option<OutputId>)| {
                output.is_some_and(|output| self.lost.contains(&(*shuffle, map, output)))
            };
            if (0..).zip(maps).any(lost) {
                return Some(format!("{task} is told of outputs of shuffle {shuffle} that are known to be lost"));
            }
        }
        None
    }

    fn judge_accept(&mut self, task: TaskKey, job: Option<JobNumber>, coverage: &mut Coverage) -> Option<String> {
        let known = self.tasks.get(&task);
        if !self.succeeded.contains(&task) {
            return Some(format!("{task} is accepted and has not succeeded"));
        }
        if known.is_none_or(|known| known.settled || known.told_to_stop) {
            return Some(format!("{task} is accepted and over"));
        }
        coverage.hit(if job.is_some() { "result accepted" } else { "output accepted" });
        self.failures.remove(&(task.stage, task.partition));
        self.fetches.remove(&task.stage);
        let shuffle = self.specs.get(&task.stage).and_then(|spec| spec.writes);
        if let (Some(shuffle), Some(place)) = (shuffle, self.left.get(&task).copied()) {
            let output = OutputId { generation: task.generation, attempt: task.attempt, place };
            self.there.insert((shuffle, task.partition), output);
        }
        let first = self.accepted.insert((task.stage, task.generation, task.partition));
        if !first && self.is_indeterminate(task.stage) {
            return Some(format!("I14: {task} is the second of its generation"));
        }
        None
    }

    fn judge_settled(
        &mut self,
        task: TaskKey,
        executor: ExecutorId,
        outcome: &TaskOutcome,
        coverage: &mut Coverage,
    ) -> Option<String> {
        coverage.hit(match outcome {
            TaskOutcome::Success => "settled: success",
            TaskOutcome::Redundant => "settled: redundant",
            TaskOutcome::FetchFailed { .. } => "settled: fetch failed",
            TaskOutcome::Failed { .. } => "settled: failed",
            TaskOutcome::ExecutorLost => "settled: executor lost",
            TaskOutcome::Cancelled => "settled: cancelled",
        });
        let Some(known) = self.tasks.get_mut(&task) else { return Some(format!("{task} is settled, never launched")) };
        let twice = std::mem::replace(&mut known.settled, true);
        (twice || known.executor != executor).then(|| format!("{task} is settled twice, or elsewhere"))
    }

    fn judge_drop(&mut self, shuffle: ShuffleId, before: Option<u32>, coverage: &mut Coverage) -> Option<String> {
        self.there.retain(|(of, _), _| *of != shuffle);
        let writer = self.specs.values().find(|spec| spec.writes == Some(shuffle)).map(|spec| spec.stage);
        let right = match before {
            None => self.released.contains(&shuffle),
            Some(_) => writer.is_some_and(|writer| self.may_differ(writer)),
        };
        coverage.hit(if before.is_none() { "shuffle dropped" } else { "old outputs dropped" });
        (!right).then(|| format!("shuffle {shuffle} is dropped, and could be used"))
    }

    /// What is wrong with leave to commit.
    pub(super) fn commit_answered(&mut self, task: TaskKey, executor: ExecutorId, granted: bool) -> Option<String> {
        let runs = self
            .tasks
            .get(&task)
            .is_some_and(|known| known.executor == executor && !known.settled && !known.told_to_stop);
        if granted && !runs {
            return Some(format!("I8: {task} may commit, and is over"));
        }
        let job = self.jobs.values_mut().find(|job| job.action.spec.result == task.stage)?;
        job.granted |= granted;
        None
    }

    fn judge_end(
        &mut self,
        number: JobNumber,
        failure: Option<&JobFailure>,
        coverage: &mut Coverage,
    ) -> Option<String> {
        let wrong = match self.jobs.get(&number) {
            None => Some("was never submitted".to_owned()),
            Some(job) if job.ended => Some("ended before".to_owned()),
            Some(job) => match failure {
                None => done_wrong(job),
                Some(failure) => self.failed_wrong(job, failure),
            },
        };
        coverage.hit(match failure {
            None => "job done",
            Some(JobFailure::TaskFailed { .. }) => "job failed: task",
            Some(JobFailure::FetchFailed { .. }) => "job failed: fetch",
            Some(JobFailure::Indeterminate { .. }) => "job failed: indeterminate",
            Some(JobFailure::Cancelled(_)) => "job cancelled",
            Some(JobFailure::BadPlan(_)) => "job failed: plan",
        });
        if let Some(job) = self.jobs.get_mut(&number) {
            job.ended = true;
        }
        wrong.map(|wrong| format!("job {number} ended with {failure:?}: {wrong}"))
    }

    /// Why a job should not have failed so.
    fn failed_wrong(&self, job: &Job, failure: &JobFailure) -> Option<String> {
        let count = |stage: &StageId, partition: &u32| self.failures.get(&(*stage, *partition)).copied().unwrap_or(0);
        match failure {
            JobFailure::TaskFailed { stage, partition, .. } => {
                let failures = count(stage, partition);
                let right = failures >= FAILURES_MAX || self.fatal.contains(&(*stage, *partition));
                (!right).then(|| format!("the partition failed {failures} times"))
            }
            JobFailure::FetchFailed { stage, .. } => {
                let fetches = self.fetches.get(stage).copied().unwrap_or(0);
                (fetches < FAILURES_MAX).then(|| format!("fetches of the stage failed {fetches} times"))
            }
            JobFailure::Indeterminate { stage, .. } => {
                let left = job.granted || !job.delivered.is_empty();
                (!left || !self.is_indeterminate(*stage)).then(|| "no results had left".to_owned())
            }
            JobFailure::Cancelled(_) => (!job.cancelled).then(|| "nobody cancelled it".to_owned()),
            JobFailure::BadPlan(_) => Some("the plan is right".to_owned()),
        }
    }
}

/// Why a job is not done.
fn done_wrong(job: &Job) -> Option<String> {
    if job.cancelled {
        return Some("it was cancelled".to_owned());
    }
    let missing = job.action.spec.partitions.iter().find(|partition| !job.delivered.contains(partition));
    if let Some(missing) = missing {
        return Some(format!("partition {missing} was never delivered"));
    }
    if !job.action.saves {
        return None;
    }
    let mut made = super::work::Made::default();
    for partition in &job.action.spec.partitions {
        match job.visible.get(partition) {
            Some(file) => made.add(file),
            None => return Some(format!("the file of partition {partition} is not there")),
        }
    }
    made.mixed().map(|stage| format!("I14: its files are made from two computations of stage {stage}"))
}
