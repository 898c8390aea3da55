//! Frames from server to client. Each is built whole in one buffer, as some clients read a reply in one go; nothing may
//! follow the message, as Java refuses a frame with bytes left over.

use super::{ErrorDetail, FRAME_PREFIX, ReplyTo, RpcFailure, SASL_CALL_ID, SaslState, VERSION};
use crate::hadoop::common::rpc_response_header_proto::RpcStatusProto;
use crate::hadoop::common::{RpcResponseHeaderProto, RpcSaslProto};
use crate::limits::RPC_FRAME_MAX;
use crate::wire::{self, WireError};
use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The reply message, without its length.
    Success(Bytes),
    /// The call failed, the connection lives.
    Error(RpcFailure),
    /// The server ends the connection.
    Fatal(RpcFailure),
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Number of the call; negative for answers to no call.
    pub call_id: i32,
    /// Identity of the client, if the server repeats it.
    pub client_id: Option<[u8; 16]>,
    /// The answer.
    pub outcome: Outcome,
}

fn header(to: &ReplyTo, status: RpcStatusProto) -> RpcResponseHeaderProto {
    RpcResponseHeaderProto {
        call_id: to.call_id.cast_unsigned(),
        status: status as i32,
        server_ipc_version_num: Some(u32::from(VERSION)),
        client_id: to.client_id.map(Vec::from),
        retry_count: Some(to.retry_count),
        ..RpcResponseHeaderProto::default()
    }
}

/// Appends the answer to a call that succeeded; `payload` is the encoded reply message. A reply above the frame limit
/// becomes a failure of the call.
pub fn encode_success(out: &mut BytesMut, to: &ReplyTo, payload: &[u8]) {
    let header = header(to, RpcStatusProto::Success);
    let total = wire::delimited_size(header.encoded_len()).saturating_add(wire::delimited_size(payload.len()));
    match u32::try_from(total) {
        Ok(prefix) if total <= RPC_FRAME_MAX => {
            out.reserve(FRAME_PREFIX + total);
            out.put_u32(prefix);
            wire::put_message(out, &header);
            wire::put_encoded(out, payload);
        }
        _ => {
            let message = format!("the reply of {} bytes is longer than a frame", payload.len());
            let failure = RpcFailure::new(ErrorDetail::ErrorSerializingResponse, "java.io.IOException", message);
            encode_failure(out, to, &failure);
        }
    }
}

/// Appends the answer to a call that failed; the connection lives on.
pub fn encode_failure(out: &mut BytesMut, to: &ReplyTo, failure: &RpcFailure) {
    put_failure(out, to, RpcStatusProto::Error, failure);
}

/// Appends the last answer of a connection.
pub fn encode_fatal(out: &mut BytesMut, to: &ReplyTo, failure: &RpcFailure) {
    put_failure(out, to, RpcStatusProto::Fatal, failure);
}

fn put_failure(out: &mut BytesMut, to: &ReplyTo, status: RpcStatusProto, failure: &RpcFailure) {
    let header = RpcResponseHeaderProto {
        exception_class_name: Some(failure.java_class.clone()),
        error_msg: Some(failure.message.clone()),
        error_detail: Some(failure.detail as i32),
        ..header(to, status)
    };
    let total = wire::delimited_size(header.encoded_len());
    out.reserve(FRAME_PREFIX + total);
    out.put_u32(u32::try_from(total).expect("class and message are short"));
    wire::put_message(out, &header);
}

/// Appends a step of the authentication dialogue.
pub fn encode_sasl_reply(out: &mut BytesMut, to: &ReplyTo, state: SaslState) {
    let message = RpcSaslProto { state: state as i32, ..RpcSaslProto::default() };
    encode_success(out, &ReplyTo { call_id: SASL_CALL_ID, ..*to }, &message.encode_to_vec());
}

/// Reads a whole frame, without its length prefix.
///
/// # Errors
/// A frame that does not parse, or with bytes left over: the connection cannot go on.
pub fn decode_response(mut frame: Bytes) -> Result<Response, WireError> {
    let header: RpcResponseHeaderProto = wire::take_message(&mut frame, "rpc response header")?;
    if let Some(version) = header.server_ipc_version_num
        && version != u32::from(VERSION)
    {
        return Err(WireError::unexpected("rpc version of the server", version));
    }
    let outcome = match RpcStatusProto::try_from(header.status) {
        Ok(RpcStatusProto::Success) => Outcome::Success(wire::split_delimited(&mut frame, "rpc response message")?),
        Ok(RpcStatusProto::Error) => Outcome::Error(failure(&header)),
        Ok(RpcStatusProto::Fatal) => Outcome::Fatal(failure(&header)),
        Err(_) => return Err(WireError::unexpected("rpc status", header.status)),
    };
    if !frame.is_empty() {
        let left = i64::try_from(frame.len()).unwrap_or(i64::MAX);
        return Err(WireError::unexpected("bytes after an rpc response", left));
    }
    let client_id = header.client_id.and_then(|id| id.as_slice().try_into().ok());
    Ok(Response { call_id: header.call_id.cast_signed(), client_id, outcome })
}

fn failure(header: &RpcResponseHeaderProto) -> RpcFailure {
    let detail = header.error_detail.and_then(|detail| ErrorDetail::try_from(detail).ok());
    RpcFailure::new(
        detail.unwrap_or(ErrorDetail::ErrorApplication),
        header.exception_class_name.clone().unwrap_or_else(|| "java.io.IOException".to_owned()),
        header.error_msg.clone().unwrap_or_default(),
    )
}
