//! Datanodes come, live, and die; volumes with them.
//!
//! When a volume stops serving, its replicas stop counting at that moment; the blocks they belong to are brought up to date
//! in bounded portions (*drained*). A volume that serves has been drained of what was known before it was gone.

use super::BlockMap;
use super::cluster::{Admin, Node, NodeIx, Standing, VolumeIx};
use crate::api::Outcome;
use mammoth_protocol::internal::{DnCommand, HeartbeatRequest, RegisterRequest, StorageUsage};
use mammoth_protocol::{Epoch, ErrorCode, FsError, Now};

/// The operator's list does not name this datanode.
fn denied(request: &RegisterRequest) -> Outcome {
    let (ip, port) = (request.addr.ip, request.addr.transfer_port);
    let message = format!(
        "Datanode denied communication with namenode because the host is not in the include-list: {} ({ip}:{port})",
        request.datanode
    );
    Outcome { refused: Some(FsError::new(ErrorCode::AccessControl, message)), ..Outcome::default() }
}

/// Replicas that one tick drains.
const DRAIN_PORTION: usize = 5_000;

impl BlockMap {
    /// A datanode introduces itself; `epoch` is new and above all before. The cluster id was checked by the caller. Only
    /// `refused` of the outcome is ever set, for one that the operator does not want here; otherwise who comes last wins.
    pub fn register(&mut self, now: Now, request: &RegisterRequest, epoch: Epoch) -> Outcome {
        self.advance(now);
        let Some(wish) = self.hosts.wish(&request.addr) else { return denied(request) };
        self.compare_past(request.datanode, request.seen);
        self.bury_predecessors(request);
        let node = self.node_for(request, epoch);
        let before = std::mem::take(&mut self.cluster.node_mut(node).volumes);
        for &volume in &before {
            if !request.storages.iter().any(|s| s.storage == self.cluster.volume(volume).id) {
                self.bury_volume(volume);
                self.cluster.volume_mut(volume).node = None;
            }
        }
        for usage in &request.storages {
            self.attach(node, *usage);
        }
        self.wish_anew(node, wish);
        self.judge_safe_mode();
        Outcome::default()
    }

    /// A datanode lives; `orders` of the outcome go home with the reply, or `register` is set.
    pub fn heartbeat(&mut self, now: Now, request: &HeartbeatRequest) -> Outcome {
        self.advance(now);
        let Some(ix) = self.reporter(request.datanode, request.epoch) else {
            return Outcome { register: true, ..Outcome::default() };
        };
        let heard = self.now;
        self.cluster.set_xceivers(ix, request.xceivers);
        let node = self.cluster.node_mut(ix);
        node.heard = heard;
        node.copies = request.copies;
        node.copies_handed = 0;
        let mut register = false;
        for usage in &request.storages {
            match self.volume_of(ix, usage.storage) {
                Some(volume) => self.use_volume(volume, *usage),
                None => register = true,
            }
        }
        for volume in self.cluster.node(ix).volumes.clone() {
            if !request.storages.iter().any(|s| s.storage == self.cluster.volume(volume).id) {
                self.bury_volume(volume);
                self.cluster.volume_mut(volume).returning = false;
            }
        }
        self.judge_safe_mode();
        if std::mem::take(&mut self.cluster.node_mut(ix).recalled) {
            // Orders would end with its registration.
            return Outcome { register: true, ..Outcome::default() };
        }
        Outcome { register, orders: self.orders(ix), ..Outcome::default() }
    }

    /// Everything that a datanode is to do. In safe mode (I7) that is to report, and nothing else.
    fn orders(&mut self, node: NodeIx) -> Vec<DnCommand> {
        let mut orders: Vec<DnCommand> = self.report_orders(node).into_iter().collect();
        if self.safety.off() {
            orders.extend(self.recovery_orders(node));
            orders.extend(self.copy_orders(node));
            orders.extend(self.deletions(node));
            orders.extend(self.verify_orders(node));
            orders.extend(self.balance_order());
        }
        orders
    }

