//! The driver's half of a checkpoint: when to begin, which rows to encode next, when it is complete. Pure.

use super::writer::{CheckpointCommand, Row};
use mammoth_protocol::Seq;
use mammoth_protocol::journaled::Journaled;
use mammoth_protocol::limits::ROW_BYTES_MAX;

/// Rows that one step encodes by default: about a millisecond of the driver's time.
pub const ROWS_PER_SLICE: usize = 2000;

/// When a checkpoint begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointPolicy {
    /// After so many bytes of log.
    pub bytes: u64,
    /// After so many milliseconds, if anything is new.
    pub interval_ms: u64,
    /// Rows that one step of the driver encodes, at least 1.
    pub rows_per_slice: usize,
}

impl Default for CheckpointPolicy {
    fn default() -> Self {
        Self { bytes: 64 * 1024 * 1024, interval_ms: 30_000, rows_per_slice: ROWS_PER_SLICE }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    /// Rows touched up to `applied` are still to be taken.
    Slicing {
        applied: Seq,
        /// At one moment since the beginning no touched row was left.
        all_taken: bool,
    },
    /// All is taken; the writer has yet to say that it is durable.
    Ending,
}

/// See the module.
#[derive(Debug)]
pub struct Slicer {
    policy: CheckpointPolicy,
    phase: Phase,
    /// Sequence at which the last checkpoint began.
    last: Seq,
    /// Bytes of log between that and the start of this process.
    bytes_before: u64,
    /// Bytes decided, as the caller counts them, when the last checkpoint began.
    bytes_at: u64,
    began_ms: u64,
    keys: Vec<Vec<u8>>,
}

impl Slicer {
    /// Starts behind a checkpoint at `applied`; `tail_bytes` of log were replayed behind it, and it is `now_ms`.
    #[must_use]
    pub fn new(policy: CheckpointPolicy, applied: Seq, tail_bytes: u64, now_ms: u64) -> Self {
        Self {
            policy,
            phase: Phase::Idle,
            last: applied,
            bytes_before: tail_bytes,
            bytes_at: 0,
            began_ms: now_ms,
            keys: Vec::new(),
        }
    }

    /// Begins a checkpoint if one is due; tells whether it did. `decided` is the last decision's sequence and
    /// `bytes_decided` the bytes of log since the start.
    pub fn begin_if_due(&mut self, now_ms: u64, decided: Seq, bytes_decided: u64) -> bool {
        let grown = bytes_decided - self.bytes_at + self.bytes_before;
        let due = grown >= self.policy.bytes || now_ms.saturating_sub(self.began_ms) >= self.policy.interval_ms;
        if self.phase != Phase::Idle || decided <= self.last || !due {
            return false;
        }
        self.begin(now_ms, decided, bytes_decided);
        true
    }

    /// Begins a checkpoint whether due or not, unless one is under way.
    pub fn begin(&mut self, now_ms: u64, decided: Seq, bytes_decided: u64) {
        if self.phase == Phase::Idle {
            self.phase = Phase::Slicing { applied: decided, all_taken: false };
            (self.last, self.began_ms) = (decided, now_ms);
            (self.bytes_at, self.bytes_before) = (bytes_decided, 0);
        }
    }

    /// Whether [`Self::next`] has something to give.
    #[must_use]
    pub fn is_slicing(&self) -> bool {
        matches!(self.phase, Phase::Slicing { .. })
    }

    /// Whether no checkpoint is under way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.phase == Phase::Idle
    }

    /// Encodes the next rows of the checkpoint under way. Call it between decisions, never inside one, and pass on
    /// everything it gives, in order: a row that is lost here would be missing from the checkpoint.
    pub fn next<S: Journaled>(&mut self, state: &mut S, decided: Seq) -> Option<CheckpointCommand> {
        let Phase::Slicing { applied, mut all_taken } = self.phase else { return None };
        self.keys.clear();
        let wanted = self.policy.rows_per_slice.max(1);
        while !all_taken && self.keys.len() < wanted {
            let before = self.keys.len();
            state.take_touched(wanted - before, &mut self.keys);
            all_taken = self.keys.len() == before;
        }
        if self.keys.is_empty() {
            self.phase = Phase::Ending;
            return Some(CheckpointCommand::End { applied });
        }
        // Decisions go on, so rows are touched again all the time; it is enough to have had them all once.
        self.phase = Phase::Slicing { applied, all_taken };
        let rows = self.keys.drain(..).map(|key| {
            let mut value = Vec::new();
            let exists = state.encode_row(&key, &mut value);
            debug_assert!(value.len() <= ROW_BYTES_MAX, "a row of {} bytes", value.len());
            Row { key, value: exists.then_some(value) }
        });
        Some(CheckpointCommand::Rows { decided, rows: rows.collect() })
    }

    /// The writer says that the checkpoint is durable.
    pub fn ended(&mut self) {
        if self.phase == Phase::Ending {
            self.phase = Phase::Idle;
        }
    }
}
