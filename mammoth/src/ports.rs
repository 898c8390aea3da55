//! Which addresses the daemons of a cluster get. Chosen once, recorded in the plan, the same over every restart.

use crate::layout::Role;
use mammoth_platform::{Entropy, SystemEntropy};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;

/// Where any free ports are looked for first.
const ANY: Range<u16> = 12_000..32_000;
/// How often, before the system is asked.
const ANY_TRIES: u32 = 100;

/// Addresses of one daemon; those it does not have are `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaemonAddrs {
    /// Pages and JSON (namenode 9870, datanode 9864, jobtracker 50030, tasktracker 50060).
    pub http: SocketAddr,
    /// Namenode: Hadoop RPC for clients (8020).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rpc: Option<SocketAddr>,
    /// Namenode: for datanodes (8022). Jobtracker: for tasktrackers (8021).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub internal: Option<SocketAddr>,
    /// Datanode: data transfer (9866).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transfer: Option<SocketAddr>,
    /// Datanode: Hadoop RPC (9867).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipc: Option<SocketAddr>,
}

impl DaemonAddrs {
    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = SocketAddr> {
        [Some(self.http), self.rpc, self.internal, self.transfer, self.ipc].into_iter().flatten()
    }

    /// Only an HTTP port on loopback.
    #[must_use]
    pub fn loopback(http: u16) -> Self {
        Self { http: local(http), rpc: None, internal: None, transfer: None, ipc: None }
    }
}

/// Where ports come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortChoice {
    /// Hadoop's ports, or the next ones in steps of ten where they are taken.
    Hadoop,
    /// Consecutive ports from here; taken ones are an error.
    From(u16),
    /// Any free ones.
    Any,
}

/// Why no addresses were found.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// A port that `--port-base` asks for cannot be bound.
    #[error("port {port} on 127.0.0.1 cannot be used: {source}; choose another --port-base, or 0 for any free ports")]
    Taken {
        /// The port.
        port: u16,
        /// Why.
        source: std::io::Error,
    },
    /// The range runs past the last port.
    #[error("--port-base {base}: the cluster needs {needed} consecutive ports, and the last port is 65535")]
    Range {
        /// The first port.
        base: u16,
        /// How many.
        needed: usize,
    },
    /// Not one free port.
    #[error("no free port on 127.0.0.1: {0}")]
    None(std::io::Error),
}

/// Hands out ports, each once.
pub struct PortPlanner {
    choice: PortChoice,
    next: u32,
    given: BTreeSet<u16>,
}

impl PortPlanner {
    /// A planner for a cluster that needs `needed` ports.
    ///
    /// # Errors
    /// A base too near to the last port.
    pub fn new(choice: PortChoice, needed: usize) -> Result<Self, PortError> {
        let next = match choice {
            PortChoice::From(base) if usize::from(base) + needed > 65536 => {
                return Err(PortError::Range { base, needed });
            }
            PortChoice::From(base) => u32::from(base),
            PortChoice::Hadoop | PortChoice::Any => 0,
        };
        Ok(Self { choice, next, given: BTreeSet::new() })
    }

    /// How many ports a daemon of a kind needs.
    #[must_use]
    pub const fn needed(role: Role) -> usize {
        match role {
            Role::Namenode | Role::Datanode => 3,
            Role::Jobtracker => 2,
            Role::Tasktracker => 1,
        }
    }

    /// Addresses for one more daemon.
    ///
    /// # Errors
    /// See [`PortError`].
    pub fn daemon(&mut self, role: Role) -> Result<DaemonAddrs, PortError> {
        Ok(match role {
            Role::Namenode => DaemonAddrs {
                rpc: Some(self.pick(8020)?),
                http: self.pick(9870)?,
                internal: Some(self.pick(8022)?),
                transfer: None,
                ipc: None,
            },
            Role::Datanode => DaemonAddrs {
                transfer: Some(self.pick(9866)?),
                http: self.pick(9864)?,
                ipc: Some(self.pick(9867)?),
                rpc: None,
                internal: None,
            },
            Role::Jobtracker => {
                let http = self.pick(50030)?;
                DaemonAddrs { http, internal: Some(self.pick(8021)?), ..DaemonAddrs::loopback(0) }
            }
            Role::Tasktracker => DaemonAddrs { http: self.pick(50060)?, ..DaemonAddrs::loopback(0) },
        })
    }

    fn pick(&mut self, hadoop: u16) -> Result<SocketAddr, PortError> {
        match self.choice {
            PortChoice::Hadoop => {
                let mut candidates = (0..200).map(|step| hadoop + 10 * step);
                let free = candidates.find(|port| !self.given.contains(port) && bindable(*port).is_ok());
                match free {
                    Some(port) => Ok(self.give(port)),
                    None => self.any(),
                }
            }
            PortChoice::From(_) => {
                let port = u16::try_from(self.next).unwrap_or(u16::MAX);
                self.next += 1;
                bindable(port).map_err(|source| PortError::Taken { port, source })?;
                Ok(self.give(port))
            }
            PortChoice::Any => self.any(),
        }
    }

    /// One below those that the system takes for outgoing connections: a daemon must find its port free again when it comes
    /// back. Drawn, so that clusters that are planned at the same time hardly ever take the same one.
    fn any(&mut self) -> Result<SocketAddr, PortError> {
        for _ in 0..ANY_TRIES {
            let span = u64::from(ANY.end - ANY.start);
            let port = ANY.start + u16::try_from(SystemEntropy.next_u64() % span).unwrap_or_default();
            if !self.given.contains(&port) && bindable(port).is_ok() {
                return Ok(self.give(port));
            }
        }
        loop {
            let listener = TcpListener::bind(local(0)).map_err(PortError::None)?;
            let port = listener.local_addr().map_err(PortError::None)?.port();
            if !self.given.contains(&port) {
                return Ok(self.give(port));
            }
        }
    }

    fn give(&mut self, port: u16) -> SocketAddr {
        self.given.insert(port);
        local(port)
    }
}

fn bindable(port: u16) -> std::io::Result<()> {
    TcpListener::bind(local(port)).map(drop)
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hadoop_ports_step_past_taken_ones() {
        let mut planner = PortPlanner::new(PortChoice::Hadoop, 6).expect("a planner");
        let first = planner.daemon(Role::Datanode).expect("addresses").transfer.expect("a transfer port");
        let second = planner.daemon(Role::Datanode).expect("addresses").transfer.expect("a transfer port");
        assert_ne!(first, second);
    }

    #[test]
    fn a_taken_consecutive_port_is_named() {
        let holder = TcpListener::bind(local(0)).expect("any port");
        let port = holder.local_addr().expect("bound").port();
        let error = PortPlanner::new(PortChoice::From(port), 1).and_then(|mut p| p.daemon(Role::Namenode));
        assert!(matches!(error, Err(PortError::Taken { port: p, .. }) if p == port), "{error:?}");
        assert!(matches!(PortPlanner::new(PortChoice::From(65530), 12), Err(PortError::Range { .. })));
    }

    #[test]
    fn any_gives_distinct_ports() {
        let mut planner = PortPlanner::new(PortChoice::Any, 6).expect("a planner");
        let a = planner.daemon(Role::Namenode).expect("addresses");
        let b = planner.daemon(Role::Datanode).expect("addresses");
        let ports: BTreeSet<_> = [a.rpc, a.internal, Some(a.http), b.transfer, b.ipc, Some(b.http)].into();
        assert_eq!(ports.len(), 6);
        assert!(ports.iter().flatten().all(|addr| ANY.contains(&addr.port())), "{ports:?}");
    }
}
