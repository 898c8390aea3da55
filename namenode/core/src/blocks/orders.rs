//! Deletions that a volume's datanode still has to carry out: handed over in bounded portions, repeated until it confirms.

use mammoth_protocol::{Block, BlockId, GenStamp};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Ordered deletions of one kind on one volume.
///
/// Every order is in `orders`; it is also either in `due` (to hand over at the next chance) or in `handed` with the time at
/// which it falls due again.
#[derive(Clone, Debug, Default)]
pub(super) struct Orders {
    orders: BTreeMap<BlockId, Order>,
    due: BTreeSet<BlockId>,
    handed: VecDeque<(u64, BlockId)>,
}

#[derive(Clone, Copy, Debug)]
struct Order {
    stamp: GenStamp,
    /// Times handed over.
    times: u32,
}

impl Orders {
    pub(super) fn len(&self) -> usize {
        self.orders.len()
    }

    pub(super) fn stamp(&self, id: BlockId) -> Option<GenStamp> {
        self.orders.get(&id).map(|o| o.stamp)
    }

    /// Times that the order was handed over.
    pub(super) fn times(&self, id: BlockId) -> u32 {
        self.orders.get(&id).map_or(0, |o| o.times)
    }

    /// Orders a deletion; another stamp replaces the order before.
    pub(super) fn add(&mut self, id: BlockId, stamp: GenStamp) {
        if self.stamp(id) != Some(stamp) {
            self.orders.insert(id, Order { stamp, times: 0 });
            self.due.insert(id);
        }
    }

    /// Withdraws an order, or notes that it is done.
    pub(super) fn remove(&mut self, id: BlockId) {
        self.due.remove(&id);
        self.orders.remove(&id);
    }

    /// What was handed over will not be carried out any more, as its datanode has registered anew: all is due at once, as if it
    /// had never been handed over.
    pub(super) fn restart(&mut self) {
        self.handed.clear();
        self.due.extend(self.orders.keys());
        self.orders.values_mut().for_each(|order| order.times = 0);
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = BlockId> {
        self.orders.keys().copied()
    }

    /// Up to `max` orders that are due at `now_ms`, by id. The caller answers each with [`Self::handed_over`], [`Self::postpone`]
    /// or [`Self::remove`].
    pub(super) fn due(&mut self, now_ms: u64, max: usize) -> Vec<Block> {
        while let Some(&(_, id)) = self.handed.front().filter(|(at, _)| *at <= now_ms) {
            self.handed.pop_front();
            if self.orders.contains_key(&id) {
                self.due.insert(id);
            }
        }
        let with_stamp = |&id: &BlockId| Some(Block { id, stamp: self.stamp(id)?, len: 0 });
        self.due.iter().filter_map(with_stamp).take(max).collect()
    }

    /// The order is on its way; without confirmation it is due again at `again_ms`, which never decreases from call to call.
    pub(super) fn handed_over(&mut self, id: BlockId, again_ms: u64) {
        if let Some(order) = self.orders.get_mut(&id) {
            order.times += 1;
            self.postpone(id, again_ms);
        }
    }

    /// The order must not go out now; it is due again at `again_ms`, which never decreases from call to call.
    pub(super) fn postpone(&mut self, id: BlockId, again_ms: u64) {
        if self.due.remove(&id) {
            self.handed.push_back((again_ms, id));
        }
    }

    /// Every order is due, or will be.
    pub(super) fn check(&self) -> Result<(), String> {
        for id in self.orders.keys() {
            if !self.due.contains(id) && !self.handed.iter().any(|(_, h)| h == id) {
                return Err(format!("the deletion of block {id} will never be handed over"));
            }
        }
        match self.due.iter().find(|id| !self.orders.contains_key(id)) {
            Some(id) => Err(format!("the deletion of block {id} is due and not ordered")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(blocks: &[Block]) -> Vec<i64> {
        blocks.iter().map(|b| b.id.0).collect()
    }

    #[test]
    fn orders_come_in_portions_and_again_until_confirmed() {
        let mut orders = Orders::default();
        for id in 1..=5 {
            orders.add(BlockId(id), GenStamp(7));
        }
        let first = orders.due(0, 3);
        assert_eq!(ids(&first), [1, 2, 3]);
        first.iter().for_each(|b| orders.handed_over(b.id, 100));
        assert_eq!(ids(&orders.due(50, 10)), [4, 5]);
        orders.remove(BlockId(2));
        assert_eq!(ids(&orders.due(100, 10)), [1, 3, 4, 5]);
        assert_eq!(orders.times(BlockId(1)), 1);
        orders.check().expect("consistent");
    }

    #[test]
    fn another_stamp_is_another_order_and_a_restart_makes_all_due() {
        let mut orders = Orders::default();
        orders.add(BlockId(1), GenStamp(7));
        orders.handed_over(BlockId(1), 100);
        orders.add(BlockId(1), GenStamp(7));
        assert!(orders.due(0, 10).is_empty());
        orders.add(BlockId(1), GenStamp(8));
        assert_eq!(orders.due(0, 10), [Block { id: BlockId(1), stamp: GenStamp(8), len: 0 }]);
        orders.handed_over(BlockId(1), 100);
        orders.restart();
        assert_eq!(ids(&orders.due(0, 10)), [1]);
        assert_eq!(orders.times(BlockId(1)), 0);
        orders.check().expect("consistent");
    }
}
