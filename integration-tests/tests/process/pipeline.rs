//! A datanode of a running pipeline dies, or freezes: the writer goes on with the same block under a new stamp.

use crate::harness::{Cluster, Options, Random, Stopwatch, bytes_of, poll, run};
use rustix::process::{Pid, Signal};
use std::io::{Read, Write};
use std::process::{Child, Stdio};
use std::time::Duration;

const MIB: u64 = 1024 * 1024;

/// Feeds a put of one block through a pipe, stops at `before` bytes to let `fault` happen to the pipeline's datanode at
/// `place`, and feeds the rest.
fn put_with_fault(signal: Signal, place: usize, before: u64, total: u64) {
    let options = Options::fast().blocks(128 * MIB).set("dfs.namenode.heartbeat.recheck-interval", "60000");
    let cluster = Cluster::start(options);
    let mut put = cluster.dfs_command(&["put", "-d", "-", "/piped"]);
    let mut child = put.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("dfs starts");
    let mut pipe = child.stdin.take().expect("a pipe");
    let mut source = Random::new(99, total);
    let watch = Stopwatch::start();
    std::io::copy(&mut source.by_ref().take(before), &mut pipe).expect("the first part is taken");
    let (victim, stamp) =
        poll("the block is being written", Duration::from_secs(20), || pipeline_node(&cluster, &child, place));
    cluster.signal(&victim, signal);
    std::io::copy(&mut source, &mut pipe).expect("the rest is taken, so the source was read once only");
    pipe.flush().expect("flushed");
    drop(pipe);
    let output = child.wait_with_output().expect("dfs ends");
    let elapsed = watch.elapsed();
    assert!(output.status.success(), "{victim}: {}", String::from_utf8_lossy(&output.stderr));
    assert!(elapsed < Duration::from_secs(30), "{victim} at place {place}: {elapsed:?}");
    let bytes = cluster.cat("/piped");
    assert!(bytes == bytes_of(99, usize::try_from(total).expect("fits")), "the bytes differ");
    let (blocks, new_stamp) = block_stamps(&cluster, "/piped");
    assert_eq!(blocks, 1, "the block was not restarted");
    assert!(new_stamp > stamp, "the stamp grew: {stamp} then {new_stamp}");
    if signal == Signal::STOP {
        cluster.signal(&victim, Signal::CONT);
    }
}

/// Name of the datanode at this place of the pipeline that the client writes to, and the block's stamp.
fn pipeline_node(cluster: &Cluster, client: &Child, place: usize) -> Result<(String, u64), String> {
    let stamp = cluster.blocks("/piped")?.last().ok_or("no block yet")?.stamp;
    let order = cluster.order_of_pipeline(Pid::from_child(client).as_raw_nonzero().get())?;
    Ok((order[place].clone(), stamp))
}

fn block_stamps(cluster: &Cluster, path: &str) -> (usize, u64) {
    let blocks = cluster.blocks(path).expect("blocks of the file");
    (blocks.len(), blocks[0].stamp)
}

#[test]
fn the_first_datanode_dies_at_100_of_128_mib() {
    put_with_fault(Signal::KILL, 0, 100 * MIB, 128 * MIB);
}

#[test]
fn the_middle_datanode_dies_at_100_of_128_mib() {
    put_with_fault(Signal::KILL, 1, 100 * MIB, 128 * MIB);
}

#[test]
fn the_last_datanode_dies_at_100_of_128_mib() {
    put_with_fault(Signal::KILL, 2, 100 * MIB, 128 * MIB);
}

#[test]
fn the_first_datanode_freezes() {
    put_with_fault(Signal::STOP, 0, 20 * MIB, 32 * MIB);
}

#[test]
fn the_middle_datanode_freezes() {
    put_with_fault(Signal::STOP, 1, 20 * MIB, 32 * MIB);
}

#[test]
fn the_last_datanode_freezes() {
    put_with_fault(Signal::STOP, 2, 20 * MIB, 32 * MIB);
}

fn put_with_one_gone_from_the_start(signal: Signal) {
    let cluster = Cluster::start(Options::fast().set("dfs.namenode.heartbeat.recheck-interval", "60000"));
    cluster.signal("datanode-2", signal);
    let bytes = bytes_of(5, 5_000_000);
    let run = cluster.dfs_with(&["put", "-", "/two"], &bytes).ok();
    assert!(run.took < Duration::from_secs(30), "{:?}", run.took);
    assert!(cluster.cat("/two") == bytes);
}

#[test]
fn a_put_goes_on_when_a_datanode_is_dead_from_the_start() {
    put_with_one_gone_from_the_start(Signal::KILL);
}

#[test]
fn a_put_goes_on_when_a_datanode_is_frozen_from_the_start() {
    put_with_one_gone_from_the_start(Signal::STOP);
}

/// The timeouts that everybody has who sets none: a minute of silence until a datanode of a pipeline is given up.
fn put_with_default_timeouts(signal: Signal) {
    let cluster = Cluster::start(Options::default());
    let mut put = cluster.dfs_command(&["put", "-d", "-", "/piped"]);
    let mut child = put.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("dfs starts");
    let mut pipe = child.stdin.take().expect("a pipe");
    let mut source = Random::new(98, 64 * MIB);
    std::io::copy(&mut source.by_ref().take(20 * MIB), &mut pipe).expect("the first part is taken");
    let (victim, _) =
        poll("the block is being written", Duration::from_secs(20), || pipeline_node(&cluster, &child, 1));
    let watch = Stopwatch::start();
    cluster.signal(&victim, signal);
    std::io::copy(&mut source, &mut pipe).expect("the rest is taken");
    drop(pipe);
    let output = child.wait_with_output().expect("dfs ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // A minute of silence for the node, some seconds more for each of those that wait for it.
    let limit = Duration::from_secs(if signal == Signal::KILL { 20 } else { 120 });
    assert!(watch.elapsed() < limit, "{victim}: {:?}", watch.elapsed());
    let bytes = run(&mut cluster.dfs_command(&["cat", "/piped"]), b"", Duration::from_secs(180)).ok().out;
    assert!(bytes == bytes_of(98, 64 << 20), "the bytes differ");
}

#[test]
fn with_default_timeouts_a_dead_datanode_costs_seconds() {
    put_with_default_timeouts(Signal::KILL);
}

#[test]
#[ignore = "long; .ci/full runs it"]
fn with_default_timeouts_a_put_ends_though_a_datanode_freezes() {
    put_with_default_timeouts(Signal::STOP);
}
