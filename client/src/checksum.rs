//! Checksum of a whole file, from checksums of its blocks that datanodes work out: no data moves.
//!
//! By default HDFS's own: MD5 of the blocks' MD5s of their chunks' CRC32Cs. It depends on chunk and block sizes. The other
//! is the CRC32C of the file's bytes, composed of those of the blocks, which does not.

use crate::client::{ClientShared, DfsClient};
use crate::error::ClientError;
use crate::rpc::namenode::CallOptions;
use crate::text::chain;
use crate::types::{BlockLocations, DatanodeInfo, LocatedBlock};
use crate::writer::pipeline::{client_header, connect_node, describe};
use mammoth_net::data::{DataStream, SocketOptions};
use mammoth_protocol::datatransfer::OpRequest;
use mammoth_protocol::datatransfer::checksum::CRC_BYTES;
use mammoth_protocol::datatransfer::compose;
use mammoth_protocol::hadoop::extended_block;
use mammoth_protocol::hadoop::hdfs::{
    BlockChecksumOptionsProto, BlockChecksumTypeProto, BlockOpResponseProto, ChecksumTypeProto, OpBlockChecksumProto,
    OpBlockChecksumResponseProto, Status,
};
use mammoth_protocol::{Block, DfsPath, ErrorCode};
use md5::{Digest, Md5};
use std::fmt;
use std::time::Duration;

const MD5_BYTES: usize = 16;
/// What Java's buffer for the blocks' MD5s is made for at first; it doubles. The MD5 of the file is of the whole buffer, its
/// unused end included, and stays so for the sake of those who compare with older values.
const JAVA_BUFFER: usize = 32;
/// Pause before the namenode is asked for other datanodes.
const PAUSE: Duration = Duration::from_millis(400);

/// How checksums of blocks become that of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ChecksumCombine {
    /// MD5 of MD5s, HDFS's default.
    #[default]
    Md5,
    /// CRC of the bytes of the file, whatever its blocks.
    CompositeCrc,
}

/// Checksum of a file, comparable to those that Hadoop's clients give. Displays as hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FileChecksum {
    /// Hadoop's name of the algorithm with its parameters, such as `MD5-of-0MD5-of-512CRC32C`.
    pub algorithm: String,
    /// Its bytes in Hadoop's order.
    pub bytes: Vec<u8>,
}

impl fmt::Display for FileChecksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl DfsClient {
    /// Checksum of the first `len` bytes of a closed file, or of all that there are; combined as configured. `None` if the
    /// blocks' checksums are of several kinds, which only a cluster of another make can have.
    ///
    /// # Errors
    /// No such file; it is being written; no replica of a block can be had.
    pub fn file_checksum(&self, path: &DfsPath, len: u64) -> Result<Option<FileChecksum>, ClientError> {
        if len == 0 {
            return Ok(Some(of_nothing()));
        }
        let shared = &*self.shared;
        let found = locate(shared, path, len)?;
        let mut file = Combiner::new(shared.config.checksum_combine, found.blocks.len());
        let mut remaining = len;
        for block in found.blocks {
            if remaining == 0 {
                break;
            }
            let wanted = block.block.len.min(remaining);
            remaining -= wanted;
            let block = LocatedBlock { block: Block { len: wanted, ..block.block }, ..block };
            let answer = ask(shared, path, block, file.combine)?;
            file.add(wanted, &answer).map_err(|what| shared.namenode.bad_answer(format!("{path}: {what}")))?;
        }
        Ok(file.finish())
    }
}

/// What HDFS gives for an empty file: the first value that it ever gave.
fn of_nothing() -> FileChecksum {
    md5_checksum(0, 0, "CRC32", &[0; JAVA_BUFFER])
}

fn md5_checksum(bytes_per_crc: u32, crc_per_block: u64, crc: &str, buffer: &[u8]) -> FileChecksum {
    let mut bytes = bytes_per_crc.to_be_bytes().to_vec();
    bytes.extend_from_slice(&crc_per_block.to_be_bytes());
    bytes.extend_from_slice(&Md5::digest(buffer));
    FileChecksum { algorithm: format!("MD5-of-{crc_per_block}MD5-of-{bytes_per_crc}{crc}"), bytes }
}

fn locate(shared: &ClientShared, path: &DfsPath, len: u64) -> Result<BlockLocations, ClientError> {
    let found = shared.block_locations(path, 0, len.min(u64::MAX >> 1), CallOptions::USER)?;
    if found.under_construction {
        let message = format!("Fail to get checksum, since file {path} is under construction.");
        return Err(ClientError::refused(ErrorCode::Io, message));
    }
    Ok(found)
}

/// Asks the datanodes of a block one after another, then the namenode for others, a few times.
fn ask(
    shared: &ClientShared,
    path: &DfsPath,
    mut block: LocatedBlock,
    combine: ChecksumCombine,
) -> Result<OpBlockChecksumResponseProto, ClientError> {
    let mut tried = Vec::new();
    for round in 0..=shared.config.block_acquire_failures {
        if round > 0 {
            std::thread::sleep(PAUSE.saturating_mul(round));
            let found = shared.block_locations(path, block.offset, 1, CallOptions::USER)?;
            let same = found.blocks.into_iter().find(|other| other.block.id == block.block.id);
            let Some(same) = same else {
                tried.push("the file has changed meanwhile".to_owned());
                break;
            };
            block.nodes = same.nodes;
            block.token = same.token;
            tried.clear();
        }
        for node in &block.nodes {
            match ask_node(shared, &block, node, combine) {
                Ok(answer) => return Ok(answer),
                Err(cause) => {
                    tracing::debug!(%path, block = %block.block, datanode = %node, "no checksum: {cause}");
                    tried.push(format!("datanode {node}: {cause}"));
                }
            }
        }
    }
    let tried = if tried.is_empty() { "no live datanode has it".to_owned() } else { tried.join("; ") };
    Err(ClientError::Read { path: path.to_string(), block: block.block.to_string(), offset: block.offset, tried })
}

