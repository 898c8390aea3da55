//! Streams over loopback and over readers and writers that give and take a few bytes at a time.

use super::*;
use mammoth_protocol::datatransfer::packet::{HEADER_MAX, PacketHeader, data_per_packet};
use mammoth_protocol::datatransfer::{OpRequest, ack, checksum};
use mammoth_protocol::hadoop::hdfs::{
    self, BlockOpResponseProto, DatanodeIdProto, OpBlockChecksumProto, PipelineAckProto, Status,
};
use mammoth_protocol::limits::PACKET_MAX;
use mammoth_protocol::wire::WireError;
use proptest::prelude::*;
use std::io::{self, Cursor, IoSlice, Read, Seek, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

/// A connected pair of sockets.
fn pair(options: &SocketOptions) -> (DataStream, DataStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = DataStream::connect(listener.local_addr().unwrap(), options).unwrap();
    let (far, _) = listener.accept().unwrap();
    options.apply(&far).unwrap();
    (near, DataStream::new(far).unwrap())
}

fn bytes(len: usize, seed: u64) -> Vec<u8> {
    (0..len as u64).map(|i| ((i + seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

fn request(name: &str) -> OpRequest {
    let block = hdfs::ExtendedBlockProto { pool_id: name.to_owned(), ..Default::default() };
    let header = hdfs::BaseHeaderProto { block, ..Default::default() };
    OpRequest::BlockChecksum(Box::new(OpBlockChecksumProto { header, block_checksum_options: None }))
}

fn header(offset: u64, seqno: i64, data_len: usize) -> PacketHeader {
    PacketHeader { offset, seqno, data_len, ..PacketHeader::default() }
}

#[test]
fn a_block_over_loopback() {
    let (mut near, mut far) = pair(&SocketOptions::default());
    // Sizes around chunks and buffers; the longest packets come last, after the buffer has settled.
    let sizes = [0, 1, 511, 512, 513, 64_512, 64_512, 4096, data_per_packet(1 << 20, 512), 7, 8 << 20];
    let sender = thread::spawn(move || {
        near.writer.send_op(&request("pool")).unwrap();
        let mut offset = 0;
        for (seqno, len) in (0..).zip(sizes) {
            near.writer.send_data(&header(offset, seqno, len), &bytes(len, offset), 512).unwrap();
            offset += len as u64;
        }
        let last = PacketHeader { last: true, sync: true, ..header(offset, sizes.len() as i64, 0) };
        near.writer.send_packet(&last, &[], &[]).unwrap();
        let mut ack = PipelineAckProto::default();
        near.reader.read_ack(&mut ack).unwrap();
        assert_eq!(ack::first_failure(&ack), None);
        near.writer.send_op(&request("next")).unwrap();
    });
    assert_eq!(far.reader.read_op().unwrap(), Some(request("pool")));
    let mut offset = 0;
    for (seqno, len) in (0..).zip(sizes) {
        let packet = far.reader.read_packet().unwrap();
        assert_eq!(packet.header, header(offset, seqno, len));
        assert!(packet.data == bytes(len, offset));
        packet.verify(512).unwrap();
        // What is forwarded reads as the same packet.
        let mut again = DataReader::new(Cursor::new(packet.raw.to_vec()));
        assert!(again.read_packet().unwrap() == packet);
        offset += len as u64;
    }
    let last = far.reader.read_packet().unwrap();
    assert!(last.header.last && last.header.sync && last.data.is_empty() && last.checksums.is_empty());
    let mut ack = PipelineAckProto::default();
    ack::fill(&mut ack, sizes.len() as i64, Status::Success, None);
    far.writer.send_message(&ack).unwrap();
    assert_eq!(far.reader.read_op().unwrap(), Some(request("next")));
    sender.join().unwrap();
    assert_eq!(far.reader.read_op().unwrap(), None);
}

#[test]
fn corrupt_data_is_found() {
    let mut wire = Vec::new();
    DataWriter::new(&mut wire).send_data(&header(1024, 0, 2000), &bytes(2000, 1), 512).unwrap();
    let at = wire.len() - 2000 + 600;
    wire[at] ^= 4;
    let mut reader = DataReader::new(Cursor::new(wire));
    let error = reader.read_packet().unwrap().verify(512).unwrap_err();
    let DataError::Checksum { offset: 1024, source } = error else { panic!("{error:?}") };
    assert_eq!(source, checksum::BadChecksum::Chunk { index: 1 });
}

#[test]
fn a_packet_from_a_file_is_the_same_packet() {
    let data = bytes(300_000, 3);
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&data).unwrap();
    file.rewind().unwrap();
    let mut checksums = Vec::new();
    let part = &data[512..200_512];
    checksum::append_checksums(&mut checksums, part, 512);
    let (mut near, mut far) = pair(&SocketOptions::default());
    drop(near.reader);
    let sender = thread::spawn(move || {
        near.writer.send_file(&header(512, 0, 200_000), &checksums, &file, 512).unwrap();
        near.writer.send_file(&PacketHeader { last: true, ..header(0, 1, 0) }, &[], &file, 0).unwrap();
        let error = near.writer.send_file(&header(0, 2, 300_001), &[], &file, 0).unwrap_err();
        assert!(matches!(error, DataError::File(_)), "{error:?}");
        assert_eq!(file.stream_position().unwrap(), 0, "the position of the file is nobody's business");
    });
    let packet = far.reader.read_packet().unwrap();
    assert!(packet.header == header(512, 0, 200_000) && packet.data == part);
    packet.verify(512).unwrap();
    assert!(far.reader.read_packet().unwrap().header.last);
    assert!(matches!(far.reader.read_packet().unwrap_err(), DataError::Closed));
    sender.join().unwrap();
}

#[test]
fn silence_is_a_timeout_and_a_deaf_peer_too() {
    let time = Duration::from_millis(50);
    let options = SocketOptions { read_timeout: time, write_timeout: time, ..SocketOptions::default() };
    let (mut near, far) = pair(&options);
    assert!(matches!(near.reader.read_packet().unwrap_err(), DataError::Timeout));
    assert!(matches!(near.reader.read_op().unwrap_err(), DataError::Timeout));
    let data = vec![0; 1 << 20];
    let stuck = (0..1000).find_map(|seqno| near.writer.send_data(&header(0, seqno, data.len()), &data, 512).err());
    assert!(matches!(stuck, Some(DataError::Timeout)), "{stuck:?}");
    drop(far);
}

#[test]
fn nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    drop(listener);
    let error = DataStream::connect(addr, &SocketOptions::default()).unwrap_err();
    assert!(matches!(error, DataError::Connect { addr: named, .. } if named == addr), "{error:?}");
}

#[test]
fn addresses_of_datanodes() {
    let id = |ip: &str, port| DatanodeIdProto { ip_addr: ip.into(), xfer_port: port, ..Default::default() };
    let one = |id: &DatanodeIdProto| datanode_addrs(id, false).unwrap()[0].to_string();
    assert_eq!(one(&id("127.0.0.1", 9866)), "127.0.0.1:9866");
    assert_eq!(one(&id("::1", 9866)), "[::1]:9866");
    assert!(datanode_addrs(&id("127.0.0.1", 70_000), false).is_err());
    let named = DatanodeIdProto { host_name: "127.0.0.2".into(), ..id("127.0.0.1", 1) };
    assert_eq!(datanode_addrs(&named, true).unwrap()[0].to_string(), "127.0.0.2:1");
}

#[test]
fn a_length_alone_takes_no_memory() {
    // The largest packet that is allowed, announced by a prefix without anything behind it.
    let mut wire = ((PACKET_MAX - 1000) as u32).to_be_bytes().to_vec();
    wire.extend_from_slice(&25_u16.to_be_bytes());
    let mut reader = DataReader::new(Cursor::new(wire));
    assert!(matches!(reader.read_packet().unwrap_err(), DataError::Closed));
    assert!(reader.capacity() <= 256 * 1024, "{}", reader.capacity());
}

#[test]
fn the_buffer_stays_once_it_fits() {
    let mut wire = Vec::new();
    let data = bytes(64_512, 0);
    for seqno in 0..50 {
        DataWriter::new(&mut wire).send_data(&header(0, seqno, data.len()), &data, 512).unwrap();
    }
    let reads = std::cell::Cell::new(0);
    let mut reader = DataReader::new(Counting { inner: Cursor::new(wire), reads: &reads });
    reader.read_packet().unwrap();
    let (capacity, reads_before) = (reader.capacity(), reads.get());
    for _ in 1..50 {
        reader.read_packet().unwrap();
    }
    assert_eq!(reader.capacity(), capacity);
    assert_eq!(reads.get() - reads_before, 49, "one read a packet");
}

#[test]
fn messages_above_the_limit_are_refused_at_both_ends() {
    let mut wire = Vec::new();
    let long = BlockOpResponseProto { message: Some("x".repeat(2 << 20)), ..Default::default() };
    let error = DataWriter::new(&mut wire).send_message(&long).unwrap_err();
    assert!(matches!(error, DataError::Wire(WireError::TooLong { .. })), "{error:?}");
    assert!(wire.is_empty());
    let mut reader = DataReader::new(&[0xff, 0xff, 0xff, 0x07][..]);
    let error = reader.read_message::<BlockOpResponseProto>("answer").unwrap_err();
    assert!(matches!(error, DataError::Wire(WireError::TooLong { .. })), "{error:?}");
    let error = DataWriter::new(&mut wire).send_packet(&header(0, 0, 5), &[], b"four").unwrap_err();
    assert!(matches!(error, DataError::Wire(_)) && wire.is_empty());
}

struct Counting<'a, R> {
    inner: R,
    reads: &'a std::cell::Cell<usize>,
}

impl<R: Read> Read for Counting<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.reads.set(self.reads.get() + 1);
        self.inner.read(buf)
    }
}

