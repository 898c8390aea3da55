//! Where the doors leave their requests and the journal its news, and where the driver finds them.
//!
//! Bounded on the doors' side: a request waits asynchronously for a place, so a flood costs its senders time and us no memory.
//! Datanodes have places of their own and are served first, so that no flood of clients makes them look dead.

use super::effect::Ask;
use mammoth_protocol::{ErrorCode, FsError};
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Requests of clients that may wait.
const CLIENT_PLACES: usize = 4096;
/// Requests of datanodes that may wait.
const DATANODE_PLACES: usize = 1024;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// A client or a page.
    Client,
    /// A datanode.
    Datanode,
}

/// What the driver found.
#[derive(Default)]
pub(crate) struct Batch {
    /// Requests, those of datanodes first.
    pub(crate) asks: Vec<Ask>,
    /// Nothing more will come, and the driver is to end.
    pub(crate) closed: bool,
    /// Requests left behind.
    pub(crate) left: usize,
}

/// The inbox; one reader, any number of writers.
pub(crate) struct Inbox {
    state: Mutex<State>,
    news: Condvar,
    clients: Semaphore,
    datanodes: Semaphore,
}

#[derive(Default)]
struct State {
    clients: VecDeque<Ask>,
    datanodes: VecDeque<Ask>,
    /// The journal has news since the last look.
    poked: bool,
    closed: bool,
}

impl State {
    fn has_news(&self, with_asks: bool) -> bool {
        let asks = with_asks && !(self.clients.is_empty() && self.datanodes.is_empty());
        asks || self.poked || self.closed
    }
}

/// The namenode ends, and says so to whoever still asks.
pub(crate) fn ending() -> FsError {
    FsError::new(ErrorCode::Retriable, "the namenode is shutting down")
}

impl Inbox {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::default(),
            news: Condvar::new(),
            clients: Semaphore::new(CLIENT_PLACES),
            datanodes: Semaphore::new(DATANODE_PLACES),
        }
    }

    /// Leaves a request, once there is a place for it.
    pub(crate) async fn put(&self, lane: Lane, ask: Ask) -> Result<(), FsError> {
        let places = match lane {
            Lane::Client => &self.clients,
            Lane::Datanode => &self.datanodes,
        };
        places.acquire().await.map_err(|_| ending())?.forget();
        let mut state = self.lock();
        if state.closed {
            return Err(ending());
        }
        match lane {
            Lane::Client => state.clients.push_back(ask),
            Lane::Datanode => state.datanodes.push_back(ask),
        }
        drop(state);
        self.news.notify_one();
        Ok(())
    }

    /// The journal has news.
    pub(crate) fn poke(&self) {
        self.lock().poked = true;
        self.news.notify_one();
    }

    /// Takes no more requests; those that wait are still handed out.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.clients.close();
        self.datanodes.close();
        self.news.notify_one();
    }

    /// Waits up to `patience` for news and takes it, at most `max` requests (0: none, only news of the journal counts).
    pub(crate) fn take(&self, max: usize, patience: Duration) -> Batch {
        let state = self.lock();
        let (mut state, _) = self
            .news
            .wait_timeout_while(state, patience, |state| !state.has_news(max > 0))
            .unwrap_or_else(PoisonError::into_inner);
        let from_datanodes = state.datanodes.len().min(max);
        let from_clients = state.clients.len().min(max - from_datanodes);
        let mut asks: Vec<Ask> = state.datanodes.drain(..from_datanodes).collect();
        asks.extend(state.clients.drain(..from_clients));
        let batch = Batch { asks, closed: state.closed, left: state.clients.len() + state.datanodes.len() };
        state.poked = false;
        drop(state);
        self.clients.add_permits(from_clients);
        self.datanodes.add_permits(from_datanodes);
        batch
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mammoth_namenode_core::api::{Query, Report};
    use mammoth_protocol::Caller;
    use tokio::sync::oneshot;

    fn query() -> Ask {
        let (answer, _) = oneshot::channel();
        Ask::Query { caller: Caller::default(), query: Query::Health, answer }
    }

    fn report() -> Ask {
        let (answer, _) = oneshot::channel();
        Ask::Report { report: Report::RenewLease { client: "c".to_owned() }, answer }
    }

    #[tokio::test]
    async fn datanodes_are_served_first_and_the_rest_stays() {
        let inbox = Inbox::new();
        for _ in 0..3 {
            inbox.put(Lane::Client, query()).await.expect("a place");
        }
        inbox.put(Lane::Datanode, report()).await.expect("a place");
        let batch = inbox.take(2, Duration::ZERO);
        assert!(matches!(batch.asks.as_slice(), [Ask::Report { .. }, Ask::Query { .. }]));
        assert_eq!(batch.left, 2);
        assert!(inbox.take(0, Duration::ZERO).asks.is_empty());
    }

    #[test]
    fn a_poke_ends_the_wait_even_if_no_request_is_wanted() {
        let inbox = Inbox::new();
        inbox.poke();
        assert!(!inbox.take(0, Duration::from_secs(600)).closed);
        inbox.close();
        assert!(inbox.take(0, Duration::from_secs(600)).closed);
    }

    #[tokio::test]
    async fn a_full_lane_waits_for_a_place_and_leaves_the_other_free() {
        let inbox = Inbox::new();
        for _ in 0..CLIENT_PLACES {
            inbox.put(Lane::Client, query()).await.expect("a place");
        }
        let one_more = inbox.put(Lane::Client, query());
        assert!(tokio::time::timeout(Duration::from_millis(20), one_more).await.is_err(), "it waits");
        inbox.put(Lane::Datanode, report()).await.expect("a place");
        assert_eq!(inbox.take(10, Duration::ZERO).asks.len(), 10);
        inbox.put(Lane::Client, query()).await.expect("places were given back");
        inbox.close();
        assert!(inbox.put(Lane::Client, query()).await.is_err());
    }
}
