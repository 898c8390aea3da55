//! The datanode daemon: keeps replicas of blocks on local disks, serves them, and tells namenodes of them.
//!
//! # Layout
//! - [`config`]: settings as plain values
//! - [`daemon`]: start and end, what all threads share
//! - `store`: replicas on disks: volumes, states, checksums, verifying
//! - `transfer`: the data-transfer door (9866): pipelines, reading, copying
//! - `doors`: Hadoop RPC (9867) and the status page (9864)
//! - `registration`, `heartbeat`, `report`, `namenode`: the relation to each namenode
//! - `orders`, `lead`, `inter`: carrying out what a namenode orders; block recovery among datanodes
//!
//! What is absent: any choice about where blocks should be, paths of files, calls from a namenode.

pub mod config;
pub mod daemon;
mod doors;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod heartbeat;
mod inter;
mod lead;
mod namenode;
mod orders;
mod registration;
mod report;
mod store;
#[cfg(test)]
mod tests;
mod transfer;

pub use config::{Advertise, DatanodeConfig, Door};
pub use daemon::{Addrs, Components, Handle, start};
pub use error::{DatanodeError, StartError};
pub use store::SpaceRules;
pub use transfer::TransferRules;
