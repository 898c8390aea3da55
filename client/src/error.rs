//! Why a client's operation failed. Every text names the thing (path, block, node, address) and the cause.

use mammoth_protocol::ErrorCode;
use std::io;

/// A failed operation. Cheap to clone: a writer that failed answers every later call with the same error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// A server refused the call. The text is the server's own, which may have several lines.
    #[error("{message}")]
    Remote {
        /// The kind of refusal.
        code: ErrorCode,
        /// The Java class that the server named.
        class: String,
        /// The server's message.
        message: String,
    },
    /// No connection to the namenode, within the time that the configuration allows.
    #[error(
        "Call to {address} failed: {cause} (method {method}); check that the namenode runs there and that the file \
         system's address (-fs, MAMMOTH_FS or fs.defaultFS) is right"
    )]
    Unreachable {
        /// Host and port that were tried.
        address: String,
        /// The method that was to be called.
        method: &'static str,
        /// What kind of error it was.
        kind: io::ErrorKind,
        /// What the system said, such as `Connection refused`.
        cause: String,
    },
    /// No connection to the jobtracker, within the time that a client waits for one.
    #[error(
        "No jobtracker at {address}: {cause}; check that it runs there and that its address (MAMMOTH_JOBTRACKER or \
         mapreduce.jobtracker.http.address) is right"
    )]
    NoJobtracker {
        /// Host and port that were tried.
        address: String,
        /// What kind of error it was.
        kind: io::ErrorKind,
        /// What the system said, such as `Connection refused`.
        cause: String,
    },
    /// The connection broke during a call and the call could not be repeated in time; it may have taken effect.
    #[error("Connection to {address} lost during {method}: {cause}")]
    Lost {
        /// Host and port of the server.
        address: String,
        /// The method that was being called.
        method: &'static str,
        /// What happened.
        cause: String,
    },
    /// A server sent what the protocol does not allow.
    #[error("Bad answer from {address}: {what}")]
    Protocol {
        /// Who sent it.
        address: String,
        /// What is wrong with it.
        what: String,
    },
    /// A file could not be written on.
    #[error("{path}: {block}: {cause}")]
    Write {
        /// The file.
        path: String,
        /// The block at which it happened, or `no block yet`.
        block: String,
        /// What happened, with the nodes concerned.
        cause: String,
    },
    /// A block could not be read from any of its datanodes.
    #[error("Could not obtain block {block} of {path} at offset {offset}: {tried}")]
    Read {
        /// The file.
        path: String,
        /// The block.
        block: String,
        /// Position in the file, bytes.
        offset: u64,
        /// Every node that was tried and what happened there.
        tried: String,
    },
    /// An argument that no server would accept.
    #[error("{0}")]
    Invalid(String),
    /// A local resource is missing: a thread, a socket.
    #[error("{what}: {cause}")]
    Local {
        /// What was attempted.
        what: &'static str,
        /// What the system said.
        cause: String,
    },
}

impl ClientError {
    /// The kind of the failure in the table that all doors share.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Remote { code, .. } => *code,
            Self::Read { .. } => ErrorCode::BlockMissing,
            Self::Invalid(_) => ErrorCode::IllegalArgument,
            Self::Unreachable { .. }
            | Self::NoJobtracker { .. }
            | Self::Lost { .. }
            | Self::Protocol { .. }
            | Self::Write { .. }
            | Self::Local { .. } => ErrorCode::Io,
        }
    }

    /// The first line of the text, as a shell prints it.
    #[must_use]
    pub fn first_line(&self) -> String {
        self.to_string().lines().next().unwrap_or_default().to_owned()
    }

    /// A refusal by the client itself in the words that a server would use.
    pub(crate) fn refused(code: ErrorCode, message: String) -> Self {
        Self::Remote { code, class: code.java_class().to_owned(), message }
    }

    pub(crate) fn file_not_found(path: &impl std::fmt::Display) -> Self {
        Self::refused(ErrorCode::FileNotFound, format!("File does not exist: {path}"))
    }

    pub(crate) fn local(what: &'static str, cause: &io::Error) -> Self {
        Self::Local { what, cause: cause.to_string() }
    }

    fn io_kind(&self) -> io::ErrorKind {
        match self {
            Self::Unreachable { kind, .. } | Self::NoJobtracker { kind, .. } => *kind,
            Self::Lost { .. } => io::ErrorKind::ConnectionReset,
            Self::Protocol { .. } => io::ErrorKind::InvalidData,
            Self::Invalid(_) => io::ErrorKind::InvalidInput,
            Self::Remote { code, .. } => match code {
                ErrorCode::FileNotFound => io::ErrorKind::NotFound,
                ErrorCode::FileAlreadyExists => io::ErrorKind::AlreadyExists,
                ErrorCode::AccessControl => io::ErrorKind::PermissionDenied,
                ErrorCode::Unsupported => io::ErrorKind::Unsupported,
                _ => io::ErrorKind::Other,
            },
            Self::Write { .. } | Self::Read { .. } | Self::Local { .. } => io::ErrorKind::Other,
        }
    }
}

impl From<ClientError> for io::Error {
    fn from(error: ClientError) -> Self {
        Self::new(error.io_kind(), error)
    }
}

impl From<mammoth_protocol::path::BadPath> for ClientError {
    fn from(bad: mammoth_protocol::path::BadPath) -> Self {
        let error = mammoth_protocol::FsError::from(bad);
        Self::refused(error.code, error.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_io_error_keeps_the_client_error_inside() {
        let error = ClientError::file_not_found(&"/a");
        let io: io::Error = error.clone().into();
        assert_eq!(io.kind(), io::ErrorKind::NotFound);
        let inside = io.get_ref().and_then(|e| e.downcast_ref::<ClientError>());
        assert_eq!(inside, Some(&error));
    }

    #[test]
    fn the_first_line_is_what_a_shell_prints() {
        let error = ClientError::refused(ErrorCode::SafeMode, "Name node is in safe mode.\nWait.".to_owned());
        assert_eq!(error.first_line(), "Name node is in safe mode.");
        assert_eq!(error.code(), ErrorCode::SafeMode);
    }
}
