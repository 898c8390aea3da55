//! Fetching from real sockets, with every fault that a server can have.

mod book;
mod server;

use super::*;
use crate::memory::{Accountant, TaskMemory};
use crate::merge::merge_runs;
use crate::run::Order;
use crate::run::testing::{Pair, Sum, collect, files_in, tiny};
use crate::shuffle::{Codec, OutputWriter, paths};
use server::{ALL_BUT_FROZEN, Fault, Server};
use std::path::Path;
use tempfile::TempDir;

const MAPS: u32 = 12;
const PATIENCE: Duration = Duration::from_secs(60);

/// A server with the outputs of some maps, and a place to work.
struct Scene {
    outputs: TempDir,
    work: TempDir,
    server: Server,
    task: TaskMemory,
}

fn generation() -> Uuid {
    Uuid::from_random([7; 16])
}

fn name(map: u32, attempt: u32) -> String {
    format!("attempt_1_0001_m_{map:06}_{attempt}")
}

/// The records of a map in partition 1: sorted, some keys its own, some everybody's.
fn pairs(map: u32) -> Vec<Pair> {
    let value = |n: u64| n.to_be_bytes().to_vec();
    let mut pairs: Vec<Pair> =
        (0..50_u32).map(|n| ((map * 1000 + n).to_be_bytes().to_vec(), value(n.into()))).collect();
    pairs.extend((0..20_u32).map(|n| (format!("shared {n:02}").into_bytes(), value(map.into()))));
    pairs.sort();
    pairs
}

fn write_output(dir: &Path, name: &str, pairs: &[Pair]) {
    let mut writer = OutputWriter::create(dir, name, 3, Codec::Lz4).unwrap();
    let mut packer = crate::run::Packer::new(200);
    packer.add(&mut writer, 0, b"other", b"").unwrap();
    for (key, value) in pairs {
        packer.add(&mut writer, 1, key, value).unwrap();
    }
    packer.flush(&mut writer).unwrap();
    writer.finish().unwrap();
}

impl Scene {
    fn new() -> Self {
        let (outputs, work) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for map in 0..MAPS {
            write_output(outputs.path(), &name(map, 0), &pairs(map));
        }
        let server = Server::start(outputs.path(), generation());
        Self { outputs, work, server, task: Accountant::new(1 << 30).begin_task() }
    }

    fn config(&self, memory: u64) -> FetchConfig {
        FetchConfig {
            parallel: 3,
            read_timeout: Duration::from_millis(300),
            backoff: Duration::from_millis(5),
            backoff_max: Duration::from_millis(50),
            ..FetchConfig::new(MAPS, 1, memory, tiny(self.work.path()))
        }
    }

    fn fetcher(&self, config: FetchConfig) -> Fetcher {
        Fetcher::start(config, None, self.task.reservation()).unwrap()
    }

    fn at(&self, map: u32) -> MapOutput {
        let location = Location::Server { server: self.server.address(), generation: generation() };
        MapOutput { map, owner: "job_1_0001".to_owned(), output: name(map, 0), location }
    }

    fn all_ready(&self, fetcher: &Fetcher) {
        for map in 0..MAPS {
            fetcher.ready(self.at(map));
        }
    }

    /// Everything that was fetched, merged.
    fn merged(&self, fetcher: Fetcher) -> (Vec<Pair>, FetchStats) {
        let (fetched, stats) = fetcher.finish().unwrap();
        let runs = fetched.into_iter().map(|fetched| fetched.run).collect();
        let (stream, _) = merge_runs(runs, &tiny(self.work.path()), None).unwrap();
        (collect(stream).unwrap(), stats)
    }
}

fn expected() -> Vec<Pair> {
    let mut all: Vec<Pair> = (0..MAPS).flat_map(pairs).collect();
    all.sort();
    all
}

fn sorted(mut pairs: Vec<Pair>) -> Vec<Pair> {
    assert!(pairs.is_sorted_by(|a, b| a.0 <= b.0));
    pairs.sort();
    pairs
}

