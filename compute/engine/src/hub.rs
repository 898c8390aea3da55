//! Where driver and executors meet: orders that wait for executors, reports that came from them, blobs.
//!
//! Executors in the driver's own process use it directly, others through the [door](crate::door).

use crate::executor::link::{BlobError, Gone, Link};
use crate::program::BlobId;
use crate::wire::{Hello, Order, Report};
use mammoth_engine_core::api::TaskKey;
use mammoth_protocol::jobs::ExecutorId;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, OwnedSemaphorePermit};

/// What happened outside of the driver's thread.
#[derive(Debug)]
pub(crate) enum Input {
    /// An executor introduced itself.
    Added(Hello),
    /// An executor lives.
    Heard(ExecutorId),
    /// An executor's connection broke; it may come again.
    Disconnected(ExecutorId),
    /// An executor reported; with its share of the room for large reports, which is free again when this was taken.
    Report(ExecutorId, Report, Option<OwnedSemaphorePermit>),
    /// An executor's process ended, or the cluster says that it did.
    Lost { executor: ExecutorId, reason: String, fault: Fault },
    /// An executor of another build was not let in.
    Stranger { executor: ExecutorId, reason: String },
    /// An action begins.
    Submit(Box<crate::driver::Submission>),
    /// Nothing reads these any more.
    Freed(crate::plan::Freed),
    /// The application ends: why, unless well.
    Stop { failure: Option<String> },
}

/// What an executor was lost by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Perhaps by a task in it.
    Own,
    /// With its tracker, and with it all that lay there.
    Tracker,
}

/// See the module.
pub(crate) struct Hub {
    inbox: SyncSender<Input>,
    state: Mutex<State>,
    /// For executors in this process.
    changed: Condvar,
    /// For requests that wait at the door.
    pub(crate) notify: Notify,
}

#[derive(Default)]
struct State {
    executors: BTreeMap<ExecutorId, Slot>,
    blobs: BTreeMap<BlobId, Blob>,
    /// Executors that nobody announced may say hello: who starts them tells them the secret.
    admits_all: bool,
    closed: Option<String>,
}

struct Blob {
    bytes: Arc<Vec<u8>>,
    uses: usize,
}

/// One executor.
#[derive(Default)]
struct Slot {
    orders: VecDeque<(u64, Order)>,
    next_order: u64,
    /// Number of the last report that was taken; held while one is handed over, so that a repeated one waits for the first.
    reported: Arc<Mutex<u64>>,
    /// It is not listened to any more: why.
    gone: Option<String>,
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").finish_non_exhaustive()
    }
}

/// A blob that the driver holds for executors, as long as a handle lives.
#[derive(Debug)]
pub struct BlobHandle {
    id: BlobId,
    hub: Arc<Hub>,
}

impl BlobHandle {
    /// The blob's name.
    #[must_use]
    pub const fn id(&self) -> BlobId {
        self.id
    }
}

impl Clone for BlobHandle {
    fn clone(&self) -> Self {
        if let Some(blob) = self.hub.state().blobs.get_mut(&self.id) {
            blob.uses += 1;
        }
        Self { id: self.id, hub: Arc::clone(&self.hub) }
    }
}

impl Drop for BlobHandle {
    fn drop(&mut self) {
        self.hub.release_blob(self.id);
    }
}

