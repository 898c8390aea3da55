//! The doors of a daemon: the threads that serve them, what makes them close, and what ends after them.

use crate::serve::{ServeLimits, serve};
use axum::Router;
use mammoth_platform::Shutdown;
use std::io;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// Stack of a thread that serves doors; nothing there recurses.
const STACK_BYTES: usize = 512 * 1024;

/// Threads that serve doors: `threads` that never wait, and at most `blocking` for what has to.
///
/// # Errors
/// The system has no resources for them.
pub fn door_threads(name: &str, threads: usize, blocking: usize) -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(threads.max(1))
        .max_blocking_threads(blocking)
        .thread_stack_size(STACK_BYTES)
        .thread_name(name)
        .enable_all()
        .build()
}

/// Completes once the end is asked for; at once if it was already.
pub fn stopped(shutdown: &Shutdown) -> impl Future<Output = ()> + Send + use<> {
    let (stop, stopped) = oneshot::channel::<()>();
    let subscription = shutdown.subscribe(move || drop(stop));
    async move {
        // The sender says it by going. The subscription lives as long as anybody waits.
        let _ = stopped.await;
        drop(subscription);
    }
}

/// Doors that are open. They close with the shutdown, and at once if this is dropped.
pub struct Doors {
    runtime: Handle,
    shutdown: Shutdown,
    open: JoinSet<()>,
}

impl Doors {
    /// No doors yet.
    #[must_use]
    pub fn new(runtime: Handle, shutdown: Shutdown) -> Self {
        Self { runtime, shutdown, open: JoinSet::new() }
    }

    /// A bound listener, which must not block, in the hands of the threads.
    ///
    /// # Errors
    /// The system has no resources for it.
    pub fn listener(&self, bound: std::net::TcpListener) -> io::Result<TcpListener> {
        let _inside = self.runtime.enter();
        TcpListener::from_std(bound)
    }

    /// Opens an HTTP door.
    ///
    /// # Errors
    /// As [`Self::listener`].
    pub fn http(&mut self, bound: std::net::TcpListener, router: Router, limits: ServeLimits) -> io::Result<()> {
        let listener = self.listener(bound)?;
        self.other(serve(listener, router, limits, stopped(&self.shutdown)));
        Ok(())
    }

    /// Opens a door that knows by itself when to close.
    pub fn other(&mut self, door: impl Future<Output = ()> + Send + 'static) {
        self.open.spawn_on(door, &self.runtime);
    }

    /// Lets them serve, and drops `last` once all have ended, however they do.
    pub fn then_drop(self, last: impl Send + 'static) {
        let Self { runtime, mut open, .. } = self;
        runtime.spawn(async move {
            let last = last;
            while let Some(ended) = open.join_next().await {
                if let Err(error) = ended {
                    tracing::error!(%error, "a door ended early");
                }
            }
            drop(last);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::sync::oneshot::error::TryRecvError;

    const PATIENCE: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn what_is_last_ends_after_all_doors() {
        let shutdown = Shutdown::new();
        let mut doors = Doors::new(Handle::current(), shutdown.clone());
        let bound = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("any port");
        bound.set_nonblocking(true).expect("a socket");
        doors.http(bound, Router::new(), ServeLimits::default()).expect("a door");
        let (other_ends, other) = oneshot::channel::<()>();
        doors.other(async move {
            let _ = other.await;
        });
        doors.other(async { panic!("this door ends early") });
        let (last, mut gone) = oneshot::channel::<()>();
        doors.then_drop(last);
        shutdown.trigger();
        tokio::time::timeout(PATIENCE, stopped(&shutdown)).await.expect("it was asked for before");
        assert_eq!(gone.try_recv(), Err(TryRecvError::Empty), "one door is still open");
        drop(other_ends);
        assert!(tokio::time::timeout(PATIENCE, gone).await.expect("all have ended").is_err());
    }

    #[tokio::test]
    async fn whoever_waits_is_woken_by_the_shutdown_and_nobody_else_is_kept() {
        let shutdown = Shutdown::new();
        drop(stopped(&shutdown));
        let waiting = tokio::spawn(stopped(&shutdown));
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        shutdown.trigger();
        tokio::time::timeout(PATIENCE, waiting).await.expect("in time").expect("no panic");
    }
}
