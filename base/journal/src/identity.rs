//! Whose folder it is: the `VERSION` file, one `key=value` a line, beside the log.

use crate::error::JournalError;
use crate::log::codec::CLUSTER_BYTES_MAX;
use mammoth_platform::{IoContext, durable};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Version of the folder's layout that is written; newer ones are refused, older ones are brought up when they are opened.
///
/// 2: the checkpoint's rows have a seal.
pub const LAYOUT_VERSION: u32 = 2;
/// File name of the identity.
pub const VERSION_FILE: &str = "VERSION";
/// The key that every identity has; the log's segments carry its value too.
pub const CLUSTER_ID: &str = "cluster_id";
const LAYOUT_KEY: &str = "layout_version";
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// What a folder belongs to, by part: cluster id, namespace id, pool id and what else its owner names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity(pub BTreeMap<String, String>);

impl Identity {
    /// An identity of these parts.
    pub fn of<K: Into<String>, V: Into<String>>(parts: impl IntoIterator<Item = (K, V)>) -> Self {
        Self(parts.into_iter().map(|(k, v)| (k.into(), v.into())).collect())
    }

    /// One part.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Refuses an identity that could not be read back.
    pub(crate) fn check(&self, dir: &Path) -> Result<(), JournalError> {
        let bad = |what| JournalError::Identity { path: dir.join(VERSION_FILE), what };
        match self.get(CLUSTER_ID) {
            None | Some("") => return Err(bad(format!("there is no {CLUSTER_ID}"))),
            Some(id) if id.len() > CLUSTER_BYTES_MAX => {
                return Err(bad(format!("{CLUSTER_ID} is longer than {CLUSTER_BYTES_MAX} bytes")));
            }
            Some(_) => {}
        }
        for (key, value) in &self.0 {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
            if key.is_empty() || !key.bytes().all(plain) || key == LAYOUT_KEY {
                return Err(bad(format!("`{key}` is no name for a part")));
            }
            if value.chars().any(char::is_control) || value.trim() != value {
                return Err(bad(format!("`{value}` is no value for {key}")));
            }
        }
        Ok(())
    }

    /// Writes it durably; the folder counts as formatted from then on.
    pub(crate) fn write(&self, dir: &Path) -> Result<(), JournalError> {
        self.check(dir)?;
        let mut text = format!("{LAYOUT_KEY}={LAYOUT_VERSION}\n");
        for (key, value) in &self.0 {
            text.push_str(&format!("{key}={value}\n"));
        }
        Ok(durable::replace(&dir.join(VERSION_FILE), text.as_bytes())?)
    }

    /// Reads it.
    ///
    /// # Errors
    /// A folder that is not formatted, is newer, or whose file is malformed.
    pub fn read(dir: &Path) -> Result<Self, JournalError> {
        Self::read_with_layout(dir).map(|(identity, _)| identity)
    }

    /// As [`Self::read`], with the folder's layout version.
    pub(crate) fn read_with_layout(dir: &Path) -> Result<(Self, u32), JournalError> {
        let path = dir.join(VERSION_FILE);
        let bad = |what| JournalError::Identity { path: path.clone(), what };
        match fs::metadata(&path) {
            Ok(meta) if meta.len() > FILE_BYTES_MAX => return Err(bad(format!("longer than {FILE_BYTES_MAX} bytes"))),
            Ok(_) => {}
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(JournalError::NotFormatted { dir: dir.to_owned() });
            }
            Err(e) => Err(e).io("read", &path)?,
        }
        let text = fs::read_to_string(&path).io("read", &path)?;
        let mut parts = BTreeMap::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (key, value) = line.split_once('=').ok_or_else(|| bad(format!("`{line}` is not key=value")))?;
            parts.insert(key.to_owned(), value.to_owned());
        }
        let layout = parts.remove(LAYOUT_KEY).ok_or_else(|| bad(format!("there is no {LAYOUT_KEY}")))?;
        let found: u32 = layout.parse().map_err(|_| bad(format!("`{layout}` is no {LAYOUT_KEY}")))?;
        if found > LAYOUT_VERSION {
            return Err(JournalError::NewerLayout { dir: dir.to_owned(), found, supported: LAYOUT_VERSION });
        }
        if found == 0 {
            return Err(bad(format!("`{layout}` is no {LAYOUT_KEY}")));
        }
        let identity = Self(parts);
        identity.check(dir)?;
        Ok((identity, found))
    }

    /// Refuses a folder whose identity differs in a part that `expected` names.
    pub(crate) fn expect(&self, expected: &Self, dir: &Path) -> Result<(), JournalError> {
        for (key, expected) in &expected.0 {
            let found = self.get(key).unwrap_or("(none)");
            if found != expected {
                return Err(JournalError::Foreign {
                    dir: dir.to_owned(),
                    key: key.clone(),
                    found: found.to_owned(),
                    expected: expected.clone(),
                });
            }
        }
        Ok(())
    }
}
