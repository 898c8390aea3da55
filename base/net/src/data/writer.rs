//! The writing half of a data-transfer connection.

use super::DataError;
use mammoth_protocol::datatransfer::packet::PacketHeader;
use mammoth_protocol::datatransfer::{OpRequest, checksum};
use mammoth_protocol::limits::DATA_OP_MAX;
use mammoth_protocol::wire::{self, WireError};
use prost::Message;
use rustix::net::{SendFlags, send};
use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::net::TcpStream;

/// Writes requests, answers, packets and acknowledgements to a stream. Everything is with the system when a call returns;
/// there is nothing to flush.
#[derive(Debug)]
pub struct DataWriter<W> {
    stream: W,
    scratch: Vec<u8>,
}

impl<W: Write> DataWriter<W> {
    /// Writes to a stream that has timeouts of its own.
    pub fn new(stream: W) -> Self {
        Self { stream, scratch: Vec::new() }
    }

    /// The stream, to change its timeouts or to shut it down.
    pub fn stream(&self) -> &W {
        &self.stream
    }

    /// Sends the request that opens an operation, in one write.
    ///
    /// # Errors
    /// A request above [`DATA_OP_MAX`], or a stream that fails.
    pub fn send_op(&mut self, request: &OpRequest) -> Result<(), DataError> {
        self.scratch.clear();
        request.encode(&mut self.scratch);
        self.send_scratch("data transfer request")
    }

    /// Sends a delimited message, in one write: some clients take what one read gives them for the whole.
    ///
    /// # Errors
    /// A message above [`DATA_OP_MAX`], or a stream that fails.
    pub fn send_message(&mut self, message: &impl Message) -> Result<(), DataError> {
        self.scratch.clear();
        wire::put_message(&mut self.scratch, message);
        self.send_scratch("data transfer message")
    }

    fn send_scratch(&mut self, what: &'static str) -> Result<(), DataError> {
        let len = self.scratch.len();
        if len > DATA_OP_MAX {
            return Err(WireError::TooLong { what, len: len as u64, max: DATA_OP_MAX as u64 }.into());
        }
        Ok(self.stream.write_all(&self.scratch)?)
    }

    /// Sends a packet from where its parts lie.
    ///
    /// # Errors
    /// A packet above the limit, data of another length than the header says, or a stream that fails.
    pub fn send_packet(&mut self, header: &PacketHeader, checksums: &[u8], data: &[u8]) -> Result<(), DataError> {
        check_len(header, data.len())?;
        let head = header.encode(checksums.len())?;
        write_all_parts(&mut self.stream, [head.as_slice(), checksums, data])
    }

    /// Sends a packet with data that starts at a chunk boundary, and computes its checksums.
    ///
    /// # Errors
    /// As [`Self::send_packet`].
    pub fn send_data(&mut self, header: &PacketHeader, data: &[u8], chunk: usize) -> Result<(), DataError> {
        check_len(header, data.len())?;
        let head = header.encode(checksum::checksums_len(data.len(), chunk))?;
        self.scratch.clear();
        checksum::append_checksums(&mut self.scratch, data, chunk);
        write_all_parts(&mut self.stream, [head.as_slice(), &self.scratch, data])
    }

    /// Sends bytes that are a whole packet already.
    ///
    /// # Errors
    /// A stream that fails.
    pub fn send_raw(&mut self, packet: &[u8]) -> Result<(), DataError> {
        Ok(self.stream.write_all(packet)?)
    }
}

impl DataWriter<TcpStream> {
    /// Sends a packet whose data lies in a file, from `file_offset`, without bringing it into this process. Only for files
    /// that do not change any more: their bytes leave later than their checksums are chosen.
    ///
    /// # Errors
    /// As [`Self::send_packet`], or a file that ends early: part of the packet is out then, and the stream is useless.
    pub fn send_file(
        &mut self,
        header: &PacketHeader,
        checksums: &[u8],
        file: &File,
        file_offset: u64,
    ) -> Result<(), DataError> {
        let head = header.encode(checksums.len())?;
        self.scratch.clear();
        self.scratch.extend_from_slice(head.as_slice());
        self.scratch.extend_from_slice(checksums);
        // The kernel waits for the data that follows instead of sending a small segment of its own.
        let more = if header.data_len == 0 { SendFlags::NOSIGNAL } else { SendFlags::NOSIGNAL | SendFlags::MORE };
        let mut rest = self.scratch.as_slice();
        while !rest.is_empty() {
            let sent = again(|| send(&self.stream, rest, more)).map_err(io::Error::from)?;
            rest = rest.get(sent..).unwrap_or_default();
        }
        let mut offset = file_offset;
        let mut left = header.data_len;
        while left > 0 {
            match again(|| rustix::fs::sendfile(&self.stream, file, Some(&mut offset), left)) {
                Ok(0) => return Err(DataError::File(io::ErrorKind::UnexpectedEof.into())),
                Ok(sent) => left = left.saturating_sub(sent),
                Err(rustix::io::Errno::IO) => return Err(DataError::File(rustix::io::Errno::IO.into())),
                Err(error) => return Err(io::Error::from(error).into()),
            }
        }
        Ok(())
    }
}

fn again<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> rustix::io::Result<T> {
    rustix::io::retry_on_intr(&mut call)
}

fn check_len(header: &PacketHeader, len: usize) -> Result<(), WireError> {
    if header.data_len == len {
        return Ok(());
    }
    Err(WireError::Unexpected { what: "packet data length", found: i64::try_from(len).unwrap_or(i64::MAX) })
}

/// Writes all parts, in one system call if the system takes them.
fn write_all_parts<W: Write>(stream: &mut W, parts: [&[u8]; 3]) -> Result<(), DataError> {
    let mut slices = parts.map(IoSlice::new);
    let mut left = &mut slices[..];
    // Leading empty slices would look like a write of nothing.
    IoSlice::advance_slices(&mut left, 0);
    while !left.is_empty() {
        match stream.write_vectored(left) {
            Ok(0) => return Err(DataError::Closed),
            Ok(written) => IoSlice::advance_slices(&mut left, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
