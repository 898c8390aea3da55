//! BLOCK_CHECKSUM: the checksum of a replica, or of its first bytes, from the checksums of its chunks.
//!
//! Two kinds: MD5 over the chunks' checksums as they lie in the file, and CRC32C composed of them. Neither reads the data,
//! except for a chunk that the request ends in.

use super::connection::Link;
use super::{Context, Next};
use crate::error::{DatanodeError, Result, chain};
use crate::store::ReplicaReader;
use mammoth_protocol::datatransfer::checksum::{self, CRC_BYTES};
use mammoth_protocol::datatransfer::compose::{self, Composer};
use mammoth_protocol::hadoop::hdfs::{
    BlockChecksumTypeProto as Kind, BlockOpResponseProto, ChecksumTypeProto, OpBlockChecksumProto,
    OpBlockChecksumResponseProto, Status,
};
use md5::{Digest, Md5};

/// Data whose checksums are read at once.
const STEP_CHUNKS: u64 = 16 * 1024;

/// Serves the operation.
pub(super) fn serve(context: &Context, link: &mut Link<'_>, request: &OpBlockChecksumProto) -> Result<Next> {
    let answer = match compute(context, request) {
        Ok(answer) => BlockOpResponseProto { checksum_response: Some(answer), ..BlockOpResponseProto::default() },
        Err(error) => {
            let block = request.header.block.block_id;
            tracing::info!(block, peer = %link.conn.peer, error = %chain(&error), "no checksum of a block");
            if let Some((storage, block, reason)) = error.bad_replica() {
                context.store()?.set_aside(storage, block, reason);
            }
            context.refusal(&error)
        }
    };
    debug_assert_eq!(answer.checksum_response.is_some(), answer.status == Status::Success as i32);
    link.output.send_message(&answer)?;
    Ok(Next::Keep)
}

fn compute(context: &Context, request: &OpBlockChecksumProto) -> Result<OpBlockChecksumResponseProto> {
    let options = request.block_checksum_options.unwrap_or_default();
    let block = context.block(&request.header.block)?;
    let reader = context.store()?.open_reader(block, block.len)?;
    let found = reader.block.len;
    // A request may end within the block; one without a length is for all of it.
    let len = request.header.block.num_bytes.map_or(found, |wanted| wanted.min(found));
    let block_checksum = match options.block_checksum_type() {
        Kind::Md5crc => {
            let mut md5 = Md5::new();
            each_checksum(&reader, len, |sums| md5.update(sums))?;
            md5.finalize().to_vec()
        }
        Kind::CompositeCrc if matches!(options.stripe_length(), 0) || options.stripe_length() >= len => {
            composed(&reader, len)?.to_be_bytes().to_vec()
        }
        Kind::CompositeCrc => {
            let reason = "checksums of stripes are not supported by this datanode, which has no erasure-coded files";
            return Err(DatanodeError::Unsupported(reason.to_owned()));
        }
    };
    let chunk = reader.chunk();
    Ok(OpBlockChecksumResponseProto {
        bytes_per_crc: u32::try_from(chunk).unwrap_or(u32::MAX),
        crc_per_block: found.div_ceil(chunk as u64),
        block_checksum,
        crc_type: Some(ChecksumTypeProto::ChecksumCrc32c as i32),
        block_checksum_options: Some(options),
    })
}

/// CRC32C of the first `len` bytes.
fn composed(reader: &ReplicaReader, len: u64) -> Result<u32> {
    let chunk = reader.chunk() as u64;
    let composer = Composer::new(chunk);
    let (mut full, mut crc) = (len / chunk, 0);
    each_checksum(reader, len, |sums| {
        for sum in sums.as_chunks::<CRC_BYTES>().0 {
            let next = u32::from_be_bytes(*sum);
            crc = if full > 0 { composer.add(crc, next) } else { compose::compose(crc, next, len % chunk) };
            full = full.saturating_sub(1);
        }
    })?;
    Ok(crc)
}

/// Gives the checksums of the first `len` bytes, some at a time, as they lie in the file.
fn each_checksum(reader: &ReplicaReader, len: u64, mut take: impl FnMut(&[u8])) -> Result<()> {
    let chunk = reader.chunk() as u64;
    let ends_in_chunk = len < reader.block.len && !len.is_multiple_of(chunk);
    let end = if ends_in_chunk { len - len % chunk } else { len };
    let (mut pos, mut sums) = (0, Vec::new());
    while pos < end {
        let step = (STEP_CHUNKS * chunk).min(end - pos);
        reader.read_sums(pos, usize::try_from(step).unwrap_or(usize::MAX), &mut sums)?;
        take(&sums);
        pos += step;
    }
    if ends_in_chunk {
        take(&tail(reader, end, len)?.to_be_bytes());
    }
    Ok(())
}

/// The checksum of the bytes from `start`, a chunk boundary, to `len`, within the chunk there. The whole chunk is verified
/// first, so that rotten bytes get no valid checksum.
fn tail(reader: &ReplicaReader, start: u64, len: u64) -> Result<u32> {
    let whole = (reader.chunk() as u64).min(reader.block.len - start);
    let mut data = vec![0; usize::try_from(whole).unwrap_or_else(|_| reader.chunk())];
    let mut sums = Vec::new();
    reader.read_data(start, &mut data)?;
    reader.read_sums(start, data.len(), &mut sums)?;
    reader.verify(start, &data, &sums)?;
    let part = usize::try_from(len - start).unwrap_or(data.len());
    Ok(checksum::crc(data.get(..part).unwrap_or(&data)))
}