fn ask_node(
    shared: &ClientShared,
    block: &LocatedBlock,
    node: &DatanodeInfo,
    combine: ChecksumCombine,
) -> Result<OpBlockChecksumResponseProto, String> {
    let kind = match combine {
        ChecksumCombine::Md5 => BlockChecksumTypeProto::Md5crc,
        ChecksumCombine::CompositeCrc => BlockChecksumTypeProto::CompositeCrc,
    };
    let options = BlockChecksumOptionsProto { block_checksum_type: Some(kind as i32), stripe_length: None };
    let wanted = extended_block(&block.pool, block.block);
    let request = OpBlockChecksumProto {
        header: client_header(&wanted, &block.token, &shared.name).base_header,
        block_checksum_options: Some(options),
    };
    let timeout = shared.config.socket_timeout;
    let sockets = SocketOptions {
        connect_timeout: timeout,
        read_timeout: timeout,
        write_timeout: timeout,
        ..SocketOptions::default()
    };
    let proto = crate::rpc::convert::datanode_proto(node);
    let stream = connect_node(&shared.config, &proto, &sockets).map_err(|error| chain(&error))?;
    let mut stream = DataStream::new(stream).map_err(|error| error.to_string())?;
    stream.writer.send_op(&OpRequest::BlockChecksum(Box::new(request))).map_err(|error| chain(&error))?;
    let response: BlockOpResponseProto =
        stream.reader.read_message("checksum of a block").map_err(|error| chain(&error))?;
    if response.status != Status::Success as i32 {
        return Err(describe(&response));
    }
    let answer = response.checksum_response.ok_or("answered without a checksum")?;
    let answered = answer.block_checksum_options.unwrap_or_default().block_checksum_type();
    let expected = if kind == BlockChecksumTypeProto::Md5crc { MD5_BYTES } else { CRC_BYTES };
    if answered != kind || answer.block_checksum.len() != expected {
        return Err(format!("answered {} bytes of {answered:?}", answer.block_checksum.len()));
    }
    Ok(answer)
}

/// Puts the checksums of blocks together.
struct Combiner {
    combine: ChecksumCombine,
    blocks: usize,
    /// What all answers must agree on, of the first.
    bytes_per_crc: u32,
    crc_per_block: u64,
    crc: &'static str,
    mixed: bool,
    seen: usize,
    md5s: Vec<u8>,
    composed: u32,
}

impl Combiner {
    fn new(combine: ChecksumCombine, blocks: usize) -> Self {
        Self {
            combine,
            blocks,
            bytes_per_crc: 0,
            crc_per_block: 0,
            crc: "",
            mixed: false,
            seen: 0,
            md5s: Vec::new(),
            composed: 0,
        }
    }

    /// Adds the answer for the next block, of `len` bytes.
    fn add(&mut self, len: u64, answer: &OpBlockChecksumResponseProto) -> Result<(), String> {
        let crc = match answer.crc_type() {
            ChecksumTypeProto::ChecksumCrc32c => "CRC32C",
            ChecksumTypeProto::ChecksumCrc32 => "CRC32",
            ChecksumTypeProto::ChecksumNull => "NULL",
        };
        if self.seen == 0 {
            (self.bytes_per_crc, self.crc) = (answer.bytes_per_crc, crc);
            // A file of one block says nothing of the block's size.
            self.crc_per_block = if self.blocks > 1 { answer.crc_per_block } else { 0 };
        }
        self.mixed |= crc != self.crc;
        self.seen += 1;
        match self.combine {
            ChecksumCombine::Md5 if answer.bytes_per_crc != self.bytes_per_crc => {
                let (found, first) = (answer.bytes_per_crc, self.bytes_per_crc);
                return Err(format!("a block has checksums of {found} bytes, the first one of {first}"));
            }
            ChecksumCombine::Md5 => self.md5s.extend_from_slice(&answer.block_checksum),
            ChecksumCombine::CompositeCrc => {
                let bytes = answer.block_checksum.first_chunk::<CRC_BYTES>().filter(|_| crc == "CRC32C");
                let bytes = bytes.ok_or_else(|| format!("checksums of the kind {crc} cannot be composed"))?;
                self.composed = compose::compose(self.composed, u32::from_be_bytes(*bytes), len);
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Option<FileChecksum> {
        match self.combine {
            _ if self.seen == 0 => Some(of_nothing()),
            _ if self.mixed || self.crc == "NULL" => None,
            ChecksumCombine::Md5 => {
                let buffer = self.md5s.len().next_power_of_two().max(JAVA_BUFFER);
                self.md5s.resize(buffer, 0);
                Some(md5_checksum(self.bytes_per_crc, self.crc_per_block, self.crc, &self.md5s))
            }
            ChecksumCombine::CompositeCrc => Some(FileChecksum {
                algorithm: format!("COMPOSITE-{}", self.crc),
                bytes: self.composed.to_be_bytes().to_vec(),
            }),
        }
    }
}

#[cfg(test)]
mod tests;
