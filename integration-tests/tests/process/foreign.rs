//! A client that we did not write: the crate `hdfs-native`, against real processes.

use crate::harness::{Cluster, Options, bytes_of};
use hdfs_native::client::ClientBuilder;
use hdfs_native::{Client, WriteOptions};

const MIB: usize = 1024 * 1024;

/// Runs a test's steps in a runtime with a client for a fresh cluster.
fn with_client(steps: impl AsyncFnOnce(&Cluster, &Client)) {
    let cluster = Cluster::start(Options::fast());
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let client = ClientBuilder::new().with_url(cluster.fs()).build().expect("a client");
        steps(&cluster, &client).await;
    });
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
