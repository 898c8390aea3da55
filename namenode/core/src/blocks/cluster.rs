//! Datanodes and volumes, interned: everything else names them by small indexes that stay valid for ever.
//!
//! A volume belongs to the datanode that last registered with it. Both are remembered when they go, so that they are used
//! again when they come back; a volume may also be known by name only, from the pipeline of an open file after a restart.

use super::compact::SlotSet;
use super::orders::Orders;
use super::table::Slot;
use crate::api::Place;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use mammoth_protocol::internal::{DatanodeAddr, ReplicaPlace, StorageUsage};
use mammoth_protocol::{BlockId, DatanodeId, Epoch, GenStamp, Now, StorageId};
use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;

/// A volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct VolumeIx(pub(super) u32);

/// A datanode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct NodeIx(pub(super) u32);

/// A rack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct RackIx(pub(super) u32);

/// A datanode that has registered at least once since this namenode started.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) id: DatanodeId,
    pub(super) addr: DatanodeAddr,
    pub(super) rack: RackIx,
    pub(super) epoch: Epoch,
    /// It registered and has not been silent for too long since.
    pub(super) live: bool,
    pub(super) admin: Admin,
    /// Last registration or heartbeat.
    pub(super) heard: Now,
    pub(super) xceivers: u32,
    /// Copies that it said it is sending.
    pub(super) copies: u32,
    /// Copies handed over since it said so.
    pub(super) copies_handed: u32,
    /// Copies to hand over.
    pub(super) outbox: VecDeque<CopyOrder>,
    /// Blocks whose recovery it is to lead, to hand over.
    pub(super) recover: BTreeSet<BlockId>,
    /// It is to register anew, see [`super::deletion`].
    pub(super) recalled: bool,
    pub(super) volumes: Vec<VolumeIx>,
}

impl Node {
    /// Streams that it sends or will soon.
    pub(super) fn streams(&self) -> u32 {
        self.copies.saturating_add(self.copies_handed).saturating_add(self.outbox.len() as u32)
    }
}

/// What the operator wants of a datanode, and how far that is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Admin {
    /// It serves.
    #[default]
    InService,
    /// It is to leave: its blocks are copied elsewhere.
    Leaving(Scan),
    /// It may go.
    Left,
    /// It is to be away for a while, once its blocks have enough replicas elsewhere.
    Resting {
        /// Wall time at which it serves again; `None` if the operator has to say so.
        until_wall_ms: Option<u64>,
        /// `None` once it may be away.
        scan: Option<Scan>,
    },
}

/// A look at all blocks of a datanode for one that still depends on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Scan {
    /// Those still to be looked at; `None` before the first look.
    pub(super) left: Option<Vec<Slot>>,
    /// A block held it back since the look began: another look decides.
    pub(super) held_back: bool,
}

/// A copy for a source to make.
#[derive(Clone, Debug)]
pub(super) struct CopyOrder {
    pub(super) id: BlockId,
    pub(super) stamp: GenStamp,
    pub(super) source: VolumeIx,
    pub(super) targets: Vec<VolumeIx>,
}

/// Whether a volume's replicas count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It works and its datanode lives.
    Serving,
    /// Its datanode is away for maintenance: nobody is sent there, but its replicas are expected back.
    Away,
    /// Known by name only, failed, or its datanode died. Its replicas no longer count and are being forgotten.
    Gone,
}

/// A volume that a datanode registered or a pipeline named.
#[derive(Clone, Debug)]
pub(super) struct Volume {
    pub(super) id: StorageId,
    /// The datanode that last registered with it.
    pub(super) node: Option<NodeIx>,
    pub(super) standing: Standing,
    /// It works again, and will serve once all is forgotten that was known of it before.
    pub(super) returning: bool,
    pub(super) usage: StorageUsage,
    /// Known blocks with a replica in place here.
    pub(super) blocks: SlotSet,
    /// Known blocks with a replica in its `bad/` folder.
    pub(super) aside: BTreeSet<BlockId>,
    /// Replicas in place to delete.
    pub(super) deletes: Orders,
    /// Replicas in its `bad/` folder to drop.
    pub(super) drops: Orders,
    /// Replicas in place of which a reader complained, for the datanode to look at.
    pub(super) checks: Orders,
    /// Blocks that will be written here: pipelines of open files, and copies under way.
    pub(super) scheduled: u32,
    pub(super) reports: super::reports::Reports,
}

impl Volume {
    fn new(id: StorageId) -> Self {
        Self {
            id,
            node: None,
            standing: Standing::Gone,
            returning: false,
            usage: StorageUsage { storage: id, ..StorageUsage::default() },
            blocks: SlotSet::default(),
            aside: BTreeSet::new(),
            deletes: Orders::default(),
            drops: Orders::default(),
            checks: Orders::default(),
            scheduled: 0,
            reports: super::reports::Reports::default(),
        }
    }

