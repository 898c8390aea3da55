//! A fake datanode: replicas without bytes, but with everything that the namenode's decisions depend on.

mod life;
mod recovery;

use crate::event::Index;
use mammoth_protocol::internal::{
    DatanodeAddr, FullReportSlice, HeartbeatRequest, HighWater, IncrementalReport, RegisterRequest, ReplicaEvent,
    ReplicaState, ReportedReplica, StorageEvents, StorageUsage,
};
use mammoth_protocol::{Block, BlockId, DatanodeId, Epoch, GenStamp, Seq, StorageId, Term, Uuid};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

/// Which writer wrote up to which byte. Two replicas with the same history have the same bytes.
pub type History = Vec<(u64, u64)>;

/// Cuts a history to a length.
pub fn cut(history: &mut History, len: u64) {
    let mut from = 0;
    history.retain_mut(|(_, upto)| {
        let keep = from < len;
        from = *upto;
        *upto = (*upto).min(len);
        keep
    });
}

/// One replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    /// Its stamp.
    pub stamp: GenStamp,
    /// Its bytes.
    pub history: History,
    /// Its state.
    pub state: ReplicaState,
    /// A bit has flipped and nobody has noticed.
    pub corrupt: bool,
    /// The recovery that it takes part in; a writer or an older recovery may no longer touch it.
    pub recovery: GenStamp,
}

impl Replica {
    /// Its length.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.history.last().map_or(0, |(_, upto)| *upto)
    }

    /// Whether it has no byte.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A fake datanode with one volume.
#[derive(Clone, Debug)]
pub struct Datanode {
    /// Its number.
    pub index: Index,
    /// Its id.
    pub id: DatanodeId,
    /// Its volume.
    pub storage: StorageId,
    /// It runs.
    pub up: bool,
    /// Its replicas.
    pub replicas: BTreeMap<BlockId, Replica>,
    /// Replicas set aside as bad.
    pub bad: BTreeMap<BlockId, GenStamp>,
    /// From its registration; `None` before.
    pub epoch: Option<Epoch>,
    /// What it has seen of the namenode.
    pub seen: HighWater,
    /// Changes not yet in any report.
    pub events: Vec<ReplicaEvent>,
    /// Sequence of the last incremental report.
    pub seq: u64,
    /// A report that was sent and not answered.
    pub in_flight: Option<IncrementalReport>,
    /// A full report is wanted.
    pub full_due: bool,
}

impl Datanode {
    /// A new datanode that runs.
    #[must_use]
    pub fn new(index: Index) -> Self {
        let number = index as u128 + 1;
        Self {
            index,
            id: DatanodeId(Uuid(number)),
            storage: StorageId(Uuid(1000 + number)),
            up: true,
            replicas: BTreeMap::new(),
            bad: BTreeMap::new(),
            epoch: None,
            seen: HighWater::default(),
            events: Vec::new(),
            seq: 0,
            in_flight: None,
            full_due: false,
        }
    }

    /// Its address.
    #[must_use]
    pub fn addr(&self) -> DatanodeAddr {
        let last = u8::try_from(self.index + 1).unwrap_or(255);
        DatanodeAddr {
            ip: IpAddr::V4(Ipv4Addr::new(10, 0, 0, last)),
            hostname: format!("dn{}", self.index),
            transfer_port: 9866,
            info_port: 9864,
            ipc_port: 9867,
        }
    }

    fn usage(&self) -> StorageUsage {
        let used = self.replicas.values().map(Replica::len).sum();
        StorageUsage { storage: self.storage, capacity: 1 << 40, used, remaining: (1 << 40) - used, failed: false }
    }

    /// Its introduction.
    #[must_use]
    pub fn registration(&self) -> RegisterRequest {
        let highest = self.replicas.keys().next_back().copied().unwrap_or_default();
        RegisterRequest {
            cluster_id: "CID-sim".to_owned(),
            datanode: self.id,
            addr: self.addr(),
            rack: format!("/rack-{}", self.index % 2),
            storages: vec![self.usage()],
            seen: HighWater { block: highest, ..self.seen },
            software: "sim".to_owned(),
        }
    }

