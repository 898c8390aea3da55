//! Which waiting partition goes to which executor, at once, as near to its data as executors with room allow.
//!
//! Stages of the first job come first. Of a stage, suspects come first: each goes to an executor that runs nothing else, and
//! the least busy executor is kept free for it until there is one. Then executors with room take what they hold blocks of,
//! then what their host holds, then anything that has nothing to be near to, or waited long enough without any of the stage's
//! tasks finding a near executor.
//!
//! That an executor finds nothing costs next to nothing: the [index](super::index) has what each may take.

use super::index::{Near, waits_over};
use super::{Entry, Running, Scheduler, Stage};
use crate::api::{Command, Locality, StageId, TaskKey};
use mammoth_protocol::jobs::ExecutorId;
use std::collections::BTreeSet;

/// What changes during one round of placing.
struct Round {
    /// Executors with room, by the number of tasks that they run.
    free: BTreeSet<(usize, ExecutorId)>,
    /// Executors that are kept free for suspects.
    reserved: BTreeSet<ExecutorId>,
}

impl Scheduler {
    /// Gives waiting partitions to executors with room.
    pub(super) fn place(&mut self) {
        if self.order.is_empty() {
            return;
        }
        self.placed_ms = self.now_ms;
        let free = self.executors.keys().filter_map(|id| Some((self.room(*id)?, *id))).collect();
        let mut round = Round { free, reserved: BTreeSet::new() };
        for stage in self.order.clone() {
            if round.free.is_empty() {
                return;
            }
            self.place_suspects(stage, &mut round);
            self.look_again(stage);
            for level in [Locality::Process, Locality::Node, Locality::Any] {
                while let Some((partition, executor)) = self.next(stage, level, &round) {
                    self.looked += 1;
                    self.launch(stage, partition, executor, false, &mut round);
                }
            }
        }
    }

    fn place_suspects(&mut self, stage: StageId, round: &mut Round) {
        let Some(known) = self.stages.get(&stage) else { return };
        let Some(active) = &known.active else { return };
        let waiting = known.suspects.iter().filter_map(|partition| Some((*partition, active.waiting.get(partition)?)));
        let mut waiting: Vec<_> = waiting.map(|(partition, waiting)| (partition, waiting.bound.clone())).collect();
        // Those that killed fewest first, so that the innocent are out of it before the guilty has used up its tries.
        waiting.sort_by_key(|(partition, _)| known.failures.get(partition).copied().unwrap_or_default());
        for (partition, bound) in waiting {
            let can =
                |id: &ExecutorId| bound.as_ref().is_none_or(|bound| bound.contains(id)) && !round.reserved.contains(id);
            let usable = self.executors.iter().filter(|(id, known)| !known.condemned && known.cores > 0 && can(id));
            let best =
                usable.min_by_key(|(id, known)| (known.running.len(), self.nearness(stage, partition, **id), **id));
            let Some((id, known)) = best else { continue };
            let (id, running) = (*id, known.running.len());
            if running == 0 {
                self.launch(stage, partition, id, true, round);
            } else {
                round.reserved.insert(id);
                round.free.remove(&(running, id));
            }
        }
    }

    /// The next launch of a stage at a level of nearness: the least busy executor that finds something.
    fn next(&self, stage: StageId, level: Locality, round: &Round) -> Option<(u32, ExecutorId)> {
        let active = self.stages.get(&stage)?.active.as_ref()?;
        let over = waits_over(active.near_ms, self.now_ms, self.config.locality_wait_ms);
        if !active.index.has(level, over) {
            return None;
        }
        round.free.iter().find_map(|(_, id)| {
            let host = &self.executors.get(id)?.host;
            Some((active.index.first(level, *id, host, over)?, *id))
        })
    }

    /// Tasks that run in an executor, if there is room for another one.
    pub(crate) fn room(&self, executor: ExecutorId) -> Option<usize> {
        let known = self.executors.get(&executor)?;
        let alone = || known.running.iter().any(|task| self.tasks.get(task).is_some_and(|running| running.alone));
        let running = known.running.len();
        let free = running < known.cores && !known.condemned && !alone();
        free.then_some(running)
    }

