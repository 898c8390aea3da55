//! What runs inside the process of a task: dispatch, keys, splits, sort, spill, merge, shuffle, commit.

// What is derived here finds this package under the same name as it does elsewhere.
#[cfg(test)]
extern crate self as mammoth_runtime;

pub mod commit;
mod disk;
pub mod error;
pub mod fetch;
pub mod files;
pub mod fold;
#[doc(hidden)]
pub mod fuzzing;
pub mod input;
pub mod key;
pub mod link;
pub mod local;
pub mod memory;
pub mod merge;
pub mod output;
pub mod program;
pub mod record;
pub mod run;
pub mod shuffle;
pub mod sort;
pub mod task;
pub mod text;
pub mod upload;
