//! One connection of a server: handshake, then calls until either side ends it.
//!
//! ```text
//! reader ── call task ──┐                 each call task holds a permit of its connection,
//!        ── call task ──┼── writer        which the writer returns once the answer is written
//! ```

use super::crowd::{Activity, Working};
use super::frames::{FrameEnd, FrameReader, HANDSHAKE_FRAME_MAX};
use super::{RpcCall, Shared};
use bytes::BytesMut;
use mammoth_protocol::ErrorCode;
use mammoth_protocol::rpc::{
    self, Auth, BadPreamble, Call, ConnectionContext, Fatal, Incoming, ReplyTo, RpcFailure, SaslState,
};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::timeout;

/// Requests above this length count against the budget of the server.
const LONG_REQUEST: usize = 64 * 1024;
/// Answers are gathered up to this length into one write.
const WRITE_GATHER: usize = 64 * 1024;
/// Frames of a handshake: negotiation, initiation, context, and a few pings.
const HANDSHAKE_FRAMES: usize = 8;
/// Bytes and time that the peer gets to read a last answer.
const LINGER_BYTES: usize = 1024 * 1024;
const LINGER: Duration = Duration::from_secs(1);

/// Something to write, with what its call holds until it is written.
struct Reply {
    frame: BytesMut,
    permits: Permits,
}

#[derive(Default)]
struct Permits {
    _call: Option<OwnedSemaphorePermit>,
    _bytes: Option<OwnedSemaphorePermit>,
}

/// How reading ended.
enum End {
    /// The bytes ended, or made no sense.
    Frames(FrameEnd),
    /// A frame that gets a last answer.
    Fatal(Box<Fatal>),
}

impl From<FrameEnd> for End {
    fn from(end: FrameEnd) -> Self {
        Self::Frames(end)
    }
}

impl From<Box<Fatal>> for End {
    fn from(fatal: Box<Fatal>) -> Self {
        Self::Fatal(fatal)
    }
}

fn refuse(reply_to: ReplyTo, failure: RpcFailure) -> End {
    End::Fatal(Box::new(Fatal { reply_to, failure }))
}

/// Runs a connection to its end.
pub(super) async fn run<R, W>(
    read: R,
    write: W,
    peer: SocketAddr,
    shared: &Arc<Shared>,
    activity: &Arc<Activity>,
    mut stopped: watch::Receiver<bool>,
) where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin + Send + 'static,
{
    let limits = &shared.limits;
    // Room for every call in flight and for answers that belong to no call: sending never waits.
    let (replies, queue) = mpsc::channel(limits.calls_per_connection + HANDSHAKE_FRAMES);
    let calls = Arc::new(Semaphore::new(limits.calls_per_connection));
    let others = InFlight { calls: Arc::clone(&calls), most: limits.calls_per_connection };
    let mut writer = Task(tokio::spawn(write_replies(write, queue, limits.stall, others)));
    let mut reader = FrameReader::new(read);
    let end = tokio::select! {
        biased;
        () = super::until_stopped(&mut stopped) => None,
        end = read_calls(&mut reader, &replies, peer, (shared, activity), &calls) => Some(end),
        _ = &mut writer.0 => {
            tracing::debug!(%peer, "RPC client does not take its answers");
            return;
        }
    };
    let time = if end.is_none() { limits.drain } else { limits.stall };
    let answered = last_words(end, &replies, peer);
    drop(replies);
    // The writer ends when the last call in flight has answered.
    if timeout(time, &mut writer.0).await.is_err() {
        writer.0.abort();
    }
    if answered {
        reader.discard(LINGER_BYTES, LINGER).await;
    }
}

