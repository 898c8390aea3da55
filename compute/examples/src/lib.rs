//! Word count, grep and others, each for both modes side by side.
//!
//! [`jobs`] lists the versions on disk, as the program of `mapred run` without a program of one's own.

pub mod grep;
#[cfg(test)]
mod testing;
pub mod wordcount;

use mammoth_mapreduce::{JobEntry, jobs};

/// The MapReduce jobs by name.
#[must_use]
pub fn jobs() -> &'static [JobEntry] {
    jobs![wordcount => wordcount::disk::wordcount, grep => grep::disk::grep]
}

/// The in-memory applications by name.
#[must_use]
pub fn apps() -> &'static [mammoth_runtime::program::AppEntry] {
    &[]
}
