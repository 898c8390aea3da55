//! Errors as one line of text.

use std::error::Error;
use std::fmt::Write;

/// An error with all its causes, without what a cause repeats.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let line = cause.to_string();
        if !text.ends_with(&line) {
            let _ = write!(text, ": {line}");
        }
        source = cause.source();
    }
    text
}
