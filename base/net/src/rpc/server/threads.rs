//! Threads that connections are shared out to.
//!
//! A connection and all its calls stay on one thread. A runtime that moves tasks between threads wakes a second one for
//! nearly every call, which here costs more than the call: the answer comes from one thread in any case, the state's owner.

use std::io;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::task::{AbortHandle, JoinSet};

/// Stack of such a thread; nothing there recurses.
const STACK_BYTES: usize = 512 * 1024;

/// Threads with a runtime each. They end when this is dropped, and what still runs on them with them.
pub struct ConnectionThreads {
    runtimes: Vec<Option<Runtime>>,
    next: usize,
}

impl Drop for ConnectionThreads {
    fn drop(&mut self) {
        // Not to be waited for: this may happen on a thread that must not block.
        self.runtimes.iter_mut().filter_map(Option::take).for_each(Runtime::shutdown_background);
    }
}

impl ConnectionThreads {
    /// Starts `threads` of them; each may have up to `blocking` more for what has to wait. Each calls `before_sleep` when it
    /// has done all there was to do.
    ///
    /// # Errors
    /// The system has no resources for them.
    pub fn start(
        name: &str,
        threads: usize,
        blocking: usize,
        before_sleep: impl Fn() + Clone + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let mut started = Self { runtimes: Vec::new(), next: 0 };
        for _ in 0..threads.max(1) {
            // Not the runtime for a current thread: that one makes a system call for every answer that comes from another
            // thread, this one only if it sleeps.
            let runtime = Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .max_blocking_threads(blocking)
                .thread_stack_size(STACK_BYTES)
                .thread_name(name)
                .on_thread_park(before_sleep.clone())
                .build()?;
            started.runtimes.push(Some(runtime));
        }
        Ok(started)
    }

    /// Lets the next thread in turn serve a connection.
    pub(super) fn spawn<F>(
        &mut self,
        connections: &mut JoinSet<()>,
        stream: TcpStream,
        serve: impl FnOnce(TcpStream) -> F + Send + 'static,
    ) -> Option<AbortHandle>
    where
        F: Future<Output = ()> + Send,
    {
        let runtime = self.runtimes.get(self.next % self.runtimes.len().max(1))?.as_ref()?;
        self.next = self.next.wrapping_add(1);
        // It leaves the reactor of this thread, and enters that of the other.
        let moved = stream.into_std();
        let task = async move {
            match moved.and_then(TcpStream::from_std) {
                Ok(stream) => serve(stream).await,
                Err(error) => tracing::warn!(%error, "an RPC connection cannot be handed to its thread"),
            }
        };
        Some(connections.spawn_on(task, runtime.handle()))
    }
}
