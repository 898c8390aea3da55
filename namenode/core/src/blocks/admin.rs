//! What the operator wants of datanodes: to serve, to leave for good (*decommission*), to be away for a while
//! (*maintenance*).
//!
//! ```text
//!   in service ──▶ decommissioning ──▶ decommissioned        away: dead, and yet not given up
//!        │  ▲           │  ◀─ needed again ──│
//!        │  └───────────┴────────────────────┘  the list no longer names it
//!        └──▶ entering maintenance ──▶ in maintenance ──▶ in service, when the list or the time says so
//! ```
//!
//! Replicas on a datanode that is to leave are good, are read and copied from, but do not *last*: only lasting ones count
//! against what a block wants, so ordinary repair makes up for the others. A datanode has left when a look at all its blocks
//! found none that depends on it. Nothing of this is written down: the list is read again at every start.

use super::BlockMap;
use super::cluster::{Admin, NodeIx, Scan, Standing};
use super::judge::{Verdict, judge};
use super::table::Slot;
use crate::api::{AdminState, AdminWish, HostRules};
use mammoth_protocol::{BlockId, Now};

/// Blocks that one tick settles, of those whose datanodes changed.
const SETTLE_PORTION: usize = 5_000;
/// Blocks of a datanode that one round looks at, for one that holds it back.
const LOOK_PORTION: usize = 20_000;

impl BlockMap {
    /// The operator's list, whole and anew. A datanode that it does not want here is dead from now on.
    pub fn set_hosts(&mut self, now: Now, rules: HostRules) {
        self.advance(now);
        self.hosts = rules;
        let nodes: Vec<NodeIx> = self.cluster.nodes().map(|(ix, _)| ix).collect();
        for ix in nodes {
            match self.hosts.wish(&self.cluster.node(ix).addr) {
                Some(wish) => self.wish(ix, wish),
                None => self.give_up(ix),
            }
        }
        self.judge_safe_mode();
    }

    /// A datanode is not expected any more, nor what is on it, even if it was to be away for a while.
    pub(super) fn give_up(&mut self, ix: NodeIx) {
        self.become_admin(ix, Admin::InService);
        if self.cluster.node(ix).live {
            self.bury(ix);
        }
    }

    /// A datanode comes (again) of which the operator wants this. What it brings may be needed, so that one that had left has
    /// to leave anew.
    pub(super) fn wish_anew(&mut self, ix: NodeIx, wish: AdminWish) {
        if self.cluster.node(ix).admin == Admin::Left {
            self.become_admin(ix, Admin::Leaving(Scan::default()));
        }
        self.wish(ix, wish);
    }

    /// Begins what the operator wants of a datanode, or goes on with it.
    pub(super) fn wish(&mut self, ix: NodeIx, wish: AdminWish) {
        let node = self.cluster.node(ix);
        let live = node.live;
        let over = |until: Option<u64>| until.is_some_and(|until| until <= self.now.wall_ms);
        let next = match (wish, &node.admin) {
            (AdminWish::InMaintenance { until_wall_ms }, _) if over(until_wall_ms) => Admin::InService,
            (AdminWish::InService, _) => Admin::InService,
            (AdminWish::Decommissioned, same @ (Admin::Leaving(_) | Admin::Left)) => same.clone(),
            // A dead one as well, unlike in HDFS: it may be back with what nobody else has.
            (AdminWish::Decommissioned, _) => Admin::Leaving(Scan::default()),
            (AdminWish::InMaintenance { until_wall_ms }, Admin::Resting { scan, .. }) => {
                Admin::Resting { until_wall_ms, scan: scan.clone() }
            }
            (AdminWish::InMaintenance { until_wall_ms }, _) => {
                Admin::Resting { until_wall_ms, scan: live.then(Scan::default) }
            }
        };
        self.become_admin(ix, next);
    }

