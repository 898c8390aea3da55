//! The bytes of version 1, held down: a change that breaks one of these needs a new version, and new words in
//! `docs/format.md`.

use super::*;
use crate::api::{AdminState, FileStatus, LocatedBlock, Place, Reply};
use crate::rows::codec::{decode_record, encode_record};
use mammoth_protocol::internal::DatanodeAddr;
use mammoth_protocol::{BlockId, CallId, DatanodeId, GenStamp, StorageId, Uuid};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn lease() -> Lease {
    Lease { client: "c".into(), addr: Some(std::net::IpAddr::from([10, 0, 0, 1])) }
}

fn created(id: u64, file: Option<NewFile>) -> Edit {
    Edit::Created(Box::new(Created {
        id: InodeId(id),
        parent: InodeId(1),
        name: "n".into(),
        owner: "u".into(),
        group: "g".into(),
        mode: 0o644,
        mtime_ms: 9,
        file,
    }))
}

/// A record of one edit of each kind, with its bytes.
fn records() -> Vec<(Edit, &'static str)> {
    let (id, file, index, block, stamp) = (InodeId(2), InodeId(2), 3, BlockId(5), GenStamp(6));
    let targets = || vec![StorageId(Uuid(7))];
    let whole = Block { id: block, stamp, len: 9 };
    let new_file = NewFile { replication: 3, block_size: 128, lease: lease() };
    let call = CallId { client: Uuid(1), call: -2 };
    vec![
        (created(2, None), "0101000201016e01750167a4030900"),
        (created(3, Some(new_file)), "0101000301016e01750167a4030901038001016301000a000001"),
        (Edit::Moved { id, parent: InodeId(1), name: "m".into() }, "0101010201016d"),
        (Edit::Detached { id }, "01010202"),
        (Edit::Removed { id }, "01010302"),
        (Edit::Times { id, mtime_ms: Some(4), atime_ms: None }, "01010402010400"),
        (Edit::Mode { id, mode: 0o755 }, "01010502ed03"),
        (Edit::Owner { id, owner: Some("o".into()), group: None }, "0101060201016f00"),
        (Edit::Replication { id, replication: 2 }, "0101070202"),
        (Edit::Leased { id, lease: lease() }, "01010802016301000a000001"),
        (Edit::Leased { id, lease: Lease { client: "c".into(), addr: None } }, "01010802016300"),
        (
            Edit::Leased { id, lease: Lease { client: "c".into(), addr: Some(std::net::Ipv6Addr::LOCALHOST.into()) } },
            "010108020163010100000000000000000000000000000001",
        ),
        (Edit::Closed { id, mtime_ms: 8 }, "0101090208"),
        (
            Edit::BlockAdded { file, index, block, stamp, targets: targets() },
            "01010a02030a060100000000000000000000000000000007",
        ),
        (Edit::BlockFlushed { file, index, len: 9 }, "01010b020309"),
        (
            Edit::BlockPiped { file, index, stamp, len: 9, targets: targets() },
            "01010c020306090100000000000000000000000000000007",
        ),
        (Edit::BlockReopened { file, index, targets: targets() }, "01010d02030100000000000000000000000000000007"),
        (Edit::BlockRecovering { file, index, stamp }, "01010e020306"),
        (
            Edit::BlockCommitted { file, index, block: whole, holders: Some(targets()) },
            "01010f02030a0609010100000000000000000000000000000007",
        ),
        (Edit::BlockTaken { file, index, block }, "01011002030a"),
        (Edit::SegmentRemoved { file, segment: 1 }, "0101110201"),
        (Edit::StampAllocated { stamp }, "01011206"),
        (
            Edit::Remembered { call, reply: Reply::Done(true), wall_ms: 3 },
            "0101130000000000000000000000000000000103000103",
        ),
        (Edit::Forgotten { floor: Seq(300) }, "010114ac02"),
        (
            Edit::BlockCut { file, index, len: 9, stamp, targets: targets() },
            "010115020309060100000000000000000000000000000007",
        ),
        (Edit::BlocksJoined { file, index, blocks: vec![whole, whole] }, "0101160203020a06090a0609"),
    ]
}

