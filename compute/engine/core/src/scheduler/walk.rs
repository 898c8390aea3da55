//! From what jobs lack to partitions that can run.

use super::{Active, Scheduler, Stage};
use crate::api::{Command, DatasetId, JobNumber, Parent, ShuffleId, StageId};
use mammoth_protocol::jobs::ExecutorId;
use std::collections::{BTreeMap, BTreeSet};

/// A partition that can run, and the only executors that can run it, if not all can.
type Ready = (u32, Option<BTreeSet<ExecutorId>>);

/// What a stage lacks and can do.
#[derive(Default)]
struct Look {
    /// Partitions that are wanted and do not run.
    wanted: Vec<u32>,
    /// Those of them that can run.
    ready: Vec<Ready>,
    /// Stages whose outputs the others wait for.
    parents: BTreeSet<StageId>,
}

impl Scheduler {
    /// Looks at what each job lacks, and has what can run wait for executors. Whoever changes a fact on the way has it begin
    /// anew.
    pub(super) fn walk(&mut self) {
        let mut looks: BTreeMap<StageId, Look> = BTreeMap::new();
        let mut order = Vec::new();
        let mut ordered = BTreeSet::new();
        for job in self.jobs.keys().copied().collect::<Vec<_>>() {
            let needed = self.needs(job, &mut looks);
            let Some(known) = self.jobs.get_mut(&job) else { continue };
            for spec in &known.spec.stages {
                let stage = spec.stage;
                let needs = needed.contains(&stage);
                if known.told.insert(stage) && !needs {
                    self.out.push(Command::StageSkipped { stage });
                }
                if needs && ordered.insert(stage) {
                    order.push(stage);
                }
            }
            known.needed = needed;
        }
        self.blocked = looks.values().any(|look| look.ready.len() < look.wanted.len());
        self.order.clear();
        for stage in order {
            let look = looks.remove(&stage).unwrap_or_default();
            let fresh = self.stages.get(&stage).is_some_and(|known| known.active.is_none());
            if fresh && (look.ready.is_empty() || !self.begin(stage, look.wanted)) {
                if self.dirty {
                    return;
                }
                continue;
            }
            self.wait_for_executors(stage, look.ready);
            self.order.push(stage);
            if self.dirty {
                return;
            }
        }
    }

    /// Stages that a job lacks something of, from its last one on.
    fn needs(&self, job: JobNumber, looks: &mut BTreeMap<StageId, Look>) -> BTreeSet<StageId> {
        let mut needed = BTreeSet::new();
        let mut todo: Vec<StageId> = self.jobs.get(&job).map(|job| job.spec.result).into_iter().collect();
        while let Some(stage) = todo.pop() {
            if needed.insert(stage) {
                todo.extend(&looks.entry(stage).or_insert_with(|| self.look(stage)).parents);
            }
        }
        needed
    }

    fn look(&self, stage: StageId) -> Look {
        let Some(known) = self.stages.get(&stage) else { return Look::default() };
        let runs = |partition: &u32| known.active.as_ref().is_some_and(|active| active.running.contains_key(partition));
        let wanted: Vec<u32> = self.lacking(stage, known).filter(|partition| !runs(partition)).collect();
        let lacking: Vec<&Parent> = known.spec.parents.iter().filter(|parent| self.lacks(parent.shuffle)).collect();
        let mut look = Look::default();
        for partition in &wanted {
            let gaps: Vec<&Parent> = lacking.iter().filter(|parent| reads(parent, *partition)).copied().collect();
            if gaps.is_empty() {
                look.ready.push((*partition, None));
                continue;
            }
            let bound = self.executors_without(&gaps, *partition);
            if bound.is_empty() {
                look.parents.extend(gaps.iter().filter_map(|gap| Some(self.shuffles.get(&gap.shuffle)?.stage)));
            } else {
                look.ready.push((*partition, Some(bound)));
            }
        }
        look.wanted = wanted;
        look
    }

    /// Partitions of a stage that are not there and shall be.
    fn lacking<'a>(&'a self, stage: StageId, known: &Stage) -> Box<dyn Iterator<Item = u32> + 'a> {
        match known.spec.writes {
            Some(shuffle) => {
                Box::new(self.shuffles.get(&shuffle).into_iter().flat_map(|known| known.missing.iter().copied()))
            }
            None => {
                let job = self.jobs.values().find(|job| job.spec.result == stage);
                Box::new(job.into_iter().flat_map(|job| job.remaining.iter().copied()))
            }
        }
    }

    /// Executors that can do without the shuffles, as they hold blocks that were made from them.
    fn executors_without(&self, gaps: &[&Parent], partition: u32) -> BTreeSet<ExecutorId> {
        let holders = |dataset: &DatasetId| self.holders.get(&(*dataset, partition)).into_iter().flatten();
        let mut common: Option<BTreeSet<ExecutorId>> = None;
        for gap in gaps {
            let here: BTreeSet<ExecutorId> =
                gap.behind.iter().flat_map(holders).copied().filter(|id| self.is_usable(*id)).collect();
            common = Some(match common {
                None => here,
                Some(common) => common.intersection(&here).copied().collect(),
            });
        }
        common.unwrap_or_default()
    }

    /// Submits a stage.
    fn begin(&mut self, stage: StageId, partitions: Vec<u32>) -> bool {
        if !self.clear_for_submission(stage) {
            return false;
        }
        let Some(known) = self.stages.get_mut(&stage) else { return false };
        let generation = known.next_generation;
        known.next_generation = generation.saturating_add(1);
        known.active = Some(Active::new(generation));
        self.out.push(Command::StageSubmitted { stage, generation, partitions });
        true
    }

    /// Has partitions wait for executors, and no others of the stage.
    fn wait_for_executors(&mut self, stage: StageId, ready: Vec<Ready>) {
        let now_ms = self.now_ms;
        let Some(known) = self.stages.get_mut(&stage) else { return };
        let Some(mut active) = known.active.take() else { return };
        let can: BTreeSet<u32> = ready.iter().map(|(partition, _)| *partition).collect();
        let cannot: Vec<u32> = active.waiting.keys().filter(|partition| !can.contains(partition)).copied().collect();
        for partition in cannot {
            active.unwait(partition, known.hosts(partition));
        }
        for (partition, bound) in ready {
            active.wait(partition, now_ms, bound, known.hosts(partition));
        }
        known.active = Some(active);
    }

    /// The shuffles that a task reads.
    pub(super) fn inputs_of(&self, stage: StageId, partition: u32) -> Vec<ShuffleId> {
        let parents = self.stages.get(&stage).map(|known| known.spec.parents.as_slice()).unwrap_or_default();
        parents.iter().filter(|parent| reads(parent, partition)).map(|parent| parent.shuffle).collect()
    }
}

/// Whether a partition of a stage reads the shuffle at all.
fn reads(parent: &Parent, partition: u32) -> bool {
    parent.readers.as_ref().is_none_or(|readers| readers.contains(&partition))
}
