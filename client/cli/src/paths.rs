//! Paths as users type them, and how they are shown again: a relative path stays relative, one with a scheme keeps it.

use crate::fault::{Fault, PathIssue};
use crate::fs::{Entry, FsRef, Status};

/// The parts of a typed path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Typed<'a> {
    /// `hdfs`, `file`, …
    pub(crate) scheme: Option<&'a str>,
    /// `host:port`.
    pub(crate) authority: Option<&'a str>,
    /// The rest, maybe relative, maybe empty.
    pub(crate) path: &'a str,
}

impl<'a> Typed<'a> {
    /// Takes a text apart. Only what is followed by a slash is a scheme, so that `a:b` is a name.
    pub(crate) fn parse(text: &'a str) -> Self {
        let is_scheme = |s: &str| {
            s.starts_with(|c: char| c.is_ascii_alphabetic())
                && s.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
        };
        let (scheme, rest) = match text.split_once(':') {
            Some((scheme, rest)) if rest.starts_with('/') && is_scheme(scheme) => (Some(scheme), rest),
            _ => (None, text),
        };
        // Without a scheme, two slashes are one: nobody means a host there.
        let Some(after) = rest.strip_prefix("//").filter(|_| scheme.is_some()) else {
            return Self { scheme, authority: None, path: rest };
        };
        let end = after.find('/').unwrap_or(after.len());
        let (authority, path) = after.split_at(end);
        Self { scheme, authority: Some(authority).filter(|a| !a.is_empty()), path }
    }

    /// How a path of the same file system is shown to the user who typed this.
    pub(crate) fn show(&self, path: &str, working_folder: &str) -> String {
        match self.scheme {
            Some(scheme) => format!("{scheme}://{}{path}", self.authority.unwrap_or_default()),
            None if self.path.starts_with('/') => path.to_owned(),
            None => relative(path, working_folder),
        }
    }
}

/// The absolute form of a path: without empty parts, `.` and `..`, and without a trailing slash.
pub(crate) fn absolute(path: &str, working_folder: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    let base = if path.starts_with('/') { "" } else { working_folder };
    for part in base.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            // Above the root there is nothing; the server refuses the name.
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    format!("/{}", parts.join("/"))
}

/// `path` as seen from `folder`: `.`, `a/b`, `../x`.
fn relative(path: &str, folder: &str) -> String {
    let split = |p: &'_ str| p.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    let (path, folder) = (split(path), split(folder));
    let common = path.iter().zip(&folder).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n("..", folder.len() - common);
    let down = path.iter().skip(common).map(String::as_str);
    let parts: Vec<&str> = up.chain(down).collect();
    if parts.is_empty() { ".".to_owned() } else { parts.join("/") }
}

/// The last name of an absolute path; empty for the root.
pub(crate) fn name_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// The folder above an absolute path; `None` for the root.
pub(crate) fn parent_of(path: &str) -> Option<&str> {
    match path.rsplit_once('/') {
        Some(("", "")) | None => None,
        Some(("", _)) => Some("/"),
        Some((above, _)) => Some(above),
    }
}

/// A name inside an absolute folder; the folder itself for an empty name.
pub(crate) fn join(folder: &str, name: &str) -> String {
    match (folder, name) {
        (_, "") => folder.to_owned(),
        ("/", _) => format!("/{name}"),
        _ => format!("{folder}/{name}"),
    }
}

/// One path that a command works on.
#[derive(Clone)]
pub(crate) struct Item {
    /// Where it is.
    pub(crate) fs: FsRef,
    /// As it is shown.
    pub(crate) shown: String,
    /// Its absolute path.
    pub(crate) path: String,
    /// What is there, `None` for nothing.
    pub(crate) status: Option<Status>,
}

impl Item {
    /// What is there.
    ///
    /// # Errors
    /// Nothing.
    pub(crate) fn found(&self) -> Result<&Status, Fault> {
        self.status.as_ref().ok_or_else(|| self.fault(PathIssue::NotFound))
    }

    /// What is there, which must be a file.
    pub(crate) fn file(&self) -> Result<&Status, Fault> {
        let status = self.found()?;
        if status.is_folder() { Err(self.fault(PathIssue::IsDirectory)) } else { Ok(status) }
    }

    pub(crate) fn exists(&self) -> bool {
        self.status.is_some()
    }

    pub(crate) fn is_folder(&self) -> bool {
        self.status.as_ref().is_some_and(Status::is_folder)
    }

    pub(crate) fn is_file(&self) -> bool {
        self.status.as_ref().is_some_and(Status::is_file)
    }

    /// An issue with this path, as it is shown.
    pub(crate) fn fault(&self, issue: PathIssue) -> Fault {
        Fault::path(self.shown.clone(), issue)
    }

