//! Blocks come, change and go, as the namespace says: called by `apply` and while rows are loaded, never by datanodes.

use super::BlockMap;
use super::cluster::VolumeIx;
use super::judge::{Verdict, judge};
use super::table::{Condition, Entry, Slot};
use super::types::BlockMeta;
use super::volumes::Volumes;
use mammoth_protocol::{BlockId, GenStamp, InodeId, StorageId};

impl BlockMap {
    /// What the map knows of a block, `None` if no file owns it.
    #[must_use]
    pub fn get(&self, id: BlockId) -> Option<BlockMeta> {
        self.table.find(id).map(|slot| self.table.get(slot).meta())
    }

    /// A file got a block (or the block is loaded at start). One that is in already takes the new values.
    pub fn insert(&mut self, id: BlockId, meta: BlockMeta) {
        if let Some(slot) = self.table.find(id) {
            self.table.get_mut(slot).inode = meta.inode;
            self.set_wanted(id, meta.wanted);
            self.update(id, meta.stamp, meta.len, meta.complete);
            return;
        }
        self.add(id, meta);
    }

    /// The same for one that must not be in yet, as when all are loaded; `false` if it is.
    pub fn insert_new(&mut self, id: BlockId, meta: BlockMeta) -> bool {
        let new = self.table.find(id).is_none();
        if new {
            self.add(id, meta);
        }
        new
    }

    fn add(&mut self, id: BlockId, meta: BlockMeta) {
        let slot = self.table.insert(Entry {
            id,
            inode: meta.inode,
            stamp: meta.stamp,
            len: meta.len,
            good: Volumes::new(),
            wanted: meta.wanted,
            bad: 0,
            complete: meta.complete,
            safe: false,
            condition: Condition::Unsurveyed,
        });
        self.tally.complete += u64::from(meta.complete);
        // While the namenode starts, an entry is made as it would be settled: nothing is known of replicas, no queue is kept.
        if slot.0 < self.surveyed || self.config.replication_min == 0 {
            self.settle(slot);
        }
    }

    /// A block's stamp or length changed, or it was completed or reopened. Its replicas are judged anew.
    pub fn update(&mut self, id: BlockId, stamp: GenStamp, len: u64, complete: bool) {
        let Some(slot) = self.table.find(id) else { return };
        let mut replicas = self.replicas(slot);
        for replica in &replicas {
            self.take(slot, replica.volume);
        }
        let entry = self.table.get_mut(slot);
        let was_complete = std::mem::replace(&mut entry.complete, complete);
        (entry.stamp, entry.len) = (stamp, len);
        self.tally.complete = self.tally.complete + u64::from(complete) - u64::from(was_complete);
        for replica in replicas.drain(..) {
            self.put(slot, replica);
        }
        if !complete {
            self.end_copies(id, |_, _| true);
        } else if !was_complete {
            self.stop_recovery(id);
            let pipeline = self.expect(slot, Vec::new());
            self.await_reports(slot, pipeline);
        }
        self.settle(slot);
    }

    /// The file wants another number of replicas.
    pub fn set_wanted(&mut self, id: BlockId, wanted: u16) {
        if let Some(slot) = self.table.find(id) {
            self.table.get_mut(slot).wanted = wanted;
            self.settle(slot);
        }
    }

    /// Another file has the block from now on.
    pub fn give_to(&mut self, id: BlockId, inode: InodeId, wanted: u16) {
        if let Some(slot) = self.table.find(id) {
            self.table.get_mut(slot).inode = inode;
            self.set_wanted(id, wanted);
        }
    }

    /// The pipeline of a block under construction now runs over these volumes, in this order. Of a block that was just
    /// completed: these are the volumes that are about to report it.
    pub fn set_expected(&mut self, id: BlockId, storages: &[StorageId]) {
        let Some(slot) = self.table.find(id) else { return };
        let expected: Vec<VolumeIx> = storages.iter().map(|&s| self.cluster.intern_volume(s)).collect();
        if self.table.get(slot).complete {
            self.end_copies(id, |_, copy| copy.source.is_none());
            self.await_reports(slot, expected);
        } else {
            self.expect(slot, expected);
        }
        self.settle(slot);
    }

    /// No file owns the block any more: its replicas become deletion work.
    pub fn remove(&mut self, id: BlockId) {
        let Some(slot) = self.table.find(id) else { return };
        self.stop_recovery(id);
        self.end_copies(id, |_, _| true);
        self.expect(slot, Vec::new());
        self.disown(slot);
        self.settle(slot);
        let entry = self.table.get(slot);
        self.tally.complete -= u64::from(entry.complete);
        self.queues.moved(id, entry.condition, Condition::Unsurveyed);
        self.odd.remove(&slot);
        self.table.remove(slot);
    }

    /// Replaces the pipeline, and with it what is scheduled on its volumes; the caller settles.
    fn expect(&mut self, slot: Slot, expected: Vec<VolumeIx>) -> Vec<VolumeIx> {
        for &volume in &expected {
            self.cluster.volume_mut(volume).scheduled += 1;
        }
        let before = std::mem::replace(&mut self.odd_mut(slot).expected, expected);
        for &volume in &before {
            self.cluster.volume_mut(volume).scheduled -= 1;
        }
        before
    }

    /// The block was completed. Those of its pipeline that have not confirmed it yet are about to: no reason to copy.
    fn await_reports(&mut self, slot: Slot, pipeline: Vec<VolumeIx>) {
        let entry = self.table.get(slot);
        let (id, odd) = (entry.id, self.odd(slot));
        let coming = |v: &VolumeIx| {
            self.cluster.volume(*v).serving()
                && !entry.good.contains(*v)
                && odd.replica(*v).is_none_or(|r| judge(entry, r) == Verdict::Unsettled)
        };
        let coming: Vec<VolumeIx> = pipeline.into_iter().filter(coming).collect();
        let until_ms = self.now.monotonic_ms + self.config.pending_timeout_ms;
        for volume in coming {
            self.begin_copy(id, volume, None, until_ms);
        }
    }

    /// Settles a block if it is still there.
    pub(super) fn settle_by_id(&mut self, id: BlockId) {
        if let Some(slot) = self.table.find(id) {
            self.settle(slot);
        }
    }
}
