//! Counters: sums over the successful attempts of a job, under the names that Hadoop prints.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Groups and names of the framework's own counters. Group names are Hadoop's display names.
pub mod names {
    /// What the tasks did.
    pub const FRAMEWORK: &str = "Map-Reduce Framework";
    /// How the job was run.
    pub const JOB: &str = "Job Counters";
    /// Bytes by file system.
    pub const FILE_SYSTEM: &str = "File System Counters";
    /// Microseconds of the tasks by phase; they sum to the tasks' time.
    pub const PHASES: &str = "Phases (us)";

    /// Records that mappers were given.
    pub const MAP_INPUT_RECORDS: &str = "Map input records";
    /// Records that mappers emitted.
    pub const MAP_OUTPUT_RECORDS: &str = "Map output records";
    /// Bytes of keys and values that mappers emitted.
    pub const MAP_OUTPUT_BYTES: &str = "Map output bytes";
    /// Bytes of the maps' output files.
    pub const MAP_OUTPUT_MATERIALIZED_BYTES: &str = "Map output materialized bytes";
    /// Bytes of the input's splits as described to the maps.
    pub const SPLIT_RAW_BYTES: &str = "Input split bytes";
    /// Records that combiners were given.
    pub const COMBINE_INPUT_RECORDS: &str = "Combine input records";
    /// Records that combiners gave back.
    pub const COMBINE_OUTPUT_RECORDS: &str = "Combine output records";
    /// Keys that reducers were called with.
    pub const REDUCE_INPUT_GROUPS: &str = "Reduce input groups";
    /// Bytes that reduces fetched.
    pub const REDUCE_SHUFFLE_BYTES: &str = "Reduce shuffle bytes";
    /// Records that reducers were given.
    pub const REDUCE_INPUT_RECORDS: &str = "Reduce input records";
    /// Records that reducers emitted.
    pub const REDUCE_OUTPUT_RECORDS: &str = "Reduce output records";
    /// Records written to local disk, map side and reduce side, each time that they are.
    pub const SPILLED_RECORDS: &str = "Spilled Records";
    /// Bytes of the same.
    pub const SPILLED_BYTES: &str = "Spilled Bytes";
    /// Map outputs fetched.
    pub const SHUFFLED_MAPS: &str = "Shuffled Maps ";
    /// Fetches that failed.
    pub const FAILED_SHUFFLE: &str = "Failed Shuffles";
    /// Segments that took part in reduces' merges.
    pub const MERGED_MAP_OUTPUTS: &str = "Merged Map outputs";
    /// Merge passes beyond the last one, map side and reduce side.
    pub const MERGE_PASSES: &str = "Intermediate merge passes";
    /// Processor time, milliseconds.
    pub const CPU_MILLISECONDS: &str = "CPU time spent (ms)";
    /// Largest resident memory of the attempts, bytes, summed over tasks as Hadoop does.
    pub const PHYSICAL_MEMORY_BYTES: &str = "Physical memory (bytes) snapshot";
    /// Wall time of the successful attempts, milliseconds.
    pub const TASK_MILLISECONDS: &str = "Task time (ms)";

    /// Attempts of maps that were started.
    pub const LAUNCHED_MAPS: &str = "Launched map tasks";
    /// Attempts of reduces that were started.
    pub const LAUNCHED_REDUCES: &str = "Launched reduce tasks";
    /// Maps on the host of their data.
    pub const DATA_LOCAL_MAPS: &str = "Data-local map tasks";
    /// Maps in the rack of their data.
    pub const RACK_LOCAL_MAPS: &str = "Rack-local map tasks";
    /// Maps elsewhere.
    pub const OTHER_LOCAL_MAPS: &str = "Other local map tasks";
    /// Attempts of maps that failed.
    pub const FAILED_MAPS: &str = "Failed map tasks";
    /// Attempts of reduces that failed.
    pub const FAILED_REDUCES: &str = "Failed reduce tasks";
    /// Attempts of maps that were killed.
    pub const KILLED_MAPS: &str = "Killed map tasks";
    /// Attempts of reduces that were killed.
    pub const KILLED_REDUCES: &str = "Killed reduce tasks";

    /// Bytes read from the distributed file system.
    pub const HDFS_BYTES_READ: &str = "HDFS: Number of bytes read";
    /// Bytes written to it.
    pub const HDFS_BYTES_WRITTEN: &str = "HDFS: Number of bytes written";
    /// Bytes read from local disks.
    pub const FILE_BYTES_READ: &str = "FILE: Number of bytes read";
    /// Bytes written to local disks.
    pub const FILE_BYTES_WRITTEN: &str = "FILE: Number of bytes written";
}

/// Counters by group and name, in name order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Counters {
    /// Group, then name.
    pub groups: BTreeMap<String, BTreeMap<String, i64>>,
}

impl Counters {
    /// Adds `amount` to a counter, which begins at 0; sums saturate.
    pub fn add(&mut self, group: &str, name: &str, amount: i64) {
        let group = match self.groups.get_mut(group) {
            Some(known) => known,
            None => self.groups.entry(group.to_owned()).or_default(),
        };
        match group.get_mut(name) {
            Some(value) => *value = value.saturating_add(amount),
            None => {
                group.insert(name.to_owned(), amount);
            }
        }
    }

    /// A counter's value, 0 if nobody counted.
    #[must_use]
    pub fn get(&self, group: &str, name: &str) -> i64 {
        self.groups.get(group).and_then(|names| names.get(name)).copied().unwrap_or(0)
    }

    /// Adds every counter of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (group, names) in &other.groups {
            for (name, value) in names {
                self.add(group, name, *value);
            }
        }
    }

    /// How many counters there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.groups.values().map(BTreeMap::len).sum()
    }

    /// Whether nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.groups.values().all(BTreeMap::is_empty)
    }
}