    /// Asks for full reports that are missing and have not come by themselves.
    fn report_orders(&mut self, node: NodeIx) -> Option<DnCommand> {
        let (now_ms, again_ms) = (self.now.monotonic_ms, self.now.monotonic_ms + self.resend_ms());
        let mut storages = Vec::new();
        for volume in self.cluster.node(node).volumes.clone() {
            let place = self.cluster.volume_mut(volume);
            if place.serving() && !place.reports.complete() && place.reports.ask_at_ms <= now_ms {
                place.reports.ask_at_ms = again_ms;
                storages.push(place.id);
            }
        }
        (!storages.is_empty()).then_some(DnCommand::FullReport { storages })
    }

    /// A datanode under another id at the same address is no more: one port has one owner.
    fn bury_predecessors(&mut self, request: &RegisterRequest) {
        let same = |n: &Node| n.id != request.datanode && n.addr.transfer_port == request.addr.transfer_port;
        let there = self.cluster.at_host(request.addr.ip).iter().copied();
        let gone: Vec<NodeIx> = there.filter(|&ix| same(self.cluster.node(ix))).collect();
        for ix in gone {
            self.give_up(ix);
        }
    }

    /// The registering datanode, as it describes itself now.
    fn node_for(&mut self, request: &RegisterRequest, epoch: Epoch) -> NodeIx {
        let rack = self.cluster.intern_rack(&request.rack);
        let heard = self.now;
        if let Some(ix) = self.cluster.find_node(request.datanode) {
            self.cancel_copies_from(ix);
            if self.cluster.node(ix).rack != rack {
                self.reconsider(ix); // Its blocks may be misplaced now, or no longer.
            }
            self.cluster.relocate(ix, request.addr.clone(), rack);
            self.cluster.set_live(ix, true);
            let node = self.cluster.node_mut(ix);
            (node.epoch, node.heard) = (epoch, heard);
            (node.copies, node.copies_handed) = (0, 0);
            node.recalled = false;
            return ix;
        }
        self.cluster.add_node(Node {
            id: request.datanode,
            addr: request.addr.clone(),
            rack,
            epoch,
            live: true,
            admin: Admin::InService,
            heard,
            xceivers: 0,
            copies: 0,
            copies_handed: 0,
            outbox: Default::default(),
            recover: Default::default(),
            recalled: false,
            volumes: Vec::new(),
        })
    }

    /// A volume registers with its datanode, perhaps another than before.
    fn attach(&mut self, node: NodeIx, usage: StorageUsage) {
        let volume = self.cluster.intern_volume(usage.storage);
        if let Some(other) = self.cluster.node_of(volume).filter(|&n| n != node) {
            self.cluster.node_mut(other).volumes.retain(|&v| v != volume);
        }
        let volumes = &mut self.cluster.node_mut(node).volumes;
        if !volumes.contains(&volume) {
            volumes.push(volume);
        }
        let ask_at_ms = self.now.monotonic_ms + self.resend_ms();
        let place = self.cluster.volume_mut(volume);
        place.node = Some(node);
        place.reports.registered(ask_at_ms);
        place.deletes.restart();
        // What is in `bad/` the datanode tells again.
        place.drops.clear();
        for id in std::mem::take(&mut place.aside) {
            self.dropped(volume, id);
        }
        self.use_volume(volume, usage);
    }

    /// A volume's datanode tells how it is.
    fn use_volume(&mut self, volume: VolumeIx, usage: StorageUsage) {
        self.cluster.volume_mut(volume).usage = usage;
        if usage.failed {
            self.bury_volume(volume);
            self.cluster.volume_mut(volume).returning = false;
        } else if !self.cluster.volume(volume).serving() {
            self.serve_again(volume);
        }
    }

