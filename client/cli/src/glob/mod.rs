//! Patterns in paths: `*`, `?`, `[abc]`, `[a-b]`, `[^a]`, `{a,b}` and a backslash before a character that stands for itself.
//!
//! [`pattern`] decides whether one name matches; [`expand`] finds all paths that match, over anything that can be listed.

pub(crate) mod expand;
pub(crate) mod pattern;

pub(crate) use expand::{Lister, Matches, expand};
pub(crate) use pattern::Pattern;

#[cfg(test)]
mod tests;

/// A pattern that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Illegal file pattern: {what} at pos {position}: `{pattern}'")]
pub(crate) struct BadPattern {
    what: &'static str,
    position: usize,
    pattern: String,
}

impl BadPattern {
    fn new(what: &'static str, position: usize, pattern: &str) -> Self {
        Self { what, position, pattern: pattern.to_owned() }
    }
}

/// The text without the backslashes that quote.
pub(crate) fn unquote(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        // A backslash at the very end quotes nothing and stays.
        out.push(if c == '\\' { chars.next().unwrap_or(c) } else { c });
    }
    out
}
