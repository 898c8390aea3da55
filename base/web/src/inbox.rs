//! Where doors leave their requests, and the journal its news, for the one thread that owns a state.
//!
//! Bounded on the doors' side: a request waits asynchronously for a place, so a flood costs its senders time and us no memory.
//! Other daemons have places of their own and are served first, so that no flood of clients makes them look dead.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Requests of clients that may wait.
const CLIENT_PLACES: usize = 4096;
/// Requests of other daemons that may wait.
const DAEMON_PLACES: usize = 1024;

/// Requests after which the reader is woken, though their sender said that there would be more.
const UNANNOUNCED_MAX: usize = 32;

/// When the reader is woken for a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Waking {
    /// Now.
    #[default]
    Now,
    /// When the sender calls [`Inbox::announce`], which it does before it sleeps: more may come until then, and waking the
    /// reader for each would make the two threads take turns.
    Announced,
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// A client or a page.
    Client,
    /// Another daemon of the cluster.
    Daemon,
}

/// What the driver found.
#[derive(Debug)]
pub struct Batch<A> {
    /// Requests, those of other daemons first.
    pub asks: Vec<A>,
    /// Nothing more will come, and the driver is to end.
    pub closed: bool,
    /// Requests left behind.
    pub left: usize,
}

/// The inbox; one reader, any number of writers.
pub struct Inbox<A> {
    state: Mutex<State<A>>,
    news: Condvar,
    clients: Semaphore,
    daemons: Semaphore,
}

struct State<A> {
    clients: VecDeque<A>,
    daemons: VecDeque<A>,
    /// The journal has news since the last look.
    poked: bool,
    /// The reader sleeps, and nobody has woken it yet: waking costs a system call, whether anybody sleeps or not.
    sleeps: bool,
    /// Requests since the reader was woken last.
    unannounced: usize,
    closed: bool,
}

impl<A> State<A> {
    fn has_news(&self, with_asks: bool) -> bool {
        let asks = with_asks && !(self.clients.is_empty() && self.daemons.is_empty());
        asks || self.poked || self.closed
    }
}

/// Nobody reads the inbox any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

impl<A> Default for Inbox<A> {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                clients: VecDeque::new(),
                daemons: VecDeque::new(),
                poked: false,
                sleeps: false,
                unannounced: 0,
                closed: false,
            }),
            news: Condvar::new(),
            clients: Semaphore::new(CLIENT_PLACES),
            daemons: Semaphore::new(DAEMON_PLACES),
        }
    }
}

impl<A> Inbox<A> {
    /// Leaves a request, once there is a place for it.
    ///
    /// # Errors
    /// The inbox is closed; the request is dropped.
    pub async fn put(&self, lane: Lane, waking: Waking, ask: A) -> Result<(), Closed> {
        self.places(lane).acquire().await.map_err(|_| Closed)?.forget();
        self.leave(lane, waking, ask).map_err(|_| Closed)
    }

    /// Leaves a request if there is a place for it now.
    ///
    /// # Errors
    /// There is none, or the inbox is closed; the request comes back.
    pub fn try_put(&self, lane: Lane, waking: Waking, ask: A) -> Result<(), A> {
        match self.places(lane).try_acquire() {
            Ok(place) => place.forget(),
            Err(_) => return Err(ask),
        }
        self.leave(lane, waking, ask)
    }

    const fn places(&self, lane: Lane) -> &Semaphore {
        match lane {
            Lane::Client => &self.clients,
            Lane::Daemon => &self.daemons,
        }
    }

    /// Leaves a request at its place; gives it back if nobody reads the inbox any more.
    fn leave(&self, lane: Lane, waking: Waking, ask: A) -> Result<(), A> {
        let mut state = self.lock();
        if state.closed {
            return Err(ask);
        }
        match lane {
            Lane::Client => state.clients.push_back(ask),
            Lane::Daemon => state.daemons.push_back(ask),
        }
        state.unannounced += 1;
        if waking == Waking::Now || state.unannounced >= UNANNOUNCED_MAX {
            self.wake(state);
        }
        Ok(())
    }

    /// Wakes the reader for requests that it was not woken for.
    pub fn announce(&self) {
        let state = self.lock();
        if state.unannounced > 0 {
            self.wake(state);
        }
    }

