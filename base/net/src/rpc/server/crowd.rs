//! The connections of a server. Their number is bounded; when it is reached, a new one takes the place of one that asks for
//! nothing: of the oldest that has not said who it is, otherwise of the one whose last call is the longest ago. So silent
//! connections keep nobody out. A connection with a call in work keeps its place.

use mammoth_platform::process::is_out_of_descriptors;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};

/// What is known of a connection.
#[derive(Debug, Default)]
pub(super) struct Activity {
    /// It has said who it is.
    introduced: AtomicBool,
    /// Calls that are not answered yet.
    working: AtomicUsize,
    /// When it last did anything, on the count of all connections.
    since: AtomicU64,
    /// That count.
    moments: Arc<AtomicU64>,
}

impl Activity {
    pub(super) fn introduced(&self) {
        self.introduced.store(true, Ordering::Relaxed);
        self.touch();
    }

    /// A call begins; it ends when the guard is dropped.
    pub(super) fn call(self: &Arc<Self>) -> Working {
        self.working.fetch_add(1, Ordering::Relaxed);
        Working(Arc::clone(self))
    }

    fn touch(&self) {
        self.since.store(self.moments.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
    }

    /// In which order idle connections have to go; `None` for one at work.
    fn rank(&self) -> Option<(bool, u64)> {
        let idle = self.working.load(Ordering::Relaxed) == 0;
        idle.then(|| (self.introduced.load(Ordering::Relaxed), self.since.load(Ordering::Relaxed)))
    }
}

/// A call that is in work.
#[derive(Debug)]
pub(super) struct Working(Arc<Activity>);

impl Drop for Working {
    fn drop(&mut self) {
        self.0.touch();
        self.0.working.fetch_sub(1, Ordering::Relaxed);
    }
}

/// All connections.
#[derive(Debug)]
pub(super) struct Crowd {
    max: usize,
    tasks: JoinSet<()>,
    open: HashMap<Id, (Arc<Activity>, AbortHandle)>,
    moments: Arc<AtomicU64>,
}

impl Crowd {
    pub(super) fn new(max: usize) -> Self {
        Self { max, tasks: JoinSet::new(), open: HashMap::new(), moments: Arc::default() }
    }

    /// Makes room for one more; false if every connection is at work.
    pub(super) fn make_room(&mut self) -> bool {
        self.open.len() < self.max || self.evict()
    }

    /// Closes the idle connection that has to go first; false if there is none.
    pub(super) fn evict(&mut self) -> bool {
        let idle = self.open.iter().filter_map(|(id, (activity, _))| activity.rank().map(|rank| (rank, *id)));
        let Some((_, id)) = idle.min_by_key(|(rank, _)| *rank) else { return false };
        if let Some((_, handle)) = self.open.remove(&id) {
            handle.abort();
        }
        true
    }

    /// Descriptors run out before the bound is reached, if the system says so: then an idle connection goes. Any other failure
    /// is that of the new connection alone.
    pub(super) fn accept_failed(&mut self, error: &io::Error) {
        if is_out_of_descriptors(error) {
            self.evict();
        }
    }

    /// Starts a connection: `start` makes it a task of the set, if it can.
    pub(super) fn admit(&mut self, start: impl FnOnce(Arc<Activity>, &mut JoinSet<()>) -> Option<AbortHandle>) {
        let activity = Arc::new(Activity { moments: Arc::clone(&self.moments), ..Activity::default() });
        activity.touch();
        if let Some(handle) = start(Arc::clone(&activity), &mut self.tasks) {
            self.open.insert(handle.id(), (activity, handle));
        }
    }

    /// Waits for the end of any connection; false if there is none.
    pub(super) async fn ended(&mut self) -> bool {
        let Some(ended) = self.tasks.join_next_with_id().await else { return false };
        let id = ended.map_or_else(|error: JoinError| error.id(), |(id, ())| id);
        self.open.remove(&id);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;

    #[tokio::test]
    async fn only_a_lack_of_descriptors_costs_an_idle_connection_its_place() {
        let mut crowd = Crowd::new(10);
        crowd.admit(|_, tasks| Some(tasks.spawn(std::future::pending())));
        for errno in [Errno::CONNABORTED, Errno::INTR, Errno::PROTO, Errno::NOBUFS, Errno::PERM] {
            crowd.accept_failed(&errno.into());
            assert_eq!(crowd.open.len(), 1, "{errno}");
        }
        crowd.accept_failed(&Errno::MFILE.into());
        assert_eq!(crowd.open.len(), 0);
        crowd.admit(|_, tasks| Some(tasks.spawn(std::future::pending())));
        crowd.accept_failed(&Errno::NFILE.into());
        assert_eq!(crowd.open.len(), 0);
    }
}
