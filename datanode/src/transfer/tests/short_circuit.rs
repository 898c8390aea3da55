//! Open files over a Unix socket: what is given, what is refused, and that a replica may go meanwhile.

use super::harness::{Node, TIMEOUT, eventually, header, transfer_rules};
use crate::store::SpaceRules;
use crate::store::testing::{block, bytes, create, finished, send};
use crate::transfer::TransferRules;
use mammoth_net::data::{DataReader, DataWriter, SocketOptions, domain};
use mammoth_protocol::datatransfer::{OpRequest, checksum};
use mammoth_protocol::hadoop::hdfs::{
    BlockOpResponseProto, OpReadBlockProto, OpRequestShortCircuitAccessProto, ReleaseShortCircuitAccessResponseProto,
    ShortCircuitShmRequestProto, ShortCircuitShmResponseProto, ShortCircuitShmSlotProto, Status,
};
use mammoth_protocol::{Block, GenStamp};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

const LEN: u64 = 700_000;

fn connect(path: &Path) -> UnixStream {
    domain::connect(path, &SocketOptions::default()).expect("connected")
}

fn request(block: Block) -> OpRequestShortCircuitAccessProto {
    OpRequestShortCircuitAccessProto {
        header: header(block, "client").base_header,
        max_version: 1,
        ..OpRequestShortCircuitAccessProto::default()
    }
}

fn ask(stream: &UnixStream, request: OpRequestShortCircuitAccessProto) -> BlockOpResponseProto {
    DataWriter::new(stream).send_op(&OpRequest::ShortCircuitFds(Box::new(request))).expect("sent");
    answer(stream)
}

/// Reads an answer and not a byte beyond, as descriptors may come with the next one.
fn answer<M: prost::Message + Default>(mut stream: &UnixStream) -> M {
    let mut len = [0];
    stream.read_exact(&mut len).expect("answered");
    // Answers with text may be longer than a byte of length can tell.
    let mut more = [0];
    let len = if len[0] < 0x80 {
        usize::from(len[0])
    } else {
        stream.read_exact(&mut more).expect("the length");
        usize::from(len[0] & 0x7f) | usize::from(more[0]) << 7
    };
    let mut message = vec![0; len];
    stream.read_exact(&mut message).expect("the message");
    M::decode(message.as_slice()).expect("parses")
}

fn whole(file: &File) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(file.metadata().expect("open").len()).expect("small")];
    file.read_exact_at(&mut bytes, 0).expect("reads");
    bytes
}

#[test]
fn the_files_of_a_complete_replica_are_given_for_reading_only() {
    let node = Node::start();
    let block = finished(&node.store, block(1, 1001), LEN as usize);
    let stream = connect(&node.open_local_door());
    for round in 1..=2 {
        let answer = ask(&stream, request(block));
        assert_eq!((answer.status, answer.short_circuit_access_version), (Status::Success as i32, Some(1)));
        let (byte, [data, meta]) = domain::receive_files(&stream).expect("two files");
        assert_eq!(byte, 0, "no receipt is expected");
        assert_eq!(whole(&data), bytes(0, LEN as usize));
        assert_eq!(whole(&meta)[..7], checksum::encode_meta_header(512));
        assert!((&data).write(b"x").is_err() && (&meta).write(b"x").is_err());
        eventually("it is counted", || node.context.counters.short_circuits.load(Ordering::Relaxed) == round);
    }
    assert_eq!(node.context.counters.bytes_read.load(Ordering::Relaxed), 0, "nothing went through the datanode");
}

#[test]
fn a_client_that_wants_to_acknowledge_the_files_is_waited_for() {
    let rules = TransferRules { op_timeout: TIMEOUT, ..transfer_rules() };
    let node = Node::with(rules, SpaceRules::default());
    let block = finished(&node.store, block(1, 1001), 1000);
    let path = node.open_local_door();
    let receipted = || OpRequestShortCircuitAccessProto { supports_receipt_verification: Some(true), ..request(block) };
    let mut stream = connect(&path);
    for _ in 0..2 {
        ask(&stream, receipted());
        assert_eq!(domain::receive_files(&stream).expect("two files").0, 1, "a receipt is expected");
        stream.write_all(&[0]).expect("sent");
    }
    // One that never does is left alone after a while.
    ask(&stream, receipted());
    domain::receive_files(&stream).expect("two files");
    eventually("the connection ends", || node.context.local_sockets.count() == 0);
}

