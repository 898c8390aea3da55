//! Datanodes as the namenode sees them: they register, live, and report replicas through the internal door.

use super::files::Files;
use mammoth_protocol::internal::{
    ClusterIdentity, DatanodeAddr, FullReportSlice, HeartbeatReply, HeartbeatRequest, HighWater, RegisterReply,
    RegisterRequest, ReplicaState, ReportReply, ReportedReplica, StorageUsage, routes,
};
use mammoth_protocol::limits::REPORT_SLICE_REPLICAS;
use mammoth_protocol::{DatanodeId, Epoch, StorageId, Uuid};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

/// Datanodes with a volume each.
#[derive(Clone, Copy)]
pub(crate) struct Fleet {
    pub(crate) files: Files,
    pub(crate) nodes: u64,
}

/// One datanode, connected and registered.
pub(crate) struct Datanode {
    door: Door,
    fleet: Fleet,
    number: u64,
    epoch: Epoch,
}

impl Fleet {
    /// Replicas of a block.
    const REPLICAS: u64 = 3;

    /// Replicas that a datanode has, about.
    pub(crate) fn replicas(self) -> u64 {
        self.files.count * Self::REPLICAS / self.nodes
    }

    /// Registers a datanode.
    pub(crate) fn join(self, internal: SocketAddr, number: u64) -> Result<Datanode, String> {
        let mut door = Door::connect(internal)?;
        let identity: ClusterIdentity = door.exchange("GET", routes::IDENTITY, "application/json", &[])?;
        let request = RegisterRequest {
            cluster_id: identity.cluster_id,
            datanode: datanode(number),
            addr: addr(number),
            rack: format!("/rack-{}", number % 20),
            storages: vec![usage(number)],
            seen: HighWater::default(),
            software: String::new(),
        };
        let reply: RegisterReply = door.post_json(routes::REGISTER, &request)?;
        Ok(Datanode { door, fleet: self, number, epoch: reply.epoch })
    }
}

pub(crate) fn datanode(number: u64) -> DatanodeId {
    DatanodeId(Uuid(u128::from(number) + 1))
}

pub(crate) fn storage(number: u64) -> StorageId {
    StorageId(Uuid((u128::from(number) + 1) << 64))
}

pub(crate) fn usage(number: u64) -> StorageUsage {
    StorageUsage { storage: storage(number), capacity: 1 << 50, used: 1 << 40, remaining: 1 << 49, failed: false }
}

/// An address of its own in 10.0.0.0/8.
pub(crate) fn addr(number: u64) -> DatanodeAddr {
    DatanodeAddr {
        ip: std::net::Ipv4Addr::from_bits(0x0a00_0001 + number as u32).into(),
        hostname: format!("dn{number}"),
        transfer_port: 9866,
        info_port: 9864,
        ipc_port: 9867,
    }
}

impl Datanode {
    /// "I live."
    pub(crate) fn heartbeat(&mut self) -> Result<(), String> {
        let request = HeartbeatRequest {
            datanode: datanode(self.number),
            epoch: self.epoch,
            storages: vec![usage(self.number)],
            xceivers: 0,
            copies: 0,
        };
        self.door.post_json::<HeartbeatReply>(routes::HEARTBEAT, &request).map(drop)
    }

    /// The full report, in slices as large as they may be. The bytes of all are made first: only the namenode is measured.
    pub(crate) fn slices(&self) -> Result<Vec<Vec<u8>>, String> {
        let Fleet { files, nodes } = self.fleet;
        let here = |n: &u64| (0..Fleet::REPLICAS).any(|replica| (n + replica) % nodes == self.number);
        let replicas: Vec<ReportedReplica> = (0..files.count)
            .filter(here)
            .map(|n| ReportedReplica { block: Files::block(n), state: ReplicaState::Finalized })
            .collect();
        let count = replicas.chunks(REPORT_SLICE_REPLICAS).len();
        let encoded = replicas.chunks(REPORT_SLICE_REPLICAS).enumerate().map(|(slice, replicas)| {
            let slice = FullReportSlice {
                datanode: datanode(self.number),
                epoch: self.epoch,
                storage: storage(self.number),
                cut_seq: 0,
                slice: slice as u32,
                last: slice + 1 == count,
                replicas: replicas.to_vec(),
            };
            postcard::to_stdvec(&slice).map_err(|e| e.to_string())
        });
        encoded.collect()
    }

    /// Sends a slice and waits for the answer.
    pub(crate) fn send(&mut self, slice: &[u8]) -> Result<(), String> {
        let reply: ReportReply = self.door.exchange("POST", routes::FULL, "application/octet-stream", slice)?;
        if reply.register || !reply.resync.is_empty() {
            Err(format!("the report was not taken: {reply:?}"))
        } else {
            Ok(())
        }
    }
}

/// A connection to the internal door, kept open.
struct Door {
    host: String,
    stream: BufReader<TcpStream>,
}

impl Door {
    fn connect(addr: SocketAddr) -> Result<Self, String> {
        let stream = TcpStream::connect(addr).map_err(|e| e.to_string())?;
        stream.set_nodelay(true).map_err(|e| e.to_string())?;
        Ok(Self { host: addr.to_string(), stream: BufReader::new(stream) })
    }

    fn post_json<T: DeserializeOwned>(&mut self, route: &str, body: &impl Serialize) -> Result<T, String> {
        let body = serde_json::to_vec(body).map_err(|e| e.to_string())?;
        self.exchange("POST", route, "application/json", &body)
    }

    /// One request and its answer, which must be JSON and a success.
    fn exchange<T: DeserializeOwned>(
        &mut self,
        method: &str,
        route: &str,
        kind: &str,
        body: &[u8],
    ) -> Result<T, String> {
        let (host, len) = (&self.host, body.len());
        let head = format!(
            "{method} {route} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {kind}\r\nContent-Length: {len}\r\n\r\n"
        );
        let sent =
            self.stream.get_mut().write_all(head.as_bytes()).and_then(|()| self.stream.get_mut().write_all(body));
        sent.map_err(|e| e.to_string())?;
        let (status, answer) = self.answer().map_err(|e| format!("{route}: {e}"))?;
        if !status.contains(" 200 ") {
            return Err(format!("{route}: {status} {}", String::from_utf8_lossy(&answer)));
        }
        serde_json::from_slice(&answer).map_err(|e| format!("{route}: {e}"))
    }

    fn answer(&mut self) -> std::io::Result<(String, Vec<u8>)> {
        let (mut status, mut len) = (String::new(), 0);
        self.stream.read_line(&mut status)?;
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line)?;
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                len = value.trim().parse().unwrap_or(0);
            }
        }
        let mut body = vec![0; len];
        self.stream.read_exact(&mut body)?;
        Ok((status, body))
    }
}
