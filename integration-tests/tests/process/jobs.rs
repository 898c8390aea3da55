//! MapReduce on real processes: what comes out, and what happens when tasks, trackers and the jobtracker die.

use crate::harness::{Cluster, Options, Run, poll, words_of};
use rustix::process::Signal;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

/// The program whose jobs misbehave.
pub(crate) fn test_jobs() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_test-jobs"))
}

fn cluster() -> Cluster {
    Cluster::start(Options::fast().jobs(3))
}

/// What counting words gives, one `word TAB count` a line, sorted.
pub(crate) fn counted(text: &str) -> Vec<String> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for word in text.split_whitespace() {
        *counts.entry(word).or_default() += 1;
    }
    let mut lines: Vec<String> = counts.iter().map(|(word, count)| format!("{word}\t{count}")).collect();
    lines.sort();
    lines
}

/// The id of the job that a driver spoke of.
#[track_caller]
pub(crate) fn job_of(said: &str) -> String {
    let at = said.find("Running job: ").unwrap_or_else(|| panic!("no job: {said}"));
    said[at + "Running job: ".len()..].split_whitespace().next().expect("an id").to_owned()
}

pub(crate) fn status(cluster: &Cluster, job: &str) -> Result<Value, String> {
    cluster.json("jobtracker", &format!("/api/v1/jobs/{job}"))
}

pub(crate) fn counter(status: &Value, group: &str, name: &str) -> i64 {
    status["counters"][group][name].as_i64().unwrap_or(0)
}

/// Runs the misbehaving job.
#[track_caller]
fn misbehave(cluster: &Cluster, how: &str, settings: &[&str]) -> Run {
    let program = test_jobs().display().to_string();
    let mut args = vec!["run"];
    for setting in settings {
        args.extend(["-D", setting]);
    }
    args.extend([program.as_str(), "misbehave", how, "/in", "/out"]);
    cluster.mapred(&args)
}

/// Starts the misbehaving job and waits until an attempt of a map runs.
fn start_slow(cluster: &Cluster) -> (Child, String) {
    let program = test_jobs().display().to_string();
    let mut command = cluster.mapred_command(&["run", &program, "misbehave", "slow", "/in", "/out"]);
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the driver starts");
    let job = poll("an attempt runs", LIMIT, || {
        let jobs = cluster.json("jobtracker", "/api/v1/jobs")?;
        let job = jobs[0]["job"].as_str().ok_or("no job")?.to_owned();
        running_on(cluster, &job).map(|_| job)
    });
    (child, job)
}

/// The name of the tasktracker on which the first map of a job runs now.
fn running_on(cluster: &Cluster, job: &str) -> Result<String, String> {
    let tasks = cluster.json("jobtracker", &format!("/api/v1/jobs/{job}/tasks"))?;
    let tasks = tasks.as_array().ok_or("no tasks")?;
    let first =
        tasks.iter().find(|t| t["kind"] == "map" && t["task"].as_str().is_some_and(|id| id.ends_with("_000000")));
    let attempts = first.ok_or("no map")?["attempts"].as_array().ok_or("no attempts")?;
    let running = attempts.iter().find(|a| a["state"] == "RUNNING").ok_or("none runs")?;
    let log = running["log"].as_str().ok_or("no log")?;
    let trackers = (1..=3).map(|n| format!("tasktracker-{n}"));
    let here = |name: &String| log.contains(&cluster.addr(name, "http").to_string());
    trackers.into_iter().find(here).ok_or_else(|| format!("nobody's log: {log}"))
}

/// Processes with this word in their command line or environment.
fn processes_with(word: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("proc").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.bytes().all(|byte| byte.is_ascii_digit()) || name == std::process::id().to_string() {
            continue;
        }
        let read = |file: &str| std::fs::read(entry.path().join(file)).unwrap_or_default();
        let text = [read("cmdline"), read("environ")].concat();
        if String::from_utf8_lossy(&text).contains(word) {
            found.push(name);
        }
    }
    found
}

