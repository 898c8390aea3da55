//! The namenode's pure core: the namespace, leases, blocks and their replicas, as a state machine.
//!
//! ```text
//!             Command                Report, time
//!                │                        │
//!        decide  ▼  (&self)      observe, ▼  tick
//!   ┌────────────────────┐       ┌────────────────────┐
//!   │ Decision           │       │ Outcome            │
//!   │  edits ──┐  reply  │       │  orders  commands ─┼──▶ back to decide
//!   └──────────┼─────────┘       └────────────────────┘
//!        apply ▼                          Query ──▶ query (&self) ──▶ Answer
//!      log, checkpoint
//! ```
//!
//! * [`State::decide`] judges a command and changes nothing; [`apply`](mammoth_protocol::journaled::Journaled::apply) is the
//!   only code that changes hard state, live and on replay.
//! * [`State::observe`] and [`State::tick`] change soft state only (where replicas are, who lives). What must follow in hard
//!   state comes out as commands.
//! * Time, randomness and ids are arguments, or come out of edits: the same inputs give the same outputs, always.
//!
//! # Layout
//!
//! * [`api`]: what goes in and out, as types.
//! * `rows`: hard state as rows, the edits that change them, their bytes. `derived`: what follows from rows.
//! * `decide`: one file per family of commands. `query`: one file per family of questions. `paths`, `access`, `safe_mode`,
//!   `errors`: lookup, permissions and refusals, shared by both.
//! * `blocks`: replicas, datanodes, placement, repair, safe mode. `soft`: reports and time.
//! * [`check`]: the invariants, by name.
//!
//! What is *not* here: files, sockets, clocks, threads, locks, randomness, `async`, and hash maps of random order;
//! `clippy.toml` bans them by name.

mod access;
pub mod api;
pub mod blocks;
pub mod check;
mod decide;
mod derived;
mod errors;
mod paths;
mod query;
mod rows;
mod safe_mode;
mod soft;
mod state;
#[cfg(test)]
mod testing;

pub use decide::Decision;
pub use rows::{Created, Edit, Lease, NewFile};
pub use state::State;
