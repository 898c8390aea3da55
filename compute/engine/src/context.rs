//! A context: plan, driver and executors of one application.

use crate::accumulators::{Registry, Total};
use crate::code::CodeRef;
use crate::driver::{Driver, INBOX, Manager, Parts, Submission, Ticket, Waiter};
use crate::error::EngineError;
use crate::events::EventLog;
use crate::files::FileSystems;
use crate::hub::{BlobHandle, Hub, Input};
use crate::plan::{Freed, NodeSpec, Partitioner, Plan};
use crate::program::{CAPTURES_INLINE_MAX, OpCode, PAYLOAD_INLINE_MAX, Payload};
use crate::task::TaskContext;
use mammoth_engine_core::api::{Config, DatasetId, Determinism, JobNumber};
use mammoth_platform::{Settings, keys};
use mammoth_protocol::jobs::event::{AppEvent, TimedEvent};
use mammoth_runtime::files::FileSystem;
use mammoth_runtime::program::Environment;
use serde::Serialize;
use std::collections::BTreeMap;
use std::panic::Location;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// Variable with the name of a file for the application's events, as JSON lines.
pub const EVENTS_VARIABLE: &str = "MAMMOTH_EVENTS";
/// Most bytes of results of one action in the driver.
pub const RESULTS_MAX: u64 = 1 << 30;

/// How a context is made.
#[derive(Clone, Debug)]
pub struct Options {
    /// For people.
    pub name: String,
    /// URI of the file system that paths without a scheme mean.
    pub fs: String,
    /// Where events are written, too.
    pub events: Option<PathBuf>,
    /// Most bytes of results of one action.
    pub results_max: u64,
    /// Bytes that the cached blocks, buffers and tables of an executor may take, where the master does not say.
    pub memory: u64,
    /// Settings of the application.
    pub settings: Settings,
    /// Of the scheduler.
    pub scheduler: Config,
}

impl Options {
    /// Options by the environment of this process.
    ///
    /// # Errors
    /// Settings that cannot be read.
    pub fn of_environment(name: &str) -> Result<Self, EngineError> {
        let environment = Environment::of_process().map_err(|error| EngineError::Setting(error.to_string()))?;
        Self::of(name, &environment)
    }

    /// Options by the environment of a driver.
    ///
    /// # Errors
    /// Settings out of range.
    pub fn of(name: &str, environment: &Environment) -> Result<Self, EngineError> {
        let settings = environment.settings.clone();
        let memory =
            settings.bytes(keys::SPARK_EXECUTOR_MEMORY).map_err(|error| EngineError::Setting(error.to_string()))?;
        Ok(Self {
            name: name.to_owned(),
            fs: environment.fs.clone().unwrap_or_else(|| crate::files::LOCAL_URI.to_owned()),
            events: std::env::var_os(EVENTS_VARIABLE).filter(|file| !file.is_empty()).map(PathBuf::from),
            results_max: RESULTS_MAX,
            memory,
            settings,
            scheduler: Config::default(),
        })
    }
}

/// One application. Clones are the same one; it ends when the last of them and of the datasets made from them goes, or by
/// [`Context::stop`].
#[derive(Clone)]
pub struct Context {
    inner: Arc<Inner>,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("master", &self.inner.master).finish_non_exhaustive()
    }
}

struct Inner {
    master: String,
    cores: u32,
    plan: Mutex<Plan>,
    hub: Arc<Hub>,
    events: Arc<EventLog>,
    accumulators: Arc<Registry>,
    files: FileSystems,
    fs: String,
    settings: Settings,
    next_job: AtomicU32,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// A dataset; the plan keeps it as long as a handle lives.
pub struct DatasetHandle {
    id: DatasetId,
    context: Context,
}

impl std::fmt::Debug for DatasetHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DatasetHandle({})", self.id)
    }
}

impl DatasetHandle {
    /// Its number.
    #[must_use]
    pub const fn id(&self) -> DatasetId {
        self.id
    }

    /// Its context.
    #[must_use]
    pub const fn context(&self) -> &Context {
        &self.context
    }

    /// Number of its partitions.
    #[must_use]
    pub fn partitions(&self) -> u32 {
        self.context.plan().partitions(self.id)
    }

    /// How its records are spread, where that is known.
    #[must_use]
    pub fn partitioner(&self) -> Option<Partitioner> {
        self.context.plan().partitioner(self.id)
    }

