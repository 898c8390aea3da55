//! The process of one attempt: it hears what to do, does it, and says how it went.

#[cfg(test)]
mod tests;

use super::map::MapTask;
use super::meter::{Count, Meter, Phase};
use super::reduce;
use super::{JobArgs, JobPlan, TaskEnv, expected_outputs};
use crate::commit::Committer;
use crate::error::{RuntimeError, local};
use crate::files::{DfsFiles, FileSystem};
use crate::link::Link;
use crate::memory::Accountant;
use crate::program::JobEntry;
use mammoth_client::{ClientConfig, DfsClient};
use mammoth_platform::{Clock, Settings, SystemClock, keys, process, telemetry};
use mammoth_protocol::DfsPath;
use mammoth_protocol::jobs::TaskKind;
use mammoth_protocol::jobs::link::{FromChild, TaskAssignment, ToChild};
use mammoth_protocol::jobs::spec::{JobSpec, SPEC_VERSION};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Pause between two reports.
const REPORT_EVERY: Duration = Duration::from_millis(300);
/// Pause between two signs of life while others are waited for.
pub(super) const WAIT: Duration = Duration::from_millis(500);

/// The process of a task. Its status is 0 only if it said that the work is done.
#[must_use]
pub fn main(jobs: &[JobEntry]) -> ExitCode {
    let started_ns = SystemClock.monotonic_ns();
    let _logs_are_not_worth_a_failure = telemetry::start(None);
    let (first, link) = match Link::of_stdin() {
        Ok(opened) => opened,
        Err(error) => {
            crate::link::complain(&error);
            return ExitCode::FAILURE;
        }
    };
    serve(jobs, first, &link, &connect, started_ns)
}

/// Does the work and says how it went.
fn serve(jobs: &[JobEntry], first: ToChild, link: &Link, connect: Connect<'_>, started_ns: u64) -> ExitCode {
    let panicked = watch_panics(link);
    let meter = Meter::default();
    let reporter = Reporter::start(link.clone(), meter.clone());
    let ended = catch_unwind(AssertUnwindSafe(|| run(jobs, first, link, &meter, connect)));
    reporter.stop();
    let failure = match ended {
        Ok(Ok(partitions)) => {
            close_books(&meter, started_ns);
            link.send(&FromChild::Done { counters: meter.counters(), partitions });
            return ExitCode::SUCCESS;
        }
        Ok(Err(error)) => error.to_string(),
        Err(_) => panicked.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_else(|| "panic".to_owned()),
    };
    crate::link::complain(&failure);
    link.send_failed(&failure);
    ExitCode::FAILURE
}

/// Keeps what the last panic said, with its place; the usual message still goes to standard error.
fn watch_panics(link: &Link) -> Arc<Mutex<Option<String>>> {
    let last = Arc::new(Mutex::new(None));
    let (keep, link) = (Arc::clone(&last), link.clone());
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let message = info.payload_as_str().unwrap_or("panic");
        let place = info.location().map(|at| format!(" at {}:{}", at.file(), at.line())).unwrap_or_default();
        let text = format!("panicked: {message}{place}");
        usual(info);
        if cfg!(panic = "abort") {
            // Nobody will come back from this one to tell.
            link.send_failed(&text);
        }
        *keep.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
    }));
    last
}

/// What a task is to be, read and checked.
struct Work {
    task: TaskAssignment,
    spec: JobSpec,
    settings: Arc<Settings>,
    files: Box<dyn FileSystem>,
    output: Option<DfsPath>,
}

/// Finds the file system of a job.
type Connect<'a> = &'a dyn Fn(&JobSpec, &Settings) -> Result<Box<dyn FileSystem>, RuntimeError>;

fn connect(spec: &JobSpec, settings: &Settings) -> Result<Box<dyn FileSystem>, RuntimeError> {
    let config = ClientConfig { user: spec.user.clone(), ..ClientConfig::from_settings(settings)? };
    Ok(Box::new(DfsFiles::new(DfsClient::connect(config)?)))
}

