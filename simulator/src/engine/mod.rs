//! The scheduler of the in-memory mode under faults, seeded and single-threaded.
//!
//! A world holds the real scheduler between a fake driver and fake executors. Reports come twice, late and out of order;
//! executors die, hang and ignore what they are told; outputs vanish with and without anybody saying so; tasks fail, and some kill
//! whoever runs them. Everything is an event in one queue, all choices come from one seed. After every event the scheduler's
//! invariants are checked; after the faults stop, every job must end, and a job over everything must give its result.
//!
//! The oracle knows what was told to the scheduler and what each output, block and result was really made from: so it knows
//! which commands are right. Mistakes are planted at the driver's door, on what goes in or comes out.

mod bugs;
mod driver;
mod event;
mod executor;
mod faults;
mod heal;
mod judge;
mod oracle;
mod plan;
mod work;
mod world;

pub use bugs::Bug;
pub use world::run;