    /// Has its partitions kept from now on as `cache` says, or no longer.
    pub fn set_cache(&self, cache: Option<OpCode>) {
        let was = {
            let mut plan = self.context.plan();
            let was = plan.is_cached(self.id);
            plan.set_cache(self.id, cache.clone());
            was
        };
        if was && cache.is_none() {
            self.context.inner.hub.send(Input::Freed(Freed { shuffles: Vec::new(), datasets: vec![self.id] }));
        }
    }

    /// Says what computing it again gives.
    pub fn set_determinism(&self, determinism: Determinism) {
        self.context.plan().set_determinism(self.id, determinism);
    }

    /// Its lineage, for people.
    #[must_use]
    pub fn describe(&self) -> String {
        self.context.plan().describe(self.id)
    }
}

impl Clone for DatasetHandle {
    fn clone(&self) -> Self {
        self.context.plan().use_node(self.id);
        Self { id: self.id, context: self.context.clone() }
    }
}

impl Drop for DatasetHandle {
    fn drop(&mut self) {
        let freed = self.context.plan().release(self.id);
        if freed != Freed::default() {
            self.context.inner.hub.send(Input::Freed(freed));
        }
    }
}

/// An action.
#[derive(Clone, Debug)]
pub struct Action {
    /// `collect`, `count` …
    pub name: &'static str,
    /// What is done with each partition's batches.
    pub sink: OpCode,
    /// Blobs that the sink speaks of.
    pub blobs: Vec<BlobHandle>,
    /// The partitions that are wanted; `None` = all.
    pub partitions: Option<Vec<u32>>,
    /// The user's call.
    pub call_site: &'static Location<'static>,
}

/// What [`Context::start`] needs of a kind of master.
pub(crate) struct Cluster {
    pub(crate) master: String,
    /// Tasks at a time, over all executors, as far as known.
    pub(crate) cores: u32,
    pub(crate) app: AppEvent,
    pub(crate) manager: Box<dyn Manager>,
}

