//! The parsers of what namenodes and datanodes send, for the fuzz targets: nothing else calls them by these names.

use crate::reader::fuzzing as reader;
use crate::rpc::convert;
use mammoth_protocol::DfsPath;
use mammoth_protocol::hadoop::hdfs;
use prost::Message;
use std::ops::Range;

/// Reads a message as a file's status.
pub fn file_status(bytes: &[u8]) {
    if let Ok(proto) = hdfs::HdfsFileStatusProto::decode(bytes)
        && let Ok(status) = convert::file_status(&proto, &DfsPath::root())
    {
        assert!(status.path.starts_with(&DfsPath::root()));
    }
}

/// Reads a message as a page of a folder.
pub fn listing(bytes: &[u8]) {
    if let Ok(proto) = hdfs::DirectoryListingProto::decode(bytes) {
        for status in &proto.partial_listing {
            let _ = convert::file_status(status, &DfsPath::root());
        }
    }
}

/// Reads a message as the blocks of a file.
pub fn block_locations(bytes: &[u8]) {
    if let Ok(proto) = hdfs::LocatedBlocksProto::decode(bytes)
        && let Ok(found) = convert::block_locations(&proto)
    {
        reader::locations(found, proto.file_length);
    }
}

/// Reads a message as a datanode; what is read of its identity is written the same.
pub fn datanode(bytes: &[u8]) {
    if let Ok(proto) = hdfs::DatanodeInfoProto::decode(bytes)
        && let Ok(node) = convert::datanode(&proto)
    {
        let again = convert::datanode(&convert::datanode_proto(&node)).expect("its own message");
        assert_eq!((again.uuid, again.ip, again.transfer_port), (node.uuid, node.ip, node.transfer_port));
    }
}

/// Reads messages of figures.
pub fn server_defaults(bytes: &[u8]) {
    if let Ok(proto) = hdfs::FsServerDefaultsProto::decode(bytes) {
        let _ = convert::server_defaults(&proto);
    }
    if let Ok(proto) = hdfs::GetFsStatsResponseProto::decode(bytes) {
        let _ = convert::fs_stats(&proto);
    }
    if let Ok(proto) = hdfs::ContentSummaryProto::decode(bytes) {
        let _ = convert::content_summary(&proto);
    }
}

/// Reads the answer to a request of a datanode; tells whether it is one.
#[must_use]
pub fn read_answer(bytes: &[u8]) -> bool {
    reader::answer(bytes)
}

/// Reads a range of a block from the bytes that a datanode sends; gives it whole.
///
/// # Errors
/// What is wrong with the bytes.
pub fn read_block(stream: &[u8], chunk: usize, range: Range<u64>, buffer: usize) -> Result<Vec<u8>, String> {
    reader::block(stream, chunk, range, buffer)
}

/// Parts of a block, each with where it starts.
pub type Parts = Vec<(u64, Vec<u8>)>;

/// Reads a range of a replica from its open files, with a jump to `jump` behind the first read.
///
/// # Errors
/// What is wrong with the files.
pub fn read_files(data: &[u8], meta: &[u8], range: Range<u64>, buffer: usize, jump: u64) -> Result<Parts, String> {
    reader::files(data, meta, range, buffer, jump)
}

/// Reads the address of a file system.
pub fn uri(text: &str) {
    if let Ok(config) = crate::ClientConfig::for_uri(text) {
        assert!(!config.namenode.host.is_empty());
    }
}
