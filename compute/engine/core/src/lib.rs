//! The scheduler of the in-memory mode as a pure state machine: jobs are cut into stages, stages into tasks, tasks go to
//! executors; what is lost, and only that, is computed again.
//!
//! ```text
//!   now, Event ──▶ Scheduler::handle ──▶ Vec<Command>
//!                        │
//!                        └── Scheduler::outputs (&self): where the outputs of a shuffle are
//! ```
//!
//! The driver owns the one [`Scheduler`] and turns messages of executors into events and commands into messages. What is *not*
//! here: what tasks do, bytes of any kind, sockets, clocks, threads, locks, randomness. The same events give the same commands.
//!
//! * [`api`]: what goes in and out, as types.
//! * `scheduler`: the state and its transitions.
//! * [`check`]: what always holds.

pub mod api;
pub mod check;
mod scheduler;
#[cfg(test)]
mod testing;

pub use scheduler::Scheduler;
