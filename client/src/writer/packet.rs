//! Cuts what is written into packets with checksums. Pure: no thread, no socket.
//!
//! A packet starts at a chunk boundary. After a flush in the middle of a chunk the next packet starts at that chunk again
//! and carries its first bytes a second time, as a checksum covers whole chunks. The one exception is a file that is
//! reopened in the middle of a chunk: the first packets fill that chunk up, and the datanode completes its checksum.

use mammoth_protocol::datatransfer::checksum;
use mammoth_protocol::datatransfer::packet::PacketHeader;
use mammoth_protocol::limits::BYTES_PER_CHECKSUM;

const CHUNK: u64 = BYTES_PER_CHECKSUM as u64;

/// Memory of a packet; used again once its packet is acknowledged.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    pub(super) data: Vec<u8>,
    pub(super) checksums: Vec<u8>,
}

impl Buffers {
    pub(super) fn with_capacity(data: usize) -> Self {
        let checksums = checksum::checksums_len(data, BYTES_PER_CHECKSUM);
        Self { data: Vec::with_capacity(data), checksums: Vec::with_capacity(checksums) }
    }

    pub(super) fn clear(&mut self) {
        self.data.clear();
        self.checksums.clear();
    }

    /// Bytes of memory.
    pub(super) fn memory(&self) -> usize {
        self.data.capacity() + self.checksums.capacity()
    }
}

/// A packet, ready to be sent as often as it takes.
#[derive(Debug)]
pub(super) struct Packet {
    pub(super) header: PacketHeader,
    pub(super) buffers: Buffers,
}

impl Packet {
    /// Where its data ends in the block.
    pub(super) fn end(&self) -> u64 {
        self.header.offset.saturating_add(self.header.data_len as u64)
    }
}

/// The packet being filled, and where it stands in its block.
#[derive(Debug)]
pub(super) struct Assembler {
    block_size: u64,
    packet_data: usize,
    /// Number of the next packet.
    seqno: i64,
    /// Bytes of the block so far, those in `current` included.
    written: u64,
    /// Bytes of the block that were handed over in packets.
    handed: u64,
    /// Where `current` starts in the block.
    start: u64,
    current: Buffers,
}

impl Assembler {
    /// Starts `in_block` bytes into a block.
    pub(super) fn new(block_size: u64, packet_data: usize, in_block: u64) -> Self {
        Self {
            block_size,
            packet_data,
            seqno: 0,
            written: in_block,
            handed: in_block,
            start: in_block,
            current: Buffers::default(),
        }
    }

    /// Takes as much as fits into the current packet.
    pub(super) fn push(&mut self, data: &[u8]) -> usize {
        let taken = self.room().min(data.len());
        self.current.data.extend_from_slice(data.get(..taken).unwrap_or_default());
        self.written += taken as u64;
        taken
    }

    fn room(&self) -> usize {
        let capacity = match self.start % CHUNK {
            0 => self.packet_data as u64,
            inside => CHUNK - inside,
        };
        let in_packet = capacity.saturating_sub(self.current.data.len() as u64);
        let in_block = self.block_size.saturating_sub(self.written);
        usize::try_from(in_packet.min(in_block)).unwrap_or(usize::MAX)
    }

    /// Nothing more fits: the packet must go.
    pub(super) fn is_packet_full(&self) -> bool {
        self.room() == 0
    }

    /// Nothing more fits into the block: it must end.
    pub(super) fn is_block_full(&self) -> bool {
        self.written >= self.block_size
    }

    /// Bytes of the block so far.
    pub(super) fn in_block(&self) -> u64 {
        self.written
    }

    /// Whether there is data that no packet has carried.
    pub(super) fn has_unsent(&self) -> bool {
        self.written > self.handed
    }

    /// Whether memory for the current packet is there.
    pub(super) fn has_memory(&self) -> bool {
        self.current.data.capacity() > 0
    }

    /// Gives memory for the current packet.
    pub(super) fn set_memory(&mut self, buffers: Buffers) {
        self.current = buffers;
    }

    /// Turns the current data into a packet. `fresh` is the memory of the next one, if data has to be carried over; whatever
    /// happens, [`Self::has_memory`] tells afterwards.
    pub(super) fn seal(&mut self, sync: bool, fresh: impl FnOnce() -> Buffers) -> Packet {
        let mut buffers = std::mem::take(&mut self.current);
        checksum::append_checksums(&mut buffers.checksums, &buffers.data, BYTES_PER_CHECKSUM);
        let header = PacketHeader {
            offset: self.start,
            seqno: self.next_seqno(),
            last: false,
            data_len: buffers.data.len(),
            sync,
        };
        let chunk_start = (self.written - self.written % CHUNK).max(self.start);
        self.start = if self.written.is_multiple_of(CHUNK) { self.written } else { chunk_start };
        self.handed = self.written;
        let carried = usize::try_from(self.written - self.start).unwrap_or_default();
        if carried > 0 {
            self.current = fresh();
            let from = buffers.data.len().saturating_sub(carried);
            self.current.data.extend_from_slice(buffers.data.get(from..).unwrap_or_default());
        }
        Packet { header, buffers }
    }

