//! Packets: payload length, header length, header, checksums, data.
//!
//! ```text
//! u32 BE  payload = 4 + checksums + data      u16 BE  length of the header
//! PacketHeaderProto (25 bytes, 27 with syncBlock)     checksums (4 bytes BE each)     data
//! ```
//!
//! The header is written by hand, as its fields have a fixed width; it is read by the protobuf parser, as others may order or
//! extend it differently.

use crate::hadoop::hdfs::PacketHeaderProto;
use crate::limits::PACKET_MAX;
use crate::wire::{self, WireError};

/// Bytes of the two lengths in front of the header.
pub const PREFIX: usize = 6;
/// Most bytes that we write before the checksums: lengths and header.
pub const HEADER_MAX: usize = PREFIX + 27;
/// Shortest header: its four required fields have a fixed width.
const HEADER_ACCEPTED_MIN: usize = 25;
/// Longest header that is accepted.
const HEADER_ACCEPTED_MAX: usize = 255;
/// What the payload length counts beyond checksums and data: itself.
const PAYLOAD_EXTRA: usize = 4;
/// Sequence number of a packet that only says "I live".
pub const HEARTBEAT_SEQNO: i64 = -1;
/// Sequence number of an acknowledgement that belongs to no packet.
pub const UNKNOWN_SEQNO: i64 = -2;

/// The header of a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PacketHeader {
    /// Where the data starts in the block, bytes.
    pub offset: u64,
    /// Number of the packet in its stream, from 0; [`HEARTBEAT_SEQNO`] for a heartbeat.
    pub seqno: i64,
    /// No packet follows.
    pub last: bool,
    /// Bytes of data.
    pub data_len: usize,
    /// The data must be on disk before it is acknowledged.
    pub sync: bool,
}

impl PacketHeader {
    /// A heartbeat: no data, acknowledged like a packet.
    pub const HEARTBEAT: Self = Self { offset: 0, seqno: HEARTBEAT_SEQNO, last: false, data_len: 0, sync: false };

    /// The bytes before the checksums.
    ///
    /// # Errors
    /// A packet above [`PACKET_MAX`].
    pub fn encode(&self, checksum_len: usize) -> Result<EncodedHeader, WireError> {
        let body = checksum_len.saturating_add(self.data_len);
        let total = body.saturating_add(HEADER_MAX);
        let too_long = WireError::TooLong { what: "packet", len: total as u64, max: PACKET_MAX as u64 };
        if total > PACKET_MAX {
            return Err(too_long);
        }
        let (Ok(payload), Ok(data_len)) = (u32::try_from(body + PAYLOAD_EXTRA), i32::try_from(self.data_len)) else {
            return Err(too_long);
        };
        let mut writer = EncodedHeader { bytes: [0; HEADER_MAX], len: 0 };
        let header_len: u16 = if self.sync { 27 } else { 25 };
        writer.put(&payload.to_be_bytes());
        writer.put(&header_len.to_be_bytes());
        writer.put(&[0x09]);
        writer.put(&self.offset.to_le_bytes());
        writer.put(&[0x11]);
        writer.put(&self.seqno.to_le_bytes());
        writer.put(&[0x18, u8::from(self.last), 0x25]);
        writer.put(&data_len.to_le_bytes());
        if self.sync {
            writer.put(&[0x28, 1]);
        }
        Ok(writer)
    }
}

/// The bytes of a packet before its checksums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodedHeader {
    bytes: [u8; HEADER_MAX],
    len: usize,
}

impl EncodedHeader {
    fn put(&mut self, bytes: &[u8]) {
        let room = self.bytes.get_mut(self.len..self.len + bytes.len()).expect("sized for the longest header");
        room.copy_from_slice(bytes);
        self.len += bytes.len();
    }

    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// The two lengths in front of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// Bytes of the header.
    pub header_len: usize,
    /// Bytes of checksums and data together.
    pub body_len: usize,
}

impl Prefix {
    /// Reads them.
    ///
    /// # Errors
    /// Lengths that no packet can have, or a packet above [`PACKET_MAX`].
    pub fn parse(bytes: [u8; PREFIX]) -> Result<Self, WireError> {
        let [a, b, c, d, e, f] = bytes;
        let payload = u32::from_be_bytes([a, b, c, d]);
        let header_len = usize::from(u16::from_be_bytes([e, f]));
        let body_len = usize::try_from(payload)
            .ok()
            .and_then(|payload| payload.checked_sub(PAYLOAD_EXTRA))
            .ok_or_else(|| WireError::unexpected("packet payload length", payload))?;
        if body_len > PACKET_MAX - PREFIX - HEADER_ACCEPTED_MAX {
            return Err(WireError::TooLong { what: "packet", len: u64::from(payload), max: PACKET_MAX as u64 });
        }
        if !(HEADER_ACCEPTED_MIN..=HEADER_ACCEPTED_MAX).contains(&header_len) {
            let found = i64::try_from(header_len).unwrap_or(i64::MAX);
            return Err(WireError::unexpected("packet header length", found));
        }
        Ok(Self { header_len, body_len })
    }

    /// Bytes of the whole packet.
    #[must_use]
    pub fn packet_len(&self) -> usize {
        PREFIX + self.header_len + self.body_len
    }

    /// Reads the header, whose length must be [`Prefix::header_len`].
    ///
    /// # Errors
    /// A header that does not parse or does not fit the lengths.
    pub fn parse_header(&self, bytes: &[u8]) -> Result<PacketHeader, WireError> {
        let proto: PacketHeaderProto = wire::decode(bytes, "packet header")?;
        let data_len = usize::try_from(proto.data_len)
            .ok()
            .filter(|len| *len <= self.body_len)
            .ok_or_else(|| WireError::unexpected("packet data length", proto.data_len))?;
        let offset = u64::try_from(proto.offset_in_block)
            .map_err(|_| WireError::unexpected("packet offset", proto.offset_in_block))?;
        Ok(PacketHeader {
            offset,
            seqno: proto.seqno,
            last: proto.last_packet_in_block,
            data_len,
            sync: proto.sync_block(),
        })
    }
}

/// Bytes of data that fill a packet of `packet_size` bytes, whole chunks and at least one (64 KiB: 126 chunks, 64,512 bytes).
#[must_use]
pub const fn data_per_packet(packet_size: usize, bytes_per_checksum: usize) -> usize {
    let chunks = packet_size.saturating_sub(HEADER_MAX) / (bytes_per_checksum + super::checksum::CRC_BYTES);
    if chunks == 0 { bytes_per_checksum } else { chunks * bytes_per_checksum }
}
