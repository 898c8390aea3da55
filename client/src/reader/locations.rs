//! Which blocks a file has and where, asked for as far as needed.

use crate::client::ClientShared;
use crate::error::ClientError;
use crate::rpc::namenode::CallOptions;
use crate::types::{BlockLocations, DatanodeInfo, LocatedBlock, host_port};
use mammoth_net::rpc::client::{RpcClient, RpcClientConfig, RpcClientError};
use mammoth_protocol::DfsPath;
use mammoth_protocol::hadoop::{CLIENT_DATANODE_PROTOCOL, extended_block, hdfs};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Blocks whose locations are fetched at once.
const PREFETCH_BLOCKS: u64 = 10;

/// The blocks that are known so far.
#[derive(Debug)]
pub(super) struct Locations {
    /// Length of the file as it was at the start.
    len: u64,
    /// By position in the file.
    blocks: BTreeMap<u64, LocatedBlock>,
}

impl Locations {
    /// Fetches the first blocks, and the length with an unfinished last block.
    pub(super) fn open(shared: &Arc<ClientShared>, path: &DfsPath) -> Result<Self, ClientError> {
        let mut failure = None;
        for attempt in 0..=shared.config.block_acquire_failures {
            if attempt > 0 {
                std::thread::sleep(pause_before(attempt));
            }
            let found = fetch(shared, path, 0)?;
            match visible_len(shared, path, &found) {
                Ok(len) => {
                    let mut locations = Self::empty(len);
                    locations.take_in(found);
                    return Ok(locations);
                }
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.unwrap_or_else(|| ClientError::file_not_found(path)))
    }

    /// Nothing known yet of a file of so many bytes.
    pub(super) fn empty(len: u64) -> Self {
        Self { len, blocks: BTreeMap::new() }
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// The block at a position, if it is known.
    pub(super) fn block_at(&self, position: u64) -> Option<&LocatedBlock> {
        let (_, block) = self.blocks.range(..=position).next_back()?;
        block.holds(position).then_some(block)
    }

    /// Adds what the namenode says, in place of what it said before.
    pub(super) fn take_in(&mut self, found: BlockLocations) {
        let unfinished = (!found.is_last_block_complete).then_some(found.last_block).flatten();
        for block in found.blocks.into_iter().chain(unfinished) {
            // An unfinished block is as long as its datanodes say, which was asked at the start.
            let is_unfinished = !found.is_last_block_complete && block.offset >= found.file_len;
            let len = if is_unfinished { self.len.saturating_sub(block.offset) } else { block.block.len };
            if len > 0 {
                let block = LocatedBlock { block: mammoth_protocol::Block { len, ..block.block }, ..block };
                self.blocks.insert(block.offset, block);
            }
        }
    }
}

/// Pause before the namenode is asked again, from the first time (1) on: a datanode may be restarting.
pub(super) fn pause_before(attempt: u32) -> Duration {
    Duration::from_millis(400).saturating_mul(4_u32.saturating_pow(attempt.saturating_sub(1).min(3)))
}

/// Asks for some blocks from a position on.
pub(super) fn fetch(shared: &ClientShared, path: &DfsPath, position: u64) -> Result<BlockLocations, ClientError> {
    let len = shared.config.block_size.saturating_mul(PREFETCH_BLOCKS);
    shared.block_locations(path, position, len, CallOptions::OPEN_FILE)
}

/// Length of the file, with what readers may see of an unfinished last block.
fn visible_len(shared: &Arc<ClientShared>, path: &DfsPath, found: &BlockLocations) -> Result<u64, ClientError> {
    let Some(last) = found.last_block.as_ref().filter(|_| !found.is_last_block_complete) else {
        return Ok(found.file_len);
    };
    let mut refused = 0;
    let mut causes = Vec::new();
    for node in &last.nodes {
        match replica_visible_len(shared, last, node) {
            Ok(len) => return Ok(found.file_len.saturating_add(len)),
            Err(error) => {
                refused += usize::from(is_replica_missing(&error));
                causes.push(format!("{node}: {}", crate::text::chain(&error)));
            }
        }
    }
    if last.nodes.is_empty() {
        // It has a pipeline, whose datanodes may hold acknowledged bytes: they have not told a namenode that restarted yet.
        causes.push("the namenode knows none of its datanodes at present".to_owned());
    } else if refused == last.nodes.len() {
        // Its writer has not sent a byte yet.
        return Ok(found.file_len);
    }
    Err(ClientError::Read {
        path: path.to_string(),
        block: last.block.to_string(),
        offset: last.offset,
        tried: format!("its length is unknown: {}", causes.join("; ")),
    })
}

fn replica_visible_len(
    shared: &ClientShared,
    block: &LocatedBlock,
    node: &DatanodeInfo,
) -> Result<u64, RpcClientError> {
    let host = if shared.config.use_datanode_hostname { &node.hostname } else { &node.ip };
    let config = RpcClientConfig {
        connect_timeout: shared.config.socket_timeout,
        call_timeout: shared.config.socket_timeout,
        ..RpcClientConfig::new(
            host_port(host, node.ipc_port),
            CLIENT_DATANODE_PROTOCOL,
            &shared.config.user,
            shared.client_id,
        )
    };
    let request = hdfs::GetReplicaVisibleLengthRequestProto { block: extended_block(&block.pool, block.block) };
    let datanode = RpcClient::new(config, Arc::clone(shared.namenode.clock()));
    let reply: hdfs::GetReplicaVisibleLengthResponseProto = datanode.call("getReplicaVisibleLength", &request)?;
    Ok(reply.length)
}

fn is_replica_missing(error: &RpcClientError) -> bool {
    error.remote().is_some_and(|failure| failure.java_class.ends_with(".ReplicaNotFoundException"))
}
