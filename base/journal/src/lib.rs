//! The edit log with its group commit, and the sled checkpoint.
//!
//! Generic over the state machine ([`mammoth_protocol::journaled::Journaled`]): it knows neither files nor jobs. The truth
//! is the log ([`log`]); the checkpoint ([`checkpoint`]) shortens the replay; [`GroupCommit`] decides what may leave and
//! when. These parts are synchronous and pure over two small disk traits, each with a twin in memory that loses what was
//! not synced, so a simulator drives the very same code; [`Journal`] is two thin threads around them.

pub mod checkpoint;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod damage;
mod error;
mod group;
mod identity;
mod journal;
pub mod log;
mod open;
mod progress;
mod recover;
#[cfg(test)]
mod testing;
mod threads;

pub use checkpoint::CheckpointPolicy;
pub use error::JournalError;
pub use group::{GROUPS_IN_FLIGHT_MAX, Group, GroupCommit, Refused};
pub use identity::{CLUSTER_ID, Identity, LAYOUT_VERSION, VERSION_FILE};
pub use journal::{Committed, Failed, Journal, Parts, Released};
pub use open::{Opened, format, is_formatted, open};
pub use progress::Counters;
pub use recover::{LoadStats, Recovered, recover};