/// Gives and takes at most so many bytes at a time, in turn, and interrupts now and then.
struct Drip<T> {
    inner: T,
    steps: Vec<usize>,
    turn: usize,
}

impl<T> Drip<T> {
    fn new(inner: T, steps: &[usize]) -> Self {
        Self { inner, steps: steps.to_vec(), turn: 0 }
    }

    fn step(&mut self) -> io::Result<usize> {
        self.turn += 1;
        match self.steps[self.turn % self.steps.len()] {
            0 if !self.turn.is_multiple_of(3) => Err(io::ErrorKind::Interrupted.into()),
            step => Ok(step.max(1)),
        }
    }
}

impl<T: Read> Read for Drip<T> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let step = self.step()?.min(buf.len());
        self.inner.read(&mut buf[..step])
    }
}

impl Write for Drip<&mut Vec<u8>> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let step = self.step()?.min(buf.len());
        self.inner.write(&buf[..step])
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let all: Vec<u8> = bufs.iter().flat_map(|part| part.iter().copied()).collect();
        self.write(&all)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A whole session: request, answer, two packets, acknowledgement.
fn session(wire: &mut Vec<u8>, steps: &[usize], len: usize) {
    let mut writer = DataWriter::new(Drip::new(wire, steps));
    writer.send_op(&request("p")).unwrap();
    let answer = BlockOpResponseProto { message: Some("m".repeat(len % 200)), ..Default::default() };
    writer.send_message(&answer).unwrap();
    writer.send_data(&header(0, 0, len), &bytes(len, 0), 512).unwrap();
    writer.send_packet(&PacketHeader { last: true, ..header(len as u64, 1, 0) }, &[], &[]).unwrap();
    let mut ack = PipelineAckProto::default();
    ack::fill(&mut ack, 1, Status::Success, None);
    writer.send_message(&ack).unwrap();
}

