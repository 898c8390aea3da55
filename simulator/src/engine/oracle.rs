//! What the scheduler was told, and what it may know from that.

use super::plan::Action;
use super::work::Made;
use crate::coverage::Coverage;
use mammoth_engine_core::api::{
    Determinism, Event, JobNumber, OutputId, PlaceId, ShuffleId, StageId, StageSpec, TaskEnd, TaskKey,
};
use mammoth_protocol::jobs::ExecutorId;
use std::collections::{BTreeMap, BTreeSet};

/// Everything that was told and said.
#[derive(Default)]
pub(super) struct Oracle {
    /// Every stage that a job named, as it really is.
    pub(super) specs: BTreeMap<StageId, StageSpec>,
    pub(super) jobs: BTreeMap<JobNumber, Job>,
    pub(super) tasks: BTreeMap<TaskKey, Task>,
    /// Tasks that really came to a good end.
    pub(super) succeeded: BTreeSet<TaskKey>,
    /// What came of tasks of last stages.
    results: BTreeMap<TaskKey, Made>,
    /// Outputs that were accepted, and that nobody said to be lost.
    pub(super) there: BTreeMap<(ShuffleId, u32), OutputId>,
    /// Where tasks said that they left their outputs.
    pub(super) left: BTreeMap<TaskKey, PlaceId>,
    /// Outputs that were said to be lost.
    pub(super) lost: BTreeSet<(ShuffleId, u32, OutputId)>,
    /// Failed fetches by place.
    place_failures: BTreeMap<PlaceId, u32>,
    /// Failures by partition since its last success.
    pub(super) failures: BTreeMap<(StageId, u32), u32>,
    pub(super) fatal: BTreeSet<(StageId, u32)>,
    /// Failed fetches by stage since its last success.
    pub(super) fetches: BTreeMap<StageId, u32>,
    executors_lost: BTreeSet<ExecutorId>,
    /// Shuffles that the program let go of.
    pub(super) released: BTreeSet<ShuffleId>,
    pub(super) generations: BTreeMap<StageId, u32>,
    /// Partitions of indeterminate stages that were accepted, by generation: once.
    pub(super) accepted: BTreeSet<(StageId, u32, u32)>,
}

/// An action.
pub(super) struct Job {
    pub(super) action: Action,
    pub(super) delivered: BTreeSet<u32>,
    /// What its results were made from.
    pub(super) made: Made,
    /// What its visible files were made from.
    pub(super) visible: BTreeMap<u32, Made>,
    pub(super) granted: bool,
    pub(super) cancelled: bool,
    pub(super) ended: bool,
}

/// A launched task.
pub(super) struct Task {
    pub(super) executor: ExecutorId,
    pub(super) told_to_stop: bool,
    pub(super) settled: bool,
}

impl Oracle {
    pub(super) fn job_submitted(&mut self, action: Action) {
        for stage in &action.spec.stages {
            self.specs.insert(stage.stage, stage.clone());
        }
        let job = Job {
            action,
            delivered: BTreeSet::new(),
            made: Made::default(),
            visible: BTreeMap::new(),
            granted: false,
            cancelled: false,
            ended: false,
        };
        self.jobs.insert(job.action.spec.job, job);
    }

    pub(super) fn live_jobs(&self) -> impl Iterator<Item = JobNumber> {
        self.jobs.iter().filter(|(_, job)| !job.ended).map(|(number, _)| *number)
    }

    pub(super) fn owner(&self, stage: StageId) -> Option<(&JobNumber, &Job)> {
        self.jobs.iter().find(|(_, job)| job.action.spec.result == stage)
    }

    pub(super) fn is_poison(&self, task: TaskKey) -> bool {
        self.owner(task.stage).is_some_and(|(_, job)| job.action.poison == Some(task.partition))
    }

    pub(super) fn saves(&self, task: TaskKey) -> bool {
        self.owner(task.stage).is_some_and(|(_, job)| job.action.saves)
    }

    pub(super) fn is_indeterminate(&self, stage: StageId) -> bool {
        self.specs.get(&stage).is_some_and(|spec| spec.determinism == Determinism::Indeterminate)
    }

    /// Whether a stage gives other records when it is computed again, or anything that it is made from does.
    pub(super) fn may_differ(&self, stage: StageId) -> bool {
        let Some(spec) = self.specs.get(&stage) else { return false };
        let writer = |shuffle: ShuffleId| self.specs.values().find(|spec| spec.writes == Some(shuffle));
        self.is_indeterminate(stage)
            || spec
                .parents
                .iter()
                .filter_map(|parent| writer(parent.shuffle))
                .any(|writer| self.may_differ(writer.stage))
    }

