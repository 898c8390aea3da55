//! What the namenode counts while it runs. Counting never blocks; reading gives numbers of about the same moment.

use mammoth_journal::Counters;
use mammoth_namenode_core::api::{Command, Query, Report};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

macro_rules! operations {
    ($($name:literal: $pattern:pat => $index:ident;)*) => {
        #[derive(Clone, Copy)]
        enum Index { $($index),* }

        /// Names of everything that can be asked of the namenode.
        pub const OPERATIONS: &[&str] = &[$($name),*];

        impl Operation<'_> {
            fn index(&self) -> usize {
                match self {
                    $($pattern => Index::$index as usize,)*
                }
            }
        }
    };
}

/// One thing that is asked of the namenode.
#[derive(Clone, Copy, Debug)]
pub enum Operation<'a> {
    /// A change.
    Command(&'a Command),
    /// A question.
    Query(&'a Query),
    /// News.
    Report(&'a Report),
}

use Operation::{Command as C, Query as Q, Report as R};

operations! {
    "mkdirs": C(Command::Mkdirs { .. }) => Mkdirs;
    "create": C(Command::Create { .. }) => Create;
    "append": C(Command::Append { .. }) => Append;
    "add_block": C(Command::AddBlock { .. }) => AddBlock;
    "abandon_block": C(Command::AbandonBlock { .. }) => AbandonBlock;
    "complete": C(Command::Complete { .. }) => Complete;
    "fsync": C(Command::Fsync { .. }) => Fsync;
    "update_block_for_pipeline": C(Command::UpdateBlockForPipeline { .. }) => UpdateBlock;
    "update_pipeline": C(Command::UpdatePipeline { .. }) => UpdatePipeline;
    "recover_lease": C(Command::RecoverLease { .. }) => RecoverLease;
    "truncate": C(Command::Truncate { .. }) => Truncate;
    "concat": C(Command::Concat { .. }) => Concat;
    "rename": C(Command::Rename { .. } | Command::Rename2 { .. }) => Rename;
    "delete": C(Command::Delete { .. }) => Delete;
    "set_replication": C(Command::SetReplication { .. }) => SetReplication;
    "set_permission": C(Command::SetPermission { .. }) => SetPermission;
    "set_owner": C(Command::SetOwner { .. }) => SetOwner;
    "set_times": C(Command::SetTimes { .. }) => SetTimes;
    "commit_block_sync": C(Command::CommitBlockSync(_)) => CommitBlockSync;
    "internal": C(Command::Internal(_)) => Internal;
    "file_info": Q(Query::FileInfo { .. }) => FileInfo;
    "listing": Q(Query::Listing { .. }) => Listing;
    "block_locations": Q(Query::BlockLocations { .. }) => BlockLocations;
    "content_summary": Q(Query::ContentSummary { .. }) => ContentSummary;
    "fs_stats": Q(Query::FsStats) => FsStats;
    "datanodes": Q(Query::Datanodes { .. }) => Datanodes;
    "is_file_closed": Q(Query::IsFileClosed { .. }) => IsFileClosed;
    "additional_datanode": Q(Query::AdditionalDatanode { .. }) => AdditionalDatanode;
    "check_access": Q(Query::CheckAccess { .. }) => CheckAccess;
    "open_files": Q(Query::OpenFiles { .. }) => OpenFiles;
    "health": Q(Query::Health) => Health;
    "block_state": Q(Query::BlockState { .. }) => BlockState;
    "corrupt_blocks": Q(Query::CorruptBlocks { .. }) => CorruptBlocks;
    "blocks_on": Q(Query::BlocksOn { .. }) => BlocksOn;
    "ledger": Q(Query::Ledger { .. }) => Ledger;
    "corrupt_files": Q(Query::CorruptFiles { .. }) => CorruptFiles;
    "register": R(Report::Register { .. }) => Register;
    "heartbeat": R(Report::Heartbeat(_)) => Heartbeat;
    "incremental_report": R(Report::Incremental(_)) => Incremental;
    "full_report": R(Report::Full(_)) => Full;
    "bad_replicas": R(Report::Bad { .. }) => Bad;
    "renew_lease": R(Report::RenewLease { .. }) => RenewLease;
    "safe_mode": R(Report::SafeMode(_)) => SafeMode;
    "hosts": R(Report::Hosts(_)) => Hosts;
    "balance_rate": R(Report::BalanceRate(_)) => BalanceRate;
}

/// Operations of datanodes, pages and timers: counted, but not shown among the calls of clients.
const OWN: [&str; 8] =
    ["internal", "health", "datanodes", "corrupt_files", "register", "heartbeat", "incremental_report", "full_report"];

/// The counters.
#[derive(Debug)]
pub struct Metrics {
    operations: Vec<AtomicU64>,
    refused: AtomicU64,
    busy_us: AtomicU64,
    queued: AtomicU64,
    ticks: AtomicU64,
    journal: Mutex<Counters>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            operations: OPERATIONS.iter().map(|_| AtomicU64::new(0)).collect(),
            refused: AtomicU64::default(),
            busy_us: AtomicU64::default(),
            queued: AtomicU64::default(),
            ticks: AtomicU64::default(),
            journal: Mutex::default(),
        }
    }
}

