//! The status page: what it says, and that it does so without anything from elsewhere.

use crate::harness::{Cluster, Options, bytes_of, poll};
use std::time::Duration;

fn page(cluster: &Cluster, path: &str) -> String {
    let url = format!("http://{}{path}", cluster.addr("namenode", "http"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        client
            .get(&url)
            .send()
            .await
            .expect("an answer")
            .error_for_status()
            .expect("success")
            .text()
            .await
            .expect("text")
    })
}

#[test]
fn the_page_tells_health_capacity_nodes_and_files() {
    let cluster = Cluster::start(Options::fast());
    cluster.dfs(&["mkdir", "-p", "/folder/<b>odd & name"]).ok();
    cluster.put("/folder/file", &bytes_of(51, 2_500_000));
    let start = page(&cluster, "/");
    for expected in ["3", "datanode", "apacity", "nder-replicated"] {
        assert!(start.contains(expected), "no `{expected}` in {start}");
    }
    assert!(start.contains("refresh"), "it refreshes itself");
    let folder = page(&cluster, "/explorer?path=/folder");
    assert!(folder.contains("&lt;b&gt;odd &amp; name") && !folder.contains("<b>odd"), "names are escaped: {folder}");
    let file = page(&cluster, "/explorer?path=/folder/file");
    assert!(
        file.contains("blk_") && file.contains(&cluster.addr("datanode-1", "transfer").port().to_string()),
        "{file}"
    );
    for text in [start, folder, file] {
        for foreign in ["src=\"http", "href=\"http://cdn", "https://", "//fonts"] {
            assert!(!text.contains(foreign), "something from elsewhere: {foreign}");
        }
    }
}

#[test]
fn a_dead_datanode_is_named() {
    let cluster = Cluster::start(Options::fast());
    cluster.put("/a", &bytes_of(52, 100_000));
    cluster.kill("datanode-2");
    poll("the page says so", Duration::from_secs(30), || {
        let text = page(&cluster, "/");
        let port = cluster.addr("datanode-2", "transfer").port().to_string();
        if text.to_lowercase().contains("dead") && text.contains(&port) && cluster.status()?["health"]["dead"] == 1 {
            Ok(())
        } else {
            Err(text)
        }
    });
}
