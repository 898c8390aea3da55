//! Racks: a block whose replicas all lie on one rack while there are several is *misplaced*. Blocks written before there was a
//! second rack are, and those that were repaired while all other racks were away. Repair copies such a block to another rack;
//! what is then too much is trimmed from the rack with most.
//!
//! When one rack becomes several, or several one, every block is looked at anew, in bounded portions.

use super::BlockMap;
use super::cluster::{Admin, RackIx, VolumeIx};
use super::table::Slot;

/// Blocks that one tick looks at after the number of racks changed.
const PORTION: u32 = 5_000;
/// Every block knows.
const ALL: u32 = u32::MAX;

/// Whether there are several racks, and how far blocks have been settled since that changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spread {
    several: bool,
    /// Blocks in slots below this are settled.
    settled: u32,
}

impl Default for Spread {
    fn default() -> Self {
        Self { several: false, settled: ALL }
    }
}

impl Spread {
    /// The block in this slot was settled by the present number of racks.
    pub(super) fn knows(self, slot: Slot) -> bool {
        slot.0 < self.settled
    }
}

impl BlockMap {
    /// Compares the number of racks with what it was, and settles a portion of the blocks that do not know yet. `true`: there
    /// are more.
    pub(super) fn spread_portion(&mut self) -> bool {
        let several = self.several_racks();
        if several != self.spread.several {
            // Until blocks are surveyed, no queue knows of any.
            self.spread = Spread { several, settled: if self.surveyed == 0 { ALL } else { 0 } };
        }
        if self.spread.settled == ALL {
            return false;
        }
        let from = self.spread.settled;
        let to = from.saturating_add(PORTION).min(self.table.end());
        self.spread.settled = to;
        for at in from..to {
            if self.table.at(Slot(at)).is_some() {
                self.settle(Slot(at));
            }
        }
        let more = to < self.table.end();
        if !more {
            self.spread.settled = ALL;
        }
        more
    }

    /// Whether datanodes that serve are on several racks.
    fn several_racks(&self) -> bool {
        let serving = self.cluster.nodes.iter().filter(|n| n.live && n.admin == Admin::InService);
        let mut racks = serving.map(|n| n.rack);
        racks.next().is_some_and(|first| racks.any(|rack| rack != first))
    }

    fn rack_of(&self, volume: VolumeIx) -> Option<RackIx> {
        self.cluster.node_of(volume).map(|n| self.cluster.node(n).rack)
    }

    /// Racks of a block's replicas that are there to last or expected back.
    fn racks_of(&self, slot: Slot) -> impl Iterator<Item = RackIx> {
        let good = self.table.get(slot).good.as_slice().iter().copied();
        good.filter(|&v| self.cluster.lasting(v) || self.cluster.resting(v)).filter_map(|v| self.rack_of(v))
    }

    /// Whether a block's replicas all lie on one rack although there are several.
    pub(super) fn misplaced(&self, slot: Slot) -> bool {
        if !self.spread.several || self.table.get(slot).target() < 2 {
            return false;
        }
        let mut racks = self.racks_of(slot);
        let Some(first) = racks.next() else { return false };
        let mut others = racks.peekable();
        others.peek().is_some() && others.all(|rack| rack == first)
    }

    /// Whether a volume is on a rack where a block has no replica.
    pub(super) fn is_another_rack(&self, slot: Slot, volume: VolumeIx) -> bool {
        self.rack_of(volume).is_some_and(|rack| self.racks_of(slot).all(|other| other != rack))
    }

    /// Racks on which a block has lasting replicas, without the one on a volume.
    pub(super) fn racks_without(&self, slot: Slot, without: VolumeIx) -> usize {
        let others = self.lasting(slot).filter(|&v| v != without);
        let mut racks: Vec<RackIx> = others.filter_map(|v| self.rack_of(v)).collect();
        racks.sort_unstable();
        racks.dedup();
        racks.len()
    }
}