/// Waits to the end; failures on the way are given.
fn to_the_end(fetcher: &Fetcher) -> Vec<FetchError> {
    let mut failures = Vec::new();
    loop {
        match fetcher.wait(PATIENCE).unwrap() {
            FetchStep::Done => return failures,
            FetchStep::Failed(failure) => failures.push(failure),
            FetchStep::Waiting => panic!("after {PATIENCE:?} there are {} of {MAPS}", fetcher.fetched()),
        }
    }
}

fn next_failure(fetcher: &Fetcher) -> FetchError {
    match fetcher.wait(PATIENCE).unwrap() {
        FetchStep::Failed(failure) => failure,
        other => panic!("{other:?}"),
    }
}

#[test]
fn everything_fits_into_memory_over_few_connections() {
    let scene = Scene::new();
    let fetcher = scene.fetcher(scene.config(1 << 20));
    assert_eq!(fetcher.wait(Duration::ZERO).unwrap(), FetchStep::Waiting);
    scene.all_ready(&fetcher);
    assert_eq!(to_the_end(&fetcher), []);
    assert!(scene.task.held() > 1000);
    let (pairs, stats) = scene.merged(fetcher);
    assert_eq!(sorted(pairs), expected());
    assert_eq!((stats.outputs, stats.failures, stats.to_disk, stats.merges), (12, 0, 0, 0));
    assert_eq!(stats.records, 12 * 70);
    assert!(stats.bytes < stats.raw_bytes);
    assert!(scene.server.connections() <= 3, "{}", scene.server.connections());
    assert_eq!(scene.task.held(), 0);
}

#[test]
fn full_memory_is_merged_to_disk() {
    let scene = Scene::new();
    let segment = std::fs::metadata(paths(scene.outputs.path(), &name(5, 0)).0).unwrap().len();
    let mut config = scene.config(segment * 4);
    config.segment_percent = 0.5;
    let fetcher = scene.fetcher(config);
    scene.all_ready(&fetcher);
    assert_eq!(to_the_end(&fetcher), []);
    assert!(scene.task.held() <= segment * 4);
    let (pairs, stats) = scene.merged(fetcher);
    assert_eq!(sorted(pairs), expected());
    assert!(stats.merges >= 1, "{stats:?}");
    assert!(stats.spilled_records >= 70, "{stats:?}");
    assert_eq!((files_in(scene.work.path()), scene.task.held()), (0, 0));
}

#[test]
fn large_segments_go_to_disk_and_a_refused_task_keeps_none_in_memory() {
    for (memory, granted) in [(100, 1 << 20), (1 << 20, 0)] {
        let scene = Scene { task: Accountant::new(granted).begin_task(), ..Scene::new() };
        let fetcher = scene.fetcher(scene.config(memory));
        scene.all_ready(&fetcher);
        assert_eq!(to_the_end(&fetcher), []);
        assert_eq!(files_in(scene.work.path()), 12);
        let (pairs, stats) = scene.merged(fetcher);
        assert_eq!(sorted(pairs), expected());
        assert_eq!((stats.to_disk, stats.spilled_records, stats.spilled_bytes), (12, 12 * 70, stats.bytes));
        assert_eq!(files_in(scene.work.path()), 0);
    }
}

#[test]
fn arrivals_stay_in_the_order_of_maps() {
    for memory in [1 << 20, 3000] {
        let scene = Scene::new();
        let mut config = scene.config(memory);
        config.spill.order = Order::Arrival;
        config.segment_percent = 1.0;
        let fetcher = scene.fetcher(config.clone());
        for map in (0..MAPS).rev() {
            fetcher.ready(scene.at(map));
        }
        assert_eq!(to_the_end(&fetcher), []);
        let (fetched, stats) = fetcher.finish().unwrap();
        assert_eq!(stats.to_disk > 0, memory == 3000, "{stats:?}");
        assert_eq!(fetched.iter().map(|fetched| fetched.map).collect::<Vec<_>>(), Vec::from_iter(0..MAPS));
        let runs = fetched.into_iter().map(|fetched| fetched.run).collect();
        let (stream, _) = merge_runs(runs, &config.spill, None).unwrap();
        assert_eq!(collect(stream).unwrap(), (0..MAPS).flat_map(pairs).collect::<Vec<_>>());
    }
}

