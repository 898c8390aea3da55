//! What datanodes tell the namenode, into a state that knows them: whatever they say, it stays whole.

use crate::feed::{Feed, put_part};
use mammoth_namenode_core::api::{CoreConfig, ReplicaOn, Report};
use mammoth_namenode_core::{State, check};
use mammoth_protocol::internal::{
    BadReplicas, ClusterIdentity, CommitBlockSync, DatanodeAddr, FullReportSlice, HeartbeatReply, HeartbeatRequest,
    HighWater, IncrementalReport, RegisterReply, RegisterRequest, ReplicaEvent, ReplicaState, ReportReply,
    ReportedReplica, StorageEvents, StorageUsage,
};
use mammoth_protocol::{Block, BlockId, DatanodeId, Epoch, GenStamp, Now, StorageId, Uuid};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::net::{IpAddr, Ipv4Addr};

/// Reads a binary message, and writes and reads it again.
fn binary<T: Serialize + DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) -> Option<T> {
    let message: T = postcard::from_bytes(bytes).ok()?;
    let again = postcard::to_allocvec(&message).expect("plain data");
    assert_eq!(postcard::from_bytes(&again).as_ref(), Ok(&message));
    Some(message)
}

/// Reads a JSON message, and writes and reads it again.
fn json_message<T: Serialize + DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) -> Option<T> {
    let message: T = serde_json::from_slice(bytes).ok()?;
    let again = serde_json::to_vec(&message).expect("plain data");
    assert_eq!(serde_json::from_slice::<T>(&again).ok().as_ref(), Some(&message));
    Some(message)
}

fn node(n: u128) -> DatanodeId {
    DatanodeId(Uuid(n))
}

fn storage(n: u128) -> StorageId {
    StorageId(Uuid(n))
}

fn usage(n: u128) -> StorageUsage {
    StorageUsage { storage: storage(n), capacity: 1 << 40, used: 0, remaining: 1 << 40, failed: false }
}

fn registration(n: u8) -> RegisterRequest {
    let addr = DatanodeAddr {
        ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
        hostname: format!("h{n}"),
        transfer_port: 1000 + u16::from(n),
        info_port: 2000,
        ipc_port: 3000,
    };
    RegisterRequest {
        cluster_id: "CID-1".to_owned(),
        datanode: node(n.into()),
        addr,
        rack: "/r".to_owned(),
        storages: vec![usage(n.into())],
        seen: HighWater::default(),
        software: "1".to_owned(),
    }
}

/// Each part of the input is a message, whose first byte chooses the kind; every seventh also lets time pass.
pub(super) fn reports(bytes: &[u8]) {
    let mut state = State::new(CoreConfig::default(), Now::default());
    let mut now = Now { monotonic_ms: 1, wall_ms: 1 };
    for n in 1..=2 {
        let _ = state.observe(now, Report::Register { request: registration(n), epoch: Epoch(n.into()) });
    }
    let mut feed = Feed::new(bytes);
    let mut epoch = Epoch(3);
    while !feed.is_empty() {
        let kind = feed.byte();
        let Some(report) = report_of(kind, feed.part(), &mut epoch) else { continue };
        let _ = state.observe(now, report);
        if kind >= 128 {
            now.monotonic_ms += 10_000 * u64::from(kind - 127);
            let _ = state.tick(now, 7);
        }
    }
    let _ = state.tick(now, 7);
    if let Err(violation) = check::check(&state) {
        panic!("{violation:?}");
    }
}

fn report_of(kind: u8, body: &[u8], epoch: &mut Epoch) -> Option<Report> {
    Some(match kind % 5 {
        0 => Report::Incremental(binary(body)?),
        1 => Report::Full(binary::<FullReportSlice>(body)?),
        2 => Report::Heartbeat(binary(body)?),
        3 => {
            epoch.0 += 1;
            Report::Register { request: binary(body)?, epoch: *epoch }
        }
        _ => {
            let bad: BadReplicas = binary(body)?;
            let on = |(storage, block)| (ReplicaOn::Storage(storage), block);
            Report::Bad { replicas: bad.replicas.into_iter().map(on).collect() }
        }
    })
}

