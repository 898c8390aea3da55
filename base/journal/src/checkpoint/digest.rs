//! What tells whether the rows that are read are all those, and only those, that were written.
//!
//! The database below checks each of its messages by itself; but where it finds one damaged, it may go on without it, and
//! rows are then missing, or older than they were, without a word. So the store keeps one figure over all rows, which
//! changes with each row that is written, in the same atomic write as the row.

/// Bytes of an encoded digest.
const LEN: usize = 8 + 8 + 8 + 4;

/// A digest of a set of rows: rows are put in and taken out in any order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Digest {
    /// How many rows.
    rows: u64,
    /// Bytes of all keys and values.
    bytes: u64,
    /// Sum of all rows' CRCs, modulo 2^64.
    sum: u64,
}

/// CRC-32C of the length of the key, the key and the value.
fn row_crc(key: &[u8], value: &[u8]) -> u64 {
    let crc = crc32c::crc32c(&(key.len() as u64).to_be_bytes());
    u64::from(crc32c::crc32c_append(crc32c::crc32c_append(crc, key), value))
}

impl Digest {
    /// A row more.
    pub(crate) fn put(&mut self, key: &[u8], value: &[u8]) {
        self.rows = self.rows.wrapping_add(1);
        self.bytes = self.bytes.wrapping_add((key.len() + value.len()) as u64);
        self.sum = self.sum.wrapping_add(row_crc(key, value));
    }

    /// A row less.
    pub(crate) fn take(&mut self, key: &[u8], value: &[u8]) {
        self.rows = self.rows.wrapping_sub(1);
        self.bytes = self.bytes.wrapping_sub((key.len() + value.len()) as u64);
        self.sum = self.sum.wrapping_sub(row_crc(key, value));
    }

    /// How it is stored: rows, bytes and sum, big-endian, and the CRC-32C of these.
    pub(crate) fn encode(self) -> [u8; LEN] {
        let mut out = [0; LEN];
        out[..8].copy_from_slice(&self.rows.to_be_bytes());
        out[8..16].copy_from_slice(&self.bytes.to_be_bytes());
        out[16..24].copy_from_slice(&self.sum.to_be_bytes());
        let crc = crc32c::crc32c(&out[..24]);
        out[24..].copy_from_slice(&crc.to_be_bytes());
        out
    }

    /// Reads it; `None` if these bytes are none.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (fields, crc) = bytes.split_last_chunk::<4>()?;
        if fields.len() != LEN - 4 || crc32c::crc32c(fields) != u32::from_be_bytes(*crc) {
            return None;
        }
        let field = |at: usize| fields.get(at..at + 8)?.try_into().ok().map(u64::from_be_bytes);
        Some(Self { rows: field(0)?, bytes: field(8)?, sum: field(16)? })
    }

    /// What differs from the digest that was `written`, in words.
    pub(crate) fn difference(self, written: Self) -> String {
        format!(
            "it has {} rows of {} bytes with checksum {:x}, written were {} of {} bytes with {:x}",
            self.rows, self.bytes, self.sum, written.rows, written.bytes, written.sum
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_go_in_and_out_in_any_order() {
        let mut digest = Digest::default();
        digest.put(b"a", b"1");
        let one = digest;
        digest.put(b"b", b"2");
        digest.put(b"", b"");
        digest.take(b"b", b"2");
        digest.take(b"", b"");
        assert_eq!(digest, one);
        digest.take(b"a", b"1");
        assert_eq!(digest, Digest::default());
    }

    #[test]
    fn what_differs_is_noticed_and_a_border_that_moves_too() {
        let of = |key: &[u8], value: &[u8]| {
            let mut digest = Digest::default();
            digest.put(key, value);
            digest
        };
        let all = [of(b"ab", b"c"), of(b"a", b"bc"), of(b"ab", b"d"), of(b"", b""), Digest::default()];
        for (at, one) in all.iter().enumerate() {
            assert!(all.iter().skip(at + 1).all(|other| other != one), "{one:?}");
        }
    }

    #[test]
    fn its_bytes_are_read_back_and_damage_is_not() {
        let mut digest = Digest::default();
        digest.put(b"key", b"value");
        let bytes = digest.encode();
        assert_eq!(Digest::decode(&bytes), Some(digest));
        for at in 0..bytes.len() {
            let mut damaged = bytes;
            damaged[at] ^= 4;
            assert_eq!(Digest::decode(&damaged), None, "byte {at}");
        }
        assert_eq!(Digest::decode(&bytes[1..]), None);
        assert_eq!(Digest::decode(b""), None);
    }
}
