//! Frames from client to server.

use super::{CONTEXT_CALL_ID, FRAME_PREFIX, PING_CALL_ID, PROTOCOL_VERSION, ReplyTo, RpcFailure, SASL_CALL_ID};
use crate::hadoop::common::rpc_request_header_proto::OperationProto;
use crate::hadoop::common::{
    IpcConnectionContextProto, RequestHeaderProto, RpcKindProto, RpcRequestHeaderProto, RpcSaslProto,
    UserInformationProto,
};
use crate::limits::PRINCIPAL_BYTES_MAX;
use crate::wire::{self, WireError};
use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;

/// Who calls over a connection, and which protocol it means to speak.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionContext {
    /// The user in whose name calls act.
    pub user: String,
    /// The user who impersonates, if another.
    pub real_user: Option<String>,
    /// Protocol that the client means to speak; each call names its own again.
    pub protocol: String,
}

/// One call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Where the answer goes.
    pub reply_to: ReplyTo,
    /// Name of the protocol.
    pub protocol: String,
    /// Version of the protocol that the client speaks.
    pub version: u64,
    /// Name of the method.
    pub method: String,
    /// Text by which the client marks its calls.
    pub caller_context: Option<String>,
    /// The request message, without its length.
    pub payload: Bytes,
}

/// What a frame from a client is.
#[derive(Clone, Debug, PartialEq)]
pub enum Incoming {
    /// The connection context, due before the first call.
    Context(ConnectionContext),
    /// A step of authentication.
    Sasl(ReplyTo, RpcSaslProto),
    /// A sign of life, without answer.
    Ping,
    /// A call.
    Call(Call),
}

/// A frame that ends the connection, with the answer that says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fatal {
    /// Where the answer goes.
    pub reply_to: ReplyTo,
    /// The answer.
    pub failure: RpcFailure,
}

/// Reads a whole frame, without its length prefix. Bytes after the request message are ignored, as Hadoop does.
///
/// # Errors
/// A frame after which the connection cannot go on.
pub fn decode_request(mut frame: Bytes) -> Result<Incoming, Box<Fatal>> {
    let header: RpcRequestHeaderProto = match wire::take_message(&mut frame, "rpc header") {
        Ok(header) => header,
        Err(error) => {
            let reply_to = ReplyTo { call_id: super::NO_CALL_ID, client_id: None, retry_count: -1 };
            return Err(Box::new(Fatal { reply_to, failure: RpcFailure::invalid_header(error.to_string()) }));
        }
    };
    let reply_to = ReplyTo {
        call_id: header.call_id,
        client_id: header.client_id.as_slice().try_into().ok(),
        retry_count: header.retry_count(),
    };
    classify(&header, reply_to, frame).map_err(|failure| Box::new(Fatal { reply_to, failure }))
}

fn classify(header: &RpcRequestHeaderProto, reply_to: ReplyTo, body: Bytes) -> Result<Incoming, RpcFailure> {
    if header.rpc_op != Some(OperationProto::RpcFinalPacket as i32) {
        return Err(RpcFailure::invalid_header("frame is no single packet"));
    }
    if header.rpc_kind != Some(RpcKindProto::RpcProtocolBuffer as i32) {
        return Err(RpcFailure::invalid_header("calls must be encoded as protocol buffers"));
    }
    match header.call_id {
        CONTEXT_CALL_ID => context(body).map(Incoming::Context),
        PING_CALL_ID => Ok(Incoming::Ping),
        SASL_CALL_ID => sasl(body).map(|message| Incoming::Sasl(reply_to, message)),
        0.. => call(header, reply_to, body).map(Incoming::Call),
        other => Err(RpcFailure::invalid_header(format!("unknown call id {other}"))),
    }
}

fn context(mut body: Bytes) -> Result<ConnectionContext, RpcFailure> {
    let message: IpcConnectionContextProto = wire::take_message(&mut body, "connection context").map_err(invalid)?;
    let user_info = message.user_info.unwrap_or_default();
    let user = principal(user_info.effective_user)?
        .ok_or_else(|| RpcFailure::unauthorized("the connection context names no user"))?;
    let real_user = principal(user_info.real_user)?;
    Ok(ConnectionContext { user, real_user, protocol: message.protocol.unwrap_or_default() })
}

/// A user name that may be stored and logged: not empty, not endless, without control characters.
fn principal(name: Option<String>) -> Result<Option<String>, RpcFailure> {
    match name {
        Some(name) if name.len() > PRINCIPAL_BYTES_MAX || name.chars().any(char::is_control) => {
            Err(RpcFailure::unauthorized("user name is too long or has control characters"))
        }
        other => Ok(other.filter(|name| !name.is_empty())),
    }
}

