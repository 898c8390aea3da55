//! Looking into the namenode from outside the rules: invariants after every event, clients' views after every start.

use super::{Namenode, caller};
use crate::client::choose_path;
use crate::event::Index;
use crate::oracle::{Actual, View};
use crate::world::World;
use mammoth_namenode_core::api::{Answer, FileStatus, Query, SafeMode};
use mammoth_namenode_core::check::{check, owned_blocks};
use mammoth_protocol::internal::DnCommand;
use mammoth_protocol::{Block, BlockId, FsError, GenStamp, Now};
use std::collections::BTreeMap;

impl World {
    /// The core's own invariants.
    pub(crate) fn check_core(&mut self) {
        let Some(live) = &self.namenode.live else { return };
        if let Err(violation) = check(&live.process.state) {
            self.sim.violation(format!("{violation}"));
        }
    }

    /// Orders that have just been given: none of them touches a replica in safe mode (I7), and a good replica is deleted only
    /// while the wanted number of others remain, but for those that faults have taken (I6).
    pub(super) fn check_orders(&mut self, index: Index, orders: &[DnCommand]) {
        let Some(live) = &self.namenode.live else { return };
        let answer = live.process.state.query(self.sim.now(), 0, &caller(None), &Query::Health, &mut Vec::new());
        let safe = matches!(&answer, Ok(Answer::Health(health)) if health.safe_mode != SafeMode::Off);
        let active = orders.iter().find(|order| !matches!(order, DnCommand::FullReport { .. }));
        if let Some(order) = active.filter(|_| safe) {
            return self.sim.violation(format!("dn{index} is ordered in safe mode: {order:?}"));
        }
        for order in orders {
            let DnCommand::Delete { blocks, .. } = order else { continue };
            for block in blocks {
                self.sim.coverage.hit("deletion ordered");
                self.fair.deleting(index, block.id);
                self.check_deletion_order(index, *block);
            }
        }
    }

    fn check_deletion_order(&mut self, index: Index, block: Block) {
        let owner = self.namenode.owner_of(block.id).filter(|(stamp, ..)| *stamp == block.stamp);
        let Some((stamp, len, wanted)) = owner else { return };
        self.fair.ordered(block.id, wanted);
        let good = self.good_elsewhere(index, block.id, stamp, len);
        let losses = usize::try_from(self.fair.losses(block.id)).unwrap_or(usize::MAX);
        if good == 0 || good + losses < usize::from(wanted) {
            self.sim.violation(format!("{block} on dn{index} is to go; {good} good ones would remain of {wanted}"));
        }
    }

    /// Every client's view against what is there: the state before or after an unanswered call, nothing else.
    pub(crate) fn check_views(&mut self) {
        for index in 0..self.clients.len() {
            let actual = self.actual(index);
            let client = &self.clients[index];
            let believed = client.believed();
            let mut allowed = vec![believed.clone()];
            for change in client.pending.iter().map(|p| &p.change).chain(&client.doubt) {
                let mut after = believed.clone();
                after.apply(change);
                allowed.push(after);
            }
            let reasons: Vec<String> = allowed.iter().filter_map(|view| view.contradiction(&actual)).collect();
            if reasons.len() == allowed.len() {
                self.sim.violation(format!("client {index} was told otherwise: {}", reasons.join("; or ")));
            }
        }
    }

    /// Takes what is there for the view of a client whose process died in a call, if one of the two states is there.
    pub(crate) fn adopt_actual(&mut self, index: Index, change: &crate::oracle::Change) {
        let actual = self.actual(index);
        let before = self.clients[index].view.clone();
        let mut after: View = before.clone();
        after.apply(change);
        match (before.contradiction(&actual), after.contradiction(&actual)) {
            (None, _) => {}
            (Some(_), None) => self.clients[index].view = after,
            (Some(one), Some(other)) => {
                self.sim.violation(format!("client {index}, crashed in {change:?}: {one}; or {other}"));
            }
        }
    }

