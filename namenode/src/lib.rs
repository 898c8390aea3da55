//! The namenode daemon: one thread that owns the core, and the doors around it.
//!
//! # Layout
//! - [`config`]: settings as plain values
//! - [`server`]: start and end of a namenode; [`mod@format`]: the identity that it is given once
//! - [`driver`]: the thread that owns the state: requests in, decisions, edit log, answers out
//! - [`doors`]: Hadoop RPC for clients (8020), HTTP pages and JSON (9870), the internal door for datanodes (8022)
//! - [`hosts`], [`topology`]: what the operator says of datanodes; [`groups`]: groups of callers; [`metrics`]: what is counted
//!
//! What is absent: rules of the file system (the core has them), WebHDFS, block bytes, calls to datanodes.

pub mod config;
pub mod doors;
pub mod driver;
mod error;
pub mod format;
#[doc(hidden)]
pub mod fuzzing;
pub mod groups;
pub mod hosts;
pub mod metrics;
pub mod server;
pub mod topology;

pub use config::NamenodeConfig;
pub use error::StartError;
pub use server::{Addrs, Components, Handle, start};
