//! Reading from the open files that datanodes of this machine give away.

use super::read_all;
use crate::testing::datanode::Fault;
use crate::testing::domain::{LocalDoor, Manner};
use crate::testing::{Cluster, path, pattern, until};
use mammoth_protocol::hadoop::hdfs::Status;
use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::Arc;
use std::time::Duration;

/// Bytes of the tests' file: two whole blocks and a part, which ends inside a chunk.
const LEN: usize = 150_001;

struct Fixture {
    cluster: Cluster,
    doors: Vec<Arc<LocalDoor>>,
    data: Vec<u8>,
    _dir: tempfile::TempDir,
}

/// A file on three nodes that give their files away.
fn fixture(pause: Duration) -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let name = format!("{}/dn._PORT", dir.path().display());
    let cluster = Cluster::start_with(3, |config| {
        config.block_acquire_failures = 1;
        config.domain_socket = Some(name.clone());
        config.domain_socket_pause = pause;
    });
    let data = pattern(LEN);
    let mut writer = cluster.create();
    writer.write_all(&data).unwrap();
    writer.close().unwrap();
    assert_eq!(cluster.holders(&data), [0, 1, 2]);
    let doors = cluster.datanodes.iter().map(|node| LocalDoor::open(&name, node)).collect();
    Fixture { cluster, doors, data, _dir: dir }
}

impl Fixture {
    fn read(&self) -> Vec<u8> {
        read_all(&mut self.cluster.client.open(&path()).unwrap())
    }

    /// Blocks that were read to their end over TCP, from all nodes.
    fn over_tcp(&self) -> u32 {
        self.cluster.datanodes.iter().map(|node| node.read_statuses()).sum()
    }

    fn bad_reports(&self) -> usize {
        self.cluster.namenode.state().bad_reports.len()
    }
}

#[test]
fn whole_files_and_any_range_come_without_the_network() {
    let fixture = fixture(Duration::from_secs(600));
    for size in [1, 7, 511, 512, 513, 3000, 100_000, 1 << 20] {
        let mut reader = fixture.cluster.client.open(&path()).unwrap();
        let mut bytes = Vec::new();
        let mut buffer = vec![0; size];
        loop {
            match reader.read(&mut buffer).unwrap() {
                0 => break,
                read => bytes.extend_from_slice(&buffer[..read]),
            }
        }
        assert!(bytes == fixture.data, "buffer of {size}");
    }
    let mut reader = fixture.cluster.client.open(&path()).unwrap();
    for (offset, len) in [(0, 1), (511, 2), (65_535, 2), (65_000, 70_000), (149_999, 10), (150_001, 1), (600, 60_000)] {
        let expected = &fixture.data[offset..(offset + len).min(LEN)];
        let mut buffer = vec![0; len];
        let read = reader.read_at(offset as u64, &mut buffer).unwrap();
        assert!(&buffer[..read] == expected, "{offset}+{len}");
        reader.seek(SeekFrom::Start(offset as u64)).unwrap();
        let mut buffer = vec![0; expected.len()];
        reader.read_exact(&mut buffer).unwrap();
        assert!(buffer == expected, "{offset}+{len} after a seek");
    }
    assert_eq!(fixture.over_tcp(), 0);
    assert!(fixture.doors[0].requests() > 0);
    assert_eq!(fixture.doors[1].requests(), 0, "the nearest node has all");
}

#[test]
fn the_files_of_a_block_are_asked_for_once_however_a_reader_moves_in_it() {
    let fixture = fixture(Duration::from_secs(600));
    let mut reader = fixture.cluster.client.open(&path()).unwrap();
    let mut byte = [0];
    for at in [0, 60_000, 5, 65_535, 1000] {
        reader.seek(SeekFrom::Start(at)).unwrap();
        reader.read_exact(&mut byte).unwrap();
        assert_eq!(byte[0], fixture.data[usize::try_from(at).unwrap()]);
    }
    // Its last byte was read in between, which is where a block is let go.
    assert_eq!(fixture.doors[0].requests(), 2);
    reader.seek(SeekFrom::Start(70_000)).unwrap();
    reader.read_exact(&mut byte).unwrap();
    assert_eq!((byte[0], fixture.doors[0].requests()), (fixture.data[70_000], 3));
}

