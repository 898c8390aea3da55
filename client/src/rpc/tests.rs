use super::convert;
use crate::testing::namenode::FakeNamenode;
use crate::testing::rpc::{Answer, serve};
use crate::testing::{Cluster, path, until};
use crate::{ClientConfig, ClientError, DfsClient};
use mammoth_protocol::hadoop::hdfs;
use mammoth_protocol::{DfsPath, ErrorCode};
use std::io::Write;
use std::net::TcpListener;
use std::time::Duration;

fn client_of(address: &str) -> DfsClient {
    let mut config = ClientConfig::for_uri(address).unwrap();
    config.first_connect_budget = Duration::ZERO;
    config.reconnect_budget = Duration::from_secs(5);
    DfsClient::connect(config).unwrap()
}

#[test]
fn a_repeated_call_keeps_its_identity() {
    let namenode = FakeNamenode::start(Vec::new());
    namenode.state().lost_replies.insert("rename", 2);
    let client = client_of(&namenode.address);
    assert!(client.rename(&path(), &DfsPath::root()).unwrap());
    let calls = namenode.calls("rename");
    assert_eq!(calls.iter().map(|call| call.to.retry_count).collect::<Vec<_>>(), [0, 1, 2]);
    assert!(calls.iter().all(|call| call.to.call_id == calls[0].to.call_id));
    assert!(calls.iter().all(|call| call.to.client_id.is_some() && call.to.client_id == calls[0].to.client_id));
    client.rename(&path(), &DfsPath::root()).unwrap();
    assert_ne!(namenode.calls("rename")[3].to.call_id, calls[0].to.call_id, "another call is another identity");
}

#[test]
fn nobody_at_the_address_is_told_at_once_and_clearly() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let error = client_of(&address).file_info(&path()).unwrap_err();
    assert!(matches!(&error, ClientError::Unreachable { .. }));
    let line = error.first_line();
    assert!(line.contains(&address) && line.contains("Connection refused") && line.contains("check"), "{line}");
}

#[test]
fn a_server_that_never_answers_is_no_namenode() {
    let address = serve(|_| Answer::HangUp);
    let error = client_of(&address.to_string()).file_info(&path()).unwrap_err();
    assert!(matches!(&error, ClientError::Lost { method: "getFileInfo", .. }), "{error}");
    // A namenode that answered before gets the time of a restart.
    let namenode = FakeNamenode::start(Vec::new());
    let client = client_of(&namenode.address);
    client.file_info(&path()).unwrap();
    namenode.state().lost_replies.insert("getFileInfo", 6);
    client.file_info(&path()).unwrap();
    assert_eq!(namenode.calls("getFileInfo").len(), 1 + 7);
}

#[test]
fn refusals_that_pass_are_waited_for_and_others_are_not() {
    let namenode = FakeNamenode::start(Vec::new());
    let client = client_of(&namenode.address);
    namenode.state().refusals.insert("mkdirs", vec![ErrorCode::Standby, ErrorCode::Retriable]);
    assert!(client.mkdirs(&path(), None, true).unwrap());
    for code in [ErrorCode::SafeMode, ErrorCode::AccessControl, ErrorCode::FileNotFound] {
        namenode.state().refusals.insert("mkdirs", vec![code]);
        assert_eq!(client.mkdirs(&path(), None, true).unwrap_err().code(), code);
    }
    assert_eq!(namenode.calls("mkdirs").len(), 3 + 3);
    let error = client.fs_stats().unwrap_err();
    assert_eq!(error.code(), ErrorCode::Unsupported);
}

#[test]
fn the_umask_applies_to_what_is_created() {
    let namenode = FakeNamenode::start(Vec::new());
    let client = client_of(&namenode.address);
    client.mkdirs(&path(), None, true).unwrap();
    client.mkdirs(&path(), Some(0o1770), false).unwrap();
    let bits: Vec<_> = namenode
        .calls("mkdirs")
        .iter()
        .map(|call| call.message::<hdfs::MkdirsRequestProto>())
        .map(|request| (request.masked.perm, request.unmasked.map(|mode| mode.perm), request.create_parent))
        .collect();
    assert_eq!(bits, [(0o755, Some(0o777), true), (0o1750, Some(0o1770), false)]);
}

