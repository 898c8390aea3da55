//! Blocks by what repair has to do with them. Only blocks with work are in a queue; a round takes a bounded page of each and
//! goes on next time where it stopped, so that blocks that cannot be helped do not starve others.

use super::table::Condition;
use mammoth_protocol::BlockId;
use std::collections::BTreeSet;
use std::ops::Bound;

/// One queue a condition.
#[derive(Clone, Debug, Default)]
pub(super) struct Queues {
    queues: [Queue; Condition::COUNT],
}

#[derive(Clone, Debug, Default)]
struct Queue {
    blocks: BTreeSet<BlockId>,
    /// The last block that was looked at.
    bookmark: Option<BlockId>,
}

/// Conditions that nobody queues for: there may be millions of them.
const fn idle(condition: Condition) -> bool {
    matches!(condition, Condition::Unsurveyed | Condition::Open | Condition::Fine)
}

impl Queues {
    pub(super) fn moved(&mut self, id: BlockId, from: Condition, to: Condition) {
        if !idle(from) {
            self.queues[from as usize].blocks.remove(&id);
        }
        if !idle(to) {
            self.queues[to as usize].blocks.insert(id);
        }
    }

    pub(super) fn len(&self, condition: Condition) -> u64 {
        self.queues[condition as usize].blocks.len() as u64
    }

    pub(super) fn contains(&self, condition: Condition, id: BlockId) -> bool {
        self.queues[condition as usize].blocks.contains(&id)
    }

    /// Up to `max` blocks after the last that was looked at, from the start again at the end; none twice.
    pub(super) fn page(&self, condition: Condition, max: usize) -> Vec<BlockId> {
        let queue = &self.queues[condition as usize];
        let after = queue.bookmark.map_or(Bound::Unbounded, Bound::Excluded);
        let mut page: Vec<BlockId> = queue.blocks.range((after, Bound::Unbounded)).take(max).copied().collect();
        if let Some(bookmark) = queue.bookmark {
            page.extend(queue.blocks.range(..=bookmark).take(max - page.len()));
        }
        page
    }

    /// A block of a page was looked at.
    pub(super) fn looked_at(&mut self, condition: Condition, id: BlockId) {
        self.queues[condition as usize].bookmark = Some(id);
    }

    /// Up to `max` blocks after `after`, ascending; moves no bookmark.
    pub(super) fn list(&self, condition: Condition, after: Option<BlockId>, max: usize) -> Vec<BlockId> {
        let after = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.queues[condition as usize].blocks.range((after, Bound::Unbounded)).take(max).copied().collect()
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_go_round() {
        let mut queues = Queues::default();
        for id in 1..=5 {
            queues.moved(BlockId(id), Condition::Unsurveyed, Condition::LastCopy);
        }
        let mut page = |max| {
            let page = queues.page(Condition::LastCopy, max);
            page.iter().for_each(|&id| queues.looked_at(Condition::LastCopy, id));
            page.iter().map(|b| b.0).collect::<Vec<_>>()
        };
        assert_eq!(page(2), [1, 2]);
        assert_eq!(page(2), [3, 4]);
        assert_eq!(page(0), []);
        assert_eq!(page(4), [5, 1, 2, 3]);
        assert_eq!(page(100), [4, 5, 1, 2, 3]);
        queues.moved(BlockId(4), Condition::LastCopy, Condition::Fine);
        assert_eq!(queues.len(Condition::LastCopy), 4);
        assert_eq!(queues.len(Condition::Fine), 0);
    }
}
