//! Attempts with a tracker that is a test, and files in memory.

use super::*;
use crate::files::MemoryFiles;
use crate::key;
use crate::merge::Combiner;
use crate::shuffle::OutputReader;
use crate::task::testing::plan;
use crate::task::{ReduceTask, TaskCode};
use mammoth_protocol::Uuid;
use mammoth_protocol::jobs::counters::names;
use mammoth_protocol::jobs::spec::{InputSplit, ProgramRef};
use mammoth_protocol::jobs::tracker::OutputEvent;
use mammoth_protocol::jobs::{AttemptId, JobId, Resources, TaskId};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use tempfile::TempDir;

/// Fails unless the task has shown a sign of life since the last look: slow code must not look like code that hangs.
struct Pulse(u64);

impl Pulse {
    fn check(&mut self, meter: &Meter) {
        let life = meter.life();
        assert!(std::mem::replace(&mut self.0, life) < life, "a record was no sign of life");
    }
}

/// Sorts lines, or writes them as they are; says no to some.
struct Lines;

impl TaskCode for Lines {
    fn has_reduce(&self) -> bool {
        true
    }

    fn map(&self, mut task: MapTask<'_>) -> Result<Vec<u64>, RuntimeError> {
        let reduces = task.env.reduces;
        if reduces == 0 {
            let mut text = task.env.text_output()?;
            while let Some((offset, line)) = task.next_record()? {
                if line == b"fail" {
                    return Err(RuntimeError::User("map: no such line".to_owned()));
                }
                text.record(offset, String::from_utf8_lossy(line));
            }
            return task.finish_text(text);
        }
        let mut sorter = task.sorter(None)?;
        let (meter, mut pulse) = (&task.env.meter, Pulse(task.env.meter.life()));
        while let Some((_, line)) = task.next_record()? {
            pulse.check(meter);
            match line {
                b"fail" => return Err(RuntimeError::User("map: no such line".to_owned())),
                b"panic" => panic!("a line that panics"),
                _ => sorter.add(key::partition_of(line, reduces), line, b"")?,
            }
        }
        task.finish_sort(sorter)
    }

    fn combiner(&self) -> Option<Box<dyn Combiner>> {
        None
    }

    fn reduce(&self, mut task: ReduceTask<'_>) -> Result<(), RuntimeError> {
        let mut text = task.env.text_output()?;
        let (meter, mut pulse) = (&task.env.meter, Pulse(task.env.meter.life()));
        let mut groups = task.groups();
        while groups.next_group()? {
            pulse.check(meter);
            let mut count = 0;
            while groups.next_value()?.is_some() {
                pulse.check(meter);
                count += 1;
            }
            text.record(String::from_utf8_lossy(groups.key()), count);
        }
        task.finish(text)
    }
}

fn define(_: &JobArgs<'_>) -> Result<JobPlan, RuntimeError> {
    Ok(JobPlan { code: Arc::new(Lines), ..plan(&["/in"], Some("/out")) })
}

const JOBS: &[JobEntry] = &[JobEntry { name: "lines", define }];
const JOB: JobId = JobId { cluster_ms: 7, number: 1 };

struct Scene {
    dir: TempDir,
    files: MemoryFiles,
    spec: JobSpec,
}

impl Scene {
    fn new(text: &str, reduces: u32) -> Self {
        let files = MemoryFiles::default();
        files.put(&DfsPath::parse("/in/a").unwrap(), text.as_bytes());
        let plan = define(&JobArgs { args: &[], settings: &Settings::load(None, &[]).unwrap() }).unwrap();
        let settings = Settings::load(None, &[]).unwrap();
        let splits = plan.format.splits(&files, &plan.inputs, &settings).unwrap();
        let output = Some("/out".to_owned());
        let spec = spec_of(splits, reduces, output);
        Committer::new(&files, DfsPath::parse("/out").unwrap()).setup_job("job").unwrap();
        Self { dir: tempfile::tempdir().unwrap(), files, spec }
    }

    fn assignment(&self, kind: TaskKind, index: u32) -> TaskAssignment {
        let spec = self.dir.path().join("spec");
        std::fs::write(&spec, postcard::to_stdvec(&self.spec).unwrap()).unwrap();
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        TaskAssignment {
            attempt: AttemptId { task: TaskId { job: JOB, kind, index }, number: 0 },
            spec: text(&spec),
            work_dir: text(self.dir.path()),
            shuffle_dir: text(self.dir.path()),
            host: "h".to_owned(),
            maps: u32::try_from(self.spec.splits.len()).unwrap(),
            reduces: self.spec.reduces,
            resources: Resources { cores: 1, memory_mib: 256 },
        }
    }

    /// Runs an attempt to its end; what it said, progress aside. The tracker grants what is asked for.
    fn attempt(&self, kind: TaskKind) -> Vec<FromChild> {
        self.attempt_of(kind, 0, &[], |_, _| ())
    }