    /// The newest task of a task's partition that runs, and where.
    pub(super) fn newest(&self, task: TaskKey) -> Option<(TaskKey, ExecutorId)> {
        let of = |(other, state): &(&TaskKey, &Task)| {
            other.stage == task.stage && other.partition == task.partition && !state.settled && !state.told_to_stop
        };
        let found = self.tasks.iter().rfind(of).or_else(|| self.tasks.get_key_value(&task));
        found.map(|(task, state)| (*task, state.executor))
    }

    /// A task of a last stage came to a good end.
    pub(super) fn result_left(&mut self, task: TaskKey, made: Made) {
        let owner = self.jobs.values_mut().find(|job| job.action.spec.result == task.stage);
        if let Some(job) = owner.filter(|job| job.action.saves && !job.ended) {
            job.visible.insert(task.partition, made.clone());
        }
        self.results.insert(task, made);
    }

    /// The result of a task reaches whoever waits for the action; what is wrong with that.
    pub(super) fn deliver(&mut self, task: TaskKey) -> Option<String> {
        let Some(made) = self.results.get(&task) else { return Some(format!("{task} gave no result")) };
        let owner = self.jobs.iter_mut().find(|(_, job)| job.action.spec.result == task.stage);
        let Some((number, job)) = owner else { return Some(format!("{task} is nobody's")) };
        if job.ended || job.cancelled {
            return Some(format!("job {number} is over and got the result of {task}"));
        }
        if !job.delivered.insert(task.partition) {
            return Some(format!("I12: job {number} got partition {} twice", task.partition));
        }
        job.made.add(made);
        let mixed = job.made.mixed();
        mixed.map(|stage| format!("I14: results of job {number} are made from two computations of stage {stage}"))
    }

    /// What the scheduler is about to be told.
    pub(super) fn told(&mut self, event: &Event, coverage: &mut Coverage) {
        match event {
            Event::TaskEnded { task, executor, end } => self.task_ended(*task, *executor, end, coverage),
            Event::ExecutorLost { executor, charge, .. } => self.executor_lost(*executor, *charge),
            Event::PlaceLost { place } => {
                self.outputs_lost(|output| output.place == *place, coverage);
            }
            Event::JobCancelled { job, .. } => {
                if let Some(job) = self.jobs.get_mut(job).filter(|job| !job.ended) {
                    job.cancelled = true;
                }
            }
            _ => {}
        }
    }

    fn task_ended(&mut self, task: TaskKey, executor: ExecutorId, end: &TaskEnd, coverage: &mut Coverage) {
        let known = self.tasks.get(&task).filter(|known| known.executor == executor && !known.settled);
        if known.is_none_or(|known| known.told_to_stop) {
            return coverage.hit("report of what is over");
        }
        let partition = (task.stage, task.partition);
        match end {
            TaskEnd::Success { place } => self.left.extend(place.map(|place| (task, place))),
            TaskEnd::Cancelled => *self.failures.entry(partition).or_default() += 1,
            TaskEnd::Failed { fatal, .. } => {
                *self.failures.entry(partition).or_default() += 1;
                if *fatal {
                    self.fatal.insert(partition);
                }
            }
            TaskEnd::FetchFailed { shuffle, map, output, .. } => {
                *self.fetches.entry(task.stage).or_default() += 1;
                let Some(output) = output else { return coverage.hit("a block was not there after all") };
                if self.there.get(&(*shuffle, *map)) == Some(output) {
                    self.output_lost(*shuffle, *map);
                }
                self.lost.insert((*shuffle, *map, *output));
                let failures = self.place_failures.entry(output.place).or_default();
                *failures += 1;
                if *failures > 1 {
                    // It may be given up as a whole.
                    let place = output.place;
                    self.there.retain(|_, output| output.place != place);
                }
            }
        }
    }

    fn executor_lost(&mut self, executor: ExecutorId, charge: bool) {
        if !self.executors_lost.insert(executor) || !charge {
            return;
        }
        for (task, known) in &self.tasks {
            if known.executor == executor && !known.settled && !known.told_to_stop {
                *self.failures.entry((task.stage, task.partition)).or_default() += 1;
            }
        }
    }

    fn outputs_lost(&mut self, gone: impl Fn(&OutputId) -> bool, coverage: &mut Coverage) {
        let lost: Vec<_> = self.there.iter().filter(|(_, output)| gone(output)).map(|(of, id)| (*of, *id)).collect();
        coverage.many("outputs lost with their place", lost.len() as u64);
        for ((shuffle, map), output) in lost {
            self.output_lost(shuffle, map);
            self.lost.insert((shuffle, map, output));
        }
    }

    fn output_lost(&mut self, shuffle: ShuffleId, map: u32) {
        self.there.remove(&(shuffle, map));
        let writer = self.specs.values().find(|spec| spec.writes == Some(shuffle));
        if writer.is_some_and(|spec| spec.determinism == Determinism::Indeterminate) {
            self.there.retain(|(of, _), _| *of != shuffle);
        }
    }
}
