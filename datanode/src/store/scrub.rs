//! Verifying replicas that nobody reads: all of them in turn, slowly, and at once those that somebody doubts.

use super::Store;
use super::replica::State;
use super::verify::{Unfit, Verifier};
use super::volume::Volume;
use super::wall_ms;
use mammoth_platform::{Clock, Worker, WorkerState};
use mammoth_protocol::{Block, BlockId};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// Longest pause, so that changes of the clock or of the settings of a volume are seen.
const PAUSE_MAX_MS: u64 = 60 * 60 * 1000;
/// Doubts that wait; further ones are dropped, as the round gets there too.
const SUSPECTS_MAX: usize = 1024;
/// How long the checker of doubts sleeps unless it is woken.
const SUSPECTS_PAUSE_MS: u64 = 1000;

/// How verifying goes about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ScrubRules {
    /// Time in which every replica is verified once, milliseconds.
    pub(crate) period_ms: u64,
    /// Bytes a second.
    pub(crate) rate: u64,
}

/// Replicas that somebody doubts.
#[derive(Debug, Default)]
pub(crate) struct SuspectQueue {
    blocks: Mutex<VecDeque<BlockId>>,
}

impl SuspectQueue {
    /// A reader complained of wrong bytes.
    pub(crate) fn add(&self, id: BlockId) {
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        if blocks.len() < SUSPECTS_MAX && !blocks.contains(&id) {
            blocks.push_back(id);
        }
    }

    fn pop(&self) -> Option<BlockId> {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

/// A replica that is being verified.
struct Job {
    block: Block,
    verifier: Verifier,
}

/// Opens the complete replica of a block on a volume; a replica that is bad at first sight is set aside.
fn begin(store: &Store, volume: Option<&Volume>, id: BlockId) -> Option<Job> {
    let entry = store.map.find(id)?;
    let state = entry.lock();
    let replica = state.replica.as_ref().filter(|replica| matches!(replica.state, State::Finalized))?;
    if volume.is_some_and(|volume| volume.id != replica.volume.id) {
        return None;
    }
    let (block, storage) = (replica.block(), replica.volume.id);
    match Verifier::open(&replica.data_path(), &replica.meta_path(), block.len) {
        Ok(verifier) => Some(Job { block, verifier }),
        Err(Unfit::Bad(reason)) => {
            drop(state);
            store.set_aside(storage, block, &reason);
            None
        }
        Err(Unfit::Disk(error)) => {
            store.note_failure(&replica.volume, &error);
            None
        }
    }
}

/// Goes on with a job: bytes read, `None` at its end.
fn go_on(store: &Store, job: &mut Job) -> Option<usize> {
    match job.verifier.step() {
        Ok(0) => None,
        Ok(read) => Some(read),
        Err(Unfit::Bad(reason)) => {
            let entry = store.map.find(job.block.id)?;
            let storage = entry.lock().replica.as_ref().map(|replica| replica.volume.id)?;
            store.set_aside(storage, job.block, &reason);
            None
        }
        Err(Unfit::Disk(error)) => {
            tracing::warn!(block = %job.block, %error, "cannot verify");
            None
        }
    }
}

/// Verifies the replicas of one volume in turn.
pub(crate) struct Scrubber {
    name: String,
    store: Arc<Store>,
    volume: Arc<Volume>,
    clock: Arc<dyn Clock>,
    rules: ScrubRules,
    job: Option<Job>,
}

impl Store {
    /// One verifier for each volume.
    pub(crate) fn scrubbers(self: &Arc<Self>, clock: &Arc<dyn Clock>, rules: ScrubRules) -> Vec<Scrubber> {
        let make = |(number, volume): (usize, &Arc<Volume>)| Scrubber {
            name: format!("scrub-{number}"),
            store: Arc::clone(self),
            volume: Arc::clone(volume),
            clock: Arc::clone(clock),
            rules,
            job: None,
        };
        self.volumes.iter().enumerate().map(make).collect()
    }

    /// The verifier of doubted replicas.
    pub(crate) fn suspect_checker(self: &Arc<Self>) -> SuspectChecker {
        SuspectChecker { store: Arc::clone(self), job: None }
    }
}

impl Scrubber {
    /// The next replica of this round; `None` at its end.
    fn next(&self) -> Option<Job> {
        loop {
            let cursor = self.volume.state().scrubbed;
            let entries = self.store.map.after(cursor, 1);
            let (id, _) = entries.first()?;
            self.volume.state().scrubbed = Some(*id);
            if let Some(job) = begin(&self.store, Some(&self.volume), *id) {
                return Some(job);
            }
        }
    }
}

impl Worker for Scrubber {
    fn name(&self) -> &str {
        &self.name
    }

    fn work(&mut self) -> Result<WorkerState, String> {
        if self.volume.failure().is_some() {
            return Ok(WorkerState::Done);
        }
        let now = wall_ms(&self.clock);
        if self.job.is_none() {
            let mut state = self.volume.state();
            if state.scrubbed.is_none() {
                let due = state.scrub_began_ms.saturating_add(self.rules.period_ms);
                // 0: there has been no round yet.
                if (1..=now).contains(&state.scrub_began_ms) && now < due {
                    return Ok(WorkerState::Idle((due - now).min(PAUSE_MAX_MS)));
                }
                state.scrub_began_ms = now;
            }
            drop(state);
            self.job = self.next();
            if self.job.is_none() {
                self.volume.state().scrubbed = None;
                return Ok(WorkerState::Idle(1000));
            }
        }
        let read = self.job.as_mut().and_then(|job| go_on(&self.store, job));
        let Some(read) = read else {
            self.job = None;
            return Ok(WorkerState::Busy);
        };
        let pause = (read as u64).saturating_mul(1000).checked_div(self.rules.rate).unwrap_or(PAUSE_MAX_MS);
        Ok(WorkerState::Idle(pause.min(PAUSE_MAX_MS)))
    }
}

/// Verifies doubted replicas, as fast as the disk allows.
pub(crate) struct SuspectChecker {
    store: Arc<Store>,
    job: Option<Job>,
}

impl Worker for SuspectChecker {
    fn name(&self) -> &'static str {
        "suspects"
    }

    fn work(&mut self) -> Result<WorkerState, String> {
        if self.job.is_none() {
            let Some(id) = self.store.suspects().pop() else { return Ok(WorkerState::Idle(SUSPECTS_PAUSE_MS)) };
            self.job = begin(&self.store, None, id);
        }
        if self.job.as_mut().and_then(|job| go_on(&self.store, job)).is_none() {
            self.job = None;
        }
        Ok(WorkerState::Busy)
    }
}
