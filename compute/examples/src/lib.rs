//! Word count, grep and others, each for both modes side by side.
//!
//! [`jobs`] lists the versions on disk, [`apps`] those in memory, as the program of `mapred run` without a program of one's own.

pub mod grep;
#[cfg(test)]
mod testing;
pub mod wordcount;

use mammoth_mapreduce::{JobEntry, JobError, jobs};
use mammoth_rdd::{App, AppEntry, Context, Invocation, executor_main};
use std::process::ExitCode;

/// The MapReduce jobs by name.
#[must_use]
pub fn jobs() -> &'static [JobEntry] {
    jobs![wordcount => wordcount::disk::wordcount, grep => grep::disk::grep]
}

/// The in-memory applications by name.
#[must_use]
pub fn apps() -> &'static [AppEntry] {
    &[
        AppEntry {
            name: "wordcount",
            driver: |call| judged(call, wordcount::memory::judge, wordcount::memory::wordcount),
            executor: executor_main,
        },
        AppEntry {
            name: "grep",
            driver: |call| judged(call, grep::memory::judge, grep::memory::grep),
            executor: executor_main,
        },
    ]
}

/// Runs an application unless its arguments make no sense: then no executor is started for them, and they are refused as those
/// of the version on disk.
fn judged(call: Invocation, judge: fn(&[String]) -> Result<(), JobError>, app: App) -> ExitCode {
    match judge(&call.args) {
        Ok(()) => mammoth_rdd::drive(call, app),
        Err(error) => {
            match &error {
                JobError::Usage(text) => eprintln!("{text}"),
                other => eprintln!("{}: {other}", call.name),
            }
            ExitCode::from(error.exit_status())
        }
    }
}

/// Partitions of a result, by the setting that says so to both modes.
fn reduces(context: &Context) -> Result<u32, mammoth_rdd::SettingError> {
    Ok(context.settings().int::<u32>(mammoth_rdd::keys::MAPREDUCE_JOB_REDUCES)?.max(1))
}