fn run(
    jobs: &[JobEntry],
    first: ToChild,
    link: &Link,
    meter: &Meter,
    connect: Connect<'_>,
) -> Result<Vec<u64>, RuntimeError> {
    let ToChild::Task(task) = first else {
        return Err(RuntimeError::Refused("the tracker's first line describes no task".to_owned()));
    };
    let work = Work::read(task, connect)?;
    match work.task.attempt.task.kind {
        TaskKind::Commit | TaskKind::Abort => work.end_job(meter).map(|()| Vec::new()),
        TaskKind::Map | TaskKind::Reduce => {
            let plan = work.plan(jobs)?;
            work.compute(&plan, link, meter)
        }
    }
}

fn read_spec(path: &Path) -> Result<JobSpec, RuntimeError> {
    let corrupt = |why: String| RuntimeError::Corrupt { what: "job specification".to_owned(), why };
    let bytes = std::fs::read(path).map_err(local(path))?;
    // The version comes first, so that another one is told apart from rubbish.
    let (version, _) = postcard::take_from_bytes::<u16>(&bytes).map_err(|error| corrupt(error.to_string()))?;
    if version != SPEC_VERSION {
        return Err(corrupt(format!("it has version {version}, this program reads {SPEC_VERSION}")));
    }
    postcard::from_bytes(&bytes).map_err(|error| corrupt(error.to_string()))
}

impl Work {
    fn read(task: TaskAssignment, connect: Connect<'_>) -> Result<Self, RuntimeError> {
        let spec = read_spec(Path::new(&task.spec))?;
        let mut settings = Settings::load(None, &[])?;
        for (key, value) in &spec.settings {
            settings.set(key, value);
        }
        settings.set(keys::FS_DEFAULT_FS.name(), &spec.fs);
        let files = connect(&spec, &settings)?;
        let output = spec.output.as_deref().map(DfsPath::parse).transpose();
        let output = output.map_err(|error| RuntimeError::Refused(error.to_string()))?;
        Ok(Self { task, spec, settings: Arc::new(settings), files, output })
    }

    /// What the program says about the job; the driver asked the same.
    fn plan(&self, jobs: &[JobEntry]) -> Result<JobPlan, RuntimeError> {
        let entry = &self.spec.entry;
        let job = jobs.iter().find(|job| job.name == entry);
        let job = job.ok_or_else(|| RuntimeError::Refused(format!("this program has no job `{entry}`")))?;
        (job.define)(&JobArgs { args: &self.spec.args, settings: &self.settings })?.into_step(&self.spec.sdk)
    }

    fn compute(&self, plan: &JobPlan, link: &Link, meter: &Meter) -> Result<Vec<u64>, RuntimeError> {
        let buffer_bytes = TaskEnv::buffer_bytes_of(u64::from(self.task.resources.memory_mib) << 20, &self.settings)?;
        let env = TaskEnv {
            files: &*self.files,
            settings: Arc::clone(&self.settings),
            meter: meter.clone(),
            attempt: self.task.attempt,
            work_dir: PathBuf::from(&self.task.work_dir),
            shuffle_dir: PathBuf::from(&self.task.shuffle_dir),
            reduces: self.spec.reduces,
            buffer_bytes,
            memory: Accountant::new(buffer_bytes).begin_task(),
            output: self.output.clone(),
        };
        let writes_output = self.task.attempt.task.kind == TaskKind::Reduce || self.spec.reduces == 0;
        let done = self.work(plan, &env, link);
        match &done {
            Ok(_) if writes_output => self.commit(&env, link, meter)?,
            // Stopped: the tracker will not wait.
            Err(error) if writes_output && !matches!(error, RuntimeError::Stopped(_)) => {
                // What is left goes with the job; the first error is the one to report.
                let _left = env.committer().and_then(|committer| committer.abort_task(&env.attempt.to_string()));
            }
            _ => {}
        }
        done
    }

