//! A whole tasktracker with real processes, against a jobtracker of the test's own.

mod executors;
mod fake;
mod killed;
mod processes;
mod relation;
mod shuffle;
