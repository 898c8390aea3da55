//! Word count, grep and others, each for both modes side by side.
//!
//! [`jobs`] lists the versions on disk, [`apps`] those in memory, as the program of `mapred run` without a program of one's own.

pub mod grep;
#[cfg(test)]
mod testing;
pub mod wordcount;

use mammoth_mapreduce::{JobEntry, jobs};
use mammoth_rdd::{AppEntry, Context, apps};

/// The MapReduce jobs by name.
#[must_use]
pub fn jobs() -> &'static [JobEntry] {
    jobs![wordcount => wordcount::disk::wordcount, grep => grep::disk::grep]
}

/// The in-memory applications by name.
#[must_use]
pub fn apps() -> &'static [AppEntry] {
    apps!["wordcount" => wordcount::memory::wordcount, "grep" => grep::memory::grep]
}

/// Partitions of a result, by the setting that says so to both modes.
fn reduces(context: &Context) -> Result<u32, mammoth_rdd::SettingError> {
    Ok(context.settings().int::<u32>(mammoth_rdd::keys::MAPREDUCE_JOB_REDUCES)?.max(1))
}
