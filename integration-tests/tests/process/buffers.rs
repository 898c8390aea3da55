//! Every kind of job with buffers so small that all of its data goes to disk and is merged in several passes: the results are
//! those of a plain loop, and the counters prove what happened.

use crate::harness::{Cluster, Options, words_of};
use crate::jobs::{counted, counter, job_of, status, test_jobs};
use std::collections::{BTreeMap, BTreeSet};

/// Sorts in 1 MiB, merges two runs at a time, in frames of 4 KiB; every file is one split.
const SMALL: [&str; 10] = [
    "-D",
    "mapreduce.task.io.sort.mb=1",
    "-D",
    "mapreduce.task.io.sort.factor=2",
    "-D",
    "mammoth.shuffle.frame-bytes=4k",
    "-D",
    "mapreduce.input.fileinputformat.split.minsize=64m",
    "-D",
    "mapreduce.job.reduces=2",
];

/// A kind of job and its plain loop.
struct Case {
    /// A built-in example, or a job of the test's program.
    job: &'static str,
    is_builtin: bool,
    /// What follows input and output.
    more: &'static [&'static str],
    expected: fn(&str) -> Vec<String>,
}

const CASES: [Case; 6] = [
    Case { job: "wordcount", is_builtin: true, more: &[], expected: counted },
    Case { job: "grep", is_builtin: true, more: &["w1[0-9]*"], expected: found },
    Case { job: "combine", is_builtin: false, more: &[], expected: counted },
    Case { job: "initials", is_builtin: false, more: &[], expected: initials },
    Case { job: "sort", is_builtin: false, more: &[], expected: lines },
    Case { job: "join", is_builtin: false, more: &[], expected: joined },
];

/// `COUNT TAB WORD` of the words that begin with `w1`; the texts have no other matches.
fn found(text: &str) -> Vec<String> {
    let matching: Vec<&str> = text.split_whitespace().filter(|word| word.starts_with("w1")).collect();
    let counts = counted(&matching.join(" "));
    let mut lines: Vec<String> = counts
        .iter()
        .filter_map(|line| line.split_once('\t'))
        .map(|(word, count)| format!("{count}\t{word}"))
        .collect();
    lines.sort();
    lines
}

/// First letters with the number of different words and the last of them.
fn initials(text: &str) -> Vec<String> {
    let mut words: BTreeMap<char, BTreeSet<&str>> = BTreeMap::new();
    for word in text.split_whitespace() {
        words.entry(word.chars().next().expect("not empty")).or_default().insert(word);
    }
    words.iter().map(|(letter, all)| format!("{letter}\t{}\t{}", all.len(), all.last().expect("one"))).collect()
}

fn lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// Keys with the number of pairs and the sum of their products.
fn joined(text: &str) -> Vec<String> {
    let mut tables: BTreeMap<&str, [Vec<u64>; 2]> = BTreeMap::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let table = usize::from(words[0] != "l");
        tables.entry(words[1]).or_default()[table].push(words[2].parse().expect("a number"));
    }
    let mut lines = Vec::new();
    for (key, [left, right]) in &tables {
        let products = left.iter().map(|l| right.iter().map(|r| l * r).sum::<u64>()).sum::<u64>();
        if !left.is_empty() && !right.is_empty() {
            lines.push(format!("{key}\t{}\t{products}", left.len() * right.len()));
        }
    }
    lines.sort();
    lines
}

impl Case {
    /// Runs the job from `input` to `output`; what its driver said.
    #[track_caller]
    fn run(&self, cluster: &Cluster, mode: &str, input: &str, output: &str) -> String {
        let program = test_jobs().display().to_string();
        let mut args = vec!["run", "--mode", mode];
        args.extend(SMALL);
        if !self.is_builtin {
            args.push(&program);
        }
        args.extend([self.job, input, output]);
        args.extend(self.more);
        cluster.mapred(&args).ok().err
    }

