//! Which waiting partition goes to which executor, at once, as near to its data as executors with room allow.
//!
//! Stages of the first job come first. Of a stage, suspects come first: each goes to an executor that runs nothing else, and
//! the least busy executor is kept free for it until there is one. Then executors with room take what they hold blocks of,
//! then what their host holds, then anything that has nothing to be near to, or waited long enough without any of the stage's
//! tasks finding a near executor.

use super::{Running, Scheduler, Stage};
use crate::api::{Command, Locality, StageId, TaskKey};
use mammoth_protocol::jobs::ExecutorId;
use std::collections::BTreeSet;

/// Facts that hold for one round of placing.
struct Round<'a> {
    /// Executors that are kept free for suspects.
    reserved: &'a BTreeSet<ExecutorId>,
    /// Hosts with executors.
    hosts: &'a BTreeSet<String>,
}

impl Scheduler {
    /// Gives waiting partitions to executors with room.
    pub(super) fn place(&mut self) {
        if self.order.is_empty() {
            return;
        }
        let usable = self.executors.values().filter(|executor| !executor.condemned);
        let hosts: BTreeSet<String> = usable.map(|executor| executor.host.clone()).collect();
        let mut reserved = BTreeSet::new();
        for stage in self.order.clone() {
            self.place_suspects(stage, &mut reserved);
            let round = Round { reserved: &reserved, hosts: &hosts };
            for level in [Locality::Process, Locality::Node, Locality::Any] {
                while let Some((partition, executor)) = self.next(stage, level, &round) {
                    self.launch(stage, partition, executor, false, &hosts);
                }
            }
        }
    }

    fn place_suspects(&mut self, stage: StageId, reserved: &mut BTreeSet<ExecutorId>) {
        let Some(known) = self.stages.get(&stage) else { return };
        let Some(active) = &known.active else { return };
        let waiting = known.suspects.iter().filter_map(|partition| Some((*partition, active.waiting.get(partition)?)));
        let mut waiting: Vec<_> = waiting.map(|(partition, waiting)| (partition, waiting.bound.clone())).collect();
        // Those that killed fewest first, so that the innocent are out of it before the guilty has used up its tries.
        waiting.sort_by_key(|(partition, _)| known.failures.get(partition).copied().unwrap_or_default());
        for (partition, bound) in waiting {
            let can = |id: &ExecutorId| bound.as_ref().is_none_or(|bound| bound.contains(id)) && !reserved.contains(id);
            let usable = self.executors.iter().filter(|(id, known)| !known.condemned && known.cores > 0 && can(id));
            let best =
                usable.min_by_key(|(id, known)| (known.running.len(), self.nearness(stage, partition, **id), **id));
            let Some((id, known)) = best else { continue };
            let (id, idle) = (*id, known.running.is_empty());
            if idle {
                self.launch(stage, partition, id, true, &BTreeSet::new());
            } else {
                reserved.insert(id);
            }
        }
    }

    /// The next launch of a stage at a level of nearness: the least busy executor that finds something.
    fn next(&self, stage: StageId, level: Locality, round: &Round<'_>) -> Option<(u32, ExecutorId)> {
        let known = self.stages.get(&stage)?;
        let active = known.active.as_ref()?;
        let pointless = match level {
            Locality::Process => known.spec.cached.is_empty(),
            Locality::Node => known.spec.hosts.is_empty(),
            Locality::Any => false,
        };
        if active.waiting.is_empty() || pointless {
            return None;
        }
        let mut free: Vec<(usize, ExecutorId)> =
            self.executors.keys().filter_map(|id| Some((self.room(*id, round.reserved)?, *id))).collect();
        free.sort_unstable();
        free.iter().find_map(|(_, id)| Some((self.pick(stage, known, level, *id, round)?, *id)))
    }

    /// Tasks that run in an executor, if there is room for another one.
    fn room(&self, executor: ExecutorId, reserved: &BTreeSet<ExecutorId>) -> Option<usize> {
        let known = self.executors.get(&executor)?;
        let alone = || known.running.iter().any(|task| self.tasks.get(task).is_some_and(|running| running.alone));
        let running = known.running.len();
        let free = running < known.cores && !known.condemned && !reserved.contains(&executor) && !alone();
        free.then_some(running)
    }

