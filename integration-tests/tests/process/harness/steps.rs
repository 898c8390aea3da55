//! The client that does one step at a time (`test-client`), and can be killed or stopped in the middle of one.

use super::programs::program;
use rustix::process::{Pid, Signal};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// Longer than any step takes whose end is waited for.
const LIMIT: Duration = Duration::from_secs(90);

/// A client process.
pub(crate) struct StepClient {
    child: Child,
    input: ChildStdin,
    answers: Receiver<String>,
}

impl StepClient {
    /// Starts one for the namenode at this address.
    pub(crate) fn start(namenode: SocketAddr, settings: &[(String, String)]) -> Self {
        let mut command = Command::new(program("test-client"));
        command.arg(format!("fs.defaultFS=hdfs://{namenode}"));
        command.args(settings.iter().map(|(key, value)| format!("{key}={value}")));
        Self::spawn(command)
    }

    /// Starts a program that takes steps and answers as `test-client` does.
    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the client starts");
        let input = child.stdin.take().expect("a pipe");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        // One answer a step.
        let (sender, answers) = std::sync::mpsc::sync_channel(16);
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, input, answers }
    }

    /// Its process.
    pub(crate) fn pid(&self) -> i32 {
        Pid::from_child(&self.child).as_raw_nonzero().get()
    }

    /// Gives it a step to do.
    pub(crate) fn tell(&mut self, step: &str) {
        writeln!(self.input, "{step}").and_then(|()| self.input.flush()).expect("the client takes a step");
    }

    /// How the step that it was given last ended; `None` if it is gone, or does not say within the time.
    pub(crate) fn answer_within(&mut self, limit: Duration) -> Option<String> {
        self.answers.recv_timeout(limit).ok()
    }

    /// The answer to the step that it was given last, which must be that it is done: what it says besides.
    #[track_caller]
    pub(crate) fn done(&mut self) -> String {
        let answer = self.answer_within(LIMIT).expect("the client answers");
        answer.strip_prefix("done").unwrap_or_else(|| panic!("{answer}")).trim().to_owned()
    }

    /// A whole step, which must succeed.
    #[track_caller]
    pub(crate) fn ask(&mut self, step: &str) -> String {
        self.tell(step);
        let answer = self.answer_within(LIMIT).unwrap_or_else(|| panic!("{step}: no answer"));
        answer.strip_prefix("done").unwrap_or_else(|| panic!("{step}: {answer}")).trim().to_owned()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        rustix::process::kill_process(Pid::from_child(&self.child), signal).expect("not collected, so it is there");
    }

    /// Kills it and waits for its end.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("not collected, so it is there");
        self.child.wait().expect("it ends");
    }
}

impl Drop for StepClient {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
