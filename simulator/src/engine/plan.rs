//! The user's program: random plans that grow over each other, as datasets that are kept and used again do.

use super::event::Happening;
use super::world::{HOSTS, World};
use mammoth_engine_core::api::{
    DatasetId, Determinism, Event, JobNumber, JobSpec, Parent, ShuffleId, StageId, StageSpec,
};
use std::collections::BTreeSet;

/// Stages that the program holds a handle to, at most.
const STAGES_MAX: usize = 7;
/// Actions at a time.
const JOBS_MAX: usize = 3;

/// What the program holds.
#[derive(Default)]
pub(super) struct Pool {
    /// Stages that write a shuffle, parents first.
    pub(super) stages: Vec<StageSpec>,
    /// Cached datasets between those and last stages.
    caches: Vec<Cache>,
    next_stage: u32,
    next_job: u32,
    next_dataset: u32,
}

/// A cached dataset that actions read.
struct Cache {
    dataset: DatasetId,
    parents: Vec<ShuffleId>,
    partitions: u32,
}

/// An action.
pub(super) struct Action {
    pub(super) spec: JobSpec,
    /// It writes files, and asks before it makes them visible.
    pub(super) saves: bool,
    /// The partition that kills whoever runs it.
    pub(super) poison: Option<u32>,
}

impl World {
    pub(super) fn user_acts(&mut self) {
        if self.sim.healing {
            return;
        }
        let delay = 100 + self.sim.rng.below(2_500);
        self.sim.later(delay, Happening::Submit);
        if self.pool.stages.len() >= STAGES_MAX || (self.pool.stages.len() > 3 && self.sim.rng.chance(100)) {
            self.drop_handle();
        }
        if self.sim.rng.chance(600) || self.pool.stages.is_empty() {
            self.add_stage();
        }
        if self.oracle.live_jobs().count() < JOBS_MAX {
            let action = self.action();
            self.submit(action);
        }
        if self.sim.rng.chance(60) {
            self.unpersist();
        }
    }

    pub(super) fn submit(&mut self, action: Action) {
        self.sim.coverage.hit("job submitted");
        let spec = action.spec.clone();
        self.oracle.job_submitted(action);
        self.told(Event::JobSubmitted(spec));
    }

    fn stage_id(&mut self) -> StageId {
        self.pool.next_stage += 1;
        StageId(self.pool.next_stage)
    }

    fn dataset_id(&mut self) -> DatasetId {
        self.pool.next_dataset += 1;
        DatasetId(self.pool.next_dataset)
    }

    fn add_stage(&mut self) {
        let stage = self.stage_id();
        let partitions = 1 + u32::try_from(self.sim.rng.below(4)).unwrap_or(0);
        let parents = self.pick_parents(0, partitions);
        let determinism = match self.sim.rng.below(10) {
            0..=2 => Determinism::Indeterminate,
            3 | 4 => Determinism::Unordered,
            _ => Determinism::Determinate,
        };
        let mut spec = StageSpec {
            stage,
            name: format!("stage {stage}"),
            writes: Some(ShuffleId(stage.0)),
            partitions,
            parents,
            determinism,
            hosts: self.hosts(partitions),
            cached: Vec::new(),
        };
        if self.sim.rng.chance(200) {
            let dataset = self.dataset_id();
            spec.cached.push(dataset);
            spec.parents.iter_mut().for_each(|parent| parent.behind.push(dataset));
        }
        self.pool.stages.push(spec);
    }

    /// Up to two of the stages at hand, at least `least`.
    fn pick_parents(&mut self, least: u64, partitions: u32) -> Vec<Parent> {
        let count = least + self.sim.rng.below(3 - least);
        let mut picked = BTreeSet::new();
        for _ in 0..count {
            picked.extend(self.sim.rng.pick(&self.pool.stages).and_then(|stage| stage.writes));
        }
        let mut parents: Vec<Parent> =
            picked.into_iter().map(|shuffle| Parent { shuffle, ..Parent::default() }).collect();
        if partitions > 1 && self.sim.rng.chance(200) {
            // A union: the first part reads one thing, the rest another or nothing.
            let cut = 1 + u32::try_from(self.sim.rng.below(u64::from(partitions) - 1)).unwrap_or(0);
            for (parent, readers) in parents.iter_mut().zip([cut..partitions, 0..cut]) {
                parent.readers = Some(readers);
            }
        }
        parents
    }

    fn hosts(&mut self, partitions: u32) -> Vec<Vec<String>> {
        if !self.sim.rng.chance(500) {
            return Vec::new();
        }
        (0..partitions).map(|_| vec![format!("h{}", self.sim.rng.below(HOSTS as u64 + 1))]).collect()
    }

