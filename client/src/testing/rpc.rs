//! A Hadoop RPC server for tests: a thread for each connection, one call at a time.

use bytes::{Buf, Bytes, BytesMut};
use mammoth_protocol::rpc::{self, FRAME_PREFIX, Incoming, PREAMBLE_BYTES, ReplyTo, RpcFailure};
use prost::Message;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

/// A call as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) method: String,
    pub(crate) payload: Bytes,
    pub(crate) to: ReplyTo,
}

impl Received {
    pub(crate) fn message<M: Message + Default>(&self) -> M {
        M::decode(self.payload.clone()).expect("a client sends valid messages")
    }
}

/// What becomes of a call.
pub(crate) enum Answer {
    Reply(Vec<u8>),
    Fail(RpcFailure),
    /// The connection goes, without a word.
    HangUp,
}

impl Answer {
    pub(crate) fn of(message: &impl Message) -> Self {
        Self::Reply(message.encode_to_vec())
    }
}

/// Serves until the test process ends.
pub(crate) fn serve(handler: impl Fn(Received) -> Answer + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    serve_on(listener, handler);
    addr
}

pub(crate) fn serve_on(listener: TcpListener, handler: impl Fn(Received) -> Answer + Send + Sync + 'static) {
    let handler = Arc::new(handler);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let handler = Arc::clone(&handler);
            std::thread::spawn(move || connection(stream, &*handler));
        }
    });
}

fn connection(mut stream: TcpStream, handler: &(dyn Fn(Received) -> Answer + Send + Sync)) -> Option<()> {
    let mut buffer = BytesMut::new();
    while buffer.len() < PREAMBLE_BYTES {
        fill(&mut stream, &mut buffer)?;
    }
    buffer.advance(PREAMBLE_BYTES);
    loop {
        let frame = next_frame(&mut stream, &mut buffer)?;
        let Ok(Incoming::Call(call)) = rpc::decode_request(frame) else { continue };
        let received = Received { method: call.method, payload: call.payload, to: call.reply_to };
        let to = received.to;
        let mut out = BytesMut::new();
        match handler(received) {
            Answer::Reply(payload) => rpc::encode_success(&mut out, &to, &payload),
            Answer::Fail(failure) => rpc::encode_failure(&mut out, &to, &failure),
            Answer::HangUp => return None,
        }
        stream.write_all(&out).ok()?;
    }
}

fn next_frame(stream: &mut TcpStream, buffer: &mut BytesMut) -> Option<Bytes> {
    loop {
        if let Some(len) = rpc::frame_len(buffer, 1 << 20).ok()?
            && buffer.len() >= FRAME_PREFIX + len
        {
            buffer.advance(FRAME_PREFIX);
            return Some(buffer.split_to(len).freeze());
        }
        fill(stream, buffer)?;
    }
}

fn fill(stream: &mut TcpStream, buffer: &mut BytesMut) -> Option<()> {
    let mut bytes = [0; 4096];
    let read = stream.read(&mut bytes).ok().filter(|read| *read > 0)?;
    buffer.extend_from_slice(&bytes[..read]);
    Some(())
}
