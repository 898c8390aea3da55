//! The in-memory mode on real processes: what is computed again, and what is left, when executors, tasktrackers, the driver and
//! the jobtracker die; and what is refused.

use crate::harness::{Cluster, Options, alive, poll, program, run};
use rustix::process::{Pid, Signal};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);
const TRACKERS: usize = 3;

fn cluster() -> Cluster {
    Cluster::start(Options::fast().jobs(3))
}

fn test_jobs() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_test-jobs"))
}

/// An application that runs, and the folder by which the test speaks with it.
struct App<'a> {
    cluster: &'a Cluster,
    driver: Child,
    id: String,
    dir: tempfile::TempDir,
}

/// An executor, as its application's events tell of it.
#[derive(Clone, Debug)]
struct Executor {
    id: u64,
    pid: Pid,
    tracker: String,
}

impl<'a> App<'a> {
    /// Starts `memory HOW` and lets it begin when all executors are there.
    fn start(cluster: &'a Cluster, program: &Path, how: &str) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let program = program.display().to_string();
        let folder = dir.path().display().to_string();
        let mut command = cluster.mapred_command(&["run", "--mode", "memory", &program, "memory", how, &folder]);
        let driver = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the driver starts");
        let id = poll("the application is known", LIMIT, || {
            let apps = cluster.json("jobtracker", "/api/v1/apps")?;
            let running = apps.as_array().and_then(|apps| apps.iter().find(|app| app["state"] == "RUNNING"));
            running.and_then(|app| Some(app["app"].as_str()?.to_owned())).ok_or_else(|| apps.to_string())
        });
        let app = Self { cluster, driver, id, dir };
        poll("all executors are there", LIMIT, || match app.executors().len() {
            TRACKERS => Ok(()),
            other => Err(format!("{other} of them")),
        });
        app.tell("begin");
        app
    }

    fn tell(&self, step: &str) {
        std::fs::write(self.dir.path().join(step), "").expect("a file");
    }

    fn wait(&self, step: &str) {
        poll(step, LIMIT, || if self.dir.path().join(step).exists() { Ok(()) } else { Err("not yet".to_owned()) });
    }

    fn events(&self) -> Vec<Value> {
        events(self.cluster, &self.id)
    }

    fn of_kind(&self, kind: &str) -> Vec<Value> {
        self.events().into_iter().filter(|event| event["event"] == kind).collect()
    }

    fn executors(&self) -> Vec<Executor> {
        let trackers: Vec<(Pid, String)> =
            (1..=TRACKERS).map(|n| format!("tasktracker-{n}")).map(|name| (self.cluster.pid(&name), name)).collect();
        let known = self.of_kind("executor_added").into_iter();
        let known = known.filter_map(|added| {
            let pid = Pid::from_raw(i32::try_from(added["pid"].as_i64()?).ok()?)?;
            // One that has ended has no parent any more.
            let above = parent(pid)?;
            let (_, tracker) = trackers.iter().find(|(tracker, _)| *tracker == above)?.clone();
            Some(Executor { id: added["executor"].as_u64()?, pid, tracker })
        });
        known.collect()
    }

    /// The reason by which the driver lost an executor.
    fn lost(&self, executor: &Executor) -> String {
        poll("the driver knows", LIMIT, || {
            let lost = self.of_kind("executor_lost").into_iter().find(|lost| lost["executor"] == executor.id);
            lost.map(|lost| lost["reason"].as_str().unwrap_or_default().to_owned()).ok_or("not lost".to_owned())
        })
    }

    /// Lets it go on to its end: whether that was a good one, and what it said.
    fn finish(self) -> (bool, String, String, Vec<Value>) {
        self.tell("go");
        let output = self.driver.wait_with_output().expect("the driver ends");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let events = poll("its last event", LIMIT, || {
            let events = events(self.cluster, &self.id);
            if events.iter().any(|event| event["event"] == "app_ended") { Ok(events) } else { Err(String::new()) }
        });
        (output.status.success(), text(&output.stdout), text(&output.stderr), events)
    }
}

fn events(cluster: &Cluster, app: &str) -> Vec<Value> {
    let lines = cluster.page("jobtracker", &format!("/api/v1/apps/{app}/events")).unwrap_or_default();
    lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn parent(pid: Pid) -> Option<Pid> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    // Behind the name in brackets: state and parent.
    Pid::from_raw(stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()?)
}

fn kill(pid: Pid) {
    rustix::process::kill_process(pid, Signal::KILL).expect("it runs");
}

/// Partitions of tasks that ended well in a stage, by executor.
fn done(events: &[Value], stage: u64) -> BTreeMap<u64, BTreeSet<u64>> {
    let mut done: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
    let ended = events.iter().filter(|event| event["event"] == "task_ended" && event["stage"] == stage);
    for event in ended.filter(|event| event["outcome"]["outcome"] == "success") {
        let number = |name: &str| event[name].as_u64().expect("a number");
        done.entry(number("executor")).or_default().insert(number("partition"));
    }
    done
}

