//! Background threads, each with a name: nothing runs that a status page cannot list or an end cannot join.
//!
//! A thread runs once and its failure or panic is fatal to its daemon. A [`Worker`] is called again and again; its failures
//! are logged, shown and tried again after a growing pause, only a panic is fatal.

#[cfg(test)]
mod tests;

use crate::clock::{Clock, SystemClock};
use crate::error::PlatformError;
use crate::shutdown::Shutdown;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// First pause after a failure; doubles up to [`RETRY_PAUSE_MAX`].
const RETRY_PAUSE_MIN: Duration = Duration::from_secs(1);
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(60);
/// Failures kept for [`Workers::join`].
const FAILURES_MAX: usize = 64;

/// What a worker wants after a step of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerState {
    /// More to do now.
    Busy,
    /// Nothing to do for so many milliseconds, unless woken.
    Idle(u64),
    /// Never again.
    Done,
}

/// A background loop, given as its body.
pub trait Worker: Send {
    /// Its name, for the status page and the thread.
    fn name(&self) -> &str;

    /// Does one bounded step. It should take well under a second, as the end of the daemon waits for it.
    ///
    /// # Errors
    /// A failure worth trying again; its text is logged and shown.
    fn work(&mut self) -> Result<WorkerState, String>;
}

/// What a thread or worker does, for a status page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerStatus {
    /// Its name.
    pub name: String,
    /// Its state.
    pub activity: Activity,
    /// How many times it failed.
    pub errors: u64,
    /// Its last failure, and the wall clock then in milliseconds.
    pub last_error: Option<(String, u64)>,
}

/// See [`WorkerStatus`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// A plain thread, running.
    Thread,
    /// Working.
    Busy,
    /// Waiting for work.
    Idle,
    /// Waiting to try again after a failure.
    Failing,
}

/// The threads of one daemon; clones are the same group.
#[derive(Clone, Debug)]
pub struct Workers {
    shared: Arc<Shared>,
    shutdown: Shutdown,
}

#[derive(Debug, Default)]
struct Shared {
    table: Mutex<Table>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct Table {
    next_id: u64,
    running: BTreeMap<u64, WorkerStatus>,
    failures: Vec<String>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update(&self, id: u64, change: impl FnOnce(&mut WorkerStatus)) {
        if let Some(status) = self.lock().running.get_mut(&id) {
            change(status);
        }
    }
}

/// Wakes a worker that is idle or waits to try again; a wake during work makes it work once more.
#[derive(Clone, Debug, Default)]
pub struct Waker {
    inner: Arc<(Mutex<bool>, Condvar)>,
}

impl Waker {
    /// Wakes it.
    pub fn wake(&self) {
        *self.inner.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.inner.1.notify_all();
    }

    /// Sleeps until woken, at most `timeout`.
    fn sleep(&self, timeout: Duration) {
        let woken = self.inner.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut woken, _) =
            self.inner.1.wait_timeout_while(woken, timeout, |w| !*w).unwrap_or_else(PoisonError::into_inner);
        *woken = false;
    }
}

impl Workers {
    /// A group whose threads end with `shutdown`, and whose fatal errors trigger it.
    #[must_use]
    pub fn new(shutdown: Shutdown) -> Self {
        Self { shared: Arc::default(), shutdown }
    }

    /// Starts a thread that runs `body` once. The body watches the shutdown token itself. Its error or panic is fatal.
    ///
    /// # Errors
    /// The system refuses another thread.
    pub fn thread<E: Display>(
        &self,
        name: &str,
        body: impl FnOnce() -> Result<(), E> + Send + 'static,
    ) -> Result<(), PlatformError> {
        self.start(name, Activity::Thread, move |_| body().map_err(|e| e.to_string()))
    }

