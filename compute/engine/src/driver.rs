//! The driver's thread: it owns the scheduler, feeds it with what happens, and carries out what it says.

mod commands;
mod inputs;
#[cfg(test)]
mod tests;
mod waiter;

pub(crate) use waiter::{Ticket, Waiter};

use crate::accumulators::Registry;
use crate::events::EventLog;
use crate::hub::{BlobHandle, Hub, Input};
use crate::plan::cut::Stage;
use crate::program::{Payload, Program};
use crate::wire::{PlaceAddress, TaskReport};
use mammoth_engine_core::Scheduler;
use mammoth_engine_core::api::{Config, Event, JobNumber, PlaceId, ShuffleId, StageId, TaskKey};
use mammoth_platform::{Clock, Deadline, SystemClock};
use mammoth_protocol::jobs::ExecutorId;
use mammoth_protocol::jobs::event::AppEvent;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

/// Inputs that may wait for the thread.
pub(crate) const INBOX: usize = 4096;
/// Time between two ticks.
const TICK: Duration = Duration::from_millis(100);
/// How long an executor whose connection broke may take to come again. One that lives does so at once.
const BROKEN_MAX_MS: u64 = 3000;

/// An action, ready to run.
#[derive(Debug)]
pub(crate) struct Submission {
    pub(crate) job: JobNumber,
    pub(crate) action: String,
    pub(crate) call_site: String,
    /// Parents first, each with its program's blob.
    pub(crate) stages: Vec<(Stage, BlobHandle)>,
    pub(crate) result: StageId,
    pub(crate) partitions: Vec<u32>,
    pub(crate) waiter: Ticket,
}

/// Where executors come from.
pub(crate) trait Manager: Send {
    /// Ends an executor's process, and has another one started in its place.
    fn replace(&mut self, executor: ExecutorId, reason: &str);

    /// An executor was heard of no more, or ended: another one shall take its place, unless there are too many deaths.
    ///
    /// # Errors
    /// Why there will be no more executors: the application fails.
    fn lost(&mut self, executor: ExecutorId, reason: &str) -> Result<(), String>;

    /// Tasks succeed: deaths from now on are counted anew.
    fn progress(&mut self) {}

    /// Ends all executors.
    fn stop(&mut self, failure: Option<&str>);
}

/// What the driver's thread is made of.
pub(crate) struct Parts {
    pub(crate) hub: Arc<Hub>,
    pub(crate) inbox: Receiver<Input>,
    pub(crate) config: Config,
    /// Most bytes of results of one action.
    pub(crate) results_max: u64,
    pub(crate) events: Arc<EventLog>,
    pub(crate) accumulators: Arc<Registry>,
    pub(crate) manager: Box<dyn Manager>,
    /// The first event.
    pub(crate) app: AppEvent,
}

struct StageInfo {
    program: Arc<Program>,
    blob: BlobHandle,
    payloads: Vec<Arc<Vec<Payload>>>,
    name: String,
    parents: Vec<StageId>,
    partitions: u32,
}

struct JobInfo {
    waiter: Ticket,
    action: String,
    result: StageId,
    bytes: u64,
}

struct ExecutorInfo {
    place: PlaceId,
    /// When its connection broke, until it is heard again.
    broken_ms: Option<u64>,
}

/// Closes the hub at the end of the driver's thread, however that comes.
struct Closing(Arc<Hub>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close("the driver has ended");
    }
}

/// See the module.
pub(crate) struct Driver {
    hub: Arc<Hub>,
    scheduler: Scheduler,
    results_max: u64,
    events: Arc<EventLog>,
    accumulators: Arc<Registry>,
    manager: Box<dyn Manager>,
    stages: BTreeMap<StageId, StageInfo>,
    writers: BTreeMap<ShuffleId, StageId>,
    jobs: BTreeMap<JobNumber, JobInfo>,
    executors: BTreeMap<ExecutorId, ExecutorInfo>,
    places: BTreeMap<PlaceId, PlaceAddress>,
    /// Reports of tasks that the scheduler has not settled yet.
    held: BTreeMap<TaskKey, TaskReport>,
    /// Events that carrying out commands gave.
    follow: VecDeque<Event>,
    ended: Option<Option<String>>,
    /// An executor was let in.
    met: bool,
}

impl Driver {
    /// Runs until the application ends.
    pub(crate) fn run(parts: Parts) {
        // If this thread panics, nobody shall wait for it.
        let _closing = Closing(Arc::clone(&parts.hub));
        let Parts { hub, inbox, config, results_max, events, accumulators, manager, app } = parts;
        let mut driver = Self {
            hub,
            scheduler: Scheduler::new(config),
            results_max,
            events,
            accumulators,
            manager,
            stages: BTreeMap::new(),
            writers: BTreeMap::new(),
            jobs: BTreeMap::new(),
            executors: BTreeMap::new(),
            places: BTreeMap::new(),
            held: BTreeMap::new(),
            follow: VecDeque::new(),
            ended: None,
            met: false,
        };
        driver.events.add(app);
        let mut next_tick = Deadline::after(&SystemClock, TICK);
        while driver.ended.is_none() {
            // However much there is to do: who is silent is found by ticks alone.
            if next_tick.is_over(&SystemClock) {
                driver.tick();
                next_tick = Deadline::after(&SystemClock, TICK);
                continue;
            }
            match inbox.recv_timeout(next_tick.left(&SystemClock)) {
                Ok(input) => driver.take(input),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => driver.ended = Some(None),
            }
        }
        let failure = driver.ended.take().flatten();
        driver.finish(failure);
        // Whoever still sends must not wait for room.
        drop(inbox);
    }

    fn tick(&mut self) {
        let now = SystemClock.now().monotonic_ms;
        let is_gone =
            |info: &ExecutorInfo| info.broken_ms.is_some_and(|since| now.saturating_sub(since) > BROKEN_MAX_MS);
        let gone: Vec<ExecutorId> =
            self.executors.iter().filter(|(_, info)| is_gone(info)).map(|(executor, _)| *executor).collect();
        for executor in gone {
            let reason = "its connection broke and it did not come again";
            self.manager.replace(executor, reason);
            self.lost(executor, reason, true);
        }
        self.handle(Event::Tick);
    }

    fn finish(&mut self, failure: Option<String>) {
        let reason = failure.clone().unwrap_or_else(|| "the context was stopped".to_owned());
        for (_, job) in std::mem::take(&mut self.jobs) {
            job.waiter.finish(Err(crate::error::EngineError::Ended(reason.clone())));
        }
        self.events.add(AppEvent::AppEnded { failure: failure.clone(), accumulators: self.accumulators.show() });
        self.hub.push_all(&crate::wire::Order::Stop { reason: reason.clone() });
        self.manager.stop(failure.as_deref());
        self.hub.close(&reason);
    }

    /// Feeds the scheduler and does what it says, until there is nothing more to follow.
    fn handle(&mut self, event: Event) {
        self.follow.push_back(event);
        while let Some(event) = self.follow.pop_front() {
            for command in self.scheduler.handle(SystemClock.now(), event) {
                self.carry_out(command);
            }
        }
    }

    fn place_of(&mut self, address: PlaceAddress) -> PlaceId {
        if let Some((place, _)) = self.places.iter().find(|(_, known)| **known == address) {
            return *place;
        }
        let place = PlaceId(self.places.last_key_value().map_or(0, |(place, _)| place.0.saturating_add(1)));
        self.places.insert(place, address);
        place
    }
}
