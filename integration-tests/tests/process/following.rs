//! Readers that follow a writer: what was flushed is seen by whoever opens the file afterwards, and nothing else is.

use crate::harness::{Cluster, Options, bytes_of, poll};
use hdfs_native::client::ClientBuilder;
use mammoth_client::{ClientConfig, CreateOptions, DfsClient, ReplaceDatanode, ReplacePolicy};
use mammoth_protocol::DfsPath;
use std::io::{Read, Write};
use std::process::Stdio;
use std::time::Duration;

const MIB: usize = 1 << 20;

fn client(cluster: &Cluster) -> DfsClient {
    let mut config = ClientConfig::for_uri(&cluster.fs()).expect("a configuration");
    config.block_size = MIB as u64;
    config.socket_timeout = Duration::from_secs(3);
    // One datanode of three is enough to go on.
    config.replace_datanode = ReplaceDatanode { policy: ReplacePolicy::Never, best_effort: true };
    DfsClient::connect(config).expect("a client")
}

fn seen(client: &DfsClient, path: &DfsPath) -> Vec<u8> {
    let mut bytes = Vec::new();
    client.open(path).expect("opened").read_to_end(&mut bytes).expect("read");
    bytes
}

/// What a client that we did not write sees of an open file.
fn seen_by_others(cluster: &Cluster, path: &str) -> Vec<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let client = ClientBuilder::new().with_url(cluster.fs()).build().expect("a client");
        let mut reader = client.read(path).await.expect("opened");
        let len = reader.file_length();
        reader.read_bytes(len).await.expect("read").to_vec()
    })
}

#[test]
fn every_new_reader_sees_what_was_flushed_whichever_datanodes_are_left() {
    let cluster = Cluster::start(Options::fast());
    let client = client(&cluster);
    let path = DfsPath::parse("/log").expect("a path");
    let data = bytes_of(60, 2 * MIB + 300_000);
    let mut writer = client.create(&path, CreateOptions::default()).expect("created");
    let mut at = 0;
    for end in [1, 511, 512, 1000, 70_000, MIB - 1, MIB, MIB + 1, 2 * MIB + 700] {
        writer.write_all(&data[at..end]).expect("written");
        writer.hflush().expect("flushed");
        at = end;
        assert!(seen(&client, &path) == data[..end], "after {end} bytes");
        let theirs = seen_by_others(&cluster, "/log");
        assert!(theirs.len() <= end && theirs == data[..theirs.len()], "others see {} of {end}", theirs.len());
    }
    // Bytes that were not flushed may be seen or not, but never wrong ones.
    writer.write_all(&data[at..at + 100_000]).expect("written");
    let some = seen(&client, &path);
    assert!(some.len() >= at && some == data[..some.len()], "{} of {at}", some.len());
    writer.hflush().expect("flushed");
    at += 100_000;
    // The length of the last block is asked of a datanode: of any that lives, and without its namenode's help.
    for name in ["datanode-1", "datanode-2"] {
        cluster.kill(name);
        assert!(seen(&client, &path) == data[..at], "without {name}");
    }
    writer.write_all(&data[at..]).expect("written");
    writer.close().expect("closed by the one datanode that is left");
    assert!(seen(&client, &path) == data);
}

#[test]
fn tail_follows_a_growing_file() {
    let cluster = Cluster::start(Options::fast());
    let client = client(&cluster);
    let path = DfsPath::parse("/log").expect("a path");
    let mut writer = client.create(&path, CreateOptions::default()).expect("created");
    writer.write_all(b"first\n").expect("written");
    writer.hflush().expect("flushed");
    let mut tail = cluster.dfs_command(&["tail", "-f", "-s", "50", "/log"]);
    let mut child = tail.stdout(Stdio::piped()).spawn().expect("dfs starts");
    let mut out = child.stdout.take().expect("a pipe");
    let (sender, lines) = std::sync::mpsc::channel();
    let reading = std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = out.read(&mut buffer) {
            if sender.send(buffer[..read].to_vec()).is_err() {
                break;
            }
        }
    });
    let mut text = Vec::new();
    let mut expect = |wanted: &[u8]| {
        poll("tail shows it", Duration::from_secs(20), || {
            text.extend(lines.try_iter().flatten());
            if text == wanted { Ok(()) } else { Err(String::from_utf8_lossy(&text).into_owned()) }
        });
    };
    expect(b"first\n");
    writer.write_all(b"second\n").expect("written");
    writer.hflush().expect("flushed");
    expect(b"first\nsecond\n");
    writer.close().expect("closed");
    let mut writer = client.append(&path).expect("opened again");
    writer.write_all(b"third\n").expect("written");
    writer.close().expect("closed");
    expect(b"first\nsecond\nthird\n");
    child.kill().expect("ends");
    child.wait().expect("ended");
    reading.join().expect("no panic");
}
