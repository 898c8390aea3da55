//! A disk that breaks under a running datanode: true I/O errors, on reading and on writing. Its datanode gives the volume up,
//! with a reason; readers and writers go on elsewhere, and the replicas that it had are made again.

use crate::harness::{Cluster, Options, alive, bytes_of, poll};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);
const NAMES: [&str; 4] = ["datanode-1", "datanode-2", "datanode-3", "datanode-4"];

/// A cluster of four datanodes, the second of which has a disk that can break; says so loudly where there can be none.
fn cluster() -> Option<Cluster> {
    let options = Options::fast().datanodes(4).breaking_disk("datanode-2", 64);
    match Cluster::start_on_disks(options) {
        Ok(cluster) => Some(cluster),
        Err(reason) => {
            let line = format!("\nSKIPPED, no disk that breaks can be mounted here: {reason}\n\n");
            let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
            None
        }
    }
}

#[test]
fn a_disk_that_breaks_costs_its_replicas_and_nothing_else() {
    let Some(cluster) = cluster() else { return };
    let bytes = bytes_of(95, 8_500_000);
    cluster.put("/kept", &bytes);
    assert!(!cluster.replicas("datanode-2").is_empty(), "four datanodes share 27 replicas");
    cluster.break_disk("datanode-2");
    // Whoever reads and writes meets the broken disk, or does not.
    let more = bytes_of(96, 8_500_000);
    assert!(cluster.cat("/kept") == bytes);
    let put = cluster.dfs_with(&["put", "-", "/more"], &more).ok();
    assert!(put.took < Duration::from_secs(30), "{:?}", put.took);
    assert!(cluster.cat("/kept") == bytes && cluster.cat("/more") == more);
    // Its only volume: the datanode tells why it ends, and ends.
    let pid = cluster.pid("datanode-2");
    poll("the datanode gives up", LIMIT, || {
        if alive(pid) { Err(cluster.log("datanode-2").lines().last().unwrap_or_default().to_owned()) } else { Ok(()) }
    });
    let log = cluster.log("datanode-2");
    assert!(log.contains("volume failed") && log.contains("Input/output error") && !log.contains("panicked"), "{log}");
    poll("what it had is made again", LIMIT, || {
        let health = cluster.status()?["health"].clone();
        let well = health["under_replicated"] == 0 && health["live"] == 3;
        if well { Ok(()) } else { Err(health.to_string()) }
    });
    for name in NAMES.iter().filter(|name| **name != "datanode-2").chain(&["namenode"]) {
        assert!(alive(cluster.pid(name)) && !cluster.log(name).contains("panicked"), "{name}: {}", cluster.log(name));
    }
    assert!(cluster.cat("/kept") == bytes && cluster.cat("/more") == more);
}
