//! Bad input on the real programs: one clear line, the right exit status, nothing half-done left behind.

use crate::harness::{Cluster, Options, Run, program, run};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// One row: arguments, exit status, and what the one line of standard error must say.
type Row = (&'static [&'static str], i32, &'static str);

const SHELL: &[Row] = &[
    (&["ls", "/x"], 1, "ls: `/x': No such file or directory"),
    (&["cat", "/x"], 1, "cat: `/x': No such file or directory"),
    (&["get", "/x", "LOCAL/none"], 1, "get: `/x': No such file or directory"),
    (&["rm", "/x"], 1, "rm: `/x': No such file or directory"),
    (&["mv", "/x", "/y"], 1, "mv: `/x': No such file or directory"),
    (&["stat", "/x"], 1, "stat: `/x': No such file or directory"),
    (&["du", "/x"], 1, "du: `/x': No such file or directory"),
    (&["tail", "/x"], 1, "tail: `/x': No such file or directory"),
    (&["setrep", "2", "/x"], 1, "setrep: `/x': No such file or directory"),
    (&["ls", "/x*"], 1, "ls: `/x*': No such file or directory"),
    (&["cat", "/dir"], 1, "cat: `/dir': Is a directory"),
    (&["tail", "/dir"], 1, "tail: `/dir': Is a directory"),
    (&["rm", "/dir"], 1, "rm: `/dir': Is a directory"),
    (&["touchz", "/dir"], 1, "touchz: `/dir': Is a directory"),
    (&["mkdir", "/dir"], 1, "mkdir: `/dir': File exists"),
    (&["mkdir", "/file"], 1, "mkdir: `/file': Is not a directory"),
    (&["mkdir", "/no/such"], 1, "mkdir: `/no/such': No such file or directory"),
    (&["mkdir", "-p", "/file/below"], 1, "mkdir: "),
    (&["put", "LOCAL/here", "/file"], 1, "put: `/file': File exists"),
    (&["put", "LOCAL/none", "/new"], 1, "put: `LOCAL/none': No such file or directory"),
    (&["put", "LOCAL/here", "/no/such/new"], 1, "put: `/no/such/new': No such file or directory"),
    (&["put", "LOCAL/here", "/file/below"], 1, "put: "),
    (&["get", "/file", "LOCAL/here"], 1, "get: `LOCAL/here': File exists"),
    (&["get", "/file", "LOCAL/no/such/folder/x"], 1, "get: "),
    (&["mv", "/file", "/dir/taken"], 1, "mv: `/dir/taken': File exists"),
    (&["mkdir", "/a/../b"], 1, "mkdir: `/a/../b': "),
    (&["ls", "/dir//taken"], 1, "ls: `/dir//taken': "),
    (&["put", "LOCAL/here", "/dir/../up"], 1, "put: `/dir/../up': "),
    (&["setrep", "0", "/file"], 255, "-setrep: replication must be >= 1"),
    (&["setrep", "600", "/file"], 1, "setrep: "),
    (&["cat"], 255, "-cat: Not enough arguments: expected 1 but got 0"),
    (&["ls", "-z"], 255, "-ls: Illegal option -z"),
    (&["frobnicate"], 255, "frobnicate: Unknown command"),
    (&["-D", "dfs.replication=many", "ls", "/"], 1, "dfs.replication"),
    (&["-D", "dfs.blocksize", "ls", "/"], 1, "dfs.blocksize"),
    (&["-fs", "hdfs://127.0.0.1:1", "ls", "/"], 1, "127.0.0.1:1"),
    (&["-fs", "ftp://127.0.0.1:1", "ls", "/"], 1, "ftp"),
    (&["-conf", "/no/such/file", "ls", "/"], 1, "/no/such/file"),
];

