//! The typed parts of a job put together, as the runtime runs them: mapper and sort or fold on the map side, groups and reducer
//! on the reduce side.

mod fold;
mod map;
mod reduce;

pub(crate) use fold::Folding;
pub(crate) use map::{MapOnly, Sorting};
pub(crate) use reduce::{ReduceSide, Reducing};

use mammoth_runtime::error::RuntimeError;
use mammoth_runtime::merge::Combiner;
use mammoth_runtime::task::{MapTask, ReduceTask, TaskCode};

/// A map without types.
pub(crate) trait MapSide: Send + Sync {
    /// Runs one map; the bytes of each partition of its output.
    fn run(&self, task: MapTask<'_>) -> Result<Vec<u64>, RuntimeError>;

    /// What makes fewer records of a key's, for the passes of a reduce's merge as well.
    fn combiner(&self) -> Option<Box<dyn Combiner>> {
        None
    }
}

/// Both sides of a job.
pub(crate) struct Code {
    pub(crate) map: Box<dyn MapSide>,
    pub(crate) reduce: Option<Box<dyn ReduceSide>>,
}

impl TaskCode for Code {
    fn has_reduce(&self) -> bool {
        self.reduce.is_some()
    }

    fn map(&self, task: MapTask<'_>) -> Result<Vec<u64>, RuntimeError> {
        self.map.run(task)
    }

    fn combiner(&self) -> Option<Box<dyn Combiner>> {
        self.map.combiner()
    }

    fn reduce(&self, task: ReduceTask<'_>) -> Result<(), RuntimeError> {
        match &self.reduce {
            Some(reduce) => reduce.run(task),
            None => Err(RuntimeError::Refused("this job has no reducer".to_owned())),
        }
    }
}
