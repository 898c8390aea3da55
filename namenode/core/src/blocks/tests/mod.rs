//! Tests of the block map: a fleet of datanodes that say exactly what a test wants them to say.

mod admin;
mod balance;
mod deletion;
mod model;
mod numbers;
mod placement;
mod portions;
mod reading;
mod recovery;
mod repair;
mod reports;
mod safe;
mod spread;
mod whole;

use super::{BlockMap, BlockMeta};
use crate::api::{CoreConfig, InternalCommand, Outcome, Place};
use mammoth_protocol::internal::{
    DatanodeAddr, DnCommand, FullReportSlice, HeartbeatRequest, HighWater, IncrementalReport, RegisterRequest,
    ReplicaEvent, ReplicaState, ReportedReplica, StorageEvents, StorageUsage,
};
use mammoth_protocol::{Block, BlockId, DatanodeId, Epoch, GenStamp, InodeId, Now, Seq, StorageId, Term, Uuid};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

pub(super) const GIB: u64 = 1 << 30;

/// The first block and its kin, stamp 1001, 100 bytes.
pub(super) fn block(n: i64) -> Block {
    Block { id: BlockId(BlockId::RESERVED.0 + n), stamp: GenStamp(1001), len: 100 }
}

pub(super) fn storage(n: usize) -> StorageId {
    StorageId(Uuid(0x5000 + n as u128))
}

pub(super) fn datanode(n: usize) -> DatanodeId {
    DatanodeId(Uuid(0xd000 + n as u128))
}

pub(super) fn ip(n: usize) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, n as u8 + 1))
}

pub(super) fn finalized(block: Block) -> ReportedReplica {
    ReportedReplica { block, state: ReplicaState::Finalized }
}

/// A block map and datanodes 0, 1, 2 …, each with the volume of its own number.
pub(super) struct Fleet {
    pub(super) map: BlockMap,
    pub(super) now: Now,
    racks: Vec<&'static str>,
    epochs: Vec<u64>,
    next_epoch: u64,
    seqs: BTreeMap<usize, u64>,
    pub(super) remaining: BTreeMap<usize, u64>,
    pub(super) failed: BTreeMap<usize, bool>,
    pub(super) xceivers: BTreeMap<usize, u32>,
}