    /// Its sign of life.
    #[must_use]
    pub fn heartbeat(&self, epoch: Epoch) -> HeartbeatRequest {
        HeartbeatRequest { datanode: self.id, epoch, storages: vec![self.usage()], xceivers: 0, copies: 0 }
    }

    /// The report to send now: the unanswered one again, or the next if anything has changed.
    pub fn next_incremental(&mut self) -> Option<IncrementalReport> {
        let epoch = self.epoch?;
        if self.in_flight.is_none() && !self.events.is_empty() {
            self.seq += 1;
            let events = std::mem::take(&mut self.events);
            let storages = vec![StorageEvents { storage: self.storage, seq: self.seq, events }];
            self.in_flight = Some(IncrementalReport { datanode: self.id, epoch, storages });
        }
        self.in_flight.clone()
    }

    /// A full report of now. What waits unsent is in it, so it counts as the next incremental report.
    pub fn next_full(&mut self) -> Option<FullReportSlice> {
        let epoch = self.epoch?;
        let replicas = self.replicas.iter().map(|(id, replica)| ReportedReplica {
            block: Block { id: *id, stamp: replica.stamp, len: replica.len() },
            state: replica.state,
        });
        Some(FullReportSlice {
            datanode: self.id,
            epoch,
            storage: self.storage,
            cut_seq: self.seq,
            slice: 0,
            last: true,
            replicas: replicas.collect(),
        })
    }

    /// Taken in by a namenode.
    pub fn registered(&mut self, epoch: Epoch, term: Term) {
        if self.epoch.is_none_or(|old| old < epoch) {
            self.epoch = Some(epoch);
            self.seen.term = self.seen.term.max(term);
            self.seq = 0;
            self.in_flight = None;
            self.events.clear();
            let bad: Vec<Block> = self.bad.iter().map(|(id, stamp)| Block { id: *id, stamp: *stamp, len: 0 }).collect();
            self.events.extend(bad.into_iter().map(ReplicaEvent::Bad));
            self.full_due = true;
        }
    }

    /// The process dies: what was in memory is gone, replicas being written wait for recovery.
    pub fn crash(&mut self) {
        self.up = false;
        self.epoch = None;
        self.events.clear();
        self.in_flight = None;
        self.full_due = false;
        for replica in self.replicas.values_mut() {
            if replica.state != ReplicaState::Finalized {
                replica.state = ReplicaState::Rwr;
            }
            replica.recovery = GenStamp::default();
        }
    }

    /// Remembers the past that a reply proves.
    pub fn saw(&mut self, term: Term, seq: Seq) {
        self.seen.term = self.seen.term.max(term);
        self.seen.seq = self.seen.seq.max(seq);
    }

    /// The replica's identity as reports give it.
    #[must_use]
    pub fn block(&self, id: BlockId) -> Option<Block> {
        self.replicas.get(&id).map(|replica| Block { id, stamp: replica.stamp, len: replica.len() })
    }

    /// Finds a flipped bit: sets the replica aside and tells.
    pub fn set_aside(&mut self, id: BlockId) {
        if let Some(block) = self.block(id) {
            self.replicas.remove(&id);
            self.bad.insert(id, block.stamp);
            self.events.push(ReplicaEvent::Bad(block));
        }
    }

    /// Deletes a replica of exactly this stamp.
    pub fn delete(&mut self, id: BlockId, stamp: GenStamp, any_stamp: bool) {
        if let Some(block) = self.block(id)
            && (block.stamp == stamp || any_stamp)
        {
            self.replicas.remove(&id);
            self.events.push(ReplicaEvent::Deleted(block));
        } else if self.block(id).is_none() {
            self.events.push(ReplicaEvent::Deleted(Block { id, stamp, len: 0 }));
        }
    }
}
