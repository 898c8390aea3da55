//! The relation to the jobtracker, on a thread of its own: registers, polls, carries orders out. Nothing here waits for a disk
//! or a task.
//!
//! All of it is level-triggered: each poll says everything that is held, and what is lost is said again.

mod caller;
mod session;

use crate::launcher::Launcher;
use crate::names::{ChildId, Owner};
use crate::table::{Sent, Table};
use caller::{CallError, Caller};
use mammoth_platform::{Clock, Shutdown};
use mammoth_protocol::jobs::tracker::{Order, RegisterReply, RegisterRequest, routes};
use mammoth_web::doors::stopped;
use session::Session;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// First pause after a failed call; doubles up to [`PAUSE_MAX`], so that a jobtracker that returns is found at once.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// What is known of the jobtracker, for others to see.
#[derive(Debug, Default)]
pub(crate) struct Contact {
    /// It has taken this tracker in.
    pub(crate) registered: AtomicBool,
    /// When it was last heard of, monotonic milliseconds.
    heard_ms: AtomicU64,
    /// Silence after which attempts are ended, milliseconds; 0 = it was never met.
    expiry_ms: AtomicU64,
}

/// The thread's own.
pub(crate) struct Tracking {
    pub(crate) introduction: RegisterRequest,
    pub(crate) jobtracker: String,
    pub(crate) contact: Arc<Contact>,
    pub(crate) launcher: Arc<Launcher>,
    pub(crate) shutdown: Shutdown,
    pub(crate) clock: Arc<dyn Clock>,
}

/// Pauses between calls that fail, and one line in the log for many.
struct Patience {
    pause: Duration,
    told: Option<String>,
}

impl Tracking {
    /// Runs until the end of the daemon.
    ///
    /// # Errors
    /// The system has no resources for it.
    pub(crate) fn run(self) -> Result<(), String> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
        let caller = Caller::new(&self.jobtracker)?;
        runtime.block_on(async {
            tokio::select! {
                () = stopped(&self.shutdown) => {}
                never = self.relate(caller) => match never {},
                never = self.watch_silence() => match never {},
            }
        });
        self.contact.registered.store(false, Ordering::SeqCst);
        Ok(())
    }

    fn table(&self) -> &Arc<Table> {
        &self.launcher.ground.table
    }

    fn heard(&self) {
        self.contact.heard_ms.store(self.clock.now().monotonic_ms, Ordering::SeqCst);
    }

    /// A jobtracker that could not be reached for so long has given this tracker up, and runs its work elsewhere.
    async fn watch_silence(&self) -> Infallible {
        let mut pause = Duration::from_millis(100);
        loop {
            tokio::time::sleep(pause).await;
            let expiry_ms = self.contact.expiry_ms.load(Ordering::SeqCst);
            let silent_ms = self.clock.now().monotonic_ms.saturating_sub(self.contact.heard_ms.load(Ordering::SeqCst));
            if expiry_ms == 0 {
                continue;
            }
            if silent_ms > expiry_ms {
                let live = *self.table().live().borrow();
                if live > 0 {
                    tracing::warn!(silent_ms, live, "the jobtracker cannot be reached, all attempts are ended");
                }
                self.table().end_all(&format!("the jobtracker could not be reached for {expiry_ms} ms"));
                pause = Duration::from_millis(expiry_ms.clamp(10, 1000));
            } else {
                pause = Duration::from_millis(expiry_ms - silent_ms + 1);
            }
        }
    }

    async fn relate(&self, caller: Caller) -> Infallible {
        let caller = Arc::new(caller);
        let mut patience = Patience { pause: PAUSE_MIN, told: None };
        loop {
            match caller.post::<RegisterReply>(routes::REGISTER, &self.introduction, 0).await {
                Ok(registered) => {
                    patience.well(&self.jobtracker);
                    tracing::info!(jobtracker = self.jobtracker, epoch = registered.epoch.0, "registered");
                    self.contact.expiry_ms.store(registered.expiry_ms.max(1), Ordering::SeqCst);
                    self.heard();
                    // It may count outputs anew.
                    self.table().void_outputs();
                    self.contact.registered.store(true, Ordering::SeqCst);
                    let polled = Session::new(self, &caller, &registered).run(&mut patience).await;
                    self.contact.registered.store(false, Ordering::SeqCst);
                    tracing::info!(jobtracker = self.jobtracker, "the jobtracker wants a new registration");
                    if !polled {
                        patience.ill(&self.jobtracker, "it forgets registrations at once").await;
                    }
                }
                Err(CallError::Stale) => patience.ill(&self.jobtracker, "it takes nobody in yet").await,
                Err(CallError::Unreachable(reason)) => patience.ill(&self.jobtracker, &reason).await,
            }
        }
    }

    fn carry_out(&self, order: Order, sent: &Sent) {
        match order {
            Order::Launch(launch) => self.launcher.attempt(launch),
            Order::Kill { attempt, reason } => self.table().end(ChildId::Attempt(attempt), &reason),
            Order::GrantCommit { attempt } => self.table().grant(ChildId::Attempt(attempt)),
            Order::Forget { attempt } => self.table().forget(ChildId::Attempt(attempt)),
            Order::Outputs { job, from, events } => {
                if let Some(asked) = sent.asked.get(&job) {
                    self.table().take_outputs(job, *asked, from, events);
                }
            }
            Order::DropJob { job } => self.launcher.drop_owner(Owner::Job(job)),
            Order::LaunchExecutor(launch) => self.launcher.executor(launch),
            Order::KillExecutor { app, executor, reason } => {
                self.table().end(ChildId::Executor(app, executor), &reason);
            }
            Order::ForgetExecutor { app, executor } => self.table().forget(ChildId::Executor(app, executor)),
            Order::DropApp { app } => self.launcher.drop_owner(Owner::App(app)),
        }
    }
}

impl Patience {
    fn well(&mut self, jobtracker: &str) {
        if self.told.take().is_some() {
            tracing::info!(jobtracker, "the jobtracker answers again");
        }
        self.pause = PAUSE_MIN;
    }

    async fn ill(&mut self, jobtracker: &str, reason: &str) {
        if self.told.as_deref() != Some(reason) {
            tracing::warn!(jobtracker, reason, "no contact to the jobtracker");
            self.told = Some(reason.to_owned());
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(PAUSE_MAX);
    }
}
