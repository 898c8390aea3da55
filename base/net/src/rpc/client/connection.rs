//! One connection of a client, shared by the threads that call over it.
//!
//! At most one thread reads; it holds the [`Inbox`] meanwhile. All others that wait are parked, and are woken when their
//! answer has come or when the reading is theirs to do.

use super::{RpcClientConfig, RpcClientError};
use bytes::{Buf, Bytes, BytesMut};
use mammoth_platform::{Clock, Deadline};
use mammoth_protocol::limits::RPC_FRAME_MAX;
use mammoth_protocol::rpc::{
    self, Auth, ConnectionContext, ErrorDetail, FRAME_PREFIX, Outcome, Preamble, ReplyTo, Response, RpcFailure,
};
use prost::Message;
use rustix::net::{RecvFlags, recv};
use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Thread;
use std::time::Duration;

/// Bytes that a read asks for at least, and at most before more has arrived.
const READ_MIN: usize = 8 * 1024;
const READ_STEP: usize = 256 * 1024;

/// Who is at the other end, and how long to wait.
pub(super) struct Peer {
    pub(super) config: RpcClientConfig,
    pub(super) clock: Arc<dyn Clock>,
}

/// A connection to a server.
pub(super) struct Connection {
    stream: TcpStream,
    peer: Peer,
    /// Bytes to send; held while they are written. A new connection holds its opening here, which leaves with the first
    /// call in one write.
    outbox: Mutex<BytesMut>,
    state: Mutex<State>,
}

struct State {
    /// Calls without an answer taken, by call id.
    waiting: BTreeMap<i32, Waiter>,
    /// Absent while a thread reads.
    inbox: Option<Inbox>,
    broken: Option<Broken>,
    /// Bytes received so far, to tell a slow server from a silent one.
    received: u64,
}

struct Waiter {
    thread: Thread,
    answer: Option<Outcome>,
}

#[derive(Clone)]
struct Broken {
    reason: String,
    /// The server said why.
    fatal: Option<RpcFailure>,
}

/// Bytes that have arrived but make no whole frame yet.
#[derive(Default)]
struct Inbox {
    buffer: BytesMut,
}

impl Connection {
    pub(super) fn new(stream: TcpStream, peer: Peer) -> Self {
        let config = &peer.config;
        let mut outbox = BytesMut::with_capacity(1024);
        outbox.extend_from_slice(&Preamble { service_class: 0, auth: Auth::None }.encode());
        let context = ConnectionContext {
            user: config.user.clone(),
            real_user: config.real_user.clone(),
            protocol: config.protocol.clone(),
        };
        rpc::encode_context(&mut outbox, config.client_id, &context);
        let state = State { waiting: BTreeMap::new(), inbox: Some(Inbox::default()), broken: None, received: 0 };
        Self { stream, peer, outbox: Mutex::new(outbox), state: Mutex::new(state) }
    }

    /// Whether a call can be sent. A server may have closed a connection that nobody was reading: looked up before a call
    /// goes out, because afterwards nobody could tell whether it ran.
    pub(super) fn is_usable(&self) -> bool {
        let state = self.state();
        if state.broken.is_some() {
            return false;
        }
        if !state.waiting.is_empty() {
            return true;
        }
        let mut byte = [0_u8; 1];
        match recv(&self.stream, &mut byte[..], RecvFlags::PEEK | RecvFlags::DONTWAIT) {
            Ok((_, 0)) => false,
            Ok(_) | Err(rustix::io::Errno::AGAIN) => true,
            Err(_) => false,
        }
    }

    /// Sends a call and waits for its answer.
    pub(super) fn call(
        &self,
        to: &ReplyTo,
        method: &str,
        request: &impl Message,
        deadline: Deadline,
    ) -> Result<Bytes, RpcClientError> {
        let received = self.register(to.call_id, method)?;
        if let Err(error) = self.send(to, method, request) {
            self.leave(to.call_id);
            return Err(error);
        }
        self.wait(to.call_id, method, deadline, received)
    }

