//! From an order to the report of its end: fetches what an attempt or executor needs, starts its process, and leaves nothing of
//! it when it is over.
//!
//! One asynchronous task for each; whatever blocks runs on threads that may.

use crate::child::life::{self, Ground, Job, blocking};
use crate::child::reason;
use crate::child::verdict::{self, Cause, Verdict};
use crate::error::chain;
use crate::localize::{Localizer, Program};
use crate::names::{ChildId, Owner};
use crate::table::Wish;
use mammoth_platform::Shutdown;
use mammoth_protocol::jobs::Counters;
use mammoth_protocol::jobs::link::{ExecutorAssignment, Role, TaskAssignment, ToChild};
use mammoth_protocol::jobs::spec::ProgramRef;
use mammoth_protocol::jobs::tracker::{AttemptPhase, LaunchAttempt, LaunchExecutor};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::watch;

/// What all attempts and executors share.
pub(crate) struct Launcher {
    pub(crate) ground: Arc<Ground>,
    pub(crate) localizer: Arc<Localizer>,
    pub(crate) shutdown: Shutdown,
    /// Host name of the tracker.
    pub(crate) host: String,
    /// `host:port` of its HTTP door.
    pub(crate) http: String,
    pub(crate) runtime: Handle,
}

/// The reason for which the child is to end, once there is one.
async fn ordered(wish: &mut watch::Receiver<Wish>) -> String {
    let reason = wish.wait_for(|wish| wish.end.is_some()).await.map(|wish| wish.end.clone().unwrap_or_default());
    match reason {
        Ok(reason) => reason,
        Err(_) => std::future::pending().await,
    }
}

impl Launcher {
    /// Carries out the order to start an attempt, unless it is held already.
    pub(crate) fn attempt(self: &Arc<Self>, launch: LaunchAttempt) {
        if let Some(wish) = self.ground.table.launch(&launch, self.ground.clock.now().wall_ms) {
            let own = Arc::clone(self);
            self.start(async move { own.run_attempt(launch, wish).await });
        }
    }

    /// Carries out the order to start an executor, unless it is held already.
    pub(crate) fn executor(self: &Arc<Self>, launch: LaunchExecutor) {
        if let Some(wish) = self.ground.table.launch_executor(&launch, self.ground.clock.now().wall_ms) {
            let own = Arc::clone(self);
            self.start(async move { own.run_executor(launch, wish).await });
        }
    }

    /// Drops everything of a job or application but its logs, unless something of it still runs.
    pub(crate) fn drop_owner(self: &Arc<Self>, owner: Owner) {
        if !self.ground.table.may_drop(owner) {
            return;
        }
        let own = Arc::clone(self);
        self.runtime.spawn_blocking(move || {
            own.ground.folder.trash.discard(&own.ground.folder.owned(owner));
            own.ground.folder.indexes.forget(owner);
            if let Owner::Job(job) = owner {
                own.localizer.forget(job);
            }
            own.ground.folder.prune_logs(&own.ground.table.owners());
            own.ground.table.dropped(owner);
        });
    }

    /// A task that must not be lost: if it panics, an attempt would never end.
    fn start(self: &Arc<Self>, task: impl Future<Output = ()> + Send + 'static) {
        let task = self.runtime.spawn(task);
        let shutdown = self.shutdown.clone();
        self.runtime.spawn(async move {
            if let Err(error) = task.await
                && error.is_panic()
            {
                shutdown.fatal(format!("a supervisor of a child process panicked: {error}"));
            }
        });
    }

    async fn run_attempt(self: Arc<Self>, launch: LaunchAttempt, mut wish: watch::Receiver<Wish>) {
        let child = ChildId::Attempt(launch.attempt);
        let ready = tokio::select! {
            reason = ordered(&mut wish) => Err(AttemptPhase::Killed { reason }),
            ready = self.localize(&launch) => ready.map_err(|reason| AttemptPhase::Failed { reason }),
        };
        let (phase, counters) = match ready {
            Ok((program, spec)) => self.live_attempt(&launch, program, &spec, wish).await,
            Err(phase) => (phase, None),
        };
        let succeeded = matches!(phase, AttemptPhase::Succeeded { .. });
        let own = Arc::clone(&self);
        blocking(move || own.ground.folder.clean_up(child, succeeded)).await;
        match &phase {
            AttemptPhase::Failed { reason } => {
                tracing::info!(attempt = %child, reason = first_line(reason), "attempt failed");
            }
            AttemptPhase::Killed { reason } => tracing::info!(attempt = %child, reason, "attempt killed"),
            _ => tracing::debug!(attempt = %child, "attempt succeeded"),
        }
        self.ground.table.attempt_ended(child, phase, counters);
    }

