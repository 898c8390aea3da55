//! `mammoth compare` on real processes: the same results, and figures that add up.

use crate::harness::{Cluster, Options, program, run, words_of};
use serde_json::Value;
use std::process::Command;
use std::time::Duration;

/// `mammoth compare` on a cluster.
#[track_caller]
fn compare(cluster: &Cluster, args: &[&str]) -> String {
    let mut command = Command::new(program("mammoth"));
    command.arg("compare").args(args).env("MAMMOTH_FS", cluster.fs()).env("MAMMOTH_JOBTRACKER", cluster.jobtracker());
    run(&mut command, b"", Duration::from_secs(300)).ok().text()
}

/// What a column says of a figure.
#[track_caller]
fn figure(column: &Value, name: &str) -> u64 {
    column[name].as_u64().unwrap_or_else(|| panic!("no {name}: {column}"))
}

#[test]
fn the_phases_of_both_modes_sum_to_the_time_of_their_tasks() {
    let cluster = Cluster::start(Options::fast().blocks(8 << 20).jobs(3));
    let text = words_of(7, 32 << 20);
    cluster.put("/in/a", text.as_bytes());
    let json = compare(&cluster, &["--json", "-D", "mapreduce.job.reduces=2", "wordcount", "/in"]);
    let columns: Vec<Value> = serde_json::from_str(&json).expect("JSON");
    let names: Vec<&str> = columns.iter().filter_map(|column| column["name"].as_str()).collect();
    assert_eq!(names, ["on disk", "in memory", "plain loop"]);
    for column in &columns {
        let phases = column["phases"].as_object().expect("phases");
        // `other` is what no phase accounts for; it would make any sum right.
        let named = phases.iter().filter(|(name, _)| *name != "other");
        let sum: u64 = named.filter_map(|(_, us)| us.as_u64()).sum();
        let tasks = figure(column, "task_us");
        assert!(tasks > 0 && sum.abs_diff(tasks) <= tasks / 10, "{sum} us of {tasks}: {column}");
        assert!(figure(column, "dfs_read") >= text.len() as u64, "{column}");
        assert!(figure(column, "wall_us") > 0 && figure(column, "cpu_us") > 0, "{column}");
    }
    assert!(figure(&columns[0], "spilled") > 0 && figure(&columns[0], "shuffled") > 0, "{}", columns[0]);
    cluster.put("/few", words_of(8, 100_000).as_bytes());
    let table = compare(&cluster, &["grep", "/few", "w1[0-9]*"]);
    assert!(table.contains("on disk") && table.contains("plain loop"), "{table}");
    // All three agree on what white space, the end of a line and a character are.
    cluster.put("/odd", b"\xef\xbb\xbfa\x0bb\xc2\xa0b c\r\nc\xffd\rd\x0cd\xe2\x80\xa8\xe3\x80\x80e\n\n e");
    compare(&cluster, &["wordcount", "/odd"]);
    compare(&cluster, &["grep", "/odd", "[a-d]$|^."]);
    let left = cluster.dfs(&["ls", "/tmp/mammoth-compare"]).text();
    assert_eq!(left, "", "results that nobody asked for");
}
