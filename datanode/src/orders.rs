//! Carries out what the namenode orders, on a bounded number of threads. Orders are repeated until reports show their
//! effect, so one that is already at work, or for which there is no room now, is dropped.

use crate::error::chain;
use crate::lead::{self, RecoveryOrder};
use crate::namenode::{CallError, NamenodeCaller};
use crate::registration::Registration;
use crate::transfer::{Context, copy};
use mammoth_platform::workers::Waker;
use mammoth_platform::{Clock, Entropy, Shutdown, Worker, WorkerState, Workers};
use mammoth_protocol::internal::{CommitBlockSync, DnCommand, ReplicaPlace, ReportReply, routes};
use mammoth_protocol::{Block, BlockId, Epoch, StorageId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// Deletions that wait.
const DELETIONS_MAX: usize = 100_000;
/// Block recoveries at the same time.
const RECOVERIES_MAX: usize = 8;
/// How long the deleting worker sleeps unless it is woken.
const PAUSE_MS: u64 = 1000;
/// How often the outcome of a recovery is sent before the namenode's next order is waited for.
const COMMITS_MAX: u32 = 10;
/// Pause between two of them.
const COMMIT_PAUSE: Duration = Duration::from_millis(500);

/// The orders of a datanode.
pub(crate) struct Orders {
    pub(crate) workers: Workers,
    pub(crate) transfers: Arc<Context>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) shutdown: Shutdown,
    /// Copies at the same time.
    pub(crate) copies_max: usize,
    pub(crate) running: Arc<Running>,
    pub(crate) removals: Arc<Removals>,
    /// Wakes the worker that deletes.
    pub(crate) waker: OnceLock<Waker>,
}

/// Blocks that are being copied or recovered.
#[derive(Debug, Default)]
pub(crate) struct Running {
    copies: Mutex<BTreeSet<BlockId>>,
    recoveries: Mutex<BTreeSet<BlockId>>,
}

/// Which kind of work a block is in.
#[derive(Clone, Copy, Debug)]
enum Work {
    Copy,
    Recovery,
}

impl Running {
    fn set(&self, work: Work) -> MutexGuard<'_, BTreeSet<BlockId>> {
        let set = match work {
            Work::Copy => &self.copies,
            Work::Recovery => &self.recoveries,
        };
        set.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a block is at work; `None` if it is already, or `max` others are.
    fn begin(self: &Arc<Self>, work: Work, id: BlockId, max: usize) -> Option<AtWork> {
        let mut set = self.set(work);
        (set.len() < max && set.insert(id)).then(|| AtWork { running: Arc::clone(self), work, id })
    }
}

/// A block at work, as long as it lives.
struct AtWork {
    running: Arc<Running>,
    work: Work,
    id: BlockId,
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.running.set(self.work).remove(&self.id);
    }
}

impl Orders {
    /// Takes an order that was given to the registration with this epoch; never waits.
    pub(crate) fn take(&self, command: DnCommand, from: &Arc<Registration>, epoch: Epoch) {
        match command {
            DnCommand::Copy { block, targets } => self.copy(block, targets),
            DnCommand::Recover { block, new_stamp, cut, replicas } => {
                self.recover(RecoveryOrder { block, new_stamp, cut, replicas }, from);
            }
            DnCommand::Delete { storage, blocks } => {
                self.remove(Removal::Delete, storage, blocks, &Giver { registration: Arc::clone(from), epoch });
            }
            DnCommand::DropBad { storage, blocks } => {
                self.remove(Removal::DropBad, storage, blocks, &Giver { registration: Arc::clone(from), epoch });
            }
            DnCommand::Verify { blocks, .. } => {
                if let Some(store) = self.transfers.store.get() {
                    blocks.iter().for_each(|block| store.suspects().add(block.id));
                }
            }
            DnCommand::BalanceRate { bytes_per_second } => self.transfers.balance.set_rate(bytes_per_second),
            // Whoever talks to the namenode does these itself.
            DnCommand::Register | DnCommand::FullReport { .. } => {}
        }
    }

    fn remove(&self, removal: Removal, storage: StorageId, blocks: Vec<Block>, giver: &Giver) {
        self.removals.add(blocks.into_iter().map(|block| (removal, storage, block)), giver);
        if let Some(waker) = self.waker.get() {
            waker.wake();
        }
    }

    fn copy(&self, block: Block, targets: Vec<ReplicaPlace>) {
        let Some(at_work) = self.running.begin(Work::Copy, block.id, self.copies_max) else { return };
        let transfers = Arc::clone(&self.transfers);
        let counter = move |context: &Context, more: bool| {
            let copies = &context.counters.copies;
            if more { copies.fetch_add(1, Ordering::Relaxed) } else { copies.fetch_sub(1, Ordering::Relaxed) }
        };
        self.spawn("copy", move || {
            let _at_work = at_work;
            counter(&transfers, true);
            match copy::push(&transfers, block, &targets) {
                Ok(()) => tracing::debug!(%block, targets = targets.len(), "copied"),
                Err(error) => tracing::warn!(%block, error = %chain(&error), "copy failed"),
            }
            counter(&transfers, false);
        });
    }

