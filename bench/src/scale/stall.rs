//! A client that asks without pause, and how long it had to wait at most.

use super::files::Files;
use super::namenode::Namenode;
use crate::meter::Wall;
use mammoth_protocol::hadoop::hdfs::{GetFileInfoRequestProto, GetFileInfoResponseProto};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// A client at work in a thread.
pub(crate) struct Asking {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Waited, String>>,
}

/// What a client saw.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Waited {
    pub(crate) calls: u64,
    /// The longest wait for an answer, milliseconds.
    pub(crate) longest_ms: f64,
    /// Answers that took longer than 50 ms.
    pub(crate) above_50_ms: u64,
}

impl Asking {
    /// Begins to ask for files that stay.
    pub(crate) fn begin(namenode: &Namenode, files: Files) -> Result<Self, String> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let mut caller = namenode.caller()?;
        let thread = std::thread::spawn(move || {
            let mut waited = Waited::default();
            let kept = (files.count - files.doomed).max(1);
            while !stopped.load(Ordering::Relaxed) {
                let n = files.doomed + waited.calls.wrapping_mul(1_000_003) % kept;
                let src = files.path(n);
                let wall = Wall::start();
                let found: GetFileInfoResponseProto = caller.call("getFileInfo", &GetFileInfoRequestProto { src })?;
                let ms = wall.seconds() * 1e3;
                found.fs.ok_or("a file is not there")?;
                waited.calls += 1;
                waited.longest_ms = waited.longest_ms.max(ms);
                waited.above_50_ms += u64::from(ms > 50.0);
            }
            Ok(waited)
        });
        Ok(Self { stop, thread })
    }

    /// Ends; what it saw.
    pub(crate) fn end(self) -> Result<Waited, String> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| "a client panicked".to_owned())?
    }
}
