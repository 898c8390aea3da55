//! Executors come, are heard of, hold blocks, and go.

use super::{Executor, Scheduler};
use crate::api::{Command, DatasetId, TaskKey};
use mammoth_protocol::jobs::ExecutorId;
use mammoth_protocol::jobs::event::TaskOutcome;
use std::collections::BTreeSet;

impl Scheduler {
    pub(super) fn executor_added(&mut self, executor: ExecutorId, host: String, cores: u32) {
        if self.gone.contains(&executor) || self.executors.contains_key(&executor) {
            return;
        }
        self.use_host(&host);
        let added = Executor {
            host,
            cores: cores as usize,
            heard_ms: self.now_ms,
            running: BTreeSet::new(),
            blocks: BTreeSet::new(),
            condemned: false,
        };
        self.executors.insert(executor, added);
    }

    pub(super) fn executor_heard(&mut self, executor: ExecutorId) {
        if let Some(known) = self.executors.get_mut(&executor) {
            known.heard_ms = self.now_ms;
        }
    }

    pub(super) fn executor_lost(&mut self, executor: ExecutorId, reason: &str, charge: bool) {
        self.gone.insert(executor);
        let Some(lost) = self.executors.remove(&executor) else { return };
        self.dirty = true;
        if !lost.condemned {
            self.leave_host(&lost.host);
        }
        for block in lost.blocks {
            self.unhold(executor, block);
        }
        for task in lost.running {
            // Before the charge, which may end the job and with it the stage.
            let wanted = self.is_current(task);
            self.settle(task, TaskOutcome::ExecutorLost);
            if charge && wanted {
                if let Some(stage) = self.stages.get_mut(&task.stage) {
                    stage.suspects.insert(task.partition);
                }
                self.charge(task, &format!("executor {executor} was lost: {reason}"), false);
            }
        }
    }

    pub(super) fn blocks_changed(&mut self, executor: ExecutorId, blocks: &[(DatasetId, u32, bool)]) {
        for (dataset, partition, held) in blocks {
            if *held {
                self.hold(executor, (*dataset, *partition));
            } else {
                self.forget_block(executor, (*dataset, *partition));
            }
        }
    }

    fn hold(&mut self, executor: ExecutorId, block: (DatasetId, u32)) {
        let old = self.settling.values().any(|settling| settling.datasets.contains(&block.0));
        let Some(known) = self.executors.get_mut(&executor).filter(|_| !old) else { return };
        known.blocks.insert(block);
        self.holders.entry(block).or_default().insert(executor);
        self.mark_block(block);
        // Only what waits for a shuffle can be helped by it.
        self.dirty |= self.blocked;
    }

    /// The executor does not hold the block any more.
    pub(super) fn forget_block(&mut self, executor: ExecutorId, block: (DatasetId, u32)) -> bool {
        let held = self.executors.get_mut(&executor).is_some_and(|known| known.blocks.remove(&block));
        if held {
            self.unhold(executor, block);
            self.dirty = true;
        }
        held
    }

    fn unhold(&mut self, executor: ExecutorId, block: (DatasetId, u32)) {
        if let Some(holders) = self.holders.get_mut(&block) {
            holders.remove(&executor);
            if holders.is_empty() {
                self.holders.remove(&block);
            }
        }
        self.mark_block(block);
    }

    /// Who holds a block, or whether a holder of it is used, has changed: tasks that wait and are near to it may go elsewhere.
    fn mark_block(&mut self, (dataset, partition): (DatasetId, u32)) {
        for stage in self.stages.values_mut() {
            if let Some(active) = &mut stage.active
                && stage.spec.cached.contains(&dataset)
                && active.waiting.contains_key(&partition)
            {
                active.index.mark(partition);
            }
        }
    }

    /// An executor on the host is used from now on.
    fn use_host(&mut self, host: &str) {
        if let Some(count) = self.hosts.get_mut(host) {
            *count += 1;
            return;
        }
        self.hosts.insert(host.to_owned(), 1);
        self.mark_host(host);
    }

    /// An executor on the host is used no longer.
    fn leave_host(&mut self, host: &str) {
        let Some(count) = self.hosts.get_mut(host) else { return };
        *count -= 1;
        if *count == 0 {
            self.hosts.remove(host);
            self.mark_host(host);
        }
    }

    /// Whether anything on the host is used has changed: so has where tasks that wait and have their data there may go.
    fn mark_host(&mut self, host: &str) {
        for active in self.stages.values_mut().filter_map(|stage| stage.active.as_mut()) {
            if let Some(near) = active.near.get(host) {
                active.index.mark_all(near.iter().copied());
            }
        }
    }

    /// No executor holds anything of the dataset any more.
    pub(super) fn forget_dataset(&mut self, dataset: DatasetId) {
        for executor in self.executors.values_mut() {
            executor.blocks.retain(|(held, _)| *held != dataset);
        }
        self.holders.retain(|(held, _), _| *held != dataset);
        for stage in self.stages.values_mut().filter(|stage| stage.spec.cached.contains(&dataset)) {
            if let Some(active) = &mut stage.active {
                active.index.mark_all(active.waiting.keys().copied());
            }
        }
        self.dirty = true;
    }

    pub(super) fn dataset_released(&mut self, dataset: DatasetId) {
        self.forget_dataset(dataset);
        for shuffle in self.shuffles.values_mut() {
            shuffle.behind.remove(&dataset);
        }
    }

    pub(super) fn is_usable(&self, executor: ExecutorId) -> bool {
        self.executors.get(&executor).is_some_and(|known| !known.condemned)
    }

    pub(super) fn tick(&mut self) {
        let silent =
            |executor: &Executor| self.now_ms.saturating_sub(executor.heard_ms) > self.config.executor_silent_ms;
        let silent: Vec<ExecutorId> =
            self.executors.iter().filter(|(_, executor)| silent(executor)).map(|(id, _)| *id).collect();
        for executor in silent {
            self.replace(executor, "it has not been heard of for too long".to_owned(), true);
        }
        let grace = self.config.cancel_grace_ms;
        let late = |since: Option<u64>| since.is_some_and(|since| self.now_ms.saturating_sub(since) > grace);
        let stuck: Vec<(TaskKey, ExecutorId)> = self
            .tasks
            .iter()
            .filter(|(_, running)| late(running.cancelled_ms))
            .map(|(task, running)| (*task, running.executor))
            .collect();
        for (task, executor) in stuck {
            self.replace(executor, format!("task {task} does not stop"), false);
        }
    }

    fn replace(&mut self, executor: ExecutorId, reason: String, charge: bool) {
        let Some(known) = self.executors.get_mut(&executor).filter(|known| !known.condemned) else { return };
        known.condemned = true;
        let (host, blocks) = (known.host.clone(), known.blocks.clone());
        self.leave_host(&host);
        for block in blocks {
            self.mark_block(block);
        }
        self.dirty = true;
        self.out.push(Command::ReplaceExecutor { executor, reason, charge });
    }
}