/// `mapred` with the same; `CLUSTER` is its file system, `TESTJOBS` a program of jobs, `LOCAL` a folder of files that are none.
const JOBS: &[Row] = &[
    (&["run", "wordcount", "/none", "/o"], 1, "wordcount: Input path does not exist: CLUSTER/none"),
    (&["run", "wordcount", "/none*", "/o"], 1, "wordcount: Input Pattern CLUSTER/none* matches 0 files"),
    (&["run", "wordcount", "/in", "/in"], 1, "wordcount: Output directory CLUSTER/in already exists"),
    (&["run", "wordcount", "/in", "/in/a"], 1, "wordcount: Output directory CLUSTER/in/a already exists"),
    (
        &["run", "wordcount", "hdfs://elsewhere:1/in", "/o"],
        1,
        "wordcount: Wrong FS: hdfs://elsewhere:1/in, expected: CLUSTER",
    ),
    (&["run", "wordcount", "/a/../b", "/o"], 1, "wordcount: "),
    (&["run", "wordcount", "/in"], 255, "Usage: wordcount IN... OUT"),
    (&["run", "grep", "/in", "/o"], 255, "Usage: grep IN OUT REGEX [GROUP]"),
    (&["run", "grep", "/in", "/o", "a("], 1, "grep: `a(' is no regular expression: unclosed group"),
    (&["run", "grep", "/in", "/o", "a", "7"], 1, "grep: `a' has no group `7'"),
    (&["run"], 255, "mapred: run: which job?"),
    (&["run", "frobnicate", "/in", "/o"], 1, "Unknown job `frobnicate`. This program has: grep, wordcount"),
    (&["run", "TESTJOBS", "nojob", "/in", "/o"], 1, "Unknown job `nojob`. This program has: chain, combine"),
    (&["run", "TESTJOBS"], 255, "Usage: mapred run TESTJOBS JOB ARGS..."),
    (&["run", "TESTJOBS", "sort", "/in"], 255, "Usage: sort IN OUT"),
    (&["run", "--mode", "memory", "TESTJOBS", "sort", "/in", "/o"], 255, "`sort` runs on disk only"),
    (&["run", "--mode", "quantum", "wordcount", "/in", "/o"], 255, "--mode quantum: expected disk or memory"),
    (&["run", "LOCAL/none", "job"], 1, "mapred: LOCAL/none: No such file or directory"),
    (&["run", "LOCAL", "job"], 1, "mapred: LOCAL: not a program: it is no regular file"),
    (
        &["run", "LOCAL/text", "job"],
        1,
        "mapred: LOCAL/text: not a program: no ELF file; a job program is a Rust binary",
    ),
    (
        &["run", "LOCAL/script", "job"],
        1,
        "mapred: LOCAL/script: a script, not a program; a job program is a Rust binary",
    ),
    (&["run", "LOCAL/short", "job"], 1, "mapred: LOCAL/short: not a program: no ELF file"),
    (&["run", "LOCAL/foreign", "job"], 1, "mapred: LOCAL/foreign: a program for another architecture: "),
    (&["run", "LOCAL/object", "job"], 1, "mapred: LOCAL/object: not a program: an ELF file of another kind"),
    (&["run", "LOCAL/plain", "job"], 1, "mapred: LOCAL/plain: not executable; set its permission with `chmod +x`"),
    (
        &["run", "/bin/true", "job"],
        1,
        "mapred: /bin/true: not a job program: asked which jobs it has, it said: nothing",
    ),
    (&["run", "/bin/cat", "job"], 1, "mapred: /bin/cat: not a job program: asked which jobs it has, it said: nothing"),
    (&["-jt", "http://127.0.0.1:1", "run", "wordcount", "/in", "/o"], 1, "wordcount: No jobtracker at 127.0.0.1:1: "),
    (&["-jt", "ftp://127.0.0.1:1", "run", "wordcount", "/in", "/o"], 1, "the scheme is `ftp`, not `http`"),
    (&["-fs", "hdfs://127.0.0.1:1", "run", "wordcount", "/in", "/o"], 1, "wordcount: Call to 127.0.0.1:1 failed: "),
    (&["-fs", "ftp://127.0.0.1:1", "run", "wordcount", "/in", "/o"], 1, "ftp://127.0.0.1:1"),
    (&["--conf", "/no/such/conf", "run", "wordcount", "/in", "/o"], 1, "/no/such/conf"),
    (
        &["run", "-D", "mapreduce.job.reduces", "wordcount", "/in", "/o"],
        1,
        "-D mapreduce.job.reduces: expected key=value",
    ),
    (
        &["run", "-D", "mapreduce.job.reduces=many", "wordcount", "/in", "/o"],
        1,
        "mapreduce.job.reduces: bad value `many`",
    ),
    (&["run", "-D", "mapreduce.job.reduces=-1", "wordcount", "/in", "/o"], 1, "mapreduce.job.reduces: bad value `-1`"),
    (&["run", "-D", "mapreduce.job.reduces=0", "wordcount", "/in", "/o"], 1, "has a reducer and needs at least 1"),
    (&["run", "-D", "mapreduce.map.memory.mb=lots", "wordcount", "/in", "/o"], 1, "map.memory.mb: bad value `lots`"),
    (&["run", "-D", "mapreduce.map.memory.mb=0", "wordcount", "/in", "/o"], 1, "map.memory.mb: bad value `0`"),
    (&["run", "-D", "mapreduce.reduce.memory.mb=-5", "wordcount", "/in", "/o"], 1, "reduce.memory.mb: bad value `-5`"),
    (&["run", "-D", "mapreduce.task.io.sort.mb=1t", "wordcount", "/in", "/o"], 1, "io.sort.mb: bad value `1t`"),
    (&["run", "-D", "mapreduce.task.io.sort.mb=99999", "wordcount", "/in", "/o"], 1, "io.sort.mb: bad value `99999`"),
    (&["run", "-D", "mammoth.shuffle.frame-bytes=4x", "wordcount", "/in", "/o"], 1, "frame-bytes: bad value `4x`"),
    (&["run", "-D", "mapreduce.task.timeout=soon", "wordcount", "/in", "/o"], 1, "task.timeout: bad value `soon`"),
    (&["run", "--mode", "memory", "wordcount", "/none", "/o"], 1, "wordcount: Input path does not exist: CLUSTER/none"),
    (
        &["run", "--mode", "memory", "wordcount", "/in", "/in"],
        1,
        "wordcount: Output directory CLUSTER/in already exists",
    ),
    (&["run", "--mode", "memory", "wordcount", "/in"], 255, "Usage: wordcount IN... OUT"),
    (&["run", "--mode", "memory", "grep", "/in", "/o", "a("], 1, "grep: `a(' is no regular expression: unclosed group"),
    (&["run", "--mode", "memory", "-D", "spark.executor.memory=much", "wordcount", "/in", "/o"], 1, "bad value `much`"),
    (
        &["-jt", "http://127.0.0.1:1", "run", "--mode", "memory", "wordcount", "/in", "/o"],
        1,
        "No jobtracker at 127.0.0.1:1",
    ),
    (
        &["-fs", "hdfs://127.0.0.1:1", "run", "--mode", "memory", "wordcount", "/in", "/o"],
        1,
        "Call to 127.0.0.1:1 failed",
    ),
];