/// The numbers below `MAPS` in an order of their own for each seed.
fn shuffled(seed: u64) -> Vec<u32> {
    let mut order = Vec::from_iter(0..MAPS);
    let mut random = seed;
    for at in (1..order.len()).rev() {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        order.swap(at, (random >> 33) as usize % (at + 1));
    }
    order
}

#[test]
fn equal_keys_stay_in_the_order_of_maps_in_whatever_order_they_arrive() {
    let scene = Scene::new();
    let segment = std::fs::metadata(paths(scene.outputs.path(), &name(5, 0)).0).unwrap().len();
    let of = |map: u32| if map % 5 == 3 { Vec::new() } else { pairs(map) };
    for map in 0..MAPS {
        write_output(scene.outputs.path(), &name(map, 1), &of(map));
    }
    let mut expected: Vec<Pair> = (0..MAPS).flat_map(of).collect();
    // The value of a key that all maps have is the map.
    expected.sort();
    let (mut merges, mut to_disk) = (0, 0);
    for seed in 0..40 {
        let mut config = scene.config(segment * 5);
        (config.segment_percent, config.parallel) = (0.5, 1);
        let fetcher = scene.fetcher(config);
        for map in shuffled(seed) {
            fetcher.ready(MapOutput { output: name(map, 1), ..scene.at(map) });
        }
        assert_eq!(to_the_end(&fetcher), []);
        assert!(scene.task.held() <= segment * 5);
        let (pairs, stats) = scene.merged(fetcher);
        assert!(pairs == expected, "with seed {seed} equal keys are out of order");
        merges += stats.merges;
        to_disk += stats.to_disk;
    }
    assert!(merges > 20 && to_disk > 5, "{merges} merges, {to_disk} to disk");
    assert_eq!((files_in(scene.work.path()), scene.task.held()), (0, 0));
}

#[test]
fn where_no_order_is_wanted_all_memory_leaves_together() {
    let scene = Scene::new();
    let segment = std::fs::metadata(paths(scene.outputs.path(), &name(5, 0)).0).unwrap().len();
    for seed in 0..5 {
        let mut config = scene.config(segment * 4);
        (config.segment_percent, config.parallel, config.keeps_map_order) = (0.5, 1, false);
        let fetcher = scene.fetcher(config);
        shuffled(seed).into_iter().for_each(|map| fetcher.ready(scene.at(map)));
        assert_eq!(to_the_end(&fetcher), []);
        let (pairs, stats) = scene.merged(fetcher);
        assert_eq!(sorted(pairs), expected());
        assert!(stats.merges >= 2 && stats.to_disk == 0, "{stats:?}");
    }
    assert_eq!((files_in(scene.work.path()), scene.task.held()), (0, 0));
}

#[test]
fn merging_combines() {
    let scene = Scene::new();
    let mut config = scene.config(6000);
    (config.segment_percent, config.parallel) = (0.5, 1);
    let fetcher = Fetcher::start(config, Some(Box::new(Sum)), scene.task.reservation()).unwrap();
    scene.all_ready(&fetcher);
    assert_eq!(to_the_end(&fetcher), []);
    let (pairs, stats) = scene.merged(fetcher);
    assert!(stats.combine_in > stats.combine_out && stats.merges > 0, "{stats:?}");
    let sum =
        |pairs: &[Pair]| -> u64 { pairs.iter().map(|(_, v)| u64::from_be_bytes(v[..].try_into().unwrap())).sum() };
    assert_eq!(sum(&pairs), sum(&expected()));
    assert!(pairs.len() < expected().len());
}

