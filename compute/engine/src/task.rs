//! A task, while it runs: who it is, whether it shall stop, what it counts.

mod accumulate;
pub(crate) mod panic;
pub(crate) mod pipeline;
pub(crate) mod run;

pub use accumulate::{AccumulatorState, Accumulators};

use crate::executor::Env;
use mammoth_engine_core::api::{OutputId, ShuffleId, TaskKey};
use mammoth_runtime::memory::TaskMemory;
use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Why a task ended without its work being done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TaskError {
    /// A map output could not be had.
    #[error("shuffle {shuffle}: the output of map {map} could not be fetched: {reason}")]
    Fetch {
        /// The shuffle.
        shuffle: ShuffleId,
        /// The partition of the stage that wrote it.
        map: u32,
        /// What was tried; `None`: the task was told of none.
        output: Option<OutputId>,
        /// What happened.
        reason: String,
    },
    /// It failed; another try may go well.
    #[error("{0}")]
    Failed(String),
    /// It failed, and so will every other try.
    #[error("{0}")]
    Fatal(String),
    /// It was told to stop.
    #[error("cancelled")]
    Cancelled,
}

impl TaskError {
    /// A failure that another try may not have.
    pub fn failed(reason: impl std::fmt::Display) -> Self {
        Self::Failed(reason.to_string())
    }

    /// A failure that every try has.
    pub fn fatal(reason: impl std::fmt::Display) -> Self {
        Self::Fatal(reason.to_string())
    }
}

impl From<crate::batch::WrongType> for TaskError {
    fn from(error: crate::batch::WrongType) -> Self {
        Self::fatal(error)
    }
}

impl From<crate::error::CodeError> for TaskError {
    fn from(error: crate::error::CodeError) -> Self {
        Self::fatal(error)
    }
}

/// What a task counts while it runs. Times are microseconds.
#[derive(Debug, Default)]
pub struct Counts {
    /// Bytes read from the distributed file system.
    pub dfs_read: AtomicU64,
    /// Bytes written to it.
    pub dfs_written: AtomicU64,
    /// Bytes that went to disk for lack of memory.
    pub spilled: AtomicU64,
    /// Bytes of shuffle output written.
    pub shuffle_written: AtomicU64,
    /// Bytes of shuffle output read.
    pub shuffle_read: AtomicU64,
    /// Records read from files, a shuffle or the cache.
    pub records_in: AtomicU64,
    /// Records given to the sink.
    pub records_out: AtomicU64,
    phases: Mutex<Vec<(&'static str, u64)>>,
}

impl Counts {
    /// Adds to a counter.
    pub fn add(counter: &AtomicU64, amount: u64) {
        counter.fetch_add(amount, Ordering::Relaxed);
    }

    /// Adds time to a phase.
    pub fn phase(&self, name: &'static str, us: u64) {
        let mut phases = self.phases.lock().unwrap_or_else(PoisonError::into_inner);
        match phases.iter_mut().find(|(known, _)| *known == name) {
            Some((_, sum)) => *sum = sum.saturating_add(us),
            None => phases.push((name, us)),
        }
    }

    pub(crate) fn phases(&self) -> Vec<(&'static str, u64)> {
        self.phases.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A running task.
pub struct TaskContext {
    /// Which.
    pub key: TaskKey,
    /// The shuffle that its stage writes, and its number of partitions.
    pub writes: Option<(ShuffleId, u32)>,
    /// The executor that it runs in.
    pub env: Arc<Env>,
    /// What it may hold.
    pub memory: TaskMemory,
    /// What it counts.
    pub counts: Counts,
    pub(crate) accumulators: Mutex<Accumulators>,
    cancelled: Arc<AtomicBool>,
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<TaskContext>>> = const { RefCell::new(None) };
}

impl TaskContext {
    pub(crate) fn new(
        key: TaskKey,
        writes: Option<(ShuffleId, u32)>,
        env: Arc<Env>,
        cancelled: Arc<AtomicBool>,
    ) -> Arc<Self> {
        let accumulators = Mutex::default();
        let memory = env.memory.begin_task();
        Arc::new(Self { key, writes, env, memory, counts: Counts::default(), accumulators, cancelled })
    }

    /// Ends the task if it shall stop. Asked for each batch, and wherever a task waits.
    ///
    /// # Errors
    /// [`TaskError::Cancelled`].
    pub fn check(&self) -> Result<(), TaskError> {
        if self.cancelled.load(Ordering::Relaxed) { Err(TaskError::Cancelled) } else { Ok(()) }
    }

    /// Refuses a result of so many bytes of `action` if the driver would. Asked while it is gathered, so that it never takes much more.
    ///
    /// # Errors
    /// [`TaskError::Fatal`]: it would be as large the next time.
    #[inline]
    pub fn check_result(&self, action: &str, bytes: usize) -> Result<(), TaskError> {
        let max = self.env.tuning.result_max;
        if bytes as u64 <= max {
            return Ok(());
        }
        Err(TaskError::fatal(format!(
            "what {action} gives of this partition takes more than {max} bytes: write it to files, or reduce it first"
        )))
    }

    /// The flag that [`Self::check`] reads.
    #[must_use]
    pub fn cancel_flag(&self) -> &Arc<AtomicBool> {
        &self.cancelled
    }

    /// Adds to the task's part of an accumulator.
    pub fn accumulate<S: AccumulatorState>(&self, number: u32, start: impl FnOnce() -> S, add: impl FnOnce(&mut S)) {
        let mut accumulators = self.accumulators.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(state) = accumulators.get(number, start) {
            add(state);
        }
    }

    /// The task that runs on this thread.
    #[must_use]
    pub fn current() -> Option<Arc<Self>> {
        CURRENT.with_borrow(Clone::clone)
    }

    /// Looks at the task that runs on this thread without taking a share of it.
    pub fn with_current<R>(look: impl FnOnce(Option<&Arc<Self>>) -> R) -> R {
        CURRENT.with_borrow(|current| look(current.as_ref()))
    }

    /// Makes it this thread's task as long as the guard lives.
    pub(crate) fn enter(self: &Arc<Self>) -> Entered {
        CURRENT.with_borrow_mut(|current| *current = Some(Arc::clone(self)));
        Entered
    }
}

pub(crate) struct Entered;

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.with_borrow_mut(|current| *current = None);
    }
}
