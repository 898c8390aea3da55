//! Identities that cross a wire or a disk. All are allocated by the namenode's edits or drawn once from entropy; none is
//! ever derived from an address.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number_id! {
    /// A file or folder of the namespace, for ever; the root is [`InodeId::ROOT`], ids are never used twice.
    InodeId(u64)
}
number_id! {
    /// A block. Positive ids start above [`BlockId::FIRST`]; negative ones are reserved for striped block groups.
    BlockId(i64)
}
number_id! {
    /// Generation stamp: grows at every append, pipeline recovery and block recovery, and fences older replicas.
    GenStamp(u64)
}
number_id! {
    /// Position of a record in the edit log; 0 means "nothing yet", the first record is 1.
    Seq(u64)
}
number_id! {
    /// Reign of one namenode. Grows each time a namenode starts to write; commands of an older term are ignored.
    Term(u64)
}
number_id! {
    /// Registration epoch of a datanode: a message of an older epoch is refused.
    Epoch(u64)
}

impl InodeId {
    /// The root folder. HDFS reserves ids up to 16384 and gives the root 16385; clients print but never interpret it.
    pub const ROOT: Self = Self(16385);
}

impl BlockId {
    /// The last reserved id (2^30): the first block of a new file system is `blk_1073741825`, as in HDFS.
    pub const RESERVED: Self = Self(1 << 30);
}

impl GenStamp {
    /// The last reserved stamp: the first block of a new file system is stamped 1001, as in HDFS.
    pub const RESERVED: Self = Self(1000);
}

/// A 128-bit random identity.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Uuid(pub u128);

impl Uuid {
    /// Makes a version 4 (random) UUID of 16 random bytes.
    #[must_use]
    pub fn from_random(bytes: [u8; 16]) -> Self {
        let raw = u128::from_be_bytes(bytes);
        let version = (raw & !(0xf << 76)) | (0x4 << 76);
        Self((version & !(0x3 << 62)) | (0x2 << 62))
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let v = self.0;
        write!(
            f,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            (v >> 96) as u32,
            (v >> 80) as u16,
            (v >> 64) as u16,
            (v >> 48) as u16,
            v & 0xffff_ffff_ffff
        )
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no identity of the expected form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a {expected}: `{text}`")]
pub struct BadId {
    /// What was expected, in words.
    pub expected: &'static str,
    /// What was found.
    pub text: String,
}

impl FromStr for Uuid {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let bad = || BadId { expected: "UUID", text: text.to_owned() };
        let lengths = [8, 4, 4, 4, 12];
        let mut parts = text.split('-');
        let mut value = 0_u128;
        for length in lengths {
            let part = parts.next().ok_or_else(bad)?;
            if part.len() != length || !part.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(bad());
            }
            let digits = u128::from_str_radix(part, 16).map_err(|_| bad())?;
            value = (value << (4 * length)) | digits;
        }
        if parts.next().is_some() { Err(bad()) } else { Ok(Self(value)) }
    }
}

impl Serialize for Uuid {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if s.is_human_readable() { s.collect_str(self) } else { self.0.to_be_bytes().serialize(s) }
    }
}

impl<'de> Deserialize<'de> for Uuid {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        if d.is_human_readable() {
            let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
            text.parse().map_err(serde::de::Error::custom)
        } else {
            <[u8; 16]>::deserialize(d).map(|bytes| Self(u128::from_be_bytes(bytes)))
        }
    }
}

/// One volume (data folder) of a datanode, `DS-<uuid>` in text. Replicas are located by it, never by datanode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StorageId(pub Uuid);

impl fmt::Display for StorageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DS-{}", self.0)
    }
}

impl FromStr for StorageId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let bad = || BadId { expected: "storage id (DS-<uuid>)", text: text.to_owned() };
        text.strip_prefix("DS-").and_then(|u| u.parse().ok()).map(Self).ok_or_else(bad)
    }
}

impl Serialize for StorageId {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if s.is_human_readable() { s.collect_str(self) } else { self.0.serialize(s) }
    }
}

impl<'de> Deserialize<'de> for StorageId {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        if d.is_human_readable() {
            let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
            text.parse().map_err(serde::de::Error::custom)
        } else {
            Uuid::deserialize(d).map(Self)
        }
    }
}

/// A datanode, for ever: drawn when its first volume is formatted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DatanodeId(pub Uuid);

impl fmt::Display for DatanodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A block as one replica has it: which block, which stamp, how many bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Block {
    /// The block.
    pub id: BlockId,
    /// Its generation stamp.
    pub stamp: GenStamp,
    /// Its length in bytes.
    pub len: u64,
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "blk_{}_{}", self.id, self.stamp)
    }
}

/// Who calls: (client id, call id) identify one call over all its retries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CallId {
    /// Random identity of the client's connection pool, 16 bytes.
    pub client: Uuid,
    /// Number of the call within the client.
    pub call: i32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuid_text_round_trips_and_rejects_others() {
        let uuid = Uuid::from_random([0xab; 16]);
        let text = uuid.to_string();
        assert_eq!(text, "abababab-abab-4bab-abab-abababababab");
        assert_eq!(text.parse(), Ok(uuid));
        for bad in ["", "abab", "abababab-abab-4bab-abab-abababababab-", "abababab-abab-4bab-abab-+bababababab"] {
            assert!(bad.parse::<Uuid>().is_err(), "{bad}");
        }
    }

    #[test]
    fn storage_id_has_its_prefix_in_json() {
        let id = StorageId(Uuid(5));
        let json = serde_json::to_string(&id).expect("a storage id is plain text");
        assert_eq!(json, "\"DS-00000000-0000-0000-0000-000000000005\"");
        assert_eq!(serde_json::from_str::<StorageId>(&json).expect("its own text"), id);
        assert!(serde_json::from_str::<StorageId>("\"00000000-0000-0000-0000-000000000005\"").is_err());
    }
}
