//! Strings and byte strings: escaped, so that 00 ends them and no string is the beginning of another.

use super::{Key, KeyEncode, KeyError};
use crate::text::Text;
use memchr::memchr2;
use std::borrow::Cow;

/// Ends a string; smaller than every byte in one.
const END: u8 = 0;
/// Stands for itself and for [`END`], with the byte after it telling which.
const ESCAPE: u8 = 1;

/// Appends bytes with their end.
#[inline]
pub(super) fn encode(mut bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(bytes.len() + 1);
    while let Some(at) = memchr2(END, ESCAPE, bytes) {
        let (plain, special) = bytes.split_at(at);
        out.extend_from_slice(plain);
        let Some((special, rest)) = special.split_first() else { break };
        out.extend_from_slice(&[ESCAPE, special + 1]);
        bytes = rest;
    }
    out.extend_from_slice(bytes);
    out.push(END);
}

/// Takes bytes with their end; borrowed unless something in them was escaped.
#[inline]
pub(super) fn take<'a>(input: &mut &'a [u8]) -> Result<Cow<'a, [u8]>, KeyError> {
    let at = memchr2(END, ESCAPE, input).ok_or(KeyError::Truncated)?;
    let (plain, rest) = input.split_at(at);
    if let Some((&END, rest)) = rest.split_first() {
        *input = rest;
        return Ok(Cow::Borrowed(plain));
    }
    take_escaped(input).map(Cow::Owned)
}

#[cold]
fn take_escaped(input: &mut &[u8]) -> Result<Vec<u8>, KeyError> {
    let mut out = Vec::new();
    loop {
        let at = memchr2(END, ESCAPE, input).ok_or(KeyError::Truncated)?;
        let (plain, rest) = input.split_at(at);
        out.extend_from_slice(plain);
        *input = match rest {
            [END, rest @ ..] => {
                *input = rest;
                return Ok(out);
            }
            [ESCAPE, escaped @ (1 | 2), rest @ ..] => {
                out.push(escaped - 1);
                rest
            }
            [ESCAPE] => return Err(KeyError::Truncated),
            _ => return Err(KeyError::Invalid("escape")),
        };
    }
}

fn text_of(bytes: Cow<'_, [u8]>) -> Result<Cow<'_, str>, KeyError> {
    const INVALID: KeyError = KeyError::Invalid("UTF-8");
    match bytes {
        Cow::Borrowed(bytes) => std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|_| INVALID),
        Cow::Owned(bytes) => String::from_utf8(bytes).map(Cow::Owned).map_err(|_| INVALID),
    }
}

/// Takes a string from the front of `input` without copying it, unless it holds the characters U+0000 or U+0001.
///
/// # Errors
/// Bytes that are no encoded string.
pub fn decode_str<'a>(input: &mut &'a [u8]) -> Result<Cow<'a, str>, KeyError> {
    text_of(take(input)?)
}

impl KeyEncode for str {
    #[inline]
    fn encode_key(&self, out: &mut Vec<u8>) {
        encode(self.as_bytes(), out);
    }
}

impl KeyEncode for String {
    #[inline]
    fn encode_key(&self, out: &mut Vec<u8>) {
        encode(self.as_bytes(), out);
    }
}

impl Key for String {
    #[inline]
    fn decode_key(input: &mut &[u8]) -> Result<Self, KeyError> {
        decode_str(input).map(Cow::into_owned)
    }
}

impl KeyEncode for Text {
    #[inline]
    fn encode_key(&self, out: &mut Vec<u8>) {
        encode(self.as_bytes(), out);
    }
}

impl Key for Text {
    #[inline]
    fn decode_key(input: &mut &[u8]) -> Result<Self, KeyError> {
        decode_str(input).map(|text| Self::from(&*text))
    }
}
