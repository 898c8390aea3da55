//! Copies a replica to other datanodes: because the namenode orders it, or because a client's pipeline gets a new member.
//!
//! The source verifies what it sends: wrong bytes never spread.

use super::connection::{Link, Scratch};
use super::mirror::{self, check_answer};
use super::send::{Range, SendMode, send_range};
use super::{Context, Next, client_header};
use crate::error::{DatanodeError, Result, chain};
use crate::store::ReplicaReader;
use mammoth_net::data::DataError;
use mammoth_protocol::Block;
use mammoth_protocol::datatransfer::checksum;
use mammoth_protocol::hadoop::hdfs::op_write_block_proto::BlockConstructionStage as Stage;
use mammoth_protocol::hadoop::hdfs::{
    BaseHeaderProto, BlockOpResponseProto, ChecksumProto, ClientOperationHeaderProto, DatanodeInfoProto,
    OpTransferBlockProto, OpWriteBlockProto, Status, StorageTypeProto,
};
use mammoth_protocol::hadoop::{datanode_id, empty_token, extended_block};
use mammoth_protocol::internal::ReplicaPlace;
use std::io::Read;

/// Serves TRANSFER_BLOCK: the copy is complete when the client gets its answer.
pub(super) fn serve(context: &Context, link: &mut Link<'_>, request: &OpTransferBlockProto) -> Result<Next> {
    let result = transfer(context, request, &mut link.scratch);
    let answer = match &result {
        Ok(()) => BlockOpResponseProto { status: Status::Success as i32, ..BlockOpResponseProto::default() },
        Err(error) => {
            tracing::info!(peer = %link.conn.peer, error = %chain(error), "transfer for a pipeline failed");
            context.refusal(error)
        }
    };
    link.output.send_message(&answer)?;
    Ok(Next::Keep)
}

fn transfer(context: &Context, request: &OpTransferBlockProto, scratch: &mut Scratch) -> Result<()> {
    let (block, client) = client_header(&request.header);
    let block = context.block(block)?;
    let store = context.store()?;
    let reader = store.open_reader(block, 0)?;
    let (stage, len) = if reader.complete {
        (Stage::TransferFinalized, reader.block.len)
    } else {
        (Stage::TransferRbw, store.visible_length(block)?)
    };
    let job = Copy {
        block: Block { len: len.min(reader.block.len), ..reader.block },
        client,
        stage,
        targets: request.targets.clone(),
        storage_types: request.target_storage_types.clone(),
        storages: request.target_storage_ids.clone(),
    };
    job.run(context, &reader, scratch)
}

/// Carries out the namenode's order to copy a complete replica.
///
/// # Errors
/// No such replica, one that turns out bad (it is set aside), a target that cannot be reached or goes away.
pub(crate) fn push(context: &Context, block: Block, targets: &[ReplicaPlace]) -> Result<()> {
    let reader = open_complete(context, block)?;
    let info = |place: &ReplicaPlace| DatanodeInfoProto {
        id: datanode_id(place.datanode, &place.addr),
        ..DatanodeInfoProto::default()
    };
    let job = Copy {
        block: reader.block,
        client: "",
        stage: Stage::PipelineSetupCreate,
        targets: targets.iter().map(info).collect(),
        storage_types: vec![StorageTypeProto::Disk as i32; targets.len()],
        storages: targets.iter().map(|place| place.storage.to_string()).collect(),
    };
    job.run(context, &reader, &mut Scratch::default())
}

/// Opens a complete replica of exactly this stamp.
///
/// # Errors
/// No such replica, or none that is complete.
pub(super) fn open_complete(context: &Context, block: Block) -> Result<ReplicaReader> {
    let reader = context.store()?.open_reader(block, 0)?;
    if reader.block.stamp != block.stamp {
        let expected = block.stamp.to_string();
        return Err(DatanodeError::Stamp { block, found: reader.block.stamp, expected });
    }
    if !reader.complete {
        return Err(DatanodeError::State { block, found: "unfinished", expected: "finalized" });
    }
    Ok(reader)
}

struct Copy<'a> {
    /// What the targets will have.
    block: Block,
    /// Empty for copies between datanodes, which are not answered.
    client: &'a str,
    stage: Stage,
    targets: Vec<DatanodeInfoProto>,
    storage_types: Vec<i32>,
    storages: Vec<String>,
}

impl Copy<'_> {
    fn run(&self, context: &Context, reader: &ReplicaReader, scratch: &mut Scratch) -> Result<()> {
        let Some(target) = self.targets.first() else { return Ok(()) };
        let behind = self.targets.len() - 1;
        let request = self.request(context, reader.chunk())?;
        let mut mirror = mirror::open(context, target, behind, mirror::forwarded(&request))?;
        let stream = mirror.output.stream();
        let twin = stream.try_clone().and_then(|twin| Ok((twin, stream.peer_addr()?))).map_err(DataError::from)?;
        let _tracked = context.sockets.track(twin.0, twin.1).ok_or(DatanodeError::Stopping)?;
        let range = Range { start: 0, end: self.block.len };
        if let Err(error) = send_range(context, reader, range, SendMode::Verified, &mut mirror.output, scratch) {
            mirror.close();
            if let Some((storage, block, reason)) = error.bad_replica() {
                context.store()?.set_aside(storage, block, reason);
            }
            return Err(error);
        }
        if !self.client.is_empty() {
            return check_answer(&mirror.ready()?, target);
        }
        // Nothing is answered, but the target closes when it has everything: until then this copy counts as under way.
        let _ = mirror.output.stream().shutdown(std::net::Shutdown::Write);
        let mut stream = mirror.input.stream();
        let _ = stream.read(&mut [0]);
        Ok(())
    }

    /// A request as if it had come from a node before this one, so that forwarding makes it the target's.
    fn request(&self, context: &Context, chunk: usize) -> Result<OpWriteBlockProto> {
        let pool = &context.store()?.identity.pool_id;
        let header = BaseHeaderProto {
            block: extended_block(pool, self.block),
            token: Some(empty_token()),
            ..BaseHeaderProto::default()
        };
        Ok(OpWriteBlockProto {
            header: ClientOperationHeaderProto { base_header: header, client_name: self.client.to_owned() },
            targets: self.targets.clone(),
            stage: self.stage as i32,
            pipeline_size: 0,
            requested_checksum: ChecksumProto {
                bytes_per_checksum: u32::try_from(chunk).unwrap_or(u32::MAX),
                ..checksum::default_checksum()
            },
            target_storage_types: self.storage_types.clone(),
            target_storage_ids: self.storages.clone(),
            ..OpWriteBlockProto::default()
        })
    }
}
