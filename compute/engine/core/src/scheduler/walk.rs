//! From what jobs lack to stages that can run.

use super::{Active, Scheduler};
use crate::api::{Command, Parent, ShuffleId, StageId};
use std::collections::{BTreeMap, BTreeSet};

impl Scheduler {
    /// Brings everything forward as far as the facts allow.
    pub(super) fn advance(&mut self) {
        let mut seen = BTreeSet::new();
        let mut ready = Vec::new();
        for job in self.jobs.keys().copied().collect::<Vec<_>>() {
            let Some(known) = self.jobs.get(&job) else { continue };
            let (result, wanted) = (known.spec.result, known.remaining.clone());
            let mut needed = BTreeSet::new();
            self.visit(result, &wanted, &mut seen, &mut needed, &mut ready);
            self.tell_skipped(job, &needed);
        }
        for (stage, wanted) in &ready {
            self.submit(*stage, wanted);
        }
        for (stage, _) in &ready {
            self.place(*stage);
        }
        self.complete_stages();
    }

    /// Finds the stages that must and can run so that `wanted` partitions of `stage` come into being, parents first.
    fn visit(
        &self,
        stage: StageId,
        wanted: &BTreeSet<u32>,
        seen: &mut BTreeSet<StageId>,
        needed: &mut BTreeSet<StageId>,
        ready: &mut Vec<(StageId, BTreeSet<u32>)>,
    ) {
        needed.insert(stage);
        if !seen.insert(stage) {
            return;
        }
        let Some(known) = self.stages.get(&stage) else { return };
        let mut blocked = false;
        for parent in &known.spec.parents {
            let missing = self.missing(parent.shuffle);
            if missing.is_empty() || !wanted.iter().any(|partition| self.reads(parent, *partition)) {
                continue;
            }
            blocked = true;
            if let Some(shuffle) = self.shuffles.get(&parent.shuffle) {
                self.visit(shuffle.stage, &missing, seen, needed, ready);
            }
        }
        if !blocked {
            ready.push((stage, wanted.clone()));
        }
    }

    fn missing(&self, shuffle: ShuffleId) -> BTreeSet<u32> {
        let maps = self.shuffles.get(&shuffle).map(|shuffle| shuffle.maps.as_slice()).unwrap_or_default();
        (0..).zip(maps).filter(|(_, output)| output.is_none()).map(|(map, _)| map).collect()
    }

    /// Whether a partition needs the shuffle: not if the shuffle is none of its inputs, or a cached block hides it.
    fn reads(&self, parent: &Parent, partition: u32) -> bool {
        let reader = parent.readers.as_ref().is_none_or(|readers| readers.contains(&partition));
        let held = |dataset| self.executors.values().any(|executor| executor.blocks.contains(&(dataset, partition)));
        reader && !parent.behind.iter().any(|dataset| held(*dataset))
    }

    fn tell_skipped(&mut self, job: crate::api::JobNumber, needed: &BTreeSet<StageId>) {
        let Some(known) = self.jobs.get_mut(&job) else { return };
        for spec in &known.spec.stages {
            let ran = self.stages.get(&spec.stage).is_some_and(|stage| stage.active.is_some());
            if !ran && !needed.contains(&spec.stage) && known.skipped.insert(spec.stage) {
                self.out.push(Command::StageSkipped { stage: spec.stage });
            }
        }
    }

    /// Has the wanted partitions of a stage wait for executors, those that do not already.
    fn submit(&mut self, stage: StageId, wanted: &BTreeSet<u32>) {
        let now_ms = self.now_ms;
        let Some(known) = self.stages.get_mut(&stage) else { return };
        if known.active.is_none() {
            let generation = known.next_generation;
            known.next_generation += 1;
            known.active = Some(Active {
                generation,
                waiting: BTreeMap::new(),
                running: BTreeMap::new(),
                attempts: BTreeMap::new(),
                committing: BTreeMap::new(),
            });
            let partitions = wanted.iter().copied().collect();
            self.out.push(Command::StageSubmitted { stage, generation, partitions });
            for job in self.jobs.values_mut().filter(|job| job.spec.stages.iter().any(|spec| spec.stage == stage)) {
                job.skipped.insert(stage);
            }
        }
        let Some(active) = known.active.as_mut() else { return };
        for partition in wanted {
            if !active.running.contains_key(partition) {
                active.waiting.entry(*partition).or_insert(now_ms);
            }
        }
        active.waiting.retain(|partition, _| wanted.contains(partition));
    }

    fn complete_stages(&mut self) {
        let shuffles = &self.shuffles;
        for (stage, known) in &mut self.stages {
            let there = match known.spec.writes {
                Some(shuffle) => {
                    shuffles.get(&shuffle).is_some_and(|shuffle| shuffle.maps.iter().all(Option::is_some))
                }
                None => false,
            };
            let idle = |active: &Active| active.running.is_empty() && active.waiting.is_empty();
            if there && known.active.as_ref().is_some_and(idle) {
                let generation = known.active.take().map_or(0, |active| active.generation);
                self.out.push(Command::StageCompleted { stage: *stage, generation });
            }
        }
    }
}
