//! One range of one block from one datanode, verified.
//!
//! A packet's data goes from the socket straight into the caller's buffer; only what does not fit there is kept. Each read
//! of the socket asks for the head of the next packet too, so that a packet takes one system call where the network is fast
//! enough. Data is handed out after its checksums have been verified, never before.

use crate::client::ClientShared;
use crate::text::chain;
use crate::types::{DatanodeInfo, LocatedBlock};
use crate::writer::pipeline::{client_header, connect_node, describe};
use mammoth_net::data::{DataError, DataWriter, SocketOptions};
use mammoth_protocol::datatransfer::OpRequest;
use mammoth_protocol::datatransfer::checksum::{self, CRC_BYTES};
use mammoth_protocol::datatransfer::packet::{PREFIX, PacketHeader, Prefix};
use mammoth_protocol::hadoop::extended_block;
use mammoth_protocol::hadoop::hdfs::{BlockOpResponseProto, ClientReadStatusProto, OpReadBlockProto, Status};
use mammoth_protocol::limits::DATA_OP_MAX;
use mammoth_protocol::wire::{self, LENGTH_BYTES_MAX, WireError};
use std::io::{self, IoSliceMut, Read};
use std::net::TcpStream;
use std::ops::Range;

/// Bytes of a packet before its checksums, as they usually are.
const HEAD: usize = PREFIX + 25;

/// Why a datanode could not serve a range.
#[derive(Debug)]
pub(super) enum Failure {
    /// Data and checksums do not fit: the replica is corrupt.
    Corrupt(String),
    /// Anything else.
    Other(String),
}

impl Failure {
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Corrupt(text) | Self::Other(text) => text,
        }
    }
}

impl From<DataError> for Failure {
    fn from(error: DataError) -> Self {
        Self::Other(chain(&error))
    }
}

impl From<WireError> for Failure {
    fn from(error: WireError) -> Self {
        Self::Other(chain(&error))
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        DataError::from(error).into()
    }
}

/// A range of a block on its way.
pub(super) struct BlockStream<S = TcpStream> {
    stream: S,
    chunk: usize,
    /// Next byte to hand out, in the block.
    at: u64,
    /// End of the range, in the block.
    end: u64,
    /// Where the next packet must start, in the block.
    next_offset: u64,
    next_seqno: i64,
    /// Head of the next packet, as far as it has arrived.
    head: [u8; HEAD],
    head_len: usize,
    checksums: Vec<u8>,
    /// Verified data that did not fit into the caller's buffer: `kept_from..kept_to`.
    kept: Vec<u8>,
    kept_from: usize,
    kept_to: usize,
}

impl BlockStream {
    /// Asks a datanode for a range of a block (positions in the block, not empty). `connected` gets the socket as soon as there
    /// is one.
    pub(super) fn open(
        shared: &ClientShared,
        block: &LocatedBlock,
        node: &DatanodeInfo,
        range: Range<u64>,
        connected: impl FnOnce(&TcpStream),
    ) -> Result<Self, Failure> {
        let timeout = shared.config.socket_timeout;
        let options = SocketOptions {
            connect_timeout: timeout,
            read_timeout: timeout,
            write_timeout: timeout,
            ..SocketOptions::default()
        };
        let proto = crate::rpc::convert::datanode_proto(node);
        let mut stream = connect_node(&shared.config, &proto, &options)?;
        connected(&stream);
        let from = range.start;
        let request = OpReadBlockProto {
            header: client_header(&extended_block(&block.pool, block.block), &block.token, &shared.name),
            offset: from,
            len: range.end.saturating_sub(from),
            send_checksums: Some(true),
            caching_strategy: None,
        };
        DataWriter::new(&stream).send_op(&OpRequest::ReadBlock(Box::new(request)))?;
        let response = read_response(&mut stream)?;
        if response.status != Status::Success as i32 {
            return Err(Failure::Other(describe(&response)));
        }
        let missing = || Failure::Other("answered without telling its checksums".to_owned());
        let info = response.read_op_checksum_info.ok_or_else(missing)?;
        let chunk = checksum::chunk_size(&info.checksum)?.ok_or_else(missing)?;
        let start = info.chunk_offset;
        if start > from || from - start >= chunk as u64 {
            return Err(Failure::Other(format!("starts at {start} of the block instead of {from}")));
        }
        Ok(Self::over(stream, chunk, start, range))
    }

