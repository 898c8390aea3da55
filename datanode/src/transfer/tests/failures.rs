//! Pipelines that break: whom the client is told to blame, and what stays on the disks.

use super::harness::{Client, Node, Stuck, TIMEOUT, eventually, info, transfer_rules, write_request};
use crate::store::SpaceRules;
use crate::store::testing::{block, bytes};
use mammoth_net::data::{DataError, answer_timeout};
use mammoth_platform::{Clock, SystemClock};
use mammoth_protocol::Block;
use mammoth_protocol::datatransfer::checksum;
use mammoth_protocol::datatransfer::packet::PacketHeader;
use mammoth_protocol::hadoop::hdfs::Status;
use mammoth_protocol::hadoop::hdfs::op_write_block_proto::BlockConstructionStage as Stage;
use mammoth_protocol::internal::ReplicaState;
use std::time::Duration;

fn len(block: Block, len: u64) -> Block {
    Block { len, ..block }
}

/// Time that something takes.
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = SystemClock.monotonic_ns();
    let result = work();
    (result, Duration::from_nanos(SystemClock.monotonic_ns() - start))
}

#[test]
fn a_killed_node_is_blamed_by_its_position() {
    for victim in [1, 2] {
        let nodes = [Node::start(), Node::start(), Node::start()];
        let mut client = Client::create(&[&nodes[0], &nodes[1], &nodes[2]], block(1, 1001));
        client.send(0, 1000);
        client.acked(0, 3);
        nodes[victim].kill();
        client.send(1000, 1000);
        assert_eq!(client.blame(), (victim, Status::Error));
    }
}

/// A pipeline of `before` real nodes and a stuck one.
fn stuck_behind(before: &[&Node], stuck: &Stuck) -> Client {
    let mut client = Client::connect(before[0].addr);
    let mut targets: Vec<_> = before[1..].iter().map(|node| node.info()).collect();
    targets.push(info(stuck.addr));
    let answer = client.ask(write_request(block(1, 1001), Stage::PipelineSetupCreate, targets));
    assert_eq!(answer.status, Status::Success as i32, "{answer:?}");
    client
}

#[test]
fn a_stuck_node_is_blamed_by_its_position_within_the_timeout_and_a_bit() {
    for real in [1, 2] {
        let nodes = [Node::start(), Node::start()];
        let before: Vec<&Node> = nodes[..real].iter().collect();
        let stuck = Stuck::start(true);
        let mut client = stuck_behind(&before, &stuck);
        client.send(0, 1000);
        let (blame, took) = timed(|| client.blame());
        assert_eq!(blame, (real, Status::Error));
        assert!(took >= TIMEOUT && took < TIMEOUT * 2, "{took:?}");
    }
}

#[test]
fn a_second_packet_gives_a_stuck_node_no_more_time() {
    // Of the node next to the stuck one.
    let patience = answer_timeout(TIMEOUT, 1);
    for before in [1, 2] {
        let nodes: Vec<Node> = (0..before).map(|_| Node::start()).collect();
        let stuck = Stuck::start(true);
        let before: Vec<&Node> = nodes.iter().collect();
        let mut client = stuck_behind(&before, &stuck);
        let (blame, took) = timed(|| {
            client.send(0, 1000);
            // Nothing comes for more than half of the time: were it given anew then, this would take half as long again.
            client.set_patience(patience * 6 / 10);
            assert!(matches!(client.ack(), Err(DataError::Timeout)));
            client.set_patience(Duration::from_secs(20));
            client.send(1000, 1000);
            client.blame()
        });
        assert_eq!(blame, (before.len(), Status::Error));
        assert!(took >= patience && took < patience * 15 / 10, "{took:?}");
    }
}

#[test]
fn a_stuck_node_is_blamed_even_when_so_much_is_sent_that_nothing_moves_any_more() {
    let nodes = [Node::start(), Node::start()];
    let stuck = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = stuck.local_addr().unwrap();
    let (release, wait) = std::sync::mpsc::sync_channel::<()>(1);
    let thread = std::thread::spawn(move || {
        let (stream, _) = stuck.accept().unwrap();
        let mut stream = mammoth_net::data::DataStream::new(stream).unwrap();
        let _ = stream.reader.read_op();
        let ready = mammoth_protocol::hadoop::hdfs::BlockOpResponseProto::default();
        stream.writer.send_message(&ready).unwrap();
        let _ = wait.recv();
    });
    let mut client = Client::connect(nodes[0].addr);
    let targets = vec![nodes[1].info(), info(addr)];
    client.ask(write_request(block(1, 1001), Stage::PipelineSetupCreate, targets));
    let mut reader = mammoth_net::data::DataReader::new(client.stream.reader.stream().try_clone().unwrap());
    let sender = std::thread::spawn(move || {
        for n in 0..64 {
            client.send(n << 20, 1 << 20);
        }
        client
    });
    let mut ack = mammoth_protocol::hadoop::hdfs::PipelineAckProto::default();
    let (result, took) = timed(|| reader.read_ack(&mut ack));
    result.unwrap();
    assert_eq!(mammoth_protocol::datatransfer::ack::first_failure(&ack), Some((2, Status::Error)));
    assert!(took < TIMEOUT * 2, "{took:?}");
    drop(release);
    thread.join().unwrap();
    drop(sender.join().unwrap());
}

