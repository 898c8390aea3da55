//! What the operator wants of datanodes, as a list of hosts.

use mammoth_protocol::internal::DatanodeAddr;
use serde::Serialize;

/// A host as the operator names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostName {
    /// Address or name.
    pub host: String,
    /// The transfer port, if only the datanode there is meant.
    pub port: Option<u16>,
}

/// What the operator wants of a datanode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdminWish {
    /// That it serves.
    InService,
    /// That it leaves for good: its replicas are copied elsewhere first.
    Decommissioned,
    /// That it may be away for a while.
    InMaintenance {
        /// Until this wall time; `None` until the list says otherwise.
        until_wall_ms: Option<u64>,
    },
}

/// The operator's list. The empty one lets every datanode serve.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostRules {
    /// Datanodes that may be here; all may if this is empty.
    pub included: Vec<HostName>,
    /// Datanodes that are to do something else than to serve; the first that fits counts.
    pub wishes: Vec<(HostName, AdminWish)>,
}

/// Where a datanode stands between serving and leaving.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AdminState {
    /// It serves.
    #[default]
    InService,
    /// Its replicas are being copied elsewhere.
    Decommissioning,
    /// It may go: nothing depends on it.
    Decommissioned,
    /// Blocks that nobody else has are being copied elsewhere.
    EnteringMaintenance,
    /// It may be away for a while.
    InMaintenance,
}

impl HostName {
    fn means(&self, addr: &DatanodeAddr) -> bool {
        let named = self.host.eq_ignore_ascii_case(&addr.hostname) || self.host == addr.ip.to_string();
        named && self.port.is_none_or(|port| port == addr.transfer_port)
    }
}

impl HostRules {
    /// What is wanted of the datanode at an address; `None`: that it is not here at all.
    #[must_use]
    pub fn wish(&self, addr: &DatanodeAddr) -> Option<AdminWish> {
        if !self.included.is_empty() && !self.included.iter().any(|host| host.means(addr)) {
            return None;
        }
        let wish = self.wishes.iter().find(|(host, _)| host.means(addr)).map(|(_, wish)| *wish);
        Some(wish.unwrap_or(AdminWish::InService))
    }
}
