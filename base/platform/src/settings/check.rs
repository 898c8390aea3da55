//! The check at start: every given value against its kind, every given name against the known ones.

use super::{Origin, Settings, names, parse, table};
use crate::error::PlatformError;
use std::fmt;

/// Something about the settings that an operator should know and that does not stop the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// A key that neither we nor Hadoop know.
    Unknown {
        /// The key.
        key: String,
        /// Where it was given.
        origin: Origin,
        /// The known key that it resembles.
        nearest: Option<String>,
    },
    /// A key of Hadoop that changes nothing here.
    NoEffect {
        /// The key.
        key: String,
        /// Where it was given.
        origin: Origin,
    },
    /// An old name.
    Deprecated {
        /// The name that was used.
        key: String,
        /// The present name.
        instead: String,
        /// Where it was given.
        origin: Origin,
    },
    /// A value that a file declared final was given again; the final one stays.
    Final {
        /// The key.
        key: String,
        /// Where it was given again.
        origin: Origin,
        /// Where it is final.
        by: Origin,
    },
    /// An element of a configuration file that is not read.
    Element {
        /// Its name.
        element: String,
        /// Where it is.
        origin: Origin,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { key, origin, nearest: Some(nearest) } => {
                write!(f, "unknown key {key} (from {origin}); did you mean {nearest}?")
            }
            Self::Unknown { key, origin, nearest: None } => write!(f, "unknown key {key} (from {origin})"),
            Self::NoEffect { key, origin } => write!(f, "{key} (from {origin}) has no effect yet"),
            Self::Deprecated { key, instead, origin } => {
                write!(f, "{key} (from {origin}) is deprecated; use {instead}")
            }
            Self::Final { key, origin, by } => {
                write!(f, "{key} (from {origin}) is ignored, as {by} declares it final")
            }
            Self::Element { element, origin } => write!(f, "<{element}> (at {origin}) is not read"),
        }
    }
}

impl Settings {
    /// Checks everything that was given.
    ///
    /// # Errors
    /// [`PlatformError::BadSettings`] with one line for each value that its key does not accept.
    pub fn validate(&self) -> Result<Vec<Warning>, PlatformError> {
        let mut warnings = self.notes.clone();
        let mut lines = Vec::new();
        for (name, given) in &self.given {
            match table::find(name) {
                Some(spec) => {
                    if let Err(error) = self.get(spec, |rule, value| check_resolved(spec, rule, value)) {
                        lines.push(error.to_string());
                    }
                }
                None => warnings.extend(name_warning(name, &given.origin)),
            }
        }
        if lines.is_empty() { Ok(warnings) } else { Err(PlatformError::BadSettings { lines }) }
    }
}

fn check_resolved(spec: &super::Spec, rule: &super::Rule, value: &str) -> Result<(), String> {
    if value.contains("${") {
        return Err(format!("{}, with every ${{…}} known", rule.expected()));
    }
    parse::check(rule, value, spec.default.is_empty())
}

fn name_warning(name: &str, origin: &Origin) -> Option<Warning> {
    if !names::is_ours(name) {
        return None;
    }
    if names::has_no_effect(name) {
        return Some(Warning::NoEffect { key: name.to_owned(), origin: origin.clone() });
    }
    let nearest = names::nearest(name).map(str::to_owned);
    Some(Warning::Unknown { key: name.to_owned(), origin: origin.clone(), nearest })
}