impl Metrics {
    /// Something was asked.
    pub fn asked(&self, operation: Operation<'_>) {
        if let Some(counter) = self.operations.get(operation.index()) {
            counter.fetch_add(1, Relaxed);
        }
    }

    /// Something was refused.
    pub fn refused(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    /// The driver worked for so long.
    pub fn busy(&self, us: u64) {
        self.busy_us.fetch_add(us, Relaxed);
    }

    /// How many requests have not been looked at.
    pub fn waiting(&self, queued: usize) {
        self.queued.store(queued as u64, Relaxed);
    }

    /// A round of timers.
    pub fn ticked(&self) {
        self.ticks.fetch_add(1, Relaxed);
    }

    /// What the journal has done so far.
    pub fn journal(&self, counters: Counters) {
        *self.journal.lock().unwrap_or_else(PoisonError::into_inner) = counters;
    }

    /// All numbers.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let counts = OPERATIONS.iter().zip(&self.operations).map(|(name, count)| (*name, count.load(Relaxed)));
        let journal = *self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        Figures {
            operations: counts.collect(),
            records: journal.records,
            groups: journal.syncs,
            record_bytes: journal.bytes,
            sync_us: journal.sync_ns / 1000,
            longest_sync_us: journal.longest_sync_ns / 1000,
            largest_group: journal.largest_group,
            checkpoints: journal.checkpoints,
            refused: self.refused.load(Relaxed),
            busy_us: self.busy_us.load(Relaxed),
            queued: self.queued.load(Relaxed),
            ticks: self.ticks.load(Relaxed),
        }
    }
}

/// The numbers of one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Figures {
    /// Calls by operation.
    #[serde(serialize_with = "as_map")]
    pub operations: Vec<(&'static str, u64)>,
    /// Calls that ended in an error.
    pub refused: u64,
    /// Records of the edit log.
    pub records: u64,
    /// Groups of records, each synced once.
    pub groups: u64,
    /// Bytes of those records.
    pub record_bytes: u64,
    /// Microseconds of writing and syncing, all groups together.
    pub sync_us: u64,
    /// The longest of them.
    pub longest_sync_us: u64,
    /// Most records of one group.
    pub largest_group: u64,
    /// Microseconds that the driver worked.
    pub busy_us: u64,
    /// Requests that wait to be looked at.
    pub queued: u64,
    /// Rounds of timers.
    pub ticks: u64,
    /// Checkpoints written.
    pub checkpoints: u64,
}

fn as_map<S: serde::Serializer>(pairs: &[(&'static str, u64)], s: S) -> Result<S::Ok, S::Error> {
    s.collect_map(pairs.iter().copied())
}

impl Figures {
    /// Calls of clients.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.operations.iter().filter(|(name, _)| !OWN.contains(name)).map(|(_, count)| count).sum()
    }

    /// The operations that clients called most, most first.
    #[must_use]
    pub fn busiest(&self, max: usize) -> Vec<(&'static str, u64)> {
        let called = self.operations.iter().filter(|(name, count)| *count > 0 && !OWN.contains(name));
        let mut busiest: Vec<_> = called.copied().collect();
        busiest.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), *name));
        busiest.truncate(max);
        busiest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_by_name_and_own_ones_stay_apart() {
        let metrics = Metrics::default();
        for _ in 0..3 {
            metrics.asked(Operation::Query(&Query::FsStats));
        }
        metrics.asked(Operation::Report(&Report::RenewLease { client: "c".to_owned() }));
        metrics.asked(Operation::Query(&Query::Health));
        let figures = metrics.figures();
        assert_eq!(figures.calls(), 4);
        assert_eq!(figures.busiest(9), [("fs_stats", 3), ("renew_lease", 1)]);
        assert_eq!(figures.busiest(1).len(), 1);
        assert!(figures.operations.contains(&("health", 1)));
        assert!(OWN.iter().all(|name| OPERATIONS.contains(name)));
    }
}