impl Hub {
    pub(crate) fn new(inbox: SyncSender<Input>) -> Arc<Self> {
        Arc::new(Self { inbox, state: Mutex::default(), changed: Condvar::new(), notify: Notify::new() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        self.changed.notify_all();
        self.notify.notify_waiters();
    }

    /// Hands something to the driver's thread; `false` if that has ended. May wait.
    pub(crate) fn send(&self, input: Input) -> bool {
        self.inbox.send(input).is_ok()
    }

    /// As [`Self::send`] of [`Input::Disconnected`], which may be left out: silence tells the same, later.
    pub(crate) fn disconnected(&self, executor: ExecutorId) {
        tracing::debug!(%executor, "an executor disconnected");
        let _later = self.inbox.try_send(Input::Disconnected(executor));
    }

    /// Holds bytes for executors.
    pub(crate) fn add_blob(self: &Arc<Self>, bytes: Vec<u8>) -> BlobHandle {
        let id = BlobId::of(&bytes);
        let mut state = self.state();
        let blob = state.blobs.entry(id).or_insert_with(|| Blob { bytes: Arc::new(bytes), uses: 0 });
        blob.uses += 1;
        BlobHandle { id, hub: Arc::clone(self) }
    }

    fn release_blob(&self, id: BlobId) {
        let mut state = self.state();
        let Some(blob) = state.blobs.get_mut(&id) else { return };
        blob.uses = blob.uses.saturating_sub(1);
        if blob.uses > 0 {
            return;
        }
        state.blobs.remove(&id);
        for slot in state.executors.values_mut().filter(|slot| slot.gone.is_none()) {
            slot.push(Order::DropBlobs(vec![id]));
        }
        drop(state);
        self.wake();
    }

    pub(crate) fn blob(&self, id: BlobId) -> Option<Arc<Vec<u8>>> {
        self.state().blobs.get(&id).map(|blob| Arc::clone(&blob.bytes))
    }

    /// Bytes of all blobs together.
    pub(crate) fn blob_bytes(&self) -> u64 {
        self.state().blobs.values().map(|blob| blob.bytes.len() as u64).sum()
    }

    /// Makes room for an executor's orders; it has not said hello yet.
    pub(crate) fn expect(&self, executor: ExecutorId) {
        self.state().executors.entry(executor).or_default();
    }

    /// Lets executors say hello that nobody announced.
    pub(crate) fn admit_all(&self) {
        self.state().admits_all = true;
    }

    /// Takes an executor in that says hello.
    pub(crate) fn admit(&self, executor: ExecutorId) -> Result<(), Gone> {
        let mut state = self.state();
        if state.admits_all {
            state.executors.entry(executor).or_default();
        }
        drop(state);
        self.knows(executor)
    }

    /// Whether an executor is one of ours, and listened to.
    pub(crate) fn knows(&self, executor: ExecutorId) -> Result<(), Gone> {
        let state = self.state();
        if let Some(reason) = &state.closed {
            return Err(Gone(reason.clone()));
        }
        match state.executors.get(&executor) {
            Some(Slot { gone: None, .. }) => Ok(()),
            Some(Slot { gone: Some(reason), .. }) => Err(Gone(reason.clone())),
            None => Err(Gone(format!("executor {executor} is not one of this application's"))),
        }
    }

    pub(crate) fn push(&self, executor: ExecutorId, order: Order) {
        if let Some(slot) = self.state().executors.get_mut(&executor)
            && slot.gone.is_none()
        {
            slot.push(order);
        }
        self.wake();
    }

    /// Gives an order to all executors.
    pub(crate) fn push_all(&self, order: &Order) {
        for slot in self.state().executors.values_mut().filter(|slot| slot.gone.is_none()) {
            slot.push(order.clone());
        }
        self.wake();
    }

    /// Stops listening to an executor.
    pub(crate) fn forget(&self, executor: ExecutorId, reason: &str) {
        // Also one that has not said hello yet: it must not be let in any more.
        let mut state = self.state();
        let slot = state.executors.entry(executor).or_default();
        slot.gone.get_or_insert_with(|| reason.to_owned());
        slot.orders.clear();
        drop(state);
        self.wake();
    }

    /// Why nothing is listened to any more, once that is so.
    pub(crate) fn closed(&self) -> Option<String> {
        self.state().closed.clone()
    }

    /// Stops listening to all.
    pub(crate) fn close(&self, reason: &str) {
        let mut state = self.state();
        state.closed.get_or_insert_with(|| reason.to_owned());
        for slot in state.executors.values_mut() {
            slot.orders.clear();
        }
        drop(state);
        self.wake();
    }

    /// Orders after `after`, if there are any; those up to it are done with.
    pub(crate) fn orders_now(&self, executor: ExecutorId, after: u64) -> Result<Vec<(u64, Order)>, Gone> {
        self.knows(executor)?;
        let mut state = self.state();
        Ok(state.executors.get_mut(&executor).map(|slot| slot.after(after)).unwrap_or_default())
    }

    /// As [`Self::orders_now`], waiting for one.
    fn orders_wait(&self, executor: ExecutorId, after: u64, wait: Duration) -> Result<Vec<(u64, Order)>, Gone> {
        self.knows(executor)?;
        let idle = |state: &mut State| {
            let slot = state.executors.get(&executor);
            state.closed.is_none() && slot.is_some_and(|slot| slot.gone.is_none() && slot.last() <= after)
        };
        let state = self.state();
        drop(self.changed.wait_timeout_while(state, wait, idle));
        self.orders_now(executor, after)
    }

    /// Takes a report once. May wait for the driver's thread.
    pub(crate) fn report(
        &self,
        executor: ExecutorId,
        number: u64,
        report: Report,
        room: Option<OwnedSemaphorePermit>,
    ) -> Result<(), Gone> {
        self.knows(executor)?;
        let reported = self.state().executors.get(&executor).map(|slot| Arc::clone(&slot.reported));
        let Some(reported) = reported else { return Ok(()) };
        let mut reported = reported.lock().unwrap_or_else(PoisonError::into_inner);
        if number <= *reported {
            return Ok(());
        }
        if !self.send(Input::Report(executor, report, room)) {
            return Err(Gone("the driver has ended".to_owned()));
        }
        *reported = number;
        Ok(())
    }
}

impl Slot {
    fn push(&mut self, order: Order) {
        self.next_order += 1;
        if let Order::Cancel(task) = &order {
            self.forget_unsent(*task);
        }
        self.orders.push_back((self.next_order, order));
    }

    /// A repeated request to stop a task adds nothing.
    fn forget_unsent(&mut self, task: TaskKey) {
        self.orders.retain(|(_, order)| *order != Order::Cancel(task));
    }

    fn last(&self) -> u64 {
        self.orders.back().map_or(0, |(number, _)| *number)
    }

    fn after(&mut self, after: u64) -> Vec<(u64, Order)> {
        self.orders.retain(|(number, _)| *number > after);
        self.orders.iter().cloned().collect()
    }
}

/// The way of an executor in this process.
pub(crate) struct DirectLink {
    pub(crate) hub: Arc<Hub>,
    pub(crate) executor: ExecutorId,
}

impl Link for DirectLink {
    fn orders(&self, after: u64, wait_ms: u64) -> Result<Vec<(u64, Order)>, Gone> {
        self.hub.orders_wait(self.executor, after, Duration::from_millis(wait_ms))
    }

    fn report(&self, number: u64, report: Report) -> Result<(), Gone> {
        self.hub.report(self.executor, number, report, None)
    }

    fn heard(&self) -> Result<(), Gone> {
        self.hub.knows(self.executor)?;
        self.hub.send(Input::Heard(self.executor));
        Ok(())
    }

    fn blob(&self, id: BlobId) -> Result<Arc<Vec<u8>>, BlobError> {
        self.hub.blob(id).ok_or(BlobError::Unknown(id))
    }
}
