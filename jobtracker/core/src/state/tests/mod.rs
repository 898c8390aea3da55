//! The whole core on a bench.

mod executors;
mod losses;
mod polls;
mod running;
mod scheduling;
