//! One copying thread.

use super::book::{Blame, Job};
use super::http::{Connection, Miss, plain};
use super::store::{Contents, Merging, Plan};
use super::{Location, Shared, now_ns};
use crate::disk;
use crate::error::RuntimeError;
use crate::memory::Reservation;
use crate::merge::merge_to_file;
use crate::run::{Run, RunFile, RunMemory};
use crate::shuffle::{FileRange, OutputReader, Segment, paths};
use mammoth_protocol::jobs::shuffle::{FRAME_HEADER_LEN, FrameHeader, is_output_name, route};
use std::io::{self, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// Why a copy ended without a segment.
enum Failure {
    /// The other side's fault: tried again.
    Remote(Blame, String),
    /// This machine's: nothing can go on.
    Local(RuntimeError),
    /// Nobody wants it any more.
    Stopped,
}

impl From<RuntimeError> for Failure {
    fn from(error: RuntimeError) -> Self {
        Self::Local(error)
    }
}

fn remote(reason: impl Into<String>) -> Failure {
    Failure::Remote(Blame::Output, reason.into())
}

/// A connection that the thread keeps for the next job.
type Kept = Option<(Location, Connection)>;

/// Copies until told to stop.
pub(super) fn run(shared: &Arc<Shared>) {
    if catch_unwind(AssertUnwindSafe(|| work(shared))).is_err() {
        shared.state().break_with(RuntimeError::User("a combiner panicked".to_owned()));
        shared.changed.notify_all();
    }
}

fn work(shared: &Arc<Shared>) {
    let mut kept: Kept = None;
    while let Some(job) = next_job(shared, kept.as_ref().map(|(location, _)| location)) {
        let result = copy(shared, &job, &mut kept);
        if result.is_err() {
            kept = None;
        }
        settle(shared, &job, result);
        shared.changed.notify_all();
    }
}

fn next_job(shared: &Shared, near: Option<&Location>) -> Option<Job> {
    let mut state = shared.state();
    loop {
        if shared.is_stopped() || state.is_broken {
            return None;
        }
        let now = now_ns();
        if let Some(job) = state.book.next(now, near) {
            return Some(job);
        }
        state = match state.book.due() {
            Some(due) => {
                let wait = Duration::from_nanos(due.saturating_sub(now).max(1));
                shared.changed.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0
            }
            None => shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
        };
    }
}

/// What was copied, and whether it was written to disk here.
struct Copied {
    run: Run,
    contents: Contents,
    is_written: bool,
}

fn settle(shared: &Shared, job: &Job, result: Result<Copied, Failure>) {
    let map = job.output.map;
    let mut state = shared.state();
    match result {
        Ok(Copied { run, contents, is_written }) => {
            if state.book.succeeded(job) {
                state.store.add(map, run, contents, is_written);
            } else if let Run::Memory(memory) = &run {
                let bytes = memory.bytes.len() as u64;
                state.store.give_back(bytes);
            }
        }
        Err(Failure::Remote(blame, reason)) => {
            tracing::debug!(map, output = %job.output.output, from = %job.output.location, reason, "a fetch failed");
            state.book.failed(job, now_ns(), blame, reason);
        }
        Err(Failure::Local(error)) => {
            state.book.released(job);
            state.break_with(error);
        }
        Err(Failure::Stopped) => state.book.released(job),
    }
}

fn copy(shared: &Arc<Shared>, job: &Job, kept: &mut Kept) -> Result<Copied, Failure> {
    let copied = match &job.output.location {
        Location::Dir(dir) => copy_from_folder(shared, job, dir),
        Location::Server { server, generation } => {
            if !is_output_name(&job.output.output) || !is_output_name(&job.output.owner) {
                return Err(remote("its name is no name of an output"));
            }
            let path = route(&job.output.owner, &job.output.output, shared.config.partition, *generation);
            copy_from_server(shared, job, server, &path, kept)
        }
    };
    match copied {
        Err(_) if shared.is_stopped() => Err(Failure::Stopped),
        copied => copied,
    }
}

fn copy_from_server(
    shared: &Arc<Shared>,
    job: &Job,
    server: &str,
    path: &str,
    kept: &mut Kept,
) -> Result<Copied, Failure> {
    let location = &job.output.location;
    let mut reused = kept.take().filter(|(known, _)| known == location).map(|(_, connection)| connection);
    let (mut connection, answer) = loop {
        let mut connection = match reused.take() {
            Some(connection) => connection,
            None => connect(shared, server)?,
        };
        match connection.get(path) {
            Ok(answer) => break (connection, answer),
            // Between two requests a server may close a connection; on a new one that is a failure.
            Err(Miss::Closed(_)) if connection.is_used() => {}
            Err(miss) => return Err(failure_of(miss, server)),
        }
    };
    let copied = match plan(shared, answer.len)? {
        Some(reservation) => to_memory(shared, &mut connection, answer.len, reservation)?,
        None => to_disk(shared, &mut connection, answer.len)?,
    };
    if answer.is_kept {
        *kept = Some((location.clone(), connection));
    }
    Ok(copied)
}

fn connect(shared: &Shared, server: &str) -> Result<Connection, Failure> {
    let config = &shared.config;
    let opened = Connection::open(server, config.connect_timeout, config.read_timeout, &shared.stop);
    opened.map_err(|miss| failure_of(miss, server))
}

fn failure_of(miss: Miss, server: &str) -> Failure {
    match miss {
        Miss::Unreachable(reason) => Failure::Remote(Blame::Server, reason),
        Miss::Closed(reason) | Miss::Failed(reason) => remote(reason),
        Miss::Exhausted(source) => Failure::Local(RuntimeError::Io { what: format!("connect to {server}"), source }),
    }
}

/// Where a segment shall go: into memory that is reserved, or to disk. Merges memory to disk if that makes room.
fn plan(shared: &Arc<Shared>, len: u64) -> Result<Option<Reservation>, Failure> {
    let mut state = shared.state();
    loop {
        if shared.is_stopped() || state.is_broken {
            return Err(Failure::Stopped);
        }
        match state.store.plan(len) {
            Plan::Memory(reservation) => return Ok(Some(reservation)),
            Plan::Disk => return Ok(None),
            Plan::Wait => state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            Plan::Merge(merging) => {
                drop(state);
                merge(shared, merging)?;
                state = shared.state();
            }
        }
    }
}

fn merge(shared: &Shared, merging: Merging) -> Result<(), RuntimeError> {
    let Merging { runs, mut combining, leaving } = merging;
    let run = merge_to_file(runs, 1, &shared.config.spill, combining.as_mut())?;
    shared.state().store.merged(&leaving, combining, run);
    shared.changed.notify_all();
    Ok(())
}

fn to_memory(shared: &Shared, body: &mut impl Read, len: u64, reservation: Reservation) -> Result<Copied, Failure> {
    let mut segment = Reading { body, left: len, contents: Contents::default() };
    let mut bytes = Vec::new();
    let result = loop {
        match segment.next(&mut bytes, len) {
            Ok(true) => {}
            Ok(false) => break Ok(()),
            Err(failure) => break Err(failure),
        }
    };
    if let Err(failure) = result {
        drop(reservation);
        shared.state().store.give_back(len);
        return Err(failure);
    }
    let run = Run::Memory(RunMemory { bytes, reservation });
    Ok(Copied { run, contents: segment.contents, is_written: false })
}

fn to_disk(shared: &Shared, body: &mut impl Read, len: u64) -> Result<Copied, Failure> {
    let (mut file, mut run) = RunFile::create(&shared.config.spill)?;
    let mut segment = Reading { body, left: len, contents: Contents::default() };
    let mut frame = Vec::new();
    while segment.next(&mut frame, 0)? {
        shared.config.spill.tick()?;
        file.write_all(&frame).map_err(|source| disk::failed("write", run.path(), source))?;
        frame.clear();
    }
    let contents = segment.contents;
    run.set_segment(Segment { offset: 0, len, raw: contents.raw, records: contents.records });
    Ok(Copied { run: Run::File(run), contents, is_written: true })
}

/// Outputs on this machine are merged from where they are, unless they are small; verified they are all the same.
fn copy_from_folder(shared: &Arc<Shared>, job: &Job, dir: &Path) -> Result<Copied, Failure> {
    let of_error = |error: RuntimeError| match error.is_exhaustion() {
        true => Failure::Local(error),
        false => remote(error.to_string()),
    };
    let reader = OutputReader::open(dir, &job.output.output).map_err(of_error)?;
    let partition = shared.config.partition;
    let segment = reader.index().segments.get(partition as usize).copied();
    let segment = segment.ok_or_else(|| remote(format!("it has no partition {partition}")))?;
    let mut body = FileRange::new(Arc::clone(reader.file()), segment.offset, segment.len);
    if let Some(reservation) = plan(shared, segment.len)? {
        return to_memory(shared, &mut body, segment.len, reservation);
    }
    let mut reading = Reading { body: &mut body, left: segment.len, contents: Contents::default() };
    let mut frame = Vec::new();
    while reading.next(&mut frame, 0)? {
        shared.config.spill.tick()?;
        frame.clear();
    }
    let run = RunFile::borrowed(paths(dir, &job.output.output).0, segment);
    Ok(Copied { run: Run::File(run), contents: reading.contents, is_written: false })
}

/// Reads the frames of a segment as they are stored, each verified.
struct Reading<'a, R> {
    body: &'a mut R,
    left: u64,
    contents: Contents,
}

