//! Outputs of stages that write a shuffle: they come, are lost, and are dropped when nothing reads them.

use super::{Scheduler, Settling};
use crate::api::{Command, Determinism, OutputId, PlaceId, ShuffleId, StageId, TaskKey};

impl Scheduler {
    /// The output of a task is there.
    pub(super) fn output_ready(&mut self, shuffle: ShuffleId, task: TaskKey, place: PlaceId) {
        let Some(known) = self.shuffles.get_mut(&shuffle) else { return };
        if let Some(slot) = known.maps.get_mut(task.partition as usize) {
            *slot = Some(OutputId { generation: task.generation, attempt: task.attempt, place });
            known.missing.remove(&task.partition);
            known.version += 1;
            known.changed_at = self.launches;
        }
    }

    /// Ends the submission of a stage of which every output is there.
    pub(super) fn complete(&mut self, stage: StageId, shuffle: ShuffleId) {
        if self.lacks(shuffle) {
            return;
        }
        let active = self.stages.get_mut(&stage).and_then(|known| known.active.take());
        if let Some(active) = active {
            self.dirty = true;
            self.out.push(Command::StageCompleted { stage, generation: active.generation });
        }
    }

    /// Whether any output of a shuffle is not there; a shuffle that nobody knows is not there at all.
    pub(super) fn lacks(&self, shuffle: ShuffleId) -> bool {
        self.shuffles.get(&shuffle).is_none_or(|known| !known.missing.is_empty())
    }

    pub(super) fn output_of(&self, shuffle: ShuffleId, map: u32) -> Option<OutputId> {
        self.shuffles.get(&shuffle)?.maps.get(map as usize).copied().flatten()
    }

    pub(super) fn output_lost(&mut self, shuffle: ShuffleId, map: u32) {
        if self.output_of(shuffle, map).is_none() {
            return;
        }
        let launches = self.launches;
        let Some(known) = self.shuffles.get_mut(&shuffle) else { return };
        let stage = known.stage;
        if self.stages.get(&stage).is_some_and(|stage| stage.spec.determinism == Determinism::Indeterminate) {
            // One that is made again does not go with the others, so none of them is worth anything.
            self.discard_outputs(shuffle);
            self.stop_stage(stage);
            return;
        }
        if let Some(slot) = known.maps.get_mut(map as usize) {
            *slot = None;
        }
        known.missing.insert(map);
        known.version += 1;
        known.changed_at = launches;
        self.dirty = true;
    }

    /// Forgets all outputs of a shuffle; whether there were any.
    pub(super) fn discard_outputs(&mut self, shuffle: ShuffleId) -> bool {
        let launches = self.launches;
        let Some(known) = self.shuffles.get_mut(&shuffle) else { return false };
        let any = known.maps.iter().any(Option::is_some);
        if any {
            known.maps.iter_mut().for_each(|slot| *slot = None);
            known.missing = (0..).zip(&known.maps).map(|(map, _)| map).collect();
            known.version += 1;
            known.changed_at = launches;
            self.dirty = true;
        }
        any
    }

    pub(super) fn place_lost(&mut self, place: PlaceId) {
        self.places_lost.insert(place, self.launches);
        self.outputs_lost_in(place, |_| true);
    }

    /// Whether what a task left in a place is gone again.
    pub(super) fn is_gone(&self, place: PlaceId, launch: u64) -> bool {
        self.places_lost.get(&place).is_some_and(|lost| launch <= *lost)
    }

    /// Outputs of some shuffles that lie in a place are lost.
    pub(super) fn outputs_lost_in(&mut self, place: PlaceId, of: impl Fn(ShuffleId) -> bool) {
        let mut lost = Vec::new();
        for (shuffle, known) in self.shuffles.iter().filter(|(shuffle, _)| of(**shuffle)) {
            for (map, output) in (0..).zip(&known.maps) {
                if output.is_some_and(|output| output.place == place) {
                    lost.push((*shuffle, map));
                }
            }
        }
        for (shuffle, map) in lost {
            self.output_lost(shuffle, map);
        }
    }

    pub(super) fn shuffle_released(&mut self, shuffle: ShuffleId) {
        if let Some(known) = self.shuffles.get_mut(&shuffle) {
            known.released = true;
            self.drop_released();
        }
    }

    /// Drops released shuffles that no job names.
    pub(super) fn drop_released(&mut self) {
        let unused = |stage: StageId| !self.jobs.values().any(|job| job.names(stage));
        let known = self.shuffles.iter().filter(|(_, known)| known.released && unused(known.stage));
        let unused: Vec<(ShuffleId, StageId)> = known.map(|(shuffle, known)| (*shuffle, known.stage)).collect();
        for (shuffle, stage) in unused {
            self.stop_stage(stage);
            self.stages.remove(&stage);
            self.shuffles.remove(&shuffle);
            if let Some(Settling { datasets, .. }) = self.settling.remove(&stage) {
                self.drop_datasets(&datasets);
            }
            self.out.push(Command::DropShuffle { shuffle, before: None });
        }
    }
}
