use super::*;
use crate::driver::DriverHandle;
use mammoth_namenode_core::api::{AdminState, DatanodeStatus, FileBlocks, FileStatus, LocatedBlock, Place};
use mammoth_platform::ManualClock;
use mammoth_protocol::hadoop::hdfs::{DatanodeIdProto, DatanodeInfoProto, FsPermissionProto, LocatedBlockProto};
use mammoth_protocol::hadoop::{block_of, extended_block};
use mammoth_protocol::internal::DatanodeAddr;
use mammoth_protocol::{Block, BlockId, DatanodeId, ErrorCode, GenStamp, InodeId, StorageId, Uuid};
use prost::Message;

const POOL: &str = "BP-1-127.0.0.1-1";

fn addr() -> DatanodeAddr {
    DatanodeAddr {
        ip: "10.1.2.3".parse().expect("an address"),
        hostname: "dn.example".to_owned(),
        transfer_port: 9866,
        info_port: 9864,
        ipc_port: 9867,
    }
}

fn located(places: u128) -> LocatedBlock {
    let place = |nth| Place {
        datanode: DatanodeId(Uuid(nth)),
        storage: StorageId(Uuid(nth + 100)),
        addr: addr(),
        rack: "/r1".to_owned(),
        admin: AdminState::default(),
    };
    LocatedBlock {
        block: Block { id: BlockId(1_073_741_825), stamp: GenStamp(1001), len: 42 },
        offset: 128,
        places: (1..=places).map(place).collect(),
        corrupt: false,
    }
}

#[test]
fn a_located_block_has_all_that_clients_index() {
    let proto = convert::located_block(POOL, &located(3));
    let proto = LocatedBlockProto::decode(proto.encode_to_vec().as_slice()).expect("its own bytes");
    assert_eq!((proto.locs.len(), proto.storage_ids.len(), proto.storage_types.len()), (3, 3, 3));
    assert_eq!((proto.offset, proto.corrupt, proto.b.pool_id.as_str()), (128, false, POOL));
    assert_eq!(block_of(&proto.b), located(0).block);
    let first = proto.locs.first().expect("three");
    assert_eq!((first.id.ip_addr.as_str(), first.id.host_name.as_str()), ("10.1.2.3", "dn.example"));
    assert_eq!((first.id.xfer_port, first.id.info_port, first.id.ipc_port), (9866, 9864, 9867));
    assert_eq!(first.location(), "/r1");
    assert_eq!(convert::storages(&proto.storage_ids), [101, 102, 103].map(|n| StorageId(Uuid(n))));
    assert_eq!(convert::datanodes(&proto.locs), [1, 2, 3].map(|n| DatanodeId(Uuid(n))));
    // Field 5, the token, with its four empty parts.
    let bytes = convert::located_block(POOL, &located(0)).encode_to_vec();
    assert!(bytes.windows(10).any(|part| part == [0x2a, 8, 0x0a, 0, 0x12, 0, 0x1a, 0, 0x22, 0]), "{bytes:x?}");
}

#[test]
fn a_file_status_keeps_every_field() {
    let blocks =
        FileBlocks { len: 42, open: true, blocks: vec![located(1)], last: Some(located(1)), last_complete: false };
    let status = FileStatus {
        id: InodeId(16_386),
        name: "f".to_owned(),
        is_dir: false,
        len: 42,
        replication: 3,
        block_size: 1 << 27,
        mtime_ms: 5,
        atime_ms: 6,
        mode: 0o644,
        owner: "ann".to_owned(),
        group: "staff".to_owned(),
        children: 0,
        blocks: Some(blocks),
    };
    let proto = convert::file_status(POOL, status.clone());
    assert_eq!((proto.file_type, proto.path.as_slice(), proto.length), (2, b"f".as_slice(), 42));
    assert_eq!((proto.permission.perm, proto.owner.as_str(), proto.group.as_str()), (0o644, "ann", "staff"));
    assert_eq!((proto.modification_time, proto.access_time, proto.file_id()), (5, 6, 16_386));
    assert_eq!((proto.block_replication(), proto.blocksize(), proto.children_num()), (3, 1 << 27, 0));
    let locations = proto.locations.expect("asked for");
    assert!(locations.under_construction && !locations.is_last_block_complete && locations.last_block.is_some());
    assert_eq!((locations.file_length, locations.blocks.len()), (42, 1));
    let folder = FileStatus { is_dir: true, children: 7, blocks: None, ..status };
    let proto = convert::file_status(POOL, folder);
    assert_eq!((proto.file_type, proto.children_num(), proto.locations), (1, 7, None));
}

