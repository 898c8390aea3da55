//! Hadoop RPC and HTTP, and rubbish at every door.

use super::fake::{Datanode, FakeNamenode};
use crate::store::testing::{block, bytes, create, finished, send};
use mammoth_net::rpc::client::{RpcClient, RpcClientConfig};
use mammoth_platform::SystemClock;
use mammoth_protocol::hadoop::hdfs::{
    GetDatanodeInfoRequestProto, GetDatanodeInfoResponseProto, GetReplicaVisibleLengthRequestProto,
    GetReplicaVisibleLengthResponseProto,
};
use mammoth_protocol::hadoop::{CLIENT_DATANODE_PROTOCOL, extended_block};
use mammoth_protocol::rpc::ErrorDetail;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

fn rpc(datanode: &Datanode, protocol: &str) -> RpcClient {
    let server = datanode.handle().addrs().ipc.to_string();
    RpcClient::new(RpcClientConfig::new(server, protocol, "tester", [7; 16]), Arc::new(SystemClock))
}

fn get(addr: SocketAddr, path: &str, host: &str) -> String {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn clients_learn_how_much_of_an_unfinished_replica_they_may_read() {
    let namenode = FakeNamenode::start();
    let datanode = Datanode::start(namenode.addr);
    datanode.registered();
    let store = datanode.store();
    let mut writer = create(&store, block(1, 1001), false).unwrap();
    send(&mut writer, 0, &bytes(0, 1000), 1000).unwrap();
    writer.ticket().set_acked(700);
    let client = rpc(&datanode, CLIENT_DATANODE_PROTOCOL);
    let ask = |id, stamp, pool: &str| {
        let request = GetReplicaVisibleLengthRequestProto { block: extended_block(pool, block(id, stamp)) };
        client.call::<_, GetReplicaVisibleLengthResponseProto>("getReplicaVisibleLength", &request)
    };
    let pool = &store.identity.pool_id;
    assert_eq!(ask(1, 1001, pool).unwrap().length, 700);
    let class = |error: mammoth_net::rpc::client::RpcClientError| error.remote().expect("refused").java_class.clone();
    assert!(class(ask(2, 1001, pool).unwrap_err()).ends_with("ReplicaNotFoundException"));
    assert_eq!(class(ask(1, 1002, pool).unwrap_err()), "java.io.IOException");
    assert!(ask(1, 1001, "BP-other").is_err());
    let info: GetDatanodeInfoResponseProto = client.call("getDatanodeInfo", &GetDatanodeInfoRequestProto {}).unwrap();
    assert_eq!(info.local_info.software_version, env!("CARGO_PKG_VERSION"));
    let unknown = client.call::<_, GetDatanodeInfoResponseProto>("deleteEverything", &GetDatanodeInfoRequestProto {});
    assert_eq!(unknown.unwrap_err().remote().expect("refused").detail, ErrorDetail::ErrorNoSuchMethod);
    let other = rpc(&datanode, "org.example.Other");
    let unknown = other.call::<_, GetDatanodeInfoResponseProto>("x", &GetDatanodeInfoRequestProto {});
    assert_eq!(unknown.unwrap_err().remote().expect("refused").detail, ErrorDetail::ErrorNoSuchProtocol);
}

#[test]
fn the_page_the_status_and_the_metrics_tell_the_same_to_whoever_calls_us_by_name() {
    let namenode = FakeNamenode::start();
    let datanode = Datanode::start(namenode.addr);
    datanode.registered();
    let store = datanode.store();
    finished(&store, block(1, 1001), 1000);
    let addr = datanode.handle().addrs().http;
    let page = get(addr, "/", "localhost");
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("serves its cluster"), "{page}");
    assert!(page.contains(&store.usage()[0].storage.to_string()));
    let status = get(addr, "/api/v1/status", "127.0.0.1");
    let json = status.split("\r\n\r\n").nth(1).expect("a body");
    let json: serde_json::Value = serde_json::from_str(json).expect("JSON");
    assert_eq!((&json["replicas"], &json["registered"]), (&1.into(), &true.into()));
    assert_eq!(json["volumes"][0]["used"], 1000 + 7 + 8);
    let metrics = get(addr, "/metrics", "localhost");
    assert!(metrics.contains("\nmammoth_datanode_replicas 1\n"), "{metrics}");
    assert!(get(addr, "/", "evil.example").starts_with("HTTP/1.1 403"));
    assert!(get(addr, "/nowhere", "localhost").starts_with("HTTP/1.1 404"));
}

#[test]
fn rubbish_at_every_door_harms_nobody() {
    let namenode = FakeNamenode::start();
    let datanode = Datanode::start(namenode.addr);
    datanode.registered();
    let addrs = datanode.handle().addrs();
    for addr in [addrs.transfer, addrs.http, addrs.ipc] {
        let mut open = Vec::new();
        for n in 0..20 {
            let mut stream = TcpStream::connect(addr).unwrap();
            let _ = stream.write_all(&bytes(n * 1000, 10_000));
            open.push(stream);
        }
        open.push(TcpStream::connect(addr).unwrap());
    }
    let client = rpc(&datanode, CLIENT_DATANODE_PROTOCOL);
    client.call::<_, GetDatanodeInfoResponseProto>("getDatanodeInfo", &GetDatanodeInfoRequestProto {}).unwrap();
    assert!(get(addrs.http, "/", "localhost").starts_with("HTTP/1.1 200"));
    assert_eq!(datanode.handle().fatal(), None);
    datanode.stop();
}