    /// Starts a worker on a thread of its own; the returned handle wakes it.
    ///
    /// # Errors
    /// The system refuses another thread.
    pub fn worker(&self, mut worker: impl Worker + 'static) -> Result<Waker, PlatformError> {
        let waker = Waker::default();
        let (shutdown, shared, own_waker) = (self.shutdown.clone(), self.shared.clone(), waker.clone());
        let name = worker.name().to_owned();
        self.start(&name, Activity::Busy, move |id| {
            let at_end = own_waker.clone();
            let _subscription = shutdown.subscribe(move || at_end.wake());
            run_worker(&mut worker, id, &shared, &shutdown, &own_waker);
            Ok(())
        })?;
        Ok(waker)
    }

    /// What runs now.
    #[must_use]
    pub fn statuses(&self) -> Vec<WorkerStatus> {
        self.shared.lock().running.values().cloned().collect()
    }

    /// Waits until all threads have ended, at most `timeout`. Call it after triggering the shutdown, from outside the group.
    ///
    /// # Errors
    /// One line per thread that failed, panicked, or still runs.
    pub fn join(&self, timeout: Duration) -> Result<(), Vec<String>> {
        let table = self.shared.lock();
        let (table, _) = self
            .shared
            .ended
            .wait_timeout_while(table, timeout, |t| !t.running.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        let mut lines = table.failures.clone();
        lines.extend(table.running.values().map(|s| format!("{}: still running after {timeout:?}", s.name)));
        if lines.is_empty() { Ok(()) } else { Err(lines) }
    }

    fn start(
        &self,
        name: &str,
        activity: Activity,
        body: impl FnOnce(u64) -> Result<(), String> + Send + 'static,
    ) -> Result<(), PlatformError> {
        let id = {
            let mut table = self.shared.lock();
            table.next_id += 1;
            let id = table.next_id;
            let status = WorkerStatus { name: name.to_owned(), activity, errors: 0, last_error: None };
            table.running.insert(id, status);
            id
        };
        let (shared, shutdown, own_name) = (self.shared.clone(), self.shutdown.clone(), name.to_owned());
        let run = move || {
            // Everything that the body owns is dropped before the thread counts as ended: locks on folders, sockets.
            let result = catch_unwind(AssertUnwindSafe(move || body(id)));
            let failure = match result {
                Ok(Ok(())) => None,
                Ok(Err(reason)) => Some(format!("{own_name}: {reason}")),
                Err(panic) => Some(format!("{own_name} panicked: {}", panic_text(panic.as_ref()))),
            };
            if let Some(reason) = &failure {
                tracing::error!(thread = %own_name, "{reason}");
                shutdown.fatal(reason.clone());
            }
            let mut table = shared.lock();
            table.running.remove(&id);
            if table.failures.len() < FAILURES_MAX {
                table.failures.extend(failure);
            }
            drop(table);
            shared.ended.notify_all();
        };
        // The kernel cuts thread names at 15 bytes by itself.
        match std::thread::Builder::new().name(name.to_owned()).spawn(run) {
            Ok(_detached) => Ok(()),
            Err(source) => {
                self.shared.lock().running.remove(&id);
                self.shared.ended.notify_all();
                Err(PlatformError::System { action: "start a thread", source })
            }
        }
    }
}

fn run_worker(worker: &mut impl Worker, id: u64, shared: &Shared, shutdown: &Shutdown, waker: &Waker) {
    let mut pause = RETRY_PAUSE_MIN;
    while !shutdown.is_triggered() {
        shared.update(id, |s| s.activity = Activity::Busy);
        match worker.work() {
            Ok(WorkerState::Busy) => pause = RETRY_PAUSE_MIN,
            Ok(WorkerState::Idle(ms)) => {
                pause = RETRY_PAUSE_MIN;
                shared.update(id, |s| s.activity = Activity::Idle);
                waker.sleep(Duration::from_millis(ms));
            }
            Ok(WorkerState::Done) => return,
            Err(reason) => {
                tracing::warn!(worker = worker.name(), "{reason}");
                let at = SystemClock.now().wall_ms;
                shared.update(id, |s| {
                    s.activity = Activity::Failing;
                    s.errors += 1;
                    s.last_error = Some((reason, at));
                });
                waker.sleep(pause);
                pause = (pause * 2).min(RETRY_PAUSE_MAX);
            }
        }
    }
}

/// The message of a panic, where it has one.
fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
