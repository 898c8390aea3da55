//! An indeterminate stage is computed anew: nothing that was made from its old outputs may be mixed with the new ones.
//!
//! That is decided when the stage is submitted again, not when an output is lost: as long as nobody needs the outputs, what was
//! made from them is whole and stays. Then everything downstream goes: outputs are forgotten, tasks are told to stop, cached
//! blocks are dropped, and a job of which results have left, and others have not, fails by name. Tasks that were told to stop
//! may still leave a block or commit; so the stage waits until none of them is left.

use super::{Scheduler, Settling};
use crate::api::{Command, DatasetId, Determinism, JobFailure, JobNumber, Parent, ShuffleId, StageId};
use std::collections::{BTreeMap, BTreeSet};

/// What depends on the outputs of a stage.
#[derive(Default)]
struct Downstream {
    readers: BTreeSet<StageId>,
    shuffles: BTreeSet<ShuffleId>,
    datasets: BTreeSet<DatasetId>,
    /// Jobs of which some results have left and others are still to come.
    torn: BTreeSet<JobNumber>,
}

impl Scheduler {
    /// Whether a stage may be submitted now; if it is not the first time and the stage is indeterminate, nothing is left of what
    /// was made from its earlier outputs.
    pub(super) fn clear_for_submission(&mut self, stage: StageId) -> bool {
        let Some(known) = self.stages.get(&stage) else { return false };
        let again = known.next_generation > 0 && known.spec.determinism == Determinism::Indeterminate;
        let (Some(shuffle), true) = (known.spec.writes, again) else { return true };
        if self.settling.contains_key(&stage) {
            return false;
        }
        let (name, before) = (known.spec.name.clone(), known.next_generation);
        let downstream = self.downstream(stage, shuffle);
        if !downstream.torn.is_empty() {
            for job in downstream.torn {
                self.end_job(job, Some(JobFailure::Indeterminate { stage, name: name.clone() }));
            }
            return false;
        }
        self.discard_outputs(shuffle);
        self.out.push(Command::DropShuffle { shuffle, before: Some(before) });
        for reader in &downstream.readers {
            self.stop_stage(*reader);
        }
        for shuffle in &downstream.shuffles {
            self.discard_downstream(*shuffle);
        }
        self.drop_datasets(&downstream.datasets);
        let Downstream { readers, datasets, .. } = downstream;
        if self.tasks.keys().any(|task| readers.contains(&task.stage)) {
            self.settling.insert(stage, Settling { readers, datasets });
            return false;
        }
        true
    }

    fn discard_downstream(&mut self, shuffle: ShuffleId) {
        if !self.discard_outputs(shuffle) {
            return;
        }
        let stage = self.shuffles.get(&shuffle).and_then(|known| self.stages.get(&known.stage));
        let before = stage.map(|stage| stage.next_generation);
        if before.is_some() {
            self.out.push(Command::DropShuffle { shuffle, before });
        }
    }

    fn downstream(&self, stage: StageId, shuffle: ShuffleId) -> Downstream {
        let mut edges: BTreeMap<ShuffleId, Vec<(StageId, &Parent)>> = BTreeMap::new();
        for (reader, known) in &self.stages {
            for parent in &known.spec.parents {
                edges.entry(parent.shuffle).or_default().push((*reader, parent));
            }
        }
        let mut found = Downstream::default();
        let mut results: BTreeMap<StageId, Vec<&Parent>> = BTreeMap::new();
        let mut todo = vec![shuffle];
        while let Some(shuffle) = todo.pop() {
            if let Some(known) = self.shuffles.get(&shuffle) {
                found.datasets.extend(&known.behind);
            }
            for (reader, parent) in edges.get(&shuffle).map(Vec::as_slice).unwrap_or_default() {
                match self.stages.get(reader).and_then(|known| known.spec.writes) {
                    Some(writes) if *reader != stage && found.readers.insert(*reader) => {
                        found.shuffles.insert(writes);
                        todo.push(writes);
                    }
                    Some(_) => {}
                    None => results.entry(*reader).or_default().push(*parent),
                }
            }
        }
        for (reader, parents) in results {
            self.add_results(reader, &parents, &mut found);
        }
        found
    }

    /// A last stage reads shuffles that go. What one of its partitions got from one of them and another from another has to
    /// fit together as well.
    fn add_results(&self, stage: StageId, parents: &[&Parent], found: &mut Downstream) {
        let owner = self.jobs.iter().find(|(_, job)| job.spec.result == stage);
        let (Some((number, job)), Some(known)) = (owner, self.stages.get(&stage)) else { return };
        let reads = |partition: &&u32| {
            parents.iter().any(|parent| parent.readers.as_ref().is_none_or(|readers| readers.contains(partition)))
        };
        if job.remaining.iter().find(reads).is_none() {
            return;
        }
        found.readers.insert(stage);
        if known.accepted.iter().chain(&known.granted).any(|partition| reads(&partition)) {
            found.torn.insert(*number);
        }
    }

    /// A task has ended: stages that waited for it and others may be submitted.
    pub(super) fn settle_readers(&mut self) {
        let over = |settling: &Settling| !self.tasks.keys().any(|task| settling.readers.contains(&task.stage));
        let over: Vec<StageId> =
            self.settling.iter().filter(|(_, settling)| over(settling)).map(|(stage, _)| *stage).collect();
        for stage in over {
            self.dirty = true;
            if let Some(Settling { datasets, .. }) = self.settling.remove(&stage) {
                self.drop_datasets(&datasets);
            }
        }
    }

    /// Has executors drop blocks, those included that nobody told of yet.
    pub(super) fn drop_datasets(&mut self, datasets: &BTreeSet<DatasetId>) {
        for dataset in datasets {
            self.forget_dataset(*dataset);
            self.out.push(Command::DropDataset { dataset: *dataset });
        }
    }
}
