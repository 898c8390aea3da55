//! Names of inodes, kept small: most names of a data lake (`part-00000`, `_SUCCESS`) fit without memory of their own.

use std::fmt;

const INLINE_MAX: usize = 22;

/// One part of a path: 24 bytes, and no allocation up to 22 bytes of text.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Name(Text);

#[derive(Clone, PartialEq, Eq)]
enum Text {
    Inline { len: u8, bytes: [u8; INLINE_MAX] },
    Boxed(Box<str>),
}

const _: () = assert!(size_of::<Name>() == 24);

impl Name {
    /// The UTF-8 bytes; names are ordered by them.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Text::Inline { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Text::Boxed(text) => text.as_bytes(),
        }
    }

    /// The text.
    pub(crate) fn as_str(&self) -> &str {
        match &self.0 {
            Text::Inline { .. } => str::from_utf8(self.as_bytes()).expect("the bytes were copied from a str"),
            Text::Boxed(text) => text,
        }
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        let mut bytes = [0; INLINE_MAX];
        match bytes.get_mut(..text.len()) {
            Some(start) => {
                start.copy_from_slice(text.as_bytes());
                Self(Text::Inline { len: text.len() as u8, bytes })
            }
            None => Self(Text::Boxed(text.into())),
        }
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_names_are_kept_exactly() {
        for len in [0, 1, 21, 22, 23, 255] {
            let text = "ü".repeat(len / 2) + &"x".repeat(len % 2);
            let name = Name::from(text.as_str());
            assert_eq!(name.as_str(), text);
            assert_eq!(name.as_bytes(), text.as_bytes());
            assert_eq!(name, Name::from(text.as_str()));
            assert_ne!(name, Name::from(format!("{text}y").as_str()));
        }
    }
}
