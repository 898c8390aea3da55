//! Accepts connections: data transfers over TCP, and requests for open files over a Unix socket.
//!
//! Their number is bounded. When it is reached, a connection that waits for an operation is closed in favour of a new one, so
//! that silent connections keep nobody out; if all are at work, the new one is turned away.

use super::{Context, connection, short_circuit};
use crate::error::{DatanodeError, Result};
use crate::store::replica::Stop;
use mammoth_platform::Shutdown;
use mammoth_platform::process::is_out_of_descriptors;
use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
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
pub(crate) struct Conn<S = TcpStream> {
    pub(super) stream: S,
    /// Who is at the other end, for people.
    pub(super) peer: String,
    /// It waits for an operation.
    pub(super) idle: AtomicBool,
}

impl<S> Conn<S> {
    /// Ends its waiting for an operation, once: either it is closed for waiting, and an operation that arrives all the same is not
    /// carried out, or it carries out what has arrived.
    pub(super) fn claim(&self) -> bool {
        self.idle.swap(false, Ordering::Relaxed)
    }
}

impl<S: AsFd> Conn<S> {
    /// Ends whatever waits for the socket.
    fn close(&self) {
        // Fails only where it is closed already.
        let _ = rustix::net::shutdown(&self.stream, rustix::net::Shutdown::Both);
    }
}

/// All open connections of one door.
#[derive(Debug)]
pub(crate) struct Sockets<S = TcpStream> {
    table: Mutex<Table<S>>,
    ended: Condvar,
}

#[derive(Debug)]
struct Table<S> {
    next: u64,
    open: HashMap<u64, Arc<Conn<S>>>,
    closing: bool,
}

impl<S> Default for Sockets<S> {
    fn default() -> Self {
        let table = Table { next: 0, open: HashMap::new(), closing: false };
        Self { table: Mutex::new(table), ended: Condvar::new() }
    }
}

impl<S: AsFd> Table<S> {
    /// Closes the oldest connection that waits for an operation: a new one may be about to say what it wants. `None` if all are at
    /// work.
    fn close_idle(&self) -> Option<()> {
        loop {
            let idle = self.open.iter().filter(|(_, conn)| conn.idle.load(Ordering::Relaxed));
            let (_, idle) = idle.min_by_key(|(id, _)| **id)?;
            if idle.claim() {
                idle.close();
                return Some(());
            }
        }
    }
}