    /// Text for this kind of job that fills its buffers several times, whatever it folds or combines.
    fn text(&self) -> String {
        match self.job {
            // Few keys with very many values each, and some on one side only.
            "join" => (0..300_000_u64)
                .map(|n| match n % 100 {
                    0 => format!("l only-left-{} {n}\n", n % 7),
                    1 => format!("r only-right-{} {n}\n", n % 5),
                    n100 => format!("{} key-{} {}\n", if n % 3 == 0 { "l" } else { "r" }, n100 % 11, n % 1000),
                })
                .collect(),
            _ => {
                (0..150_000_u64).map(|n| format!("w{}\n", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect::<String>()
                    + &words_of(9, 100_000)
            }
        }
    }
}

fn cluster() -> Cluster {
    Cluster::start(Options::fast().jobs(3))
}

#[test]
fn every_kind_of_job_spills_and_merges_in_passes_to_the_result_of_a_plain_loop() {
    let cluster = cluster();
    for case in &CASES {
        let (name, text) = (case.job, case.text());
        let (input, output) = (format!("/in/{name}"), format!("/out/{name}"));
        cluster.put(&input, text.as_bytes());
        let said = case.run(&cluster, "disk", &input, &output);
        assert!(cluster.output(&output) == (case.expected)(&text), "{name}: the result differs: {said}");
        let status = status(&cluster, &job_of(&said)).expect("known");
        let framework = |counted: &str| counter(&status, "Map-Reduce Framework", counted);
        assert_eq!(counter(&status, "Job Counters", "Launched map tasks"), 1, "{name}: one map that does not fit");
        assert!(framework("Intermediate merge passes") > 0, "{name}: {status}");
        // What was written once is the maps' output; beyond that are spills and passes.
        assert!(framework("Spilled Bytes") > 2 * framework("Map output materialized bytes"), "{name}: {status}");
        assert!(framework("Spilled Records") > 2 * framework("Reduce input records"), "{name}: {status}");
    }
}

#[test]
fn small_frames_and_compression_change_nothing() {
    let cluster = cluster();
    let text = CASES[0].text();
    cluster.put("/in/a", text.as_bytes());
    let mut args = vec!["run", "-D", "mapreduce.map.output.compress=true"];
    args.extend(SMALL);
    args.extend(["wordcount", "/in/a", "/out"]);
    let said = cluster.mapred(&args).ok().err;
    assert!(cluster.output("/out") == counted(&text));
    let status = status(&cluster, &job_of(&said)).expect("known");
    assert!(counter(&status, "Map-Reduce Framework", "Intermediate merge passes") > 0, "{status}");
    let bytes = |name: &str| counter(&status, "Map-Reduce Framework", name);
    assert!(bytes("Map output materialized bytes") < bytes("Map output bytes"), "{status}");
}

#[test]
fn every_kind_of_job_takes_no_input_and_a_record_of_8_mib() {
    let cluster = cluster();
    let huge = "w1".to_owned() + &"7".repeat(8 << 20);
    for case in &CASES {
        let name = case.job;
        let (input, output) = (format!("/in/{name}/empty"), format!("/out/{name}-empty"));
        cluster.put(&input, b"");
        case.run(&cluster, "disk", &input, &output);
        assert_eq!(cluster.output(&output), [""; 0], "{name}: nothing of nothing");
        let text = match name {
            "join" => format!("l {huge} 2\nr {huge} 3\nl b 4\nr {huge} 5\n"),
            _ => format!("b {huge} w12\n{huge}\nw12\n"),
        };
        let (input, output) = (format!("/in/{name}/huge"), format!("/out/{name}-huge"));
        cluster.put(&input, text.as_bytes());
        case.run(&cluster, "disk", &input, &output);
        assert!(cluster.output(&output) == (case.expected)(&text), "{name}: a record larger than the buffer");
    }
}

#[test]
fn the_same_in_memory() {
    let cluster = cluster();
    let huge = "w1".to_owned() + &"7".repeat(8 << 20);
    let huge = format!("b {huge} w12\n{huge}\nw12\n");
    for case in CASES.iter().filter(|case| case.is_builtin) {
        for (kind, text) in [("spread", case.text()), ("empty", String::new()), ("huge", huge.clone())] {
            let (input, output) = (format!("/in/{}/{kind}", case.job), format!("/out/{}-{kind}", case.job));
            cluster.put(&input, text.as_bytes());
            case.run(&cluster, "memory", &input, &output);
            assert!(cluster.output(&output) == (case.expected)(&text), "{} of {kind}", case.job);
        }
    }
}
