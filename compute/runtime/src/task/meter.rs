//! What a task counts and how far it is: written by its threads, read by the one that reports.
//!
//! The life stamp grows with whatever shows that the task goes on. A report is sent only when it has grown, as each one counts
//! as a sign of life: a task whose code hangs must fall silent.

use mammoth_protocol::jobs::Counters;
use mammoth_protocol::jobs::counters::names;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident = $group:ident / $text:ident,)*) => {
        /// The framework's own counters of a task.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[expect(missing_docs, reason = "each is documented where its name is")]
        pub enum Count { $($name,)* }

        const COUNTS: &[(&str, &str)] = &[$((names::$group, names::$text),)*];
    };
}

counts! {
    MapInputRecords = FRAMEWORK / MAP_INPUT_RECORDS,
    MapOutputRecords = FRAMEWORK / MAP_OUTPUT_RECORDS,
    MapOutputBytes = FRAMEWORK / MAP_OUTPUT_BYTES,
    MapOutputMaterializedBytes = FRAMEWORK / MAP_OUTPUT_MATERIALIZED_BYTES,
    SplitRawBytes = FRAMEWORK / SPLIT_RAW_BYTES,
    CombineInputRecords = FRAMEWORK / COMBINE_INPUT_RECORDS,
    CombineOutputRecords = FRAMEWORK / COMBINE_OUTPUT_RECORDS,
    ReduceInputGroups = FRAMEWORK / REDUCE_INPUT_GROUPS,
    ReduceShuffleBytes = FRAMEWORK / REDUCE_SHUFFLE_BYTES,
    ReduceInputRecords = FRAMEWORK / REDUCE_INPUT_RECORDS,
    ReduceOutputRecords = FRAMEWORK / REDUCE_OUTPUT_RECORDS,
    SpilledRecords = FRAMEWORK / SPILLED_RECORDS,
    SpilledBytes = FRAMEWORK / SPILLED_BYTES,
    ShuffledMaps = FRAMEWORK / SHUFFLED_MAPS,
    FailedShuffle = FRAMEWORK / FAILED_SHUFFLE,
    MergedMapOutputs = FRAMEWORK / MERGED_MAP_OUTPUTS,
    MergePasses = FRAMEWORK / MERGE_PASSES,
    CpuMilliseconds = FRAMEWORK / CPU_MILLISECONDS,
    PhysicalMemoryBytes = FRAMEWORK / PHYSICAL_MEMORY_BYTES,
    TaskMilliseconds = FRAMEWORK / TASK_MILLISECONDS,
    HdfsBytesRead = FILE_SYSTEM / HDFS_BYTES_READ,
    HdfsBytesWritten = FILE_SYSTEM / HDFS_BYTES_WRITTEN,
    FileBytesRead = FILE_SYSTEM / FILE_BYTES_READ,
    FileBytesWritten = FILE_SYSTEM / FILE_BYTES_WRITTEN,
}

/// What a task's time goes into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Waiting for input and verifying it.
    Read,
    /// The mapper, and handing its records on.
    Map,
    /// Sorting, combining included.
    Sort,
    /// Writing sorted runs to local disk.
    Spill,
    /// Merging sorted runs.
    Merge,
    /// Waiting for maps' outputs and fetching them.
    Shuffle,
    /// The reducer.
    Reduce,
    /// Writing output.
    Write,
    /// Asking for the commit, and committing.
    Commit,
    /// Start-up, and what none of the others covers.
    Other,
}

impl Phase {
    const ALL: [Self; 10] = [
        Self::Read,
        Self::Map,
        Self::Sort,
        Self::Spill,
        Self::Merge,
        Self::Shuffle,
        Self::Reduce,
        Self::Write,
        Self::Commit,
        Self::Other,
    ];

    /// Its name among the counters and in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Map => "map",
            Self::Sort => "sort",
            Self::Spill => "spill",
            Self::Merge => "merge",
            Self::Shuffle => "shuffle",
            Self::Reduce => "reduce",
            Self::Write => "write",
            Self::Commit => "commit",
            Self::Other => "other",
        }
    }
}

