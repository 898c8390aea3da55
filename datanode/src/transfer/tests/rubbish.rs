//! Peers that send rubbish, nothing, or what is not served: the datanode closes or refuses, and lives.

use super::harness::{Client, Node, eventually, raw, transfer_rules, write_request};
use crate::store::SpaceRules;
use crate::store::testing::{block, bytes, finished};
use crate::transfer::TransferRules;
use mammoth_protocol::datatransfer::OpRequest;
use mammoth_protocol::hadoop::hdfs::op_write_block_proto::BlockConstructionStage as Stage;
use mammoth_protocol::hadoop::hdfs::{BlockOpResponseProto, ShortCircuitShmRequestProto, Status};
use std::io::{Read, Write};
use std::time::Duration;

#[test]
fn rubbish_closes_the_connection_and_nothing_else() {
    let node = Node::start();
    let done = finished(&node.store, block(1, 1001), 10);
    let noise = bytes(77, 5000);
    let cases: [&[u8]; 9] = [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"hrpc\x09\x00\x00",
        &noise,
        &[0; 100],
        &[0xff; 100],
        &[0, 27, 80, 0],
        &[0, 28, 82, 0],
        &[0, 28, 80, 0xff, 0xff, 0xff, 0xff, 0x7f],
        &[0, 28, 81, 5, 1, 2, 3, 4, 5],
    ];
    for (n, case) in cases.iter().enumerate() {
        let mut stream = raw(node.addr);
        let _ = stream.write_all(case);
        let mut rest = Vec::new();
        match stream.read_to_end(&mut rest) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "case {n}"),
        }
        assert!(rest.is_empty(), "case {n}");
    }
    assert_eq!(node.read(done).unwrap(), bytes(0, 10));
}

#[test]
fn rubbish_in_the_middle_of_a_write_ends_the_write_and_keeps_what_came_before() {
    let node = Node::start();
    let mut client = Client::create(&[&node], block(1, 1001));
    client.send(0, 1000);
    client.acked(0, 1);
    let mut stream = client.stream.writer.stream();
    stream.write_all(&[0xff; 64]).unwrap();
    assert!(client.ack().is_err());
    eventually("the writer is gone", || node.context.sockets.count() == 0);
    assert_eq!(node.read(mammoth_protocol::Block { len: 1000, ..block(1, 1001) }).unwrap(), bytes(0, 1000));
}

#[test]
fn silence_is_not_waited_for_for_long_and_makes_room_at_once() {
    let rules = TransferRules { op_timeout: Duration::from_secs(60), connections: 3, ..transfer_rules() };
    let node = Node::with(rules, SpaceRules::default());
    let done = finished(&node.store, block(1, 1001), 10);
    let mut silent: Vec<_> = (0..20).map(|_| raw(node.addr)).collect();
    assert_eq!(node.read(done).unwrap(), bytes(0, 10), "silent connections keep nobody out");
    for stream in &mut silent {
        stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    }
    drop(silent);
    let rules = TransferRules { op_timeout: Duration::from_millis(50), ..transfer_rules() };
    let node = Node::with(rules, SpaceRules::default());
    let mut stream = raw(node.addr);
    assert_eq!(stream.read(&mut [0]).unwrap(), 0, "closed after a time");
}

#[test]
fn what_is_not_served_is_refused_by_name_and_the_connection_goes_on() {
    let node = Node::start();
    let done = finished(&node.store, block(1, 1001), 10);
    let mut client = Client::connect(node.addr);
    let request = ShortCircuitShmRequestProto { client_name: "client".to_owned(), trace_info: None };
    client.stream.writer.send_op(&OpRequest::ShortCircuitMemory(Box::new(request))).unwrap();
    let answer: BlockOpResponseProto = client.stream.reader.read_message("answer").unwrap();
    assert_eq!(answer.status, Status::ErrorUnsupported as i32);
    assert!(answer.message().contains("ShortCircuitMemory is not supported"), "{answer:?}");
    assert_eq!(client.read(done, 0, 10).unwrap().1, bytes(0, 10));
    for (stage, checksum, chunk) in
        [(Stage::DataStreaming, 2, 512), (Stage::PipelineSetupCreate, 1, 512), (Stage::PipelineSetupCreate, 2, 0)]
    {
        let mut request = write_request(block(5, 1), stage, Vec::new());
        request.requested_checksum.r#type = checksum;
        request.requested_checksum.bytes_per_checksum = chunk;
        let answer = Client::connect(node.addr).ask(request);
        assert_ne!(answer.status, Status::Success as i32);
        assert!(!answer.message().is_empty());
    }
    assert_eq!(node.store.replica_count(), 1);
}
