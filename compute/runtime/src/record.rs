//! Records in the payload of a frame: length of the key, key, length of the value, value. Lengths are LEB128 of at most 32 bits.
//!
//! Both SDKs write their pairs so; what the bytes of keys and values mean is theirs.

use mammoth_protocol::jobs::shuffle::FRAME_MAX;

/// Bytes that are no records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frame's records are malformed")]
pub struct RecordError;

/// Most bytes of a key and its value together: a record does not span frames.
pub const RECORD_MAX: usize = FRAME_MAX as usize - 2 * LENGTH_MAX;

/// Bytes of the longest length.
const LENGTH_MAX: usize = 5;

/// Bytes that a length takes.
#[inline]
const fn length_len(len: usize) -> usize {
    match len {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        0x20_0000..0x1000_0000 => 4,
        _ => LENGTH_MAX,
    }
}

/// Bytes that a record takes in a frame.
#[inline]
#[must_use]
pub const fn len(key: usize, value: usize) -> usize {
    length_len(key) + key + length_len(value) + value
}

#[inline]
fn put_length(out: &mut Vec<u8>, len: usize) {
    let mut rest = len;
    while rest >= 0x80 {
        out.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Appends a record. Key and value together must be at most [`RECORD_MAX`] for a frame to hold them.
#[inline]
pub fn put(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    put_length(out, key.len());
    out.extend_from_slice(key);
    put_length(out, value.len());
    out.extend_from_slice(value);
}

/// Takes a length-prefixed part from `bytes` at `at`: its range, and thereby where the next one begins.
#[inline]
fn part(bytes: &[u8], at: usize) -> Result<std::ops::Range<usize>, RecordError> {
    let mut len = 0_usize;
    for index in 0..LENGTH_MAX {
        let byte = *bytes.get(at + index).ok_or(RecordError)?;
        len |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let start = at + index + 1;
            let end = start.checked_add(len).filter(|end| *end <= bytes.len()).ok_or(RecordError)?;
            return Ok(start..end);
        }
    }
    Err(RecordError)
}

/// Where the record at `at` has its key and its value; the next record begins where the value ends.
///
/// # Errors
/// No whole record there.
#[inline]
pub fn locate(bytes: &[u8], at: usize) -> Result<(std::ops::Range<usize>, std::ops::Range<usize>), RecordError> {
    let key = part(bytes, at)?;
    let value = part(bytes, key.end)?;
    Ok((key, value))
}

/// The records of a decompressed payload, one after the other.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Records<'a> {
    /// The records of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }
}

impl<'a> Iterator for Records<'a> {
    /// Key and value.
    type Item = Result<(&'a [u8], &'a [u8]), RecordError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.bytes.len() {
            return None;
        }
        match locate(self.bytes, self.at) {
            Ok((key, value)) => {
                self.at = value.end;
                Some(Ok((self.bytes.get(key).unwrap_or_default(), self.bytes.get(value).unwrap_or_default())))
            }
            Err(error) => {
                self.at = self.bytes.len();
                Some(Err(error))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn records_have_these_bytes() {
        let mut out = Vec::new();
        put(&mut out, b"k", b"");
        put(&mut out, b"", &[7; 200]);
        assert_eq!(out[..6], [1, b'k', 0, 0, 0xc8, 1]);
        assert_eq!(out.len(), len(1, 0) + len(0, 200));
        assert_eq!(Records::new(&out).count(), 2);
        for end in 1..out.len() {
            let cut = Records::new(&out[..end]).any(|record| record.is_err());
            assert_eq!(cut, end != 3, "cut at {end}");
        }
        assert_eq!(locate(&[0xff; 20], 0), Err(RecordError));
        assert_eq!(locate(&[0xff, 0xff, 0xff, 0xff, 0x0f, 1], 0), Err(RecordError));
    }

    proptest! {
        #[test]
        fn records_come_back(pairs in prop::collection::vec(
            (prop::collection::vec(any::<u8>(), 0..20), prop::collection::vec(any::<u8>(), 0..300)), 0..20,
        )) {
            let mut out = Vec::new();
            let mut expected = 0;
            for (key, value) in &pairs {
                put(&mut out, key, value);
                expected += len(key.len(), value.len());
            }
            prop_assert_eq!(out.len(), expected);
            let back: Result<Vec<_>, _> = Records::new(&out).map(|r| r.map(|(k, v)| (k.to_vec(), v.to_vec()))).collect();
            prop_assert_eq!(back, Ok(pairs));
        }

        #[test]
        fn rubbish_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = Records::new(&bytes).count();
        }

        #[test]
        fn lengths_are_as_long_as_said(len in 0_usize..1 << 30) {
            let mut out = Vec::new();
            put_length(&mut out, len);
            prop_assert_eq!(out.len(), length_len(len));
        }
    }
}
