//! Recoveries of last blocks: who leads, and when to try again. What a recovery decides is the namespace's business.

use super::BlockMap;
use super::cluster::{NodeIx, VolumeIx};
use super::table::Slot;
use crate::api::InternalCommand;
use mammoth_protocol::internal::DnCommand;
use mammoth_protocol::{Block, BlockId, GenStamp, Now};

/// Time that a leader has beside three heartbeats; then another attempt is due.
const LEAD_MS: u64 = 10_000;
/// Recoveries that one tick reports as overdue.
const OVERDUE_MAX: usize = 1_000;

/// A block recovery under way.
#[derive(Clone, Debug)]
pub(super) struct Recovery {
    new_stamp: GenStamp,
    /// The length that the replicas are to be cut to; `None`: they agree on one.
    cut: Option<u64>,
    leader: Option<NodeIx>,
    /// Leaders of earlier attempts.
    tried: Vec<NodeIx>,
    /// When this attempt is taken to have failed.
    until_ms: u64,
}

impl BlockMap {
    /// Orders a recovery of a block under construction under `new_stamp`, led by a live datanode that has (or should have) a
    /// replica; a leader other than before is preferred. Repeated calls replace the one before. Until [`Self::stop_recovery`],
    /// completion or removal, ticks return [`InternalCommand::ContinueRecovery`] whenever an attempt took too long.
    /// `cut` is the length that is to remain, if that is not for the replicas to agree on.
    /// `false`: nobody can lead at the moment.
    pub fn start_recovery(&mut self, id: BlockId, new_stamp: GenStamp, cut: Option<u64>, now: Now) -> bool {
        self.advance(now);
        let Some(slot) = self.table.find(id).filter(|&slot| !self.table.get(slot).complete) else { return false };
        let mut tried = match self.recoveries.remove(&id) {
            Some(before) => {
                if let Some(leader) = before.leader {
                    self.cluster.node_mut(leader).recover.remove(&id);
                }
                before.tried
            }
            None => Vec::new(),
        };
        let leader = self.leader(slot, &tried);
        if let Some(leader) = leader {
            tried.retain(|&n| n != leader);
            tried.push(leader);
            self.cluster.node_mut(leader).recover.insert(id);
        }
        let until_ms = self.now.monotonic_ms + self.recovery_ms();
        self.recoveries.insert(id, Recovery { new_stamp, cut, leader, tried, until_ms });
        leader.is_some()
    }

    /// The recovery ended, well or not.
    pub fn stop_recovery(&mut self, id: BlockId) {
        if let Some(recovery) = self.recoveries.remove(&id)
            && let Some(leader) = recovery.leader
        {
            self.cluster.node_mut(leader).recover.remove(&id);
        }
    }

    const fn recovery_ms(&self) -> u64 {
        3 * self.config.heartbeat_ms + LEAD_MS
    }

    /// Volumes whose replica may take part: of the present stamp or a later one, or of the pipeline and silent so far.
    fn participants(&self, slot: Slot) -> Vec<VolumeIx> {
        self.writing(slot).into_iter().filter(|&v| self.cluster.volume(v).serving()).collect()
    }

    /// The datanode to lead: not one that tried before (of those, the one that tried longest ago), then one that has named the
    /// block, then the one heard of last.
    fn leader(&self, slot: Slot, tried: &[NodeIx]) -> Option<NodeIx> {
        let odd = self.odd(slot);
        let candidates = self.participants(slot).into_iter().filter_map(|v| Some((v, self.cluster.node_of(v)?)));
        let best = candidates.min_by_key(|&(v, n)| {
            let attempts_ago = tried.iter().position(|&t| t == n).map_or(0, |at| at + 1);
            let heard = self.cluster.node(n).heard.monotonic_ms;
            (attempts_ago, odd.replica(v).is_none(), std::cmp::Reverse(heard), v)
        });
        best.map(|(_, n)| n)
    }

    /// The recoveries that a datanode is handed to lead now.
    pub(super) fn recovery_orders(&mut self, node: NodeIx) -> Vec<DnCommand> {
        let ids = std::mem::take(&mut self.cluster.node_mut(node).recover);
        ids.into_iter().filter_map(|id| self.recovery_command(id)).collect()
    }

    fn recovery_command(&self, id: BlockId) -> Option<DnCommand> {
        let recovery = self.recoveries.get(&id)?;
        let slot = self.table.find(id)?;
        let entry = self.table.get(slot);
        Some(DnCommand::Recover {
            block: Block { id, stamp: entry.stamp, len: entry.len },
            new_stamp: recovery.new_stamp,
            cut: recovery.cut,
            replicas: self.participants(slot).into_iter().filter_map(|v| self.cluster.replica_place(v)).collect(),
        })
    }

    /// Attempts that took too long. Each is named once per [`Self::recovery_ms`] until it is started anew or stopped.
    pub(super) fn overdue_recoveries(&mut self) -> Vec<InternalCommand> {
        let now_ms = self.now.monotonic_ms;
        let overdue: Vec<BlockId> =
            self.recoveries.iter().filter(|(_, r)| r.until_ms <= now_ms).map(|(&id, _)| id).take(OVERDUE_MAX).collect();
        let mut commands = Vec::new();
        for id in overdue {
            let again_ms = now_ms + self.recovery_ms();
            if let Some(recovery) = self.recoveries.get_mut(&id) {
                recovery.until_ms = again_ms;
            }
            if let Some(slot) = self.table.find(id) {
                commands.push(InternalCommand::ContinueRecovery { file: self.table.get(slot).inode });
            }
        }
        commands
    }

    /// The leader died: the next attempt is due now.
    pub(super) fn abandon_recoveries_of(&mut self, node: NodeIx) {
        for recovery in self.recoveries.values_mut().filter(|r| r.leader == Some(node)) {
            recovery.until_ms = 0;
            recovery.leader = None;
        }
    }
}
