//! The shuffle's files and routes. Record-agnostic: a map task leaves one data file and one index file; a partition's segment
//! is a run of frames, each compressed and checksummed by itself; what a frame holds is the business of who wrote it.
//!
//! All numbers are little-endian, all checksums CRC-32C. The data file is nothing but frames, partition by partition, so that a
//! segment can be sent as it lies; the index says where each begins.

#[cfg(test)]
mod tests;

use crate::ids::Uuid;
use crate::limits::TASKS_PER_KIND_MAX;

/// Route of a tasktracker's HTTP door: GET one partition's segment, the bytes of the data file as they are, with their number
/// in `Content-Length`. `{owner}` is a job or application id, `{output}` the name of the output (an attempt id, or what an
/// executor chose: letters, digits, `_` and `-`, at most 200). `?generation=UUID` must be that of the folder. 404: no such
/// output. 410: another generation.
pub const ROUTE: &str = "/shuffle/v1/{owner}/{output}/{partition}";
/// Longest name of an output.
pub const OUTPUT_NAME_MAX: usize = 200;
/// Ends the name of a data file.
pub const DATA_SUFFIX: &str = ".data";
/// Ends the name of an index file.
pub const INDEX_SUFFIX: &str = ".index";

/// Bytes of a frame's header.
pub const FRAME_HEADER_LEN: usize = 17;
/// Longest payload of a frame, as stored and as meant.
pub const FRAME_MAX: u32 = 64 << 20;

/// First bytes of an index file.
pub const INDEX_MAGIC: [u8; 8] = *b"MAMMSHUF";
/// Version of index and data file.
pub const INDEX_VERSION: u32 = 1;

const CHECKSUM_LEN: usize = 4;
const INDEX_HEAD_LEN: usize = 16;
const SEGMENT_LEN: usize = 32;

/// The path and query that ask a tasktracker for a segment.
#[must_use]
pub fn route(owner: &str, output: &str, partition: u32, generation: Uuid) -> String {
    format!("/shuffle/v1/{owner}/{output}/{partition}?generation={generation}")
}

/// Whether an output may have this name: then it is also safe as a file name and in a URL.
#[must_use]
pub fn is_output_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=OUTPUT_NAME_MAX).contains(&name.len()) && name.bytes().all(plain)
}

/// Bytes that are no shuffle file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShuffleError {
    /// Fewer bytes than there must be, or more.
    #[error("{what} is {found} bytes long, not {expected}")]
    Length {
        /// The thing.
        what: &'static str,
        /// What it should be.
        expected: u64,
        /// What it is.
        found: u64,
    },
    /// The first bytes are another format's.
    #[error("not a shuffle index")]
    Magic,
    /// Written by a newer program.
    #[error("shuffle index of version {0}; this program knows {INDEX_VERSION}")]
    Version(u32),
    /// A compression that nobody knows.
    #[error("unknown codec {0} of a shuffle frame")]
    Codec(u8),
    /// A number beyond its limit.
    #[error("{what} of {found} is over the limit of {max}")]
    TooLarge {
        /// The thing.
        what: &'static str,
        /// Its value.
        found: u64,
        /// The limit.
        max: u64,
    },
    /// Damaged bytes.
    #[error("checksum of {what} is wrong")]
    Checksum {
        /// The thing.
        what: &'static str,
    },
    /// Segments overlap, or leave a gap.
    #[error("segment of partition {partition} does not begin where the one before ends")]
    Gap {
        /// Which.
        partition: u32,
    },
    /// An uncompressed frame whose two lengths differ.
    #[error("an uncompressed frame of {len} bytes claims {raw_len}")]
    Lengths {
        /// As stored.
        len: u32,
        /// As claimed.
        raw_len: u32,
    },
}

/// How a frame's payload is compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Codec {
    /// Not at all.
    #[default]
    None,
    /// One LZ4 block.
    Lz4,
}

impl Codec {
    /// Its number in a header.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Lz4 => 1,
        }
    }

    /// The codec of that number.
    #[must_use]
    pub const fn of_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::None),
            1 => Some(Self::Lz4),
            _ => None,
        }
    }
}