fn block() -> Block {
    Block { id: BlockId(1_073_741_825), stamp: GenStamp(1001), len: 512 }
}

fn incremental() -> IncrementalReport {
    let events = vec![ReplicaEvent::Receiving(block()), ReplicaEvent::Received(block()), ReplicaEvent::Bad(block())];
    let storages = vec![StorageEvents { storage: storage(1), seq: 1, events }];
    IncrementalReport { datanode: node(1), epoch: Epoch(1), storages }
}

fn full() -> FullReportSlice {
    FullReportSlice {
        datanode: node(2),
        epoch: Epoch(2),
        storage: storage(2),
        cut_seq: 0,
        slice: 0,
        last: true,
        replicas: vec![ReportedReplica { block: block(), state: ReplicaState::Finalized }],
    }
}

fn heartbeat() -> HeartbeatRequest {
    HeartbeatRequest { datanode: node(1), epoch: Epoch(1), storages: vec![usage(1)], xceivers: 0, copies: 0 }
}

fn bad() -> BadReplicas {
    BadReplicas { datanode: node(1), epoch: Epoch(1), replicas: vec![(storage(2), block())] }
}

fn encoded(message: &impl Serialize) -> Vec<u8> {
    postcard::to_allocvec(message).expect("plain data")
}

pub(super) fn report_seeds() -> Vec<Vec<u8>> {
    let messages = [
        (0, encoded(&incremental())),
        (1, encoded(&full())),
        (2, encoded(&heartbeat())),
        (130, encoded(&incremental())),
        (3, encoded(&registration(3))),
        (4, encoded(&bad())),
    ];
    let mut all = Vec::new();
    let mut seeds = Vec::new();
    for (kind, message) in messages {
        let mut one = vec![kind];
        put_part(&mut one, &message);
        all.extend_from_slice(&one);
        seeds.push(one);
    }
    seeds.push(all);
    seeds
}

/// Kinds of JSON messages between datanode and namenode, by their place.
const JSON: &[fn(&[u8])] = &[
    |bytes| drop(json_message::<RegisterRequest>(bytes)),
    |bytes| drop(json_message::<RegisterReply>(bytes)),
    |bytes| drop(json_message::<HeartbeatRequest>(bytes)),
    |bytes| drop(json_message::<HeartbeatReply>(bytes)),
    |bytes| drop(json_message::<ReportReply>(bytes)),
    |bytes| drop(json_message::<BadReplicas>(bytes)),
    |bytes| drop(json_message::<CommitBlockSync>(bytes)),
    |bytes| drop(json_message::<ClusterIdentity>(bytes)),
];

/// The first byte chooses the kind.
pub(super) fn json(bytes: &[u8]) {
    if let Some((kind, body)) = bytes.split_first()
        && let Some(read) = JSON.get(usize::from(*kind))
    {
        read(body);
    }
}

pub(super) fn json_seeds() -> Vec<Vec<u8>> {
    let text =
        |kind: u8, message: Result<Vec<u8>, serde_json::Error>| [vec![kind], message.expect("plain data")].concat();
    let addr = registration(1).addr;
    let place = mammoth_protocol::internal::ReplicaPlace { datanode: node(1), storage: storage(1), addr };
    let commands = vec![
        mammoth_protocol::internal::DnCommand::Register,
        mammoth_protocol::internal::DnCommand::Copy { block: block(), targets: vec![place] },
    ];
    vec![
        text(0, serde_json::to_vec(&registration(1))),
        text(2, serde_json::to_vec(&heartbeat())),
        text(3, serde_json::to_vec(&HeartbeatReply { commands, ..HeartbeatReply::default() })),
        text(4, serde_json::to_vec(&ReportReply { resync: vec![storage(1)], ..ReportReply::default() })),
        text(5, serde_json::to_vec(&bad())),
        text(7, serde_json::to_vec(&ClusterIdentity::default())),
    ]
}
