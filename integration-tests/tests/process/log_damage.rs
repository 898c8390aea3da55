//! Damage to the namenode's files while it is down: the start is refused with the file named, or nothing that was acknowledged
//! is missing, or the datanodes, who have seen more, keep it in safe mode. It is never shorter without a word.

use crate::corruption::flip;
use crate::harness::{Cluster, Options, files_below, poll};
use mammoth_client::{ClientConfig, DfsClient};
use mammoth_protocol::DfsPath;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

fn client(cluster: &Cluster) -> DfsClient {
    DfsClient::connect(ClientConfig::for_uri(&cluster.fs()).expect("a configuration")).expect("a client")
}

/// Makes so many folders, and gives back their names.
fn folders(cluster: &Cluster, prefix: &str, count: usize) -> BTreeSet<String> {
    let client = client(cluster);
    let make = |number: usize| {
        let name = format!("{prefix}-{number}");
        assert!(client.mkdirs(&DfsPath::parse(&format!("/{name}")).expect("a path"), None, true).expect("made"));
        name
    };
    (0..count).map(make).collect()
}

fn listed(cluster: &Cluster) -> BTreeSet<String> {
    let all = client(cluster).list_all(&DfsPath::root()).expect("a listing");
    all.into_iter().map(|status| status.name().to_owned()).collect()
}

/// The segments of the log, in order.
fn segments(cluster: &Cluster) -> Vec<PathBuf> {
    let files = files_below(&cluster.data("namenode"));
    let is_segment = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("edits_"));
    files.into_iter().filter(is_segment).collect()
}

/// Bytes of a file as it was, to put back.
struct Kept {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Kept {
    fn of(path: &Path) -> Self {
        Self { path: path.to_owned(), bytes: std::fs::read(path).expect("read") }
    }

    /// Bytes without the room of a log that is open.
    fn used(&self) -> usize {
        self.bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
    }