    /// What is below a client's folder.
    pub(crate) fn actual(&self, index: Index) -> BTreeMap<String, Actual> {
        let mut found = BTreeMap::new();
        let Some(live) = &self.namenode.live else { return found };
        let ask = |query: &Query| live.process.state.query(self.sim.now(), 0, &caller(None), query, &mut Vec::new());
        let top = self.clients[index].folder();
        if let Ok(Answer::FileInfo(Some(status))) = ask(&Query::FileInfo { path: choose_path(&top) }) {
            found.insert(top.clone(), Actual::from(*status));
        }
        let mut folders = vec![top];
        while let Some(folder) = folders.pop() {
            let path = choose_path(&folder);
            let query = Query::Listing { path, start_after: Vec::new(), need_location: true };
            let Ok(Answer::Listing(Some(listing))) = ask(&query) else { continue };
            for entry in listing.entries {
                let path = format!("{folder}/{}", entry.name);
                if entry.is_dir {
                    folders.push(path.clone());
                }
                found.insert(path, Actual::from(entry));
            }
        }
        found
    }
}

impl From<FileStatus> for Actual {
    fn from(status: FileStatus) -> Self {
        let blocks = status.blocks.unwrap_or_default();
        let building = blocks.last.filter(|_| !blocks.last_complete);
        Self {
            is_dir: status.is_dir,
            open: blocks.open,
            blocks: blocks.blocks.iter().map(|located| (located.block.id, located.block.len)).collect(),
            replication: status.replication,
            pipeline: building.into_iter().flat_map(|last| last.places).map(|place| place.storage).collect(),
        }
    }
}

impl Namenode {
    /// The answer to a question from outside the rules; `None` if it is down.
    #[must_use]
    pub fn ask(&self, now: Now, query: &Query) -> Option<Result<Answer, FsError>> {
        let live = self.live.as_ref()?;
        Some(live.process.state.query(now, 0, &caller(None), query, &mut Vec::new()))
    }

    /// Stamp, length and wanted replicas of a complete block that a file owns.
    #[must_use]
    pub fn owner_of(&self, id: BlockId) -> Option<(GenStamp, u64, u16)> {
        let owned = self.owned_blocks().into_iter().find(|(owned, ..)| *owned == id);
        owned.map(|(_, stamp, len, wanted)| (stamp, len, wanted))
    }

    /// The stamp of a block that a file owns.
    #[must_use]
    pub fn stamp_of(&self, id: BlockId) -> Option<GenStamp> {
        let live = self.live.as_ref()?;
        owned_blocks(&live.process.state).into_iter().find(|(owned, _)| *owned == id).map(|(_, meta)| meta.stamp)
    }

    /// All complete blocks of files with stamp, length and wanted replicas.
    #[must_use]
    pub fn owned_blocks(&self) -> Vec<(BlockId, GenStamp, u64, u16)> {
        let Some(live) = &self.live else { return Vec::new() };
        let owned = owned_blocks(&live.process.state).into_iter().filter(|(_, meta)| meta.complete);
        owned.map(|(id, meta)| (id, meta.stamp, meta.len, meta.wanted)).collect()
    }

    /// Open files, and what else shows that it is not at rest; `None` would mean that it is.
    #[must_use]
    pub fn unrest(&self, now: Now) -> Option<(u64, Option<String>)> {
        let Some(live) = &self.live else { return Some((0, Some("the namenode is down".to_owned()))) };
        let answer = live.process.state.query(now, 0, &caller(None), &Query::Health, &mut Vec::new());
        let Ok(Answer::Health(health)) = answer else {
            return Some((0, Some(format!("no health: {answer:?}"))));
        };
        let reason = match &health.safe_mode {
            SafeMode::Off if health.reclaiming > 0 => Some("a deleted folder is not reclaimed".to_owned()),
            SafeMode::Off if health.over_replicated + health.under_replicated + health.misplaced > 0 => {
                Some(format!("{health:?}"))
            }
            SafeMode::Off => None,
            mode => Some(format!("{mode:?}")),
        };
        Some((health.open_files, reason))
    }
}
