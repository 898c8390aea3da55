//! As much of HTTP/1.1 as it takes to GET segments over one connection: blocking, on the thread that wants the bytes.
//!
//! A task process lives for seconds and moves whole files: a general client would cost it a runtime and copies of every byte.

use crate::error::is_exhausted;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long a read waits before it looks whether it shall stop.
const SLICE: Duration = Duration::from_millis(100);
/// Bytes that are read at a time; the payloads of large frames go around the buffer.
const BUFFER: usize = 64 * 1024;
/// Longest head of an answer.
const HEAD_MAX: u64 = 16 * 1024;
/// Bytes of an answer's text that are shown.
const TEXT_MAX: u64 = 200;

/// Why there is no segment.
#[derive(Debug)]
pub(super) enum Miss {
    /// No connection.
    Unreachable(String),
    /// The connection ended before a byte of the answer.
    Closed(String),
    /// This process has no more sockets.
    Exhausted(io::Error),
    /// Anything else.
    Failed(String),
}

/// A socket whose reads end when they shall.
struct Patient {
    stream: TcpStream,
    silence_max: Duration,
    stop: Arc<AtomicBool>,
}

impl Read for Patient {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut silence = Duration::ZERO;
        loop {
            match self.stream.read(out) {
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    silence += SLICE;
                    if self.stop.load(Ordering::Relaxed) {
                        return Err(io::Error::other("stopped"));
                    }
                    if silence >= self.silence_max {
                        let text = format!("no byte came for {} ms", silence.as_millis());
                        return Err(io::Error::new(io::ErrorKind::TimedOut, text));
                    }
                }
                done => return done,
            }
        }
    }
}

/// A connection to one server.
pub(super) struct Connection {
    stream: BufReader<Patient>,
    server: String,
    /// Whether it answered a request before: then it may have been closed since.
    is_used: bool,
}

/// The head of an answer with a segment.
#[derive(Debug)]
pub(super) struct Answer {
    /// Bytes of the segment, which follow.
    pub(super) len: u64,
    /// Whether the connection can be used again once they are read.
    pub(super) is_kept: bool,
}

struct Head {
    status: u16,
    len: Option<u64>,
    is_kept: bool,
}

impl Connection {
    pub(super) fn open(
        server: &str,
        connect_timeout: Duration,
        read_timeout: Duration,
        stop: &Arc<AtomicBool>,
    ) -> Result<Self, Miss> {
        let unreachable = |error: io::Error| match is_exhausted(&error) {
            true => Miss::Exhausted(error),
            false => Miss::Unreachable(plain(&error)),
        };
        let mut last = Miss::Unreachable("its name has no address".to_owned());
        for address in server.to_socket_addrs().map_err(unreachable)? {
            match TcpStream::connect_timeout(&address, connect_timeout) {
                Ok(stream) => {
                    let prepared = stream
                        .set_nodelay(true)
                        .and_then(|()| stream.set_read_timeout(Some(SLICE)))
                        .and_then(|()| stream.set_write_timeout(Some(read_timeout)));
                    prepared.map_err(unreachable)?;
                    let patient = Patient { stream, silence_max: read_timeout, stop: Arc::clone(stop) };
                    let stream = BufReader::with_capacity(BUFFER, patient);
                    return Ok(Self { stream, server: server.to_owned(), is_used: false });
                }
                Err(error) => last = unreachable(error),
            }
        }
        Err(last)
    }

    /// Whether a request on it may fail only because the server had closed it.
    pub(super) fn is_used(&self) -> bool {
        self.is_used
    }

    /// Asks for a segment and reads the head of the answer.
    pub(super) fn get(&mut self, path: &str) -> Result<Answer, Miss> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.server);
        let closed = |error: &io::Error| Miss::Closed(plain(error));
        self.stream.get_mut().stream.write_all(request.as_bytes()).map_err(|error| closed(&error))?;
        match self.stream.fill_buf() {
            Ok([]) => return Err(Miss::Closed("the connection was closed".to_owned())),
            Ok(_) => self.is_used = true,
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Err(closed(&error)),
            Err(error) => return Err(Miss::Failed(plain(&error))),
        }
        let head = read_head(&mut self.stream)?;
        match (head.status, head.len) {
            (200, Some(len)) => Ok(Answer { len, is_kept: head.is_kept }),
            (200, None) => Err(Miss::Failed("the answer has no Content-Length".to_owned())),
            (status, len) => Err(Miss::Failed(self.refusal(status, len))),
        }
    }

    /// What a refusal says; the connection is not used again.
    fn refusal(&mut self, status: u16, len: Option<u64>) -> String {
        let mut text = Vec::new();
        let _partly = (&mut self.stream).take(len.unwrap_or(0).min(TEXT_MAX)).read_to_end(&mut text);
        let text = String::from_utf8_lossy(&text);
        match text.trim() {
            "" => format!("HTTP status {status}"),
            text => format!("HTTP status {status}: {}", text.replace(['\n', '\r'], " ")),
        }
    }
}

impl Read for Connection {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.stream.read(out)
    }

    fn read_exact(&mut self, out: &mut [u8]) -> io::Result<()> {
        self.stream.read_exact(out)
    }
}

/// Reads the head of an answer.
fn read_head(stream: &mut impl BufRead) -> Result<Head, Miss> {
    let malformed = || Miss::Failed("the answer is no HTTP".to_owned());
    let mut limited = stream.take(HEAD_MAX);
    let mut line = Vec::new();
    let mut head = Head { status: 0, len: None, is_kept: true };
    loop {
        line.clear();
        limited.read_until(b'\n', &mut line).map_err(|error| Miss::Failed(plain(&error)))?;
        let text = line.strip_suffix(b"\n").ok_or_else(malformed)?;
        let text = std::str::from_utf8(text).map_err(|_| malformed())?.trim_end_matches('\r');
        if head.status == 0 {
            (head.status, head.is_kept) = status(text).ok_or_else(malformed)?;
            continue;
        }
        if text.is_empty() {
            return Ok(head);
        }
        let (name, value) = text.split_once(':').ok_or_else(malformed)?;
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            head.len = Some(value.parse().map_err(|_| malformed())?);
        } else if name.eq_ignore_ascii_case("connection") {
            head.is_kept &= !value.eq_ignore_ascii_case("close");
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(Miss::Failed(format!("the answer is {value}, which nobody expects")));
        }
    }
}

/// For [`crate::fuzzing`].
pub(super) fn fuzz_head(mut bytes: &[u8]) {
    if let Ok(head) = read_head(&mut bytes) {
        assert!(head.status < 1000);
    }
}

/// The status, and whether that version of HTTP keeps connections.
fn status(line: &str) -> Option<(u16, bool)> {
    let rest = line.strip_prefix("HTTP/1.")?;
    let (minor, rest) = rest.split_once(' ')?;
    let code = rest.get(..3).filter(|code| code.bytes().all(|byte| byte.is_ascii_digit()))?;
    Some((code.parse().ok()?, minor == "1"))
}

/// An error without its number.
pub(super) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}