fn started(events: &[Value], stage: u64) -> Vec<u64> {
    let started = events.iter().filter(|event| event["event"] == "task_started" && event["stage"] == stage);
    started.map(|event| event["partition"].as_u64().expect("a number")).collect()
}

/// The stage that writes a shuffle.
fn map_stage(events: &[Value]) -> u64 {
    let of = |event: &&Value| event["event"] == "stage_submitted" && !event["shuffle"].is_null();
    events.iter().find(of).and_then(|event| event["stage"].as_u64()).expect("a stage that writes")
}

#[track_caller]
fn nothing_is_left(cluster: &Cluster, app: &str, executors: &[Executor], dead: &str) {
    poll("no executor is left", LIMIT, || match executors.iter().find(|executor| alive(executor.pid)) {
        None => Ok(()),
        Some(left) => Err(format!("{left:?}")),
    });
    poll("no folder is left", LIMIT, || {
        for name in (1..=TRACKERS).map(|n| format!("tasktracker-{n}")).filter(|name| name != dead) {
            let folder = cluster.data(&name).join("apps").join(app);
            if folder.exists() {
                return Err(folder.display().to_string());
            }
        }
        Ok(())
    });
}

#[test]
fn blocks_of_a_killed_executor_alone_are_computed_again() {
    let cluster = cluster();
    let app = App::start(&cluster, &test_jobs(), "cache");
    app.wait("ready");
    let held = poll("all blocks are told of", LIMIT, || {
        let mut held: BTreeMap<u64, u64> = BTreeMap::new();
        for event in app.of_kind("blocks_changed") {
            let blocks = event["blocks"].as_array().map_or(0, Vec::len);
            *held.entry(event["executor"].as_u64().unwrap_or_default()).or_default() += blocks as u64;
        }
        if held.values().sum::<u64>() == 8 { Ok(held) } else { Err(format!("{held:?}")) }
    });
    let executors = app.executors();
    let victim = executors.iter().find(|executor| held.contains_key(&executor.id)).expect("one holds blocks");
    kill(victim.pid);
    let reason = app.lost(victim);
    assert!(reason.contains("SIGKILL"), "by its tracker's word, not by silence: {reason}");
    let (ok, out, err, events) = app.finish();
    assert!(ok, "{err}");
    assert_eq!(out, "80\n80\n");
    let ended = events.iter().find(|event| event["event"] == "app_ended").expect("its end");
    let again = 80 + 10 * held[&victim.id];
    assert_eq!(ended["accumulators"]["computed"], again.to_string(), "{held:?} and {victim:?} was killed");
}

#[test]
fn outputs_outlive_their_executor_and_go_with_their_tracker() {
    for kills_tracker in [false, true] {
        let cluster = cluster();
        let app = App::start(&cluster, &test_jobs(), "shuffle");
        app.wait("ready");
        let executors = app.executors();
        let before = poll("the first action is told of", LIMIT, || {
            let events = app.events();
            if events.iter().any(|event| event["event"] == "job_ended") { Ok(events) } else { Err(String::new()) }
        });
        let maps = map_stage(&before);
        let written = done(&before, maps);
        assert_eq!(written.values().map(BTreeSet::len).sum::<usize>(), 8);
        let victim = executors.iter().find(|executor| written.contains_key(&executor.id)).expect("one wrote");
        if kills_tracker {
            cluster.kill(&victim.tracker)
        } else {
            kill(victim.pid)
        }
        let reason = app.lost(victim);
        let told = if kills_tracker { "the tracker is gone" } else { "SIGKILL" };
        assert!(reason.contains(told), "at once, not after silence: {reason}");
        let id = app.id.clone();
        let (ok, out, err, events) = app.finish();
        assert!(ok, "{err}");
        assert_eq!(out, "319600\n319600\n");
        let mut again: Vec<u64> = started(&events[before.len()..], maps);
        again.sort_unstable();
        let lost: Vec<u64> = if kills_tracker { written[&victim.id].iter().copied().collect() } else { Vec::new() };
        assert_eq!(again, lost, "of {written:?}, when {victim:?} went");
        nothing_is_left(&cluster, &id, &executors, if kills_tracker { &victim.tracker } else { "" });
    }
}

