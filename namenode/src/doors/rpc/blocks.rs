//! ClientProtocol: writing files, blocks, pipelines, leases.

use super::call::{Call, Serving};
use super::convert;
use mammoth_namenode_core::api::{Answer, Command, FileBlocks, Query, ReplicaOn, Reply, Report};
use mammoth_protocol::hadoop::hdfs::{
    AbandonBlockRequestProto, AbandonBlockResponseProto, AddBlockRequestProto, AddBlockResponseProto,
    AppendRequestProto, AppendResponseProto, CompleteRequestProto, CompleteResponseProto, CreateFlagProto,
    CreateRequestProto, CreateResponseProto, FsyncRequestProto, FsyncResponseProto, GetAdditionalDatanodeRequestProto,
    GetAdditionalDatanodeResponseProto, GetBlockLocationsRequestProto, GetBlockLocationsResponseProto,
    IsFileClosedRequestProto, IsFileClosedResponseProto, LocatedBlockProto, RecoverLeaseRequestProto,
    RecoverLeaseResponseProto, RenewLeaseRequestProto, RenewLeaseResponseProto, ReportBadBlocksRequestProto,
    ReportBadBlocksResponseProto, UpdateBlockForPipelineRequestProto, UpdateBlockForPipelineResponseProto,
    UpdatePipelineRequestProto, UpdatePipelineResponseProto,
};
use mammoth_protocol::{Block, DatanodeId, DfsPath, ErrorCode, FsError};

/// Most places that one call may ask for beyond a pipeline.
const ADDITIONAL_MAX: u32 = 512;

/// Serves the method, if it is one of this family.
pub(super) fn serve<'a>(call: &'a Call<'_>) -> Option<Serving<'a>> {
    let served = match call.method {
        "create" => call.serve(|q| create(call, q)),
        "append" => call.serve(|q| append(call, q)),
        "addBlock" => call.serve(|q| add_block(call, q)),
        "abandonBlock" => call.serve(|q| abandon_block(call, q)),
        "getAdditionalDatanode" => call.serve(|q| additional_datanode(call, q)),
        "complete" => call.serve(|q| complete(call, q)),
        "fsync" => call.serve(|q| fsync(call, q)),
        "updateBlockForPipeline" => call.serve(|q| update_block_for_pipeline(call, q)),
        "updatePipeline" => call.serve(|q| update_pipeline(call, q)),
        "getBlockLocations" => call.serve(|q| get_block_locations(call, q)),
        "isFileClosed" => call.serve(|q| is_file_closed(call, q)),
        "reportBadBlocks" => call.serve(|q| report_bad_blocks(call, q)),
        "renewLease" => call.serve(|q| renew_lease(call, q)),
        "recoverLease" => call.serve(|q| recover_lease(call, q)),
        _ => return None,
    };
    Some(served)
}

fn has(flags: u32, flag: CreateFlagProto) -> bool {
    flags & u32::try_from(flag as i32).unwrap_or_default() != 0
}

async fn create(call: &Call<'_>, q: CreateRequestProto) -> Result<CreateResponseProto, FsError> {
    let unsupported = |what: &str| Err(FsError::new(ErrorCode::Unsupported, format!("create: {what}")));
    if !has(q.create_flag, CreateFlagProto::Create) {
        return unsupported("the flag CREATE is missing; opening only what exists is not offered");
    }
    if !q.ec_policy_name().is_empty() {
        return unsupported("erasure coding is not offered");
    }
    if !matches!(q.storage_policy(), "" | "HOT") {
        return unsupported("the only storage policy is HOT");
    }
    let command = Command::Create {
        path: convert::path(&q.src)?,
        mode: convert::mode(q.masked),
        overwrite: has(q.create_flag, CreateFlagProto::Overwrite),
        create_parent: q.create_parent,
        replication: convert::replication(q.replication)?,
        block_size: q.block_size,
        client: q.client_name,
    };
    match call.order(command).await? {
        Reply::Created(status) => Ok(CreateResponseProto { fs: Some(convert::file_status(call.pool(), *status)) }),
        other => Err(call.odd(&other)),
    }
}

async fn append(call: &Call<'_>, q: AppendRequestProto) -> Result<AppendResponseProto, FsError> {
    let new_block = has(q.flag(), CreateFlagProto::NewBlock);
    let command = Command::Append { path: convert::path(&q.src)?, client: q.client_name, new_block };
    match call.order(command).await? {
        Reply::Appended { last, status } => Ok(AppendResponseProto {
            block: last.map(|last| convert::located_block(call.pool(), &last)),
            stat: Some(convert::file_status(call.pool(), *status)),
        }),
        other => Err(call.odd(&other)),
    }
}

/// Issues a command whose reply is a block.
async fn order_block(call: &Call<'_>, command: Command) -> Result<LocatedBlockProto, FsError> {
    match call.order(command).await? {
        Reply::Block(block) => Ok(convert::located_block(call.pool(), &block)),
        other => Err(call.odd(&other)),
    }
}

async fn add_block(call: &Call<'_>, q: AddBlockRequestProto) -> Result<AddBlockResponseProto, FsError> {
    let previous = q.previous.as_ref().map(|block| convert::block(call.pool(), block)).transpose()?;
    let command = Command::AddBlock {
        path: convert::path(&q.src)?,
        file: convert::file_id(q.file_id),
        client: q.client_name,
        previous,
        exclude: convert::datanodes(&q.exclude_nodes),
        favored: q.favored_nodes,
    };
    Ok(AddBlockResponseProto { block: order_block(call, command).await? })
}

