//! Hadoop RPC version 9, both directions, as a codec over bytes.
//!
//! A connection opens with a [`Preamble`]; after it both sides send frames: a 32-bit big-endian length, a delimited header,
//! and what the header announces. [`Incoming`] is what a server reads, [`Response`] what a client reads. Nothing here knows
//! about sockets or about the methods of any protocol.

mod failure;
mod preamble;
mod request;
mod response;

pub use crate::hadoop::common::rpc_response_header_proto::RpcErrorCodeProto as ErrorDetail;
pub use crate::hadoop::common::rpc_sasl_proto::SaslState;
pub use failure::RpcFailure;
pub use preamble::{Auth, BadPreamble, HTTP_REFUSAL, PREAMBLE_BYTES, Preamble, parse_preamble};
pub use request::{
    Call, ConnectionContext, Fatal, Incoming, decode_request, encode_call, encode_context, encode_ping, encode_sasl,
};
pub use response::{
    Outcome, Response, decode_response, encode_failure, encode_fatal, encode_sasl_reply, encode_success,
};

use crate::wire::WireError;

/// Version of the connection protocol.
pub const VERSION: u8 = 9;
/// Version that every protocol-buffer protocol of Hadoop declares.
pub const PROTOCOL_VERSION: u64 = 1;
/// Call id of the frame that carries the connection context.
pub const CONTEXT_CALL_ID: i32 = -3;
/// Call id of a ping.
pub const PING_CALL_ID: i32 = -4;
/// Call id of authentication frames.
pub const SASL_CALL_ID: i32 = -33;
/// Call id of a refusal that belongs to no call.
pub const NO_CALL_ID: i32 = -1;
/// Bytes of the length in front of every frame.
pub const FRAME_PREFIX: usize = 4;
/// Longest text of a caller context that is kept (Hadoop: `hadoop.caller.context.max.size`).
pub const CALLER_CONTEXT_MAX: usize = 128;

/// Whom a reply goes to: copied from the request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplyTo {
    /// Number of the call within the client.
    pub call_id: i32,
    /// Identity of the client; absent if it is not the usual 16 bytes, and such a call cannot be recognised when repeated.
    pub client_id: Option<[u8; 16]>,
    /// How often the client sent this call before; -1 if it does not say.
    pub retry_count: i32,
}

/// Length of the frame that starts here, without its prefix; `None` if more bytes are needed to tell.
///
/// # Errors
/// A length above `max`.
pub fn frame_len(bytes: &[u8], max: usize) -> Result<Option<usize>, WireError> {
    let Some(prefix) = bytes.first_chunk::<FRAME_PREFIX>() else {
        return Ok(None);
    };
    let len = u32::from_be_bytes(*prefix);
    match usize::try_from(len) {
        Ok(len) if len <= max => Ok(Some(len)),
        _ => Err(WireError::TooLong { what: "rpc frame", len: u64::from(len), max: max as u64 }),
    }
}

#[cfg(test)]
mod tests;
