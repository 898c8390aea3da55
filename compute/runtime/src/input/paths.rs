//! Which files an input means: a file is itself, a folder the files in it, a pattern whatever matches.
//!
//! Names that start with `_` or `.` are passed over in folders and by patterns, as jobs leave `_SUCCESS` and the like there.

use super::glob::{self, NamePattern};
use crate::error::RuntimeError;
use crate::files::{self, FileInfo, FileSystem};
use mammoth_protocol::DfsPath;

/// One file of the input.
pub type InputFile = FileInfo;

/// The paths in a text that separates them by commas, as Hadoop's input paths are: a comma within braces, or after a backslash,
/// is part of its path. The backslash stays, as it means the same in the path.
#[must_use]
pub fn split_paths(text: &str) -> Vec<String> {
    let (mut parts, mut part, mut depth) = (Vec::new(), String::new(), 0_usize);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            ',' if depth == 0 => {
                parts.push(std::mem::take(&mut part));
                continue;
            }
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        part.push(c);
        if c == '\\' {
            part.extend(chars.next());
        }
    }
    parts.push(part);
    parts
}

/// All files of the input, each path's in name order.
///
/// # Errors
/// A path that does not exist, a pattern that matches nothing or is none, a folder within a folder of the input.
pub fn input_files(files: &dyn FileSystem, inputs: &[String]) -> Result<Vec<InputFile>, RuntimeError> {
    if inputs.is_empty() {
        return Err(RuntimeError::Refused("No input paths specified in job".to_owned()));
    }
    let mut found = Vec::new();
    for input in inputs {
        for root in roots(files, input)? {
            if root.is_dir {
                found.extend(files_of(files, &root.path)?);
            } else {
                found.push(root);
            }
        }
    }
    Ok(found)
}

/// What a path or pattern stands for.
fn roots(files: &dyn FileSystem, input: &str) -> Result<Vec<FileInfo>, RuntimeError> {
    let text = files::absolute(files, input)?;
    if !glob::has_wildcard(&text) {
        let path = files::resolve(files, &glob::unquote(&text))?;
        let missing = || RuntimeError::Refused(format!("Input path does not exist: {}{path}", files.uri()));
        return Ok(vec![files.stat(&path)?.ok_or_else(missing)?]);
    }
    let bad = |why: String| RuntimeError::Refused(format!("Illegal file pattern {input}: {why}"));
    let mut found: Vec<FileInfo> = Vec::new();
    for alternative in glob::alternatives(&text).map_err(bad)? {
        matching(files, &alternative, &mut found).map_err(|why| match why {
            Miss::Pattern(why) => bad(why),
            Miss::Other(error) => error,
        })?;
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found.dedup_by(|a, b| a.path == b.path);
    if found.is_empty() {
        return Err(RuntimeError::Refused(format!("Input Pattern {}{text} matches 0 files", files.uri())));
    }
    Ok(found)
}

/// Why a pattern could not be followed.
enum Miss {
    Pattern(String),
    Other(RuntimeError),
}

impl<E: Into<RuntimeError>> From<E> for Miss {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
}

/// Adds what one pattern without braces matches, a name at a time from the root down.
fn matching(files: &dyn FileSystem, pattern: &str, found: &mut Vec<FileInfo>) -> Result<(), Miss> {
    let mut folders = vec![DfsPath::root()];
    let mut parts = pattern.split('/').filter(|part| !part.is_empty()).peekable();
    while let Some(part) = parts.next() {
        let is_last = parts.peek().is_none();
        let mut next = Vec::new();
        for folder in &folders {
            for entry in named(files, folder, part)? {
                match (is_last, entry.is_dir) {
                    (true, _) => found.push(entry),
                    (false, true) => next.push(entry.path),
                    (false, false) => {}
                }
            }
        }
        folders = next;
    }
    Ok(())
}

/// The entries of a folder that one part of a pattern names; none if the folder is not there (any more).
fn named(files: &dyn FileSystem, folder: &DfsPath, part: &str) -> Result<Vec<FileInfo>, Miss> {
    if !glob::has_wildcard(part) {
        let bad = |error: mammoth_protocol::path::BadPath| Miss::Pattern(error.to_string());
        let path = folder.join(&glob::unquote(part)).map_err(bad)?;
        return Ok(files.stat(&path)?.into_iter().collect());
    }
    let pattern = NamePattern::compile(part).map_err(Miss::Pattern)?;
    if files.stat(folder)?.is_none() {
        return Ok(Vec::new());
    }
    let mut entries = files.list(folder)?;
    entries.retain(|entry| !is_hidden(entry) && pattern.matches(entry.path.name()));
    Ok(entries)
}

fn files_of(files: &dyn FileSystem, folder: &DfsPath) -> Result<Vec<FileInfo>, RuntimeError> {
    let mut entries = files.list(folder)?;
    entries.retain(|entry| !is_hidden(entry));
    if let Some(inner) = entries.iter().find(|entry| entry.is_dir) {
        // Reading it as a file would fail in every task; passing over it in silence would lose data.
        return Err(RuntimeError::Refused(format!("Not a file: {}{}", files.uri(), inner.path)));
    }
    Ok(entries)
}

fn is_hidden(entry: &FileInfo) -> bool {
    entry.path.name().starts_with(['_', '.'])
}
