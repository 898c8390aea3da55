//! One program, several roles: the same image is its user's driver, describes itself, and is the process of a task or an
//! executor. Which, an environment variable says; arguments are the user's alone.
//!
//! [`dispatch`] is the first line of any main that has other things to do; [`main`] is all of one that has not.

mod chain;
mod driver;
mod environment;
#[cfg(test)]
mod tests;
mod watch;

pub use driver::Driver;
pub use environment::{
    CONF_DIR_VARIABLE, Environment, FILE_SYSTEM_VARIABLE, JOBTRACKER_VARIABLE, MODE_VARIABLE, Mode, SETTINGS_VARIABLE,
};

use crate::error::RuntimeError;
use crate::task::{self, JobArgs, JobPlan};
use mammoth_platform::telemetry;
use mammoth_protocol::jobs::link::{Description, ROLE_VARIABLE, Role};
use std::io::Write;
use std::process::ExitCode;

/// Status of a wrong command line, as of Hadoop's tools.
const USAGE_STATUS: u8 = 255;
/// Version of [`Description`].
const CONTRACT: u32 = 1;

/// A MapReduce job of a program.
#[derive(Clone, Copy, Debug)]
pub struct JobEntry {
    /// How it is called.
    pub name: &'static str,
    /// Describes the job for its arguments and settings. Called in the driver and again in every task, so it must say the same
    /// each time and do nothing.
    pub define: fn(&JobArgs<'_>) -> Result<JobPlan, RuntimeError>,
}

/// An application of the in-memory mode.
#[derive(Clone, Copy, Debug)]
pub struct AppEntry {
    /// How it is called.
    pub name: &'static str,
    /// Its driver.
    pub driver: fn(Invocation) -> ExitCode,
    /// The executor; the same for all applications of a program.
    pub executor: fn() -> ExitCode,
}

/// How a driver was called.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// The application.
    pub name: String,
    /// What follows its name.
    pub args: Vec<String>,
    /// The cluster and settings.
    pub environment: Environment,
}

/// Plays the role that the environment names; `None` if it names none. To be the first line of `main`.
#[must_use]
pub fn dispatch(jobs: &[JobEntry], apps: &[AppEntry]) -> Option<ExitCode> {
    let role = std::env::var_os(ROLE_VARIABLE)?;
    Some(match role.to_str().and_then(Role::of_name) {
        Some(Role::Describe) => describe(jobs, apps),
        Some(Role::Driver) => drive(jobs, apps, std::env::args().collect()),
        Some(Role::Task) => task::main(jobs),
        Some(Role::Executor) => match apps.first() {
            Some(app) => (app.executor)(),
            None => fail(&format!("{ROLE_VARIABLE}: this program has no application to be an executor of"), 1),
        },
        None => fail(&format!("{ROLE_VARIABLE}: `{}` is no role", role.to_string_lossy()), 1),
    })
}

/// All of a program's `main`: without a role it is its user's driver.
#[must_use]
pub fn main(jobs: &[JobEntry], apps: &[AppEntry]) -> ExitCode {
    dispatch(jobs, apps).unwrap_or_else(|| drive(jobs, apps, std::env::args().collect()))
}

fn describe(jobs: &[JobEntry], apps: &[AppEntry]) -> ExitCode {
    let description = description(jobs, apps);
    let written = serde_json::to_string(&description).map_err(|error| error.to_string()).and_then(|line| {
        let mut out = std::io::stdout();
        writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|error| error.to_string())
    });
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => fail(&format!("standard output: {why}"), 1),
    }
}

fn description(jobs: &[JobEntry], apps: &[AppEntry]) -> Description {
    Description {
        contract: CONTRACT,
        jobs: jobs.iter().map(|job| job.name.to_owned()).collect(),
        apps: apps.iter().map(|app| app.name.to_owned()).collect(),
    }
}

/// One line on standard error, and the status.
fn fail(text: &str, status: u8) -> ExitCode {
    eprintln!("{text}");
    ExitCode::from(status)
}

