//! Clients on the datanodes' machine read replicas from their files, by what the cluster leaves for its clients: the right
//! bytes, none of them through a datanode, whatever happens to a replica or its datanode.

use crate::corruption::{all_is_repaired, flip, holders, replica};
use crate::harness::{Cluster, Options, bytes_of, poll, run, words_of};
use mammoth_client::{ClientConfig, DfsClient};
use mammoth_platform::Settings;
use mammoth_protocol::DfsPath;
use std::io::Read;
use std::os::unix::fs::FileTypeExt;
use std::process::Command;
use std::time::Duration;

const NAMES: [&str; 3] = ["datanode-1", "datanode-2", "datanode-3"];

fn configured(cluster: &Cluster, mut command: Command) -> Command {
    command.env("HADOOP_CONF_DIR", cluster.conf());
    command
}

/// Bytes of a file, by a client that has the cluster's configuration.
#[track_caller]
fn cat(cluster: &Cluster, path: &str) -> Vec<u8> {
    run(&mut configured(cluster, cluster.dfs_command(&["cat", path])), b"", Duration::from_secs(60)).ok().out
}

/// A client in this process that has the cluster's configuration.
fn client(cluster: &Cluster) -> DfsClient {
    let settings = Settings::load(Some(&cluster.conf()), &[]).expect("the cluster's own files");
    DfsClient::connect(ClientConfig::from_settings(&settings).expect("makes sense")).expect("makes sense")
}

/// What all datanodes have done: bytes sent over TCP, and replicas whose files they gave away.
fn counts(cluster: &Cluster) -> (u64, u64) {
    let of = |name: &&str| {
        let status = cluster.json(name, "/api/v1/status").expect("a status");
        let count = |key: &str| status[key].as_u64().expect("a count");
        (count("bytes_read"), count("short_circuits"))
    };
    NAMES.iter().map(of).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
}

#[test]
fn what_the_cluster_leaves_for_clients_makes_them_read_the_files_themselves() {
    for embedded in [false, true] {
        let cluster = Cluster::start(Options { embedded, ..Options::fast() });
        let bytes = bytes_of(61, 3_500_001);
        cluster.put("/a", &bytes);
        assert!(cat(&cluster, "/a") == bytes);
        assert_eq!(counts(&cluster), (0, 4), "four blocks, none over TCP");
        // As a person has it.
        assert!(cluster.shell(". ./env && dfs cat /a").ok().out == bytes);
        assert_eq!(counts(&cluster), (0, 8));
        // A client that knows nothing but the address reads over TCP.
        assert!(cluster.cat("/a") == bytes);
        assert_eq!(counts(&cluster), (bytes.len() as u64, 8));
        // A file that is being written has no files to give.
        let mut writer = client(&cluster).append(&DfsPath::parse("/a").expect("a path")).expect("appends");
        std::io::Write::write_all(&mut writer, b"more").expect("written");
        writer.hflush().expect("flushed");
        assert!(cat(&cluster, "/a") == [bytes.as_slice(), b"more"].concat());
        let (over_tcp, given) = counts(&cluster);
        assert!(over_tcp > bytes.len() as u64 && given == 11, "{over_tcp} bytes over TCP, {given} replicas given");
        writer.close().expect("closed");
        assert!(cat(&cluster, "/a") == [bytes.as_slice(), b"more"].concat());
        assert_eq!(counts(&cluster), (over_tcp, 15), "closed, its last block is given too");
    }
}

