//! The jobtracker as a pure state machine: jobs, tasks, attempts, grants, executors.
