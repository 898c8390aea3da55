//! Daemons as processes of their own: started, recognised, stopped.

use crate::layout::{ClusterDir, Plan, PlannedDaemon, Role, RunningDaemon};
use mammoth_platform::{Deadline, SystemClock};
use rustix::process::{Pid, Signal};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

/// What a daemon prints on standard output once its doors are open.
pub const LISTENING: &str = "listening";

/// How long a daemon has to open its doors: a namenode reads its checkpoint and log before.
const START_LIMIT: Duration = Duration::from_secs(300);

/// How long a daemon has to end in order before it is killed.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// Why a daemon did not start or stop.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The program could not be run.
    #[error("{name}: cannot start {}: {source}", program.display())]
    Spawn {
        /// The daemon.
        name: String,
        /// The program.
        program: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It ended before its doors were open.
    #[error("{name} did not start: {reason} (log: {})", log.display())]
    Ended {
        /// The daemon.
        name: String,
        /// Its last words.
        reason: String,
        /// Its log.
        log: PathBuf,
    },
    /// It cannot be killed.
    #[error("{name}: process {pid} cannot be stopped: {reason}")]
    Stop {
        /// The daemon.
        name: String,
        /// Its process.
        pid: u32,
        /// Why.
        reason: String,
    },
}

/// A started daemon and, unless it is on its own, the handle on its process.
pub struct Started {
    /// For `cluster.json`.
    pub daemon: RunningDaemon,
    /// The process.
    pub child: Child,
}

/// The arguments that start a planned daemon, after the program name.
#[must_use]
pub fn daemon_args(dir: &ClusterDir, planned: &PlannedDaemon, plan: &Plan, user: &[String]) -> Vec<String> {
    let mut args = vec![planned.role.program().to_owned()];
    args.extend(user.iter().cloned());
    for (key, value) in daemon_settings(dir, planned, plan) {
        args.push("-D".to_owned());
        args.push(format!("{key}={value}"));
    }
    args.push("--log".to_owned());
    args.push(dir.log(&planned.name).display().to_string());
    args
}

/// The settings by which one daemon of a cluster differs from another.
#[must_use]
pub fn daemon_settings(dir: &ClusterDir, planned: &PlannedDaemon, plan: &Plan) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let mut set = |key: &str, value: String| pairs.push((key.to_owned(), value));
    let data = dir.data(&planned.name).display().to_string();
    let addrs = &planned.addrs;
    let text = |addr: Option<std::net::SocketAddr>| addr.map(|a| a.to_string()).unwrap_or_default();
    let namenode = plan.namenode().map(|namenode| namenode.addrs);
    let jobtracker = plan.jobtracker().map(|jobtracker| jobtracker.addrs);
    set("mammoth.namenode.internal-address", text(namenode.and_then(|addrs| addrs.internal)));
    if matches!(planned.role, Role::Jobtracker | Role::Tasktracker) {
        set("fs.defaultFS", format!("hdfs://{}", text(namenode.and_then(|addrs| addrs.rpc))));
        set("mammoth.jobtracker.internal-address", text(jobtracker.and_then(|addrs| addrs.internal)));
    }
    match planned.role {
        Role::Namenode => {
            set("dfs.namenode.name.dir", data);
            let logs = dir.log(&planned.name);
            set("hadoop.log.dir", logs.parent().unwrap_or(&logs).display().to_string());
            set("dfs.namenode.rpc-address", text(addrs.rpc));
            set("dfs.namenode.http-address", addrs.http.to_string());
        }
        Role::Datanode => {
            set("dfs.datanode.data.dir", data);
            set("dfs.datanode.address", text(addrs.transfer));
            set("dfs.datanode.http.address", addrs.http.to_string());
            set("dfs.datanode.ipc.address", text(addrs.ipc));
            if let Some(rack) = &planned.rack {
                set("mammoth.datanode.rack", rack.clone());
            }
        }
        Role::Jobtracker => {
            set("mammoth.jobtracker.dir", data);
            set("mapreduce.jobtracker.http.address", addrs.http.to_string());
        }
        Role::Tasktracker => {
            set("mapreduce.cluster.local.dir", data);
            set("mapreduce.tasktracker.http.address", addrs.http.to_string());
            set("mammoth.tasktrackers-on-host", plan.count(Role::Tasktracker).to_string());
        }
    }
    pairs
}

