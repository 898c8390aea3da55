//! NamenodeProtocol: what the balancer asks. Its other methods are for further namenodes, of which there are none; they are
//! refused by name.

use super::call::{Call, Served};
use mammoth_namenode_core::api::{Answer, BlockOn, Query, Report};
use mammoth_protocol::hadoop::NAMENODE_PROTOCOL;
use mammoth_protocol::hadoop::hdfs::{
    BlockProto, BlockWithLocationsProto, BlocksWithLocationsProto, GetBlockKeysRequestProto, GetBlockKeysResponseProto,
    GetBlocksRequestProto, GetBlocksResponseProto, NamespaceInfoProto, SetBalancerBandwidthRequestProto,
    SetBalancerBandwidthResponseProto, StorageInfoProto, StorageTypeProto, VersionRequestProto, VersionResponseProto,
};
use mammoth_protocol::rpc::RpcFailure;
use mammoth_protocol::{DatanodeId, ErrorCode, FsError};

/// Hadoop's word for a namenode that decides.
const ACTIVE: u32 = 0;
/// Version of the folder's layout; Hadoop's own are negative, as its folders cannot be opened here nor ours there.
const LAYOUT: u32 = 1;
/// Methods that are for further namenodes.
const ABSENT: [&str; 10] = [
    "getTransactionId",
    "getMostRecentCheckpointTxId",
    "rollEditLog",
    "errorReport",
    "registerSubordinateNamenode",
    "startCheckpoint",
    "endCheckpoint",
    "getEditLogManifest",
    "isUpgradeFinalized",
    "isRollingUpgrade",
];

/// Serves a call of this protocol.
pub(super) async fn serve(call: &Call<'_>) -> Served {
    match call.method {
        "getBlocks" => call.serve(|q| get_blocks(call, q)).await,
        "getBlockKeys" => call.serve(|q| get_block_keys(call, q)).await,
        "versionRequest" => call.serve(|q| version_request(call, q)).await,
        method if ABSENT.contains(&method) => {
            let message = format!("{method}: Mammoth does not offer this call of further namenodes");
            Err(FsError::new(ErrorCode::Unsupported, message).into())
        }
        method => Err(RpcFailure::no_such_method(NAMENODE_PROTOCOL, method)),
    }
}

async fn get_blocks(call: &Call<'_>, q: GetBlocksRequestProto) -> Result<GetBlocksResponseProto, FsError> {
    call.require_superuser()?;
    let bad = |message: String| FsError::new(ErrorCode::IllegalArgument, message);
    if q.size == 0 {
        return Err(bad("Unexpected not positive size: 0".to_owned()));
    }
    let uuid = &q.datanode.datanode_uuid;
    let datanode = uuid.parse().map(DatanodeId).map_err(|_| bad(format!("Datanode {uuid} not found.")))?;
    match call.ask(Query::BlocksOn { datanode, bytes: q.size, min_len: q.min_block_size() }).await? {
        Answer::BlocksOn(blocks) => {
            let blocks = blocks.iter().map(block_with_locations).collect();
            Ok(GetBlocksResponseProto { blocks: BlocksWithLocationsProto { blocks } })
        }
        other => Err(call.odd(&other)),
    }
}

fn block_with_locations(found: &BlockOn) -> BlockWithLocationsProto {
    let (block, places) = (found.block, &found.places);
    BlockWithLocationsProto {
        block: BlockProto {
            block_id: block.id.0.cast_unsigned(),
            gen_stamp: block.stamp.0,
            num_bytes: Some(block.len),
        },
        datanode_uuids: places.iter().map(|(datanode, _)| datanode.to_string()).collect(),
        storage_uuids: places.iter().map(|(_, storage)| storage.to_string()).collect(),
        storage_types: vec![StorageTypeProto::Disk as i32; places.len()],
    }
}

/// There are no block tokens, and so no keys.
async fn get_block_keys(call: &Call<'_>, _: GetBlockKeysRequestProto) -> Result<GetBlockKeysResponseProto, FsError> {
    call.require_superuser()?;
    Ok(GetBlockKeysResponseProto { keys: None })
}

async fn version_request(call: &Call<'_>, _: VersionRequestProto) -> Result<VersionResponseProto, FsError> {
    call.require_superuser()?;
    let (identity, version) = (&call.door.identity, env!("CARGO_PKG_VERSION"));
    let info = NamespaceInfoProto {
        build_version: version.to_owned(),
        unused: 0,
        block_pool_id: call.pool().to_owned(),
        storage_info: StorageInfoProto {
            layout_version: LAYOUT,
            namespce_id: identity.namespace_id,
            cluster_id: identity.cluster_id.clone(),
            c_time: identity.created_ms,
        },
        software_version: version.to_owned(),
        capabilities: Some(0),
        state: Some(ACTIVE),
    };
    Ok(VersionResponseProto { info })
}

/// Of ClientProtocol: what datanodes may use for balancing, told with the next heartbeats.
pub(super) async fn set_bandwidth(
    call: &Call<'_>,
    q: SetBalancerBandwidthRequestProto,
) -> Result<SetBalancerBandwidthResponseProto, FsError> {
    call.require_superuser()?;
    let Ok(bytes) = u64::try_from(q.bandwidth) else {
        let message = format!("Bandwidth should be a non-negative integer, not {}", q.bandwidth);
        return Err(FsError::new(ErrorCode::IllegalArgument, message));
    };
    call.tell(Report::BalanceRate(bytes)).await?;
    Ok(SetBalancerBandwidthResponseProto {})
}