#[test]
fn every_fault_is_reported_and_the_next_try_may_go_well() {
    for fault in ALL_BUT_FROZEN {
        let scene = Scene::new();
        let fetcher = scene.fetcher(scene.config(1 << 20));
        scene.server.break_next(&name(4, 0), u32::MAX, fault);
        scene.all_ready(&fetcher);
        let failure = next_failure(&fetcher);
        scene.server.break_next(&name(4, 0), 0, fault);
        assert_eq!((failure.map, failure.output.as_str(), failure.tries), (4, name(4, 0).as_str(), 3), "{fault:?}");
        let reason = match fault {
            Fault::CutShort => "the segment was cut short",
            Fault::FlippedBit => "checksum of a frame is wrong",
            Fault::FrameMissing => "the segment ends within a frame",
            Fault::Absent => "HTTP status 404: no such output",
            Fault::Silent => "the connection was closed",
            Fault::Chunked => "the answer is chunked, which nobody expects",
            Fault::Rubbish => "the answer is no HTTP",
            Fault::Frozen | Fault::FrozenHead | Fault::Closing => unreachable!("not among these"),
        };
        assert_eq!(failure.reason, reason, "{fault:?}");
        to_the_end(&fetcher);
        let (pairs, stats) = scene.merged(fetcher);
        assert_eq!(sorted(pairs), expected(), "{fault:?}");
        assert!(stats.failures >= 3 && stats.outputs == 12, "{fault:?}: {stats:?}");
        assert_eq!((files_in(scene.work.path()), scene.task.held()), (0, 0), "{fault:?}");
    }
}

#[test]
fn faults_on_the_way_to_disk_leave_nothing() {
    let scene = Scene::new();
    let fetcher = scene.fetcher(scene.config(0));
    scene.server.break_next(&name(4, 0), 3, Fault::CutShort);
    scene.all_ready(&fetcher);
    assert_eq!(next_failure(&fetcher).map, 4);
    assert_eq!(to_the_end(&fetcher), []);
    assert_eq!(files_in(scene.work.path()), 12);
    assert_eq!(sorted(scene.merged(fetcher).0), expected());
}

#[test]
fn a_frozen_server_is_a_failure_in_time() {
    for fault in [Fault::Frozen, Fault::FrozenHead] {
        let scene = Scene::new();
        let mut config = scene.config(1 << 20);
        config.tries = 1;
        let fetcher = scene.fetcher(config);
        scene.server.break_next(&name(4, 0), 1, fault);
        scene.all_ready(&fetcher);
        assert_eq!(next_failure(&fetcher).reason, "no byte came for 300 ms");
        assert_eq!(to_the_end(&fetcher), []);
    }
}

#[test]
fn a_connection_that_the_server_closed_in_between_is_no_failure() {
    let scene = Scene::new();
    for map in 0..MAPS {
        scene.server.break_next(&name(map, 0), 1, Fault::Closing);
    }
    let fetcher = scene.fetcher(scene.config(1 << 20));
    scene.all_ready(&fetcher);
    assert_eq!(to_the_end(&fetcher), []);
    assert_eq!(fetcher.stats().failures, 0);
    assert_eq!(scene.server.requests(), 12);
}