    /// Announces the call, so that whoever reads its answer knows whom to hand it to.
    fn register(&self, call_id: i32, method: &str) -> Result<u64, RpcClientError> {
        let mut state = self.state();
        if let Some(broken) = &state.broken {
            return Err(self.not_sent(method, io::Error::new(io::ErrorKind::NotConnected, broken.reason.clone())));
        }
        if state.waiting.contains_key(&call_id) {
            let busy = io::Error::new(io::ErrorKind::AlreadyExists, "another thread waits for the same call id");
            return Err(self.not_sent(method, busy));
        }
        state.waiting.insert(call_id, Waiter { thread: std::thread::current(), answer: None });
        Ok(state.received)
    }

    fn send(&self, to: &ReplyTo, method: &str, request: &impl Message) -> Result<(), RpcClientError> {
        let mut outbox = self.outbox.lock().unwrap_or_else(PoisonError::into_inner);
        let protocol = &self.peer.config.protocol;
        rpc::encode_call(&mut outbox, to, protocol, method, request, RPC_FRAME_MAX)
            .map_err(|source| RpcClientError::Garbled { server: self.server(), source })?;
        let written = (&self.stream).write_all(&outbox);
        outbox.clear();
        // A frame that left only in part is never run, but nothing can follow it either.
        written.map_err(|source| {
            self.break_off(&mut self.state(), format!("sending failed: {source}"), None);
            self.not_sent(method, source)
        })
    }

    fn wait(
        &self,
        call_id: i32,
        method: &str,
        deadline: Deadline,
        received_before: u64,
    ) -> Result<Bytes, RpcClientError> {
        let clock = &self.peer.clock;
        loop {
            let mut state = self.state();
            let answered = state.waiting.get(&call_id).is_none_or(|waiter| waiter.answer.is_some());
            let left = deadline.left(clock);
            if answered || state.broken.is_some() || left.is_zero() {
                if !answered && state.broken.is_none() && state.received == received_before {
                    // Not a byte since the call was sent: the machine may be gone, so the next call connects anew.
                    self.break_off(&mut state, "the server is silent".to_owned(), None);
                }
                let broken = state.broken.clone();
                drop(state);
                return self.conclude(self.leave(call_id), broken, method, left);
            }
            match state.inbox.take() {
                Some(mut inbox) => {
                    drop(state);
                    let read = inbox.read(&self.stream, left);
                    self.take_in(inbox, read);
                }
                None => {
                    drop(state);
                    std::thread::park_timeout(left);
                }
            }
        }
    }

    /// Puts back what was read from and hands out the answers in it.
    fn take_in(&self, mut inbox: Inbox, read: io::Result<usize>) {
        let mut state = self.state();
        match read {
            Ok(0) => self.break_off(&mut state, "closed by the server".to_owned(), None),
            Ok(bytes) => state.received = state.received.saturating_add(bytes as u64),
            Err(error) if is_timeout(&error) => {}
            Err(error) => self.break_off(&mut state, error.to_string(), None),
        }
        loop {
            match inbox.next_response() {
                Ok(Some(response)) => self.hand_out(&mut state, response),
                Ok(None) => break,
                Err(error) => {
                    self.break_off(&mut state, error.to_string(), None);
                    break;
                }
            }
        }
        state.inbox = Some(inbox);
    }

    fn hand_out(&self, state: &mut State, response: Response) {
        if response.client_id.is_some_and(|id| id != self.peer.config.client_id) {
            self.break_off(state, "an answer for another client".to_owned(), None);
            return;
        }
        if let Outcome::Fatal(failure) = &response.outcome {
            self.break_off(state, failure.to_string(), Some(failure.clone()));
        }
        // Nobody waits for the answer to a call that timed out.
        if let Some(waiter) = state.waiting.get_mut(&response.call_id) {
            waiter.answer = Some(response.outcome);
            waiter.thread.unpark();
        }
    }

