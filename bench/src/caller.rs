//! The cheapest client of Hadoop RPC that there is: one thread, one connection, a fixed number of calls in flight. What a
//! client library spends is its own affair; this measures the server.

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

/// Bytes that a read asks for.
const READ: usize = 16 * 1024;

/// A connection to the namenode.
pub(crate) struct Caller {
    stream: TcpStream,
    client_id: [u8; 16],
    next_id: i32,
    outbox: BytesMut,
    inbox: BytesMut,
}

impl Caller {
    /// Connects to `host:port`; `number` tells clients apart.
    pub(crate) fn connect(server: &str, number: u64) -> Result<Self, String> {
        let stream = TcpStream::connect(server).map_err(|e| format!("{server}: {e}"))?;
        stream.set_nodelay(true).map_err(|e| e.to_string())?;
        let client_id = Uuid((u128::from(std::process::id()) << 64) | u128::from(number)).0.to_be_bytes();
        let mut outbox = BytesMut::new();
        outbox.extend_from_slice(&Preamble { service_class: 0, auth: Auth::None }.encode());
        let context = ConnectionContext { user: user(), real_user: None, protocol: CLIENT_PROTOCOL.to_owned() };
        encode_context(&mut outbox, client_id, &context);
        Ok(Self { stream, client_id, next_id: 0, outbox, inbox: BytesMut::new() })
    }

    /// Gets a call ready; its number is the answer. It leaves with the next [`Self::answer`].
    pub(crate) fn send(&mut self, method: &str, request: &impl Message) -> Result<i32, String> {
        let to = ReplyTo { call_id: self.next_id, client_id: Some(self.client_id), retry_count: 0 };
        self.next_id += 1;
        encode_call(&mut self.outbox, &to, CLIENT_PROTOCOL, method, request, RPC_FRAME_MAX)
            .map_err(|e| e.to_string())?;
        Ok(to.call_id)
    }

    /// The next answer, to whichever call.
    pub(crate) fn answer<M: Message + Default>(&mut self) -> Result<(i32, M), String> {
        loop {
            if let Some(len) = rpc::frame_len(&self.inbox, RPC_FRAME_MAX).map_err(|e| e.to_string())?
                && self.inbox.len() >= FRAME_PREFIX + len
            {
                self.inbox.advance(FRAME_PREFIX);
                let response = decode_response(self.inbox.split_to(len).freeze()).map_err(|e| e.to_string())?;
                return match response.outcome {
                    Outcome::Success(payload) => Ok((response.call_id, M::decode(payload).map_err(|e| e.to_string())?)),
                    Outcome::Error(failure) | Outcome::Fatal(failure) => Err(failure.to_string()),
                };
            }
            // All answers at hand are taken: what was asked meanwhile leaves in one write.
            self.stream.write_all(&self.outbox).map_err(|e| e.to_string())?;
            self.outbox.clear();
            let filled = self.inbox.len();
            self.inbox.resize(filled + READ, 0);
            let read = self.stream.read(&mut self.inbox[filled..]).map_err(|e| e.to_string())?;
            self.inbox.truncate(filled + read);
            if read == 0 {
                return Err("the namenode closed the connection".to_owned());
            }
        }
    }

    /// One call, alone.
    pub(crate) fn call<M: Message + Default>(&mut self, method: &str, request: &impl Message) -> Result<M, String> {
        self.send(method, request)?;
        Ok(self.answer()?.1)
    }
}

/// Who this is; files belong to whoever runs the cluster.
fn user() -> String {
    std::env::var("HADOOP_USER_NAME").or_else(|_| std::env::var("USER")).unwrap_or_else(|_| "root".to_owned())
}
