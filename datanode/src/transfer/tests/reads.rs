//! Reading: ranges, ends, refusals, complaints.

use super::harness::{Client, Node, eventually, header};
use crate::store::testing::{block, bytes, finished};
use mammoth_protocol::Block;
use mammoth_protocol::datatransfer::OpRequest;
use mammoth_protocol::hadoop::hdfs::{BlockOpResponseProto, ClientReadStatusProto, OpReadBlockProto, Status};
use std::fs;

const LEN: u64 = 700_000;

fn node() -> (Node, Block) {
    let node = Node::start();
    let block = finished(&node.store, block(1, 1001), LEN as usize);
    (node, block)
}

#[test]
fn every_kind_of_range_arrives_widened_to_whole_chunks() {
    let (node, block) = node();
    let mut client = Client::connect(node.addr);
    for (offset, len) in
        [(0, LEN), (0, 1), (511, 2), (512, 512), (1000, 300_000), (LEN - 1, 1), (LEN, 0), (600, 0), (262_143, 2)]
    {
        let (answer, data) = client.read(block, offset, len).expect("read");
        assert_eq!(data, bytes(offset, len as usize), "{offset} {len}");
        let info = answer.read_op_checksum_info.expect("told");
        assert_eq!(info.chunk_offset, offset - offset % 512);
        assert_eq!(info.checksum.bytes_per_checksum, 512);
    }
}

#[test]
fn what_cannot_be_read_is_refused_with_a_reason_and_the_connection_goes_on() {
    let (node, block) = node();
    let mut client = Client::connect(node.addr);
    let newer = Block { stamp: mammoth_protocol::GenStamp(1002), ..block };
    let other = Block { id: mammoth_protocol::BlockId(99), ..block };
    for (block, offset, len, part) in [
        (block, LEN, 1, "do not fit"),
        (block, LEN + 1, 0, "do not fit"),
        (block, 5, u64::MAX, "do not fit"),
        (newer, 0, 1, "1001, expected 1002 or newer"),
        (other, 0, 1, "not found"),
    ] {
        let error = client.read(block, offset, len).unwrap_err();
        assert!(error.contains(part), "{offset} {len}: {error}");
    }
    let mut request = OpReadBlockProto { header: header(block, "client"), offset: 0, len: 1, ..Default::default() };
    request.header.base_header.block.pool_id = "BP-other".to_owned();
    client.stream.writer.send_op(&OpRequest::ReadBlock(Box::new(request))).unwrap();
    let answer: BlockOpResponseProto = client.stream.reader.read_message("answer").unwrap();
    assert!(answer.message().contains("pool BP-other is not served"), "{answer:?}");
    assert_eq!(client.read(block, 0, 3).unwrap().1, bytes(0, 3));
}

#[test]
fn the_disk_is_told_what_a_long_read_will_need_and_a_short_one_costs_nothing() {
    let (node, block) = node();
    let mut client = Client::connect(node.addr);
    let told = || node.context.counters.readaheads.load(std::sync::atomic::Ordering::Relaxed);
    client.read(block, 0, 256 * 1024).expect("read");
    assert_eq!(told(), 0);
    client.read(block, 0, LEN).expect("read");
    assert_eq!(told(), 3, "once for each packet, as the window is smaller than one");
}

#[test]
fn data_comes_without_checksums_if_asked() {
    let (node, block) = node();
    let mut client = Client::connect(node.addr);
    let request = OpReadBlockProto {
        header: header(block, "client"),
        offset: 100,
        len: 1000,
        send_checksums: Some(false),
        ..Default::default()
    };
    client.stream.writer.send_op(&OpRequest::ReadBlock(Box::new(request))).unwrap();
    let answer: BlockOpResponseProto = client.stream.reader.read_message("answer").unwrap();
    assert_eq!(answer.read_op_checksum_info.unwrap().checksum.r#type, 0);
    assert_eq!(client.packets(0).unwrap(), bytes(0, 1536));
}

#[test]
fn a_reader_that_says_nothing_or_leaves_early_harms_nobody() {
    let (node, block) = node();
    for packets in [0, 1, 100] {
        let mut client = Client::connect(node.addr);
        let request = OpReadBlockProto { header: header(block, "client"), offset: 0, len: LEN, ..Default::default() };
        client.stream.writer.send_op(&OpRequest::ReadBlock(Box::new(request))).unwrap();
        let _: BlockOpResponseProto = client.stream.reader.read_message("answer").unwrap();
        for _ in 0..packets {
            if client.stream.reader.read_packet().unwrap().header.last {
                break;
            }
        }
    }
    eventually("all are gone", || node.context.sockets.count() == 0);
    assert_eq!(node.store.replica_count(), 1);
}

#[test]
fn wrong_bytes_reach_the_reader_with_checksums_that_tell_and_its_complaint_sets_them_aside() {
    let (node, block) = node();
    let path = node.finalized("blk_1");
    let mut data = fs::read(&path).unwrap();
    data[600_000] ^= 1;
    fs::write(&path, data).unwrap();
    let error = node.read(block).unwrap_err();
    assert!(error.contains("corrupt packet"), "{error}");
    let mut checker = node.store.suspect_checker();
    let mut client = Client::connect(node.addr);
    client
        .stream
        .writer
        .send_op(&OpRequest::ReadBlock(Box::new(OpReadBlockProto {
            header: header(block, "client"),
            offset: 0,
            len: 1,
            ..Default::default()
        })))
        .unwrap();
    let _: BlockOpResponseProto = client.stream.reader.read_message("answer").unwrap();
    client.packets(0).unwrap();
    client.stream.writer.send_message(&ClientReadStatusProto { status: Status::ErrorChecksum as i32 }).unwrap();
    assert_eq!(client.read(block, 0, 1).unwrap().1, bytes(0, 1), "the complaint is one answer, not the end");
    while mammoth_platform::Worker::work(&mut checker).unwrap() == mammoth_platform::WorkerState::Busy {}
    assert_eq!((node.store.replica_count(), node.store.bad_count()), (0, 1));
    assert!(client.read(block, 0, 1).unwrap_err().contains("not found"));
}

#[test]
fn a_replica_whose_files_are_cut_or_missing_is_refused_and_set_aside() {
    for name in ["blk_1", "blk_1_1001.meta"] {
        for cut in [true, false] {
            let (node, block) = node();
            if cut {
                fs::File::options().write(true).open(node.finalized(name)).unwrap().set_len(1000).unwrap();
            } else {
                fs::remove_file(node.finalized(name)).unwrap();
            }
            let error = node.read(block).unwrap_err();
            assert!(error.contains("is bad: its"), "{error}");
            assert_eq!(node.store.bad_count(), 1);
        }
    }
}
