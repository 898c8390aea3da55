//! Fetching one partition of every map's output, while the maps still run.
//!
//! A few threads copy segments, each over a connection that it keeps, and verify every frame. Small segments stay in memory as
//! long as it is granted; when it is full they are merged to disk (or, where the order of arrival counts, later ones go to disk
//! as they are). What cannot be had is tried again and reported again, until somebody says that it is lost, or where it is now:
//! nothing is swallowed, and giving up is the caller's business.
//!
//! A segment that was fetched whole stays valid when its output is lost later: it is what a committed attempt wrote.

mod book;
mod copier;
mod http;
mod store;
#[cfg(test)]
mod tests;

use crate::error::RuntimeError;
use crate::memory::Reservation;
use crate::merge::Combiner;
use crate::run::{Run, SpillConfig};
use book::Book;
use mammoth_platform::{Clock, Deadline, SystemClock};
use mammoth_protocol::Uuid;
use mammoth_protocol::jobs::tracker::OutputEvent;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use store::Store;

/// Where an output lies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Location {
    /// A tasktracker's shuffle server.
    Server {
        /// `host:port`.
        server: String,
        /// Of its folder.
        generation: Uuid,
    },
    /// A folder on this machine, with `<output>.data` and `<output>.index`.
    Dir(PathBuf),
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Server { server, .. } => f.write_str(server),
            Self::Dir(dir) => dir.display().fmt(f),
        }
    }
}

/// The output of one map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapOutput {
    /// Which map, from 0.
    pub map: u32,
    /// Job or application id; of no meaning in a [`Location::Dir`].
    pub owner: String,
    /// The output's name.
    pub output: String,
    /// Where it lies.
    pub location: Location,
}

/// An output could not be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{output} at {location} could not be fetched: {reason}")]
pub struct FetchError {
    /// Which map.
    pub map: u32,
    /// The output's name: for a job the attempt.
    pub output: String,
    /// Where it was looked for.
    pub location: Location,
    /// What happened last.
    pub reason: String,
    /// How often it was tried so far.
    pub tries: u32,
}

/// How to fetch.
#[derive(Clone, Debug)]
pub struct FetchConfig {
    /// Number of maps.
    pub maps: u32,
    /// Which partition.
    pub partition: u32,
    /// Segments that are copied at a time.
    pub parallel: usize,
    /// Time for a connection.
    pub connect_timeout: Duration,
    /// Longest silence of a server.
    pub read_timeout: Duration,
    /// Failures of an output in a row before it is reported. Later ones are reported each.
    pub tries: u32,
    /// Pause before the second try; it doubles with each.
    pub backoff: Duration,
    /// Longest pause.
    pub backoff_max: Duration,
    /// Most bytes of segments in memory.
    pub memory: u64,
    /// Share of that up to which a segment goes to memory, 0 to 1.
    pub segment_percent: f64,
    /// Whether records with equal keys come in the order of the maps. Otherwise whatever is in memory is merged together when it
    /// is full, which makes fewer and larger runs.
    pub keeps_map_order: bool,
    /// How segments are merged when memory is full; with [`crate::run::Order::Arrival`] they are not.
    pub spill: SpillConfig,
}

impl FetchConfig {
    /// The usual: five at a time; three tries before a report; segments up to a quarter of the memory; equal keys in the order of
    /// the maps.
    #[must_use]
    pub fn new(maps: u32, partition: u32, memory: u64, spill: SpillConfig) -> Self {
        Self {
            maps,
            partition,
            parallel: 5,
            connect_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_secs(30),
            tries: 3,
            backoff: Duration::from_millis(200),
            backoff_max: Duration::from_secs(10),
            memory,
            segment_percent: 0.25,
            keeps_map_order: true,
            spill,
        }
    }
}

/// How far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchStep {
    /// Some are missing still.
    Waiting,
    /// One could not be had. It is tried again all the same.
    Failed(FetchError),
    /// All are here.
    Done,
}

/// What fetching took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FetchStats {
    /// Outputs that are here.
    pub outputs: u64,
    /// Bytes of their segments, as they were sent.
    pub bytes: u64,
    /// Bytes of the frames once decompressed.
    pub raw_bytes: u64,
    /// Records in them, as far as their writers counted.
    pub records: u64,
    /// Copies that failed.
    pub failures: u64,
    /// Segments that went to disk by themselves.
    pub to_disk: u64,
    /// Times that memory was merged to disk.
    pub merges: u64,
    /// Records written to disk, by either way.
    pub spilled_records: u64,
    /// Bytes of the same.
    pub spilled_bytes: u64,
    /// Records that the combiner was given.
    pub combine_in: u64,
    /// Records that it made.
    pub combine_out: u64,
}

/// A segment that is here, or several that were merged.
#[derive(Debug)]
pub struct Fetched {
    /// The map, or the first one of several.
    pub map: u32,
    /// Its records.
    pub run: Run,
}

struct State {
    book: Book,
    store: Store,
    /// Why nothing can go on, until somebody was told.
    fatal: Option<RuntimeError>,
    is_broken: bool,
}

