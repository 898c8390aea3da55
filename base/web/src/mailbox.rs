//! One inbox as its three sides share it: doors ask, the journal pokes, the one thread that owns the state takes.
//!
//! Whoever asks is told something in any case: a request that is dropped without an answer tells its sender that the daemon
//! ends, and may be asked again. So nobody keeps a list of who waits, and a driver that panics leaves nobody behind.

use crate::inbox::{Batch, Inbox, Lane, Waking};
use mammoth_protocol::{ErrorCode, FsError};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// The way back to whoever asked; nobody may listen any more, which hurts nobody. Dropped unused, it says that the daemon ends.
pub type Way<T> = oneshot::Sender<Result<T, FsError>>;

/// What callers are told while a daemon ends: nothing was done, and they may ask again.
#[must_use]
pub fn ending(daemon: &str) -> FsError {
    FsError::new(ErrorCode::Retriable, format!("the {daemon} is shutting down"))
}

/// The mailbox of one daemon; clones are the same one.
pub struct Mailbox<A> {
    inbox: Arc<Inbox<A>>,
    daemon: &'static str,
    waking: Waking,
}

impl<A> Clone for Mailbox<A> {
    fn clone(&self) -> Self {
        Self { inbox: Arc::clone(&self.inbox), daemon: self.daemon, waking: self.waking }
    }
}

impl<A> Mailbox<A> {
    /// An empty mailbox of this daemon, named as in "the namenode is shutting down".
    #[must_use]
    pub fn new(daemon: &'static str) -> Self {
        Self { inbox: Arc::default(), daemon, waking: Waking::Now }
    }

    /// The same mailbox for threads that call [`Self::announce`] before they sleep.
    #[must_use]
    pub fn announced(&self) -> Self {
        Self { waking: Waking::Announced, ..self.clone() }
    }

    /// The thread that called is about to sleep, so what it asked is to be looked at.
    pub fn announce(&self) {
        self.inbox.announce();
    }

    /// Leaves a request at once, if there is a place for it. What it gives waits for a place otherwise, then for the answer: it
    /// is small, while a function that held the request until it is polled would be moved about with it, for every call.
    ///
    /// # Errors
    /// What the driver answered; [`ending`] if it does not answer any more.
    pub fn ask<'a, T, F>(&'a self, lane: Lane, ask: F) -> impl Future<Output = Result<T, FsError>> + use<'a, T, F, A>
    where
        F: FnOnce(Way<T>) -> A,
    {
        let (answer, waiting) = oneshot::channel();
        let left = self.inbox.try_put(lane, self.waking, ask(answer));
        let put_later = left.err().map(|ask| Box::pin(self.inbox.put(lane, self.waking, ask)));
        async move {
            if let Some(put) = put_later {
                put.await.map_err(|_| ending(self.daemon))?;
            }
            waiting.await.unwrap_or_else(|_| Err(ending(self.daemon)))
        }
    }

    /// Waits for a place for a request that wants no answer. It is lost only if the daemon ends.
    pub async fn tell(&self, lane: Lane, ask: A) {
        let _ended = self.inbox.put(lane, self.waking, ask).await;
    }

    /// The journal has news.
    pub fn poke(&self) {
        self.inbox.poke();
    }

    /// Takes what is there; see [`Inbox::take`].
    pub fn take(&self, max: usize, patience: Duration) -> Batch<A> {
        self.inbox.take(max, patience)
    }

    /// Takes no more requests; the driver answers those that wait, and ends.
    pub fn close(&self) {
        self.inbox.close();
    }

    /// For the doors: closes the mailbox when it is dropped, so that the driver ends after the last of them.
    #[must_use]
    pub fn close_when_dropped(&self) -> Closing<A> {
        Closing { mailbox: self.clone(), empty: false }
    }

    /// For the driver: also turns away what waits then, so that nobody waits for a driver that panicked.
    #[must_use]
    pub fn empty_when_dropped(&self) -> Closing<A> {
        Closing { mailbox: self.clone(), empty: true }
    }
}

/// See [`Mailbox::close_when_dropped`] and [`Mailbox::empty_when_dropped`].
pub struct Closing<A> {
    mailbox: Mailbox<A>,
    empty: bool,
}

impl<A> Drop for Closing<A> {
    fn drop(&mut self) {
        self.mailbox.close();
        if self.empty {
            drop(self.mailbox.take(usize::MAX, Duration::ZERO));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Question = (u32, Way<u32>);

    async fn ask(mailbox: Mailbox<Question>, number: u32) -> Result<u32, FsError> {
        mailbox.ask(Lane::Client, |way| (number, way)).await
    }

    fn turned_away(answer: Result<u32, FsError>) -> bool {
        answer.is_err_and(|error| error.code == ErrorCode::Retriable && error.message.contains("the clerk"))
    }

    #[tokio::test]
    async fn a_closed_mailbox_answers_what_waits_and_turns_the_rest_away() {
        let mailbox = Mailbox::<Question>::new("clerk");
        let closing = mailbox.close_when_dropped();
        let mut waiting = Box::pin(ask(mailbox.clone(), 7));
        assert!(tokio::time::timeout(Duration::ZERO, &mut waiting).await.is_err(), "it waits for an answer");
        drop(closing);
        assert!(turned_away(ask(mailbox.clone(), 8).await));
        let batch = mailbox.take(10, Duration::ZERO);
        assert!(batch.closed);
        for (number, way) in batch.asks {
            way.send(Ok(number + 1)).expect("somebody waits");
        }
        assert_eq!(waiting.await, Ok(8));
    }

    #[tokio::test]
    async fn a_request_that_finds_no_place_waits_for_one() {
        let mailbox = Mailbox::<Question>::new("clerk");
        let mut given_up = Vec::new();
        let full = loop {
            let way = oneshot::channel();
            match mailbox.inbox.try_put(Lane::Client, Waking::Now, (0, way.0)) {
                Ok(()) => given_up.push(way.1),
                Err((number, _)) => break number,
            }
        };
        assert_eq!(full, 0, "the request comes back");
        let mut waiting = Box::pin(ask(mailbox.clone(), 7));
        assert!(tokio::time::timeout(Duration::ZERO, &mut waiting).await.is_err(), "it waits for a place");
        assert_eq!(mailbox.take(usize::MAX, Duration::ZERO).asks.len(), given_up.len());
        assert!(tokio::time::timeout(Duration::ZERO, &mut waiting).await.is_err(), "it waits for an answer");
        let (number, way) = mailbox.take(usize::MAX, Duration::ZERO).asks.pop().expect("the last request");
        way.send(Ok(number + 1)).expect("somebody waits");
        assert_eq!(waiting.await, Ok(8));
    }

    #[tokio::test]
    async fn nobody_waits_for_a_driver_that_is_gone() {
        let mailbox = Mailbox::<Question>::new("clerk");
        let driver = mailbox.empty_when_dropped();
        let mut waiting = Box::pin(ask(mailbox.clone(), 7));
        assert!(tokio::time::timeout(Duration::ZERO, &mut waiting).await.is_err(), "it waits for an answer");
        drop(driver);
        assert!(turned_away(waiting.await));
        assert!(turned_away(ask(mailbox, 8).await));
    }
}
