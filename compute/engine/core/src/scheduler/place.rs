//! Which waiting task goes to which executor.

use super::{Running, Scheduler};
use crate::api::{Command, Locality, StageId, TaskKey};
use mammoth_protocol::jobs::ExecutorId;

impl Scheduler {
    /// Gives waiting partitions of a stage to executors with room.
    pub(super) fn place(&mut self, stage: StageId) {
        let Some(waiting) = self.stages.get(&stage).and_then(|known| known.active.as_ref()).map(|a| a.waiting.clone()) else {
            return;
        };
        for (partition, since) in waiting {
            if !self.executors.values().any(|executor| !executor.condemned && executor.running.len() < executor.cores) {
                return;
            }
            if let Some((executor, locality)) = self.choose(stage, partition, since) {
                self.launch(stage, partition, executor, locality);
            }
        }
    }

    fn choose(&self, stage: StageId, partition: u32, since: u64) -> Option<(ExecutorId, Locality)> {
        let known = self.stages.get(&stage)?;
        let alone = known.suspects.contains(&partition);
        let hosts = known.spec.hosts.get(partition as usize).map(Vec::as_slice).unwrap_or_default();
        let nearness = |id: &ExecutorId| {
            let executor = &self.executors[id];
            if known.spec.cached.iter().any(|dataset| executor.blocks.contains(&(*dataset, partition))) {
                Locality::Process
            } else if hosts.contains(&executor.host) {
                Locality::Node
            } else {
                Locality::Any
            }
        };
        let usable = || self.executors.iter().filter(|(_, executor)| !executor.condemned).map(|(id, _)| *id);
        let free = |id: &ExecutorId| {
            let executor = &self.executors[id];
            let shared = executor.running.iter().any(|task| self.is_suspect(*task));
            executor.running.len() < executor.cores && !shared && (!alone || executor.running.is_empty())
        };
        let nearest = usable().map(|id| nearness(&id)).min()?;
        let best = usable().filter(free).min_by_key(|id| (nearness(id), self.executors[id].running.len()))?;
        let locality = nearness(&best);
        let waited = self.now_ms.saturating_sub(since) >= self.config.locality_wait_ms;
        (locality == nearest || waited || alone).then_some((best, locality))
    }

    fn is_suspect(&self, task: TaskKey) -> bool {
        self.stages.get(&task.stage).is_some_and(|stage| stage.suspects.contains(&task.partition))
    }

    fn launch(&mut self, stage: StageId, partition: u32, executor: ExecutorId, locality: Locality) {
        let Some(known) = self.stages.get_mut(&stage) else { return };
        let inputs = known.spec.parents.iter().map(|parent| parent.shuffle).collect();
        let Some(active) = known.active.as_mut() else { return };
        let attempt = active.attempts.entry(partition).or_insert(0);
        let task = TaskKey { stage, generation: active.generation, partition, attempt: *attempt };
        *attempt += 1;
        active.waiting.remove(&partition);
        active.running.insert(partition, task);
        self.tasks.insert(task, Running { executor, cancelled_ms: None });
        if let Some(known) = self.executors.get_mut(&executor) {
            known.running.insert(task);
        }
        self.out.push(Command::Launch { task, executor, locality, inputs });
    }
}
