//! Fake executors: what they really run, hold and leave behind.

use super::event::{Happening, Launch, Order};
use super::work::Made;
use super::world::{HOSTS, World};
use mammoth_engine_core::api::{DatasetId, Event, OutputId, PlaceId, ShuffleId, StageSpec, TaskEnd, TaskKey};
use mammoth_protocol::jobs::ExecutorId;
use std::collections::BTreeMap;

/// An output file: shuffle, map, generation, attempt.
pub(super) type Output = (ShuffleId, u32, u32, u32);

/// A process that is there.
pub(super) struct Executor {
    pub(super) host: usize,
    pub(super) place: PlaceId,
    cores: u32,
    pub(super) hung_until_ms: u64,
    running: BTreeMap<TaskKey, Task>,
    pub(super) blocks: BTreeMap<(DatasetId, u32), Made>,
    /// Orders come in order.
    orders_at_ms: u64,
    /// Reports leave in order; few overtake others.
    reports_at_ms: u64,
}

struct Task {
    launch: Launch,
    cancelled: bool,
    /// It does not stop when it is told to.
    stubborn: bool,
    commit: Commit,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Commit {
    NotAsked,
    Asked,
    Granted,
}

impl World {
    pub(super) fn executor_starts(&mut self) {
        let executor = ExecutorId(self.next_executor);
        self.next_executor += 1;
        let host = usize::try_from(self.sim.rng.below(HOSTS as u64)).unwrap_or(0);
        let cores = 1 + u32::try_from(self.sim.rng.below(3)).unwrap_or(0);
        let own = if self.trackers.is_none() { Some(self.new_place()) } else { None };
        let place = own.or_else(|| self.trackers.as_ref()?.get(host).copied()).unwrap_or_default();
        let started = Executor {
            host,
            place,
            cores,
            hung_until_ms: 0,
            running: BTreeMap::new(),
            blocks: BTreeMap::new(),
            orders_at_ms: 0,
            reports_at_ms: 0,
        };
        self.executors.insert(executor, started);
        self.sim.coverage.hit("executor started");
        self.sim.later(1_000, Happening::HeartbeatDue(executor));
        self.told(Event::ExecutorAdded { executor, host: format!("h{host}"), cores });
    }

    pub(super) fn heartbeat(&mut self, executor: ExecutorId) {
        if self.executors.contains_key(&executor) {
            self.sim.later(4_000, Happening::HeartbeatDue(executor));
            self.told(Event::ExecutorHeard { executor });
        }
    }

    fn delay(&mut self) -> u64 {
        self.sim.message_ms(20, 800, 50)
    }

    /// Sends an order, after those before it.
    pub(super) fn order(&mut self, executor: ExecutorId, order: Order) {
        let delay = self.delay();
        let Some(known) = self.executors.get_mut(&executor) else { return };
        known.orders_at_ms = known.orders_at_ms.max(self.sim.now_ms + delay);
        let at_ms = known.orders_at_ms;
        self.sim.at(at_ms, Happening::Order(executor, order));
    }

    /// Sends a report: most arrive in order, some late, some twice.
    fn report(&mut self, executor: ExecutorId, event: Event) {
        let delay = self.delay();
        let late = self.sim.mishap(40);
        let Some(known) = self.executors.get_mut(&executor) else { return };
        let mut at_ms = known.reports_at_ms.max(self.sim.now_ms + delay);
        known.reports_at_ms = at_ms;
        if late {
            self.sim.coverage.hit("report late");
            at_ms += 1 + self.sim.rng.below(4_000);
        }
        if self.sim.network_mishap(30, "report doubled") {
            let again_ms = at_ms + self.sim.rng.below(6_000);
            self.sim.at(again_ms, Happening::Told(event.clone()));
        }
        self.sim.at(at_ms, Happening::Told(event));
    }

