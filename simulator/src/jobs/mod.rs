//! The jobtracker's core and journal under faults, with fake tasktrackers, clients and drivers.
//!
//! The same manner as the namenode's world: one queue of events, one seed, the real core with the real group commit, log and
//! checkpoint on a disk that forgets what was not synced. Trackers start attempts that read, fetch, ask for leave to commit,
//! fail and hang; they crash, lose their folders, are cut off; messages are lost, doubled, delayed and overtaken. What really
//! happened is kept apart from what the jobtracker believes (see [`oracle`]), and after every event the two are compared.

pub mod attempt;
pub mod bugs;
pub mod client;
pub mod disk;
pub mod doors;
pub mod driver;
pub mod event;
pub mod executor;
pub mod faults;
pub mod heal;
pub mod jobtracker;
pub mod oracle;
pub mod tracker;
pub mod world;

pub use bugs::Bug;
pub use world::{World, run};
