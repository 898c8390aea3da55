//! What breaks. The rule that keeps it fair is in [`crate::fair`].

use crate::client::Task;
use crate::datanode::VOLUMES;
use crate::event::{Event, Index};
use crate::world::{CLIENTS, DATANODES, World};
use mammoth_namenode_core::api::SafeModeAction;
use mammoth_protocol::BlockId;

/// Longest pause between two faults.
const PAUSE_MS: u64 = 2_000;
/// The namenode's wall clock is ahead of true time by less than this. It must not exceed what the retry cache keeps.
const WALL_JUMP_MS: u64 = 500_000;

/// One kind of fault.
type Fault = fn(&mut World);

/// Every kind, with its weight.
const FAULTS: [(u64, Fault); 15] = [
    (14, World::namenode_crashes),
    (3, World::namenode_disk_fails),
    (25, World::datanode_crashes),
    (8, World::datanode_hangs),
    (18, World::client_crashes),
    (6, World::client_hangs),
    (18, World::bit_flips),
    (8, World::volume_is_replaced),
    (5, World::volume_fails),
    (8, World::scrub_all),
    (4, World::wall_clock_jumps),
    (3, World::safe_mode_begins),
    (16, World::operator_looks),
    (20, World::balancer_moves),
    (5, World::namenode_restarts_at_once),
];

impl World {
    /// Something breaks, and the next fault is planned.
    pub(crate) fn fault(&mut self) {
        if self.sim.healing {
            return;
        }
        let delay = 200 + self.sim.rng.below(PAUSE_MS);
        self.sim.later(delay, Event::Fault);
        let mut left = self.sim.rng.below(FAULTS.iter().map(|(weight, _)| weight).sum());
        for (weight, fault) in FAULTS {
            if left < weight {
                return fault(self);
            }
            left -= weight;
        }
    }

    pub(crate) fn some_datanode(&mut self) -> Index {
        usize::try_from(self.sim.rng.below(DATANODES as u64)).unwrap_or_default()
    }

    fn some_client(&mut self) -> Index {
        usize::try_from(self.sim.rng.below(CLIENTS as u64)).unwrap_or_default()
    }

    /// Enough datanodes stay to write to.
    fn may_miss(&self, index: Index) -> bool {
        let others = (0..DATANODES).filter(|other| *other != index && self.reachable(*other)).count();
        self.reachable(index) && others >= 2
    }

    fn datanode_crashes(&mut self) {
        let index = self.some_datanode();
        if !self.may_miss(index) {
            return;
        }
        self.sim.coverage.hit("datanode crashed");
        self.datanodes[index].crash();
        // Some come back before they are missed, some long after.
        let away = if self.sim.rng.chance(500) {
            100 + self.sim.rng.below(3_000)
        } else {
            10_000 + self.sim.rng.below(30_000)
        };
        self.sim.later(away, Event::DatanodeStarts(index));
    }

    /// Stopped, and continued: before it is missed, or long after.
    fn datanode_hangs(&mut self) {
        let index = self.some_datanode();
        if !self.may_miss(index) {
            return;
        }
        self.sim.coverage.hit("datanode hung");
        self.datanodes[index].hung_until_ms = self.sim.now_ms + 500 + self.sim.rng.below(30_000);
    }

    fn client_crashes(&mut self) {
        let index = self.some_client();
        if self.clients[index].doubt.is_some() {
            return;
        }
        self.sim.coverage.hit("client crashed");
        self.clients[index].crash(self.sim.now_ms);
        self.client_goes_on(index, 5_000);
    }

    /// Stopped, and continued: some after their leases are gone.
    fn client_hangs(&mut self) {
        let index = self.some_client();
        let most = if self.sim.rng.chance(300) { 90_000 } else { 30_000 };
        self.sim.coverage.hit("client hung");
        if matches!(self.clients[index].task, Task::Write(_)) {
            self.sim.coverage.hit("writer hung");
        }
        self.clients[index].hung_until_ms = self.sim.now_ms + 1_000 + self.sim.rng.below(most);
    }

