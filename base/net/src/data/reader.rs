//! The reading half of a data-transfer connection.

use super::DataError;
use mammoth_platform::IoBuffer;
use mammoth_protocol::datatransfer::checksum::{self, BadChecksum};
use mammoth_protocol::datatransfer::packet::{HEADER_MAX, PREFIX, PacketHeader, Prefix};
use mammoth_protocol::datatransfer::{OP_PREFIX, OpRequest, parse_op_prefix};
use mammoth_protocol::hadoop::hdfs::PipelineAckProto;
use mammoth_protocol::limits::DATA_OP_MAX;
use mammoth_protocol::wire::{self, LENGTH_BYTES_MAX, WireError};
use prost::Message;
use std::io::{self, Read};

/// Room of a new buffer, and what a first packet makes of it.
const BUFFER_MIN: usize = 4 * 1024;
const BUFFER_PACKET: usize = 128 * 1024;
/// How far a read goes beyond a small message that it waits for.
const AHEAD: usize = 512;

/// Reads requests, answers, packets and acknowledgements from a stream.
#[derive(Debug)]
pub struct DataReader<R> {
    stream: R,
    buffer: IoBuffer,
    /// The bytes that have arrived and are not taken: `start..end`.
    start: usize,
    end: usize,
}

/// One packet, in the buffer of its reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The header.
    pub header: PacketHeader,
    /// Its checksums, four bytes each; may be empty if the reader asked for none.
    pub checksums: &'a [u8],
    /// Its data.
    pub data: &'a [u8],
    /// The whole packet as it arrived, to be forwarded.
    pub raw: &'a [u8],
}

impl Packet<'_> {
    /// Checks the data against the checksums.
    ///
    /// # Errors
    /// The first chunk that does not fit.
    pub fn verify(&self, chunk: usize) -> Result<(), DataError> {
        checksum::verify(self.data, self.checksums, chunk).map_err(|source| self.corrupt(source))
    }

    fn corrupt(&self, source: BadChecksum) -> DataError {
        DataError::Checksum { offset: self.header.offset, source }
    }
}

impl<R: Read> DataReader<R> {
    /// Reads from a stream that has timeouts of its own.
    pub fn new(stream: R) -> Self {
        Self { stream, buffer: IoBuffer::default(), start: 0, end: 0 }
    }

    /// The stream, to change its timeouts. Reading from it directly loses what has been read ahead.
    pub fn stream(&self) -> &R {
        &self.stream
    }

    /// Whether nothing has been read ahead: whoever waits for the stream itself would miss that.
    pub fn has_taken_all(&self) -> bool {
        self.start == self.end
    }

