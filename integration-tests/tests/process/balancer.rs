//! The balancer: a new datanode gets its share, one balancer runs at a time, and kills in the middle lose nothing.

use crate::harness::{Cluster, Options, bytes_of, poll};
use serde_json::Value;
use std::process::Stdio;
use std::time::Duration;

const NAMES: [&str; 4] = ["datanode-1", "datanode-2", "datanode-3", "datanode-4"];
const LIMIT: Duration = Duration::from_secs(90);
/// Files, and blocks of a MiB in each.
const FILES: u64 = 9;
const BLOCKS: usize = 4;

/// Three datanodes that are more than half full, and one that was away meanwhile and has nothing. `None`, loudly, where this
/// machine allows no small disks: the test then proves nothing.
fn cluster(options: Options) -> Option<Cluster> {
    let options = options.datanodes(4).disks(&NAMES, 64).set("dfs.balancer.getBlocks.min-block-size", "1");
    let cluster = match Cluster::start_on_disks(options) {
        Ok(cluster) => cluster,
        Err(reason) => {
            // Not `eprintln`, which a passing test keeps to itself.
            let line = format!("\nSKIPPED, no small file system can be mounted here: {reason}\n\n");
            let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
            return None;
        }
    };
    cluster.kill("datanode-4");
    live(&cluster, 3);
    for n in 0..FILES {
        cluster.put(&format!("/f{n}"), &bytes_of(n, BLOCKS << 20));
    }
    cluster.restart("datanode-4").ok();
    live(&cluster, 4);
    Some(cluster)
}

fn live(cluster: &Cluster, wanted: u64) {
    poll(&format!("{wanted} live datanodes"), LIMIT, || {
        let health = cluster.status()?["health"].clone();
        if health["live"] == wanted { Ok(()) } else { Err(health.to_string()) }
    });
}

/// Percent of its capacity that each datanode uses, and that all do.
fn shares(cluster: &Cluster) -> Result<(Vec<f64>, f64), String> {
    let text = cluster.dfs(&["admin", "report", "-live", "--json"]).ok().text();
    let report: Value = serde_json::from_str(&text).map_err(|e| e.to_string())?;
    let nodes = report["datanodes"].as_array().ok_or("no list")?;
    let sizes: Vec<(f64, f64)> =
        nodes.iter().filter_map(|node| Some((node["used"].as_f64()?, node["capacity"].as_f64()?))).collect();
    let (used, capacity) = sizes.iter().fold((0.0, 0.0), |sum, size| (sum.0 + size.0, sum.1 + size.1));
    Ok((sizes.iter().map(|(used, capacity)| 100.0 * used / capacity).collect(), 100.0 * used / capacity))
}

/// Everybody is within the threshold.
fn balanced(cluster: &Cluster, threshold: f64) -> Result<(), String> {
    let (shares, average) = shares(cluster)?;
    let within = shares.len() == NAMES.len() && shares.iter().all(|share| (share - average).abs() <= threshold);
    if within { Ok(()) } else { Err(format!("{shares:?} of {average}")) }
}

/// Every byte is there, and of every block as many replicas as wanted, no more.
fn nothing_is_lost(cluster: &Cluster) {
    poll("three replicas of every block, and no more", LIMIT, || {
        cluster.repaired()?;
        let count: usize = NAMES.iter().map(|name| cluster.replicas(name).len()).sum();
        let wanted = 3 * BLOCKS * usize::try_from(FILES).expect("few");
        if count == wanted { Ok(()) } else { Err(format!("{count} of {wanted}")) }
    });
    for n in 0..FILES {
        assert!(cluster.cat(&format!("/f{n}")) == bytes_of(n, BLOCKS << 20), "/f{n}");
    }
}

