//! The end of a daemon: asked for from outside, or forced by its first fatal error.
//!
//! One token per daemon, cloned into every part of it. Blocking code waits on it, asynchronous code bridges it with
//! [`Shutdown::subscribe`]. A library that cannot go on calls [`Shutdown::fatal`]; nobody exits the process.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

type Callback = Box<dyn FnOnce() + Send>;

/// A token that is triggered once and stays so; clones are the same token.
#[derive(Clone, Default)]
pub struct Shutdown {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    triggered: Condvar,
}

#[derive(Default)]
struct State {
    triggered: bool,
    fatal: Option<String>,
    next_id: u64,
    callbacks: Vec<(u64, Callback)>,
}

impl Shutdown {
    /// A token that is not triggered.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for the end. Further calls do nothing.
    pub fn trigger(&self) {
        self.end(None);
    }

    /// Asks for the end because of an error; the first reason is kept.
    pub fn fatal(&self, reason: impl Into<String>) {
        self.end(Some(reason.into()));
    }

    /// Whether the end was asked for.
    #[must_use]
    pub fn is_triggered(&self) -> bool {
        self.lock().triggered
    }

    /// The first fatal error, if that is why it ends.
    #[must_use]
    pub fn fatal_reason(&self) -> Option<String> {
        self.lock().fatal.clone()
    }

    /// Blocks until the end is asked for, at most `timeout`; tells whether it was.
    #[must_use]
    pub fn wait(&self, timeout: Duration) -> bool {
        let state = self.lock();
        let (state, _) = self
            .inner
            .triggered
            .wait_timeout_while(state, timeout, |s| !s.triggered)
            .unwrap_or_else(PoisonError::into_inner);
        state.triggered
    }

    /// Blocks until the end is asked for.
    pub fn wait_forever(&self) {
        let state = self.lock();
        drop(self.inner.triggered.wait_while(state, |s| !s.triggered).unwrap_or_else(PoisonError::into_inner));
    }

    /// Calls `callback` once the end is asked for, at once if it was already. It runs on the thread that asks, so it must
    /// not block: it sends to a channel or wakes somebody. Dropping the subscription takes the callback back.
    #[must_use = "the callback is taken back when the subscription is dropped"]
    pub fn subscribe(&self, callback: impl FnOnce() + Send + 'static) -> Subscription {
        let mut state = self.lock();
        if state.triggered {
            drop(state);
            callback();
            return Subscription { shutdown: self.clone(), id: None };
        }
        state.next_id += 1;
        let id = state.next_id;
        state.callbacks.push((id, Box::new(callback)));
        Subscription { shutdown: self.clone(), id: Some(id) }
    }

    fn end(&self, reason: Option<String>) {
        let mut state = self.lock();
        if state.fatal.is_none() {
            state.fatal = reason;
        }
        state.triggered = true;
        let callbacks = std::mem::take(&mut state.callbacks);
        drop(state);
        self.inner.triggered.notify_all();
        for (_, callback) in callbacks {
            callback();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Shutdown").field("triggered", &state.triggered).field("fatal", &state.fatal).finish()
    }
}

/// A callback that waits for the end; see [`Shutdown::subscribe`].
#[derive(Debug)]
pub struct Subscription {
    shutdown: Shutdown,
    id: Option<u64>,
}

impl Subscription {
    /// Keeps the callback for the life of the token.
    pub fn forever(mut self) {
        self.id = None;
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.shutdown.lock().callbacks.retain(|(other, _)| *other != id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn trigger_wakes_a_waiting_thread() {
        let shutdown = Shutdown::new();
        assert!(!shutdown.wait(Duration::from_millis(1)));
        let waiter = shutdown.clone();
        let thread = std::thread::spawn(move || waiter.wait_forever());
        shutdown.trigger();
        thread.join().unwrap();
        assert!(shutdown.wait(Duration::ZERO));
        assert_eq!(shutdown.fatal_reason(), None);
    }

    #[test]
    fn the_first_fatal_reason_is_kept() {
        let shutdown = Shutdown::new();
        shutdown.trigger();
        shutdown.fatal("disk full");
        shutdown.fatal("something that follows from it");
        assert_eq!(shutdown.fatal_reason().as_deref(), Some("disk full"));
    }

    #[test]
    fn callbacks_run_once_late_ones_at_once_and_dropped_ones_never() {
        let shutdown = Shutdown::new();
        let (send, receive) = mpsc::sync_channel(8);
        let to = |n: u32| {
            let send = send.clone();
            move || send.send(n).unwrap()
        };
        shutdown.subscribe(to(1)).forever();
        drop(shutdown.subscribe(to(2)));
        let kept = shutdown.subscribe(to(3));
        shutdown.trigger();
        shutdown.trigger();
        let late = shutdown.subscribe(to(4));
        drop((kept, late));
        assert_eq!(receive.try_iter().collect::<Vec<_>>(), [1, 3, 4]);
    }
}
