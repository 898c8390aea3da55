//! What can go wrong, as a client sees it: one table for RPC, HTTP and the shell.

use serde::{Deserialize, Serialize};

/// The kind of a failure. Every door derives its own form from it: the Java class, the HTTP status, whether to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ErrorCode {
    /// A path that does not exist.
    FileNotFound,
    /// The target exists.
    FileAlreadyExists,
    /// A component of the path above the last is a file.
    ParentNotDirectory,
    /// A folder was needed and the path is a file.
    PathIsNotDirectory,
    /// A folder with entries, without permission to delete or replace them.
    PathIsNotEmptyDirectory,
    /// A text that is no path, or a reserved one.
    InvalidPath,
    /// A name longer than allowed.
    PathComponentTooLong,
    /// A folder that is full.
    MaxDirectoryItemsExceeded,
    /// The caller may not do this.
    AccessControl,
    /// Another client writes the file.
    AlreadyBeingCreated,
    /// The caller no longer holds the file's lease.
    LeaseExpired,
    /// The file's last block is being recovered; the file can be had soon.
    RecoveryInProgress,
    /// The previous block has too few confirmed replicas yet.
    NotReplicatedYet,
    /// The namenode is in safe mode.
    SafeMode,
    /// This namenode does not lead.
    Standby,
    /// Not now, but soon: overload, start-up.
    Retriable,
    /// Not offered.
    Unsupported,
    /// An argument out of its range.
    IllegalArgument,
    /// A datanode or epoch that the namenode does not know.
    UnregisteredNode,
    /// A block that no reader can get at the moment.
    BlockMissing,
    /// Anything else.
    Io,
}

impl ErrorCode {
    /// Every code, for tables and tests.
    pub const ALL: [Self; 21] = [
        Self::FileNotFound,
        Self::FileAlreadyExists,
        Self::ParentNotDirectory,
        Self::PathIsNotDirectory,
        Self::PathIsNotEmptyDirectory,
        Self::InvalidPath,
        Self::PathComponentTooLong,
        Self::MaxDirectoryItemsExceeded,
        Self::AccessControl,
        Self::AlreadyBeingCreated,
        Self::LeaseExpired,
        Self::RecoveryInProgress,
        Self::NotReplicatedYet,
        Self::SafeMode,
        Self::Standby,
        Self::Retriable,
        Self::Unsupported,
        Self::IllegalArgument,
        Self::UnregisteredNode,
        Self::BlockMissing,
        Self::Io,
    ];

