//! What driver and executors say to each other. Postcard, as both ends are the same program.
//!
//! Orders and reports are numbered, each side repeats until the other has seen the number, and takes each number once: so
//! everything arrives once and in order, as long as both live.

use crate::program::{BlobId, Payload};
use mammoth_engine_core::api::{DatasetId, OutputId, PlaceId, ShuffleId, TaskKey};
use mammoth_protocol::Uuid;
use mammoth_protocol::jobs::event::TaskMetrics;
use mammoth_protocol::jobs::{ExecutorId, Resources};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Routes of the driver's door.
pub(crate) mod routes {
    /// POST [`super::Hello`]: [`super::Welcome`].
    pub(crate) const HELLO: &str = "/executor/v1/hello";
    /// POST [`super::OrdersWanted`]: [`super::Orders`].
    pub(crate) const ORDERS: &str = "/executor/v1/orders";
    /// POST [`super::NumberedReport`]: nothing.
    pub(crate) const REPORT: &str = "/executor/v1/report";
    /// POST nothing: nothing.
    pub(crate) const HEARD: &str = "/executor/v1/heard";
    /// POST a reason as text: nothing.
    pub(crate) const BYE: &str = "/executor/v1/bye";
    /// GET: the bytes of a blob.
    pub(crate) const BLOB: &str = "/executor/v1/blob/{blob}";
}

/// Header with the application's secret.
pub(crate) const SECRET_HEADER: &str = "x-mammoth-app-secret";
/// Header with the executor's number.
pub(crate) const EXECUTOR_HEADER: &str = "x-mammoth-executor";
/// How long a request for orders waits, milliseconds.
pub(crate) const ORDERS_WAIT_MS: u64 = 2000;
/// Time between two signs of life of an executor, milliseconds.
pub(crate) const HEARD_EVERY_MS: u64 = 1000;

/// Longest report, bytes: a result and what goes with it.
pub(crate) const REPORT_MAX: usize = crate::context::RESULTS_MAX as usize + (64 << 20);
/// Longest reason that is passed on, bytes: it goes into every event about it, and a panic's message may be of any length.
const REASON_MAX: usize = 64 * 1024;

/// A reason that is not too long; what is over is cut off between two characters.
pub(crate) fn cut_reason(mut reason: String) -> String {
    const CUT: &str = " …";
    if reason.len() > REASON_MAX {
        reason.truncate(reason.floor_char_boundary(REASON_MAX - CUT.len()));
        reason.push_str(CUT);
    }
    reason
}

/// Where the outputs of tasks lie.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PlaceAddress {
    /// A folder that every executor of the application sees.
    Dir(String),
    /// A shuffle server.
    Server {
        /// `host:port`.
        server: String,
        /// Of its folder.
        generation: Uuid,
    },
}

/// An executor introduces itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hello {
    /// Which.
    pub(crate) executor: ExecutorId,
    /// SHA-256 of its image, lower-case hex; it must be the driver's.
    pub(crate) image: String,
    /// Its host name.
    pub(crate) host: String,
    /// Its process.
    pub(crate) pid: u32,
    /// What it was granted.
    pub(crate) resources: Resources,
    /// Where its outputs lie.
    pub(crate) place: PlaceAddress,
    /// Drawn for this message: the answer proves with it that the driver knows the secret.
    pub(crate) nonce: [u8; 16],
}

/// The driver takes an executor in, or does not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Welcome {
    /// SHA-256 of secret and nonce.
    pub(crate) proof: [u8; 32],
    /// Why not.
    pub(crate) refused: Option<String>,
}

/// Asks for orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OrdersWanted {
    /// The last one that was taken; 0 = none yet.
    pub(crate) after: u64,
    /// How long the driver may wait for one, milliseconds.
    pub(crate) wait_ms: u64,
}

/// Orders, each with its number, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Orders {
    pub(crate) orders: Vec<(u64, Order)>,
}

/// What an executor shall do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Order {
    /// Run a task.
    Launch(Box<TaskOrder>),
    /// Stop a task.
    Cancel(TaskKey),
    /// Whether a task's output may be made visible.
    Commit {
        /// The task.
        task: TaskKey,
        /// Whether.
        granted: bool,
    },
    /// Delete outputs.
    DropShuffle {
        /// Of which shuffle.
        shuffle: ShuffleId,
        /// Of earlier generations only; `None`: all.
        before: Option<u32>,
    },
    /// Forget cached blocks.
    DropDataset(DatasetId),
    /// Forget blobs and what was made of them.
    DropBlobs(Vec<BlobId>),
    /// End the process.
    Stop {
        /// Why.
        reason: String,
    },
}

/// A task to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TaskOrder {
    /// Which.
    pub(crate) task: TaskKey,
    /// Its stage.
    pub(crate) program: BlobId,
    /// Of the source nodes that it reads: position of the node, its partition, what the driver knows of that.
    pub(crate) payloads: Vec<(u32, u32, Payload)>,
    /// The outputs of the shuffles that it reads.
    pub(crate) shuffles: Vec<(ShuffleId, Vec<Option<OutputId>>)>,
    /// Where those lie.
    pub(crate) places: BTreeMap<PlaceId, PlaceAddress>,
}

/// A report and its number, from 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct NumberedReport {
    pub(crate) number: u64,
    pub(crate) report: Report,
}

/// What an executor says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Report {
    /// A task ended.
    TaskEnded(Box<TaskReport>),
    /// Cached blocks came or went: dataset, partition, bytes held now.
    Blocks(Vec<(DatasetId, u32, u64)>),
    /// A task wrote its output file; may it be made visible?
    CommitAsked(TaskKey),
}

/// How a task ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct TaskReport {
    /// Which.
    pub(crate) task: TaskKey,
    /// How.
    pub(crate) end: WireEnd,
    /// What it took.
    pub(crate) metrics: TaskMetrics,
    /// What it added to accumulators.
    pub(crate) accumulators: Vec<(u32, Vec<u8>)>,
    /// What its sink left for the driver.
    pub(crate) result: Vec<u8>,
}

/// How a task ended, in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum WireEnd {
    /// Well.
    Success,
    /// A map output could not be had.
    FetchFailed {
        /// The shuffle.
        shuffle: ShuffleId,
        /// The partition of the stage that writes it.
        map: u32,
        /// What was tried.
        output: Option<OutputId>,
        /// What happened.
        reason: String,
    },
    /// It failed.
    Failed {
        /// Why.
        reason: String,
        /// Whether another try must fail as well.
        fatal: bool,
    },
    /// It stopped as told.
    Cancelled,
}

/// What only one who knows the secret can make of a nonce.
pub(crate) fn proof(secret: &str, nonce: &[u8; 16]) -> [u8; 32] {
    let mut sha = Sha256::new();
    sha.update(b"mammoth driver\n");
    sha.update(secret.as_bytes());
    sha.update(nonce);
    sha.finalize().into()
}
