//! Placement, HDFS's default: the first replica on the writer's datanode, the second on another rack, the third on the rack of
//! the second, the rest spread. Never two on one datanode. A rule that cannot be kept gives way; room and life do not.

use super::BlockMap;
use super::cluster::{Admin, Node, NodeIx, RackIx, VolumeIx};
use super::mix::Mix;
use super::types::TargetRequest;
use crate::api::Place;

/// Connections that a datanode may have beside twice the average before others are preferred: on an idle cluster the average
/// says nothing.
const XCEIVERS_SLACK: u32 = 8;

/// A datanode that could take the block.
struct Candidate {
    node: NodeIx,
    rack: RackIx,
    /// Its volumes with room.
    volumes: Vec<VolumeIx>,
    stale: bool,
    /// Many more connections than the average.
    busy: bool,
    /// It is on the writer's host.
    local: bool,
}

/// A placement being made.
struct Placement<'a> {
    map: &'a BlockMap,
    request: &'a TargetRequest,
    mix: Mix,
    candidates: Vec<Candidate>,
    /// Racks of the replicas so far, in order.
    racks: Vec<RackIx>,
    /// Most replicas that a rack should have.
    rack_max: usize,
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

    /// Datanodes that may be taken for a request.
    fn candidates(&self, request: &TargetRequest) -> Vec<Candidate> {
        let busy_above = self.busy_above();
        let taken: Vec<NodeIx> =
            request.chosen.iter().filter_map(|&id| self.cluster.node_of(self.cluster.find_volume(id)?)).collect();
        let may = |(ix, node): &(NodeIx, &Node)| {
            let may_take = node.live && node.admin == Admin::InService;
            may_take && !taken.contains(ix) && !request.exclude.contains(&node.id)
        };
        let candidate = |(ix, node): (NodeIx, &Node)| {
            let fits = |&v: &VolumeIx| {
                let volume = self.cluster.volume(v);
                volume.serving() && volume.has_room(request.block_size, request.block_size)
            };
            let volumes: Vec<VolumeIx> = node.volumes.iter().copied().filter(fits).collect();
            (!volumes.is_empty()).then(|| Candidate {
                node: ix,
                rack: node.rack,
                volumes,
                stale: self.stale(node),
                busy: u64::from(node.xceivers) > busy_above,
                local: Some(node.addr.ip) == request.writer,
            })
        };
        self.cluster.nodes().filter(may).filter_map(candidate).collect()
    }

    /// Connections above which a datanode is busy.
    fn busy_above(&self) -> u64 {
        let live = u64::from(self.cluster.live().max(1));
        let total: u64 = self.cluster.nodes.iter().filter(|n| n.live).map(|n| u64::from(n.xceivers)).sum();
        2 * total / live + u64::from(XCEIVERS_SLACK)
    }
}

impl<'a> Placement<'a> {
    fn new(map: &'a BlockMap, request: &'a TargetRequest) -> Self {
        let candidates = map.candidates(request);
        let chosen = request.chosen.iter().filter_map(|&id| map.cluster.node_of(map.cluster.find_volume(id)?));
        let racks: Vec<RackIx> = chosen.map(|n| map.cluster.node(n).rack).collect();
        let mut all: Vec<RackIx> = candidates.iter().map(|c| c.rack).chain(racks.iter().copied()).collect();
        all.sort_unstable();
        all.dedup();
        let total = request.count + racks.len();
        let rack_max = total.saturating_sub(1) / all.len().max(1) + 2;
        Self { map, request, mix: Mix::new(request.entropy), candidates, racks, rack_max, targets: Vec::new() }
    }

    /// Takes the datanodes that the client named, as far as they are wanted and not silent.
    fn favored(&mut self) {
        for name in &self.request.favored {
            if self.targets.len() < self.request.count {
                let map = self.map;
                self.take(|c| !c.stale && answers_to(map.cluster.node(c.node), name));
            }
        }
    }

    /// Takes one more by the rule for its position. `false`: nobody is left.
    fn next(&mut self, silent_too: bool) -> bool {
        let fit = |c: &Candidate| silent_too || !c.stale;
        let ruled = match *self.racks.as_slice() {
            [] => self.take(|c| fit(c) && c.local),
            [first] => self.take(|c| fit(c) && c.rack != first),
            [first, second] if first == second => self.take(|c| fit(c) && c.rack != first),
            [_, second] => self.take(|c| fit(c) && c.rack == second),
            _ => {
                let (racks, max) = (self.racks.clone(), self.rack_max);
                self.take(|c| fit(c) && racks.iter().filter(|&&r| r == c.rack).count() < max)
            }
        };
        ruled || self.take(fit)
    }

    /// Takes one of the candidates that `fit` admits, at random, a busy one only if all are.
    fn take(&mut self, fit: impl Fn(&Candidate) -> bool) -> bool {
        let list = |busy_too: bool| -> Vec<usize> {
            let all = self.candidates.iter().enumerate();
            all.filter(|(_, c)| fit(c) && (busy_too || !c.busy)).map(|(at, _)| at).collect()
        };
        let mut able = list(false);
        if able.is_empty() {
            able = list(true);
        }
        let Some(&at) = self.mix.pick(&able) else { return false };
        let candidate = self.candidates.swap_remove(at);
        let Some(&volume) = self.mix.pick(&candidate.volumes) else { return false };
        self.racks.push(candidate.rack);
        self.targets.push(volume);
        true
    }
}

/// Whether a text names a datanode: host name or address, with its transfer port or without.
fn answers_to(node: &Node, text: &str) -> bool {
    let ip = node.addr.ip.to_string();
    let port = node.addr.transfer_port;
    [&node.addr.hostname, &ip].into_iter().any(|host| text == host || text == format!("{host}:{port}"))
        || text == format!("[{ip}]:{port}")
}