    /// The same for any index: the tracker says `before` at first, and may answer what it hears.
    fn attempt_of(
        &self,
        kind: TaskKind,
        index: u32,
        before: &[ToChild],
        mut answer: impl FnMut(&FromChild, &mut UnixStream),
    ) -> Vec<FromChild> {
        let (mut tracker, child) = UnixStream::pair().unwrap();
        tell(&mut tracker, &ToChild::Task(self.assignment(kind, index)));
        for message in before {
            tell(&mut tracker, message);
        }
        let (first, link) = Link::over(child.try_clone().unwrap(), child.try_clone().unwrap(), |_| ()).unwrap();
        let files = self.files.clone();
        let work = std::thread::spawn(move || {
            let connect = |_: &JobSpec, _: &Settings| Ok(Box::new(files.clone()) as Box<dyn FileSystem>);
            let _status = serve(JOBS, first, &link, &connect, SystemClock.monotonic_ns());
            child.shutdown(std::net::Shutdown::Write).unwrap();
        });
        let mut said = Vec::new();
        for line in BufReader::new(tracker.try_clone().unwrap()).lines() {
            let message: FromChild = serde_json::from_str(&line.unwrap()).unwrap();
            if message == FromChild::AskCommit {
                tell(&mut tracker, &ToChild::CommitGranted);
            }
            answer(&message, &mut tracker);
            if !matches!(message, FromChild::Progress { .. }) {
                said.push(message);
            }
        }
        work.join().unwrap();
        said
    }

    fn failure(&self, kind: TaskKind) -> String {
        match self.attempt(kind).as_slice() {
            [FromChild::Failed { reason }] => reason.clone(),
            other => panic!("{other:?}"),
        }
    }

    fn read(&self, path: &str) -> Option<String> {
        let bytes = self.files.get(&DfsPath::parse(path).unwrap())?;
        Some(String::from_utf8(bytes.to_vec()).unwrap())
    }
}

fn tell(stream: &mut UnixStream, message: &ToChild) {
    writeln!(stream, "{}", serde_json::to_string(message).unwrap()).unwrap();
}

/// A shuffle server for the outputs in a folder, until the test ends.
fn shuffle_server(dir: &Path) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let dir = dir.to_owned();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).unwrap();
            let path = line.split([' ', '?']).nth(1).unwrap().to_owned();
            let mut parts = path.rsplit('/');
            let partition: usize = parts.next().unwrap().parse().unwrap();
            let Ok(output) = OutputReader::open(&dir, parts.next().unwrap()) else {
                let _gone =
                    stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                continue;
            };
            let segment = output.index().segments[partition];
            let mut bytes = vec![0; usize::try_from(segment.len).unwrap()];
            output.file().read_exact_at(&mut bytes, segment.offset).unwrap();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", bytes.len());
            let _gone = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&bytes));
        }
    });
    address
}

fn spec_of(splits: Vec<InputSplit>, reduces: u32, output: Option<String>) -> JobSpec {
    let resources = Resources { cores: 1, memory_mib: 256 };
    JobSpec {
        version: SPEC_VERSION,
        name: "lines".to_owned(),
        user: "ann".to_owned(),
        program: ProgramRef::default(),
        entry: "lines".to_owned(),
        args: Vec::new(),
        sdk: JobPlan::encode_step(0).unwrap(),
        settings: BTreeMap::from([("mapreduce.task.io.sort.mb".to_owned(), "1".to_owned())]),
        fs: "hdfs://h:1".to_owned(),
        splits,
        reduces,
        output,
        map_resources: resources,
        reduce_resources: resources,
        map_attempts_max: 4,
        reduce_attempts_max: 4,
        task_timeout_ms: 1000,
        slowstart_percent: 5,
    }
}

#[test]
fn a_map_leaves_its_output_with_the_tracker() {
    let scene = Scene::new("b\na\nb\n", 2);
    let said = scene.attempt(TaskKind::Map);
    let [FromChild::Done { counters, partitions }] = said.as_slice() else { panic!("{said:?}") };
    let output = OutputReader::open(scene.dir.path(), "attempt_7_0001_m_000000_0").unwrap();
    assert_eq!(&output.index().partition_bytes(), partitions);
    assert_eq!(output.index().segments.iter().map(|segment| segment.records).sum::<u64>(), 3);
    let count = |name| counters.get(names::FRAMEWORK, name);
    assert_eq!([count(names::MAP_INPUT_RECORDS), count(names::MAP_OUTPUT_RECORDS)], [3, 3]);
    assert!(count(names::PHYSICAL_MEMORY_BYTES) > 1 << 20);
    let phases: i64 = counters.groups[names::PHASES].values().sum();
    assert!(phases / 1000 - count(names::TASK_MILLISECONDS) <= 2);
}

