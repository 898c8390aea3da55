//! Looking into the namenode from outside the rules: invariants after every event, clients' views after every start.

use super::{Namenode, caller};
use crate::client::choose_path;
use crate::event::Index;
use crate::oracle::{Actual, View};
use crate::world::World;
use mammoth_namenode_core::api::{Answer, Query, SafeMode};
use mammoth_namenode_core::check::{check, owned_blocks};
use mammoth_protocol::{BlockId, GenStamp, Now};
use std::collections::BTreeMap;

impl World {
    /// The core's own invariants.
    pub(crate) fn check_core(&mut self) {
        let Some(live) = &self.namenode.live else { return };
        if let Err(violation) = check(&live.state) {
            self.violation(format!("{violation}"));
        }
    }

    /// Every client's view against what is there: the state before or after an unanswered call, nothing else.
    pub(crate) fn check_views(&mut self) {
        for index in 0..self.clients.len() {
            let actual = self.actual(index);
            let client = &self.clients[index];
            let mut allowed = vec![client.view.clone()];
            for change in client.pending.iter().map(|p| &p.change).chain(&client.doubt) {
                let mut after = client.view.clone();
                after.apply(change);
                allowed.push(after);
            }
            let reasons: Vec<String> = allowed.iter().filter_map(|view| view.contradiction(&actual)).collect();
            if reasons.len() == allowed.len() {
                self.violation(format!("client {index} was told otherwise: {}", reasons.join("; or ")));
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
                self.violation(format!("client {index}, crashed in {change:?}: {one}; or {other}"));
            }
        }
    }

    /// What is below a client's folder.
    fn actual(&self, index: Index) -> BTreeMap<String, Actual> {
        let mut found = BTreeMap::new();
        if let Some(live) = &self.namenode.live {
            let ask = |query: &Query| live.state.query(self.now(), 0, &caller(None), query, &mut Vec::new());
            let mut paths = vec![self.clients[index].folder()];
            while let Some(path) = paths.pop() {
                let Ok(Answer::FileInfo(Some(status))) = ask(&Query::FileInfo { path: choose_path(&path) }) else {
                    continue;
                };
                let (mut open, mut blocks) = (false, Vec::new());
                if status.is_dir {
                    let listing =
                        Query::Listing { path: choose_path(&path), start_after: Vec::new(), need_location: false };
                    if let Ok(Answer::Listing(Some(listing))) = ask(&listing) {
                        paths.extend(listing.entries.iter().map(|entry| format!("{path}/{}", entry.name)));
                    }
                } else {
                    let locate = Query::BlockLocations { path: choose_path(&path), offset: 0, len: u64::MAX };
                    if let Ok(Answer::Blocks(file)) = ask(&locate) {
                        open = file.open;
                        blocks = file.blocks.iter().map(|located| (located.block.id, located.block.len)).collect();
                    }
                }
                let replication = status.replication;
                found.insert(path, Actual { is_dir: status.is_dir, open, blocks, replication });
            }
        }
        found
    }
}

impl Namenode {
    /// Stamp, length and wanted replicas of a complete block that a file owns.
    #[must_use]
    pub fn owner_of(&self, id: BlockId) -> Option<(GenStamp, u64, u16)> {
        let owned = self.owned_blocks().into_iter().find(|(owned, ..)| *owned == id);
        owned.map(|(_, stamp, len, wanted)| (stamp, len, wanted))
    }

    /// All complete blocks of files with stamp, length and wanted replicas.
    #[must_use]
    pub fn owned_blocks(&self) -> Vec<(BlockId, GenStamp, u64, u16)> {
        let Some(live) = &self.live else { return Vec::new() };
        let owned = owned_blocks(&live.state).into_iter().filter(|(_, meta)| meta.complete);
        owned.map(|(id, meta)| (id, meta.stamp, meta.len, meta.wanted)).collect()
    }

    /// Open files, and what else shows that it is not at rest; `None` would mean that it is.
    #[must_use]
    pub fn unrest(&self, now: Now) -> Option<(u64, Option<String>)> {
        let Some(live) = &self.live else { return Some((0, Some("the namenode is down".to_owned()))) };
        let answer = live.state.query(now, 0, &caller(None), &Query::Health, &mut Vec::new());
        let Ok(Answer::Health(health)) = answer else {
            return Some((0, Some(format!("no health: {answer:?}"))));
        };
        let reason = match &health.safe_mode {
            SafeMode::Off if health.reclaiming > 0 => Some("a deleted folder is not reclaimed".to_owned()),
            SafeMode::Off if health.over_replicated + health.under_replicated > 0 => Some(format!("{health:?}")),
            SafeMode::Off => None,
            mode => Some(format!("{mode:?}")),
        };
        Some((health.open_files, reason))
    }
}
