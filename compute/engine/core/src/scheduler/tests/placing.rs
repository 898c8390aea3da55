//! Where tasks go.

use crate::api::{Config, DatasetId, StageSpec};
use crate::testing::{Bench, job, last, launches, map};

fn on_hosts(mut spec: StageSpec, hosts: &[&str]) -> StageSpec {
    spec.hosts = hosts.iter().map(|host| vec![(*host).to_owned()]).collect();
    spec
}

fn cached(mut spec: StageSpec) -> StageSpec {
    spec.cached = vec![DatasetId(1)];
    for parent in &mut spec.parents {
        parent.behind = vec![DatasetId(1)];
    }
    spec
}

#[test]
fn tasks_are_spread_over_executors() {
    let mut bench = Bench::new(&[2, 2]);
    let commands = bench.submit(job(0, &[last(0, 9, &[])]));
    assert_eq!(launches(&commands), ["0.0@0", "0.1@1", "0.2@0", "0.3@1"]);
}

#[test]
fn each_executor_takes_what_it_or_its_host_holds() {
    let mut bench = Bench::new(&[1, 1, 1]);
    bench.block(2, 1, 0, true);
    let commands = bench.submit(job(0, &[cached(on_hosts(last(0, 3, &[]), &["h0", "h1", "h0"]))]));
    assert_eq!(launches(&commands), ["0.0@2*", "0.2@0+", "0.1@1+"]);
}

#[test]
fn a_task_waits_for_a_near_executor_but_not_for_long() {
    let mut bench = Bench::new(&[1, 1]);
    let commands = bench.submit(job(0, &[on_hosts(last(0, 3, &[]), &["h0", "h0", "h0"])]));
    assert_eq!(launches(&commands), ["0.0@0+"]);
    assert_eq!(launches(&bench.tick(2_999)), Vec::<String>::new());
    assert_eq!(launches(&bench.succeed("0.0")), ["0.1@0+"], "a near launch begins the wait anew");
    assert_eq!(launches(&bench.tick(2_999)), Vec::<String>::new());
    assert_eq!(launches(&bench.tick(1)), ["0.2@1"]);
}

#[test]
fn without_a_wait_everything_goes_at_once() {
    let mut bench = Bench::with(Config { locality_wait_ms: 0, ..Config::default() }, &[1, 1]);
    let commands = bench.submit(job(0, &[on_hosts(last(0, 2, &[]), &["h1", "h1"])]));
    assert_eq!(launches(&commands), ["0.0@1+", "0.1@0"]);
}

#[test]
fn nobody_waits_for_hosts_without_executors() {
    let mut bench = Bench::new(&[1, 1]);
    let commands = bench.submit(job(0, &[on_hosts(last(0, 2, &[]), &["away", "away"])]));
    assert_eq!(launches(&commands), ["0.0@0", "0.1@1"]);
}

#[test]
fn a_block_is_waited_for_first_then_a_host() {
    let mut bench = Bench::new(&[1, 1, 1]);
    bench.submit(job(0, &[on_hosts(last(9, 1, &[]), &["h0"])]));
    bench.block(0, 1, 0, true);
    bench.submit(job(1, &[last(8, 1, &[])]));
    let commands = bench.submit(job(2, &[cached(on_hosts(last(0, 1, &[]), &["h1"]))]));
    assert_eq!(launches(&commands), Vec::<String>::new(), "its block's executor is busy");
    bench.succeed("8.0");
    assert_eq!(launches(&bench.tick(3_000)), ["0.0@1+"]);
}

#[test]
fn a_block_stands_in_for_a_shuffle_that_is_gone() {
    let mut bench = Bench::with(Config { executor_silent_ms: u64::MAX, ..Config::default() }, &[1, 1]);
    bench.submit(job(0, &[map(0, 1, &[]), cached(last(1, 2, &[0]))]));
    bench.succeed("0.0");
    bench.block(1, 1, 0, true);
    bench.block(1, 1, 1, true);
    bench.run_out();
    bench.lose_place(0);
    let commands = bench.submit(job(1, &[map(0, 1, &[]), cached(last(2, 2, &[0]))]));
    assert_eq!(launches(&commands), ["2.0@1*"]);
    assert_eq!(launches(&bench.tick(60_000)).len(), 0, "no other executor can do it");
    // The block of the other partition goes: now the shuffle is needed.
    let commands = bench.block(1, 1, 1, false);
    assert_eq!(launches(&commands), ["0.0@0"]);
    bench.run_out();
    assert_eq!(bench.ended(1).as_deref(), Some(""));
}

#[test]
fn a_block_that_was_not_there_after_all_is_made_again() {
    let mut bench = Bench::new(&[1]);
    bench.block(0, 1, 0, true);
    bench.submit(job(0, &[map(0, 1, &[]), cached(last(1, 1, &[0]))]));
    assert_eq!(bench.runs(), ["1.0"]);
    bench.fetch_of("1.0", 0, 0, None);
    assert_eq!(bench.runs(), ["0.0"]);
    bench.run_out();
    assert_eq!(bench.ended(0).as_deref(), Some(""));
}

#[test]
fn blocks_in_different_executors_do_not_make_up_for_two_shuffles() {
    let mut bench = Bench::new(&[1, 1]);
    let mut join = last(2, 1, &[0, 1]);
    join.cached = vec![DatasetId(1), DatasetId(2)];
    join.parents[0].behind = vec![DatasetId(1)];
    join.parents[1].behind = vec![DatasetId(2)];
    bench.block(0, 1, 0, true);
    bench.block(1, 2, 0, true);
    bench.submit(job(0, &[map(0, 1, &[]), map(1, 1, &[]), join]));
    assert_eq!(bench.runs(), ["0.0", "1.0"]);
    bench.run_out();
    assert_eq!(bench.ended(0).as_deref(), Some(""));
}

#[test]
fn a_lost_executor_holds_nothing() {
    let mut bench = Bench::new(&[1, 1]);
    bench.block(1, 1, 0, true);
    bench.lose(1, true);
    let commands = bench.submit(job(0, &[map(0, 1, &[]), cached(last(1, 1, &[0]))]));
    assert_eq!(launches(&commands), ["0.0@0"]);
}
