//! A daemon that runs, in the hands of whoever started it.

use mammoth_platform::{Shutdown, Workers};
use std::ops::Deref;
use std::time::Duration;
use tokio::runtime::Runtime;

/// How long the parts of a daemon may take to end.
const END_PATIENCE: Duration = Duration::from_secs(30);

/// A running daemon, with what there is to say of it. Dropping it asks for its end without waiting.
pub struct Running<T> {
    about: T,
    shutdown: Shutdown,
    workers: Workers,
    /// Its own threads for doors, if it has any; `None` also while it is dropped.
    runtime: Option<Runtime>,
}

impl<T> Running<T> {
    /// A daemon of these threads, which end with this shutdown.
    #[must_use]
    pub fn new(about: T, shutdown: Shutdown, workers: Workers, runtime: Option<Runtime>) -> Self {
        Self { about, shutdown, workers, runtime }
    }

    /// Asks for its end.
    pub fn shutdown(&self) {
        self.shutdown.trigger();
    }

    /// Why it ended by itself, if it did.
    #[must_use]
    pub fn fatal_reason(&self) -> Option<String> {
        self.shutdown.fatal_reason()
    }

    /// Waits until it has ended, by [`Self::shutdown`] or by itself. Blocks the thread: not for asynchronous code.
    ///
    /// # Errors
    /// Why it ended by itself, or what did not end.
    pub fn wait(self) -> Result<(), String> {
        self.shutdown.wait_forever();
        let joined = self.workers.join(END_PATIENCE);
        match (self.shutdown.fatal_reason(), joined) {
            (Some(reason), _) => Err(reason),
            (None, Err(lines)) => Err(lines.join("; ")),
            (None, Ok(())) => Ok(()),
        }
    }
}

impl<T> Deref for Running<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.about
    }
}

impl<T> Drop for Running<T> {
    fn drop(&mut self) {
        self.shutdown.trigger();
        if let Some(runtime) = self.runtime.take() {
            // Dropping it here could block, or panic in asynchronous code.
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doors::door_threads;

    #[test]
    fn a_daemon_ends_when_asked_or_says_why_it_did() {
        let start = |fails: bool| {
            let shutdown = Shutdown::new();
            let workers = Workers::new(shutdown.clone());
            let own = shutdown.clone();
            let body = move || {
                if fails {
                    return Err("no space left".to_owned());
                }
                own.wait_forever();
                Ok(())
            };
            workers.thread("driver", body).expect("a thread");
            Running::new("it", shutdown, workers, None)
        };
        let good = start(false);
        assert_eq!((*good, good.fatal_reason()), ("it", None));
        good.shutdown();
        assert_eq!(good.wait(), Ok(()));
        assert_eq!(start(true).wait(), Err("driver: no space left".to_owned()));
    }

    #[tokio::test]
    async fn dropping_it_asks_for_its_end_even_from_asynchronous_code() {
        let shutdown = Shutdown::new();
        let runtime = door_threads("door", 1, 1).expect("threads");
        drop(Running::new((), shutdown.clone(), Workers::new(shutdown.clone()), Some(runtime)));
        assert!(shutdown.is_triggered());
    }
}