#[test]
fn wrong_bytes_in_a_file_are_read_over_tcp_and_blamed_on_nobody_if_they_are_right_there() {
    for at in [0, 511, 512, 18_928] {
        let fixture = fixture(Duration::from_secs(600));
        fixture.doors[0].behave(Manner::Flip(at));
        assert!(fixture.read() == fixture.data, "flip at {at}");
        until("each block came over TCP", || fixture.over_tcp() == 3);
        assert_eq!((fixture.bad_reports(), fixture.doors[1].requests()), (0, 0));
    }
}

#[test]
fn a_corrupt_replica_is_reported_and_another_nodes_files_are_read() {
    let fixture = fixture(Duration::from_secs(600));
    fixture.doors[0].behave(Manner::Flip(700));
    // The same byte is wrong over TCP.
    fixture.cluster.datanodes[0].fault(Fault::Flip(700));
    assert!(fixture.read() == fixture.data);
    let reports = fixture.cluster.namenode.state().bad_reports.clone();
    assert_eq!(reports.len(), 1);
    assert_eq!(reports[0].locs[0].id.datanode_uuid, "node-0");
    assert_eq!(fixture.over_tcp(), 0);
    assert_eq!(fixture.doors[1].requests(), 3, "all blocks, as a node that failed is remembered");
}

#[test]
fn a_datanode_that_dies_is_passed_over() {
    let fixture = fixture(Duration::from_secs(600));
    let mut reader = fixture.cluster.client.open(&path()).unwrap();
    let mut bytes = vec![0; 70_000];
    reader.read_exact(&mut bytes).unwrap();
    fixture.doors[0].behave(Manner::HangUp);
    fixture.cluster.datanodes[0].die();
    // The block at hand is read on from its files, the next one from another node.
    bytes.extend(read_all(&mut reader));
    assert!(bytes == fixture.data);
    assert_eq!((fixture.over_tcp(), fixture.doors[1].requests(), fixture.bad_reports()), (0, 1, 0));
}

#[test]
fn whatever_a_datanode_does_instead_the_same_bytes_come_over_tcp() {
    let socket = [Manner::HangUp, Manner::NoFiles, Manner::Refuse(Status::ErrorUnsupported)];
    let replica = [Manner::Refuse(Status::Error), Manner::Cut(1000), Manner::NoHeader];
    for manner in socket.into_iter().chain(replica) {
        let fixture = fixture(Duration::from_secs(600));
        fixture.doors[0].behave(manner);
        assert!(fixture.read() == fixture.data, "{manner:?}");
        until("each block came over TCP", || fixture.over_tcp() == 3);
        // A socket that does not work is left alone; a refusal is of one replica.
        let asked = if socket.contains(&manner) { 1 } else { 3 };
        assert_eq!(fixture.doors[0].requests(), asked, "{manner:?}");
        assert_eq!(fixture.bad_reports(), 0, "{manner:?}");
    }
}

#[test]
fn a_socket_that_failed_is_tried_again_after_a_pause() {
    let fixture = fixture(Duration::ZERO);
    fixture.doors[0].behave(Manner::HangUp);
    assert!(fixture.read() == fixture.data);
    assert_eq!(fixture.doors[0].requests(), 3);
    fixture.doors[0].behave(Manner::Good);
    assert!(fixture.read() == fixture.data);
    until("only the first time was over TCP", || fixture.over_tcp() == 3);
}

#[test]
fn without_a_socket_or_with_one_of_another_datanode_all_comes_over_tcp() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = Cluster::start_with(1, |config| {
        config.domain_socket = Some(format!("{}/none", dir.path().display()));
    });
    let data = pattern(1000);
    let mut writer = cluster.create();
    writer.write_all(&data).unwrap();
    writer.close().unwrap();
    assert!(read_all(&mut cluster.client.open(&path()).unwrap()) == data);
}

#[test]
fn a_file_that_is_being_written_comes_over_tcp() {
    let fixture = fixture(Duration::from_secs(600));
    let mut writer = fixture.cluster.create();
    writer.write_all(&fixture.data[..70_000]).unwrap();
    writer.hflush().unwrap();
    assert!(fixture.read() == fixture.data[..70_000]);
    until("only the last block", || fixture.over_tcp() == 1);
    writer.close().unwrap();
    assert!(fixture.read() == fixture.data[..70_000]);
    assert_eq!(fixture.over_tcp(), 1);
}