#[test]
fn a_map_without_reduces_commits_when_it_may() {
    let scene = Scene::new("b\na\n", 0);
    let said = scene.attempt(TaskKind::Map);
    assert!(
        matches!(said.as_slice(), [FromChild::AskCommit, FromChild::Done { partitions, .. }] if partitions.is_empty())
    );
    assert_eq!(scene.read("/out/_temporary/0/task_7_0001_m_000000/part-m-00000").as_deref(), Some("0\tb\n2\ta\n"));
    let said = scene.attempt(TaskKind::Commit);
    assert!(matches!(said.as_slice(), [FromChild::Done { .. }]), "{said:?}");
    assert_eq!(scene.read("/out/part-m-00000").as_deref(), Some("0\tb\n2\ta\n"));
    assert_eq!(scene.read("/out/_SUCCESS").as_deref(), Some(""));
}

#[test]
fn a_reduce_reads_every_map_and_reports_what_it_cannot_get() {
    let mut scene = Scene::new("b\na\nb\n", 1);
    let split = scene.spec.splits[0].clone();
    scene.spec.splits.push(split);
    scene.attempt_of(TaskKind::Map, 0, &[], |_, _| ());
    scene.attempt_of(TaskKind::Map, 1, &[], |_, _| ());
    let server = shuffle_server(scene.dir.path());
    let attempt = |index, number| AttemptId { task: TaskId { job: JOB, kind: TaskKind::Map, index }, number };
    let ready = |attempt| OutputEvent::Ready { attempt, server: server.clone(), generation: Uuid::default() };
    let gone = attempt(1, 7);
    let before = [ToChild::Outputs { events: vec![ready(attempt(0, 0)), ready(gone)] }];
    let mut failures = 0;
    let said = scene.attempt_of(TaskKind::Reduce, 0, &before, |message, tracker| {
        if let FromChild::FetchFailed { map, reason } = message {
            assert!(*map == gone && reason.contains("404"), "{reason}");
            failures += 1;
            let events = vec![OutputEvent::Lost { attempt: gone }, ready(attempt(1, 0))];
            tell(tracker, &ToChild::Outputs { events });
        }
    });
    assert!(failures > 0);
    let Some(FromChild::Done { counters, .. }) = said.last() else { panic!("{said:?}") };
    assert_eq!(scene.read("/out/_temporary/0/task_7_0001_r_000000/part-r-00000").as_deref(), Some("a\t2\nb\t4\n"));
    let count = |name| counters.get(names::FRAMEWORK, name);
    assert_eq!([count(names::SHUFFLED_MAPS), count(names::REDUCE_INPUT_RECORDS)], [2, 6]);
    assert_eq!([count(names::REDUCE_INPUT_GROUPS), count(names::REDUCE_OUTPUT_RECORDS)], [2, 2]);
    assert!(count(names::FAILED_SHUFFLE) >= 3 && count(names::REDUCE_SHUFFLE_BYTES) > 0);
}

#[test]
fn a_failed_attempt_leaves_no_output() {
    let scene = Scene::new("a\nfail\n", 0);
    assert_eq!(scene.failure(TaskKind::Map), "map: no such line");
    assert!(scene.files.stat(&DfsPath::parse("/out/_temporary/0/_temporary").unwrap()).unwrap().is_none_or(|_| {
        scene.files.list(&DfsPath::parse("/out/_temporary/0/_temporary").unwrap()).unwrap().is_empty()
    }));
}

#[test]
fn an_abort_leaves_nothing() {
    let scene = Scene::new("b\n", 0);
    scene.attempt(TaskKind::Map);
    assert!(matches!(scene.attempt(TaskKind::Abort).as_slice(), [FromChild::Done { .. }]));
    assert!(scene.files.stat(&DfsPath::parse("/out").unwrap()).unwrap().is_none());
}

#[test]
fn failures_and_panics_say_what_happened_and_where() {
    assert_eq!(Scene::new("a\nfail\n", 1).failure(TaskKind::Map), "map: no such line");
    let panicked = Scene::new("panic\n", 1).failure(TaskKind::Map);
    assert!(panicked.starts_with("panicked: a line that panics at ") && panicked.contains("tests.rs:"), "{panicked}");
    let scene = Scene::new("a\n", 1);
    assert!(scene.failure(TaskKind::Commit).starts_with("the output of task_7_0001_r_000000 is missing in "));
    scene.files.delete(&DfsPath::parse("/in/a").unwrap(), false).unwrap();
    assert_eq!(scene.failure(TaskKind::Map), "File does not exist: /in/a");
}

#[test]
fn jobs_that_this_program_cannot_run_are_refused_by_name() {
    let mut scene = Scene::new("a\n", 1);
    scene.spec.entry = "sort".to_owned();
    assert_eq!(scene.failure(TaskKind::Map), "this program has no job `sort`");
    scene.spec.version = 9;
    let error = scene.failure(TaskKind::Map);
    assert_eq!(error, "job specification: it has version 9, this program reads 1");
}