#[test]
fn a_flipped_bit_is_noticed_another_replica_read_and_the_bad_one_replaced() {
    // Datanodes do not look for themselves: only a reader can notice.
    let cluster = Cluster::start(Options::fast().set("dfs.datanode.scan.period.hours", "-1"));
    let bytes = bytes_of(62, 1_000_000);
    cluster.put("/a", &bytes);
    let bad = replica(&cluster, holders(&cluster)[0]);
    flip(&bad, 700_001);
    // Readers begin with any of the three, as all are equally near.
    poll("the bad replica is replaced", Duration::from_secs(40), || {
        assert!(cat(&cluster, "/a") == bytes, "wrong bytes were served");
        let repaired = std::fs::read(&bad).is_ok_and(|now| now == bytes);
        if repaired { Ok(()) } else { Err("its file is as it was, or away".to_owned()) }
    });
    assert!(counts(&cluster).1 > 1, "files were read, before and after");
    all_is_repaired(&cluster, &bytes);
}

#[test]
fn a_datanode_that_is_killed_while_its_files_are_read_is_passed_over() {
    let cluster = Cluster::start(Options::fast());
    let bytes = bytes_of(63, 3_500_000);
    cluster.put("/a", &bytes);
    let mut reader = client(&cluster).open(&DfsPath::parse("/a").expect("a path")).expect("opens");
    let mut read = vec![0; 500_000];
    reader.read_exact(&mut read).expect("the first half of a block");
    assert_eq!(counts(&cluster), (0, 1));
    let given = |name: &&&str| cluster.json(name, "/api/v1/status").expect("a status")["short_circuits"] == 1;
    let first = NAMES.iter().find(given).expect("the one that gave its files");
    cluster.kill(first);
    reader.read_to_end(&mut read).expect("the rest");
    assert!(read == bytes);
    let others = NAMES.iter().filter(|name| *name != first);
    let sent = others.map(|name| cluster.json(name, "/api/v1/status").expect("a status")["bytes_read"].as_u64());
    assert!(sent.into_iter().all(|bytes| bytes == Some(0)), "the other datanodes gave files as well");
}

#[test]
fn a_restarted_datanode_has_its_socket_again_and_nobody_else_may_put_one_there() {
    let cluster = Cluster::start(Options::fast().datanodes(1));
    let bytes = bytes_of(64, 100_000);
    cluster.put("/a", &bytes);
    cluster.kill("datanode-1");
    cluster.restart("datanode-1").ok();
    poll("the file is read again", Duration::from_secs(30), || {
        let run = run(&mut configured(&cluster, cluster.dfs_command(&["cat", "/a"])), b"", Duration::from_secs(60));
        if run.code == 0 && run.out == bytes { Ok(()) } else { Err(run.err) }
    });
    let status = cluster.json("datanode-1", "/api/v1/status").expect("a status");
    assert_eq!((&status["bytes_read"], &status["short_circuits"]), (&0.into(), &1.into()));
    let folder = cluster.conf().parent().expect("the cluster's folder").join("sockets");
    let sockets: Vec<_> = std::fs::read_dir(&folder).expect("there").flatten().collect();
    assert_eq!(sockets.len(), 1);
    assert!(sockets[0].file_type().expect("there").is_socket());
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&folder).expect("there"));
    assert_eq!(mode & 0o022, 0, "{mode:o}");
}

#[test]
fn tasks_read_the_files_too() {
    let cluster = Cluster::start(Options::fast().jobs(1));
    let text = words_of(65, 3_000_000);
    cluster.put("/in/text", text.as_bytes());
    for mode in ["disk", "memory"] {
        let before = counts(&cluster);
        let out = format!("/out-{mode}");
        let job = cluster.mapred_command(&["run", "--mode", mode, "wordcount", "/in", &out]);
        run(&mut configured(&cluster, job), b"", Duration::from_secs(120)).ok();
        let counted: u64 = cluster
            .output(&out)
            .iter()
            .map(|line| line.rsplit_once('\t').expect("word and count").1.parse::<u64>().expect("a count"))
            .sum();
        assert_eq!(counted, text.split_whitespace().count() as u64, "{mode}");
        let given = counts(&cluster).1 - before.1;
        assert!(given >= 3, "{mode}: three blocks of input, {given} replicas given");
    }
}