    fn pick(&self, stage: StageId, known: &Stage, level: Locality, id: ExecutorId, round: &Round<'_>) -> Option<u32> {
        let active = known.active.as_ref()?;
        let executor = self.executors.get(&id)?;
        let may = |partition: &u32| {
            let Some(waiting) = active.waiting.get(partition) else { return false };
            let near = self.nearness(stage, *partition, id);
            !known.suspects.contains(partition)
                && match &waiting.bound {
                    Some(bound) => bound.contains(&id),
                    None => near <= level && near <= self.farthest(known, *partition, waiting.since_ms, round.hosts),
                }
        };
        match level {
            Locality::Process => {
                let held = known.spec.cached.iter().flat_map(|dataset| {
                    executor.blocks.range((*dataset, 0)..=(*dataset, u32::MAX)).map(|(_, partition)| *partition)
                });
                held.into_iter().find(|partition| may(partition))
            }
            Locality::Node => active.near.get(&executor.host)?.iter().copied().find(|partition| may(partition)),
            Locality::Any => active.waiting.keys().copied().find(|partition| may(partition)),
        }
    }

    /// How near an executor is to the data of a partition.
    fn nearness(&self, stage: StageId, partition: u32, executor: ExecutorId) -> Locality {
        let (Some(known), Some(executor)) = (self.stages.get(&stage), self.executors.get(&executor)) else {
            return Locality::Any;
        };
        if known.spec.cached.iter().any(|dataset| executor.blocks.contains(&(*dataset, partition))) {
            Locality::Process
        } else if known.hosts(partition).contains(&executor.host) {
            Locality::Node
        } else {
            Locality::Any
        }
    }

    /// How far from its data a partition may go by now: one level further for each wait.
    fn farthest(&self, known: &Stage, partition: u32, since_ms: u64, hosts: &BTreeSet<String>) -> Locality {
        let holder = |dataset| self.holders.get(&(dataset, partition)).into_iter().flatten();
        let process = known.spec.cached.iter().flat_map(|dataset| holder(*dataset)).any(|id| self.is_usable(*id));
        let node = known.hosts(partition).iter().any(|host| hosts.contains(host));
        let near_ms = known.active.as_ref().map_or(0, |active| active.near_ms);
        let waited_ms = self.now_ms.saturating_sub(since_ms.max(near_ms));
        let levels = waited_ms.checked_div(self.config.locality_wait_ms).unwrap_or(u64::MAX);
        match (process, node, levels) {
            (true, _, 0) => Locality::Process,
            (true, true, 1) | (false, true, 0) => Locality::Node,
            (true, false, _) | (_, true, _) | (false, false, _) => Locality::Any,
        }
    }

    fn launch(&mut self, stage: StageId, partition: u32, id: ExecutorId, alone: bool, hosts: &BTreeSet<String>) {
        let locality = self.nearness(stage, partition, id);
        let inputs = self.inputs_of(stage, partition);
        let near = self
            .stages
            .get(&stage)
            .is_some_and(|known| locality == self.farthest(known, partition, self.now_ms, hosts));
        let now_ms = self.now_ms;
        let Some(known) = self.stages.get_mut(&stage) else { return };
        let Some(mut active) = known.active.take() else { return };
        let attempt = active.attempts.entry(partition).or_insert(0);
        let task = TaskKey { stage, generation: active.generation, partition, attempt: *attempt };
        *attempt += 1;
        active.unwait(partition, known.hosts(partition));
        active.running.insert(partition, task);
        if near {
            active.near_ms = now_ms;
        }
        known.active = Some(active);
        self.launches += 1;
        self.tasks.insert(task, Running { executor: id, launch: self.launches, alone, cancelled_ms: None });
        if let Some(executor) = self.executors.get_mut(&id) {
            executor.running.insert(task);
        }
        self.out.push(Command::Launch { task, executor: id, locality, inputs });
    }
}
