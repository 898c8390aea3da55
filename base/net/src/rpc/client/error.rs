//! How a call can fail, told apart by what the caller may conclude.

use mammoth_protocol::ErrorCode;
use mammoth_protocol::rpc::RpcFailure;
use mammoth_protocol::wire::WireError;
use std::io;
use std::time::Duration;

/// A call without a reply message.
#[derive(Debug, thiserror::Error)]
pub enum RpcClientError {
    /// The server's name means no address.
    #[error("cannot resolve {server}")]
    Resolve {
        /// `host:port`.
        server: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The machine answers, but nobody listens on the port.
    #[error("connection refused: {server}")]
    Refused {
        /// `host:port`.
        server: String,
        /// The last attempt.
        #[source]
        source: io::Error,
    },
    /// The machine does not answer.
    #[error("cannot connect to {server}")]
    Connect {
        /// `host:port`.
        server: String,
        /// The last attempt.
        #[source]
        source: io::Error,
    },
    /// The request could not be sent whole: the server has not run the call.
    #[error("cannot send {method} to {server}")]
    NotSent {
        /// `host:port`.
        server: String,
        /// The method.
        method: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The connection broke before the answer: the server may have run the call.
    #[error("connection to {server} lost before {method} was answered: {reason}")]
    Lost {
        /// `host:port`.
        server: String,
        /// The method.
        method: String,
        /// What broke it.
        reason: String,
    },
    /// No answer in time: the server may have run the call, or may yet.
    #[error("no answer from {server} to {method} within {} ms", after.as_millis())]
    Timeout {
        /// `host:port`.
        server: String,
        /// The method.
        method: String,
        /// The time that the call had.
        after: Duration,
    },
    /// The server refused the call.
    #[error("{failure}")]
    Remote {
        /// What the server says.
        failure: RpcFailure,
        /// The server ended the connection with it.
        fatal: bool,
    },
    /// The request is too long to send, or the reply does not parse.
    #[error("unusable message in a call to {server}")]
    Garbled {
        /// `host:port`.
        server: String,
        /// What is wrong with it.
        #[source]
        source: WireError,
    },
}

impl RpcClientError {
    pub(super) fn resolve(server: &str, source: io::Error) -> Self {
        Self::Resolve { server: server.to_owned(), source }
    }

    pub(super) fn connect(server: &str, source: io::Error) -> Self {
        let server = server.to_owned();
        match source.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused { server, source },
            _ => Self::Connect { server, source },
        }
    }

    /// Whether the server may have run the call although its answer is unknown: a call that must not run twice is repeated
    /// under the same call id only.
    #[must_use]
    pub fn may_have_run(&self) -> bool {
        match self {
            Self::Lost { .. } | Self::Timeout { .. } | Self::Garbled { .. } => true,
            Self::Resolve { .. }
            | Self::Refused { .. }
            | Self::Connect { .. }
            | Self::NotSent { .. }
            | Self::Remote { .. } => false,
        }
    }

    /// What the server refused, if it was the server.
    #[must_use]
    pub fn remote(&self) -> Option<&RpcFailure> {
        match self {
            Self::Remote { failure, .. } => Some(failure),
            _ => None,
        }
    }

    /// Our code for the refusal, if the server refused.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        self.remote().map(RpcFailure::code)
    }
}
