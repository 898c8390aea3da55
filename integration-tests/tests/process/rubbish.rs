//! Nonsense on every port: an error or a closed connection, and the daemons live on.

use crate::harness::{Cluster, Options, Random, bytes_of, poll};
use rustix::process::Signal;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const DOORS: &[(&str, &str)] = &[
    ("namenode", "rpc"),
    ("namenode", "http"),
    ("namenode", "internal"),
    ("datanode-1", "transfer"),
    ("datanode-1", "http"),
    ("datanode-1", "ipc"),
];

/// Sends bytes and reads what comes until the connection ends or nothing comes any more.
fn send(addr: SocketAddr, bytes: &[u8]) {
    let mut stream = TcpStream::connect(addr).unwrap_or_else(|e| panic!("{addr} takes no connection: {e}"));
    stream.set_read_timeout(Some(Duration::from_millis(300))).expect("a time limit");
    stream.set_write_timeout(Some(Duration::from_secs(5))).expect("a time limit");
    // The daemon may close while we still write.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.take(1 << 20).read_to_end(&mut answer);
}

fn messages() -> Vec<Vec<u8>> {
    let mut random = Vec::new();
    Random::new(41, 10_000).read_to_end(&mut random).expect("memory");
    vec![
        Vec::new(),
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n".to_vec(),
        b"POST /internal/v1/heartbeat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999999\r\n\r\n{".to_vec(),
        b"POST /internal/v1/register HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}".to_vec(),
        b"hrpc\x09\x00\x00\xff\xff\xff\xff".to_vec(),
        b"hrpc\x09\x00\x00\x00\x00\x00\x03abc".to_vec(),
        b"hrpc\x08\x00\x00".to_vec(),
        b"\x00\x1c\x50\xff\xff\xff\xff\x7f".to_vec(),
        b"\x00\x1c\x51\x00".to_vec(),
        b"\x00\x1b\x51\x02ab".to_vec(),
        vec![0; 100_000],
        vec![0xff; 100_000],
        random,
    ]
}

#[test]
fn no_daemon_dies_of_nonsense() {
    let cluster = Cluster::start(Options::fast());
    let bytes = bytes_of(42, 1_500_000);
    cluster.put("/a", &bytes);
    for (name, door) in DOORS {
        let addr = cluster.addr(name, door);
        for message in messages() {
            send(addr, &message);
        }
    }
    assert!(cluster.cat("/a") == bytes);
    cluster.put("/b", &bytes);
    let status = cluster.status().expect("the namenode answers");
    assert_eq!(status["health"]["live"], 3, "{status}");
}

#[test]
fn silent_connections_do_not_disturb_others() {
    let cluster = Cluster::start(Options::fast());
    let mut silent = Vec::new();
    for (name, door) in DOORS {
        let addr = cluster.addr(name, door);
        silent.extend((0..100).filter_map(|_| TcpStream::connect(addr).ok()));
    }
    let bytes = bytes_of(43, 1_500_000);
    cluster.put("/a", &bytes);
    assert!(cluster.cat("/a") == bytes);
    assert!(silent.len() > 500);
    drop(silent);
    poll("the namenode answers", Duration::from_secs(10), || cluster.status());
}

/// Connections that nobody accepts for a moment wait in the system's queue. One that is full makes clients wait a second for
/// their next try, so every door has a long one.
#[test]
fn a_crowd_at_the_door_of_a_busy_daemon_is_let_wait() {
    let cluster = Cluster::start(Options::fast());
    for name in ["namenode", "datanode-1"] {
        cluster.signal(name, Signal::STOP);
    }
    for (name, door) in DOORS {
        let addr = cluster.addr(name, door);
        let limit = Duration::from_millis(800);
        let crowd: Result<Vec<TcpStream>, _> = (0..300).map(|_| TcpStream::connect_timeout(&addr, limit)).collect();
        assert!(crowd.is_ok(), "{name} {door}: {crowd:?}");
    }
    for name in ["namenode", "datanode-1"] {
        cluster.signal(name, Signal::CONT);
    }
    cluster.put("/a", b"served");
    assert_eq!(cluster.cat("/a"), b"served");
}