    pub(super) fn serving(&self) -> bool {
        self.standing == Standing::Serving
    }

    /// It serves, and what the map says of it is what it said itself: a complete full report of this registration, and no gap
    /// since. Only replicas on trusted volumes vouch for a deletion.
    pub(super) fn trusted(&self) -> bool {
        self.serving() && self.reports.complete()
    }

    /// Nothing that it may have to tell of is missing: it is trusted, or gone for good.
    pub(super) fn told_all(&self) -> bool {
        self.trusted() || (self.standing == Standing::Gone && !self.returning)
    }

    /// Whether `bytes` more fit, counting `each` for every block that is already on its way here.
    pub(super) fn has_room(&self, bytes: u64, each: u64) -> bool {
        let promised = each.saturating_mul(u64::from(self.scheduled));
        self.usage.remaining.saturating_sub(promised) >= bytes
    }
}

/// A rack, and the datanodes that said they are on it, dead ones included.
#[derive(Clone, Debug)]
struct Rack {
    name: String,
    nodes: Vec<NodeIx>,
}

/// Everything known by index. Of a datanode in `nodes`, `addr`, `rack`, `live` and `xceivers` change by [`Cluster::settle`],
/// [`Cluster::set_live`] and [`Cluster::set_xceivers`] only: what is found and counted by them is kept along.
#[derive(Clone, Debug, Default)]
pub(super) struct Cluster {
    pub(super) nodes: Vec<Node>,
    pub(super) volumes: Vec<Volume>,
    racks: Vec<Rack>,
    hosts: HashMap<IpAddr, Vec<NodeIx>, FixedState>,
    live: u32,
    /// Connections of live datanodes.
    xceivers: u64,
    node_index: HashMap<DatanodeId, NodeIx, FixedState>,
    volume_index: HashMap<StorageId, VolumeIx, FixedState>,
}

impl Cluster {
    pub(super) fn find_node(&self, id: DatanodeId) -> Option<NodeIx> {
        self.node_index.get(&id).copied()
    }

    pub(super) fn find_volume(&self, id: StorageId) -> Option<VolumeIx> {
        self.volume_index.get(&id).copied()
    }

    pub(super) fn node(&self, ix: NodeIx) -> &Node {
        &self.nodes[ix.0 as usize]
    }

    pub(super) fn node_mut(&mut self, ix: NodeIx) -> &mut Node {
        &mut self.nodes[ix.0 as usize]
    }

    pub(super) fn volume(&self, ix: VolumeIx) -> &Volume {
        &self.volumes[ix.0 as usize]
    }

    pub(super) fn volume_mut(&mut self, ix: VolumeIx) -> &mut Volume {
        &mut self.volumes[ix.0 as usize]
    }

    /// A volume serves and its datanode is to stay: its replicas are there to last.
    pub(super) fn lasting(&self, ix: VolumeIx) -> bool {
        let in_service = |n: NodeIx| self.node(n).admin == Admin::InService;
        self.volume(ix).serving() && self.node_of(ix).is_some_and(in_service)
    }

    /// A volume is away for maintenance, or about to be: its replicas are not lost.
    pub(super) fn resting(&self, ix: VolumeIx) -> bool {
        let resting = |n: NodeIx| matches!(self.node(n).admin, Admin::Resting { .. });
        self.volume(ix).standing != Standing::Gone && self.node_of(ix).is_some_and(resting)
    }

    /// The datanode of a volume, if one ever registered with it.
    pub(super) fn node_of(&self, ix: VolumeIx) -> Option<NodeIx> {
        self.volume(ix).node
    }

    pub(super) fn rack(&self, ix: RackIx) -> &str {
        &self.racks[ix.0 as usize].name
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = (NodeIx, &Node)> {
        self.nodes.iter().enumerate().map(|(at, node)| (NodeIx(at as u32), node))
    }

    /// Datanodes with their indexes.
    pub(super) fn these<'a>(&'a self, nodes: &'a [NodeIx]) -> impl Iterator<Item = (NodeIx, &'a Node)> {
        nodes.iter().map(|&ix| (ix, self.node(ix)))
    }

    /// Number of live datanodes.
    pub(super) fn live(&self) -> u32 {
        self.live
    }

    /// Connections of all live datanodes together.
    pub(super) fn xceivers(&self) -> u64 {
        self.xceivers
    }

    /// Datanodes on a host, dead ones included.
    pub(super) fn at_host(&self, ip: IpAddr) -> &[NodeIx] {
        self.hosts.get(&ip).map_or(&[], Vec::as_slice)
    }

    /// Datanodes on a rack, dead ones included.
    pub(super) fn at_rack(&self, rack: RackIx) -> &[NodeIx] {
        &self.racks[rack.0 as usize].nodes
    }

    /// Live datanodes on a host.
    pub(super) fn on_host(&self, ip: IpAddr) -> impl Iterator<Item = NodeIx> {
        self.at_host(ip).iter().copied().filter(|&ix| self.node(ix).live)
    }

