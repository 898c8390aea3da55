//! The tasktracker daemon: grants cores and memory to attempts and executors, runs them as child processes, and serves what
//! they leave for the next phase.
//!
//! # Layout
//! - [`config`]: settings as plain values
//! - [`daemon`]: start and end
//! - `tracking`: the relation to the jobtracker; `table`: what is held; `outputs`: what reduces are told of maps
//! - `launcher`: from an order to the report of its end; `child`: one process; `procs`: what descends from it
//! - `folder`: the local disk; `localize`, `fetch`: programs and specifications from the cluster
//! - `doors`: shuffle, logs and the status page (50060)
//!
//! What is absent: user code in this process, any choice about what runs where, calls from the jobtracker, sorting or merging.

mod child;
pub mod config;
pub mod daemon;
mod doors;
mod error;
mod fetch;
mod folder;
#[doc(hidden)]
pub mod fuzzing;
mod launcher;
mod localize;
mod names;
mod outputs;
mod procs;
mod table;
#[cfg(test)]
mod tests;
mod tracking;

pub use config::TasktrackerConfig;
pub use daemon::{Addrs, Components, Handle, start};
pub use error::{StartError, TasktrackerError};
pub use fetch::DfsFetch;
pub use localize::Fetch;