/// Starts a daemon and waits until its doors are open.
///
/// # Errors
/// See [`ProcessError`].
pub fn start(
    dir: &ClusterDir,
    planned: &PlannedDaemon,
    args: Vec<String>,
    lifeline: bool,
) -> Result<Started, ProcessError> {
    let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("mammoth"));
    let log = dir.log(&planned.name);
    let fail = |source| ProcessError::Spawn { name: planned.name.clone(), program: program.clone(), source };
    let errors = File::options().create(true).append(true).open(&log).map_err(fail)?;
    let mut command = Command::new(&program);
    command.args(&args).stdout(Stdio::piped()).stderr(errors);
    command.env("MAMMOTH_DETACHED", "1");
    if lifeline {
        command.arg("--lifeline").stdin(Stdio::piped());
    } else {
        command.stdin(Stdio::null());
    }
    let mut child = command.spawn().map_err(fail)?;
    let pid = child.id();
    let listening = child.stdout.take().map_or(Ok(false), is_listening);
    if listening != Ok(true) {
        let _ = child.kill();
        let _ = child.wait();
        let reason = match listening {
            Err(_) => format!("its doors were not open after {} s", START_LIMIT.as_secs()),
            Ok(_) => last_line(&log).unwrap_or_else(|| "no word in its log".to_owned()),
        };
        return Err(ProcessError::Ended { name: planned.name.clone(), reason, log });
    }
    let daemon = RunningDaemon {
        name: planned.name.clone(),
        pid,
        pid_started: start_ticks(pid).unwrap_or_default(),
        addrs: planned.addrs,
        data: dir.data(&planned.name),
        log,
        args,
    };
    Ok(Started { daemon, child })
}

/// Whether a daemon says that its doors are open; not if it ends before, and an error if it does neither for too long.
fn is_listening(out: ChildStdout) -> Result<bool, RecvTimeoutError> {
    let (sender, receiver) = std::sync::mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let mut lines = BufReader::new(out).lines().map_while(Result::ok);
        sender.send(lines.any(|line| line.starts_with(LISTENING)))
    });
    receiver.recv_timeout(START_LIMIT)
}

fn last_line(log: &std::path::Path) -> Option<String> {
    let text = std::fs::read_to_string(log).ok()?;
    text.lines().rev().find(|line| !line.trim().is_empty()).map(|line| line.trim().to_owned())
}

/// Start time of a process in clock ticks since boot (field 22 of `/proc/PID/stat`); `None` if there is none. One whose first
/// thread has ended while others have not is still there: it holds its ports and locks until the last of them is gone.
#[must_use]
pub fn start_ticks(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold spaces; the fields after it start with the third.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let threads: u64 = fields.get(17)?.parse().ok()?;
    if fields.first() == Some(&"Z") && threads <= 1 {
        return None;
    }
    fields.get(19)?.parse().ok()
}

/// Whether the recorded process still runs.
#[must_use]
pub fn is_alive(pid: u32, started: u64) -> bool {
    start_ticks(pid) == Some(started)
}

/// Ends a process in order, and with force if it does not listen. One that is gone already is success.
///
/// # Errors
/// A process that belongs to another user.
pub fn stop(name: &str, pid: u32, started: u64) -> Result<(), ProcessError> {
    let fail = |reason: String| ProcessError::Stop { name: name.to_owned(), pid, reason };
    let id = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or_else(|| fail("not a process id".to_owned()))?;
    for (signal, limit) in [(Signal::TERM, STOP_LIMIT), (Signal::KILL, STOP_LIMIT)] {
        if !is_alive(pid, started) {
            return Ok(());
        }
        match rustix::process::kill_process(id, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(errno) => return Err(fail(errno.to_string())),
        }
        // A stopped process (SIGSTOP) takes a signal only when it goes on.
        let _ = rustix::process::kill_process(id, Signal::CONT);
        if wait_gone(pid, started, limit) {
            return Ok(());
        }
    }
    Err(fail("it survived SIGKILL".to_owned()))
}

fn wait_gone(pid: u32, started: u64, limit: Duration) -> bool {
    let deadline = Deadline::after(&SystemClock, limit);
    while is_alive(pid, started) {
        if deadline.is_over(&SystemClock) {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_process_is_alive_under_its_start_time_only() {
        let pid = std::process::id();
        let started = start_ticks(pid).expect("this process has a start time");
        assert!(is_alive(pid, started));
        assert!(!is_alive(pid, started + 1));
    }

    #[test]
    fn stop_ends_a_process_and_takes_a_gone_one_for_success() {
        let mut child = Command::new("sleep").arg("600").spawn().expect("sleep runs");
        let started = start_ticks(child.id()).expect("it runs");
        stop("sleep", child.id(), started).expect("stopped");
        child.wait().expect("reaped");
        stop("sleep", child.id(), started).expect("already gone");
    }
}
