//! Hadoop's own Java client against real processes: ordinary work, and answers that are lost after the call was carried out.
//!
//! It needs a JDK of 17 or later, and Hadoop's client on the class path `MAMMOTH_TEST_HADOOP` (`hadoop-client-api`,
//! `hadoop-client-runtime` and what they log with; the Python package `pyspark` brings them in `deps/jars`).

use crate::harness::{StepClient, Trap, Wired, poll};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(90);
const MIB: u64 = 1 << 20;

/// The Java client, behind the namenode's proxy. It asks datanodes for the length of what is being written, at a door that has
/// no proxy, so it goes to all their doors directly.
fn java_client(wired: &Wired) -> StepClient {
    let class_path =
        std::env::var("MAMMOTH_TEST_HADOOP").expect("MAMMOTH_TEST_HADOOP: a class path with Hadoop's client");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/HadoopClient.java");
    let mut command = Command::new("java");
    command.args(["-Xmx256m", "-cp", &class_path]).arg(source).args([
        &format!("fs.defaultFS=hdfs://{}", wired.rpc.addr()),
        "dfs.client.use.datanode.hostname=false",
        // Calls that got no answer are made again, under their number.
        "dfs.client.retry.policy.enabled=true",
        "dfs.client.retry.policy.spec=100,20",
    ]);
    StepClient::spawn(command)
}

fn wait_closed(client: &mut StepClient, path: &str) {
    poll("the file is closed", LIMIT, || match client.ask(&format!("closed {path}")).as_str() {
        "true" => Ok(()),
        other => Err(other.to_owned()),
    });
}

#[test]
#[ignore = "needs a JDK and Hadoop's client; see the module"]
fn the_java_client_writes_reads_and_changes_files() {
    let wired = Wired::start();
    let mut java = java_client(&wired);
    let mut is = |step: &str, answer: &str| assert_eq!(java.ask(step), answer, "{step}");
    is("mkdir /d", "true");
    is("create /d/a", "");
    is(&format!("write /d/a 5 {}", 2 * MIB + 777), "");
    is("hflush /d/a", "3");
    is(&format!("is /d/a 5 {}", 2 * MIB + 777), "true");
    is(&format!("write /d/a 5 {}", 2 * MIB + 800), "");
    is("hsync /d/a", &(2 * MIB + 800).to_string());
    is("close /d/a", "");
    is("append /d/a", &(2 * MIB + 800).to_string());
    is(&format!("write /d/a 5 {}", 3 * MIB), "");
    is("close /d/a", "");
    is(&format!("is /d/a 5 {}", 3 * MIB), "true");
    is(&format!("range /d/a 5 {} 70000", MIB - 3), "true");
    is("list /d", "1 3");
    is("attributes /d/a", "1000 rw-r----- 0 true");
    is("cluster /", "4 false 0");
    is(&format!("truncate /d/a {}", 2 * MIB), "true");
    is(&format!("truncate /d/a {}", MIB + 5), "false");
    wait_closed(&mut java, "/d/a");
    assert_eq!(java.ask(&format!("is /d/a 5 {}", MIB + 5)), "true");
    let ours = wired.cluster.dfs(&["checksum", "/d/a"]).ok().text();
    let theirs = java.ask("checksum /d/a");
    let sum = theirs.rsplit(':').next().expect("a part");
    assert!(!sum.is_empty() && ours.contains(sum), "{theirs}, but {ours}");
}

/// A step whose call of `method` is carried out, and whose first answer never arrives.
#[track_caller]
fn lose(wired: &Wired, java: &mut StepClient, method: &'static str, step: &str, answer: &str) {
    wired.rpc.trap(Trap::Reply(method));
    java.tell(step);
    wired.rpc.caught();
    wired.rpc.lose();
    assert_eq!(java.done(), answer, "{step}");
}

#[test]
#[ignore = "needs a JDK and Hadoop's client; see the module"]
fn what_the_java_client_asks_again_is_done_once() {
    let wired = Wired::start();
    let mut java = java_client(&wired);
    lose(&wired, &mut java, "mkdirs", "mkdir /d", "true");
    lose(&wired, &mut java, "create", "create /d/a", "");
    java.ask("write /d/a 9 300000");
    java.ask("hflush /d/a");
    lose(&wired, &mut java, "complete", "close /d/a", "");
    lose(&wired, &mut java, "append", "append /d/a", "300000");
    java.ask("write /d/a 9 400000");
    java.ask("close /d/a");
    assert_eq!(java.ask("is /d/a 9 400000"), "true");
    lose(&wired, &mut java, "rename2", "rename /d/a /d/b", "");
    lose(&wired, &mut java, "rename", "move /d/b /d/c", "true");
    lose(&wired, &mut java, "truncate", "truncate /d/c 1000", "false");
    wait_closed(&mut java, "/d/c");
    assert_eq!(java.ask("is /d/c 9 1000"), "true");
    for path in ["/d/x", "/d/y"] {
        java.ask(&format!("create {path}"));
        java.ask(&format!("write {path} 9 {MIB}"));
        java.ask(&format!("close {path}"));
    }
    lose(&wired, &mut java, "concat", "concat /d/x /d/y", "");
    lose(&wired, &mut java, "delete", "delete /d/c", "true");
    assert_eq!(java.ask("status /d/x"), format!("{} 3 rw-r--r--", 2 * MIB));
    assert_eq!(java.ask("list /d"), "1 2");
}
