//! The namenode is killed, or stopped for a while, in the middle of work: what it acknowledged is there afterwards, once.

use crate::harness::{Cluster, Options, Stopwatch, bytes_of, poll};
use mammoth_client::{ClientConfig, CreateOptions, DfsClient};
use mammoth_platform::Settings;
use mammoth_protocol::DfsPath;
use rustix::process::Signal;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

const CLIENTS: usize = 8;

fn path(text: &str) -> DfsPath {
    DfsPath::parse(text).expect("a valid path")
}

fn client(cluster: &Cluster) -> DfsClient {
    let define = format!("fs.defaultFS={}", cluster.fs());
    let settings = Settings::load(None, &[define]).expect("settings");
    DfsClient::connect(ClientConfig::from_settings(&settings).expect("a configuration")).expect("a client")
}

/// Creates files, renames every third, deletes every fifth, until told to stop; gives back what was acknowledged: the names
/// that must be there.
fn storm(client: &DfsClient, number: usize, stop: &AtomicBool, done: &AtomicUsize) -> Vec<String> {
    let folder = format!("/storm-{number}");
    client.mkdirs(&path(&folder), None, true).expect("the folder is made");
    let mut there = Vec::new();
    for step in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let name = format!("f{step}");
        let file = path(&format!("{folder}/{name}"));
        // Not "overwrite": a create that is carried out twice would be refused the second time.
        let writer = client.create(&file, CreateOptions::default()).expect("a file is created");
        writer.close().expect("and closed");
        if step % 3 == 0 {
            let moved = format!("m{step}");
            let renamed = client.rename(&file, &path(&format!("{folder}/{moved}"))).expect("a rename is answered");
            assert!(renamed, "{file} was there, so its rename is not `false`");
            there.push(moved);
        } else if step % 5 == 0 {
            assert!(client.delete(&file, false).expect("a delete is answered"), "{file} was there");
        } else {
            there.push(name);
        }
        done.fetch_add(1, Ordering::Relaxed);
    }
    there
}

/// Lets the clients storm, does `harm` so many times in between, and compares what was acknowledged with what is there.
fn harmed_in_a_storm(options: Options, times: usize, harm: impl Fn(&Cluster)) {
    let cluster = Cluster::start(options);
    let (stop, done) = (AtomicBool::new(false), AtomicUsize::new(0));
    let expected: Vec<Vec<String>> = std::thread::scope(|scope| {
        let (cluster, stop, done) = (&cluster, &stop, &done);
        let storms: Vec<_> =
            (0..CLIENTS).map(|number| scope.spawn(move || storm(&client(cluster), number, stop, done))).collect();
        for _ in 0..times {
            let before = done.load(Ordering::Relaxed);
            poll("the storm goes on", Duration::from_secs(60), || {
                let now = done.load(Ordering::Relaxed);
                if now > before + 200 { Ok(()) } else { Err(format!("{now} operations, {before} before")) }
            });
            harm(cluster);
        }
        let before = done.load(Ordering::Relaxed);
        poll("the storm survives the last harm", Duration::from_secs(30), || {
            if done.load(Ordering::Relaxed) > before + 100 { Ok(()) } else { Err("still".to_owned()) }
        });
        stop.store(true, Ordering::Relaxed);
        storms.into_iter().map(|storm| storm.join().expect("a storm ends well")).collect()
    });
    let client = client(&cluster);
    for (number, mut names) in expected.into_iter().enumerate() {
        names.sort();
        let listed = client.list_all(&path(&format!("/storm-{number}"))).expect("a listing");
        let mut listed: Vec<String> = listed.into_iter().map(|status| status.name().to_owned()).collect();
        listed.sort();
        assert_eq!(listed, names, "client {number}");
    }
}

#[test]
fn acknowledged_operations_survive_kills_in_a_storm_of_creates() {
    harmed_in_a_storm(Options::fast(), 3, killed);
}

fn killed(cluster: &Cluster) {
    cluster.kill("namenode");
    cluster.restart("namenode").ok();
}

/// One checkpoint after another, so that most kills come in the middle of one: its rows are then of any age, and must be taken
/// for what they are.
#[test]
fn acknowledged_operations_survive_kills_in_the_middle_of_checkpoints() {
    harmed_in_a_storm(Options::fast().set("mammoth.journal.checkpoint-interval", "5ms"), 8, killed);
}

#[test]
fn a_storm_of_creates_goes_on_after_each_time_that_the_namenode_freezes() {
    harmed_in_a_storm(Options::fast(), 3, |cluster| frozen_for(cluster, &["namenode"], Duration::from_secs(2)));
}

