//! The events of an application as a whole: what pages, the comparison and tests look at.

use super::event::{AppEvent, TaskMetrics, TaskOutcome, TimedEvent};
use super::ids::{AppId, ExecutorId};
use crate::limits::TASKS_PER_KIND_MAX;
use std::collections::{BTreeMap, BTreeSet};

/// Failed tasks whose text is kept.
const FAILURES_KEPT: usize = 50;

/// An application so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AppFold {
    /// Which.
    pub app: AppId,
    /// For people.
    pub name: String,
    /// Whose.
    pub user: String,
    /// Where it runs.
    pub master: String,
    /// Milliseconds since 1970.
    pub started_ms: u64,
    /// 0 = not yet.
    pub ended_ms: u64,
    /// Why it failed, if it did.
    pub failure: Option<String>,
    /// All executors that ever were.
    pub executors: BTreeMap<ExecutorId, ExecutorFold>,
    /// All actions.
    pub jobs: BTreeMap<u32, JobFold>,
    /// All stages that were submitted or skipped.
    pub stages: BTreeMap<u32, StageFold>,
    /// Sums over all tasks that succeeded.
    pub total: TaskMetrics,
    /// The last tasks that failed.
    pub failures: Vec<String>,
    /// Accumulators at the end.
    pub accumulators: BTreeMap<String, String>,
    /// Bytes of cached datasets held now, by (executor, dataset, partition).
    pub cached: BTreeMap<(ExecutorId, u32, u32), u64>,
    /// Their sum.
    pub cached_now: u64,
    /// The most bytes that were ever held at once.
    pub cached_peak: u64,
}

/// An executor so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecutorFold {
    /// Its host.
    pub host: String,
    /// Tasks at a time.
    pub cores: u32,
    /// Its process.
    pub pid: u32,
    /// Set once it is gone.
    pub lost: Option<String>,
    /// Tasks that run.
    pub running: u32,
    /// Tasks that ended well.
    pub done: u32,
}

/// An action so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobFold {
    /// The action.
    pub action: String,
    /// `file:line`.
    pub call_site: String,
    /// Its stages.
    pub stages: Vec<u32>,
    /// Milliseconds since 1970.
    pub started_ms: u64,
    /// 0 = not yet.
    pub ended_ms: u64,
    /// Why it failed, if it did.
    pub failure: Option<String>,
}

/// A stage so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StageFold {
    /// For people.
    pub name: String,
    /// All partitions.
    pub total: u32,
    /// Partitions that are there, of the present generation.
    pub done: BTreeSet<u32>,
    /// Tasks that run.
    pub running: u32,
    /// Tasks that failed.
    pub failed: u32,
    /// How often it was submitted.
    pub submissions: u32,
    /// How often it was not needed.
    pub skipped: u32,
    /// Tasks that ended well, over all submissions.
    pub tasks: u32,
    /// First submission, milliseconds since 1970.
    pub started_ms: u64,
    /// 0 = not yet.
    pub ended_ms: u64,
    /// Sums over its tasks that succeeded.
    pub metrics: TaskMetrics,
}

impl TaskMetrics {
    /// Adds another task's; the peak is the higher one.
    pub fn merge(&mut self, other: &Self) {
        let sums: [(&mut u64, u64); 10] = [
            (&mut self.wall_us, other.wall_us),
            (&mut self.cpu_us, other.cpu_us),
            (&mut self.dfs_read, other.dfs_read),
            (&mut self.dfs_written, other.dfs_written),
            (&mut self.spilled, other.spilled),
            (&mut self.shuffle_written, other.shuffle_written),
            (&mut self.shuffle_read, other.shuffle_read),
            (&mut self.records_in, other.records_in),
            (&mut self.records_out, other.records_out),
            (&mut self.result, other.result),
        ];
        for (sum, more) in sums {
            *sum = sum.saturating_add(more);
        }
        self.memory_peak = self.memory_peak.max(other.memory_peak);
        for (phase, us) in &other.phases {
            let sum = self.phases.entry(phase.clone()).or_default();
            *sum = sum.saturating_add(*us);
        }
    }
}