    /// Bytes of memory that the reader holds.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.buffer.len()
    }

    /// Reads the request that opens an operation; `None` if the peer closed the connection before it.
    ///
    /// # Errors
    /// A request that is none, or an operation that is not known: the connection must close.
    pub fn read_op(&mut self) -> Result<Option<OpRequest>, DataError> {
        if self.start == self.end && !self.arrived(AHEAD)? {
            return Ok(None);
        }
        self.fill(OP_PREFIX, AHEAD)?;
        let prefix = self.pending().first_chunk::<OP_PREFIX>().ok_or(DataError::Closed)?;
        let op = parse_op_prefix(*prefix)?;
        self.take(OP_PREFIX);
        let message = self.delimited(DATA_OP_MAX, "data transfer request")?;
        Ok(Some(OpRequest::decode(op, message)?))
    }

    /// Reads one delimited message.
    ///
    /// # Errors
    /// A message that does not arrive or does not parse.
    pub fn read_message<M: Message + Default>(&mut self, what: &'static str) -> Result<M, DataError> {
        Ok(wire::decode(self.delimited(DATA_OP_MAX, what)?, what)?)
    }

    /// Reads one byte, such as a receipt.
    ///
    /// # Errors
    /// A byte that does not arrive.
    pub fn read_byte(&mut self) -> Result<u8, DataError> {
        self.fill(1, 0)?;
        self.take(1).first().copied().ok_or(DataError::Closed)
    }

    /// Reads an acknowledgement into `ack`, whose memory it reuses.
    ///
    /// # Errors
    /// As [`Self::read_message`]; `ack` is undefined then.
    pub fn read_ack(&mut self, ack: &mut PipelineAckProto) -> Result<(), DataError> {
        const WHAT: &str = "acknowledgement";
        ack.clear();
        let message = self.delimited(DATA_OP_MAX, WHAT)?;
        ack.merge(message).map_err(|source| WireError::Malformed { what: WHAT, source })?;
        Ok(())
    }

    /// Reads one packet; it stays valid until the next read.
    ///
    /// # Errors
    /// A packet that does not arrive or makes no sense. Checksums are not verified here.
    pub fn read_packet(&mut self) -> Result<Packet<'_>, DataError> {
        // Each read asks for a bit of the next packet too, so that a stream of packets takes one read each.
        self.fill(PREFIX, HEADER_MAX - PREFIX)?;
        let prefix = self.pending().first_chunk::<PREFIX>().ok_or(DataError::Closed)?;
        let prefix = Prefix::parse(*prefix)?;
        let total = prefix.packet_len();
        self.fill(total, HEADER_MAX)?;
        let raw = self.take(total);
        let malformed = || WireError::Truncated { what: "packet" };
        let (head, body) = raw.split_at_checked(PREFIX + prefix.header_len).ok_or_else(malformed)?;
        let header = prefix.parse_header(head.get(PREFIX..).ok_or_else(malformed)?)?;
        let checksum_len = body.len().checked_sub(header.data_len).ok_or_else(malformed)?;
        let (checksums, data) = body.split_at_checked(checksum_len).ok_or_else(malformed)?;
        Ok(Packet { header, checksums, data, raw })
    }

    /// Takes one delimited message.
    fn delimited(&mut self, max: usize, what: &'static str) -> Result<&[u8], DataError> {
        let (prefix, len) = loop {
            match wire::delimited_len(self.pending(), max, what)? {
                Some(lengths) => break lengths,
                None => self.fill(self.pending().len() + 1, AHEAD + LENGTH_BYTES_MAX)?,
            }
        };
        self.fill(prefix + len, AHEAD)?;
        let message = self.take(prefix + len);
        Ok(message.get(prefix..).ok_or(WireError::Truncated { what })?)
    }

    fn pending(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Marks bytes as taken; they stay in place until the next read.
    fn take(&mut self, len: usize) -> &[u8] {
        let start = self.start;
        self.start = start.saturating_add(len).min(self.end);
        self.buffer.get(start..self.start).unwrap_or_default()
    }

    /// Waits until `need` bytes are there. Reads go at most `ahead` bytes beyond, so that little has to be moved later.
    fn fill(&mut self, need: usize, ahead: usize) -> Result<(), DataError> {
        while self.end - self.start < need {
            let missing = need - (self.end - self.start);
            if !self.arrived(missing.saturating_add(ahead))? {
                return Err(DataError::Closed);
            }
        }
        Ok(())
    }

    /// Reads once, up to `wanted` bytes; tells whether the stream goes on.
    fn arrived(&mut self, wanted: usize) -> Result<bool, DataError> {
        self.make_room(wanted);
        let room_end = self.end.saturating_add(wanted).min(self.buffer.len());
        loop {
            let room = self.buffer.get_mut(self.end..room_end).unwrap_or_default();
            match self.stream.read(room) {
                Ok(0) => return Ok(false),
                Ok(read) => {
                    self.end = room_end.min(self.end + read);
                    return Ok(true);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Makes room for some of `wanted` bytes, one at least. The buffer grows with what has arrived, not with what a length
    /// claims.
    fn make_room(&mut self, wanted: usize) {
        if self.buffer.len() - self.end >= wanted {
            return;
        }
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.buffer.len() - self.end >= wanted {
            return;
        }
        let least = if wanted > BUFFER_MIN { BUFFER_PACKET } else { BUFFER_MIN };
        if self.end == self.buffer.len() || self.buffer.len() < least {
            let grown = least.max(self.buffer.len().saturating_mul(2)).min(self.end.saturating_add(wanted).max(least));
            self.buffer.resize(grown.max(self.end + 1));
        }
    }
}
