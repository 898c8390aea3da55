//! The cheapest clients of Hadoop RPC that there are. What a client library spends is its own affair; these measure the server.
//!
//! [`Caller`] is one connection on a thread of its own; [`Looping`] is one of many that a single thread serves, so that a closed
//! loop of 40 clients costs no switches between 40 threads on the cores that the namenode needs.

use bytes::{Buf, BytesMut};
use mammoth_protocol::Uuid;
use mammoth_protocol::hadoop::CLIENT_PROTOCOL;
use mammoth_protocol::limits::RPC_FRAME_MAX;
use mammoth_protocol::rpc::{
    self, Auth, ConnectionContext, FRAME_PREFIX, Outcome, Preamble, ReplyTo, decode_response, encode_call,
    encode_context,
};
use prost::Message;
use std::io::{Read, Write};
use std::net::TcpStream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Bytes that a read asks for.
const READ: usize = 16 * 1024;

/// Calls and answers of a connection, as bytes.
struct Frames {
    client_id: [u8; 16],
    next_id: i32,
    outbox: BytesMut,
    inbox: BytesMut,
}

impl Frames {
    /// Those of client `number`, which tells clients apart.
    fn new(number: u64) -> Self {
        let client_id = Uuid((u128::from(std::process::id()) << 64) | u128::from(number)).0.to_be_bytes();
        let mut outbox = BytesMut::new();
        outbox.extend_from_slice(&Preamble { service_class: 0, auth: Auth::None }.encode());
        let context = ConnectionContext { user: user(), real_user: None, protocol: CLIENT_PROTOCOL.to_owned() };
        encode_context(&mut outbox, client_id, &context);
        Self { client_id, next_id: 0, outbox, inbox: BytesMut::new() }
    }

    fn send(&mut self, method: &str, request: &impl Message) -> Result<i32, String> {
        let to = ReplyTo { call_id: self.next_id, client_id: Some(self.client_id), retry_count: 0 };
        self.next_id += 1;
        encode_call(&mut self.outbox, &to, CLIENT_PROTOCOL, method, request, RPC_FRAME_MAX)
            .map_err(|e| e.to_string())?;
        Ok(to.call_id)
    }

    /// The next answer, if it has arrived whole.
    fn arrived<M: Message + Default>(&mut self) -> Result<Option<(i32, M)>, String> {
        let Some(len) = rpc::frame_len(&self.inbox, RPC_FRAME_MAX).map_err(|e| e.to_string())? else { return Ok(None) };
        if self.inbox.len() < FRAME_PREFIX + len {
            return Ok(None);
        }
        self.inbox.advance(FRAME_PREFIX);
        let response = decode_response(self.inbox.split_to(len).freeze()).map_err(|e| e.to_string())?;
        match response.outcome {
            Outcome::Success(payload) => Ok(Some((response.call_id, M::decode(payload).map_err(|e| e.to_string())?))),
            Outcome::Error(failure) | Outcome::Fatal(failure) => Err(failure.to_string()),
        }
    }
}

fn closed(read: usize) -> Result<(), String> {
    if read == 0 { Err("the namenode closed the connection".to_owned()) } else { Ok(()) }
}

/// A connection to the namenode.
pub(crate) struct Caller {
    frames: Frames,
    stream: TcpStream,
}

impl Caller {
    /// Connects to `host:port`; `number` tells clients apart.
    pub(crate) fn connect(server: &str, number: u64) -> Result<Self, String> {
        let stream = TcpStream::connect(server).map_err(|e| format!("{server}: {e}"))?;
        stream.set_nodelay(true).map_err(|e| e.to_string())?;
        Ok(Self { frames: Frames::new(number), stream })
    }

    /// One call, alone.
    pub(crate) fn call<M: Message + Default>(&mut self, method: &str, request: &impl Message) -> Result<M, String> {
        self.frames.send(method, request)?;
        self.stream.write_all(&self.frames.outbox).map_err(|e| e.to_string())?;
        self.frames.outbox.clear();
        loop {
            if let Some((_, answer)) = self.frames.arrived()? {
                return Ok(answer);
            }
            let filled = self.frames.inbox.len();
            self.frames.inbox.resize(filled + READ, 0);
            let read = self.stream.read(&mut self.frames.inbox[filled..]).map_err(|e| e.to_string())?;
            self.frames.inbox.truncate(filled + read);
            closed(read)?;
        }
    }
}

/// A connection of a thread that has many.
pub(crate) struct Looping {
    frames: Frames,
    stream: tokio::net::TcpStream,
}

impl Looping {
    /// As [`Caller::connect`].
    pub(crate) async fn connect(server: &str, number: u64) -> Result<Self, String> {
        let stream = tokio::net::TcpStream::connect(server).await.map_err(|e| format!("{server}: {e}"))?;
        stream.set_nodelay(true).map_err(|e| e.to_string())?;
        Ok(Self { frames: Frames::new(number), stream })
    }

    /// Gets a call ready; its number is the answer. It leaves with the next [`Self::answer`].
    pub(crate) fn send(&mut self, method: &str, request: &impl Message) -> Result<i32, String> {
        self.frames.send(method, request)
    }

    /// The next answer, to whichever call.
    pub(crate) async fn answer<M: Message + Default>(&mut self) -> Result<(i32, M), String> {
        loop {
            if let Some(answer) = self.frames.arrived()? {
                return Ok(answer);
            }
            // All answers at hand are taken: what was asked meanwhile leaves in one write.
            self.stream.write_all_buf(&mut self.frames.outbox).await.map_err(|e| e.to_string())?;
            self.frames.inbox.reserve(READ);
            closed(self.stream.read_buf(&mut self.frames.inbox).await.map_err(|e| e.to_string())?)?;
        }
    }

    /// One call, alone.
    pub(crate) async fn call<M: Message + Default>(
        &mut self,
        method: &str,
        request: &impl Message,
    ) -> Result<M, String> {
        self.send(method, request)?;
        Ok(self.answer().await?.1)
    }
}

/// Who this is; files belong to whoever runs the cluster.
fn user() -> String {
    std::env::var("HADOOP_USER_NAME").or_else(|_| std::env::var("USER")).unwrap_or_else(|_| "root".to_owned())
}
