//! Files become shorter and are joined: truncate and concat, with our client and with a foreign one.

use crate::harness::{Cluster, Options, bytes_of, poll};
use rustix::process::Signal;
use std::time::Duration;

const MIB: usize = 1024 * 1024;

#[test]
fn a_truncated_file_has_its_first_bytes_and_can_be_appended_to() {
    let cluster = Cluster::start(Options::fast());
    let mut bytes = bytes_of(71, 3 * MIB + 100_000);
    cluster.put("/a", &bytes);
    for len in [3 * MIB + 77, 3 * MIB, 2 * MIB - 1, 512] {
        let text = len.to_string();
        let run = cluster.dfs(&["truncate", "-w", &text, "/a"]).ok();
        assert_eq!(run.text(), format!("Truncated /a to length: {len}\n"));
        bytes.truncate(len);
        poll("closed again", Duration::from_secs(30), || {
            let run = cluster.dfs_with(&["appendToFile", "-", "/a"], b"tail");
            if run.code == 0 { Ok(()) } else { Err(run.err) }
        });
        bytes.extend(b"tail");
        assert!(cluster.cat("/a") == bytes, "{len}");
    }
    let run = cluster.dfs(&["truncate", "9999999", "/a"]);
    assert_eq!(
        run.err.trim_end(),
        "truncate: Cannot truncate to a larger file size. Current size: 516, truncate size: 9999999."
    );
    cluster.dfs(&["truncate", "0", "/a"]).ok();
    assert!(cluster.cat("/a").is_empty());
    poll("replicas are gone", Duration::from_secs(30), || {
        let left: usize =
            ["datanode-1", "datanode-2", "datanode-3"].map(|name| cluster.replicas(name).len()).iter().sum();
        if left == 0 { Ok(()) } else { Err(format!("{left} replicas")) }
    });
}

#[test]
fn a_cut_outlives_the_namenode() {
    let cluster = Cluster::start(Options::fast());
    let bytes = bytes_of(72, MIB);
    cluster.put("/a", &bytes);
    // Nobody can cut anything before the namenode is gone.
    for name in ["datanode-1", "datanode-2", "datanode-3"] {
        cluster.signal(name, Signal::STOP);
    }
    let run = cluster.dfs(&["truncate", "1000", "/a"]).ok();
    assert!(run.text().starts_with("Truncating /a to length: 1000. Wait for block recovery"), "{}", run.text());
    cluster.kill("namenode");
    for name in ["datanode-1", "datanode-2", "datanode-3"] {
        cluster.signal(name, Signal::CONT);
    }
    cluster.restart("namenode").ok();
    poll("cut", Duration::from_secs(60), || {
        let run = cluster.dfs(&["stat", "%b", "/a"]);
        if run.text() == "1000\n" { Ok(()) } else { Err(run.text()) }
    });
    assert!(cluster.cat("/a") == bytes[..1000]);
}

#[test]
fn joined_files_read_as_one() {
    let cluster = Cluster::start(Options::fast());
    let (a, b, c) = (bytes_of(73, MIB + 5), bytes_of(74, 3), bytes_of(75, 6 * MIB + 1));
    cluster.dfs(&["mkdir", "/d"]).ok();
    for (path, bytes) in [("/d/a", &a), ("/d/b", &b), ("/d/c", &c)] {
        cluster.put(path, bytes);
    }
    cluster.dfs(&["concat", "/d/a", "/d/c", "/d/b"]).ok();
    let whole = [a, c, b].concat();
    assert!(cluster.cat("/d/a") == whole);
    assert_eq!(cluster.dfs(&["ls", "-C", "/d"]).ok().text(), "/d/a\n");
    cluster.kill("namenode");
    cluster.restart("namenode").ok();
    assert!(cluster.cat("/d/a") == whole);
    cluster.put("/e", &whole[..10]);
    let run = cluster.dfs(&["concat", "/d/a", "/e"]);
    assert_eq!(run.err.trim_end(), "concat: Source file /e is not in the same directory with the target /d/a");
    let run = cluster.dfs(&["concat", "/d/a", "/none"]);
    assert_eq!(run.err.trim_end(), "concat: /none does not exist or is not file.");
}