#[test]
fn requests_are_read_with_care() {
    assert_eq!(convert::mode(FsPermissionProto { perm: 0o177_1755 }), 0o1755);
    assert_eq!(convert::file_id(Some(0)), None);
    assert_eq!(convert::file_id(Some(16_386)), Some(InodeId(16_386)));
    assert_eq!(convert::replication(65_536).expect_err("too many").code, ErrorCode::IllegalArgument);
    let block = located(0).block;
    assert_eq!(convert::block(POOL, &extended_block(POOL, block)), Ok(block));
    assert_eq!(convert::block(POOL, &extended_block("BP-2", block)).expect_err("foreign").code, ErrorCode::Io);
    assert_eq!(convert::path("a").expect_err("relative").code, ErrorCode::InvalidPath);
    let unknown = DatanodeIdProto { datanode_uuid: "nonsense".to_owned(), ..DatanodeIdProto::default() };
    assert!(convert::datanodes(&[DatanodeInfoProto { id: unknown, ..DatanodeInfoProto::default() }]).is_empty());
    assert!(convert::storages(&["DS-nonsense".to_owned()]).is_empty());
}

#[test]
fn a_datanode_report_has_the_figures() {
    let node = DatanodeStatus {
        id: DatanodeId(Uuid(1)),
        addr: addr(),
        rack: "/r1".to_owned(),
        live: true,
        stale: false,
        admin: Default::default(),
        capacity: 100,
        used: 30,
        remaining: 50,
        xceivers: 2,
        blocks: 9,
        last_contact_ms: 400,
        last_contact_wall_ms: 77,
        last_report_wall_ms: 66,
        failed_volumes: 0,
        reported: true,
    };
    let info = convert::datanode_info(&node, 1_000);
    assert_eq!((info.capacity(), info.dfs_used(), info.remaining(), info.non_dfs_used()), (100, 30, 50, 20));
    assert_eq!((info.last_update(), info.last_update_monotonic(), info.last_block_report_time()), (77, 600, 66));
    assert_eq!((info.num_blocks(), info.xceiver_count(), info.location()), (9, 2, "/r1"));
}

/// A door whose driver never runs: only what needs no driver can be answered.
fn door() -> ClientProtocol {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::default());
    let driver = DriverHandle::default();
    driver.mailbox.close();
    ClientProtocol(Arc::new(ClientDoor {
        driver,
        groups: Groups::new(Arc::clone(&clock)),
        pool: POOL.to_owned(),
        identity: ClusterIdentity::default(),
        defaults: ServerDefaults {
            block_size: 1 << 27,
            replication: 3,
            write_packet_size: 65_536,
            file_buffer_size: 4096,
            trash_interval_min: 0,
        },
        rules: AdminRules { permissions: true, superuser: "hdfs".to_owned(), supergroup: "wheel".to_owned() },
        hosts: HostFiles::default(),
        topology: Topology::default(),
        log_dir: None,
        clock,
    }))
}

fn incoming(method: &str) -> RpcCall {
    RpcCall {
        protocol: CLIENT_PROTOCOL.to_owned(),
        method: method.to_owned(),
        payload: Bytes::new(),
        user: "ann/host@REALM".into(),
        real_user: None,
        client_id: Some([1; 16]),
        call_id: 7,
        retry_count: 0,
        peer: "127.0.0.1:5".parse().expect("an address"),
        caller_context: None,
    }
}

