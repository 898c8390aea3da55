//! A call that failed, as the answer carries it.

use super::ErrorDetail;
use crate::error::{ErrorCode, FsError};

/// Longest message in an answer, bytes; the rest is cut.
const MESSAGE_BYTES_MAX: usize = 16 * 1024;

/// What an ERROR or FATAL answer says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RpcFailure {
    /// Java exception class; clients act on it.
    pub java_class: String,
    /// What happened, for people.
    pub message: String,
    /// Coarse kind. [`ErrorDetail::ErrorApplication`] for whatever the method itself refuses.
    pub detail: ErrorDetail,
}

impl RpcFailure {
    /// A failure of the call's own rules.
    pub fn application(java_class: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorDetail::ErrorApplication, java_class, message)
    }

    pub(crate) fn new(detail: ErrorDetail, java_class: impl Into<String>, message: impl Into<String>) -> Self {
        let mut message = message.into();
        message.truncate(message.floor_char_boundary(MESSAGE_BYTES_MAX));
        Self { java_class: java_class.into(), message, detail }
    }

    /// The protocol is served, the method is not.
    #[must_use]
    pub fn no_such_method(protocol: &str, method: &str) -> Self {
        let message = format!("{protocol} has no method {method} on this server");
        Self::new(ErrorDetail::ErrorNoSuchMethod, "org.apache.hadoop.ipc.RpcNoSuchMethodException", message)
    }

    /// The protocol is not served here.
    #[must_use]
    pub fn no_such_protocol(protocol: &str) -> Self {
        let message = format!("protocol {protocol} is not served here");
        Self::new(ErrorDetail::ErrorNoSuchProtocol, "org.apache.hadoop.ipc.RpcNoSuchProtocolException", message)
    }

    /// The request message does not parse.
    #[must_use]
    pub fn malformed_request(method: &str, error: &dyn std::error::Error) -> Self {
        let message = format!("cannot parse the request of {method}: {error}");
        Self::new(ErrorDetail::ErrorRpcServer, RPC_SERVER, message)
    }

    /// The client speaks another version of the connection protocol.
    #[must_use]
    pub fn version_mismatch(found: u8) -> Self {
        let message = format!("client speaks RPC version {found}, this server {}", super::VERSION);
        Self::new(ErrorDetail::FatalVersionMismatch, VERSION_MISMATCH, message)
    }

    /// The client speaks another version of a protocol.
    #[must_use]
    pub fn protocol_version_mismatch(protocol: &str, found: u64) -> Self {
        let message = format!("client speaks version {found} of {protocol}, this server {}", super::PROTOCOL_VERSION);
        Self::new(ErrorDetail::ErrorRpcVersionMismatch, VERSION_MISMATCH, message)
    }

    /// A frame header that makes no sense.
    pub fn invalid_header(message: impl Into<String>) -> Self {
        Self::new(ErrorDetail::FatalInvalidRpcHeader, RPC_SERVER, message)
    }

    /// A frame of a call whose parts do not parse.
    pub fn invalid_call(message: impl Into<String>) -> Self {
        Self::new(ErrorDetail::FatalDeserializingRequest, RPC_SERVER, message)
    }

    /// The caller does not say who it is, or asks for an authentication that is not offered.
    pub fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(ErrorDetail::FatalUnauthorized, ErrorCode::AccessControl.java_class(), message)
    }

    /// The server itself failed, or is too busy.
    pub fn server(code: ErrorCode, message: impl Into<String>) -> Self {
        Self::new(ErrorDetail::ErrorRpcServer, code.java_class(), message)
    }

    /// Our code for the class; [`ErrorCode::Io`] if we do not know it.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self.detail {
            ErrorDetail::ErrorNoSuchMethod | ErrorDetail::ErrorNoSuchProtocol => ErrorCode::Unsupported,
            _ => ErrorCode::of_java_class(&self.java_class),
        }
    }
}

const RPC_SERVER: &str = "org.apache.hadoop.ipc.RpcServerException";
const VERSION_MISMATCH: &str = "org.apache.hadoop.ipc.RPC$VersionMismatch";

impl From<FsError> for RpcFailure {
    fn from(error: FsError) -> Self {
        Self::application(error.code.java_class(), error.message)
    }
}
