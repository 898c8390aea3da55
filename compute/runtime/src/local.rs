//! A whole job within this process: its maps one after the other, then its reduces, then the commit. No jobtracker, no second
//! attempts; the files are wherever the file system given has them. For tests of user's jobs and small inputs.

use crate::error::{RuntimeError, local};
use crate::files::{self, FileSystem};
use crate::memory::Accountant;
use crate::run::{Run, RunMemory};
use crate::shuffle::OutputReader;
use crate::task::{JobPlan, MapTask, Meter, ReduceTask, TaskEnv, output_of};
use mammoth_platform::{Clock, Entropy, Settings, SystemClock, SystemEntropy, keys};
use mammoth_protocol::DfsPath;
use mammoth_protocol::jobs::{AttemptId, Counters, JobId, TaskId, TaskKind};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

/// Memory that a task is granted, as the cluster's default.
const TASK_MEMORY: u64 = 1 << 30;
/// Where what lies between the jobs of a chain is.
const BETWEEN: &str = "/local-between";

/// A folder that goes away with its owner.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, RuntimeError> {
        let dir = std::env::temp_dir().join(format!("mammoth-local-{}", SystemEntropy.uuid()));
        std::fs::create_dir(&dir).map_err(local(&dir))?;
        Ok(Self(dir))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A leftover in the folder of temporary files is the system's to clean.
        let _left = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs a job, or those of a chain, to the end. The sum of what their tasks counted.
///
/// # Errors
/// Whatever would have refused the job or failed an attempt.
pub fn run(plan: JobPlan, files: &dyn FileSystem, settings: &Settings) -> Result<Counters, RuntimeError> {
    let mut counters = Counters::default();
    let mut previous = None;
    for (number, mut step) in plan.into_steps().into_iter().enumerate() {
        if let Some(output) = previous.take() {
            step.inputs = vec![output];
        }
        if step.output.is_none() {
            step.output = Some(format!("{BETWEEN}-{number}"));
        }
        counters.merge(&run_one(&step, files, settings)?);
        previous = step.output;
    }
    Ok(counters)
}

fn run_one(plan: &JobPlan, files: &dyn FileSystem, settings: &Settings) -> Result<Counters, RuntimeError> {
    let settings = plan.effective_settings(settings)?;
    let output = plan.output.as_deref().ok_or_else(|| RuntimeError::Refused("Output directory not set.".to_owned()))?;
    let run = LocalRun {
        plan,
        files,
        reduces: plan.reduces(&settings)?,
        output: files::resolve(files, output)?,
        mark: settings.flag(keys::MAPREDUCE_MARK_SUCCESSFUL_JOBS)?,
        settings: Arc::new(settings),
        scratch: Scratch::new()?,
    };
    run.run()
}

struct LocalRun<'a> {
    plan: &'a JobPlan,
    files: &'a dyn FileSystem,
    settings: Arc<Settings>,
    output: DfsPath,
    reduces: u32,
    mark: bool,
    scratch: Scratch,
}

impl LocalRun<'_> {
    fn run(&self) -> Result<Counters, RuntimeError> {
        let mut counters = Counters::default();
        let job = JobId { cluster_ms: 0, number: 1 };
        let task = |kind, index| TaskId { job, kind, index };
        let committer = crate::commit::Committer::new(self.files, self.output.clone());
        committer.check_absent()?;
        let splits = self.plan.format.splits(self.files, &self.plan.inputs, &self.settings)?;
        committer.setup_job(&job.to_string())?;
        let maps: Vec<TaskId> = (0..).zip(&splits).map(|(index, _)| task(TaskKind::Map, index)).collect();
        for (id, split) in maps.iter().zip(&splits) {
            let map = |env: &TaskEnv<'_>| self.plan.code.map(MapTask::open(env, self.plan, split)?).map(|_| ());
            counters.merge(&self.attempt(*id, map)?);
        }
        let reduces: Vec<TaskId> = (0..self.reduces).map(|index| task(TaskKind::Reduce, index)).collect();
        for id in &reduces {
            counters.merge(&self.attempt(*id, |env| self.reduce(env, &maps))?);
        }
        let last = if reduces.is_empty() { &maps } else { &reduces };
        let expected: Vec<_> = last.iter().map(|id| output_of(*id)).collect();
        committer.commit_job(&expected, self.mark)?;
        Ok(counters)
    }

    /// Runs one attempt and commits what it wrote.
    fn attempt(
        &self,
        task: TaskId,
        work: impl FnOnce(&TaskEnv<'_>) -> Result<(), RuntimeError>,
    ) -> Result<Counters, RuntimeError> {
        let started_ns = SystemClock.monotonic_ns();
        let attempt = AttemptId { task, number: 0 };
        let buffer_bytes = TaskEnv::buffer_bytes_of(TASK_MEMORY, &self.settings)?;
        let env = TaskEnv {
            files: self.files,
            settings: Arc::clone(&self.settings),
            meter: Meter::default(),
            attempt,
            work_dir: self.scratch.0.clone(),
            shuffle_dir: self.scratch.0.clone(),
            reduces: self.reduces,
            buffer_bytes,
            memory: Accountant::new(buffer_bytes).begin_task(),
            output: Some(self.output.clone()),
        };
        work(&env)?;
        if task.kind == TaskKind::Reduce || self.reduces == 0 {
            env.committer()?.commit_task(&attempt.to_string(), &task.to_string())?;
        }
        env.meter.close(SystemClock.monotonic_ns().saturating_sub(started_ns));
        Ok(env.meter.counters())
    }

    fn reduce(&self, env: &TaskEnv<'_>, maps: &[TaskId]) -> Result<(), RuntimeError> {
        let mut runs = Vec::new();
        let mut records = 0;
        for map in maps {
            let name = AttemptId { task: *map, number: 0 }.to_string();
            let output = OutputReader::open(&self.scratch.0, &name)?;
            let index = usize::try_from(env.attempt.task.index).unwrap_or(usize::MAX);
            let Some(segment) = output.index().segments.get(index) else { continue };
            let mut bytes = vec![0; usize::try_from(segment.len).unwrap_or(usize::MAX)];
            let read = output.file().read_exact_at(&mut bytes, segment.offset);
            read.map_err(|source| RuntimeError::Io { what: format!("read {name}"), source })?;
            let mut reservation = env.memory.reservation();
            reservation.force(segment.len);
            runs.push(Run::Memory(RunMemory { bytes, reservation }));
            records += segment.records;
        }
        self.plan.code.reduce(ReduceTask::new(env, self.plan, runs, records)?)
    }
}
