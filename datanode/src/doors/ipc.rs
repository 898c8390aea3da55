//! Hadoop RPC (9867): clients ask how much of an unfinished replica they may read, datanodes recover blocks together.

use crate::error::{DatanodeError, Result, chain};
use crate::inter::{self, InitRequest, InitResponse, UpdateRequest, UpdateResponse};
use crate::store::Store;
use crate::transfer::Context;
use bytes::Bytes;
use mammoth_net::rpc::server::{RpcCall, RpcFuture, RpcHandler, RpcResult};
use mammoth_platform::Clock;
use mammoth_protocol::hadoop::hdfs::{
    DatanodeLocalInfoProto, ExtendedBlockProto, GetBalancerBandwidthResponseProto, GetDatanodeInfoResponseProto,
    GetReplicaVisibleLengthRequestProto, GetReplicaVisibleLengthResponseProto,
};
use mammoth_protocol::hadoop::{CLIENT_DATANODE_PROTOCOL, block_of};
use mammoth_protocol::rpc::RpcFailure;
use mammoth_protocol::{Block, ErrorCode, GenStamp};
use prost::Message;
use std::sync::Arc;

/// Answers calls.
pub(crate) struct IpcHandler {
    pub(crate) transfers: Arc<Context>,
    pub(crate) clock: Arc<dyn Clock>,
    /// When the daemon started, monotonic milliseconds.
    pub(crate) started_ms: u64,
}

impl RpcHandler for IpcHandler {
    fn call(&self, call: RpcCall) -> RpcFuture {
        match (call.protocol.as_str(), call.method.as_str()) {
            (CLIENT_DATANODE_PROTOCOL, "getReplicaVisibleLength") => self.on_store(call, visible_length),
            (CLIENT_DATANODE_PROTOCOL, "getDatanodeInfo") => {
                let reply = self.info();
                Box::pin(async move { reply })
            }
            (CLIENT_DATANODE_PROTOCOL, "getBalancerBandwidth") => {
                let answer = reply(&GetBalancerBandwidthResponseProto { bandwidth: self.transfers.balance.rate() });
                Box::pin(async move { answer })
            }
            (inter::PROTOCOL, inter::INIT) => self.on_store(call, init_recovery),
            (inter::PROTOCOL, inter::UPDATE) => self.on_store(call, update_recovery),
            (CLIENT_DATANODE_PROTOCOL | inter::PROTOCOL, method) => {
                let failure = RpcFailure::no_such_method(&call.protocol, method);
                Box::pin(async move { Err(failure) })
            }
            (protocol, _) => {
                let failure = RpcFailure::no_such_protocol(protocol);
                Box::pin(async move { Err(failure) })
            }
        }
    }
}

impl IpcHandler {
    /// Runs a method where it may wait for a disk.
    fn on_store(&self, call: RpcCall, method: fn(&Store, &RpcCall) -> RpcResult) -> RpcFuture {
        let transfers = Arc::clone(&self.transfers);
        Box::pin(async move {
            let work = tokio::task::spawn_blocking(move || method(transfers.store().map_err(failure)?, &call));
            work.await.unwrap_or_else(|_| Err(RpcFailure::server(ErrorCode::Io, "the call was given up")))
        })
    }

    fn info(&self) -> RpcResult {
        let uptime_ms = self.clock.now().monotonic_ms.saturating_sub(self.started_ms);
        let info = DatanodeLocalInfoProto {
            software_version: env!("CARGO_PKG_VERSION").to_owned(),
            config_version: "core-site.xml,hdfs-site.xml".to_owned(),
            uptime: uptime_ms / 1000,
        };
        reply(&GetDatanodeInfoResponseProto { local_info: info })
    }
}

fn reply(message: &impl Message) -> RpcResult {
    Ok(Bytes::from(message.encode_to_vec()))
}

#[expect(clippy::needless_pass_by_value, reason = "used as a function value")]
fn failure(error: DatanodeError) -> RpcFailure {
    let message = chain(&error);
    match error {
        DatanodeError::NotFound { .. } => {
            RpcFailure::application("org.apache.hadoop.hdfs.server.datanode.ReplicaNotFoundException", message)
        }
        DatanodeError::InRecovery { .. } => {
            RpcFailure::application(ErrorCode::RecoveryInProgress.java_class(), message)
        }
        DatanodeError::NotReady => RpcFailure::application(ErrorCode::Retriable.java_class(), message),
        _ => RpcFailure::application(ErrorCode::Io.java_class(), message),
    }
}

/// The block of a request, if it is of our pool.
fn our_block(store: &Store, block: &ExtendedBlockProto) -> Result<Block> {
    if block.pool_id == store.identity.pool_id {
        return Ok(block_of(block));
    }
    Err(DatanodeError::Unsupported(format!("pool {} is not served here", block.pool_id)))
}

fn visible_length(store: &Store, call: &RpcCall) -> RpcResult {
    let request: GetReplicaVisibleLengthRequestProto = call.request()?;
    let length = our_block(store, &request.block).and_then(|block| store.visible_length(block)).map_err(failure)?;
    reply(&GetReplicaVisibleLengthResponseProto { length })
}

fn init_recovery(store: &Store, call: &RpcCall) -> RpcResult {
    let request: InitRequest = call.request()?;
    let stamp = GenStamp(request.block.new_stamp);
    let found = our_block(store, &request.block.block.b).and_then(|block| store.init_recovery(block, stamp));
    reply(&InitResponse::of(found.map_err(failure)?))
}

fn update_recovery(store: &Store, call: &RpcCall) -> RpcResult {
    let request: UpdateRequest = call.request()?;
    let update = |block| store.update_recovery(block, GenStamp(request.recovery), request.new_len);
    let storage = our_block(store, &request.block).and_then(update).map_err(failure)?;
    reply(&UpdateResponse { storage: Some(storage.to_string()) })
}