    pub(super) fn obey(&mut self, executor: ExecutorId, order: Order) {
        let Some(known) = self.executors.get_mut(&executor) else { return };
        match order {
            Order::Launch(launch) => self.start(executor, launch),
            Order::Cancel(task) => {
                let Some(running) = known.running.get_mut(&task).filter(|running| !running.stubborn) else { return };
                running.cancelled = true;
                let delay = 1 + self.sim.rng.below(150);
                self.sim.later(delay, Happening::Finish(executor, task));
            }
            Order::Commit(task, granted) => self.commit_answered(executor, task, granted),
            Order::DropDataset(dataset) => known.blocks.retain(|(held, _), _| *held != dataset),
            Order::DropShuffle(shuffle, before) => {
                let place = known.place;
                if let Some(outputs) = self.places.get_mut(&place) {
                    outputs.retain(|(of, _, generation, _), _| {
                        *of != shuffle || before.is_some_and(|before| *generation >= before)
                    });
                }
            }
        }
    }

    fn start(&mut self, executor: ExecutorId, launch: Launch) {
        let stubborn = self.sim.mishap(6);
        let time_ms = if stubborn { 40_000 } else { 20 + self.sim.rng.below(900) };
        let task = launch.task;
        let Some(known) = self.executors.get_mut(&executor) else { return };
        known.running.insert(task, Task { launch, cancelled: false, stubborn, commit: Commit::NotAsked });
        let (running, cores) = (known.running.len(), known.cores);
        if running > cores as usize {
            return self.sim.violation(format!("executor {executor} has {cores} cores and was given {running} tasks"));
        }
        self.sim.later(time_ms, Happening::Finish(executor, task));
    }

    /// The program's handle to a dataset is gone, and so are its blocks.
    pub(super) fn drop_blocks(&mut self, dataset: DatasetId) {
        for executor in self.executors.keys().copied().collect::<Vec<_>>() {
            self.order(executor, Order::DropDataset(dataset));
        }
    }

    /// A task has come to its end, or as far as it comes without an answer.
    pub(super) fn finish(&mut self, executor: ExecutorId, task: TaskKey) {
        let Some(running) = self.executors.get(&executor).and_then(|known| known.running.get(&task)) else { return };
        let (cancelled, commit) = (running.cancelled, running.commit);
        if cancelled && self.sim.rng.chance(850) {
            return self.end(executor, task, TaskEnd::Cancelled);
        }
        if self.oracle.is_poison(task) {
            self.sim.coverage.hit("poison killed an executor");
            return self.kill(executor, true);
        }
        if self.sim.mishap(35) {
            self.sim.coverage.hit("task failed");
            let fatal = self.sim.rng.chance(30);
            return self.end(executor, task, TaskEnd::Failed { reason: "boom".to_owned(), fatal });
        }
        if self.oracle.saves(task) && commit != Commit::Granted {
            if commit == Commit::NotAsked {
                self.set_commit(executor, task, Commit::Asked);
                self.report(executor, Event::CommitAsked { task, executor });
            }
            return;
        }
        let Some(spec) = self.oracle.specs.get(&task.stage).cloned() else { return };
        match self.read(executor, &spec, task) {
            Ok(made) => self.write(executor, &spec, task, made),
            Err(end) => self.end(executor, task, end),
        }
    }

    fn set_commit(&mut self, executor: ExecutorId, task: TaskKey, commit: Commit) {
        if let Some(running) = self.executors.get_mut(&executor).and_then(|known| known.running.get_mut(&task)) {
            running.commit = commit;
        }
    }

    fn commit_answered(&mut self, executor: ExecutorId, task: TaskKey, granted: bool) {
        let running = self.executors.get(&executor).and_then(|known| known.running.get(&task));
        if running.is_none_or(|running| running.commit != Commit::Asked) {
            return;
        }
        if !granted {
            self.sim.coverage.hit("commit refused");
            return self.end(executor, task, TaskEnd::Failed { reason: "may not commit".to_owned(), fatal: false });
        }
        self.set_commit(executor, task, Commit::Granted);
        let delay = 1 + self.sim.rng.below(60);
        self.sim.later(delay, Happening::Finish(executor, task));
    }

