//! The main function of an executor's process.

use super::Site;
use super::http::HttpLink;
use super::serve::serve;
use crate::image;
use crate::scratch::Shared;
use crate::wire::{Hello, PlaceAddress};
use mammoth_platform::{Entropy, SystemEntropy, telemetry};
use mammoth_protocol::Uuid;
use mammoth_protocol::jobs::link::{ExecutorAssignment, ToChild};
use mammoth_runtime::link::Link as TrackerLink;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// How often it is looked whether who started this process wants it to end.
const STOP_STEP: Duration = Duration::from_millis(200);
/// How long tasks may take to stop once the executor ends; then the process ends without them.
const TASKS_STOP: Duration = Duration::from_secs(3);

/// Runs an executor: what it is to be comes over standard input, and the process ends when that, or the driver, does.
#[must_use]
pub fn executor_main() -> ExitCode {
    // Without a log an executor still works.
    let _silent = telemetry::start(None);
    match run() {
        Ok(reason) => {
            tracing::debug!(reason, "the executor ends");
            ExitCode::SUCCESS
        }
        Err(reason) => {
            // Not `eprintln`: that panics where nobody reads any more.
            let _gone = writeln!(std::io::stderr(), "executor: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<String, String> {
    let ending: Arc<OnceLock<Ending>> = Arc::default();
    let last = Arc::clone(&ending);
    let last_words = move |why: &str| last.get().into_iter().for_each(|ending| ending.last_words(why));
    let (first, tracker) = TrackerLink::of_stdin_with(last_words).map_err(|error| error.to_string())?;
    let ToChild::Executor(assignment) = first else { return Err("told to be something else".to_owned()) };
    let image = image::digest().map_err(|error| error.to_string())?;
    let site = site_of(&assignment)?;
    let ExecutorAssignment { driver, secret, executor, resources, .. } = assignment;
    let hello = Hello {
        executor,
        image,
        host: site.host.clone(),
        pid: std::process::id(),
        resources,
        place: site.place.clone(),
        nonce: SystemEntropy.bytes16(),
    };
    let link = Arc::new(HttpLink::new(driver, secret, executor)?);
    // Set once, here.
    let _first = ending.set(Ending::of(&site, Arc::clone(&link)));
    link.hello(&hello).map_err(|gone| gone.0)?;
    let (done, ended) = sync_channel(1);
    let serving = Arc::clone(&link);
    let work = move || {
        let _main_is_gone = done.send(serve(site, serving));
    };
    std::thread::Builder::new().name("serve".to_owned()).spawn(work).map_err(|error| error.to_string())?;
    loop {
        match ended.recv_timeout(STOP_STEP) {
            Ok(reason) => return Ok(reason),
            Err(RecvTimeoutError::Disconnected) => return Err("the executor's thread panicked".to_owned()),
            Err(RecvTimeoutError::Timeout) => {
                let reason = tracker.stop_reason().or_else(|| link.gone());
                if let Some(reason) = reason {
                    link.stop(&reason);
                    return Ok(ended.recv_timeout(TASKS_STOP).unwrap_or(reason));
                }
            }
        }
    }
}

/// What is still to be done when who started this process is gone, and it with them.
enum Ending {
    /// A tasktracker: the driver lives.
    Tracker(Arc<HttpLink>),
    /// The driver itself, and its folder, if that is not gone already.
    Driver(Option<Shared>),
}

impl Ending {
    fn of(site: &Site, link: Arc<HttpLink>) -> Self {
        match &site.place {
            PlaceAddress::Server { .. } => Self::Tracker(link),
            PlaceAddress::Dir(_) => Self::Driver(Shared::around(&site.work_dir)),
        }
    }

    fn last_words(&self, why: &str) {
        match self {
            Self::Tracker(link) => link.bye(why),
            Self::Driver(shared) => shared.iter().for_each(Shared::remove_after_driver),
        }
    }
}

/// The folder that all executors of an application share, where there is no shuffle server.
const NO_SERVER: &str = "";

fn site_of(assignment: &ExecutorAssignment) -> Result<Site, String> {
    let shuffle_dir = PathBuf::from(&assignment.shuffle_dir);
    let place = if assignment.shuffle_server == NO_SERVER && assignment.generation == Uuid::default() {
        PlaceAddress::Dir(assignment.shuffle_dir.clone())
    } else {
        PlaceAddress::Server { server: assignment.shuffle_server.clone(), generation: assignment.generation }
    };
    for dir in [&assignment.work_dir, &assignment.shuffle_dir] {
        std::fs::create_dir_all(dir).map_err(|error| format!("create {dir}: {error}"))?;
    }
    Ok(Site {
        executor: assignment.executor,
        app: assignment.app.to_string(),
        host: assignment.host.clone(),
        cores: assignment.resources.cores,
        memory: u64::from(assignment.resources.memory_mib) << 20,
        work_dir: PathBuf::from(&assignment.work_dir),
        shuffle_dir,
        place,
        settings: assignment.settings.clone(),
    })
}
