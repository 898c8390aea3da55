//! Write MapReduce jobs: mapper, reducer, combiner, fold, partitioner.
//!
//! A job program is an ordinary Rust program. Its `main` lists its jobs; the same program then runs on the user's machine, where
//! it cuts the input and submits, and on the cluster as the process of every task. So a job's function is called in each of
//! them, with the same arguments and settings: it describes the job and does nothing else.
//!
//! ```no_run
//! use mammoth_mapreduce::prelude::*;
//!
//! #[derive(Clone)]
//! struct Words;
//!
//! impl Mapper for Words {
//!     type Key = String;
//!     type Value = u64;
//!
//!     fn map(&mut self, _offset: u64, line: &str, out: &mut Emit<'_, String, u64>) -> Outcome {
//!         for word in line.split_whitespace() {
//!             out.emit(word, &1);
//!         }
//!         Ok(())
//!     }
//! }
//!
//! fn wordcount(args: &JobArgs<'_>) -> Result<Job, JobError> {
//!     let [inputs @ .., output] = args.args else { return Err(usage("wordcount IN... OUT")) };
//!     Ok(Job::new("word count").inputs(inputs).output(output).mapper(Words).fold(Sum::new()).reducer(Identity::new()))
//! }
//!
//! fn main() -> ExitCode {
//!     mammoth_mapreduce::main(jobs![wordcount])
//! }
//! ```
//!
//! `mapred run target/release/myprogram wordcount /texts /counts` runs it; [`Job::run_local`] runs it in a test.
//!
//! # Keys and values of one's own
//! No other crate is needed for them. A key's parts are keys; a value is whatever serde can write and read back:
//!
//! ```
//! use mammoth_mapreduce::prelude::*;
//! use mammoth_mapreduce::serde::{Deserialize, Serialize};
//!
//! /// Sorts by year, and within a year by station.
//! #[derive(Key, Debug, PartialEq)]
//! struct Place {
//!     year: u16,
//!     station: Text,
//! }
//!
//! #[derive(Serialize, Deserialize)]
//! #[serde(crate = "mammoth_mapreduce::serde")]
//! struct Reading {
//!     celsius: f32,
//!     is_checked: bool,
//! }
//!
//! # #[derive(Clone)]
//! # struct Readings;
//! # impl Mapper for Readings {
//! #     type Key = Place;
//! #     type Value = Reading;
//! #     fn map(&mut self, _: u64, line: &str, out: &mut Emit<'_, Place, Reading>) -> Outcome {
//! #         out.emit(&Place { year: 1999, station: Text::from(line) }, &Reading { celsius: 1.0, is_checked: true });
//! #         Ok(())
//! #     }
//! # }
//! ```

mod code;
mod combine;
mod failure;
mod fold;
mod job;
mod local;
mod mapper;
mod reducer;
#[cfg(test)]
mod tests;
mod values;

pub use combine::{Combined, Combiner, Partitioner};
pub use failure::{Failure, Outcome};
pub use fold::{Count, Fold, Max, Sum};
pub use job::{Complete, Folded, Job, JobError, Mapped, New, refuse, usage};
pub use local::{LocalInput, LocalResult};
pub use mammoth_platform::Settings;
pub use mammoth_runtime::key::{Key, KeyEncode};
pub use mammoth_runtime::program::JobEntry;
pub use mammoth_runtime::task::{Counter, JobArgs, TaskContext};
pub use mammoth_runtime::text::Text;
pub use mapper::{Data, Emit, Line, Mapper};
pub use reducer::{Identity, Output, Reducer, Values};
/// For values of one's own types, see the crate's documentation.
pub use serde;

/// Where `#[derive(Key)]` finds the traits in a program that depends on this crate alone.
#[doc(hidden)]
pub mod runtime {
    pub use mammoth_runtime::key;
}

use std::process::ExitCode;

/// What a job program needs.
pub mod prelude {
    pub use crate::{
        Combined, Combiner, Count, Emit, Failure, Fold, Identity, Job, JobArgs, JobError, Key, Mapper, Max, Outcome,
        Output, Partitioner, Reducer, Sum, TaskContext, Text, Values, jobs, refuse, usage,
    };
    pub use std::process::ExitCode;
}

/// The `main` of a program that has jobs and nothing else: driver, task or description, whatever this process is run as.
#[must_use]
pub fn main(jobs: &[JobEntry]) -> ExitCode {
    mammoth_runtime::program::main(jobs, &[])
}

/// The jobs of a program: `jobs![wordcount, "top-words" => top_words]`. A function is called by its own name, or by the one
/// before the arrow; it takes [`JobArgs`] and gives a [`Job`] or a [`JobError`].
#[macro_export]
macro_rules! jobs {
    (@name $function:ident) => { stringify!($function) };
    (@entry $name:expr, $function:path) => {
        $crate::JobEntry { name: $name, define: |args| $function(args).map(::core::convert::Into::into) }
    };
    (@list [$($done:expr,)*]) => {{
        const JOBS: &[$crate::JobEntry] = &[$($done,)*];
        JOBS
    }};
    (@list [$($done:expr,)*] $name:literal => $function:path $(, $($rest:tt)*)?) => {
        $crate::jobs!(@list [$($done,)* $crate::jobs!(@entry $name, $function),] $($($rest)*)?)
    };
    (@list [$($done:expr,)*] $name:ident => $function:path $(, $($rest:tt)*)?) => {
        $crate::jobs!(@list [$($done,)* $crate::jobs!(@entry stringify!($name), $function),] $($($rest)*)?)
    };
    (@list [$($done:expr,)*] $function:ident $(, $($rest:tt)*)?) => {
        $crate::jobs!(@list [$($done,)* $crate::jobs!(@entry stringify!($function), $function),] $($($rest)*)?)
    };
    ($($jobs:tt)*) => { $crate::jobs!(@list [] $($jobs)*) };
}
