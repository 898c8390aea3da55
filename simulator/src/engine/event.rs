//! Everything that can happen, and the queue in which it waits.

use mammoth_engine_core::api::{DatasetId, Event, OutputId, PlaceId, ShuffleId, TaskKey};
use mammoth_protocol::jobs::ExecutorId;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A task as it is sent to an executor.
#[derive(Clone, Debug)]
pub(super) struct Launch {
    pub(super) task: TaskKey,
    /// The outputs that it reads.
    pub(super) inputs: Vec<(ShuffleId, Vec<Option<OutputId>>)>,
}

/// What an executor is told.
#[derive(Clone, Debug)]
pub(super) enum Order {
    Launch(Launch),
    Cancel(TaskKey),
    Commit(TaskKey, bool),
    DropDataset(DatasetId),
    /// Of generations before this one; `None`: all.
    DropShuffle(ShuffleId, Option<u32>),
}

/// What happens.
#[derive(Clone, Debug)]
pub(super) enum Happening {
    /// Something reaches the driver.
    Told(Event),
    /// Something reaches an executor.
    Order(ExecutorId, Order),
    /// A task is through.
    Finish(ExecutorId, TaskKey),
    /// An executor gives a sign of life.
    HeartbeatDue(ExecutorId),
    /// The driver hears that an executor is lost.
    LostKnown { executor: ExecutorId, charge: bool },
    /// A new executor starts.
    ExecutorStarts,
    /// The driver's clock ticks.
    Tick,
    /// The user's program does something.
    Submit,
    /// Something goes wrong.
    Fault,
    /// Somebody notices that a place is gone.
    PlaceNoticed(PlaceId),
}

/// What will happen, by time and number.
#[derive(Default)]
pub(super) struct Queue {
    heap: BinaryHeap<Reverse<Entry>>,
    next: u64,
}

struct Entry {
    at_ms: u64,
    number: u64,
    happening: Happening,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        (self.at_ms, self.number) == (other.at_ms, other.number)
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at_ms, self.number).cmp(&(other.at_ms, other.number))
    }
}

impl Queue {
    pub(super) fn add(&mut self, at_ms: u64, happening: Happening) {
        self.next += 1;
        self.heap.push(Reverse(Entry { at_ms, number: self.next, happening }));
    }

    pub(super) fn take(&mut self) -> Option<(u64, Happening)> {
        self.heap.pop().map(|Reverse(entry)| (entry.at_ms, entry.happening))
    }
}