/// The tag of an edit. A new kind does not compile here until it has one, and fails below until it has its bytes above.
fn tag(edit: &Edit) -> u8 {
    match edit {
        Edit::Created(_) => 0,
        Edit::Moved { .. } => 1,
        Edit::Detached { .. } => 2,
        Edit::Removed { .. } => 3,
        Edit::Times { .. } => 4,
        Edit::Mode { .. } => 5,
        Edit::Owner { .. } => 6,
        Edit::Replication { .. } => 7,
        Edit::Leased { .. } => 8,
        Edit::Closed { .. } => 9,
        Edit::BlockAdded { .. } => 10,
        Edit::BlockFlushed { .. } => 11,
        Edit::BlockPiped { .. } => 12,
        Edit::BlockReopened { .. } => 13,
        Edit::BlockRecovering { .. } => 14,
        Edit::BlockCommitted { .. } => 15,
        Edit::BlockTaken { .. } => 16,
        Edit::SegmentRemoved { .. } => 17,
        Edit::StampAllocated { .. } => 18,
        Edit::Remembered { .. } => 19,
        Edit::Forgotten { .. } => 20,
        Edit::BlockCut { .. } => 21,
        Edit::BlocksJoined { .. } => 22,
    }
}

#[test]
fn records_keep_their_bytes() {
    let mut tags = Vec::new();
    for (edit, golden) in records() {
        let mut record = Vec::new();
        encode_record(std::slice::from_ref(&edit), &mut record);
        assert_eq!(hex(&record), golden, "{edit:?}");
        assert_eq!(decode_record(&record).as_deref(), Ok(std::slice::from_ref(&edit)));
        assert_eq!(record[..3], [1, 1, tag(&edit)], "version, number of edits, tag of {edit:?}");
        tags.push(tag(&edit));
    }
    tags.dedup();
    assert_eq!(tags, (0..=22).collect::<Vec<_>>(), "every kind has its bytes here");
}

#[test]
fn a_record_has_the_edits_of_one_decision_in_order() {
    let edits = [Edit::Removed { id: InodeId(300) }, Edit::StampAllocated { stamp: GenStamp(6) }];
    let mut record = Vec::new();
    encode_record(&edits, &mut record);
    assert_eq!(hex(&record), "010203ac021206");
    assert_eq!(decode_record(&record).as_deref(), Ok(&edits[..]));
    assert!(decode_record(&[&record[..], &[0]].concat()).is_err(), "a record with more behind it");
    record[0] = 2;
    let refused = decode_record(&record).unwrap_err();
    assert!(refused.what.ends_with("version 2 is newer than this program"), "{refused}");
}

#[test]
fn remembered_replies_keep_their_bytes() {
    let addr = DatanodeAddr {
        ip: [10, 0, 0, 2].into(),
        hostname: "h".to_owned(),
        transfer_port: 1,
        info_port: 2,
        ipc_port: 3,
    };
    let (rack, admin) = ("/r".to_owned(), AdminState::default());
    let place = Place { datanode: DatanodeId(Uuid(8)), storage: StorageId(Uuid(9)), addr, rack, admin };
    let block = Block { id: BlockId(5), stamp: GenStamp(6), len: 9 };
    let last = LocatedBlock { block, offset: 1, places: vec![place], corrupt: false };
    let status = FileStatus {
        id: InodeId(2),
        name: String::new(),
        is_dir: false,
        len: 10,
        replication: 3,
        block_size: 128,
        mtime_ms: 4,
        atime_ms: 5,
        mode: 0o644,
        owner: "u".to_owned(),
        group: "g".to_owned(),
        children: 0,
        blocks: None,
    };
    for (reply, golden) in [
        (Reply::Done(true), "0001"),
        (Reply::Unit, "01"),
        (Reply::Created(Box::new(status.clone())), "020200000a0380010405a403017501670000"),
        (
            Reply::Appended { last: Some(last.clone()), status: Box::new(status) },
            "03010a060901010000000000000000000000000000000800000000000000000000000000000009000a0000020168010203022f7200\
             0200000a0380010405a403017501670000",
        ),
        (
            Reply::Block(Box::new(last)),
            "040a060901010000000000000000000000000000000800000000000000000000000000000009000a0000020168010203022f7200",
        ),
    ] {
        assert_eq!(hex(&postcard::to_allocvec(&reply).unwrap()), golden, "{reply:?}");
    }
}

