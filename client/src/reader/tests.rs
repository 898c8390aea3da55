mod hedged;
mod short_circuit;

use crate::testing::datanode::Fault;
use crate::testing::{Cluster, path, pattern, until};
use crate::{ClientError, FileReader};
use mammoth_protocol::ErrorCode;
use std::io::{Read, Seek, SeekFrom, Write};

/// A cluster with a file of these bytes on three nodes.
fn with_file(data: &[u8]) -> Cluster {
    let cluster = Cluster::start_with(3, |config| config.block_acquire_failures = 1);
    let mut writer = cluster.create();
    writer.write_all(data).unwrap();
    writer.close().unwrap();
    assert_eq!(cluster.holders(data), [0, 1, 2]);
    cluster
}

fn read_all(reader: &mut FileReader) -> Vec<u8> {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn files_are_read_whole_with_any_buffer() {
    let data = pattern(150_000);
    let cluster = with_file(&data);
    for size in [1, 7, 512, 2048, 3000, 100_000, 1 << 20] {
        let mut reader = cluster.client.open(&path()).unwrap();
        assert_eq!(reader.len(), 150_000);
        let mut bytes = Vec::new();
        let mut buffer = vec![0; size];
        loop {
            match reader.read(&mut buffer).unwrap() {
                0 => break,
                read => bytes.extend_from_slice(&buffer[..read]),
            }
        }
        assert_eq!(bytes, data, "buffer of {size}");
    }
    until("every block ended with a word to its datanode", || cluster.datanodes[0].read_statuses() == 7 * 3);
}

#[test]
fn any_range_can_be_read() {
    let data = pattern(150_000);
    let cluster = with_file(&data);
    let mut reader = cluster.client.open(&path()).unwrap();
    for (offset, len) in
        [(0, 1), (1, 1), (511, 2), (512, 512), (65_535, 2), (65_000, 70_000), (149_999, 10), (150_000, 1), (200_000, 1)]
    {
        let mut buffer = vec![0; len];
        let read = reader.read_at(offset as u64, &mut buffer).unwrap();
        let expected = &data[offset.min(data.len())..(offset + len).min(data.len())];
        assert_eq!(&buffer[..read], expected, "{offset}+{len}");
        assert_eq!(reader.seek(SeekFrom::Start(offset as u64)).unwrap(), offset as u64);
        let mut buffer = vec![0; expected.len()];
        reader.read_exact(&mut buffer).unwrap();
        assert_eq!(buffer, expected);
    }
    assert_eq!(reader.seek(SeekFrom::End(-10)).unwrap(), 149_990);
    assert_eq!(read_all(&mut reader), &data[149_990..]);
    assert!(reader.seek(SeekFrom::Current(-200_000)).is_err());
}

#[test]
fn reading_goes_on_when_a_node_fails_anywhere() {
    let data = pattern(10_000);
    let cluster = with_file(&data);
    for packets in 0..=5 {
        for node in &cluster.datanodes[..2] {
            node.fault(Fault::CutReadAfter(packets));
        }
        // An odd buffer, so that packets are split between it and what is kept.
        let mut reader = cluster.client.open(&path()).unwrap();
        let mut bytes = Vec::new();
        let mut buffer = [0; 1500];
        loop {
            match reader.read(&mut buffer).unwrap() {
                0 => break,
                read => bytes.extend_from_slice(&buffer[..read]),
            }
        }
        assert_eq!(bytes, data, "cut after {packets} packets");
    }
}

#[test]
fn dead_and_refusing_nodes_are_passed_over() {
    let data = pattern(100_000);
    let cluster = with_file(&data);
    cluster.datanodes[0].die();
    cluster.datanodes[1].fault(Fault::RefuseRead);
    assert_eq!(read_all(&mut cluster.client.open(&path()).unwrap()), data);
    until("both blocks come from the last node", || cluster.datanodes[2].read_statuses() == 2);
    assert_eq!(cluster.datanodes[1].read_statuses(), 0, "a node that failed is remembered");
    assert!(cluster.namenode.state().bad_reports.is_empty());
}

#[test]
fn corrupt_data_is_never_handed_out_and_is_reported() {
    let data = pattern(10_000);
    for at in [0, 511, 512, 1499, 1500, 1536, 2047, 2048, 9_999] {
        let cluster = with_file(&data);
        cluster.datanodes[0].fault(Fault::Flip(at));
        let mut reader = cluster.client.open(&path()).unwrap();
        let mut bytes = vec![0; data.len()];
        let mut filled = 0;
        while filled < data.len() {
            let end = (filled + 1500).min(data.len());
            let read = reader.read(&mut bytes[filled..end]).unwrap();
            assert_eq!(bytes[filled..filled + read], data[filled..filled + read], "flip at {at}");
            filled += read;
        }
        let reports = cluster.namenode.state().bad_reports.clone();
        assert_eq!(reports.len(), 1, "flip at {at}");
        assert_eq!(reports[0].locs.len(), 1);
        assert_eq!(reports[0].locs[0].id.datanode_uuid, "node-0");
        assert_eq!(reports[0].storage_ids, ["DS-0"]);
    }
}

#[test]
fn a_block_that_nobody_serves_is_an_error_with_names() {
    let data = pattern(1000);
    let cluster = with_file(&data);
    let mut reader = cluster.client.open(&path()).unwrap();
    let mut some = [0; 100];
    for node in &cluster.datanodes {
        node.die();
    }
    let error = reader.read(&mut some).unwrap_err();
    let error = error.get_ref().and_then(|e| e.downcast_ref::<ClientError>()).unwrap();
    assert_eq!(error.code(), ErrorCode::BlockMissing);
    let text = error.to_string();
    assert!(text.starts_with("Could not obtain block blk_1073741825_1001 of /dir/file at offset 0: "), "{text}");
    assert!(cluster.datanodes.iter().all(|node| text.contains(&node.addr())), "{text}");
    // The nodes come back, and so does the reader.
    for node in &cluster.datanodes {
        node.revive();
    }
    assert_eq!(read_all(&mut reader), data);
}

#[test]
fn a_reader_waits_for_nodes_that_come_back() {
    let data = pattern(1000);
    let cluster = with_file(&data);
    let mut reader = cluster.client.open(&path()).unwrap();
    for node in &cluster.datanodes {
        node.fault(Fault::RefuseRead);
    }
    assert_eq!(read_all(&mut reader), data);
    assert!(cluster.namenode.calls("getBlockLocations").len() >= 2, "locations were asked for again");
}

#[test]
fn a_file_being_written_shows_what_was_flushed() {
    let data = pattern(100_000);
    let cluster = Cluster::start(3);
    let mut writer = cluster.create();
    writer.write_all(&data[..70_000]).unwrap();
    writer.hflush().unwrap();
    let mut reader = cluster.client.open(&path()).unwrap();
    assert_eq!(reader.len(), 70_000);
    writer.write_all(&data[70_000..]).unwrap();
    writer.hflush().unwrap();
    assert_eq!(read_all(&mut reader), &data[..70_000], "a reader keeps the length that it found");
    assert_eq!(read_all(&mut cluster.client.open(&path()).unwrap()), data);
    writer.close().unwrap();
    assert_eq!(read_all(&mut cluster.client.open(&path()).unwrap()), data);
}

#[test]
fn a_file_that_got_no_byte_yet_is_empty() {
    let cluster = Cluster::start(1);
    let writer = cluster.create();
    let mut reader = cluster.client.open(&path()).unwrap();
    assert!(reader.is_empty());
    assert_eq!(read_all(&mut reader), b"");
    writer.close().unwrap();
}

#[test]
fn a_missing_file_is_told_at_once() {
    let cluster = Cluster::start(1);
    let error = cluster.client.open(&path()).unwrap_err();
    assert_eq!(error.code(), ErrorCode::FileNotFound);
}
