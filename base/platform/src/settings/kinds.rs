//! Kinds of values, and how a key of the table is described.

use std::fmt;
use std::marker::PhantomData;
use std::path::PathBuf;

/// One key of the table.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Hadoop's name, or one that starts with `mammoth.`.
    pub name: &'static str,
    /// What values it takes.
    pub rule: Rule,
    /// The value when nobody gives one, in the same notation; empty = none.
    pub default: &'static str,
    /// What it does, in a sentence.
    pub doc: &'static str,
}

impl Spec {
    /// The same key with its sentence.
    #[must_use]
    pub(super) const fn documented(self, doc: &'static str) -> Self {
        Self { doc, ..self }
    }
}

/// What values a key takes.
#[derive(Clone, Copy, Debug)]
pub enum Rule {
    /// `true` or `false`.
    Flag,
    /// A whole number.
    Int {
        /// Least accepted.
        min: i64,
        /// Largest accepted.
        max: i64,
    },
    /// A number with a fraction.
    Float {
        /// Least accepted.
        min: f64,
        /// Largest accepted.
        max: f64,
    },
    /// A size; suffixes k, m, g, t, p, e are powers of 1024.
    Bytes {
        /// Least accepted, in bytes.
        min: u64,
        /// Largest accepted, in bytes.
        max: u64,
    },
    /// A time; suffixes ns, us, ms, s, m, h, d.
    Millis {
        /// The unit of a bare number.
        unit: &'static str,
        /// Least accepted, in milliseconds.
        min: u64,
    },
    /// Any text.
    Text,
    /// One of these words, whatever their case.
    OneOf(&'static [&'static str]),
    /// `host:port`.
    Addr,
    /// `scheme:…`.
    Uri,
    /// Texts between commas.
    List,
    /// Folders between commas.
    Dirs,
    /// Permission bits.
    Octal,
}

impl Rule {
    /// What is accepted, in words.
    #[must_use]
    pub fn expected(&self) -> String {
        match self {
            Self::Flag => "true or false".to_owned(),
            Self::Int { min, max: i64::MAX } => format!("a whole number from {min}"),
            Self::Int { min, max } => format!("a whole number from {min} to {max}"),
            Self::Float { min, max } => format!("a number from {min} to {max}"),
            Self::Bytes { min, max: u64::MAX } => {
                format!("a size from {min} bytes, such as 4096, 64k or 128m")
            }
            Self::Bytes { min, max } => format!("a size from {min} to {max} bytes, such as 4096, 64k or 128m"),
            Self::Millis { unit, min } => {
                format!("a time of at least {min} ms, such as 500ms, 30s or 10m (a bare number is in {unit})")
            }
            Self::Text => "a text".to_owned(),
            Self::OneOf(words) => match words {
                [word] => format!("{word} (no other is supported)"),
                _ => format!("one of {}", words.join(", ")),
            },
            Self::Addr => "host:port, with IPv6 addresses in brackets".to_owned(),
            Self::Uri => "a URI such as hdfs://host:8020".to_owned(),
            Self::List => "texts between commas".to_owned(),
            Self::Dirs => {
                "absolute paths or file: URIs between commas, each with an optional [DISK], [SSD], [ARCHIVE] or \
                 [RAM_DISK]"
                    .to_owned()
            }
            Self::Octal => "octal permission bits such as 022".to_owned(),
        }
    }
}

/// A key of the table, with the kind of its values in the type.
pub struct Key<K> {
    pub(super) spec: &'static Spec,
    pub(super) kind: PhantomData<fn() -> K>,
}

impl<K> Key<K> {
    /// How it is described.
    #[must_use]
    pub const fn spec(self) -> &'static Spec {
        self.spec
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.spec.name
    }
}

impl<K> Clone for Key<K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K> Copy for Key<K> {}

impl<K> fmt::Debug for Key<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.spec.name)
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident($($arg:ident: $type:ty),*) = $rule:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub enum $kind {}

        impl $kind {
            pub(super) const fn spec(name: &'static str, default: &'static str $(, $arg: $type)*) -> Spec {
                Spec { name, rule: $rule, default, doc: "" }
            }
        }
    )*};
}

kinds! {
    /// Kind of keys that say yes or no.
    Flag() = Rule::Flag;
    /// Kind of keys that hold a whole number.
    Int(min: i64, max: i64) = Rule::Int { min, max };
    /// Kind of keys that hold a number with a fraction.
    Float(min: f64, max: f64) = Rule::Float { min, max };
    /// Kind of keys that hold a size in bytes.
    Bytes(min: u64, max: u64) = Rule::Bytes { min, max };
    /// Kind of keys that hold a time.
    Millis(unit: &'static str, min: u64) = Rule::Millis { unit, min };
    /// Kind of keys that hold a host and a port.
    Addr() = Rule::Addr;
    /// Kind of keys that hold a URI.
    Uri() = Rule::Uri;
    /// Kind of keys that hold several texts.
    List() = Rule::List;
    /// Kind of keys that hold folders.
    Dirs() = Rule::Dirs;
    /// Kind of keys that hold permission bits.
    Octal() = Rule::Octal;
}

/// Kind of keys that hold a text or one of some words.
#[derive(Clone, Copy, Debug)]
pub enum Text {}

impl Text {
    pub(super) const fn spec(name: &'static str, default: &'static str, words: &'static [&'static str]) -> Spec {
        let rule = if words.is_empty() { Rule::Text } else { Rule::OneOf(words) };
        Spec { name, rule, default, doc: "" }
    }
}

/// A host, by name or address, and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// Name, IPv4 address, or IPv6 address without brackets.
    pub host: String,
    /// Port; 0 asks for any free one.
    pub port: u16,
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// A folder for data, and what it lies on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageDir {
    /// `DISK` unless said otherwise, in capitals.
    pub medium: String,
    /// Absolute.
    pub path: PathBuf,
}
