//! Actions begin and end.

use super::types::Fetches;
use super::{Job, Scheduler, Shuffle, Stage};
use crate::api::{Command, JobFailure, JobNumber, JobSpec, ShuffleId, StageId, StageSpec, TaskKey};
use std::collections::{BTreeMap, BTreeSet};

impl Scheduler {
    pub(super) fn job_submitted(&mut self, spec: JobSpec) {
        let job = spec.job;
        if self.jobs.contains_key(&job) {
            return;
        }
        if let Err(what) = self.validate(&spec) {
            self.out.push(Command::JobEnded { job, failure: Some(JobFailure::BadPlan(what)) });
            return;
        }
        for stage in &spec.stages {
            self.learn(stage);
        }
        let remaining: BTreeSet<u32> = spec.partitions.iter().copied().collect();
        let nothing = remaining.is_empty();
        self.jobs.insert(job, Job { spec, remaining, needed: BTreeSet::new(), told: BTreeSet::new() });
        self.dirty = true;
        if nothing {
            self.end_job(job, None);
        }
    }

    /// A plan that would wait for ever, or contradicts what is known, is refused.
    fn validate(&self, spec: &JobSpec) -> Result<(), String> {
        let mut written: BTreeSet<ShuffleId> = BTreeSet::new();
        let mut seen = BTreeSet::new();
        for stage in &spec.stages {
            let id = stage.stage;
            if !seen.insert(id) {
                return Err(format!("stage {id} is there twice"));
            }
            if let Some(parent) = stage.parents.iter().find(|parent| !written.contains(&parent.shuffle)) {
                return Err(format!("no stage before stage {id} writes shuffle {}", parent.shuffle));
            }
            match stage.writes {
                Some(shuffle) => {
                    let other = self.shuffles.get(&shuffle).is_some_and(|known| known.stage != id);
                    if other || !written.insert(shuffle) {
                        return Err(format!("shuffle {shuffle} is written by two stages"));
                    }
                }
                None if id != spec.result => return Err(format!("stage {id} gives results and is not the last one")),
                None if self.stages.contains_key(&id) => return Err(format!("stage {id} is another job's last one")),
                None => {}
            }
            if !stage.hosts.is_empty() && stage.hosts.len() != stage.partitions as usize {
                return Err(format!("stage {id} has hosts of {} partitions", stage.hosts.len()));
            }
            if self.stages.get(&id).is_some_and(|known| !is_same(&known.spec, stage)) {
                return Err(format!("stage {id} is not what it was"));
            }
        }
        let result = spec.stages.iter().find(|stage| stage.stage == spec.result && stage.writes.is_none());
        let Some(result) = result else { return Err(format!("stage {} gives no results", spec.result)) };
        if spec.partitions.iter().any(|partition| *partition >= result.partitions) {
            return Err(format!("the last stage has {} partitions only", result.partitions));
        }
        Ok(())
    }

    /// Takes in a stage, or what may have changed of it: where its input lies and what of it is cached.
    fn learn(&mut self, spec: &StageSpec) {
        for parent in &spec.parents {
            if let Some(shuffle) = self.shuffles.get_mut(&parent.shuffle) {
                shuffle.behind.extend(&parent.behind);
            }
        }
        if let Some(known) = self.stages.get_mut(&spec.stage) {
            let determinism = known.spec.determinism.max(spec.determinism);
            // Those that wait are listed by the hosts of before.
            if known.active.is_none() {
                known.spec = spec.clone();
            }
            known.spec.determinism = determinism;
            return;
        }
        if let Some(shuffle) = spec.writes {
            let learned = Shuffle {
                stage: spec.stage,
                version: 0,
                maps: vec![None; spec.partitions as usize],
                missing: (0..spec.partitions).collect(),
                changed_at: self.launches,
                behind: BTreeSet::new(),
                released: false,
            };
            self.shuffles.insert(shuffle, learned);
        }
        // Tasks of a stage of that name may still be ending.
        let of = |generation, partition, attempt| TaskKey { stage: spec.stage, generation, partition, attempt };
        let ending = self.tasks.range(of(0, 0, 0)..=of(u32::MAX, u32::MAX, u32::MAX)).next_back();
        let learned = Stage {
            spec: spec.clone(),
            next_generation: ending.map_or(0, |(task, _)| task.generation.saturating_add(1)),
            active: None,
            failures: BTreeMap::new(),
            suspects: BTreeSet::new(),
            fetches: Fetches::default(),
            accepted: BTreeSet::new(),
            granted: BTreeSet::new(),
        };
        self.stages.insert(spec.stage, learned);
    }

    pub(super) fn job_cancelled(&mut self, job: JobNumber, reason: String) {
        self.end_job(job, Some(JobFailure::Cancelled(reason)));
    }

    pub(super) fn end_job(&mut self, job: JobNumber, failure: Option<JobFailure>) {
        let Some(ended) = self.jobs.remove(&job) else { return };
        self.dirty = true;
        let result = ended.spec.result;
        if failure.is_none()
            && let Some(active) = self.stages.get(&result).and_then(|stage| stage.active.as_ref())
        {
            let generation = active.generation;
            self.out.push(Command::StageCompleted { stage: result, generation });
        }
        let named: BTreeSet<StageId> =
            self.jobs.values().flat_map(|job| job.spec.stages.iter().map(|stage| stage.stage)).collect();
        for spec in &ended.spec.stages {
            if named.contains(&spec.stage) {
                continue;
            }
            self.stop_stage(spec.stage);
            if let Some(known) = self.stages.get_mut(&spec.stage) {
                known.failures.clear();
                known.suspects.clear();
                known.fetches = Fetches::default();
            }
        }
        self.stages.remove(&result);
        self.out.push(Command::JobEnded { job, failure });
        self.drop_released();
    }

    /// Fails the jobs that cannot go on without the stage.
    pub(super) fn fail_jobs_of(&mut self, stage: StageId, failure: &JobFailure) {
        let needs = |job: &Job| job.needed.contains(&stage);
        let jobs: Vec<JobNumber> = self.jobs.iter().filter(|(_, job)| needs(job)).map(|(number, _)| *number).collect();
        for job in jobs {
            self.end_job(job, Some(failure.clone()));
        }
    }

    /// Ends a submission: its tasks are told to stop, and what they still report changes nothing.
    pub(super) fn stop_stage(&mut self, stage: StageId) {
        let Some(active) = self.stages.get_mut(&stage).and_then(|known| known.active.take()) else { return };
        self.dirty = true;
        for task in active.running.into_values() {
            self.cancel(task);
        }
    }
}

/// Whether two descriptions are of one stage: it may have moved and be cached otherwise.
fn is_same(known: &StageSpec, spec: &StageSpec) -> bool {
    let reads = |spec: &StageSpec| -> Vec<(ShuffleId, Option<std::ops::Range<u32>>)> {
        spec.parents.iter().map(|parent| (parent.shuffle, parent.readers.clone())).collect()
    };
    known.writes == spec.writes && known.partitions == spec.partitions && reads(known) == reads(spec)
}
