//! Placement, HDFS's default: the first replica on the writer's datanode, the second on another rack, the third on the rack of
//! the second, the rest spread. Never two on one datanode. A rule that cannot be kept gives way; room and life do not.

use super::BlockMap;
use super::cluster::{Admin, Node, NodeIx, RackIx, VolumeIx};
use super::mix::Mix;
use super::types::TargetRequest;
use crate::api::Place;
use mammoth_protocol::StorageId;
use std::net::IpAddr;

/// Connections that a datanode may have beside twice the average before others are preferred: on an idle cluster the average
/// says nothing.
const XCEIVERS_SLACK: u32 = 8;

/// Datanodes that are tried at random before all are looked at: among thousands most will do.
const TRIES: usize = 16;

/// A datanode that could take the block.
struct Candidate<'a> {
    ix: NodeIx,
    node: &'a Node,
    stale: bool,
    /// Many more connections than the average.
    busy: bool,
}

/// Where datanodes are looked for.
#[derive(Clone, Copy)]
enum Among {
    /// Everywhere, and most are likely to fit.
    Most,
    /// Everywhere.
    All,
    Host(IpAddr),
    Rack(RackIx),
}

/// A placement being made.
struct Placement<'a> {
    map: &'a BlockMap,
    request: &'a TargetRequest,
    mix: Mix,
    /// Datanodes of the replicas so far.
    taken: Vec<NodeIx>,
    /// Racks of the replicas so far, in order.
    racks: Vec<RackIx>,
    /// Connections above which a datanode is busy.
    busy_above: u64,
    targets: Vec<VolumeIx>,
}

impl BlockMap {
    /// Volumes to write a block to, in pipeline order; fewer than wanted if there are no more.
    #[must_use]
    pub fn choose_targets(&self, request: &TargetRequest) -> Vec<Place> {
        let mut placement = Placement::new(self, request);
        placement.favored();
        for silent_too in [false, true] {
            while placement.targets.len() < request.count && placement.next(silent_too) {}
        }
        placement.targets.iter().filter_map(|&v| self.cluster.place(v)).collect()
    }

    /// Connections above which a datanode is busy.
    fn busy_above(&self) -> u64 {
        let live = u64::from(self.cluster.live().max(1));
        2 * self.cluster.xceivers() / live + u64::from(XCEIVERS_SLACK)
    }
}

impl<'a> Placement<'a> {
    fn new(map: &'a BlockMap, request: &'a TargetRequest) -> Self {
        let node_of = |&id: &StorageId| map.cluster.node_of(map.cluster.find_volume(id)?);
        let taken: Vec<NodeIx> = request.chosen.iter().filter_map(node_of).collect();
        let racks = taken.iter().map(|&n| map.cluster.node(n).rack).collect();
        let (mix, busy_above) = (Mix::new(request.entropy), map.busy_above());
        Self { map, request, mix, taken, racks, busy_above, targets: Vec::new() }
    }