#[track_caller]
fn finish(child: Child) -> (bool, String) {
    let output = child.wait_with_output().expect("the driver ends");
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn words_are_counted_and_progress_is_told_in_hadoops_lines() {
    let cluster = cluster();
    let text = words_of(1, 5 << 20);
    cluster.put("/in/a", text.as_bytes());
    cluster.put("/in/b", b"one two\r\ntwo three");
    let run = cluster.mapred(&["run", "-D", "mapreduce.job.reduces=3", "wordcount", "/in", "/out"]).ok();
    assert!(cluster.output("/out") == counted(&format!("{text} one two two three")));
    let listed = cluster.dfs(&["ls", "/out"]).ok().text();
    for name in ["/out/_SUCCESS", "/out/part-r-00000", "/out/part-r-00002"] {
        assert!(listed.contains(name), "{listed}");
    }
    assert!(!listed.contains("_temporary"), "{listed}");
    let job = job_of(&run.err);
    for line in [" map 0% reduce 0%", " map 100% reduce 100%"] {
        assert!(run.err.lines().any(|said| said == line), "{line}: {}", run.err);
    }
    assert!(run.err.contains(&format!("Job {job} completed successfully")), "{}", run.err);
    let status = status(&cluster, &job).expect("known");
    let framework = |name: &str| counter(&status, "Map-Reduce Framework", name);
    let words = text.split_whitespace().count() as i64 + 4;
    assert_eq!(framework("Map output records"), words);
    assert_eq!(framework("Reduce input groups"), counted(&format!("{text} one two two three")).len() as i64);
    // Five blocks, the last of which takes the few bytes behind it along, and the small file.
    assert_eq!(counter(&status, "Job Counters", "Launched map tasks"), 6);
    assert_eq!(counter(&status, "Job Counters", "Data-local map tasks"), 6, "every host has every block: {status}");
    assert!(run.err.contains(&format!("Counters: {}", counters_in(&status))), "{}", run.err);
}

fn counters_in(status: &Value) -> usize {
    let groups = status["counters"].as_object().expect("groups");
    groups.values().map(|names| names.as_object().expect("names").len()).sum()
}

#[test]
fn grep_finds_matches() {
    let cluster = cluster();
    cluster.put("/in/a", b"cat cot\ncut cat\n");
    cluster.mapred(&["run", "grep", "/in", "/out", "c[ao]t"]).ok();
    assert_eq!(cluster.dfs(&["cat", "/out/part-*"]).ok().text(), "2\tcat\n1\tcot\n");
    assert_eq!(between(&cluster), "", "what was between its two jobs");
}

/// Folders between the jobs of chains.
fn between(cluster: &Cluster) -> String {
    cluster.dfs(&["ls", "-d", "/tmp/mammoth-mapred-chained-*"]).text()
}

/// Starts a chain of which one job does not end, and interrupts its driver once so many jobs were submitted in all.
fn interrupted(cluster: &Cluster, first: &str, second: &str, submitted: usize) -> (bool, String) {
    let program = test_jobs().display().to_string();
    let mut command = cluster.mapred_command(&["run", &program, "chain", first, second, "/in", "/out"]);
    let driver = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the driver starts");
    let pid = rustix::process::Pid::from_child(&driver);
    poll("the job runs", LIMIT, || {
        let jobs = cluster.json("jobtracker", "/api/v1/jobs")?;
        let all = jobs.as_array().ok_or("no jobs")?;
        let known = all.iter().filter(|job| !job["output"].is_null()).count();
        if known >= submitted { Ok(()) } else { Err(format!("{known} jobs")) }
    });
    rustix::process::kill_process(pid, Signal::INT).expect("it is there");
    finish(driver)
}

#[test]
fn an_interrupted_chain_leaves_nothing_between_its_jobs() {
    let cluster = cluster();
    cluster.put("/in/a", b"cat cot cut\n");
    let (ok, said) = interrupted(&cluster, "slow", "no", 1);
    assert!(!ok && said.contains("Killed job"), "{said}");
    assert_eq!(between(&cluster), "");
    // The second job reads what lies between, and goes on; the next driver of a chain removes that.
    let (ok, said) = interrupted(&cluster, "no", "slow", 3);
    assert!(!ok && said.contains("goes on"), "{said}");
    assert!(between(&cluster).contains("mammoth-mapred-chained-"), "it is read");
    cluster.mapred(&["run", "grep", "/in", "/found", "c[ao]t"]).ok();
    assert!(between(&cluster).contains("mammoth-mapred-chained-"), "it is read still");
    let jobs = cluster.json("jobtracker", "/api/v1/jobs").expect("jobs");
    let job = jobs.as_array().and_then(|all| all.iter().find(|job| job["name"] == "second")).expect("it is there");
    let job = job["job"].as_str().expect("an id");
    cluster.mapred(&["job", "-kill", job]).ok();
    poll("the job ends", LIMIT, || match status(&cluster, job)?["state"].as_str() {
        Some("KILLED") => Ok(()),
        other => Err(format!("{other:?}")),
    });
    cluster.dfs(&["rm", "-r", "/found"]).ok();
    cluster.mapred(&["run", "grep", "/in", "/found", "c[ao]t"]).ok();
    assert_eq!(between(&cluster), "", "nobody needs it any more");
}

#[test]
fn a_job_that_is_not_taken_leaves_nothing() {
    let cluster = cluster();
    cluster.put("/in/a", b"one two\n");
    let program = test_jobs().display().to_string();
    let run = cluster.mapred(&["run", &program, "named", &"x".repeat(13 << 10), "/in", "/out"]);
    assert_eq!(run.code, 1, "{}", run.err);
    assert!(run.err.contains("the job's name and paths have more than") && run.err.lines().count() == 1, "{}", run.err);
    assert_eq!(cluster.dfs(&["ls", "/out"]).code, 1);
    let staged = cluster.dfs(&["ls", "/tmp/mammoth-mapred/staging/jobs"]);
    assert_eq!(staged.text(), "", "the specification of a job that never was");
}

/// A first attempt that ends badly is tried again, and nothing of it stays.
fn survives(how: &str, settings: &[&str], part: &str) {
    let cluster = cluster();
    let text = words_of(2, 100_000);
    cluster.put("/in/a", text.as_bytes());
    let run = misbehave(&cluster, how, settings).ok();
    assert!(cluster.output("/out") == counted(&text));
    assert!(run.err.contains("_m_000000_0, Status : FAILED"), "{}", run.err);
    assert!(run.err.contains(part), "{part}: {}", run.err);
    leaves_nothing(&cluster, &job_of(&run.err));
}

#[track_caller]
fn leaves_nothing(cluster: &Cluster, job: &str) {
    let attempt = job.replacen("job", "attempt", 1);
    poll("nothing of the job is left", LIMIT, || {
        let processes = processes_with(&attempt);
        if !processes.is_empty() {
            return Err(format!("processes {processes:?}"));
        }
        for n in 1..=3 {
            let folder = cluster.data(&format!("tasktracker-{n}")).join("jobs").join(job);
            if folder.exists() {
                return Err(format!("{}", folder.display()));
            }
        }
        Ok(())
    });
}

#[test]
fn a_map_that_panics_is_tried_again() {
    survives("panic", &[], "the map panics, as it was told");
}

#[test]
fn a_map_that_crashes_is_tried_again() {
    survives("abort", &[], "SIGABRT");
}

#[test]
fn a_map_that_exits_early_with_status_0_is_tried_again() {
    survives("exit", &[], "leaving early");
}

#[test]
fn a_map_that_hangs_is_killed_and_tried_again() {
    survives("hang", &["mapreduce.task.timeout=1500"], "no progress");
}

#[test]
fn processes_that_a_map_leaves_behind_are_ended() {
    let cluster = cluster();
    cluster.put("/in/a", b"one two two\n");
    let run = misbehave(&cluster, "linger", &[]).ok();
    assert_eq!(cluster.output("/out"), ["one\t1", "two\t2"]);
    leaves_nothing(&cluster, &job_of(&run.err));
}

#[test]
fn a_task_that_fails_four_times_fails_the_job_with_its_last_words() {
    let cluster = cluster();
    cluster.put("/in/a", b"one two two\n");
    let run = misbehave(&cluster, "always-panic", &[]);
    assert_eq!(run.code, 1, "{}", run.err);
    let job = job_of(&run.err);
    assert!(run.err.contains(&format!("Job {job} failed with state FAILED")), "{}", run.err);
    for (word, times) in [("the map panics, as it was told", 4), ("Log: http", 4), ("log: http", 0)] {
        assert_eq!(run.err.matches(word).count(), times, "{word}, once for each attempt: {}", run.err);
    }
    let status = status(&cluster, &job).expect("known");
    assert_eq!(status["maps"]["failed_attempts"], 4, "{status}");
    assert!(cluster.dfs(&["ls", "/out"]).code == 1, "no output of a failed job");
    leaves_nothing(&cluster, &job);
}

#[test]
fn a_killed_tasktracker_costs_an_attempt_and_no_job() {
    // One that is killed is missed at once, whatever its silence may last.
    for (signal, silence_ms) in [(Signal::KILL, "600000"), (Signal::STOP, "2000")] {
        let options = Options::fast().jobs(3).set("mapreduce.jobtracker.expire.trackers.interval", silence_ms);
        let cluster = Cluster::start(options);
        let text = words_of(3, 3 << 20);
        cluster.put("/in/a", text.as_bytes());
        let (driver, job) = start_slow(&cluster);
        let tracker = running_on(&cluster, &job).expect("it runs");
        if signal == Signal::KILL {
            cluster.kill(&tracker)
        } else {
            cluster.signal(&tracker, signal)
        }
        let (ok, said) = finish(driver);
        assert!(ok, "{signal:?}: {said}");
        assert!(cluster.output("/out") == counted(&text), "{signal:?}");
        if signal == Signal::STOP {
            cluster.signal(&tracker, Signal::CONT);
        }
        poll("its attempts are gone", LIMIT, || {
            let left = processes_with(&job.replacen("job", "attempt", 1));
            if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
        });
    }
}

#[test]
fn a_map_output_that_is_lost_is_made_again() {
    let cluster = cluster();
    let text = words_of(4, 6 << 20);
    cluster.put("/in/a", text.as_bytes());
    // The first map waits for ever until its tracker dies, with it the outputs of others that it holds.
    let (driver, job) = start_slow(&cluster);
    poll("other maps are done", LIMIT, || {
        let done = status(&cluster, &job)?["maps"]["done"].as_u64().unwrap_or(0);
        if done >= 5 { Ok(()) } else { Err(format!("{done} done")) }
    });
    let tracker = running_on(&cluster, &job).expect("it runs");
    cluster.kill(&tracker);
    let (ok, said) = finish(driver);
    assert!(ok, "{said}");
    assert!(cluster.output("/out") == counted(&text));
    let launched = counter(&status(&cluster, &job).expect("known"), "Job Counters", "Launched map tasks");
    assert!(launched > 7, "maps whose outputs were lost ran again: {launched}");
}

#[test]
fn a_killed_jobtracker_comes_back_and_the_job_goes_on() {
    let cluster = cluster();
    let text = words_of(5, 2 << 20);
    cluster.put("/in/a", text.as_bytes());
    let (driver, job) = start_slow(&cluster);
    cluster.kill("jobtracker");
    cluster.restart("jobtracker").ok();
    poll("the job runs again", LIMIT, || running_on(&cluster, &job).map(drop));
    // The map that waits for ever is of the second life now.
    let tracker = running_on(&cluster, &job).expect("it runs");
    cluster.kill(&tracker);
    let (ok, said) = finish(driver);
    assert!(ok, "{said}");
    assert!(cluster.output("/out") == counted(&text));
    leaves_nothing_but(&cluster, &job, &tracker);
}

#[track_caller]
fn leaves_nothing_but(cluster: &Cluster, job: &str, dead: &str) {
    poll("no folder is left on a living tracker", LIMIT, || {
        for name in (1..=3).map(|n| format!("tasktracker-{n}")).filter(|name| name != dead) {
            let folder = cluster.data(&name).join("jobs").join(job);
            if folder.exists() {
                return Err(format!("{}", folder.display()));
            }
        }
        Ok(())
    });
}

#[test]
fn a_killed_job_ends_and_leaves_nothing() {
    let cluster = cluster();
    cluster.put("/in/a", b"one two\n");
    let (driver, job) = start_slow(&cluster);
    let killed = cluster.mapred(&["job", "-kill", &job]).ok().text();
    assert_eq!(killed, format!("Killed job {job}\n"));
    let (ok, said) = finish(driver);
    assert!(!ok && said.contains("KILLED"), "{said}");
    leaves_nothing(&cluster, &job);
    assert!(cluster.dfs(&["ls", "/out"]).code == 1, "no output of a killed job");
    let again = cluster.mapred(&["job", "-kill", &job]);
    assert!(again.code == 1 && again.err.contains("has ended already"), "{}", again.err);
}

#[test]
fn jobs_are_listed_shown_and_survive_a_restart() {
    let cluster = cluster();
    cluster.put("/in/a", b"one two\n");
    let job = job_of(&cluster.mapred(&["run", "wordcount", "/in", "/out"]).ok().err);
    cluster.restart("jobtracker").ok();
    let listed = cluster.mapred(&["job", "-list", "all"]).ok().text();
    assert!(listed.starts_with("1 jobs submitted\n"), "{listed}");
    assert!(listed.lines().any(|line| line.starts_with(&format!("{job}\t2\t"))), "{listed}");
    let shown = cluster.mapred(&["job", "-status", &job]).ok().text();
    assert!(shown.contains("Job State: SUCCEEDED") && shown.contains("Map output records=2"), "{shown}");
    let value = cluster.mapred(&["job", "-counter", &job, "Map-Reduce Framework", "Map input records"]).ok().text();
    assert_eq!(value, "1\n");
    let attempts = cluster.mapred(&["job", "-list-attempt-ids", &job, "map", "completed"]).ok().text();
    assert_eq!(attempts.lines().count(), 1, "from its history: {attempts}");
    poll("the trackers are back", LIMIT, || {
        let live = cluster.mapred(&["job", "-list-active-trackers"]).ok().text();
        if live.lines().count() == 3 { Ok(()) } else { Err(live) }
    });
    for path in ["/", &format!("/jobs/{job}")] {
        let page = cluster.page("jobtracker", path).expect("a page");
        assert!(page.contains("word count") && page.contains("succeeded"), "{page}");
    }
}
