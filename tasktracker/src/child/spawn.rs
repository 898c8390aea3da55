//! Starting a process: a group of its own, an environment of few words, one end of a socket pair as standard input.

use crate::names::ChildId;
use mammoth_protocol::jobs::TrackerId;
use mammoth_protocol::jobs::link::{ROLE_VARIABLE, Role};
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::time::Duration;

/// Variables that a child gets as they are here, and the beginning of names of further ones.
const PASSED: &[&str] =
    &["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "LD_LIBRARY_PATH", "HADOOP_CONF_DIR"];
const PASSED_PREFIXES: &[&str] = &["LC_", "RUST_"];
/// Name the attempt or executor, and the tracker, in the environment of all its processes.
pub(crate) const CHILD_VARIABLE: &str = "MAMMOTH_ATTEMPT";
pub(crate) const TRACKER_VARIABLE: &str = "MAMMOTH_TRACKER";
/// Another thread may hold a copy of the program's open file for the moment between its fork and its exec, and the kernel
/// runs no file that is open for writing.
const BUSY_TRIES: u32 = 100;
const BUSY_PAUSE: Duration = Duration::from_millis(5);

/// What to start.
pub(crate) struct Plan {
    pub(crate) child: ChildId,
    pub(crate) tracker: TrackerId,
    pub(crate) role: Role,
    pub(crate) program: PathBuf,
    pub(crate) work: PathBuf,
    /// In whose name it uses the file system.
    pub(crate) user: String,
}

/// What was started.
pub(crate) struct Started {
    pub(crate) child: Child,
    pub(crate) link: UnixStream,
    pub(crate) stdout: ChildStdout,
    pub(crate) stderr: ChildStderr,
}

/// The marks by which all processes of a child can be told.
pub(crate) fn marks(tracker: TrackerId, child: ChildId) -> Vec<String> {
    vec![tracker_mark(tracker), format!("{CHILD_VARIABLE}={child}")]
}

pub(crate) fn tracker_mark(tracker: TrackerId) -> String {
    format!("{TRACKER_VARIABLE}={tracker}")
}

fn passed() -> impl Iterator<Item = (OsString, OsString)> {
    std::env::vars_os().filter(|(name, _)| {
        let name = name.to_string_lossy();
        PASSED.contains(&name.as_ref()) || PASSED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    })
}

/// Starts it. Blocks for the time of a fork.
///
/// # Errors
/// One line that says why not.
pub(crate) fn spawn(plan: &Plan) -> Result<Started, String> {
    let (link, theirs) = UnixStream::pair().map_err(|error| format!("no socket for its link: {error}"))?;
    let theirs = OwnedFd::from(theirs);
    let mut tries = 0;
    let mut child = loop {
        let stdin = theirs.try_clone().map_err(|error| format!("no socket for its link: {error}"))?;
        let spawned = Command::new(&plan.program)
            .current_dir(&plan.work)
            .env_clear()
            .envs(passed())
            .env(ROLE_VARIABLE, plan.role.name())
            .env(CHILD_VARIABLE, plan.child.to_string())
            .env(TRACKER_VARIABLE, plan.tracker.to_string())
            .env("HADOOP_USER_NAME", &plan.user)
            .env("TMPDIR", plan.work.join("tmp"))
            .stdin(Stdio::from(stdin))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn();
        match spawned {
            Ok(child) => break child,
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy && tries < BUSY_TRIES => {
                tries += 1;
                std::thread::sleep(BUSY_PAUSE);
            }
            Err(error) => return Err(format!("cannot start the program {}: {error}", plan.program.display())),
        }
    };
    match (child.stdout.take(), child.stderr.take()) {
        (Some(stdout), Some(stderr)) => Ok(Started { child, link, stdout, stderr }),
        _ => Err("it has no standard output".to_owned()),
    }
}