#[test]
fn a_node_that_cannot_be_reached_is_named_in_the_answer() {
    let nodes = [Node::start(), Node::start()];
    let [a, b] = &nodes;
    let gone = Node::start();
    let addr = gone.addr;
    gone.kill();
    for targets in [vec![info(addr)], vec![b.info(), info(addr)]] {
        let mut client = Client::connect(a.addr);
        let stamp = 1001 + targets.len() as u64;
        let answer = client.ask(write_request(block(1, stamp), Stage::PipelineSetupCreate, targets));
        assert_eq!(answer.status, Status::Error as i32);
        assert_eq!(answer.first_bad_link(), addr.to_string());
        // The first node's replica makes room for the next attempt.
        eventually("the writer is gone", || a.context.sockets.count() == 0);
    }
}

#[test]
fn a_node_that_accepts_and_says_nothing_is_named_before_the_nodes_in_front_of_it_are() {
    let nodes = [Node::start(), Node::start()];
    let [a, b] = &nodes;
    let stuck = Stuck::start(false);
    let mut client = Client::connect(a.addr);
    let request = write_request(block(1, 1001), Stage::PipelineSetupCreate, vec![b.info(), info(stuck.addr)]);
    let (answer, took) = timed(|| client.ask(request));
    assert_eq!((answer.status, answer.first_bad_link()), (Status::Error as i32, stuck.addr.to_string().as_str()));
    assert!(took >= TIMEOUT && took < TIMEOUT * 2, "{took:?}");
}

#[test]
fn a_node_that_refuses_is_named_with_its_reason() {
    let nodes = [Node::start(), Node::start()];
    let [a, b] = &nodes;
    crate::store::testing::finished(&b.store, block(1, 1001), 5);
    let mut client = Client::connect(a.addr);
    let answer = client.ask(write_request(block(1, 1001), Stage::PipelineSetupCreate, vec![b.info()]));
    assert_eq!((answer.status, answer.first_bad_link()), (Status::Error as i32, b.addr.to_string().as_str()));
    assert!(answer.message().contains("exists here"), "{answer:?}");
}

#[test]
fn corrupt_packets_are_blamed_on_the_node_that_received_them_and_stored_nowhere() {
    let nodes = [Node::start(), Node::start()];
    let [a, b] = &nodes;
    let mut client = Client::create(&[a, b], block(1, 1001));
    client.send(0, 512);
    client.acked(0, 2);
    let mut sums = Vec::new();
    checksum::append_checksums(&mut sums, &bytes(512, 512), 512);
    let header = PacketHeader { offset: 512, seqno: 1, data_len: 512, ..PacketHeader::default() };
    client.stream.writer.send_packet(&header, &sums, &bytes(513, 512)).unwrap();
    assert_eq!(client.ack().unwrap(), (1, vec![Status::ErrorChecksum]));
    drop(client);
    for node in &nodes {
        node.eventually("the writer is gone", |store| {
            let (list, _) = store.list(store.usage()[0].storage, None, 1);
            list.first().is_some_and(|r| r.block.len == 512 && r.state == ReplicaState::Rbw)
        });
    }
    // As do packets whose checksums are missing, too many, or leave a hole.
    let harms = [(0, 2, 100), (512, 0, 100), (4096, 4, 512), (100_000, 4, 512)];
    for (n, (offset, sums, data_len)) in harms.into_iter().enumerate() {
        let blk = block(10 + n as i64, 1001);
        let mut client = Client::create(&[a], blk);
        let header = PacketHeader { offset, data_len, ..PacketHeader::default() };
        client.stream.writer.send_packet(&header, &vec![0; sums], &vec![0; data_len]).unwrap();
        assert_ne!(client.ack().unwrap().1, vec![Status::Success], "harm {n}");
    }
}

#[test]
fn a_full_disk_is_blamed_by_position_and_the_others_go_on() {
    let a = Node::start();
    let b = Node::with(transfer_rules(), SpaceRules { reserved: 0, quota: Some(5_000) });
    let mut client = Client::create(&[&a, &b], block(1, 1001));
    client.send(0, 3000);
    client.acked(0, 2);
    client.send(3000, 3000);
    assert_eq!(client.blame(), (1, Status::Error));
    drop(client);
    let mut client = Client::pipeline(&[&a], |targets| {
        let mut request = write_request(block(1, 1001), Stage::PipelineSetupStreamingRecovery, targets);
        request.latest_generation_stamp = 1002;
        (request.min_bytes_rcvd, request.max_bytes_rcvd) = (3000, 6000);
        request
    });
    client.send(3000, 3000);
    client.finish(6000, false);
    client.acked(0, 1);
    client.acked(1, 1);
    assert_eq!(a.read(len(block(1, 1002), 6000)).unwrap(), bytes(0, 6000));
    let mut client = Client::connect(b.addr);
    let big = Block { len: 1 << 20, ..block(2, 1001) };
    let answer = client.ask(write_request(big, Stage::PipelineSetupCreate, Vec::new()));
    assert!(answer.message().contains("no space left"), "{answer:?}");
}

#[test]
fn a_writer_that_goes_away_leaves_what_arrived_and_a_free_replica() {
    let nodes = [Node::start(), Node::start()];
    let [a, b] = &nodes;
    let mut client = Client::create(&[a, b], block(1, 1001));
    client.send(0, 1000);
    client.acked(0, 2);
    drop(client);
    for node in &nodes {
        eventually("its connections end", || node.context.sockets.count() == 0);
        let (list, _) = node.store.list(node.store.usage()[0].storage, None, 1);
        assert_eq!((list[0].block.len, list[0].state), (1000, ReplicaState::Rbw));
    }
    assert_eq!(a.read(len(block(1, 1001), 1000)).unwrap(), bytes(0, 1000));
}
