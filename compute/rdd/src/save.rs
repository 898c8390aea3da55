//! Writing text files: each task into a file of its own, which one attempt makes visible; all of them together appear when the
//! action has succeeded.

use crate::ops::sinks::NoFunction;
use crate::{Error, Rdd};
use mammoth_engine::batch::Batch;
use mammoth_engine::code;
use mammoth_engine::ops::{Finished, Sink, SinkOp};
use mammoth_engine::shuffle::task_error;
use mammoth_engine::task::{Counts, TaskContext, TaskError};
use mammoth_platform::{Entropy, SystemEntropy, keys};
use mammoth_protocol::DfsPath;
use mammoth_runtime::error::RuntimeError;
use mammoth_runtime::files::{FileSystem, resolve};
use mammoth_runtime::output::{Committer, TaskOutput, TextOutput};
use serde::{Deserialize, Serialize};
use std::fmt::Display;
use std::marker::PhantomData;
use std::panic::Location;
use std::sync::Arc;

/// Where to.
#[derive(Debug, Serialize, Deserialize)]
struct Target {
    /// URI of the file system.
    fs: String,
    /// The folder.
    path: String,
}

/// Name of a partition's file.
fn part(partition: u32) -> String {
    format!("part-{partition:05}")
}

/// Name of a partition's folder among those that were committed.
fn task_name(partition: u32) -> String {
    format!("task_{partition:05}")
}

/// How a record becomes a line.
trait Format<T>: 'static {
    fn write(output: &mut TextOutput, record: &T);
}

/// The record as it shows itself.
struct Whole;

impl<T: Display> Format<T> for Whole {
    fn write(output: &mut TextOutput, record: &T) {
        output.line(record);
    }
}

/// Key, tab, value.
struct Tabbed;

impl<K: Display, V: Display> Format<(K, V)> for Tabbed {
    fn write(output: &mut TextOutput, (key, value): &(K, V)) {
        output.record(key, value);
    }
}

struct Save<T, L> {
    output: Option<TextOutput>,
    files: Arc<dyn FileSystem>,
    folder: DfsPath,
    attempt: String,
    is_local: bool,
    task: Arc<TaskContext>,
    types: PhantomData<fn(T, L)>,
}

struct SaveOp<T, L>(PhantomData<fn(T, L)>);

impl<T: Send + 'static, L: Format<T>> SinkOp for SaveOp<T, L> {
    const NAME: &'static str = "save_as_text_file";
    type State = Target;
    type Function = NoFunction;

    fn make(target: Target, _: NoFunction, task: &Arc<TaskContext>) -> Result<Box<dyn Sink>, TaskError> {
        let files = task.env.files.get(&target.fs).map_err(TaskError::failed)?;
        let folder = DfsPath::parse(&target.path).map_err(TaskError::fatal)?;
        let key = task.key;
        let attempt = format!("attempt_{}_{}_{:05}_{}", key.stage, key.generation, key.partition, key.attempt);
        // Only where the action has made room: a task that begins when it has failed brings nothing back.
        let dir = Committer::new(&*files, folder.clone()).setup_task(&attempt).map_err(task_error)?;
        let path = dir.join(&part(key.partition)).map_err(TaskError::fatal)?;
        let output = TextOutput::create_in(&*files, &path).map_err(task_error)?;
        let is_local = target.fs == mammoth_engine::files::LOCAL_URI;
        let (output, task) = (Some(output), Arc::clone(task));
        Ok(Box::new(Save::<T, L> { output, files, folder, attempt, is_local, task, types: PhantomData }))
    }
}

impl<T: Send + 'static, L: Format<T>> Sink for Save<T, L> {
    fn take(&mut self, batch: Batch) -> Result<bool, TaskError> {
        let Some(output) = &mut self.output else { return Ok(false) };
        batch.records::<T>()?.as_slice().iter().for_each(|record| L::write(output, record));
        // What failed is said at the end.
        Ok(!output.has_failed())
    }

    fn finish(mut self: Box<Self>) -> Result<Finished, TaskError> {
        let Some(output) = self.output.take() else { return Err(TaskError::fatal("the output is closed already")) };
        let stats = output.close().map_err(task_error)?;
        if !self.is_local {
            Counts::add(&self.task.counts.dfs_written, stats.bytes);
        }
        self.task.counts.phase("output", stats.ns / 1000);
        let committer = Committer::new(&*self.files, self.folder.clone());
        if !self.task.env.ask_commit(self.task.key, self.task.cancel_flag())? {
            committer.abort_task(&self.attempt).map_err(task_error)?;
            return Err(TaskError::failed("another attempt of the same task has written its output already"));
        }
        committer.commit_task(&self.attempt, &task_name(self.task.key.partition)).map_err(task_error)?;
        Ok(Finished::default())
    }
}

impl<T: Display + Send + 'static> Rdd<T> {
    /// Writes each record as a line, each partition as `part-00000` … in a new folder, with `_SUCCESS` when all is there.
    ///
    /// # Errors
    /// The folder exists; why the records could not be computed or written. What was written before is removed then.
    #[track_caller]
    pub fn save_as_text_file(&self, path: &str) -> Result<(), Error> {
        save::<T, Whole>(self, path, Location::caller())
    }
}

impl<K: Display + Send + 'static, V: Display + Send + 'static> Rdd<(K, V)> {
    /// As [`Rdd::save_as_text_file`], each pair as a line of key, tab and value.
    ///
    /// # Errors
    /// As [`Rdd::save_as_text_file`].
    #[track_caller]
    pub fn save_pairs_as_text_file(&self, path: &str) -> Result<(), Error> {
        save::<(K, V), Tabbed>(self, path, Location::caller())
    }
}

fn save<T: Send + 'static, L: Format<T>>(
    rdd: &Rdd<T>,
    path: &str,
    call_site: &'static Location<'static>,
) -> Result<(), Error> {
    let context = rdd.context();
    let files = context.engine().files_of(path)?;
    let folder = resolve(&*files, path)?;
    let committer = Committer::new(&*files, folder.clone());
    committer.setup_job(&SystemEntropy.uuid().to_string())?;
    let target = Target { fs: files.uri(), path: folder.to_string() };
    let expected: Vec<TaskOutput> =
        (0..rdd.partitions()).map(|n| TaskOutput { task: task_name(n), file: part(n) }).collect();
    let mark = context.settings().flag(keys::MAPREDUCE_MARK_SUCCESSFUL_JOBS).map_err(RuntimeError::from);
    let saved = rdd
        .run("save_as_text_file", code::sink::<SaveOp<T, L>>(NoFunction), &target, None, call_site)
        .and_then(|_| Ok(committer.commit_job(&expected, mark?)?));
    if saved.is_err()
        && let Err(error) = committer.abort_job(&expected)
    {
        // The first error is the one to report.
        tracing::warn!(%error, folder = %folder, "what was written could not be removed");
    }
    saved
}
