//! The client's connection to the namenode.

use crate::{Session, calls, message, sessions, text};
use bytes::{Bytes, BytesMut};
use mammoth_net::rpc::server::{RpcCall, RpcFuture, RpcHandler, ServerLimits, serve};
use mammoth_platform::Shutdown;
use mammoth_protocol::hadoop;
use mammoth_protocol::rpc::{
    self, Auth, Call, ConnectionContext, ErrorDetail, FRAME_PREFIX, Incoming, Outcome, PREAMBLE_BYTES, Preamble,
    ReplyTo,
};
use prost::Message;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

const FRAME_MAX: usize = 4096;

/// Cuts a stream into frames, each with its length in front.
fn frames(stream: &[u8]) -> Vec<Bytes> {
    let mut rest = Bytes::copy_from_slice(stream);
    let mut frames = Vec::new();
    while !rest.is_empty() {
        let len = rpc::frame_len(&rest, FRAME_MAX).unwrap().unwrap();
        frames.push(rest.split_to(FRAME_PREFIX + len));
    }
    frames
}

fn session() -> Session {
    let mut sessions = sessions("namenode");
    assert_eq!(sessions.len(), 1, "one connection carries all calls");
    sessions.remove(0)
}

/// A call with its frame, and the frame of its answer.
pub(crate) struct Exchange {
    pub(crate) call: Call,
    request: Bytes,
    answer: Bytes,
}

fn exchanges(session: &Session) -> Vec<Exchange> {
    let requests = frames(&session.client[PREAMBLE_BYTES..]).split_off(1);
    let answers = frames(&session.server);
    assert_eq!(requests.len(), answers.len());
    let exchange = |(request, answer): (Bytes, Bytes)| match rpc::decode_request(request.slice(FRAME_PREFIX..)) {
        Ok(Incoming::Call(call)) => Exchange { call, request, answer },
        other => panic!("not a call: {other:?}"),
    };
    requests.into_iter().zip(answers).map(exchange).collect()
}

impl Exchange {
    /// Call and answer in words. Both messages and both frames, encoded again, must give the bytes that were recorded.
    pub(crate) fn tell<Q: Message + Default, A: Message + Default>(
        &self,
        ask: impl Fn(&Q) -> String,
        say: impl Fn(&A) -> String,
    ) -> (String, String) {
        let request: Q = message(&self.call.payload);
        let (to, method) = (&self.call.reply_to, &self.call.method);
        let mut again = BytesMut::new();
        rpc::encode_call(&mut again, to, &self.call.protocol, method, &request, FRAME_MAX).unwrap();
        assert_eq!(again, self.request);
        (format!("{method} {}", ask(&request)).trim_end().to_owned(), self.tell_answer(say))
    }

    fn tell_answer<A: Message + Default>(&self, say: impl Fn(&A) -> String) -> String {
        let to = &self.call.reply_to;
        let response = rpc::decode_response(self.answer.slice(FRAME_PREFIX..)).unwrap();
        assert_eq!((response.call_id, response.client_id), (to.call_id, to.client_id));
        let mut again = BytesMut::new();
        let said = match response.outcome {
            Outcome::Success(payload) => {
                rpc::encode_success(&mut again, to, &payload);
                say(&message(&payload))
            }
            Outcome::Error(failure) => {
                assert_eq!(failure.detail, ErrorDetail::ErrorApplication);
                rpc::encode_failure(&mut again, to, &failure);
                failure.java_class.rsplit('.').next().unwrap().to_owned()
            }
            Outcome::Fatal(failure) => panic!("{failure}"),
        };
        assert_eq!(again, self.answer);
        said
    }
}

#[test]
fn the_connection_opens_as_we_would_open_it() {
    let session = session();
    let preamble = Preamble { service_class: 0, auth: Auth::None };
    assert_eq!(rpc::parse_preamble(&session.client), Ok(Some(preamble)));
    assert_eq!(session.client[..PREAMBLE_BYTES], preamble.encode());
    let first = frames(&session.client[PREAMBLE_BYTES..]).remove(0);
    let context =
        ConnectionContext { user: "alice".to_owned(), real_user: None, protocol: hadoop::CLIENT_PROTOCOL.to_owned() };
    assert_eq!(rpc::decode_request(first.slice(FRAME_PREFIX..)), Ok(Incoming::Context(context.clone())));
    let mut again = BytesMut::new();
    rpc::encode_context(&mut again, exchanges(&session)[0].call.reply_to.client_id.unwrap(), &context);
    assert_eq!(again, first);
}

