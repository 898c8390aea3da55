//! The child's side of the tracker link: JSON lines over standard input, which is one end of a socket pair.
//!
//! The end of the stream means that the tracker is gone; then this process ends at once, and its group with it. The user's code
//! never sees the link: it moves to another descriptor, and standard input reads as empty.

#[cfg(test)]
mod tests;

use crate::error::RuntimeError;
use mammoth_platform::{Deadline, SystemClock};
use mammoth_protocol::jobs::link::{FromChild, LINE_MAX, ToChild};
use mammoth_protocol::jobs::tracker::OutputEvent;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Longest reason that is sent; the log has the rest.
const REASON_MAX: usize = 64 * 1024;
/// Wait of somebody who is woken for every reason that there is.
const LONG: Duration = Duration::from_secs(60);

/// What the tracker has said so far.
#[derive(Debug, Default)]
struct Heard {
    outputs: Vec<OutputEvent>,
    is_commit_granted: bool,
    stop: Option<String>,
}

struct Shared {
    writer: Mutex<Box<dyn Write + Send>>,
    heard: Mutex<Heard>,
    changed: Condvar,
}

/// A link to the tracker. Clones are the same link.
#[derive(Clone)]
pub struct Link {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}

impl Link {
    /// Takes the link over from standard input, and waits for the first line, which says what to be.
    ///
    /// # Errors
    /// Standard input is no link, or ends before it said anything.
    pub fn of_stdin() -> Result<(ToChild, Self), RuntimeError> {
        Self::of_stdin_with(|_| {})
    }

    /// As [`Self::of_stdin`], with last words: what is called when the tracker is gone, before this process ends.
    ///
    /// # Errors
    /// As [`Self::of_stdin`].
    pub fn of_stdin_with(last_words: impl FnOnce(&str) + Send + 'static) -> Result<(ToChild, Self), RuntimeError> {
        let failed = |source: rustix::io::Errno| RuntimeError::Io {
            what: "take over standard input".to_owned(),
            source: source.into(),
        };
        let socket = rustix::io::fcntl_dupfd_cloexec(std::io::stdin(), 3).map_err(failed)?;
        let nothing =
            File::open("/dev/null").map_err(|source| RuntimeError::Io { what: "/dev/null".to_owned(), source })?;
        rustix::stdio::dup2_stdin(&nothing).map_err(failed)?;
        let writer = File::from(socket);
        let reader =
            writer.try_clone().map_err(|source| RuntimeError::Io { what: "tracker link".to_owned(), source })?;
        Self::over(reader, writer, |why| {
            last_words(why);
            end_process(why);
        })
    }

    /// A link over any two streams; `ended` is called on the reading thread when the tracker is gone.
    ///
    /// # Errors
    /// The stream ends before the first line, or it is no message; no thread can be had.
    pub fn over(
        reader: impl Read + Send + 'static,
        writer: impl Write + Send + 'static,
        ended: impl FnOnce(&str) + Send + 'static,
    ) -> Result<(ToChild, Self), RuntimeError> {
        let io = |source| RuntimeError::Io { what: "tracker link".to_owned(), source };
        let mut lines = Lines { reader: BufReader::new(reader), line: Vec::new() };
        let first = lines.next().map_err(io)?.ok_or_else(|| io(io::ErrorKind::UnexpectedEof.into()))?;
        let shared = Shared {
            writer: Mutex::new(Box::new(writer)),
            heard: Mutex::new(Heard::default()),
            changed: Condvar::new(),
        };
        let link = Self { shared: Arc::new(shared) };
        let hearing = link.clone();
        let listen = move || {
            let why = match hearing.listen(&mut lines) {
                Ok(()) => "the tracker is gone".to_owned(),
                Err(error) => format!("tracker link: {error}"),
            };
            hearing.hear(|heard| {
                heard.stop.get_or_insert_with(|| why.clone());
            });
            ended(&why);
        };
        std::thread::Builder::new().name("tracker-link".to_owned()).spawn(listen).map_err(io)?;
        Ok((first, link))
    }

    fn listen(&self, lines: &mut Lines<impl Read>) -> io::Result<()> {
        while let Some(message) = lines.next()? {
            self.hear(|heard| match message {
                ToChild::Outputs { events } => heard.outputs.extend(events),
                ToChild::CommitGranted => heard.is_commit_granted = true,
                ToChild::Stop { reason } => {
                    heard.stop.get_or_insert(reason);
                }
                // What a process is cannot change.
                ToChild::Task(_) | ToChild::Executor(_) => {}
            });
        }
        Ok(())
    }

