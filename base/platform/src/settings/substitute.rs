//! `${variable}` in values, as in Hadoop: another key, `env.NAME`, or one of Java's system properties that Hadoop's own
//! defaults rely on.

use std::collections::BTreeMap;

/// Replacements in one value before it counts as leading back to itself (Hadoop's number).
const REPLACEMENTS_MAX: usize = 20;
/// Longest value that replacing may give.
const VALUE_BYTES_MAX: usize = 64 * 1024;

/// What variables outside the settings stand for.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// The process's environment variables.
    pub variables: BTreeMap<String, String>,
    /// The user that this process runs as.
    pub user_name: String,
}

impl Environment {
    /// The environment of this process; variables that are no text are left out.
    #[must_use]
    pub fn of_process() -> Self {
        let variables =
            std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))).collect();
        Self { variables, user_name: crate::process::user_name() }
    }

    /// The value of a variable that is no key; `None` sends the search on to the keys.
    pub(super) fn lookup(&self, name: &str) -> Option<String> {
        if let Some(name) = name.strip_prefix("env.") {
            return self.environment_variable(name);
        }
        match name {
            "user.name" => Some(self.user_name.clone()),
            "user.home" => self.variables.get("HOME").cloned(),
            "java.io.tmpdir" => Some("/tmp".to_owned()),
            _ => None,
        }
    }

    /// `NAME`, `NAME-default` (if unset) or `NAME:-default` (if unset or empty), as in a shell.
    fn environment_variable(&self, text: &str) -> Option<String> {
        let (name, default, empty_counts) = match text.split_once('-') {
            Some((name, default)) => match name.strip_suffix(':') {
                Some(name) => (name, Some(default), false),
                None => (name, Some(default), true),
            },
            None => (text, None, true),
        };
        let value = self.variables.get(name).filter(|v| empty_counts || !v.is_empty());
        value.cloned().or_else(|| default.map(str::to_owned))
    }
}

/// Replaces every `${…}` that `lookup` knows, innermost first; an unknown one stays as it is.
///
/// # Errors
/// What is wrong, if values lead back to themselves or grow without end.
pub(super) fn resolve(value: &str, lookup: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut text = value.to_owned();
    let mut replaced = 0;
    let mut from = 0;
    while let Some((start, end)) = next_variable(&text, from) {
        let name = text.get(start + 2..end).unwrap_or_default();
        let Some(with) = lookup(name) else {
            from = end + 1;
            continue;
        };
        replaced += 1;
        if replaced > REPLACEMENTS_MAX || text.len() + with.len() > VALUE_BYTES_MAX {
            return Err("${…} that do not lead back to themselves".to_owned());
        }
        text.replace_range(start..=end, &with);
        from = 0;
    }
    Ok(text)
}

/// Start of `${` and place of `}` of the first variable that ends at or after `from` and holds no other.
fn next_variable(text: &str, from: usize) -> Option<(usize, usize)> {
    let mut search = from;
    loop {
        let end = search + text.get(search..)?.find('}')?;
        if let Some(start) = text.get(from..end)?.rfind("${") {
            return Some((from + start, end));
        }
        search = end + 1;
    }
}
