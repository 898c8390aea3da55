//! Safe mode, and the survey that follows start-up.
//!
//! While the namenode starts, blocks are only counted (those with their minimum of good replicas): queues would hold every
//! block there is. Afterwards the survey walks the table once, in portions, and puts each block into its queue.

use super::BlockMap;
use super::table::{Condition, Slot};
use crate::api::{SafeMode, SafeModeAction};
use mammoth_protocol::internal::HighWater;
use mammoth_protocol::{DatanodeId, ErrorCode, FsError, Now};

/// Blocks that one tick surveys.
const SURVEY_PORTION: u32 = 10_000;
/// `BlockMap::surveyed` once every block is in its queue, those to come included.
const ALL: u32 = u32::MAX;

/// Where safe mode stands.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    /// Waiting for reports; `ends_ms` once the threshold is reached and some block still lacks replicas.
    Startup {
        ends_ms: Option<u64>,
    },
    Off,
    Manual,
    /// Edits were lost: a datanode has seen more than this namenode remembers.
    Behind {
        message: String,
    },
}

/// Safe mode and what decides on it.
#[derive(Clone, Debug)]
pub(super) struct Safety {
    phase: Phase,
    /// What this namenode remembers of the past.
    pub(super) own: HighWater,
    /// The administrator said to go on without the lost edits.
    forced: bool,
    /// No copies before this: after a start, replicas of datanodes that are still coming must not be copied.
    pub(super) repair_from_ms: u64,
}

impl Safety {
    pub(super) fn new() -> Self {
        Self { phase: Phase::Startup { ends_ms: None }, own: HighWater::default(), forced: false, repair_from_ms: 0 }
    }

    /// Repair and deletion are allowed.
    pub(super) fn off(&self) -> bool {
        self.phase == Phase::Off
    }
}

impl BlockMap {
    /// What this namenode remembers of the past. To be kept up to date: a datanode that has seen more makes it
    /// [`SafeMode::Behind`], and replicas of blocks above `own.block` are never deleted.
    pub fn set_own_high_water(&mut self, own: HighWater) {
        self.safety.own = own;
    }

    /// Everything hard is loaded and replayed: start-up safe mode begins, with the complete blocks that are in now. Before,
    /// the map is in safe mode as well. An empty file system leaves it at once if it needs no datanodes.
    pub fn loaded(&mut self, now: Now) {
        self.advance(now);
        self.safety.phase = Phase::Startup { ends_ms: None };
        self.safety.repair_from_ms = 0;
        self.surveyed = 0;
        self.queues.clear();
        for at in 0..self.table.end() {
            if self.table.at(Slot(at)).is_some() {
                self.table.get_mut(Slot(at)).condition = Condition::Unsurveyed;
            }
        }
        self.judge_safe_mode();
    }

    /// The administrator switches safe mode.
    ///
    /// # Errors
    /// `Leave` while [`SafeMode::Behind`].
    pub fn safe_mode_action(&mut self, now: Now, action: SafeModeAction) -> Result<(), FsError> {
        self.advance(now);
        match (action, &self.safety.phase) {
            (SafeModeAction::Enter, Phase::Behind { .. }) => {}
            (SafeModeAction::Enter, _) => self.safety.phase = Phase::Manual,
            (SafeModeAction::Leave, Phase::Behind { message }) => {
                let message = format!("{message} Leave by force (`forceExit`) to go on without what was lost.");
                return Err(FsError::new(ErrorCode::SafeMode, message));
            }
            (SafeModeAction::Leave, _) => self.leave(),
            (SafeModeAction::ForceExit, _) => {
                self.safety.forced = true;
                self.leave();
            }
        }
        Ok(())
    }

    /// Whether and why the namenode is in safe mode.
    #[must_use]
    pub fn safe_mode(&self, now: Now) -> SafeMode {
        match &self.safety.phase {
            Phase::Startup { ends_ms } => SafeMode::Startup {
                reported: self.tally.safe,
                needed: self.blocks_needed(),
                total: self.tally.complete,
                extension_left_ms: ends_ms.map(|end| end.saturating_sub(now.monotonic_ms)),
            },
            Phase::Off => SafeMode::Off,
            Phase::Manual => SafeMode::Manual,
            Phase::Behind { message } => SafeMode::Behind { message: message.clone() },
        }
    }

    /// Not every block is in its queue yet.
    pub(super) fn surveying(&self) -> bool {
        self.surveyed != ALL
    }

    /// Start-up: no queue knows of any block yet.
    pub(super) fn starting(&self) -> bool {
        matches!(self.safety.phase, Phase::Startup { .. })
    }

    /// Blocks that must have reported before start-up safe mode ends.
    fn blocks_needed(&self) -> u64 {
        let millionths = u128::from(self.tally.complete) * u128::from(self.config.safemode_threshold_ppm);
        u64::try_from(millionths.div_ceil(1_000_000)).unwrap_or(u64::MAX)
    }

    /// Compares what a datanode has seen with what this namenode remembers.
    pub(super) fn compare_past(&mut self, datanode: DatanodeId, seen: HighWater) {
        let own = self.safety.own;
        let (what, seen, own) = if seen.term > own.term {
            ("term", seen.term.0.to_string(), own.term.0.to_string())
        } else if seen.seq > own.seq {
            ("edit", seen.seq.0.to_string(), own.seq.0.to_string())
        } else if seen.block > own.block {
            ("block", seen.block.0.to_string(), own.block.0.to_string())
        } else {
            return;
        };
        if !self.safety.forced && !matches!(self.safety.phase, Phase::Behind { .. }) {
            let message = format!(
                "Datanode {datanode} has seen {what} {seen}, but the last that this namenode remembers is {own}: its edit \
                 log has lost the end, or belongs to an older copy."
            );
            self.safety.phase = Phase::Behind { message };
        }
    }

    /// Ends start-up safe mode if it is time. Constant work; called after everything that could matter.
    pub(super) fn judge_safe_mode(&mut self) {
        let Phase::Startup { ends_ms } = self.safety.phase else { return };
        let enough =
            self.tally.safe >= self.blocks_needed() && self.config.safemode_min_datanodes <= self.live_for_safe_mode();
        let now_ms = self.now.monotonic_ms;
        let ends_ms = enough.then(|| ends_ms.unwrap_or(now_ms + self.config.safemode_extension_ms));
        self.safety.phase = Phase::Startup { ends_ms };
        let all = self.tally.safe == self.tally.complete;
        if ends_ms.is_some_and(|end| all || end <= now_ms) {
            self.leave();
        }
    }

    /// Counted only if it matters.
    fn live_for_safe_mode(&self) -> u32 {
        if self.config.safemode_min_datanodes == 0 { 0 } else { self.cluster.live() }
    }

    fn leave(&mut self) {
        if self.surveyed != ALL && self.tally.complete > 0 {
            self.safety.repair_from_ms = self.now.monotonic_ms + self.config.safemode_extension_ms;
        }
        self.safety.phase = Phase::Off;
    }

    /// Surveys a portion of the blocks. `true`: there are more.
    pub(super) fn survey_portion(&mut self) -> bool {
        if self.starting() || self.surveyed == ALL {
            return false;
        }
        let from = self.surveyed;
        self.surveyed = from.saturating_add(SURVEY_PORTION).min(self.table.end());
        for at in from..self.surveyed {
            if self.table.at(Slot(at)).is_some() {
                self.settle(Slot(at));
            }
        }
        let more = self.surveyed < self.table.end();
        if !more {
            self.surveyed = ALL;
        }
        more
    }
}
