//! A disk that forgets what was not synced, and a process that keeps its state on it as a master does: the real group commit,
//! log and checkpoint.

use mammoth_journal::checkpoint::{
    CheckpointCommand, CheckpointPolicy, CheckpointStore, CheckpointWriter, Mark, MemoryStore, Slicer,
};
use mammoth_journal::log::{Log, LogDisk, MemoryDisk, Next, SegmentReader};
use mammoth_journal::{GroupCommit, JournalError, recover};
use mammoth_protocol::journaled::Journaled;
use mammoth_protocol::{Seq, Term};

/// Rows by key, as a checkpoint has them.
pub type Rows = Vec<(Vec<u8>, Vec<u8>)>;

/// What outlives the process.
pub struct Disk<S: Journaled> {
    cluster: &'static str,
    /// The log.
    pub log: MemoryDisk,
    /// The checkpoint.
    pub store: MemoryStore,
    /// Every decision of every life that may still be in the log.
    pub history: Vec<(Seq, Vec<S::Edit>)>,
}

/// A process that keeps a state, with effects that wait until what they depend on is durable.
pub struct Process<S, E> {
    /// The state.
    pub state: S,
    /// What is decided and not durable yet.
    pub group: GroupCommit<E>,
    /// The log that it writes.
    pub log: Log<MemoryDisk>,
    /// Last record of the group that is being synced.
    pub syncing: Option<Seq>,
    /// What the checkpoint will write.
    pub slicer: Slicer,
    /// Writes the checkpoint.
    pub writer: CheckpointWriter<MemoryStore>,
    /// A step of the checkpoint that waits for the log.
    pub step: Option<CheckpointCommand>,
}

/// A process that has just started, and what it found.
pub struct Started<S, E> {
    /// The process.
    pub process: Process<S, E>,
    /// Its reign.
    pub term: Term,
    /// The last record of the log.
    pub last: Seq,
    /// There was a checkpoint.
    pub from_checkpoint: bool,
    /// A crash had cut the log's last record short.
    pub torn: bool,
}

impl<S: Journaled> Disk<S> {
    /// A disk with the empty log of a cluster.
    #[must_use]
    pub fn new(cluster: &'static str) -> Self {
        let mut log = MemoryDisk::new();
        Log::format(&mut log, cluster).expect("an empty memory disk takes a log");
        Self { cluster, log, store: MemoryStore::new(), history: Vec::new() }
    }

    /// Starts a process: rows, then the log's tail. Rows of a fuzzy checkpoint with the log's tail on top must be, byte for
    /// byte, what all edits from the first one on make of a `fresh` state.
    ///
    /// # Errors
    /// It does not start, or the rows are others; a text that goes on after the name of the process.
    pub fn start<E>(
        &mut self,
        policy: CheckpointPolicy,
        now_ms: u64,
        fresh: impl Fn() -> S,
        rows: fn(&S) -> Rows,
    ) -> Result<Started<S, E>, String> {
        let recovered = recover(self.log.clone(), &self.store, self.cluster, fresh())
            .map_err(|error| format!("does not start: {error}"))?;
        let applied = self.store.mark(Mark::Applied).expect("a memory store does not fail");
        let (term, stats) = (recovered.log.term(), recovered.stats);
        self.history.retain(|(seq, _)| *seq <= stats.last);
        let mut plain = fresh();
        for (seq, edits) in &self.history {
            edits.iter().for_each(|edit| plain.apply(*seq, edit));
        }
        compare(&rows(&recovered.state), &rows(&plain))
            .map_err(|what| format!("{what} after the start at record {}", stats.last))?;
        let process = Process {
            state: recovered.state,
            group: GroupCommit::new(term, stats.last),
            log: recovered.log,
            syncing: None,
            slicer: Slicer::new(policy, applied, stats.bytes_replayed, now_ms),
            writer: CheckpointWriter::new(self.store.clone()).expect("a memory store does not fail"),
            step: None,
        };
        let (from_checkpoint, torn) = (applied > Seq(0), stats.torn.is_some());
        Ok(Started { process, term, last: stats.last, from_checkpoint, torn })
    }

    /// A planted mistake: the log's last record goes, as if it had been torn.
    pub fn lose_last_record(&mut self) {
        let segments = self.log.segments().expect("a memory disk does not fail");
        let Some(segment) = segments.last().copied() else { return };
        let bytes = self.log.bytes(segment);
        let Ok(mut reader) = SegmentReader::open(segment, bytes.as_slice()) else { return };
        let mut last = None;
        while let Ok(Next::Record(_, at)) = reader.read_next() {
            last = Some(at);
        }
        if let Some(at) = last {
            self.log.cut(segment, at).expect("a memory disk does not fail");
        }
    }
}

fn compare(found: &Rows, right: &Rows) -> Result<(), String> {
    if found == right {
        return Ok(());
    }
    let wrong = found.iter().filter(|row| !right.contains(row)).count();
    let missing = right.iter().filter(|row| !found.contains(row)).count();
    Err(format!("has {wrong} rows that differ and lacks {missing}"))
}

impl<S: Journaled, E> Process<S, E> {
    /// Writes the open group, unless one is on its way or there is none; whether a sync is due then.
    pub fn write_group(&mut self) -> bool {
        if self.syncing.is_some() {
            return false;
        }
        let Some(group) = self.group.next_group() else { return false };
        self.log.append(&group).expect("a memory disk takes what it is given");
        self.syncing = Some(group.last);
        true
    }

    /// The sync is done: what waited for it may leave.
    ///
    /// # Errors
    /// The disk failed, and nothing leaves any more.
    pub fn sync_group(&mut self) -> Result<Vec<E>, JournalError> {
        if let Err(error) = self.log.sync() {
            self.group.failed(error.to_string());
            return Err(error);
        }
        Ok(self.syncing.take().map(|upto| self.group.synced(upto)).unwrap_or_default())
    }

    /// Begins a checkpoint if one is due, and prepares its next step; whether the log is synced as far as the step needs it.
    pub fn prepare_step(&mut self, now_ms: u64) -> bool {
        let decided = self.group.decided_seq();
        self.slicer.begin_if_due(now_ms, decided, self.group.bytes_decided());
        if self.step.is_none() && self.slicer.is_slicing() {
            self.step = self.slicer.next(&mut self.state, decided);
        }
        self.step.as_ref().is_some_and(|step| step.needs_synced() <= self.group.synced_seq())
    }

    /// Carries a step out; if it was the checkpoint's last, answers up to which record the log is not needed any more.
    pub fn carry_out(&mut self, step: CheckpointCommand) -> Option<Seq> {
        self.writer.carry_out(step).expect("a memory store does not fail")
    }

    /// The checkpoint has ended: the log goes up to what it covers.
    pub fn end_checkpoint(&mut self, applied: Seq) {
        self.slicer.ended();
        if self.syncing.is_none() {
            self.log.roll().expect("a memory disk does not fail");
        }
        self.log.trim(applied).expect("a memory disk does not fail");
    }

    /// No checkpoint is under way.
    #[must_use]
    pub fn is_between_checkpoints(&self) -> bool {
        self.slicer.is_idle() && self.step.is_none()
    }
}