/// What stands in front of a frame's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// How the payload is compressed.
    pub codec: Codec,
    /// Bytes of the payload as it follows.
    pub len: u32,
    /// Bytes of the payload once decompressed.
    pub raw_len: u32,
    /// Records in it, for those who count; 0 where nobody does.
    pub records: u32,
    /// CRC-32C of the fields before and the payload as it follows.
    pub crc: u32,
}

impl FrameHeader {
    /// The header of a payload.
    ///
    /// # Errors
    /// A payload over [`FRAME_MAX`].
    pub fn of(codec: Codec, payload: &[u8], raw_len: usize, records: u32) -> Result<Self, ShuffleError> {
        let limited = |what, len: usize| match u32::try_from(len) {
            Ok(len) if len <= FRAME_MAX => Ok(len),
            _ => Err(ShuffleError::TooLarge { what, found: len as u64, max: u64::from(FRAME_MAX) }),
        };
        let len = limited("frame", payload.len())?;
        let raw_len = limited("decompressed frame", raw_len)?;
        let mut header = Self { codec, len, raw_len, records, crc: 0 };
        header.crc = header.checksum(payload);
        Ok(header)
    }

    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; FRAME_HEADER_LEN] {
        let mut out = [0; FRAME_HEADER_LEN];
        let (fields, crc) = out.split_at_mut(FRAME_HEADER_LEN - CHECKSUM_LEN);
        fields.copy_from_slice(&self.fields());
        crc.copy_from_slice(&self.crc.to_le_bytes());
        out
    }

    /// Reads a header. The checksum is checked with the payload, by [`Self::verify`].
    ///
    /// # Errors
    /// An unknown codec, lengths over the limit or that contradict each other: nothing was allocated for them yet.
    pub fn decode(bytes: &[u8; FRAME_HEADER_LEN]) -> Result<Self, ShuffleError> {
        let [c, l0, l1, l2, l3, r0, r1, r2, r3, n0, n1, n2, n3, k0, k1, k2, k3] = *bytes;
        let codec = Codec::of_code(c).ok_or(ShuffleError::Codec(c))?;
        let header = Self {
            codec,
            len: u32::from_le_bytes([l0, l1, l2, l3]),
            raw_len: u32::from_le_bytes([r0, r1, r2, r3]),
            records: u32::from_le_bytes([n0, n1, n2, n3]),
            crc: u32::from_le_bytes([k0, k1, k2, k3]),
        };
        let Self { len, raw_len, .. } = header;
        for (what, found) in [("frame", len), ("decompressed frame", raw_len)] {
            if found > FRAME_MAX {
                return Err(ShuffleError::TooLarge { what, found: found.into(), max: FRAME_MAX.into() });
            }
        }
        if codec == Codec::None && len != raw_len {
            return Err(ShuffleError::Lengths { len, raw_len });
        }
        Ok(header)
    }

    /// Whether header and payload are what was written.
    ///
    /// # Errors
    /// A payload of another length or with other bytes; a header with other bytes.
    pub fn verify(&self, payload: &[u8]) -> Result<(), ShuffleError> {
        let found = payload.len() as u64;
        if found != u64::from(self.len) {
            return Err(ShuffleError::Length { what: "frame", expected: self.len.into(), found });
        }
        if self.checksum(payload) == self.crc { Ok(()) } else { Err(ShuffleError::Checksum { what: "a frame" }) }
    }

    fn fields(&self) -> [u8; FRAME_HEADER_LEN - CHECKSUM_LEN] {
        let [l0, l1, l2, l3] = self.len.to_le_bytes();
        let [r0, r1, r2, r3] = self.raw_len.to_le_bytes();
        let [n0, n1, n2, n3] = self.records.to_le_bytes();
        [self.codec.code(), l0, l1, l2, l3, r0, r1, r2, r3, n0, n1, n2, n3]
    }

    fn checksum(&self, payload: &[u8]) -> u32 {
        crc32c::crc32c_append(crc32c::crc32c(&self.fields()), payload)
    }
}

/// Where a partition lies in the data file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// First byte.
    pub offset: u64,
    /// Bytes, headers included.
    pub len: u64,
    /// Bytes of the payloads once decompressed.
    pub raw: u64,
    /// Records.
    pub records: u64,
}