    /// A datanode lives, or is dead; its connections are to be told anew.
    pub(super) fn set_live(&mut self, ix: NodeIx, live: bool) {
        self.set_xceivers(ix, 0);
        let was = std::mem::replace(&mut self.node_mut(ix).live, live);
        self.live = self.live + u32::from(live) - u32::from(was);
    }

    /// A live datanode has so many connections.
    pub(super) fn set_xceivers(&mut self, ix: NodeIx, xceivers: u32) {
        let before = std::mem::replace(&mut self.node_mut(ix).xceivers, xceivers);
        self.xceivers = self.xceivers + u64::from(xceivers) - u64::from(before);
    }

    /// A datanode that is known has this address and is on this rack.
    pub(super) fn relocate(&mut self, ix: NodeIx, addr: DatanodeAddr, rack: RackIx) {
        let node = self.node_mut(ix);
        let host = std::mem::replace(&mut node.addr, addr).ip;
        let from = std::mem::replace(&mut node.rack, rack);
        if (node.addr.ip, rack) == (host, from) {
            return;
        }
        if let Some(others) = self.hosts.get_mut(&host) {
            others.retain(|&other| other != ix);
            if others.is_empty() {
                self.hosts.remove(&host);
            }
        }
        self.racks[from.0 as usize].nodes.retain(|&other| other != ix);
        self.index(ix);
    }

    /// Makes a datanode found by its host and its rack.
    fn index(&mut self, ix: NodeIx) {
        let (host, rack) = (self.node(ix).addr.ip, self.node(ix).rack);
        self.hosts.entry(host).or_default().push(ix);
        self.racks[rack.0 as usize].nodes.push(ix);
    }

    /// The index of a volume, a new one if it was never heard of.
    pub(super) fn intern_volume(&mut self, id: StorageId) -> VolumeIx {
        let next = VolumeIx(self.volumes.len() as u32);
        let ix = *self.volume_index.entry(id).or_insert(next);
        if ix == next {
            self.volumes.push(Volume::new(id));
        }
        ix
    }

    /// The index of a rack, a new one if it was never heard of.
    pub(super) fn intern_rack(&mut self, name: &str) -> RackIx {
        let known = self.racks.iter().position(|r| r.name == name);
        RackIx(known.unwrap_or_else(|| {
            self.racks.push(Rack { name: name.to_owned(), nodes: Vec::new() });
            self.racks.len() - 1
        }) as u32)
    }

    /// Adds a datanode that has no index yet.
    pub(super) fn add_node(&mut self, node: Node) -> NodeIx {
        let ix = NodeIx(self.nodes.len() as u32);
        self.node_index.insert(node.id, ix);
        self.live += u32::from(node.live);
        self.xceivers += u64::from(node.xceivers);
        self.nodes.push(node);
        self.index(ix);
        ix
    }

    /// A volume as clients see it; `None` if no datanode ever registered with it.
    pub(super) fn place(&self, ix: VolumeIx) -> Option<Place> {
        let node = self.node(self.node_of(ix)?);
        Some(Place {
            datanode: node.id,
            storage: self.volume(ix).id,
            addr: node.addr.clone(),
            rack: self.rack(node.rack).to_owned(),
            admin: super::BlockMap::admin_state(&node.admin),
        })
    }

    /// A volume as other datanodes see it; `None` if no datanode ever registered with it.
    pub(super) fn replica_place(&self, ix: VolumeIx) -> Option<ReplicaPlace> {
        let node = self.node(self.node_of(ix)?);
        Some(ReplicaPlace { datanode: node.id, storage: self.volume(ix).id, addr: node.addr.clone() })
    }

    /// Whether what is kept along with the datanodes is what they say; for [`super::check`].
    pub(super) fn check_indexes(&self) -> Result<(), String> {
        let live = self.nodes.iter().filter(|n| n.live);
        let counted = (live.clone().count() as u32, live.map(|n| u64::from(n.xceivers)).sum());
        if counted != (self.live, self.xceivers) {
            return Err(format!("{counted:?} live and their connections, not {:?}", (self.live, self.xceivers)));
        }
        let entries = |lists: &mut dyn Iterator<Item = &Vec<NodeIx>>| lists.map(Vec::len).sum::<usize>();
        let listed = (entries(&mut self.hosts.values()), entries(&mut self.racks.iter().map(|rack| &rack.nodes)));
        let found =
            |(ix, n): &(NodeIx, &Node)| self.at_host(n.addr.ip).contains(ix) && self.at_rack(n.rack).contains(ix);
        if listed != (self.nodes.len(), self.nodes.len()) || !self.nodes().all(|node| found(&node)) {
            return Err(format!("{listed:?} by host and rack, of {}", self.nodes.len()));
        }
        Ok(())
    }
}
