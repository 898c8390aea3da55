//! Copies that are under way: ordered by repair, or still to be reported by the pipeline of a block that was just completed.
//! They count towards the wanted number until they arrive, their datanode dies, or they take too long.

use super::cluster::{NodeIx, VolumeIx};
use mammoth_protocol::BlockId;
use std::collections::{BTreeMap, VecDeque};

/// One copy under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PendingCopy {
    pub(super) target: VolumeIx,
    /// Who sends it; `None` for the writer's pipeline.
    pub(super) source: Option<NodeIx>,
    until_ms: u64,
}

/// All copies under way.
#[derive(Clone, Debug, Default)]
pub(super) struct Pending {
    copies: BTreeMap<BlockId, Vec<PendingCopy>>,
    /// In the order in which they end; may name copies that arrived.
    timeouts: VecDeque<(u64, BlockId)>,
    count: u64,
}

impl Pending {
    pub(super) fn len(&self) -> u64 {
        self.count
    }

    pub(super) fn of(&self, id: BlockId) -> &[PendingCopy] {
        self.copies.get(&id).map_or(&[], Vec::as_slice)
    }

    /// Notes a copy that must arrive before `until_ms`, which never decreases from call to call.
    pub(super) fn add(&mut self, id: BlockId, target: VolumeIx, source: Option<NodeIx>, until_ms: u64) {
        self.copies.entry(id).or_default().push(PendingCopy { target, source, until_ms });
        self.timeouts.push_back((until_ms, id));
        self.count += 1;
    }

    /// Takes the copies of a block that `done` names.
    pub(super) fn take(&mut self, id: BlockId, done: impl Fn(&PendingCopy) -> bool) -> Vec<PendingCopy> {
        let Some(copies) = self.copies.get_mut(&id) else { return Vec::new() };
        let (taken, left) = copies.iter().partition::<Vec<_>, _>(|&c| done(c));
        self.count -= taken.len() as u64;
        *copies = left;
        if copies.is_empty() {
            self.copies.remove(&id);
        }
        taken
    }

    /// A block one of whose copies may be overdue; `None` when no more are.
    pub(super) fn next_overdue(&mut self, now_ms: u64) -> Option<BlockId> {
        let &(until, id) = self.timeouts.front()?;
        if until > now_ms {
            return None;
        }
        self.timeouts.pop_front();
        Some(id)
    }

    /// Blocks with copies that `concerned` names.
    pub(super) fn blocks(&self, concerned: impl Fn(&PendingCopy) -> bool) -> Vec<BlockId> {
        self.copies.iter().filter(|(_, copies)| copies.iter().any(&concerned)).map(|(&id, _)| id).collect()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (BlockId, &PendingCopy)> {
        self.copies.iter().flat_map(|(&id, copies)| copies.iter().map(move |c| (id, c)))
    }
}

impl PendingCopy {
    pub(super) const fn overdue(&self, now_ms: u64) -> bool {
        self.until_ms <= now_ms
    }
}
