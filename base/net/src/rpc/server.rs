//! Serves Hadoop RPC: accepts connections, reads calls, writes answers.
//!
//! Each connection has a task that reads and one that writes; each call runs as a task of its own, so answers leave in the
//! order in which they are ready. Calls in flight are bounded per connection, and a client that does not read its answers
//! is no longer read from. Connections that send nothing, nonsense or half a frame are closed after a time, and sooner if
//! others want their places ([`crowd`]).
//!
//! It never interprets a method: that is the handler's.

mod connection;
mod crowd;
mod frames;
mod threads;

pub use threads::ConnectionThreads;

use bytes::Bytes;
use crowd::{Activity, Crowd};
use mammoth_platform::Shutdown;
use mammoth_protocol::limits::PRINCIPAL_BYTES_MAX;
use mammoth_protocol::rpc::RpcFailure;
use mammoth_protocol::{CallId, Uuid};
use prost::Message;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

/// One call, ready for a handler.
#[derive(Clone, Debug)]
pub struct RpcCall {
    /// Name of the protocol that the caller means.
    pub protocol: String,
    /// Name of the method.
    pub method: String,
    /// The encoded request message.
    pub payload: Bytes,
    /// The user in whose name the call acts.
    pub user: Arc<str>,
    /// The user who impersonates, if another.
    pub real_user: Option<Arc<str>>,
    /// Identity of the client; absent if it is not the usual 16 bytes.
    pub client_id: Option<[u8; 16]>,
    /// Number of the call within the client.
    pub call_id: i32,
    /// How often the client sent this call before; -1 if it does not say.
    pub retry_count: i32,
    /// Where the caller is; an IPv4 address is always in its plain form.
    pub peer: SocketAddr,
    /// Text by which the client marks its calls.
    pub caller_context: Option<String>,
}

impl RpcCall {
    /// Parses the request message. Absent fields read as zero or empty: check what you use.
    ///
    /// # Errors
    /// The failure to answer with.
    pub fn request<M: Message + Default>(&self) -> Result<M, RpcFailure> {
        M::decode(self.payload.clone()).map_err(|error| RpcFailure::malformed_request(&self.method, &error))
    }

    /// What identifies the call over its retries, if the client says who it is.
    #[must_use]
    pub fn identity(&self) -> Option<CallId> {
        self.client_id.map(|id| CallId { client: Uuid(u128::from_be_bytes(id)), call: self.call_id })
    }
}

/// The answer to a call: the encoded reply message, or a failure.
pub type RpcResult = Result<Bytes, RpcFailure>;

/// An answer to come.
pub type RpcFuture = Pin<Box<dyn Future<Output = RpcResult> + Send>>;

/// Encodes a reply message.
///
/// # Errors
/// None; the type fits what a handler returns.
pub fn reply(message: &impl Message) -> RpcResult {
    Ok(Bytes::from(message.encode_to_vec()))
}

/// What answers calls. It must not block the thread: heavy work goes elsewhere and is awaited.
pub trait RpcHandler: Send + Sync + 'static {
    /// Answers one call. Unknown protocols and methods get [`RpcFailure::no_such_protocol`] and
    /// [`RpcFailure::no_such_method`]. A panic becomes a failure of this call alone.
    fn call(&self, call: RpcCall) -> RpcFuture;
}

/// What a server puts up with.
#[derive(Clone, Debug)]
pub struct ServerLimits {
    /// Longest request frame, bytes. Far below Hadoop's, whose datanodes send block reports this way: a request of empty
    /// messages takes a hundred times its own length once it is parsed.
    pub frame_bytes: usize,
    /// Bytes of long requests (above 64 KiB) that are read or in work, over all connections.
    pub request_bytes: usize,
    /// Connections at a time; a further one takes the place of an idle one, or is closed at once.
    pub connections: usize,
    /// Calls of one connection that are in work or whose answer is not written yet.
    pub calls_per_connection: usize,
    /// Time from connecting to a complete connection context.
    pub handshake: Duration,
    /// Time without any call after which a connection is closed.
    pub idle: Duration,
    /// Time for a frame to arrive once it has begun, and for answers to be taken.
    pub stall: Duration,
    /// Time that calls in work get to finish when the server stops.
    pub drain: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            frame_bytes: 4 * 1024 * 1024,
            request_bytes: 256 * 1024 * 1024,
            connections: 4096,
            calls_per_connection: 128,
            handshake: Duration::from_secs(20),
            idle: Duration::from_secs(15 * 60),
            stall: Duration::from_secs(60),
            drain: Duration::from_secs(5),
        }
    }
}

