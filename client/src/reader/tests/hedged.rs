//! Hedged reads: who gives nothing gets company, and the first bytes win.

use super::read_all;
use crate::HedgedReads;
use crate::testing::datanode::Fault;
use crate::testing::{Cluster, path, pattern, until};
use std::io::Write;
use std::time::Duration;

/// Silence that the client takes from a datanode: far less than the socket's timeout, which is 20 s here.
const THRESHOLD: Duration = Duration::from_millis(300);

fn with_file(data: &[u8], threads: usize) -> Cluster {
    let cluster = Cluster::start_with(3, |config| {
        config.hedged_read_threads = threads;
        config.hedged_read_threshold = THRESHOLD;
    });
    let mut writer = cluster.create();
    writer.write_all(data).unwrap();
    writer.close().unwrap();
    assert_eq!(cluster.holders(data), [0, 1, 2]);
    cluster
}

#[test]
fn without_a_slow_datanode_nobody_else_is_asked() {
    let data = pattern(150_000);
    let cluster = with_file(&data, 2);
    assert_eq!(read_all(&mut cluster.client.open(&path()).unwrap()), data);
    let mut buffer = [0; 3000];
    assert_eq!(cluster.client.open(&path()).unwrap().read_at(65_000, &mut buffer).unwrap(), 3000);
    assert_eq!(buffer[..], data[65_000..68_000]);
    assert_eq!(cluster.client.hedged_reads(), HedgedReads { ops: 0, wins: 0 });
    until("every range ended with a word to its datanode", || {
        cluster.datanodes.iter().map(|node| node.read_statuses()).sum::<u32>() == 3 + 2
    });
}

#[test]
fn one_that_stops_anywhere_is_overtaken_and_let_go() {
    let data = pattern(150_000);
    for packets in [0, 1, 20] {
        let cluster = with_file(&data, 2);
        cluster.datanodes[0].fault(Fault::StallReadAfter(packets));
        assert_eq!(read_all(&mut cluster.client.open(&path()).unwrap()), data, "after {packets}");
        assert_eq!(cluster.client.hedged_reads(), HedgedReads { ops: 1, wins: 1 }, "after {packets}");
        until("the slow one is let go", || cluster.datanodes[0].let_go() == 1);
    }
}

#[test]
fn one_that_was_slow_is_asked_last_from_then_on() {
    let data = pattern(200_000);
    let cluster = with_file(&data, 2);
    for _ in 0..4 {
        cluster.datanodes[0].fault(Fault::StallReadAfter(0));
    }
    assert_eq!(read_all(&mut cluster.client.open(&path()).unwrap()), data);
    assert_eq!(cluster.client.hedged_reads(), HedgedReads { ops: 1, wins: 1 }, "one block of four");
}

#[test]
fn a_further_one_is_asked_when_the_second_gives_nothing_either_or_fails() {
    let data = pattern(10_000);
    for (second, ops) in [(Fault::StallReadAfter(0), 2), (Fault::RefuseRead, 2)] {
        let cluster = with_file(&data, 2);
        cluster.datanodes[0].fault(Fault::StallReadAfter(0));
        cluster.datanodes[1].fault(second);
        assert_eq!(read_all(&mut cluster.client.open(&path()).unwrap()), data);
        assert_eq!(cluster.client.hedged_reads(), HedgedReads { ops, wins: 1 });
        until("the first is let go", || cluster.datanodes[0].let_go() == 1);
    }
}

#[test]
fn the_limit_of_further_ones_leaves_those_that_were_asked_their_time() {
    let data = pattern(10_000);
    let cluster = with_file(&data, 1);
    for node in &cluster.datanodes[..2] {
        node.fault(Fault::StallReadAfter(0));
    }
    let (client, nodes) = (cluster.client.clone(), cluster.datanodes.clone());
    let ender = std::thread::spawn(move || {
        until("the second was asked", || client.hedged_reads().ops == 1 && nodes[1].stalled() == 1);
        nodes[0].drop_connections();
        nodes[1].drop_connections();
    });
    assert_eq!(read_all(&mut cluster.client.open(&path()).unwrap()), data);
    ender.join().unwrap();
    assert_eq!(cluster.client.hedged_reads().wins, 0, "the third was the only one left");
}
