//! Paths of the namespace.

use crate::limits::{NAME_BYTES_MAX, PATH_CHARS_MAX, PATH_DEPTH_MAX};
use serde::{Deserialize, Serialize};
use std::fmt;

/// An absolute path, valid by construction: starts with `/`, has no empty part, no `.` or `..`, no `:` in a part and no NUL,
/// no trailing slash (but for the root), and keeps to the limits on length, depth and part.
///
/// `.snapshot` parts and a leading `/.reserved` parse, as clients may ask about them; [`DfsPath::reserved`] tells.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DfsPath(String);

/// Why a text is no path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPath {
    /// It does not start with `/`.
    #[error("Invalid path name {0}: it does not start with /")]
    Relative(String),
    /// A part is empty, `.`, `..` or has a character that no name may have.
    #[error("Invalid path name {path}: the part `{part}` is not allowed")]
    Part {
        /// The whole text.
        path: String,
        /// The offending part.
        part: String,
    },
    /// A part is longer than a name may be.
    #[error(
        "The maximum path component name limit of {name} is exceeded: limit={NAME_BYTES_MAX} length={}",
        name.len()
    )]
    LongPart {
        /// The offending part.
        name: String,
    },
    /// Too long or too deep.
    #[error("Pathname too long. Limit {PATH_CHARS_MAX} characters, {PATH_DEPTH_MAX} levels.")]
    TooLong,
}

impl DfsPath {
    /// Parses a path. A trailing slash is forgiven, as Hadoop's `Path` strips it.
    ///
    /// # Errors
    /// See [`BadPath`].
    pub fn parse(text: &str) -> Result<Self, BadPath> {
        let Some(rest) = text.strip_prefix('/') else {
            return Err(BadPath::Relative(text.to_owned()));
        };
        let rest = rest.strip_suffix('/').filter(|kept| !kept.is_empty()).unwrap_or(rest);
        if text.len() > 4 * PATH_CHARS_MAX || text.chars().count() > PATH_CHARS_MAX {
            return Err(BadPath::TooLong);
        }
        if rest.is_empty() {
            return Ok(Self::root());
        }
        let mut depth = 0;
        for part in rest.split('/') {
            check_part(text, part)?;
            depth += 1;
        }
        if depth > PATH_DEPTH_MAX { Err(BadPath::TooLong) } else { Ok(Self(format!("/{rest}"))) }
    }

    /// `/`.
    #[must_use]
    pub fn root() -> Self {
        Self("/".to_owned())
    }

    /// The text, always starting with `/`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is `/`.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.len() == 1
    }

    /// The names from the root down; none for the root itself.
    pub fn parts(&self) -> impl DoubleEndedIterator<Item = &str> + Clone {
        self.0.split('/').filter(|part| !part.is_empty())
    }

    /// The last name; empty for the root.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// The folder above; `None` for the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        if self.is_root() {
            return None;
        }
        match self.0.rsplit_once('/') {
            Some(("", _)) | None => Some(Self::root()),
            Some((above, _)) => Some(Self(above.to_owned())),
        }
    }

    /// The path of `name` inside this folder.
    ///
    /// # Errors
    /// A name that is not one valid part, or a result over the limits.
    pub fn join(&self, name: &str) -> Result<Self, BadPath> {
        if name.is_empty() || name.contains('/') {
            return Err(BadPath::Part { path: format!("{self}/{name}"), part: name.to_owned() });
        }
        if self.is_root() { Self::parse(&format!("/{name}")) } else { Self::parse(&format!("{}/{name}", self.0)) }
    }

    /// Whether `self` is `other` or lies below it.
    #[must_use]
    pub fn starts_with(&self, other: &Self) -> bool {
        other.is_root()
            || self.0.strip_prefix(other.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The reserved name in this path, if any: `.reserved` at the top, or `.snapshot` anywhere.
    #[must_use]
    pub fn reserved(&self) -> Option<&str> {
        let top = self.parts().next().filter(|part| *part == ".reserved");
        top.or_else(|| self.parts().find(|part| *part == ".snapshot"))
    }
}

fn check_part(path: &str, part: &str) -> Result<(), BadPath> {
    let strange = part.is_empty() || part == "." || part == ".." || part.contains([':', '\0']);
    if strange {
        return Err(BadPath::Part { path: path.to_owned(), part: part.to_owned() });
    }
    if part.len() > NAME_BYTES_MAX { Err(BadPath::LongPart { name: part.to_owned() }) } else { Ok(()) }
}

impl fmt::Display for DfsPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for DfsPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl TryFrom<String> for DfsPath {
    type Error = BadPath;

    fn try_from(text: String) -> Result<Self, BadPath> {
        Self::parse(&text)
    }
}

impl From<DfsPath> for String {
    fn from(path: DfsPath) -> Self {
        path.0
    }
}

impl std::str::FromStr for DfsPath {
    type Err = BadPath;

    fn from_str(text: &str) -> Result<Self, BadPath> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_paths_parse_to_one_form() {
        for (text, form, name, parent) in [
            ("/", "/", "", None),
            ("/a", "/a", "a", Some("/")),
            ("/a/", "/a", "a", Some("/")),
            ("/a/b c/ü", "/a/b c/ü", "ü", Some("/a/b c")),
        ] {
            let path = DfsPath::parse(text).expect(text);
            assert_eq!(path.as_str(), form);
            assert_eq!(path.name(), name);
            assert_eq!(path.parent().map(String::from).as_deref(), parent);
        }
    }

    #[test]
    fn invalid_paths_are_refused() {
        for text in ["", "a", "//", "/a//b", "/./a", "/a/..", "/..", "/a:b", "/a\0"] {
            assert!(DfsPath::parse(text).is_err(), "{text:?}");
        }
        assert!(matches!(DfsPath::parse(&format!("/{}", "x".repeat(256))), Err(BadPath::LongPart { .. })));
        assert!(DfsPath::parse(&format!("/{}", "x".repeat(255))).is_ok());
        assert_eq!(DfsPath::parse(&"/a".repeat(1001)), Err(BadPath::TooLong));
        assert_eq!(DfsPath::parse(&format!("/{}", "xxx/".repeat(2001))), Err(BadPath::TooLong));
    }

    #[test]
    fn joins_prefixes_and_reserved_names() {
        let a = DfsPath::parse("/a").expect("valid");
        assert_eq!(a.join("b").expect("valid").as_str(), "/a/b");
        assert_eq!(DfsPath::root().join("b").expect("valid").as_str(), "/b");
        assert!(a.join("..").is_err() && a.join("b/c").is_err() && a.join("").is_err());
        assert!(DfsPath::parse("/a/b").expect("valid").starts_with(&a) && a.starts_with(&a));
        assert!(!DfsPath::parse("/ab").expect("valid").starts_with(&a));
        assert_eq!(DfsPath::parse("/.reserved/raw").expect("valid").reserved(), Some(".reserved"));
        assert_eq!(DfsPath::parse("/a/.snapshot").expect("valid").reserved(), Some(".snapshot"));
        assert_eq!(DfsPath::parse("/a/.reserved").expect("valid").reserved(), None);
    }
}
