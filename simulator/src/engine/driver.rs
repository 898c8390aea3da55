//! The driver's door: what goes into the scheduler and comes out of it, with the mistakes that are planted there.

use super::bugs::Bug;
use super::event::{Launch, Order};
use super::world::World;
use mammoth_engine_core::api::{
    Command, Determinism, Event, JobSpec, OutputId, PlaceId, ShuffleId, StageSpec, TaskEnd, TaskKey,
};
use mammoth_engine_core::check::check;
use mammoth_protocol::jobs::ExecutorId;

impl World {
    /// The scheduler is told something.
    pub(super) fn told(&mut self, event: Event) {
        self.oracle.told(&event, &mut self.sim.coverage);
        if self.bug == Some(Bug::ResultDeliveredTwice) {
            self.deliver_at_once(&event);
        }
        let Some(event) = self.spoil(event) else { return };
        let commands = self.scheduler.handle(self.sim.now(), event);
        if let Err(violation) = check(&self.scheduler) {
            return self.sim.violation(violation.to_string());
        }
        for command in commands {
            self.sim.record(&format!("  {command:?}"));
            self.carry_out(command);
        }
    }

    /// The mistake on the way in.
    fn spoil(&mut self, event: Event) -> Option<Event> {
        Some(match (self.bug, event) {
            (Some(Bug::PartialRerun), Event::JobSubmitted(spec)) => Event::JobSubmitted(all_determinate(spec)),
            (Some(Bug::OldReportTaken), Event::TaskEnded { task, end: end @ TaskEnd::Success { .. }, .. }) => {
                let (task, executor) = self.oracle.newest(task)?;
                Event::TaskEnded { task, executor, end }
            }
            (Some(Bug::LossHidden), Event::TaskEnded { task, executor, end: TaskEnd::FetchFailed { reason, .. } }) => {
                let end = TaskEnd::FetchFailed { shuffle: ShuffleId(0), map: 0, output: None, reason };
                Event::TaskEnded { task, executor, end }
            }
            (
                Some(Bug::FetchCountsAsFailure),
                Event::TaskEnded { task, executor, end: TaskEnd::FetchFailed { reason, .. } },
            ) => Event::TaskEnded { task, executor, end: TaskEnd::Failed { reason, fatal: false } },
            (Some(Bug::OverCommit), Event::ExecutorAdded { executor, host, cores }) => {
                Event::ExecutorAdded { executor, host, cores: cores + 1 }
            }
            (Some(Bug::ExecutorLossHidden), Event::ExecutorLost { .. }) => return None,
            (Some(Bug::KillsUncharged), Event::ExecutorLost { executor, reason, .. }) => {
                Event::ExecutorLost { executor, reason, charge: false }
            }
            (Some(Bug::CancelLost), Event::JobCancelled { .. }) => return None,
            (_, event) => event,
        })
    }

    fn deliver_at_once(&mut self, event: &Event) {
        if let Event::TaskEnded { task, end: TaskEnd::Success { place: None }, .. } = event {
            let wrong = self.oracle.deliver(*task);
            wrong.into_iter().for_each(|what| self.sim.violation(what));
        }
    }

    fn carry_out(&mut self, command: Command) {
        if let Some(what) = self.oracle.judge(&command, &mut self.sim.coverage) {
            self.sim.violation(what);
        }
        match command {
            Command::Launch { task, executor, inputs, .. } => self.launch(task, executor, &inputs),
            Command::Cancel { task, executor } => self.order(executor, Order::Cancel(task)),
            Command::Commit { task, executor, granted } => {
                let granted = granted || self.bug == Some(Bug::EveryCommitGranted);
                let wrong = self.oracle.commit_answered(task, executor, granted);
                wrong.into_iter().for_each(|what| self.sim.violation(what));
                self.order(executor, Order::Commit(task, granted));
            }
            Command::Accept { task, job: Some(_) } if self.bug != Some(Bug::ResultDeliveredTwice) => {
                let wrong = self.oracle.deliver(task);
                wrong.into_iter().for_each(|what| self.sim.violation(what));
            }
            Command::DropShuffle { shuffle, before } => {
                for executor in self.executors.keys().copied().collect::<Vec<_>>() {
                    self.order(executor, Order::DropShuffle(shuffle, before));
                }
            }
            Command::DropDataset { dataset } => {
                if self.bug != Some(Bug::BlocksKept) {
                    self.drop_blocks(dataset);
                }
            }
            Command::ReplaceExecutor { executor, charge, .. } => self.kill(executor, charge),
            Command::Accept { .. }
            | Command::Settled { .. }
            | Command::StageSubmitted { .. }
            | Command::StageSkipped { .. }
            | Command::StageCompleted { .. }
            | Command::JobEnded { .. } => {}
        }
    }

    fn launch(&mut self, task: TaskKey, executor: ExecutorId, inputs: &[ShuffleId]) {
        let inputs = inputs.iter().map(|shuffle| (*shuffle, self.outputs(*shuffle))).collect();
        let launch = Launch { task, inputs };
        if let Some(what) = self.oracle.judge_inputs(&launch) {
            self.sim.violation(what);
        }
        self.order(executor, Order::Launch(launch));
    }

    /// The outputs of a shuffle as a task is told of them.
    fn outputs(&mut self, shuffle: ShuffleId) -> Vec<Option<OutputId>> {
        let maps = self.scheduler.outputs(shuffle).unwrap_or_default().maps;
        if self.bug == Some(Bug::CopyNotRenewed) && maps.iter().all(Option::is_some) {
            return self.copies.entry(shuffle).or_insert(maps).clone();
        }
        maps
    }

    /// The driver hears that an executor is lost.
    pub(super) fn executor_lost(&mut self, executor: ExecutorId, charge: bool) {
        if !self.known_lost.insert(executor) {
            return;
        }
        self.sim.coverage.hit(if charge { "executor lost" } else { "executor taken away" });
        self.told(Event::ExecutorLost { executor, reason: "it died".to_owned(), charge });
        let invented = self.bug == Some(Bug::LossInvented);
        if let Some(places) = self.trackers.clone().filter(|_| invented) {
            let host = executor.0 as usize % places.len();
            let commands = self.scheduler.handle(self.sim.now(), Event::PlaceLost { place: places[host] });
            commands.into_iter().for_each(|command| self.carry_out(command));
        }
    }

    pub(super) fn place_lost(&mut self, place: PlaceId) {
        self.sim.coverage.hit("place lost");
        self.told(Event::PlaceLost { place });
    }
}

fn all_determinate(spec: JobSpec) -> JobSpec {
    let same = |stage: StageSpec| StageSpec { determinism: Determinism::Determinate, ..stage };
    JobSpec { stages: spec.stages.into_iter().map(same).collect(), ..spec }
}