    /// A datanode, if it may be taken.
    fn candidate(&self, ix: NodeIx, node: &'a Node) -> Option<Candidate<'a>> {
        let may_take = node.live && node.admin == Admin::InService;
        let is_free = may_take && !self.taken.contains(&ix) && !self.request.exclude.contains(&node.id);
        (is_free && self.room_on(node).next().is_some()).then(|| Candidate {
            ix,
            node,
            stale: self.map.stale(node),
            busy: u64::from(node.xceivers) > self.busy_above,
        })
    }

    /// A datanode's volumes with room.
    fn room_on(&self, node: &'a Node) -> impl Iterator<Item = VolumeIx> {
        let (map, size) = (self.map, self.request.block_size);
        node.volumes.iter().copied().filter(move |&v| {
            let volume = map.cluster.volume(v);
            volume.serving() && volume.has_room(size, size)
        })
    }

    /// Most replicas that a rack should have.
    fn rack_max(&self) -> usize {
        let candidates = self.map.cluster.nodes().filter_map(|(ix, node)| self.candidate(ix, node));
        let mut all: Vec<RackIx> = candidates.map(|c| c.node.rack).chain(self.racks.iter().copied()).collect();
        all.sort_unstable();
        all.dedup();
        let total = self.request.count + self.racks.len() - self.targets.len();
        total.saturating_sub(1) / all.len().max(1) + 2
    }

    /// Takes the datanodes that the client named, as far as they are wanted and not silent.
    fn favored(&mut self) {
        for name in &self.request.favored {
            if self.targets.len() < self.request.count {
                self.take(Among::All, |c| !c.stale && answers_to(c.node, name));
            }
        }
    }

    /// Takes one more by the rule for its position. `false`: nobody is left.
    fn next(&mut self, silent_too: bool) -> bool {
        let fit = |c: &Candidate<'_>| silent_too || !c.stale;
        let ruled = match *self.racks.as_slice() {
            [] => {
                let writer = self.request.writer;
                writer.is_some_and(|writer| self.take(Among::Host(writer), fit))
            }
            [first] => self.take(Among::Most, |c| fit(c) && c.node.rack != first),
            [first, second] if first == second => self.take(Among::Most, |c| fit(c) && c.node.rack != first),
            [_, second] => self.take(Among::Rack(second), fit),
            _ => {
                let (racks, max) = (self.racks.clone(), self.rack_max());
                self.take(Among::Most, |c| fit(c) && racks.iter().filter(|&&r| r == c.node.rack).count() < max)
            }
        };
        ruled || self.take(Among::Most, fit)
    }

    /// Takes one of the datanodes that `fit` admits, at random, a busy one only if all are.
    fn take(&mut self, among: Among, fit: impl Fn(&Candidate<'_>) -> bool) -> bool {
        let map = self.map;
        let cluster = &map.cluster;
        let found = match among {
            Among::Most => self.try_some(&fit).or_else(|| self.look_at(cluster.nodes(), &fit)),
            Among::All => self.look_at(cluster.nodes(), &fit),
            Among::Host(ip) => self.look_at(cluster.these(cluster.at_host(ip)), &fit),
            Among::Rack(rack) => self.look_at(cluster.these(cluster.at_rack(rack)), &fit),
        };
        let Some((ix, node)) = found else { return false };
        let volumes: Vec<VolumeIx> = self.room_on(node).collect();
        let Some(&volume) = self.mix.pick(&volumes) else { return false };
        self.taken.push(ix);
        self.racks.push(node.rack);
        self.targets.push(volume);
        true
    }

    /// One that fits and is not busy, if trying at random finds one soon.
    fn try_some(&mut self, fit: &impl Fn(&Candidate<'_>) -> bool) -> Option<(NodeIx, &'a Node)> {
        let nodes = &self.map.cluster.nodes;
        if nodes.len() <= TRIES {
            return None;
        }
        for _ in 0..TRIES {
            let ix = NodeIx(self.mix.below(nodes.len()) as u32);
            let fits = self.candidate(ix, self.map.cluster.node(ix)).filter(|c| !c.busy && fit(c));
            if let Some(candidate) = fits {
                return Some((candidate.ix, candidate.node));
            }
        }
        None
    }

    fn look_at(
        &mut self,
        nodes: impl Iterator<Item = (NodeIx, &'a Node)>,
        fit: &impl Fn(&Candidate<'_>) -> bool,
    ) -> Option<(NodeIx, &'a Node)> {
        let (mut idle, mut busy) = (Vec::new(), Vec::new());
        for (ix, node) in nodes {
            if let Some(candidate) = self.candidate(ix, node).filter(|c| fit(c)) {
                if candidate.busy { &mut busy } else { &mut idle }.push((ix, node));
            }
        }
        self.mix.pick(if idle.is_empty() { &busy } else { &idle }).copied()
    }
}

/// Whether a text names a datanode: host name or address, with its transfer port or without.
fn answers_to(node: &Node, text: &str) -> bool {
    let ip = node.addr.ip.to_string();
    let port = node.addr.transfer_port;
    [&node.addr.hostname, &ip].into_iter().any(|host| text == host || text == format!("{host}:{port}"))
        || text == format!("[{ip}]:{port}")
}