#[test]
fn a_new_datanode_gets_its_share() {
    let Some(cluster) = cluster(Options::fast()) else { return };
    poll("the datanodes have told how full they are", LIMIT, || {
        let (before, average) = shares(&cluster)?;
        if before.iter().any(|share| *share < 1.0) && average > 40.0 { Ok(()) } else { Err(format!("{before:?}")) }
    });
    let run = cluster.dfs(&["balancer", "-threshold", "5"]).ok();
    let text = run.text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines.first(),
        Some(&"Time Stamp               Iteration#  Bytes Already Moved  Bytes Left To Move  Bytes Being Moved")
    );
    let end = lines.iter().position(|line| *line == "The cluster is balanced. Exiting...");
    let end = end.unwrap_or_else(|| panic!("{text}"));
    assert!(end >= 2, "at least one iteration before: {text}");
    assert!(lines[end + 1].ends_with("0 B               -1 B"), "{text}");
    assert!(lines[end + 2].contains(" Balancing took "), "{text}");
    poll("everybody is within the threshold", LIMIT, || balanced(&cluster, 5.0));
    nothing_is_lost(&cluster);
    assert_eq!(cluster.dfs(&["test", "-e", "/system/balancer.id"]).code, 1, "the lock is gone");
    let again = cluster.dfs(&["balancer", "-threshold", "5"]).ok();
    assert!(again.text().contains("The cluster is balanced. Exiting..."), "{}", again.text());
    let metrics = cluster.page("namenode", "/metrics").expect("metrics");
    assert!(metrics.contains("mammoth_namenode_misplaced_blocks 0"), "{metrics}");
}

#[test]
fn kills_in_the_middle_lose_nothing_and_a_second_balancer_is_refused() {
    let options = Options::fast().set("dfs.datanode.balance.bandwidthPerSec", "400k");
    let Some(cluster) = cluster(options) else { return };
    let mut command = cluster.dfs_command(&["balancer", "-threshold", "5", "-idleiterations", "100"]);
    let mut first = command.stdout(Stdio::null()).spawn().expect("dfs starts");
    let moving = |name: &str| -> Result<(), String> {
        let status = cluster.json(name, "/api/v1/status")?;
        if status["moves"].as_u64() > Some(0) { Ok(()) } else { Err(status.to_string()) }
    };
    poll("replicas are on their way", LIMIT, || moving("datanode-4"));
    let second = cluster.dfs(&["balancer", "-threshold", "5"]);
    assert_eq!(second.code, 255, "{}", second.text());
    assert!(second.text().contains("Another Balancer is running"), "{}", second.text());
    for name in ["datanode-1", "datanode-4"] {
        poll("replicas are on their way", LIMIT, || moving(name));
        cluster.kill(name);
        cluster.restart(name).ok();
    }
    live(&cluster, 4);
    poll("it goes on", LIMIT, || moving("datanode-4"));
    first.kill().expect("killed");
    first.wait().expect("ends");
    let faster = cluster.dfs(&["admin", "-setBalancerBandwidth", "1g"]).ok();
    assert_eq!(faster.text(), "Balancer bandwidth is set to 1073741824\n");
    // Moves do not end with who asked for them, and what is too much goes later: only then is it settled how full everybody is.
    // Whoever was killed holds the lock as long as a lease lives.
    poll("no move is under way", LIMIT, || {
        NAMES.iter().try_for_each(|name| moving(name).map_or(Ok(()), |()| Err(format!("{name} moves"))))
    });
    poll("nothing is to be repaired", LIMIT, || cluster.repaired());
    poll("another one may balance", LIMIT, || {
        let run = cluster.dfs(&["balancer", "-threshold", "5"]);
        if run.code == 0 { balanced(&cluster, 5.0) } else { Err(format!("{}: {}", run.code, run.text())) }
    });
    nothing_is_lost(&cluster);
}

#[test]
fn what_is_to_repair_is_written_beside_the_log() {
    let cluster = Cluster::start(Options::fast());
    cluster.put("/a", &bytes_of(1, 2_500_000));
    let text = cluster.dfs(&["admin", "-metasave", "meta.txt"]).ok().text();
    assert_eq!(text, format!("Created metasave file meta.txt in the log directory of namenode {}\n", cluster.fs()));
    let saved = cluster.written("meta.txt");
    for line in [
        "2 files and directories, 3 blocks = 5 total",
        "Live Datanodes: 3",
        "Metasave: Blocks waiting for reconstruction: 0",
        "Metasave: Number of datanodes: 3",
    ] {
        assert!(saved.lines().any(|found| found == line), "{line}: {saved}");
    }
    let refused = cluster.dfs(&["admin", "-metasave", "../cluster.json"]);
    assert!(refused.code == 255 && refused.err.contains("no plain name"), "{}", refused.err);
    let refused = cluster.dfs(&["balancer", "-asService"]);
    assert!(refused.code == 255 && refused.err.contains("-asService is not offered"), "{}", refused.err);
}
