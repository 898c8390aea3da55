//! A whole tasktracker with real processes, against a jobtracker of the test's own.

mod executors;
mod fake;
mod processes;
mod relation;
mod shuffle;
