//! What the scheduler says, as orders for executors, results for actions and events for whoever listens.

use super::Driver;
use crate::accumulators::BadPart;
use crate::error::EngineError;
use crate::wire::{Order, TaskOrder};
use mammoth_engine_core::api::{Command, Event, JobFailure, JobNumber, Locality, Outputs, ShuffleId, StageId, TaskKey};
use mammoth_protocol::jobs::ExecutorId;
use mammoth_protocol::jobs::event::{AppEvent, TaskOutcome};
use std::collections::BTreeMap;

impl Driver {
    pub(super) fn carry_out(&mut self, command: Command) {
        match command {
            Command::Launch { task, executor, locality, inputs } => self.launch(task, executor, locality, &inputs),
            Command::Cancel { task, executor } => self.hub.push(executor, Order::Cancel(task)),
            Command::Commit { task, executor, granted } => self.hub.push(executor, Order::Commit { task, granted }),
            Command::Accept { task, job } => self.accept(task, job),
            Command::Settled { task, executor, outcome } => self.settled(task, executor, outcome),
            Command::StageSubmitted { stage, generation, partitions } => {
                self.stage_submitted(stage, generation, partitions)
            }
            Command::StageSkipped { stage } => self.events.add(AppEvent::StageSkipped { stage: stage.0 }),
            Command::StageCompleted { stage, generation } => {
                self.events.add(AppEvent::StageCompleted { stage: stage.0, generation });
            }
            Command::JobEnded { job, failure } => self.job_ended(job, failure),
            Command::DropShuffle { shuffle, before } => self.hub.push_all(&Order::DropShuffle { shuffle, before }),
            Command::DropDataset { dataset } => self.hub.push_all(&Order::DropDataset(dataset)),
            Command::ReplaceExecutor { executor, reason, charge } => {
                tracing::warn!(%executor, reason, "an executor is replaced");
                self.manager.replace(executor, &reason);
                self.lost(executor, &reason, charge);
            }
        }
    }

    fn launch(&mut self, task: TaskKey, executor: ExecutorId, locality: Locality, inputs: &[ShuffleId]) {
        let Some(stage) = self.stages.get(&task.stage) else { return };
        let mut payloads = Vec::new();
        for (node, partition) in stage.program.leaves(task.partition) {
            let known = stage.payloads.get(node).and_then(|of| of.get(partition as usize));
            if let (Some(payload), Ok(node)) = (known, u32::try_from(node)) {
                payloads.push((node, partition, payload.clone()));
            }
        }
        let mut places = BTreeMap::new();
        let mut shuffles = Vec::new();
        for shuffle in inputs {
            let Outputs { maps, .. } = self.scheduler.outputs(*shuffle).unwrap_or_default();
            for place in maps.iter().flatten().map(|output| output.place) {
                if let Some(address) = self.places.get(&place) {
                    places.entry(place).or_insert_with(|| address.clone());
                }
            }
            shuffles.push((*shuffle, maps));
        }
        let order = TaskOrder { task, program: stage.blob.id(), payloads, shuffles, places };
        self.hub.push(executor, Order::Launch(Box::new(order)));
        self.events.add(AppEvent::TaskStarted {
            stage: task.stage.0,
            generation: task.generation,
            partition: task.partition,
            attempt: task.attempt,
            executor,
            locality: locality.name().to_owned(),
        });
    }

    fn accept(&mut self, task: TaskKey, job: Option<JobNumber>) {
        let Some(report) = self.held.get_mut(&task) else { return };
        let result = std::mem::take(&mut report.result);
        if let Err(BadPart { name, reason }) = self.accumulators.merge(&std::mem::take(&mut report.accumulators)) {
            // A stage that writes a shuffle may be of several actions: each would show a sum that is wrong.
            let jobs: Vec<JobNumber> = job.map_or_else(|| self.jobs.keys().copied().collect(), |job| vec![job]);
            for job in jobs {
                self.fail_job(job, EngineError::Accumulator { name: name.clone(), reason: reason.clone() });
            }
            return;
        }
        let Some((number, info)) = job.and_then(|number| Some((number, self.jobs.get_mut(&number)?))) else { return };
        info.bytes = info.bytes.saturating_add(result.len() as u64);
        if info.bytes > self.results_max {
            let (action, max) = (info.action.clone(), self.results_max);
            self.fail_job(number, EngineError::ResultTooLarge { action, max });
            return;
        }
        info.waiter.deliver(task.partition, result);
    }

    /// Ends an action whose tasks do well.
    fn fail_job(&mut self, job: JobNumber, error: EngineError) {
        let Some(info) = self.jobs.get(&job) else { return };
        let reason = error.to_string();
        info.waiter.finish(Err(error));
        self.follow.push_back(Event::JobCancelled { job, reason });
    }

    fn settled(&mut self, task: TaskKey, executor: ExecutorId, outcome: TaskOutcome) {
        let metrics = self.held.remove(&task).map(|report| report.metrics).unwrap_or_default();
        if let TaskOutcome::Failed { reason } = &outcome {
            let stage = self.stages.get(&task.stage).map(|stage| stage.name.as_str()).unwrap_or_default();
            tracing::warn!(%task, stage, %executor, reason, "a task failed");
        }
        self.events.add(AppEvent::TaskEnded {
            stage: task.stage.0,
            generation: task.generation,
            partition: task.partition,
            attempt: task.attempt,
            executor,
            outcome,
            metrics,
        });
    }

    fn stage_submitted(&self, stage: StageId, generation: u32, partitions: Vec<u32>) {
        let Some(info) = self.stages.get(&stage) else { return };
        self.events.add(AppEvent::StageSubmitted {
            stage: stage.0,
            generation,
            name: info.name.clone(),
            parents: info.parents.iter().map(|parent| parent.0).collect(),
            shuffle: info.program.writes.map(|(shuffle, _)| shuffle.0),
            partitions,
            total: info.partitions,
        });
    }

    fn job_ended(&mut self, job: JobNumber, failure: Option<JobFailure>) {
        self.events.add(AppEvent::JobEnded { job: job.0, failure: failure.as_ref().map(ToString::to_string) });
        let Some(info) = self.jobs.remove(&job) else { return };
        self.stages.remove(&info.result);
        info.waiter.finish(match failure {
            None => Ok(()),
            Some(failure) => Err(failure.into()),
        });
    }
}
