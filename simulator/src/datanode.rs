//! A fake datanode: replicas without bytes, but with everything that the namenode's decisions depend on.

mod copy;
mod orders;
mod recovery;
mod reports;
mod volume;

pub use volume::Volume;

use crate::event::{Index, Request};
use mammoth_protocol::internal::{
    DatanodeAddr, HeartbeatRequest, HighWater, RegisterRequest, ReplicaEvent, ReplicaState, StorageUsage,
};
use mammoth_protocol::{Block, BlockId, DatanodeId, Epoch, GenStamp, Seq, StorageId, Term, Uuid};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

/// Volumes of each datanode.
pub const VOLUMES: usize = 2;

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
    /// Number of the volume that it is on.
    pub volume: usize,
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

    /// Whether it is what a reader of the whole block wants.
    #[must_use]
    pub fn is_good(&self, stamp: GenStamp, len: u64) -> bool {
        self.stamp == stamp && self.len() == len && !self.corrupt && self.state == ReplicaState::Finalized
    }
}

/// A fake datanode.
#[derive(Clone, Debug)]
pub struct Datanode {
    /// Its number.
    pub index: Index,
    /// Its id.
    pub id: DatanodeId,
    /// Its volumes.
    pub volumes: [Volume; VOLUMES],
    /// It runs.
    pub up: bool,
    /// Nothing moves in it before this time, as if it were stopped.
    pub hung_until_ms: u64,
    /// Its replicas, at most one of each block.
    pub replicas: BTreeMap<BlockId, Replica>,
    /// Replicas set aside as bad, by volume.
    pub bad: BTreeMap<(usize, BlockId), GenStamp>,
    /// From its registration; `None` before.
    pub epoch: Option<Epoch>,
    /// What it has seen of the namenode.
    pub seen: HighWater,
    /// The report that was sent and not answered, with its number and when it was sent.
    pub in_flight: Option<(u64, u64, Request)>,
    /// Reports so far.
    pub reports: u64,
}

impl Datanode {
    /// A new datanode that runs.
    #[must_use]
    pub fn new(index: Index) -> Self {
        let number = index as u128 + 1;
        Self {
            index,
            id: DatanodeId(Uuid(number)),
            volumes: std::array::from_fn(|at| Volume::new(StorageId(Uuid(1000 + 10 * number + at as u128)))),
            up: true,
            hung_until_ms: 0,
            replicas: BTreeMap::new(),
            bad: BTreeMap::new(),
            epoch: None,
            seen: HighWater::default(),
            in_flight: None,
            reports: 0,
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

    fn usage(&self) -> Vec<StorageUsage> {
        let volumes = self.volumes.iter().enumerate();
        let usage = volumes.map(|(at, volume)| {
            let used = self.replicas.values().filter(|replica| replica.volume == at).map(Replica::len).sum();
            let (capacity, failed) = (1 << 40, volume.failed);
            StorageUsage { storage: volume.storage, capacity, used, remaining: capacity - used, failed }
        });
        usage.collect()
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
            storages: self.usage(),
            seen: HighWater { block: highest, ..self.seen },
            software: "sim".to_owned(),
        }
    }

    /// Its sign of life.
    #[must_use]
    pub fn heartbeat(&self, epoch: Epoch) -> HeartbeatRequest {
        HeartbeatRequest { datanode: self.id, epoch, storages: self.usage(), xceivers: 0, copies: 0 }
    }

    /// Number of a volume.
    #[must_use]
    pub fn volume_of(&self, storage: StorageId) -> Option<usize> {
        self.volumes.iter().position(|volume| volume.storage == storage)
    }

    /// The volume to write on: the one that was named if it works, any other that does.
    #[must_use]
    pub fn volume_for(&self, storage: StorageId) -> Option<usize> {
        let named = self.volume_of(storage).filter(|at| !self.volumes[*at].failed);
        named.or_else(|| self.volumes.iter().position(|volume| !volume.failed))
    }

    /// The volume that a replica is on.
    #[must_use]
    pub fn storage_of(&self, replica: &Replica) -> StorageId {
        self.volumes[replica.volume].storage
    }

    /// Notes a change of a volume, to be reported.
    pub fn note(&mut self, volume: usize, event: ReplicaEvent) {
        self.volumes[volume].events.push(event);
    }

    /// Taken in by a namenode: all that it said before is void.
    /// The lists take until `ready_ms` to make.
    pub fn registered(&mut self, epoch: Epoch, term: Term, ready_ms: u64) {
        if self.epoch.is_some_and(|old| old >= epoch) {
            return;
        }
        self.epoch = Some(epoch);
        self.seen.term = self.seen.term.max(term);
        self.in_flight = None;
        self.volumes.iter_mut().for_each(|volume| volume.registered(ready_ms));
        for ((volume, id), stamp) in self.bad.clone() {
            if self.replicas.get(&id).is_some_and(|good| good.stamp >= stamp) {
                // Of no use to anybody any more.
                self.bad.remove(&(volume, id));
                continue;
            }
            self.note(volume, ReplicaEvent::Bad(Block { id, stamp, len: 0 }));
        }
    }

    /// The process dies: what was in memory is gone, replicas being written wait for recovery.
    pub fn crash(&mut self) {
        self.up = false;
        self.hung_until_ms = 0;
        self.epoch = None;
        self.in_flight = None;
        self.volumes.iter_mut().for_each(Volume::forget);
        for replica in self.replicas.values_mut() {
            if replica.state != ReplicaState::Finalized {
                replica.state = ReplicaState::Rwr;
            }
            replica.recovery = GenStamp::default();
        }
    }

    /// All that is on a volume is lost.
    pub fn lose(&mut self, volume: usize) {
        self.replicas.retain(|_, replica| replica.volume != volume);
        self.bad.retain(|(at, _), _| *at != volume);
        self.volumes[volume].forget();
    }

    /// A volume is replaced by an empty one.
    pub fn replace(&mut self, volume: usize) {
        self.lose(volume);
        let storage = StorageId(Uuid(self.volumes[volume].storage.0.0 + 1000));
        self.volumes[volume] = Volume::new(storage);
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
        if let Some(block) = self.block(id)
            && let Some(replica) = self.replicas.remove(&id)
        {
            self.bad.insert((replica.volume, id), block.stamp);
            self.note(replica.volume, ReplicaEvent::Bad(block));
        }
    }

    /// Deletes a replica of exactly this stamp; one that is not there is confirmed as deleted too.
    pub fn delete(&mut self, volume: usize, block: Block) {
        match self.replicas.get(&block.id).filter(|replica| replica.volume == volume) {
            Some(replica) if replica.stamp == block.stamp => {
                let deleted = Block { stamp: replica.stamp, len: replica.len(), ..block };
                self.replicas.remove(&block.id);
                self.note(volume, ReplicaEvent::Deleted(deleted));
            }
            Some(_) => {}
            None => self.note(volume, ReplicaEvent::Deleted(block)),
        }
    }
}