    /// The last name; empty for the root.
    pub(crate) fn name(&self) -> &str {
        name_of(&self.path)
    }

    /// The path in full: `hdfs://host:port/a`.
    pub(crate) fn qualified(&self) -> String {
        format!("{}{}", self.fs.uri(), self.path)
    }

    /// Whether the text alone says that a folder is meant: it ends with a slash, `.` or `..`.
    pub(crate) fn looks_like_folder(&self) -> bool {
        matches!(name_of(Typed::parse(&self.shown).path), "" | "." | "..")
    }

    /// Whether the folder that would hold this exists.
    pub(crate) fn parent_exists(&self) -> Result<bool, Fault> {
        let folder = if self.looks_like_folder() { Some(self.path.as_str()) } else { parent_of(&self.path) };
        folder.map_or(Ok(true), |folder| Ok(self.fs.status(folder)?.is_some()))
    }

    /// Asks again what is there.
    pub(crate) fn refresh(&mut self) -> Result<&Status, Fault> {
        self.status = self.fs.status(&self.path)?;
        self.found()
    }

    /// The entries of this folder, by name.
    pub(crate) fn children(&self) -> Result<Vec<Self>, Fault> {
        let entries = self.fs.list(&self.path)?;
        Ok(entries.into_iter().map(|entry| self.child_of(entry)).collect())
    }

    fn child_of(&self, entry: Entry) -> Self {
        self.child(&entry.name, Some(entry.status))
    }

    /// A name in this folder, with what is known to be there.
    pub(crate) fn child(&self, name: &str, status: Option<Status>) -> Self {
        let shown = if self.shown == "." {
            name.to_owned()
        } else {
            let slash = if Typed::parse(&self.shown).path.ends_with('/') { "" } else { "/" };
            format!("{}{slash}{name}", self.shown)
        };
        Self { fs: self.fs.clone(), shown, path: join(&self.path, name), status }
    }

    /// A name in this folder, asking what is there.
    ///
    /// # Errors
    /// This is no folder.
    pub(crate) fn child_asked(&self, name: &str) -> Result<Self, Fault> {
        if !self.found()?.is_folder() {
            return Err(self.fault(PathIssue::NotDirectory));
        }
        let mut child = self.child(name, None);
        child.status = child.fs.status(&child.path)?;
        Ok(child)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typed_paths_are_taken_apart() {
        for (text, scheme, authority, path) in [
            ("/a", None, None, "/a"),
            ("a/b", None, None, "a/b"),
            ("a:b", None, None, "a:b"),
            ("//a", None, None, "//a"),
            ("./x:/y", None, None, "./x:/y"),
            ("hdfs://h:1/a", Some("hdfs"), Some("h:1"), "/a"),
            ("hdfs://h:1", Some("hdfs"), Some("h:1"), ""),
            ("hdfs:///a", Some("hdfs"), None, "/a"),
            ("file:/a", Some("file"), None, "/a"),
            ("hdfs://[::1]:9/a:b", Some("hdfs"), Some("[::1]:9"), "/a:b"),
        ] {
            assert_eq!(Typed::parse(text), Typed { scheme, authority, path }, "{text}");
        }
    }

    #[test]
    fn paths_become_absolute() {
        for (text, expected) in [
            ("", "/user/u"),
            (".", "/user/u"),
            ("a//b/", "/user/u/a/b"),
            ("..", "/user"),
            ("../../..", "/.."),
            ("/", "/"),
            ("//a/./b/../c/", "/a/c"),
        ] {
            assert_eq!(absolute(text, "/user/u"), expected, "{text}");
        }
    }

    #[test]
    fn paths_are_shown_as_they_were_typed() {
        let show = |typed: &str, path: &str| Typed::parse(typed).show(path, "/user/u");
        assert_eq!(show("*", "/user/u/f"), "f");
        assert_eq!(show(".", "/user/u"), ".");
        assert_eq!(show("../*", "/user/x"), "../x");
        assert_eq!(show("../..", "/"), "../..");
        assert_eq!(show("/u*", "/user"), "/user");
        assert_eq!(show("hdfs://h:1/*", "/user"), "hdfs://h:1/user");
        assert_eq!(show("hdfs:/*", "/user"), "hdfs:///user");
        assert_eq!(show("file:/tmp", "/tmp"), "file:///tmp");
    }

    #[test]
    fn parts_of_absolute_paths() {
        assert_eq!((name_of("/a/b"), name_of("/")), ("b", ""));
        assert_eq!((parent_of("/a/b"), parent_of("/a"), parent_of("/")), (Some("/a"), Some("/"), None));
        assert_eq!((join("/", "a"), join("/a", "b"), join("/a", "")), ("/a".into(), "/a/b".into(), "/a".into()));
    }
}
