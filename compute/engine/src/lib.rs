//! The in-memory mode, untyped: plan, executor, blocks, driver.
//!
//! ```text
//!  user's thread            driver's thread              executor (a process, or threads of this one)
//!  Context::run ──cut──▶ Driver ── Scheduler (pure)
//!                           │  orders                      serve ── run_task ── pipeline: source, steps, sink
//!                           ▼                                ▲ │
//!                          Hub ◀──────── Link ───────────────┘ ▼
//!                                (direct, or HTTP by the door)  blocks, shuffle files
//! ```
//!
//! * [`plan`]: datasets as a flat table; `cut`: stages. [`program`]: a stage as a blob. [`code`]: functions by reference.
//! * [`batch`], [`ops`]: what operations are made of; the typed SDK is built on these.
//! * [`executor`], [`task`], [`blocks`], [`shuffle`]: what runs tasks. `driver`, `hub`, `door`, `wire`: what gives them out.
//! * [`context`]: all of it for one application; `local`, `processes`, `cluster`: where executors come from.
//!
//! It never knows the type of a record, and never decides which task runs where: that is the scheduler's, in
//! `mammoth-engine-core`.

mod accumulators;
pub mod batch;
pub mod blocks;
pub mod capture;
mod cluster;
pub mod code;
pub mod context;
mod door;
mod driver;
mod error;
mod events;
pub mod executor;
pub mod files;
#[doc(hidden)]
pub mod fuzzing;
mod hub;
mod image;
mod local;
mod master;
pub mod ops;
pub mod plan;
mod processes;
pub mod program;
mod scratch;
pub mod shuffle;
pub mod task;
mod wire;

pub use accumulators::Total;
pub use cluster::start_on_cluster;
pub use context::{Action, Context, DatasetHandle, Options};
pub use error::{CodeError, EngineError};
pub use executor::executor_main;
pub use hub::BlobHandle;
pub use mammoth_engine_core as core;
pub use master::Master;
pub use wire::PlaceAddress;

use mammoth_protocol::jobs::Resources;

/// A context without a cluster.
///
/// # Errors
/// Folders, threads or processes that cannot be had.
pub fn start(master: Master, options: &Options) -> Result<Context, EngineError> {
    match master {
        Master::Local { cores } => local::start(options, cores),
        Master::LocalCluster { executors, cores, memory_mib } => {
            processes::start(options, executors, Resources { cores, memory_mib })
        }
    }
}