/// What an index file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    /// By partition; each begins where the one before ends.
    pub segments: Vec<Segment>,
}

impl Index {
    /// Bytes of the data file.
    #[must_use]
    pub fn data_len(&self) -> u64 {
        self.segments.last().map_or(0, |last| last.offset.saturating_add(last.len))
    }

    /// Bytes of each partition, as tasks report them.
    #[must_use]
    pub fn partition_bytes(&self) -> Vec<u64> {
        self.segments.iter().map(|segment| segment.len).collect()
    }

    /// Bytes of an index of so many partitions.
    #[must_use]
    pub const fn encoded_len(partitions: usize) -> usize {
        INDEX_HEAD_LEN + partitions * SEGMENT_LEN + CHECKSUM_LEN
    }

    /// Its bytes.
    ///
    /// # Errors
    /// Too many partitions.
    pub fn encode(&self) -> Result<Vec<u8>, ShuffleError> {
        let count = partitions_within(self.segments.len() as u64)?;
        let mut out = Vec::with_capacity(Self::encoded_len(self.segments.len()));
        out.extend_from_slice(&INDEX_MAGIC);
        out.extend_from_slice(&INDEX_VERSION.to_le_bytes());
        out.extend_from_slice(&count.to_le_bytes());
        for Segment { offset, len, raw, records } in &self.segments {
            for field in [offset, len, raw, records] {
                out.extend_from_slice(&field.to_le_bytes());
            }
        }
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        Ok(out)
    }

    /// Reads an index.
    ///
    /// # Errors
    /// Bytes that are none, of a newer version, damaged, or contradictory.
    pub fn decode(bytes: &[u8]) -> Result<Self, ShuffleError> {
        let found = bytes.len() as u64;
        let short = |expected: usize| ShuffleError::Length { what: "shuffle index", expected: expected as u64, found };
        let (magic, rest) = bytes.split_first_chunk::<8>().ok_or_else(|| short(Self::encoded_len(0)))?;
        if *magic != INDEX_MAGIC {
            return Err(ShuffleError::Magic);
        }
        let (version, rest) = rest.split_first_chunk::<4>().ok_or_else(|| short(Self::encoded_len(0)))?;
        let version = u32::from_le_bytes(*version);
        if version != INDEX_VERSION {
            return Err(ShuffleError::Version(version));
        }
        let (count, rest) = rest.split_first_chunk::<4>().ok_or_else(|| short(Self::encoded_len(0)))?;
        let count = partitions_within(u32::from_le_bytes(*count).into())?;
        let expected = Self::encoded_len(count as usize);
        let (rows, crc) = rest.split_last_chunk::<CHECKSUM_LEN>().ok_or_else(|| short(expected))?;
        if bytes.len() != expected {
            return Err(short(expected));
        }
        let summed = bytes.get(..expected - CHECKSUM_LEN).unwrap_or_default();
        if crc32c::crc32c(summed) != u32::from_le_bytes(*crc) {
            return Err(ShuffleError::Checksum { what: "a shuffle index" });
        }
        let (rows, _) = rows.as_chunks::<SEGMENT_LEN>();
        let segments: Vec<Segment> = rows.iter().map(segment_of).collect();
        let mut end = 0_u64;
        for (partition, segment) in (0_u32..).zip(&segments) {
            if segment.offset != end {
                return Err(ShuffleError::Gap { partition });
            }
            end = end.checked_add(segment.len).ok_or(ShuffleError::Gap { partition })?;
        }
        Ok(Self { segments })
    }
}

fn partitions_within(count: u64) -> Result<u32, ShuffleError> {
    let max = TASKS_PER_KIND_MAX as u64;
    let too_many = ShuffleError::TooLarge { what: "number of partitions", found: count, max };
    if count > max { Err(too_many) } else { u32::try_from(count).map_err(|_| too_many) }
}

fn segment_of(row: &[u8; SEGMENT_LEN]) -> Segment {
    let (words, _) = row.as_chunks::<8>();
    let mut words = words.iter().map(|word| u64::from_le_bytes(*word));
    let mut next = || words.next().unwrap_or_default();
    Segment { offset: next(), len: next(), raw: next(), records: next() }
}
