//! The scheduler of the in-memory mode as a pure state machine: stages and tasks.
