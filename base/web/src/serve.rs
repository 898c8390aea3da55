//! The accept loop of an HTTP door.
//!
//! The number of connections is bounded. When it is reached, the connection that has been idle for the longest time is closed
//! in favour of the new one, so that any number of silent connections costs a bounded amount of memory and keeps nobody out. A
//! connection that works on a request is never closed for another, unless its client takes no bytes of the answer.

mod stalling;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use mammoth_platform::process::is_out_of_descriptors;
use stalling::Stalling;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, Id, JoinSet};

/// Bounds of one door.
#[derive(Clone, Copy, Debug)]
pub struct ServeLimits {
    /// Most connections at a time.
    pub connections: usize,
    /// How long a client may take to send the head of a request; the pause between two requests of a connection counts.
    pub head: Duration,
    /// How long a client may take nothing of an answer.
    pub stall: Duration,
    /// How long requests in progress may take to end once the door closes.
    pub drain: Duration,
}

impl Default for ServeLimits {
    fn default() -> Self {
        Self {
            connections: 512,
            head: Duration::from_secs(20),
            stall: Duration::from_secs(60),
            drain: Duration::from_secs(2),
        }
    }
}

impl ServeLimits {
    /// For a door of other daemons, which keep their connections over many calls.
    #[must_use]
    pub fn for_daemons() -> Self {
        Self { head: Duration::from_secs(120), ..Self::default() }
    }
}

/// Largest head of a request: its line and its headers. One of this size is allocated per connection at most.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// Pause after a failed accept, which is most often a lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Both ends of the connection that a request came on; an extension of every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnInfo {
    /// The client.
    pub peer: SocketAddr,
    /// The address that it reached us at.
    pub local: SocketAddr,
}

/// What the accept loop knows of a connection.
#[derive(Default)]
struct Activity {
    /// Requests whose response has not been sent yet.
    busy: AtomicUsize,
    /// When it last became idle, on the loop's own count.
    idle_since: AtomicU64,
}

/// Marks a connection busy while it lives; dropped with the response body.
struct Working {
    activity: Arc<Activity>,
    moments: Arc<AtomicU64>,
}

impl Working {
    fn begin(activity: &Arc<Activity>, moments: &Arc<AtomicU64>) -> Self {
        activity.busy.fetch_add(1, Ordering::Relaxed);
        Self { activity: Arc::clone(activity), moments: Arc::clone(moments) }
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.activity.idle_since.store(self.moments.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        self.activity.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Door {
    router: Router,
    limits: ServeLimits,
    tasks: JoinSet<()>,
    open: HashMap<Id, (Arc<Activity>, AbortHandle)>,
    moments: Arc<AtomicU64>,
    closing: watch::Sender<bool>,
}

/// Serves `router` until `stop` completes; then closes idle connections at once and gives requests in progress the time to
/// end.
pub async fn serve(listener: TcpListener, router: Router, limits: ServeLimits, stop: impl Future<Output = ()>) {
    let mut door = Door::new(router, limits);
    let mut stop = std::pin::pin!(stop);
    loop {
        tokio::select! {
            biased;
            () = &mut stop => break,
            Some(ended) = door.tasks.join_next_with_id(), if !door.tasks.is_empty() => door.forget(ended),
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => door.admit(stream, peer),
                Err(error) => {
                    tracing::warn!(%error, "accept failed");
                    door.accept_failed(&error);
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    door.close().await;
}

impl Door {
    fn forget(&mut self, ended: Result<(Id, ()), tokio::task::JoinError>) {
        let id = match ended {
            Ok((id, ())) => id,
            Err(error) => error.id(),
        };
        self.open.remove(&id);
    }

    fn new(router: Router, limits: ServeLimits) -> Self {
        Self {
            router,
            limits,
            tasks: JoinSet::new(),
            open: HashMap::new(),
            moments: Arc::default(),
            closing: watch::Sender::new(false),
        }
    }

    fn admit(&mut self, stream: TcpStream, peer: SocketAddr) {
        if self.open.len() >= self.limits.connections && !self.evict() {
            tracing::debug!(%peer, "connection refused: all are busy");
            return;
        }
        let Ok(local) = stream.local_addr() else { return };
        // Without it small replies wait for the delayed acknowledgement of the client.
        let _ = stream.set_nodelay(true);
        let activity = Arc::new(Activity::default());
        activity.idle_since.store(self.moments.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        let service =
            service(self.router.clone(), ConnInfo { peer, local }, Arc::clone(&activity), Arc::clone(&self.moments));
        let handle = self.tasks.spawn(run(stream, service, self.limits, self.closing.subscribe()));
        self.open.insert(handle.id(), (activity, handle));
    }

    /// Closes the connection that has been idle for the longest; `false` if none is idle.
    fn evict(&mut self) -> bool {
        let idle = self.open.iter().filter(|(_, (activity, _))| activity.busy.load(Ordering::Relaxed) == 0);
        let oldest = idle.min_by_key(|(_, (activity, _))| activity.idle_since.load(Ordering::Relaxed));
        let Some(id) = oldest.map(|(id, _)| *id) else { return false };
        if let Some((_, handle)) = self.open.remove(&id) {
            handle.abort();
        }
        true
    }

    /// Descriptors run out before the bound is reached, if the system says so: then an idle connection goes. Any other failure
    /// is that of the new connection alone.
    fn accept_failed(&mut self, error: &std::io::Error) {
        if is_out_of_descriptors(error) {
            self.evict();
        }
    }

    async fn close(mut self) {
        self.closing.send_replace(true);
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(self.limits.drain, all).await.is_err() {
            self.tasks.shutdown().await;
        }
    }
}

fn service(
    router: Router,
    conn: ConnInfo,
    activity: Arc<Activity>,
    moments: Arc<AtomicU64>,
) -> impl Service<Request<Incoming>, Response = axum::response::Response, Error = std::convert::Infallible, Future: Send>
{
    let router = TowerToHyperService::new(router);
    service_fn(move |mut request: Request<Incoming>| {
        let working = Working::begin(&activity, &moments);
        request.extensions_mut().insert(conn);
        let reply = router.call(request);
        async move {
            let response = reply.await?;
            // The body carries the mark to its end; mapping its errors changes nothing else.
            Ok(response.map(|body| {
                Body::new(body.map_err(move |error| {
                    let _ = &working;
                    error
                }))
            }))
        }
    })
}

async fn run<S>(stream: TcpStream, service: S, limits: ServeLimits, mut closing: watch::Receiver<bool>)
where
    S: Service<Request<Incoming>, Response = axum::response::Response, Error = std::convert::Infallible>,
    S::Future: Send,
{
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(Stalling::new(stream, limits.stall)), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = closed(&mut closing) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::trace!(%error, "connection ended early");
    }
}

/// Completes once the door closes.
async fn closed(closing: &mut watch::Receiver<bool>) {
    let _ = closing.wait_for(|closing| *closing).await;
}

#[cfg(test)]
mod tests;