fn read_session<R: Read>(stream: R, len: usize) -> Result<(), DataError> {
    let mut reader = DataReader::new(stream);
    assert_eq!(reader.read_op()?.ok_or(DataError::Closed)?, request("p"));
    let answer: BlockOpResponseProto = reader.read_message("answer")?;
    assert_eq!(answer.message().len(), len % 200);
    let packet = reader.read_packet()?;
    assert!(packet.data == bytes(len, 0));
    packet.verify(512)?;
    assert!(reader.read_packet()?.header.last);
    let mut ack = PipelineAckProto::default();
    reader.read_ack(&mut ack)?;
    assert_eq!(ack.seqno, 1);
    assert!(reader.read_op()?.is_none());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_depends_on_how_the_bytes_arrive(
        read in prop::collection::vec(0_usize..5000, 1..10),
        write in prop::collection::vec(0_usize..5000, 1..10),
        len in 0_usize..20_000,
    ) {
        let mut wire = Vec::new();
        session(&mut wire, &write, len);
        read_session(Drip::new(Cursor::new(wire), &read), len).unwrap();
    }

    #[test]
    fn a_session_that_is_cut_is_closed(len in 0_usize..3000, cut in any::<prop::sample::Index>()) {
        let mut wire = Vec::new();
        session(&mut wire, &[5000], len);
        wire.truncate(cut.index(wire.len()));
        let error = read_session(Cursor::new(wire), len).unwrap_err();
        prop_assert!(matches!(error, DataError::Closed), "{error:?}");
    }

    #[test]
    fn rubbish_never_panics(wire in prop::collection::vec(any::<u8>(), 0..300), what in 0..4) {
        let mut reader = DataReader::new(Cursor::new(wire));
        let mut ack = PipelineAckProto::default();
        for _ in 0..20 {
            let ended = match what {
                0 => reader.read_op().map_or(true, |op| op.is_none()),
                1 => reader.read_packet().is_err(),
                2 => reader.read_ack(&mut ack).is_err(),
                _ => reader.read_message::<BlockOpResponseProto>("answer").is_err(),
            };
            if ended {
                break;
            }
        }
    }

    #[test]
    fn a_packet_with_flipped_bytes_never_panics(at in 0_usize..HEADER_MAX, value in any::<u8>()) {
        let mut wire = Vec::new();
        DataWriter::new(&mut wire).send_data(&header(0, 0, 100), &bytes(100, 0), 512).unwrap();
        wire[at] = value;
        let mut reader = DataReader::new(Cursor::new(wire));
        if let Ok(packet) = reader.read_packet() {
            let _ = packet.verify(512);
        }
    }
}

#[test]
fn both_halves_are_one_socket() {
    let (near, mut far) = pair(&SocketOptions::default());
    let socket: &TcpStream = near.writer.stream();
    assert_eq!(socket.local_addr().unwrap(), near.reader.stream().local_addr().unwrap());
    assert!(socket.nodelay().unwrap());
    socket.shutdown(std::net::Shutdown::Write).unwrap();
    assert!(far.reader.read_op().unwrap().is_none());
}
