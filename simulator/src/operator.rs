//! The operator: lists a datanode to be decommissioned, and believes the namenode when it says that this is done.

use crate::bugs::Bug;
use crate::event::{Event, Index};
use crate::world::{DATANODES, World};
use mammoth_namenode_core::api::{AdminState, AdminWish, Answer, DatanodeKind, HostName, HostRules, Query};
use mammoth_protocol::BlockId;
use mammoth_protocol::internal::ReplicaState;
use std::collections::BTreeMap;

/// A datanode that the operator's list names.
#[derive(Clone, Debug)]
pub struct Leaving {
    /// Which.
    index: Index,
    /// Replicas that blocks wanted when the list came to name it; nobody promises more of the others than one.
    wanted: BTreeMap<BlockId, u16>,
    /// It has new disks; before it is listed no more it must have said so, or its old replicas would count again.
    wiped: bool,
}

impl World {
    /// The operator looks at the list: begins, calls off, or ends what it says.
    pub(crate) fn operator_looks(&mut self) {
        let Some(leaving) = self.leaving.clone() else { return self.list_a_datanode() };
        let early = self.bug == Some(Bug::DecommissionedEarly) && !leaving.wiped;
        match self.admin_state(leaving.index) {
            Some(AdminState::Decommissioned) => self.datanode_may_go(leaving),
            Some(AdminState::Decommissioning) if early => self.datanode_may_go(leaving),
            Some(_) if !leaving.wiped && self.sim.rng.chance(100) => {
                self.sim.coverage.hit("decommission called off");
                self.set_list(None);
            }
            _ => {}
        }
    }

    fn list_a_datanode(&mut self) {
        let index = usize::try_from(self.sim.rng.below(DATANODES as u64)).unwrap_or_default();
        self.sim.coverage.hit("decommission began");
        let wanted = self.namenode.owned_blocks().into_iter().map(|(id, _, _, wanted)| (id, wanted)).collect();
        self.set_list(Some(Leaving { index, wanted, wiped: false }));
    }

    /// Changes the list and has the namenode read it. One that is down reads it when it starts.
    pub(crate) fn set_list(&mut self, leaving: Option<Leaving>) {
        self.leaving = leaving;
        self.namenode_reads_list();
    }

    /// The list as it is now.
    pub(crate) fn host_rules(&self) -> HostRules {
        let host = |index: Index| HostName { host: self.datanodes[index].addr().hostname, port: None };
        let wishes = self.leaving.iter().map(|leaving| (host(leaving.index), AdminWish::Decommissioned)).collect();
        HostRules { included: Vec::new(), wishes }
    }

    fn admin_state(&self, index: Index) -> Option<AdminState> {
        let Ok(Answer::Datanodes(nodes)) =
            self.namenode.ask(self.sim.now(), &Query::Datanodes { kind: DatanodeKind::All })?
        else {
            return None;
        };
        nodes.into_iter().find(|node| node.id == self.datanodes[index].id).map(|node| node.admin)
    }

    /// Nothing depends on the datanode any more: half of them get new disks, the others stay as they are.
    fn datanode_may_go(&mut self, leaving: Leaving) {
        self.sim.coverage.hit("datanode decommissioned");
        let index = leaving.index;
        let settled = self.datanodes[index].replicas.values().all(|replica| replica.state == ReplicaState::Finalized);
        if !leaving.wiped && self.datanodes[index].up && settled && self.sim.rng.chance(500) {
            self.check_departure(&leaving);
            self.sim.coverage.hit("decommissioned datanode wiped");
            self.datanodes[index].crash();
            for volume in 0..self.datanodes[index].volumes.len() {
                self.datanodes[index].replace(volume);
            }
            let delay = 500 + self.sim.rng.below(20_000);
            self.sim.later(delay, Event::DatanodeStarts(index));
            self.leaving = Some(Leaving { wiped: true, ..leaving });
        } else if self.datanodes[index].epoch.is_some() {
            self.sim.coverage.hit("datanode recommissioned");
            self.set_list(None);
        }
    }

    /// Every block on a datanode that may go has its replicas elsewhere, but for those that faults have taken.
    fn check_departure(&mut self, leaving: &Leaving) {
        let index = leaving.index;
        for (id, stamp, len, wanted) in self.namenode.owned_blocks() {
            let wanted = leaving.wanted.get(&id).copied().unwrap_or(1).min(wanted);
            let here = self.datanodes[index].replicas.get(&id).is_some_and(|replica| replica.is_good(stamp, len));
            let good = self.good_elsewhere(index, id, stamp, len);
            let losses = usize::try_from(self.fair.losses(id)).unwrap_or(usize::MAX);
            if here && (good == 0 || good + losses < usize::from(wanted)) {
                self.sim.violation(format!("dn{index} may go; of block {id} {good} would remain of {wanted}"));
            }
        }
    }
}
