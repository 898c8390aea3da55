//! The only door to clock, entropy, durable files, settings, workers, shutdown and telemetry.
//!
//! Everything else in the workspace takes time, randomness and settings as arguments that come from here. This crate knows
//! no file system, no protocol and no async runtime; it never exits the process.

pub mod clock;
pub mod durable;
pub mod entropy;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod io_buffer;
pub mod process;
pub mod settings;
pub mod shutdown;
pub mod signals;
pub mod telemetry;
pub mod workers;

pub use clock::{Clock, Deadline, ManualClock, SystemClock};
pub use durable::DirLock;
pub use entropy::{Entropy, EntropyPool, SeededEntropy, SystemEntropy};
pub use error::{IoContext, PlatformError, chain};
pub use io_buffer::IoBuffer;
pub use settings::{Settings, Warning, keys};
pub use shutdown::Shutdown;
pub use workers::{Worker, WorkerState, Workers};
