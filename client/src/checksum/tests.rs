//! Values that HDFS itself gives, and files of many blocks against the rule written down once more.

use super::*;
use crate::testing::datanode::Fault;
use crate::testing::{Cluster, path, pattern};
use std::io::Write;

const BLOCK: usize = 64 * 1024;

fn with_file(data: &[u8], combine: ChecksumCombine) -> Cluster {
    let cluster = Cluster::start_with(3, |config| {
        config.checksum_combine = combine;
        config.block_acquire_failures = 0;
    });
    let mut writer = cluster.create();
    writer.write_all(data).unwrap();
    writer.close().unwrap();
    cluster
}

fn checksum(cluster: &Cluster, len: u64) -> (String, String) {
    let checksum = cluster.client.file_checksum(&path(), len).unwrap().unwrap();
    (checksum.algorithm.clone(), checksum.to_string())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// HDFS's rule: MD5 over what a buffer of 32 bytes holds that doubles as MD5s of 16 bytes are added.
fn expected(data: &[u8]) -> String {
    let mut md5s = Vec::new();
    for block in data.chunks(BLOCK) {
        let sums: Vec<u8> = block.chunks(512).flat_map(|part| crc(part).to_be_bytes()).collect();
        md5s.extend_from_slice(&Md5::digest(&sums));
    }
    let mut buffer = vec![0; 32];
    while buffer.len() < md5s.len() {
        buffer = vec![0; buffer.len() * 2];
    }
    buffer[..md5s.len()].copy_from_slice(&md5s);
    let per_block = if data.len() > BLOCK { BLOCK / 512 } else { 0 };
    format!("{:08x}{per_block:016x}{}", 512, hex(&Md5::digest(&buffer)))
}

/// CRC32C bit by bit.
fn crc(data: &[u8]) -> u32 {
    let step = |crc: u32| (0..8).fold(crc, |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0x82F6_3B78 } else { crc >> 1 });
    !data.iter().fold(u32::MAX, |crc, byte| step(crc ^ u32::from(*byte)))
}

#[test]
fn values_of_hdfs_come_out() {
    let cluster = with_file(b"world\n", ChecksumCombine::Md5);
    let head = "000002000000000000000000";
    let name = || "MD5-of-0MD5-of-512CRC32C".to_owned();
    assert_eq!(checksum(&cluster, u64::MAX), (name(), format!("{head}a74dcf6d5ba98e50ae0182c9d5d886fe")));
    assert_eq!(checksum(&cluster, 5), (name(), format!("{head}05a157db1cc7549c82ec6f31f63fdb46")));
    let nothing = ("MD5-of-0MD5-of-0CRC32".to_owned(), format!("{:024}70bc8f4b72a86921468bf8e8441dce51", 0));
    assert_eq!(checksum(&cluster, 0), nothing);
    for combine in [ChecksumCombine::Md5, ChecksumCombine::CompositeCrc] {
        assert_eq!(checksum(&with_file(b"", combine), u64::MAX), nothing);
    }
}

#[test]
fn files_of_many_blocks_have_the_md5_of_the_whole_buffer() {
    for len in [1, 511, 512, BLOCK, BLOCK + 1, 2 * BLOCK, 2 * BLOCK + 5, 4 * BLOCK, 5 * BLOCK - 700] {
        let data = pattern(len);
        let cluster = with_file(&data, ChecksumCombine::Md5);
        let (algorithm, value) = checksum(&cluster, u64::MAX);
        assert_eq!(value, expected(&data), "{len} bytes");
        let per_block = if len > BLOCK { BLOCK / 512 } else { 0 };
        assert_eq!(algorithm, format!("MD5-of-{per_block}MD5-of-512CRC32C"));
    }
}

#[test]
fn the_composed_checksum_is_the_one_of_the_bytes_whatever_the_blocks() {
    let data = pattern(3 * BLOCK + 777);
    let cluster = with_file(&data, ChecksumCombine::CompositeCrc);
    for len in [data.len(), 2 * BLOCK + 100, BLOCK, 700] {
        let (algorithm, value) = checksum(&cluster, len as u64);
        assert_eq!((algorithm.as_str(), value), ("COMPOSITE-CRC32C", format!("{:08x}", crc(&data[..len]))), "{len}");
    }
}

#[test]
fn nodes_that_refuse_or_are_dead_are_passed_over() {
    let data = pattern(2 * BLOCK);
    let cluster = with_file(&data, ChecksumCombine::Md5);
    cluster.datanodes[0].die();
    cluster.datanodes[1].fault(Fault::RefuseRead);
    cluster.datanodes[1].fault(Fault::RefuseRead);
    assert_eq!(checksum(&cluster, u64::MAX).1, expected(&data));
    cluster.datanodes[1].die();
    cluster.datanodes[2].die();
    let error = cluster.client.file_checksum(&path(), u64::MAX).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, ClientError::Read { .. }), "{text}");
    assert_eq!(text.matches("datanode 127.0.0.1:").count(), 3, "{text}");
}

#[test]
fn a_file_that_is_being_written_has_no_checksum() {
    let cluster = Cluster::start(3);
    let mut writer = cluster.create();
    writer.write_all(b"half").unwrap();
    writer.hflush().unwrap();
    let error = cluster.client.file_checksum(&path(), u64::MAX).unwrap_err();
    assert_eq!(error.to_string(), "Fail to get checksum, since file /dir/file is under construction.");
    writer.close().unwrap();
}