/// What all connections of a server share.
struct Shared {
    handler: Arc<dyn RpcHandler>,
    limits: ServerLimits,
    /// Budget for long requests, one permit a byte.
    request_bytes: Arc<Semaphore>,
}

impl Shared {
    fn new(handler: Arc<dyn RpcHandler>, limits: ServerLimits) -> Self {
        let budget = limits.request_bytes.max(limits.frame_bytes).min(Semaphore::MAX_PERMITS);
        Self { handler, limits, request_bytes: Arc::new(Semaphore::new(budget)) }
    }
}

/// Serves until the shutdown is triggered; then calls in work get [`ServerLimits::drain`] to finish, and it returns once
/// every connection is closed. With `threads`, connections are shared out to them.
pub async fn serve(
    listener: TcpListener,
    handler: Arc<dyn RpcHandler>,
    limits: ServerLimits,
    shutdown: Shutdown,
    mut threads: Option<ConnectionThreads>,
) {
    let (stop, stopped) = watch::channel(false);
    let subscription = shutdown.subscribe(move || {
        stop.send_replace(true);
    });
    let shared = Arc::new(Shared::new(handler, limits));
    let mut crowd = Crowd::new(shared.limits.connections);
    let mut ended = stopped.clone();
    let mut full = false;
    loop {
        tokio::select! {
            biased;
            () = until_stopped(&mut ended) => break,
            true = crowd.ended() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let room = crowd.make_room();
                    if !room && !full {
                        tracing::warn!(%peer, limit = shared.limits.connections, "all RPC connections are at work, refusing more");
                    }
                    full = !room;
                    if room {
                        let (shared, stopped) = (Arc::clone(&shared), stopped.clone());
                        crowd.admit(|activity, tasks| {
                            let serve = async move |stream| {
                                tcp_connection(stream, peer, &shared, &activity, stopped).await;
                            };
                            match &mut threads {
                                Some(threads) => threads.spawn(tasks, stream, serve),
                                None => Some(tasks.spawn(serve(stream))),
                            }
                        });
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept an RPC connection");
                    crowd.accept_failed(&error);
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    while crowd.ended().await {}
    drop(subscription);
}

/// Waits for the order to stop; a lost sender counts as one.
async fn until_stopped(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stop| *stop).await;
}

/// Pause after a failed accept: the usual cause, too many open files, does not go away at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

async fn tcp_connection(
    stream: TcpStream,
    peer: SocketAddr,
    shared: &Arc<Shared>,
    activity: &Arc<Activity>,
    stopped: watch::Receiver<bool>,
) {
    let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
    let options = stream.set_nodelay(true).and_then(|()| socket2::SockRef::from(&stream).set_keepalive(true));
    if let Err(error) = options {
        tracing::debug!(%peer, %error, "RPC connection lost before its first byte");
        return;
    }
    let (read, write) = stream.into_split();
    connection::run(read, write, peer, shared, activity, stopped).await;
}

/// Serves one connection over any stream, until it ends or the shutdown is triggered.
pub async fn serve_stream<S>(
    stream: S,
    peer: SocketAddr,
    handler: Arc<dyn RpcHandler>,
    limits: ServerLimits,
    shutdown: Shutdown,
) where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let (stop, stopped) = watch::channel(false);
    let subscription = shutdown.subscribe(move || {
        stop.send_replace(true);
    });
    let (read, write) = tokio::io::split(stream);
    connection::run(read, write, peer, &Arc::new(Shared::new(handler, limits)), &Arc::default(), stopped).await;
    drop(subscription);
}

const _: () = assert!(PRINCIPAL_BYTES_MAX * 4 < frames::HANDSHAKE_FRAME_MAX);
