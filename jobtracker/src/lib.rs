//! The jobtracker daemon: one thread that owns the core, and the doors around it.
//!
//! # Layout
//! - [`config`]: settings as plain values; [`server`]: start and end of a jobtracker
//! - [`driver`]: the thread that owns the state: requests in, decisions, edit log, answers out
//! - [`doors`]: JSON for clients and drivers, pages (50030); the internal door for tasktrackers (8021)
//! - [`files`]: the thread that reads specifications and keeps histories, so that nobody else waits for a disk
//!
//! What is absent: rules of scheduling (the core has them), user code (tasks run it), block bytes.

pub mod config;
pub mod doors;
pub mod driver;
mod error;
pub mod files;
#[doc(hidden)]
pub mod fuzzing;
pub mod server;

pub use config::JobtrackerConfig;
pub use error::StartError;
pub use server::{Addrs, Components, Handle, start};
