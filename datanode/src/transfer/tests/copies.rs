//! Copies between datanodes: by order of the namenode, and for a pipeline that grows.

use super::harness::{Client, Node, eventually, header, info, write_request};
use crate::store::testing::{block, bytes, finished};
use crate::transfer::copy;
use mammoth_protocol::Block;
use mammoth_protocol::datatransfer::OpRequest;
use mammoth_protocol::hadoop::hdfs::op_write_block_proto::BlockConstructionStage as Stage;
use mammoth_protocol::hadoop::hdfs::{BlockOpResponseProto, OpTransferBlockProto, Status};
use mammoth_protocol::internal::ReplicaState;
use std::fs;

#[test]
fn an_ordered_copy_reaches_all_targets_and_the_source_waits_for_the_first() {
    let nodes = [Node::start(), Node::start(), Node::start()];
    let [a, b, c] = &nodes;
    for (id, len) in [(1, 1_000_000), (2, 0), (3, 511)] {
        let done = finished(&a.store, block(id, 1001), len);
        copy::push(&a.context, done, &[b.place(), c.place()]).unwrap();
        assert_eq!(b.read(done).unwrap(), bytes(0, len));
        c.eventually("the second target has it too", |store| store.open_reader(done, 0).is_ok());
        assert_eq!(c.read(done).unwrap(), bytes(0, len));
    }
    let wrong = Block { stamp: mammoth_protocol::GenStamp(1000), ..block(1, 0) };
    assert!(copy::push(&a.context, wrong, &[b.place()]).is_err(), "the order is for an older replica");
}

#[test]
fn a_copy_goes_on_without_a_target_that_cannot_be_reached() {
    let nodes = [Node::start(), Node::start(), Node::start()];
    let [a, b, c] = &nodes;
    let done = finished(&a.store, block(1, 1001), 1000);
    c.kill();
    copy::push(&a.context, done, &[b.place(), c.place()]).unwrap();
    assert_eq!(b.read(done).unwrap(), bytes(0, 1000));
}

#[test]
fn wrong_bytes_are_never_copied() {
    let nodes = [Node::start(), Node::start()];
    let [a, b] = &nodes;
    let done = finished(&a.store, block(1, 1001), 600_000);
    let path = a.finalized("blk_1");
    let mut data = fs::read(&path).unwrap();
    data[500_000] ^= 1;
    fs::write(&path, data).unwrap();
    let error = copy::push(&a.context, done, &[b.place()]).unwrap_err().to_string();
    assert!(error.contains("wrong bytes"), "{error}");
    assert_eq!((a.store.replica_count(), a.store.bad_count()), (0, 1));
    eventually("the target has given up", || b.context.sockets.count() == 0);
    assert_eq!((b.store.replica_count(), b.store.usage()[0].used), (0, 0));
}

#[test]
fn a_new_member_joins_a_pipeline_with_all_acknowledged_bytes() {
    let nodes = [Node::start(), Node::start(), Node::start()];
    let [a, b, c] = &nodes;
    let blk = block(1, 1001);
    let mut client = Client::create(&[a, b], blk);
    client.send(0, 1000);
    client.acked(0, 2);
    b.kill();
    client.send(1000, 333);
    client.blame();
    drop(client);
    let mut client = Client::connect(a.addr);
    let request = OpTransferBlockProto {
        header: header(blk, "client"),
        targets: vec![c.info()],
        target_storage_types: vec![1],
        target_storage_ids: Vec::new(),
    };
    client.stream.writer.send_op(&OpRequest::TransferBlock(Box::new(request.clone()))).unwrap();
    let answer: BlockOpResponseProto = client.stream.reader.read_message("answer").unwrap();
    assert_eq!(answer.status, Status::Success as i32, "{answer:?}");
    let (list, _) = c.store.list(c.store.usage()[0].storage, None, 1);
    assert_eq!((list[0].block.len, list[0].state), (1000, ReplicaState::Rbw));
    let mut pipeline = Client::pipeline(&[a, c], |targets| {
        let mut request = write_request(blk, Stage::PipelineSetupStreamingRecovery, targets);
        request.latest_generation_stamp = 1002;
        (request.min_bytes_rcvd, request.max_bytes_rcvd) = (1000, 1333);
        request
    });
    pipeline.send(1000, 333);
    pipeline.finish(1333, false);
    pipeline.acked(0, 2);
    pipeline.acked(1, 2);
    for node in [a, c] {
        assert_eq!(node.read(Block { len: 1333, ..block(1, 1002) }).unwrap(), bytes(0, 1333));
    }
    // A complete replica arrives complete, and a target that is gone is told.
    finished(&a.store, block(2, 1001), 700);
    let request = OpTransferBlockProto { header: header(block(2, 1001), "client"), ..request };
    client.stream.writer.send_op(&OpRequest::TransferBlock(Box::new(request.clone()))).unwrap();
    let answer: BlockOpResponseProto = client.stream.reader.read_message("answer").unwrap();
    assert_eq!(answer.status, Status::Success as i32, "{answer:?}");
    assert_eq!(c.read(Block { len: 700, ..block(2, 1001) }).unwrap(), bytes(0, 700));
    let request = OpTransferBlockProto { targets: vec![info(b.addr)], ..request };
    client.stream.writer.send_op(&OpRequest::TransferBlock(Box::new(request))).unwrap();
    let answer: BlockOpResponseProto = client.stream.reader.read_message("answer").unwrap();
    assert_eq!(answer.status, Status::Error as i32, "{answer:?}");
    assert!(answer.message().contains("cannot connect"), "{answer:?}");
}