#[test]
fn a_lost_output_is_waited_for_and_comes_from_elsewhere() {
    let scene = Scene::new();
    let fetcher = scene.fetcher(scene.config(1 << 20));
    scene.server.break_next(&name(4, 0), u32::MAX, Fault::Absent);
    scene.all_ready(&fetcher);
    let first = next_failure(&fetcher);
    let second = next_failure(&fetcher);
    assert_eq!((first.map, second.map, second.tries), (4, 4, 4), "reported again and again");
    fetcher.lost(4, &name(4, 0));
    fetcher.lost(5, &name(5, 0));
    assert_eq!(fetcher.wait(Duration::from_millis(100)).unwrap(), FetchStep::Waiting);
    assert_eq!(fetcher.fetched(), MAPS - 1, "what is here stays");

    let elsewhere = tempfile::tempdir().unwrap();
    write_output(elsewhere.path(), &name(4, 1), &pairs(4));
    let other = Server::start(elsewhere.path(), Uuid::from_random([9; 16]));
    let location = Location::Server { server: other.address(), generation: Uuid::from_random([9; 16]) };
    let again = MapOutput { output: name(4, 1), location, ..scene.at(4) };
    fetcher.ready(again.clone());
    assert_eq!(to_the_end(&fetcher), []);
    fetcher.ready(again);
    fetcher.ready(scene.at(4));
    fetcher.lost(4, &name(4, 1));
    assert_eq!(fetcher.wait(PATIENCE).unwrap(), FetchStep::Done);
    assert_eq!(other.requests(), 1);
    assert_eq!(sorted(scene.merged(fetcher).0), expected());
}

#[test]
fn events_of_a_tracker_name_job_attempt_and_map() {
    use mammoth_protocol::jobs::AttemptId;
    let scene = Scene::new();
    let mut config = scene.config(1 << 20);
    config.maps = 2;
    let fetcher = scene.fetcher(config);
    let attempt = |map: u32, number: u32| name(map, number).parse::<AttemptId>().unwrap();
    let ready = |attempt| OutputEvent::Ready { attempt, server: scene.server.address(), generation: generation() };
    fetcher.apply(&ready(attempt(0, 3)));
    assert_eq!(next_failure(&fetcher).reason, "HTTP status 404: no such output");
    fetcher.apply(&OutputEvent::Lost { attempt: attempt(0, 3) });
    fetcher.apply(&ready(attempt(1, 0)));
    fetcher.apply(&ready(attempt(7, 0)));
    fetcher.apply(&ready(attempt(0, 0)));
    while fetcher.wait(PATIENCE).unwrap() != FetchStep::Done {}
    assert_eq!(fetcher.stats().outputs, 2);
}

#[test]
fn another_generation_and_a_dead_server_are_failures() {
    let scene = Scene::new();
    let fetcher = scene.fetcher(scene.config(1 << 20));
    let location = Location::Server { server: scene.server.address(), generation: Uuid::from_random([8; 16]) };
    fetcher.ready(MapOutput { location, ..scene.at(0) });
    assert_eq!(next_failure(&fetcher).reason, "HTTP status 410: another generation");
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let location = Location::Server { server: nobody.to_string(), generation: generation() };
    fetcher.ready(MapOutput { location, ..scene.at(0) });
    let failure = loop {
        let failure = next_failure(&fetcher);
        if failure.location.to_string() == nobody.to_string() {
            break failure;
        }
    };
    assert_eq!(failure.reason, "Connection refused");
    assert_eq!(failure.to_string(), format!("{} at {nobody} could not be fetched: Connection refused", name(0, 0)));
}

#[test]
fn folders_are_read_in_place() {
    for memory in [1 << 20, 0] {
        let scene = Scene::new();
        let fetcher = scene.fetcher(scene.config(memory));
        let (bad, _) = paths(scene.outputs.path(), &name(3, 0));
        let good = std::fs::read(&bad).unwrap();
        let mut flipped = good.clone();
        flipped[good.len() - 5] ^= 1;
        std::fs::write(&bad, &flipped).unwrap();
        let location = Location::Dir(scene.outputs.path().to_owned());
        for map in 0..MAPS {
            fetcher.ready(MapOutput { location: location.clone(), ..scene.at(map) });
        }
        let failure = next_failure(&fetcher);
        assert_eq!((failure.map, failure.reason.as_str()), (3, "checksum of a frame is wrong"));
        std::fs::write(&bad, &good).unwrap();
        to_the_end(&fetcher);
        let (pairs, stats) = scene.merged(fetcher);
        assert_eq!(sorted(pairs), expected());
        assert_eq!((stats.to_disk, scene.server.requests()), (0, 0));
        assert_eq!(files_in(scene.outputs.path()), 24, "the outputs are not this process's to delete");
    }
}

