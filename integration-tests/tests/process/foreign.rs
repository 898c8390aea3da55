//! A client that we did not write: the crate `hdfs-native`, against real processes.

use crate::harness::{Cluster, Options, Recorder, Recording, bytes_of};
use hdfs_native::client::ClientBuilder;
use hdfs_native::{Client, WriteOptions};
use std::net::SocketAddr;
use std::path::Path;

const MIB: usize = 1024 * 1024;

/// Runs a test's steps in a runtime with a client for a fresh cluster.
fn with_client(steps: impl AsyncFnOnce(&Cluster, &Client)) {
    let cluster = Cluster::start(Options::fast());
    runtime().block_on(async {
        let client = ClientBuilder::new().with_url(cluster.fs()).build().expect("a client");
        steps(&cluster, &client).await;
    });
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

fn options() -> WriteOptions {
    WriteOptions::default().block_size(MIB as u64)
}

async fn write(client: &Client, path: &str, bytes: &[u8], options: WriteOptions) {
    let mut writer = client.create(path, options).await.expect("created");
    for part in bytes.chunks(300_000) {
        writer.write_bytes(part.to_vec().into()).await.expect("written");
    }
    writer.close().await.expect("closed");
}

async fn read(client: &Client, path: &str) -> Vec<u8> {
    let mut reader = client.read(path).await.expect("opened");
    let len = reader.file_length();
    reader.read_bytes(len).await.expect("read").to_vec()
}

#[test]
fn three_blocks_go_both_ways() {
    with_client(async |cluster, client| {
        let bytes = bytes_of(31, 3 * MIB);
        write(client, "/theirs", &bytes, options()).await;
        assert!(read(client, "/theirs").await == bytes, "they read what they wrote");
        assert!(cluster.cat("/theirs") == bytes, "we read what they wrote");
        let blocks = std::thread::scope(|scope| scope.spawn(|| cluster.blocks("/theirs")).join().expect("no panic"));
        assert_eq!(blocks.expect("blocks").len(), 3);
        cluster.put("/ours", &bytes);
        assert!(read(client, "/ours").await == bytes, "they read what we wrote");
    });
}

#[test]
fn append_goes_on_where_the_file_ended() {
    with_client(async |cluster, client| {
        let bytes = bytes_of(32, 2 * MIB + 777);
        write(client, "/a", &bytes[..MIB / 2 + 100], options()).await;
        let mut writer = client.append("/a").await.expect("opened for append");
        writer.write_bytes(bytes[MIB / 2 + 100..].to_vec().into()).await.expect("written");
        writer.close().await.expect("closed");
        assert!(read(client, "/a").await == bytes);
        assert!(cluster.cat("/a") == bytes);
        cluster.dfs_with(&["appendToFile", "-", "/a"], b"and our end").ok();
        let whole = read(client, "/a").await;
        assert!(whole[..bytes.len()] == bytes && whole[bytes.len()..] == *b"and our end");
    });
}

#[test]
fn ranges_across_a_block_border_are_exact() {
    with_client(async |_, client| {
        let bytes = bytes_of(33, 3 * MIB);
        write(client, "/a", &bytes, options()).await;
        let reader = client.read("/a").await.expect("opened");
        for (offset, len) in [(MIB - 5, 10), (0, 1), (MIB, MIB), (2 * MIB - 1, 2), (511, 3), (3 * MIB - 1, 1)] {
            let part = reader.read_range(offset, len).await.expect("read");
            assert!(part[..] == bytes[offset..offset + len], "{len} bytes from {offset}");
        }
    });
}

#[test]
fn a_folder_of_2500_entries_is_listed_in_pages() {
    with_client(async |cluster, client| {
        let names: Vec<String> = (0..2_500).map(|n| format!("/many/d{n:04}")).collect();
        for part in names.chunks(500) {
            let mut args = vec!["mkdir", "-p"];
            args.extend(part.iter().map(String::as_str));
            cluster.dfs(&args).ok();
        }
        let listed = client.list_status("/many", false).await.expect("listed");
        let mut listed: Vec<String> = listed.into_iter().map(|status| status.path).collect();
        listed.sort();
        assert_eq!(listed, names);
    });
}

#[test]
fn overwrite_rename_and_delete_do_what_they_say() {
    with_client(async |cluster, client| {
        write(client, "/a", b"first", options()).await;
        assert!(client.create("/a", options()).await.is_err(), "no overwriting without being asked to");
        write(client, "/a", b"second", options().overwrite(true)).await;
        assert_eq!(cluster.cat("/a"), b"second");
        client.mkdirs("/d/e", 0o755, true).await.expect("folders");
        client.rename("/a", "/d/e/b", false).await.expect("renamed");
        assert_eq!(read(client, "/d/e/b").await, b"second");
        assert!(client.get_file_info("/a").await.is_err());
        write(client, "/c", b"third", options()).await;
        assert!(client.rename("/c", "/d/e/b", false).await.is_err());
        client.rename("/c", "/d/e/b", true).await.expect("renamed over");
        assert_eq!(cluster.cat("/d/e/b"), b"third");
        assert!(client.delete("/d", true).await.expect("answered"));
        assert!(client.get_file_info("/d").await.is_err());
        assert!(client.set_replication("/none", 2).await.is_err() || cluster.dfs(&["ls", "/none"]).code == 1);
    });
}

/// Where the recorded sessions are kept, for the tests of our codecs.
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../base/net/tests/golden/hdfs-native-0.14");

/// Records the sessions again. Needed only when the scenario or the client's version changes; the new bytes are to be
/// reviewed by `cargo test -p mammoth-net --test golden`, whose tables say what they must hold.
#[test]
#[ignore = "rewrites files of the source tree"]
fn record_golden_sessions() {
    // The client connects to the datanode's host name and real port, and there is the recorder: same port, other address.
    let settings = [("dfs.datanode.hostname", "127.0.0.2"), ("dfs.replication", "1"), ("dfs.ls.limit", "2")];
    let options = settings.into_iter().fold(Options::fast().datanodes(1), |all, (key, value)| all.set(key, value));
    let cluster = Cluster::start(options);
    cluster.dfs(&["chmod", "777", "/"]).ok();
    let namenode = Recorder::start(SocketAddr::from(([127, 0, 0, 1], 0)), cluster.addr("namenode", "rpc"));
    let transfer = cluster.addr("datanode-1", "transfer");
    let datanode = Recorder::start(SocketAddr::from(([127, 0, 0, 2], transfer.port())), transfer);
    let runtime = runtime();
    let client = ClientBuilder::new()
        .with_url(format!("hdfs://{}", namenode.addr()))
        .with_user("alice")
        .with_config([("dfs.client.use.datanode.hostname", "true")])
        .build()
        .expect("a client");
    runtime.block_on(golden_scenario(&client));
    for (door, recordings) in [("namenode", namenode.finish()), ("datanode", datanode.finish())] {
        keep(door, &recordings);
    }
}

/// Bytes that the tests of the codecs know too.
fn golden_bytes() -> Vec<u8> {
    (0..4_000_u32).map(|i| (i * 31 % 251) as u8).collect()
}

/// A bit of everything, one call after the other, so that every recording has the same calls in the same order.
async fn golden_scenario(client: &Client) {
    let bytes = golden_bytes();
    client.mkdirs("/golden/dir", 0o750, true).await.expect("folders");
    write(client, "/golden/file", &bytes[..3_000], options()).await;
    client.get_file_info("/golden/file").await.expect("a status");
    assert!(client.get_file_info("/golden/none").await.is_err());
    assert!(client.create("/golden/file", options()).await.is_err());
    for name in ["/golden/a", "/golden/b"] {
        write(client, name, b"", options().permission(0o600)).await;
    }
    assert_eq!(client.list_status("/golden", false).await.expect("listed").len(), 4);
    assert!(read(client, "/golden/file").await == bytes[..3_000]);
    let reader = client.read("/golden/file").await.expect("opened");
    assert!(reader.read_range(1_000, 600).await.expect("read") == bytes[1_000..1_600]);
    let mut writer = client.append("/golden/file").await.expect("opened for append");
    writer.write_bytes(bytes[3_000..3_500].to_vec().into()).await.expect("written");
    writer.hsync().await.expect("synced");
    writer.write_bytes(bytes[3_500..].to_vec().into()).await.expect("written");
    writer.close().await.expect("closed");
    client.set_permission("/golden/file", 0o640).await.expect("a mode");
    client.set_times("/golden/file", 1_000_000_000_001, 1_000_000_000_002).await.expect("times");
    client.set_replication("/golden/file", 2).await.expect("replicas");
    assert!(client.set_owner("/golden/file", Some("bob"), None).await.is_err(), "alice is nobody special");
    client.get_file_info("/golden/file").await.expect("a status");
    client.get_content_summary("/golden").await.expect("a summary");
    client.rename("/golden/file", "/golden/dir/moved", false).await.expect("renamed");
    client.rename("/golden/a", "/golden/b", true).await.expect("renamed over");
    assert!(client.delete("/golden", true).await.expect("answered"));
    assert!(!client.delete("/golden", true).await.expect("answered"));
}

fn keep(door: &str, recordings: &[Recording]) {
    let old = std::fs::read_dir(GOLDEN).expect("the folder is there").flatten();
    for path in old.map(|entry| entry.path()).filter(|path| path.to_string_lossy().contains(&format!("/{door}-"))) {
        std::fs::remove_file(path).expect("removed");
    }
    for (number, recording) in recordings.iter().enumerate() {
        for (side, bytes) in [("client", &recording.client), ("server", &recording.server)] {
            let path = Path::new(GOLDEN).join(format!("{door}-{number}.{side}"));
            std::fs::write(path, bytes).expect("written");
        }
    }
}