/// Rows with everything that a row can have: an open file of 5 blocks, a file that is being cut, a folder, a remembered call.
fn rows() -> Rows {
    let mut rows = Rows::new("u", "g");
    let file = InodeId(20_000);
    let new_file = NewFile { replication: 3, block_size: 128, lease: lease() };
    let edit = created(file.0, Some(new_file));
    rows.apply(Seq(1), &edit);
    for index in 0..5 {
        let (block, stamp) = (BlockId(100 + i64::from(index)), GenStamp(200 + u64::from(index)));
        rows.apply(Seq(2), &Edit::BlockAdded { file, index, block, stamp, targets: vec![StorageId(Uuid(7))] });
        if index < 4 {
            let block = Block { id: block, stamp, len: 128 };
            rows.apply(Seq(3), &Edit::BlockCommitted { file, index, block, holders: None });
        }
    }
    rows.apply(Seq(4), &Edit::BlockRecovering { file, index: 4, stamp: GenStamp(300) });
    let call = CallId { client: Uuid(1), call: -2 };
    rows.apply(Seq(5), &Edit::Remembered { call, reply: Reply::Done(true), wall_ms: 3 });
    let new_file = NewFile { replication: 3, block_size: 128, lease: lease() };
    rows.apply(Seq(6), &created(20_001, Some(new_file)));
    let (file, index) = (InodeId(20_001), 0);
    let blocks = vec![Block { id: BlockId(90), stamp: GenStamp(91), len: 92 }];
    rows.apply(Seq(7), &Edit::BlocksJoined { file, index, blocks });
    let targets = vec![StorageId(Uuid(7))];
    rows.apply(Seq(8), &Edit::BlockCut { file, index, len: 60, stamp: GenStamp(301), targets });
    rows
}

#[test]
fn rows_keep_their_bytes() {
    let goldens = [
        ("01", "01a19c018080808008e80700"),
        ("020000000000004001", "01008180010001750167ed03000000"),
        (
            "020000000000004e20",
            "010301016e01750167a40309090103800104c801c8018001ca01c9018001cc01ca018001ce01cb0180010001016301000a000001",
        ),
        (
            "020000000000004e21",
            "010801016e01750167a40309090103800101b4015b5c02010000000000000000000000000000000701ad023c01016301000a000001",
        ),
        ("030000000000004e2000000000", "010401d001cc010001010000000000000000000000000000000701ac02"),
        ("040000000000000005", "010300000000000000000000000000000001030001"),
    ];
    let rows = rows();
    for (key, (golden_key, golden)) in rows.all_keys().into_iter().zip(goldens) {
        let mut value = Vec::new();
        assert!(rows.encode_row(&key, &mut value));
        assert_eq!((&*hex(&key), &*hex(&value)), (golden_key, golden));
    }
    assert_eq!(rows.all_keys().len(), goldens.len());
}

#[test]
fn rows_of_another_version_are_refused() {
    let rows = rows();
    for key in rows.all_keys() {
        let mut value = Vec::new();
        rows.encode_row(&key, &mut value);
        let load = |value: &[u8]| Rows::new("u", "g").load_row(&key, value).map_err(|error| error.what);
        assert_eq!(load(&value), Ok(()));
        assert!(load(&[]).unwrap_err().ends_with("it is empty"));
        assert!(load(&value[..value.len() - 1]).is_err(), "a row that is cut short");
        assert!(load(&[&value[..], &[0]].concat()).is_err(), "a row with more behind it");
        value[0] = 2;
        assert!(load(&value).unwrap_err().ends_with("version 2 is newer than this program"));
    }
}
