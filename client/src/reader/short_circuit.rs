//! Short circuit: a datanode on this machine gives the open files of a replica, over a Unix socket.
//!
//! It is tried where the configuration names the socket and the datanode's address is one of this machine. Whatever goes
//! wrong costs nothing but the attempt: the same datanode is then read over TCP. A socket that does not work is left alone
//! for a while; a refusal concerns one replica only, one that is being written for instance.

use super::local::LocalBlock;
use crate::client::ClientShared;
use crate::text::chain;
use crate::types::{DatanodeInfo, LocatedBlock};
use crate::writer::pipeline::{client_header, describe};
use mammoth_net::data::domain::{self, DomainError, FILES};
use mammoth_net::data::{DataError, DataWriter, SocketOptions};
use mammoth_protocol::datatransfer::OpRequest;
use mammoth_protocol::hadoop::extended_block;
use mammoth_protocol::hadoop::hdfs::{BlockOpResponseProto, OpRequestShortCircuitAccessProto, Status};
use std::collections::BTreeMap;
use std::fs::File;
use std::net::{IpAddr, UdpSocket};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Version of the files' format that we read.
const FORMAT_VERSION: u32 = 1;
/// Opening two files takes no time; a datanode that needs longer is better asked over TCP, or not at all.
const PATIENCE_MAX: Duration = Duration::from_secs(5);

/// What a client knows of the sockets on its machine.
#[derive(Debug, Default)]
pub(crate) struct ShortCircuit {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Sockets that failed, with the time from which on they are tried again.
    failed: BTreeMap<PathBuf, u64>,
    /// Addresses of datanodes, and whether they are this machine's.
    addresses: BTreeMap<IpAddr, bool>,
}

/// Why there are no files.
enum Refusal {
    /// This replica is not to be had that way.
    Replica(String),
    /// The socket does not work.
    Socket(String),
}

impl From<DomainError> for Refusal {
    fn from(error: DomainError) -> Self {
        Self::Socket(chain(&error))
    }
}

impl From<DataError> for Refusal {
    fn from(error: DataError) -> Self {
        Self::Socket(chain(&error))
    }
}

impl ShortCircuit {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_local(&self, ip: IpAddr) -> bool {
        // Only an address of this machine can be bound to.
        *self.state().addresses.entry(ip).or_insert_with(|| ip.is_loopback() || UdpSocket::bind((ip, 0)).is_ok())
    }

    fn is_failed(&self, path: &Path, now_ms: u64) -> bool {
        self.state().failed.get(path).is_some_and(|until| now_ms < *until)
    }
}

/// A range of a replica's files, if its datanode is on this machine and gives them, and they make sense.
pub(super) fn open_block(
    shared: &ClientShared,
    block: &LocatedBlock,
    node: &DatanodeInfo,
    range: Range<u64>,
) -> Option<LocalBlock> {
    match LocalBlock::open(open(shared, block, node)?, range.start, range.end) {
        Ok(local) => Some(local),
        Err(failure) => {
            tracing::info!(block = %block.block, datanode = %node, reason = failure.text(), "reading over TCP");
            None
        }
    }
}

/// The open files of a replica, data and checksums, if its datanode is on this machine and gives them.
fn open(shared: &ClientShared, block: &LocatedBlock, node: &DatanodeInfo) -> Option<[File; FILES]> {
    let pattern = shared.config.domain_socket.as_deref()?;
    let known = &shared.short_circuit;
    if !node.ip.parse().is_ok_and(|ip| known.is_local(ip)) {
        return None;
    }
    let path = domain::effective_path(pattern, node.transfer_port);
    let now_ms = shared.namenode.clock().now().monotonic_ms;
    if known.is_failed(&path, now_ms) {
        return None;
    }
    match request(shared, block, &path) {
        Ok(files) => Some(files),
        Err(Refusal::Replica(reason)) => {
            tracing::debug!(block = %block.block, datanode = %node, reason, "not read by short circuit");
            None
        }
        Err(Refusal::Socket(reason)) => {
            tracing::info!(datanode = %node, reason, "no short circuit, reading over TCP");
            let pause = u64::try_from(shared.config.domain_socket_pause.as_millis()).unwrap_or(u64::MAX);
            known.state().failed.insert(path, now_ms.saturating_add(pause));
            None
        }
    }
}

fn request(shared: &ClientShared, block: &LocatedBlock, path: &Path) -> Result<[File; FILES], Refusal> {
    let patience = shared.config.socket_timeout.min(PATIENCE_MAX);
    let options = SocketOptions {
        connect_timeout: patience,
        read_timeout: patience,
        write_timeout: patience,
        ..SocketOptions::default()
    };
    // Who else could listen there could give us what he likes, checksums included.
    let stream = domain::connect_trusted(path, &options)?;
    let header = client_header(&extended_block(&block.pool, block.block), &block.token, &shared.name).base_header;
    let request = OpRequestShortCircuitAccessProto {
        header,
        max_version: FORMAT_VERSION,
        slot_id: None,
        supports_receipt_verification: Some(false),
    };
    DataWriter::new(&stream).send_op(&OpRequest::ShortCircuitFds(Box::new(request)))?;
    let response: BlockOpResponseProto = super::stream::read_response(&mut &stream)?;
    match Status::try_from(response.status) {
        Ok(Status::Success) => Ok(domain::receive_files(&stream)?.1),
        Ok(Status::ErrorUnsupported) => Err(Refusal::Socket(describe(&response))),
        _ => Err(Refusal::Replica(describe(&response))),
    }
}
