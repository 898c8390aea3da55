//! Refusals in HDFS's words, where clients or the shell show (or match) them.

use mammoth_protocol::{Caller, ErrorCode, FsError};
use std::fmt::Display;

pub(crate) fn io(message: impl Into<String>) -> FsError {
    FsError::new(ErrorCode::Io, message)
}

pub(crate) fn not_found(path: impl Display) -> FsError {
    FsError::new(ErrorCode::FileNotFound, format!("File does not exist: {path}"))
}

pub(crate) fn not_a_file(path: impl Display) -> FsError {
    FsError::new(ErrorCode::FileNotFound, format!("Path is not a file: {path}"))
}

pub(crate) fn not_a_folder(path: impl Display) -> FsError {
    FsError::new(ErrorCode::ParentNotDirectory, format!("{path} (is not a directory)"))
}

pub(crate) fn exists(message: impl Into<String>) -> FsError {
    FsError::new(ErrorCode::FileAlreadyExists, message)
}

pub(crate) fn denied(message: impl Into<String>) -> FsError {
    FsError::new(ErrorCode::AccessControl, message)
}

/// Where the caller called from, as messages show it.
pub(crate) fn host_of(caller: &Caller) -> String {
    host(caller.addr)
}

/// An address, as messages show it.
pub(crate) fn host(addr: Option<std::net::IpAddr>) -> String {
    addr.map_or_else(|| "unknown".to_owned(), |addr| addr.to_string())
}
