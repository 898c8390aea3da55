//! What the operator says of datanodes: their racks, and which are to leave.

use crate::harness::{Cluster, Options, bytes_of, poll};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

/// The states of all datanodes, by transfer address.
fn state(cluster: &Cluster, name: &str) -> Result<String, String> {
    let addr = cluster.addr(name, "transfer").to_string();
    let text = cluster.dfs(&["admin", "report", "--json"]).ok().text();
    let report: Value = serde_json::from_str(&text).map_err(|e| e.to_string())?;
    let nodes = report["datanodes"].as_array().ok_or("no list")?;
    let node = nodes.iter().find(|node| node["name"] == addr.as_str()).ok_or("not listed")?;
    node["state"].as_str().map(str::to_owned).ok_or_else(|| "no state".to_owned())
}

fn becomes(cluster: &Cluster, name: &str, wanted: &str) {
    poll(wanted, LIMIT, || {
        let state = state(cluster, name)?;
        if state == wanted { Ok(()) } else { Err(state) }
    });
}

#[test]
fn a_decommissioned_datanode_can_be_taken_away() {
    let dir = tempfile::tempdir().expect("a folder");
    let list = dir.path().join("exclude");
    fs::write(&list, "").expect("written");
    let options = Options::fast().datanodes(4).set("dfs.hosts.exclude", list.to_str().expect("a text"));
    let cluster = Cluster::start(options);
    let bytes = bytes_of(81, 6_000_000);
    cluster.put("/a", &bytes);
    let addr = cluster.addr("datanode-2", "transfer");
    fs::write(&list, format!("# to leave\n{addr}\n")).expect("written");
    assert_eq!(cluster.dfs(&["admin", "-refreshNodes"]).ok().text(), "Refresh nodes successful\n");
    becomes(&cluster, "datanode-2", "Decommissioned");
    let json = cluster.status().expect("the status");
    assert!(json["datanodes"].to_string().contains("\"admin\":\"decommissioned\""), "{json}");
    cluster.kill("datanode-2");
    let others = ["datanode-1", "datanode-3", "datanode-4"];
    for name in others {
        assert_eq!(cluster.replicas(name).len(), 6, "{name} has all");
    }
    assert!(cluster.cat("/a") == bytes);
    // A namenode that starts reads the list again.
    cluster.kill("namenode");
    cluster.restart("namenode").ok();
    cluster.restart("datanode-2").ok();
    becomes(&cluster, "datanode-2", "Decommissioned");
    fs::write(&list, "").expect("written");
    cluster.dfs(&["admin", "-refreshNodes"]).ok();
    becomes(&cluster, "datanode-2", "Normal");
    poll("what is too much goes", LIMIT, || {
        let names = ["datanode-1", "datanode-2", "datanode-3", "datanode-4"];
        let count: usize = names.iter().map(|name| cluster.replicas(name).len()).sum();
        if count == 18 { Ok(()) } else { Err(format!("{count} replicas on disk for 6 blocks")) }
    });
    assert!(cluster.cat("/a") == bytes);
    fs::remove_file(&list).expect("removed");
    let run = cluster.dfs(&["admin", "-refreshNodes"]);
    assert!(run.code == 255 && run.err.contains("exclude: "), "{}", run.err);
}

#[test]
fn a_script_tells_the_racks() {
    let dir = tempfile::tempdir().expect("a folder");
    let script = dir.path().join("racks");
    fs::write(&script, "#!/bin/sh\necho /row-1/of-$1\n").expect("written");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("allowed");
    let options = Options::fast().set("net.topology.script.file.name", script.to_str().expect("a text"));
    let cluster = Cluster::start(options);
    let text = cluster.dfs(&["admin", "-printTopology"]).ok().text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines.first(), lines.len()), (Some(&"Rack: /row-1/of-127.0.0.1"), 5), "{text}");
    for name in ["datanode-1", "datanode-2", "datanode-3"] {
        let line = format!("   {}", cluster.addr(name, "transfer"));
        assert!(lines.iter().any(|found| found.starts_with(&line)), "{text}");
    }
}

#[test]
fn open_files_are_listed() {
    let cluster = Cluster::start(Options::fast());
    let mut put = cluster.dfs_command(&["put", "-", "/writing"]);
    let mut child = put.stdin(std::process::Stdio::piped()).spawn().expect("dfs starts");
    poll("listed", LIMIT, || {
        let text = cluster.dfs(&["admin", "-listOpenFiles"]).ok().text();
        let right = text.starts_with("Client Host         \tClient Name         \tOpen File Path\n");
        if right && text.contains("/writing._COPYING_") && text.contains("127.0.0.1") { Ok(()) } else { Err(text) }
    });
    let none = cluster.dfs(&["admin", "-listOpenFiles", "-path", "/none"]).ok().text();
    assert_eq!(none.lines().count(), 1, "{none}");
    drop(child.stdin.take());
    assert!(child.wait().expect("ends").success());
}
