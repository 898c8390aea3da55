//! Keys: an encoding whose bytes sort as the values do, and the hash that chooses a partition.
//!
//! Partitioning, grouping, sorting and spilling look at these bytes only. They are the same in every program of every version:
//! what was written by one process is merged with what another wrote.
//!
//! | type | bytes |
//! | --- | --- |
//! | unsigned integers | big-endian |
//! | signed integers | big-endian, sign bit flipped |
//! | `f32`, `f64` | bits, all flipped if negative, else the sign bit: the order of `total_cmp` |
//! | `bool`, `char` | one byte; four bytes, big-endian |
//! | strings, `[u8]`, `Vec<u8>` | `00` → `01 01`, `01` → `01 02`, others as they are; then `00` |
//! | `Option` | `00`, or `01` and the value |
//! | `Vec<T>`, `[T]` | for each element `01` and the element; then `00` |
//! | `Reverse<T>` | the bytes of `T`, all flipped |
//! | tuples, structs | the parts one after the other |
//! | enums | the variant's position, one byte, and its fields |
//!
//! No encoding is the beginning of another one of the same type, so parts of a tuple need nothing between them.

mod bytes;
mod compound;
mod scalars;
#[cfg(test)]
mod tests;

pub use bytes::decode_str;
pub use mammoth_runtime_derive::Key;

/// Bytes that are no key of the wanted type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The key ends too early.
    #[error("the key is cut short")]
    Truncated,
    /// A value that the type does not have.
    #[error("the key holds no valid {0}")]
    Invalid(&'static str),
    /// The key goes on behind its end.
    #[error("the key is {0} bytes too long")]
    Trailing(usize),
}

/// What can be turned into a key.
pub trait KeyEncode {
    /// Appends the encoding.
    fn encode_key(&self, out: &mut Vec<u8>);

    /// Appends the encoding of a slice. Bytes have one of their own; nothing else should.
    #[doc(hidden)]
    fn encode_slice(items: &[Self], out: &mut Vec<u8>)
    where
        Self: Sized,
    {
        compound::encode_items(items, out);
    }
}

/// A key: its encoding sorts as its values do, and gives them back.
pub trait Key: KeyEncode + Sized + Send + 'static {
    /// Takes a key from the front of `input`.
    ///
    /// # Errors
    /// Bytes that are no such key.
    fn decode_key(input: &mut &[u8]) -> Result<Self, KeyError>;

    /// Takes what [`KeyEncode::encode_slice`] wrote.
    #[doc(hidden)]
    fn decode_vec(input: &mut &[u8]) -> Result<Vec<Self>, KeyError> {
        compound::decode_items(input)
    }

    /// Reads a key that fills `encoded`.
    ///
    /// # Errors
    /// Bytes that are no such key, or more than one.
    fn of_bytes(mut encoded: &[u8]) -> Result<Self, KeyError> {
        let key = Self::decode_key(&mut encoded)?;
        if encoded.is_empty() { Ok(key) } else { Err(KeyError::Trailing(encoded.len())) }
    }
}

/// The encoding of a key, as a vector of its own.
#[must_use]
pub fn encoded(key: &(impl KeyEncode + ?Sized)) -> Vec<u8> {
    let mut out = Vec::new();
    key.encode_key(&mut out);
    out
}

/// The hash of an encoded key: XXH3-64 with seed 0. It never changes.
#[inline]
#[must_use]
pub fn hash(encoded: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(encoded)
}

/// The partition of an encoded key, out of at least one.
#[inline]
#[must_use]
pub fn partition_of(encoded: &[u8], partitions: u32) -> u32 {
    partition_of_hash(hash(encoded), partitions)
}

/// The same, for a hash that is known already.
#[inline]
#[must_use]
pub fn partition_of_hash(hash: u64, partitions: u32) -> u32 {
    if partitions <= 1 {
        return 0;
    }
    u32::try_from(hash % u64::from(partitions)).unwrap_or(0)
}

/// The first eight bytes of an encoded key as a number: of two keys with different prefixes the one with the smaller prefix is
/// the smaller.
#[inline]
#[must_use]
pub fn prefix(encoded: &[u8]) -> u64 {
    if let Some(first) = encoded.first_chunk::<8>() {
        return u64::from_be_bytes(*first);
    }
    let mut padded = [0; 8];
    for (to, from) in padded.iter_mut().zip(encoded) {
        *to = *from;
    }
    u64::from_be_bytes(padded)
}