    fn put_back(&self) {
        std::fs::write(&self.path, &self.bytes).expect("written");
    }
}

/// All datanodes have heard of the last edit: two heartbeats more have been answered.
fn all_have_heard(cluster: &Cluster) {
    let beats = || -> Result<f64, String> {
        let page = cluster.page("namenode", "/metrics")?;
        let of = |line: &str| line.split_whitespace().last().and_then(|count| count.parse::<f64>().ok());
        let line = page.lines().find(|line| line.contains("operation=\"heartbeat\""));
        line.and_then(of).ok_or_else(|| "no count of heartbeats".to_owned())
    };
    let before = beats().expect("a count");
    poll("every datanode has heard", LIMIT, || {
        let now = beats()?;
        if now >= before + 9.0 { Ok(()) } else { Err(format!("{before}, {now}")) }
    });
}

#[test]
fn a_damaged_log_is_refused_with_its_place_and_serves_again_when_it_is_put_back() {
    let cluster = Cluster::start(Options::fast().datanodes(1));
    let names = folders(&cluster, "kept", 60);
    cluster.kill("namenode");
    let last = segments(&cluster).pop().expect("a segment");
    let kept = Kept::of(&last);
    let len = kept.used();
    // The header; a record's length, its checksum and its edits, far from the end.
    for at in [3, 20, len / 4, len / 3, len / 2] {
        flip(&last, at as u64);
        let run = cluster.restart("namenode");
        let log = format!("{}{}", run.err, cluster.log("namenode"));
        let named = last.file_name().expect("a name").to_string_lossy().into_owned();
        let told = log.lines().rev().find(|line| line.contains("the edit log is corrupt"));
        let told = told.unwrap_or_else(|| panic!("byte {at}: {}: {log}", run.code));
        assert!(run.code != 0 && told.contains(&named) && told.contains("at byte "), "byte {at}: {}: {told}", run.code);
        kept.put_back();
    }
    cluster.restart("namenode").ok();
    assert_eq!(listed(&cluster), names);
}

/// Whole writes are gone from the end of a log that was not ended in order: by itself it cannot know. The datanodes do.
#[test]
fn a_log_that_lost_its_end_is_found_out_by_the_datanodes() {
    let cluster = Cluster::start(Options::fast().datanodes(2));
    let names = folders(&cluster, "kept", 20);
    all_have_heard(&cluster);
    cluster.kill("namenode");
    let last = segments(&cluster).pop().expect("a segment");
    let kept = Kept::of(&last);
    std::fs::write(&last, &kept.bytes[..kept.used() - 7]).expect("cut");
    cluster.restart("namenode").ok();
    poll("safe mode says why", LIMIT, || {
        let mode = cluster.status()?["health"]["safe_mode"].to_string();
        if mode.contains("Behind") && mode.contains("has seen") { Ok(()) } else { Err(mode) }
    });
    let refused = cluster.dfs(&["mkdir", "/more"]);
    assert!(refused.code != 0 && refused.err.contains("safe mode"), "{}", refused.err);
    assert!(listed(&cluster).len() < names.len(), "it is shorter, but not without a word");
    // The copy of the operator.
    cluster.kill("namenode");
    for path in segments(&cluster) {
        if path > last {
            std::fs::remove_file(path).expect("removed");
        }
    }
    kept.put_back();
    cluster.restart("namenode").ok();
    poll("it serves again", LIMIT, || {
        let run = cluster.dfs(&["mkdir", "-p", "/more"]);
        if run.code == 0 { Ok(()) } else { Err(run.err) }
    });
    assert!(listed(&cluster).is_superset(&names));
}

/// A namenode that ended in order knows by itself that its log was whole.
#[test]
fn after_an_orderly_end_not_a_byte_of_the_log_may_be_missing() {
    let cluster = Cluster::start(Options::fast().datanodes(1));
    let names = folders(&cluster, "kept", 20);
    cluster.signal("namenode", rustix::process::Signal::TERM);
    let pid = cluster.pid("namenode");
    poll("it ends", LIMIT, || if crate::harness::alive(pid) { Err("alive".to_owned()) } else { Ok(()) });
    let written = segments(&cluster).into_iter().rev().nth(1).expect("the one before the last, which is empty");
    let kept = Kept::of(&written);
    for end in [kept.bytes.len() - 1, kept.bytes.len() - 40] {
        std::fs::write(&written, &kept.bytes[..end]).expect("cut");
        let run = cluster.restart("namenode");
        let named = written.file_name().expect("a name").to_string_lossy().into_owned();
        let log = format!("{}{}", run.err, cluster.log("namenode"));
        assert!(run.code != 0 && log.contains(&named), "{log}");
    }
    kept.put_back();
    cluster.restart("namenode").ok();
    assert_eq!(listed(&cluster), names);
}

#[test]
fn a_damaged_checkpoint_is_refused_or_nothing_is_missing() {
    let cluster = Cluster::start(Options::fast().datanodes(1).set("mammoth.journal.checkpoint-interval", "100ms"));
    let mut names = folders(&cluster, "kept", 150);
    let before = segments(&cluster);
    poll("a checkpoint ends", LIMIT, || {
        names.extend(folders(&cluster, "more", 3));
        if segments(&cluster).first() > before.first() { Ok(()) } else { Err(format!("{before:?}")) }
    });
    cluster.kill("namenode");
    let folder = cluster.data("namenode").join("checkpoint");
    let files: Vec<PathBuf> =
        files_below(&folder).into_iter().filter(|path| path.metadata().is_ok_and(|meta| meta.len() > 0)).collect();
    let all: Vec<Kept> = files_below(&cluster.data("namenode")).iter().map(|path| Kept::of(path)).collect();
    let (mut refused, mut whole) = (0, 0);
    for round in 0..10_u64 {
        let file = &files[usize::try_from(round).expect("small") % files.len()];
        let len = file.metadata().expect("there").len();
        flip(file, len * (2 * round + 1) / 20 % len);
        let run = cluster.restart("namenode");
        if run.code == 0 {
            poll("it serves", LIMIT, || {
                let run = cluster.dfs(&["ls", "/"]);
                if run.code == 0 { Ok(()) } else { Err(run.err) }
            });
            assert_eq!(listed(&cluster), names, "round {round}, {}", file.display());
            cluster.kill("namenode");
            whole += 1;
        } else {
            let told = format!("{}{}", run.err, cluster.log("namenode"));
            let words = ["checkpoint", "edit log is incomplete"];
            assert!(words.iter().any(|word| told.contains(word)), "round {round}, {}: {told}", file.display());
            refused += 1;
        }
        for path in files_below(&cluster.data("namenode")) {
            if !all.iter().any(|kept| kept.path == path) {
                std::fs::remove_file(path).expect("removed");
            }
        }
        all.iter().for_each(Kept::put_back);
    }
    cluster.restart("namenode").ok();
    assert_eq!(listed(&cluster), names);
    assert!(refused + whole == 10, "refused {refused}, whole {whole}");
}
