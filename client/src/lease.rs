//! Keeps the lease on this client's open files: one thread, for as long as any file is open.
//!
//! One lease covers all files of a client. A renewal that fails is tried again soon; a writer whose lease did expire learns
//! it from its own next call.

use crate::error::ClientError;
use crate::rpc::namenode::{CallOptions, Namenode};
use mammoth_platform::Deadline;
use mammoth_protocol::hadoop::hdfs;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Pause after a renewal that failed, at most.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// How long the thread stays without an open file: many small files in a row share one thread.
const LINGER: Duration = Duration::from_millis(500);

/// The lease of one client.
#[derive(Debug)]
pub(crate) struct Leases {
    namenode: Arc<Namenode>,
    holder: String,
    interval: Duration,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    open_files: usize,
    running: bool,
}

/// One open file; the lease is renewed for as long as one exists.
#[derive(Debug)]
pub(crate) struct LeaseGuard {
    leases: Arc<Leases>,
}

impl Leases {
    pub(crate) fn new(namenode: Arc<Namenode>, holder: String, interval: Duration) -> Self {
        Self { namenode, holder, interval, state: Mutex::new(State::default()), changed: Condvar::new() }
    }

    /// Counts a file that is about to be opened.
    pub(crate) fn hold(self: &Arc<Self>) -> Result<LeaseGuard, ClientError> {
        let mut state = self.state();
        if !state.running {
            let leases = Arc::clone(self);
            std::thread::Builder::new()
                .name("dfs-lease".to_owned())
                .spawn(move || leases.run())
                .map_err(|error| ClientError::local("cannot start the thread that renews leases", &error))?;
            state.running = true;
        }
        state.open_files += 1;
        self.changed.notify_all();
        Ok(LeaseGuard { leases: Arc::clone(self) })
    }

    fn run(&self) {
        let mut pause = self.interval;
        while self.wait(pause) {
            pause = match self.renew() {
                Ok(()) => self.interval,
                Err(error) => {
                    tracing::warn!(holder = self.holder, %error, "cannot renew the lease on open files");
                    self.interval.min(RETRY_PAUSE)
                }
            };
        }
    }

    /// Waits until the next renewal is due. False, once no file has been open for a while: the thread is to end, and the
    /// next file to open starts another.
    fn wait(&self, pause: Duration) -> bool {
        let due = Deadline::after(&**self.namenode.clock(), pause);
        let mut state = self.state();
        loop {
            let left = due.left(&**self.namenode.clock());
            let idle = state.open_files == 0;
            if left.is_zero() && !idle {
                return true;
            }
            let time = if idle { LINGER } else { left };
            // It ends early if the first file opens or the last one closes.
            let waited = self.changed.wait_timeout_while(state, time, |state| (state.open_files == 0) == idle);
            let (still, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            state = still;
            if idle && timeout.timed_out() {
                state.running = false;
                return false;
            }
        }
    }

    fn renew(&self) -> Result<(), ClientError> {
        let request = hdfs::RenewLeaseRequestProto { client_name: self.holder.clone(), namespaces: Vec::new() };
        let _: hdfs::RenewLeaseResponseProto = self.namenode.call("renewLease", &request, CallOptions::OPEN_FILE)?;
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for LeaseGuard {
    fn drop(&mut self) {
        let mut state = self.leases.state();
        state.open_files -= 1;
        self.leases.changed.notify_all();
    }
}
