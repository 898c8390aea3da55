//! Sends a range of a replica as packets, with an empty one at the end.

use super::Context;
use super::connection::Scratch;
use crate::error::{DatanodeError, Result};
use crate::store::ReplicaReader;
use mammoth_net::data::{DataError, DataWriter};
use mammoth_protocol::datatransfer::checksum;
use mammoth_protocol::datatransfer::packet::PacketHeader;
use std::net::TcpStream;
use std::sync::atomic::Ordering;

/// Bytes of data in one packet: large enough that system calls do not count, small enough to stay in a core's cache.
const PACKET_DATA: usize = 256 * 1024;

/// The same where packets are held back: as HDFS has it everywhere.
const PACED_DATA: usize = 64 * 1024;

/// Bytes of a range from which on the kernel is told that it will be read to its end.
const READ_AHEAD_FROM: u64 = 1024 * 1024;

/// Bytes from `start`, a chunk boundary, to `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) start: u64,
    pub(super) end: u64,
}

/// How to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SendMode {
    /// Data and checksums as they are on the disk; the reader verifies.
    AsIs,
    /// Data without checksums.
    DataOnly,
    /// Verified here first, so that wrong bytes are never copied. The range may end anywhere.
    Verified,
}

/// Sends the range.
///
/// # Errors
/// A replica that turns out bad ([`DatanodeError::Bad`]); a receiver that is gone.
pub(super) fn send_range(
    context: &Context,
    reader: &ReplicaReader,
    range: Range,
    mode: SendMode,
    output: &mut DataWriter<TcpStream>,
    scratch: &mut Scratch,
) -> Result<()> {
    send_paced(context, reader, range, mode, output, scratch, None)
}

/// As [`send_range`], but before each packet `pace` is asked with its bytes, and may take its time; packets are smaller then,
/// so that the receiver hears something in between.
///
/// # Errors
/// As [`send_range`]; those of `pace`.
pub(super) fn send_paced(
    context: &Context,
    reader: &ReplicaReader,
    range: Range,
    mode: SendMode,
    output: &mut DataWriter<TcpStream>,
    scratch: &mut Scratch,
    mut pace: Option<&mut dyn FnMut(usize) -> Result<()>>,
) -> Result<()> {
    let packet = if pace.is_some() { PACED_DATA } else { PACKET_DATA };
    let step = (packet / reader.chunk()).max(1) * reader.chunk();
    let mut header = PacketHeader { offset: range.start, ..PacketHeader::default() };
    if range.end - range.start > READ_AHEAD_FROM {
        reader.advise_sequential(range.start, range.end - range.start);
    }
    while header.offset < range.end {
        header.data_len = usize::try_from(range.end - header.offset).unwrap_or(step).min(step);
        if let Some(pace) = &mut pace {
            pace(header.data_len)?;
        }
        send_packet(reader, &header, mode, output, scratch)?;
        context.counters.bytes_read.fetch_add(header.data_len as u64, Ordering::Relaxed);
        header.offset += header.data_len as u64;
        header.seqno += 1;
    }
    header.data_len = 0;
    header.last = true;
    Ok(output.send_packet(&header, &[], &[])?)
}

fn send_packet(
    reader: &ReplicaReader,
    header: &PacketHeader,
    mode: SendMode,
    output: &mut DataWriter<TcpStream>,
    scratch: &mut Scratch,
) -> Result<()> {
    let Scratch { data, sums } = scratch;
    let (pos, len) = (header.offset, header.data_len);
    match mode {
        SendMode::Verified => {
            // Checksums cover whole chunks, so the last one is read and verified whole, whatever part of it is wanted.
            let chunk = reader.chunk() as u64;
            let end = (pos + len as u64).next_multiple_of(chunk).min(reader.block.len);
            let whole = usize::try_from(end - pos).unwrap_or(len).max(len);
            data.resize(whole);
            reader.read_data(pos, data)?;
            reader.read_sums(pos, whole, sums)?;
            reader.verify(pos, data, sums)?;
            if whole > len {
                data.truncate(len);
                sums.clear();
                checksum::append_checksums(sums, data, reader.chunk());
            }
            Ok(output.send_packet(header, sums, data)?)
        }
        SendMode::AsIs | SendMode::DataOnly => {
            sums.clear();
            if mode == SendMode::AsIs {
                reader.read_sums(pos, len, sums)?;
            }
            if reader.complete {
                return output.send_file(header, sums, reader.data(), pos).map_err(|error| unreadable(reader, error));
            }
            data.resize(len);
            reader.read_data(pos, data)?;
            Ok(output.send_packet(header, sums, data)?)
        }
    }
}

/// A file that cannot be sent is a bad replica; everything else is the receiver's doing.
fn unreadable(reader: &ReplicaReader, error: DataError) -> DatanodeError {
    match error {
        DataError::File(cause) => reader.bad(format!("its data cannot be read: {cause}")),
        other => other.into(),
    }
}