#[test]
fn tasks_of_a_killed_executor_alone_are_run_again() {
    let cluster = cluster();
    let app = App::start(&cluster, &test_jobs(), "gate");
    (0..6).for_each(|task| app.wait(&format!("started-{task}")));
    let running = poll("all tasks are told of", LIMIT, || {
        let started = app.of_kind("task_started");
        if started.len() == 6 { Ok(started) } else { Err(format!("{}", started.len())) }
    });
    let victim = app.executors().first().expect("one of them").clone();
    kill(victim.pid);
    app.lost(&victim);
    let (ok, out, err, events) = app.finish();
    assert!(ok, "{err}");
    assert_eq!(out, "15\n");
    let of_victim = running.iter().filter(|task| task["executor"] == victim.id);
    let mut lost: Vec<u64> = of_victim.filter_map(|task| task["partition"].as_u64()).collect();
    lost.sort_unstable();
    assert_eq!(lost.len(), 2, "two cores");
    let stage = running[0]["stage"].as_u64().expect("a stage");
    let mut again = started(&events, stage).split_off(6);
    again.sort_unstable();
    assert_eq!(again, lost);
}

#[test]
fn a_panic_fails_the_action_by_name_and_the_executor_lives_on() {
    let cluster = cluster();
    let app = App::start(&cluster, &test_jobs(), "panic");
    let (id, executors) = (app.id.clone(), app.executors());
    let (ok, out, err, events) = app.finish();
    assert!(!ok);
    assert_eq!(out, "100\n", "what came after it was done");
    let last = err.lines().last().unwrap_or_default();
    for part in ["memory: stage ", "range", "partition 5 failed 4 time(s)", "no luck with 5", "src/memory.rs:"] {
        assert!(last.contains(part), "{part}: {err}");
    }
    assert!(!events.iter().any(|event| event["event"] == "executor_lost"), "no executor was lost");
    assert_eq!(events.iter().filter(|event| event["event"] == "executor_added").count(), executors.len());
    nothing_is_left(&cluster, &id, &executors, "");
}

#[test]
fn nothing_is_left_of_a_killed_driver() {
    let cluster = cluster();
    let mut app = App::start(&cluster, &test_jobs(), "gate");
    app.wait("started-0");
    let executors = app.executors();
    app.driver.kill().expect("it runs");
    app.driver.wait().expect("it ends");
    nothing_is_left(&cluster, &app.id, &executors, "");
    let status = cluster.json("jobtracker", &format!("/api/v1/apps/{}", app.id)).expect("known");
    assert_eq!(status["state"], "FAILED", "{status}");
    assert!(status["reason"].as_str().is_some_and(|why| why.starts_with("its driver was silent")), "{status}");
}

#[test]
fn an_application_outlives_its_jobtracker() {
    let cluster = cluster();
    let app = App::start(&cluster, &test_jobs(), "gate");
    (0..6).for_each(|task| app.wait(&format!("started-{task}")));
    let mut executors = app.executors();
    cluster.kill("jobtracker");
    cluster.restart("jobtracker").ok();
    executors.extend(app.executors());
    let id = app.id.clone();
    let (ok, out, err, events) = app.finish();
    assert!(ok, "{err}");
    assert_eq!(out, "15\n");
    assert_eq!(events.iter().filter(|event| event["event"] == "app_started").count(), 1);
    nothing_is_left(&cluster, &id, &executors, "");
    let status = cluster.json("jobtracker", &format!("/api/v1/apps/{id}")).expect("known");
    assert_eq!(status["state"], "SUCCEEDED", "{status}");
}

/// The program with a byte behind its end: another build, which runs the same.
fn other_build(of: &Path, to: &Path) {
    let mut bytes = std::fs::read(of).expect("a program");
    bytes.push(0);
    let aside = to.with_extension("new");
    std::fs::write(&aside, bytes).expect("room");
    std::fs::set_permissions(&aside, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("ours");
    mammoth_platform::durable::rename_unsynced(&aside, to).expect("ours");
}

#[test]
fn a_program_that_is_built_anew_under_a_running_driver_changes_nothing() {
    let cluster = cluster();
    let dir = tempfile::tempdir().expect("a folder");
    let own = dir.path().join("own");
    std::fs::copy(test_jobs(), &own).expect("room");
    let app = App::start(&cluster, &own, "gate");
    other_build(&test_jobs(), &own);
    let victim = app.executors().first().expect("one of them").clone();
    kill(victim.pid);
    app.lost(&victim);
    let (ok, out, err, _) = app.finish();
    assert!(ok && out == "15\n", "executors that come later are of the driver's build: {err}");
}

#[test]
fn executors_of_another_build_are_refused_before_any_task() {
    let cluster = cluster();
    let app = App::start(&cluster, &test_jobs(), "panic");
    drop(app.finish());
    let mut replaced = 0;
    for tracker in (1..=TRACKERS).map(|n| format!("tasktracker-{n}")) {
        for program in std::fs::read_dir(cluster.data(&tracker).join("programs")).expect("programs").flatten() {
            other_build(&test_jobs(), &program.path());
            replaced += 1;
        }
    }
    assert_eq!(replaced, TRACKERS);
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("begin"), "").expect("a file");
    let (program, folder) = (test_jobs().display().to_string(), dir.path().display().to_string());
    let run = cluster.mapred(&["run", "--mode", "memory", &program, "memory", "panic", &folder]);
    assert_eq!((run.code, run.text()), (1, String::new()), "{}", run.err);
    let lines: Vec<&str> = run.err.lines().collect();
    assert_eq!(lines.len(), 3, "where to look, which application, and why not: {}", run.err);
    assert!(lines[2].contains(" runs another build than the driver: "), "{}", run.err);
    let id = lines[1].rsplit(' ').next().expect("an id");
    let events = events(&cluster, id);
    assert!(!events.iter().any(|event| event["event"] == "task_started" || event["event"] == "executor_added"));
    nothing_is_left(&cluster, id, &[], "");
}

