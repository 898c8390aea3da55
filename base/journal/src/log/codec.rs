//! The bytes of the edit log: the header of a segment and the frame of a record. Pure; `docs/format.md` has the tables.
//!
//! All numbers are big-endian. A record says how many records of the same write stand before it: everything before that
//! write was synced before the write began. So a bad record followed by a good one of a *later* write was once whole, and
//! has been damaged since; followed by good ones of the same write only, it can be the hole of a write that a power cut
//! interrupted.

#[cfg(test)]
mod tests;

use mammoth_protocol::{Seq, Term};

/// First bytes of every segment.
pub const MAGIC: [u8; 8] = *b"MAMMEDIT";
/// Version of the layout below; newer ones are refused.
pub const VERSION: u32 = 1;
/// Longest cluster id in a header, in bytes.
pub const CLUSTER_BYTES_MAX: usize = 256;
/// Bytes of a record before its edits: length, checksum, sequence, term, place in its write.
pub const RECORD_HEAD: usize = 4 + 4 + 8 + 8 + 4;
/// Bytes of a record that neither the length nor the checksum count.
const UNCOUNTED: usize = 8;
/// Largest record, head included.
pub const RECORD_BYTES_MAX: usize = 64 * 1024 * 1024;

const _: () = assert!(RECORD_BYTES_MAX < u32::MAX as usize);

/// Opens a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The cluster that the log belongs to.
    pub cluster: String,
    /// The reign that began the segment; its records are of this term or later.
    pub term: Term,
    /// Sequence of its first record.
    pub first: Seq,
}

/// Why a header cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadHeader {
    /// Fewer bytes than it says.
    #[error("the header is cut short")]
    Short,
    /// Not one of our files.
    #[error("not a segment of an edit log")]
    Magic,
    /// Written by a newer program.
    #[error("layout version {0} is newer than {VERSION}")]
    Newer(u32),
    /// Damaged.
    #[error("the header's checksum is wrong")]
    Checksum,
}

impl Header {
    /// The header's bytes.
    ///
    /// # Panics
    /// If the cluster id is longer than [`CLUSTER_BYTES_MAX`], which the identity refuses.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        assert!(self.cluster.len() <= CLUSTER_BYTES_MAX, "an identity with such a cluster id is refused");
        let mut out = Vec::with_capacity(64 + self.cluster.len());
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_be_bytes());
        out.extend_from_slice(&(self.cluster.len() as u32).to_be_bytes());
        out.extend_from_slice(self.cluster.as_bytes());
        out.extend_from_slice(&self.term.0.to_be_bytes());
        out.extend_from_slice(&self.first.0.to_be_bytes());
        let sum = crc32c::crc32c(&out);
        out.extend_from_slice(&sum.to_be_bytes());
        out
    }

    /// Reads a header from the start of `bytes`, and tells its length.
    ///
    /// # Errors
    /// See [`BadHeader`].
    pub fn decode(bytes: &[u8]) -> Result<(Self, usize), BadHeader> {
        let mut input = Input(bytes);
        if input.array::<8>().ok_or(BadHeader::Short)? != MAGIC {
            return Err(BadHeader::Magic);
        }
        let version = input.u32().ok_or(BadHeader::Short)?;
        if version > VERSION {
            return Err(BadHeader::Newer(version));
        }
        let length = input.u32().ok_or(BadHeader::Short)? as usize;
        if length > CLUSTER_BYTES_MAX {
            return Err(BadHeader::Checksum);
        }
        let cluster = input.take(length).ok_or(BadHeader::Short)?;
        let term = input.u64().ok_or(BadHeader::Short)?;
        let first = input.u64().ok_or(BadHeader::Short)?;
        let summed = bytes.len() - input.0.len();
        let sum = input.u32().ok_or(BadHeader::Short)?;
        if bytes.get(..summed).map(crc32c::crc32c) != Some(sum) {
            return Err(BadHeader::Checksum);
        }
        let cluster = std::str::from_utf8(cluster).map_err(|_| BadHeader::Checksum)?.to_owned();
        Ok((Self { cluster, term: Term(term), first: Seq(first) }, summed + 4))
    }
}