    /// Reads what a task reads: blocks where there are any, else the outputs that it was told of.
    fn read(&mut self, executor: ExecutorId, spec: &StageSpec, task: TaskKey) -> Result<Made, TaskEnd> {
        let spurious = self.sim.mishap(8);
        let first = usize::try_from(self.sim.rng.below(8)).unwrap_or(0);
        let Some(known) = self.executors.get(&executor) else { return Err(TaskEnd::Cancelled) };
        let Some(running) = known.running.get(&task) else { return Err(TaskEnd::Cancelled) };
        let mut made = Made::default();
        for (shuffle, maps) in &running.launch.inputs {
            let behind = spec.parents.iter().find(|parent| parent.shuffle == *shuffle).map(|parent| &parent.behind);
            let block = behind.into_iter().flatten().find_map(|dataset| known.blocks.get(&(*dataset, task.partition)));
            if let Some(block) = block {
                made.add(block);
                continue;
            }
            let maps: Vec<(u32, Option<OutputId>)> = (0..).zip(maps.iter().copied()).collect();
            for at in 0..maps.len() {
                let (map, output) = maps[(first + at) % maps.len()];
                let file = output.and_then(|output| {
                    let file = (*shuffle, map, output.generation, output.attempt);
                    self.places.get(&output.place)?.get(&file)
                });
                match file {
                    Some(file) if !spurious => made.add(file),
                    _ => {
                        self.sim.coverage.hit(if file.is_some() { "fetch failed for nothing" } else { "fetch failed" });
                        let reason = "refused".to_owned();
                        return Err(TaskEnd::FetchFailed { shuffle: *shuffle, map, output, reason });
                    }
                }
            }
        }
        Ok(made)
    }

    /// Leaves what a task leaves: a block, an output, a result.
    fn write(&mut self, executor: ExecutorId, spec: &StageSpec, task: TaskKey, mut made: Made) {
        let room = self.sim.rng.chance(850);
        let Some(known) = self.executors.get_mut(&executor) else { return };
        let place = known.place;
        let block = spec.cached.first().map(|dataset| (*dataset, task.partition));
        let block = block.filter(|block| room && !known.blocks.contains_key(block));
        if let Some(block) = block {
            known.blocks.insert(block, made.clone());
            self.sim.coverage.hit("block cached");
            self.report(executor, Event::BlocksChanged { executor, blocks: vec![(block.0, block.1, true)] });
        }
        let place = spec.writes.map(|shuffle| {
            if self.oracle.is_indeterminate(task.stage) {
                made.of.entry(task.stage).or_default().insert(task.generation);
            }
            if let Some(outputs) = self.places.get_mut(&place) {
                outputs.insert((shuffle, task.partition, task.generation, task.attempt), made.clone());
            }
            place
        });
        if place.is_none() {
            self.oracle.result_left(task, made);
        }
        self.oracle.succeeded.insert(task);
        self.end(executor, task, TaskEnd::Success { place });
    }

    fn end(&mut self, executor: ExecutorId, task: TaskKey, end: TaskEnd) {
        if let Some(known) = self.executors.get_mut(&executor) {
            known.running.remove(&task);
        }
        self.report(executor, Event::TaskEnded { task, executor, end });
    }

    /// An executor's process dies.
    pub(super) fn kill(&mut self, executor: ExecutorId, charge: bool) {
        let Some(dead) = self.executors.remove(&executor) else { return };
        if self.trackers.is_none() {
            self.places.remove(&dead.place);
            let delay = 2_000 + self.sim.rng.below(500);
            self.sim.later(delay, Happening::PlaceNoticed(dead.place));
        }
        let delay = 1 + self.sim.rng.below(1_500);
        self.sim.later(delay, Happening::LostKnown { executor, charge });
        self.replenish();
    }
}
