//! READ_BLOCK: sends a range of a replica, widened to whole chunks, and hears how the reader liked it.

use super::connection::Link;
use super::send::{Range, SendMode, send_range};
use super::{Context, Next, client_header};
use crate::error::{DatanodeError, Result, chain};
use crate::store::ReplicaReader;
use mammoth_net::data::DataError;
use mammoth_protocol::Block;
use mammoth_protocol::hadoop::hdfs::{
    BlockOpResponseProto, ChecksumProto, ChecksumTypeProto, ClientReadStatusProto, OpReadBlockProto,
    ReadOpChecksumInfoProto, Status,
};

/// Serves the operation.
pub(super) fn serve(context: &Context, link: &mut Link<'_>, request: &OpReadBlockProto) -> Result<Next> {
    let (reader, range) = match open(context, request) {
        Ok(opened) => opened,
        Err(error) => {
            let (block, _) = client_header(&request.header);
            tracing::info!(block = block.block_id, peer = %link.conn.peer, error = %chain(&error), "read refused");
            link.output.send_message(&context.refusal(&error))?;
            return Ok(Next::Keep);
        }
    };
    let with_sums = request.send_checksums();
    link.output.send_message(&answer(&reader, range, with_sums))?;
    let mode = if with_sums { SendMode::AsIs } else { SendMode::DataOnly };
    if let Err(error) = send_range(context, &reader, range, mode, &mut link.output, &mut link.scratch) {
        if let Some((storage, block, reason)) = error.bad_replica() {
            context.store()?.set_aside(storage, block, reason);
        }
        return Err(error);
    }
    hear(context, link, reader.block)
}

fn open(context: &Context, request: &OpReadBlockProto) -> Result<(ReplicaReader, Range)> {
    let (block, _) = client_header(&request.header);
    let block = context.block(block)?;
    let (offset, len) = (request.offset, request.len);
    let need = offset.checked_add(len);
    let reader = context.store()?.open_reader(block, need.unwrap_or(u64::MAX))?;
    let found = reader.block.len;
    let Some(end) = need.filter(|end| *end <= found) else {
        return Err(DatanodeError::Range { block, offset, len, found });
    };
    let chunk = reader.chunk() as u64;
    let widened = end.checked_next_multiple_of(chunk).unwrap_or(found).min(found);
    Ok((reader, Range { start: offset - offset % chunk, end: widened }))
}

fn answer(reader: &ReplicaReader, range: Range, with_sums: bool) -> BlockOpResponseProto {
    let kind = if with_sums { ChecksumTypeProto::ChecksumCrc32c } else { ChecksumTypeProto::ChecksumNull };
    let checksum =
        ChecksumProto { r#type: kind as i32, bytes_per_checksum: u32::try_from(reader.chunk()).unwrap_or(u32::MAX) };
    BlockOpResponseProto {
        status: Status::Success as i32,
        read_op_checksum_info: Some(ReadOpChecksumInfoProto { checksum, chunk_offset: range.start }),
        ..BlockOpResponseProto::default()
    }
}

/// Reads what the reader says at the end; many say nothing and close.
fn hear(context: &Context, link: &mut Link<'_>, block: Block) -> Result<Next> {
    let status = match link.input.read_message::<ClientReadStatusProto>("status of a reader") {
        Ok(status) => Status::try_from(status.status),
        Err(DataError::Closed | DataError::Timeout | DataError::Io(_)) => return Ok(Next::Close),
        Err(error) => return Err(error.into()),
    };
    match status {
        Ok(Status::Success | Status::ChecksumOk) => Ok(Next::Keep),
        other => {
            tracing::warn!(%block, peer = %link.conn.peer, status = ?other, "a reader complains, verifying the replica");
            context.store()?.suspects().add(block.id);
            Ok(Next::Keep)
        }
    }
}
