//! What can go wrong at the door to the machine.

use std::io;
use std::path::{Path, PathBuf};

/// A failure of the machine below, or a setting that cannot be accepted.
#[derive(Debug, thiserror::Error)]
pub enum PlatformError {
    /// A system call on a path failed.
    #[error("{action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb: `write`, `rename`.
        action: &'static str,
        /// The path in question.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A system call without a path failed.
    #[error("{action}: {source}")]
    System {
        /// What was tried, as a verb.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// Another process works in the folder.
    #[error("{} is in use by {holder}", dir.display())]
    Locked {
        /// The folder.
        dir: PathBuf,
        /// Who holds it, as far as the lock file tells: `process 4711`.
        holder: String,
    },
    /// A value that its key does not accept.
    #[error("{key}: bad value `{value}` (from {origin}), expected {expected}")]
    BadValue {
        /// The key.
        key: String,
        /// The value as it was given.
        value: String,
        /// Where it was given.
        origin: String,
        /// What would be accepted.
        expected: String,
    },
    /// Several settings that cannot be accepted, one line each.
    #[error("{}", lines.join("\n"))]
    BadSettings {
        /// One message per bad setting.
        lines: Vec<String>,
    },
    /// A configuration file that is no Hadoop configuration.
    #[error("{}: {reason}", path.display())]
    BadFile {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the line where known.
        reason: String,
    },
    /// A `-D` argument without `=`, or with an empty key.
    #[error("-D {pair}: expected key=value")]
    BadPair {
        /// The argument.
        pair: String,
    },
}

/// An error with all that caused it, on one line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        // Some errors print their cause themselves.
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

/// Adds the action and the path to an I/O result.
pub trait IoContext<T> {
    /// Wraps the error as [`PlatformError::Io`]; `action` is a verb.
    ///
    /// # Errors
    /// The same failure, with its context.
    fn io(self, action: &'static str, path: &Path) -> Result<T, PlatformError>;
}

impl<T, E: Into<io::Error>> IoContext<T> for Result<T, E> {
    fn io(self, action: &'static str, path: &Path) -> Result<T, PlatformError> {
        self.map_err(|e| PlatformError::Io { action, path: path.to_owned(), source: e.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Link {
        text: &'static str,
        source: Option<Box<Link>>,
    }

    #[test]
    fn causes_follow_unless_they_were_told() {
        let link = |text, source: Option<Link>| Link { text, source: source.map(Box::new) };
        let told = link("no reply: it is gone", Some(link("it is gone", Some(link("cable cut", None)))));
        assert_eq!(chain(&told), "no reply: it is gone: cable cut");
        assert_eq!(chain(&link("alone", None)), "alone");
    }
}
