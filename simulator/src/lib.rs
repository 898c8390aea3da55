//! The namenode's core and journal under faults, seeded and single-threaded.
//!
//! A [`World`] holds one namenode (the real core, the real group commit, the real log and checkpoint formats on a disk that
//! forgets what was not synced), fake datanodes and fake clients. Everything that happens is an event in one queue, ordered by
//! time and number; all choices come from one seed (see [`kernel`], which the worlds of [`jobs`] and [`engine`] share).
//! Messages are lost, doubled, delayed and overtaken; nodes crash between any two events. After every event the core's
//! invariants are checked; after the faults stop, the cluster must heal completely.
//!
//! The oracle knows what each client was told: done, refused, or nothing yet. What was told must be true for ever.

pub mod balancer;
pub mod bugs;
pub mod client;
pub mod coverage;
pub mod datanode;
pub mod engine;
pub mod event;
pub mod fair;
pub mod faults;
pub mod heal;
pub mod jobs;
pub mod kernel;
pub mod namenode;
pub mod operator;
pub mod oracle;
pub mod rng;
pub mod world;

pub use bugs::Bug;
pub use kernel::Verdict;
pub use world::{World, run};