    /// Reads what ends the stream, and tells the datanode that all was well. Best effort: the data is verified already.
    pub(super) fn finish(mut self) {
        let ended = loop {
            match self.read_head() {
                Ok((header, 0)) if header.last && header.data_len == 0 => break true,
                Ok((header, 0)) if header.data_len == 0 => {}
                Ok(_) | Err(_) => break false,
            }
        };
        if ended {
            let status = ClientReadStatusProto { status: Status::ChecksumOk as i32 };
            let _ = DataWriter::new(&self.stream).send_message(&status);
        }
    }
}

impl<S: Read> BlockStream<S> {
    /// Reads a range whose packets come from `stream`, the first of them at `start`, with a checksum for each `chunk` bytes.
    pub(super) fn over(stream: S, chunk: usize, start: u64, range: Range<u64>) -> Self {
        Self {
            stream,
            chunk,
            at: range.start,
            end: range.end,
            next_offset: start,
            next_seqno: 0,
            head: [0; HEAD],
            head_len: 0,
            checksums: Vec::new(),
            kept: Vec::new(),
            kept_from: 0,
            kept_to: 0,
        }
    }

    /// Whether the whole range was handed out.
    pub(super) fn is_done(&self) -> bool {
        self.at >= self.end
    }

    /// Reads verified data, one byte at least unless the range is done or `out` is empty. After an error the stream is
    /// useless, and `out` may hold anything.
    pub(super) fn read(&mut self, out: &mut [u8]) -> Result<usize, Failure> {
        if out.is_empty() || self.is_done() {
            return Ok(0);
        }
        let mut taken = self.take_kept(out);
        while taken == 0 {
            let direct = self.read_packet(out)?;
            taken = if direct > 0 { direct } else { self.take_kept(out) };
        }
        Ok(taken)
    }

    fn take_kept(&mut self, out: &mut [u8]) -> usize {
        let kept = self.kept.get(self.kept_from..self.kept_to).unwrap_or_default();
        let taken = kept.len().min(out.len());
        if let (Some(to), Some(from)) = (out.get_mut(..taken), kept.get(..taken)) {
            to.copy_from_slice(from);
        }
        self.kept_from += taken;
        self.at += taken as u64;
        taken
    }

    /// Reads one packet: as much of it as possible into `out`, whose length is the answer, and the rest into `kept`.
    fn read_packet(&mut self, out: &mut [u8]) -> Result<usize, Failure> {
        let (header, checksum_len) = self.read_head()?;
        self.check(&header, checksum_len)?;
        let len = header.data_len;
        // Data before the range comes only with the first packet: that one is kept whole.
        let before = usize::try_from(self.at.saturating_sub(header.offset)).unwrap_or(usize::MAX);
        let wanted = usize::try_from(self.end.saturating_sub(header.offset)).unwrap_or(usize::MAX).min(len);
        let direct = if before == 0 { wanted.min(out.len()) } else { 0 };
        let out = out.get_mut(..direct).unwrap_or_default();
        self.receive(checksum_len, out, len - direct)?;
        self.verify(header.offset, out, len - direct)?;
        self.next_offset = header.offset.saturating_add(len as u64);
        self.next_seqno += 1;
        self.at += direct as u64;
        self.kept_from = if direct == 0 { before.min(wanted) } else { 0 };
        self.kept_to = wanted - direct;
        Ok(direct)
    }

    fn check(&self, header: &PacketHeader, checksum_len: usize) -> Result<(), Failure> {
        let bad = |what: String| Err(Failure::Other(what));
        if header.data_len == 0 {
            return bad(format!("ended at {} of the block instead of {}", self.next_offset, self.end));
        }
        if header.offset != self.next_offset || header.seqno != self.next_seqno {
            let (offset, seqno) = (self.next_offset, self.next_seqno);
            return bad(format!(
                "sent packet {} at {} of the block instead of {seqno} at {offset}",
                header.seqno, header.offset
            ));
        }
        let expected = checksum::checksums_len(header.data_len, self.chunk);
        if checksum_len != expected {
            return bad(format!("sent {checksum_len} bytes of checksums instead of {expected}"));
        }
        Ok(())
    }

