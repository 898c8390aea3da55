//! The methods of the namenode's protocol that the scenario calls, in words.

use crate::namenode::Exchange;
use crate::text::{block, located, status};
use mammoth_protocol::hadoop::hdfs;

/// Calls of the scenario with their answers, in order.
pub(crate) const EXPECTED: &[(&str, &str)] = &[
    ("mkdirs /golden/dir mode=750 parents=true", "yes"),
    ("getServerDefaults", "block=1048576 replicas=1 chunk=512 packet=65536 ChecksumCrc32c"),
    ("create /golden/file 644 flag=1 parents=true 1x1048576", "it has 0 B, 644 alice:supergroup, 1x1048576"),
    ("addBlock /golden/file after none", "blk_1073741825_1001+0 from 0 at 127.0.0.2"),
    ("complete /golden/file blk_1073741825_1001+3000", "yes"),
    ("getFileInfo /golden/file", "it has 3000 B, 644 alice:supergroup, 1x1048576"),
    ("getFileInfo /golden/none", "nothing"),
    ("create /golden/file 644 flag=1 parents=true 1x1048576", "FileAlreadyExistsException"),
    ("create /golden/a 600 flag=1 parents=true 1x1048576", "it has 0 B, 600 alice:supergroup, 1x1048576"),
    ("complete /golden/a none", "yes"),
    ("create /golden/b 600 flag=1 parents=true 1x1048576", "it has 0 B, 600 alice:supergroup, 1x1048576"),
    ("complete /golden/b none", "yes"),
    (
        "getListing /golden after '' locations=false",
        "a has 0 B, 600 alice:supergroup, 1x1048576; b has 0 B, 600 alice:supergroup, 1x1048576; 2 more",
    ),
    (
        "getListing /golden after 'b' locations=false",
        "dir is a folder of 0, 750 alice:supergroup; file has 3000 B, 644 alice:supergroup, 1x1048576; 0 more",
    ),
    (
        "getBlockLocations /golden/file 0+9223372036854775807",
        "3000 B, closed; blk_1073741825_1001+3000 from 0 at 127.0.0.2; last blk_1073741825_1001+3000 from 0 at 127.0.0.2",
    ),
    (
        "getBlockLocations /golden/file 0+9223372036854775807",
        "3000 B, closed; blk_1073741825_1001+3000 from 0 at 127.0.0.2; last blk_1073741825_1001+3000 from 0 at 127.0.0.2",
    ),
    (
        "append /golden/file flag=4",
        "blk_1073741825_1001+3000 from 0 at 127.0.0.2; it has 3000 B, 644 alice:supergroup, 1x1048576",
    ),
    ("fsync /golden/file len=3500", ""),
    ("complete /golden/file blk_1073741825_1001+4000", "yes"),
    ("setPermission /golden/file 640", ""),
    ("setTimes /golden/file mtime=1000000000001 atime=1000000000002", ""),
    ("setReplication /golden/file 2", "yes"),
    ("setOwner /golden/file user=bob group=None", "AccessControlException"),
    ("getFileInfo /golden/file", "it has 4000 B, 640 alice:supergroup, 2x1048576, times 1000000000001 1000000000002"),
    ("getContentSummary /golden", "len=4000 files=3 dirs=2 space=8000"),
    ("rename2 /golden/file to /golden/dir/moved over=false trash=false", ""),
    ("rename2 /golden/a to /golden/b over=true trash=false", ""),
    ("delete /golden recursive=true", "yes"),
    ("delete /golden recursive=true", "no"),
];

/// A call and its answer; `client` is the name under which the client takes leases.
pub(crate) fn tell(exchange: &Exchange, client: &str) -> (String, String) {
    match exchange.call.method.as_str() {
        "mkdirs" | "rename2" | "delete" => tell_names(exchange),
        "getServerDefaults" | "getFileInfo" | "getListing" | "getContentSummary" => tell_looks(exchange),
        "setPermission" | "setTimes" | "setReplication" | "setOwner" => tell_attributes(exchange),
        _ => tell_writes(exchange, client),
    }
}

fn yes(result: bool) -> String {
    if result { "yes" } else { "no" }.to_owned()
}

fn none<M>(_: &M) -> String {
    String::new()
}

fn tell_names(exchange: &Exchange) -> (String, String) {
    match exchange.call.method.as_str() {
        "mkdirs" => exchange.tell(
            |q: &hdfs::MkdirsRequestProto| format!("{} mode={:o} parents={}", q.src, q.masked.perm, q.create_parent),
            |a: &hdfs::MkdirsResponseProto| yes(a.result),
        ),
        "rename2" => exchange.tell(
            |q: &hdfs::Rename2RequestProto| {
                format!("{} to {} over={} trash={}", q.src, q.dst, q.overwrite_dest, q.move_to_trash.unwrap())
            },
            none::<hdfs::Rename2ResponseProto>,
        ),
        "delete" => exchange.tell(
            |q: &hdfs::DeleteRequestProto| format!("{} recursive={}", q.src, q.recursive),
            |a: &hdfs::DeleteResponseProto| yes(a.result),
        ),
        other => panic!("{other}"),
    }
}

