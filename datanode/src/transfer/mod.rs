//! The data-transfer door (9866): clients and other datanodes write, read and copy blocks here.
//!
//! # Layout
//! - [`server`]: accepts connections, bounds their number, ends them
//! - [`connection`]: one operation after another on one connection
//! - [`write`]: the head of a write: whose turn it is on the replica, and the next node of the pipeline ([`mirror`])
//! - [`receive`], [`respond`]: its packets inwards and its acknowledgements outwards; both in one thread at first ([`early`])
//! - [`read`], [`send`]: a range of a replica outwards
//! - [`copy`]: a whole replica to other datanodes
//! - [`balance`]: a whole replica from one datanode to another, for the balancer
//! - [`short_circuit`]: open files of a replica to clients on this machine, over a Unix socket
//! - [`checksum`]: the checksum of a replica
//!
//! Blocking sockets and one thread a connection (two where much goes through to a next node): what a thread waits for is always
//! bounded by a timeout, of its socket or of a poll of two, and closing the socket ends any wait.

mod balance;
mod checksum;
mod connection;
pub(crate) mod copy;
mod early;
mod mirror;
mod read;
mod receive;
mod respond;
mod send;
mod server;
mod short_circuit;
#[cfg(test)]
mod tests;
mod write;

pub(crate) use balance::Balance;
pub(crate) use server::{Server, Sockets};

use crate::error::{DatanodeError, Result, chain};
use crate::store::Store;
use mammoth_net::data::{IdleStreams, answer_timeout};
use mammoth_protocol::Block;
use mammoth_protocol::hadoop::block_of;
use mammoth_protocol::hadoop::hdfs::{BlockOpResponseProto, ClientOperationHeaderProto, ExtendedBlockProto, Status};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Times and bounds of data transfers.
#[derive(Clone, Debug)]
pub struct TransferRules {
    /// How long to wait for a peer that owes something (`dfs.client.socket-timeout`).
    pub socket_timeout: Duration,
    /// How long a peer may take nothing of what is sent; zero = for ever.
    pub write_timeout: Duration,
    /// How long a connection is kept for a further operation.
    pub keepalive: Duration,
    /// How long a new connection may take to send its first operation.
    pub op_timeout: Duration,
    /// Connections at a time.
    pub connections: usize,
    /// Other datanodes are reached by name instead of address.
    pub by_name: bool,
    /// Bytes in front of what is sent that the kernel is told to read (`dfs.datanode.readahead.bytes`); 0 = none.
    pub readahead: u64,
}

impl TransferRules {
    /// How long to wait for an answer that has to come through `nodes` further nodes.
    pub(crate) fn answer_timeout(&self, nodes: usize) -> Duration {
        answer_timeout(self.socket_timeout, nodes)
    }
}

/// What is counted.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Bytes of data received.
    pub(crate) bytes_written: AtomicU64,
    /// Bytes of data sent.
    pub(crate) bytes_read: AtomicU64,
    /// Times that the kernel was told to read ahead.
    pub(crate) readaheads: AtomicU64,
    /// Operations by outcome.
    pub(crate) ops: AtomicU64,
    /// Of these, failed ones.
    pub(crate) failed_ops: AtomicU64,
    /// Copies to other nodes under way.
    pub(crate) copies: AtomicU32,
    /// Replicas whose open files were given to clients on this machine.
    pub(crate) short_circuits: AtomicU64,
}

/// What all transfers share.
pub(crate) struct Context {
    /// The replicas, once the volumes are open.
    pub(crate) store: Arc<OnceLock<Arc<Store>>>,
    pub(crate) rules: TransferRules,
    pub(crate) counters: Counters,
    pub(crate) balance: Balance,
    pub(crate) sockets: Arc<Sockets>,
    /// Connections of clients on this machine that ask for open files.
    pub(crate) local_sockets: Arc<Sockets<UnixStream>>,
    /// Connections to other datanodes over which pipelines went.
    pub(crate) idle: IdleStreams,
}

impl Context {
    /// The replicas.
    ///
    /// # Errors
    /// The volumes are not open yet.
    pub(crate) fn store(&self) -> Result<&Arc<Store>> {
        self.store.get().ok_or(DatanodeError::NotReady)
    }

    /// The block that a request names, if it is of our pool.
    fn block(&self, block: &ExtendedBlockProto) -> Result<Block> {
        let store = self.store()?;
        if block.pool_id == store.identity.pool_id {
            return Ok(block_of(block));
        }
        let reason = format!("pool {} is not served here, {} is", block.pool_id, store.identity.pool_id);
        Err(DatanodeError::Unsupported(reason))
    }

    fn count(&self, failed: bool) {
        self.counters.ops.fetch_add(1, Ordering::Relaxed);
        self.counters.failed_ops.fetch_add(u64::from(failed), Ordering::Relaxed);
    }

    /// A refusal with its reason, which counts as a failed operation.
    fn refusal(&self, error: &DatanodeError) -> BlockOpResponseProto {
        self.counters.failed_ops.fetch_add(1, Ordering::Relaxed);
        let status = match error {
            DatanodeError::Unsupported(_) => Status::ErrorUnsupported,
            _ => Status::Error,
        };
        BlockOpResponseProto { status: status as i32, message: Some(chain(error)), ..BlockOpResponseProto::default() }
    }
}

/// The block and the client's name of a request.
fn client_header(header: &ClientOperationHeaderProto) -> (&ExtendedBlockProto, &str) {
    (&header.base_header.block, &header.client_name)
}

/// What comes after an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// A further operation may follow.
    Keep,
    /// The connection is of no use any more.
    Close,
}