    fn work(&self, plan: &JobPlan, env: &TaskEnv<'_>, link: &Link) -> Result<Vec<u64>, RuntimeError> {
        let task = self.task.attempt.task;
        if task.kind == TaskKind::Reduce {
            return reduce::run(env, plan, link, self.task.maps).map(|()| Vec::new());
        }
        let split = usize::try_from(task.index).ok().and_then(|index| self.spec.splits.get(index));
        let split = split.ok_or_else(|| RuntimeError::Refused(format!("{task}: the job has no such split")))?;
        plan.code.map(MapTask::open(env, plan, split)?)
    }

    /// Asks until it may, then makes the output the task's.
    fn commit(&self, env: &TaskEnv<'_>, link: &Link, meter: &Meter) -> Result<(), RuntimeError> {
        meter.enter(Phase::Commit);
        let before = SystemClock.monotonic_ns();
        link.send(&FromChild::AskCommit);
        while !link.wait_commit(WAIT)? {
            // The others are waited for; that is no silence of this task's.
            meter.alive();
        }
        let attempt = self.task.attempt;
        env.committer()?.commit_task(&attempt.to_string(), &attempt.task.to_string())?;
        meter.spend(Phase::Commit, SystemClock.monotonic_ns().saturating_sub(before));
        Ok(())
    }

    /// The last task of a job: its output becomes visible, or goes.
    fn end_job(&self, meter: &Meter) -> Result<(), RuntimeError> {
        meter.enter(Phase::Commit);
        let Some(output) = &self.output else { return Ok(()) };
        let committer = Committer::new(&*self.files, output.clone());
        let task = self.task.attempt.task;
        let expected = expected_outputs(&self.spec, task.job);
        if task.kind == TaskKind::Commit {
            let mark = self.settings.flag(keys::MAPREDUCE_MARK_SUCCESSFUL_JOBS)?;
            committer.commit_job(&expected, mark)
        } else {
            committer.abort_job(&expected)
        }
    }
}

/// Counts what the whole process took.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "processor time of a process")]
fn close_books(meter: &Meter, started_ns: u64) {
    meter.set(Count::CpuMilliseconds, (process::cpu_seconds() * 1e3) as u64);
    meter.set(Count::PhysicalMemoryBytes, peak_resident_bytes());
    meter.close(SystemClock.monotonic_ns().saturating_sub(started_ns));
}

/// Most memory that was ever resident; 0 where the system does not tell.
fn peak_resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|text| text.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// Reports while the task goes on, and only then.
struct Reporter {
    stop: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Reporter {
    fn start(link: Link, meter: Meter) -> Self {
        let stop = Arc::new((Mutex::new(false), Condvar::new()));
        let stopping = Arc::clone(&stop);
        let report = move || {
            let mut reported = None;
            let (is_stopped, changed) = &*stopping;
            let mut guard = is_stopped.lock().unwrap_or_else(PoisonError::into_inner);
            while !*guard {
                drop(guard);
                let life = meter.life();
                if reported.replace(life) != Some(life) {
                    let (progress, phase) = (meter.progress(), meter.phase().name().to_owned());
                    link.send(&FromChild::Progress { progress, phase, counters: meter.counters() });
                }
                guard = is_stopped.lock().unwrap_or_else(PoisonError::into_inner);
                if !*guard {
                    guard = changed.wait_timeout(guard, REPORT_EVERY).unwrap_or_else(PoisonError::into_inner).0;
                }
            }
        };
        // A task that cannot report is found silent in the end, and its work is none the worse.
        let thread = std::thread::Builder::new().name("task-report".to_owned()).spawn(report).ok();
        Self { stop, thread }
    }

    /// Returns once no further report can follow.
    fn stop(mut self) {
        *self.stop.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.stop.1.notify_all();
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}