/// A command line that is refused: master, arguments, status, and what the last line says.
type Row<'a> = (&'a str, &'a [&'a str], i32, String);

#[test]
fn bad_applications_are_refused_in_one_line_and_leave_nothing() {
    let cluster = cluster();
    cluster.put("/in/a", b"one two two\n");
    cluster.mapred(&["run", "--mode", "memory", "wordcount", "/in", "/out"]).ok();
    assert_eq!(cluster.output("/out"), ["one\t1", "two\t2"]);
    let jobs = test_jobs().display().to_string();
    let fs = cluster.fs();
    let is_no_master = |master: &str| format!("`{master}` is no master: use local, local[N]");
    let rows: [Row<'_>; 12] = [
        ("local[x]", &["wordcount", "/in", "/o"], 1, is_no_master("local[x]")),
        ("local[2", &["wordcount", "/in", "/o"], 1, is_no_master("local[2")),
        ("local-cluster[2,1]", &["wordcount", "/in", "/o"], 1, is_no_master("local-cluster[2,1]")),
        ("local-cluster[0,1,512]", &["wordcount", "/in", "/o"], 1, is_no_master("local-cluster[0,1,512]")),
        ("", &["-D", "spark.executor.cores=many", "wordcount", "/in", "/o"], 1, "spark.executor.cores".to_owned()),
        ("", &["frobnicate", "/in", "/o"], 1, "frobnicate".to_owned()),
        ("", &[&jobs, "nojob"], 1, "memory".to_owned()),
        ("", &[&jobs, "misbehave", "panic", "/in", "/o"], 255, "`misbehave` runs on disk only".to_owned()),
        ("", &["wordcount", "/in"], 255, "Usage: wordcount IN... OUT".to_owned()),
        ("", &["wordcount", "/none", "/o"], 1, format!("Input path does not exist: {fs}/none")),
        ("", &["wordcount", "/in", "/out"], 1, format!("Output directory {fs}/out already exists")),
        ("local[2]", &["wordcount", "/none", "/o"], 1, format!("Input path does not exist: {fs}/none")),
    ];
    for (master, args, code, part) in &rows {
        let mut command = cluster.mapred_command(&[&["run", "--mode", "memory"], *args].concat());
        let run = run(command.env("MAMMOTH_MASTER", master), b"", LIMIT);
        assert_eq!((run.code, run.text()), (*code, String::new()), "{master} {args:?}: {}", run.err);
        // An application that was begun says first where to look.
        let begun = ["The url to track", "Running application"];
        let lines: Vec<&str> =
            run.err.lines().filter(|line| !begun.iter().any(|begun| line.starts_with(begun))).collect();
        assert_eq!(lines.len(), 1, "{master} {args:?}: one line: {}", run.err);
        assert!(lines[0].contains(part), "{master} {args:?}: {part}: {}", run.err);
    }
    assert_eq!(cluster.dfs(&["ls", "/o"]).code, 1, "no output");
    assert_eq!(cluster.output("/out"), ["one\t1", "two\t2"], "what was there is as it was");
    let apps = cluster.json("jobtracker", "/api/v1/apps").expect("applications");
    let apps = apps.as_array().expect("a list");
    assert!(apps.iter().all(|app| app["state"] == "SUCCEEDED" || app["state"] == "FAILED"), "{apps:?}");
    for app in apps {
        nothing_is_left(&cluster, app["app"].as_str().expect("an id"), &[], "");
    }
}

#[test]
fn a_built_in_application_and_an_own_one_without_a_cluster() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("begin"), "").expect("a file");
    std::fs::write(dir.path().join("go"), "").expect("a file");
    let mut command = Command::new(test_jobs());
    command.args(["memory", "shuffle"]).arg(dir.path()).env("MAMMOTH_MASTER", "local-cluster[2,1,256]");
    let run = run(command.env("MAMMOTH_MODE", "memory"), b"", LIMIT).ok();
    assert_eq!(run.text(), "319600\n319600\n");
    assert!(program("mammoth").exists());
}
