//! What every process test stands on.

mod cluster;
mod connections;
mod data;
mod disks;
mod programs;
mod proxy;
mod recorder;
mod steps;
mod wired;

pub(crate) use cluster::{BlockOf, Cluster, Options, alive, files_below};
pub(crate) use data::{Random, bytes_of, words_of};
pub(crate) use programs::{Run, program, run};
pub(crate) use proxy::{Flow, Trap, Way};
pub(crate) use recorder::{Recorder, Recording};
pub(crate) use steps::StepClient;
pub(crate) use wired::{LIMIT, NAMES, Wired};

use std::time::{Duration, Instant};

/// Polls until `check` gives a value.
///
/// # Panics
/// After `limit`, with what was awaited and the last reason why not.
#[track_caller]
pub(crate) fn poll<T>(what: &str, limit: Duration, mut check: impl FnMut() -> Result<T, String>) -> T {
    #[expect(clippy::disallowed_methods, reason = "a test waits in real time")]
    let begin = Instant::now();
    let mut pause = Duration::from_millis(5);
    loop {
        match check() {
            Ok(value) => return value,
            Err(reason) if begin.elapsed() > limit => panic!("{what}: not within {limit:?}: {reason}"),
            Err(_) => {}
        }
        std::thread::sleep(pause); // poll
        pause = (pause * 3 / 2).min(Duration::from_millis(100));
    }
}

/// A duration from now on.
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts.
    #[expect(clippy::disallowed_methods, reason = "a test measures real time")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// Since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}
