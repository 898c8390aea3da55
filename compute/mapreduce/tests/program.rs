//! A job program in its roles, as real processes: this file is the program and, without a role, the test of it.

mod words;

use mammoth_mapreduce::prelude::*;
use mammoth_protocol::jobs::link::{FromChild, TaskAssignment, ToChild};
use mammoth_protocol::jobs::spec::{JobSpec, ProgramRef, SPEC_VERSION};
use mammoth_protocol::jobs::{AttemptId, JobId, Resources, TaskId, TaskKind};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, Output as Ended, Stdio};
use std::time::Duration;
use words::Words;

fn wordcount(args: &JobArgs<'_>) -> Result<Job, JobError> {
    let [inputs @ .., output] = args.args else { return Err(usage("wordcount IN... OUT")) };
    Ok(Job::new("words").inputs(inputs).output(output).mapper(Words).fold(Sum::new()).reducer(Identity::new()))
}

/// Leaves a process behind and goes on for ever.
fn hang(_: &JobArgs<'_>) -> Result<Job, JobError> {
    let mut child = Command::new("sleep").arg("1000").spawn().expect("sleep runs");
    println!("hanging");
    child.wait().expect("it does not end");
    Err(usage("never"))
}

fn explode(_: &JobArgs<'_>) -> Result<Job, JobError> {
    panic!("no such luck")
}

fn main() -> ExitCode {
    let jobs = jobs![wordcount, hang, explode];
    if std::env::var_os("MAMMOTH_ROLE").is_some() {
        return mammoth_mapreduce::main(jobs);
    }
    let tests: [(&str, fn()); 6] = [
        ("it_describes_itself", it_describes_itself),
        ("drivers_refuse_early", drivers_refuse_early),
        ("a_task_without_a_tracker_fails", a_task_without_a_tracker_fails),
        ("a_task_says_why_it_failed", a_task_says_why_it_failed),
        ("a_panic_is_told_with_its_place", a_panic_is_told_with_its_place),
        ("a_task_ends_with_its_tracker", a_task_ends_with_its_tracker),
    ];
    for (name, test) in tests {
        test();
        println!("test {name} ... ok");
    }
    ExitCode::SUCCESS
}

fn program(role: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program has a file"));
    for name in ["MAMMOTH_FS", "MAMMOTH_JOBTRACKER", "MAMMOTH_SETTINGS", "MAMMOTH_MODE", "HADOOP_CONF_DIR"] {
        command.env_remove(name);
    }
    command.env("MAMMOTH_ROLE", role).env("RUST_BACKTRACE", "0");
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn it_describes_itself() {
    let ended = program("describe").output().expect("it runs");
    assert_eq!(text(&ended.stdout), "{\"contract\":1,\"jobs\":[\"wordcount\",\"hang\",\"explode\"],\"apps\":[]}\n");
    assert!(ended.status.success() && ended.stderr.is_empty());
}

fn drive(args: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let Ended { status, stdout, stderr } =
        program("driver").args(args).envs(variables.iter().copied()).output().expect("it runs");
    (status.code(), text(&stdout) + &text(&stderr))
}

/// Arguments, variables, status, part of what it says.
type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], i32, &'a str);

fn drivers_refuse_early() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let (fs, http) = (format!("hdfs://{closed}"), format!("http://{closed}"));
    let both = [("MAMMOTH_FS", fs.as_str()), ("MAMMOTH_JOBTRACKER", http.as_str())];
    let run = ["wordcount", "/in", "/out"];
    let cases: [Case<'_>; 11] = [
        (&[], &[], 255, "  wordcount (disk)"),
        (&["--help"], &[], 0, "  wordcount (disk)"),
        (&["wordcont"], &[], 1, "Unknown job `wordcont`. This program has: explode, hang, wordcount"),
        (&["wordcount"], &[], 255, "Usage: wordcount IN... OUT"),
        (&run, &[], 1, "wordcount: no file system given: set MAMMOTH_FS=hdfs://host:port"),
        (&run, &both[..1], 1, "wordcount: no jobtracker given: set MAMMOTH_JOBTRACKER=http://host:port"),
        (&run, &both, 1, "failed: Connection refused"),
        (
            &run,
            &[("MAMMOTH_SETTINGS", "[\"mapreduce.job.reduces=many\"]")],
            1,
            "mapreduce.job.reduces: bad value `many`",
        ),
        (&run, &[("MAMMOTH_FS", "ftp://a")], 1, "wordcount: "),
        (&run, &[("HADOOP_CONF_DIR", "/nope")], 1, "/nope"),
        (&run, &[("MAMMOTH_MODE", "memory")], 255, "`wordcount` runs on disk only"),
    ];
    for (args, variables, status, said) in cases {
        let (code, output) = drive(args, variables);
        assert!(code == Some(status) && output.contains(said), "{args:?} {variables:?}: {code:?} {output}");
        let is_usage = args.is_empty() || args == ["--help"];
        assert!(is_usage || output.lines().count() == 1, "one line: {output}");
    }
    let ended = program("conductor").output().expect("it runs");
    assert!(text(&ended.stderr).contains("MAMMOTH_ROLE: `conductor` is no role") && !ended.status.success());
    let ended = program("executor").output().expect("it runs");
    assert!(text(&ended.stderr).contains("no application") && !ended.status.success());
}