impl Fleet {
    /// A map with nothing in it, not loaded; one datanode a rack name, none registered.
    pub(super) fn cold(config: &CoreConfig, racks: &[&'static str]) -> Self {
        let mut map = BlockMap::new(config);
        let block = BlockId(BlockId::RESERVED.0 + 1000);
        map.set_own_high_water(HighWater { term: Term(1), seq: Seq(1000), block });
        Self {
            map,
            now: Now { monotonic_ms: 1_000_000, wall_ms: 1_700_000_000_000 },
            racks: racks.to_vec(),
            epochs: vec![0; racks.len()],
            next_epoch: 1,
            seqs: BTreeMap::new(),
            remaining: BTreeMap::new(),
            failed: BTreeMap::new(),
            xceivers: BTreeMap::new(),
        }
    }

    /// An empty file system out of safe mode, all datanodes registered and reported.
    pub(super) fn new(racks: &[&'static str]) -> Self {
        Self::with(&CoreConfig::default(), racks)
    }

    pub(super) fn with(config: &CoreConfig, racks: &[&'static str]) -> Self {
        let mut fleet = Self::cold(config, racks);
        fleet.map.loaded(fleet.now);
        for n in 0..racks.len() {
            fleet.register(n);
            fleet.full(n, &[]);
        }
        fleet.tick();
        fleet
    }

    /// One rack.
    pub(super) fn flat(datanodes: usize) -> Self {
        Self::new(&vec!["/r"; datanodes])
    }

    pub(super) fn usage(&self, n: usize) -> StorageUsage {
        let remaining = self.remaining.get(&n).copied().unwrap_or(100 * GIB);
        let failed = self.failed.get(&n).copied().unwrap_or(false);
        StorageUsage { storage: storage(n), capacity: 200 * GIB, used: 200 * GIB - remaining, remaining, failed }
    }

    pub(super) fn request(&self, n: usize) -> RegisterRequest {
        RegisterRequest {
            cluster_id: "CID-test".to_owned(),
            datanode: datanode(n),
            addr: DatanodeAddr {
                ip: ip(n),
                hostname: format!("dn{n}"),
                transfer_port: 9866,
                info_port: 9864,
                ipc_port: 9867,
            },
            rack: self.racks[n].to_owned(),
            storages: vec![self.usage(n)],
            seen: HighWater::default(),
            software: "test".to_owned(),
        }
    }

    pub(super) fn register(&mut self, n: usize) {
        let request = self.request(n);
        self.register_as(n, &request);
    }

    pub(super) fn register_as(&mut self, n: usize, request: &RegisterRequest) {
        self.epochs[n] = self.next_epoch;
        self.next_epoch += 1;
        self.seqs.insert(n, 0);
        let outcome = self.map.register(self.now, request, Epoch(self.epochs[n]));
        assert_eq!(outcome, Outcome::default());
        self.check();
    }

    pub(super) fn beat_outcome(&mut self, n: usize) -> Outcome {
        let request = HeartbeatRequest {
            datanode: datanode(n),
            epoch: Epoch(self.epochs[n]),
            storages: vec![self.usage(n)],
            xceivers: self.xceivers.get(&n).copied().unwrap_or(0),
            copies: 0,
        };
        let outcome = self.map.heartbeat(self.now, &request);
        self.check();
        outcome
    }

    /// A heartbeat that must be welcome; gives its orders.
    pub(super) fn beat(&mut self, n: usize) -> Vec<DnCommand> {
        let outcome = self.beat_outcome(n);
        assert!(!outcome.register, "datanode {n} is to register");
        outcome.orders
    }

    /// An incremental report with the next sequence of the volume.
    pub(super) fn events(&mut self, n: usize, events: &[ReplicaEvent]) -> Outcome {
        let seq = self.seqs[&n] + 1;
        self.events_at(n, seq, events)
    }

    pub(super) fn events_at(&mut self, n: usize, seq: u64, events: &[ReplicaEvent]) -> Outcome {
        self.seqs.insert(n, seq);
        let storages = vec![StorageEvents { storage: storage(n), seq, events: events.to_vec() }];
        let report = IncrementalReport { datanode: datanode(n), epoch: Epoch(self.epochs[n]), storages };
        let outcome = self.map.incremental(self.now, &report);
        self.check();
        outcome
    }

    pub(super) fn received(&mut self, n: usize, block: Block) {
        assert_eq!(self.events(n, &[ReplicaEvent::Received(block)]), Outcome::default());
    }

    pub(super) fn slice(
        &mut self,
        n: usize,
        cut: u64,
        slice: u32,
        last: bool,
        replicas: &[ReportedReplica],
    ) -> Outcome {
        let slice = FullReportSlice {
            datanode: datanode(n),
            epoch: Epoch(self.epochs[n]),
            storage: storage(n),
            cut_seq: cut,
            slice,
            last,
            replicas: replicas.to_vec(),
        };
        let outcome = self.map.full(self.now, &slice);
        self.check();
        outcome
    }

    /// A full report in one slice, cut now.
    pub(super) fn full(&mut self, n: usize, replicas: &[ReportedReplica]) {
        let cut = self.seqs[&n];
        assert_eq!(self.slice(n, cut, 0, true, replicas), Outcome::default());
    }

    pub(super) fn tick(&mut self) -> Vec<InternalCommand> {
        let tick = self.map.tick(self.now, self.now.monotonic_ms);
        self.check();
        tick.commands
    }

    pub(super) fn pass(&mut self, ms: u64) {
        self.now.monotonic_ms += ms;
        self.now.wall_ms += ms;
    }

    /// Time passes while these datanodes send heartbeats, until all others are dead; orders are thrown away.
    pub(super) fn only_live(&mut self, live: &[usize]) {
        for _ in 0..70 {
            self.pass(10_000);
            for &n in live {
                self.beat(n);
            }
            self.tick();
        }
    }

    /// A repair round.
    pub(super) fn round(&mut self) {
        self.pass(3_000);
        self.tick();
    }

    pub(super) fn check(&self) {
        self.map.check().expect("the invariants hold");
    }

    /// A complete block that these datanodes confirm.
    pub(super) fn stored(&mut self, block: Block, wanted: u16, on: &[usize]) {
        self.map.insert(block.id, meta(block, wanted, true));
        for &n in on {
            self.received(n, block);
        }
        self.tick();
    }

    /// A block under construction with this pipeline, received by nobody yet.
    pub(super) fn open(&mut self, block: Block, wanted: u16, pipeline: &[usize]) {
        self.map.insert(block.id, meta(Block { len: 0, ..block }, wanted, false));
        let storages: Vec<StorageId> = pipeline.iter().map(|&n| storage(n)).collect();
        self.map.set_expected(block.id, &storages);
        self.check();
    }

    /// Numbers of the datanodes where readers find a block.
    pub(super) fn readers(&self, block: Block) -> Vec<usize> {
        let mut list = numbers_of(&self.map.places_for_read(block.id, None).0);
        list.sort_unstable();
        list
    }
}

pub(super) fn meta(block: Block, wanted: u16, complete: bool) -> BlockMeta {
    BlockMeta { inode: InodeId(20_000), stamp: block.stamp, len: block.len, wanted, complete }
}

pub(super) fn numbers_of(places: &[Place]) -> Vec<usize> {
    places.iter().map(|p| (p.storage.0.0 - 0x5000) as usize).collect()
}

/// The copies among orders, as (block, numbers of the targets).
pub(super) fn copies(orders: &[DnCommand]) -> Vec<(BlockId, Vec<usize>)> {
    let copy = |order: &DnCommand| match order {
        DnCommand::Copy { block, targets } => {
            Some((block.id, targets.iter().map(|t| (t.storage.0.0 - 0x5000) as usize).collect()))
        }
        _ => None,
    };
    orders.iter().filter_map(copy).collect()
}

/// The blocks that orders delete.
pub(super) fn deletes(orders: &[DnCommand]) -> Vec<(BlockId, GenStamp)> {
    let list = |order: &DnCommand| match order {
        DnCommand::Delete { blocks, .. } => blocks.iter().map(|b| (b.id, b.stamp)).collect(),
        _ => Vec::new(),
    };
    orders.iter().flat_map(list).collect()
}

/// The blocks that orders drop from `bad/`.
pub(super) fn drops(orders: &[DnCommand]) -> Vec<BlockId> {
    let list = |order: &DnCommand| match order {
        DnCommand::DropBad { blocks, .. } => blocks.iter().map(|b| b.id).collect(),
        _ => Vec::new(),
    };
    orders.iter().flat_map(list).collect()
}