/// Stops these daemons and lets them go on after a while.
fn frozen_for(cluster: &Cluster, names: &[&str], how_long: Duration) {
    for name in names {
        cluster.signal(name, Signal::STOP);
    }
    let watch = Stopwatch::start();
    poll("time passes", how_long + Duration::from_secs(1), || {
        if watch.elapsed() >= how_long { Ok(()) } else { Err("not yet".to_owned()) }
    });
    for name in names {
        cluster.signal(name, Signal::CONT);
    }
}

/// Datanodes that a stopped namenode did not hear were not silent: it must not take them for dead when it goes on.
#[test]
fn a_namenode_that_was_frozen_does_not_bury_its_datanodes() {
    let cluster = Cluster::start(Options::fast());
    let bytes = bytes_of(8, 1_500_000);
    cluster.put("/kept", &bytes);
    let mut run = None;
    std::thread::scope(|scope| {
        // Three seconds of silence make a datanode dead; a reader asks while nobody answers.
        scope.spawn(|| frozen_for(&cluster, &["namenode"], Duration::from_secs(5)));
        run = Some(cluster.dfs(&["cat", "/kept"]));
    });
    assert!(run.expect("it ran").ok().out == bytes);
    assert_eq!(cluster.dfs(&["ls", "/"]).ok().text().lines().count(), 2);
    poll("the namenode has heard everybody", Duration::from_secs(10), || {
        let health = cluster.status()?["health"].clone();
        if health["live"] == 3 { Ok(()) } else { Err(health.to_string()) }
    });
    for name in ["datanode-1", "datanode-2", "datanode-3"] {
        let log = cluster.log(name);
        let registered = log.lines().filter(|line| line.contains("registered namenode=")).count();
        assert_eq!(registered, 1, "{name} was taken for dead and had to come back:\n{log}");
    }
    assert!(cluster.cat("/kept") == bytes);
}

#[test]
fn everything_goes_on_after_all_daemons_were_frozen() {
    let cluster = Cluster::start(Options::fast());
    let bytes = bytes_of(9, 2_500_000);
    cluster.put("/kept", &bytes);
    let all = ["datanode-1", "datanode-2", "datanode-3", "namenode"];
    let (mut put, mut cat) = (None, None);
    std::thread::scope(|scope| {
        scope.spawn(|| frozen_for(&cluster, &all, Duration::from_secs(5)));
        scope.spawn(|| cat = Some(cluster.dfs(&["cat", "/kept"])));
        put = Some(cluster.dfs_with(&["put", "-", "/new"], &bytes));
    });
    let (put, cat) = (put.expect("it ran").ok(), cat.expect("it ran").ok());
    assert!(cat.out == bytes);
    for took in [put.took, cat.took] {
        assert!(took < Duration::from_secs(30), "{took:?}");
    }
    assert!(cluster.cat("/new") == bytes);
}

#[test]
fn files_and_their_bytes_are_there_after_kill_and_restart_of_everything() {
    let cluster = Cluster::start(Options::fast());
    let bytes = bytes_of(7, 2_500_000);
    cluster.put("/kept", &bytes);
    for name in ["datanode-1", "datanode-2", "datanode-3", "namenode"] {
        cluster.kill(name);
    }
    for name in ["namenode", "datanode-1", "datanode-2", "datanode-3"] {
        cluster.restart(name).ok();
    }
    assert_eq!(cluster.cat("/kept"), bytes);
}

/// A namenode that has just started has not heard of the datanodes of a block that is being written: what was flushed is not
/// gone, it is only not known where it is.
#[test]
fn a_reader_of_an_open_file_waits_for_the_datanodes_of_its_block() {
    let cluster = Cluster::start(Options::fast());
    let bytes = bytes_of(10, 300_000);
    let mut writer = client(&cluster).create(&path("/open"), CreateOptions::default()).expect("created");
    std::io::Write::write_all(&mut writer, &bytes).expect("written");
    writer.hflush().expect("flushed");
    let datanodes = ["datanode-1", "datanode-2", "datanode-3"];
    cluster.kill("namenode");
    datanodes.iter().for_each(|name| cluster.signal(name, Signal::STOP));
    cluster.restart("namenode").ok();
    let mut run = None;
    std::thread::scope(|scope| {
        scope.spawn(|| run = Some(cluster.dfs(&["cat", "/open"])));
        poll("the reader has asked", Duration::from_secs(30), || {
            let page = cluster.page("namenode", "/metrics")?;
            let asked = page.lines().find(|line| line.contains("operation=\"block_locations\""));
            let asked = asked.and_then(|line| line.split_whitespace().last()).unwrap_or("0");
            if asked == "0" { Err("not yet".to_owned()) } else { Ok(()) }
        });
        datanodes.iter().for_each(|name| cluster.signal(name, Signal::CONT));
    });
    let run = run.expect("it ran").ok();
    assert!(run.out == bytes, "{} bytes of {}", run.out.len(), bytes.len());
}