impl State {
    fn break_with(&mut self, error: RuntimeError) {
        if !self.is_broken {
            self.is_broken = true;
            self.fatal = Some(error);
        }
    }
}

struct Shared {
    config: FetchConfig,
    state: Mutex<State>,
    /// The book or the store changed.
    changed: Condvar,
    stop: Arc<AtomicBool>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// See the module.
pub struct Fetcher {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fetcher").field("config", &self.shared.config).finish_non_exhaustive()
    }
}

impl Fetcher {
    /// Starts the threads. They wait for [`Self::ready`].
    ///
    /// # Errors
    /// No thread can be had.
    pub fn start(
        config: FetchConfig,
        combiner: Option<Box<dyn Combiner>>,
        reservation: Reservation,
    ) -> Result<Self, RuntimeError> {
        let count = config.parallel.clamp(1, (config.maps as usize).max(1));
        let state = State {
            book: Book::new(&config),
            store: Store::new(&config, combiner, reservation),
            fatal: None,
            is_broken: false,
        };
        let (changed, stop) = (Condvar::new(), Arc::new(AtomicBool::new(false)));
        let shared = Arc::new(Shared { config, state: Mutex::new(state), changed, stop });
        let mut fetcher = Self { shared, threads: Vec::new() };
        for number in 0..count {
            let shared = Arc::clone(&fetcher.shared);
            let thread = std::thread::Builder::new().name(format!("fetch-{number}"));
            let spawned = thread.spawn(move || copier::run(&shared));
            let spawned = spawned.map_err(|source| RuntimeError::Io { what: "start a thread".to_owned(), source })?;
            fetcher.threads.push(spawned);
        }
        Ok(fetcher)
    }

    /// An output can be fetched, from here on from this place. One that is here already is not fetched again.
    pub fn ready(&self, output: MapOutput) {
        self.shared.state().book.ready(output);
        self.shared.changed.notify_all();
    }

    /// An output is gone; another one of the same map will be ready later. One that is here already stays.
    pub fn lost(&self, map: u32, output: &str) {
        self.shared.state().book.lost(map, output);
    }

    /// The same two, as a tasktracker tells them.
    pub fn apply(&self, event: &OutputEvent) {
        match event {
            OutputEvent::Ready { attempt, server, generation } => self.ready(MapOutput {
                map: attempt.task.index,
                owner: attempt.task.job.to_string(),
                output: attempt.to_string(),
                location: Location::Server { server: server.clone(), generation: *generation },
            }),
            OutputEvent::Lost { attempt } => self.lost(attempt.task.index, &attempt.to_string()),
        }
    }

    /// Waits for all outputs, or for a failure, at most so long.
    ///
    /// # Errors
    /// This machine cannot go on: a full disk, a combiner that failed.
    pub fn wait(&self, timeout: Duration) -> Result<FetchStep, RuntimeError> {
        let deadline = Deadline::after(&SystemClock, timeout);
        let mut state = self.shared.state();
        loop {
            if let Some(fatal) = state.fatal.take() {
                return Err(fatal);
            }
            if let Some(failure) = state.book.take_failure() {
                return Ok(FetchStep::Failed(failure));
            }
            if state.book.is_done() {
                return Ok(FetchStep::Done);
            }
            let left = deadline.left(&SystemClock);
            if left.is_zero() {
                return Ok(FetchStep::Waiting);
            }
            state = self.shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// How many outputs are here.
    #[must_use]
    pub fn fetched(&self) -> u32 {
        self.shared.state().book.fetched()
    }

    /// What it took so far.
    #[must_use]
    pub fn stats(&self) -> FetchStats {
        let state = self.shared.state();
        FetchStats { failures: state.book.failures(), ..state.store.stats() }
    }

    /// Takes what is here, so that it can be worked on while the rest comes. What is taken is not merged any more.
    #[must_use]
    pub fn take_arrived(&self) -> Vec<Fetched> {
        let taken = self.shared.state().store.take();
        self.shared.changed.notify_all();
        taken
    }

    /// Ends the fetching and gives what is here and was not taken, in the order of the maps.
    ///
    /// # Errors
    /// As [`Self::wait`].
    pub fn finish(mut self) -> Result<(Vec<Fetched>, FetchStats), RuntimeError> {
        self.stop();
        let mut state = self.shared.state();
        if state.is_broken {
            let told = || RuntimeError::Refused("what was fetched is not complete".to_owned());
            return Err(state.fatal.take().unwrap_or_else(told));
        }
        drop(state);
        let stats = self.stats();
        Ok((self.take_arrived(), stats))
    }

    fn stop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        // Under the lock, so that nobody misses it between looking and waiting.
        drop(self.shared.state());
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                self.shared.state().break_with(RuntimeError::User("a fetching thread panicked".to_owned()));
            }
        }
    }
}

impl Drop for Fetcher {
    fn drop(&mut self) {
        self.stop();
    }
}

fn now_ns() -> u64 {
    SystemClock.monotonic_ns()
}

/// For [`crate::fuzzing`].
pub(crate) fn fuzz_head(bytes: &[u8]) {
    http::fuzz_head(bytes);
}
