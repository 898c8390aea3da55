//! Server and client over real sockets: byte by byte, against each other, and against peers that misbehave.

mod calls;
mod hostile;
mod session;

use super::server::{RpcCall, RpcFuture, RpcHandler, ServerLimits, reply, serve};
use bytes::{Bytes, BytesMut};
use mammoth_platform::Shutdown;
use mammoth_protocol::hadoop::hdfs::{GetFileInfoRequestProto, GetLinkTargetResponseProto};
use mammoth_protocol::rpc::{self, Auth, ConnectionContext, Outcome, Preamble, ReplyTo, Response, RpcFailure};
use mammoth_protocol::{ErrorCode, FsError};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

const PROTOCOL: &str = "org.example.TestProtocol";
const CLIENT: [u8; 16] = *b"0123456789abcdef";
const FRAME_MAX: usize = 1 << 20;

/// Answers texts with texts; see [`Handler::answer`] for its methods.
struct Handler {
    /// Calls of `wait` take a permit each and keep it.
    gate: Semaphore,
    running: AtomicUsize,
    running_max: AtomicUsize,
    started: AtomicUsize,
}

impl Handler {
    async fn answer(self: Arc<Self>, call: RpcCall) -> Result<Bytes, RpcFailure> {
        self.started.fetch_add(1, Ordering::SeqCst);
        if call.protocol != PROTOCOL {
            return Err(RpcFailure::no_such_protocol(&call.protocol));
        }
        let request: GetFileInfoRequestProto = call.request()?;
        let text = match call.method.as_str() {
            "echo" => request.src,
            "who" => format!(
                "{} {} {} {} {}",
                call.user,
                call.real_user.as_deref().unwrap_or("-"),
                call.call_id,
                call.retry_count,
                call.caller_context.as_deref().unwrap_or("-"),
            ),
            "fail" => return Err(FsError::new(ErrorCode::FileNotFound, "nothing there").into()),
            "panic" => panic!("as the test asked"),
            "big" => "x".repeat(request.src.parse().expect("a number")),
            "wait" => {
                let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
                self.running_max.fetch_max(running, Ordering::SeqCst);
                self.gate.acquire().await.expect("never closed").forget();
                self.running.fetch_sub(1, Ordering::SeqCst);
                request.src
            }
            other => return Err(RpcFailure::no_such_method(&call.protocol, other)),
        };
        reply(&GetLinkTargetResponseProto { target_path: Some(text) })
    }
}

struct Door(Arc<Handler>);

impl RpcHandler for Door {
    fn call(&self, call: RpcCall) -> RpcFuture {
        Box::pin(Arc::clone(&self.0).answer(call))
    }
}

/// A server on a port of its own.
struct Server {
    runtime: Runtime,
    addr: SocketAddr,
    handler: Arc<Handler>,
    shutdown: Shutdown,
    serving: Option<JoinHandle<()>>,
}

impl Server {
    fn start(limits: ServerLimits) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let addr = listener.local_addr().unwrap();
        let handler = Arc::new(Handler {
            gate: Semaphore::new(0),
            running: AtomicUsize::new(0),
            running_max: AtomicUsize::new(0),
            started: AtomicUsize::new(0),
        });
        let shutdown = Shutdown::new();
        let door = Arc::new(Door(Arc::clone(&handler)));
        let serving = runtime.spawn(serve(listener, door, limits, shutdown.clone(), None));
        Self { runtime, addr, handler, shutdown, serving: Some(serving) }
    }

    fn peer(&self) -> Peer {
        Peer::connect(self.addr)
    }

    /// A connection with its handshake done.
    fn session(&self) -> Peer {
        let mut peer = self.peer();
        peer.open();
        peer
    }

    /// Stops it and waits until it has stopped.
    fn stop(&mut self) {
        self.shutdown.trigger();
        if let Some(serving) = self.serving.take() {
            let ended = async { tokio::time::timeout(Duration::from_secs(20), serving).await };
            self.runtime.block_on(ended).expect("serve returns").unwrap();
        }
    }
}

/// Waits for something that must become true.
fn eventually(what: &str, mut check: impl FnMut() -> bool) {
    for _ in 0..2000 {
        if check() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("never happened: {what}");
}

/// A client that speaks bytes.
struct Peer {
    stream: TcpStream,
}

impl Peer {
    fn connect(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream }
    }

    fn open(&mut self) {
        let mut out = BytesMut::from(&Preamble { service_class: 0, auth: Auth::None }.encode()[..]);
        let context =
            ConnectionContext { user: "alice".into(), real_user: Some("bob".into()), protocol: PROTOCOL.into() };
        rpc::encode_context(&mut out, CLIENT, &context);
        self.send(&out);
    }

    fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    fn send_call(&mut self, call_id: i32, protocol: &str, method: &str, text: &str) {
        self.send(&call_frame(call_id, protocol, method, text));
    }

    fn frame(&mut self) -> Bytes {
        let mut prefix = [0; 4];
        self.stream.read_exact(&mut prefix).unwrap();
        let len = rpc::frame_len(&prefix, FRAME_MAX).unwrap().unwrap();
        let mut frame = vec![0; len];
        self.stream.read_exact(&mut frame).unwrap();
        frame.into()
    }

    fn response(&mut self) -> Response {
        rpc::decode_response(self.frame()).unwrap()
    }

    /// Reads an answer that must be a text.
    fn text(&mut self) -> (i32, String) {
        let response = self.response();
        let Outcome::Success(payload) = response.outcome else { panic!("not a text: {response:?}") };
        let message: GetLinkTargetResponseProto = mammoth_protocol::wire::decode(&payload, "test").unwrap();
        (response.call_id, message.target_path.unwrap())
    }

    /// Reads an answer that must end the connection, and sees it end.
    fn fatal(&mut self) -> (i32, RpcFailure) {
        let response = self.response();
        let Outcome::Fatal(failure) = response.outcome else { panic!("not fatal: {response:?}") };
        assert_eq!(self.rest(), b"");
        (response.call_id, failure)
    }

    /// Everything until the server closes.
    fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
            Err(error) => panic!("the server does not close: {error}"),
        }
        rest
    }
}

fn call_frame(call_id: i32, protocol: &str, method: &str, text: &str) -> BytesMut {
    let to = ReplyTo { call_id, client_id: Some(CLIENT), retry_count: 0 };
    let mut out = BytesMut::new();
    let message = GetFileInfoRequestProto { src: text.to_owned() };
    rpc::encode_call(&mut out, &to, protocol, method, &message, 64 << 20).unwrap();
    out
}