    fn action(&mut self) -> Action {
        let stage = self.stage_id();
        let job = JobNumber(self.pool.next_job);
        self.pool.next_job += 1;
        let mut result = StageSpec { stage, name: format!("last {stage}"), ..StageSpec::default() };
        if self.sim.rng.chance(450) {
            let cache = self.cache();
            let cache = &self.pool.caches[cache];
            result.partitions = cache.partitions;
            result.cached = vec![cache.dataset];
            let parent = |shuffle: &ShuffleId| Parent { shuffle: *shuffle, behind: vec![cache.dataset], readers: None };
            result.parents = cache.parents.iter().map(parent).collect();
        } else {
            result.partitions = 1 + u32::try_from(self.sim.rng.below(5)).unwrap_or(0);
            result.parents = self.pick_parents(1, result.partitions);
        }
        result.hosts = self.hosts(result.partitions);
        let some = self.sim.rng.chance(150);
        let wanted: Vec<u32> = (0..result.partitions).filter(|_| !some || self.sim.rng.chance(500)).collect();
        let saves = self.sim.rng.chance(300);
        let poison = if self.sim.rng.chance(30) { self.sim.rng.pick(&wanted).copied() } else { None };
        Action { spec: self.job_over(job, result, wanted), saves, poison }
    }

    /// A cached dataset of the program, perhaps a new one.
    fn cache(&mut self) -> usize {
        if self.pool.caches.is_empty() || self.sim.rng.chance(300) {
            let dataset = self.dataset_id();
            let partitions = 1 + u32::try_from(self.sim.rng.below(4)).unwrap_or(0);
            let parents = self.pick_parents(1, 1).into_iter().map(|parent| parent.shuffle).collect();
            self.pool.caches.push(Cache { dataset, parents, partitions });
            return self.pool.caches.len() - 1;
        }
        usize::try_from(self.sim.rng.below(self.pool.caches.len() as u64)).unwrap_or(0)
    }

    /// A job with every stage that it may need.
    pub(super) fn job_over(&self, job: JobNumber, result: StageSpec, partitions: Vec<u32>) -> JobSpec {
        let mut needed: BTreeSet<ShuffleId> = result.parents.iter().map(|parent| parent.shuffle).collect();
        let mut stages = vec![result.clone()];
        for stage in self.pool.stages.iter().rev() {
            if stage.writes.is_some_and(|shuffle| needed.contains(&shuffle)) {
                needed.extend(stage.parents.iter().map(|parent| parent.shuffle));
                stages.push(stage.clone());
            }
        }
        stages.reverse();
        JobSpec { job, stages, result: result.stage, partitions }
    }

    /// A job that reads everything that the program holds.
    pub(super) fn job_over_everything(&mut self) -> Action {
        let stage = self.stage_id();
        let job = JobNumber(self.pool.next_job);
        self.pool.next_job += 1;
        let shuffles = self.pool.stages.iter().filter_map(|stage| stage.writes);
        let parents = shuffles.map(|shuffle| Parent { shuffle, ..Parent::default() }).collect();
        let result = StageSpec { stage, name: "everything".to_owned(), partitions: 2, parents, ..StageSpec::default() };
        Action { spec: self.job_over(job, result, vec![0, 1]), saves: false, poison: None }
    }

    /// The program lets go of a stage that nothing else of it is made from; it may do so while a job still reads it.
    fn drop_handle(&mut self) {
        let read: BTreeSet<ShuffleId> = self
            .pool
            .stages
            .iter()
            .flat_map(|stage| stage.parents.iter().map(|parent| parent.shuffle))
            .chain(self.pool.caches.iter().flat_map(|cache| cache.parents.iter().copied()))
            .collect();
        let unread = |stage: &StageSpec| stage.writes.is_some_and(|shuffle| !read.contains(&shuffle));
        let Some(at) = self.pool.stages.iter().position(unread) else { return self.unpersist() };
        let stage = self.pool.stages.remove(at);
        if let Some(shuffle) = stage.writes {
            self.sim.coverage.hit("shuffle released");
            self.oracle.released.insert(shuffle);
            self.told(Event::ShuffleReleased { shuffle });
        }
    }

    fn unpersist(&mut self) {
        let at = usize::try_from(self.sim.rng.below(self.pool.caches.len() as u64)).unwrap_or(0);
        if at < self.pool.caches.len() {
            let cache = self.pool.caches.remove(at);
            self.sim.coverage.hit("dataset released");
            self.drop_blocks(cache.dataset);
            self.told(Event::DatasetReleased { dataset: cache.dataset });
        }
    }

    /// The program lets go of everything.
    pub(super) fn drop_everything(&mut self) {
        while !self.pool.caches.is_empty() {
            self.unpersist();
        }
        while let Some(stage) = self.pool.stages.pop() {
            if let Some(shuffle) = stage.writes {
                self.oracle.released.insert(shuffle);
                self.told(Event::ShuffleReleased { shuffle });
            }
        }
    }
}
