//! A shuffle server for tests, with faults by command. It counts what it is asked.

use crate::shuffle::OutputReader;
use mammoth_protocol::Uuid;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

/// What is wrong with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Half of the body, then the end of the connection.
    CutShort,
    /// A bit is flipped.
    FlippedBit,
    /// A frame is missing at the end, and the length says so.
    FrameMissing,
    /// 404.
    Absent,
    /// The connection ends instead of an answer.
    Silent,
    /// No answer, and no end either.
    Frozen,
    /// The head stops halfway, and nothing follows.
    FrozenHead,
    /// A body of unknown length.
    Chunked,
    /// Something else than HTTP.
    Rubbish,
    /// The right answer, and then the end of the connection without a word.
    Closing,
}

pub(super) const ALL_BUT_FROZEN: [Fault; 7] = [
    Fault::CutShort,
    Fault::FlippedBit,
    Fault::FrameMissing,
    Fault::Absent,
    Fault::Silent,
    Fault::Chunked,
    Fault::Rubbish,
];

struct Inner {
    dir: PathBuf,
    generation: Uuid,
    /// By output: how many answers are still wrong, and how.
    faults: Mutex<BTreeMap<String, (u32, Fault)>>,
    connections: AtomicU32,
    requests: AtomicU32,
}

pub(super) struct Server {
    inner: Arc<Inner>,
    address: SocketAddr,
}

impl Server {
    pub(super) fn start(dir: &Path, generation: Uuid) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let inner = Arc::new(Inner {
            dir: dir.to_owned(),
            generation,
            faults: Mutex::default(),
            connections: AtomicU32::new(0),
            requests: AtomicU32::new(0),
        });
        let serving = Arc::clone(&inner);
        // The thread ends with the test process.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let inner = Arc::clone(&serving);
                inner.connections.fetch_add(1, Ordering::SeqCst);
                std::thread::spawn(move || inner.serve(stream.unwrap()));
            }
        });
        Self { inner, address }
    }

    pub(super) fn address(&self) -> String {
        self.address.to_string()
    }

    pub(super) fn break_next(&self, output: &str, times: u32, fault: Fault) {
        self.inner.faults.lock().unwrap().insert(output.to_owned(), (times, fault));
    }

    pub(super) fn connections(&self) -> u32 {
        self.inner.connections.load(Ordering::SeqCst)
    }

    pub(super) fn requests(&self) -> u32 {
        self.inner.requests.load(Ordering::SeqCst)
    }
}

impl Inner {
    fn serve(&self, stream: TcpStream) {
        let mut reader = BufReader::new(stream);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            let mut header = String::new();
            while header != "\r\n" {
                header.clear();
                if reader.read_line(&mut header).unwrap_or(0) == 0 {
                    return;
                }
            }
            self.requests.fetch_add(1, Ordering::SeqCst);
            let path = line.split(' ').nth(1).unwrap().to_owned();
            let (answer, goes_on) = self.answer(&path);
            if reader.get_mut().write_all(&answer).is_err() || !goes_on {
                return;
            }
            if answer.is_empty() || !answer.windows(4).any(|end| end == b"\r\n\r\n") {
                // Frozen: until the other side gives up.
                let _end = reader.read(&mut [0; 1]);
                return;
            }
        }
    }

    fn fault(&self, output: &str) -> Option<Fault> {
        let mut faults = self.faults.lock().unwrap();
        let (left, fault) = faults.get_mut(output)?;
        *left = left.checked_sub(1)?;
        Some(*fault)
    }

    /// The bytes to send, and whether the connection goes on.
    fn answer(&self, path: &str) -> (Vec<u8>, bool) {
        let (path, query) = path.split_once('?').unwrap();
        let parts: Vec<&str> = path.split('/').collect();
        let ["", "shuffle", "v1", "job_1_0001", output, partition] = parts[..] else { panic!("{path}") };
        let head =
            |status: &str, len: usize| format!("HTTP/1.1 {status}\r\ncontent-length: {len}\r\n\r\n").into_bytes();
        if query != format!("generation={}", self.generation) {
            return ([&head("410 Gone", 18)[..], b"another generation"].concat(), true);
        }
        let fault = self.fault(output);
        let reader = match OutputReader::open(&self.dir, output) {
            Ok(reader) if fault != Some(Fault::Absent) => reader,
            _ => return ([&head("404 Not Found", 14)[..], b"no such output"].concat(), true),
        };
        let segment = reader.index().segments[partition.parse::<usize>().unwrap()];
        let mut body = vec![0; usize::try_from(segment.len).unwrap()];
        reader.file().read_exact_at(&mut body, segment.offset).unwrap();
        let whole = body.len();
        match fault {
            Some(Fault::CutShort) => body.truncate(whole / 2),
            Some(Fault::FlippedBit) => body[whole / 2] ^= 4,
            Some(Fault::FrameMissing) => {
                body.truncate(whole - 1);
                return ([head("200 OK", whole - 1), body].concat(), true);
            }
            Some(Fault::Silent) => return (Vec::new(), false),
            Some(Fault::Frozen) => return (Vec::new(), true),
            Some(Fault::FrozenHead) => return (b"HTTP/1.1 200 OK\r\nconte".to_vec(), true),
            Some(Fault::Chunked) => {
                return (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n".to_vec(), true);
            }
            Some(Fault::Rubbish) => return (b"SSH-2.0-OpenSSH_9.9\r\n\r\n".to_vec(), false),
            Some(Fault::Closing | Fault::Absent) | None => {}
        }
        let goes_on = !matches!(fault, Some(Fault::CutShort | Fault::Closing));
        ([head("200 OK", whole), body].concat(), goes_on)
    }
}
