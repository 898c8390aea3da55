//! The life of a process: brought up, supervised, and taken down with everything that descends from it.

use super::log::{self, Log, SharedLog};
use super::reason;
use super::spawn::{self, Plan, Started};
use super::supervise::{Ended, Supervised};
use super::verdict::{Cause, Said};
use crate::error::chain;
use crate::folder::Folder;
use crate::localize::Program;
use crate::names::ChildId;
use crate::procs::{self, Leaders, Marks};
use crate::table::{Table, Wish};
use mammoth_platform::Clock;
use mammoth_protocol::jobs::link::{Role, ToChild};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, ExitStatus};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::net::unix::pipe;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How long what was printed last is waited for: it is over with the last process, unless one has escaped.
const LOG_TIMEOUT: Duration = Duration::from_secs(2);

/// What all processes share.
pub(crate) struct Ground {
    pub(crate) folder: Arc<Folder>,
    pub(crate) table: Arc<Table>,
    pub(crate) leaders: Arc<Leaders>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Orphans become children of this process.
    pub(crate) subreaper: bool,
}

/// What a process is started as.
pub(crate) struct Job {
    pub(crate) child: ChildId,
    pub(crate) role: Role,
    pub(crate) program: Program,
    pub(crate) user: String,
    /// The first line on its link.
    pub(crate) first: ToChild,
    pub(crate) timeout: Option<Duration>,
    pub(crate) wish: watch::Receiver<Wish>,
}

/// A process that runs.
struct Alive {
    process: Child,
    pid: Pid,
    pidfd: OwnedFd,
    link: UnixStream,
    marks: Marks,
    stdout: Printing,
    stderr: Printing,
}

/// What it prints, and where that goes.
struct Printing {
    pipe: OwnedFd,
    log: SharedLog,
}

/// A process that is no more.
pub(crate) struct Over {
    pub(crate) said: Said,
    pub(crate) cause: Cause,
    pub(crate) status: ExitStatus,
    /// Of its standard error.
    pub(crate) last_lines: Vec<String>,
}

/// Runs what blocks; a panic there is the caller's.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime ends, and the caller with it.
            Err(_) => std::future::pending().await,
        },
    }
}

/// A process from its start until nothing is left of it but its logs and its folders.
///
/// # Errors
/// It could not be started; one line why.
pub(crate) async fn live(ground: &Arc<Ground>, job: Job) -> Result<Over, String> {
    let Job { child, role, program, user, first, timeout, wish } = job;
    let plan = Plan {
        child,
        tracker: ground.folder.tracker,
        role,
        program: program.path.clone(),
        work: ground.folder.work(child),
        user,
    };
    let own = Arc::clone(ground);
    let alive = blocking(move || own.bring_up(&plan)).await?;
    let Alive { process, pid, pidfd, link, marks, stdout, stderr } = alive;
    ground.table.started(child, process.id());
    let logs = [Arc::clone(&stdout.log), Arc::clone(&stderr.log)];
    let copies = [stdout, stderr].map(|printing| tokio::spawn(copy(printing)));
    let supervised = Supervised {
        child,
        pid,
        pidfd,
        link,
        first,
        timeout,
        wish,
        table: Arc::clone(&ground.table),
        clock: Arc::clone(&ground.clock),
    };
    let Ended { said, cause } = supervised.run().await.unwrap_or_else(|error| Ended {
        said: Said::Nothing,
        cause: Cause::Broken(format!("it cannot be watched: {error}")),
    });
    let own = Arc::clone(ground);
    let status = blocking(move || own.take_down(process, pid, &marks)).await?;
    drop(program);
    for copy in copies {
        wait(copy).await;
    }
    let last_lines = blocking(move || {
        let last = logs.each_ref().map(|log| {
            let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
            log.finish();
            log.last_lines(reason::LINES)
        });
        let [_, stderr] = last;
        stderr
    });
    Ok(Over { said, cause, status, last_lines: last_lines.await })
}

async fn copy(printing: Printing) {
    match pipe::Receiver::from_owned_fd(printing.pipe) {
        Ok(pipe) => log::copy(pipe, printing.log).await,
        Err(error) => tracing::warn!(%error, "what a child prints is lost"),
    }
}

async fn wait(mut copy: JoinHandle<()>) {
    if tokio::time::timeout(LOG_TIMEOUT, &mut copy).await.is_err() {
        copy.abort();
    }
}

impl Ground {
    /// Makes the folders and logs of a process, and starts it.
    fn bring_up(&self, plan: &Plan) -> Result<Alive, String> {
        self.folder.prepare(plan.child).map_err(|error| chain(&error))?;
        let logs = self.folder.logs(plan.child);
        let log = |name: &str| {
            let path = logs.join(name);
            Log::create(&path).map_err(|error| format!("create {}: {error}", path.display()))
        };
        let (stdout_log, stderr_log) = (log("stdout")?, log("stderr")?);
        let Started { mut child, link, stdout, stderr } = spawn::spawn(plan)?;
        let number = i32::try_from(child.id()).unwrap_or(0);
        self.leaders.add(number);
        let pid = Pid::from_child(&child);
        let pidfd = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(pidfd) => pidfd,
            Err(error) => {
                let _ = kill_process_group(pid, Signal::KILL);
                let _ = child.kill();
                let _ = child.wait();
                self.leaders.remove(number);
                return Err(format!("the new process cannot be watched: {error}"));
            }
        };
        let marks = Marks {
            what: plan.child.to_string(),
            leader: Some(number),
            since: procs::find(number).map_or(0, |proc| proc.started),
            environment: spawn::marks(plan.tracker, plan.child),
            folder: Some(plan.work.clone()),
            below_us: self.subreaper,
        };
        let stdout = Printing { pipe: stdout.into(), log: stdout_log };
        let stderr = Printing { pipe: stderr.into(), log: stderr_log };
        Ok(Alive { process: child, pid, pidfd, link, marks, stdout, stderr })
    }

    /// Ends whatever is left of a process, and reaps it last, as its number is its group's until then.
    fn take_down(&self, mut process: Child, pid: Pid, marks: &Marks) -> Result<ExitStatus, String> {
        let _ = kill_process_group(pid, Signal::KILL);
        // It may be in another group, if nobody could watch it until its end.
        let _ = process.kill();
        procs::end_all(marks, &*self.clock);
        let status = process.wait();
        self.leaders.remove(i32::try_from(process.id()).unwrap_or(0));
        status.map_err(|error| format!("its status is lost: {error}"))
    }
}
