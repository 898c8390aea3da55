//! One edit, one row: the only code that changes hard state.

use super::inode::{FileParts, InodeParts};
use super::{Attrs, Building, Created, Edit, Lease, Retry, RowKey, Rows, Run, Segment, slot_of};
use mammoth_protocol::{Block, InodeId, Seq};

/// An edit that does not fit its row, in words.
type Misfit = &'static str;

impl Rows {
    /// Applies one edit of record `seq` to its row, live and on replay. While loading it may be skipped: see [`super`].
    pub(crate) fn apply(&mut self, seq: Seq, edit: &Edit) {
        self.raise_counters(edit);
        let key = edit.row(seq);
        if key == RowKey::Meta {
            return;
        }
        if !self.is_due(seq, key, edit) {
            return;
        }
        match self.change(seq, edit) {
            Ok(()) => self.touch(key),
            Err(what) => self.mismatch(seq, key, what),
        }
    }

    /// Live, every edit is due. While loading, not one that its row has already, nor one of a row that a later edit removed.
    fn is_due(&mut self, seq: Seq, key: RowKey, edit: &Edit) -> bool {
        if !self.is_loading() {
            return true;
        }
        let row_seq = self.row_seq(key);
        let exists = row_seq.is_some() || creates(edit);
        exists && self.gate.as_mut().is_none_or(|gate| gate.lets_in(key, row_seq, seq))
    }

    fn raise_counters(&mut self, edit: &Edit) {
        let raised = edit.allocates(&self.meta);
        if raised == self.meta {
            return;
        }
        self.meta = raised;
        self.touch(RowKey::Meta);
        if matches!(edit, Edit::Forgotten { .. }) && self.gate.is_none() {
            self.drop_forgotten();
        }
    }

    fn row_seq(&self, key: RowKey) -> Option<Seq> {
        match key {
            RowKey::Meta => None,
            RowKey::Inode(id) => self.inode(id).map(|inode| inode.seq),
            RowKey::Blocks(id, segment) => self.segments.get(&(id, segment)).map(|segment| segment.seq),
            RowKey::Retry(seq) => self.retries.contains_key(&seq).then_some(seq),
        }
    }

    fn change(&mut self, seq: Seq, edit: &Edit) -> Result<(), Misfit> {
        match edit {
            Edit::Created(created) => self.create(seq, created),
            Edit::Removed { id } => self.remove(*id),
            Edit::SegmentRemoved { file, segment } => {
                self.segments.remove(&(*file, *segment)).map(drop).ok_or("no such segment")
            }
            Edit::Remembered { call, reply, wall_ms } => {
                self.retries.insert(seq, Retry { wall_ms: *wall_ms, call: *call, reply: reply.clone() });
                Ok(())
            }
            Edit::BlockAdded { .. }
            | Edit::BlockFlushed { .. }
            | Edit::BlockPiped { .. }
            | Edit::BlockReopened { .. }
            | Edit::BlockRecovering { .. }
            | Edit::BlockCommitted { .. }
            | Edit::BlockTaken { .. }
            | Edit::BlockCut { .. }
            | Edit::BlocksJoined { .. } => self.change_block(seq, edit),
            Edit::StampAllocated { .. } | Edit::Forgotten { .. } => Ok(()),
            Edit::Mode { .. } | Edit::Owner { .. } | Edit::Replication { .. } => self.change_attrs(seq, edit),
            Edit::Moved { id, .. }
            | Edit::Detached { id }
            | Edit::Times { id, .. }
            | Edit::Leased { id, .. }
            | Edit::Closed { id, .. } => self.change_inode(seq, *id, |inode| change_inode(inode, edit)),
        }
    }

    fn create(&mut self, seq: Seq, created: &Created) -> Result<(), Misfit> {
        let (replication, block_size) =
            created.file.as_ref().map_or((0, 0), |file| (file.replication, file.block_size));
        let attrs = self.inodes.place_of(Attrs {
            owner: created.owner.clone(),
            group: created.group.clone(),
            mode: created.mode,
            replication,
            block_size,
        });
        let file = created.file.as_ref();
        let inode = InodeParts {
            seq,
            parent: created.parent,
            name: created.name.clone(),
            mtime_ms: created.mtime_ms,
            atime_ms: file.map_or(0, |_| created.mtime_ms),
            attrs,
            file: file.map(|file| FileParts { first: Run::default(), lease: Some(file.lease.clone()) }),
        };
        let exists = self.inode(created.id).is_some();
        self.inodes.put(created.id, inode)?;
        if exists { Err("the inode exists") } else { Ok(()) }
    }

    fn remove(&mut self, id: InodeId) -> Result<(), Misfit> {
        if self.inodes.remove(id) { Ok(()) } else { Err("no such inode") }
    }

    fn change_inode(
        &mut self,
        seq: Seq,
        id: InodeId,
        change: impl FnOnce(&mut InodeParts) -> Result<(), Misfit>,
    ) -> Result<(), Misfit> {
        let mut inode = self.inodes.take(id).ok_or("no such inode")?;
        inode.seq = seq;
        let changed = change(&mut inode);
        self.inodes.put(id, inode)?;
        changed
    }