#[test]
fn a_replica_that_is_deleted_or_set_aside_is_still_read_by_who_has_its_files() {
    let node = Node::start();
    let stream = connect(&node.open_local_door());
    let kept: Vec<_> = (1..=2)
        .map(|id| {
            let block = finished(&node.store, block(id, 1001), 100_000);
            assert_eq!(ask(&stream, request(block)).status, Status::Success as i32);
            (block, domain::receive_files(&stream).expect("two files").1)
        })
        .collect();
    let storage = node.store.usage()[0].storage;
    node.store.set_aside(storage, kept[0].0, "for a test");
    fs::remove_file(node.finalized("blk_2")).expect("deleted");
    for (block, [data, _]) in &kept {
        assert_eq!(whole(data), bytes(0, 100_000));
        assert_eq!(ask(&stream, request(*block)).status, Status::Error as i32, "it is gone for new readers");
    }
    assert_eq!(node.store.bad_count(), 2, "a replica without its file is set aside as in a read");
}

#[test]
fn what_cannot_be_given_is_refused_with_a_reason_and_the_connection_goes_on() {
    let node = Node::start();
    let good = finished(&node.store, block(1, 1001), LEN as usize);
    let mut writer = create(&node.store, block(2, 1001), false).expect("created");
    send(&mut writer, 0, &bytes(0, 1000), 1000).expect("written");
    let stream = connect(&node.open_local_door());
    let newer = Block { stamp: GenStamp(1002), ..good };
    let slot = Some(ShortCircuitShmSlotProto::default());
    let mut elsewhere = request(good);
    elsewhere.header.block.pool_id = "BP-other".to_owned();
    for (request, status, part) in [
        (request(newer), Status::Error, "1001, expected 1002 or newer"),
        (request(block(99, 1001)), Status::Error, "not found"),
        (request(block(2, 1001)), Status::Error, "unfinished, expected finalized"),
        (elsewhere, Status::ErrorUnsupported, "pool BP-other is not served"),
        (OpRequestShortCircuitAccessProto { max_version: 0, ..request(good) }, Status::ErrorUnsupported, "format 1"),
        (
            OpRequestShortCircuitAccessProto { slot_id: slot, ..request(good) },
            Status::ErrorUnsupported,
            "shared memory",
        ),
    ] {
        let answer = ask(&stream, request);
        assert_eq!(answer.status, status as i32, "{answer:?}");
        assert!(answer.message().contains(part), "{part}: {answer:?}");
    }
    assert_eq!(ask(&stream, request(good)).status, Status::Success as i32);
    domain::receive_files(&stream).expect("two files");
}

#[test]
fn shared_memory_and_transfers_are_refused_each_in_its_own_words() {
    let node = Node::start();
    let good = finished(&node.store, block(1, 1001), 1000);
    let stream = connect(&node.open_local_door());
    let mut writer = DataWriter::new(&stream);
    let shm = ShortCircuitShmRequestProto { client_name: "client".to_owned(), trace_info: None };
    writer.send_op(&OpRequest::ShortCircuitMemory(Box::new(shm))).expect("sent");
    let said: ShortCircuitShmResponseProto = answer(&stream);
    assert_eq!((said.status, said.id.is_none()), (Status::ErrorUnsupported as i32, true));
    assert!(said.error().contains("shared memory is not supported"), "{said:?}");
    writer.send_op(&OpRequest::ShortCircuitRelease(Box::default())).expect("sent");
    let said: ReleaseShortCircuitAccessResponseProto = answer(&stream);
    assert_eq!(said.status, Status::ErrorUnsupported as i32);
    let read = OpReadBlockProto { header: header(good, "client"), offset: 0, len: 1, ..Default::default() };
    writer.send_op(&OpRequest::ReadBlock(Box::new(read))).expect("sent");
    let said: BlockOpResponseProto = answer(&stream);
    assert!(said.message().contains("over TCP only"), "{said:?}");
    assert_eq!(ask(&stream, request(good)).status, Status::Success as i32);
}

#[test]
fn rubbish_and_silence_end_their_own_connection_only() {
    let node = Node::start();
    let good = finished(&node.store, block(1, 1001), 1000);
    let path = node.open_local_door();
    for rubbish in
        [&b""[..], &[0; 3], &[0, 28, 87], &[0, 28, 87, 0xff, 0xff, 0xff, 0xff, 0x7f], &[0, 28, 87, 3, 1, 2, 3]]
    {
        let mut stream = connect(&path);
        stream.write_all(rubbish).expect("sent");
        stream.shutdown(std::net::Shutdown::Write).expect("shut");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert!(rest.is_empty(), "{rubbish:?}: {rest:?}");
    }
    let stream = connect(&path);
    assert_eq!(ask(&stream, request(good)).status, Status::Success as i32);
    node.kill();
    let mut reader = DataReader::new(&stream);
    while reader.read_byte().is_ok() {}
    assert!(domain::connect(&path, &SocketOptions::default()).is_err());
}
