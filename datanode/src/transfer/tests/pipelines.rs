//! Pipelines that work: writing, flushing, appending, going on, closing.

use super::harness::{Client, Node, transfer_rules, write_request};
use crate::store::SpaceRules;
use crate::store::testing::{block, bytes};
use crate::transfer::TransferRules;
use mammoth_protocol::datatransfer::packet::PacketHeader;
use mammoth_protocol::hadoop::hdfs::Status;
use mammoth_protocol::hadoop::hdfs::op_write_block_proto::BlockConstructionStage as Stage;
use mammoth_protocol::internal::ReplicaState;
use mammoth_protocol::{Block, GenStamp};
use std::time::Duration;

fn len(block: Block, len: u64) -> Block {
    Block { len, ..block }
}

fn state(node: &Node) -> Option<(u64, u64, ReplicaState)> {
    let (list, _) = node.store.list(node.store.usage()[0].storage, None, 10);
    list.first().map(|r| (r.block.stamp.0, r.block.len, r.state))
}

#[test]
fn three_nodes_get_every_byte_and_the_connection_serves_further_operations() {
    let nodes = [Node::start(), Node::start(), Node::start()];
    let [a, b, c] = &nodes;
    let blk = block(1, 1001);
    let mut client = Client::create(&[a, b, c], blk);
    let mut sent = Vec::new();
    let mut at = 0;
    // Whole packets, a flush within a chunk, and what follows it sent again from the chunk's beginning.
    for (offset, size) in [(0, 64_512), (64_512, 1_000_000), (1_064_512, 88), (1_064_448, 700), (1_065_148, 3)] {
        sent.push(client.send(offset, size));
        at = offset + size as u64;
    }
    for seqno in sent {
        client.acked(seqno, 3);
    }
    let last = client.finish(at, false);
    client.acked(last, 3);
    for node in &nodes {
        assert_eq!(state(node), Some((1001, at, ReplicaState::Finalized)));
        assert_eq!(node.read(len(blk, at)).unwrap(), bytes(0, at as usize));
    }
    let (_, data) = client.read(blk, 5, 10).unwrap();
    assert_eq!(data, bytes(5, 10), "the connection of the write serves a read");
    let (_, data) = client.read(blk, at - 1, 1).unwrap();
    assert_eq!(data, bytes(at - 1, 1));
}

/// Writes a block of two packets through all nodes.
fn small_block(nodes: &[&Node], blk: Block) {
    let mut client = Client::create(nodes, blk);
    for (offset, size) in [(0, 1024), (1024, 300)] {
        let seqno = client.send(offset, size);
        client.acked(seqno, nodes.len());
    }
    let last = client.finish(1324, false);
    client.acked(last, nodes.len());
    for node in nodes {
        assert_eq!(node.read(len(blk, 1324)).unwrap(), bytes(0, 1324));
    }
}

#[test]
fn the_connection_to_the_next_node_serves_the_next_pipeline() {
    let short = TransferRules { keepalive: Duration::from_millis(300), ..transfer_rules() };
    let nodes = [Node::start(), Node::with(short, SpaceRules::default()), Node::start()];
    let [a, b, c] = &nodes;
    for n in 1..=5 {
        small_block(&[a, b, c], block(n, 1001));
        // One that was not used again would stay beside the new one.
        a.eventually("the connection is kept", |_| a.context.idle.len() == 1 && b.context.idle.len() == 1);
    }
    b.eventually("its connections are over", |_| b.context.sockets.count() == 0);
    assert_eq!(a.context.idle.len(), 1, "that the other side has closed it shows when it is wanted");
    small_block(&[a, b, c], block(6, 1001));
    // One that fails is not kept, nor does it take others with it.
    let mut client = Client::create(&[a, b, c], block(7, 1001));
    a.eventually("it is in use", |_| a.context.idle.is_empty());
    client.packet(PacketHeader { data_len: 512, ..PacketHeader::default() }, &[1; 512]);
    c.kill();
    client.send(512, 512);
    client.blame();
    drop(client);
    a.eventually("its end is seen", |_| a.context.sockets.busy() == 0);
    assert!(a.context.idle.is_empty());
    small_block(&[a, b], block(8, 1001));
}

#[test]
fn heartbeats_are_acknowledged_and_synced_packets_are_on_the_disk() {
    let nodes = [Node::start(), Node::start()];
    let [a, b] = &nodes;
    let mut client = Client::create(&[a, b], block(1, 1001));
    client.stream.writer.send_packet(&PacketHeader::HEARTBEAT, &[], &[]).unwrap();
    client.acked(-1, 2);
    let header = PacketHeader { data_len: 100, sync: true, ..PacketHeader::default() };
    let seqno = client.packet(header, &bytes(0, 100));
    client.acked(seqno, 2);
    for node in &nodes {
        assert_eq!(node.store.visible_length(block(1, 1001)).unwrap(), 100);
    }
    client.stream.writer.send_packet(&PacketHeader::HEARTBEAT, &[], &[]).unwrap();
    client.acked(-1, 2);
    // Some clients put data into the last packet too.
    let header = PacketHeader { offset: 100, data_len: 50, last: true, sync: true, ..PacketHeader::default() };
    let seqno = client.packet(header, &bytes(100, 50));
    client.acked(seqno, 2);
    assert_eq!(b.read(len(block(1, 1001), 150)).unwrap(), bytes(0, 150));
}

