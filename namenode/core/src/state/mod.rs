//! The whole state of a namenode, and its way to the log and the checkpoint.

mod journaled;

#[cfg(test)]
#[path = "tests/memory.rs"]
mod memory;
#[cfg(test)]
mod tests;

use crate::api::CoreConfig;
use crate::blocks::BlockMap;
use crate::derived::{Leases, Tree};
use crate::rows::Rows;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use mammoth_protocol::internal::HighWater;
use mammoth_protocol::{CallId, InodeId, Now, Seq, Term};
use std::collections::BTreeSet;

/// Everything that a namenode knows. One thread owns it.
///
/// | part | kind | changed by |
/// |---|---|---|
/// | `rows` | hard: log and checkpoint | `apply` only |
/// | `tree`, `leases` (who), `calls` | derived from `rows` | `apply` only |
/// | `blocks`, `leases` (when), `leaderless`, `resumed`, `clock` | soft: rebuilt from reports | `observe`, `tick` |
#[derive(Clone, Debug)]
pub struct State {
    pub(crate) config: CoreConfig,
    pub(crate) rows: Rows,
    pub(crate) tree: Tree,
    pub(crate) leases: Leases,
    /// Remembered calls, by id.
    pub(crate) calls: HashMap<CallId, Seq, FixedState>,
    pub(crate) blocks: BlockMap,
    /// Files in recovery whose last block no datanode could be found to lead the recovery of.
    pub(crate) leaderless: BTreeSet<InodeId>,
    /// Files in recovery since before this namenode started, which need a new attempt under a new stamp.
    pub(crate) resumed: BTreeSet<InodeId>,
    /// The latest time that `observe` or `tick` was told.
    pub(crate) clock: Now,
    /// What this namenode remembers of the past; datanodes compare it with theirs.
    past: HighWater,
}

impl State {
    /// An empty file system: the root folder, owned by the superuser and the supergroup, mode 0755.
    ///
    /// To load a stored one, go on with [`Self::loading`], [`mammoth_protocol::journaled::Journaled`]'s methods and
    /// [`Self::resume`].
    #[must_use]
    pub fn new(config: CoreConfig, now: Now) -> Self {
        let mut blocks = BlockMap::new(&config);
        blocks.loaded(now);
        let mut state = Self {
            rows: Rows::new(&config.superuser, &config.supergroup),
            tree: Tree::new(),
            leases: Leases::default(),
            calls: HashMap::default(),
            blocks,
            leaderless: BTreeSet::new(),
            resumed: BTreeSet::new(),
            clock: now,
            past: HighWater::default(),
            config,
        };
        state.publish_past();
        state
    }

    /// Makes an empty state ready to be loaded. Without it loading begins with the first row, and a log whose checkpoint has none
    /// would be taken as if it were being decided: what does not fit would go unnoticed.
    #[must_use]
    pub fn loading(mut self) -> Self {
        self.rows.begin_load();
        self
    }

    /// Tells the state its place in history: to be called after loading and before the first report. A datanode that has
    /// seen a later past than this keeps the namenode in safe mode, as edits were lost.
    ///
    /// `seq` is the last sequence of the edit log, which the rows alone do not show: the row of its edit may be gone.
    pub fn resume(&mut self, term: Term, seq: Seq) {
        self.past.term = term;
        self.past.seq = self.past.seq.max(seq);
        self.publish_past();
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &CoreConfig {
        &self.config
    }

    /// Keeps the block map's idea of the past up to date.
    fn publish_past(&mut self) {
        self.past.block = self.rows.meta.last_block;
        self.blocks.set_own_high_water(self.past);
    }

    /// Keeps the latest time; time never goes back.
    pub(crate) fn advance(&mut self, now: Now) {
        self.clock = Now { monotonic_ms: self.clock.monotonic_ms.max(now.monotonic_ms), wall_ms: now.wall_ms };
    }
}