/// The complaint without the usage text that follows wrong usage.
fn complaint(run: &Run) -> String {
    run.err
        .lines()
        .filter(|line| !line.contains("WARN"))
        .take_while(|line| !line.starts_with("Usage"))
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn the_shell_refuses_bad_input_in_hadoops_words() {
    let cluster = Cluster::start(Options::fast());
    let local = tempfile::tempdir().expect("a temporary folder");
    let folder = local.path().display().to_string();
    std::fs::write(local.path().join("here"), "here").expect("written");
    cluster.dfs(&["mkdir", "/dir"]).ok();
    cluster.put("/file", b"kept");
    cluster.put("/dir/taken", b"taken");
    let before = cluster.dfs(&["ls", "-R", "/"]).ok().text();
    let mut wrong = Vec::new();
    for (args, code, says) in SHELL {
        let args: Vec<String> = args.iter().map(|arg| arg.replace("LOCAL", &folder)).collect();
        let words: Vec<&str> = args.iter().map(String::as_str).collect();
        let run = cluster.dfs(&words);
        let says = says.replace("LOCAL", &folder);
        let complaint = complaint(&run);
        let one_line = complaint.lines().count() == 1;
        if run.code != *code || !complaint.contains(&says) || !one_line || complaint.contains("panicked") {
            wrong.push(format!("dfs {words:?}: status {} for {code}, `{complaint}` for `{says}`", run.code));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(cluster.dfs(&["ls", "-R", "/"]).ok().text(), before, "something was left behind");
    let left: Vec<_> = std::fs::read_dir(local.path()).expect("the folder").flatten().map(|e| e.file_name()).collect();
    assert_eq!(left, ["here"], "something was left behind");
    assert_eq!(std::fs::read(local.path().join("here")).expect("still there"), b"here");
}

/// Files that are no programs of jobs, but for this very test, which is a program of this machine's kind.
fn write_programs(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let own = std::fs::read("/proc/self/exe").expect("this program")[..64].to_vec();
    // Machine 62 is x86-64, 183 is AArch64; kind 1 is an object file.
    let changed = |at: usize, to: u8| {
        let mut head = own.clone();
        head[at] = to;
        head
    };
    for (name, bytes, mode) in [
        ("text", b"to be or not to be, that is the question\n".to_vec(), 0o755),
        ("script", b"#!/bin/sh\necho a program that is long enough\n".to_vec(), 0o755),
        ("short", own[..12].to_vec(), 0o755),
        ("foreign", changed(18, if own[18] == 62 { 183 } else { 62 }), 0o755),
        ("object", changed(16, 1), 0o755),
        ("plain", own.clone(), 0o644),
    ] {
        std::fs::write(folder.join(name), bytes).expect("written");
        std::fs::set_permissions(folder.join(name), PermissionsExt::from_mode(mode)).expect("it is ours");
    }
}

#[test]
fn jobs_that_cannot_be_are_refused_before_anything_runs() {
    let cluster = Cluster::start(Options::fast().jobs(1));
    let local = tempfile::tempdir().expect("a temporary folder");
    write_programs(local.path());
    cluster.put("/in/a", b"cat cot\ncut cat\n");
    let (fs, folder) = (cluster.fs(), local.path().display().to_string());
    let jobs = crate::jobs::test_jobs().display().to_string();
    let given = |text: &str| text.replace("LOCAL", &folder).replace("TESTJOBS", &jobs).replace("CLUSTER", &fs);
    let mut wrong = Vec::new();
    for (args, code, says) in JOBS {
        let args: Vec<String> = args.iter().map(|arg| given(arg)).collect();
        let words: Vec<&str> = args.iter().map(String::as_str).collect();
        let run = cluster.mapred(&words);
        let says = given(says);
        // An application has a page before it looks for its input.
        let shown = |line: &&str| !line.starts_with("The url to track") && !line.starts_with("Running application");
        let lines = run.err.lines().filter(shown).count();
        let is_clear = run.err.contains(&says) && !run.err.contains("panicked") && (lines == 1 || *code == 255);
        if run.code != *code || !is_clear || !run.text().is_empty() {
            wrong.push(format!("mapred {words:?}: status {} for {code}, `{}` for `{says}`", run.code, run.err));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let started = cluster.json("jobtracker", "/api/v1/jobs").expect("jobs");
    let started: Vec<_> = started.as_array().expect("a list").iter().filter(|job| job["state"] != "PREP").collect();
    assert!(started.is_empty(), "{started:?}");
    let left = cluster.dfs(&["ls", "-R", "/"]).ok().text();
    let left = left.lines().filter_map(|line| line.split_whitespace().last());
    // What became of the applications, and the program that they stored once for all.
    let kept = ["/tmp/mammoth-mapred/history", "/tmp/mammoth-mapred/staging/programs"];
    let left: Vec<&str> = left.filter(|path| !kept.iter().any(|kept| path.starts_with(kept))).collect();
    assert_eq!(left, ["/in", "/in/a", "/tmp", "/tmp/mammoth-mapred", "/tmp/mammoth-mapred/staging"]);
}

#[test]
fn old_names_of_settings_are_taken_with_a_word_about_the_new_ones() {
    let cluster = Cluster::start(Options::fast().jobs(1));
    cluster.put("/in/a", b"cat cot\n");
    for (output, args) in [
        ("/before", &["-D", "mapred.reduce.tasks=3", "run", "wordcount", "/in", "/before"][..]),
        ("/after", &["run", "-D", "mapred.reduce.tasks=3", "wordcount", "/in", "/after"]),
    ] {
        let run = cluster.mapred(args).ok();
        let line = "Warning: mapred.reduce.tasks (from the command line) is deprecated; use mapreduce.job.reduces";
        assert_eq!(run.err.lines().filter(|said| *said == line).count(), 1, "{}", run.err);
        let parts = cluster.dfs(&["ls", &format!("{output}/part-*")]).ok().text();
        assert_eq!(parts.lines().count(), 3, "{parts}");
    }
}

fn mammoth(args: &[&str]) -> Run {
    run(Command::new(program("mammoth")).args(args), b"", Duration::from_secs(60))
}

#[track_caller]
fn refused(run: &Run, code: i32, says: &[&str]) {
    let last = run.err.lines().last().unwrap_or_default();
    assert_eq!(run.code, code, "{}", run.err);
    for says in says {
        assert!(last.contains(says), "no `{says}` in `{}`", run.err);
    }
    assert!(!run.err.contains("panicked"), "{}", run.err);
}

#[test]
fn mammoth_refuses_bad_settings_ports_and_folders() {
    let temp = tempfile::tempdir().expect("a temporary folder");
    let dir = temp.path().join("cluster").display().to_string();
    refused(
        &mammoth(&["up", "--dir", &dir, "--port-base", "0", "-D", "dfs.replication=many"]),
        1,
        &["dfs.replication", "many"],
    );
    refused(&mammoth(&["up", "--dir", &dir, "--port-base", "0", "-D", "dfs.blocksize"]), 1, &["dfs.blocksize"]);
    refused(&mammoth(&["up", "--dir", &dir, "--conf", "/no/such/conf"]), 1, &["/no/such/conf"]);
    refused(&mammoth(&["down", "--dir", &dir]), 1, &["mammoth up --dir"]);
    refused(&mammoth(&["restart", "--dir", "/no/such/dir", "namenode"]), 1, &["/no/such/dir"]);
    let file = temp.path().join("file");
    std::fs::write(&file, "x").expect("written");
    refused(&mammoth(&["up", "--dir", &file.display().to_string()]), 1, &["file"]);
    refused(&mammoth(&["demo", "--exit", "/no/such/text"]), 1, &["/no/such/text"]);
    let usage = mammoth(&["up"]);
    assert_eq!(usage.code, 255, "{}", usage.err);
    let holder = std::net::TcpListener::bind("127.0.0.1:0").expect("any port");
    let port = holder.local_addr().expect("bound").port().to_string();
    refused(&mammoth(&["up", "--dir", &dir, "--port-base", &port]), 1, &[&port]);
}

#[test]
fn an_unknown_setting_is_warned_about_with_the_nearest_known_one() {
    let temp = tempfile::tempdir().expect("a temporary folder");
    let dir = temp.path().join("cluster").display().to_string();
    mammoth(&["up", "--dir", &dir, "--detach", "--port-base", "0", "-D", "dfs.replicatoin=2"]).ok();
    let log = std::fs::read_to_string(Path::new(&dir).join("logs/up.log")).expect("a log");
    mammoth(&["down", "--dir", &dir]).ok();
    assert!(log.contains("dfs.replicatoin") && log.contains("dfs.replication"), "{log}");
}

#[test]
fn daemons_refuse_ports_in_use_and_folders_of_others() {
    let one = Cluster::start(Options::fast());
    let two = Cluster::start(Options::fast());
    let rpc = one.addr("namenode", "rpc").to_string();
    let temp = tempfile::tempdir().expect("a temporary folder");
    let start = |role: &str, pairs: &[(&str, String)]| {
        let mut command = Command::new(program(role));
        for (key, value) in pairs {
            command.arg("-D").arg(format!("{key}={value}"));
        }
        run(&mut command, b"", Duration::from_secs(30))
    };
    let any = || "127.0.0.1:0".to_owned();
    let folder = |name: &str| temp.path().join(name).display().to_string();
    let in_use = start(
        "namenode",
        &[
            ("dfs.namenode.name.dir", folder("nn")),
            ("dfs.namenode.rpc-address", rpc.clone()),
            ("dfs.namenode.http-address", any()),
            ("mammoth.namenode.internal-address", any()),
        ],
    );
    refused(&in_use, 1, &[&rpc]);
    // A folder that another process has locked.
    let locked = start(
        "namenode",
        &[
            ("dfs.namenode.name.dir", one.data("namenode").display().to_string()),
            ("dfs.namenode.rpc-address", any()),
            ("dfs.namenode.http-address", any()),
            ("mammoth.namenode.internal-address", any()),
        ],
    );
    refused(&locked, 1, &[&one.data("namenode").display().to_string()]);
    // A datanode's folder of another cluster.
    let data = two.data("datanode-1").display().to_string();
    two.kill("datanode-1");
    let foreign = start(
        "datanode",
        &[
            ("dfs.datanode.data.dir", data.clone()),
            ("mammoth.namenode.internal-address", one.addr("namenode", "internal").to_string()),
            ("dfs.datanode.address", any()),
            ("dfs.datanode.http.address", any()),
            ("dfs.datanode.ipc.address", any()),
        ],
    );
    refused(&foreign, 1, &[&data, "CID-"]);
}

#[test]
fn a_cluster_that_runs_is_not_started_twice() {
    let cluster = Cluster::start(Options::fast());
    refused(&cluster.up(), 1, &["runs there already", "mammoth down"]);
    let unknown = cluster.restart("datanode-9");
    refused(&unknown, 1, &["datanode-9", "datanode-3"]);
}

/// Disks of which all is reserved for others; `full_disks` has those that really fill.
#[test]
fn a_reserved_disk_fails_one_write_with_a_clear_line() {
    let cluster = Cluster::start(Options::fast().set("dfs.datanode.du.reserved", &(1_u64 << 60).to_string()));
    let run = cluster.dfs_with(&["put", "-", "/big"], &[7; 2_000_000]);
    assert_eq!(run.code, 1, "{}", run.err);
    let line = run.err.lines().next().unwrap_or_default();
    assert!(line.starts_with("put: ") && line.contains("/big"), "{}", run.err);
    assert_eq!(cluster.dfs(&["ls", "/"]).ok().text(), "", "the failed put left something");
    assert_eq!(cluster.status().expect("alive")["health"]["live"], 3);
}
