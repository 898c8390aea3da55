//! A job as its driver stores it, once, in the file system: a postcard blob named by the job's id.
//!
//! The driver (the user's program) computed everything that takes user code, so that the jobtracker runs none: the splits
//! with their hosts, the number of reduces, the SDK's own settings.

use super::resources::Resources;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of [`JobSpec`]; another one is refused by name.
pub const SPEC_VERSION: u16 = 1;

/// Folder below which jobs and programs are staged: `STAGING/jobs/<job id>/spec` and `STAGING/programs/<sha256>`.
pub const STAGING: &str = "/tmp/mammoth-mapred/staging";
/// Folder of the histories of finished jobs and applications.
pub const HISTORY: &str = "/tmp/mammoth-mapred/history";

/// An executable in the file system, stored once however many jobs use it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramRef {
    /// SHA-256 of its bytes, lower-case hex.
    pub sha256: String,
    /// Where it is stored.
    pub path: String,
    /// Its length, bytes.
    pub len: u64,
}

/// One piece of the input.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputSplit {
    /// What the input format needs to read it; opaque to all but the program.
    pub payload: Vec<u8>,
    /// Bytes of input, to weigh splits by.
    pub len: u64,
    /// Host names that hold the data, best first.
    pub hosts: Vec<String>,
    /// For people: `/texts/a:0+134217728`.
    pub label: String,
}

/// Everything about a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobSpec {
    /// [`SPEC_VERSION`].
    pub version: u16,
    /// For people.
    pub name: String,
    /// In whose name tasks use the file system.
    pub user: String,
    /// The executable of its tasks.
    pub program: ProgramRef,
    /// Name of the job within the program.
    pub entry: String,
    /// The job's arguments as typed.
    pub args: Vec<String>,
    /// The SDK's own description, made by the driver and read by tasks; opaque to everyone else.
    pub sdk: Vec<u8>,
    /// Settings given for the job (`mapreduce.task.io.sort.mb` …), as texts.
    pub settings: BTreeMap<String, String>,
    /// URI of the file system that input, output and staging lie in.
    pub fs: String,
    /// One map each; the map's index is the position here.
    pub splits: Vec<InputSplit>,
    /// Number of partitions and reduces; 0 = the maps' output is the job's.
    pub reduces: u32,
    /// Folder of the output, if it has one: committed by a task of kind `Commit`.
    pub output: Option<String>,
    /// What a map takes.
    pub map_resources: Resources,
    /// What a reduce takes.
    pub reduce_resources: Resources,
    /// Failures of one map that fail the job.
    pub map_attempts_max: u32,
    /// Failures of one reduce that fail the job.
    pub reduce_attempts_max: u32,
    /// Silence after which an attempt has failed, milliseconds; 0 = never.
    pub task_timeout_ms: u64,
    /// Percentage of maps done before reduces start.
    pub slowstart_percent: u8,
}
