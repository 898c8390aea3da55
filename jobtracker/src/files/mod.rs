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
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;

/// Requests that may wait for a disk.
const PLACES: usize = 4096;

/// For the thread of the file system.
enum Staged {
    /// A client hands a job over.
    Read { path: String, sha256: String, answer: Way<Arc<JobSpec>> },
    /// The core needs a specification again.
    Load { job: JobId, path: String, sha256: String },
    /// A job is final: its staging folder may go, its history is kept, if there is one.
    JobEnded { job: JobId, history: Option<PathBuf> },
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
    loading: Loading,
}

/// Jobs whose specifications are being loaded.
#[derive(Clone, Default)]
struct Loading(Arc<Mutex<BTreeSet<JobId>>>);

impl Loading {
    /// Whether this is a new one.
    fn begin(&self, job: JobId) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(job)
    }

    fn end(&self, job: JobId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&job);
    }
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
        let loading = Loading::default();
        Self { staged, kept, handle: FilesHandle { staged: to_staged, kept: to_kept, loading } }
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
        let FilesHandle { staged: to_staged, loading, .. } = handle;
        let mut history = History::open(dir)?;
        workers.thread("history", move || {
            for task in kept {
                keep(&mut history, &to_staged, task);
            }
            Ok::<(), String>(())
        })?;
        let mut staging = Staging::new(config);
        workers.thread("staging", move || {
            let mut swept = false;
            for task in staged {
                stage(&mut staging, &loading, &driver, &runtime, task);
                // Not before there is work: the file system may be there only then.
                swept = swept || sweep(&mut staging, &driver, &runtime);
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
            let history = history.job_ended(&status, &tasks);
            offer(staged, Staged::JobEnded { job, history });
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

/// Removes the staging folders that an earlier life has left: of its own jobs, those that are final or forgotten. Whether that
/// is done.
fn sweep(staging: &mut Staging, driver: &DriverHandle, runtime: &tokio::runtime::Handle) -> bool {
    let Ok(jobs) = staging.jobs() else { return false };
    // Each has its folder since before this, so one that is not known is none that has just begun.
    let Ok(over) = runtime.block_on(driver.look(move |state, _| state.jobs_over(&jobs))) else { return false };
    over.into_iter().for_each(|job| staging.tidy_up(job));
    true
}

fn stage(
    staging: &mut Staging,
    loading: &Loading,
    driver: &DriverHandle,
    runtime: &tokio::runtime::Handle,
    task: Staged,
) {
    match task {
        Staged::Read { path, sha256, answer } => drop(answer.send(staging.read(&path, &sha256))),
        Staged::Load { job, path, sha256 } => {
            let read = staging.read(&path, &sha256);
            loading.end(job);
            let spec = match read {
                Ok(spec) => Ok(spec),
                // The core asks again.
                Err(error) if error.code == ErrorCode::Retriable => return,
                Err(error) => Err(error.message),
            };
            runtime.block_on(driver.spec(job, spec));
        }
        Staged::JobEnded { job, history } => {
            if let Some(history) = history {
                staging.publish(&history);
            }
            staging.tidy_up(job);
        }
        Staged::AppEnded { history } => staging.publish(&history),
    }
}

/// Work that may be left undone, if a disk is that far behind. The next start removes what is left of it.
fn offer<T>(to: &SyncSender<T>, task: T) {
    if let Err(TrySendError::Full(_)) = to.try_send(task) {
        tracing::warn!("the disk is {PLACES} requests behind; of something that ended no history is kept");
    }
}

impl FilesHandle {
    pub(crate) fn load_spec(&self, job: JobId, path: String, sha256: String) {
        // The core asks again, and again while the file system takes its time.
        if self.loading.begin(job) && self.staged.try_send(Staged::Load { job, path, sha256 }).is_err() {
            self.loading.end(job);
        }
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

/// For [`crate::fuzzing`].
pub(crate) fn read_spec(bytes: &[u8]) -> Result<JobSpec, String> {
    staging::parse(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mammoth_protocol::jobs::Counters;
    use mammoth_protocol::jobs::client::{JobState, TaskCounts};

    const JOB: JobId = JobId { cluster_ms: 1, number: 1 };

    fn status() -> JobStatus {
        JobStatus {
            job: JOB,
            name: "n".to_owned(),
            user: "u".to_owned(),
            state: JobState::Succeeded,
            version: 1,
            map_progress: 1.0,
            reduce_progress: 1.0,
            maps: TaskCounts::default(),
            reduces: TaskCounts::default(),
            submitted_ms: 1,
            started_ms: 1,
            finished_ms: 1,
            reason: None,
            counters: Counters::default(),
            output: None,
            tracking_url: String::new(),
        }
    }

    #[test]
    fn a_staging_folder_goes_even_if_no_history_can_be_kept() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut history = History::open(dir.path()).expect("opened");
        std::fs::remove_dir_all(dir.path()).expect("gone");
        let Files { staged, handle, .. } = Files::default();
        keep(&mut history, &handle.staged, Kept::JobEnded { status: Box::new(status()), tasks: Vec::new() });
        let told: Vec<Staged> = staged.try_iter().collect();
        assert!(matches!(told.as_slice(), [Staged::JobEnded { job: JOB, history: None }]));
    }

    #[test]
    fn a_specification_is_loaded_once_at_a_time() {
        let Files { staged, handle, .. } = Files::default();
        let load = || handle.load_spec(JOB, "/s".to_owned(), "00".to_owned());
        load();
        load();
        assert_eq!(staged.try_iter().count(), 1, "the second is under way");
        handle.loading.end(JOB);
        load();
        assert_eq!(staged.try_iter().count(), 1);
    }
}