#[test]
fn calls_are_numbered_and_say_whose_they_are() {
    let exchanges = exchanges(&session());
    let client_id = exchanges[0].call.reply_to.client_id;
    assert!(client_id.is_some_and(|id| id != [0; 16]));
    for (number, Exchange { call, .. }) in exchanges.iter().enumerate() {
        assert_eq!(call.reply_to, ReplyTo { call_id: number as i32, client_id, retry_count: 0 });
        assert_eq!((call.protocol.as_str(), call.version), (hadoop::CLIENT_PROTOCOL, rpc::PROTOCOL_VERSION));
        assert_eq!(call.caller_context, None);
    }
}

#[test]
fn calls_and_answers_mean_what_they_should() {
    let exchanges = exchanges(&session());
    let client = text::client_name(&exchanges);
    let told: Vec<_> = exchanges.iter().map(|exchange| calls::tell(exchange, &client)).collect();
    // A file is complete once its datanode has reported; how often the client asks before that is chance.
    let told: Vec<_> =
        told.iter().filter(|(call, answer)| !(call.starts_with("complete ") && answer == "no")).collect();
    for (number, (told, expected)) in told.iter().zip(calls::EXPECTED).enumerate() {
        assert_eq!((told.0.as_str(), told.1.as_str()), *expected, "call {number}");
    }
    assert_eq!(told.len(), calls::EXPECTED.len());
}

#[test]
fn no_part_of_a_frame_passes_for_a_frame() {
    let session = session();
    for frame in frames(&session.client[PREAMBLE_BYTES..]) {
        for cut in 0..frame.len() {
            let whole = rpc::frame_len(&frame[..cut], FRAME_MAX).unwrap().is_some_and(|len| cut >= FRAME_PREFIX + len);
            assert!(!whole, "{cut} of {} bytes", frame.len());
            assert!(cut < FRAME_PREFIX || rpc::decode_request(frame.slice(FRAME_PREFIX..cut)).is_err(), "{cut}");
        }
    }
    for frame in frames(&session.server) {
        for cut in FRAME_PREFIX..frame.len() {
            assert!(rpc::decode_response(frame.slice(FRAME_PREFIX..cut)).is_err(), "{cut}");
        }
    }
}

/// Answers each call as it was answered when it was recorded.
struct Recorded(Vec<Exchange>);

impl RpcHandler for Recorded {
    fn call(&self, call: RpcCall) -> RpcFuture {
        let Exchange { call: recorded, answer, .. } = &self.0[call.call_id as usize];
        assert_eq!((&*call.user, &call.method, &call.payload), ("alice", &recorded.method, &recorded.payload));
        let result = match rpc::decode_response(answer.slice(FRAME_PREFIX..)).unwrap().outcome {
            Outcome::Success(payload) => Ok(payload),
            Outcome::Error(failure) | Outcome::Fatal(failure) => Err(failure),
        };
        Box::pin(async move { result })
    }
}

/// Plays the client: sends what was recorded, in pieces, and waits for each answer.
fn replay(addr: SocketAddr, session: &Session) {
    let mut socket = TcpStream::connect(addr).unwrap();
    socket.set_nodelay(true).unwrap();
    socket.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
    let (preamble, stream) = session.client.split_at(PREAMBLE_BYTES);
    socket.write_all(&preamble[..5]).unwrap();
    socket.write_all(&preamble[5..]).unwrap();
    let mut requests = frames(stream).into_iter();
    socket.write_all(&requests.next().unwrap()).unwrap();
    for (number, (request, answer)) in requests.zip(frames(&session.server)).enumerate() {
        let (head, tail) = request.split_at(number % request.len());
        socket.write_all(head).unwrap();
        socket.write_all(tail).unwrap();
        let mut answered = vec![0; answer.len()];
        socket.read_exact(&mut answered).unwrap();
        assert_eq!(answered, answer, "call {number}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_server_reads_the_session_and_answers_byte_by_byte_the_same() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let shutdown = Shutdown::new();
    let handler = Arc::new(Recorded(exchanges(&session())));
    let serving = tokio::spawn(serve(listener, handler, ServerLimits::default(), shutdown.clone(), None));
    tokio::task::spawn_blocking(move || replay(addr, &session())).await.unwrap();
    shutdown.trigger();
    serving.await.unwrap();
}