    fn become_admin(&mut self, ix: NodeIx, next: Admin) {
        let node = self.cluster.node_mut(ix);
        if node.admin == next {
            return;
        }
        let before = std::mem::replace(&mut node.admin, next);
        let rests = |admin: &Admin| matches!(admin, Admin::Resting { .. });
        if rests(&before) && !rests(&self.cluster.node(ix).admin) {
            for volume in self.cluster.node(ix).volumes.clone() {
                if self.cluster.volume(volume).standing == Standing::Away {
                    self.bury_volume(volume);
                }
            }
        }
        self.reconsider(ix);
    }

    /// All blocks of a datanode are to be settled, as its replicas count for something else now.
    pub(super) fn reconsider(&mut self, ix: NodeIx) {
        for &volume in &self.cluster.node(ix).volumes {
            self.unsettled.extend(self.cluster.volume(volume).blocks.iter());
        }
    }

    /// Settles a portion of the blocks whose datanodes changed. `true`: there are more.
    pub(super) fn settle_portion(&mut self) -> bool {
        for _ in 0..SETTLE_PORTION {
            let Some(slot) = self.unsettled.pop_front() else { return false };
            if self.table.at(slot).is_some() {
                self.settle(slot);
            }
        }
        !self.unsettled.is_empty()
    }

    /// Looks which datanodes may go, and which have been away long enough.
    pub(super) fn admin_round(&mut self) {
        let wall_ms = self.now.wall_ms;
        let mut over = Vec::new();
        let mut waiting = Vec::new();
        for (ix, node) in self.cluster.nodes() {
            match &node.admin {
                Admin::Resting { until_wall_ms: Some(until), .. } if *until <= wall_ms => over.push(ix),
                Admin::Leaving(_) | Admin::Resting { scan: Some(_), .. } => waiting.push(ix),
                _ => {}
            }
        }
        for ix in over {
            self.become_admin(ix, Admin::InService);
        }
        if !self.unsettled.is_empty() {
            return; // Their copies are not even planned yet.
        }
        for ix in waiting {
            self.look(ix);
        }
    }

    /// Goes on with the look at a datanode's blocks; at its end the datanode may go.
    fn look(&mut self, ix: NodeIx) {
        if self.cluster.node(ix).live && !self.has_told_all(ix) {
            return;
        }
        let node = self.cluster.node_mut(ix);
        let (Admin::Leaving(scan) | Admin::Resting { scan: Some(scan), .. }) = &mut node.admin else { return };
        let mut scan = std::mem::take(scan);
        let mut left = scan.left.take().unwrap_or_else(|| self.slots_of(ix));
        let mut budget = LOOK_PORTION;
        while budget > 0
            && let Some(&slot) = left.last()
        {
            if self.depends_on(slot, ix) {
                scan.held_back = true;
                break;
            }
            left.pop();
            budget -= 1;
        }
        let over = left.is_empty();
        let done = over && !scan.held_back && !self.expects(ix) && self.is_made_up_for(ix);
        let scan = if over { Scan::default() } else { Scan { left: Some(left), ..scan } };
        let node = self.cluster.node_mut(ix);
        match &mut node.admin {
            Admin::Leaving(_) if done => node.admin = Admin::Left,
            Admin::Leaving(kept) => *kept = scan,
            Admin::Resting { scan: kept, .. } => *kept = (!done).then_some(scan),
            Admin::InService | Admin::Left => {}
        }
    }

    /// Something is still to arrive on a datanode that nobody else would have: a copy, or a block whose pipeline has not told.
    fn expects(&self, ix: NodeIx) -> bool {
        let here = |v: super::cluster::VolumeIx| self.cluster.node_of(v) == Some(ix);
        if !self.pending.blocks(|copy| here(copy.target)).is_empty() {
            return true;
        }
        let scheduled = self.cluster.node(ix).volumes.iter().any(|&v| self.cluster.volume(v).scheduled > 0);
        let open = |odd: &super::odd::Odd| odd.expected.iter().any(|&v| here(v));
        scheduled && self.odd.iter().any(|(&slot, odd)| open(odd) && self.depends_on(slot, ix))
    }