    /// Takes a call off the list with its answer, and passes the reading on if nobody reads.
    fn leave(&self, call_id: i32) -> Option<Outcome> {
        let mut state = self.state();
        let answer = state.waiting.remove(&call_id).and_then(|waiter| waiter.answer);
        if state.inbox.is_some() {
            let next = state.waiting.values().find(|waiter| waiter.answer.is_none());
            next.into_iter().for_each(|waiter| waiter.thread.unpark());
        }
        answer
    }

    fn conclude(
        &self,
        answer: Option<Outcome>,
        broken: Option<Broken>,
        method: &str,
        left: Duration,
    ) -> Result<Bytes, RpcClientError> {
        let (server, method) = (self.server(), method.to_owned());
        match (answer, broken) {
            (Some(Outcome::Success(payload)), _) => Ok(payload),
            (Some(Outcome::Error(failure)), _) => Err(RpcClientError::Remote { failure, fatal: false }),
            (Some(Outcome::Fatal(failure)), _) => Err(RpcClientError::Remote { failure, fatal: true }),
            (None, Some(Broken { fatal: Some(failure), .. })) if refuses_all(&failure) => {
                Err(RpcClientError::Remote { failure, fatal: true })
            }
            (None, _) if left.is_zero() => {
                Err(RpcClientError::Timeout { server, method, after: self.peer.config.call_timeout })
            }
            (None, broken) => {
                let reason = broken.map(|broken| broken.reason).unwrap_or_default();
                Err(RpcClientError::Lost { server, method, reason })
            }
        }
    }

    /// Marks the connection as useless and wakes everybody who waits on it.
    fn break_off(&self, state: &mut State, reason: String, fatal: Option<RpcFailure>) {
        if state.broken.is_none() {
            state.broken = Some(Broken { reason, fatal });
            // A thread that is reading must not wait for its timeout.
            let _ = self.stream.shutdown(Shutdown::Both);
        }
        for waiter in state.waiting.values() {
            waiter.thread.unpark();
        }
    }

    fn not_sent(&self, method: &str, source: io::Error) -> RpcClientError {
        RpcClientError::NotSent { server: self.server(), method: method.to_owned(), source }
    }

    fn server(&self) -> String {
        self.peer.config.server.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inbox {
    /// Reads what has arrived, waiting for `time` at most.
    fn read(&mut self, mut stream: &TcpStream, time: Duration) -> io::Result<usize> {
        stream.set_read_timeout(Some(time.max(Duration::from_millis(1))))?;
        let filled = self.buffer.len();
        let wanted = match rpc::frame_len(&self.buffer, RPC_FRAME_MAX) {
            Ok(Some(len)) => (FRAME_PREFIX + len).saturating_sub(filled),
            Ok(None) | Err(_) => 0,
        };
        self.buffer.resize(filled + wanted.clamp(READ_MIN, READ_STEP), 0);
        let read = loop {
            let room = self.buffer.get_mut(filled..).unwrap_or_default();
            match stream.read(room) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        self.buffer.truncate(filled + read.as_ref().map_or(0, |read| *read));
        read
    }

    /// The next whole answer, if there is one.
    fn next_response(&mut self) -> Result<Option<Response>, mammoth_protocol::wire::WireError> {
        let Some(len) = rpc::frame_len(&self.buffer, RPC_FRAME_MAX)? else { return Ok(None) };
        if self.buffer.len() < FRAME_PREFIX + len {
            return Ok(None);
        }
        self.buffer.advance(FRAME_PREFIX);
        rpc::decode_response(self.buffer.split_to(len).freeze()).map(Some)
    }
}

/// Whether a server that says this has run no call of the connection.
fn refuses_all(failure: &RpcFailure) -> bool {
    matches!(failure.detail, ErrorDetail::FatalVersionMismatch | ErrorDetail::FatalUnauthorized)
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
