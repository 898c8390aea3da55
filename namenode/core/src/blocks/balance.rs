//! The balancer's part: which blocks a datanode has, and replicas that were moved.
//!
//! A move is a copy whose receiver names the datanode that it relieves. Nothing is deleted on its word: the block has one
//! replica more than it wants, and when what is too much is trimmed, by the rules for every deletion, the named datanode's
//! replica goes first, unless the block would lie on fewer racks than before the move.

use super::BlockMap;
use super::cluster::{NodeIx, VolumeIx};
use super::table::{Condition, Slot};
use crate::api::BlockOn;
use mammoth_protocol::internal::DnCommand;
use mammoth_protocol::{Block, BlockId, DatanodeId};

/// Blocks that one answer names at most.
const BLOCKS_MAX: usize = 10_000;
/// Blocks that are looked at for one answer.
const LOOKS_MAX: usize = 20_000;

/// A move whose old replica is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hint {
    /// The datanode to relieve.
    from: NodeIx,
    /// Where the new replica is.
    added: VolumeIx,
}

impl BlockMap {
    /// A volume received a replica that is to take the place of one on another datanode.
    pub(super) fn hint(&mut self, added: VolumeIx, id: BlockId, from: DatanodeId) {
        let Some(slot) = self.table.find(id) else { return };
        let Some(from) = self.cluster.find_node(from) else { return };
        if self.table.get(slot).condition == Condition::Surplus && self.cluster.node_of(added) != Some(from) {
            self.hints.insert(slot, Hint { from, added });
        }
    }

    /// The replica to lose because another one was made in its place: only while that one is good, if it may be deleted at
    /// all, and if the block is spread no worse than before the move. A datanode with two replicas of the block loses one
    /// first.
    pub(super) fn hinted(&self, slot: Slot) -> Option<VolumeIx> {
        let hint = self.hints.get(&slot)?;
        let lasting: Vec<VolumeIx> = self.lasting(slot).collect();
        let nodes: Vec<NodeIx> = lasting.iter().filter_map(|&v| self.cluster.node_of(v)).collect();
        let doubled = nodes.iter().enumerate().any(|(at, node)| nodes[..at].contains(node));
        let old = lasting.iter().copied().find(|&v| self.cluster.node_of(v) == Some(hint.from))?;
        let sound = !doubled && lasting.contains(&hint.added);
        let spread = self.racks_without(slot, old) >= self.racks_without(slot, hint.added);
        let may = self.cluster.volume(old).trusted() && self.may_delete(slot, old);
        (sound && spread && may).then_some(old)
    }

    /// The operator bounds what datanodes may use for balancing; 0 changes nothing.
    pub(crate) fn set_balance_rate(&mut self, bytes_per_second: u64) {
        if bytes_per_second > 0 {
            self.balance_rate = Some(bytes_per_second);
        }
    }

    /// Tells a datanode of that bound, with every heartbeat, as one that is restarted has forgotten it.
    pub(super) fn balance_order(&self) -> Option<DnCommand> {
        self.balance_rate.map(|bytes_per_second| DnCommand::BalanceRate { bytes_per_second })
    }

    /// Complete blocks of at least `min_len` bytes with a good replica on a datanode and nothing to repair, until their
    /// lengths add up to `bytes`, each with all its good replicas. Begins at a block that `entropy` chooses; looks at a bounded
    /// number. `None`: no such datanode is live.
    #[must_use]
    pub fn blocks_on(&self, datanode: DatanodeId, bytes: u64, min_len: u64, entropy: u64) -> Option<Vec<BlockOn>> {
        let ix = self.cluster.find_node(datanode).filter(|&ix| self.cluster.node(ix).live)?;
        let volumes =
            || self.cluster.node(ix).volumes.iter().map(|&v| self.cluster.volume(v)).filter(|volume| volume.serving());
        let slots = || volumes().flat_map(|volume| volume.blocks.iter());
        let total: usize = volumes().map(|volume| volume.blocks.len()).sum();
        let start = usize::try_from(entropy % (total as u64).max(1)).unwrap_or_default();
        let (mut found, mut sum) = (Vec::new(), 0_u64);
        for slot in slots().skip(start).chain(slots().take(start)).take(LOOKS_MAX) {
            if sum >= bytes || found.len() == BLOCKS_MAX {
                break;
            }
            let entry = self.table.get(slot);
            if entry.len < min_len || !matches!(entry.condition, Condition::Fine | Condition::Misplaced) {
                continue;
            }
            let place = |v| Some((self.cluster.node(self.cluster.node_of(v)?).id, self.cluster.volume(v).id));
            let places: Vec<_> = self.good(slot).filter_map(place).collect();
            if places.iter().any(|(node, _)| *node == datanode) {
                sum = sum.saturating_add(entry.len);
                let block = Block { id: entry.id, stamp: entry.stamp, len: entry.len };
                found.push(BlockOn { file: entry.inode, block, places });
            }
        }
        Some(found)
    }
}
