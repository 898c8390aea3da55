//! What a volume still has to tell the namenode.

use mammoth_protocol::internal::ReplicaEvent;
use mammoth_protocol::{BlockId, StorageId};

/// A volume and its reports.
#[derive(Clone, Debug)]
pub struct Volume {
    /// Its id.
    pub storage: StorageId,
    /// It no longer works.
    pub failed: bool,
    /// Changes not yet in any report.
    pub events: Vec<ReplicaEvent>,
    /// Sequence of the last incremental report.
    pub seq: u64,
    /// A full report is wanted.
    pub full_due: bool,
    /// It cannot be made before this time.
    pub ready_ms: u64,
    /// The full report that is being sent.
    pub list: Option<List>,
}

/// A full report that is being sent in slices. A slice is made when it is sent.
#[derive(Clone, Copy, Debug)]
pub struct List {
    /// Sequence of incremental reports at which it began.
    pub cut: u64,
    /// The last replica of the slices so far.
    pub cursor: Option<BlockId>,
    /// Replicas of each slice, at least 1.
    pub slice_len: usize,
    /// Number of the next slice.
    pub next: u32,
}

impl Volume {
    /// An empty volume of which nothing was told.
    #[must_use]
    pub fn new(storage: StorageId) -> Self {
        Self { storage, failed: false, events: Vec::new(), seq: 0, full_due: false, ready_ms: 0, list: None }
    }

    /// Nothing is left to tell, as the process died or the volume did.
    pub fn forget(&mut self) {
        self.events.clear();
        self.full_due = false;
        self.list = None;
    }

    /// Sequences begin anew, and everything is to be told from `ready_ms` on.
    pub fn registered(&mut self, ready_ms: u64) {
        self.forget();
        self.ready_ms = ready_ms;
        self.seq = 0;
        self.full_due = true;
    }

    /// A gap: a list cut from now on is wanted.
    pub fn resync(&mut self) {
        self.full_due = true;
        self.list = None;
    }

    /// A full report is wanted or on its way.
    #[must_use]
    pub fn has_list(&self) -> bool {
        self.full_due || self.list.is_some()
    }

    /// Something is to be told.
    #[must_use]
    pub fn has_news(&self) -> bool {
        !self.failed && (!self.events.is_empty() || self.has_list())
    }
}
