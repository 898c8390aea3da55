//! Several files at a time.

use super::engine::Engine;
use crate::fault::Fault;
use crate::paths::Item;
use crate::session::Session;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Mutex, PoisonError};

/// A file to copy and where to.
type Job = (Item, Item);

/// Threads that copy files.
pub(super) struct Pool<'a> {
    jobs: SyncSender<Job>,
    failures: &'a Mutex<Vec<Fault>>,
}

impl Pool<'_> {
    /// Queues a file, waiting for a free place; reports what failed meanwhile.
    pub(super) fn submit(&self, session: &mut Session<'_>, source: Item, target: Item) -> Result<(), Fault> {
        // The threads end only after the pool does, so there is always a receiver.
        let _ = self.jobs.send((source, target));
        report(session, self.failures)
    }
}

/// Runs `work` with a pool of `threads`; returns once every file that it queued is copied or reported as failed.
pub(super) fn with_pool<T>(
    session: &mut Session<'_>,
    engine: &Engine,
    threads: usize,
    queue: usize,
    work: impl FnOnce(&mut Session<'_>, &Pool<'_>) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let failures = Mutex::new(Vec::new());
    let (send, receive) = mpsc::sync_channel(queue);
    let receive = Mutex::new(receive);
    let result = std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| copy_jobs(engine, &receive, &failures));
        }
        let pool = Pool { jobs: send, failures: &failures };
        work(session, &pool)
        // The end of the pool closes the queue, and the scope waits for the threads.
    });
    report(session, &failures)?;
    result
}

fn copy_jobs(engine: &Engine, jobs: &Mutex<Receiver<Job>>, failures: &Mutex<Vec<Fault>>) {
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((source, target)) = job else { return };
        if let Err(fault) = engine.copy_file(&source, &target) {
            failures.lock().unwrap_or_else(PoisonError::into_inner).push(fault);
        }
    }
}

fn report(session: &mut Session<'_>, failures: &Mutex<Vec<Fault>>) -> Result<(), Fault> {
    let failed = std::mem::take(&mut *failures.lock().unwrap_or_else(PoisonError::into_inner));
    failed.into_iter().try_for_each(|fault| session.absorb(Err(fault)))
}