/// A record's head, and where its edits lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its position in the log.
    pub seq: Seq,
    /// The reign that wrote it.
    pub term: Term,
    /// How many records of the same write stand before it.
    pub place: u32,
    /// The encoded edits.
    pub edits: &'a [u8],
}

impl Record<'_> {
    /// Bytes of the whole record.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        RECORD_HEAD + self.edits.len()
    }

    /// Sequence of the first record of the write that it came with.
    #[must_use]
    pub fn write_began(&self) -> Seq {
        Seq(self.seq.0.saturating_sub(u64::from(self.place)))
    }
}

/// Edits that do not fit into one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a record of {0} bytes is longer than {RECORD_BYTES_MAX}")]
pub struct TooLong(pub usize);

/// Appends a record to `out`; `encode` appends its edits.
///
/// # Errors
/// Edits that are too long; `out` is then as before.
pub fn encode_record(
    out: &mut Vec<u8>,
    seq: Seq,
    term: Term,
    place: u32,
    encode: impl FnOnce(&mut Vec<u8>),
) -> Result<(), TooLong> {
    let start = out.len();
    out.extend_from_slice(&[0; UNCOUNTED]);
    out.extend_from_slice(&seq.0.to_be_bytes());
    out.extend_from_slice(&term.0.to_be_bytes());
    out.extend_from_slice(&place.to_be_bytes());
    encode(out);
    let whole = out.len() - start;
    if whole > RECORD_BYTES_MAX {
        out.truncate(start);
        return Err(TooLong(whole));
    }
    let sum = crc32c::crc32c(&out[start + UNCOUNTED..]);
    // The limit above is below 2^32.
    out[start..start + 4].copy_from_slice(&((whole - UNCOUNTED) as u32).to_be_bytes());
    out[start + 4..start + UNCOUNTED].copy_from_slice(&sum.to_be_bytes());
    Ok(())
}

/// What the start of some bytes is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoded<'a> {
    /// A whole and intact record.
    Record(Record<'a>),
    /// Possibly a record, if there are this many bytes in all.
    More(usize),
    /// No record.
    Bad(&'static str),
}

/// Reads the record at the start of `bytes`.
#[must_use]
pub fn decode_record(bytes: &[u8]) -> Decoded<'_> {
    let mut input = Input(bytes);
    let (Some(length), Some(sum)) = (input.u32(), input.u32()) else { return Decoded::More(RECORD_HEAD) };
    let length = length as usize;
    if length < RECORD_HEAD - UNCOUNTED {
        return Decoded::Bad("the length is too small");
    }
    if length > RECORD_BYTES_MAX - UNCOUNTED {
        return Decoded::Bad("the length is too large");
    }
    let Some(summed) = input.take(length) else { return Decoded::More(length + UNCOUNTED) };
    if crc32c::crc32c(summed) != sum {
        return Decoded::Bad("the checksum is wrong");
    }
    let mut input = Input(summed);
    match (input.u64(), input.u64(), input.u32()) {
        (Some(seq), Some(term), Some(place)) => {
            Decoded::Record(Record { seq: Seq(seq), term: Term(term), place, edits: input.0 })
        }
        _ => Decoded::Bad("the length is too small"),
    }
}

/// Looks in what follows a bad record for an intact record of a write that began after `bad`: proof that the bad one was
/// once whole. Answers where it stands and its sequence.
#[must_use]
pub fn later_write(bytes: &[u8], bad: Seq) -> Option<(usize, Seq)> {
    let mut at = 0;
    while let Some(rest) = bytes.get(at..) {
        // Cheap tests first: nearly every place fails them, and the checksum of each would be quadratic.
        let seq = rest.get(UNCOUNTED..UNCOUNTED + 8).and_then(|b| b.try_into().ok()).map(u64::from_be_bytes)?;
        if seq > bad.0
            && seq - bad.0 <= bytes.len() as u64
            && let Decoded::Record(record) = decode_record(rest)
        {
            if record.write_began() > bad {
                return Some((at, record.seq));
            }
            at += record.encoded_len();
        } else {
            at += 1;
        }
    }
    None
}

/// Bytes that are taken from the front; never panics.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }
}
