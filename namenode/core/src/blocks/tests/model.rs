//! Random histories against datanodes that really hold replicas: messages are lost, repeated and late, datanodes crash,
//! disks go bad, pipelines break. After every step the invariants hold, and every order is judged by what is on the disks.
//! At the end the faults stop, and everything must heal.

use super::super::mix::Mix;
use super::*;
use crate::api::{AdminWish, HostName, HostRules, ReplicaOn, SafeModeAction};
use crate::blocks::TargetRequest;
use mammoth_protocol::internal::ReplicaEvent::{Bad, Deleted, Moved, Received, Receiving};
use proptest::prelude::*;
use std::collections::VecDeque;

const NODES: usize = 5;
/// Steps with faults, at most.
const STEPS_MAX: usize = 400;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct OnDisk {
    stamp: GenStamp,
    len: u64,
    state: ReplicaState,
    /// Its bytes are wrong, and its datanode has not looked.
    rotten: bool,
}

/// A datanode with one volume.
#[derive(Default)]
struct Disk {
    up: bool,
    epoch: Option<Epoch>,
    replicas: BTreeMap<BlockId, OnDisk>,
    bad: BTreeMap<BlockId, GenStamp>,
    seq: u64,
    /// Events of no report yet.
    news: Vec<ReplicaEvent>,
    /// Reported, not answered yet.
    in_flight: Option<StorageEvents>,
    /// A full report under way: its cut, what is left of it, the number of the next slice.
    list: Option<(u64, VecDeque<ReportedReplica>, u32)>,
    orders: VecDeque<DnCommand>,
}