    fn hear(&self, change: impl FnOnce(&mut Heard)) {
        change(&mut self.heard());
        self.shared.changed.notify_all();
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.shared.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says something. A tracker that cannot be told is gone, which the reading thread deals with.
    pub fn send(&self, message: &FromChild) {
        let Ok(mut line) = serde_json::to_vec(message) else { return };
        line.push(b'\n');
        let mut writer = self.shared.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let _gone = writer.write_all(&line).and_then(|()| writer.flush());
    }

    /// Says that the work failed, in one line.
    pub fn send_failed(&self, reason: &str) {
        let mut end = reason.len().min(REASON_MAX);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        self.send(&FromChild::Failed { reason: reason.get(..end).unwrap_or_default().to_owned() });
    }

    /// Events about maps' outputs that were not taken yet; waits for some at most so long.
    ///
    /// # Errors
    /// The tracker wants this process to stop.
    pub fn take_outputs(&self, wait: Duration) -> Result<Vec<OutputEvent>, RuntimeError> {
        let mut heard = self.wait(wait, |heard| !heard.outputs.is_empty())?;
        Ok(std::mem::take(&mut heard.outputs))
    }

    /// Gives on events about maps' outputs as they come, until `ended` and [`Self::wake`].
    ///
    /// # Errors
    /// The tracker wants this process to stop.
    pub fn follow_outputs(&self, ended: &AtomicBool, mut each: impl FnMut(&OutputEvent)) -> Result<(), RuntimeError> {
        while !ended.load(Ordering::SeqCst) {
            let mut heard = self.wait(LONG, |heard| !heard.outputs.is_empty() || ended.load(Ordering::SeqCst))?;
            let events = std::mem::take(&mut heard.outputs);
            drop(heard);
            events.iter().for_each(&mut each);
        }
        Ok(())
    }

    /// Makes whoever waits look again.
    pub fn wake(&self) {
        // Under the lock, so that nobody misses it between looking and waiting.
        drop(self.heard());
        self.shared.changed.notify_all();
    }

    /// Whether the output may be made visible; waits for that at most so long.
    ///
    /// # Errors
    /// The tracker wants this process to stop.
    pub fn wait_commit(&self, wait: Duration) -> Result<bool, RuntimeError> {
        Ok(self.wait(wait, |heard| heard.is_commit_granted)?.is_commit_granted)
    }

    /// Why the tracker wants this process to stop, if it does.
    #[must_use]
    pub fn stop_reason(&self) -> Option<String> {
        self.heard().stop.clone()
    }

    fn wait(&self, wait: Duration, enough: impl Fn(&Heard) -> bool) -> Result<MutexGuard<'_, Heard>, RuntimeError> {
        let deadline = Deadline::after(&SystemClock, wait);
        let mut heard = self.heard();
        loop {
            if let Some(reason) = &heard.stop {
                return Err(RuntimeError::Stopped(reason.clone()));
            }
            let left = deadline.left(&SystemClock);
            if enough(&heard) || left.is_zero() {
                return Ok(heard);
            }
            heard = self.shared.changed.wait_timeout(heard, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Messages, one a line.
struct Lines<R> {
    reader: BufReader<R>,
    line: Vec<u8>,
}

impl<R: Read> Lines<R> {
    /// The next message; `None` at the end, a line without its end included.
    fn next(&mut self) -> io::Result<Option<ToChild>> {
        self.line.clear();
        (&mut self.reader).take(LINE_MAX as u64).read_until(b'\n', &mut self.line)?;
        if self.line.last() != Some(&b'\n') {
            if self.line.len() >= LINE_MAX {
                return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a line of over {LINE_MAX} bytes")));
            }
            return Ok(None);
        }
        Ok(Some(serde_json::from_slice(&self.line)?))
    }
}

/// A line for the log of this process. Not `eprintln`: that panics where nobody reads any more.
pub(crate) fn complain(what: &dyn std::fmt::Display) {
    let _gone = writeln!(io::stderr(), "{what}");
}

/// Ends this process as hard as a lost tracker would want: no destructor, no child that goes on.
fn end_process(why: &str) {
    complain(&format_args!("{why}: this process ends"));
    let own = rustix::process::getpid();
    // Only this process can have made the group of its number; where it made none, there is none. Not asked by `getpgrp`, which
    // cannot answer in a container whose first process belongs to a group outside of it.
    let _ends = rustix::process::kill_process_group(own, rustix::process::Signal::KILL);
    let _ends = rustix::process::kill_process(own, rustix::process::Signal::KILL);
}