#[tokio::test]
async fn callers_are_who_they_say_but_nobody_else() {
    let door = door();
    let caller = door.0.caller(&incoming("mkdirs")).await.expect("a caller");
    assert_eq!((caller.user.as_str(), caller.auth), ("ann", Auth::Simple));
    assert_eq!(caller.call.expect("an identity").call, 7);
    assert_eq!(caller.addr, Some("127.0.0.1".parse().expect("an address")));
    let proxied = RpcCall { real_user: Some("oozie".into()), ..incoming("mkdirs") };
    let refused = door.0.caller(&proxied).await.expect_err("no setting allows it");
    assert!(refused.message.contains("oozie is not allowed to impersonate ann"), "{refused}");
    let other = RpcCall { protocol: "org.example.Other".to_owned(), ..incoming("mkdirs") };
    let refused = door.call(other).await.expect_err("not ours");
    assert!(refused.java_class.ends_with("RpcNoSuchProtocolException"), "{refused:?}");
}

#[tokio::test]
async fn every_method_is_served_refused_or_unknown() {
    let door = door();
    // Served without the driver, or turned away by the one that ended; never "no such method".
    for method in [
        "getBlockLocations getServerDefaults create append setReplication setPermission setOwner abandonBlock addBlock",
        "getAdditionalDatanode complete reportBadBlocks rename rename2 delete mkdirs getListing renewLease recoverLease",
        "getFsStats getDatanodeReport getPreferredBlockSize setSafeMode fsync getFileInfo getFileLinkInfo",
        "getLocatedFileInfo getContentSummary getQuotaUsage setTimes updateBlockForPipeline updatePipeline isFileClosed",
        "checkAccess getStoragePolicy getStoragePolicies getDataEncryptionKey getErasureCodingPolicies",
        "getErasureCodingPolicy msync getHAServiceState getFsReplicatedBlockStats getFsECBlockGroupStats",
        "listCorruptFileBlocks truncate concat refreshNodes listOpenFiles saveNamespace getAclStatus getXAttrs listXAttrs",
        "getEZForPath setStoragePolicy unsetStoragePolicy getSnapshottableDirListing getSlowDatanodeReport upgradeStatus",
        "finalizeUpgrade",
        "metaSave setBalancerBandwidth",
    ]
    .iter()
    .flat_map(|line| line.split(' '))
    {
        let class = door.call(incoming(method)).await.err().map(|failure| failure.java_class).unwrap_or_default();
        assert!(!class.ends_with("RpcNoSuchMethodException"), "{method} is unknown");
        let empty_mode_is_fine = class != ErrorCode::Unsupported.java_class() || method == "create";
        assert!(empty_mode_is_fine, "{method} is not offered");
        assert!(refused::refusal(method).is_none(), "{method} is served and refused");
    }
    for method in ["setQuota", "setAcl", "setXAttr", "createSnapshot", "rollEdits"] {
        let failure = door.call(incoming(method)).await.expect_err("not offered");
        assert_eq!(failure.java_class, ErrorCode::Unsupported.java_class());
        assert!(failure.message.starts_with(method), "{failure}");
    }
    let unknown = door.call(incoming("nonsense")).await.expect_err("unknown");
    assert!(unknown.java_class.ends_with("RpcNoSuchMethodException"));
}

#[tokio::test]
async fn the_namenodes_own_protocol_is_for_administrators_and_the_balancer() {
    let door = door();
    let to = |method: &str| RpcCall { protocol: NAMENODE_PROTOCOL.to_owned(), ..incoming(method) };
    for method in ["versionRequest", "getBlockKeys", "getBlocks"] {
        let failure = door.call(to(method)).await.expect_err("ann is nobody");
        assert_eq!(failure.java_class, ErrorCode::AccessControl.java_class(), "{method}");
    }
    for method in ["rollEditLog", "startCheckpoint", "getEditLogManifest"] {
        let failure = door.call(to(method)).await.expect_err("not offered");
        assert!(failure.message.starts_with(method), "{failure}");
        assert_eq!(failure.java_class, ErrorCode::Unsupported.java_class(), "{method}");
    }
    let admin = RpcCall { user: "hdfs".into(), ..to("versionRequest") };
    let reply = door.call(admin).await.expect("served");
    let version = mammoth_protocol::hadoop::hdfs::VersionResponseProto::decode(reply).expect("its own bytes");
    assert_eq!((version.info.block_pool_id.as_str(), version.info.state), (POOL, Some(0)));
    for method in ["mkdirs", "nonsense"] {
        let unknown = door.call(to(method)).await.expect_err("of another protocol");
        assert!(unknown.java_class.ends_with("RpcNoSuchMethodException"), "{method}");
    }
}