impl Context {
    /// A context whose executors `start` brings up.
    pub(crate) fn start(
        options: &Options,
        sends_events: bool,
        start: impl FnOnce(&Arc<Hub>, &Arc<EventLog>) -> Result<Cluster, EngineError>,
    ) -> Result<Self, EngineError> {
        let (sender, inbox) = sync_channel(INBOX);
        let hub = Hub::new(sender);
        let events = Arc::new(EventLog::new(options.events.as_deref(), sends_events)?);
        let accumulators = Arc::new(Registry::default());
        let Cluster { master, cores, app, manager } = start(&hub, &events)?;
        let parts = Parts {
            hub: Arc::clone(&hub),
            inbox,
            config: options.scheduler,
            results_max: options.results_max,
            events: Arc::clone(&events),
            accumulators: Arc::clone(&accumulators),
            manager,
            app,
        };
        let thread = std::thread::Builder::new().name("rdd-driver".to_owned()).spawn(move || Driver::run(parts));
        let thread = thread.map_err(EngineError::io("start the driver's thread"))?;
        let inner = Inner {
            master,
            cores,
            plan: Mutex::default(),
            hub,
            events,
            accumulators,
            files: FileSystems::new(options.settings.clone()),
            fs: options.fs.clone(),
            settings: options.settings.clone(),
            next_job: AtomicU32::new(0),
            thread: Mutex::new(Some(thread)),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.inner.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `local[2]`, `local-cluster[2,1,512]`, `cluster`.
    #[must_use]
    pub fn master(&self) -> &str {
        &self.inner.master
    }

    /// Tasks at a time, over all executors that are wanted: the number of partitions where nobody says.
    #[must_use]
    pub fn default_parallelism(&self) -> u32 {
        self.inner.cores.max(1)
    }

    /// Settings of the application.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// The file system that a path lies in: that of its scheme, else the application's.
    ///
    /// # Errors
    /// A scheme that is not known.
    pub fn files_of(&self, path: &str) -> Result<Arc<dyn FileSystem>, EngineError> {
        self.inner.files.get(if path.contains("://") { path } else { &self.inner.fs })
    }

    /// Adds a dataset.
    #[must_use]
    pub fn add(&self, spec: NodeSpec) -> DatasetHandle {
        let id = self.plan().add(spec);
        DatasetHandle { id, context: self.clone() }
    }

    /// An operation with its state; a long one becomes a blob, which the operation keeps.
    ///
    /// # Errors
    /// A state that cannot be serialised.
    pub fn operation<S: Serialize>(&self, code: CodeRef, state: &S) -> Result<(OpCode, Vec<BlobHandle>), EngineError> {
        let (bytes, mut blobs) = crate::capture::capture(state)?;
        let captures = self.payload(bytes, CAPTURES_INLINE_MAX, &mut blobs);
        Ok((OpCode::Native { descriptor: code, captures }, blobs))
    }

    /// What one partition of a source needs to know; long ones become blobs, which are added to `blobs`.
    pub fn partition_payload(&self, bytes: Vec<u8>, blobs: &mut Vec<BlobHandle>) -> Payload {
        self.payload(bytes, PAYLOAD_INLINE_MAX, blobs)
    }

    fn payload(&self, bytes: Vec<u8>, inline_max: usize, blobs: &mut Vec<BlobHandle>) -> Payload {
        if bytes.len() <= inline_max {
            return Payload::Inline(bytes);
        }
        let blob = self.blob(bytes);
        let id = blob.id();
        blobs.push(blob);
        Payload::Blob(id)
    }

    /// Holds bytes for executors.
    #[must_use]
    pub fn blob(&self, bytes: Vec<u8>) -> BlobHandle {
        self.inner.hub.add_blob(bytes)
    }

    /// Runs an action and waits for it: what the sink left of each partition.
    ///
    /// # Errors
    /// Why the action failed; it was called by a task.
    pub fn run(&self, root: &DatasetHandle, action: Action) -> Result<BTreeMap<u32, Vec<u8>>, EngineError> {
        if TaskContext::with_current(|task| task.is_some()) {
            return Err(EngineError::InTask);
        }
        let job = JobNumber(self.inner.next_job.fetch_add(1, Ordering::Relaxed));
        let (stages, result, total) = {
            let mut plan = self.plan();
            let result = plan.next_stage();
            (plan.cut(root.id, action.sink, result)?, result, plan.partitions(root.id))
        };
        let mut with_blobs = Vec::new();
        for stage in stages {
            let blob = self.blob(stage.program.encode()?);
            with_blobs.push((stage, blob));
        }
        let waiter = Arc::new(Waiter::default());
        let place = action.call_site;
        let submission = Submission {
            job,
            action: action.name.to_owned(),
            call_site: format!("{}:{}", place.file(), place.line()),
            stages: with_blobs,
            result,
            partitions: action.partitions.unwrap_or_else(|| (0..total).collect()),
            waiter: Ticket::new(&waiter, &self.inner.hub),
        };
        if !self.inner.hub.send(Input::Submit(Box::new(submission))) {
            let reason = self.inner.hub.closed().unwrap_or_else(|| "the context was stopped".to_owned());
            return Err(EngineError::Ended(reason));
        }
        let results = waiter.wait();
        drop(action.blobs);
        results
    }

    /// Adds an accumulator; its number.
    #[must_use]
    pub fn add_accumulator(&self, name: &str, total: Box<dyn Total>) -> u32 {
        self.inner.accumulators.add(name, total)
    }

    /// Looks at an accumulator.
    pub fn with_accumulator<R>(&self, number: u32, look: impl FnOnce(&mut dyn Total) -> R) -> Option<R> {
        self.inner.accumulators.with(number, look)
    }

    /// What happened so far.
    #[must_use]
    pub fn events(&self) -> Vec<TimedEvent> {
        self.inner.events.kept()
    }

    /// Datasets and shuffles in the plan, and bytes of blobs that are held: for tests of what goes when.
    #[must_use]
    pub fn holdings(&self) -> (usize, usize, u64) {
        let (datasets, shuffles) = self.plan().size();
        (datasets, shuffles, self.inner.hub.blob_bytes())
    }

    /// Ends the application: running actions fail, executors end.
    pub fn stop(&self) {
        self.inner.stop(None);
    }

    /// As [`Self::stop`], as a failure.
    pub fn fail(&self, reason: &str) {
        self.inner.stop(Some(reason.to_owned()));
    }
}

impl Inner {
    fn stop(&self, failure: Option<String>) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            self.hub.send(Input::Stop { failure });
            // A panic there was printed when it happened.
            let _ended = thread.join();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop(None);
    }
}