    fn bit_flips(&mut self) {
        let index = self.some_datanode();
        let ids: Vec<BlockId> = self.datanodes[index].replicas.keys().copied().collect();
        // Who recovers a file that was left open does not read all of it: it may take the bad replica for good.
        let closed = |id: &BlockId| self.namenode.owner_of(*id).is_some();
        let fair: Vec<BlockId> = ids.into_iter().filter(|id| closed(id) && self.may_lose(index, *id)).collect();
        let Some(id) = self.sim.rng.pick(&fair).copied() else { return };
        self.sim.coverage.hit("bit flipped");
        self.fair.took(id, self.sim.now_ms);
        if let Some(replica) = self.datanodes[index].replicas.get_mut(&id) {
            replica.corrupt = true;
        }
        if self.sim.rng.chance(300) {
            self.scrub(index);
        }
    }

    /// A datanode looks at all its checksums.
    pub(crate) fn scrub(&mut self, index: Index) {
        if !self.reachable(index) || self.bug == Some(crate::Bug::CorruptionUnseen) {
            return;
        }
        let flipped: Vec<BlockId> =
            self.datanodes[index].replicas.iter().filter(|(_, r)| r.corrupt).map(|(id, _)| *id).collect();
        for id in flipped {
            self.sim.coverage.hit("corruption found");
            self.datanodes[index].set_aside(id);
        }
        self.report_soon(index);
    }

    /// Every datanode looks at all its checksums.
    pub(crate) fn scrub_all(&mut self) {
        for index in 0..DATANODES {
            self.scrub(index);
        }
    }

    /// A volume whose loss is fair, with the blocks on it; the other one works.
    fn some_volume(&mut self) -> Option<(Index, usize, Vec<BlockId>)> {
        let index = self.some_datanode();
        let volume = usize::try_from(self.sim.rng.below(VOLUMES as u64)).unwrap_or_default();
        let node = &self.datanodes[index];
        if !self.may_miss(index) || node.volumes.iter().any(|volume| volume.failed) {
            return None;
        }
        let here = node.replicas.iter().filter(|(_, replica)| replica.volume == volume);
        let ids: Vec<BlockId> = here.map(|(id, _)| *id).collect();
        ids.iter().all(|id| self.may_lose(index, *id)).then_some((index, volume, ids))
    }

    /// A datanode goes down and comes back with an empty volume in place of an old one.
    fn volume_is_replaced(&mut self) {
        let Some((index, volume, ids)) = self.some_volume() else { return };
        self.sim.coverage.hit("volume replaced");
        ids.into_iter().for_each(|id| self.fair.took(id, self.sim.now_ms));
        self.datanodes[index].crash();
        self.datanodes[index].replace(volume);
        let delay = 500 + self.sim.rng.below(20_000);
        self.sim.later(delay, Event::DatanodeStarts(index));
    }

    /// A volume stops working while its datanode goes on.
    fn volume_fails(&mut self) {
        let Some((index, volume, ids)) = self.some_volume() else { return };
        self.sim.coverage.hit("volume failed");
        ids.into_iter().for_each(|id| self.fair.took(id, self.sim.now_ms));
        self.datanodes[index].lose(volume);
        self.datanodes[index].volumes[volume].failed = true;
    }

    /// Somebody sets the clock of the namenode's host.
    fn wall_clock_jumps(&mut self) {
        self.sim.coverage.hit("wall clock jumped");
        self.sim.wall_offset_ms = self.sim.rng.below(WALL_JUMP_MS);
    }

    fn safe_mode_begins(&mut self) {
        if self.namenode.is_up() {
            self.sim.coverage.hit("safe mode by hand");
            self.namenode_safe_mode(SafeModeAction::Enter);
            let delay = 200 + self.sim.rng.below(5_000);
            self.sim.later(delay, Event::SafeModeEnds);
        }
    }
}
