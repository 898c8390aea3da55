//! The data-transfer protocol, version 28, as a codec over bytes.
//!
//! A connection carries operations: version, [`Op`], a delimited request ([`OpRequest`]); the answer is a delimited
//! `BlockOpResponseProto`. Data follows as packets ([`packet`]), acknowledged upstream in a pipeline ([`ack`]), with one
//! CRC32C for every 512 bytes ([`checksum`]), which [`compose`] joins.

pub mod ack;
pub mod checksum;
pub mod compose;
pub mod packet;

use crate::hadoop::hdfs;
use crate::wire::{self, WireError};
use prost::Message;

/// Version of the protocol.
pub const VERSION: u16 = 28;
/// Bytes in front of the delimited request: the version and the operation.
pub const OP_PREFIX: usize = 3;

/// Operations that a datanode knows by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Op {
    /// Build a pipeline and receive a block.
    WriteBlock = 80,
    /// Send a range of a block.
    ReadBlock = 81,
    /// Move a replica here, for the balancer.
    ReplaceBlock = 83,
    /// Send a whole replica, for the balancer.
    CopyBlock = 84,
    /// Checksum of a whole replica.
    BlockChecksum = 85,
    /// Copy a replica to further nodes of a pipeline.
    TransferBlock = 86,
    /// Open files of a replica over a Unix socket.
    ShortCircuitFds = 87,
    /// Give a shared memory slot back.
    ShortCircuitRelease = 88,
    /// Shared memory over a Unix socket.
    ShortCircuitMemory = 89,
}

impl Op {
    /// Every operation.
    pub const ALL: [Self; 9] = [
        Self::WriteBlock,
        Self::ReadBlock,
        Self::ReplaceBlock,
        Self::CopyBlock,
        Self::BlockChecksum,
        Self::TransferBlock,
        Self::ShortCircuitFds,
        Self::ShortCircuitRelease,
        Self::ShortCircuitMemory,
    ];
}

/// Reads what stands in front of the request.
///
/// # Errors
/// Another version, or an operation that is not known: there is no way to answer it, the connection must close.
pub fn parse_op_prefix(prefix: [u8; OP_PREFIX]) -> Result<Op, WireError> {
    let [high, low, code] = prefix;
    let version = u16::from_be_bytes([high, low]);
    if version != VERSION {
        return Err(WireError::unexpected("data transfer version", version));
    }
    let op = Op::ALL.into_iter().find(|op| *op as u8 == code);
    op.ok_or_else(|| WireError::unexpected("data transfer operation", code))
}

/// A request that opens an operation.
#[derive(Clone, Debug, PartialEq)]
pub enum OpRequest {
    /// [`Op::WriteBlock`].
    WriteBlock(Box<hdfs::OpWriteBlockProto>),
    /// [`Op::ReadBlock`].
    ReadBlock(Box<hdfs::OpReadBlockProto>),
    /// [`Op::ReplaceBlock`].
    ReplaceBlock(Box<hdfs::OpReplaceBlockProto>),
    /// [`Op::CopyBlock`].
    CopyBlock(Box<hdfs::OpCopyBlockProto>),
    /// [`Op::BlockChecksum`].
    BlockChecksum(Box<hdfs::OpBlockChecksumProto>),
    /// [`Op::TransferBlock`].
    TransferBlock(Box<hdfs::OpTransferBlockProto>),
    /// [`Op::ShortCircuitFds`].
    ShortCircuitFds(Box<hdfs::OpRequestShortCircuitAccessProto>),
    /// [`Op::ShortCircuitRelease`].
    ShortCircuitRelease(Box<hdfs::ReleaseShortCircuitAccessRequestProto>),
    /// [`Op::ShortCircuitMemory`].
    ShortCircuitMemory(Box<hdfs::ShortCircuitShmRequestProto>),
}

impl OpRequest {
    /// The operation.
    #[must_use]
    pub fn op(&self) -> Op {
        match self {
            Self::WriteBlock(_) => Op::WriteBlock,
            Self::ReadBlock(_) => Op::ReadBlock,
            Self::ReplaceBlock(_) => Op::ReplaceBlock,
            Self::CopyBlock(_) => Op::CopyBlock,
            Self::BlockChecksum(_) => Op::BlockChecksum,
            Self::TransferBlock(_) => Op::TransferBlock,
            Self::ShortCircuitFds(_) => Op::ShortCircuitFds,
            Self::ShortCircuitRelease(_) => Op::ShortCircuitRelease,
            Self::ShortCircuitMemory(_) => Op::ShortCircuitMemory,
        }
    }

    /// Appends prefix and request.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::WriteBlock(m) => encode_op(out, Op::WriteBlock, m.as_ref()),
            Self::ReadBlock(m) => encode_op(out, Op::ReadBlock, m.as_ref()),
            Self::ReplaceBlock(m) => encode_op(out, Op::ReplaceBlock, m.as_ref()),
            Self::CopyBlock(m) => encode_op(out, Op::CopyBlock, m.as_ref()),
            Self::BlockChecksum(m) => encode_op(out, Op::BlockChecksum, m.as_ref()),
            Self::TransferBlock(m) => encode_op(out, Op::TransferBlock, m.as_ref()),
            Self::ShortCircuitFds(m) => encode_op(out, Op::ShortCircuitFds, m.as_ref()),
            Self::ShortCircuitRelease(m) => encode_op(out, Op::ShortCircuitRelease, m.as_ref()),
            Self::ShortCircuitMemory(m) => encode_op(out, Op::ShortCircuitMemory, m.as_ref()),
        }
    }

    /// Parses the request of an operation, without its length.
    ///
    /// # Errors
    /// [`WireError::Malformed`].
    pub fn decode(op: Op, bytes: &[u8]) -> Result<Self, WireError> {
        Ok(match op {
            Op::WriteBlock => Self::WriteBlock(boxed(bytes)?),
            Op::ReadBlock => Self::ReadBlock(boxed(bytes)?),
            Op::ReplaceBlock => Self::ReplaceBlock(boxed(bytes)?),
            Op::CopyBlock => Self::CopyBlock(boxed(bytes)?),
            Op::BlockChecksum => Self::BlockChecksum(boxed(bytes)?),
            Op::TransferBlock => Self::TransferBlock(boxed(bytes)?),
            Op::ShortCircuitFds => Self::ShortCircuitFds(boxed(bytes)?),
            Op::ShortCircuitRelease => Self::ShortCircuitRelease(boxed(bytes)?),
            Op::ShortCircuitMemory => Self::ShortCircuitMemory(boxed(bytes)?),
        })
    }
}

fn boxed<M: Message + Default>(bytes: &[u8]) -> Result<Box<M>, WireError> {
    wire::decode(bytes, "data transfer request").map(Box::new)
}

/// Appends the prefix of an operation and its request.
pub fn encode_op(out: &mut Vec<u8>, op: Op, message: &impl Message) {
    out.extend_from_slice(&VERSION.to_be_bytes());
    out.push(op as u8);
    wire::put_message(out, message);
}

#[cfg(test)]
mod tests;
