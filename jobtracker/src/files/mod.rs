//! What the jobtracker reads and writes besides its log: staged specifications in the file system, events and histories on its
//! own disk and, once something has ended, in the file system. Two threads, so that a file system that hangs holds up nothing
//! but new jobs.

mod history;
mod staging;

use crate::driver::DriverHandle;
use history::History;
use mammoth_client::ClientConfig;
use mammoth_platform::Workers;
use mammoth_protocol::jobs::client::{JobStatus, TaskStatus};
use mammoth_protocol::jobs::event::TimedEvent;
use mammoth_protocol::jobs::fold::AppFold;
use mammoth_protocol::jobs::spec::JobSpec;
use mammoth_protocol::jobs::{AppId, JobId};
use mammoth_protocol::{ErrorCode, FsError};
use mammoth_web::mailbox::{Way, ending};
use staging::Staging;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use tokio::sync::oneshot;

/// Requests that may wait for a disk.
const PLACES: usize = 4096;

/// For the thread of the file system.
enum Staged {
    /// A client hands a job over.
    Read { path: String, sha256: String, answer: Way<Arc<JobSpec>> },
    /// The core needs a specification again.
    Load { job: JobId, path: String, sha256: String },
    /// A job is final: its staging folder may go, its history is kept.
    JobEnded { job: JobId, history: PathBuf },
    /// Likewise.
    AppEnded { history: PathBuf },
}

/// For the thread of the jobtracker's own folder.
enum Kept {
    Events { app: AppId, batch: u64, events: Vec<TimedEvent>, answer: Way<(u64, u64)> },
    JobEnded { status: Box<JobStatus>, tasks: Vec<TaskStatus> },
    AppEnded { app: AppId },
    Tasks { job: JobId, answer: Way<Vec<TaskStatus>> },
    Lines { app: AppId, answer: Way<Vec<u8>> },
    Fold { app: AppId, answer: Way<AppFold> },
}

/// How the rest reaches the two threads. Clones reach the same ones; nothing here waits.
#[derive(Clone)]
pub struct FilesHandle {
    staged: SyncSender<Staged>,
    kept: SyncSender<Kept>,
}

/// The two threads before they run.
pub struct Files {
    staged: Receiver<Staged>,
    kept: Receiver<Kept>,
    handle: FilesHandle,
}

impl Default for Files {
    fn default() -> Self {
        let (to_staged, staged) = sync_channel(PLACES);
        let (to_kept, kept) = sync_channel(PLACES);
        Self { staged, kept, handle: FilesHandle { staged: to_staged, kept: to_kept } }
    }
}

impl Files {
    /// How to reach them.
    #[must_use]
    pub fn handle(&self) -> FilesHandle {
        self.handle.clone()
    }

    /// Runs both. They end when every handle is gone; the driver and the doors hold them.
    ///
    /// # Errors
    /// No folder or thread can be made.
    pub fn start(
        self,
        dir: &Path,
        config: ClientConfig,
        driver: DriverHandle,
        runtime: tokio::runtime::Handle,
        workers: &Workers,
    ) -> Result<(), mammoth_platform::PlatformError> {
        let Self { staged, kept, handle } = self;
        let FilesHandle { staged: to_staged, .. } = handle;
        let mut history = History::open(dir)?;
        workers.thread("history", move || {
            for task in kept {
                keep(&mut history, &to_staged, task);
            }
            Ok::<(), String>(())
        })?;
        let mut staging = Staging::new(config);
        workers.thread("staging", move || {
            for task in staged {
                stage(&mut staging, &driver, &runtime, task);
            }
            Ok::<(), String>(())
        })?;
        Ok(())
    }
}

#[cfg(test)]
impl Files {
    /// Takes what the thread of the jobtracker's own folder was told lately: jobs and applications that have ended.
    pub(crate) fn ends(&self) -> Vec<String> {
        let end = |task: Kept| match task {
            Kept::JobEnded { status, .. } => Some(status.job.to_string()),
            Kept::AppEnded { app } => Some(app.to_string()),
            Kept::Events { .. } | Kept::Tasks { .. } | Kept::Lines { .. } | Kept::Fold { .. } => None,
        };
        self.kept.try_iter().filter_map(end).collect()
    }
}

