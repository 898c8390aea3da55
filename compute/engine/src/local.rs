//! `local[N]`: one executor in the driver's own process.

use crate::context::{Cluster, Context, Options};
use crate::driver::Manager;
use crate::error::EngineError;
use crate::executor::Site;
use crate::executor::link::Link;
use crate::executor::serve::serve;
use crate::executor::tuning::RESULTS_MAX_NAME;
use crate::hub::{DirectLink, Hub, Input};
use crate::scratch::Scratch;
use crate::wire::{Hello, PlaceAddress};
use mammoth_platform::process;
use mammoth_protocol::jobs::event::AppEvent;
use mammoth_protocol::jobs::{AppId, ExecutorId, Resources};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

/// How long tasks that were told to stop may take before the context no longer waits for them.
const STOP_WAIT: Duration = Duration::from_secs(5);

/// The event that begins an application without a cluster.
pub(crate) fn app_started(options: &Options, master: &str) -> AppEvent {
    let app = AppId { cluster_ms: 0, number: std::process::id() };
    AppEvent::AppStarted { app, name: options.name.clone(), user: process::user_name(), master: master.to_owned() }
}

/// A context of `local[cores]`.
pub(crate) fn start(options: &Options, cores: u32) -> Result<Context, EngineError> {
    let mut options = options.clone();
    // Threads cannot be replaced: what does not stop is waited for.
    options.scheduler.cancel_grace_ms = u64::MAX;
    options.scheduler.executor_silent_ms = u64::MAX;
    Context::start(&options, false, |hub, _| {
        let scratch = Scratch::new()?;
        let shuffle_dir = scratch.folder("shuffle")?;
        let place = PlaceAddress::Dir(shuffle_dir.to_string_lossy().into_owned());
        let executor = ExecutorId(0);
        let site = Site {
            executor,
            app: "local".to_owned(),
            host: process::host_name(),
            cores,
            memory: options.memory,
            work_dir: scratch.folder("work")?,
            shuffle_dir,
            place: place.clone(),
            settings: settings_map(&options),
        };
        hub.expect(executor);
        let hello = Hello {
            executor,
            image: String::new(),
            host: site.host.clone(),
            pid: std::process::id(),
            resources: Resources { cores, memory_mib: u32::try_from(options.memory >> 20).unwrap_or(u32::MAX) },
            place,
            nonce: [0; 16],
        };
        let ended = spawn(site, Arc::clone(hub))?;
        hub.send(Input::Added(hello));
        let master = format!("local[{cores}]");
        let app = app_started(&options, &master);
        Ok(Cluster { master, cores, app, manager: Box::new(Local { ended, _scratch: scratch }) })
    })
}

/// Settings as executors get them.
pub(crate) fn settings_map(options: &Options) -> std::collections::BTreeMap<String, String> {
    let settings = options.settings.iter().map(|(name, value, _)| (name.to_owned(), value.to_owned()));
    settings.chain([(RESULTS_MAX_NAME.to_owned(), options.results_max.to_string())]).collect()
}

fn spawn(site: Site, hub: Arc<Hub>) -> Result<Receiver<()>, EngineError> {
    let (done, ended) = sync_channel(1);
    let executor = site.executor;
    let link: Arc<dyn Link> = Arc::new(DirectLink { hub: Arc::clone(&hub), executor });
    let run = move || {
        let reason = serve(site, link);
        hub.forget(executor, &reason);
        let _nobody_waits = done.send(());
        // If the driver does not know yet, it would wait for ever.
        hub.send(Input::Lost { executor, reason, fault: crate::hub::Fault::Own });
    };
    let thread = std::thread::Builder::new().name("rdd-executor".to_owned()).spawn(run);
    thread.map_err(EngineError::io("start the executor's thread"))?;
    Ok(ended)
}

struct Local {
    ended: Receiver<()>,
    _scratch: Scratch,
}

impl Manager for Local {
    fn replace(&mut self, _executor: ExecutorId, _reason: &str) {}

    fn lost(&mut self, _executor: ExecutorId, reason: &str) -> Result<(), String> {
        Err(format!("the executor in this process ended: {reason}"))
    }

    fn stop(&mut self, _failure: Option<&str>) {
        if self.ended.recv_timeout(STOP_WAIT).is_err() {
            tracing::warn!("a task does not stop; its thread is left behind");
        }
    }
}
