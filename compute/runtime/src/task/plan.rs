//! A job without types: what its program's function describes, the same in the driver and in every task.

use super::{MapTask, ReduceTask};
use crate::commit::TaskOutput;
use crate::error::RuntimeError;
use crate::input::InputFormat;
use crate::merge::Combiner;
use crate::output::part_name;
use mammoth_platform::{Settings, keys};
use mammoth_protocol::jobs::spec::JobSpec;
use mammoth_protocol::jobs::{JobId, TaskId, TaskKind};
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// How a job was called: its arguments (it derefs to them) and the settings.
#[derive(Clone, Copy, Debug)]
pub struct JobArgs<'a> {
    /// What follows the job's name on the command line.
    pub args: &'a [String],
    /// Settings of the cluster and of the command line.
    pub settings: &'a Settings,
}

impl Deref for JobArgs<'_> {
    type Target = [String];

    fn deref(&self) -> &[String] {
        self.args
    }
}

/// The user's code behind a job. One object serves one process: the local runner calls it for many tasks.
pub trait TaskCode: Send + Sync {
    /// Whether the maps' output goes through a shuffle to a reducer.
    fn has_reduce(&self) -> bool;

    /// Runs one map. The bytes of each partition of its output; none for a job without reduces.
    ///
    /// # Errors
    /// Input, output or the user's code failed.
    fn map(&self, task: MapTask<'_>) -> Result<Vec<u64>, RuntimeError>;

    /// What makes fewer records of a key's, for the passes of a reduce's merge.
    fn combiner(&self) -> Option<Box<dyn Combiner>>;

    /// Runs one reduce.
    ///
    /// # Errors
    /// Input, output or the user's code failed.
    fn reduce(&self, task: ReduceTask<'_>) -> Result<(), RuntimeError>;
}

/// See the module.
#[derive(Clone)]
pub struct JobPlan {
    /// For people.
    pub name: String,
    /// Paths and patterns of the input.
    pub inputs: Vec<String>,
    /// Folder of the output.
    pub output: Option<String>,
    /// Number of reduces, if the program says; otherwise the settings do.
    pub reduces: Option<u32>,
    /// Settings that the program decides.
    pub settings: Vec<(String, String)>,
    /// How input is cut and read.
    pub format: Arc<dyn InputFormat>,
    /// The user's code.
    pub code: Arc<dyn TaskCode>,
    /// The job after this one, which reads this one's output.
    pub then: Option<Box<Self>>,
}

impl fmt::Debug for JobPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobPlan")
            .field("name", &self.name)
            .field("inputs", &self.inputs)
            .field("output", &self.output)
            .finish_non_exhaustive()
    }
}

impl JobPlan {
    /// The jobs of a chain, in order.
    #[must_use]
    pub fn into_steps(mut self) -> Vec<Self> {
        let mut steps = Vec::new();
        while let Some(next) = self.then.take() {
            steps.push(std::mem::replace(&mut self, *next));
        }
        steps.push(self);
        steps
    }

    /// One job of a chain, by what [`Self::encode_step`] made of its number.
    ///
    /// # Errors
    /// Bytes that are no number, or not one of a job of this chain.
    pub fn into_step(self, encoded: &[u8]) -> Result<Self, RuntimeError> {
        let corrupt = |why: String| RuntimeError::Corrupt { what: "job specification".to_owned(), why };
        let step: u32 = postcard::from_bytes(encoded).map_err(|error| corrupt(error.to_string()))?;
        let found = self.into_steps().into_iter().nth(usize::try_from(step).unwrap_or(usize::MAX));
        found.ok_or_else(|| corrupt(format!("the program describes no step {step} of the job")))
    }

    /// The number of a job in its chain as bytes.
    ///
    /// # Errors
    /// None that could be met: memory is the only limit.
    pub fn encode_step(step: usize) -> Result<Vec<u8>, RuntimeError> {
        let step = u32::try_from(step).unwrap_or(u32::MAX);
        postcard::to_stdvec(&step)
            .map_err(|error| RuntimeError::Corrupt { what: "job specification".to_owned(), why: error.to_string() })
    }

    /// The settings with those that the program decides.
    ///
    /// # Errors
    /// A value that its key does not accept.
    pub fn effective_settings(&self, settings: &Settings) -> Result<Settings, RuntimeError> {
        let mut settings = settings.clone();
        for (key, value) in &self.settings {
            settings.set(key, value);
        }
        settings.validate()?;
        Ok(settings)
    }

    /// The number of reduces.
    ///
    /// # Errors
    /// None for a job that has a reducer.
    pub fn reduces(&self, settings: &Settings) -> Result<u32, RuntimeError> {
        if !self.code.has_reduce() {
            return Ok(0);
        }
        let reduces = match self.reduces {
            Some(given) => given,
            None => settings.int(keys::MAPREDUCE_JOB_REDUCES)?,
        };
        if reduces == 0 {
            let key = keys::MAPREDUCE_JOB_REDUCES.name();
            return Err(RuntimeError::Refused(format!(
                "{key}: job `{}` has a reducer and needs at least 1",
                self.name
            )));
        }
        Ok(reduces)
    }
}

/// The file that a task of a job leaves in the output folder.
#[must_use]
pub fn output_of(task: TaskId) -> TaskOutput {
    TaskOutput { task: task.to_string(), file: part_name(task.kind.letter(), task.index) }
}

/// The files that the tasks of a job leave.
#[must_use]
pub fn expected_outputs(spec: &JobSpec, job: JobId) -> Vec<TaskOutput> {
    let (kind, count) = match spec.reduces {
        0 => (TaskKind::Map, u32::try_from(spec.splits.len()).unwrap_or(u32::MAX)),
        reduces => (TaskKind::Reduce, reduces),
    };
    (0..count).map(|index| output_of(TaskId { job, kind, index })).collect()
}
