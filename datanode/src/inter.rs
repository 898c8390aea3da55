//! InterDatanodeProtocol: what datanodes ask each other over Hadoop RPC to recover a block. The messages are written out
//! here, with their public field numbers, as nobody else speaks this protocol.

use crate::store::Candidate;
use crate::store::replica::Class;
use mammoth_protocol::hadoop::hdfs::{BlockProto, ExtendedBlockProto, LocatedBlockProto};
use mammoth_protocol::{Block, BlockId, GenStamp};

/// Name of the protocol in request headers.
pub(crate) const PROTOCOL: &str = "org.apache.hadoop.hdfs.server.protocol.InterDatanodeProtocol";
/// Freezes a replica.
pub(crate) const INIT: &str = "initReplicaRecovery";
/// Cuts and completes a frozen replica.
pub(crate) const UPDATE: &str = "updateReplicaUnderRecovery";

/// A block and the stamp that its recovery will give.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RecoveringBlock {
    #[prost(uint64, required, tag = "1")]
    pub(crate) new_stamp: u64,
    #[prost(message, required, tag = "2")]
    pub(crate) block: LocatedBlockProto,
}

/// Request of [`INIT`].
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct InitRequest {
    #[prost(message, required, tag = "1")]
    pub(crate) block: RecoveringBlock,
}

/// Answer to [`INIT`].
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct InitResponse {
    #[prost(bool, required, tag = "1")]
    pub(crate) found: bool,
    #[prost(enumeration = "StateCode", optional, tag = "2")]
    pub(crate) state: Option<i32>,
    #[prost(message, optional, tag = "3")]
    pub(crate) block: Option<BlockProto>,
}

/// Request of [`UPDATE`].
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct UpdateRequest {
    #[prost(message, required, tag = "1")]
    pub(crate) block: ExtendedBlockProto,
    #[prost(uint64, required, tag = "2")]
    pub(crate) recovery: u64,
    #[prost(uint64, required, tag = "3")]
    pub(crate) new_len: u64,
    #[prost(uint64, optional, tag = "4")]
    pub(crate) new_block_id: Option<u64>,
}

/// Answer to [`UPDATE`].
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct UpdateResponse {
    #[prost(string, optional, tag = "1")]
    pub(crate) storage: Option<String>,
}

/// States of replicas as this protocol numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum StateCode {
    /// Complete.
    Finalized = 0,
    /// Being written.
    Rbw = 1,
    /// Was being written before a restart.
    Rwr = 2,
    /// In recovery.
    Rur = 3,
    /// A copy that arrives.
    Temporary = 4,
}

impl InitResponse {
    /// The answer for a replica, or for none.
    pub(crate) fn of(candidate: Option<Candidate>) -> Self {
        let Some(candidate) = candidate else { return Self { found: false, state: None, block: None } };
        let state = match candidate.class {
            Class::Finalized => StateCode::Finalized,
            Class::Rbw => StateCode::Rbw,
            Class::Rwr => StateCode::Rwr,
        };
        let block = BlockProto {
            block_id: candidate.block.id.0.cast_unsigned(),
            gen_stamp: candidate.block.stamp.0,
            num_bytes: Some(candidate.block.len),
        };
        Self { found: true, state: Some(state as i32), block: Some(block) }
    }

    /// The replica that another datanode has to offer; `None` if it has none that can take part.
    pub(crate) fn candidate(&self) -> Option<Candidate> {
        let block = self.block.as_ref().filter(|_| self.found)?;
        let class = match StateCode::try_from(self.state?).ok()? {
            StateCode::Finalized => Class::Finalized,
            StateCode::Rbw => Class::Rbw,
            StateCode::Rwr => Class::Rwr,
            StateCode::Rur | StateCode::Temporary => return None,
        };
        let (id, stamp) = (BlockId(block.block_id.cast_signed()), GenStamp(block.gen_stamp));
        Some(Candidate { block: Block { id, stamp, len: block.num_bytes() }, class })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message;

    #[test]
    fn answers_survive_the_wire_with_hadoops_field_numbers() {
        let block = Block { id: BlockId(1), stamp: GenStamp(2), len: 3 };
        let bytes = InitResponse::of(Some(Candidate { block, class: Class::Rwr })).encode_to_vec();
        assert_eq!(bytes, [8, 1, 16, 2, 26, 6, 8, 1, 16, 2, 24, 3]);
        let back = InitResponse::decode(bytes.as_slice()).unwrap();
        assert_eq!(back.candidate(), Some(Candidate { block, class: Class::Rwr }));
        assert_eq!(InitResponse::of(None).encode_to_vec(), [8, 0]);
        assert_eq!(InitResponse::of(None).candidate(), None);
    }
}