    fn change_attrs(&mut self, seq: Seq, edit: &Edit) -> Result<(), Misfit> {
        let id = edit.inode().ok_or("no inode")?;
        let mut attrs = self.inode(id).ok_or("no such inode")?.attrs.clone();
        match edit {
            Edit::Mode { mode, .. } => attrs.mode = *mode,
            Edit::Owner { owner, group, .. } => {
                attrs.owner = owner.clone().unwrap_or(attrs.owner);
                attrs.group = group.clone().unwrap_or(attrs.group);
            }
            Edit::Replication { replication, .. } => attrs.replication = *replication,
            _ => return Err("not an edit of attributes"),
        }
        let attrs = self.inodes.place_of(attrs);
        self.change_inode(seq, id, |inode| {
            inode.attrs = attrs;
            Ok(())
        })
    }

    fn change_block(&mut self, seq: Seq, edit: &Edit) -> Result<(), Misfit> {
        let (Some(id), Some(index)) = (edit.inode(), edit.block_index()) else { return Err("no block") };
        let slot = slot_of(index);
        let Some(number) = slot.segment else {
            return self.change_inode(seq, id, |inode| {
                change_run(&mut inode.file.as_mut().ok_or("a folder has no blocks")?.first, slot.at, edit)
            });
        };
        if creates(edit) {
            self.segments.insert((id, number), Segment { seq, run: Run::default() });
        }
        let segment = self.segments.get_mut(&(id, number)).ok_or("no such segment")?;
        segment.seq = seq;
        change_run(&mut segment.run, slot.at, edit)?;
        if segment.run.blocks().is_empty() {
            self.segments.remove(&(id, number));
        }
        Ok(())
    }
}

/// Whether the edit makes its row.
fn creates(edit: &Edit) -> bool {
    match edit {
        Edit::Created(_) | Edit::Remembered { .. } => true,
        Edit::BlockAdded { index, .. } | Edit::BlocksJoined { index, .. } => {
            let slot = slot_of(*index);
            slot.segment.is_some() && slot.at == 0
        }
        _ => false,
    }
}

fn change_inode(inode: &mut InodeParts, edit: &Edit) -> Result<(), Misfit> {
    match edit {
        Edit::Moved { parent, name, .. } => {
            inode.parent = *parent;
            inode.name.clone_from(name);
        }
        Edit::Detached { .. } => inode.parent = super::DETACHED,
        Edit::Times { mtime_ms, atime_ms, .. } => {
            inode.mtime_ms = mtime_ms.unwrap_or(inode.mtime_ms);
            inode.atime_ms = atime_ms.unwrap_or(inode.atime_ms);
        }
        Edit::Leased { lease, .. } => set_lease(inode, Some(lease))?,
        Edit::Closed { mtime_ms, .. } => {
            set_lease(inode, None)?;
            inode.mtime_ms = *mtime_ms;
        }
        _ => return Err("not an edit of an inode"),
    }
    Ok(())
}

fn set_lease(inode: &mut InodeParts, lease: Option<&Lease>) -> Result<(), Misfit> {
    let file = inode.file.as_mut().ok_or("a folder has no lease")?;
    file.lease = lease.cloned();
    Ok(())
}

/// Changes the end of a run: what is at place `at`.
fn change_run(run: &mut Run, at: usize, edit: &Edit) -> Result<(), Misfit> {
    let present = run.blocks().len();
    if let Edit::BlockAdded { block, stamp, targets, .. } = edit {
        if at != present || run.building().is_some() {
            return Err("the block is not next");
        }
        let building = Building { targets: targets.clone(), ..Building::default() };
        run.push(Block { id: *block, stamp: *stamp, len: 0 }, building);
        return Ok(());
    }
    if let Edit::BlocksJoined { blocks, .. } = edit {
        if at != present || run.building().is_some() {
            return Err("the blocks are not next");
        }
        run.extend(blocks);
        return Ok(());
    }
    if at + 1 != present {
        return Err("the block is not the last");
    }
    if let Edit::BlockTaken { block, .. } = edit {
        return run.pop().filter(|last| last.id == *block).map(drop).ok_or("another block is the last");
    }
    if let Edit::BlockReopened { targets, .. } = edit {
        run.set_building(Some(Building { targets: targets.clone(), ..Building::default() }));
        return Ok(());
    }
    if let Edit::BlockCut { len, stamp, targets, .. } = edit {
        run.set_building(Some(Building { targets: targets.clone(), recovery: Some(*stamp), cut: Some(*len) }));
        return Ok(());
    }
    let block = run.block_mut(at).ok_or("no such block")?;
    match edit {
        Edit::BlockFlushed { len, .. } => block.len = *len,
        Edit::BlockPiped { stamp, len, .. } => (block.stamp, block.len) = (*stamp, *len),
        Edit::BlockCommitted { block: last, .. } => (block.stamp, block.len) = (last.stamp, last.len),
        _ => {}
    }
    match edit {
        Edit::BlockCommitted { .. } => run.set_building(None),
        Edit::BlockPiped { targets, .. } => {
            run.building_mut().ok_or("the block is committed")?.targets.clone_from(targets);
        }
        Edit::BlockRecovering { stamp, .. } => {
            run.building_mut().ok_or("the block is committed")?.recovery = Some(*stamp);
        }
        _ => {}
    }
    Ok(())
}
