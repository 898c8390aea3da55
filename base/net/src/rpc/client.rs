//! A blocking client of Hadoop RPC, for many threads at once and without a thread of its own.
//!
//! Calls of all threads share one connection. Whichever thread waits for an answer while nobody reads becomes the reader: it
//! hands answers for others to them, and passes the reading on when its own has come. So a single call costs one write and
//! one read on the calling thread, and dropping the client leaves nothing behind.
//!
//! A broken connection is replaced at the next call. Retrying and backing off belong to the caller, who learns from the
//! error whether the call may have run, and repeats it under the same call id if so.

mod connection;
mod error;

pub use error::RpcClientError;

use bytes::Bytes;
use connection::{Connection, Peer};
use mammoth_platform::{Clock, Deadline};
use mammoth_protocol::rpc::ReplyTo;
use prost::Message;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Whom to call, and as whom.
#[derive(Clone, Debug)]
pub struct RpcClientConfig {
    /// `host:port`, or `[address]:port` for IPv6.
    pub server: String,
    /// Name of the protocol.
    pub protocol: String,
    /// The user in whose name calls act.
    pub user: String,
    /// The user who impersonates, if another.
    pub real_user: Option<String>,
    /// Random identity of this client; with the call id it names a call over its retries.
    pub client_id: [u8; 16],
    /// Time to connect to one address.
    pub connect_timeout: Duration,
    /// Time for a whole call, connecting included.
    pub call_timeout: Duration,
}

impl RpcClientConfig {
    /// A configuration with Hadoop's timeouts: 20 s to connect, 60 s a call.
    pub fn new(
        server: impl Into<String>,
        protocol: impl Into<String>,
        user: impl Into<String>,
        client_id: [u8; 16],
    ) -> Self {
        Self {
            server: server.into(),
            protocol: protocol.into(),
            user: user.into(),
            real_user: None,
            client_id,
            connect_timeout: Duration::from_secs(20),
            call_timeout: Duration::from_secs(60),
        }
    }
}

/// Which call this is, and the how-manieth attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// From [`RpcClient::new_call_id`]; the same in every attempt at one call.
    pub call_id: i32,
    /// 0 at first.
    pub retry_count: i32,
}

/// A client of one server; see the module's head.
pub struct RpcClient {
    config: RpcClientConfig,
    clock: Arc<dyn Clock>,
    next_call_id: AtomicI32,
    connection: Mutex<Option<Arc<Connection>>>,
}

impl RpcClient {
    /// A client that connects at its first call.
    #[must_use]
    pub fn new(config: RpcClientConfig, clock: Arc<dyn Clock>) -> Self {
        Self { config, clock, next_call_id: AtomicI32::new(0), connection: Mutex::new(None) }
    }

    /// A client that is connected already.
    ///
    /// # Errors
    /// The server cannot be reached.
    pub fn connect(config: RpcClientConfig, clock: Arc<dyn Clock>) -> Result<Self, RpcClientError> {
        let client = Self::new(config, clock);
        client.ready(Deadline::after(&client.clock, client.config.connect_timeout))?;
        Ok(client)
    }

    /// What the client was made with.
    #[must_use]
    pub fn config(&self) -> &RpcClientConfig {
        &self.config
    }

    /// A number for a new call.
    #[must_use]
    pub fn new_call_id(&self) -> i32 {
        self.next_call_id.fetch_add(1, Ordering::Relaxed) & i32::MAX
    }

    /// Makes a call once.
    ///
    /// # Errors
    /// See [`RpcClientError`].
    pub fn call<Req: Message, Resp: Message + Default>(
        &self,
        method: &str,
        request: &Req,
    ) -> Result<Resp, RpcClientError> {
        self.call_with_id(Attempt { call_id: self.new_call_id(), retry_count: 0 }, method, request)
    }

    /// Makes one attempt at a call. A repeated attempt with the same call id lets the server recognise a call that it ran
    /// already and answer it as before.
    ///
    /// # Errors
    /// See [`RpcClientError`].
    pub fn call_with_id<Req: Message, Resp: Message + Default>(
        &self,
        attempt: Attempt,
        method: &str,
        request: &Req,
    ) -> Result<Resp, RpcClientError> {
        let payload = self.call_encoded(attempt, method, request)?;
        Resp::decode(payload).map_err(|error| RpcClientError::Garbled {
            server: self.config.server.clone(),
            source: mammoth_protocol::wire::WireError::Malformed { what: "reply message", source: error },
        })
    }

    /// As [`Self::call_with_id`], with the reply message still encoded.
    ///
    /// # Errors
    /// See [`RpcClientError`].
    pub fn call_encoded(
        &self,
        attempt: Attempt,
        method: &str,
        request: &impl Message,
    ) -> Result<Bytes, RpcClientError> {
        let deadline = Deadline::after(&self.clock, self.config.call_timeout);
        let connection = self.ready(deadline)?;
        let to = ReplyTo {
            call_id: attempt.call_id,
            client_id: Some(self.config.client_id),
            retry_count: attempt.retry_count,
        };
        connection.call(&to, method, request, deadline)
    }

    /// The connection, a new one if the old one is broken.
    fn ready(&self, deadline: Deadline) -> Result<Arc<Connection>, RpcClientError> {
        let mut slot = self.slot();
        if let Some(connection) = slot.as_ref().filter(|connection| connection.is_usable()) {
            return Ok(Arc::clone(connection));
        }
        *slot = None;
        let stream = self.open(deadline)?;
        let peer = Peer { config: self.config.clone(), clock: Arc::clone(&self.clock) };
        let connection = Arc::new(Connection::new(stream, peer));
        *slot = Some(Arc::clone(&connection));
        Ok(connection)
    }

    fn slot(&self) -> MutexGuard<'_, Option<Arc<Connection>>> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connects to the first address of the server that answers.
    fn open(&self, deadline: Deadline) -> Result<TcpStream, RpcClientError> {
        let server = &self.config.server;
        let unreachable = |source| RpcClientError::connect(server, source);
        let addresses = server.to_socket_addrs().map_err(|source| RpcClientError::resolve(server, source))?;
        let mut last = None;
        for address in addresses {
            let time = self.config.connect_timeout.min(deadline.left(&self.clock));
            if time.is_zero() {
                break;
            }
            match self.open_one(address, time) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = Some(error),
            }
        }
        Err(unreachable(last.unwrap_or_else(|| std::io::ErrorKind::TimedOut.into())))
    }

    fn open_one(&self, address: SocketAddr, time: Duration) -> std::io::Result<TcpStream> {
        let stream = TcpStream::connect_timeout(&address, time)?;
        stream.set_nodelay(true)?;
        socket2::SockRef::from(&stream).set_keepalive(true)?;
        stream.set_write_timeout(Some(self.config.call_timeout.max(Duration::from_millis(1))))?;
        Ok(stream)
    }
}

impl std::fmt::Debug for RpcClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RpcClient").field("config", &self.config).finish_non_exhaustive()
    }
}