    /// Reads the head of a packet that has data or ends the range; tells the bytes of checksums too.
    fn read_head(&mut self) -> Result<(PacketHeader, usize), Failure> {
        loop {
            while self.head_len < HEAD {
                let room = self.head.get_mut(self.head_len..).unwrap_or_default();
                self.head_len += read_some(&mut self.stream, &mut [IoSliceMut::new(room)])?;
            }
            self.head_len = 0;
            let prefix = self.head.first_chunk::<PREFIX>().copied().unwrap_or_default();
            let prefix = Prefix::parse(prefix)?;
            let header = match prefix.header_len.checked_sub(HEAD - PREFIX) {
                Some(more) if more > 0 => {
                    let mut bytes = self.head.get(PREFIX..).unwrap_or_default().to_vec();
                    bytes.resize(prefix.header_len, 0);
                    self.stream.read_exact(bytes.get_mut(HEAD - PREFIX..).unwrap_or_default())?;
                    prefix.parse_header(&bytes)?
                }
                _ => prefix.parse_header(self.head.get(PREFIX..).unwrap_or_default())?,
            };
            let checksum_len = prefix.body_len.saturating_sub(header.data_len);
            if header.data_len > 0 || header.last || checksum_len > 0 {
                return Ok((header, checksum_len));
            }
        }
    }

    /// Receives checksums, data (into `out`, then `kept`), and what has arrived of the next head.
    fn receive(&mut self, checksum_len: usize, out: &mut [u8], keep: usize) -> Result<(), Failure> {
        self.checksums.resize(checksum_len, 0);
        if self.kept.len() < keep {
            self.kept.resize(keep, 0);
        }
        let kept = self.kept.get_mut(..keep).unwrap_or_default();
        let mut left = checksum_len + out.len() + keep;
        let mut slices = [
            IoSliceMut::new(&mut self.checksums),
            IoSliceMut::new(out),
            IoSliceMut::new(kept),
            IoSliceMut::new(&mut self.head),
        ];
        let mut rest = &mut slices[..];
        IoSliceMut::advance_slices(&mut rest, 0);
        while left > 0 {
            let read = read_some(&mut self.stream, rest)?;
            if read > left {
                self.head_len = read - left;
            }
            left = left.saturating_sub(read);
            if left > 0 {
                IoSliceMut::advance_slices(&mut rest, read);
            }
        }
        Ok(())
    }

    /// Verifies a packet whose data lies in `out` and then in `kept`.
    fn verify(&self, offset: u64, out: &[u8], keep: usize) -> Result<(), Failure> {
        let kept = self.kept.get(..keep).unwrap_or_default();
        // Whole chunks in `out`; one that straddles the two; the rest in `kept`.
        let whole = out.len() - out.len() % self.chunk;
        let (first, tail) = out.split_at(whole);
        let straddle = if tail.is_empty() { 0 } else { (self.chunk - tail.len()).min(kept.len()) };
        let (joint, last) = kept.split_at(straddle);
        let (first_sums, sums) = self.checksums.split_at(checksum::checksums_len(first.len(), self.chunk));
        let corrupt = |position: usize| {
            let position = offset.saturating_add(position as u64);
            Failure::Corrupt(format!("checksum mismatch at {position} of the block"))
        };
        checksum::verify(first, first_sums, self.chunk).map_err(|_| corrupt(0))?;
        let mut last_sums = sums;
        if let Some((stored, others)) = sums.split_first_chunk::<CRC_BYTES>().filter(|_| !tail.is_empty()) {
            let crc = checksum::extend_crc(checksum::crc(tail), joint);
            if crc != u32::from_be_bytes(*stored) {
                return Err(corrupt(whole));
            }
            last_sums = others;
        }
        checksum::verify(last, last_sums, self.chunk).map_err(|_| corrupt(out.len() + straddle))
    }
}

/// Reads what has arrived, one byte at least.
fn read_some(stream: &mut impl Read, slices: &mut [IoSliceMut<'_>]) -> Result<usize, Failure> {
    loop {
        match stream.read_vectored(slices) {
            Ok(0) => return Err(DataError::Closed.into()),
            Ok(read) => return Ok(read),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Reads the answer to the request, and not a byte beyond.
pub(super) fn read_response(stream: &mut impl Read) -> Result<BlockOpResponseProto, DataError> {
    const WHAT: &str = "answer to a read";
    let mut prefix = Vec::with_capacity(LENGTH_BYTES_MAX);
    let len = loop {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        prefix.extend_from_slice(&byte);
        if let Some((_, len)) = wire::delimited_len(&prefix, DATA_OP_MAX, WHAT)? {
            break len;
        }
    };
    let mut message = vec![0; len];
    stream.read_exact(&mut message)?;
    Ok(wire::decode(&message, WHAT)?)
}
