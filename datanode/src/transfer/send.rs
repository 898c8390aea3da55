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

/// Bytes of a range from which on the kernel is told what will be read (HDFS: `LONG_READ_THRESHOLD_BYTES`). For less, telling
/// it costs more than it saves.
const READ_AHEAD_FROM: u64 = 256 * 1024;

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

/// Tells the kernel, well in time, what will be read: a window that moves on when half of it is sent, so that the disk reads
/// while the network sends.
#[derive(Debug)]
struct ReadAhead {
    window: u64,
    end: u64,
    /// Where the window moves next.
    at: u64,
}

impl ReadAhead {
    /// Of a window of so many bytes; 0 = none.
    fn new(range: Range, window: u64) -> Self {
        let at = if window > 0 && range.end - range.start > READ_AHEAD_FROM { range.start } else { u64::MAX };
        Self { window, end: range.end, at }
    }

    /// What to tell before the bytes at `pos` are sent: from where on, and how many bytes.
    fn due(&mut self, pos: u64) -> Option<(u64, u64)> {
        if pos < self.at {
            return None;
        }
        let len = self.window.min(self.end.saturating_sub(pos));
        self.at = pos.saturating_add((self.window / 2).max(1));
        (len > 0).then_some((pos, len))
    }
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
    let mut ahead = ReadAhead::new(range, context.rules.readahead);
    while header.offset < range.end {
        if let Some((pos, len)) = ahead.due(header.offset) {
            reader.will_need(pos, len);
            context.counters.readaheads.fetch_add(1, Ordering::Relaxed);
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_moves_on_at_half_and_never_beyond_the_range() {
        const MIB: u64 = 1 << 20;
        let mut ahead = ReadAhead::new(Range { start: MIB, end: 10 * MIB }, 4 * MIB);
        let told: Vec<_> = (4..40).filter_map(|quarter| ahead.due(quarter * MIB / 4)).collect();
        assert_eq!(told, [(MIB, 4 * MIB), (3 * MIB, 4 * MIB), (5 * MIB, 4 * MIB), (7 * MIB, 3 * MIB), (9 * MIB, MIB)]);
    }

    #[test]
    fn short_ranges_and_no_window_tell_nothing() {
        let short = Range { start: 0, end: READ_AHEAD_FROM };
        assert_eq!(ReadAhead::new(short, 4 << 20).due(0), None);
        assert_eq!(ReadAhead::new(Range { start: 0, end: 1 << 30 }, 0).due(1 << 20), None);
    }
}
