//! Waits for everything that can happen around one running process: what it says, what is wished of it, its silence, its end.
//!
//! One asynchronous loop for each process; it never touches a disk.

use super::link::{Inbox, Outbox};
use super::verdict::{Cause, Said};
use crate::names::ChildId;
use crate::outputs::Cursor;
use crate::table::{Table, Wish};
use mammoth_platform::{Clock, Deadline};
use mammoth_protocol::jobs::AttemptId;
use mammoth_protocol::jobs::link::{FromChild, ToChild};
use mammoth_protocol::jobs::tracker::FetchFailure;
use rustix::process::{Pid, Signal, kill_process_group, pidfd_send_signal};
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::UnixStream;
use tokio::sync::watch;

/// What a process that was told to stop may take before it is killed.
const STOP_GRACE: Duration = Duration::from_millis(300);
/// What one that has done its work, has failed or has closed its link may take to end.
const LINGER: Duration = Duration::from_secs(10);
/// Events about outputs in one line.
const EVENTS_PER_LINE: usize = 1000;
/// Bytes for the child that may wait before no more is made of them.
const OUTBOX_MAX: usize = 256 * 1024;
const READ_BYTES: usize = 64 * 1024;
/// Bytes that are passed on of why a fetch failed.
const COMPLAINT_BYTES_MAX: usize = 300;

/// What is supervised.
pub(crate) struct Supervised {
    pub(crate) child: ChildId,
    pub(crate) pid: Pid,
    /// Becomes readable at the end of the process.
    pub(crate) pidfd: OwnedFd,
    pub(crate) link: std::os::unix::net::UnixStream,
    pub(crate) first: ToChild,
    /// Silence after which it has failed.
    pub(crate) timeout: Option<Duration>,
    pub(crate) wish: watch::Receiver<Wish>,
    pub(crate) table: Arc<Table>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) said: Said,
    pub(crate) cause: Cause,
}

struct Loop {
    child: ChildId,
    pid: Pid,
    pidfd: OwnedFd,
    table: Arc<Table>,
    clock: Arc<dyn Clock>,
    inbox: Inbox,
    outbox: Outbox,
    cursor: Option<Cursor>,
    timeout: Option<Duration>,
    said: Said,
    cause: Cause,
    /// It waits for the jobtracker, which is no silence of its own.
    asks_commit: bool,
    may_commit: bool,
    granted: bool,
    /// More can come from it.
    is_open: bool,
    /// It does not listen any more.
    is_deaf: bool,
    buffer: Vec<u8>,
    /// When its silence is too long.
    silent: Option<Deadline>,
    /// When it is killed, having been told to stop or having no reason to live.
    last: Option<Deadline>,
    killed: bool,
}

impl Supervised {
    /// Returns once the process has ended by itself or was killed. It has not been reaped then.
    ///
    /// # Errors
    /// The system cannot watch it; it then still runs.
    pub(crate) async fn run(self) -> io::Result<Ended> {
        let Self { child, pid, pidfd, link, first, timeout, mut wish, table, clock } = self;
        link.set_nonblocking(true)?;
        let stream = UnixStream::from_std(link)?;
        let (pidfd, held) = (watched(pidfd.try_clone()?)?, pidfd);
        let cursor = table.outputs_start(child);
        let mut own = Loop {
            child,
            pid,
            pidfd: held,
            table,
            clock,
            inbox: Inbox::default(),
            outbox: Outbox::default(),
            cursor,
            timeout,
            said: Said::Nothing,
            cause: Cause::Itself,
            asks_commit: false,
            may_commit: false,
            granted: false,
            is_open: true,
            is_deaf: false,
            buffer: vec![0; READ_BYTES],
            silent: None,
            last: None,
            killed: false,
        };
        own.outbox.push(&first);
        own.heard();
        own.wishes(&wish.borrow_and_update().clone());
        let mut wishes_come = true;
        loop {
            own.fill();
            let due = own.due();
            tokio::select! {
                ended = pidfd.readable() => {
                    ended?.retain_ready();
                    break;
                }
                _ = stream.readable(), if own.is_open => {
                    own.read(|buffer| stream.try_read(buffer));
                }
                _ = stream.writable(), if !own.is_deaf && !own.outbox.rest().is_empty() => own.write(&stream),
                changed = wish.changed(), if wishes_come => {
                    wishes_come = changed.is_ok();
                    let now = wish.borrow_and_update().clone();
                    own.wishes(&now);
                }
                () = tokio::time::sleep(due.unwrap_or_default()), if due.is_some() => own.overdue(),
            }
        }
        // What it said last may still lie in the socket, without the runtime having heard of it.
        let mut rest = stream.into_std()?;
        while own.is_open && own.read(|buffer| rest.read(buffer)) {}
        Ok(Ended { said: own.said, cause: own.cause })
    }
}

/// Readiness of a descriptor.
#[expect(deprecated, reason = "its safety is a matter of types whose descriptor can change; an OwnedFd keeps its own")]
fn watched(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(fd, Interest::READABLE)
}

impl Loop {
    /// It gave a sign of life.
    fn heard(&mut self) {
        let waits = self.asks_commit && !self.granted;
        self.silent = self.timeout.filter(|_| !waits).map(|timeout| Deadline::after(&*self.clock, timeout));
    }

