//! Settings under Hadoop's names: defaults, then Hadoop's XML files, then `-D key=value`.
//!
//! Every key that has an effect here is in one table (`table/`) with its kind, default and meaning. A value is
//! checked against its kind wherever it came from, all of them at start by [`Settings::validate`], so that a daemon
//! refuses a bad value before it opens a door. Keys of Hadoop without effect here are told apart from misspelt ones.

mod check;
mod files;
mod kinds;
mod names;
mod parse;
mod substitute;
mod table;
#[cfg(test)]
mod tests;

pub use check::Warning;
pub use kinds::{
    Addr, Bytes, Dirs, Flag, Float, HostPort, Int, Key, List, Millis, Octal, Rule, Spec, StorageDir, Text, Uri,
};
pub use substitute::Environment;
pub use table::{all as all_specs, keys};

use crate::error::PlatformError;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// Where a value was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere: the table's default.
    Default,
    /// Set by the program itself, such as the ports that `mammoth up` chooses.
    Program,
    /// A configuration file and the line in it.
    File {
        /// The file.
        path: PathBuf,
        /// Line of the property, from 1.
        line: u32,
    },
    /// `-D key=value`.
    CommandLine,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("the default"),
            Self::Program => f.write_str("the program"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::CommandLine => f.write_str("the command line"),
        }
    }
}

/// One value as it was given, before `${…}` is replaced.
#[derive(Clone, Debug)]
struct Given {
    value: String,
    origin: Origin,
    is_final: bool,
}

/// All settings of a process.
#[derive(Clone, Debug)]
pub struct Settings {
    given: BTreeMap<String, Given>,
    notes: Vec<Warning>,
    environment: Environment,
}

impl Settings {
    /// The defaults alone; `environment` is what `${env.X}` and `${user.name}` stand for.
    #[must_use]
    pub fn new(environment: Environment) -> Self {
        Self { given: BTreeMap::new(), notes: Vec::new(), environment }
    }

    /// What a command line asks for: the files of `conf_dir` if given, then the `-D` pairs.
    ///
    /// # Errors
    /// An unreadable or malformed file, a pair without `=`. Values are not checked yet; see [`Self::validate`].
    pub fn load(conf_dir: Option<&Path>, pairs: &[String]) -> Result<Self, PlatformError> {
        let mut settings = Self::new(Environment::of_process());
        if let Some(dir) = conf_dir {
            settings.add_conf_dir(dir)?;
        }
        for pair in pairs {
            settings.add_pair(pair)?;
        }
        Ok(settings)
    }

    /// Adds `core-site.xml`, `hdfs-site.xml` and `mapred-site.xml` of a folder, each where present.
    ///
    /// # Errors
    /// A missing folder; an unreadable or malformed file.
    pub fn add_conf_dir(&mut self, dir: &Path) -> Result<(), PlatformError> {
        files::add_conf_dir(self, dir)
    }

    /// Adds one `key=value` of the command line; it wins over every file.
    ///
    /// # Errors
    /// No `=`, or nothing before it.
    pub fn add_pair(&mut self, pair: &str) -> Result<(), PlatformError> {
        let bad = || PlatformError::BadPair { pair: pair.to_owned() };
        let (name, value) = pair.split_once('=').ok_or_else(bad)?;
        if name.trim().is_empty() {
            return Err(bad());
        }
        self.put(name.trim(), value, Origin::CommandLine, false);
        Ok(())
    }

    /// Sets a value on behalf of the program; it wins over whatever was given before.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.put(name, &value.into(), Origin::Program, false);
    }

    /// Sets a value on behalf of the program unless somebody gave one.
    pub fn set_if_absent(&mut self, name: &str, value: impl Into<String>) {
        if !self.is_given(name) {
            self.set(name, value);
        }
    }

    /// Whether the key was given a value, by anybody.
    #[must_use]
    pub fn is_given(&self, name: &str) -> bool {
        self.given.contains_key(names::canonical(name))
    }

    /// Every given key with its value as given and its origin, in key order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, &Origin)> {
        self.given.iter().map(|(name, g)| (name.as_str(), g.value.as_str(), &g.origin))
    }

    /// The value of any key, with `${…}` replaced, and where it came from; `None` if neither given nor in the table.
    ///
    /// # Errors
    /// A `${…}` that leads back to itself.
    pub fn raw(&self, name: &str) -> Result<Option<(String, Origin)>, PlatformError> {
        let name = names::canonical(name);
        let Some((value, origin)) = self.unresolved(name) else { return Ok(None) };
        let value = substitute::resolve(value, |variable| self.variable(variable)).map_err(|expected| {
            PlatformError::BadValue {
                key: name.to_owned(),
                value: value.to_owned(),
                origin: origin.to_string(),
                expected,
            }
        })?;
        Ok(Some((value, origin)))
    }

    fn unresolved(&self, name: &str) -> Option<(&str, Origin)> {
        match self.given.get(name) {
            Some(given) => Some((given.value.as_str(), given.origin.clone())),
            None => table::find(name).map(|spec| (spec.default, Origin::Default)),
        }
    }

    fn variable(&self, name: &str) -> Option<String> {
        let from_environment = self.environment.lookup(name);
        from_environment.or_else(|| self.unresolved(names::canonical(name)).map(|(value, _)| value.to_owned()))
    }

    fn put(&mut self, name: &str, value: &str, origin: Origin, is_final: bool) {
        let canonical = names::canonical(name);
        if canonical != name {
            self.notes.push(Warning::Deprecated {
                key: name.to_owned(),
                instead: canonical.to_owned(),
                origin: origin.clone(),
            });
        }
        if let Some(old) = self.given.get(canonical)
            && old.is_final
            && matches!(origin, Origin::File { .. })
        {
            self.notes.push(Warning::Final { key: canonical.to_owned(), origin, by: old.origin.clone() });
            return;
        }
        let given = Given { value: value.trim().to_owned(), origin, is_final };
        self.given.insert(canonical.to_owned(), given);
    }
}

