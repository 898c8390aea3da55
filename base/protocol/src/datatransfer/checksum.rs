//! CRC32C of every chunk, and the header of the file that keeps them beside a block.
//!
//! A chunk size comes from [`chunk_size`], [`parse_meta_header`] or a constant, and is never zero.

use crate::hadoop::hdfs::{ChecksumProto, ChecksumTypeProto};
use crate::limits::BYTES_PER_CHECKSUM;
use crate::wire::WireError;

/// Bytes of one checksum.
pub const CRC_BYTES: usize = 4;
/// Bytes in front of the checksums in a `.meta` file.
pub const META_HEADER: usize = 7;
const META_VERSION: u16 = 1;
const TYPE_CRC32C: u8 = 2;
/// Largest chunk that is accepted from others.
const CHUNK_MAX: u32 = 1024 * 1024;

/// The checksum that we write: CRC32C of every 512 bytes.
#[must_use]
pub fn default_checksum() -> ChecksumProto {
    ChecksumProto {
        r#type: ChecksumTypeProto::ChecksumCrc32c as i32,
        bytes_per_checksum: u32::try_from(BYTES_PER_CHECKSUM).expect("a small constant"),
    }
}

/// Chunk size of a checksum that a client asks for or a datanode offers; `None` if there are no checksums at all.
///
/// # Errors
/// An algorithm other than CRC32C, or a chunk of no sensible size.
pub fn chunk_size(checksum: &ChecksumProto) -> Result<Option<usize>, WireError> {
    match ChecksumTypeProto::try_from(checksum.r#type) {
        Ok(ChecksumTypeProto::ChecksumNull) => Ok(None),
        Ok(ChecksumTypeProto::ChecksumCrc32c) => check_chunk(checksum.bytes_per_checksum).map(Some),
        Ok(ChecksumTypeProto::ChecksumCrc32) | Err(_) => {
            Err(WireError::unexpected("checksum algorithm", checksum.r#type))
        }
    }
}

fn check_chunk(bytes_per_checksum: u32) -> Result<usize, WireError> {
    match usize::try_from(bytes_per_checksum) {
        Ok(size) if size > 0 && bytes_per_checksum <= CHUNK_MAX => Ok(size),
        _ => Err(WireError::unexpected("bytes per checksum", bytes_per_checksum)),
    }
}

/// The header of a `.meta` file for CRC32C.
#[must_use]
pub fn encode_meta_header(bytes_per_checksum: u32) -> [u8; META_HEADER] {
    let [v0, v1] = META_VERSION.to_be_bytes();
    let [b0, b1, b2, b3] = bytes_per_checksum.to_be_bytes();
    [v0, v1, TYPE_CRC32C, b0, b1, b2, b3]
}

/// Reads the header of a `.meta` file: the chunk size.
///
/// # Errors
/// Another version or algorithm, or a chunk of no sensible size.
pub fn parse_meta_header(bytes: [u8; META_HEADER]) -> Result<usize, WireError> {
    let [v0, v1, algorithm, b0, b1, b2, b3] = bytes;
    let version = u16::from_be_bytes([v0, v1]);
    if version != META_VERSION {
        return Err(WireError::unexpected("version of a meta file", version));
    }
    if algorithm != TYPE_CRC32C {
        return Err(WireError::unexpected("checksum algorithm", algorithm));
    }
    check_chunk(u32::from_be_bytes([b0, b1, b2, b3]))
}

/// Bytes of the checksums of `data_len` bytes.
#[must_use]
pub const fn checksums_len(data_len: usize, chunk: usize) -> usize {
    data_len.div_ceil(chunk) * CRC_BYTES
}

/// CRC32C of some bytes.
#[must_use]
pub fn crc(data: &[u8]) -> u32 {
    crc32c::crc32c(data)
}

/// CRC32C of what `crc` covers followed by `data`: goes on with a partial chunk.
#[must_use]
pub fn extend_crc(crc: u32, data: &[u8]) -> u32 {
    crc32c::crc32c_append(crc, data)
}

/// Appends the checksums of `data`, which starts at a chunk boundary.
pub fn append_checksums(out: &mut Vec<u8>, data: &[u8], chunk: usize) {
    out.reserve(checksums_len(data.len(), chunk));
    for part in data.chunks(chunk) {
        out.extend_from_slice(&crc(part).to_be_bytes());
    }
}

/// Why data and checksums do not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadChecksum {
    /// The data of a chunk is not what its checksum says.
    #[error("checksum mismatch: chunk={index}")]
    Chunk {
        /// The first such chunk, from 0.
        index: usize,
    },
    /// More or fewer checksums than the data has chunks.
    #[error("wrong number of checksum bytes: found={found} expected={expected}")]
    Length {
        /// Bytes of checksums.
        found: usize,
        /// Bytes that the data needs.
        expected: usize,
    },
}

/// Checks `data`, which starts at a chunk boundary, against its checksums.
///
/// # Errors
/// The first chunk that does not fit.
pub fn verify(data: &[u8], checksums: &[u8], chunk: usize) -> Result<(), BadChecksum> {
    let expected = checksums_len(data.len(), chunk);
    if checksums.len() != expected {
        return Err(BadChecksum::Length { found: checksums.len(), expected });
    }
    let (crcs, _) = checksums.as_chunks::<CRC_BYTES>();
    let bad = data.chunks(chunk).zip(crcs).position(|(part, stored)| crc(part) != u32::from_be_bytes(*stored));
    bad.map_or(Ok(()), |index| Err(BadChecksum::Chunk { index }))
}