    fn recover(&self, order: RecoveryOrder, from: &Arc<Registration>) {
        let Some(at_work) = self.running.begin(Work::Recovery, order.block.id, RECOVERIES_MAX) else { return };
        let (transfers, clock, entropy) =
            (Arc::clone(&self.transfers), Arc::clone(&self.clock), Arc::clone(&self.entropy));
        let (from, shutdown) = (Arc::clone(from), self.shutdown.clone());
        self.spawn("recovery", move || {
            let _at_work = at_work;
            let Ok(store) = transfers.store() else { return };
            let agreed = match lead::recover(store, &order, &clock, &entropy) {
                Ok(agreed) => agreed,
                Err(error) => {
                    tracing::warn!(block = %order.block, error = %chain(&error), "block recovery failed");
                    return;
                }
            };
            tracing::info!(block = %order.block, stamp = %order.new_stamp, len = agreed.len, "block recovered");
            commit(store.datanode, &order, agreed, &from, &shutdown);
        });
    }

    fn spawn(&self, name: &str, work: impl FnOnce() + Send + 'static) {
        let label = name.to_owned();
        let run = move || -> Result<(), String> {
            // A defect in one order must not end the daemon: the order comes again.
            if catch_unwind(AssertUnwindSafe(work)).is_err() {
                tracing::error!(order = label, "an order panicked");
            }
            Ok(())
        };
        if let Err(error) = self.workers.thread(name, run) {
            tracing::warn!(name, %error, "order dropped");
        }
    }
}

/// Tells the namenode what was agreed, until it answers or seems to be gone.
fn commit(
    datanode: mammoth_protocol::DatanodeId,
    order: &RecoveryOrder,
    agreed: lead::Agreed,
    to: &Registration,
    shutdown: &Shutdown,
) {
    let caller = match NamenodeCaller::new(to.addr(), shutdown) {
        Ok(caller) => caller,
        Err(error) => {
            tracing::warn!(block = %order.block, error, "recovery not told to the namenode");
            return;
        }
    };
    for _ in 0..COMMITS_MAX {
        if let Some(epoch) = to.epoch() {
            let message = CommitBlockSync {
                datanode,
                epoch,
                block: order.block,
                new_stamp: order.new_stamp,
                new_len: agreed.len,
                delete: agreed.delete,
                storages: agreed.storages.clone(),
            };
            match caller.post::<ReportReply>(routes::COMMIT_SYNC, &message) {
                Ok(_) | Err(CallError::Stopping) => return,
                Err(error @ CallError::Refused(_)) if !error.is_unregistered() => {
                    tracing::warn!(block = %order.block, %error, "the namenode refuses a recovery");
                    return;
                }
                Err(_) => {}
            }
        }
        if shutdown.wait(COMMIT_PAUSE) {
            return;
        }
    }
    tracing::warn!(block = %order.block, "recovery not told to the namenode, waiting for its next order");
}

/// Which of two ways a replica goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Removal {
    Delete,
    DropBad,
}

/// Who gave an order to delete. It stands as long as the registration that it was given to: with the next one the namenode
/// takes all that is not deleted yet for replicas that are to stay, until it says otherwise.
#[derive(Clone, Debug)]
struct Giver {
    registration: Arc<Registration>,
    epoch: Epoch,
}

impl Giver {
    fn stands(&self) -> bool {
        self.registration.epoch() == Some(self.epoch)
    }
}

/// Replicas that are to go.
#[derive(Debug, Default)]
pub(crate) struct Removals {
    inner: Mutex<Waiting>,
}

type Chore = (Removal, StorageId, Block);

#[derive(Debug, Default)]
struct Waiting {
    queue: VecDeque<Chore>,
    /// What is in the queue, with who said so last.
    known: BTreeMap<Chore, Giver>,
}

impl Removals {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, chores: impl Iterator<Item = Chore>, giver: &Giver) {
        let mut waiting = self.lock();
        for chore in chores {
            if !waiting.known.contains_key(&chore) {
                if waiting.queue.len() >= DELETIONS_MAX {
                    continue;
                }
                waiting.queue.push_back(chore);
            }
            waiting.known.insert(chore, giver.clone());
        }
    }

    fn pop(&self) -> Option<(Chore, Giver)> {
        let mut waiting = self.lock();
        let chore = waiting.queue.pop_front()?;
        let giver = waiting.known.remove(&chore)?;
        Some((chore, giver))
    }
}

/// Deletes replicas one after another.
pub(crate) struct Remover {
    pub(crate) removals: Arc<Removals>,
    pub(crate) transfers: Arc<Context>,
}

impl Worker for Remover {
    fn name(&self) -> &'static str {
        "remove"
    }

    fn work(&mut self) -> Result<WorkerState, String> {
        let Ok(store) = self.transfers.store() else { return Ok(WorkerState::Idle(PAUSE_MS)) };
        let Some(((removal, storage, block), giver)) = self.removals.pop() else {
            return Ok(WorkerState::Idle(PAUSE_MS));
        };
        match removal {
            Removal::Delete => store.delete(storage, block, || giver.stands()).map_err(|error| chain(&error))?,
            Removal::DropBad if giver.stands() => store.drop_bad(storage, block),
            Removal::DropBad => {}
        }
        Ok(WorkerState::Busy)
    }
}
