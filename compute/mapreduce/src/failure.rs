//! How a job's own code gives up.

use mammoth_runtime::error::RuntimeError;
use std::error::Error;
use std::fmt;

/// What [`crate::Mapper`] and the other traits of a job answer.
pub type Outcome<T = ()> = Result<T, Failure>;

/// Why a job's own code gave up: the attempt fails, and with its last attempt the job. Made by `?` from any error, or from a
/// text by [`Failure::new`]. A panic fails the attempt as well.
#[derive(Clone, PartialEq, Eq)]
pub struct Failure(String);

impl Failure {
    /// A failure with a text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }

    /// What the framework reports.
    pub(crate) fn of(self, whose: &str) -> RuntimeError {
        RuntimeError::User(format!("{whose}: {}", self.0))
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            let inner_text = inner.to_string();
            if !text.contains(&inner_text) {
                text.push_str(": ");
                text.push_str(&inner_text);
            }
            cause = inner.source();
        }
        Self(text)
    }
}
