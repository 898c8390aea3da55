//! Mistakes planted at the namenode's doors: each changes a message on its way to the core.

use crate::bugs::Bug;
use mammoth_namenode_core::check::owned_blocks;
use mammoth_namenode_core::{Edit, State};
use mammoth_protocol::internal::{
    CommitBlockSync, FullReportSlice, IncrementalReport, ReplicaEvent, ReplicaState, ReportedReplica,
};
use mammoth_protocol::{Block, DatanodeId, Epoch, GenStamp, InodeId, StorageId};
use std::collections::BTreeMap;

/// What the mistakes remember of earlier messages.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    /// The last list of each volume.
    lists: BTreeMap<StorageId, Vec<ReportedReplica>>,
    /// Present registrations.
    epochs: BTreeMap<DatanodeId, Epoch>,
    /// Reports counted as they arrive, and which count each true number first got.
    counts: BTreeMap<StorageId, u64>,
    numbers: BTreeMap<(StorageId, u64), u64>,
    /// Stamps of the recoveries that began last.
    recoveries: BTreeMap<InodeId, GenStamp>,
}

impl Memory {
    /// A datanode registered; answers lists to be believed at once.
    pub(super) fn registered(
        &mut self,
        bug: Option<Bug>,
        datanode: DatanodeId,
        epoch: Epoch,
        storages: &[StorageId],
    ) -> Vec<FullReportSlice> {
        self.epochs.insert(datanode, epoch);
        for storage in storages {
            self.counts.remove(storage);
            self.numbers.retain(|(of, _), _| of != storage);
        }
        if bug != Some(Bug::SilentVolumeTrusted) {
            return Vec::new();
        }
        let known = storages.iter().map(|storage| (*storage, self.lists.get(storage).cloned().unwrap_or_default()));
        let list = |(storage, replicas)| FullReportSlice {
            datanode,
            epoch,
            storage,
            cut_seq: 0,
            slice: 0,
            last: true,
            replicas,
        };
        known.map(list).collect()
    }

    pub(super) fn incremental(&mut self, bug: Option<Bug>, state: &State, report: &mut IncrementalReport) {
        let present = self.epochs.get(&report.datanode) == Some(&report.epoch);
        for part in &mut report.storages {
            match bug {
                Some(Bug::GapHidden) if part.seq % 4 == 0 => part.events.clear(),
                Some(Bug::OldReportTaken) if present => {
                    let count = self.counts.entry(part.storage).or_default();
                    *count += 1;
                    self.numbers.entry((part.storage, part.seq)).or_insert(*count);
                    part.seq = *count;
                }
                Some(Bug::StaleCountedGood) => {
                    for event in &mut part.events {
                        if let ReplicaEvent::Received(block) = event {
                            *block = freshened(state, *block);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    pub(super) fn full(&mut self, bug: Option<Bug>, state: &State, slice: &mut FullReportSlice) {
        match bug {
            Some(Bug::SilentVolumeTrusted) => {
                let list = self.lists.entry(slice.storage).or_default();
                if slice.slice == 0 {
                    list.clear();
                }
                list.extend(&slice.replicas);
            }
            Some(Bug::OldReportTaken) => {
                slice.cut_seq = self.numbers.get(&(slice.storage, slice.cut_seq)).copied().unwrap_or_default();
            }
            Some(Bug::StaleCountedGood) => {
                for replica in slice.replicas.iter_mut().filter(|replica| replica.state == ReplicaState::Finalized) {
                    replica.block = freshened(state, replica.block);
                }
            }
            _ => {}
        }
    }

    /// Notes recoveries that begin.
    pub(super) fn decided(&mut self, edits: &[Edit]) {
        for edit in edits {
            if let Edit::BlockRecovering { file, stamp, .. } | Edit::BlockCut { file, stamp, .. } = edit {
                self.recoveries.insert(*file, *stamp);
            }
        }
    }

    /// Gives a commit the stamp of the present attempt.
    pub(super) fn renew(&self, state: &State, commit: &mut CommitBlockSync) {
        let owner = owned_blocks(state).into_iter().find(|(id, _)| *id == commit.block.id);
        let present = owner.and_then(|(_, meta)| self.recoveries.get(&meta.inode));
        commit.new_stamp = present.copied().unwrap_or(commit.new_stamp);
    }
}

/// What the log gets of a decision; a mistake may also spoil what is applied.
pub(super) fn spoil(bug: Option<Bug>, edits: &mut [Edit]) -> Vec<Edit> {
    if bug == Some(Bug::SourcesGoFirst) {
        // A sort keeps the order of equals.
        edits.sort_by_key(|edit| matches!(edit, Edit::BlocksJoined { .. }));
    }
    match bug {
        Some(Bug::TornDecision) => edits[..1].to_vec(),
        Some(Bug::CutLoggedAsRecovery) => edits.iter().flat_map(without_length).collect(),
        _ => edits.to_vec(),
    }
}

/// A cut as the beginning of any recovery; another edit as it is.
fn without_length(edit: &Edit) -> Vec<Edit> {
    match edit.clone() {
        Edit::BlockCut { file, index, stamp, targets, .. } => {
            vec![Edit::BlockReopened { file, index, targets }, Edit::BlockRecovering { file, index, stamp }]
        }
        other => vec![other],
    }
}

/// A stale replica, dressed up as the present one.
fn freshened(state: &State, block: Block) -> Block {
    let owned = owned_blocks(state).into_iter().find(|(id, meta)| *id == block.id && meta.complete);
    match owned {
        Some((id, meta)) if meta.stamp > block.stamp => Block { id, stamp: meta.stamp, len: meta.len },
        _ => block,
    }
}