    /// Looks again at the partitions of a stage of which something has changed.
    fn look_again(&mut self, stage: StageId) {
        let now_ms = self.now_ms;
        let active = self.stages.get_mut(&stage).and_then(|known| known.active.as_mut());
        let stale = active.map(|active| active.index.take_stale(now_ms)).unwrap_or_default();
        for partition in stale {
            self.looked += 1;
            let entry = self.stages.get(&stage).and_then(|known| self.entry(known, partition));
            let Some(known) = self.stages.get_mut(&stage) else { return };
            let hosts = known.spec.hosts.get(partition as usize).map(Vec::as_slice).unwrap_or_default();
            if let Some(active) = &mut known.active {
                active.index.put(partition, entry, hosts);
            }
        }
    }

    /// What is to be known of a waiting partition; nothing of a suspect.
    pub(crate) fn entry(&self, known: &Stage, partition: u32) -> Option<Entry> {
        let waiting = known.active.as_ref()?.waiting.get(&partition)?;
        if known.suspects.contains(&partition) {
            return None;
        }
        let may = |id: &ExecutorId| waiting.bound.as_ref().is_none_or(|bound| bound.contains(id));
        let mut held = Vec::new();
        for (at, dataset) in known.spec.cached.iter().enumerate() {
            let holders = self.holders.get(&(*dataset, partition)).into_iter().flatten();
            held.extend(holders.filter(|id| may(id)).map(|id| (*id, at)));
        }
        let on_host = |id: &ExecutorId| {
            self.executors.get(id).is_some_and(|executor| known.hosts(partition).contains(&executor.host))
        };
        let bound = waiting.bound.as_ref().map(|bound| bound.iter().map(|id| (*id, on_host(id))).collect());
        let near = if waiting.bound.is_some() { Near::default() } else { self.near(known, partition) };
        let entry = Entry { near, held, bound, ..Entry::default() };
        Some(entry.waited(waiting.since_ms, self.now_ms, self.config.locality_wait_ms))
    }

    /// How near an executor is to the data of a partition.
    pub(crate) fn nearness(&self, stage: StageId, partition: u32, executor: ExecutorId) -> Locality {
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

    /// What a partition can be near to now.
    fn near(&self, known: &Stage, partition: u32) -> Near {
        let holder = |dataset| self.holders.get(&(dataset, partition)).into_iter().flatten();
        Near {
            process: known.spec.cached.iter().flat_map(|dataset| holder(*dataset)).any(|id| self.is_usable(*id)),
            node: known.hosts(partition).iter().any(|host| self.hosts.contains_key(host)),
        }
    }

    /// How far from its data a partition may go at some time, having waited since another: one level further for each wait.
    pub(crate) fn farthest(&self, known: &Stage, partition: u32, since_ms: u64, now_ms: u64) -> Locality {
        let near_ms = known.active.as_ref().map_or(0, |active| active.near_ms);
        let over = waits_over(since_ms.max(near_ms), now_ms, self.config.locality_wait_ms);
        self.near(known, partition).farthest(over)
    }

    fn launch(&mut self, stage: StageId, partition: u32, id: ExecutorId, alone: bool, round: &mut Round) {
        let locality = self.nearness(stage, partition, id);
        let inputs = self.inputs_of(stage, partition);
        let now_ms = self.now_ms;
        let near = self.stages.get(&stage).is_some_and(|known| {
            // One that is tried alone goes where it can be alone, whatever its host.
            let near = self.near(known, partition);
            let near = Near { node: near.node && !alone, ..near };
            locality == near.farthest(waits_over(now_ms, now_ms, self.config.locality_wait_ms))
        });
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
            let running = executor.running.len();
            round.free.remove(&(running, id));
            if !alone && running + 1 < executor.cores {
                round.free.insert((running + 1, id));
            }
            executor.running.insert(task);
        }
        self.out.push(Command::Launch { task, executor: id, locality, inputs });
    }
}
