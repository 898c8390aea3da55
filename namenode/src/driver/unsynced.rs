//! Which inodes have changes that are not durable yet: an answer that saw one of them must wait.

use mammoth_namenode_core::Edit;
use mammoth_protocol::{InodeId, Seq};
use std::collections::{HashMap, VecDeque};

/// The inodes, by the sequence of their last change.
#[derive(Debug, Default)]
pub(super) struct Unsynced {
    last: HashMap<InodeId, Seq>,
    order: VecDeque<(Seq, InodeId)>,
}

impl Unsynced {
    /// Record `seq` changes what these edits name; the folders that entries came into included.
    pub(super) fn changed(&mut self, seq: Seq, edits: &[Edit]) {
        for edit in edits {
            let folder = match edit {
                Edit::Created(created) => Some(created.parent),
                Edit::Moved { parent, .. } => Some(*parent),
                _ => None,
            };
            for inode in edit.inode().into_iter().chain(folder) {
                if self.last.insert(inode, seq) != Some(seq) {
                    self.order.push_back((seq, inode));
                }
            }
        }
    }

    /// Everything up to `upto` is durable.
    pub(super) fn synced(&mut self, upto: Seq) {
        while let Some((seq, inode)) = self.order.front().copied().filter(|(seq, _)| *seq <= upto) {
            self.order.pop_front();
            if self.last.get(&inode) == Some(&seq) {
                self.last.remove(&inode);
            }
        }
    }

    /// Whether one of these inodes has a change that is not durable.
    pub(super) fn concerns(&self, saw: &[InodeId]) -> bool {
        !self.last.is_empty() && saw.iter().any(|inode| self.last.contains_key(inode))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(id: u64) -> Edit {
        Edit::Mode { id: InodeId(id), mode: 0 }
    }

    #[test]
    fn an_inode_concerns_until_its_last_change_is_durable() {
        let mut unsynced = Unsynced::default();
        unsynced.changed(Seq(1), &[mode(7), mode(8)]);
        unsynced.changed(Seq(2), &[mode(7), mode(7)]);
        assert!(unsynced.concerns(&[InodeId(1), InodeId(8)]));
        assert!(!unsynced.concerns(&[InodeId(1)]));
        unsynced.synced(Seq(1));
        assert!(!unsynced.concerns(&[InodeId(8)]) && unsynced.concerns(&[InodeId(7)]));
        unsynced.synced(Seq(2));
        assert!(!unsynced.concerns(&[InodeId(7)]));
        assert!(unsynced.last.is_empty() && unsynced.order.is_empty());
    }

    #[test]
    fn a_folder_that_gets_an_entry_concerns_too() {
        let mut unsynced = Unsynced::default();
        unsynced.changed(Seq(1), &[Edit::Moved { id: InodeId(5), parent: InodeId(3), name: "n".into() }]);
        assert!(unsynced.concerns(&[InodeId(3)]) && unsynced.concerns(&[InodeId(5)]));
    }
}