fn sasl(mut body: Bytes) -> Result<RpcSaslProto, RpcFailure> {
    wire::take_message(&mut body, "authentication message").map_err(invalid)
}

fn invalid(error: WireError) -> RpcFailure {
    RpcFailure::invalid_header(error.to_string())
}

fn call(header: &RpcRequestHeaderProto, reply_to: ReplyTo, mut body: Bytes) -> Result<Call, RpcFailure> {
    let malformed = |error: WireError| RpcFailure::invalid_call(error.to_string());
    let request: RequestHeaderProto = wire::take_message(&mut body, "request header").map_err(malformed)?;
    let payload = wire::split_delimited(&mut body, "request message").map_err(malformed)?;
    let caller_context = header.caller_context.as_ref().map(|context| {
        let text = &context.context;
        text.get(..text.floor_char_boundary(super::CALLER_CONTEXT_MAX)).unwrap_or_default().to_owned()
    });
    Ok(Call {
        reply_to,
        protocol: request.declaring_class_protocol_name,
        version: request.client_protocol_version,
        method: request.method_name,
        caller_context,
        payload,
    })
}

fn header(to: &ReplyTo) -> RpcRequestHeaderProto {
    RpcRequestHeaderProto {
        rpc_kind: Some(RpcKindProto::RpcProtocolBuffer as i32),
        rpc_op: Some(OperationProto::RpcFinalPacket as i32),
        call_id: to.call_id,
        client_id: to.client_id.map(Vec::from).unwrap_or_default(),
        retry_count: Some(to.retry_count),
        ..RpcRequestHeaderProto::default()
    }
}

/// Appends a frame whose parts are these delimited messages.
fn put_frame(out: &mut BytesMut, parts: &[usize], max: usize) -> Result<(), WireError> {
    let total: usize = parts.iter().map(|len| wire::delimited_size(*len)).sum();
    let prefix = u32::try_from(total).ok().filter(|_| total <= max).ok_or(WireError::TooLong {
        what: "rpc frame",
        len: total as u64,
        max: max as u64,
    })?;
    out.reserve(FRAME_PREFIX + total);
    out.put_u32(prefix);
    Ok(())
}

fn put_two(out: &mut BytesMut, to: &ReplyTo, message: &impl Message) {
    let header = header(to);
    put_frame(out, &[header.encoded_len(), message.encoded_len()], usize::MAX).expect("names are short");
    wire::put_message(out, &header);
    wire::put_message(out, message);
}

/// Appends the frame with the connection context. Names beyond all limits are cut by nobody: the server refuses them.
pub fn encode_context(out: &mut BytesMut, client_id: [u8; 16], context: &ConnectionContext) {
    let message = IpcConnectionContextProto {
        user_info: Some(UserInformationProto {
            effective_user: Some(context.user.clone()),
            real_user: context.real_user.clone(),
        }),
        protocol: Some(context.protocol.clone()),
    };
    put_two(out, &ReplyTo { call_id: CONTEXT_CALL_ID, client_id: Some(client_id), retry_count: -1 }, &message);
}

/// Appends a frame of the authentication dialogue.
pub fn encode_sasl(out: &mut BytesMut, message: &RpcSaslProto) {
    put_two(out, &ReplyTo { call_id: SASL_CALL_ID, client_id: None, retry_count: -1 }, message);
}

/// Appends a ping.
pub fn encode_ping(out: &mut BytesMut, client_id: [u8; 16]) {
    let header = header(&ReplyTo { call_id: PING_CALL_ID, client_id: Some(client_id), retry_count: -1 });
    put_frame(out, &[header.encoded_len()], usize::MAX).expect("a header is short");
    wire::put_message(out, &header);
}

/// Appends the frame of a call.
///
/// # Errors
/// A frame longer than `max` bytes; nothing is appended then.
pub fn encode_call(
    out: &mut BytesMut,
    to: &ReplyTo,
    protocol: &str,
    method: &str,
    message: &impl Message,
    max: usize,
) -> Result<(), WireError> {
    let header = header(to);
    let request = RequestHeaderProto {
        method_name: method.to_owned(),
        declaring_class_protocol_name: protocol.to_owned(),
        client_protocol_version: PROTOCOL_VERSION,
    };
    put_frame(out, &[header.encoded_len(), request.encoded_len(), message.encoded_len()], max)?;
    wire::put_message(out, &header);
    wire::put_message(out, &request);
    wire::put_message(out, message);
    Ok(())
}