    /// Program and specification, at the same time.
    async fn localize(&self, launch: &LaunchAttempt) -> Result<(Program, PathBuf), String> {
        let (ground, owner) = (Arc::clone(&self.ground), Owner::Job(launch.attempt.task.job));
        blocking(move || ground.folder.adopt(owner)).await.map_err(|error| chain(&error))?;
        let program = self.localize_program(&launch.fs, &launch.user, &launch.program);
        let (localizer, launch) = (Arc::clone(&self.localizer), launch.clone());
        let spec = blocking(move || {
            let LaunchAttempt { attempt, fs, user, spec, spec_sha256, .. } = &launch;
            localizer.spec(attempt.task.job, fs, user, spec, spec_sha256)
        });
        let (program, spec) = tokio::join!(program, spec);
        Ok((program?, spec?))
    }

    async fn localize_program(&self, fs: &str, user: &str, program: &ProgramRef) -> Result<Program, String> {
        let localizer = Arc::clone(&self.localizer);
        let (fs, user, program) = (fs.to_owned(), user.to_owned(), program.clone());
        blocking(move || localizer.program(&fs, &user, &program)).await
    }

    async fn live_attempt(
        self: &Arc<Self>,
        launch: &LaunchAttempt,
        program: Program,
        spec: &Path,
        wish: watch::Receiver<Wish>,
    ) -> (AttemptPhase, Option<Counters>) {
        let child = ChildId::Attempt(launch.attempt);
        let first = ToChild::Task(TaskAssignment {
            attempt: launch.attempt,
            spec: text(spec),
            work_dir: text(&self.ground.folder.work(child)),
            shuffle_dir: text(&self.ground.folder.shuffle(child.owner())),
            host: self.host.clone(),
            maps: launch.maps,
            reduces: launch.reduces,
            resources: launch.resources,
        });
        let timeout = Some(launch.timeout_ms).filter(|ms| *ms > 0).map(Duration::from_millis);
        let job = Job { child, role: Role::Task, program, user: launch.user.clone(), first, timeout, wish };
        let over = match life::live(&self.ground, job).await {
            Ok(over) => over,
            Err(reason) => return (AttemptPhase::Failed { reason }, None),
        };
        match verdict::of_task(over.said, over.cause, over.status) {
            Verdict::Succeeded { counters, partitions } => (AttemptPhase::Succeeded { partitions }, Some(counters)),
            Verdict::Killed(reason) => (AttemptPhase::Killed { reason }, None),
            Verdict::Failed(line) => {
                let reason = reason::full(&line, &over.last_lines, &self.log_url(child));
                (AttemptPhase::Failed { reason }, None)
            }
        }
    }

    async fn run_executor(self: Arc<Self>, launch: LaunchExecutor, mut wish: watch::Receiver<Wish>) {
        let child = ChildId::Executor(launch.app, launch.executor);
        let program = tokio::select! {
            reason = ordered(&mut wish) => Err(reason),
            program = self.localize_program(&launch.fs, &launch.user, &launch.program) => program,
        };
        let ended = match program {
            Ok(program) => self.live_executor(launch, program, wish).await,
            Err(reason) => reason,
        };
        let own = Arc::clone(&self);
        blocking(move || own.ground.folder.clean_up(child, true)).await;
        tracing::info!(executor = %child, reason = first_line(&ended), "executor ended");
        self.ground.table.executor_ended(child, ended);
    }

    async fn live_executor(
        self: &Arc<Self>,
        launch: LaunchExecutor,
        program: Program,
        wish: watch::Receiver<Wish>,
    ) -> String {
        let child = ChildId::Executor(launch.app, launch.executor);
        let first = ToChild::Executor(ExecutorAssignment {
            app: launch.app,
            executor: launch.executor,
            driver: launch.driver,
            secret: launch.secret,
            work_dir: text(&self.ground.folder.work(child)),
            shuffle_dir: text(&self.ground.folder.shuffle(child.owner())),
            shuffle_server: self.http.clone(),
            generation: self.ground.folder.generation,
            host: self.host.clone(),
            resources: launch.resources,
            settings: launch.settings,
        });
        let job = Job { child, role: Role::Executor, program, user: launch.user, first, timeout: None, wish };
        match life::live(&self.ground, job).await {
            Err(reason) => reason,
            Ok(over) => {
                let by_order = matches!(over.cause, Cause::Ordered(_));
                let line = verdict::of_executor(over.said, over.cause, over.status);
                if by_order { line } else { reason::full(&line, &over.last_lines, &self.log_url(child)) }
            }
        }
    }

    fn log_url(&self, child: ChildId) -> String {
        format!("http://{}{}", self.http, child.log_route("stderr"))
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