fn tell_looks(exchange: &Exchange) -> (String, String) {
    match exchange.call.method.as_str() {
        "getServerDefaults" => {
            exchange.tell(none::<hdfs::GetServerDefaultsRequestProto>, |a: &hdfs::GetServerDefaultsResponseProto| {
                let d = &a.server_defaults;
                let (chunk, packet, checksum) = (d.bytes_per_checksum, d.write_packet_size, d.checksum_type());
                format!("block={} replicas={} chunk={chunk} packet={packet} {checksum:?}", d.block_size, d.replication)
            })
        }
        "getFileInfo" => exchange.tell(
            |q: &hdfs::GetFileInfoRequestProto| q.src.clone(),
            |a: &hdfs::GetFileInfoResponseProto| a.fs.as_ref().map_or("nothing".to_owned(), status),
        ),
        "getListing" => exchange.tell(
            |q: &hdfs::GetListingRequestProto| {
                let after = str::from_utf8(&q.start_after).unwrap();
                format!("{} after '{after}' locations={}", q.src, q.need_location)
            },
            |a: &hdfs::GetListingResponseProto| {
                let list = a.dir_list.as_ref().unwrap();
                let entries: Vec<_> = list.partial_listing.iter().map(status).collect();
                format!("{}; {} more", entries.join("; "), list.remaining_entries)
            },
        ),
        "getContentSummary" => exchange.tell(
            |q: &hdfs::GetContentSummaryRequestProto| q.path.clone(),
            |a: &hdfs::GetContentSummaryResponseProto| {
                let s = &a.summary;
                let (files, dirs) = (s.file_count, s.directory_count);
                format!("len={} files={files} dirs={dirs} space={}", s.length, s.space_consumed)
            },
        ),
        other => panic!("{other}"),
    }
}

fn tell_attributes(exchange: &Exchange) -> (String, String) {
    match exchange.call.method.as_str() {
        "setPermission" => exchange.tell(
            |q: &hdfs::SetPermissionRequestProto| format!("{} {:o}", q.src, q.permission.perm),
            none::<hdfs::SetPermissionResponseProto>,
        ),
        "setTimes" => exchange.tell(
            |q: &hdfs::SetTimesRequestProto| format!("{} mtime={} atime={}", q.src, q.mtime, q.atime),
            none::<hdfs::SetTimesResponseProto>,
        ),
        "setReplication" => exchange.tell(
            |q: &hdfs::SetReplicationRequestProto| format!("{} {}", q.src, q.replication),
            |a: &hdfs::SetReplicationResponseProto| yes(a.result),
        ),
        "setOwner" => exchange.tell(
            |q: &hdfs::SetOwnerRequestProto| format!("{} user={} group={:?}", q.src, q.username(), q.groupname),
            none::<hdfs::SetOwnerResponseProto>,
        ),
        other => panic!("{other}"),
    }
}

fn tell_writes(exchange: &Exchange, client: &str) -> (String, String) {
    match exchange.call.method.as_str() {
        "create" => exchange.tell(
            |q: &hdfs::CreateRequestProto| {
                assert_eq!(q.client_name, client);
                assert_eq!(q.crypto_protocol_version, [hdfs::CryptoProtocolVersionProto::EncryptionZones as i32]);
                let (mode, flag, parents) = (q.masked.perm, q.create_flag, q.create_parent);
                let (replicas, block) = (q.replication, q.block_size);
                format!("{} {mode:o} flag={flag} parents={parents} {replicas}x{block}", q.src)
            },
            |a: &hdfs::CreateResponseProto| status(a.fs.as_ref().unwrap()),
        ),
        "append" => exchange.tell(
            |q: &hdfs::AppendRequestProto| {
                assert_eq!(q.client_name, client);
                format!("{} flag={}", q.src, q.flag.unwrap())
            },
            |a: &hdfs::AppendResponseProto| {
                format!("{}; {}", located(a.block.as_ref().unwrap()), status(a.stat.as_ref().unwrap()))
            },
        ),
        "addBlock" => exchange.tell(
            |q: &hdfs::AddBlockRequestProto| {
                assert_eq!(q.client_name, client);
                assert!(q.file_id() > 16_385);
                format!("{} after {}", q.src, q.previous.as_ref().map_or("none".to_owned(), block))
            },
            |a: &hdfs::AddBlockResponseProto| located(&a.block),
        ),
        "complete" => exchange.tell(
            |q: &hdfs::CompleteRequestProto| {
                assert_eq!(q.client_name, client);
                assert!(q.file_id() > 16_385);
                format!("{} {}", q.src, q.last.as_ref().map_or("none".to_owned(), block))
            },
            |a: &hdfs::CompleteResponseProto| yes(a.result),
        ),
        other => tell_blocks(exchange, client, other),
    }
}

fn tell_blocks(exchange: &Exchange, client: &str, method: &str) -> (String, String) {
    match method {
        "fsync" => exchange.tell(
            |q: &hdfs::FsyncRequestProto| {
                assert_eq!(q.client, client);
                assert!(q.file_id() > 16_385);
                format!("{} len={}", q.src, q.last_block_length())
            },
            none::<hdfs::FsyncResponseProto>,
        ),
        "getBlockLocations" => exchange.tell(
            |q: &hdfs::GetBlockLocationsRequestProto| format!("{} {}+{}", q.src, q.offset, q.length),
            |a: &hdfs::GetBlockLocationsResponseProto| {
                let file = a.locations.as_ref().unwrap();
                let blocks: Vec<_> = file.blocks.iter().chain(&file.last_block).map(located).collect();
                assert_eq!((file.under_construction, file.is_last_block_complete), (false, true));
                format!("{} B, closed; {}", file.file_length, blocks.join("; last "))
            },
        ),
        other => panic!("the scenario does not call {other}"),
    }
}
