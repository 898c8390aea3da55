//! An executor: what tasks share in one process, and the threads that run them.
//!
//! The same code runs as a process of a cluster, as a process of `local-cluster` and inside the driver's process for `local`;
//! they differ in their [`Link`] to the driver only.

mod blobs;
pub(crate) mod http;
pub(crate) mod link;
mod process;
pub(crate) mod serve;
pub(crate) mod tuning;

pub use process::executor_main;
pub use tuning::Tuning;

use crate::blocks::Blocks;
use crate::files::FileSystems;
use crate::program::{BlobId, Program};
use crate::task::TaskError;
use crate::wire::{PlaceAddress, Report};
use blobs::BlobCache;
use link::Link;
use mammoth_engine_core::api::TaskKey;
use mammoth_protocol::jobs::ExecutorId;
use mammoth_runtime::memory::Accountant;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::any::Any;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Where an executor is and what it has.
#[derive(Clone, Debug)]
pub struct Site {
    /// Which.
    pub executor: ExecutorId,
    /// Its application, as shuffle servers know it.
    pub app: String,
    /// Host name.
    pub host: String,
    /// Tasks at a time.
    pub cores: u32,
    /// Memory of the executor, bytes.
    pub memory: u64,
    /// For files that nobody else reads.
    pub work_dir: PathBuf,
    /// For shuffle outputs.
    pub shuffle_dir: PathBuf,
    /// How others reach that folder.
    pub place: PlaceAddress,
    /// Settings of the application.
    pub settings: BTreeMap<String, String>,
}

/// What the tasks of an executor share.
pub struct Env {
    /// Where it is.
    pub site: Site,
    /// Settings that tasks read.
    pub tuning: Tuning,
    /// Who may hold how much.
    pub memory: Accountant,
    /// Files that a task may hold open to read its inputs as they lie.
    pub files_per_task: usize,
    /// Cached datasets.
    pub blocks: Arc<Blocks>,
    /// File systems that tasks read and write.
    pub files: FileSystems,
    link: Arc<dyn Link>,
    blobs: BlobCache,
    reports: SyncSender<Report>,
    running: Mutex<BTreeMap<TaskKey, Arc<AtomicBool>>>,
    /// Answers to tasks that asked whether they may commit.
    commits: Mutex<BTreeMap<TaskKey, bool>>,
    committed: Condvar,
    /// The driver is gone, or said stop: why.
    ended: Mutex<Option<String>>,
}

/// Share of the executor's memory that is counted; the rest is for batches on their way, files, sockets and the program itself.
const COUNTED_PERCENT: u64 = 60;
/// How often a task that waits looks whether it shall stop.
const WAIT_STEP: Duration = Duration::from_millis(50);

/// One in so many of the files that the process may open is for inputs that are read as they lie: the others are for outputs, runs,
/// sockets and what else there is.
const FILES_SHARE: usize = 2;
/// Files that a process is taken to be able to open where there is no limit.
const FILES_UNLIMITED: u64 = 1 << 20;

/// Raises the number of files that this process may open as far as it may, and tells it. The usual soft limit of 1024 is there for
/// programs that use `select`.
fn open_files() -> usize {
    let limits = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limits.maximum, maximum: limits.maximum };
    let current = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limits.maximum,
        Err(error) => {
            tracing::debug!(%error, "the limit of open files stays as it is");
            limits.current
        }
    };
    usize::try_from(current.unwrap_or(FILES_UNLIMITED)).unwrap_or(usize::MAX)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Env {
    fn new(site: Site, link: Arc<dyn Link>, reports: SyncSender<Report>) -> Arc<Self> {
        let memory = Accountant::new(site.memory / 100 * COUNTED_PERCENT);
        let blocks = Blocks::new(memory.clone());
        let settings = tuning::settings_of(&site.settings);
        let files_per_task = open_files() / FILES_SHARE / (site.cores.max(1) as usize);
        Arc::new(Self {
            tuning: Tuning::of(&site.settings, &settings),
            site,
            memory,
            files_per_task,
            blocks,
            files: FileSystems::new(settings),
            link,
            blobs: BlobCache::default(),
            reports,
            running: Mutex::default(),
            commits: Mutex::default(),
            committed: Condvar::new(),
            ended: Mutex::default(),
        })
    }

    /// A blob, fetched from the driver at its first use and kept.
    ///
    /// # Errors
    /// It cannot be had.
    pub fn blob(&self, id: BlobId) -> Result<Arc<Vec<u8>>, TaskError> {
        self.blobs.bytes(id, &*self.link)
    }

    /// A blob that is used once.
    pub(crate) fn blob_once(&self, id: BlobId) -> Result<Vec<u8>, TaskError> {
        blobs::fetch(id, &*self.link)
    }

    pub(crate) fn program(&self, id: BlobId) -> Result<Arc<Program>, TaskError> {
        self.blobs.program(id, &*self.link)
    }

    /// What `decode` makes of a blob, made at its first use and kept for all tasks.
    ///
    /// # Errors
    /// The blob cannot be had, or `decode` fails.
    pub fn decoded<T: Any + Send + Sync>(
        &self,
        id: BlobId,
        decode: impl FnOnce(&[u8]) -> Result<T, TaskError>,
    ) -> Result<Arc<T>, TaskError> {
        self.blobs.decoded(id, &*self.link, decode)
    }

    /// Asks the driver whether a task may make its output visible, and waits for the answer.
    ///
    /// # Errors
    /// The task was told to stop, or the driver is gone.
    pub fn ask_commit(&self, task: TaskKey, cancelled: &AtomicBool) -> Result<bool, TaskError> {
        self.report(Report::CommitAsked(task))?;
        let mut commits = lock(&self.commits);
        loop {
            if let Some(granted) = commits.remove(&task) {
                return Ok(granted);
            }
            if cancelled.load(Ordering::Relaxed) || self.ended().is_some() {
                return Err(TaskError::Cancelled);
            }
            commits = self.committed.wait_timeout(commits, WAIT_STEP).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Why the executor ends, once it does.
    #[must_use]
    pub fn ended(&self) -> Option<String> {
        lock(&self.ended).clone()
    }

    fn end(&self, reason: &str) {
        lock(&self.ended).get_or_insert_with(|| reason.to_owned());
        for cancelled in lock(&self.running).values() {
            cancelled.store(true, Ordering::Relaxed);
        }
        self.committed.notify_all();
        // Wakes the thread that reports; if its queue is full, it is awake.
        let _awake = self.reports.try_send(Report::Blocks(Vec::new()));
    }

    fn report(&self, report: Report) -> Result<(), TaskError> {
        self.reports.send(report).map_err(|_| TaskError::Cancelled)
    }
}
