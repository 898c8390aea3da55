//! Parts of messages in words, without what differs between recordings.

use crate::message;
use crate::namenode::Exchange;
use mammoth_protocol::hadoop::{self, hdfs};
use mammoth_protocol::{DatanodeId, StorageId, Uuid};

/// The name under which the client takes leases, as its first request to create a file has it.
pub(crate) fn client_name(exchanges: &[Exchange]) -> String {
    let create = exchanges.iter().find(|exchange| exchange.call.method == "create").unwrap();
    let name = message::<hdfs::CreateRequestProto>(&create.call.payload).client_name;
    assert!(name.strip_prefix("hdfs_native_client-").is_some_and(|id| id.parse::<Uuid>().is_ok()), "{name}");
    name
}

/// A block with its length, `blk_ID_STAMP+LENGTH`.
pub(crate) fn block(block: &hdfs::ExtendedBlockProto) -> String {
    assert!(block.pool_id.starts_with("BP-") && block.pool_id.ends_with(char::is_numeric), "{}", block.pool_id);
    assert!(block.num_bytes.is_some());
    let block = hadoop::block_of(block);
    format!("{block}+{}", block.len)
}

/// A block and where it is.
pub(crate) fn located(located: &hdfs::LocatedBlockProto) -> String {
    assert_eq!((&located.block_token, located.corrupt), (&hadoop::empty_token(), false));
    assert_eq!(located.storage_types, vec![hdfs::StorageTypeProto::Disk as i32; located.locs.len()]);
    assert!(located.storage_ids.len() == located.locs.len());
    assert!(located.storage_ids.iter().all(|id| id.parse::<StorageId>().is_ok()), "{:?}", located.storage_ids);
    let hosts: Vec<_> = located.locs.iter().map(host).collect();
    format!("{} from {} at {}", block(&located.b), located.offset, hosts.join(" "))
}

fn host(node: &hdfs::DatanodeInfoProto) -> &str {
    let id = &node.id;
    assert_eq!((id.ip_addr.as_str(), node.location()), ("127.0.0.1", "/default-rack"));
    assert!([id.xfer_port, id.info_port, id.ipc_port].iter().all(|port| (1..=0xffff).contains(port)), "{id:?}");
    assert!(id.datanode_uuid.parse::<Uuid>().map(DatanodeId).is_ok(), "{id:?}");
    &id.host_name
}

/// A file or folder: its name, or `it` where the answer is about one path; what it is; its times if the client set them.
pub(crate) fn status(status: &hdfs::HdfsFileStatusProto) -> String {
    let name = if status.path.is_empty() { "it" } else { str::from_utf8(&status.path).unwrap() };
    let whose = format!("{:o} {}:{}", status.permission.perm, status.owner, status.group);
    assert!(status.file_id() > 16_385, "{status:?}");
    let millis = 1_000_000_000_000..10_000_000_000_000_u64;
    let (mtime, atime) = (status.modification_time, status.access_time);
    assert!(millis.contains(&mtime), "{status:?}");
    match status.file_type() {
        hdfs::hdfs_file_status_proto::FileType::IsDir => {
            format!("{name} is a folder of {}, {whose}", status.children_num())
        }
        hdfs::hdfs_file_status_proto::FileType::IsFile => {
            assert!(millis.contains(&atime), "{status:?}");
            let (replicas, size) = (status.block_replication(), status.blocksize());
            let times = if mtime < 1_000_000_001_000 { format!(", times {mtime} {atime}") } else { String::new() };
            format!("{name} has {} B, {whose}, {replicas}x{size}{times}", status.length)
        }
        other => panic!("{other:?}"),
    }
}