struct World {
    map: BlockMap,
    now: Now,
    mix: Mix,
    disks: Vec<Disk>,
    next_epoch: u64,
    next_block: i64,
    next_stamp: u64,
    /// Blocks that files own, and what the namespace knows of them.
    owned: BTreeMap<BlockId, BlockMeta>,
    /// Faults may happen.
    wild: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let config = CoreConfig { invalidate_limit: 3, ..CoreConfig::default() };
        let mut world = Self {
            map: BlockMap::new(&config),
            now: Now { monotonic_ms: 1_000_000, wall_ms: 1_700_000_000_000 },
            mix: Mix::new(seed),
            disks: (0..NODES).map(|_| Disk { up: true, ..Disk::default() }).collect(),
            next_epoch: 1,
            next_block: BlockId::RESERVED.0,
            next_stamp: GenStamp::RESERVED.0,
            owned: BTreeMap::new(),
            wild: true,
        };
        world.publish();
        world.map.loaded(world.now);
        world
    }

    fn publish(&mut self) {
        let block = BlockId(self.next_block);
        self.map.set_own_high_water(HighWater { term: Term(1), seq: Seq(1), block });
    }

    fn any_node(&mut self) -> usize {
        self.mix.below(NODES)
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.wild && self.mix.below(100) < percent
    }

    fn any_block(&mut self, complete: bool) -> Option<BlockId> {
        let list: Vec<BlockId> = self.owned.iter().filter(|(_, m)| m.complete == complete).map(|(&id, _)| id).collect();
        self.mix.pick(&list).copied()
    }

    // ---- the namespace ----

    fn create(&mut self) {
        let wanted = 1 + self.mix.below(3) as u16;
        let entropy = self.mix.next();
        let request = TargetRequest { count: wanted.into(), block_size: 1000, entropy, ..TargetRequest::default() };
        let targets = self.map.choose_targets(&request);
        if targets.is_empty() {
            return;
        }
        self.next_block += 1;
        self.next_stamp += 1;
        self.publish();
        let (id, stamp) = (BlockId(self.next_block), GenStamp(self.next_stamp));
        let meta = BlockMeta { inode: InodeId(1), stamp, len: 0, wanted, complete: false };
        self.map.insert(id, meta);
        self.owned.insert(id, meta);
        self.map.set_expected(id, &targets.iter().map(|t| t.storage).collect::<Vec<_>>());
        for n in numbers_of(&targets) {
            self.write(n, id, OnDisk { stamp, len: 0, state: ReplicaState::Rbw, rotten: false });
        }
    }

    /// A pipeline goes on without one of its datanodes, under a new stamp.
    fn break_pipeline(&mut self) {
        let Some(id) = self.any_block(false) else { return };
        self.next_stamp += 1;
        let stamp = GenStamp(self.next_stamp);
        let mut left = numbers_of(&self.map.places_of_pipeline(id));
        left.retain(|&n| self.disks[n].up && self.disks[n].replicas.contains_key(&id));
        if left.len() > 1 {
            left.pop();
        }
        for &n in &left {
            self.write(n, id, OnDisk { stamp, len: 0, state: ReplicaState::Rbw, rotten: false });
        }
        if let Some(meta) = self.owned.get_mut(&id).filter(|_| !left.is_empty()) {
            meta.stamp = stamp;
            self.map.update(id, stamp, 0, false);
            self.map.set_expected(id, &left.iter().map(|&n| storage(n)).collect::<Vec<_>>());
        }
    }

    /// Datanodes finalize a block; the file is closed if the map confirms it.
    fn finish(&mut self) {
        let Some(id) = self.any_block(false) else { return };
        let stamp = self.owned[&id].stamp;
        for n in 0..NODES {
            let replica = self.disks[n].replicas.get(&id);
            let writing = replica.is_some_and(|r| r.stamp == stamp && r.state == ReplicaState::Rbw);
            if self.disks[n].up && writing && self.chance(10) {
                self.crash(n);
            }
            if writing {
                self.write(n, id, OnDisk { stamp, len: 100, state: ReplicaState::Finalized, rotten: false });
            }
        }
        self.close(id);
    }

    fn close(&mut self, id: BlockId) {
        let stamp = self.owned[&id].stamp;
        if self.map.confirmed_with_len(id, 100) > 0 {
            self.map.update(id, stamp, 100, true);
            let meta = self.owned.get_mut(&id).expect("it was picked from there");
            (meta.len, meta.complete) = (100, true);
        }
    }

    fn remove(&mut self) {
        let complete = self.mix.below(2) == 0;
        if let Some(id) = self.any_block(complete) {
            self.owned.remove(&id);
            self.map.remove(id);
        }
    }

    fn set_wanted(&mut self) {
        let wanted = 1 + self.mix.below(4) as u16;
        if let Some(id) = self.any_block(true) {
            self.owned.get_mut(&id).expect("it was picked from there").wanted = wanted;
            self.map.set_wanted(id, wanted);
        }
    }

    // ---- the datanodes ----

    fn write(&mut self, n: usize, id: BlockId, replica: OnDisk) {
        let block = Block { id, stamp: replica.stamp, len: replica.len };
        let disk = &mut self.disks[n];
        if disk.up {
            disk.replicas.insert(id, replica);
            disk.news.push(if replica.state == ReplicaState::Finalized { Received(block) } else { Receiving(block) });
        }
    }

    /// Stops a datanode, or starts it if it was stopped.
    fn crash(&mut self, n: usize) {
        let others_up = (0..NODES).filter(|&o| o != n && self.disks[o].up).count();
        let disk = &mut self.disks[n];
        if disk.up && others_up >= 3 {
            *disk = Disk {
                replicas: std::mem::take(&mut disk.replicas),
                bad: std::mem::take(&mut disk.bad),
                ..Disk::default()
            };
            for replica in disk.replicas.values_mut().filter(|r| r.state == ReplicaState::Rbw) {
                replica.state = ReplicaState::Rwr;
            }
        } else {
            disk.up = true;
        }
    }

    fn register(&mut self, n: usize) {
        let addr = DatanodeAddr {
            ip: ip(n),
            hostname: format!("dn{n}"),
            transfer_port: 9866,
            info_port: 9864,
            ipc_port: 9867,
        };
        let request = RegisterRequest {
            cluster_id: String::new(),
            datanode: datanode(n),
            addr,
            rack: format!("/rack{}", n % 2),
            storages: vec![usage(n)],
            seen: HighWater::default(),
            software: String::new(),
        };
        let epoch = Epoch(self.next_epoch);
        self.next_epoch += 1;
        assert_eq!(self.map.register(self.now, &request, epoch), Outcome::default());
        self.scrub(n);
        let disk = &mut self.disks[n];
        disk.epoch = Some(epoch);
        (disk.seq, disk.in_flight) = (0, None);
        disk.news.clear();
        disk.orders.clear(); // Orders of an older epoch are not obeyed.
        // What a copy has replaced is dropped without a word: `Bad` would mean the copy.
        disk.bad.retain(|id, _| !disk.replicas.contains_key(id));
        disk.news.extend(disk.bad.iter().map(|(&id, &stamp)| Bad(Block { id, stamp, len: 0 })));
        self.begin_list(n);
    }

    fn begin_list(&mut self, n: usize) {
        let disk = &mut self.disks[n];
        let list = disk
            .replicas
            .iter()
            .map(|(&id, r)| ReportedReplica { block: Block { id, stamp: r.stamp, len: r.len }, state: r.state });
        disk.list = Some((disk.seq, list.collect(), 0));
    }

    fn heartbeat(&mut self, n: usize) {
        if !self.disks[n].up {
            return;
        }
        let Some(epoch) = self.disks[n].epoch else { return self.register(n) };
        let request =
            HeartbeatRequest { datanode: datanode(n), epoch, storages: vec![usage(n)], xceivers: 0, copies: 0 };
        let outcome = self.map.heartbeat(self.now, &request);
        if outcome.register {
            return self.register(n);
        }
        self.judge(n, &outcome.orders);
        let lost = self.chance(20);
        // To look at a replica is asked for a few times only; losing them all is no case for this test.
        let arrives = |order: &DnCommand| !lost || matches!(order, DnCommand::Verify { .. });
        self.disks[n].orders.extend(outcome.orders.into_iter().filter(arrives));
    }

    /// What leaves the namenode must be right by what is on the disks: I6, I7 and the source of a copy.
    fn judge(&self, n: usize, orders: &[DnCommand]) {
        let safe = self.map.safe_mode(self.now) != crate::api::SafeMode::Off;
        for order in orders {
            assert!(!safe || matches!(order, DnCommand::FullReport { .. }), "{order:?} in safe mode");
            let (DnCommand::Delete { blocks, .. } | DnCommand::DropBad { blocks, .. }) = order else { continue };
            for block in blocks {
                let Some(meta) = self.owned.get(&block.id) else { continue };
                assert!(meta.complete, "{block} is being written");
                let good = (0..NODES).filter(|&o| o != n || matches!(order, DnCommand::DropBad { .. }));
                let good = good.filter(|&o| self.is_safe(o, block.id)).count();
                let on_disk = self.disks[n].replicas.get(&block.id).filter(|r| r.stamp == block.stamp);
                let remnant = on_disk.is_none_or(|r| r.stamp < meta.stamp || r.state == ReplicaState::Rwr);
                assert!(
                    good >= meta.wanted.into() || (remnant && good >= 1),
                    "{order:?} on {n} leaves {good} good of {meta:?}"
                );
            }
        }
    }

    fn is_good(&self, n: usize, id: BlockId) -> bool {
        let meta = &self.owned[&id];
        let good = OnDisk { stamp: meta.stamp, len: meta.len, state: ReplicaState::Finalized, rotten: false };
        self.disks[n].replicas.get(&id) == Some(&good)
    }

    /// Good and not about to be deleted.
    fn is_safe(&self, n: usize, id: BlockId) -> bool {
        self.is_good(n, id) && !self.is_leaving(n, id)
    }

    /// A deletion that was ordered and not executed yet.
    fn is_leaving(&self, n: usize, id: BlockId) -> bool {
        self.disks[n].orders.iter().any(|o| deletes(std::slice::from_ref(o)).iter().any(|d| d.0 == id))
    }

    fn obey(&mut self, n: usize) {
        if !self.disks[n].up {
            return;
        }
        match self.disks[n].orders.pop_front() {
            Some(DnCommand::FullReport { .. }) => self.begin_list(n),
            Some(DnCommand::Delete { blocks, .. }) => {
                let disk = &mut self.disks[n];
                for block in blocks {
                    if disk.replicas.get(&block.id).is_some_and(|r| r.stamp == block.stamp) {
                        disk.replicas.remove(&block.id);
                    }
                    disk.news.push(Deleted(block));
                }
            }
            Some(DnCommand::DropBad { blocks, .. }) => {
                let disk = &mut self.disks[n];
                for block in blocks {
                    if disk.bad.get(&block.id) == Some(&block.stamp) {
                        disk.bad.remove(&block.id);
                    }
                    disk.news.push(Deleted(block));
                }
            }
            Some(DnCommand::Copy { block, targets }) => {
                let source = self.disks[n].replicas.get(&block.id).copied();
                for target in targets.iter().map(|t| (t.storage.0.0 - 0x5000) as usize) {
                    let sound = |r: OnDisk| r.stamp == block.stamp && r.state == ReplicaState::Finalized && !r.rotten;
                    let fits = source.is_some_and(sound);
                    if fits && !self.disks[target].replicas.contains_key(&block.id) && !self.chance(20) {
                        self.write(target, block.id, source.expect("it fits"));
                    }
                }
            }
            Some(DnCommand::Verify { .. }) => self.scrub(n),
            Some(DnCommand::Register) => self.register(n),
            Some(DnCommand::Recover { .. } | DnCommand::BalanceRate { .. }) | None => {}
        }
    }

    /// Sends an incremental report: the one in flight again, or a new one; it or its answer may get lost.
    fn send_events(&mut self, n: usize) {
        let disk = &mut self.disks[n];
        let Some(epoch) = disk.epoch.filter(|_| disk.up) else { return };
        if disk.in_flight.is_none() && !disk.news.is_empty() {
            disk.seq += 1;
            let events = std::mem::take(&mut disk.news);
            disk.in_flight = Some(StorageEvents { storage: storage(n), seq: disk.seq, events });
        }
        let Some(events) = disk.in_flight.clone() else { return };
        if self.chance(20) {
            return;
        }
        let report = IncrementalReport { datanode: datanode(n), epoch, storages: vec![events] };
        let outcome = self.map.incremental(self.now, &report);
        if outcome.register {
            return self.register(n);
        }
        assert_eq!(outcome.resync, [], "nothing was skipped");
        if !self.chance(20) {
            self.disks[n].in_flight = None;
        }
    }

    /// Sends a slice of the full report under way; it or its answer may get lost.
    fn send_slice(&mut self, n: usize) {
        let size = 1 + self.mix.below(4);
        let (lost, unanswered) = (self.chance(20), self.chance(20));
        let disk = &mut self.disks[n];
        let (Some(epoch), Some((cut, list, number))) = (disk.epoch.filter(|_| disk.up), &mut disk.list) else { return };
        if lost {
            return;
        }
        let size = size.min(list.len());
        let slice = FullReportSlice {
            datanode: datanode(n),
            epoch,
            storage: storage(n),
            cut_seq: *cut,
            slice: *number,
            last: size == list.len(),
            replicas: list.iter().take(size).copied().collect(),
        };
        if !unanswered {
            *number += 1;
            list.drain(..size);
        }
        if slice.last && !unanswered {
            disk.list = None;
        }
        let outcome = self.map.full(self.now, &slice);
        if outcome.register {
            self.register(n);
        } else if !outcome.resync.is_empty() {
            self.begin_list(n);
        }
        if unanswered && outcome == Outcome::default() {
            // The datanode repeats exactly this slice.
            let again = self.map.full(self.now, &slice);
            assert_eq!(again, Outcome::default());
            let disk = &mut self.disks[n];
            if let Some((_, list, number)) = &mut disk.list {
                *number += 1;
                list.drain(..size);
            }
            if slice.last {
                disk.list = None;
            }
        }
    }

    /// A disk damages a replica of a block that has others; its datanode or a reader notices.
    fn damage(&mut self) {
        let n = self.any_node();
        let list: Vec<BlockId> = self.disks[n].replicas.keys().copied().collect();
        let Some(&id) = self.mix.pick(&list) else { return };
        let others = self.owned.get(&id).map_or(0, |m| {
            if m.complete {
                (0..NODES).filter(|&o| o != n && self.disks[o].up && self.is_safe(o, id)).count()
            } else {
                0
            }
        });
        if others == 0 || !self.disks[n].up || self.disks[n].epoch.is_none() {
            return;
        }
        let replica = self.disks[n].replicas[&id];
        let block = Block { id, stamp: replica.stamp, len: replica.len };
        let read = numbers_of(&self.map.places_for_read(id, None).0).contains(&n);
        if read && self.mix.below(2) == 0 {
            self.disks[n].replicas.insert(id, OnDisk { rotten: true, ..replica });
            self.map.bad(self.now, &[(ReplicaOn::Storage(storage(n)), block)]);
            return;
        }
        self.set_aside(n, id);
        // The namenode hears of it before anything else happens: it cannot keep what it believes to be there.
        let wild = std::mem::replace(&mut self.wild, false);
        (0..4).for_each(|_| self.send_events(n));
        self.wild = wild;
    }

    fn set_aside(&mut self, n: usize, id: BlockId) {
        let disk = &mut self.disks[n];
        if let Some(replica) = disk.replicas.remove(&id) {
            disk.bad.insert(id, replica.stamp);
            disk.news.push(Bad(Block { id, stamp: replica.stamp, len: replica.len }));
        }
    }

    /// A datanode looks at its replicas.
    fn scrub(&mut self, n: usize) {
        let rotten = self.disks[n].replicas.iter().filter(|(_, r)| r.rotten).map(|(&id, _)| id);
        for id in rotten.collect::<Vec<_>>() {
            self.set_aside(n, id);
        }
    }

    fn pass(&mut self, ms: u64) {
        self.now.monotonic_ms += ms;
        self.now.wall_ms += ms;
    }

    fn tick(&mut self) {
        let entropy = self.mix.next();
        let _ = self.map.tick(self.now, entropy);
    }

    fn step(&mut self, kind: u8) {
        let n = self.any_node();
        match kind {
            0..=9 => self.heartbeat(n),
            10..=17 => self.obey(n),
            18..=27 => self.send_events(n),
            28..=37 => self.send_slice(n),
            38..=42 => self.create(),
            43..=48 => self.finish(),
            49..=50 => self.break_pipeline(),
            51 => self.remove(),
            52..=53 => self.set_wanted(),
            54 => self.damage(),
            55 => self.crash(n),
            56 => {
                let action = if self.mix.below(3) == 0 { SafeModeAction::Enter } else { SafeModeAction::Leave };
                self.map.safe_mode_action(self.now, action).expect("never behind");
            }
            57 => self.pass(200_000),
            58..=59 => self.pass(20_000),
            60 => self.want(n),
            61 => self.balance(n),
            _ => {
                self.pass(3_000);
                self.tick();
            }
        }
        self.map.check().expect("the invariants hold");
    }

    /// The balancer has a datanode fetch a replica, to relieve any other.
    fn balance(&mut self, n: usize) {
        let Some(id) = self.any_block(true) else { return };
        let (from, source) = (self.any_node(), self.any_node());
        let free = self.disks[n].up && !self.disks[n].replicas.contains_key(&id) && from != n;
        if free && self.disks[source].up && self.is_good(source, id) {
            let replica = self.disks[source].replicas[&id];
            let block = Block { id, stamp: replica.stamp, len: replica.len };
            self.disks[n].replicas.insert(id, replica);
            self.disks[n].news.push(Moved { block, from: datanode(from) });
        }
    }

    /// The operator wants something of a datanode, or nothing more of any.
    fn want(&mut self, n: usize) {
        let host = HostName { host: format!("dn{n}"), port: None };
        let soon = Some(self.now.wall_ms + 100_000);
        let wish = match self.mix.below(4) {
            0 => AdminWish::InService,
            1 => AdminWish::InMaintenance { until_wall_ms: soon },
            2 => AdminWish::InMaintenance { until_wall_ms: None },
            _ => AdminWish::Decommissioned,
        };
        self.map.set_hosts(self.now, HostRules { included: Vec::new(), wishes: vec![(host, wish)] });
    }

    /// No more faults: heartbeats, reports and rounds until nothing is left to do.
    fn heal(&mut self) {
        self.wild = false;
        self.map.set_hosts(self.now, HostRules::default());
        self.map.safe_mode_action(self.now, SafeModeAction::Leave).expect("never behind");
        self.disks.iter_mut().for_each(|d| d.up = true);
        for _ in 0..300 {
            self.pass(3_000);
            self.tick();
            for n in 0..NODES {
                self.heartbeat(n);
                (0..5).for_each(|_| self.obey(n));
                self.send_events(n);
                while self.disks[n].list.is_some() {
                    self.send_slice(n);
                }
            }
            self.finish();
            self.map.check().expect("the invariants hold");
        }
    }

    fn assert_healed(&self) {
        for (&id, meta) in self.owned.iter().filter(|(_, m)| m.complete) {
            let good: Vec<usize> = (0..NODES).filter(|&n| self.is_good(n, id)).collect();
            let mut readers = numbers_of(&self.map.places_for_read(id, None).0);
            readers.sort_unstable();
            assert_eq!(readers, good, "block {id}: the map knows what there is");
            assert_eq!(good.len(), usize::from(meta.wanted), "block {id}: as many as wanted");
            let all = (0..NODES).filter(|&n| self.disks[n].replicas.contains_key(&id)).count();
            assert_eq!(all, good.len(), "block {id}: nothing else in place");
        }
        for (n, disk) in self.disks.iter().enumerate() {
            let unowned: Vec<_> = disk.replicas.keys().filter(|id| !self.owned.contains_key(id)).collect();
            assert!(unowned.is_empty(), "{n} keeps {unowned:?}");
        }
        let numbers = self.map.numbers(self.now);
        assert_eq!((numbers.under_replicated, numbers.over_replicated, numbers.pending_copies), (0, 0, 0));
        assert_eq!((numbers.live, numbers.corrupt_replicas, numbers.misplaced), (NODES as u32, 0, 0));
        assert!(self.map.missing_blocks(None, 10).is_empty());
        assert_eq!(self.map.stats(self.now).pending_deletion, 0);
    }
}

impl World {
    /// Orders to empty `bad/` may all have been lost; a restart of the datanodes brings them about again.
    fn assert_nothing_in_bad_after_restarts(&mut self) {
        (0..NODES).for_each(|n| self.register(n));
        self.heal();
        self.assert_healed();
        for (n, disk) in self.disks.iter().enumerate() {
            let closed = |id: &&BlockId| self.owned.get(id).is_none_or(|m| m.complete);
            let bad: Vec<_> = disk.bad.keys().filter(closed).collect();
            assert!(bad.is_empty(), "{n} keeps {bad:?} in bad/");
        }
    }
}

fn usage(n: usize) -> StorageUsage {
    StorageUsage { storage: storage(n), capacity: GIB, used: 0, remaining: GIB, failed: false }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_histories_keep_the_invariants_and_heal(
        seed in any::<u64>(),
        steps in proptest::collection::vec(0_u8..64, 0..STEPS_MAX),
    ) {
        let mut world = World::new(seed);
        for kind in steps {
            world.step(kind);
        }
        world.heal();
        world.assert_healed();
        world.assert_nothing_in_bad_after_restarts();
    }
}
