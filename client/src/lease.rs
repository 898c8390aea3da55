//! Keeps the lease on this client's open files: one thread, for as long as any file is open.
//!
//! One lease covers all files of a client. A renewal that fails is tried again soon; a writer whose lease did expire learns
//! it from its own next call.

use crate::error::ClientError;
use crate::rpc::namenode::{CallOptions, Namenode};
use mammoth_net::data::IdleStreams;
use mammoth_platform::Deadline;
use mammoth_protocol::hadoop::hdfs;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Pause after a renewal that failed, at most.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// The thread ends once no file was open for one such time and none was opened in it: many small files in a row share one
/// thread, which none of them has to wake.
const LINGER: Duration = Duration::from_millis(500);

/// The lease of one client.
#[derive(Debug)]
pub(crate) struct Leases {
    namenode: Arc<Namenode>,
    holder: String,
    interval: Duration,
    idle: Arc<IdleStreams>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    open_files: usize,
    /// Files opened so far.
    opened: u64,
    running: bool,
}

/// One open file; the lease is renewed for as long as one exists.
#[derive(Debug)]
pub(crate) struct LeaseGuard {
    leases: Arc<Leases>,
}

impl Leases {
    /// `idle` are connections that are closed when no file has been open for a while.
    pub(crate) fn new(namenode: Arc<Namenode>, holder: String, interval: Duration, idle: Arc<IdleStreams>) -> Self {
        Self { namenode, holder, interval, idle, state: Mutex::new(State::default()) }
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
        state.opened += 1;
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
        let clock = &**self.namenode.clock();
        let due = Deadline::after(clock, pause);
        let mut opened = None;
        loop {
            let left = due.left(clock);
            std::thread::sleep(if left.is_zero() { LINGER } else { left.min(LINGER) });
            let mut state = self.state();
            let is_idle = state.open_files == 0;
            if is_idle && opened == Some(state.opened) {
                state.running = false;
                drop(state);
                self.idle.clear();
                return false;
            }
            if !is_idle && due.left(clock).is_zero() {
                return true;
            }
            opened = is_idle.then_some(state.opened);
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
        self.leases.state().open_files -= 1;
    }
}
