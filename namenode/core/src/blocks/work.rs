//! Lists of what repair and deletion have to do, for the operator to read.

use super::BlockMap;
use super::cluster::Node;
use super::table::Condition;
use crate::api::{Deletions, PendingEntry};
use mammoth_protocol::{Block, BlockId};

/// What there is to do, each list cut to what was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Blocks that want more replicas, most urgent first.
    pub waiting: Vec<BlockId>,
    /// Blocks whose replicas all lie on one rack although there are several.
    pub apart: Vec<BlockId>,
    /// Blocks with bad replicas.
    pub corrupt: Vec<BlockId>,
    /// Copies under way.
    pub pending: Vec<PendingEntry>,
    /// Replicas to delete.
    pub deletions: Vec<Deletions>,
}

impl BlockMap {
    /// What there is to do. Takes time in the number of blocks with something odd about them, never of all.
    #[must_use]
    pub fn work(&self, max: usize) -> Work {
        let mut waiting = Vec::new();
        for condition in Condition::NEEDS.into_iter().chain([Condition::Waiting]) {
            waiting.extend(self.queues.list(condition, None, max.saturating_sub(waiting.len())));
        }
        let bad = self.odd.keys().filter_map(|&slot| self.table.at(slot)).filter(|entry| entry.bad > 0);
        let mut corrupt: Vec<BlockId> = bad.map(|entry| entry.id).collect();
        corrupt.sort_unstable();
        corrupt.truncate(max);
        let apart = self.queues.list(Condition::Misplaced, None, max);
        Work { waiting, apart, corrupt, pending: self.pending_entries(max), deletions: self.deletion_lists(max) }
    }

    fn pending_entries(&self, max: usize) -> Vec<PendingEntry> {
        let mut entries: Vec<PendingEntry> = Vec::new();
        for (id, copy) in self.pending.iter() {
            let Some(entry) = self.table.find(id).map(|slot| self.table.get(slot)) else { continue };
            if entries.last().is_none_or(|last| last.block.id != id) {
                if entries.len() == max {
                    break;
                }
                let block = Block { id, stamp: entry.stamp, len: entry.len };
                entries.push(PendingEntry { block, targets: Vec::new() });
            }
            if let Some(last) = entries.last_mut() {
                last.targets.extend(self.cluster.place(copy.target));
            }
        }
        entries
    }

    fn deletion_lists(&self, max: usize) -> Vec<Deletions> {
        let of = |node: &Node| {
            let volumes = || node.volumes.iter().map(|&v| self.cluster.volume(v));
            let orders = || volumes().flat_map(|v| [&v.deletes, &v.drops]);
            let count = orders().map(|o| o.len() as u64).sum();
            let block = |o: &super::orders::Orders, id| Some(Block { id, stamp: o.stamp(id)?, len: 0 });
            let blocks = orders().flat_map(|o| o.ids().filter_map(move |id| block(o, id))).take(max).collect();
            Deletions { datanode: format!("{}:{}", node.addr.ip, node.addr.transfer_port), count, blocks }
        };
        self.cluster.nodes.iter().map(of).filter(|deletions| deletions.count > 0).collect()
    }
}
