//! The state of the file system in numbers. Nothing is walked: every number is kept as things change.

use crate::api::Health;
use crate::derived::NAMENODE_HOLDER;
use crate::state::State;
use mammoth_protocol::Now;

impl State {
    /// Numbers for the status page.
    pub(crate) fn health(&self, now: Now) -> Health {
        let numbers = self.blocks.numbers(now);
        Health {
            safe_mode: self.blocks.safe_mode(now),
            files: self.tree.files(),
            dirs: self.tree.dirs(),
            blocks: numbers.blocks,
            open_files: self.leases.count() as u64,
            live: numbers.live,
            dead: numbers.dead,
            stale: numbers.stale,
            under_replicated: numbers.under_replicated,
            over_replicated: numbers.over_replicated,
            misplaced: numbers.misplaced,
            pending_copies: numbers.pending_copies,
            corrupt_replicas: numbers.corrupt_replicas,
            stats: self.blocks.stats(now),
            recoveries: self.leases.count_of(NAMENODE_HOLDER) as u64,
            reclaiming: self.tree.detached().len() as u64,
        }
    }
}