/// A task that ends with its owner, so that a connection which is given up leaves nothing behind.
struct Task(tokio::task::JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Sends what is still to be said about the end, and tells whether anything was.
fn last_words(end: Option<End>, replies: &mpsc::Sender<Reply>, peer: SocketAddr) -> bool {
    let mut frame = BytesMut::new();
    match end {
        None => return false,
        Some(End::Frames(FrameEnd::Closed)) => return false,
        Some(End::Frames(FrameEnd::Preamble(BadPreamble::Http))) => {
            frame.extend_from_slice(rpc::HTTP_REFUSAL.as_bytes());
        }
        Some(End::Frames(FrameEnd::Preamble(BadPreamble::Version(version)))) => {
            rpc::encode_fatal(&mut frame, &nobody(), &RpcFailure::version_mismatch(version));
        }
        Some(End::Frames(FrameEnd::Preamble(BadPreamble::Auth(_)))) => {
            let failure = RpcFailure::unauthorized("unknown authentication in the connection preamble");
            rpc::encode_fatal(&mut frame, &nobody(), &failure);
        }
        Some(End::Frames(FrameEnd::Wire(error))) => {
            rpc::encode_fatal(&mut frame, &nobody(), &RpcFailure::invalid_header(error.to_string()));
        }
        Some(End::Frames(end)) => {
            tracing::debug!(%peer, %end, "RPC connection ended");
            return false;
        }
        Some(End::Fatal(fatal)) => {
            tracing::debug!(%peer, error = %fatal.failure, "RPC connection refused");
            rpc::encode_fatal(&mut frame, &fatal.reply_to, &fatal.failure);
        }
    }
    send(replies, frame, Permits::default());
    true
}

fn nobody() -> ReplyTo {
    ReplyTo { call_id: rpc::NO_CALL_ID, client_id: None, retry_count: -1 }
}

fn send(replies: &mpsc::Sender<Reply>, frame: BytesMut, permits: Permits) {
    // It can only fail if the writer is gone, and then there is nobody to tell.
    let _ = replies.try_send(Reply { frame, permits });
}

async fn read_calls<R: AsyncRead + Unpin>(
    reader: &mut FrameReader<R>,
    replies: &mpsc::Sender<Reply>,
    peer: SocketAddr,
    (shared, activity): (&Arc<Shared>, &Arc<Activity>),
    calls: &Arc<Semaphore>,
) -> End {
    let limits = &shared.limits;
    let context = match timeout(limits.handshake, handshake(reader, replies)).await {
        Ok(Ok(context)) => context,
        Ok(Err(end)) => return end,
        Err(_) => return End::Frames(FrameEnd::Stalled),
    };
    activity.introduced();
    let caller = Caller { user: context.user.into(), real_user: context.real_user.map(Into::into), peer };
    loop {
        match next_call(reader, calls, shared).await {
            Ok(Some((call, permits))) => {
                start(call, permits, &caller, replies, (shared, activity));
            }
            Ok(None) => {}
            Err(End::Frames(FrameEnd::Idle)) if calls.available_permits() < limits.calls_per_connection => {}
            Err(end) => return end,
        }
    }
}

/// Who calls over this connection.
struct Caller {
    user: Arc<str>,
    real_user: Option<Arc<str>>,
    peer: SocketAddr,
}

async fn handshake<R: AsyncRead + Unpin>(
    reader: &mut FrameReader<R>,
    replies: &mpsc::Sender<Reply>,
) -> Result<ConnectionContext, End> {
    let preamble = reader.preamble().await?;
    for _ in 0..HANDSHAKE_FRAMES {
        // The caller's timeout covers the whole handshake.
        let len = reader.frame_len(HANDSHAKE_FRAME_MAX, Duration::MAX, Duration::MAX).await?;
        let frame = reader.frame(len, Duration::MAX).await?;
        match rpc::decode_request(frame)? {
            Incoming::Context(context) => return Ok(context),
            Incoming::Ping => {}
            Incoming::Sasl(to, message) if preamble.auth == Auth::Sasl => {
                if let Some(state) = authenticate(&message).map_err(|failure| refuse(to, failure))? {
                    let mut frame = BytesMut::new();
                    rpc::encode_sasl_reply(&mut frame, &to, state);
                    send(replies, frame, Permits::default());
                }
            }
            Incoming::Sasl(to, _) => {
                return Err(refuse(to, RpcFailure::invalid_header("authentication was not announced")));
            }
            Incoming::Call(call) => {
                return Err(refuse(call.reply_to, RpcFailure::invalid_header("a call before the connection context")));
            }
        }
    }
    Err(refuse(nobody(), RpcFailure::invalid_header("no connection context")))
}

/// One step of authentication. Only SIMPLE is offered: a client that asks is told at once that it is through, and one that
/// starts SIMPLE by itself expects no answer.
fn authenticate(message: &mammoth_protocol::hadoop::common::RpcSaslProto) -> Result<Option<SaslState>, RpcFailure> {
    match message.state() {
        SaslState::Negotiate => Ok(Some(SaslState::Success)),
        SaslState::Initiate if message.auths.iter().all(|auth| auth.method == "SIMPLE") => Ok(None),
        _ => Err(RpcFailure::unauthorized("only SIMPLE authentication is offered")),
    }
}

/// Reads one frame; `None` is a ping. The permits are taken before the frame is read: a client that has too much in flight
/// is not read from.
async fn next_call<R: AsyncRead + Unpin>(
    reader: &mut FrameReader<R>,
    calls: &Arc<Semaphore>,
    shared: &Arc<Shared>,
) -> Result<Option<(Call, Permits)>, End> {
    let limits = &shared.limits;
    let len = reader.frame_len(limits.frame_bytes, limits.idle, limits.stall).await?;
    let call_permit = Arc::clone(calls).acquire_owned().await.ok();
    let bytes_permit = match u32::try_from(len) {
        Ok(bytes) if len > LONG_REQUEST => Arc::clone(&shared.request_bytes).acquire_many_owned(bytes).await.ok(),
        _ => None,
    };
    let frame = reader.frame(len, limits.stall).await?;
    match rpc::decode_request(frame)? {
        Incoming::Call(call) => Ok(Some((call, Permits { _call: call_permit, _bytes: bytes_permit }))),
        Incoming::Ping => Ok(None),
        Incoming::Context(_) => Err(refuse(nobody(), RpcFailure::invalid_header("a second connection context"))),
        Incoming::Sasl(to, _) => Err(refuse(to, RpcFailure::invalid_header("authentication is over"))),
    }
}

/// Starts a call as a task of its own.
fn start(
    call: Call,
    permits: Permits,
    caller: &Caller,
    replies: &mpsc::Sender<Reply>,
    (shared, activity): (&Arc<Shared>, &Arc<Activity>),
) {
    let answer =
        Answer { to: call.reply_to, replies: replies.clone(), permits: Some(permits), _working: activity.call() };
    if call.version != rpc::PROTOCOL_VERSION {
        return answer.failure(&RpcFailure::protocol_version_mismatch(&call.protocol, call.version));
    }
    let call = RpcCall {
        protocol: call.protocol,
        method: call.method,
        payload: call.payload,
        user: Arc::clone(&caller.user),
        real_user: caller.real_user.clone(),
        client_id: call.reply_to.client_id,
        call_id: call.reply_to.call_id,
        retry_count: call.reply_to.retry_count,
        peer: caller.peer,
        caller_context: call.caller_context,
    };
    let handler = Arc::clone(&shared.handler);
    tokio::spawn(async move {
        match handler.call(call).await {
            Ok(payload) => answer.success(&payload),
            Err(failure) => answer.failure(&failure),
        }
    });
}

/// The duty to answer a call. Dropped without an answer, as when the handler panics, it answers with a failure.
struct Answer {
    to: ReplyTo,
    replies: mpsc::Sender<Reply>,
    permits: Option<Permits>,
    _working: Working,
}

impl Answer {
    fn success(mut self, payload: &[u8]) {
        let mut frame = BytesMut::new();
        rpc::encode_success(&mut frame, &self.to, payload);
        self.send(frame);
    }

    fn failure(mut self, failure: &RpcFailure) {
        let mut frame = BytesMut::new();
        rpc::encode_failure(&mut frame, &self.to, failure);
        self.send(frame);
    }

    fn send(&mut self, frame: BytesMut) {
        if let Some(permits) = self.permits.take() {
            send(&self.replies, frame, permits);
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if self.permits.is_some() {
            let mut frame = BytesMut::new();
            let failure = RpcFailure::server(ErrorCode::Io, "the call failed inside the server");
            rpc::encode_failure(&mut frame, &self.to, &failure);
            self.send(frame);
        }
    }
}

/// The calls of a connection that are in work or whose answers are not written.
struct InFlight {
    calls: Arc<Semaphore>,
    most: usize,
}

impl InFlight {
    /// More than one.
    fn several(&self) -> bool {
        self.calls.available_permits() + 1 < self.most
    }
}

/// Writes answers as they come, several at a time if they are there, and closes its half when the last is out.
async fn write_replies<W: AsyncWrite + Unpin>(
    mut write: W,
    mut queue: mpsc::Receiver<Reply>,
    stall: Duration,
    in_flight: InFlight,
) {
    let mut held = Vec::new();
    while let Some(Reply { mut frame, permits }) = queue.recv().await {
        held.push(permits);
        if in_flight.several() {
            // Calls that were made together are mostly answered together: the others get their turn before the write.
            tokio::task::yield_now().await;
        }
        while frame.len() < WRITE_GATHER {
            let Ok(next) = queue.try_recv() else { break };
            frame.extend_from_slice(&next.frame);
            held.push(next.permits);
        }
        if !matches!(timeout(stall, write.write_all(&frame)).await, Ok(Ok(()))) {
            return;
        }
        held.clear();
    }
    let _ = timeout(stall, write.shutdown()).await;
}