/// A task process and the tracker's end of its link.
fn task(entry: &str, dir: &Path) -> (Child, UnixStream) {
    let resources = Resources { cores: 1, memory_mib: 64 };
    let spec = JobSpec {
        version: SPEC_VERSION,
        name: entry.to_owned(),
        user: "ann".to_owned(),
        program: ProgramRef::default(),
        entry: entry.to_owned(),
        args: Vec::new(),
        sdk: vec![0],
        settings: BTreeMap::new(),
        fs: "hdfs://127.0.0.1:1".to_owned(),
        splits: Vec::new(),
        reduces: 1,
        output: None,
        map_resources: resources,
        reduce_resources: resources,
        map_attempts_max: 1,
        reduce_attempts_max: 1,
        task_timeout_ms: 0,
        slowstart_percent: 0,
    };
    let path = dir.join("spec");
    std::fs::write(&path, postcard::to_stdvec(&spec).expect("it is data")).expect("it can be written");
    let (ours, theirs) = UnixStream::pair().expect("a socket pair");
    let assignment = TaskAssignment {
        attempt: AttemptId {
            task: TaskId { job: JobId { cluster_ms: 1, number: 1 }, kind: TaskKind::Map, index: 0 },
            number: 0,
        },
        spec: path.to_str().expect("it is text").to_owned(),
        work_dir: dir.to_str().expect("it is text").to_owned(),
        shuffle_dir: dir.to_str().expect("it is text").to_owned(),
        host: "h".to_owned(),
        maps: 1,
        reduces: 1,
        resources,
    };
    let line = serde_json::to_string(&ToChild::Task(assignment)).expect("it is data");
    writeln!(&ours, "{line}").expect("it fits");
    let child = program("task")
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .expect("it runs");
    ours.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    (child, ours)
}

/// The failure that a task tells, and what else it said on standard error.
fn failure(entry: &str) -> (String, String) {
    let dir = tempfile::tempdir().expect("a folder");
    let (child, tracker) = task(entry, dir.path());
    let mut failures = Vec::new();
    for line in BufReader::new(tracker).lines() {
        if let FromChild::Failed { reason } = serde_json::from_str(&line.expect("in time")).expect("a message") {
            failures.push(reason);
        }
    }
    let ended = child.wait_with_output().expect("it ends");
    assert_eq!(ended.status.code(), Some(1));
    assert_eq!(failures.len(), 1, "{failures:?}");
    (failures.remove(0), text(&ended.stderr))
}

fn a_task_without_a_tracker_fails() {
    let ended = program("task").stdin(Stdio::null()).output().expect("it runs");
    assert!(text(&ended.stderr).contains("tracker link") && ended.status.code() == Some(1), "{ended:?}");
}

fn a_task_says_why_it_failed() {
    let (reason, log) = failure("sort");
    assert_eq!(reason, "this program has no job `sort`");
    assert!(log.contains(&reason), "{log}");
    assert_eq!(failure("wordcount").0, "Usage: wordcount IN... OUT");
}

fn a_panic_is_told_with_its_place() {
    let (reason, log) = failure("explode");
    assert!(reason.starts_with("panicked: no such luck at ") && reason.contains("tests/program.rs:"), "{reason}");
    assert!(log.contains("no such luck"), "{log}");
}

fn a_task_ends_with_its_tracker() {
    let dir = tempfile::tempdir().expect("a folder");
    let (mut child, tracker) = task("hang", dir.path());
    let mut out = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut line = String::new();
    out.read_line(&mut line).expect("it says something");
    assert_eq!(line, "hanging\n");
    drop(tracker);
    let status = child.wait().expect("it ends");
    assert_eq!(status.signal(), Some(9));
    // The pipe ends only when the process that it left behind is gone, too.
    let mut rest = Vec::new();
    out.read_to_end(&mut rest).expect("the pipe ends");
    assert!(rest.is_empty());
}
