//! Local files of a task: errors that name what was tried on what.

use crate::error::RuntimeError;
use std::io;
use std::path::Path;

/// A failed action on a local file.
pub(crate) fn failed(action: &str, path: &Path, source: io::Error) -> RuntimeError {
    RuntimeError::Io { what: format!("{action} {}", path.display()), source }
}
