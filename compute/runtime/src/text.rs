//! Text in 24 bytes: short ones lie in it, longer ones are slices of a buffer that they share.
//!
//! Words of a line cost no allocation, and keep nothing alive as long as they are short. A long slice keeps its whole buffer,
//! so buffers should be no larger than what is read at a time.
//!
//! There is no unsafe code here, at a price: a short text is checked to be UTF-8 whenever it is looked at as `str`. Comparing,
//! hashing and encoding look at the bytes, which costs nothing.

#[cfg(test)]
mod tests;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Deref, Range};
use std::sync::Arc;

/// Longest text that lies in itself, bytes. The first word of the other variant tells which one it is.
const INLINE_MAX: usize = 15;

/// Immutable text. See the module.
#[derive(Clone)]
pub struct Text(Repr);

#[derive(Clone)]
enum Repr {
    Inline { len: u8, bytes: [u8; INLINE_MAX] },
    Shared { buffer: Arc<str>, start: u32, end: u32 },
}

const _: () = assert!(size_of::<Text>() == 24);

impl Text {
    /// No text.
    pub const EMPTY: Self = Self(Repr::Inline { len: 0, bytes: [0; INLINE_MAX] });

    /// Longest text, and longest buffer that is shared, bytes.
    pub const LEN_MAX: usize = u32::MAX as usize;

    fn inline(text: &str) -> Option<Self> {
        let len = u8::try_from(text.len()).ok().filter(|len| usize::from(*len) <= INLINE_MAX)?;
        let mut bytes = [0; INLINE_MAX];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(Self(Repr::Inline { len, bytes }))
    }

    /// A part of a buffer, without copying unless it is short.
    ///
    /// # Panics
    /// If the range is not within the buffer or cuts a character, like slicing; if the buffer is over [`Self::LEN_MAX`].
    #[must_use]
    pub fn of_buffer(buffer: &Arc<str>, range: Range<usize>) -> Self {
        let part = &buffer[range.clone()];
        if let Some(short) = Self::inline(part) {
            return short;
        }
        let within = |at: usize| u32::try_from(at).expect("a shared buffer is at most 4 GiB long");
        Self(Repr::Shared { buffer: Arc::clone(buffer), start: within(range.start), end: within(range.end) })
    }

    /// A part of this text, such as a word of a line: shares the buffer where `part` is a slice of this very text, else copies.
    #[must_use]
    pub fn slice_of(&self, part: &str) -> Self {
        if let Some(short) = Self::inline(part) {
            return short;
        }
        if let Repr::Shared { buffer, start, end } = &self.0 {
            let first = (part.as_ptr() as usize).checked_sub(buffer.as_ptr() as usize);
            let range =
                first.and_then(|first| Some((u32::try_from(first).ok()?, u32::try_from(first + part.len()).ok()?)));
            match range {
                Some((from, to)) if from >= *start && to <= *end => {
                    return Self(Repr::Shared { buffer: Arc::clone(buffer), start: from, end: to });
                }
                _ => {}
            }
        }
        Self::from(part)
    }

    /// Its bytes.
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Repr::Inline { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Repr::Shared { buffer, start, end } => {
                buffer.as_bytes().get(*start as usize..*end as usize).unwrap_or_default()
            }
        }
    }

    /// Itself as a string slice.
    #[inline]
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Repr::Inline { .. } => std::str::from_utf8(self.as_bytes()).expect("it was made from a str"),
            Repr::Shared { buffer, start, end } => buffer.get(*start as usize..*end as usize).unwrap_or_default(),
        }
    }

    /// Bytes that it takes outside of itself; what several texts share is counted for each.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        match &self.0 {
            Repr::Inline { .. } => 0,
            Repr::Shared { start, end, .. } => (end - start) as usize,
        }
    }
}

impl Default for Text {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl Deref for Text {
    type Target = str;

    #[inline]
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self
    }
}

impl AsRef<[u8]> for Text {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        self
    }
}

impl From<&str> for Text {
    /// # Panics
    /// If the text is over [`Text::LEN_MAX`].
    fn from(text: &str) -> Self {
        Self::inline(text).unwrap_or_else(|| Self::of_buffer(&Arc::from(text), 0..text.len()))
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<Arc<str>> for Text {
    fn from(text: Arc<str>) -> Self {
        Self::of_buffer(&text, 0..text.len())
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        text.as_str().to_owned()
    }
}

impl PartialEq for Text {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Text {}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

/// As `str` is hashed, since it can be borrowed as one.
impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.as_bytes());
        state.write_u8(0xff);
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl serde::de::Visitor<'_> for Visitor {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Text, E> {
                if text.len() > Text::LEN_MAX {
                    return Err(E::custom("a text of over 4 GiB"));
                }
                Ok(Text::from(text))
            }
        }

        deserializer.deserialize_str(Visitor)
    }
}