#[test]
fn listings_are_fetched_page_by_page() {
    let names = ["a", "b", "c", "d", "e"];
    let address = serve(move |call| {
        let request: hdfs::GetListingRequestProto = call.message();
        let rest = names.iter().filter(|name| name.as_bytes() > request.start_after.as_slice());
        let rest: Vec<_> = rest.collect();
        let status = |name: &&&str| hdfs::HdfsFileStatusProto {
            file_type: 2,
            path: name.as_bytes().to_vec(),
            ..hdfs::HdfsFileStatusProto::default()
        };
        let listing = hdfs::DirectoryListingProto {
            partial_listing: rest.iter().take(2).map(status).collect(),
            remaining_entries: u32::try_from(rest.len().saturating_sub(2)).unwrap(),
        };
        Answer::of(&hdfs::GetListingResponseProto { dir_list: Some(listing) })
    });
    let client = client_of(&address.to_string());
    let paths: Vec<_> = client.list_all(&DfsPath::root()).unwrap().iter().map(|entry| entry.path.to_string()).collect();
    assert_eq!(paths, ["/a", "/b", "/c", "/d", "/e"]);
}

#[test]
fn strange_answers_are_errors_and_never_panics() {
    let garbage = serve(|_| Answer::Reply(vec![0xff; 20]));
    let error = client_of(&garbage.to_string()).file_info(&path()).unwrap_err();
    assert!(matches!(error, ClientError::Protocol { .. }), "{error}");
    let strange = serve(|_| {
        let fs = hdfs::HdfsFileStatusProto { file_type: 77, ..hdfs::HdfsFileStatusProto::default() };
        Answer::of(&hdfs::GetFileInfoResponseProto { fs: Some(fs) })
    });
    let error = client_of(&strange.to_string()).file_info(&path()).unwrap_err();
    assert!(error.to_string().contains("unknown type 77"), "{error}");
}

#[test]
fn leases_are_renewed_while_a_file_is_open() {
    let cluster = Cluster::start_with(1, |config| config.lease_renew_interval = Duration::from_millis(20));
    let mut writer = cluster.create();
    until("three renewals", || cluster.namenode.calls("renewLease").len() >= 3);
    let holder = cluster.namenode.calls("create")[0].message::<hdfs::CreateRequestProto>().client_name;
    let renewal: hdfs::RenewLeaseRequestProto = cluster.namenode.calls("renewLease")[0].message();
    assert_eq!(renewal.client_name, holder);
    writer.write_all(b"x").unwrap();
    writer.close().unwrap();
    // The next file finds a thread, or starts one.
    let renewals = cluster.namenode.calls("renewLease").len();
    let writer = cluster.create();
    until("renewals for the second file", || cluster.namenode.calls("renewLease").len() >= renewals + 3);
    drop(writer);
}

#[test]
fn messages_are_checked_before_they_become_values() {
    let id = |port| hdfs::DatanodeIdProto { ip_addr: "::1".to_owned(), xfer_port: port, ..Default::default() };
    let node = |port| hdfs::DatanodeInfoProto { id: id(port), ..Default::default() };
    assert_eq!(convert::datanode(&node(9866)).unwrap().transfer_addr(), "[::1]:9866");
    assert!(convert::datanode(&node(70_000)).unwrap_err().contains("70000"));
    let block = |offset, len| hdfs::LocatedBlockProto {
        b: hdfs::ExtendedBlockProto { num_bytes: Some(len), ..Default::default() },
        offset,
        ..Default::default()
    };
    let blocks =
        |second| hdfs::LocatedBlocksProto { blocks: vec![block(0, 10), block(second, 5)], ..Default::default() };
    assert_eq!(convert::block_locations(&blocks(10)).unwrap().blocks.len(), 2);
    assert!(convert::block_locations(&blocks(11)).unwrap_err().contains("0 and 11"));
    let name = |path: &[u8]| hdfs::HdfsFileStatusProto { file_type: 1, path: path.to_vec(), ..Default::default() };
    for bad in [&b"a/b"[..], b"..", b"\xff"] {
        assert!(convert::file_status(&name(bad), &path()).is_err(), "{bad:?}");
    }
    let status = convert::file_status(&name(b"x"), &path()).unwrap();
    assert_eq!((status.path.as_str(), status.is_dir()), ("/dir/file/x", true));
    let summary = hdfs::ContentSummaryProto { quota: u64::MAX, space_quota: 7, ..Default::default() };
    let summary = convert::content_summary(&summary);
    assert_eq!((summary.quota, summary.space_quota), (None, Some(7)));
}