#[test]
fn what_was_acknowledged_is_visible_before_the_end() {
    let nodes = [Node::start(), Node::start()];
    let [a, b] = &nodes;
    let blk = block(1, 1001);
    let mut client = Client::create(&[a, b], blk);
    let mut at = 0;
    for size in [1, 511, 512, 700, 64_512, 5] {
        let seqno = client.send(at, size);
        client.acked(seqno, 2);
        at += size as u64;
        for node in &nodes {
            assert_eq!(node.store.visible_length(blk).unwrap(), at);
            assert_eq!(node.read(len(blk, at)).unwrap(), bytes(0, at as usize));
        }
    }
}

#[test]
fn appending_goes_on_within_a_chunk() {
    let nodes = [Node::start(), Node::start()];
    let [a, b] = &nodes;
    let mut client = Client::create(&[a, b], block(1, 1001));
    client.send(0, 1300);
    client.finish(1300, false);
    client.acked(0, 2);
    client.acked(1, 2);
    // A client that asked for a new stamp, then one that keeps the old.
    let mut at = 1300;
    for (old, new) in [(1001, 1002), (1002, 1002)] {
        let mut client = Client::pipeline(&[a, b], |targets| {
            let mut request = write_request(block(1, old), Stage::PipelineSetupAppend, targets);
            request.latest_generation_stamp = new;
            request.min_bytes_rcvd = at;
            request
        });
        // First a packet that fills the chunk, then whole ones.
        let fill = 512 - at as usize % 512;
        client.send(at, fill);
        client.send(at + fill as u64, 1111);
        at += fill as u64 + 1111;
        client.finish(at, false);
        for seqno in 0..3 {
            client.acked(seqno, 2);
        }
        for node in &nodes {
            assert_eq!(state(node), Some((new, at, ReplicaState::Finalized)));
            assert_eq!(node.read(len(block(1, new), at)).unwrap(), bytes(0, at as usize));
        }
    }
}

#[test]
fn a_pipeline_goes_on_without_a_killed_node_and_keeps_what_was_acknowledged() {
    let nodes = [Node::start(), Node::start(), Node::start()];
    let [a, b, c] = &nodes;
    let mut client = Client::create(&[a, b, c], block(1, 1001));
    client.send(0, 1000);
    client.acked(0, 3);
    b.kill();
    client.send(1000, 500);
    assert_eq!(client.blame(), (1, Status::Error));
    drop(client);
    let mut client = Client::pipeline(&[a, c], |targets| {
        let mut request = write_request(block(1, 1001), Stage::PipelineSetupStreamingRecovery, targets);
        request.latest_generation_stamp = 1002;
        (request.min_bytes_rcvd, request.max_bytes_rcvd) = (1000, 1500);
        request
    });
    client.send(1000, 500);
    client.finish(1500, false);
    client.acked(0, 2);
    client.acked(1, 2);
    for node in [a, c] {
        assert_eq!(node.read(len(block(1, 1002), 1500)).unwrap(), bytes(0, 1500));
    }
}

#[test]
fn a_close_that_was_not_heard_is_repeated_under_a_new_stamp() {
    let nodes = [Node::start(), Node::start()];
    let [a, b] = &nodes;
    let mut client = Client::create(&[a, b], block(1, 1001));
    client.send(0, 1000);
    client.acked(0, 2);
    client.finish(1000, false);
    client.acked(1, 2);
    let client = Client::pipeline(&[a, b], |targets| {
        let mut request = write_request(block(1, 1001), Stage::PipelineCloseRecovery, targets);
        request.latest_generation_stamp = 1002;
        (request.min_bytes_rcvd, request.max_bytes_rcvd) = (1000, 1000);
        request
    });
    drop(client);
    for node in &nodes {
        assert_eq!(state(node), Some((1002, 1000, ReplicaState::Finalized)));
    }
}

#[test]
fn packets_without_checksums_get_some() {
    let node = Node::start();
    let mut client = Client::pipeline(&[&node], |targets| {
        let mut request = write_request(block(1, 1001), Stage::PipelineSetupCreate, targets);
        request.requested_checksum.r#type = 0;
        request
    });
    let header = PacketHeader { data_len: 1300, last: true, ..PacketHeader::default() };
    client.stream.writer.send_packet(&header, &[], &bytes(0, 1300)).unwrap();
    client.acked(0, 1);
    assert_eq!(node.read(len(block(1, 1001), 1300)).unwrap(), bytes(0, 1300));
}

#[test]
fn a_recovery_takes_a_replica_from_its_running_writer() {
    let node = Node::start();
    let blk = block(1, 1001);
    let mut client = Client::create(&[&node], blk);
    client.send(0, 1000);
    client.acked(0, 1);
    let found = node.store.init_recovery(blk, GenStamp(1002)).unwrap().expect("is there");
    assert_eq!(found.block.len, 1000);
    client.send(1000, 10);
    assert!(client.ack().is_err(), "the writer is cut off");
    node.store.update_recovery(blk, GenStamp(1002), 1000).unwrap();
    assert_eq!(node.read(len(block(1, 1002), 1000)).unwrap(), bytes(0, 1000));
}
