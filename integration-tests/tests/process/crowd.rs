//! Ten thousand connections that send rubbish, half a request or nothing: daemons stay small, others are served meanwhile, and
//! the crowd is shown out.

use crate::harness::{Cluster, Options, bytes_of, poll};
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Connections in all, if the test may have as many.
const CROWD: usize = 10_000;
/// Files that a test process needs besides.
const SPARE: u64 = 500;
/// Memory that a daemon may take for the crowd, bytes.
const MEMORY: u64 = 400 << 20;

/// Where the crowd goes, and its share in percent. More than any door admits at the first.
const DOORS: [(&str, &str, usize); 5] = [
    ("namenode", "rpc", 50),
    ("namenode", "http", 16),
    ("datanode-1", "transfer", 16),
    ("datanode-1", "ipc", 10),
    ("jobtracker", "http", 8),
];

/// What the members of a crowd send, in turn. Those at the first door stay as long as they may.
fn openings(door: &str) -> Vec<Vec<u8>> {
    let half: &[u8] = match door {
        "rpc" | "ipc" => b"hrpc\x09\x00\x00\x00\x00\x00\x40half of a context",
        "transfer" => b"\x00\x1c\x51\x7fhalf of an operation",
        _ => b"GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\nX-Half: ",
    };
    let body: &[u8] = match door {
        "rpc" | "ipc" => b"hrpc\x09\x00\x00\x7f\xff\xff\xff",
        "transfer" => b"\x00\x1c\x50\xff\xff\xff\x01",
        _ => b"POST /internal/v1/heartbeat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{",
    };
    let mut all = vec![Vec::new(), half.to_vec()];
    if door != "rpc" {
        all.extend([body.to_vec(), b"\xff\x00rubbish\r\n\r\n".repeat(20)]);
    }
    all
}

/// A line of `/proc/PID/status`, in bytes.
fn memory(cluster: &Cluster, name: &str) -> u64 {
    let path = format!("/proc/{}/status", cluster.pid(name).as_raw_nonzero());
    let text = std::fs::read_to_string(path).expect("its figures");
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a figure");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}

fn descriptors(cluster: &Cluster, name: &str) -> usize {
    let path = format!("/proc/{}/fd", cluster.pid(name).as_raw_nonzero());
    std::fs::read_dir(path).expect("its files").count()
}

fn gather(addr: SocketAddr, door: &str, count: usize) -> Vec<TcpStream> {
    let openings = openings(door);
    let mut crowd = Vec::with_capacity(count);
    for opening in openings.iter().cycle().take(count) {
        let Ok(mut stream) = TcpStream::connect_timeout(&addr, Duration::from_secs(10)) else { continue };
        stream.set_write_timeout(Some(Duration::from_secs(1))).expect("a time limit");
        // The daemon may have closed already.
        let _ = stream.write_all(opening);
        crowd.push(stream);
    }
    crowd
}

#[test]
fn ten_thousand_hostile_connections_cost_little_and_disturb_nobody() {
    let limit = mammoth_platform::process::raise_open_files().unwrap_or(u64::MAX);
    let crowd = CROWD.min(usize::try_from(limit.saturating_sub(SPARE)).unwrap_or(CROWD));
    let cluster = Cluster::start(Options::fast().datanodes(1).set("dfs.replication", "1").jobs(1));
    let bytes = bytes_of(80, 3_000_000);
    cluster.put("/before", &bytes);
    let names = ["namenode", "datanode-1", "jobtracker"];
    let before = names.map(|name| (memory(&cluster, name), descriptors(&cluster, name)));
    let mut all = Vec::new();
    for (name, door, percent) in DOORS {
        all.extend(gather(cluster.addr(name, door), door, crowd * percent / 100));
    }
    assert!(all.len() * 10 >= crowd * 9, "{} of {crowd} connections", all.len());

    // Others are served while the crowd stands there, and new ones are let in.
    cluster.put("/during", &bytes);
    assert!(cluster.cat("/during") == bytes && cluster.cat("/before") == bytes);
    assert_eq!(cluster.status().expect("the namenode answers")["health"]["live"], 1);
    cluster.page("jobtracker", "/").expect("the jobtracker answers");
    for (name, (memory_before, _)) in names.iter().zip(before) {
        let grown = memory(&cluster, name).saturating_sub(memory_before);
        let files = descriptors(&cluster, name);
        println!("{name}: {grown} bytes more, {files} descriptors");
        assert!(grown < MEMORY, "{name} took {grown} bytes");
        assert!(files < 6000, "{name} has {files} descriptors");
    }
    // After their time all are gone, though none has closed its end.
    for (name, (_, files_before)) in names.iter().zip(before) {
        poll(&format!("{name} has closed them"), Duration::from_secs(150), || {
            let files = descriptors(&cluster, name);
            if files < files_before + 40 { Ok(()) } else { Err(format!("{files}, {files_before} before")) }
        });
    }
    drop(all);
    cluster.put("/after", &bytes);
    assert!(cluster.cat("/after") == bytes);
}
