//! All paths that match a pattern of a whole path.

use super::{BadPattern, Pattern, unquote};

/// Most patterns that the braces of one may stand for, and their bytes together: thirty pairs of `{/a,/b}` stand for a billion.
const ALTERNATIVES_MAX: usize = 10_000;
const ALTERNATIVES_BYTES: usize = 1 << 20;

/// Something with folders that can be asked and listed. Paths are absolute, without a trailing slash but for the root.
pub(crate) trait Lister {
    /// What is known about one path.
    type Entry: Clone;
    /// A failed question.
    type Error: From<BadPattern>;

    /// The entry of a path, `None` if there is none.
    fn entry(&mut self, path: &str) -> Result<Option<Self::Entry>, Self::Error>;

    /// The names and entries of a folder; nothing for a path that is missing or no folder.
    fn entries(&mut self, path: &str) -> Result<Vec<(String, Self::Entry)>, Self::Error>;

    /// Whether an entry is a folder.
    fn is_folder(entry: &Self::Entry) -> bool;
}

/// What a pattern stands for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Matches<E> {
    /// It has no wildcard and names nothing that exists.
    Missing,
    /// The paths, in order; empty if a wildcard matched nothing.
    Found(Vec<(String, E)>),
}

/// Finds what `pattern` stands for; it may be relative, then `absolute` completes each alternative.
///
/// # Errors
/// A bad pattern, or what the lister says.
pub(crate) fn expand<L: Lister>(
    lister: &mut L,
    pattern: &str,
    absolute: impl Fn(&str) -> String,
) -> Result<Matches<L::Entry>, L::Error> {
    let alternatives = flatten(pattern)?;
    let several = alternatives.len() > 1;
    let mut found: Vec<(String, L::Entry)> = Vec::new();
    let mut saw_wildcard = false;
    for alternative in alternatives {
        let path = absolute(&alternative);
        saw_wildcard |= expand_one(lister, &path, &mut found)?;
    }
    if found.is_empty() && !saw_wildcard && !several {
        return Ok(Matches::Missing);
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(Matches::Found(found))
}

/// Adds the matches of one absolute pattern without slashes in braces; tells whether it had a wildcard.
fn expand_one<L: Lister>(lister: &mut L, path: &str, found: &mut Vec<(String, L::Entry)>) -> Result<bool, L::Error> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let mut folders = vec![String::new()];
    let mut saw_wildcard = false;
    for (index, part) in parts.iter().enumerate() {
        let pattern = Pattern::compile(part)?;
        let is_last = index + 1 == parts.len();
        saw_wildcard |= pattern.has_wildcard();
        if !pattern.has_wildcard() {
            // Parts above the last are taken for granted: if they are missing, the question below finds nothing.
            let name = unquote(part);
            for folder in &mut folders {
                folder.push('/');
                folder.push_str(&name);
            }
            if is_last {
                collect_existing(lister, folders, found)?;
                return Ok(saw_wildcard);
            }
            continue;
        }
        let mut next = Vec::new();
        for folder in &folders {
            for (name, entry) in lister.entries(or_root(folder))? {
                if !pattern.matches(&name) {
                    continue;
                }
                if is_last {
                    found.push((format!("{folder}/{name}"), entry));
                } else if L::is_folder(&entry) {
                    next.push(format!("{folder}/{name}"));
                }
            }
        }
        folders = next;
    }
    if parts.is_empty() {
        collect_existing(lister, vec!["/".to_owned()], found)?;
    }
    Ok(saw_wildcard)
}

fn collect_existing<L: Lister>(
    lister: &mut L,
    paths: Vec<String>,
    found: &mut Vec<(String, L::Entry)>,
) -> Result<(), L::Error> {
    for path in paths {
        if let Some(entry) = lister.entry(&path)? {
            found.push((path, entry));
        }
    }
    Ok(())
}

fn or_root(folder: &str) -> &str {
    if folder.is_empty() { "/" } else { folder }
}

/// Writes out the braces that contain a slash, as `{/a,/b/c}` leads to different folders; others stay.
fn flatten(pattern: &str) -> Result<Vec<String>, BadPattern> {
    let mut done = Vec::new();
    let mut open = vec![pattern.to_owned()];
    // Of all texts in both.
    let mut bytes = pattern.len();
    while let Some(text) = open.pop() {
        match outer_braces_with_slash(&text)? {
            None => done.push(text),
            Some((start, end)) => {
                let (before, rest) = text.split_at(start);
                let (inside, after) = rest.split_at(end - start);
                let inside = inside.strip_prefix('{').unwrap_or(inside);
                let parts = split_alternatives(inside).count();
                bytes += parts * (before.len() + after.len()) + inside.len();
                if done.len() + open.len() + parts > ALTERNATIVES_MAX || bytes > ALTERNATIVES_BYTES {
                    return Err(BadPattern::new("More than 10000 alternatives, or 1 MiB of them,", 0, pattern));
                }
                let mut expanded: Vec<String> =
                    split_alternatives(inside).map(|part| format!("{before}{part}{}", &after[1..])).collect();
                expanded.reverse();
                bytes -= text.len();
                open.extend(expanded);
            }
        }
    }
    Ok(done)
}

/// Byte positions of the first outermost `{` that has a slash inside, and of its `}`.
fn outer_braces_with_slash(text: &str) -> Result<Option<(usize, usize)>, BadPattern> {
    let mut depth = 0_usize;
    let (mut start, mut slash) = (0, false);
    let mut chars = text.char_indices();
    while let Some((index, c)) = chars.next() {
        match c {
            '\\' => {
                chars.next().ok_or_else(|| BadPattern::new("Missing escaped character", text.chars().count(), text))?;
            }
            '{' => {
                if depth == 0 {
                    (start, slash) = (index, false);
                }
                depth += 1;
            }
            '}' if depth > 0 => {
                depth -= 1;
                if depth == 0 && slash {
                    return Ok(Some((start, index)));
                }
            }
            '/' if depth > 0 => slash = true,
            _ => {}
        }
    }
    Ok(None)
}

/// The parts between the commas that are not within inner braces.
fn split_alternatives(inside: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    let mut quoted = false;
    inside.split(move |c: char| {
        if quoted {
            quoted = false;
            return false;
        }
        match c {
            '\\' => quoted = true,
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' => return depth == 0,
            _ => {}
        }
        false
    })
}
