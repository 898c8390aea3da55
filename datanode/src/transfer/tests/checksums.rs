//! Checksums of replicas: both kinds, parts of a replica, one that is being written, and refusals.

use super::harness::{Client, Node, header};
use crate::store::testing::{block, bytes, finished};
use mammoth_protocol::Block;
use mammoth_protocol::datatransfer::{OpRequest, checksum};
use mammoth_protocol::hadoop::hdfs::{
    BlockChecksumOptionsProto, BlockChecksumTypeProto as Kind, BlockOpResponseProto, OpBlockChecksumProto, Status,
};
use md5::{Digest, Md5};
use std::fs;

/// More than is read at once.
const LEN: usize = 10 * 1024 * 1024 + 700;

fn ask(client: &mut Client, block: Block, len: Option<u64>, kind: Option<Kind>, stripe: u64) -> BlockOpResponseProto {
    let mut base = header(block, "client").base_header;
    base.block.num_bytes = len;
    let options = kind
        .map(|kind| BlockChecksumOptionsProto { block_checksum_type: Some(kind as i32), stripe_length: Some(stripe) });
    let request = OpBlockChecksumProto { header: base, block_checksum_options: options };
    client.stream.writer.send_op(&OpRequest::BlockChecksum(Box::new(request))).expect("sent");
    client.stream.reader.read_message("answer").expect("answered")
}

fn md5(data: &[u8]) -> Vec<u8> {
    let mut sums = Vec::new();
    checksum::append_checksums(&mut sums, data, 512);
    Md5::digest(&sums).to_vec()
}

#[test]
fn both_kinds_of_any_part_on_one_connection() {
    let node = Node::start();
    let block = finished(&node.store, block(1, 1001), LEN);
    let data = bytes(0, LEN);
    let mut client = Client::connect(node.addr);
    let full = LEN as u64;
    for (asked, len) in [
        (Some(full), LEN),
        (None, LEN),
        (Some(full + 5), LEN),
        (Some(full - 1), LEN - 1),
        (Some(1024), 1024),
        (Some(1023), 1023),
        (Some(0), 0),
    ] {
        for kind in [None, Some(Kind::Md5crc), Some(Kind::CompositeCrc)] {
            let answer = ask(&mut client, block, asked, kind, 0).checksum_response.expect("a checksum");
            assert_eq!((answer.bytes_per_crc, answer.crc_per_block, answer.crc_type), (512, 20_482, Some(2)));
            let expected = match kind {
                Some(Kind::CompositeCrc) => checksum::crc(&data[..len]).to_be_bytes().to_vec(),
                _ => md5(&data[..len]),
            };
            assert_eq!(answer.block_checksum, expected, "{asked:?} {kind:?}");
            let told = answer.block_checksum_options.expect("told").block_checksum_type();
            assert_eq!(told, kind.unwrap_or(Kind::Md5crc));
        }
    }
}

#[test]
fn a_replica_that_is_being_written_has_one_of_what_is_there() {
    let node = Node::start();
    let block = block(1, 1001);
    let mut writer = Client::create(&[&node], block);
    for (at, len) in [(0, 700), (700, 500)] {
        let seqno = writer.send(at, len);
        writer.acked(seqno, 1);
        let data = bytes(0, at as usize + len);
        let mut client = Client::connect(node.addr);
        for (kind, expected) in
            [(Kind::Md5crc, md5(&data)), (Kind::CompositeCrc, checksum::crc(&data).to_be_bytes().to_vec())]
        {
            let answer = ask(&mut client, block, Some(data.len() as u64), Some(kind), 0);
            assert_eq!(answer.checksum_response.expect("a checksum").block_checksum, expected, "{kind:?} {}", at);
        }
    }
}

#[test]
fn what_cannot_be_answered_is_refused_and_the_connection_goes_on() {
    let node = Node::start();
    let good = finished(&node.store, block(1, 1001), 5000);
    let newer = Block { stamp: mammoth_protocol::GenStamp(1002), ..good };
    let mut client = Client::connect(node.addr);
    for (wanted, kind, stripe, status, part) in [
        (newer, Kind::Md5crc, 0, Status::Error, "1002 or newer"),
        (block(99, 1), Kind::Md5crc, 0, Status::Error, "not found"),
        (good, Kind::CompositeCrc, 512, Status::ErrorUnsupported, "stripes"),
    ] {
        let answer = ask(&mut client, wanted, Some(5000), Some(kind), stripe);
        assert_eq!(answer.status, status as i32, "{answer:?}");
        assert!(answer.message().contains(part), "{answer:?}");
    }
    let answer = ask(&mut client, good, Some(5000), Some(Kind::Md5crc), 0);
    assert_eq!(answer.checksum_response.expect("a checksum").block_checksum, md5(&bytes(0, 5000)));
}

#[test]
fn rotten_bytes_in_the_last_chunk_of_a_part_get_no_checksum() {
    let node = Node::start();
    let block = finished(&node.store, block(1, 1001), 5000);
    let path = node.finalized("blk_1");
    let mut data = fs::read(&path).unwrap();
    data[1100] ^= 1;
    fs::write(&path, data).unwrap();
    let answer = ask(&mut Client::connect(node.addr), block, Some(1050), Some(Kind::Md5crc), 0);
    assert_eq!(answer.status, Status::Error as i32);
    assert!(answer.message().contains("wrong bytes"), "{answer:?}");
    assert_eq!(node.store.bad_count(), 1);
}
