//! Counts and lists for status pages and reports. All but the list of datanodes take time in the number of datanodes and
//! volumes at most, never of blocks.

use super::BlockMap;
use super::cluster::{Node, Volume};
use super::table::Condition;
use super::types::BlockNumbers;
use crate::api::{DatanodeKind, DatanodeStatus, FsStats};
use mammoth_protocol::{BlockId, Now};

impl BlockMap {
    /// Capacity of the live datanodes, and block counts. During start-up every block without its minimum of replicas counts as
    /// missing and the other counts are not known yet.
    #[must_use]
    pub fn stats(&self, _now: Now) -> FsStats {
        let mut stats = FsStats {
            under_replicated: self.under_replicated(),
            corrupt_blocks: self.tally.bad_blocks,
            missing_blocks: self.queues.len(Condition::Missing) + self.queues.len(Condition::MissingSingle),
            missing_repl_one: self.queues.len(Condition::MissingSingle),
            ..FsStats::default()
        };
        if self.starting() {
            stats.missing_blocks = self.tally.complete - self.tally.safe;
        }
        for volume in &self.cluster.volumes {
            stats.pending_deletion += (volume.deletes.len() + volume.drops.len()) as u64;
            if volume.serving() {
                stats.capacity += volume.usage.capacity;
                stats.used += volume.usage.used;
                stats.remaining += volume.usage.remaining;
            }
        }
        stats
    }

    /// Further counts; those of repair are not known during start-up.
    #[must_use]
    pub fn numbers(&self, now: Now) -> BlockNumbers {
        let live = self.cluster.live();
        let stale = |n: &&Node| n.live && self.silence_at(n, now) > self.config.stale_ms;
        BlockNumbers {
            blocks: self.table.len() as u64,
            live,
            dead: self.cluster.nodes.len() as u32 - live,
            stale: self.cluster.nodes.iter().filter(stale).count() as u32,
            under_replicated: self.under_replicated(),
            over_replicated: self.queues.len(Condition::Surplus),
            misplaced: self.queues.len(Condition::Misplaced),
            pending_copies: self.pending.len(),
            corrupt_replicas: self.tally.bad_replicas,
        }
    }

    /// Datanodes in a state, by id.
    #[must_use]
    pub fn datanodes(&self, now: Now, kind: DatanodeKind) -> Vec<DatanodeStatus> {
        let wanted = |n: &&Node| match kind {
            DatanodeKind::All => true,
            DatanodeKind::Live => n.live,
            DatanodeKind::Dead => !n.live,
            DatanodeKind::Admin(state) => Self::admin_state(&n.admin) == state,
        };
        let mut list: Vec<DatanodeStatus> =
            self.cluster.nodes.iter().filter(wanted).map(|n| self.datanode(n, now)).collect();
        list.sort_unstable_by_key(|d| d.id);
        list
    }

    /// Up to `max` complete blocks without any good replica, ascending by id, after `after`. Not known during start-up.
    #[must_use]
    pub fn missing_blocks(&self, after: Option<BlockId>, max: usize) -> Vec<BlockId> {
        let mut list = self.queues.list(Condition::Missing, after, max);
        list.extend(self.queues.list(Condition::MissingSingle, after, max));
        list.sort_unstable();
        list.truncate(max);
        list
    }

    /// Blocks that want more replicas, missing ones aside.
    pub(super) fn under_replicated(&self) -> u64 {
        Condition::NEEDS.into_iter().chain([Condition::Waiting]).map(|c| self.queues.len(c)).sum()
    }

    fn silence_at(&self, node: &Node, now: Now) -> u64 {
        now.monotonic_ms.saturating_sub(node.heard.monotonic_ms)
    }

    fn datanode(&self, node: &Node, now: Now) -> DatanodeStatus {
        let volumes: Vec<&Volume> = node.volumes.iter().map(|&v| self.cluster.volume(v)).collect();
        let working = || volumes.iter().filter(|v| !v.usage.failed);
        let silence_ms = self.silence_at(node, now);
        DatanodeStatus {
            id: node.id,
            addr: node.addr.clone(),
            rack: self.cluster.rack(node.rack).to_owned(),
            live: node.live,
            stale: node.live && silence_ms > self.config.stale_ms,
            admin: Self::admin_state(&node.admin),
            capacity: working().map(|v| v.usage.capacity).sum(),
            used: working().map(|v| v.usage.used).sum(),
            remaining: working().map(|v| v.usage.remaining).sum(),
            xceivers: node.xceivers,
            blocks: volumes.iter().map(|v| v.blocks.len() as u64).sum(),
            last_contact_ms: silence_ms,
            last_contact_wall_ms: node.heard.wall_ms,
            last_report_wall_ms: volumes.iter().map(|v| v.reports.wall_ms).max().unwrap_or(0),
            failed_volumes: volumes.iter().filter(|v| v.usage.failed).count() as u32,
            reported: node.live && volumes.iter().all(|v| v.told_all() || v.usage.failed),
        }
    }
}
