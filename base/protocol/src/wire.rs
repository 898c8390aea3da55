//! What both Hadoop protocols share: length-delimited messages and the errors of reading them.
//!
//! A delimited message is a varint length followed by that many bytes. Lengths are checked against a limit before anything
//! is allocated, and no input panics.

use bytes::{BufMut, Bytes};
use prost::Message;

/// Bytes that are no valid message of their protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The bytes end inside the thing.
    #[error("{what} ends early")]
    Truncated {
        /// The thing.
        what: &'static str,
    },
    /// A length above its limit.
    #[error("{what} is too long: len={len} max={max}")]
    TooLong {
        /// The thing.
        what: &'static str,
        /// The length that it claims, bytes.
        len: u64,
        /// The limit, bytes.
        max: u64,
    },
    /// Bytes that do not parse as the message.
    #[error("malformed {what}")]
    Malformed {
        /// The thing.
        what: &'static str,
        /// Where parsing stopped.
        #[source]
        source: prost::DecodeError,
    },
    /// A value that the protocol does not allow there.
    #[error("unexpected {what}: found={found}")]
    Unexpected {
        /// The thing.
        what: &'static str,
        /// Its value.
        found: i64,
    },
}

impl WireError {
    pub(crate) fn unexpected(what: &'static str, found: impl Into<i64>) -> Self {
        Self::Unexpected { what, found: found.into() }
    }
}

/// Longest varint that spells a length: 32 bits take five bytes.
pub const LENGTH_BYTES_MAX: usize = 5;

/// Reads the length in front of a delimited message: (bytes of the length itself, bytes of the message), or `None` if more
/// bytes are needed to tell.
///
/// # Errors
/// A length above `max`, or a varint of more than five bytes.
pub fn delimited_len(bytes: &[u8], max: usize, what: &'static str) -> Result<Option<(usize, usize)>, WireError> {
    let mut len = 0_u64;
    for (index, byte) in bytes.iter().take(LENGTH_BYTES_MAX).enumerate() {
        len |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return match usize::try_from(len) {
                Ok(len) if len <= max => Ok(Some((index + 1, len))),
                _ => Err(WireError::TooLong { what, len, max: max as u64 }),
            };
        }
    }
    if bytes.len() < LENGTH_BYTES_MAX { Ok(None) } else { Err(WireError::TooLong { what, len, max: max as u64 }) }
}

/// Takes one delimited message from the front of `bytes`, which must hold it whole.
///
/// # Errors
/// [`WireError::Truncated`] if it does not.
pub fn split_delimited(bytes: &mut Bytes, what: &'static str) -> Result<Bytes, WireError> {
    let (prefix, len) = delimited_len(bytes, usize::MAX, what)?.ok_or(WireError::Truncated { what })?;
    let end = prefix.checked_add(len).filter(|end| *end <= bytes.len()).ok_or(WireError::Truncated { what })?;
    let mut message = bytes.split_to(end);
    Ok(message.split_off(prefix))
}

/// Parses a message that fills `bytes`.
///
/// # Errors
/// [`WireError::Malformed`].
pub fn decode<M: Message + Default>(bytes: &[u8], what: &'static str) -> Result<M, WireError> {
    M::decode(bytes).map_err(|source| WireError::Malformed { what, source })
}

/// Takes and parses one delimited message from the front of `bytes`.
///
/// # Errors
/// As [`split_delimited`] and [`decode`].
pub fn take_message<M: Message + Default>(bytes: &mut Bytes, what: &'static str) -> Result<M, WireError> {
    decode(&split_delimited(bytes, what)?, what)
}

/// Bytes that a message of `len` bytes takes with its length in front.
#[must_use]
pub fn delimited_size(len: usize) -> usize {
    prost::length_delimiter_len(len) + len
}

/// Appends a message with its length in front.
pub fn put_message(out: &mut impl BufMut, message: &impl Message) {
    message.encode_length_delimited(out).expect("the buffer grows");
}

/// Appends an encoded message with its length in front.
pub fn put_encoded(out: &mut impl BufMut, message: &[u8]) {
    prost::encode_length_delimiter(message.len(), out).expect("the buffer grows");
    out.put_slice(message);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lengths_by_hand() {
        let len = |bytes: &[u8]| delimited_len(bytes, 1000, "test");
        assert_eq!(len(&[]), Ok(None));
        assert_eq!(len(&[0]), Ok(Some((1, 0))));
        assert_eq!(len(&[0x7f]), Ok(Some((1, 127))));
        assert_eq!(len(&[0x80]), Ok(None));
        assert_eq!(len(&[0x80, 0x01, 0xff]), Ok(Some((2, 128))));
        assert_eq!(len(&[0xe8, 0x07]), Ok(Some((2, 1000))));
        assert_eq!(len(&[0xe9, 0x07]), Err(WireError::TooLong { what: "test", len: 1001, max: 1000 }));
        assert!(len(&[0xff; 4]).expect("could still end").is_none());
        assert!(len(&[0xff; 5]).is_err());
    }

    proptest! {
        #[test]
        fn a_message_is_taken_whole_or_not_at_all(message in prop::collection::vec(any::<u8>(), 0..300), cut in 0_usize..400) {
            let mut out = Vec::new();
            put_encoded(&mut out, &message);
            prop_assert_eq!(out.len(), delimited_size(message.len()));
            let whole = out.len();
            out.extend_from_slice(b"rest");
            let mut bytes = Bytes::copy_from_slice(&out);
            let taken = split_delimited(&mut bytes, "test").expect("whole");
            prop_assert_eq!(&taken[..], &message[..]);
            prop_assert_eq!(&bytes[..], b"rest");
            let cut = cut % whole;
            let mut short = Bytes::copy_from_slice(&out[..cut]);
            prop_assert_eq!(split_delimited(&mut short, "test"), Err(WireError::Truncated { what: "test" }));
        }

        #[test]
        fn rubbish_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = split_delimited(&mut Bytes::from(bytes.clone()), "test");
            let _ = delimited_len(&bytes, 10, "test");
        }
    }
}
