//! The jobtracker's pure core: jobs, tasks, attempts, grants and executors, as a state machine.
//!
//! ```text
//!      clients, drivers                 tasktrackers, drivers, specifications, time
//!             │ Command                            │ Report
//!      decide ▼ (&self)                   observe, ▼ tick (&mut self)
//!   ┌──────────────────────┐          ┌──────────────────────────────────────┐
//!   │ Decision             │          │ Outcome                              │
//!   │  edits ──┐   reply   │ ◀────────┼─ commands   answer      effects      │
//!   └──────────┼───────────┘  decide, │             to the      wake a poll, │
//!        apply ▼ then tick    apply   │             caller      load a spec  │
//!      log, checkpoint                └──────────────────────────────────────┘
//!
//!   jobs (rows: hard) ──▶ Job ─▶ tasks ─▶ attempts ──▶ schedule ──▶ orders of a tracker ──▶ poll's answer
//!   apps (rows: hard) ──▶ App ─▶ executors ────────────────┘             (level-triggered, from what its last poll held)
//! ```
//!
//! * [`State::decide`] judges a command and changes nothing; [`apply`](mammoth_protocol::journaled::Journaled::apply) is the
//!   only code that changes hard state, live and on replay: which jobs and applications there are and how they ended.
//! * [`State::observe`] and [`State::tick`] change soft state only: trackers, tasks, attempts, maps' outputs, executors. What
//!   must follow in hard state comes out as commands. After a restart soft state is empty; unfinished jobs run again under
//!   attempt numbers never used before, executors that still run are taken over.
//! * Time and specifications are arguments: the same inputs give the same outputs, always.
//!
//! # What the owner of a [`State`] does
//!
//! 1. Load (rows, then the tail of the log), then [`Command::Start`](api::Command::Start) before anything else.
//! 2. After applying the edits of any decision, call [`State::tick`] at once: it starts what follows.
//! 3. Carry out the commands of every [`Outcome`](api::Outcome): decide, apply, tick.
//! 4. Let answers and orders leave only when every edit applied so far is durable.
//! 5. Call [`State::tick`] several times a second.
//!
//! What is *not* here: files, sockets, clocks, threads, locks, randomness, `async`, and hash maps of random order;
//! `clippy.toml` bans them by name.

pub mod api;
mod apps;
pub mod check;
mod decide;
mod jobs;
mod query;
mod rows;
mod schedule;
mod state;
#[cfg(test)]
mod testing;
mod text;
mod trackers;

pub use decide::Decision;
pub use rows::{AppRecord, Edit, Submission};
pub use state::State;