    /// The journal has news.
    pub fn poke(&self) {
        let mut state = self.lock();
        state.poked = true;
        self.wake(state);
    }

    /// Takes no more requests; those that wait are still handed out.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        self.clients.close();
        self.daemons.close();
        self.wake(state);
    }

    /// Waits up to `patience` for news and takes it, at most `max` requests (0: none, only news of the journal counts).
    pub fn take(&self, max: usize, patience: Duration) -> Batch<A> {
        let state = self.lock();
        let nothing = |state: &mut State<A>| {
            state.sleeps = !state.has_news(max > 0);
            state.sleeps
        };
        let (mut state, _) =
            self.news.wait_timeout_while(state, patience, nothing).unwrap_or_else(PoisonError::into_inner);
        (state.sleeps, state.unannounced) = (false, 0);
        let from_daemons = state.daemons.len().min(max);
        let from_clients = state.clients.len().min(max - from_daemons);
        let mut asks: Vec<A> = state.daemons.drain(..from_daemons).collect();
        asks.extend(state.clients.drain(..from_clients));
        let batch = Batch { asks, closed: state.closed, left: state.clients.len() + state.daemons.len() };
        state.poked = false;
        drop(state);
        self.clients.add_permits(from_clients);
        self.daemons.add_permits(from_daemons);
        batch
    }

    /// Wakes the reader if it sleeps.
    fn wake(&self, mut state: MutexGuard<'_, State<A>>) {
        let sleeps = std::mem::take(&mut state.sleeps);
        state.unannounced = 0;
        drop(state);
        if sleeps {
            self.news.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<A>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[tokio::test]
    async fn daemons_are_served_first_and_the_rest_stays() {
        let inbox = Inbox::default();
        for n in 0..3 {
            inbox.put(Lane::Client, Waking::Now, n).await.expect("a place");
        }
        inbox.put(Lane::Daemon, Waking::Now, 100).await.expect("a place");
        let batch = inbox.take(2, Duration::ZERO);
        assert_eq!(batch.asks, [100, 0]);
        assert_eq!(batch.left, 2);
        assert!(inbox.take(0, Duration::ZERO).asks.is_empty());
    }

    #[test]
    fn a_poke_ends_the_wait_even_if_no_request_is_wanted() {
        let inbox = Inbox::<()>::default();
        inbox.poke();
        assert!(!inbox.take(0, Duration::from_secs(600)).closed);
        inbox.close();
        assert!(inbox.take(0, Duration::from_secs(600)).closed);
    }

    #[tokio::test]
    async fn requests_that_are_to_be_announced_wake_nobody_before() {
        let inbox = Arc::new(Inbox::default());
        for wanted in [3, UNANNOUNCED_MAX] {
            let own = Arc::clone(&inbox);
            let reader = std::thread::spawn(move || own.take(UNANNOUNCED_MAX, Duration::from_secs(60)).asks.len());
            while !inbox.lock().sleeps {
                std::thread::yield_now();
            }
            for n in 0..wanted {
                assert!(inbox.lock().sleeps, "woken for {n} requests");
                inbox.put(Lane::Client, Waking::Announced, n).await.expect("a place");
            }
            if wanted < UNANNOUNCED_MAX {
                inbox.announce();
            }
            assert_eq!(reader.join().expect("no panic"), wanted);
        }
    }

    #[tokio::test]
    async fn a_full_lane_waits_for_a_place_and_leaves_the_other_free() {
        let inbox = Inbox::default();
        for n in 0..CLIENT_PLACES {
            inbox.put(Lane::Client, Waking::Now, n).await.expect("a place");
        }
        let one_more = inbox.put(Lane::Client, Waking::Now, 0);
        assert!(tokio::time::timeout(Duration::from_millis(20), one_more).await.is_err(), "it waits");
        inbox.put(Lane::Daemon, Waking::Now, 1).await.expect("a place");
        assert_eq!(inbox.take(10, Duration::ZERO).asks.len(), 10);
        inbox.put(Lane::Client, Waking::Now, 2).await.expect("places were given back");
        inbox.close();
        assert_eq!(inbox.put(Lane::Client, Waking::Now, 3).await, Err(Closed));
    }
}
