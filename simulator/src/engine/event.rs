//! Everything that can happen.

use mammoth_engine_core::api::{DatasetId, Event, OutputId, PlaceId, ShuffleId, TaskKey};
use mammoth_protocol::jobs::ExecutorId;

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
