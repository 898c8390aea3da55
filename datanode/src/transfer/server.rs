//! Accepts data-transfer connections.
//!
//! Their number is bounded. When it is reached, a connection that waits for an operation is closed in favour of a new one, so
//! that silent connections keep nobody out; if all are at work, the new one is turned away.

use super::{Context, connection};
use crate::error::{DatanodeError, Result};
use crate::store::replica::Stop;
use mammoth_platform::Shutdown;
use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Stack of a connection's thread. Buffers are on the heap; only what is touched takes memory.
pub(super) const STACK: usize = 512 * 1024;
/// Pause after a failed accept: the usual cause, too many open files, does not go away at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Connections above the bound while closed ones are on their way out.
const SURPLUS: usize = 64;

/// One connection, as others see it.
#[derive(Debug)]
pub(super) struct Conn {
    pub(super) stream: TcpStream,
    pub(super) peer: SocketAddr,
    /// It waits for an operation.
    pub(super) idle: AtomicBool,
}

/// All open connections.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    table: Mutex<Table>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    open: HashMap<u64, Arc<Conn>>,
    closing: bool,
}

impl Sockets {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connections that move data at present.
    pub(crate) fn busy(&self) -> usize {
        self.lock().open.values().filter(|conn| !conn.idle.load(Ordering::Relaxed)).count()
    }

    /// All connections.
    pub(crate) fn count(&self) -> usize {
        self.lock().open.len()
    }

    /// Takes a new connection in; `None` if there is no room.
    fn admit(&self, stream: TcpStream, peer: SocketAddr, max: usize) -> Option<(u64, Arc<Conn>)> {
        let mut table = self.lock();
        if table.closing {
            return None;
        }
        if table.open.len() >= max {
            // The one that has been here for the longest: a new one may be about to say what it wants.
            let idle = table.open.iter().filter(|(_, conn)| conn.idle.load(Ordering::Relaxed));
            let idle = idle.min_by_key(|(id, _)| **id).map(|(_, conn)| conn);
            let idle = idle?;
            idle.idle.store(false, Ordering::Relaxed);
            let _ = idle.stream.shutdown(std::net::Shutdown::Both);
            if table.open.len() >= max.saturating_add(SURPLUS) {
                return None;
            }
        }
        let conn = Arc::new(Conn { stream, peer, idle: AtomicBool::new(true) });
        table.next += 1;
        let id = table.next;
        table.open.insert(id, Arc::clone(&conn));
        Some((id, conn))
    }

    fn forget(&self, id: u64) {
        self.lock().open.remove(&id);
        self.ended.notify_all();
    }

    /// Has a connection of our own closed at the end of the daemon, for as long as the guard lives.
    pub(crate) fn track(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr) -> Option<Tracked> {
        let (id, _) = self.admit(stream, peer, usize::MAX)?;
        Some(Tracked { sockets: Arc::clone(self), id })
    }

    /// Closes all connections and waits until their threads have ended, at most `timeout`.
    fn close(&self, timeout: Duration) {
        let mut table = self.lock();
        table.closing = true;
        for conn in table.open.values() {
            let _ = conn.stream.shutdown(std::net::Shutdown::Both);
        }
        let (table, _) = self
            .ended
            .wait_timeout_while(table, timeout, |table| !table.open.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        if !table.open.is_empty() {
            tracing::warn!(connections = table.open.len(), "transfers still run at the end");
        }
    }
}

/// See [`Sockets::track`].
pub(crate) struct Tracked {
    sockets: Arc<Sockets>,
    id: u64,
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.sockets.forget(self.id);
    }
}

/// Whoever takes a replica over closes the sockets of its writer.
impl Stop for Conn {
    fn stop(&self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
    }
}

/// The listener and what its connections share.
pub(crate) struct Server {
    listener: TcpListener,
    context: Arc<Context>,
    shutdown: Shutdown,
}

impl Server {
    /// A server on a bound listener.
    pub(crate) fn new(listener: TcpListener, context: Arc<Context>, shutdown: Shutdown) -> Self {
        Self { listener, context, shutdown }
    }

    /// Accepts connections until the shutdown, then closes all of them.
    ///
    /// # Errors
    /// No second descriptor for the listener.
    pub(crate) fn run(self) -> Result<()> {
        let handle = self.listener.try_clone().map_err(|source| self.bind_error(source))?;
        let _subscription = self.shutdown.subscribe(move || {
            // Ends a blocked accept.
            let _ = rustix::net::shutdown(&handle, rustix::net::Shutdown::Both);
        });
        while !self.shutdown.is_triggered() {
            match self.listener.accept() {
                Ok((stream, peer)) => self.admit(stream, peer),
                Err(error) => {
                    if self.shutdown.wait(ACCEPT_PAUSE) {
                        break;
                    }
                    tracing::warn!(%error, "cannot accept a data-transfer connection");
                }
            }
        }
        self.context.sockets.close(Duration::from_secs(10));
        Ok(())
    }

    fn bind_error(&self, source: std::io::Error) -> DatanodeError {
        let addr = self.listener.local_addr().map_or_else(|_| "a closed socket".to_owned(), |addr| addr.to_string());
        DatanodeError::Bind { addr, source }
    }

    fn admit(&self, stream: TcpStream, peer: SocketAddr) {
        let Some((id, conn)) = self.context.sockets.admit(stream, peer, self.context.rules.connections) else {
            tracing::warn!(%peer, "connection refused: all are at work");
            return;
        };
        let (context, sockets) = (Arc::clone(&self.context), Arc::clone(&self.context.sockets));
        let run = move || {
            // A defect in one transfer must not end the daemon, nor leave its connection in the table.
            if catch_unwind(AssertUnwindSafe(|| connection::serve(&context, &conn))).is_err() {
                tracing::error!(peer = %conn.peer, "a transfer panicked");
            }
            let _ = conn.stream.shutdown(std::net::Shutdown::Both);
            sockets.forget(id);
        };
        if let Err(error) = std::thread::Builder::new().name("transfer".to_owned()).stack_size(STACK).spawn(run) {
            tracing::warn!(%peer, %error, "cannot start a thread for a connection");
            self.context.sockets.forget(id);
        }
    }
}
