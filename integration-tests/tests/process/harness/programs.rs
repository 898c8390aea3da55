//! The programs under test, built once in the profile of the tests, and a way to run one with a time limit.

use super::Stopwatch;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

/// The built program of this name.
pub(crate) fn program(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(build).join(name)
}

fn build() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace folder");
    let release = std::env::var("MAMMOTH_TEST_PROFILE").is_ok_and(|profile| profile == "release");
    let mut cargo = Command::new(env!("CARGO"));
    // The whole workspace, so that its features are those of the tests and nothing is compiled twice.
    cargo.args(["build", "--quiet", "--workspace", "--bins"]).current_dir(root);
    if release {
        cargo.arg("--release");
    }
    assert!(cargo.status().expect("cargo runs").success(), "the programs do not build");
    // This test binary is target/PROFILE/deps/NAME.
    let own = std::env::current_exe().expect("the test's own path");
    let target = own.ancestors().nth(3).expect("the target folder");
    target.join(if release { "release" } else { "debug" })
}

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Run {
    /// Exit status; -1 if a signal ended it.
    pub(crate) code: i32,
    /// What it printed.
    pub(crate) out: Vec<u8>,
    /// What it complained.
    pub(crate) err: String,
    /// How long it took.
    pub(crate) took: Duration,
}

impl Run {
    /// Standard output as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }

    /// The run itself, if it succeeded.
    ///
    /// # Panics
    /// With what it complained, if it failed.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, 0, "exit status {}\n{}\n{}", self.code, self.err, self.text());
        self
    }
}

/// Runs a command to its end with these bytes on standard input.
///
/// # Panics
/// When it is still running after `limit`; it is killed first.
#[track_caller]
pub(crate) fn run(command: &mut Command, input: &[u8], limit: Duration) -> Run {
    let watch = Stopwatch::start();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_vec();
    // A program that ends without reading its input breaks the pipe, which is its right.
    let feeder = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let pid = rustix::process::Pid::from_child(&child);
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    let output = match receiver.recv_timeout(limit) {
        Ok(output) => output.expect("the output is read"),
        Err(_) => {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            panic!("{command:?} still runs after {limit:?}");
        }
    };
    feeder.join().expect("the feeder does not panic");
    Run {
        code: output.status.code().unwrap_or(-1),
        out: output.stdout,
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
        took: watch.elapsed(),
    }
}