    /// How long until something is overdue.
    fn due(&self) -> Option<Duration> {
        if self.killed {
            return None;
        }
        let silent = self.silent.filter(|_| self.said == Said::Nothing && self.is_open);
        silent.into_iter().chain(self.last).map(|deadline| deadline.left(&*self.clock)).min()
    }

    fn overdue(&mut self) {
        let over = |deadline: Option<Deadline>| deadline.is_some_and(|deadline| deadline.is_over(&*self.clock));
        let silent = over(self.silent) && self.said == Said::Nothing && self.is_open;
        if over(self.last) {
            let linger = u64::try_from(LINGER.as_millis()).unwrap_or(u64::MAX);
            self.blame(Cause::Lingered(linger));
            self.kill();
        } else if silent {
            let ms = self.timeout.map_or(0, |timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
            self.blame(Cause::Silent(ms));
            self.kill();
        }
    }

    /// The first cause is the cause.
    fn blame(&mut self, cause: Cause) {
        if self.cause == Cause::Itself {
            self.cause = cause;
        }
    }

    /// Kills it with its group; the group's number is its own until it is reaped. It may have moved to another group, which
    /// leaves nobody in its own.
    fn kill(&mut self) {
        self.killed = true;
        let _ = kill_process_group(self.pid, Signal::KILL);
        let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
    }

    /// It has no more reason to live, but may end by itself.
    fn linger(&mut self, for_: Duration) {
        if self.last.is_none() {
            self.last = Some(Deadline::after(&*self.clock, for_));
        }
    }

    fn wishes(&mut self, wish: &Wish) {
        if let Some(reason) = &wish.end
            && !matches!(self.cause, Cause::Ordered(_))
        {
            self.blame(Cause::Ordered(reason.clone()));
            self.outbox.push(&ToChild::Stop { reason: reason.clone() });
            self.last = None;
            self.linger(STOP_GRACE);
        }
        self.may_commit |= wish.commit;
        self.grant();
    }

    fn grant(&mut self) {
        if self.may_commit && self.asks_commit && !self.granted {
            self.granted = true;
            self.outbox.push(&ToChild::CommitGranted);
            self.table.commit_pending(self.child, false);
            self.heard();
        }
    }

    /// Makes lines of the outputs that the child has not been told of, as far as it listens.
    fn fill(&mut self) {
        let (Some(cursor), ChildId::Attempt(attempt)) = (&mut self.cursor, self.child) else { return };
        while !self.is_deaf && self.outbox.rest().len() < OUTBOX_MAX {
            let events = self.table.outputs_after(attempt.task.job, cursor, EVENTS_PER_LINE);
            if events.is_empty() {
                return;
            }
            self.outbox.push(&ToChild::Outputs { events });
        }
    }

    fn write(&mut self, stream: &UnixStream) {
        match stream.try_write(self.outbox.rest()) {
            Ok(len) => self.outbox.taken(len),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => self.is_deaf = true,
        }
    }

    /// Reads once; `false` if there is nothing.
    fn read(&mut self, read: impl FnOnce(&mut [u8]) -> io::Result<usize>) -> bool {
        match read(&mut self.buffer) {
            Ok(len @ 1..) => {
                self.inbox.push(self.buffer.get(..len).unwrap_or_default());
                self.listen();
                true
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
            Ok(_) | Err(_) => {
                self.closed();
                false
            }
        }
    }

    fn closed(&mut self) {
        self.is_open = false;
        self.is_deaf = true;
        self.linger(LINGER);
    }

    fn listen(&mut self) {
        loop {
            match self.inbox.next() {
                Ok(Some(message)) => self.take(message),
                Ok(None) => return,
                Err(reason) => {
                    self.is_open = false;
                    self.blame(Cause::Broken(reason));
                    self.kill();
                    return;
                }
            }
        }
    }

    fn take(&mut self, message: FromChild) {
        match message {
            FromChild::Progress { progress, phase, counters } => {
                self.table.progress(self.child, progress, &phase, counters);
            }
            FromChild::AskCommit => {
                if !self.asks_commit {
                    self.asks_commit = true;
                    self.table.commit_pending(self.child, true);
                    self.grant();
                }
            }
            FromChild::FetchFailed { map, reason } => {
                if let ChildId::Attempt(reduce) = self.child {
                    self.table.fetch_failed(failure(reduce, map, &reason));
                }
            }
            FromChild::Done { counters, partitions } => {
                if self.said == Said::Nothing {
                    self.said = Said::Done { counters, partitions };
                    self.linger(LINGER);
                }
            }
            FromChild::Failed { reason } => {
                self.said = Said::Failed(if reason.is_empty() { "it failed".to_owned() } else { reason });
                self.linger(LINGER);
            }
        }
        self.heard();
    }
}

fn failure(reduce: AttemptId, map: AttemptId, reason: &str) -> FetchFailure {
    let mut end = reason.len().min(COMPLAINT_BYTES_MAX);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    FetchFailure { reduce, map, reason: reason.get(..end).unwrap_or_default().to_owned() }
}
