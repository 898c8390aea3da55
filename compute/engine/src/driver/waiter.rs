//! Where the thread of an action waits for its results.

use crate::error::EngineError;
use crate::hub::Hub;
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Waiter {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    results: BTreeMap<u32, Vec<u8>>,
    done: Option<Result<(), EngineError>>,
}

/// The driver's end of a [`Waiter`]: dropping it without a word says that the application has ended.
#[derive(Debug)]
pub(crate) struct Ticket(Arc<Waiter>, Arc<Hub>);

impl Ticket {
    pub(crate) fn new(waiter: &Arc<Waiter>, hub: &Arc<Hub>) -> Self {
        Self(Arc::clone(waiter), Arc::clone(hub))
    }

    pub(super) fn deliver(&self, partition: u32, result: Vec<u8>) {
        self.0.deliver(partition, result);
    }

    pub(super) fn finish(&self, done: Result<(), EngineError>) {
        self.0.finish(done);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let reason = self.1.closed().unwrap_or_else(|| "the context was stopped".to_owned());
        self.0.finish(Err(EngineError::Ended(reason)));
    }
}

impl Waiter {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn deliver(&self, partition: u32, result: Vec<u8>) {
        self.state().results.insert(partition, result);
    }

    fn finish(&self, done: Result<(), EngineError>) {
        self.state().done.get_or_insert(done);
        self.changed.notify_all();
    }

    /// The results by partition.
    pub(crate) fn wait(&self) -> Result<BTreeMap<u32, Vec<u8>>, EngineError> {
        let mut state = self.state();
        loop {
            if let Some(done) = state.done.take() {
                return done.map(|()| std::mem::take(&mut state.results));
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}
