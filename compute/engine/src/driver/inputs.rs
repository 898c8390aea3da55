//! What reaches the driver's thread, as events for the scheduler.

use super::{Driver, ExecutorInfo, JobInfo, StageInfo, Submission};
use crate::error::EngineError;
use crate::hub::{Fault, Input};
use crate::wire::{Hello, Report, TaskReport, WireEnd, cut_reason};
use mammoth_engine_core::api::{Event, JobSpec, StageId, TaskEnd};
use mammoth_platform::{Clock, SystemClock};
use mammoth_protocol::jobs::ExecutorId;
use mammoth_protocol::jobs::event::AppEvent;
use std::collections::BTreeMap;
use std::sync::Arc;

impl Driver {
    pub(super) fn take(&mut self, input: Input) {
        match input {
            Input::Added(hello) => self.added(hello),
            Input::Heard(executor) => self.heard(executor),
            Input::Disconnected(executor) => {
                if let Some(info) = self.executors.get_mut(&executor) {
                    info.broken_ms.get_or_insert(SystemClock.now().monotonic_ms);
                }
            }
            Input::Report(executor, report, _room) => self.reported(executor, report),
            Input::Lost { executor, reason, fault: Fault::Own } => self.lost(executor, &reason, true),
            Input::Lost { executor, reason, fault: Fault::Tracker } => self.lost_with_tracker(executor, &reason),
            Input::Stranger { executor, reason } => self.stranger(executor, reason),
            Input::Submit(submission) => self.submit(*submission),
            Input::Freed(freed) => {
                for shuffle in freed.shuffles {
                    if let Some(stage) = self.writers.remove(&shuffle) {
                        self.stages.remove(&stage);
                    }
                    self.handle(Event::ShuffleReleased { shuffle });
                }
                for dataset in freed.datasets {
                    self.hub.push_all(&crate::wire::Order::DropDataset(dataset));
                    self.handle(Event::DatasetReleased { dataset });
                }
            }
            Input::Stop { failure } => self.ended = Some(failure),
        }
    }

    fn heard(&mut self, executor: ExecutorId) {
        if let Some(info) = self.executors.get_mut(&executor) {
            info.broken_ms = None;
        }
        self.handle(Event::ExecutorHeard { executor });
    }

    fn added(&mut self, hello: Hello) {
        let Hello { executor, host, pid, resources, place, .. } = hello;
        if self.executors.contains_key(&executor) {
            return;
        }
        let place = self.place_of(place);
        self.met = true;
        self.executors.insert(executor, ExecutorInfo { place, broken_ms: None });
        self.events.add(AppEvent::ExecutorAdded { executor, host: host.clone(), cores: resources.cores, pid });
        self.handle(Event::ExecutorAdded { executor, host, cores: resources.cores });
    }

    /// The one way by which executors go.
    pub(super) fn lost(&mut self, executor: ExecutorId, reason: &str, charge: bool) {
        let reason = &cut_reason(reason.to_owned());
        self.hub.forget(executor, reason);
        if self.executors.remove(&executor).is_some() {
            self.events.add(AppEvent::ExecutorLost { executor, reason: reason.to_owned() });
            self.handle(Event::ExecutorLost { executor, reason: reason.to_owned(), charge });
        }
        if let Err(reason) = self.manager.lost(executor, reason) {
            self.ended.get_or_insert(Some(reason));
        }
    }

    /// An executor is lost with its tracker: no task of it is to blame, and what tasks left there cannot be had any more.
    fn lost_with_tracker(&mut self, executor: ExecutorId, reason: &str) {
        // First the outputs, so that nothing is started that reads them.
        if let Some(place) = self.executors.get(&executor).map(|info| info.place) {
            self.handle(Event::PlaceLost { place });
        }
        self.lost(executor, reason, false);
    }

    /// An executor of another build was not let in. If none was before, none will be: it is the program that is wrong.
    fn stranger(&mut self, executor: ExecutorId, reason: String) {
        if self.met {
            tracing::warn!("{reason}");
            self.lost(executor, &reason, false);
        } else {
            self.ended.get_or_insert(Some(reason));
        }
    }

    fn reported(&mut self, executor: ExecutorId, report: Report) {
        self.heard(executor);
        match report {
            Report::TaskEnded(report) => self.task_ended(executor, *report),
            Report::Blocks(blocks) => {
                let held =
                    blocks.iter().map(|(dataset, partition, bytes)| (*dataset, *partition, *bytes > 0)).collect();
                let told =
                    blocks.into_iter().map(|(dataset, partition, bytes)| (dataset.0, partition, bytes)).collect();
                self.events.add(AppEvent::BlocksChanged { executor, blocks: told });
                self.handle(Event::BlocksChanged { executor, blocks: held });
            }
            Report::CommitAsked(task) => self.handle(Event::CommitAsked { task, executor }),
        }
    }

    fn task_ended(&mut self, executor: ExecutorId, mut report: TaskReport) {
        let Some(info) = self.executors.get(&executor) else { return };
        let task = report.task;
        let writes = self.stages.get(&task.stage).is_some_and(|stage| stage.program.writes.is_some());
        let end = match std::mem::replace(&mut report.end, WireEnd::Success) {
            WireEnd::Success => TaskEnd::Success { place: writes.then_some(info.place) },
            WireEnd::FetchFailed { shuffle, map, output, reason } => {
                TaskEnd::FetchFailed { shuffle, map, output, reason }
            }
            WireEnd::Failed { reason, fatal } => TaskEnd::Failed { reason, fatal },
            WireEnd::Cancelled => TaskEnd::Cancelled,
        };
        if matches!(end, TaskEnd::Success { .. }) {
            self.manager.progress();
        }
        self.held.insert(task, report);
        self.handle(Event::TaskEnded { task, executor, end });
        // Of a task that the scheduler did not know.
        self.held.remove(&task);
    }

    fn submit(&mut self, submission: Submission) {
        let Submission { job, action, call_site, stages, result, partitions, waiter } = submission;
        if let Some(failure) = &self.ended {
            let reason = failure.clone().unwrap_or_default();
            waiter.finish(Err(EngineError::Ended(reason)));
            return;
        }
        let writers: BTreeMap<_, StageId> =
            stages.iter().filter_map(|(stage, _)| Some((stage.spec.writes?, stage.spec.stage))).collect();
        let mut specs = Vec::new();
        for (stage, blob) in stages {
            let parents =
                stage.spec.parents.iter().filter_map(|parent| writers.get(&parent.shuffle).copied()).collect();
            if let Some(shuffle) = stage.spec.writes {
                self.writers.insert(shuffle, stage.spec.stage);
            }
            let info = StageInfo {
                program: Arc::new(stage.program),
                blob,
                payloads: stage.payloads,
                name: stage.spec.name.clone(),
                parents,
                partitions: stage.spec.partitions,
            };
            self.stages.insert(stage.spec.stage, info);
            specs.push(stage.spec);
        }
        let stages = specs.iter().map(|spec| spec.stage.0).collect();
        self.events.add(AppEvent::JobStarted { job: job.0, action: action.clone(), call_site, stages });
        self.jobs.insert(job, JobInfo { waiter, action, result, bytes: 0 });
        self.handle(Event::JobSubmitted(JobSpec { job, stages: specs, result, partitions }));
    }
}