/// Typed getters. Each fails with the key, the value, its origin and what is accepted.
impl Settings {
    /// A yes or no.
    ///
    /// # Errors
    /// Neither `true` nor `false`.
    pub fn flag(&self, key: Key<Flag>) -> Result<bool, PlatformError> {
        self.get(key.spec(), parse::flag)
    }

    /// A whole number within the key's range, as any integer type.
    ///
    /// # Errors
    /// No number, out of the key's range, or out of the type's.
    pub fn int<T: TryFrom<i64>>(&self, key: Key<Int>) -> Result<T, PlatformError> {
        self.get(key.spec(), |rule, text| {
            parse::int(rule, text).and_then(|n| T::try_from(n).map_err(|_| rule.expected()))
        })
    }

    /// A number with a fraction, within the key's range.
    ///
    /// # Errors
    /// No number, or out of range.
    pub fn float(&self, key: Key<Float>) -> Result<f64, PlatformError> {
        self.get(key.spec(), parse::float)
    }

    /// A size in bytes.
    ///
    /// # Errors
    /// No size, or out of range.
    pub fn bytes(&self, key: Key<Bytes>) -> Result<u64, PlatformError> {
        self.get(key.spec(), parse::bytes)
    }

    /// A time in milliseconds, whatever unit it was given in; fractions of a millisecond round up.
    ///
    /// # Errors
    /// No time, or out of range.
    pub fn millis(&self, key: Key<Millis>) -> Result<u64, PlatformError> {
        self.get(key.spec(), parse::millis)
    }

    /// A text, empty if unset.
    ///
    /// # Errors
    /// Not one of the accepted words, where the key has such.
    pub fn text(&self, key: Key<Text>) -> Result<String, PlatformError> {
        self.get(key.spec(), parse::text)
    }

    /// A host and port.
    ///
    /// # Errors
    /// No address, or none given for a key without default; see [`Self::addr_if_set`].
    pub fn addr(&self, key: Key<Addr>) -> Result<HostPort, PlatformError> {
        self.get(key.spec(), parse::addr)
    }

    /// A host and port, `None` for a key without value.
    ///
    /// # Errors
    /// No address.
    pub fn addr_if_set(&self, key: Key<Addr>) -> Result<Option<HostPort>, PlatformError> {
        self.get(key.spec(), |rule, text| if text.is_empty() { Ok(None) } else { parse::addr(rule, text).map(Some) })
    }

    /// A URI, with a scheme.
    ///
    /// # Errors
    /// No URI.
    pub fn uri(&self, key: Key<Uri>) -> Result<String, PlatformError> {
        self.get(key.spec(), parse::uri)
    }

    /// Texts between commas.
    ///
    /// # Errors
    /// Only a `${…}` that leads back to itself.
    pub fn list(&self, key: Key<List>) -> Result<Vec<String>, PlatformError> {
        self.get(key.spec(), |_, text| Ok(parse::list(text)))
    }

    /// Folders between commas, each with its medium.
    ///
    /// # Errors
    /// A folder that is no absolute path or `file:` URI, or none at all.
    pub fn dirs(&self, key: Key<Dirs>) -> Result<Vec<StorageDir>, PlatformError> {
        self.get(key.spec(), parse::dirs)
    }

    /// Permission bits.
    ///
    /// # Errors
    /// No octal number up to 777.
    pub fn octal(&self, key: Key<Octal>) -> Result<u16, PlatformError> {
        self.get(key.spec(), parse::octal)
    }

    fn get<T>(&self, spec: &Spec, read: impl FnOnce(&Rule, &str) -> Result<T, String>) -> Result<T, PlatformError> {
        // Every key of the table has at least its default.
        let (value, origin) = self.raw(spec.name)?.unwrap_or_else(|| (spec.default.to_owned(), Origin::Default));
        read(&spec.rule, &value).map_err(|expected| PlatformError::BadValue {
            key: spec.name.to_owned(),
            value,
            origin: origin.to_string(),
            expected,
        })
    }
}

/// For [`crate::fuzzing`].
pub(crate) fn fuzz(pair: &str, xml: &str) {
    let mut settings = Settings::new(Environment::default());
    let _ = files::add_xml(&mut settings, Path::new("a.xml"), xml);
    let _ = settings.add_pair(pair);
    if let Ok(warnings) = settings.validate() {
        warnings.iter().for_each(|warning| drop(warning.to_string()));
        // What passes the check can be had, whatever kind it is of.
        for spec in all_specs() {
            let value = settings.raw(spec.name).expect("it passed");
            assert!(value.is_some());
        }
    }
}
