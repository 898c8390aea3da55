//! What runs inside the process of a task: dispatch, keys, splits, sort, spill, merge, shuffle, commit.

// What is derived here finds this package under the same name as it does elsewhere.
#[cfg(test)]
extern crate self as mammoth_runtime;

pub mod commit;
mod disk;
pub mod error;
pub mod files;
pub mod input;
pub mod link;
pub mod output;
pub mod program;
pub mod task;
pub mod upload;
pub mod key;
pub mod record;
pub mod shuffle;
pub mod text;
pub mod memory;
pub mod run;
pub mod merge;
pub mod sort;
pub mod fold;
pub mod local;
pub mod fetch;