async fn abandon_block(call: &Call<'_>, q: AbandonBlockRequestProto) -> Result<AbandonBlockResponseProto, FsError> {
    let command = Command::AbandonBlock {
        path: convert::path(&q.src)?,
        file: convert::file_id(q.file_id),
        client: q.holder,
        block: convert::block(call.pool(), &q.b)?,
    };
    call.done(command).await?;
    Ok(AbandonBlockResponseProto {})
}

async fn additional_datanode(
    call: &Call<'_>,
    q: GetAdditionalDatanodeRequestProto,
) -> Result<GetAdditionalDatanodeResponseProto, FsError> {
    let query = Query::AdditionalDatanode {
        path: convert::path(&q.src)?,
        file: convert::file_id(q.file_id),
        block: convert::block(call.pool(), &q.blk)?,
        existing: convert::storages(&q.existing_storage_uuids),
        exclude: convert::datanodes(&q.excludes),
        count: usize::try_from(q.num_additional_nodes.min(ADDITIONAL_MAX)).unwrap_or_default(),
        client: q.client_name,
    };
    match call.ask(query).await? {
        Answer::Block(block) => {
            Ok(GetAdditionalDatanodeResponseProto { block: convert::located_block(call.pool(), &block) })
        }
        other => Err(call.odd(&other)),
    }
}

async fn complete(call: &Call<'_>, q: CompleteRequestProto) -> Result<CompleteResponseProto, FsError> {
    let last = q.last.as_ref().map(|block| convert::block(call.pool(), block)).transpose()?;
    let (path, file) = (convert::path(&q.src)?, convert::file_id(q.file_id));
    let result = call.done(Command::Complete { path, file, client: q.client_name, last }).await?;
    Ok(CompleteResponseProto { result })
}

async fn fsync(call: &Call<'_>, q: FsyncRequestProto) -> Result<FsyncResponseProto, FsError> {
    // -1 says that the client has no length to tell.
    let last_len = u64::try_from(q.last_block_length()).ok();
    let (path, file) = (convert::path(&q.src)?, convert::file_id(q.file_id));
    call.done(Command::Fsync { path, file, client: q.client, last_len }).await?;
    Ok(FsyncResponseProto {})
}

async fn update_block_for_pipeline(
    call: &Call<'_>,
    q: UpdateBlockForPipelineRequestProto,
) -> Result<UpdateBlockForPipelineResponseProto, FsError> {
    let block = convert::block(call.pool(), &q.block)?;
    let command = Command::UpdateBlockForPipeline { block, client: q.client_name };
    Ok(UpdateBlockForPipelineResponseProto { block: order_block(call, command).await? })
}

async fn update_pipeline(
    call: &Call<'_>,
    q: UpdatePipelineRequestProto,
) -> Result<UpdatePipelineResponseProto, FsError> {
    let command = Command::UpdatePipeline {
        client: q.client_name,
        old: convert::block(call.pool(), &q.old_block)?,
        new: convert::block(call.pool(), &q.new_block)?,
        storages: convert::storages(&q.storage_ids),
    };
    call.done(command).await?;
    Ok(UpdatePipelineResponseProto {})
}

/// Where the blocks of a range are.
pub(super) async fn locations(call: &Call<'_>, path: DfsPath, offset: u64, len: u64) -> Result<FileBlocks, FsError> {
    match call.ask(Query::BlockLocations { path, offset, len }).await? {
        Answer::Blocks(blocks) => Ok(*blocks),
        other => Err(call.odd(&other)),
    }
}

async fn get_block_locations(
    call: &Call<'_>,
    q: GetBlockLocationsRequestProto,
) -> Result<GetBlockLocationsResponseProto, FsError> {
    let blocks = locations(call, convert::path(&q.src)?, q.offset, q.length).await?;
    Ok(GetBlockLocationsResponseProto { locations: Some(convert::file_blocks(call.pool(), blocks)) })
}

async fn is_file_closed(call: &Call<'_>, q: IsFileClosedRequestProto) -> Result<IsFileClosedResponseProto, FsError> {
    match call.ask(Query::IsFileClosed { path: convert::path(&q.src)? }).await? {
        Answer::Bool(result) => Ok(IsFileClosedResponseProto { result }),
        other => Err(call.odd(&other)),
    }
}

async fn report_bad_blocks(
    call: &Call<'_>,
    q: ReportBadBlocksRequestProto,
) -> Result<ReportBadBlocksResponseProto, FsError> {
    let mut replicas = Vec::new();
    for located in &q.blocks {
        let block: Block = convert::block(call.pool(), &located.b)?;
        let storages = convert::storages(&located.storage_ids);
        if storages.len() == located.locs.len() {
            replicas.extend(storages.into_iter().map(|storage| (ReplicaOn::Storage(storage), block)));
        } else {
            let nodes = convert::datanodes(&located.locs);
            replicas.extend(nodes.into_iter().map(|node: DatanodeId| (ReplicaOn::Datanode(node), block)));
        }
    }
    call.tell(Report::Bad { replicas }).await?;
    Ok(ReportBadBlocksResponseProto {})
}

async fn renew_lease(call: &Call<'_>, q: RenewLeaseRequestProto) -> Result<RenewLeaseResponseProto, FsError> {
    call.tell(Report::RenewLease { client: q.client_name }).await?;
    Ok(RenewLeaseResponseProto {})
}

async fn recover_lease(call: &Call<'_>, q: RecoverLeaseRequestProto) -> Result<RecoverLeaseResponseProto, FsError> {
    let command = Command::RecoverLease { path: convert::path(&q.src)?, client: q.client_name };
    Ok(RecoverLeaseResponseProto { result: call.done(command).await? })
}