#[test]
fn what_is_here_can_be_taken_while_the_rest_comes() {
    let scene = Scene::new();
    let fetcher = scene.fetcher(scene.config(1 << 20));
    let mut taken = Vec::new();
    for map in 0..MAPS {
        fetcher.ready(scene.at(map));
        while fetcher.fetched() <= map {
            let _ = fetcher.wait(Duration::from_millis(5)).unwrap();
        }
        for fetched in fetcher.take_arrived() {
            assert_eq!(fetched.map, map);
            taken.push(fetched.run);
        }
    }
    assert_eq!(fetcher.wait(PATIENCE).unwrap(), FetchStep::Done);
    assert!(fetcher.finish().unwrap().0.is_empty());
    let (stream, _) = merge_runs(taken, &tiny(scene.work.path()), None).unwrap();
    assert_eq!(sorted(collect(stream).unwrap()), expected());
}

#[test]
fn a_fault_of_this_machine_ends_the_fetching() {
    let scene = Scene::new();
    let mut config = scene.config(0);
    config.spill.work_dir = scene.work.path().join("absent");
    let fetcher = scene.fetcher(config);
    scene.all_ready(&fetcher);
    assert!(matches!(fetcher.wait(PATIENCE), Err(RuntimeError::Io { .. })));

    struct Panics;
    impl Combiner for Panics {
        fn combine(
            &mut self,
            _: &[u8],
            _: &mut dyn crate::merge::Values,
            _: &mut dyn crate::merge::Emit,
        ) -> Result<(), RuntimeError> {
            panic!("as planned");
        }
    }
    let mut config = scene.config(6000);
    config.segment_percent = 0.5;
    let fetcher = Fetcher::start(config, Some(Box::new(Panics)), scene.task.reservation()).unwrap();
    scene.all_ready(&fetcher);
    let error = fetcher.wait(PATIENCE).unwrap_err();
    assert_eq!(error.to_string(), "a combiner panicked");
    assert!(fetcher.finish().is_err());
    assert_eq!(scene.task.held(), 0);
}

#[test]
fn dropping_does_not_wait_for_a_frozen_server() {
    let scene = Scene::new();
    let mut config = scene.config(1 << 20);
    config.read_timeout = Duration::from_secs(1000);
    let fetcher = scene.fetcher(config);
    for map in 0..MAPS {
        scene.server.break_next(&name(map, 0), u32::MAX, Fault::Frozen);
    }
    scene.all_ready(&fetcher);
    let deadline = Deadline::after(&SystemClock, PATIENCE);
    while scene.server.requests() < 3 {
        assert!(!deadline.is_over(&SystemClock));
        std::thread::yield_now();
    }
    let before = SystemClock.now().monotonic_ms;
    drop(fetcher);
    assert!(SystemClock.now().monotonic_ms - before < 10_000);
    assert_eq!(scene.task.held(), 0);
}

#[test]
fn a_storm_of_faults_ends_with_the_right_bytes() {
    let scene = Scene::new();
    let mut config = scene.config(6000);
    config.segment_percent = 0.5;
    for (map, fault) in (0..MAPS).zip(ALL_BUT_FROZEN.into_iter().cycle()) {
        scene.server.break_next(&name(map, 0), map % 5, fault);
    }
    let fetcher = scene.fetcher(config);
    scene.all_ready(&fetcher);
    to_the_end(&fetcher);
    let (pairs, stats) = scene.merged(fetcher);
    assert_eq!(sorted(pairs), expected());
    // A connection that is closed without an answer may have been closed before, which is no failure.
    let faults: u64 = (0..MAPS).map(|map| u64::from(map % 5)).sum();
    assert!((faults - 4..=faults).contains(&stats.failures), "{stats:?}");
    assert_eq!((files_in(scene.work.path()), scene.task.held()), (0, 0));
}