impl AppFold {
    /// Everything that these events tell.
    #[must_use]
    pub fn of<'a>(events: impl IntoIterator<Item = &'a TimedEvent>) -> Self {
        let mut fold = Self::default();
        for event in events {
            fold.add(event);
        }
        fold
    }

    /// Takes the next event.
    pub fn add(&mut self, TimedEvent { at_ms, event }: &TimedEvent) {
        match event {
            AppEvent::AppStarted { app, name, user, master } => {
                (self.app, self.started_ms) = (*app, *at_ms);
                (self.name, self.user, self.master) = (name.clone(), user.clone(), master.clone());
            }
            AppEvent::ExecutorAdded { executor, host, cores, pid } => {
                let added = ExecutorFold { host: host.clone(), cores: *cores, pid: *pid, ..ExecutorFold::default() };
                self.executors.insert(*executor, added);
            }
            AppEvent::ExecutorLost { executor, reason } => {
                self.executors.entry(*executor).or_default().lost = Some(reason.clone());
                self.cached.retain(|(holder, ..), _| holder != executor);
                self.cached_now = self.cached.values().fold(0, |sum, bytes| sum.saturating_add(*bytes));
            }
            AppEvent::JobStarted { job, action, call_site, stages } => {
                let (action, call_site, stages) = (action.clone(), call_site.clone(), stages.clone());
                let started = JobFold { action, call_site, stages, started_ms: *at_ms, ..JobFold::default() };
                self.jobs.insert(*job, started);
            }
            AppEvent::JobEnded { job, failure } => {
                let job = self.jobs.entry(*job).or_default();
                (job.ended_ms, job.failure) = (*at_ms, failure.clone());
            }
            AppEvent::BlocksChanged { executor, blocks } => self.blocks(*executor, blocks),
            AppEvent::AppEnded { failure, accumulators } => {
                self.ended_ms = *at_ms;
                (self.failure, self.accumulators) = (failure.clone(), accumulators.clone());
            }
            AppEvent::StageSubmitted { .. }
            | AppEvent::StageSkipped { .. }
            | AppEvent::StageCompleted { .. }
            | AppEvent::TaskStarted { .. }
            | AppEvent::TaskEnded { .. } => self.work(*at_ms, event),
        }
    }

    /// Tasks that ended well, and tasks that are known of the present generations.
    #[must_use]
    pub fn progress(&self) -> (u64, u64) {
        let submitted = self.stages.values().filter(|stage| stage.submissions > 0);
        submitted.fold((0, 0), |(done, total), stage| (done + stage.done.len() as u64, total + u64::from(stage.total)))
    }

    fn work(&mut self, at_ms: u64, event: &AppEvent) {
        match event {
            AppEvent::StageSubmitted { stage, name, partitions, total, .. } => {
                let stage = self.stages.entry(*stage).or_default();
                // Whatever a driver says, no more is held than a stage can have.
                let total = (*total).min(u32::try_from(TASKS_PER_KIND_MAX).unwrap_or(u32::MAX));
                (stage.name, stage.total, stage.ended_ms) = (name.clone(), total, 0);
                stage.submissions += 1;
                stage.done = (0..total).collect();
                for partition in partitions {
                    stage.done.remove(partition);
                }
                if stage.started_ms == 0 {
                    stage.started_ms = at_ms;
                }
            }
            AppEvent::StageSkipped { stage } => self.stages.entry(*stage).or_default().skipped += 1,
            AppEvent::StageCompleted { stage, .. } => self.stages.entry(*stage).or_default().ended_ms = at_ms,
            AppEvent::TaskStarted { stage, executor, .. } => {
                self.stages.entry(*stage).or_default().running += 1;
                self.executors.entry(*executor).or_default().running += 1;
            }
            AppEvent::TaskEnded { stage, partition, executor, outcome, metrics, .. } => {
                self.task_ended(*stage, *partition, *executor, outcome, metrics);
            }
            _ => {}
        }
    }

    fn task_ended(
        &mut self,
        stage_id: u32,
        partition: u32,
        executor: ExecutorId,
        outcome: &TaskOutcome,
        metrics: &TaskMetrics,
    ) {
        let stage = self.stages.entry(stage_id).or_default();
        let holder = self.executors.entry(executor).or_default();
        stage.running = stage.running.saturating_sub(1);
        holder.running = holder.running.saturating_sub(1);
        match outcome {
            TaskOutcome::Success => {
                stage.done.insert(partition);
                stage.tasks += 1;
                holder.done += 1;
                stage.metrics.merge(metrics);
                self.total.merge(metrics);
            }
            TaskOutcome::Failed { reason } | TaskOutcome::FetchFailed { reason, .. } => {
                stage.failed += 1;
                if self.failures.len() == FAILURES_KEPT {
                    self.failures.remove(0);
                }
                self.failures.push(format!("stage {stage_id}, partition {partition}, executor {executor}: {reason}"));
            }
            TaskOutcome::Redundant | TaskOutcome::ExecutorLost | TaskOutcome::Cancelled => {}
        }
    }

    fn blocks(&mut self, executor: ExecutorId, blocks: &[(u32, u32, u64)]) {
        for (dataset, partition, bytes) in blocks {
            let key = (executor, *dataset, *partition);
            let before = if *bytes == 0 { self.cached.remove(&key) } else { self.cached.insert(key, *bytes) };
            self.cached_now = self.cached_now.saturating_sub(before.unwrap_or(0)).saturating_add(*bytes);
        }
        self.cached_peak = self.cached_peak.max(self.cached_now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(at_ms: u64, event: AppEvent) -> TimedEvent {
        TimedEvent { at_ms, event }
    }

    fn ended(partition: u32, outcome: TaskOutcome) -> AppEvent {
        let metrics =
            TaskMetrics { wall_us: 10, phases: [("compute".to_owned(), 10)].into(), ..TaskMetrics::default() };
        AppEvent::TaskEnded {
            stage: 0,
            generation: 0,
            partition,
            attempt: 0,
            executor: ExecutorId(1),
            outcome,
            metrics,
        }
    }

    #[test]
    fn a_recomputed_partition_counts_once_and_failed_tasks_keep_their_text() {
        let submitted = |partitions: Vec<u32>| AppEvent::StageSubmitted {
            stage: 0,
            generation: 0,
            name: "map".to_owned(),
            parents: Vec::new(),
            shuffle: Some(0),
            partitions,
            total: 2,
        };
        let failed = TaskOutcome::Failed { reason: "boom".to_owned() };
        let events = [
            at(1, submitted(vec![0, 1])),
            at(2, ended(0, TaskOutcome::Success)),
            at(3, ended(1, failed)),
            at(4, ended(1, TaskOutcome::Success)),
            at(5, submitted(vec![1])),
            at(6, ended(1, TaskOutcome::Success)),
        ];
        let fold = AppFold::of(&events[..5]);
        assert_eq!(fold.progress(), (1, 2), "partition 1 is to be made again");
        let fold = AppFold::of(&events);
        assert_eq!(fold.progress(), (2, 2));
        assert_eq!((fold.stages[&0].tasks, fold.total.wall_us, fold.total.phases["compute"]), (3, 30, 30));
        assert!(fold.failures[0].contains("boom"));
    }

    #[test]
    fn a_stage_of_any_size_that_a_driver_names_takes_bounded_memory() {
        let mut fold = AppFold::default();
        let submitted = AppEvent::StageSubmitted {
            stage: 0,
            generation: 0,
            name: "huge".to_owned(),
            parents: Vec::new(),
            shuffle: None,
            partitions: vec![0, 2],
            total: u32::MAX,
        };
        fold.add(&at(1, submitted));
        assert_eq!(fold.stages[&0].done.len(), TASKS_PER_KIND_MAX - 2);
    }

    #[test]
    fn cached_bytes_follow_the_blocks_and_go_with_their_executor() {
        let blocks = |blocks| AppEvent::BlocksChanged { executor: ExecutorId(1), blocks };
        let mut fold = AppFold::of(&[at(1, blocks(vec![(7, 0, 100), (7, 1, 50)])), at(2, blocks(vec![(7, 0, 0)]))]);
        assert_eq!((fold.cached.len(), fold.cached_now, fold.cached_peak), (1, fold.cached.values().sum(), 150));
        fold.add(&at(3, AppEvent::ExecutorLost { executor: ExecutorId(1), reason: "killed".to_owned() }));
        assert!(fold.cached.is_empty() && fold.cached_now == 0);
    }

    #[test]
    fn events_are_flat_json_lines() {
        let line = serde_json::to_string(&at(5, AppEvent::StageSkipped { stage: 3 })).unwrap();
        assert_eq!(line, r#"{"at_ms":5,"event":"stage_skipped","stage":3}"#);
        assert_eq!(serde_json::from_str::<TimedEvent>(&line).unwrap(), at(5, AppEvent::StageSkipped { stage: 3 }));
    }
}
