//! What operations are made of: sources give batches, steps change them, sinks take them.
//!
//! The typed SDK implements these traits, once for each kind of operation; the engine knows no record types. All of a task's
//! operations live and end on the thread that runs the task.

use crate::batch::Batch;
use crate::shuffle::ShuffleInput;
use crate::task::{TaskContext, TaskError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// Where batches come from.
pub trait Source {
    /// The next batch, never an empty one; `None` at the end.
    ///
    /// # Errors
    /// Whatever ends the task.
    fn next(&mut self) -> Result<Option<Batch>, TaskError>;
}

/// What a step did with a batch.
#[derive(Debug, Default)]
pub struct Stepped {
    /// What it gives on, if anything.
    pub batch: Option<Batch>,
    /// Whether there is more of the same batch: the step is to be called again, with no batch, before it is given another.
    pub more: bool,
}

impl Stepped {
    /// All that there is.
    #[must_use]
    pub fn all(batch: Batch) -> Self {
        Self { batch: (!batch.is_empty()).then_some(batch), more: false }
    }
}

/// What is done to batches.
pub trait Step {
    /// Takes a batch; with `None` goes on with the one before, see [`Stepped::more`].
    ///
    /// # Errors
    /// Whatever ends the task.
    fn apply(&mut self, input: Option<Batch>) -> Result<Stepped, TaskError>;
}

/// What a sink leaves at the end.
#[derive(Debug, Default)]
pub struct Finished {
    /// For the driver; empty if the sink wrote files.
    pub result: Vec<u8>,
    /// Bytes that it wrote for each partition of a shuffle.
    pub partitions: Vec<u64>,
}

/// Where batches go.
pub trait Sink {
    /// Takes a batch. `false`: it needs no more.
    ///
    /// # Errors
    /// Whatever ends the task.
    fn take(&mut self, batch: Batch) -> Result<bool, TaskError>;

    /// All was taken.
    ///
    /// # Errors
    /// Whatever ends the task.
    fn finish(self: Box<Self>) -> Result<Finished, TaskError>;
}

/// What a source is made from.
pub struct SourceArgs<'a> {
    /// Its serialised state.
    pub captures: &'a [u8],
    /// Which partition of its dataset it gives.
    pub partition: u32,
    /// What the driver knows of this partition alone; empty for sources that read others.
    pub payload: Vec<u8>,
    /// In the order of the node's inputs, those on the same executor.
    pub narrow: Vec<Box<dyn Source>>,
    /// In the order of the node's inputs, those that come over a shuffle.
    pub shuffles: Vec<ShuffleInput>,
    /// The task that it runs in.
    pub task: Arc<TaskContext>,
}

/// How the batches of a cached dataset are kept.
pub trait CacheCodec: Send + Sync {
    /// The same records, in a form that [`Self::share`] can give out again and again.
    ///
    /// # Errors
    /// A batch of another type.
    fn keep(&self, batch: Batch) -> Result<Batch, TaskError>;

    /// Another handle to a kept batch.
    ///
    /// # Errors
    /// A batch of another type.
    fn share(&self, kept: &Batch) -> Result<Batch, TaskError>;

    /// What a kept batch takes in memory, bytes, as far as can be told.
    fn weight(&self, kept: &Batch) -> u64;
}

/// Makes a [`Source`].
pub trait SourceOp: 'static {
    /// The operation's name, for people and for the check of code references.
    const NAME: &'static str;
    /// What travels with it.
    type State: Serialize + DeserializeOwned;
    /// The closures in it, of size zero.
    type Function: Copy + Send + Sync + 'static;

    /// Makes it, in the task.
    ///
    /// # Errors
    /// Whatever ends the task.
    fn make(state: Self::State, function: Self::Function, args: SourceArgs<'_>) -> Result<Box<dyn Source>, TaskError>;
}

/// Makes a [`Step`].
pub trait StepOp: 'static {
    /// As [`SourceOp::NAME`].
    const NAME: &'static str;
    /// As [`SourceOp::State`].
    type State: Serialize + DeserializeOwned;
    /// As [`SourceOp::Function`].
    type Function: Copy + Send + Sync + 'static;

    /// Makes it, in the task.
    ///
    /// # Errors
    /// Whatever ends the task.
    fn make(state: Self::State, function: Self::Function, task: &Arc<TaskContext>) -> Result<Box<dyn Step>, TaskError>;
}

/// Makes a [`Sink`].
pub trait SinkOp: 'static {
    /// As [`SourceOp::NAME`].
    const NAME: &'static str;
    /// As [`SourceOp::State`].
    type State: Serialize + DeserializeOwned;
    /// As [`SourceOp::Function`].
    type Function: Copy + Send + Sync + 'static;

    /// Makes it, in the task.
    ///
    /// # Errors
    /// Whatever ends the task.
    fn make(state: Self::State, function: Self::Function, task: &Arc<TaskContext>) -> Result<Box<dyn Sink>, TaskError>;
}

/// Makes a [`CacheCodec`].
pub trait CacheOp: 'static {
    /// As [`SourceOp::NAME`].
    const NAME: &'static str;

    /// Makes it.
    fn make() -> Box<dyn CacheCodec>;
}