fn keep(history: &mut History, staged: &SyncSender<Staged>, task: Kept) {
    match task {
        Kept::Events { app, batch, events, answer } => drop(answer.send(history.events(app, batch, &events))),
        Kept::JobEnded { status, tasks } => {
            let job = status.job;
            if let Some(history) = history.job_ended(&status, &tasks) {
                offer(staged, Staged::JobEnded { job, history });
            }
        }
        Kept::AppEnded { app } => {
            if let Some(history) = history.app_ended(app) {
                offer(staged, Staged::AppEnded { history });
            }
        }
        Kept::Tasks { job, answer } => drop(answer.send(history.tasks(job))),
        Kept::Lines { app, answer } => drop(answer.send(history.lines(app))),
        Kept::Fold { app, answer } => drop(answer.send(history.fold(app))),
    }
}

fn stage(staging: &mut Staging, driver: &DriverHandle, runtime: &tokio::runtime::Handle, task: Staged) {
    match task {
        Staged::Read { path, sha256, answer } => drop(answer.send(staging.read(&path, &sha256))),
        Staged::Load { job, path, sha256 } => {
            let spec = match staging.read(&path, &sha256) {
                Ok(spec) => Ok(spec),
                // The core asks again.
                Err(error) if error.code == ErrorCode::Retriable => return,
                Err(error) => Err(error.message),
            };
            runtime.block_on(driver.spec(job, spec));
        }
        Staged::JobEnded { job, history } => {
            staging.publish(&history);
            staging.tidy_up(job);
        }
        Staged::AppEnded { history } => staging.publish(&history),
    }
}

/// Work that may be left undone, if a disk is that far behind.
fn offer<T>(to: &SyncSender<T>, task: T) {
    if let Err(TrySendError::Full(_)) = to.try_send(task) {
        tracing::warn!("the disk is {PLACES} requests behind; a history was not kept");
    }
}

impl FilesHandle {
    pub(crate) fn load_spec(&self, job: JobId, path: String, sha256: String) {
        // The core asks again.
        let _full = self.staged.try_send(Staged::Load { job, path, sha256 });
    }

    pub(crate) fn job_ended(&self, status: JobStatus, tasks: Vec<TaskStatus>) {
        offer(&self.kept, Kept::JobEnded { status: Box::new(status), tasks });
    }

    pub(crate) fn app_ended(&self, app: AppId) {
        offer(&self.kept, Kept::AppEnded { app });
    }

    /// Stores the events of an application, once however often the batch comes; tasks done and known by all of them.
    pub(crate) async fn events(&self, app: AppId, batch: u64, events: Vec<TimedEvent>) -> Result<(u64, u64), FsError> {
        ask(&self.kept, |answer| Kept::Events { app, batch, events, answer }).await
    }

    /// Reads and checks a specification.
    pub(crate) async fn read_spec(&self, path: String, sha256: String) -> Result<Arc<JobSpec>, FsError> {
        ask(&self.staged, |answer| Staged::Read { path, sha256, answer }).await
    }

    /// The tasks of a job that ended, from its history.
    pub(crate) async fn tasks(&self, job: JobId) -> Result<Vec<TaskStatus>, FsError> {
        ask(&self.kept, |answer| Kept::Tasks { job, answer }).await
    }

    /// The events of an application as JSON lines.
    pub(crate) async fn lines(&self, app: AppId) -> Result<Vec<u8>, FsError> {
        ask(&self.kept, |answer| Kept::Lines { app, answer }).await
    }

    /// The events of an application as a whole.
    pub(crate) async fn fold(&self, app: AppId) -> Result<AppFold, FsError> {
        ask(&self.kept, |answer| Kept::Fold { app, answer }).await
    }
}

async fn ask<A, T>(to: &SyncSender<A>, ask: impl FnOnce(Way<T>) -> A) -> Result<T, FsError> {
    let (answer, waiting) = oneshot::channel();
    match to.try_send(ask(answer)) {
        Ok(()) => waiting.await.unwrap_or_else(|_| Err(ending("jobtracker"))),
        Err(TrySendError::Full(_)) => Err(FsError::new(ErrorCode::Retriable, "the jobtracker's disk is behind")),
        Err(TrySendError::Disconnected(_)) => Err(ending("jobtracker")),
    }
}
