//! The check of the file system: HDFS's words, columns and exit statuses, by our shell and by the route that Hadoop's asks.

use crate::harness::{Cluster, Options, Run, bytes_of, poll};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const MIB: usize = 1 << 20;

fn fsck(cluster: &Cluster, args: &[&str]) -> Run {
    let http = format!("dfs.namenode.http-address={}", cluster.addr("namenode", "http"));
    let mut all = vec!["-D", &http, "fsck"];
    all.extend(args);
    cluster.dfs(&all)
}

/// The text of a check without what differs from run to run.
#[track_caller]
fn plain(run: &Run) -> String {
    let lines = run.text();
    let lines = lines.lines().map(|line| match line.split_once(" at ") {
        Some((head, _)) if line.starts_with("FSCK ") => head.to_owned(),
        _ => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Waits until every block has so many replicas, as `complete` waits for one only.
#[track_caller]
fn settled(cluster: &Cluster, replicas: u32) -> Run {
    let wanted = format!(" Average block replication:\t{replicas}.0\n");
    poll("all replicas are known", Duration::from_secs(20), || {
        let run = fsck(cluster, &["/"]);
        if run.text().contains(&wanted) { Ok(run) } else { Err(run.text()) }
    })
}

fn user() -> String {
    std::env::var("HADOOP_USER_NAME").unwrap_or_else(|_| "root".to_owned())
}

#[test]
fn a_healthy_file_system_looks_as_in_hdfs() {
    let cluster = Cluster::start(Options::fast());
    cluster.dfs(&["mkdir", "-p", "/d/e"]).ok();
    cluster.put("/d/a", &bytes_of(50, MIB + 100));
    cluster.put("/d/z", b"");
    let run = settled(&cluster, 3);
    assert_eq!(run.code, 0, "{}", run.err);
    let asked = format!("Connecting to namenode via http://{}/fsck?ugi=", cluster.addr("namenode", "http"));
    assert!(run.err.starts_with(&asked) && run.err.ends_with("&path=/\n"), "{}", run.err);
    let text = plain(&run);
    let (head, rest) = text.split_once('\n').expect("lines");
    assert!(
        head.starts_with("FSCK started by ") && head.ends_with(" (auth:SIMPLE) from /127.0.0.1 for path /"),
        "{head}"
    );
    let expected = "\nStatus: HEALTHY\n Number of data-nodes:\t3\n Number of racks:\t\t1\n Total dirs:\t\t\t3\n \
         Total symlinks:\t\t0\n\nReplicated Blocks:\n Total size:\t1048676 B\n Total files:\t2\n \
         Total blocks (validated):\t2 (avg. block size 524338 B)\n Minimally replicated blocks:\t2 (100.0 %)\n \
         Over-replicated blocks:\t0 (0.0 %)\n Under-replicated blocks:\t0 (0.0 %)\n Mis-replicated blocks:\t\t0 (0.0 %)\n \
         Default replication factor:\t3\n Average block replication:\t3.0\n Missing blocks:\t\t0\n Corrupt blocks:\t\t0\n \
         Missing replicas:\t\t0 (0.0 %)\n Blocks queued for replication:\t0\n\nErasure Coded Block Groups:\n \
         Total size:\t0 B\n Total files:\t0\n Total block groups (validated):\t0\n Minimally erasure-coded block groups:\t0\n \
         Over-erasure-coded block groups:\t0\n Under-erasure-coded block groups:\t0\n \
         Unsatisfactory placement block groups:\t0\n Average block group size:\t0.0\n Missing block groups:\t\t0\n \
         Corrupt block groups:\t\t0\n Missing internal blocks:\t0\n Blocks queued for replication:\t0\nFSCK ended\n\n\n\
         The filesystem under path '/' is HEALTHY";
    assert_eq!(rest, expected);

    let text = plain(&fsck(&cluster, &["/d", "-files", "-blocks", "-locations"]).ok());
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[1], "/d <dir>");
    assert_eq!(lines[2], "/d/a 1048676 bytes, replicated: replication=3, 2 block(s):  OK");
    let shape = |line: &str, start: &str, middle: &str| {
        let fits = line.starts_with(start) && line.contains(middle) && line.ends_with(",DISK]]");
        assert!(fits && line.matches("DatanodeInfoWithStorage[127.0.0.1:").count() == 3, "{line}");
    };
    shape(lines[3], "0. BP-", " len=1048576 Live_repl=3  [DatanodeInfoWithStorage[");
    shape(lines[4], "1. BP-", " len=100 Live_repl=3  [DatanodeInfoWithStorage[");
    assert_eq!(&lines[5..8], ["", "/d/e <dir>", "/d/z 0 bytes, replicated: replication=3, 0 block(s):  OK"]);
    let racks = fsck(&cluster, &["/d/a", "-files", "-blocks", "-racks"]).ok().text();
    assert_eq!(racks.matches("/default-rack/127.0.0.1:").count(), 6, "{racks}");
    assert!(racks.contains(" Total dirs:\t\t\t0\n"), "{racks}");

    let id = lines[3].split_once(":blk_").and_then(|(_, rest)| rest.split('_').next()).expect("a block");
    let text = fsck(&cluster, &["-blockId", &format!("blk_{id}")]).ok().text();
    for part in ["Block belongs to: /d/a\n", "No. of Expected Replica: 3\n", "No. of live Replica: 3\n"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(text.matches("/default-rack is HEALTHY").count(), 3, "{text}");
    assert!(fsck(&cluster, &["-blockId", "blk_5"]).ok().text().ends_with("Block blk_5 does not exist\n"));
    let run = fsck(&cluster, &["/none"]);
    assert_eq!((run.code, run.text().ends_with("\n\nPath '/none' does not exist\n")), (0, true), "{}", run.text());
    assert_eq!(fsck(&cluster, &["-wrong"]).code, 255);
}

#[test]
fn lost_blocks_make_it_corrupt_and_are_moved_and_deleted() {
    let cluster = Cluster::start(Options::fast().datanodes(1).set("dfs.replication", "1"));
    let bytes = bytes_of(51, 3 * MIB);
    cluster.put("/good", b"good");
    cluster.put("/d/bad", &bytes);
    // The middle one of three blocks goes away.
    let id = {
        let text = fsck(&cluster, &["/d/bad", "-files", "-blocks"]).ok().text();
        let line = text.lines().find(|line| line.starts_with("1. ")).expect("a second block").to_owned();
        line.split_once(":blk_").and_then(|(_, rest)| rest.split('_').next()).expect("a block").to_owned()
    };
    let replicas = cluster.replicas("datanode-1");
    let replica = replicas.iter().find(|path| path.ends_with(format!("blk_{id}"))).expect("its replica");
    std::fs::remove_file(replica).expect("removed");
    assert_eq!(cluster.dfs(&["cat", "/d/bad"]).code, 1, "which is how its loss is found");
    let run = poll("the loss is known", Duration::from_secs(20), || {
        let run = fsck(&cluster, &["/"]);
        if run.code == 1 { Ok(run) } else { Err(run.text()) }
    });
    let text = run.text();
    for part in [
        "Status: CORRUPT\n",
        "/d/bad: ",
        " 1 blocks of total size 1048576 B.",
        "  CORRUPT FILES:\t1\n",
        " Minimally replicated blocks:\t3 (75.0 %)\n",
        "The filesystem under path '/' is CORRUPT\n",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let list = fsck(&cluster, &["/", "-list-corruptfileblocks"]);
    let expected = format!(
        "The list of corrupt files under path '/' are:\nblk_{id}\t/d/bad\nThe filesystem under path '/' has 1 CORRUPT files\n"
    );
    assert_eq!((list.text(), list.code), (expected, 255));
    let none = fsck(&cluster, &["/good", "-list-corruptfileblocks"]);
    assert_eq!((none.text().as_str(), none.code), ("The filesystem under path '/good' has 0 CORRUPT files\n", 0));

    // What is left: the first and the third block, each a file of its own. The file itself stays.
    assert_eq!(fsck(&cluster, &["/", "-move"]).code, 1);
    assert!(cluster.cat("/lost+found/d/bad/0") == bytes[..MIB]);
    assert!(cluster.cat("/lost+found/d/bad/1") == bytes[2 * MIB..]);
    assert_eq!(fsck(&cluster, &["/d", "-delete"]).code, 1);
    assert_eq!(cluster.dfs(&["test", "-e", "/d/bad"]).code, 1);
    poll("all is well", Duration::from_secs(20), || {
        let run = fsck(&cluster, &["/"]);
        if run.code == 0 { Ok(()) } else { Err(run.text()) }
    });
    assert_eq!(cluster.cat("/good"), b"good");
}

#[test]
fn a_deletion_that_is_refused_does_not_end_the_check() {
    let cluster = Cluster::start(Options::fast().datanodes(1).set("dfs.replication", "1"));
    // The first in order lies where its finder may not delete.
    cluster.dfs(&["mkdir", "-p", "/a", "/b"]).ok();
    cluster.dfs(&["chmod", "777", "/b"]).ok();
    for path in ["/a/kept", "/b/gone"] {
        cluster.put(path, &bytes_of(53, 1000));
    }
    cluster.replicas("datanode-1").iter().for_each(|path| std::fs::remove_file(path).expect("removed"));
    for path in ["/a/kept", "/b/gone"] {
        assert_eq!(cluster.dfs(&["cat", path]).code, 1, "which is how its loss is found");
    }
    poll("both losses are known", Duration::from_secs(20), || {
        let text = fsck(&cluster, &["/"]).text();
        if text.contains("  CORRUPT FILES:\t2\n") { Ok(()) } else { Err(text) }
    });
    let http = format!("dfs.namenode.http-address={}", cluster.addr("namenode", "http"));
    let mut command = cluster.dfs_command(&["-D", &http, "fsck", "/", "-delete"]);
    let run = crate::harness::run(command.env("HADOOP_USER_NAME", "ann"), b"", Duration::from_secs(60));
    let text = run.text();
    let told = text.contains("/b/gone: ") && text.contains("fsck encountered internal errors!");
    assert!(run.code != 0 && told, "{}: {text}", run.code);
    assert_eq!(cluster.dfs(&["test", "-e", "/a/kept"]).code, 0, "ann may not delete it");
    assert_eq!(cluster.dfs(&["test", "-e", "/b/gone"]).code, 1, "the check went on");
}

#[test]
fn under_replicated_and_open_files_are_told() {
    let cluster = Cluster::start(Options::fast().datanodes(2));
    cluster.put("/a", b"two of three");
    let text = settled(&cluster, 2).ok().text();
    assert!(text.contains("\n/a:  Under replicated BP-"), "{text}");
    let part = ". Target Replicas is 3 but found 2 live replica(s), 0 decommissioned replica(s), 0 decommissioning replica(s).\n";
    assert!(text.contains(part), "{text}");
    assert!(text.contains(" Missing replicas:\t\t1 (33.333332 %)\n"), "{text}");

    let mut put = cluster.dfs_command(&["put", "-d", "-", "/open"]);
    let mut child = put.stdin(std::process::Stdio::piped()).spawn().expect("dfs starts");
    let mut pipe = child.stdin.take().expect("a pipe");
    pipe.write_all(&bytes_of(52, 100_000)).expect("taken");
    poll("it is open", Duration::from_secs(20), || {
        let run = fsck(&cluster, &["/open", "-openforwrite", "-files"]);
        if run.text().contains("OPENFORWRITE: ") { Ok(()) } else { Err(run.text()) }
    });
    let text = fsck(&cluster, &["/"]).ok().text();
    assert!(text.contains(" Total files:\t1 (Files currently being written: 1)\n"), "{text}");
    drop(pipe);
    assert!(child.wait().expect("ends").success());
}

/// What the servlet says to a plain client over its own connection, from the first `bytes` bytes on.
fn get(cluster: &Cluster, route: &str, headers: &str, bytes: usize) -> String {
    let addr = cluster.addr("namenode", "http");
    let mut stream = TcpStream::connect(addr).expect("connected");
    write!(stream, "GET {route} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n{headers}\r\n").expect("asked");
    let mut answer = vec![0; bytes];
    let mut filled = 0;
    while let Some(rest) = answer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match stream.read(rest).expect("answered") {
            0 => break,
            read => filled += read,
        }
    }
    String::from_utf8_lossy(&answer[..filled]).into_owned()
}

#[test]
fn the_route_keeps_to_permissions_and_refuses_browsers_and_readers_that_go_away_end_the_work() {
    // Small pages, so that a folder takes many.
    let options = Options::fast().datanodes(1).set("dfs.replication", "1").set("dfs.ls.limit", "7");
    let cluster = Cluster::start(options);
    cluster.dfs(&["mkdir", "/closed"]).ok();
    cluster.dfs(&["chmod", "700", "/closed"]).ok();
    let route = format!("/fsck?ugi={}&path=%2Fclosed", user());
    assert!(get(&cluster, &route, "", 1 << 20).contains("is HEALTHY"));
    let refused = get(&cluster, "/fsck?ugi=nobody-known&path=%2F", "", 1 << 20);
    assert!(refused.contains("Permission denied") && refused.contains("Fsck on path '/' FAILED"), "{refused}");
    let refused = get(&cluster, "/fsck?ugi=nobody-known&listcorruptfileblocks=1", "", 1 << 20);
    assert!(refused.contains("Superuser privilege is required"), "{refused}");
    let refused = get(&cluster, &format!("{route}&delete=1"), "User-Agent: Mozilla/5.0\r\n", 1 << 20);
    assert!(refused.starts_with("HTTP/1.1 403 "), "{refused}");
    for what in ["move", "replicate"] {
        let refused = get(&cluster, &format!("/fsck?{what}=1"), "", 1 << 20);
        assert!(refused.contains(what) && refused.ends_with("FAILED\r\n0\r\n\r\n"), "{refused}");
    }
    // More often than checks may run at a time: each ended with its reader.
    let names: Vec<String> = (0..600).map(|n| format!("/many/d{n:03}")).collect();
    let mut args = vec!["mkdir", "-p"];
    args.extend(names.iter().map(String::as_str));
    cluster.dfs(&args).ok();
    let route = format!("/fsck?ugi={}&path=%2F&files=1", user());
    for _ in 0..20 {
        poll("a check is let in", Duration::from_secs(20), || {
            let head = get(&cluster, &route, "", 100);
            if head.starts_with("HTTP/1.1 200 ") { Ok(()) } else { Err(head) }
        });
    }
    poll("a check runs to its end", Duration::from_secs(20), || {
        let text = get(&cluster, &route, "", 1 << 20);
        if text.contains("is HEALTHY") { Ok(()) } else { Err(text) }
    });
    let text = fsck(&cluster, &["/", "-files"]).ok().text();
    let folders: Vec<&str> = text.lines().filter(|line| line.ends_with(" <dir>")).collect();
    assert!(text.contains(" Total dirs:\t\t\t603\n") && folders.len() == 603, "{} folders", folders.len());
    assert!(folders.is_sorted(), "each once, in the order of a walk");
}