    /// An empty packet that asks for all before it to be on disk.
    pub(super) fn sync_marker(&mut self) -> Packet {
        let header =
            PacketHeader { offset: self.written, seqno: self.next_seqno(), last: false, data_len: 0, sync: true };
        Packet { header, buffers: Buffers::default() }
    }

    /// The packet that ends the block; all data must be handed over. The next byte starts the next block.
    pub(super) fn end_block(&mut self) -> Packet {
        let header =
            PacketHeader { offset: self.written, seqno: self.next_seqno(), last: true, data_len: 0, sync: false };
        self.current.clear();
        (self.written, self.handed, self.start) = (0, 0, 0);
        Packet { header, buffers: Buffers::default() }
    }

    fn next_seqno(&mut self) -> i64 {
        let seqno = self.seqno;
        self.seqno += 1;
        seqno
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fresh() -> Buffers {
        Buffers::with_capacity(1024)
    }

    /// What a datanode makes of packets: the blocks, with overlaps checked.
    #[derive(Default)]
    struct Sink {
        blocks: Vec<Vec<u8>>,
        current: Vec<u8>,
        seqno: i64,
    }

    impl Sink {
        fn take(&mut self, packet: &Packet) {
            let (header, data) = (&packet.header, &packet.buffers.data);
            assert_eq!(header.seqno, self.seqno);
            self.seqno += 1;
            assert_eq!(header.data_len, data.len());
            checksum::verify(data, &packet.buffers.checksums, BYTES_PER_CHECKSUM).expect("checksums fit");
            let offset = usize::try_from(header.offset).unwrap();
            assert!(offset <= self.current.len(), "no gap");
            let again = self.current.len() - offset;
            assert!(again < BYTES_PER_CHECKSUM, "only one chunk is repeated");
            assert_eq!(data.get(..again.min(data.len())), self.current.get(offset..offset + again.min(data.len())));
            self.current.truncate(offset.max(self.current.len() - again));
            self.current.extend_from_slice(data);
            if header.last {
                assert!(data.is_empty());
                self.blocks.push(std::mem::take(&mut self.current));
            }
        }
    }

    #[test]
    fn a_reopened_chunk_is_filled_up_first() {
        let mut assembler = Assembler::new(4096, 1024, 700);
        assembler.set_memory(fresh());
        assert_eq!(assembler.push(&[1; 2000]), 324, "up to the boundary at 1024");
        assert!(assembler.is_packet_full() && !assembler.is_block_full());
        let packet = assembler.seal(false, fresh);
        assert_eq!((packet.header.offset, packet.end()), (700, 1024));
        assert_eq!(packet.buffers.checksums.len(), 4);
        assembler.set_memory(fresh());
        assert_eq!(assembler.push(&[1; 2000]), 1024);
        assert_eq!(assembler.seal(false, fresh).header.offset, 1024);
    }

    #[test]
    fn a_flush_inside_a_chunk_repeats_the_chunk() {
        let mut assembler = Assembler::new(4096, 1024, 0);
        assembler.set_memory(fresh());
        assembler.push(&[1; 600]);
        assert_eq!(assembler.seal(true, fresh).end(), 600);
        assert!(!assembler.has_unsent());
        assembler.push(&[2; 10]);
        let packet = assembler.seal(false, fresh);
        assert_eq!((packet.header.offset, packet.end()), (512, 610));
        let last = assembler.end_block();
        assert_eq!((last.header.offset, last.header.last, last.header.seqno), (610, true, 2));
    }

    proptest! {
        #[test]
        fn packets_carry_exactly_what_was_written(
            parts in prop::collection::vec((0_usize..3000, any::<bool>()), 0..20),
            start in 0_usize..1500,
        ) {
            let mut assembler = Assembler::new(3072, 1024, start as u64);
            let mut sink = Sink { current: vec![7; start], ..Sink::default() };
            let mut expected = vec![7; start];
            for (step, (len, flush)) in parts.into_iter().enumerate() {
                let data: Vec<u8> = (0..len).map(|i| (i * 31 + step) as u8).collect();
                expected.extend_from_slice(&data);
                let mut rest = data.as_slice();
                while !rest.is_empty() {
                    if !assembler.has_memory() {
                        assembler.set_memory(fresh());
                    }
                    let taken = assembler.push(rest);
                    rest = &rest[taken..];
                    if assembler.is_packet_full() {
                        sink.take(&assembler.seal(false, fresh));
                    }
                    if assembler.is_block_full() {
                        sink.take(&assembler.end_block());
                    }
                }
                if flush && assembler.has_unsent() {
                    sink.take(&assembler.seal(false, fresh));
                }
            }
            if assembler.has_unsent() {
                sink.take(&assembler.seal(false, fresh));
            }
            if assembler.in_block() > 0 {
                sink.take(&assembler.end_block());
            }
            prop_assert!(sink.blocks.iter().rev().skip(1).all(|block| block.len() == 3072));
            prop_assert_eq!(sink.blocks.concat(), expected);
        }
    }
}