impl<R: Read> Reading<'_, R> {
    /// Appends the next frame with its header; `false` at the end. `expected` is how much `out` will hold in the end.
    fn next(&mut self, out: &mut Vec<u8>, expected: u64) -> Result<bool, Failure> {
        if self.left == 0 {
            return Ok(false);
        }
        let torn = || remote("the segment ends within a frame");
        let mut head = [0; FRAME_HEADER_LEN];
        self.left = self.left.checked_sub(FRAME_HEADER_LEN as u64).ok_or_else(torn)?;
        self.body.read_exact(&mut head).map_err(|error| self.broken(&error))?;
        let header = FrameHeader::decode(&head).map_err(|error| remote(error.to_string()))?;
        self.left = self.left.checked_sub(header.len.into()).ok_or_else(torn)?;
        let start = out.len() + FRAME_HEADER_LEN;
        let end = start + header.len as usize;
        if out.capacity() < end {
            // The whole was granted before; without a limit it would be somebody else's number.
            out.reserve_exact(usize::try_from(expected).unwrap_or(0).max(end) - out.len());
        }
        out.extend_from_slice(&head);
        out.resize(end, 0);
        let payload = out.get_mut(start..).unwrap_or_default();
        if let Err(error) = self.body.read_exact(payload) {
            return Err(self.broken(&error));
        }
        header.verify(payload).map_err(|error| remote(error.to_string()))?;
        self.contents.bytes += (FRAME_HEADER_LEN as u64).saturating_add(header.len.into());
        self.contents.raw += u64::from(header.raw_len);
        self.contents.records += u64::from(header.records);
        Ok(true)
    }

    fn broken(&self, error: &io::Error) -> Failure {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return remote("the segment was cut short");
        }
        remote(plain(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_without_sockets_blames_nobody_else() {
        let full = Miss::Exhausted(io::Error::from_raw_os_error(24));
        assert!(matches!(failure_of(full, "h:1"), Failure::Local(error) if error.is_exhaustion()));
        assert!(matches!(failure_of(Miss::Unreachable(String::new()), "h:1"), Failure::Remote(Blame::Server, _)));
    }
}