/// A counter of the user's. Clones are the same counter.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicI64>);

impl Counter {
    /// Adds; also below zero.
    pub fn add(&self, amount: i64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    /// What was added so far.
    #[must_use]
    pub fn value(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A group and a name.
type CounterName = (String, String);

/// Longest group and name of a user's counter, bytes, as in Hadoop; what is over is cut off.
const GROUP_MAX: usize = 128;
const NAME_MAX: usize = 64;
/// User counters of one task (Hadoop: `mapreduce.job.counters.max`); more would grow every report.
const USER_COUNTERS_MAX: usize = 1024;

struct Shared {
    counts: [AtomicI64; COUNTS.len()],
    phases: [AtomicU64; Phase::ALL.len()],
    user: Mutex<BTreeMap<CounterName, Counter>>,
    phase: AtomicU8,
    progress: AtomicU32,
    life: AtomicU64,
}

/// See the module. Clones are the same meter.
#[derive(Clone)]
pub struct Meter {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Meter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Meter").field("phase", &self.phase().name()).finish_non_exhaustive()
    }
}

impl Default for Meter {
    fn default() -> Self {
        let shared = Shared {
            counts: [const { AtomicI64::new(0) }; COUNTS.len()],
            phases: [const { AtomicU64::new(0) }; Phase::ALL.len()],
            user: Mutex::default(),
            phase: AtomicU8::new(Phase::Other as u8),
            progress: AtomicU32::new(0),
            life: AtomicU64::new(0),
        };
        Self { shared: Arc::new(shared) }
    }
}

impl Meter {
    /// Adds to one of the framework's counters.
    pub fn add(&self, count: Count, amount: u64) {
        if let Some(counter) = self.shared.counts.get(count as usize) {
            counter.fetch_add(i64::try_from(amount).unwrap_or(i64::MAX), Ordering::Relaxed);
        }
        self.alive();
    }

    /// Sets one of the framework's counters.
    pub fn set(&self, count: Count, value: u64) {
        if let Some(counter) = self.shared.counts.get(count as usize) {
            counter.store(i64::try_from(value).unwrap_or(i64::MAX), Ordering::Relaxed);
        }
        self.alive();
    }

    /// One of the framework's counters.
    #[must_use]
    pub fn get(&self, count: Count) -> u64 {
        let value = self.shared.counts.get(count as usize).map_or(0, |counter| counter.load(Ordering::Relaxed));
        u64::try_from(value).unwrap_or(0)
    }

    /// A counter of the user's, made if it is new. Beyond the limit of a task further ones count for nobody.
    #[must_use]
    pub fn counter(&self, group: &str, name: &str) -> Counter {
        let mut user = self.shared.user.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = user.len() >= USER_COUNTERS_MAX;
        let name = (cut(group, GROUP_MAX).to_owned(), cut(name, NAME_MAX).to_owned());
        match user.get(&name) {
            Some(known) => known.clone(),
            None if is_full => Counter::default(),
            None => user.entry(name).or_default().clone(),
        }
    }

    /// Adds nanoseconds to a phase.
    pub fn spend(&self, phase: Phase, ns: u64) {
        if let Some(spent) = self.shared.phases.get(phase as usize) {
            spent.fetch_add(ns, Ordering::Relaxed);
        }
    }

    /// Nanoseconds of a phase so far.
    #[must_use]
    pub fn spent(&self, phase: Phase) -> u64 {
        self.shared.phases.get(phase as usize).map_or(0, |spent| spent.load(Ordering::Relaxed))
    }

    /// Says what the task is at.
    pub fn enter(&self, phase: Phase) {
        self.shared.phase.store(phase as u8, Ordering::Relaxed);
        self.alive();
    }

    /// What the task is at.
    #[must_use]
    pub fn phase(&self) -> Phase {
        Phase::ALL.get(usize::from(self.shared.phase.load(Ordering::Relaxed))).copied().unwrap_or(Phase::Other)
    }

    /// Says how far the task is, 0 to 1.
    pub fn set_progress(&self, share: f32) {
        self.shared.progress.store(share.clamp(0.0, 1.0).to_bits(), Ordering::Relaxed);
        self.alive();
    }

    /// How far the task is.
    #[must_use]
    pub fn progress(&self) -> f32 {
        f32::from_bits(self.shared.progress.load(Ordering::Relaxed))
    }

    /// Shows that the task goes on.
    pub fn alive(&self) {
        self.shared.life.fetch_add(1, Ordering::Relaxed);
    }

    /// The life stamp.
    #[must_use]
    pub fn life(&self) -> u64 {
        self.shared.life.load(Ordering::Relaxed)
    }

    /// Closes the books over `total_ns`: what no phase covers is the other.
    pub fn close(&self, total_ns: u64) {
        let known: u64 = Phase::ALL.iter().map(|phase| self.spent(*phase)).fold(0, u64::saturating_add);
        self.spend(Phase::Other, total_ns.saturating_sub(known));
        self.set(Count::TaskMilliseconds, total_ns / 1_000_000);
    }

    /// All counters so far; those of the framework that are 0 are left out.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let mut counters = Counters::default();
        for ((group, name), counter) in COUNTS.iter().zip(&self.shared.counts) {
            let value = counter.load(Ordering::Relaxed);
            if value != 0 {
                counters.add(group, name, value);
            }
        }
        for phase in Phase::ALL {
            let us = self.spent(phase) / 1000;
            if us > 0 {
                counters.add(names::PHASES, phase.name(), i64::try_from(us).unwrap_or(i64::MAX));
            }
        }
        let user = self.shared.user.lock().unwrap_or_else(PoisonError::into_inner);
        for ((group, name), counter) in &*user {
            counters.add(group, name, counter.value());
        }
        counters
    }
}

/// The first bytes of a text, whole characters only.
fn cut(text: &str, max: usize) -> &str {
    let end = (0..=max.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_have_hadoops_names_and_phases_sum_to_the_whole() {
        let meter = Meter::default();
        meter.add(Count::MapInputRecords, 3);
        meter.counter("words", "long").add(2);
        meter.counter("words", "long").add(5);
        meter.spend(Phase::Read, 2_000_000);
        meter.spend(Phase::Map, 5_000_000);
        meter.close(10_000_000);
        let counters = meter.counters();
        assert_eq!(counters.get(names::FRAMEWORK, names::MAP_INPUT_RECORDS), 3);
        assert_eq!(counters.get("words", "long"), 7);
        assert_eq!(counters.get(names::FRAMEWORK, names::TASK_MILLISECONDS), 10);
        assert_eq!(counters.get(names::PHASES, "other"), 3_000);
        assert_eq!(counters.groups[names::PHASES].values().sum::<i64>(), 10_000);
        assert!(!counters.groups[names::FRAMEWORK].contains_key(names::SPILLED_RECORDS));
    }

    #[test]
    fn only_what_happens_is_a_sign_of_life() {
        let meter = Meter::default();
        let before = meter.life();
        let _ = (meter.counters(), meter.progress(), meter.phase(), meter.get(Count::SpilledBytes));
        assert_eq!(meter.life(), before);
        meter.set_progress(0.5);
        assert!(meter.life() > before);
        assert_eq!(Phase::ALL.map(|phase| phase as usize), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn user_counters_have_a_limit() {
        let meter = Meter::default();
        for n in 0..2 * USER_COUNTERS_MAX {
            meter.counter("g", &n.to_string()).add(1);
        }
        assert_eq!(meter.counters().groups["g"].len(), USER_COUNTERS_MAX);
        assert_eq!((cut("abc", 2), cut("aé", 2), cut("ab", 9)), ("ab", "a", "ab"));
    }
}
