//! Keys of rows: bytes whose order is the order of [`RowKey`].

use mammoth_protocol::{InodeId, Seq};

/// Names a row.
///
/// | bytes | row |
/// |---|---|
/// | `01` | [`RowKey::Meta`] |
/// | `02` inode (8, big-endian) | [`RowKey::Inode`] |
/// | `03` inode (8, big-endian), segment (4, big-endian) | [`RowKey::Blocks`] |
/// | `04` sequence (8, big-endian) | [`RowKey::Retry`] |
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum RowKey {
    /// The counters.
    Meta,
    /// A file or folder, with the file's first blocks.
    Inode(InodeId),
    /// Further blocks of a file, by number of the segment.
    Blocks(InodeId, u32),
    /// A remembered call, by the sequence of its record.
    Retry(Seq),
}

impl RowKey {
    /// The bytes.
    pub(crate) fn encode(self) -> Vec<u8> {
        match self {
            Self::Meta => vec![1],
            Self::Inode(id) => [&[2][..], &id.0.to_be_bytes()].concat(),
            Self::Blocks(id, segment) => [&[3][..], &id.0.to_be_bytes(), &segment.to_be_bytes()].concat(),
            Self::Retry(seq) => [&[4][..], &seq.0.to_be_bytes()].concat(),
        }
    }

    /// The key that [`Self::encode`] gave these bytes for.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (tag, rest) = bytes.split_first()?;
        match tag {
            1 => rest.is_empty().then_some(Self::Meta),
            2 => Some(Self::Inode(InodeId(number(rest)?))),
            3 => {
                let (id, segment) = rest.split_at_checked(8)?;
                let segment = u32::from_be_bytes(segment.try_into().ok()?);
                Some(Self::Blocks(InodeId(number(id)?), segment))
            }
            4 => Some(Self::Retry(Seq(number(rest)?))),
            _ => None,
        }
    }
}

fn number(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keys() -> impl Strategy<Value = RowKey> {
        prop_oneof![
            Just(RowKey::Meta),
            any::<u64>().prop_map(|id| RowKey::Inode(InodeId(id))),
            any::<(u64, u32)>().prop_map(|(id, segment)| RowKey::Blocks(InodeId(id), segment)),
            any::<u64>().prop_map(|seq| RowKey::Retry(Seq(seq))),
        ]
    }

    proptest! {
        #[test]
        fn keys_round_trip_and_keep_their_order(a in keys(), b in keys()) {
            prop_assert_eq!(RowKey::decode(&a.encode()), Some(a));
            prop_assert_eq!(a.cmp(&b), a.encode().cmp(&b.encode()));
        }

        #[test]
        fn foreign_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..20)) {
            if let Some(key) = RowKey::decode(&bytes) {
                prop_assert_eq!(key.encode(), bytes);
            }
        }
    }
}