    /// The Java exception class that Hadoop's clients act on.
    #[must_use]
    pub const fn java_class(self) -> &'static str {
        match self {
            Self::FileNotFound => "java.io.FileNotFoundException",
            Self::FileAlreadyExists => "org.apache.hadoop.fs.FileAlreadyExistsException",
            Self::ParentNotDirectory => "org.apache.hadoop.fs.ParentNotDirectoryException",
            Self::PathIsNotDirectory => "org.apache.hadoop.fs.PathIsNotDirectoryException",
            Self::PathIsNotEmptyDirectory => "org.apache.hadoop.fs.PathIsNotEmptyDirectoryException",
            Self::InvalidPath => "org.apache.hadoop.fs.InvalidPathException",
            Self::PathComponentTooLong => {
                "org.apache.hadoop.hdfs.protocol.FSLimitException$PathComponentTooLongException"
            }
            Self::MaxDirectoryItemsExceeded => {
                "org.apache.hadoop.hdfs.protocol.FSLimitException$MaxDirectoryItemsExceededException"
            }
            Self::AccessControl => "org.apache.hadoop.security.AccessControlException",
            Self::AlreadyBeingCreated => "org.apache.hadoop.hdfs.protocol.AlreadyBeingCreatedException",
            Self::LeaseExpired => "org.apache.hadoop.hdfs.server.namenode.LeaseExpiredException",
            Self::RecoveryInProgress => "org.apache.hadoop.hdfs.protocol.RecoveryInProgressException",
            Self::NotReplicatedYet => "org.apache.hadoop.hdfs.server.namenode.NotReplicatedYetException",
            Self::SafeMode => "org.apache.hadoop.hdfs.server.namenode.SafeModeException",
            Self::Standby => "org.apache.hadoop.ipc.StandbyException",
            Self::Retriable => "org.apache.hadoop.ipc.RetriableException",
            Self::Unsupported => "java.lang.UnsupportedOperationException",
            Self::IllegalArgument => "org.apache.hadoop.HadoopIllegalArgumentException",
            Self::UnregisteredNode => "org.apache.hadoop.hdfs.protocol.UnregisteredNodeException",
            Self::BlockMissing => "org.apache.hadoop.hdfs.BlockMissingException",
            Self::Io => "java.io.IOException",
        }
    }

    /// The code of a Java class, [`ErrorCode::Io`] for one that we do not know.
    #[must_use]
    pub fn of_java_class(class: &str) -> Self {
        Self::ALL.into_iter().find(|code| code.java_class() == class).unwrap_or(Self::Io)
    }

    /// The HTTP status that WebHDFS answers with: 404 for a missing path, 400 for bad arguments, 403 for other refusals.
    #[must_use]
    pub const fn http_status(self) -> u16 {
        match self {
            Self::FileNotFound => 404,
            Self::IllegalArgument | Self::Unsupported | Self::InvalidPath => 400,
            Self::FileAlreadyExists
            | Self::ParentNotDirectory
            | Self::PathIsNotDirectory
            | Self::PathIsNotEmptyDirectory
            | Self::PathComponentTooLong
            | Self::MaxDirectoryItemsExceeded
            | Self::AccessControl
            | Self::AlreadyBeingCreated
            | Self::LeaseExpired
            | Self::RecoveryInProgress
            | Self::NotReplicatedYet
            | Self::SafeMode
            | Self::Standby
            | Self::Retriable
            | Self::UnregisteredNode
            | Self::BlockMissing
            | Self::Io => 403,
        }
    }

    /// Whether the same call may succeed later without anybody's help.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        match self {
            Self::NotReplicatedYet | Self::SafeMode | Self::Standby | Self::Retriable | Self::RecoveryInProgress => {
                true
            }
            Self::FileNotFound
            | Self::FileAlreadyExists
            | Self::ParentNotDirectory
            | Self::PathIsNotDirectory
            | Self::PathIsNotEmptyDirectory
            | Self::InvalidPath
            | Self::PathComponentTooLong
            | Self::MaxDirectoryItemsExceeded
            | Self::AccessControl
            | Self::AlreadyBeingCreated
            | Self::LeaseExpired
            | Self::Unsupported
            | Self::IllegalArgument
            | Self::UnregisteredNode
            | Self::BlockMissing
            | Self::Io => false,
        }
    }
}

/// A refusal: the kind and one sentence that names the thing and the value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct FsError {
    /// The kind.
    pub code: ErrorCode,
    /// What happened, for people.
    pub message: String,
}

impl FsError {
    /// Makes an error of its parts.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl From<crate::path::BadPath> for FsError {
    fn from(bad: crate::path::BadPath) -> Self {
        let code = match bad {
            crate::path::BadPath::LongPart { .. } => ErrorCode::PathComponentTooLong,
            crate::path::BadPath::Relative(_) | crate::path::BadPath::Part { .. } | crate::path::BadPath::TooLong => {
                ErrorCode::InvalidPath
            }
        };
        Self::new(code, bad.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn java_classes_are_distinct_and_found_again() {
        for code in ErrorCode::ALL {
            assert_eq!(ErrorCode::of_java_class(code.java_class()), code);
        }
        assert_eq!(ErrorCode::of_java_class("java.lang.Error"), ErrorCode::Io);
    }
}
