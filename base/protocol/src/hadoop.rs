//! Hadoop's messages, generated from `proto/` (public field numbers and names), and the few conversions to our own types
//! that every door needs.
//!
//! The parser does not insist on the fields that the definitions call required: an absent one reads as zero or empty, and
//! whoever uses a value checks it.
//!
//! `common` is Hadoop RPC itself, `hdfs` everything about files, blocks and datanodes.

use crate::ids::{Block, BlockId, DatanodeId, GenStamp};
use crate::internal::DatanodeAddr;

/// RPC headers, tokens, high-availability state.
#[allow(missing_docs, unreachable_pub, rust_2018_idioms, clippy::all, clippy::pedantic)]
pub mod common {
    include!(concat!(env!("OUT_DIR"), "/hadoop.common.rs"));
}

/// ClientProtocol, ClientDatanodeProtocol, NamenodeProtocol and the data-transfer protocol.
#[allow(missing_docs, unreachable_pub, rust_2018_idioms, clippy::all, clippy::pedantic)]
pub mod hdfs {
    include!(concat!(env!("OUT_DIR"), "/hadoop.hdfs.rs"));
}

/// Name of the namenode's protocol in request headers.
pub const CLIENT_PROTOCOL: &str = "org.apache.hadoop.hdfs.protocol.ClientProtocol";
/// Name of the protocol by which programs of the cluster itself call the namenode: the balancer, here.
pub const NAMENODE_PROTOCOL: &str = "org.apache.hadoop.hdfs.server.protocol.NamenodeProtocol";
/// Name of the datanode's protocol in request headers.
pub const CLIENT_DATANODE_PROTOCOL: &str = "org.apache.hadoop.hdfs.protocol.ClientDatanodeProtocol";

/// A block as messages carry it.
#[must_use]
pub fn extended_block(pool: &str, block: Block) -> hdfs::ExtendedBlockProto {
    hdfs::ExtendedBlockProto {
        pool_id: pool.to_owned(),
        block_id: block.id.0.cast_unsigned(),
        generation_stamp: block.stamp.0,
        num_bytes: Some(block.len),
    }
}

/// The block that a message carries, without its pool; the length is 0 if the message has none.
#[must_use]
pub fn block_of(proto: &hdfs::ExtendedBlockProto) -> Block {
    Block { id: BlockId(proto.block_id.cast_signed()), stamp: GenStamp(proto.generation_stamp), len: proto.num_bytes() }
}

/// The token of a cluster without security. Clients demand the field, and all four parts in it.
#[must_use]
pub fn empty_token() -> common::TokenProto {
    common::TokenProto::default()
}

/// Where clients reach a datanode.
#[must_use]
pub fn datanode_id(id: DatanodeId, addr: &DatanodeAddr) -> hdfs::DatanodeIdProto {
    hdfs::DatanodeIdProto {
        ip_addr: addr.ip.to_string(),
        host_name: addr.hostname.clone(),
        datanode_uuid: id.to_string(),
        xfer_port: u32::from(addr.transfer_port),
        info_port: u32::from(addr.info_port),
        ipc_port: u32::from(addr.ipc_port),
        info_secure_port: Some(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message as _;

    #[test]
    fn a_block_survives_the_message() {
        let block = Block { id: BlockId(-9_223_372_036_854_775_792), stamp: GenStamp(1001), len: 5 };
        let proto = extended_block("BP-1", block);
        let back = hdfs::ExtendedBlockProto::decode(proto.encode_to_vec().as_slice()).expect("its own bytes");
        assert_eq!(block_of(&back), block);
    }

    #[test]
    fn an_empty_token_still_sends_its_four_required_fields() {
        assert_eq!(empty_token().encode_to_vec(), [0x0a, 0, 0x12, 0, 0x1a, 0, 0x22, 0]);
    }

    #[test]
    fn extended_block_golden_bytes() {
        // poolId "BP" = 0a 02 42 50; blockId 1073741825 = 10 81 80 80 80 04; stamp 1001 = 18 e9 07; numBytes 5 = 20 05
        let block = Block { id: BlockId(1_073_741_825), stamp: GenStamp(1001), len: 5 };
        let expected = [0x0a, 2, 0x42, 0x50, 0x10, 0x81, 0x80, 0x80, 0x80, 0x04, 0x18, 0xe9, 0x07, 0x20, 5];
        assert_eq!(extended_block("BP", block).encode_to_vec(), expected);
    }
}