/// What a command line asks for.
#[derive(Debug)]
enum Choice<'a> {
    Job(&'a JobEntry),
    App(&'a AppEntry),
}

/// Who is meant by a name, in a mode.
fn choose<'a>(
    jobs: &'a [JobEntry],
    apps: &'a [AppEntry],
    name: &str,
    mode: Option<Mode>,
) -> Result<Choice<'a>, RuntimeError> {
    let job = jobs.iter().find(|job| job.name == name).map(Choice::Job);
    let app = apps.iter().find(|app| app.name == name).map(Choice::App);
    let unknown = || {
        let known = names(jobs, apps);
        RuntimeError::Refused(format!("Unknown job `{name}`. This program has: {}", known.join(", ")))
    };
    let only =
        |how: &str, mode: &str| RuntimeError::Usage(format!("`{name}` runs {how} only: mapred run --mode {mode}"));
    match (mode, job, app) {
        (_, None, None) => Err(unknown()),
        (Some(Mode::Disk), None, Some(_)) => Err(only("in memory", "memory")),
        (Some(Mode::Memory), Some(_), None) => Err(only("on disk", "disk")),
        (Some(Mode::Memory), _, Some(app)) | (None, None, Some(app)) => Ok(app),
        (_, Some(job), _) => Ok(job),
    }
}

fn names(jobs: &[JobEntry], apps: &[AppEntry]) -> Vec<&'static str> {
    let mut names: Vec<_> = jobs.iter().map(|job| job.name).chain(apps.iter().map(|app| app.name)).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// What a program says when it is called without a job.
fn usage(program: &str, jobs: &[JobEntry], apps: &[AppEntry]) -> String {
    let mut text = format!("Usage: mapred run {program} JOB ARGS...\nJobs of this program:\n");
    for name in names(jobs, apps) {
        let modes = match (jobs.iter().any(|job| job.name == name), apps.iter().any(|app| app.name == name)) {
            (true, true) => "disk, memory",
            (true, false) => "disk",
            _ => "memory",
        };
        text.push_str(&format!("  {name} ({modes})\n"));
    }
    text
}

/// The user's terminal.
fn drive(jobs: &[JobEntry], apps: &[AppEntry], args: Vec<String>) -> ExitCode {
    if telemetry::LEVEL_VARIABLES.iter().any(|name| std::env::var_os(name).is_some())
        && let Err(error) = telemetry::start(None)
    {
        return fail(&error.to_string(), 1);
    }
    let mut args = args.into_iter();
    let program = args.next().unwrap_or_else(|| "PROGRAM".to_owned());
    let Some(name) = args.next() else {
        eprint!("{}", usage(&program, jobs, apps));
        return ExitCode::from(USAGE_STATUS);
    };
    if matches!(name.as_str(), "-h" | "-help" | "--help") {
        print!("{}", usage(&program, jobs, apps));
        return ExitCode::SUCCESS;
    }
    match drive_one(jobs, apps, &name, args.collect()) {
        Ok(code) => code,
        Err(RuntimeError::Usage(text)) => fail(&text, USAGE_STATUS),
        Err(error) => fail(&format!("{name}: {error}"), error.exit_status()),
    }
}

fn drive_one(jobs: &[JobEntry], apps: &[AppEntry], name: &str, args: Vec<String>) -> Result<ExitCode, RuntimeError> {
    // A wrong name needs no cluster to be refused.
    choose(jobs, apps, name, None)?;
    let environment = Environment::of_process()?;
    for warning in &environment.warnings {
        eprintln!("Warning: {warning}");
    }
    match choose(jobs, apps, name, environment.mode)? {
        Choice::App(app) => Ok((app.driver)(Invocation { name: name.to_owned(), args, environment })),
        Choice::Job(job) => {
            // A wrong command line needs none either.
            let plan = (job.define)(&JobArgs { args: &args, settings: &environment.settings })?;
            Driver::new(environment)?.run(job, plan, &args)
        }
    }
}