    /// A volume serves (again), once all is forgotten that was known of it before. What is too much to forget at once is left to
    /// the next ticks, and the volume to the next heartbeat.
    fn serve_again(&mut self, volume: VolumeIx) {
        if self.cluster.volume(volume).standing == Standing::Away {
            self.bury_volume(volume);
        }
        self.drain(volume, DRAIN_PORTION);
        let place = self.cluster.volume_mut(volume);
        let late = std::mem::replace(&mut place.returning, !place.blocks.is_empty());
        if !place.returning {
            place.standing = Standing::Serving;
            place.reports.resume(late);
        }
    }

    /// Notices datanodes that were silent for too long.
    pub(super) fn bury_silent(&mut self) {
        let limit_ms = 2 * self.config.recheck_ms + 10 * self.config.heartbeat_ms;
        let silent = |n: &Node| n.live && self.silence_ms(n) > limit_ms;
        let dead: Vec<NodeIx> = self.cluster.nodes().filter(|(_, n)| silent(n)).map(|(ix, _)| ix).collect();
        for ix in dead {
            self.bury(ix);
        }
    }

    pub(super) fn silence_ms(&self, node: &Node) -> u64 {
        self.now.monotonic_ms.saturating_sub(node.heard.monotonic_ms)
    }

    pub(super) fn stale(&self, node: &Node) -> bool {
        self.silence_ms(node) > self.config.stale_ms
    }

    /// A datanode is dead until it registers again. What is on one that is to be away for maintenance is not given up.
    pub(super) fn bury(&mut self, ix: NodeIx) {
        self.cancel_copies_from(ix);
        self.cluster.set_live(ix, false);
        let node = self.cluster.node_mut(ix);
        node.recover.clear();
        (node.copies, node.copies_handed) = (0, 0);
        let resting = matches!(node.admin, Admin::Resting { .. });
        for volume in node.volumes.clone() {
            if resting && !self.cluster.volume(volume).usage.failed {
                self.stop_serving(volume, Standing::Away);
            } else {
                self.bury_volume(volume);
            }
        }
        if resting {
            self.reconsider(ix);
        }
        self.abandon_recoveries_of(ix);
    }

    /// A volume is no longer there, and what was on it is forgotten.
    pub(super) fn bury_volume(&mut self, volume: VolumeIx) {
        match self.cluster.volume(volume).standing {
            Standing::Serving => self.stop_serving(volume, Standing::Gone),
            Standing::Away => self.cluster.volume_mut(volume).standing = Standing::Gone,
            Standing::Gone => return,
        }
        self.draining.push_back(volume);
    }

    /// A volume stops serving.
    fn stop_serving(&mut self, volume: VolumeIx, standing: Standing) {
        if !self.cluster.volume(volume).serving() {
            return;
        }
        let place = self.cluster.volume_mut(volume);
        place.standing = standing;
        place.deletes.clear();
        place.drops.clear();
        place.checks.clear();
        place.reports.suspend();
        for id in std::mem::take(&mut place.aside) {
            self.dropped(volume, id);
        }
        for id in self.pending.blocks(|copy| copy.target == volume) {
            self.end_copies(id, |_, copy| copy.target == volume);
            self.settle_by_id(id);
        }
    }

    /// Brings blocks up to date that had replicas on volumes that are gone. `true`: there are more.
    pub(super) fn drain_portion(&mut self) -> bool {
        let mut left = DRAIN_PORTION;
        while left > 0
            && let Some(&volume) = self.draining.front()
        {
            left -= self.drain(volume, left);
        }
        !self.draining.is_empty()
    }

    /// Takes up to `max` replicas off a volume that is gone; gives their number, at least 1.
    fn drain(&mut self, volume: VolumeIx, max: usize) -> usize {
        let slots: Vec<_> = self.cluster.volume(volume).blocks.iter().take(max).collect();
        for &slot in &slots {
            self.take(slot, volume);
            self.settle(slot);
        }
        if self.cluster.volume(volume).blocks.is_empty() {
            self.draining.retain(|&v| v != volume);
        }
        slots.len().max(1)
    }
}