impl<S: AsFd> Sockets<S> {
    fn lock(&self) -> MutexGuard<'_, Table<S>> {
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
    fn admit(&self, stream: S, peer: String, max: usize) -> Option<(u64, Arc<Conn<S>>)> {
        let mut table = self.lock();
        if table.closing {
            return None;
        }
        if table.open.len() >= max {
            table.close_idle()?;
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

    /// Descriptors run out before the bound is reached, if the system says so: then a connection that waits for an operation
    /// goes. Any other failure is that of the new connection alone.
    fn accept_failed(&self, error: &io::Error) {
        if is_out_of_descriptors(error) {
            let _ = self.lock().close_idle();
        }
    }

    fn forget(&self, id: u64) {
        self.lock().open.remove(&id);
        self.ended.notify_all();
    }

    /// Closes all connections and waits until their threads have ended, at most `timeout`.
    fn close(&self, timeout: Duration) {
        let mut table = self.lock();
        table.closing = true;
        table.open.values().for_each(|conn| conn.close());
        let (table, _) = self
            .ended
            .wait_timeout_while(table, timeout, |table| !table.open.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        if !table.open.is_empty() {
            tracing::warn!(connections = table.open.len(), "transfers still run at the end");
        }
    }
}

impl Sockets {
    /// Has a connection of our own closed at the end of the daemon, for as long as the guard lives.
    pub(crate) fn track(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr) -> Option<Tracked> {
        let (id, conn) = self.admit(stream, peer.to_string(), usize::MAX)?;
        conn.claim();
        Some(Tracked { sockets: Arc::clone(self), id })
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
        self.close();
    }
}

/// What connections come through.
pub(crate) trait Door: AsFd + Send + Sized + 'static {
    /// A connection.
    type Stream: AsFd + Send + Sync + 'static;

    /// Waits for a connection; gives it with a name for its other end.
    fn next(&self) -> io::Result<(Self::Stream, String)>;

    /// A second handle.
    fn handle(&self) -> io::Result<OwnedFd>;

    /// Its address, for people.
    fn name(&self) -> String;

    /// The connections that came through it.
    fn sockets(context: &Context) -> &Arc<Sockets<Self::Stream>>;

    /// Serves a connection to its end.
    fn serve(context: &Context, conn: &Arc<Conn<Self::Stream>>);
}

impl Door for TcpListener {
    type Stream = TcpStream;

    fn next(&self) -> io::Result<(TcpStream, String)> {
        self.accept().map(|(stream, peer)| (stream, peer.to_string()))
    }

    fn handle(&self) -> io::Result<OwnedFd> {
        self.try_clone().map(OwnedFd::from)
    }

    fn name(&self) -> String {
        self.local_addr().map_or_else(|_| "a closed socket".to_owned(), |addr| addr.to_string())
    }

    fn sockets(context: &Context) -> &Arc<Sockets> {
        &context.sockets
    }

    fn serve(context: &Context, conn: &Arc<Conn>) {
        connection::serve(context, conn);
    }
}

impl Door for UnixListener {
    type Stream = UnixStream;

    fn next(&self) -> io::Result<(UnixStream, String)> {
        self.accept().map(|(stream, _)| (stream, "this machine".to_owned()))
    }

    fn handle(&self) -> io::Result<OwnedFd> {
        self.try_clone().map(OwnedFd::from)
    }

    fn name(&self) -> String {
        let path = self.local_addr().ok().and_then(|addr| addr.as_pathname().map(|path| path.display().to_string()));
        path.unwrap_or_else(|| "a Unix socket".to_owned())
    }

    fn sockets(context: &Context) -> &Arc<Sockets<UnixStream>> {
        &context.local_sockets
    }

    fn serve(context: &Context, conn: &Arc<Conn<UnixStream>>) {
        short_circuit::serve(context, conn);
    }
}

/// A listener and what its connections share.
pub(crate) struct Server<D = TcpListener> {
    door: D,
    context: Arc<Context>,
    shutdown: Shutdown,
}

impl<D: Door> Server<D> {
    /// A server on a bound listener.
    pub(crate) fn new(door: D, context: Arc<Context>, shutdown: Shutdown) -> Self {
        Self { door, context, shutdown }
    }

    /// Accepts connections until the shutdown, then closes all of them.
    ///
    /// # Errors
    /// No second descriptor for the listener.
    pub(crate) fn run(self) -> Result<()> {
        let handle = self.door.handle().map_err(|source| DatanodeError::Bind { addr: self.door.name(), source })?;
        let _subscription = self.shutdown.subscribe(move || {
            // Ends a blocked accept.
            let _ = rustix::net::shutdown(&handle, rustix::net::Shutdown::Both);
        });
        while !self.shutdown.is_triggered() {
            match self.door.next() {
                Ok((stream, peer)) => self.admit(stream, peer),
                Err(error) => {
                    if self.shutdown.wait(ACCEPT_PAUSE) {
                        break;
                    }
                    tracing::warn!(door = self.door.name(), %error, "cannot accept a connection");
                    D::sockets(&self.context).accept_failed(&error);
                }
            }
        }
        D::sockets(&self.context).close(Duration::from_secs(10));
        Ok(())
    }

    fn admit(&self, stream: D::Stream, peer: String) {
        let sockets = Arc::clone(D::sockets(&self.context));
        let Some((id, conn)) = sockets.admit(stream, peer.clone(), self.context.rules.connections) else {
            tracing::warn!(%peer, "connection refused: all are at work");
            return;
        };
        let (context, own) = (Arc::clone(&self.context), Arc::clone(&sockets));
        let run = move || {
            // A defect in one transfer must not end the daemon, nor leave its connection in the table.
            if catch_unwind(AssertUnwindSafe(|| D::serve(&context, &conn))).is_err() {
                tracing::error!(peer = %conn.peer, "a transfer panicked");
            }
            conn.close();
            own.forget(id);
        };
        if let Err(error) = std::thread::Builder::new().name("transfer".to_owned()).stack_size(STACK).spawn(run) {
            tracing::warn!(%peer, %error, "cannot start a thread for a connection");
            sockets.forget(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;

    #[test]
    fn only_a_lack_of_descriptors_costs_an_idle_connection_its_place() {
        let (near, _far) = UnixStream::pair().unwrap();
        let sockets = Sockets::default();
        let (_, conn) = sockets.admit(near, "near".to_owned(), 10).unwrap();
        for errno in [Errno::CONNABORTED, Errno::INTR, Errno::PROTO, Errno::NOBUFS, Errno::PERM] {
            sockets.accept_failed(&errno.into());
            assert!(conn.idle.load(Ordering::Relaxed), "{errno}");
        }
        sockets.accept_failed(&Errno::NFILE.into());
        // One that was closed counts as busy until its thread has ended.
        assert!(!conn.idle.load(Ordering::Relaxed));
    }

    #[test]
    fn an_operation_that_arrives_at_a_connection_closed_for_waiting_is_not_carried_out() {
        let ((near, _far), (next, _far_next)) = (UnixStream::pair().unwrap(), UnixStream::pair().unwrap());
        let sockets = Sockets::default();
        let (_, conn) = sockets.admit(near, "near".to_owned(), 1).unwrap();
        assert!(conn.claim());
        // At work: nobody closes it for another.
        let (again, _far_again) = UnixStream::pair().unwrap();
        assert!(sockets.admit(again, "again".to_owned(), 1).is_none());
        conn.idle.store(true, Ordering::Relaxed);
        assert!(sockets.admit(next, "next".to_owned(), 1).is_some());
        assert!(!conn.claim());
    }
}