    /// What was on a dead datanode is nowhere any more: nobody can tell it from what others lack, so it may go only when nobody
    /// lacks anything, as in HDFS one that died on its way out.
    fn is_made_up_for(&self, ix: NodeIx) -> bool {
        self.cluster.node(ix).live || (self.under_replicated() == 0 && self.missing_blocks(None, 1).is_empty())
    }

    fn slots_of(&self, ix: NodeIx) -> Vec<Slot> {
        let volumes = self.cluster.node(ix).volumes.iter();
        volumes.flat_map(|&v| self.cluster.volume(v).blocks.iter()).collect()
    }

    /// All working volumes of a datanode have sent a complete report. One that failed, or that its datanode no longer names, has
    /// nothing to tell.
    fn has_told_all(&self, ix: NodeIx) -> bool {
        self.cluster.node(ix).volumes.iter().all(|&v| self.cluster.volume(v).told_all())
    }

    /// A block would have too few replicas without those of a datanode that is to go.
    fn depends_on(&self, slot: Slot, ix: NodeIx) -> bool {
        let Some(entry) = self.table.at(slot) else { return false };
        let here = |v: super::cluster::VolumeIx| self.cluster.node_of(v) == Some(ix);
        if !entry.complete {
            let writing = self.writing(slot);
            let elsewhere = writing.iter().filter(|&&v| self.cluster.lasting(v)).count();
            return writing.iter().any(|&v| here(v)) && elsewhere < usize::from(self.config.replication_min);
        }
        // One that is being closed counts as well: it may be good already, and the word of it on the way.
        let of_use = |r: &super::odd::Replica| judge(entry, r) != Verdict::Bad;
        let good_here = self.replicas(slot).iter().any(|r| here(r.volume) && of_use(r));
        good_here && self.lasting(slot).count() < self.lasting_target(slot)
    }

    /// A datanode that has left has to leave anew if it is still here and a block depends on it again, as when its file wants
    /// more replicas, or is cut.
    pub(super) fn hold_back(&mut self, slot: Slot) {
        let odd = self.odd(slot);
        let volumes = self.table.get(slot).good.as_slice().iter().chain(&odd.expected).copied();
        let holders = volumes.chain(odd.replicas.iter().map(|r| r.volume)).filter_map(|v| self.cluster.node_of(v));
        let left = |&ix: &NodeIx| self.cluster.node(ix).live && self.cluster.node(ix).admin == Admin::Left;
        let needed: Vec<NodeIx> = holders.filter(left).filter(|&ix| self.depends_on(slot, ix)).collect();
        for ix in needed {
            self.cluster.node_mut(ix).admin = Admin::Leaving(Scan::default());
        }
    }

    /// A block is being written to a datanode that is to leave.
    #[must_use]
    pub fn is_written_where_to_leave(&self, id: BlockId) -> bool {
        let Some(slot) = self.table.find(id) else { return false };
        let leaving = |n: NodeIx| matches!(self.cluster.node(n).admin, Admin::Leaving(_) | Admin::Resting { .. });
        self.writing(slot).into_iter().any(|v| self.cluster.node_of(v).is_some_and(leaving))
    }

    /// Lasting replicas that a block needs: what its file wants, less those that are away for a while, but never less than the
    /// minimum for that.
    pub(super) fn lasting_target(&self, slot: Slot) -> usize {
        let entry = self.table.get(slot);
        let target = entry.target();
        let resting = entry.good.as_slice().iter().filter(|&&v| self.cluster.resting(v)).count();
        target.saturating_sub(resting).max(target.min(usize::from(self.config.maintenance_min.max(1))))
    }

    /// Where a datanode stands, for reports.
    pub(super) fn admin_state(admin: &Admin) -> AdminState {
        match admin {
            Admin::InService => AdminState::InService,
            Admin::Leaving(_) => AdminState::Decommissioning,
            Admin::Left => AdminState::Decommissioned,
            Admin::Resting { scan: Some(_), .. } => AdminState::EnteringMaintenance,
            Admin::Resting { scan: None, .. } => AdminState::InMaintenance,
        }
    }
}
